//! What GDAL reads: values and places as GDAL's own bindings gave them (`fixtures/make_gdal.py`), limits, damage.
#![cfg(feature = "gdal")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::{Path, PathBuf};

use base64::Engine;
use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
use outcrop_formats::{AttrValue, ChunkRef, Error, Format, GeoTiffOptions, Opened, Variable, kerchunk, save};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Object, Random};
use serde_json::Value;

struct Bench {
    runtime: tokio::runtime::Runtime,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        Self { runtime, store }
    }

    fn open(&self, path: &Path) -> Result<Opened, Error> {
        self.runtime.block_on(Opened::open(&self.store, &Href::from_path(path)))
    }

    fn ask(&self, href: &Href) -> Result<Opened, Error> {
        self.runtime.block_on(Opened::open_gdal(&self.store, href))
    }

    fn read(&self, opened: &Opened, variable: &Variable, window: &[Range<u64>]) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(async { opened.read(&opened.locate(variable).await?, window).await })
    }

    fn all(&self, opened: &Opened, variable: &Variable) -> Result<Vec<u8>, Error> {
        let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|len| 0..*len).collect();
        self.read(opened, variable, &window)
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gdal").join(name)
}

/// These files over HTTP.
fn archive(names: &[&str]) -> Archive {
    let archive = Archive::start();
    for name in names {
        archive.put(name, Object::new(std::fs::read(fixture(name)).unwrap()));
    }
    archive
}

fn want() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(fixture("want.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap().as_object().unwrap().clone()
}

/// The file, and the variable that is described: of a container by the number of its dataset.
fn names(key: &str) -> (&str, &str) {
    match key.split_once(':') {
        Some((file, "0")) => (file, "Sea_ice/band_data"),
        Some((file, _)) => (file, "depth/band_data"),
        None => (key, "band_data"),
    }
}

fn text(variable: &Variable, name: &str) -> String {
    variable.attrs.get(name).and_then(AttrValue::text).unwrap_or_default().to_owned()
}

#[test]
fn values_and_places_are_those_that_gdal_gives() {
    let bench = Bench::new();
    let want = want();
    assert!(want.len() >= 9);
    for (key, want) in &want {
        let (file, name) = names(key);
        let opened = if file.ends_with(".vrt") {
            bench.ask(&Href::from_path(&fixture(file))).unwrap()
        } else {
            bench.open(&fixture(file)).unwrap_or_else(|e| panic!("{key}: {e}"))
        };
        assert_eq!(opened.meta.format, Format::Gdal, "{key}");
        assert_eq!(opened.meta.refused, Vec::new(), "{key}");
        let variable = opened.meta.find(name).unwrap();
        assert_eq!(variable.codecs[0].to_string(), format!("GDAL {}", want["driver"].as_str().unwrap()), "{key}");
        assert_eq!(Value::from(variable.grid.shape.clone()), want["shape"], "{key}");
        assert_eq!(variable.dtype.name(), want["dtype"].as_str().unwrap(), "{key}");
        let values = base64::engine::general_purpose::STANDARD.decode(want["values"].as_str().unwrap()).unwrap();
        assert!(bench.all(&opened, variable).unwrap() == values, "{key}: other values");
        check_place(&bench, (key, want), &opened, variable);
        let nodata = variable.attrs.get("_FillValue").and_then(AttrValue::number);
        assert_eq!(nodata, want["nodata"].as_f64(), "{key}");
        let description = match variable.attrs.get("long_name") {
            Some(AttrValue::Texts(texts)) => texts[0].clone(),
            _ => text(variable, "long_name"),
        };
        assert_eq!(description, want["description"].as_str().unwrap(), "{key}");
    }
}

/// Centres of cells from the transform of their corners, and the code of the CRS.
fn check_place(bench: &Bench, (key, want): (&str, &Value), opened: &Opened, variable: &Variable) {
    let Some(transform) = want["transform"].as_array() else {
        assert!(opened.meta.coordinate(variable, "x").is_none(), "{key}");
        return;
    };
    let transform: Vec<f64> = transform.iter().map(|n| n.as_f64().unwrap()).collect();
    for (name, first, step) in [("x", transform[0], transform[1]), ("y", transform[3], transform[5])] {
        let axis = opened.meta.find(name).unwrap();
        let bytes = bench.all(opened, axis).unwrap();
        let centres: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|b| f64::from_ne_bytes(*b)).collect();
        let expected: Vec<f64> = (0..centres.len()).map(|i| first + step * 0.5 + i as f64 * step).collect();
        assert_eq!(centres, expected, "{key}: {name}");
    }
    let mapping = opened.meta.find(&text(variable, "grid_mapping")).unwrap();
    let code = mapping.attrs.get("epsg").and_then(AttrValue::number).map(|code| code.to_string());
    assert_eq!(code.as_deref(), want["epsg"].as_str(), "{key}");
    assert!(mapping.attrs.contains_key("proj4"), "{key}: the CRS is understood");
}

#[test]
fn windows_are_parts_of_the_whole() {
    let bench = Bench::new();
    for key in want().keys().filter(|key| !key.ends_with(".vrt")) {
        let (file, name) = names(key);
        let opened = bench.open(&fixture(file)).unwrap();
        let variable = opened.meta.find(name).unwrap();
        let [bands, rows, columns] = *variable.grid.shape.first_chunk().unwrap();
        let size = variable.dtype.size();
        let all = bench.all(&opened, variable).unwrap();
        let part = bench.read(&opened, variable, &[bands - 1..bands, 3..rows - 1, 2..7]).unwrap();
        let cell = |n: u64| usize::try_from(n).unwrap() * size;
        let expected: Vec<u8> = (3..rows - 1)
            .flat_map(|row| {
                let start = cell(((bands - 1) * rows + row) * columns + 2);
                all[start..start + 5 * size].to_vec()
            })
            .collect();
        assert!(part == expected, "{key}");
        let outside = bench.read(&opened, variable, &[0..bands, 0..rows + 1, 0..columns]).unwrap_err();
        assert!(matches!(outside, Error::Window { .. }), "{key}: {outside}");
    }
}

#[test]
fn scales_that_differ_between_bands_are_lists() {
    let bench = Bench::new();
    let opened = bench.ask(&Href::from_path(&fixture("scaled.vrt"))).unwrap();
    let attrs = &opened.meta.find("band_data").unwrap().attrs;
    assert_eq!(attrs["scales"], AttrValue::Float64(vec![0.5, 2.0, 1.0, 1.0]));
    assert_eq!(attrs["offsets"], AttrValue::Float64(vec![-1.0, 0.0, 0.0, 0.0]));
    let colours = ["red", "green", "blue", "alpha"].map(str::to_owned).to_vec();
    assert_eq!(attrs["color_interpretation"], AttrValue::Texts(colours));
}

#[test]
fn chunks_are_windows_that_are_not_saved_as_references() {
    let bench = Bench::new();
    let opened = bench.open(&fixture("lossless.jp2")).unwrap();
    let variable = opened.meta.find("band_data").unwrap();
    let refs = bench.runtime.block_on(opened.locate(variable)).unwrap();
    assert!(refs.iter().all(|(_, chunk)| matches!(chunk, ChunkRef::Opaque { .. })) && refs.iter().count() > 0);
    assert_eq!(refs.stored_bytes(), None);
    let error = bench.runtime.block_on(save(&opened)).unwrap_err().to_string();
    assert!(error.contains("no ranges of bytes"), "{error}");
    let (_, left_out) = kerchunk::export(&opened.meta, &[(variable, &refs)], opened.origin.href());
    assert!(left_out[0].1.contains("GDAL"), "{left_out:?}");
}

#[test]
fn files_that_name_others_are_opened_only_when_asked_and_never_over_a_network() {
    let bench = Bench::new();
    let error = bench.open(&fixture("scaled.vrt")).unwrap_err();
    assert!(matches!(error, Error::NotRecognised { .. }), "{error}");
    assert!(bench.ask(&Href::from_path(&fixture("scaled.vrt"))).is_ok());
    let archive = archive(&["scaled.vrt", "world.png"]);
    // From a remote file, neither a file of the server nor one of this machine.
    let remote = Href::parse(&archive.url("scaled.vrt")).unwrap();
    assert!(bench.ask(&remote).is_err());
    // A local one that names a remote file.
    let dir = tempfile::tempdir().unwrap();
    let vrt = std::fs::read_to_string(fixture("scaled.vrt")).unwrap();
    let url = format!("/vsicurl/{}", archive.url("world.png"));
    let path = dir.path().join("remote.vrt");
    std::fs::write(&path, vrt.replace("relativeToVRT=\"1\"", "").replace("world.png", &url)).unwrap();
    if let Ok(opened) = bench.ask(&Href::from_path(&path)) {
        let read = bench.all(&opened, opened.meta.find("band_data").unwrap());
        assert!(matches!(read, Err(Error::Gdal { .. })), "{read:?}");
    }
}

#[test]
fn remote_files_are_read_by_ranges() {
    let bench = Bench::new();
    let archive = archive(&["lossless.jp2", "weather.grb2", "world.png"]);
    for name in ["lossless.jp2", "weather.grb2", "world.png"] {
        let opened =
            bench.runtime.block_on(Opened::open(&bench.store, &Href::parse(&archive.url(name)).unwrap())).unwrap();
        let local = bench.open(&fixture(name)).unwrap();
        let of = |opened: &Opened| bench.all(opened, opened.meta.find("band_data").unwrap()).unwrap();
        assert!(of(&opened) == of(&local), "{name}");
    }
}

#[test]
fn many_threads_read_the_same_values() {
    let bench = Bench::new();
    for name in ["lossless.jp2", "weather.grb2", "container.hdf"] {
        let opened = bench.open(&fixture(name)).unwrap();
        let variable = opened.meta.variables.iter().find(|v| v.name.ends_with("band_data")).unwrap();
        let all = bench.all(&opened, variable).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10).for_each(|_| assert!(bench.all(&opened, variable).unwrap() == all)));
            }
        });
    }
}

#[test]
fn images_become_geotiffs_with_their_place() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for (name, bands) in [("lossless.jp2", 3), ("grid.asc", 1), ("weather.grb2", 2), ("complex.img", 2)] {
        let opened = bench.open(&fixture(name)).unwrap();
        let to = dir.path().join(format!("{name}.tif"));
        let options = ConvertOptions {
            policy: Policy::Raw,
            target: Target::GeoTiff(GeoTiffOptions::default()),
            chunks: Vec::new(),
            threads: 2,
            memory: 1 << 20,
            progress: outcrop_store::progress::Sink::default(),
        };
        convert(&opened, &Part::default(), &to, &options, &|| false).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = bench.open(&to).unwrap();
        let (old, new) = (opened.meta.find("band_data").unwrap(), again.meta.find("band_data").unwrap());
        assert_eq!((new.grid.shape[0], new.dtype), (bands, old.dtype), "{name}");
        assert!(bench.all(&again, new).unwrap() == bench.all(&opened, old).unwrap(), "{name}");
        for attr in ["_FillValue", "long_name"] {
            assert_eq!(new.attrs.get(attr), old.attrs.get(attr), "{name}: {attr}");
        }
        let transform = |of: &Opened| of.meta.find("spatial_ref").unwrap().attrs.get("GeoTransform").cloned();
        assert_eq!(transform(&again), transform(&opened), "{name}");
    }
}

/// A file that is cut is refused, or what can be read of it is what was there.
#[test]
fn cut_and_damaged_files_give_errors() {
    let bench = Bench::new();
    let mut random = Random::new(11);
    for name in ["lossless.jp2", "world.png", "weather.grb2", "first.grb", "container.hdf", "grid.asc", "complex.img"] {
        let dir = tempfile::tempdir().unwrap();
        for side in ["grid.prj", "complex.hdr"] {
            std::fs::copy(fixture(side), dir.path().join(side)).unwrap();
        }
        let whole = std::fs::read(fixture(name)).unwrap();
        let opened = bench.open(&fixture(name)).unwrap();
        let values = |opened: &Opened| -> Vec<(String, Vec<u8>)> {
            let data = opened.meta.variables.iter().filter(|v| v.name.ends_with("band_data"));
            data.filter_map(|v| Some((v.name.clone(), bench.all(opened, v).ok()?))).collect()
        };
        let want = values(&opened);
        let path = dir.path().join(name);
        for at in 0..40 {
            let len = if at < 8 { whole.len() as u64 * at / 8 } else { random.below(whole.len() as u64) };
            std::fs::write(&path, &whole[..usize::try_from(len).unwrap()]).unwrap();
            let Ok(opened) = bench.open(&path) else { continue };
            for (variable, got) in values(&opened) {
                let of = |(name, _): &&(String, Vec<u8>)| *name == variable;
                let shorter = want.iter().find(of).is_none_or(|(_, want)| want.starts_with(&got));
                assert!(shorter, "{name} cut at {len}: {variable} has other values");
            }
        }
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                bytes[at] = u8::try_from(random.below(256)).unwrap();
            }
            std::fs::write(&path, &bytes).unwrap();
            // Values may differ; the program goes on.
            drop(bench.open(&path).map(|opened| values(&opened)));
        }
    }
}

#[test]
fn what_nobody_knows_is_named() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bin");
    for (bytes, looks) in [(&b"GRIB but not more"[..], "a GRIB message (GDAL: "), (b"what is this?", "something else")]
    {
        std::fs::write(&path, bytes).unwrap();
        let error = bench.open(&path).unwrap_err();
        assert!(matches!(error, Error::NotRecognised { .. }) && error.to_string().contains(looks), "{error}");
    }
}
