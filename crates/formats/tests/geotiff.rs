//! GeoTIFF files against what rasterio (GDAL) says about them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use crate::common::Bench;
use bytes::Bytes;
use outcrop_formats::{AttrValue, DType, FileMeta, Format, HEAD, Locate, Open, Variable, cf::Decoding};
use outcrop_grid::Crs;
use outcrop_store::{Demand, Sparse, Step};
use outcrop_testkit::shared_data;
use serde_json::Value;

fn close(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-9 * want.abs().max(1e-12)
}

/// Numbers of a JSON list; NaN is a text.
fn numbers(value: &Value) -> Vec<f64> {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.parse().ok()).unwrap_or(f64::NAN);
    value.as_array().unwrap().iter().map(number).collect()
}

/// The values of all bands; the size of complex ones.
fn values(raw: &[u8], variable: &Variable, decoding: &Decoding) -> Vec<f64> {
    match variable.dtype {
        DType::Complex64 => raw
            .as_chunks::<4>()
            .0
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[re, im]| f64::from(f32::from_ne_bytes(*re).hypot(f32::from_ne_bytes(*im))))
            .collect(),
        _ => decoding.to_f64(raw),
    }
}

fn check_stats(name: &str, values: impl Iterator<Item = f64>, want: &Value) {
    let Some(valid) = want["valid"].as_u64() else { return };
    let values: Vec<f64> = values.filter(|v| !v.is_nan()).collect();
    assert_eq!(values.len() as u64, valid, "{name}");
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!(close(min, want["min"].as_f64().unwrap()), "{name}: {min} {want}");
    assert!(close(max, want["max"].as_f64().unwrap()), "{name}: {max} {want}");
    let scale = max.abs().max(min.abs());
    assert!((mean - want["mean"].as_f64().unwrap()).abs() <= 1e-6 * scale, "{name}: {mean} {want}");
}

/// Transform, EPSG code, nodata, scales and overviews.
fn check_place(name: &str, header: &FileMeta, want: &Value) {
    let band_data = header.find("band_data").unwrap();
    let spatial_ref = header.variable("spatial_ref");
    let attr = |name: &str| spatial_ref.and_then(|v| v.attrs.get(name));
    let transform = attr("GeoTransform").and_then(AttrValue::text).unwrap_or("0 1 0 0 0 1");
    let got: Vec<f64> = transform.split(' ').map(|n| n.parse().unwrap()).collect();
    let want_transform = numbers(&want["transform"]);
    // rasterio: x per column, x per row, x; y per column, y per row, y.
    for (got, want) in got.iter().zip([2, 0, 1, 5, 3, 4].map(|i| want_transform[i])) {
        assert!((got - want).abs() <= 1e-12 * want.abs().max(1e-3), "{name}: {transform} {want_transform:?}");
    }
    // What is known by control points only has a CRS of these, which rasterio keeps apart.
    if attr("GeoTransform").is_some() {
        assert_eq!(attr("epsg").and_then(AttrValue::number), want["epsg"].as_f64(), "{name}");
    }
    let fill = band_data.attrs.get("_FillValue").and_then(AttrValue::number);
    match &want["nodata"] {
        Value::Null => assert_eq!(fill, None, "{name}"),
        Value::String(_) => assert!(fill.unwrap().is_nan(), "{name}"),
        number => assert!((fill.unwrap() - number.as_f64().unwrap()).abs() <= 1e-6 * fill.unwrap().abs(), "{name}"),
    }
    let one = |attr: &str, default: f64| band_data.attrs.get(attr).and_then(AttrValue::number).unwrap_or(default);
    assert_eq!(one("scale_factor", 1.0), numbers(&want["scales"])[0], "{name}");
    assert_eq!(one("add_offset", 0.0), numbers(&want["offsets"])[0], "{name}");
    let overviews = header.variables.iter().filter(|v| v.name.starts_with("overview_")).count();
    assert_eq!(overviews, want["overviews"].as_array().unwrap().len(), "{name}");
}

fn check(bench: &Bench, name: &str, path: &Path, want: &Value) {
    let (meta, header) = bench.open(path);
    assert_eq!(header.format, Format::GeoTiff);
    let variable = header.find("band_data").unwrap();
    let size = |key: &str| want[key].as_u64().unwrap();
    assert_eq!(variable.grid.shape, [size("count"), size("height"), size("width")], "{name}");
    let dtype = want["dtype"].as_str().unwrap().replace("complex_int16", "complex64");
    assert_eq!(variable.dtype.name(), dtype, "{name}");
    check_place(name, &header, want);
    let raw = bench.all(&meta, variable);
    let mut plain = variable.clone();
    plain.attrs.clear();
    let cells = usize::try_from(size("height") * size("width")).unwrap();
    let stored = values(&raw, variable, &Decoding::of(&plain));
    let mut masking = variable.clone();
    masking.attrs.retain(|name, _| name == "_FillValue");
    let masked = Decoding::of(&masking).to_f64(&raw);
    let colours = variable.attrs.get("color_interpretation");
    let alpha = match colours {
        Some(AttrValue::Texts(names)) => names.iter().position(|name| name == "alpha"),
        _ => None,
    };
    for (band, want_band) in want["bands"].as_array().unwrap().iter().enumerate() {
        let own = band * cells..(band + 1) * cells;
        check_stats(&format!("{name} band {band}"), stored[own.clone()].iter().copied(), want_band);
        let seen = masked[own].iter().enumerate().map(|(i, value)| match alpha {
            Some(alpha) if alpha != band && stored[alpha * cells + i] == 0.0 => f64::NAN,
            _ => *value,
        });
        check_stats(&format!("{name} band {band}, masked"), seen, &want["masked"][band]);
    }
    for variable in &header.variables {
        bench.all(&meta, variable);
    }
}

#[test]
fn real_rasters_have_the_values_that_rasterio_reads() {
    let Some(folder) = shared_data("real") else { return };
    let want: Value = serde_json::from_slice(&std::fs::read(folder.join("want.json")).unwrap()).unwrap();
    let bench = Bench::new();
    let mut seen = 0;
    for (path, file) in want["files"].as_object().unwrap() {
        if path.ends_with(".tif") {
            check(&bench, path, &folder.join(path), file);
            seen += 1;
        }
    }
    assert!(seen >= 16, "{seen}");
}

#[test]
fn the_golden_rasters_have_their_mean() {
    let Some(folder) = shared_data("golden/c_heat") else { return };
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let case = &manifest["cases"][0];
    let means: Vec<f64> = outcrop_testkit::npz(&folder.join("daily_want.npz"), "mean_f64").into_iter().collect();
    let counts: Vec<i64> = outcrop_testkit::npz(&folder.join("daily_want.npz"), "count").into_iter().collect();
    let bench = Bench::new();
    let files = case["input"]["files"].as_array().unwrap();
    assert_eq!(files.len(), means.len());
    for ((file, mean), count) in files.iter().zip(means).zip(counts) {
        let (meta, header) = bench.open(&folder.join(file.as_str().unwrap()));
        let variable = header.find("band_data").unwrap();
        let mut plain = variable.clone();
        plain.attrs.clear();
        let celsius = Decoding::of(&plain).to_f64(&bench.all(&meta, variable));
        let nodata = case["params"]["nodata"].as_f64().unwrap();
        let heat: Vec<f64> = celsius.iter().filter(|c| **c != nodata).map(|c| c * 9.0 / 5.0 + 32.0).collect();
        assert_eq!(i64::try_from(heat.len()).unwrap(), count, "{file}");
        let got = heat.iter().sum::<f64>() / heat.len() as f64;
        assert!((got - mean).abs() < 2e-6 * mean.abs(), "{file}: {got} {mean}");
    }
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiff")
}

fn texts(variable: &Variable, name: &str) -> Vec<String> {
    match variable.attrs.get(name) {
        Some(AttrValue::Texts(texts)) => texts.clone(),
        Some(AttrValue::Text(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// `((i * 7 + 3) % 101) % limit`, and the fill value outside of a corner that was written.
fn formula(shape: &[u64], want: &Value) -> Vec<f64> {
    let limit = want["limit"].as_u64().unwrap_or(101);
    let (height, width) = (shape[1], shape[2]);
    let written = want["written"].as_u64().unwrap_or(u64::MAX);
    (0..shape.iter().product::<u64>())
        .map(|i| match (i / width % height, i % width) {
            (y, x) if y < written && x < written => ((i * 7 + 3) % 101 % limit) as f64,
            _ => want["fill"].as_f64().unwrap(),
        })
        .collect()
}

/// Elements as numbers; real and imaginary parts one after the other.
fn elements(raw: &[u8], dtype: DType) -> Vec<f64> {
    match dtype {
        DType::Complex64 => raw.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_ne_bytes(*b))).collect(),
        DType::Complex128 => raw.as_chunks::<8>().0.iter().map(|b| f64::from_ne_bytes(*b)).collect(),
        dtype => Decoding::from_attrs(dtype, &outcrop_formats::Attrs::new()).to_f64(raw),
    }
}

fn check_fixture(bench: &Bench, name: &str, want: &Value) {
    let (meta, header) = bench.open(&fixtures().join(name));
    let variable = header.find("band_data").unwrap();
    assert!(header.refused.is_empty(), "{name}: {:?}", header.refused);
    let shape: Vec<u64> = want["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(variable.grid.shape, shape, "{name}");
    assert_eq!(variable.dtype.name(), want["dtype"].as_str().unwrap(), "{name}");
    let got = elements(&bench.all(&meta, variable), variable.dtype);
    let mut expected =
        if want["values"].is_array() { numbers(&want["values"]) } else { formula(&variable.grid.shape, want) };
    if matches!(variable.dtype, DType::Complex64 | DType::Complex128) {
        let limit = want["imaginary"].as_f64();
        expected = expected.iter().flat_map(|re| [*re, limit.map_or(0.0, |limit| re % limit)]).collect();
    }
    let within = want["within"].as_f64().unwrap_or(0.0);
    assert_eq!(outcrop_testkit::difference(&got, &expected, 0.0, within), None, "{name}");
    if let Some(colours) = want["colours"].as_array() {
        assert_eq!(
            texts(variable, "color_interpretation"),
            colours.iter().map(|c| c.as_str().unwrap()).collect::<Vec<_>>()
        );
    }
    if want["mask"].is_array() {
        let mask = header.find("mask").unwrap();
        let got = elements(&bench.all(&meta, mask), mask.dtype);
        assert_eq!((mask.dims.clone(), got), (vec!["y".into(), "x".into()], numbers(&want["mask"])), "{name}");
    }
    for (i, shape) in want["overviews"].as_array().into_iter().flatten().enumerate() {
        let overview = header.find(&format!("overview_{}", i + 1)).unwrap();
        assert_eq!(overview.grid.shape.iter().map(|n| *n as f64).collect::<Vec<_>>(), numbers(shape), "{name}");
        assert_eq!(overview.dims, ["band".to_owned(), format!("y_{}", i + 1), format!("x_{}", i + 1)]);
        bench.all(&meta, overview);
    }
    if let (Some(point), Some(lonlat)) = (want["point"].as_array(), want["lonlat"].as_array()) {
        check_crs(name, &header, point, lonlat);
    }
    if want["transform"].is_array() {
        let transform = header.find("spatial_ref").unwrap().attrs["GeoTransform"].clone();
        let got: Vec<f64> = transform.text().unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
        assert_eq!(got, numbers(&want["transform"]), "{name}");
    }
}

/// The PROJ string, the WKT and the CF attributes of a file mean the projection that PROJ made of it.
fn check_crs(name: &str, header: &FileMeta, point: &[Value], lonlat: &[Value]) {
    let spatial_ref = header.find("spatial_ref").unwrap();
    let text = |name: &str| spatial_ref.attrs.get(name).and_then(AttrValue::text).unwrap_or_default();
    let mut all = vec![Crs::from_proj(text("proj4")).unwrap_or_else(|e| panic!("{name}: {e} {:?}", spatial_ref.attrs))];
    if !text("crs_wkt").is_empty() {
        all.push(Crs::from_wkt(text("crs_wkt")).unwrap_or_else(|e| panic!("{name}: {e}")));
    }
    if !text("grid_mapping_name").is_empty() {
        let numbers = |name: &str| spatial_ref.attrs.get(name).map(AttrValue::numbers).filter(|n| !n.is_empty());
        all.push(Crs::from_cf(text("grid_mapping_name"), &numbers).unwrap());
    }
    for crs in all {
        let [lon, lat] = crs.to_lonlat(point[0].as_f64().unwrap(), point[1].as_f64().unwrap()).unwrap();
        let near = |got: f64, want: &Value| (got - want.as_f64().unwrap()).abs() < 2e-8;
        assert!(near(lon, &lonlat[0]) && near(lat, &lonlat[1]), "{name}: {lon} {lat}, {lonlat:?} {crs:?}");
    }
}

#[test]
fn fixtures_of_every_kind_have_the_values_that_rasterio_reads() {
    let want: Value = serde_json::from_slice(&std::fs::read(fixtures().join("want.json")).unwrap()).unwrap();
    let bench = Bench::new();
    for (name, want) in want.as_object().unwrap() {
        if let Some(codec) = want["refused"].as_str() {
            let (meta, header) = bench.open(&fixtures().join(name));
            let refs = bench.locate(&meta, header.find("band_data").unwrap());
            let error = outcrop_formats::Decoder::new(&refs).unwrap_err().to_string();
            assert!(error.contains(codec), "{name}: {error}");
            continue;
        }
        check_fixture(&bench, name, want);
    }
}

#[test]
fn metadata_coordinates_and_pages_are_lowered() {
    let bench = Bench::new();
    let (_, turned) = bench.open(&fixtures().join("orientation.tif"));
    let what = turned.find("band_data").unwrap().attrs.get("orientation").and_then(|attr| attr.text());
    assert_eq!(what, Some("rows from the bottom, columns from the right"));
    let (meta, header) = bench.open(&fixtures().join("metadata.tif"));
    let band_data = header.find("band_data").unwrap();
    assert_eq!(band_data.dims, ["band", "y", "x"]);
    assert_eq!(band_data.attrs["_FillValue"], AttrValue::Int(vec![-99]));
    assert_eq!(band_data.attrs["scale_factor"], AttrValue::Float64(vec![0.1]));
    assert_eq!(band_data.attrs["add_offset"], AttrValue::Float64(vec![5.0]));
    assert_eq!(band_data.attrs["units"], AttrValue::Text("K".into()));
    assert_eq!(texts(band_data, "long_name"), ["first", "sec & <ond>"]);
    assert_eq!(band_data.attrs["STATISTICS_MEAN"], AttrValue::Float64(vec![1.5, 2.5]));
    assert_eq!(band_data.attrs["grid_mapping"], AttrValue::Text("spatial_ref".into()));
    assert_eq!(header.attrs["title"], AttrValue::Text("größe".into()));
    assert_eq!(header.attrs["AREA_OR_POINT"], AttrValue::Text("Area".into()));
    let numbers = |name: &str| {
        let variable = header.find(name).unwrap();
        Decoding::of(variable).to_f64(&bench.all(&meta, variable))
    };
    assert_eq!(numbers("band"), [1.0, 2.0]);
    assert_eq!(numbers("x")[..2], [10.25, 10.75]);
    assert_eq!(numbers("y")[..2], [40.125, 40.375], "rows that go up");
    assert_eq!(header.find("x").unwrap().attrs["standard_name"], AttrValue::Text("longitude".into()));

    let (meta, header) = bench.open(&fixtures().join("overviews.tif"));
    let x = header.find("x_2").unwrap();
    let labels = Decoding::of(x).to_f64(&bench.all(&meta, x));
    assert!((labels[0] - (500_000.0 + 10.0 * 50.0 / 13.0 / 2.0)).abs() < 1e-6, "{labels:?}");
    assert!(!header.is_cloud_optimised());
    let (_, header) = bench.open(&fixtures().join("cog.tif"));
    assert!(header.is_cloud_optimised());

    let (meta, header) = bench.open(&fixtures().join("pages.tif"));
    let page = header.find("band_data_page_3").unwrap();
    let got = elements(&bench.all(&meta, page), page.dtype);
    assert_eq!(got[0], (2.0 * 13.0 * 19.0 * 7.0 + 3.0) % 101.0);
}

/// Gives a parser what it asks for, and says how often it had to ask.
fn rounds<T, D: Demand<Output = T>>(demand: &mut D, have: &mut Sparse, whole: &Bytes) -> (T, usize)
where
    D::Error: std::fmt::Debug,
{
    for round in 0.. {
        match demand.step(have).unwrap() {
            Step::Done(value) => return (value, round),
            Step::Need(ranges) => {
                for range in ranges {
                    let at = |n: u64| usize::try_from(n).unwrap();
                    have.insert(range.start, &whole.slice(at(range.start)..at(range.end)));
                }
            }
        }
    }
    panic!("it never ends")
}

#[test]
fn headers_come_in_few_requests_and_chunk_indexes_with_the_first_bytes() {
    let files = [fixtures().join("cog.tif"), fixtures().join("overviews.tif"), fixtures().join("pages.tif")];
    let real = shared_data("real/raster/cog.tif");
    for path in files.iter().chain(&real) {
        let whole = Bytes::from(std::fs::read(path).unwrap());
        let mut have = Sparse::new(whole.len() as u64);
        let head = whole.len().min(usize::try_from(HEAD).unwrap());
        have.insert(0, &whole.slice(..head));
        let (header, asked) = rounds(&mut Open::new(), &mut have, &whole);
        assert!(asked <= 1, "{}: {asked} requests after the first", path.display());
        for variable in &header.variables {
            let (_, asked) = rounds(&mut Locate::new(variable), &mut Sparse::new(whole.len() as u64), &whole);
            assert_eq!(asked, 0, "{}: {}", path.display(), variable.name);
        }
        // Without any bytes at hand, each directory is a round and so are the values of their tags.
        let (header, asked) = rounds(&mut Open::new(), &mut Sparse::new(whole.len() as u64), &whole);
        assert!(asked <= header.variables.len() + 3, "{}: {asked} rounds", path.display());
    }
}
