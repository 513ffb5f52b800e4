//! Texts in Zarr stores that zarr-python and xarray wrote (`tests/fixtures/make_zarr_texts.py`), and copies of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
use outcrop_formats::zarr::{ZarrCompression, ZarrFormat};
use outcrop_formats::{Codec, Opened, Variable};
use outcrop_store::progress::Sink;
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zarr_texts.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(coded: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(coded.as_str().unwrap()).unwrap()
}

fn unpack(members: &Value, root: &Path) {
    for (key, coded) in members.as_object().unwrap() {
        let path = root.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes(coded)).unwrap();
    }
}

fn open(store: &Store, path: &Path) -> Opened {
    store.wait(Opened::open(store, &Href::from_path(path))).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()))
}

fn whole(variable: &Variable) -> Vec<Range<u64>> {
    variable.grid.shape.iter().map(|n| 0..*n).collect()
}

fn texts(store: &Store, opened: &Opened, name: &str, window: &[Range<u64>]) -> Result<Vec<String>, String> {
    let variable = opened.meta.find(name).map_err(|e| e.to_string())?;
    store.wait(opened.read_texts(variable, window)).map_err(|e| e.to_string())
}

#[test]
fn texts_are_those_of_zarr_python() {
    let (_runtime, store) = store();
    let fixture = fixture();
    let mut seen = 0;
    for (name, members) in fixture["stores"].as_object().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        unpack(members, dir.path());
        let opened = open(&store, dir.path());
        for (path, want) in fixture["want"][name].as_object().unwrap() {
            let what = format!("{name}: {path}");
            let variable = opened.meta.find(path).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(variable.dtype.name(), want["dtype"].as_str().unwrap(), "{what}");
            let got = texts(&store, &opened, path, &whole(variable)).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(json!(got), want["values"], "{what}");
            if let [4, 3] = variable.grid.shape[..] {
                let part: Vec<&Value> = [7, 8, 10, 11].iter().map(|at| &want["values"][*at]).collect();
                assert_eq!(json!(texts(&store, &opened, path, &[2..4, 1..3]).unwrap()), json!(part), "{what}");
                assert!(texts(&store, &opened, path, &[1..1, 0..3]).unwrap().is_empty(), "{what}");
                assert!(texts(&store, &opened, path, &[0..5, 0..3]).unwrap_err().contains("does not lie"), "{what}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn what_is_no_text_is_refused_by_name() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    for (version, name, want) in [
        ("v2", "refused_bytes", "objects by `vlen-bytes` are not supported; texts (`vlen-utf8`) are"),
        ("v2", "refused_pickle", "objects by `pickle` are not supported"),
        ("v2", "refused_objects", "objects without a filter"),
        ("v3", "refused_bytes", "variable_length_bytes"),
    ] {
        let root = dir.path().join(version);
        unpack(&fixture()["stores"][version], &root);
        let opened = open(&store, &root);
        let why = opened.meta.find(name).unwrap_err().to_string();
        assert!(why.contains(want), "{why}");
    }
    // Elements have no size: bytes of them are an error that says what to do.
    let opened = open(&store, &dir.path().join("v3"));
    let variable = opened.meta.find("sharded").unwrap();
    assert_eq!(variable.codecs[0], Codec::VlenUtf8);
    let refs = store.wait(opened.locate(variable)).unwrap();
    let why = store.wait(opened.read(&refs, &whole(variable))).unwrap_err().to_string();
    assert!(why.contains("read them as texts"), "{why}");
}

/// Behind references the same bytes are the same texts, also those held in the document.
#[test]
fn texts_behind_references_are_the_same() {
    let (_runtime, store) = store();
    let fixture = fixture();
    let dir = tempfile::tempdir().unwrap();
    let (mut pack, mut refs) = (Vec::new(), serde_json::Map::new());
    for (i, (key, coded)) in fixture["stores"]["v2"].as_object().unwrap().iter().enumerate() {
        let held = bytes(coded);
        let value = match key.rsplit('/').next().unwrap() {
            ".zarray" | ".zgroup" | ".zattrs" => json!(String::from_utf8(held).unwrap()),
            _ if i % 3 == 0 => json!(format!("base64:{}", coded.as_str().unwrap())),
            _ => {
                pack.extend_from_slice(&held);
                json!(["pack.bin", pack.len() - held.len(), held.len()])
            }
        };
        refs.insert(key.clone(), value);
    }
    std::fs::write(dir.path().join("pack.bin"), &pack).unwrap();
    let path = dir.path().join("refs.json");
    std::fs::write(&path, json!({"version": 1, "refs": refs}).to_string()).unwrap();
    let opened = open(&store, &path);
    for name in ["blosc", "zlib", "fortran", "holes", "scalar"] {
        let window = whole(opened.meta.find(name).unwrap());
        let got = texts(&store, &opened, name, &window).unwrap();
        assert_eq!(json!(got), fixture["want"]["v2"][name]["values"], "{name}");
    }
}

/// Short texts become UTF-32 of one length, long ones stay of any length; characters in NetCDF.
#[test]
fn copies_have_the_same_texts() {
    let (_runtime, store) = store();
    let fixture = fixture();
    let dir = tempfile::tempdir().unwrap();
    let zarr = |format| Target::Zarr { format, compression: ZarrCompression::Default, shards: Vec::new() };
    for source in ["xarray2", "xarray3"] {
        let root = dir.path().join(source);
        unpack(&fixture["stores"][source], &root);
        let opened = open(&store, &root);
        for (to, target) in [
            ("2.zarr", zarr(ZarrFormat::V2)),
            ("3.zarr", zarr(ZarrFormat::V3)),
            ("4.nc", Target::NetCdf4 { deflate: Some(1) }),
        ] {
            let what = format!("{source} to {to}");
            let path = dir.path().join(format!("{source}-{to}"));
            let is_zarr = matches!(target, Target::Zarr { .. });
            let options = ConvertOptions {
                target,
                policy: Policy::Raw,
                chunks: Vec::new(),
                threads: 1,
                memory: 64 << 20,
                progress: Sink::default(),
            };
            let done = convert(&opened, &Part::default(), &path, &options, &|| false).unwrap();
            assert!(done.left_out.is_empty(), "{what}: {:?}", done.left_out);
            let again = open(&store, &path);
            for name in ["note", "lang", "y"] {
                let want = &fixture["want"][source][name];
                let variable = again.meta.find(name).unwrap();
                let window = whole(variable);
                if is_zarr {
                    let kind = match name {
                        "note" => "str",
                        "lang" => "U12",
                        _ => "U1",
                    };
                    assert_eq!(variable.dtype.name(), kind, "{what}");
                    assert_eq!(json!(texts(&store, &again, name, &window).unwrap()), want["values"], "{what}");
                } else {
                    let refs = store.wait(again.locate(variable)).unwrap();
                    let bytes = store.wait(again.read(&refs, &window)).unwrap();
                    let length = usize::try_from(*variable.grid.shape.last().unwrap()).unwrap();
                    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap().trim_end_matches('\0').to_owned();
                    let got: Vec<String> = bytes.chunks(length).map(text).collect();
                    assert_eq!(json!(got), want["values"], "{what}");
                }
            }
        }
    }
}
