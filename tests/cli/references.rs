//! Chunk references that are kept: beside items by `build`, in a file by `info`.

use crate::bench::{Bench, files};

const RECIPE: &str = "id = 'lakes'\ndescription = 'd'\n[listing]\nhref = 'outcrop-demo/archive'\ndepth = 3\n[item]\n\
    id = '{region}-{year}'\ndatetime = '{year}-01-01T00:00:00Z'\nbbox = [-90, 40, -80, 47]\n\
    [assets.'{key}']\npattern = 'daymet_v4_daily_{region}_{key}_{year}.nc'\n";

#[test]
fn a_run_opens_kept_references_in_place_of_headers() {
    let bench = Bench::new();
    assert_eq!(bench.run("demo").code, 0);
    bench.write("lakes.toml", RECIPE);
    assert_eq!(bench.run("build lakes.toml --to with --references").code, 0);
    assert_eq!(bench.run("build lakes.toml --to without").code, 0);
    let kept: Vec<String> = files(&bench.path("with")).into_iter().filter(|name| name.ends_with(".refs")).collect();
    assert_eq!(kept.len(), 16, "{kept:?}");
    let run = |catalog: &str, to: &str| {
        let line = format!("run spring-index --items {catalog} --ids lakes-1981 --to {to} --json");
        bench.run(&line).json()["items"][0].clone()
    };
    let (with, without) = (run("with", "a.zarr"), run("without", "b.zarr"));
    assert!(!with["first_leaf"].is_null(), "{with}");
    assert_eq!(with["first_leaf"], without["first_leaf"], "{with} {without}");
    let read = |summary: &serde_json::Value| summary["bytes_read"].as_u64().unwrap();
    assert!(read(&with) < read(&without), "{with} {without}");
    // A file that has changed since is read again.
    let name = "with/lakes-1981/tmin.refs";
    assert!(bench.run(&format!("info {name}")).out.contains("by saved references"));
    let file = bench.path("outcrop-demo/archive/lakes/daymet_v4_daily_lakes_tmin_1981.nc");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    assert!(bench.run(&format!("info {name}")).out.contains("references outdated"));
    assert_eq!(run("with", "c.zarr")["first_leaf"], without["first_leaf"]);
}
