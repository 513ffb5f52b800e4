//! References as kerchunk and fsspec write and read them (`tests/fixtures/make_references.py`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use outcrop_formats::{ChunkRef, Opened, Variable, kerchunk};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Map, Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn decoded(coded: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(coded.as_str().unwrap()).unwrap()
}

fn unpack(members: &Value, root: &Path) {
    for (key, coded) in members.as_object().unwrap() {
        let path = root.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, decoded(coded)).unwrap();
    }
}

fn read(store: &Store, opened: &Opened, variable: &Variable) -> Result<Vec<u8>, String> {
    let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|n| 0..*n).collect();
    let refs = store.wait(opened.locate(variable)).map_err(|e| e.to_string())?;
    store.wait(opened.read(&refs, &window)).map_err(|e| e.to_string())
}

fn pack(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 7 + 3) % 251).unwrap()).collect()
}

#[test]
fn tables_of_kerchunk() {
    let (_runtime, store) = store();
    for (name, members) in fixture("references.json")["parquet"].as_object().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("refs.parq");
        unpack(members, &root);
        std::fs::write(dir.path().join("pack.bin"), pack(600)).unwrap();
        std::fs::write(dir.path().join("two.bin"), [70, 71]).unwrap();
        let opened = store.wait(Opened::open(&store, &Href::from_path(&root))).unwrap();
        let v = opened.meta.find("v").unwrap();
        assert_eq!(v.dims, ["y", "x"]);
        if let Some(what) = [("snappy", "snappy"), ("delta", "encoding 5")].iter().find(|(known, _)| known == name) {
            let why = store.wait(opened.locate(v)).unwrap_err();
            assert!(why.to_string().contains("refs.0.parq") && why.to_string().contains(what.1), "{why}");
            continue;
        }
        let mut want = pack(usize::try_from(v.elements().unwrap()).unwrap());
        for (i, chunk) in want.chunks_mut(3).enumerate().filter(|(i, _)| i % 11 == 5) {
            chunk.fill(0);
            assert!(i > 2);
        }
        assert_eq!(read(&store, &opened, v).unwrap(), want, "{name}");
        let refs = store.wait(opened.locate(v)).unwrap();
        let stored = refs.iter().filter(|(_, chunk)| *chunk != ChunkRef::Fill).count();
        assert_eq!(stored, want.len() / 3 - want.chunks(3).enumerate().filter(|(i, _)| i % 11 == 5).count());
        if name == "fastparquet" || name == "pyarrow" {
            assert_eq!(refs.get(&[0, 1]), ChunkRef::Inline(pack(6)[3..].to_vec().into()), "{name}");
            let w = opened.meta.find("w").unwrap();
            assert_eq!(read(&store, &opened, w).unwrap(), [3, 10, 9, 9, 70, 71], "{name}");
            assert_eq!(read(&store, &opened, opened.meta.find("s").unwrap()).unwrap(), pack(6)[5..], "{name}");
            // What is named but not there is an error, not a fill value.
            std::fs::remove_file(dir.path().join("two.bin")).unwrap();
            assert!(read(&store, &opened, w).unwrap_err().contains("two.bin"));
        }
        // A file that is damaged is named.
        std::fs::write(root.join("v/refs.0.parq"), b"PAR1 PAR1").unwrap();
        assert!(read(&store, &opened, v).unwrap_err().contains("refs.0.parq"));
    }
}

/// What we write is read by ourselves here; fastparquet, fsspec and xarray read it in `tests/python`.
#[test]
fn tables_that_are_written_come_back() {
    let (_runtime, store) = store();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("refs.parq");
    for file in ["latest.h5", "classic.nc", "netcdf4.nc"] {
        let href = Href::from_path(&folder.join(file));
        let opened = store.wait(Opened::open(&store, &href)).unwrap();
        let located: Vec<_> =
            opened.meta.variables.iter().filter_map(|v| Some((v, store.wait(opened.locate(v)).ok()?))).collect();
        let pairs: Vec<kerchunk::Located<'_>> = located.iter().map(|(v, refs)| (*v, refs)).collect();
        // Each time in place of the folder before.
        let left_out = kerchunk::write_parquet(&opened.meta, &pairs, (&href, &path)).unwrap();
        let again = store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap();
        let mut seen = 0;
        for (variable, _) in located.iter().filter(|(v, _)| left_out.iter().all(|(name, _)| *name != v.name)) {
            let other = again.meta.find(&variable.name).unwrap();
            let (got, want) = (read(&store, &again, other), read(&store, &opened, variable));
            assert_eq!(got, want, "{file}: {}", variable.name);
            seen += 1;
        }
        assert!(seen > 3 && left_out.len() < seen, "{file}: {left_out:?}");
        assert_eq!(again.meta.variables.len(), seen);
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["refs.parq"]);
    // A folder of something else stays.
    std::fs::create_dir(dir.path().join("other")).unwrap();
    let opened = store.wait(Opened::open(&store, &Href::from_path(&folder.join("classic.nc")))).unwrap();
    let why =
        kerchunk::write_parquet(&opened.meta, &[], (opened.origin.href(), &dir.path().join("other"))).unwrap_err();
    assert!(why.to_string().contains("no references"), "{why}");
}

#[test]
fn templates_and_generated_references() {
    let (_runtime, store) = store();
    let all = fixture("references.json");
    let mut document = all["templates"].clone();
    let array = json!({"zarr_format": 2, "shape": [11, 2], "chunks": [1, 1], "dtype": "|u1", "order": "C",
        "fill_value": null, "filters": null, "compressor": null});
    let line = json!({"zarr_format": 2, "shape": [11], "chunks": [1], "dtype": "|u1", "order": "C",
        "fill_value": null, "filters": null, "compressor": null});
    for (name, array) in [("a", &line), ("v", &array), ("w", &line)] {
        document["refs"][format!("{name}/.zarray")] = array.clone();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("refs.json");
    std::fs::write(&path, document.to_string()).unwrap();
    let opened = store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap();
    let mut got = Map::new();
    for name in ["a", "v", "w"] {
        let refs = store.wait(opened.locate(opened.meta.find(name).unwrap())).unwrap();
        for (index, chunk) in &refs {
            let ChunkRef::Object { href, range, .. } = chunk else { continue };
            let key = index.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            let value = match range {
                Some(range) => json!([href.as_str(), range.start, range.end - range.start]),
                None => json!([href.as_str()]),
            };
            got.insert(format!("{name}/{key}"), value);
        }
    }
    assert_eq!(&got, all["rendered"].as_object().unwrap());
}

/// Shards in a pack of bytes, as ranges, whole objects and inline.
#[test]
fn shards_behind_references() {
    let (_runtime, store) = store();
    let members = fixture("zarr.json")["v3"].clone();
    let dir = tempfile::tempdir().unwrap();
    let (mut pack, mut refs) = (vec![1; 77], Map::new());
    for (i, (key, coded)) in members.as_object().unwrap().iter().enumerate() {
        let bytes = decoded(coded);
        let value = if key.ends_with("zarr.json") {
            json!(String::from_utf8(bytes).unwrap())
        } else if i % 3 == 0 {
            json!(format!("base64:{}", coded.as_str().unwrap()))
        } else if i % 3 == 1 {
            std::fs::write(dir.path().join(i.to_string()), &bytes).unwrap();
            json!([i.to_string()])
        } else {
            pack.extend_from_slice(&bytes);
            json!(["pack.bin", pack.len() - bytes.len(), bytes.len()])
        };
        refs.insert(key.clone(), value);
    }
    pack.extend_from_slice(&[1; 99]);
    std::fs::write(dir.path().join("pack.bin"), &pack).unwrap();
    std::fs::write(dir.path().join("refs.json"), json!({"version": 1, "refs": refs}).to_string()).unwrap();
    unpack(&members, &dir.path().join("store"));
    let opened = store.wait(Opened::open(&store, &Href::from_path(&dir.path().join("refs.json")))).unwrap();
    let whole = store.wait(Opened::open(&store, &Href::from_path(&dir.path().join("store")))).unwrap();
    let mut seen = 0;
    for variable in &whole.meta.variables {
        let got = read(&store, &opened, opened.meta.find(&variable.name).unwrap()).unwrap();
        assert_eq!(Ok(got), read(&store, &whole, variable), "{}", variable.name);
        seen += usize::from(variable.name.contains("shard"));
    }
    assert_eq!(seen, 4);
    // A shard that is named has to be there.
    std::fs::remove_file(dir.path().join("pack.bin")).unwrap();
    let named =
        ["sharded", "holes_sharded", "sharded_start"].map(|n| read(&store, &opened, opened.meta.find(n).unwrap()));
    assert!(named.iter().filter_map(|r| r.as_ref().err()).any(|why| why.contains("pack.bin")), "{named:?}");
}
