//! Masks of images: written, read back, copied, and applied.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Converted, Part, Target, convert};
use outcrop_formats::{Attrs, DType, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, Opened};
use outcrop_store::{Href, Store, StoreOptions};

const WIDTH: u64 = 70;
const HEIGHT: u64 = 50;
const TILE: u64 = 16;

/// Cells without data hold a number that would spoil every mean.
fn value(y: u64, x: u64) -> f32 {
    if has_data(y, x) { f32::from(u16::try_from(y * WIDTH + x).unwrap()) } else { 1e9 }
}

/// All of a column of tiles, and some cells elsewhere, have no data.
fn has_data(y: u64, x: u64) -> bool {
    !(32..48).contains(&x) && !(x + y).is_multiple_of(3)
}

fn masked(path: &Path) {
    let spec = GeoTiffSpec {
        width: WIDTH,
        height: HEIGHT,
        bands: 1,
        dtype: DType::Float32,
        nodata: None,
        transform: None,
        control_points: Vec::new(),
        keys: None,
        attrs: Attrs::new(),
        file_attrs: Attrs::new(),
    };
    let options = GeoTiffOptions { tile: TILE, ..GeoTiffOptions::default() };
    let writer = GeoTiffWriter::create(path, &spec, options).unwrap().with_mask().unwrap();
    for (row, column) in (0..HEIGHT.div_ceil(TILE)).flat_map(|row| (0..WIDTH.div_ceil(TILE)).map(move |c| (row, c))) {
        let cells = || (0..TILE * TILE).map(|i| (row * TILE + i / TILE, column * TILE + i % TILE));
        let image: Vec<u8> = cells().flat_map(|(y, x)| value(y, x).to_ne_bytes()).collect();
        writer.write_chunk([0, row, column], &image).unwrap();
        let mask: Vec<u8> = cells().map(|(y, x)| u8::from(has_data(y, x)) * 255).collect();
        writer.write_mask([row, column], &mask).unwrap();
    }
    writer.finish(2).unwrap();
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

    fn open(&self, path: &Path) -> Opened {
        self.runtime.block_on(Opened::open(&self.store, &Href::from_path(path))).unwrap()
    }

    fn bytes(&self, opened: &Opened, name: &str) -> Vec<u8> {
        let variable = opened.meta.find(name).unwrap();
        let window: Vec<_> = variable.grid.shape.iter().map(|n| 0..*n).collect();
        self.runtime.block_on(async {
            let refs = opened.locate(variable).await.unwrap();
            opened.read(&refs, &window).await.unwrap()
        })
    }

    fn floats(&self, opened: &Opened, name: &str) -> Vec<f32> {
        self.bytes(opened, name).as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b)).collect()
    }

    fn convert(&self, from: &Path, to: &Path, part: &Part, (target, policy): (Target, Policy)) -> Converted {
        let options = ConvertOptions {
            target,
            policy,
            chunks: Vec::new(),
            threads: 2,
            memory: 1 << 20,
            progress: outcrop_store::progress::Sink::default(),
        };
        convert(&self.open(from), part, to, &options, &|| false).unwrap()
    }
}

fn cells(height: u64, width: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}

/// The cells of the image that one of an overview is made of.
fn under(y: u64, x: u64) -> impl Iterator<Item = (u64, u64)> {
    cells(2, 2).map(move |(j, i)| (2 * y + j, 2 * x + i)).filter(|(y, x)| *y < HEIGHT && *x < WIDTH)
}

fn whole() -> Part {
    Part { variables: Vec::new(), windows: Vec::new(), turns: Vec::new() }
}

#[test]
fn overviews_are_made_of_cells_with_data() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.tif");
    masked(&path);
    let opened = bench.open(&path);
    assert!(opened.meta.is_cloud_optimised() && opened.meta.refused.is_empty());
    let want: Vec<u8> = cells(HEIGHT, WIDTH).map(|(y, x)| u8::from(has_data(y, x))).collect();
    assert_eq!(bench.bytes(&opened, "mask"), want);
    let want: Vec<u8> = cells(25, 35).map(|(y, x)| u8::from(under(y, x).any(|(y, x)| has_data(y, x)))).collect();
    assert_eq!(bench.bytes(&opened, "mask_1"), want);
    for (got, (y, x)) in bench.floats(&opened, "overview_1").iter().zip(cells(25, 35)) {
        let values: Vec<f32> = under(y, x).filter(|(y, x)| has_data(*y, *x)).map(|(y, x)| value(y, x)).collect();
        let want = values.iter().sum::<f32>() / f32::from(u16::try_from(values.len()).unwrap());
        assert!(values.is_empty() || (got - want).abs() < 1e-3, "{got} is not {want} at {y}, {x}");
    }
    assert!(opened.meta.find("mask_2").is_ok(), "each overview has its mask");
}

#[test]
fn masks_are_copied_with_their_image() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let [from, tif, cut, nc] = ["a.tif", "b.tif", "c.tif", "d.nc"].map(|name| dir.path().join(name));
    masked(&from);
    let geotiff = || Target::GeoTiff(GeoTiffOptions { tile: TILE, ..GeoTiffOptions::default() });
    let done = bench.convert(&from, &tif, &whole(), (geotiff(), Policy::Raw));
    assert_eq!((done.left_out, done.variables), (vec![], vec!["band_data".to_owned(), "mask".to_owned()]));
    let (old, new) = (bench.open(&from), bench.open(&tif));
    for name in ["band_data", "mask", "overview_1", "mask_1", "overview_2", "mask_2"] {
        assert_eq!(bench.bytes(&new, name), bench.bytes(&old, name), "{name}");
    }
    // A part, by the name of the image.
    let part = Part {
        variables: vec!["band_data".into()],
        windows: vec![("x".into(), 5..41), ("y".into(), 3..40)],
        turns: Vec::new(),
    };
    bench.convert(&from, &cut, &part, (geotiff(), Policy::Raw));
    let want: Vec<u8> = cells(37, 36).map(|(y, x)| u8::from(has_data(y + 3, x + 5))).collect();
    assert_eq!(bench.bytes(&bench.open(&cut), "mask"), want);
    let done = bench.convert(&from, &nc, &whole(), (Target::NetCdf4 { deflate: Some(1) }, Policy::Raw));
    assert_eq!(done.left_out, vec![]);
    assert_eq!(bench.bytes(&bench.open(&nc), "mask"), bench.bytes(&old, "mask"));
}

#[test]
fn masks_are_applied_where_values_are_decoded() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let [from, nc, tif] = ["a.tif", "b.nc", "c.tif"].map(|name| dir.path().join(name));
    masked(&from);
    for (to, target) in [(&nc, Target::NetCdf4 { deflate: None }), (&tif, Target::GeoTiff(GeoTiffOptions::default()))] {
        let done = bench.convert(&from, to, &whole(), (target, Policy::Masked));
        assert_eq!((done.left_out, done.variables.iter().any(|name| name == "mask")), (vec![], false));
        let opened = bench.open(to);
        for (got, (y, x)) in bench.floats(&opened, "band_data").iter().zip(cells(HEIGHT, WIDTH)) {
            let same = if has_data(y, x) { *got == value(y, x) } else { got.is_nan() };
            assert!(same, "{got} at {y}, {x}");
        }
        assert_eq!(opened.meta.find("band_data").unwrap().attrs["decoded"].text(), Some("mask from float32"));
    }
}

#[test]
fn alpha_stays_a_band() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiff/alpha.tif");
    let to = dir.path().join("a.tif");
    bench.convert(&from, &to, &whole(), (Target::GeoTiff(GeoTiffOptions::default()), Policy::Raw));
    let (old, new) = (bench.open(&from), bench.open(&to));
    let colours = |opened: &Opened| opened.meta.find("band_data").unwrap().attrs["color_interpretation"].clone();
    assert_eq!(colours(&new), colours(&old));
    assert_eq!(bench.bytes(&new, "band_data"), bench.bytes(&old, "band_data"));
}
