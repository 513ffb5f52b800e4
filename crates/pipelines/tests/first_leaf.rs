//! First leaf from files: golden workflow, real Daymet cells, executors, memory, early end.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod archive;

use std::path::{Path, PathBuf};

use archive::{Plane, write_year};
use outcrop_compute::fold::{EarlyEnd, Executor};
use outcrop_compute::{OpenOptions, RunOptions, open_dataset};
use outcrop_formats::zarr::{ZarrFormat, open};
use outcrop_pipelines::spring_index::{
    PLANTS, ResultOptions, ResultWriter, SpringIndex, SpringIndexOptions, SpringReport,
};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{difference, npz, shared_data};
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

    fn index(&self, files: &[PathBuf; 3], options: &SpringIndexOptions) -> SpringIndex {
        let hrefs: Vec<Href> = files.iter().map(|file| Href::from_path(file)).collect();
        let open = OpenOptions::of(&SpringIndex::VARIABLES);
        let dataset = self.store.wait(open_dataset(&self.store, &hrefs, &open)).unwrap();
        SpringIndex::new(&dataset, options.clone()).unwrap()
    }

    /// Runs and reads back: first leaf of all layers, in C order.
    fn run(&self, index: &SpringIndex, run: &RunOptions, format: ZarrFormat) -> (Vec<f64>, Vec<f64>, SpringReport) {
        let root = self.out.path().join("out.zarr");
        let options = ResultOptions { root: root.clone(), group: "y".into(), format, item: "test".into() };
        let report = index.run(run, ResultWriter::create(index, &options).unwrap()).unwrap();
        let zarr = open(&self.store, &Href::from_path(&root).as_folder()).unwrap();
        let leaf = zarr.read_f64("y/first-leaf").unwrap();
        let days = zarr.read_f64("y/first-leaf-doy").unwrap();
        std::fs::remove_dir_all(root).unwrap();
        (leaf, days, report)
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn golden_files(folder: &Path) -> [PathBuf; 3] {
    ["tmin", "tmax", "dayl"].map(|name| folder.join(format!("daymet_v4_daily_na_{name}_1981.nc")))
}

#[test]
fn the_golden_workflow_is_exact_in_both_formats() {
    let Some(folder) = shared_data("golden/e_spring") else { return };
    let bench = Bench::new();
    let options = SpringIndexOptions { coarsen: 4, ..SpringIndexOptions::default() };
    let index = bench.index(&golden_files(&folder), &options);
    let want: Vec<f64> = npz::<f64>(&folder.join("daymet_want.npz"), "first_leaf").iter().copied().collect();
    for format in [ZarrFormat::V2, ZarrFormat::V3] {
        let (leaf, days, report) = bench.run(&index, &RunOptions::default(), format);
        assert_eq!(difference(&leaf, &want, 0.0, 0.0), None);
        let shifted: Vec<f64> = want.iter().map(|v| v + 1.0).collect();
        assert_eq!(difference(&days, &shifted, 0.0, 0.0), None, "day of the year is the index plus the start day");
        assert!(report.run.steps <= report.run.of_steps);
    }
    let x: Vec<f64> = index.like().coords["x"].values.clone();
    let want_x: Vec<f64> = npz::<f32>(&folder.join("daymet_want.npz"), "x").iter().map(|v| f64::from(*v)).collect();
    assert_eq!(difference(&x, &want_x, 1e-7, 0.0), None, "labels are averaged too");
}

#[test]
fn golden_inputs_after_coarsening_agree_with_xarray() {
    let Some(folder) = shared_data("golden/e_spring") else { return };
    let bench = Bench::new();
    for (name, file) in SpringIndex::VARIABLES.iter().zip(golden_files(&folder)) {
        let open = OpenOptions::of(&[name]);
        let dataset = bench.store.wait(open_dataset(&bench.store, &[Href::from_path(&file)], &open)).unwrap();
        let array = dataset.array(name).unwrap();
        let first = array.isel("time", 0..1).unwrap().compute().unwrap().into_f64();
        let key = format!("first_{name}");
        let want: Vec<f64> = npz::<f32>(&folder.join("daymet_want.npz"), &key).iter().map(|v| f64::from(*v)).collect();
        assert_eq!(difference(&first, &want, 0.0, 0.0), None, "{key}");
        let coarse = array.coarsen(&[("y", 4), ("x", 4)]).unwrap().mean().unwrap();
        let all = coarse.compute().unwrap().into_f64();
        let shape = coarse.shape();
        let plane = usize::try_from(shape[1] * shape[2]).unwrap();
        let got: Vec<f64> = all.chunks(plane).step_by(11).flatten().copied().collect();
        let want = npz::<f32>(&folder.join("daymet_want.npz"), &format!("coarse_{name}"));
        let want: Vec<f64> = want.iter().map(|v| f64::from(*v)).collect();
        assert_eq!(difference(&got, &want, 3e-6, 2e-3), None, "coarse {name}");
    }
}

#[test]
fn real_daymet_site_years_agree_with_the_reference() {
    let Some(folder) = shared_data("real") else { return };
    let text = std::fs::read_to_string(folder.join("want.json")).unwrap();
    let want: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = want["results"]["spring_index_daymet_csv"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 9);
    let bench = Bench::new();
    for row in rows {
        let year = row["year"].as_i64().unwrap();
        let csv = std::fs::read_to_string(folder.join(row["file"].as_str().unwrap())).unwrap();
        let days: Vec<Vec<f64>> = csv
            .lines()
            .filter(|line| line.starts_with(&format!("{year},")))
            .map(|line| line.split(',').map(|field| field.parse().unwrap()).collect())
            .collect();
        assert_eq!(days.len(), 365);
        let site = |column: usize| move |day: usize, _cell: usize, rows: &[Vec<f64>]| rows[day][column];
        let files = write_year(bench.out.path(), (1, 1), Plane::F64, |name, day, cell| match name {
            "dayl" => site(2)(day, cell, &days),
            "tmax" => site(6)(day, cell, &days),
            _ => site(7)(day, cell, &days),
        });
        let index = bench.index(&files, &SpringIndexOptions::default());
        let (leaf, ..) = bench.run(&index, &RunOptions::default(), ZarrFormat::V3);
        let first = &row["first_leaf_index"];
        let want: Vec<f64> =
            ["lilac", "arnold red", "zabelli", "mean"].iter().map(|plant| first[plant].as_f64().unwrap()).collect();
        assert_eq!(difference(&leaf, &want, 0.0, 0.0), None, "{row}");
    }
}

/// A spring whose start depends on the cell; cell 5 is water.
fn spring(name: &str, day: usize, cell: usize) -> f64 {
    let warmth = day as f64 * 0.14 - 12.0 + (cell % 7) as f64 * 0.4 + (day % 5) as f64;
    match name {
        _ if cell == 5 => f64::NAN,
        "tmin" => warmth - 6.0,
        "tmax" => warmth + 6.0,
        _ => 36_000.0 + 60.0 * day as f64,
    }
}

#[test]
fn executors_threads_and_early_end_give_the_same_bits() {
    let bench = Bench::new();
    let files = write_year(bench.out.path(), (37, 41), Plane::Chunks(1, 16, 16), spring);
    for coarsen in [1, 3, 20] {
        let index = bench.index(&files, &SpringIndexOptions { coarsen, ..SpringIndexOptions::default() });
        let serial = RunOptions { executor: Executor::Serial, early_end: EarlyEnd::Never, ..RunOptions::default() };
        let (want, _, all) = bench.run(&index, &serial, ZarrFormat::V3);
        assert_eq!(all.run.steps, all.run.of_steps);
        for threads in [1, 2, 5] {
            let run = RunOptions { threads, ..RunOptions::default() };
            let (got, _, report) = bench.run(&index, &run, ZarrFormat::V3);
            assert_eq!(bits(&got), bits(&want), "coarsen {coarsen}, {threads} threads");
            assert!(report.run.steps < report.run.of_steps, "the column ends when its cells are decided");
        }
        let serial = RunOptions { executor: Executor::Serial, ..RunOptions::default() };
        assert_eq!(bits(&bench.run(&index, &serial, ZarrFormat::V3).0), bits(&want));
    }
}

#[test]
fn chunks_of_any_shape_give_the_same_bits() {
    let bench = Bench::new();
    let mut first: Option<Vec<u64>> = None;
    for chunk in [(1, 37, 41), (5, 10, 41), (365, 8, 8), (7, 1, 1000), (1, 20, 20)] {
        let folder = bench.out.path().join(format!("{chunk:?}"));
        let files = write_year(&folder, (37, 41), Plane::Chunks(chunk.0, chunk.1.min(37), chunk.2.min(41)), spring);
        let options = SpringIndexOptions { start_day: 3, coarsen: 2, ..SpringIndexOptions::default() };
        let (leaf, days, _) = bench.run(&bench.index(&files, &options), &RunOptions::default(), ZarrFormat::V2);
        assert_eq!(days[0].to_bits(), (leaf[0] + 3.0).to_bits());
        let got = bits(&leaf);
        assert_eq!(&got, first.get_or_insert_with(|| got.clone()), "chunks {chunk:?}");
    }
}

#[test]
fn a_cell_that_gets_data_late_is_not_lost_by_an_early_end() {
    let bench = Bench::new();
    let late = |name: &str, day: usize, cell: usize| {
        if cell == 3 && day < 180 { f64::NAN } else { spring(name, day, cell) }
    };
    let files = write_year(bench.out.path(), (4, 4), Plane::Chunks(1, 4, 4), late);
    let index = bench.index(&files, &SpringIndexOptions::default());
    let never = RunOptions { early_end: EarlyEnd::Never, ..RunOptions::default() };
    let (want, ..) = bench.run(&index, &never, ZarrFormat::V3);
    let (got, _, report) = bench.run(&index, &RunOptions::default(), ZarrFormat::V3);
    assert!(!want[3].is_nan() && want[3] > 180.0);
    assert_eq!(bits(&got), bits(&want));
    assert_eq!(report.run.ended_early, 0);
}

#[test]
fn the_memory_bound_does_not_grow_with_the_days_and_is_refused_when_too_large() {
    let bench = Bench::new();
    let files = write_year(bench.out.path(), (64, 64), Plane::Chunks(1, 64, 64), spring);
    let bound = |end_day| {
        let index = bench.index(&files, &SpringIndexOptions { end_day, ..SpringIndexOptions::default() });
        index.plan().bound(&RunOptions { threads: 2, memory: 1 << 30, ..RunOptions::default() }).unwrap().total()
    };
    let (short, long) = (bound(30), bound(365));
    assert!(long <= short + short / 20, "30 days: {short}, 365 days: {long}");
    let index = bench.index(&files, &SpringIndexOptions::default());
    let error = index.plan().bound(&RunOptions { memory: 10_000, ..RunOptions::default() }).unwrap_err();
    assert!(error.to_string().contains("--memory"), "{error}");
    let tasks = index.plan().columns().len() * index.plan().slabs().len();
    assert_eq!(tasks, 300, "one column of 64 x 64 cells, one slab a day");
}

#[test]
fn wrong_parameters_and_units_are_named() {
    let bench = Bench::new();
    let files = write_year(bench.out.path(), (4, 4), Plane::Chunks(1, 4, 4), spring);
    let hrefs: Vec<Href> = files.iter().map(|file| Href::from_path(file)).collect();
    let open = OpenOptions::of(&SpringIndex::VARIABLES);
    let mut dataset = bench.store.wait(open_dataset(&bench.store, &hrefs, &open)).unwrap();
    let text = |options: SpringIndexOptions| SpringIndex::new(&dataset, options).unwrap_err().to_string();
    let base = || SpringIndexOptions { plants: PLANTS.to_vec(), ..SpringIndexOptions::default() };
    assert_eq!(text(SpringIndexOptions { end_day: 366, ..base() }), "`end-day` cannot be 366: `tmin` has 365 days");
    assert!(text(SpringIndexOptions { start_day: 0, ..base() }).contains("counted from 1"));
    assert!(text(SpringIndexOptions { coarsen: 5, ..base() }).contains("a window of 5 does not fit `y` of length 4"));
    let dayl = dataset.arrays.get_mut("dayl").unwrap();
    dayl.attrs.insert("units".into(), outcrop_formats::AttrValue::Text("furlongs".into()));
    let error = SpringIndex::new(&dataset, base()).unwrap_err().to_string();
    assert_eq!(error, "`dayl` is in `furlongs`; the spring index needs seconds or hours");
}

#[test]
fn axes_that_are_not_days_of_a_year_are_refused() {
    let bench = Bench::new();
    let files = write_year(bench.out.path(), (4, 4), Plane::Chunks(1, 4, 4), spring);
    let hrefs: Vec<Href> = files.iter().map(|file| Href::from_path(file)).collect();
    let open = OpenOptions::of(&SpringIndex::VARIABLES);
    let dataset = bench.store.wait(open_dataset(&bench.store, &hrefs, &open)).unwrap();
    let with = |units: &str, step: f64| {
        let mut dataset = dataset.clone();
        for array in dataset.arrays.values_mut() {
            let time = array.coords.get_mut("time").unwrap();
            time.attrs.insert("units".into(), outcrop_formats::AttrValue::Text(units.into()));
            time.values.iter_mut().for_each(|value| *value *= step);
        }
        SpringIndex::new(&dataset, SpringIndexOptions::default())
    };
    assert!(with("days since 1981-01-01", 1.0).unwrap().assumed().is_empty());
    assert!(with("hours since 1980-01-01 12:00", 24.0).is_ok());
    let text = |units, step| with(units, step).unwrap_err().to_string();
    assert_eq!(
        text("days since 1981-07-01", 1.0),
        "`tmin` cannot be used: its time axis starts on 1981-07-01, not on 1 January"
    );
    assert!(text("hours since 1981-01-01", 1.0).contains("no step of one day after position 0"));
    assert!(text("m", 1.0).contains("not a CF time unit"));
    let index = SpringIndex::new(&dataset, SpringIndexOptions::default()).unwrap();
    assert_eq!(index.assumed().len(), 1, "a time axis without dates is taken as the days of a year");
    let mut flat = dataset.clone();
    flat.arrays["tmin"].dims.pop();
    let error = SpringIndex::new(&flat, SpringIndexOptions::default()).unwrap_err().to_string();
    assert!(error.contains("three are needed"), "{error}");
}

#[test]
fn a_store_keeps_one_format_and_a_group_its_item() {
    let bench = Bench::new();
    let files = write_year(bench.out.path(), (4, 4), Plane::Chunks(1, 4, 4), spring);
    let index = bench.index(&files, &SpringIndexOptions::default());
    let root = bench.out.path().join("first-leaf.zarr");
    let options =
        |format, item: &str| ResultOptions { root: root.clone(), group: "1981".into(), format, item: item.into() };
    let first = options(ZarrFormat::V3, "lakes-1981");
    first.check_owner(&bench.store).unwrap();
    index.run(&RunOptions::default(), ResultWriter::create(&index, &first).unwrap()).unwrap();
    let error = ResultWriter::create(&index, &options(ZarrFormat::V2, "lakes-1981")).unwrap_err().to_string();
    assert!(error.contains("the store is Zarr 3"), "{error}");
    first.check_owner(&bench.store).unwrap();
    let error = options(ZarrFormat::V3, "rockies-1981").check_owner(&bench.store).unwrap_err().to_string();
    assert!(error.contains("holds the result of `lakes-1981`"), "{error}");
}
