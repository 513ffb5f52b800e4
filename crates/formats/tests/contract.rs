//! One contract for all readers and one for all writers: a format is a row of each table.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::{Path, PathBuf};

use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
use outcrop_formats::miniseed::WriteOptions;
use outcrop_formats::zarr::{ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType, Error, Format, GeoTiffOptions, Opened, Variable, netcdf4, save};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::Random;

/// A file of each kind: what its format is, and how many variables of it can be read at least.
const READERS: [(&str, Format, usize); 10] = [
    ("classic.nc", Format::NetCdf3, 5),
    ("cdf5.nc", Format::NetCdf3, 3),
    ("netcdf4.nc", Format::NetCdf4, 3),
    ("earliest.h5", Format::Hdf5, 10),
    ("latest.h5", Format::Hdf5, 10),
    ("filters.h5", Format::Hdf5, 20),
    ("das_prodml.h5", Format::Hdf5, 1),
    ("gaps.mseed", Format::MiniSeed, 2),
    ("version3.mseed", Format::MiniSeed, 2),
    ("tiff/cog.tif", Format::GeoTiff, 4),
];

/// Every writer, with the fixture and the variables that it is given.
fn writers() -> [(&'static str, Target, &'static str, &'static [&'static str]); 11] {
    let zarr = |format: ZarrFormat, shards: &[(&str, u64)]| Target::Zarr {
        format,
        compression: ZarrCompression::Default,
        shards: shards.iter().map(|(dim, len)| ((*dim).to_owned(), *len)).collect(),
    };
    [
        ("a.nc", Target::NetCdf4 { deflate: Some(4) }, "netcdf4.nc", &[]),
        ("plain.nc", Target::NetCdf4 { deflate: None }, "classic.nc", &[]),
        ("a.nc3", Target::NetCdf3 { version: None }, "classic.nc", &[]),
        ("a.zarr", zarr(ZarrFormat::V3, &[]), "netcdf4.nc", &[]),
        ("two.zarr", zarr(ZarrFormat::V2, &[]), "netcdf4.nc", &[]),
        ("shards.zarr", zarr(ZarrFormat::V3, &[("time", 4), ("x", 64)]), "netcdf4.nc", &[]),
        ("texts.nc", Target::NetCdf4 { deflate: Some(4) }, "texts_latest.h5", &[]),
        ("texts.zarr", zarr(ZarrFormat::V3, &[]), "texts_earliest.h5", &[]),
        ("texts2.zarr", zarr(ZarrFormat::V2, &[]), "texts.nc", &[]),
        ("a.mseed", Target::MiniSeed(WriteOptions::default()), "without_1000.mseed", &[]),
        ("a.tif", Target::GeoTiff(GeoTiffOptions::default()), "tiff/cog.tif", &["band_data"]),
    ]
}

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

    /// Texts; characters along the last dimension are joined.
    fn texts(&self, opened: &Opened, variable: &Variable) -> Vec<String> {
        let window: Vec<_> = variable.grid.shape.iter().map(|len| 0..*len).collect();
        if variable.dtype != DType::Char {
            return self.runtime.block_on(opened.read_texts(variable, &window)).unwrap();
        }
        let length = usize::try_from(*variable.grid.shape.last().unwrap()).unwrap();
        let whole = |chars: &[u8]| String::from_utf8(chars.to_vec()).unwrap().trim_end_matches('\0').to_owned();
        self.all(opened, variable).unwrap().chunks(length).map(whole).collect()
    }

    fn open(&self, path: &Path) -> Result<Opened, Error> {
        let mut href = Href::from_path(path);
        if path.is_dir() {
            href = href.as_folder();
        }
        self.runtime.block_on(Opened::open(&self.store, &href))
    }

    fn read(&self, opened: &Opened, variable: &Variable, window: &[Range<u64>]) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(async { opened.read(&opened.locate(variable).await?, window).await })
    }

    fn all(&self, opened: &Opened, variable: &Variable) -> Result<Vec<u8>, Error> {
        let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|len| 0..*len).collect();
        self.read(opened, variable, &window)
    }

    /// Names and values of all variables that can be read.
    fn values(&self, opened: &Opened) -> Vec<(String, Vec<u8>)> {
        let read = |v: &Variable| Some((v.name.clone(), self.all(opened, v).ok()?));
        opened.meta.variables.iter().filter_map(read).collect()
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn readers_open_locate_and_read() {
    let bench = Bench::new();
    for (name, format, least) in READERS {
        let opened = bench.open(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(opened.meta.format, format, "{name}");
        let mut read = 0;
        for variable in &opened.meta.variables {
            let Ok(all) = bench.all(&opened, variable) else { continue };
            read += 1;
            let what = format!("{name}: {}", variable.name);
            let size = variable.dtype.size() as u64;
            let elements = variable.elements().unwrap();
            assert_eq!(all.len() as u64, elements * size, "{what}");
            assert_eq!(variable.dims.len(), variable.grid.shape.len(), "{what}");
            assert!(variable.grid.chunk.iter().all(|len| *len > 0), "{what}");
            let Some(len) = variable.grid.shape.first().copied() else { continue };
            // Two halves are the whole, and nothing lies outside.
            let window = |rows: Range<u64>| -> Vec<Range<u64>> {
                let rest = variable.grid.shape.iter().skip(1).map(|len| 0..*len);
                std::iter::once(rows).chain(rest).collect()
            };
            let mut halves = bench.read(&opened, variable, &window(0..len / 2)).unwrap();
            halves.extend(bench.read(&opened, variable, &window(len / 2..len)).unwrap());
            assert!(halves == all, "{what}");
            let outside = bench.read(&opened, variable, &window(0..len + 1)).unwrap_err();
            assert!(matches!(outside, Error::Window { .. }), "{what}: {outside}");
            assert!(bench.read(&opened, variable, &[]).is_err(), "{what}");
        }
        assert!(read >= least, "{name}: {read} variables can be read");
    }
}

#[test]
fn readers_say_that_a_file_is_cut_or_give_the_same_values() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(7);
    for (name, format, _) in READERS {
        let whole = std::fs::read(fixture(name)).unwrap();
        let want = bench.values(&bench.open(&fixture(name)).unwrap());
        let len = whole.len() as u64;
        for cut in [0, 1, len / 4, len / 2, len - 1, random.below(len), random.below(len), random.below(len)] {
            let path = dir.path().join("cut");
            std::fs::write(&path, &whole[..usize::try_from(cut).unwrap()]).unwrap();
            let Ok(opened) = bench.open(&path) else { continue };
            // A file of records that ends with one is whole, with fewer segments.
            if format == Format::MiniSeed && cut.is_multiple_of(128) {
                continue;
            }
            for (variable, got) in bench.values(&opened) {
                let of = |(name, _): &&(String, Vec<u8>)| *name == variable;
                let same = want.iter().find(of).is_none_or(|(_, want)| *want == got);
                assert!(same, "{name} cut at {cut}: {variable} has other values");
            }
        }
    }
}

#[test]
fn saved_references_give_the_same_values() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for (name, ..) in READERS {
        let opened = bench.open(&fixture(name)).unwrap();
        let (bytes, left_out) = bench.runtime.block_on(save(&opened)).unwrap();
        let path = dir.path().join("a.refs");
        std::fs::write(&path, bytes).unwrap();
        let again = bench.open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (want, got) = (bench.values(&opened), bench.values(&again));
        let kept: Vec<_> = want.into_iter().filter(|(name, _)| left_out.iter().all(|(left, _)| left != name)).collect();
        assert!(got == kept, "{name}");
    }
}

fn options(target: Target) -> ConvertOptions {
    ConvertOptions {
        target,
        policy: Policy::Raw,
        chunks: Vec::new(),
        threads: 2,
        memory: 1 << 20,
        progress: outcrop_store::progress::Sink::default(),
    }
}

#[test]
fn writers_write_what_is_read() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for (name, target, source, variables) in writers() {
        let part = Part {
            variables: variables.iter().map(|&v| v.to_owned()).collect(),
            windows: Vec::new(),
            turns: Vec::new(),
        };
        let to = dir.path().join(name);
        let opened = bench.open(&fixture(source)).unwrap();
        // Twice: the new takes the place of the old.
        for _ in 0..2 {
            let done = convert(&opened, &part, &to, &options(target.clone()), &|| false).unwrap();
            assert!(!done.stopped && !done.variables.is_empty(), "{name}");
            let again = bench.open(&to).unwrap_or_else(|e| panic!("{name}: {e}"));
            for variable in &done.variables {
                let (want, got) = (opened.meta.find(variable).unwrap(), again.meta.find(variable).unwrap());
                if got.dtype.is_text() || want.dtype.is_text() {
                    assert_eq!(bench.texts(&again, got), bench.texts(&opened, want), "{name}: {variable}");
                    continue;
                }
                assert_eq!(
                    (&got.grid.shape, &got.dims, got.dtype),
                    (&want.grid.shape, &want.dims, want.dtype),
                    "{name}"
                );
                assert!(bench.all(&again, got).unwrap() == bench.all(&opened, want).unwrap(), "{name}: {variable}");
                for attr in ["units", "scale_factor", "add_offset", "calendar", "standard_name"] {
                    assert_eq!(got.attrs.get(attr), want.attrs.get(attr), "{name}: {variable}: {attr}");
                }
            }
        }
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, writers().len(), "nothing but the files is left");
}

#[test]
fn writers_that_end_early_leave_the_old_file_and_nothing_else() {
    let bench = Bench::new();
    for (name, target, source, variables) in writers() {
        let dir = tempfile::tempdir().unwrap();
        let part = Part {
            variables: variables.iter().map(|&v| v.to_owned()).collect(),
            windows: Vec::new(),
            turns: Vec::new(),
        };
        let to = dir.path().join(name);
        let opened = bench.open(&fixture(source)).unwrap();
        let stopped = convert(&opened, &part, &to, &options(target.clone()), &|| true).unwrap();
        assert!(stopped.stopped && std::fs::read_dir(dir.path()).unwrap().count() == 0, "{name}");
        convert(&opened, &part, &to, &options(target.clone()), &|| false).unwrap();
        let old = bench.values(&bench.open(&to).unwrap());
        assert!(convert(&opened, &part, &to, &options(target.clone()), &|| true).unwrap().stopped, "{name}");
        assert!(bench.values(&bench.open(&to).unwrap()) == old, "{name}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
        // A folder that is not there and cannot be made.
        let wrong = fixture(source).join("inside").join(name);
        assert!(convert(&opened, &part, &wrong, &options(target), &|| false).is_err(), "{name}");
    }
}

/// What attributes say of missing values holds, not the fill value that the file was made with.
#[test]
fn cells_without_data_stay_so_in_an_image() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for name in ["_FillValue", "missing_value"] {
        let (from, to) = (dir.path().join("a.nc"), dir.path().join("a.tif"));
        let mut writer = netcdf4::Writer::create(&from, &Attrs::new()).unwrap();
        writer.add_dim("y", 2).unwrap();
        writer.add_dim("x", 2).unwrap();
        let spec = netcdf4::VariableSpec {
            name: "v".to_owned(),
            dims: vec!["y".to_owned(), "x".to_owned()],
            dtype: DType::Int16,
            chunk: None,
            deflate: None,
            fill: None,
            attrs: Attrs::from([(name.to_owned(), AttrValue::Int(vec![-5]))]),
        };
        writer.add_variable(&spec).unwrap();
        let values: Vec<u8> = [1i16, -5, 3, 4].iter().flat_map(|v| v.to_ne_bytes()).collect();
        writer.write("v", &values).unwrap();
        writer.finish().unwrap();
        let opened = bench.open(&from).unwrap();
        let target = Target::GeoTiff(GeoTiffOptions::default());
        convert(&opened, &Part::default(), &to, &options(target), &|| false).unwrap();
        let image = bench.open(&to).unwrap();
        assert_eq!(image.meta.find("band_data").unwrap().attrs.get("_FillValue"), spec.attrs.get(name), "{name}");
    }
}

/// Variables without values are left out or copied; nothing is assumed of a first or a last one.
#[test]
fn files_without_values_are_converted_or_refused() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("a.nc");
    let mut writer = netcdf4::Writer::create(&from, &Attrs::new()).unwrap();
    writer.add_unlimited_dim("time", 0).unwrap();
    writer.add_dim("station", 2).unwrap();
    for (name, dims, dtype) in [
        ("time", &["time"][..], DType::Int64),
        ("XX.ABC..BHZ", &["time"], DType::Float32),
        ("names", &["station", "time"], DType::Char),
    ] {
        let units = AttrValue::Text("nanoseconds since 1970-01-01".to_owned());
        writer
            .add_variable(&netcdf4::VariableSpec {
                name: name.to_owned(),
                dims: dims.iter().map(|&dim| dim.to_owned()).collect(),
                dtype,
                chunk: Some(vec![1; dims.len()]),
                deflate: None,
                fill: None,
                attrs: Attrs::from([("units".to_owned(), units)]),
            })
            .unwrap();
    }
    writer.finish().unwrap();
    let opened = bench.open(&from).unwrap();
    let to = |name: &str, target: Target| {
        convert(&opened, &Part::default(), &dir.path().join(name), &options(target), &|| false)
    };
    assert!(to("a.mseed", Target::MiniSeed(WriteOptions::default())).is_err());
    let zarr = Target::Zarr { format: ZarrFormat::V3, compression: ZarrCompression::Default, shards: Vec::new() };
    to("a.zarr", zarr).unwrap();
    let again = bench.open(&dir.path().join("a.zarr")).unwrap();
    assert_eq!(bench.texts(&again, again.meta.find("names").unwrap()), ["", ""]);
}
