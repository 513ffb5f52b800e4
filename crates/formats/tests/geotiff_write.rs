//! GeoTIFF files that are written: what is read back, and what is left when writing fails.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use outcrop_formats::{
    AttrValue, Attrs, DType, FileMeta, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, Opened, Resampling, TiffCompression,
};
use outcrop_grid::{Crs, GeoKeys, RasterType};
use outcrop_store::{Href, Store, StoreOptions};
use proptest::prelude::*;

fn spec(width: u64, height: u64, bands: u64, dtype: DType) -> GeoTiffSpec {
    GeoTiffSpec {
        width,
        height,
        bands,
        dtype,
        nodata: None,
        transform: None,
        control_points: Vec::new(),
        keys: None,
        attrs: Attrs::new(),
        file_attrs: Attrs::new(),
    }
}

/// Bytes of (band, y, x) that look like a field with some noise.
fn field(spec: &GeoTiffSpec, seed: u64) -> Vec<u8> {
    let n = spec.width * spec.height * spec.bands;
    (0..n)
        .flat_map(|i| {
            let noise = (i.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed) >> 60) as u8;
            let value = (i % spec.width / 3) as f64 + f64::from(noise);
            element(spec.dtype, value)
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
fn element(dtype: DType, value: f64) -> Vec<u8> {
    match dtype {
        DType::Int8 => (value as i8).to_ne_bytes().to_vec(),
        DType::UInt8 => (value as u8).to_ne_bytes().to_vec(),
        DType::Int16 => (value as i16).to_ne_bytes().to_vec(),
        DType::UInt16 => (value as u16).to_ne_bytes().to_vec(),
        DType::Int32 => (value as i32 * -70_001).to_ne_bytes().to_vec(),
        DType::UInt32 => (value as u32 * 70_001).to_ne_bytes().to_vec(),
        DType::Int64 => (value as i64 * -70_000_000_001).to_ne_bytes().to_vec(),
        DType::UInt64 => (value as u64 * 70_000_000_001).to_ne_bytes().to_vec(),
        DType::Float16 => half::f16::from_f64(value).to_ne_bytes().to_vec(),
        DType::Float32 => (value as f32 * 0.1).to_ne_bytes().to_vec(),
        DType::Float64 => (value * 0.1).to_ne_bytes().to_vec(),
        DType::Complex64 => [value as f32, -0.5].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        DType::Complex128 => [value, -0.5].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        _ => panic!("no number"),
    }
}

/// Writes all values, the chunks in an order of their own.
fn write(path: &Path, spec: &GeoTiffSpec, options: GeoTiffOptions, data: &[u8]) {
    let writer = GeoTiffWriter::create(path, spec, options).unwrap();
    let [samples, rows, columns] = writer.chunk();
    let counts = [spec.bands / samples, spec.height.div_ceil(rows), spec.width.div_ceil(columns)];
    let size = spec.dtype.size();
    for at in (0..counts.iter().product()).rev() {
        let index = [at / counts[2] / counts[1], at / counts[2] % counts[1], at % counts[2]];
        let mut chunk = vec![0x55; usize::try_from(samples * rows * columns).unwrap() * size];
        for (i, cell) in chunk.chunks_exact_mut(size).enumerate() {
            let i = i as u64;
            let [band, y, x] = [i / columns / rows, i / columns % rows, i % columns];
            let (band, y, x) = (index[0] * samples + band, index[1] * rows + y, index[2] * columns + x);
            if y < spec.height && x < spec.width {
                let from = usize::try_from((band * spec.height + y) * spec.width + x).unwrap() * size;
                cell.copy_from_slice(&data[from..from + size]);
            }
        }
        writer.write_chunk(index, &chunk).unwrap();
    }
    writer.finish(2).unwrap();
}

fn read(path: &Path, name: &str) -> (FileMeta, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    runtime.block_on(async {
        let opened = Opened::open(&store, &Href::from_path(path)).await.unwrap();
        let variable = opened.meta.find(name).unwrap().clone();
        let refs = opened.locate(&variable).await.unwrap();
        let window: Vec<_> = variable.grid.shape.iter().map(|len| 0..*len).collect();
        let values = opened.read(&refs, &window).await.unwrap();
        (opened.meta, values)
    })
}

const TYPES: [DType; 13] = [
    DType::Int8,
    DType::UInt8,
    DType::Int16,
    DType::UInt16,
    DType::Int32,
    DType::UInt32,
    DType::Int64,
    DType::UInt64,
    DType::Float16,
    DType::Float32,
    DType::Float64,
    DType::Complex64,
    DType::Complex128,
];

const COMPRESSIONS: [TiffCompression; 4] = [
    TiffCompression::None,
    TiffCompression::Deflate { level: 1 },
    TiffCompression::Zstd { level: 3 },
    TiffCompression::Lzw,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is written is read: any shape, type, number of bands, tile, compression, predictor and interleave.
    #[test]
    fn what_is_written_is_read(
        (width, height, bands) in (1u64..100, 1u64..100, 1u64..6),
        dtype in prop::sample::select(TYPES.to_vec()),
        compression in prop::sample::select(COMPRESSIONS.to_vec()),
        (tile, predictor) in (1u64..4, any::<bool>()),
        pixel_interleave in prop::option::of(any::<bool>()),
        seed in any::<u64>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tif");
        let spec = spec(width, height, bands, dtype);
        let data = field(&spec, seed);
        let options =
            GeoTiffOptions { tile: 16 * tile, compression, predictor, pixel_interleave, ..GeoTiffOptions::default() };
        write(&path, &spec, options, &data);
        let (meta, got) = read(&path, "band_data");
        prop_assert!(got == data);
        prop_assert_eq!(meta.variable("band_data").unwrap().dtype, dtype);
        prop_assert!(meta.is_cloud_optimised());
        let overviews = meta.variables.iter().filter(|v| v.name.starts_with("overview_")).count();
        let halves = |n: u64| (0..64).find(|k| n.div_ceil(1 << k) <= 16 * tile).unwrap();
        prop_assert_eq!(overviews, halves(width).max(halves(height)));
    }
}

/// The average of 2 by 2 cells without those that have no data, computed anew from the values.
#[test]
fn overviews_average_what_has_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let nodata = -9999f32;
    let mut spec = spec(37, 21, 1, DType::Float32);
    spec.nodata = Some(nodata.to_ne_bytes().to_vec());
    let mut values: Vec<f32> = (0..37 * 21u16).map(|i| f32::from(i) * 0.5).collect();
    for hole in [0, 1, 37, 38, 40, 77, 100] {
        values[hole] = nodata;
    }
    values[50] = f32::NAN;
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    write(&path, &spec, GeoTiffOptions { tile: 16, ..GeoTiffOptions::default() }, &data);
    let (_, got) = read(&path, "overview_1");
    let got: Vec<f32> = got.as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b)).collect();
    assert_eq!(got.len(), 19 * 11);
    for (at, got) in got.iter().enumerate() {
        let (row, column) = (at / 19 * 2, at % 19 * 2);
        let cells = [(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)];
        let inside = cells.iter().filter(|(y, x)| *y < 21 && *x < 37).map(|(y, x)| values[y * 37 + x]);
        let valid: Vec<f64> = inside.filter(|v| *v != nodata && !v.is_nan()).map(f64::from).collect();
        if valid.is_empty() {
            assert_eq!(*got, nodata);
        } else {
            let mean = valid.iter().sum::<f64>() / valid.len() as f64;
            assert!((f64::from(*got) - mean).abs() < 1e-4, "{at}: {got} {mean}");
        }
    }
}

#[test]
fn whole_numbers_choose_by_default_and_may_be_averaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let mut spec = spec(32, 32, 1, DType::Int16);
    spec.nodata = Some((-1i16).to_ne_bytes().to_vec());
    let mut values = vec![0i16; 1024];
    values[..4].copy_from_slice(&[1, 2, -1, -1]);
    values[32..36].copy_from_slice(&[2, 2, 7, -1]);
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    for (resampling, want) in [
        (None, [1, -1]),
        (Some(Resampling::Nearest), [1, -1]),
        (Some(Resampling::Average), [2, 7]),
        (Some(Resampling::Mode), [2, 7]),
    ] {
        write(&path, &spec, GeoTiffOptions { tile: 16, resampling, ..GeoTiffOptions::default() }, &data);
        let (_, got) = read(&path, "overview_1");
        let got: Vec<i16> = got.as_chunks::<2>().0.iter().take(2).map(|b| i16::from_ne_bytes(*b)).collect();
        assert_eq!(got, want, "{resampling:?}");
    }
}

#[test]
fn place_and_attributes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let crs = Crs::from_epsg(32631).unwrap();
    for (transform, raster) in [
        ([500_000.0, 10.0, 0.0, 4_600_000.0, 0.0, -10.0], RasterType::Area),
        ([500_000.0, 10.0, 0.0, 4_600_000.0, 0.0, 10.0], RasterType::Point),
        ([500_000.0, 10.0, 2.0, 4_600_000.0, 1.0, -10.0], RasterType::Area),
    ] {
        let mut spec = spec(20, 10, 2, DType::UInt16);
        spec.nodata = Some(65535u16.to_ne_bytes().to_vec());
        spec.transform = Some(transform);
        spec.keys = Some(GeoKeys::of_crs(&crs, Some(32631), raster).unwrap());
        let texts = |texts: &[&str]| AttrValue::Texts(texts.iter().map(|&t| t.to_owned()).collect());
        spec.attrs = Attrs::from([
            ("long_name".to_owned(), texts(&["red <1>", "near & infrared"])),
            ("scale_factor".to_owned(), AttrValue::Float64(vec![1e-4])),
            ("add_offset".to_owned(), AttrValue::Float64(vec![-0.1])),
            ("units".to_owned(), AttrValue::Text("1".into())),
        ]);
        spec.file_attrs = Attrs::from([("title".to_owned(), AttrValue::Text("été".into()))]);
        let data = field(&spec, 1);
        write(&path, &spec, GeoTiffOptions::default(), &data);
        let (meta, got) = read(&path, "band_data");
        assert!(got == data);
        let attrs = &meta.find("band_data").unwrap().attrs;
        for (name, value) in &spec.attrs {
            assert_eq!(attrs.get(name), Some(value), "{name}");
        }
        assert_eq!(attrs.get("_FillValue"), Some(&AttrValue::Int(vec![65535])));
        assert_eq!(meta.attrs.get("title"), spec.file_attrs.get("title"));
        let mapping = &meta.find("spatial_ref").unwrap().attrs;
        let text: Vec<f64> = mapping["GeoTransform"].text().unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
        assert_eq!(text, transform);
        assert_eq!(mapping["epsg"].number(), Some(32631.0));
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    std::fs::write(&path, "old").unwrap();
    let options = GeoTiffOptions::default();
    assert!(GeoTiffWriter::create(&path, &spec(0, 5, 1, DType::UInt8), options).is_err());
    assert!(GeoTiffWriter::create(&path, &spec(5, 5, 1, DType::Char), options).is_err());
    assert!(
        GeoTiffWriter::create(&path, &spec(5, 5, 1, DType::UInt8), GeoTiffOptions { tile: 100, ..options }).is_err()
    );
    let writer = GeoTiffWriter::create(&path, &spec(600, 5, 1, DType::UInt8), options).unwrap();
    assert!(writer.write_chunk([0, 0, 2], &vec![0; 512 * 512]).is_err());
    assert!(writer.write_chunk([0, 0, 0], &[0; 5]).is_err());
    writer.write_chunk([0, 0, 0], &vec![0; 512 * 512]).unwrap();
    assert!(writer.write_chunk([0, 0, 0], &vec![0; 512 * 512]).is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

/// Tiles that were never written take no bytes and are nodata.
#[test]
fn tiles_that_are_not_written_are_nodata() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let mut spec = spec(64, 64, 1, DType::Float64);
    spec.nodata = Some(f64::NAN.to_ne_bytes().to_vec());
    let writer = GeoTiffWriter::create(&path, &spec, GeoTiffOptions { tile: 16, ..GeoTiffOptions::default() }).unwrap();
    let ones: Vec<u8> = 1f64.to_ne_bytes().repeat(256);
    writer.write_chunk([0, 1, 1], &ones).unwrap();
    writer.finish(1).unwrap();
    let (_, got) = read(&path, "band_data");
    let got: Vec<f64> = got.as_chunks::<8>().0.iter().map(|b| f64::from_ne_bytes(*b)).collect();
    assert_eq!(got.iter().filter(|v| **v == 1.0).count(), 256);
    assert_eq!(got.iter().filter(|v| v.is_nan()).count(), 64 * 64 - 256);
}
