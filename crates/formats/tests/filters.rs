//! Every filter of HDF5 that archives use, on several types (`tests/fixtures/make_filters.py`).
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use crate::common::Bench;
use outcrop_formats::{DType, FileMeta, cf::Decoding};
use outcrop_store::ObjectMeta;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/filters.h5")
}

fn values(bench: &Bench, meta: &ObjectMeta, header: &FileMeta, name: &str) -> Vec<f64> {
    let variable = header.find(name).unwrap_or_else(|e| panic!("{e}"));
    Decoding::of(variable).to_f64(&bench.all(meta, variable))
}

#[test]
fn every_filter_gives_what_libhdf5_reads() {
    let bench = Bench::new();
    let (meta, header) = bench.open(&file());
    let mut seen = 0;
    for variable in &header.variables {
        let name = variable.name.as_str();
        if name.starts_with("plain/") || !variable.dtype.is_real() {
            continue;
        }
        let label = name.rsplit('/').next().unwrap();
        let plain = [format!("plain/{name}"), format!("plain/{label}")];
        let plain = plain.iter().find(|plain| header.find(plain).is_ok()).unwrap_or_else(|| panic!("{name}"));
        let (got, want) = (values(&bench, &meta, &header, name), values(&bench, &meta, &header, plain));
        assert_eq!(outcrop_testkit::difference(&got, &want, 0.0, 0.0), None, "{name}");
        seen += 1;
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn complex_numbers_are_two_floats() {
    let bench = Bench::new();
    let (meta, header) = bench.open(&file());
    for (name, dtype) in [("complex64", DType::Complex64), ("complex128be", DType::Complex128)] {
        let variable = header.find(name).unwrap();
        assert_eq!(variable.dtype, dtype);
        let bytes = bench.all(&meta, variable);
        let first = match dtype {
            DType::Complex64 => f64::from(f32::from_ne_bytes(*bytes.first_chunk().unwrap())),
            _ => f64::from_ne_bytes(*bytes.first_chunk().unwrap()),
        };
        // Values were rounded to hundredths before they were written.
        assert!(
            (first * 100.0 - (first * 100.0).round()).abs() < 1e-4 && first != 0.0 && first.abs() < 100.0,
            "{first}"
        );
    }
}

#[test]
fn floats_that_are_not_ieee_are_refused() {
    let (_, header) = Bench::new().open(&file());
    let why = header.find("brain").map(|_| ()).unwrap_err().to_string();
    assert!(why.contains("none of IEEE 754"), "{why}");
}
