//! Texts, enumerations, members of compounds and arrays, as h5py, netCDF4 and zarr-python read them
//! (`tests/fixtures/make_types.py`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::PathBuf;

use outcrop_formats::{AttrValue, Opened, Variable, cf::Decoding};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A store, and what runs it.
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

    fn open(&self, file: &str) -> Opened {
        let href = Href::from_path(&fixture(file));
        self.runtime.block_on(Opened::open(&self.store, &href)).unwrap_or_else(|e| panic!("{file}: {e:?}"))
    }

    fn texts(&self, opened: &Opened, variable: &Variable, window: &[Range<u64>]) -> Result<Vec<String>, String> {
        self.runtime.block_on(opened.read_texts(variable, window)).map_err(|e| e.to_string())
    }

    fn numbers(&self, opened: &Opened, variable: &Variable) -> Vec<f64> {
        let refs = self.runtime.block_on(opened.locate(variable)).unwrap();
        let raw = self.runtime.block_on(opened.read(&refs, &whole(variable))).unwrap();
        let mut plain = variable.clone();
        plain.attrs.clear();
        Decoding::of(&plain).to_f64(&raw)
    }
}

fn whole(variable: &Variable) -> Vec<Range<u64>> {
    variable.grid.shape.iter().map(|n| 0..*n).collect()
}

#[test]
fn values_are_those_of_other_readers() {
    let want: Value = serde_json::from_slice(&std::fs::read(fixture("want_types.json")).unwrap()).unwrap();
    let bench = Bench::new();
    for (file, members) in want.as_object().unwrap() {
        let opened = bench.open(file);
        for (name, want) in members.as_object().unwrap() {
            let what = format!("{file}: {name}");
            let variable = opened.meta.find(name).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(variable.dtype.name(), want["dtype"].as_str().unwrap(), "{what}");
            let shape: Vec<u64> = want["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            assert_eq!(variable.grid.shape, shape, "{what}");
            let values = want["values"].as_array().unwrap();
            if variable.dtype.is_text() {
                let want: Vec<&str> = values.iter().map(|v| v.as_str().unwrap()).collect();
                let got = bench.texts(&opened, variable, &whole(variable)).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(got, want, "{what}");
            } else {
                let want: Vec<f64> = values.iter().map(|v| v.as_f64().unwrap()).collect();
                let got = bench.numbers(&opened, variable);
                assert_eq!(outcrop_testkit::difference(&got, &want, 0.0, 0.0), None, "{what}: {got:?}");
            }
        }
    }
}

#[test]
fn a_window_of_texts_is_a_part_of_the_whole() {
    let bench = Bench::new();
    for file in ["texts_earliest.h5", "texts_latest.h5"] {
        let opened = bench.open(file);
        for name in ["nullterm", "spacepad", "vlen", "vlen_chunked", "vlen_packed"] {
            let variable = opened.meta.find(name).unwrap();
            assert_eq!(
                bench.texts(&opened, variable, &[1..2, 1..3]).unwrap(),
                ["0123456789", "日本"],
                "{file}: {name}"
            );
            assert_eq!(bench.texts(&opened, variable, &[1..1, 0..3]).unwrap(), Vec::<String>::new(), "{file}: {name}");
        }
        let bad = |name: &str| {
            let variable = opened.meta.find(name).unwrap();
            bench.texts(&opened, variable, &whole(variable)).unwrap_err()
        };
        assert!(bad("bad").contains("text 0 of `bad` is malformed: it is no UTF-8"), "{}", bad("bad"));
        assert!(bad("bad_vlen").contains("is not UTF-8"), "{}", bad("bad_vlen"));
        assert_eq!(opened.meta.attrs["fixed"], AttrValue::Texts(["a", "bc"].map(String::from).to_vec()));
    }
    let opened = bench.open("texts.nc");
    assert_eq!(opened.meta.attrs["list"], AttrValue::Texts(["eins", "zwei", ""].map(String::from).to_vec()));
    assert_eq!(opened.meta.attrs["one"], AttrValue::Text("größe".into()));
    let alias = &opened.meta.find("station").unwrap().attrs["alias"];
    assert_eq!(*alias, AttrValue::Texts(["A", "B"].map(String::from).to_vec()));
}

/// Collections of the heap are brought together, not one by one.
#[test]
fn texts_of_any_length_take_few_requests() {
    let bench = Bench::new();
    let opened = bench.open("texts_latest.h5");
    let variable = opened.meta.find("vlen_many").unwrap();
    let before = bench.store.stats();
    let texts = bench.texts(&opened, variable, &whole(variable)).unwrap();
    let after = bench.store.stats();
    assert_eq!(texts.len(), 201);
    assert!(after.local_bytes - before.local_bytes < 80_000, "{}", after.local_bytes - before.local_bytes);
}

#[test]
fn enumerations_have_names_and_what_cannot_be_read_is_refused() {
    let bench = Bench::new();
    for file in ["types_earliest.h5", "types_latest.h5"] {
        let opened = bench.open(file);
        let flags = |name: &str| {
            let attrs = &opened.meta.find(name).unwrap().attrs;
            let words = attrs["flag_meanings"].text().unwrap().split(' ').map(str::to_owned);
            let mut flags: Vec<(String, f64)> = words.zip(attrs["flag_values"].numbers()).collect();
            flags.sort_by(|a, b| a.0.cmp(&b.0));
            flags
        };
        let want = |pairs: &[(&str, f64)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect::<Vec<_>>();
        assert_eq!(flags("colour"), want(&[("DARK_BLUE", 1.0), ("NONE", -1.0), ("RED", 0.0)]));
        assert_eq!(flags("big"), want(&[("A", 0.0), ("B", 1.0)]));
        assert_eq!(flags("flag"), want(&[("FALSE", 0.0), ("TRUE", 1.0)]));
        assert_eq!(opened.meta.find("rows.z").unwrap().dtype.name(), "complex64");
        assert_eq!(opened.meta.find("opaque").unwrap().dtype.name(), "opaque");
        assert_eq!(opened.meta.find("link.b").unwrap().grid, opened.meta.find("of_committed.b").unwrap().grid);
        for (name, why) in [
            ("lists", "lists of variable length of int32"),
            ("references", "references to objects or regions"),
            ("inner.many", "arrays of compounds"),
        ] {
            let error = opened.meta.find(name).unwrap_err().to_string();
            assert!(error.contains(why), "{file}: {error}");
        }
        assert!(opened.meta.find("inner.b").is_ok());
    }
    let opened = bench.open("types.nc");
    assert_eq!(opened.meta.find("wind.levels").unwrap().dims[0], "x");
    assert_eq!(opened.meta.find("cloud").unwrap().attrs["flag_meanings"].text(), Some("clear stratus missing"));
}
