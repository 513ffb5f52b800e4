//! Zarr stores that zarr-python wrote (`tests/fixtures/make_zarr.py`), read as variables with chunk references.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use outcrop_formats::{AttrValue, ChunkRef, Opened, Variable, cf::Decoding, kerchunk};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Map, Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn fixtures() -> Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zarr.json");
    serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap().as_object().unwrap().clone()
}

fn unpack(store: &Value, root: &Path) {
    for (key, coded) in store.as_object().unwrap() {
        let path = root.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(coded.as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn values(store: &Store, opened: &Opened, variable: &Variable) -> Vec<f64> {
    let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|n| 0..*n).collect();
    let refs = store.wait(opened.locate(variable)).unwrap_or_else(|e| panic!("{}: {e}", variable.name));
    let bytes = store.wait(opened.read(&refs, &window)).unwrap_or_else(|e| panic!("{}: {e:?}", variable.name));
    let mut plain = variable.clone();
    plain.attrs.clear();
    Decoding::of(&plain).to_f64(&bytes)
}

fn check(store: &Store, opened: &Opened, label: &str) -> usize {
    assert_eq!(opened.meta.attrs.get("title"), Some(&AttrValue::Text("fixture".into())), "{label}");
    let mut seen = 0;
    for variable in &opened.meta.variables {
        let name = variable.name.as_str();
        let got = values(store, opened, variable);
        let want: Vec<f64> = match name {
            "when" => vec![0.0, 86400.0, 2f64.powi(40)],
            "scalar" => vec![42.0],
            _ => (0..77)
                .map(|i| if name.starts_with("holes") && i < 28 { -5.0 } else { f64::from((i * 7 + 3) % 101) })
                .collect(),
        };
        assert_eq!(outcrop_testkit::difference(&got, &want, 0.0, 0.0), None, "{label}: {name}");
        seen += 1;
    }
    let f4 = opened.meta.find("f4").unwrap();
    assert_eq!(f4.dims, ["lat", "größe"]);
    assert_eq!(f4.attrs.get("units"), Some(&AttrValue::Text("K".into())));
    let when = opened.meta.find("when").unwrap();
    assert_eq!(when.attrs.get("units"), Some(&AttrValue::Text("seconds since 1970-01-01".into())));
    assert!(opened.meta.find("sub/nested").is_ok());
    seen
}

#[test]
fn every_array_has_its_values() {
    let (_runtime, store) = store();
    for (name, members) in &fixtures() {
        let dir = tempfile::tempdir().unwrap();
        unpack(members, dir.path());
        let opened = store.wait(Opened::open(&store, &Href::from_path(dir.path()))).unwrap();
        let seen = check(&store, &opened, name);
        assert!(seen > 18, "{name}: {seen}");
        assert!(opened.meta.refused.is_empty(), "{name}: {:?}", opened.meta.refused);
    }
}

#[test]
fn a_document_of_references_is_a_store() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    // All chunks in one file, with references to ranges of it; two are held in the document, one template is used.
    let (mut pack, mut refs) = (Vec::new(), Map::new());
    for (i, (key, coded)) in fixtures()["v2"].as_object().unwrap().iter().enumerate() {
        let coded = coded.as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(coded).unwrap();
        let value = match key.rsplit('/').next().unwrap() {
            ".zmetadata" => continue,
            ".zarray" | ".zgroup" | ".zattrs" => json!(String::from_utf8(bytes).unwrap()),
            _ if i % 9 == 0 => json!(format!("base64:{coded}")),
            _ => {
                pack.extend_from_slice(&bytes);
                json!(["{{u}}.bin", pack.len() - bytes.len(), bytes.len()])
            }
        };
        refs.insert(key.clone(), value);
    }
    std::fs::write(dir.path().join("pack.bin"), &pack).unwrap();
    let path = dir.path().join("refs.json");
    let document = json!({"version": 1, "templates": {"u": "pack"}, "refs": refs});
    std::fs::write(&path, document.to_string()).unwrap();
    let opened = store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap();
    assert!(check(&store, &opened, "references") > 18);
    // What is named but not there is an error, not a fill value.
    std::fs::remove_file(dir.path().join("pack.bin")).unwrap();
    let opened = store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap();
    let refs = store.wait(opened.locate(opened.meta.find("plain").unwrap())).unwrap();
    let why = store.wait(opened.read(&refs, &[0..11, 0..7])).unwrap_err().to_string();
    assert!(why.contains("pack.bin"), "{why}");
}

/// Chunks side by side in an object become one request; a gap above 64 KiB is not bridged.
#[test]
fn ranges_of_one_object_are_joined() {
    let (_runtime, store) = store();
    let archive = outcrop_testkit::Archive::start();
    let zarray = json!({"zarr_format": 2, "shape": [20], "chunks": [1], "dtype": "<i2", "order": "C", "fill_value": 0,
        "filters": null, "compressor": null});
    let mut refs = Map::new();
    refs.insert(".zgroup".to_owned(), json!({"zarr_format": 2}));
    refs.insert("v/.zarray".to_owned(), zarray);
    let (mut one, mut two) = (vec![0; 400_000], vec![0; 100]);
    for i in 0..20u16 {
        let at = usize::from(i) * 10 + if i < 8 { 0 } else { 300_000 };
        let (object, name, at) =
            if i < 16 { (&mut one, "one", at) } else { (&mut two, "two", usize::from(i - 16) * 2) };
        object[at..at + 2].copy_from_slice(&(i * 3).to_le_bytes());
        refs.insert(format!("v/{i}"), json!([archive.url(name), at, 2]));
    }
    archive.put("one", outcrop_testkit::Object::new(one));
    archive.put("two", outcrop_testkit::Object::new(two));
    let document = json!({"version": 1, "refs": refs}).to_string();
    archive.put("refs.json", outcrop_testkit::Object::new(document.clone()));
    let opened = store.wait(Opened::open(&store, &Href::parse(&archive.url("refs.json")).unwrap())).unwrap();
    let variable = opened.meta.find("v").unwrap();
    assert_eq!(values(&store, &opened, variable), (0..20).map(|i| f64::from(i * 3)).collect::<Vec<_>>());
    // Each object once for its size, then its ranges: two of the first, one of the second.
    assert_eq!((archive.requests("one"), archive.requests("two")), (3, 2));
    assert_eq!(values(&store, &opened, variable).len(), 20);
    assert_eq!((archive.requests("one"), archive.requests("two")), (5, 3));
}

#[test]
fn what_is_no_document_of_references_is_refused() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("refs.json");
    let group = json!({"zarr_format": 2}).to_string();
    for (document, want) in [
        (json!({"refs": {".zgroup": group, "a/0": ["{{u}}", 0, 1]}}), "there is no `u`"),
        (json!({"refs": {".zgroup": group, "a/0": ["u", u64::MAX, 1]}}), "64 bits"),
        (json!({"refs": {".zgroup": group, "a/0": 7}}), "neither"),
        (json!({"refs": {".zgroup": "{"}}), "no JSON"),
        (json!({"refs": {"a": ["b"]}}), "no metadata"),
        (json!({"refs": {".zgroup": group}, "gen": [{}]}), "gen"),
    ] {
        std::fs::write(&path, document.to_string()).unwrap();
        let why = store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap_err().to_string();
        assert!(why.contains(want), "{why}");
    }
}

/// What we write is read by ourselves here; xarray reads it in `tests/python`.
#[test]
fn references_to_files_come_back() {
    let (_runtime, store) = store();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let dir = tempfile::tempdir().unwrap();
    for file in ["earliest.h5", "latest.h5", "classic.nc", "cdf5.nc", "netcdf4.nc", "userblock.h5"] {
        let href = Href::from_path(&folder.join(file));
        let opened = store.wait(Opened::open(&store, &href)).unwrap();
        let located: Vec<_> =
            opened.meta.variables.iter().filter_map(|v| Some((v, store.wait(opened.locate(v)).ok()?))).collect();
        let pairs: Vec<kerchunk::Located<'_>> = located.iter().map(|(v, refs)| (*v, refs)).collect();
        let (document, left_out) = kerchunk::export(&opened.meta, &pairs, &href);
        let path = dir.path().join("refs.json");
        std::fs::write(&path, document.to_string()).unwrap();
        let again = store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap();
        let mut seen = 0;
        for (variable, _) in &located {
            if left_out.iter().any(|(name, _)| *name == variable.name) {
                continue;
            }
            let other = again.meta.find(&variable.name).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!((other.dtype, &other.grid.shape), (variable.dtype, &variable.grid.shape), "{file}");
            let (got, want) = (values(&store, &again, other), values(&store, &opened, variable));
            assert_eq!(outcrop_testkit::difference(&got, &want, 0.0, 0.0), None, "{file}: {}", variable.name);
            seen += 1;
        }
        let names: Vec<&str> = left_out.iter().map(|(name, _)| name.as_str()).collect();
        assert!(seen > 0 && names.iter().all(|n| ["masked", "texts", "vlen"].contains(n)), "{file}: {left_out:?}");
    }
}

#[test]
fn shards_are_located_by_their_indexes() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    unpack(&fixtures()["v3"], dir.path());
    let opened = store.wait(Opened::open(&store, &Href::from_path(dir.path()))).unwrap();
    let variable = opened.meta.find("sharded").unwrap();
    assert_eq!(variable.grid.chunk, [2, 3]);
    let refs = store.wait(opened.locate(variable)).unwrap();
    let (index, chunk) = refs.iter().nth(5).unwrap();
    let ChunkRef::Object { href, range: Some(range), .. } = chunk else { panic!("{chunk:?}") };
    assert_eq!(index, [1, 2]);
    assert!(href.as_str().ends_with("sharded/c/0/1") && range.end > range.start, "{href} {range:?}");
    // A damaged index is seen by its checksum; a cut shard by its length.
    let path = dir.path().join("sharded/c/0/1");
    let whole = std::fs::read(&path).unwrap();
    for (bytes, want) in [(whole[..whole.len() - 1].to_vec(), "checksum"), (whole[..20].to_vec(), "truncated")] {
        std::fs::write(&path, bytes).unwrap();
        let why = store.wait(opened.locate(variable)).unwrap_err().to_string();
        assert!(why.contains(want), "{why}");
    }
}

/// xarray writes the `_FillValue` of floats in Zarr 3 as a double in base64.
#[test]
fn missing_values_of_zarr_three_as_xarray_writes_them() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    let fill = base64::engine::general_purpose::STANDARD.encode((-9999f64).to_le_bytes());
    let array = json!({
        "zarr_format": 3, "node_type": "array", "shape": [3], "data_type": "float32", "fill_value": 0.0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3]}},
        "chunk_key_encoding": {"name": "default"}, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {"_FillValue": fill}, "dimension_names": ["x"],
    });
    std::fs::create_dir_all(dir.path().join("v/c")).unwrap();
    std::fs::write(dir.path().join("zarr.json"), json!({"zarr_format": 3, "node_type": "group"}).to_string()).unwrap();
    std::fs::write(dir.path().join("v/zarr.json"), array.to_string()).unwrap();
    let values = [1f32, -9999.0, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(dir.path().join("v/c/0"), values).unwrap();
    let opened = store.wait(Opened::open(&store, &Href::from_path(dir.path()))).unwrap();
    let variable = opened.meta.find("v").unwrap();
    let refs = store.wait(opened.locate(variable)).unwrap();
    let bytes = store.wait(opened.read(&refs, std::slice::from_ref(&(0..3)))).unwrap();
    let got = Decoding::of(variable).to_f64(&bytes);
    assert!(got[0] == 1.0 && got[1].is_nan() && got[2] == 0.0, "{got:?}");
}
