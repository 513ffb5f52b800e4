//! The layers of the workspace and what may not be in its tree, from `cargo metadata`.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Crates by layer, lowest first. A crate depends only on crates of lower layers; testkit on none.
const LAYERS: [&[&str]; 5] = [
    &["outcrop-store", "outcrop-grid"],
    &["outcrop-stac", "outcrop-formats"],
    &["outcrop-catalog", "outcrop-fetcher", "outcrop-compute"],
    &["outcrop-pipelines", "outcrop-server"],
    &["outcrop"],
];

/// Crates of which there may be one version at most.
const ONCE: [&str; 7] = ["object_store", "arrow", "arrow-array", "reqwest", "ndarray", "stac", "hyper"];

/// Crates that may not be there: stale, not permissive, or in need of a system library.
const FORBIDDEN: [&str; 12] = [
    "stac-api",
    "hidefix",
    "openssl",
    "openssl-sys",
    "native-tls",
    "duckdb",
    "libduckdb-sys",
    "hdf5-metno",
    "hdf5-metno-sys",
    "netcdf",
    "netcdf-sys",
    "gdal-sys",
];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|crates| crates.contains(&name))
}

#[test]
fn crates_depend_on_lower_layers_only() {
    let metadata = metadata();
    let members: Vec<&Value> =
        metadata["packages"].as_array().unwrap().iter().filter(|package| package["source"].is_null()).collect();
    assert_eq!(members.len(), LAYERS.iter().map(|crates| crates.len()).sum::<usize>() + 1);
    for package in members {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            if !on.starts_with("outcrop") {
                continue;
            }
            let is_test = dependency["kind"] == "dev";
            if on == "outcrop-testkit" {
                assert!(is_test, "{name} uses outcrop-testkit outside tests");
                continue;
            }
            let (Some(from), Some(to)) = (layer(name), layer(on)) else {
                panic!("{name} -> {on}: a crate without a layer; testkit depends on none of ours");
            };
            assert!(to < from, "{name} (layer {from}) depends on {on} (layer {to})");
        }
    }
}

#[test]
fn the_tree_holds_no_forbidden_crate_and_no_second_version_of_the_great_ones() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert!(!FORBIDDEN.contains(&name), "{name} is in the tree");
        *versions.entry(name).or_default() += 1;
    }
    for name in ONCE {
        let count = versions.get(name).copied().unwrap_or(0);
        assert!(count <= 1, "{count} versions of {name}");
    }
}
