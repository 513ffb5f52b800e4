//! Real files of archives against what netCDF4 and xarray say about them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::Bench;
use outcrop_formats::{Format, Variable, cf::Decoding};
use outcrop_testkit::shared_data;
use serde_json::Value;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn close(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-9 * want.abs().max(1e-12)
}

/// Shape, types, number of valid values, smallest, largest, mean.
fn check(name: &str, variable: &Variable, raw: &[u8], want: &Value) {
    let decoding = Decoding::of(variable);
    let shape: Vec<u64> = want["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(variable.grid.shape, shape, "{name}");
    assert_eq!(decoding.result_dtype().name(), want["dtype"].as_str().unwrap(), "{name}");
    if let Some(raw_dtype) = want["raw_dtype"].as_str() {
        assert_eq!(variable.dtype.name(), raw_dtype, "{name}");
    }
    let values: Vec<f64> = decoding.to_f64(raw).into_iter().filter(|v| !v.is_nan()).collect();
    assert_eq!(values.len() as u64, want["valid"].as_u64().unwrap(), "{name}");
    if values.is_empty() {
        return;
    }
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!(close(min, number(&want["min"])), "{name}: min {min}, want {}", want["min"]);
    assert!(close(max, number(&want["max"])), "{name}: max {max}, want {}", want["max"]);
    let scale = max.abs().max(min.abs());
    assert!((mean - number(&want["mean"])).abs() <= 1e-6 * scale, "{name}: mean {mean}, want {}", want["mean"]);
}

#[test]
fn real_files_have_the_values_that_other_tools_read() {
    let Some(folder) = shared_data("real") else { return };
    let want: Value = serde_json::from_slice(&std::fs::read(folder.join("want.json")).unwrap()).unwrap();
    let bench = Bench::new();
    let mut seen = 0;
    for (path, file) in want["files"].as_object().unwrap() {
        let Some(members) = file["variables"].as_object().or_else(|| file["datasets"].as_object()) else { continue };
        let (meta, header) = bench.open(&folder.join(path));
        match file["format"].as_str() {
            Some("NETCDF3_CLASSIC") => assert_eq!(header.format, Format::NetCdf3, "{path}"),
            Some("NETCDF4") => assert_eq!(header.format, Format::NetCdf4, "{path}"),
            _ => assert!(matches!(header.format, Format::Hdf5 | Format::NetCdf4), "{path}"),
        }
        if let Some(dims) = file["dims"].as_object() {
            for (name, len) in dims {
                assert_eq!(header.dims.get(name).map(|d| d.len), len.as_u64(), "{path}: {name}");
            }
        }
        for (name, want) in members {
            let variable = header.find(name).unwrap_or_else(|e| panic!("{path}: {e}"));
            if let Some(dims) = want["dims"].as_array() {
                let dims: Vec<&str> = dims.iter().map(|d| d.as_str().unwrap()).collect();
                assert_eq!(variable.dims, dims, "{path}: {name}");
            }
            check(&format!("{path}: {name}"), variable, &bench.all(&meta, variable), want);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn golden_files_have_plausible_values() {
    let Some(folder) = shared_data("golden/e_spring") else { return };
    let bench = Bench::new();
    for name in ["dayl", "tmax", "tmin"] {
        let (meta, header) = bench.open(&folder.join(format!("daymet_v4_daily_na_{name}_1981.nc")));
        let variable = header.find(name).unwrap();
        assert_eq!(variable.dims, ["time", "y", "x"]);
        let values = Decoding::of(variable).to_f64(&bench.all(&meta, variable));
        assert!(values.iter().any(|v| !v.is_nan()));
    }
}

#[test]
fn a_das_file_opens_with_its_groups() {
    let Some(path) = shared_data("golden/a_das/chain_0.h5") else { return };
    let bench = Bench::new();
    let (meta, header) = bench.open(&path);
    assert_eq!(header.format, Format::Hdf5);
    for variable in &header.variables {
        println!("{} {:?} {:?} {}", variable.name, variable.dims, variable.grid, variable.dtype.name());
        bench.all(&meta, variable);
    }
    assert!(!header.variables.is_empty());
}
