//! Filters and codecs of numcodecs (`tests/fixtures/make_zarr_filters.py`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use base64::Engine;
use outcrop_formats::{Opened, Variable, cf::Decoding};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::Value;

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zarr_filters.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unpack(members: &Value, root: &Path) {
    for (key, coded) in members.as_object().unwrap() {
        let path = root.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(coded.as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn read(store: &Store, opened: &Opened, variable: &Variable) -> Result<Vec<f64>, String> {
    let refs = store.wait(opened.locate(variable)).map_err(|e| e.to_string())?;
    let bytes = store.wait(opened.read(&refs, &[0..5, 0..4])).map_err(|e| e.to_string())?;
    let mut plain = variable.clone();
    plain.attrs.clear();
    Ok(Decoding::of(&plain).to_f64(&bytes))
}

#[test]
fn every_array_has_the_values_that_zarr_python_reads() {
    let (_runtime, store) = store();
    let fixture = fixture();
    let mut seen = 0;
    for version in ["v2", "v3"] {
        let dir = tempfile::tempdir().unwrap();
        unpack(&fixture["stores"][version], dir.path());
        let opened = store.wait(Opened::open(&store, &Href::from_path(dir.path()))).unwrap();
        assert!(opened.meta.refused.is_empty(), "{:?}", opened.meta.refused);
        for variable in &opened.meta.variables {
            let name = &variable.name;
            let got = read(&store, &opened, variable);
            if name == "jenkins" {
                assert!(got.unwrap_err().contains("jenkins_lookup3"));
                continue;
            }
            let want = &fixture["values"][format!("{version}/{name}")][1];
            let number = |v: &Value| v.as_f64().unwrap_or_else(|| f64::from(v.as_bool().unwrap()));
            let want: Vec<f64> = want.as_array().unwrap().iter().map(number).collect();
            assert_eq!(got, Ok(want), "{version}/{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 51);
}

/// Damaged chunks give an error or other values, and never more bytes than were declared; most sums see it.
#[test]
fn damaged_chunks() {
    let (_runtime, store) = store();
    let fixture = fixture();
    let dir = tempfile::tempdir().unwrap();
    unpack(&fixture["stores"]["v2"], dir.path());
    let opened = store.wait(Opened::open(&store, &Href::from_path(dir.path()))).unwrap();
    for variable in &opened.meta.variables {
        let path = dir.path().join(&variable.name).join("0.0");
        let whole = std::fs::read(&path).unwrap();
        let values = read(&store, &opened, variable);
        let checked = ["bz2", "lzma", "crc32", "crc32_end", "adler32", "crc32c", "crc32c_start", "chain"];
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            for bytes in [&damaged[..], &whole[..at]] {
                std::fs::write(&path, bytes).unwrap();
                let got = read(&store, &opened, variable);
                if checked.contains(&variable.name.as_str()) && bytes.len() < whole.len() {
                    assert!(got.is_err(), "{}: cut at {at}", variable.name);
                }
                if checked[2..7].contains(&variable.name.as_str()) {
                    assert!(got.is_err() || got == values, "{}: byte {at}", variable.name);
                }
            }
        }
        std::fs::write(&path, &whole).unwrap();
    }
}
