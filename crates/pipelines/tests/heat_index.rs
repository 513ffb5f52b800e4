//! The heat index from files: golden workflow, executors, chunks, memory.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::path::{Path, PathBuf};

use outcrop_compute::fold::Executor;
use outcrop_compute::{DataArray, RunOptions};
use outcrop_formats::{AttrValue, Attrs, DType, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, Opened, TiffCompression};
use outcrop_grid::{Crs, GeoKeys, RasterType};
use outcrop_pipelines::draw::{ColourMap, Limits};
use outcrop_pipelines::heat_index::{
    DayFile, HeatIndex, HeatOptions, HeatOutput, HeatReport, HeatWriter, Masking, NanRule, Part, Selection, Series,
    SeriesOptions, Units, day_of_name, limits,
};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{difference, npz, shared_data};
use proptest::prelude::*;
use tokio::runtime::Runtime;

struct Bench {
    _runtime: Runtime,
    store: Store,
    out: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        Self { _runtime: runtime, store, out: tempfile::tempdir().unwrap() }
    }

    fn series(&self, paths: &[PathBuf]) -> Series {
        let file = |path: &PathBuf| DayFile {
            href: Href::from_path(path),
            day: day_of_name(&path.file_name().unwrap().to_string_lossy(), None).unwrap(),
            item: None,
        };
        let files = paths.iter().map(file).collect();
        self.store.wait(Series::open(&self.store, files, SeriesOptions::default())).unwrap()
    }

    fn read(&self, name: &str) -> (Opened, Vec<u8>) {
        self.store.wait(async {
            let opened = Opened::open(&self.store, &Href::from_path(&self.out.path().join(name))).await.unwrap();
            let variable = opened.meta.find("band_data").unwrap().clone();
            let refs = opened.locate(&variable).await.unwrap();
            let window: Vec<_> = variable.grid.shape.iter().map(|len| 0..*len).collect();
            let values = opened.read(&refs, &window).await.unwrap();
            (opened, values)
        })
    }

    fn output(&self) -> HeatOutput {
        HeatOutput { folder: self.out.path().to_owned(), zarr: None, vmin: None, vmax: None }
    }
}

/// All means, put together on the plane: over time, then by month.
fn run(index: &HeatIndex, options: &RunOptions) -> (Vec<Vec<f64>>, HeatReport) {
    let (rows, columns) = (index.plan().plane()[0], index.plan().plane()[1]);
    let size = |n: u64| usize::try_from(n).unwrap();
    let mut all = vec![vec![f64::NAN; size(rows * columns)]; index.months().len() + 1];
    let report = index
        .run(options, 0, |window, means| {
            for (plane, means) in all.iter_mut().zip(means) {
                let cells = window[0].clone().flat_map(|y| window[1].clone().map(move |x| y * columns + x));
                for (cell, value) in cells.zip(means) {
                    plane[size(cell)] = *value;
                }
            }
            Ok(())
        })
        .unwrap();
    (all, report)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn golden() -> Option<(PathBuf, Vec<PathBuf>)> {
    let folder = shared_data("golden/c_heat")?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("2016.")));
    assert!(files.len() > 2, "{}", folder.display());
    Some((folder, files))
}

fn wanted(folder: &Path, file: &str, key: &str) -> Vec<f64> {
    npz::<f32>(&folder.join(file), key).iter().map(|value| f64::from(*value)).collect()
}

fn index(series: Series, masking: Masking) -> HeatIndex {
    HeatIndex::new(series, HeatOptions { masking, nan: NanRule::Poison }).unwrap()
}

#[test]
fn golden_means_of_days_time_and_months() {
    let Some((folder, files)) = golden() else { return };
    let bench = Bench::new();
    let (means, report) = run(&index(bench.series(&files), Masking::Nodata), &RunOptions::default());
    let daily: Vec<f64> = report.days.iter().map(|day| day.mean_f).collect();
    let want: Vec<f64> = npz::<f64>(&folder.join("daily_want.npz"), "mean_f64").iter().copied().collect();
    assert_eq!(difference(&daily, &want, 1e-12, 0.0), None);
    let counts: Vec<i64> = report.days.iter().map(|day| i64::try_from(day.count).unwrap()).collect();
    assert_eq!(counts, npz::<i64>(&folder.join("daily_want.npz"), "count").iter().copied().collect::<Vec<_>>());
    let of = |key: &str| -> Vec<f64> { npz::<f64>(&folder.join("time_mean_want.npz"), key).iter().copied().collect() };
    assert_eq!(difference(&means[0], &of("masked_f64"), 1e-14, 0.0), None);
    assert_eq!(difference(&means[1..].concat(), &wanted(&folder, "monthly_want.npz", "mean"), 4e-6, 2e-5), None);
    let (unmasked, _) = run(&index(bench.series(&files), Masking::None), &RunOptions::default());
    assert_eq!(difference(&unmasked[0], &of("unmasked_f64"), 1e-14, 0.0), None);
}

#[test]
fn golden_selections_follow_the_axes() {
    let Some((folder, files)) = golden() else { return };
    let bench = Bench::new();
    let select = |selection: Selection| index(bench.series(&files).select(&selection).unwrap(), Masking::Nodata);
    let parts = |parts: &[(&str, Part)]| Selection {
        parts: parts.iter().map(|(dim, part)| ((*dim).to_owned(), part.clone())).collect(),
        months: Vec::new(),
    };
    let check = |index: &HeatIndex, key: &str| {
        let got = index.values(&RunOptions::default()).unwrap();
        assert_eq!(difference(&got, &wanted(&folder, "select_want.npz", key), 0.0, 0.0), None, "{key}");
    };
    let month = select(Selection { months: vec![1], parts: Vec::new() });
    check(&month, "month");
    assert_eq!(month.months(), [1]);
    check(
        &select(parts(&[("y", Part::Positions(Some(5), Some(12))), ("x", Part::Positions(Some(20), Some(31)))])),
        "isel",
    );
    let labels = |from: f64, to: f64| Part::Labels(Some(from), Some(to));
    let sel = select(parts(&[("x", labels(-30.0, 19.0)), ("lat", labels(20.0, -5.0))]));
    check(&sel, "sel");
    let empty = select(parts(&[("x", labels(-30.0, 19.0)), ("y", labels(-5.0, 20.0))]));
    assert_eq!(empty.series().array.shape(), [files.len() as u64, 0, 10]);
    assert!(empty.series().emptiness().unwrap().contains('y'));
    let (_, report) = run(&empty, &RunOptions::default());
    assert!(report.days.iter().all(|day| day.count == 0 && day.mean_f.is_nan()));
    let all = index(bench.series(&files), Masking::Nodata);
    let (place, values) = all.nearest(&RunOptions::default(), [-111.04, 45.68]).unwrap();
    assert_eq!(
        place.to_vec(),
        npz::<f64>(&folder.join("select_want.npz"), "nearest_xy").iter().copied().collect::<Vec<_>>()
    );
    assert_eq!(difference(&values, &wanted(&folder, "select_want.npz", "nearest"), 0.0, 0.0), None);
}

#[test]
fn golden_image_has_the_profile_of_the_first_file_and_its_map_the_levels() {
    let Some((folder, files)) = golden() else { return };
    let bench = Bench::new();
    let index = index(bench.series(&files), Masking::None);
    let mut writer = HeatWriter::create(&index, bench.output()).unwrap();
    let report =
        index.run(&RunOptions::default(), HeatWriter::kept(&index), |w, means| writer.write(w, means)).unwrap();
    let written = writer.finish(&bench.store, &index, &report).unwrap();
    assert_eq!(written.files.len(), 5);
    let (opened, raw) = bench.read("mean.tif");
    let variable = opened.meta.find("band_data").unwrap();
    assert_eq!((variable.dtype, &variable.grid.shape[..]), (DType::Float32, &[1, 26, 72][..]));
    assert_eq!(variable.attrs["_FillValue"], AttrValue::Float32(vec![-9999.0]));
    let place = opened.meta.find("spatial_ref").unwrap();
    assert_eq!(place.attrs["GeoTransform"], AttrValue::Text("-180 5 0 70 0 -5".into()));
    assert_eq!(place.attrs["epsg"].number(), Some(4326.0));
    let got: Vec<f64> = raw.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_ne_bytes(*bytes))).collect();
    let (means, _) = run(&index, &RunOptions::default());
    #[expect(clippy::cast_possible_truncation, reason = "as it is stored")]
    let computed: Vec<f64> = means[0].iter().map(|value| f64::from(*value as f32)).collect();
    assert_eq!(bits(&got), bits(&computed));
    assert_eq!(difference(&got, &wanted(&folder, "time_mean_want.npz", "unmasked"), 4e-6, 0.004), None);
    let high = computed.iter().copied().fold(f64::MIN, f64::max);
    let limits = limits(written.range.unwrap(), &HeatOutput { vmin: Some(-32.0), ..bench.output() }).unwrap();
    assert_eq!(limits, Limits { low: -32.0, high, map: ColourMap::Viridis });
    let levels: Vec<i64> = computed.iter().map(|value| limits.level(*value).map_or(-1, i64::from)).collect();
    let want: Vec<i64> = npz::<i16>(&folder.join("plot_want.npz"), "index").iter().map(|v| i64::from(*v)).collect();
    assert!(levels.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1));
    assert!(levels.iter().zip(&want).filter(|(a, b)| a != b).count() * 100 <= want.len());
}

#[test]
fn golden_correlation_of_whole_numbers() {
    let Some(path) = shared_data("golden/c_heat/corr_int.npz") else { return };
    let array = |key: &str| {
        let values = npz::<i64>(&path, key);
        let dims: Vec<(&str, u64)> =
            ["y", "x", "time"].into_iter().zip(values.shape().iter().map(|n| *n as u64)).collect();
        DataArray::from_values(key, &dims, values.iter().copied().collect::<Vec<i64>>()).unwrap()
    };
    let (a, b) = (array("a"), array("b"));
    let want = |key: &str| -> Vec<f64> { npz::<f64>(&path, key).iter().copied().collect() };
    let corr = a.corr(&b, &["time"]).unwrap().compute().unwrap().into_f64();
    assert_eq!(difference(&corr, &want("corr"), 1e-10, 1e-12), None);
    let cov = a.cov(&b, &["time"], 1).unwrap().compute().unwrap().into_f64();
    assert_eq!(difference(&cov, &want("cov"), 1e-10, 1e-12), None);
}

const ROWS: u64 = 40;
const COLUMNS: u64 = 50;

/// Writes a day in tiles of its own.
fn write(path: &Path, values: &[f32], tile: u64) {
    let spec = GeoTiffSpec {
        width: COLUMNS,
        height: ROWS,
        bands: 1,
        dtype: DType::Float32,
        nodata: Some((-9999f32).to_ne_bytes().to_vec()),
        transform: Some([0.0, 0.5, 0.0, 40.0, 0.0, -0.25]),
        control_points: Vec::new(),
        keys: Some(GeoKeys::of_crs(&Crs::lonlat().unwrap(), Some(4326), RasterType::Area).unwrap()),
        attrs: Attrs::new(),
        file_attrs: Attrs::new(),
    };
    let compression = TiffCompression::Deflate { level: 1 };
    let options = GeoTiffOptions { tile, compression, overviews: 0, ..GeoTiffOptions::default() };
    let writer = GeoTiffWriter::create(path, &spec, options).unwrap();
    for row in 0..ROWS.div_ceil(tile) {
        for column in 0..COLUMNS.div_ceil(tile) {
            let cell = |i: u64| {
                let (y, x) = (row * tile + i / tile, column * tile + i % tile);
                let at = usize::try_from(y * COLUMNS + x).unwrap();
                if y < ROWS && x < COLUMNS { values[at] } else { 0.0 }
            };
            let raw: Vec<u8> = (0..tile * tile).flat_map(|i| cell(i).to_ne_bytes()).collect();
            writer.write_chunk([0, row, column], &raw).unwrap();
        }
    }
    writer.finish(1).unwrap();
}

/// Days from 30 January 2016 on with values that have many digits; -9999 is no data.
fn field(day: u64, seed: u64) -> Vec<f32> {
    let cell = |i: u64| {
        let noise =
            (i + 1).wrapping_mul(6_364_136_223_846_793_005).wrapping_mul(seed | 1).wrapping_add(day * 977) >> 40;
        #[expect(clippy::cast_precision_loss, reason = "24 bits")]
        let value = (noise as f32 / 16_777_216.0 - 0.5) * 90.0;
        if noise.is_multiple_of(5) { -9999.0 } else { value }
    };
    (0..ROWS * COLUMNS).map(cell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn chunks_threads_and_executors_change_no_bit(
        seed in any::<u64>(),
        tiles in proptest::collection::vec(1u64..5, 6),
        threads in 1usize..5,
    ) {
        let bench = Bench::new();
        let mut results = Vec::new();
        for own in [false, true] {
            let paths: Vec<PathBuf> = tiles.iter().zip(0u64..).map(|(tile, day)| {
                let name = format!("{own}-2016-0{}-{:02}.tif", 1 + (day + 29) / 31, 1 + (day + 29) % 31);
                let path = bench.out.path().join(name);
                write(&path, &field(day, seed), if own { tile * 16 } else { 64 });
                path
            }).collect();
            let index = index(bench.series(&paths), Masking::Nodata);
            for executor in [Executor::Serial, Executor::Threads] {
                let (means, report) = run(&index, &RunOptions { threads, executor, ..RunOptions::default() });
                let days: Vec<f64> = report.days.iter().map(|day| day.mean_f).collect();
                results.push([bits(&means.concat()), bits(&days)]);
            }
        }
        prop_assert!(results.iter().all(|result| *result == results[0]));
        let fahrenheit = |v: f32| f64::from(v * 1.8 + 32.0);
        let day = field(0, seed);
        let valid: Vec<f64> = day.iter().filter(|v| **v > -9000.0).map(|v| fahrenheit(*v)).collect();
        let mean = valid.iter().sum::<f64>() / valid.len() as f64;
        prop_assert!((f64::from_bits(results[0][1][0]) - mean).abs() < 1e-9);
    }
}

#[test]
fn a_run_keeps_its_memory_or_says_what_it_needs() {
    let bench = Bench::new();
    let paths: Vec<PathBuf> = (1..4).map(|day| bench.out.path().join(format!("2016-01-0{day}.tif"))).collect();
    for (path, day) in paths.iter().zip(0..) {
        write(path, &field(day, 3), 16);
    }
    let index = index(bench.series(&paths), Masking::Nodata);
    assert_eq!(index.series().units, Units::Celsius);
    assert_eq!(index.series().assumed.len(), 1);
    let plan = index.summary(&RunOptions { memory: 10 << 20, ..RunOptions::default() }, 1 << 20).unwrap();
    assert!(plan.memory_bytes <= 10 << 20 && plan.memory_bytes > 1 << 20);
    let error = index.summary(&RunOptions { memory: 1000, ..RunOptions::default() }, 0).unwrap_err().to_string();
    assert!(error.contains("--memory") && error.contains("--sel") && !error.contains("coarsen"), "{error}");
}
