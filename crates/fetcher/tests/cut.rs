//! Parts of assets: which cells, which bytes, what the journal and the item say of them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outcrop_fetcher::{Cut, Describe, Error, FetchOptions, FetchReport, Selection, Target, fetch};
use outcrop_formats::convert::{ConvertOptions, Part, convert};
use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{
    AttrValue, Attrs, DType, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, Opened, TiffCompression, place,
};
use outcrop_grid::{Crs, GeoKeys, RasterType};
use outcrop_stac::{Document, Node, Portrait};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Object};
use serde_json::{Value, json};

struct Bench {
    _runtime: tokio::runtime::Runtime,
    store: Store,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = StoreOptions { retries: 0, ..StoreOptions::default() };
        let store = Store::new(options, runtime.handle().clone()).unwrap();
        Self { _runtime: runtime, store, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fetches all assets of an item into `to`.
    fn run(&self, assets: &Value, to: &str, cut: Option<Cut>) -> FetchReport {
        let item = json!({"type": "Feature", "stac_version": "1.1.0", "id": "i", "geometry": null, "links": [],
            "properties": {"datetime": "2000-01-10T00:00:00Z"}, "assets": assets});
        let href = Href::from_path(&self.path("source/i.json"));
        let node = Node::alone(Document::from_value(href, item).unwrap());
        let mut options = FetchOptions::new(Selection::of_keys(["*"]), Target::Folder(Href::from_path(&self.path(to))));
        options.cut = cut.map(Arc::new);
        let items = futures::stream::iter([Ok::<_, Error>(node)]);
        self.store.wait(fetch(&self.store, items, &options)).unwrap()
    }

    /// All numbers of a variable of a file.
    fn numbers(&self, file: &str, variable: &str) -> Vec<f64> {
        self.store.wait(async {
            let opened = Opened::open(&self.store, &Href::from_path(&self.path(file))).await.unwrap();
            let variable = opened.meta.find(variable).unwrap();
            let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|len| 0..*len).collect();
            let refs = opened.locate(variable).await.unwrap();
            place::numbers(variable.dtype, &opened.read(&refs, &window).await.unwrap())
        })
    }

    fn item(&self, to: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(to).join("i/i.json")).unwrap()).unwrap()
    }
}

/// A cut; the header of each new file says that it was asked.
fn cut(bbox: Option<&str>, datetime: Option<&str>) -> Cut {
    let describe = Describe::new(|_, files| {
        let assets = files.iter().map(|_| json!({"type": "x/new"}).as_object().unwrap().clone()).collect();
        let (geometry, bbox) = (Some(json!({"type": "Polygon", "coordinates": []})), Some(json!([1, 2, 3, 4])));
        Box::pin(async move { Ok(Portrait { assets, geometry, bbox, ..Portrait::default() }) })
    });
    let (bbox, interval) = (bbox.map(|text| text.parse().unwrap()), datetime.map(|text| text.parse().unwrap()));
    Cut { bbox, interval, variables: Vec::new(), bands: Vec::new(), describe }
}

fn text(name: &str, value: &str) -> (String, AttrValue) {
    (name.to_owned(), AttrValue::Text(value.to_owned()))
}

fn bytes_of(values: impl Iterator<Item = f64>) -> Vec<u8> {
    values.flat_map(f64::to_ne_bytes).collect()
}

/// Where cells are: first centre, step, count.
type Line = (f64, f64, u64);

fn label((first, step, _): Line, at: u64) -> f64 {
    first + step * at as f64
}

fn labels(line: Line) -> Vec<f64> {
    (0..line.2).map(|at| label(line, at)).collect()
}

/// The value of a cell of `t`.
fn value(time: u64, row: u64, column: u64) -> f64 {
    (time * 1_000_000 + row * 1000 + column) as f64
}

fn values(times: Range<u64>, rows: Range<u64>, columns: Range<u64>) -> Vec<f64> {
    let mut all = Vec::new();
    for (time, row) in times.flat_map(|time| rows.clone().map(move |row| (time, row))) {
        all.extend(columns.clone().map(|column| value(time, row, column)));
    }
    all
}

/// `t` and `u` over days from 2000-01-01 on, latitudes and longitudes, in chunks that are not compressed.
fn netcdf(path: &Path, (days, lats, lons): (u64, Line, Line), chunk: [u64; 3]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = Writer::create(path, &Attrs::new()).unwrap();
    for (name, len) in [("time", days), ("lat", lats.2), ("lon", lons.2)] {
        writer.add_dim(name, len).unwrap();
    }
    let axis = |name: &str, units: &str| VariableSpec {
        name: name.into(),
        dims: vec![name.into()],
        dtype: DType::Float64,
        chunk: None,
        deflate: None,
        fill: None,
        attrs: Attrs::from_iter([text("units", units)]),
    };
    writer.add_variable(&axis("time", "days since 2000-01-01")).unwrap();
    writer.add_variable(&axis("lat", "degrees_north")).unwrap();
    writer.add_variable(&axis("lon", "degrees_east")).unwrap();
    for name in ["t", "u"] {
        let dims = ["time", "lat", "lon"].map(str::to_owned).to_vec();
        let attrs = Attrs::from_iter([text("long_name", name)]);
        let chunk = Some(chunk.to_vec());
        writer.add_variable(&VariableSpec { dims, attrs, chunk, ..axis(name, "1") }).unwrap();
    }
    writer.write("time", &bytes_of(labels((0.0, 1.0, days)).into_iter())).unwrap();
    writer.write("lat", &bytes_of(labels(lats).into_iter())).unwrap();
    writer.write("lon", &bytes_of(labels(lons).into_iter())).unwrap();
    for name in ["t", "u"] {
        writer.write(name, &bytes_of(values(0..days, 0..lats.2, 0..lons.2).into_iter())).unwrap();
    }
    writer.finish().unwrap();
}

/// Three bands of `row * 10 + column` and 1000 more for each band, rows from north to south.
fn cog(path: &Path, side: u64, corner: [f64; 3], epsg: u16, tile: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let crs = Crs::from_epsg(epsg).unwrap();
    let names = ["blue", "green", "red"].map(str::to_owned).to_vec();
    let spec = GeoTiffSpec {
        width: side,
        height: side,
        bands: 3,
        dtype: DType::UInt16,
        nodata: None,
        transform: Some([corner[0], corner[2], 0.0, corner[1], 0.0, -corner[2]]),
        control_points: Vec::new(),
        keys: Some(GeoKeys::of_crs(&crs, Some(epsg), RasterType::Area).unwrap()),
        attrs: Attrs::from_iter([("long_name".to_owned(), AttrValue::Texts(names))]),
        file_attrs: Attrs::new(),
    };
    let compression = TiffCompression::None;
    let options =
        GeoTiffOptions { tile, compression, overviews: 0, pixel_interleave: Some(false), ..GeoTiffOptions::default() };
    let writer = GeoTiffWriter::create(path, &spec, options).unwrap();
    for band in 0..3 {
        for (down, across) in (0..side.div_ceil(tile)).flat_map(|down| (0..side.div_ceil(tile)).map(move |a| (down, a)))
        {
            let cells = (0..tile * tile).map(|at| (down * tile + at / tile, across * tile + at % tile));
            let raw: Vec<u8> = cells.flat_map(|(row, column)| pixel(band, row, column).to_ne_bytes()).collect();
            writer.write_chunk([band, down, across], &raw).unwrap();
        }
    }
    writer.finish(1).unwrap();
}

fn pixel(band: u64, row: u64, column: u64) -> u16 {
    u16::try_from((band * 1000 + row * 10 + column) % 65_536).unwrap()
}

fn pixels(bands: Range<u64>, rows: Range<u64>, columns: Range<u64>) -> Vec<f64> {
    let mut all = Vec::new();
    for (band, row) in bands.flat_map(|band| rows.clone().map(move |row| (band, row))) {
        all.extend(columns.clone().map(|column| f64::from(pixel(band, row, column))));
    }
    all
}

/// Bytes that an archive was asked for.
fn moved(archive: &Archive, size: usize) -> usize {
    let asked = archive.log();
    asked.iter().map(|request| request.range().map_or(size, |(from, to)| to.unwrap_or(size).min(size) - from)).sum()
}

#[test]
fn a_box_and_an_interval_cut_a_netcdf_and_only_chunks_that_they_touch_move() {
    let (bench, archive) = (Bench::new(), Archive::start());
    netcdf(&bench.path("a.nc"), (30, (60.0, -0.25, 200), (-100.0, 0.25, 200)), [5, 64, 64]);
    let bytes = std::fs::read(bench.path("a.nc")).unwrap();
    let size = bytes.len();
    archive.put("a.nc", Object::new(bytes));
    // Rows 50 to 149 and columns 70 to 129, to their edges; days 3 to 11.
    let mut wanted = cut(Some("-82.5,22.75,-67.75,47.5"), Some("2000-01-04/2000-01-12T00:00:00Z"));
    wanted.variables = vec!["t".into()];
    let report = bench.run(&json!({"k": {"href": archive.url("a.nc")}}), "to", Some(wanted));
    assert_eq!((report.copied, report.failures), (1, 0), "{:?}", report.failed);
    assert_eq!(bench.numbers("to/i/a.nc", "lat"), &labels((60.0, -0.25, 200))[50..150]);
    assert_eq!(bench.numbers("to/i/a.nc", "lon"), &labels((-100.0, 0.25, 200))[70..130]);
    assert_eq!(bench.numbers("to/i/a.nc", "t"), values(3..12, 50..150, 70..130));
    let touched = (3 * 3 * 2) * (5 * 64 * 64) * 8;
    let moved = moved(&archive, size);
    assert!(moved * 10 <= touched * 12, "{moved} bytes for {touched} of {size}");
    let item = bench.item("to");
    let asset = &item["assets"]["k"];
    let file = std::fs::metadata(bench.path("to/i/a.nc")).unwrap().len();
    assert_eq!((&asset["href"], &asset["type"], &asset["file:size"]), (&json!("a.nc"), &json!("x/new"), &json!(file)));
    assert_eq!(asset["alternate"]["remote"]["href"], archive.url("a.nc"));
    assert!(asset["file:checksum"].as_str().unwrap().starts_with("1e20"));
    assert_eq!(item["bbox"], json!([1, 2, 3, 4]));
    assert!(item["links"].as_array().unwrap().iter().any(|link| link["rel"] == "derived_from"));
    let ledger = std::fs::read_to_string(bench.path("to/.outcrop-fetch.ledger.ndjson")).unwrap();
    assert!(ledger.contains(r#""verified":"cut""#), "{ledger}");
}

#[test]
fn a_cog_is_cut_by_the_rectangle_around_the_box_and_only_its_tiles_move() {
    let (bench, archive) = (Bench::new(), Archive::start());
    cog(&bench.path("a.tiff"), 1500, [0.0, 60.0, 0.01], 4326, 256);
    let bytes = std::fs::read(bench.path("a.tiff")).unwrap();
    let size = bytes.len();
    archive.put("a.tiff", Object::new(bytes));
    // Centres of rows 100 to 899 and columns 300 to 899.
    let mut wanted = cut(Some("3.0,51.0,9.0,59.0"), None);
    wanted.bands = vec!["green".into()];
    let report = bench.run(&json!({"k": {"href": archive.url("a.tiff")}}), "to", Some(wanted));
    assert_eq!((report.copied, report.failures), (1, 0), "{:?}", report.failed);
    assert_eq!(bench.numbers("to/i/a.tif", "band_data"), pixels(1..2, 100..900, 300..900));
    assert!((bench.numbers("to/i/a.tif", "y")[0] - 58.995).abs() < 1e-9);
    let touched = (4 * 3) * (256 * 256) * 2;
    let moved = moved(&archive, size);
    assert!(moved * 10 <= touched * 12, "{moved} bytes for {touched} of {size}");
}

#[test]
fn a_projected_cog_is_cut_by_the_box_in_its_plane() {
    let bench = Bench::new();
    cog(&bench.path("a.tif"), 100, [500_000.0, 5_000_000.0, 1000.0], 32631, 32);
    let crs = Crs::from_epsg(32631).unwrap();
    let ([west, south], [east, north]) =
        (crs.to_lonlat(520_500.0, 4_920_500.0).unwrap(), crs.to_lonlat(559_500.0, 4_969_500.0).unwrap());
    let wanted = cut(Some(&format!("{west},{south},{east},{north}")), None);
    let report = bench.run(&json!({"k": {"href": bench.path("a.tif")}}), "to", Some(wanted));
    assert_eq!(report.failures, 0, "{:?}", report.failed);
    let (x, y) = (bench.numbers("to/i/a.tif", "x"), bench.numbers("to/i/a.tif", "y"));
    // The box is no rectangle in the plane: what is around it holds both of its corners.
    assert!(x[0] <= 520_500.0 && *x.last().unwrap() >= 559_500.0 && y[0] >= 4_969_500.0, "{x:?} {y:?}");
    assert!(x.len() < 45 && y.len() < 55, "{} {}", x.len(), y.len());
}

#[test]
fn longitudes_from_0_to_360_and_boxes_across_the_antimeridian() {
    let bench = Bench::new();
    netcdf(&bench.path("round.nc"), (2, (10.0, -1.0, 21), (0.0, 1.0, 360)), [1, 21, 90]);
    netcdf(&bench.path("west.nc"), (2, (-10.0, 1.0, 21), (-180.0, 1.0, 360)), [1, 21, 90]);
    let both = json!({"a": {"href": bench.path("round.nc")}, "b": {"href": bench.path("west.nc")}});
    let report = bench.run(&both, "near", Some(cut(Some("-20,-2,-10,2"), None)));
    assert_eq!((report.copied, report.failures), (2, 0), "{:?}", report.failed);
    assert_eq!(bench.numbers("near/i/round.nc", "t"), values(0..2, 8..13, 340..351));
    assert_eq!(bench.numbers("near/i/west.nc", "t"), values(0..2, 8..13, 160..171));
    let report = bench.run(&both, "far", Some(cut(Some("170,-2,-170,2"), None)));
    assert_eq!((report.copied, report.failures), (2, 0), "{:?}", report.failed);
    assert_eq!(bench.numbers("far/i/round.nc", "lon"), labels((170.0, 1.0, 21)));
    assert_eq!(bench.numbers("far/i/west.nc", "lon"), labels((170.0, 1.0, 21)));
    let around = |left: Range<u64>, right: Range<u64>| {
        let mut all = Vec::new();
        for (time, row) in (0..2).flat_map(|time| (8..13).map(move |row| (time, row))) {
            all.extend(left.clone().chain(right.clone()).map(|column| value(time, row, column)));
        }
        all
    };
    assert_eq!(bench.numbers("far/i/west.nc", "t"), around(350..360, 0..11));
    let report = bench.run(&both, "zero", Some(cut(Some("-3,-2,3,2"), None)));
    assert_eq!((report.copied, report.failures), (2, 0), "{:?}", report.failed);
    assert_eq!(bench.numbers("zero/i/round.nc", "lon"), labels((-3.0, 1.0, 7)));
    assert_eq!(bench.numbers("zero/i/round.nc", "t"), around(357..360, 0..4));
    // Half of the way round there is nothing to go on with.
    netcdf(&bench.path("half.nc"), (1, (10.0, -1.0, 21), (0.0, 1.0, 350)), [1, 21, 90]);
    let report =
        bench.run(&json!({"a": {"href": bench.path("half.nc")}}), "half", Some(cut(Some("-20,-2,20,2"), None)));
    let why = format!("{:?}", report.failed[0].why);
    assert!(why.contains("lies at several places of `lon`"), "{why}");
}

#[test]
fn a_cut_without_a_cell_fails_and_the_rest_goes_on() {
    let bench = Bench::new();
    netcdf(&bench.path("near.nc"), (3, (10.0, -1.0, 10), (0.0, 1.0, 10)), [1, 10, 10]);
    netcdf(&bench.path("far.nc"), (3, (-50.0, -1.0, 10), (0.0, 1.0, 10)), [1, 10, 10]);
    std::fs::write(bench.path("s.mseed"), "").unwrap();
    let assets = json!({"a": {"href": bench.path("near.nc")}, "b": {"href": bench.path("far.nc")},
        "c": {"href": bench.path("s.mseed")}, "d": {"href": "https://h/page.html"}});
    let report = bench.run(&assets, "to", Some(cut(Some("2,3,4,5"), None)));
    assert_eq!((report.copied, report.failures), (1, 3), "{:?}", report.failed);
    let texts: Vec<String> = report.failed.iter().map(|f| format!("{} {:?}", f.asset, f.why)).collect();
    for (key, words) in [("b", "no cell of it lies in the box 2,3,4,5"), ("c", "an empty file"), ("d", "without --cut")]
    {
        assert!(texts.iter().any(|text| text.starts_with(key) && text.contains(words)), "{words}: {texts:?}");
    }
    let item = bench.item("to");
    assert_eq!(item["assets"]["a"]["href"], "near.nc");
    assert_eq!(item["assets"]["b"]["href"], bench.path("far.nc").to_str().unwrap());
    let report = bench.run(&json!({"a": {"href": bench.path("near.nc")}}), "late", Some(cut(None, Some("2001"))));
    let why = format!("{:?}", report.failed[0].why);
    assert!(why.contains("no time of `time` lies in the interval"), "{why}");
}

#[test]
fn the_same_cut_is_made_once_and_another_takes_its_place() {
    let (bench, archive) = (Bench::new(), Archive::start());
    netcdf(&bench.path("a.nc"), (3, (10.0, -1.0, 10), (0.0, 1.0, 10)), [1, 10, 10]);
    archive.put("a.nc", Object::new(std::fs::read(bench.path("a.nc")).unwrap()));
    let assets = json!({"k": {"href": archive.url("a.nc"), "file:size": 1, "file:checksum": "1220aa"}});
    let first = || cut(Some("2,3,4,5"), None);
    assert_eq!(bench.run(&assets, "to", Some(first())).copied, 1);
    let asked = archive.log().len();
    let report = bench.run(&assets, "to", Some(first()));
    assert_eq!((report.copied, report.skipped, archive.log().len()), (0, 1, asked));
    assert_eq!(bench.item("to")["bbox"], json!([1, 2, 3, 4]), "what is there is described again");
    let report = bench.run(&assets, "to", Some(cut(Some("2,3,5,5"), None)));
    assert_eq!((report.copied, report.skipped), (1, 0));
    assert_eq!(bench.numbers("to/i/a.nc", "lon"), [2.0, 3.0, 4.0, 5.0]);
    // Neither is a part a whole, nor the other way round.
    let whole = json!({"k": {"href": archive.url("a.nc")}});
    assert_eq!(bench.run(&whole, "to", None).copied, 1);
    assert_eq!(bench.numbers("to/i/a.nc", "lon").len(), 10);
    assert_eq!(bench.run(&whole, "to", Some(first())).copied, 1);
    // What is damaged is made again.
    std::fs::write(bench.path("to/i/a.nc"), "x").unwrap();
    assert_eq!(bench.run(&whole, "to", Some(first())).copied, 1);
    let mut of_bands = first();
    of_bands.bands = vec!["9".into()];
    assert_eq!(bench.run(&whole, "other", Some(of_bands)).failures, 0, "bands are of images");
}

#[test]
fn zarr_stores_are_cut_too() {
    let bench = Bench::new();
    netcdf(&bench.path("a.nc"), (6, (10.0, -1.0, 10), (0.0, 1.0, 10)), [1, 5, 5]);
    let opened = bench.store.wait(Opened::open(&bench.store, &Href::from_path(&bench.path("a.nc")))).unwrap();
    let options = ConvertOptions {
        target: outcrop_formats::convert::Target::Zarr {
            format: outcrop_formats::zarr::ZarrFormat::V2,
            compression: outcrop_formats::zarr::ZarrCompression::None,
            shards: Vec::new(),
        },
        policy: outcrop_formats::cf::Policy::Raw,
        chunks: Vec::new(),
        threads: 1,
        memory: 1 << 20,
        progress: outcrop_store::progress::Sink::default(),
    };
    convert(&opened, &Part::default(), &bench.path("a.zarr"), &options, &|| false).unwrap();
    let assets = json!({"k": {"href": format!("{}/", bench.path("a.zarr").display())}});
    for (bbox, columns) in [("2,3,4,5", 2..5), ("2,3,5,5", 2..6)] {
        let wanted = || cut(Some(bbox), Some("2000-01-02/2000-01-03"));
        let report = bench.run(&assets, "to", Some(wanted()));
        assert_eq!((report.copied, report.failures), (1, 0), "{:?}", report.failed);
        assert_eq!(bench.numbers("to/i/a.zarr", "t"), values(1..3, 5..8, columns));
        assert_eq!(bench.run(&assets, "to", Some(wanted())).skipped, 1);
    }
    assert_eq!(bench.item("to")["assets"]["k"]["href"], "a.zarr");
    assert!(bench.item("to")["assets"]["k"].get("file:checksum").is_none(), "a folder has none");
}

#[test]
fn the_smallest_rectangle_around_cells_of_two_dimensional_coordinates() {
    let bench = Bench::new();
    let mut writer = Writer::create(&bench.path("a.nc"), &Attrs::new()).unwrap();
    writer.add_dim("row", 8).unwrap();
    writer.add_dim("col", 9).unwrap();
    let units = [("lat", "degrees_north"), ("lon", "degrees_east"), ("t", "1")];
    for (name, units) in units {
        let spec = VariableSpec {
            name: name.into(),
            dims: vec!["row".into(), "col".into()],
            dtype: DType::Float64,
            chunk: None,
            deflate: None,
            fill: None,
            attrs: Attrs::from_iter([text("units", units)]),
        };
        writer.add_variable(&spec).unwrap();
    }
    // Turned by 45 degrees.
    let cells = || (0..8u32).flat_map(|row| (0..9u32).map(move |column| (f64::from(row), f64::from(column))));
    writer.write("lat", &bytes_of(cells().map(|(row, column)| row - column))).unwrap();
    writer.write("lon", &bytes_of(cells().map(|(row, column)| row + column))).unwrap();
    writer.write("t", &bytes_of(cells().map(|(row, column)| row * 10.0 + column))).unwrap();
    writer.finish().unwrap();
    let report = bench.run(&json!({"k": {"href": bench.path("a.nc")}}), "to", Some(cut(Some("7,-1,9,1"), None)));
    assert_eq!(report.failures, 0, "{:?}", report.failed);
    // Of (3, 4), (4, 3), (4, 4), (5, 4), (4, 5): rows 3 to 5, columns 3 to 5.
    assert_eq!(bench.numbers("to/i/a.nc", "t"), [33.0, 34.0, 35.0, 43.0, 44.0, 45.0, 53.0, 54.0, 55.0]);
}
