//! `outcrop convert`: what is written is read as the same values, and what cannot be is said.

use serde_json::Value;

use crate::bench::{Bench, demo, files};

const TMIN: &str = "archive/lakes/daymet_v4_daily_lakes_tmin_1980.nc";

fn tmin() -> String {
    demo().join(TMIN).to_str().unwrap().to_owned()
}

fn shape(bench: &Bench, file: &str, name: &str) -> Value {
    let summary = bench.run(&format!("info {file} --json")).json();
    let variables = summary["variables"].as_array().unwrap().clone();
    variables.into_iter().find(|v| v["name"] == name).unwrap_or_default()["shape"].clone()
}

#[test]
fn any_format_becomes_any_other_and_back() {
    let bench = Bench::new();
    let source = tmin();
    let all = shape(&bench, &source, "tmin");
    for line in [
        format!("convert {source} --to a.nc"),
        "convert a.nc --to b.nc --format netcdf3 --var tmin".to_owned(),
        "convert b.nc --to c.tif --var tmin --isel time=3:10".to_owned(),
        "convert c.tif --to d.tif --compress zstd:3 --tile 64 --resampling mode".to_owned(),
        "convert d.tif --to e.nc".to_owned(),
        format!("convert {source} --to f.zarr --chunk time=10 --shard time=30 --compress zstd:1"),
        "convert f.zarr --to g.nc --var tmin".to_owned(),
    ] {
        let said = bench.run(&format!("{line} --json"));
        assert_eq!(said.code, 0, "{line}: {said:?}");
    }
    assert_eq!(shape(&bench, "a.nc", "tmin"), all);
    assert_eq!(shape(&bench, "b.nc", "tmin"), all);
    let cut = [&serde_json::json!(7), &all[1], &all[2]].map(Clone::clone);
    assert_eq!(shape(&bench, "d.tif", "band_data"), Value::from(cut.to_vec()));
    // The same picture of the same day, whatever lies between.
    for (file, var, at) in [
        (source.as_str(), "tmin", "time=4"),
        ("a.nc", "tmin", "time=4"),
        ("b.nc", "tmin", "time=4"),
        ("f.zarr", "tmin", "time=4"),
        ("g.nc", "tmin", "time=4"),
        ("d.tif", "band_data", "band=1"),
        ("e.nc", "band_data", "band=1"),
    ] {
        let said = bench.run(&format!("plot {file} --var {var} --isel {at} --title same -o {var}-{}.png", file.len()));
        assert_eq!(said.code, 0, "{said:?}");
    }
    let picture = |name: String| std::fs::read(bench.path(&name)).unwrap();
    let first = picture(format!("tmin-{}.png", source.len()));
    assert!(first == picture("tmin-4.png".into()) && first == picture("tmin-6.png".into()));
    let left = files(bench.folder.path());
    assert!(left.iter().all(|name| !name.contains(".part")), "{left:?}");
}

#[test]
fn what_cannot_be_converted_is_said_with_the_next_step() {
    let bench = Bench::new();
    let source = tmin();
    for (options, want) in [
        ("--to a.xyz", "does not tell a format"),
        ("--to a.nc --var nothing", "there is no variable `nothing`"),
        ("--to a.nc --isel time=5:5", "window time=5:5"),
        ("--to a.nc --isel time=0:99999", "window time=0:99999"),
        ("--to a.nc --isel nodim=0:1", "the dimensions"),
        ("--to a.nc --isel time", "is not DIM=A:B"),
        ("--to a.nc --compress lzw", "--compress lzw"),
        ("--to a.nc --chunk time=0", "is not DIM=N"),
        ("--to a.nc --shard time=5", "--shard does not go"),
        ("--to a.tif --chunk time=5", "--chunk does not go"),
        ("--to a.zarr --tile 64", "--tile"),
        ("--to a.tif --var time", "two dimensions"),
        ("--to a.tif --tile 100", "a multiple of 16"),
        ("--to a.tif --memory much", "is not a size"),
        ("--to http://127.0.0.1:1/a.nc", "cannot write to"),
    ] {
        bench.run(&format!("convert {source} {options}")).could_not_run(&[want]);
        assert!(files(bench.folder.path()).is_empty(), "{options}");
    }
    bench.write("old.tif", "old");
    bench.write("page.nc", "<html>");
    bench.run("convert page.nc --to old.tif").could_not_run(&["HTML page"]);
    assert_eq!(std::fs::read(bench.path("old.tif")).unwrap(), b"old");
}

/// The source is read in whole chunks, whatever the tiles are, and within little memory.
#[test]
fn memory_is_kept_small() {
    let bench = Bench::new();
    let source = tmin();
    let said = bench.run(&format!("convert {source} --to a.tif --var tmin --memory 1MB --threads 1 --json"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["variables"], serde_json::json!(["tmin"]));
}
