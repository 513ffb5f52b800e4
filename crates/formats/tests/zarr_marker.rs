//! Completion markers of Zarr arrays: a store that lost chunks is found out, and one that another program changed is read.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use outcrop_formats::zarr::{self, ArraySpec, Element, GroupWriter, StoredObjects, ZarrCompression, ZarrFormat};
use outcrop_formats::{Attrs, DType, Opened};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Object};
use serde_json::{Value, json};

const FORMATS: [(ZarrFormat, &str, &str); 2] =
    [(ZarrFormat::V2, "g/v/0.1", "g/v/1.1"), (ZarrFormat::V3, "g/v/c/0/1", "g/v/c/1/1")];

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn spec(name: &str, shard: Option<Vec<u64>>) -> ArraySpec {
    ArraySpec {
        name: name.into(),
        dims: vec!["y".into(), "x".into()],
        shape: vec![4, 4],
        chunk: vec![2, 2],
        shard,
        dtype: Element::Number(DType::Int32),
        compression: ZarrCompression::Default,
        fill: Some(7i32.to_ne_bytes().to_vec()),
        attrs: Attrs::new(),
    }
}

/// A group `g` with `v` of four chunks, the last of fill value alone, and with `s` of two shards in Zarr 3.
fn write(root: &Path, format: ZarrFormat) {
    let mut writer = GroupWriter::create(root, "g", format, &Attrs::new()).unwrap();
    writer.add_array(&spec("v", None)).unwrap();
    for (i, index) in (0i32..).zip([[0, 0], [0, 1], [1, 0], [1, 1]]) {
        writer.write_chunk("v", &index, &[if i == 3 { 7 } else { i }; 4]).unwrap();
    }
    if format == ZarrFormat::V3 {
        writer.add_array(&spec("s", Some(vec![2, 4]))).unwrap();
        for i in [0, 1] {
            writer.write_chunk("s", &[i, 0], &[3i32; 8]).unwrap();
        }
    }
    writer.finish().unwrap();
}

fn read(store: &Store, href: &Href, name: &str) -> Result<Vec<i32>, String> {
    let opened = store.wait(Opened::open(store, href)).map_err(|e| e.to_string())?;
    let refs = store.wait(opened.locate(opened.meta.find(name).unwrap())).map_err(|e| e.to_string())?;
    let bytes = store.wait(opened.read(&refs, &[0..4, 0..4])).map_err(|e| e.to_string())?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|b| i32::from_ne_bytes(*b)).collect())
}

fn objects(store: &Store, href: &Href, name: &str) -> StoredObjects {
    let opened = store.wait(Opened::open(store, href)).unwrap();
    store.wait(opened.stored_objects(opened.meta.find(name).unwrap())).unwrap().unwrap()
}

fn change(path: &Path, change: impl Fn(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    fs::write(path, document.to_string()).unwrap();
}

/// What becomes of the root's consolidated metadata when another program writes them.
fn consolidate(root: &Path, format: ZarrFormat) {
    match format {
        ZarrFormat::V2 => change(&root.join(".zmetadata"), |d| drop(d.as_object_mut().unwrap().remove("outcrop"))),
        ZarrFormat::V3 => change(&root.join("zarr.json"), |document| {
            drop(document["consolidated_metadata"].as_object_mut().unwrap().remove("outcrop"));
        }),
    }
}

const WHOLE: [i32; 16] = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 7, 7, 2, 2, 7, 7];

#[test]
fn a_chunk_that_was_written_and_is_missing_is_an_error() {
    let (_runtime, store) = store();
    for (format, chunk, filled) in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a.zarr");
        write(&root, format);
        let href = Href::from_path(&root);
        assert!(!root.join(filled).exists(), "fill value alone is not stored");
        assert_eq!(read(&store, &href, "g/v").unwrap(), WHOLE);
        let count = |found| StoredObjects { found, all: 4, sharded: false, written: Some(Ok(3)) };
        assert_eq!(objects(&store, &href, "g/v"), count(3));
        fs::remove_file(root.join(chunk)).unwrap();
        assert_eq!(objects(&store, &href, "g/v"), count(2));
        for opened in [href.clone(), Href::from_path(&root.join("g"))] {
            let name = if opened == href { "g/v" } else { "v" };
            let why = read(&store, &opened, name).unwrap_err();
            assert!(
                why.contains(chunk)
                    && why.contains("is missing")
                    && why.contains("copy the store again, or consolidate"),
                "{why}"
            );
        }
        let why = zarr::open(&store, &href).unwrap().read_f64("g/v").unwrap_err().to_string();
        assert!(why.contains(chunk), "{why}");
        // A copy without hidden files.
        fs::remove_file(root.join("g/v/.outcrop.json")).unwrap();
        let why = read(&store, &href, "g/v").unwrap_err();
        assert!(why.contains(".outcrop.json` is not there") && why.contains("consolidate"), "{why}");
        consolidate(&root, format);
        assert_eq!(read(&store, &href, "g/v").unwrap()[2], 7);
        assert_eq!(objects(&store, &href, "g/v"), StoredObjects { written: None, ..count(2) });
    }
}

/// xarray writes into an array, removes chunks that are fill value alone now, and consolidates.
#[test]
fn a_store_that_another_program_wrote_to_is_read() {
    let (_runtime, store) = store();
    for (format, chunk, _) in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), format);
        let href = Href::from_path(dir.path());
        fs::remove_file(dir.path().join(chunk)).unwrap();
        assert!(read(&store, &href, "g/v").is_err());
        consolidate(dir.path(), format);
        assert_eq!(read(&store, &href, "g/v").unwrap()[2], 7);
        assert_eq!(objects(&store, &href, "g/v").written, None);
    }
}

#[test]
fn a_missing_shard_is_an_error() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a.zarr");
    write(&root, ZarrFormat::V3);
    let href = Href::from_path(&root);
    let count = |found| StoredObjects { found, all: 2, sharded: true, written: Some(Ok(2)) };
    assert_eq!(objects(&store, &href, "g/s"), count(2));
    fs::remove_file(root.join("g/s/c/1/0")).unwrap();
    assert_eq!(objects(&store, &href, "g/s"), count(1));
    let why = read(&store, &href, "g/s").unwrap_err();
    assert!(why.contains("g/s/c/1/0") && why.contains("is missing"), "{why}");
}

#[test]
fn markers_that_cannot_be_read_are_named() {
    let (_runtime, store) = store();
    for (format, chunk, filled) in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), format);
        let href = Href::from_path(dir.path());
        let marker = dir.path().join("g/v/.outcrop.json");
        for (text, want) in [
            ("{".to_owned(), "it is damaged"),
            (json!({"outcrop_marker": 2}).to_string(), "it is of version 2, this program reads 1; use a newer one"),
        ] {
            fs::write(&marker, text).unwrap();
            // The chunk of fill value alone is not there either, and nothing says why.
            let why = read(&store, &href, "g/v").unwrap_err();
            assert!(why.contains(filled) && why.contains(want), "{why}");
            let written = objects(&store, &href, "g/v").written;
            assert!(matches!(&written, Some(Err(why)) if why.contains(want)), "{chunk}: {written:?}");
        }
    }
}

/// Another program may give the array another shape, and leaves the marker where it is.
#[test]
fn a_marker_is_of_the_array_as_it_was() {
    let (_runtime, store) = store();
    for (format, chunk, _) in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), format);
        let href = Href::from_path(dir.path());
        let (array, all) = match format {
            ZarrFormat::V2 => ("g/v/.zarray", vec![".zmetadata", "g/.zmetadata"]),
            ZarrFormat::V3 => ("g/v/zarr.json", vec![]),
        };
        for name in all {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        if format == ZarrFormat::V3 {
            for name in ["zarr.json", "g/zarr.json"] {
                change(&dir.path().join(name), |d| drop(d.as_object_mut().unwrap().remove("consolidated_metadata")));
            }
        }
        fs::remove_file(dir.path().join(chunk)).unwrap();
        // Without consolidated metadata the marker is found all the same.
        let why = read(&store, &href, "g/v").unwrap_err();
        assert!(why.contains(chunk) && why.contains("or remove `"), "{why}");
        // Attributes are not of the array as it was written.
        if format == ZarrFormat::V3 {
            change(&dir.path().join(array), |document| document["attributes"] = json!({"units": "K"}));
            assert!(read(&store, &href, "g/v").is_err());
        }
        change(&dir.path().join(array), |document| document["shape"] = json!([6, 4]));
        assert_eq!(read(&store, &href, "g/v").unwrap()[2], 7);
        assert_eq!(objects(&store, &href, "g/v").written, None);
    }
}

fn gather(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            gather(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push((name, entry.path()));
        }
    }
}

/// Over a network a marker is asked for when a chunk is not there, once, and only where the metadata name it.
#[test]
fn markers_take_one_request_where_a_chunk_is_missing() {
    let (_runtime, store) = store();
    for (format, chunk, filled) in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), format);
        let archive = Archive::start();
        let mut files = Vec::new();
        gather(dir.path(), "", &mut files);
        for (name, path) in &files {
            for store in ["whole.zarr", "cut.zarr"] {
                if store == "whole.zarr" || name != chunk {
                    archive.put(&format!("{store}/{name}"), Object::new(fs::read(path).unwrap()));
                }
            }
        }
        let href = |name: &str| Href::parse(&archive.url(name)).unwrap();
        let opened = store.wait(Opened::open(&store, &href("whole.zarr"))).unwrap();
        let refs = store.wait(opened.locate(opened.meta.find("g/v").unwrap())).unwrap();
        assert!(store.wait(opened.read(&refs, &[0..2, 0..4])).is_ok());
        assert_eq!(archive.requests("whole.zarr/g/v/.outcrop.json"), 0, "all that was asked for is there");
        assert!(
            store.wait(opened.read(&refs, &[0..4, 0..4])).is_ok()
                && store.wait(opened.read(&refs, &[0..4, 0..4])).is_ok()
        );
        assert_eq!(archive.requests("whole.zarr/g/v/.outcrop.json"), 1);
        assert!(archive.requests(&format!("whole.zarr/{filled}")) > 0);
        let why = read(&store, &href("cut.zarr"), "g/v").unwrap_err();
        assert!(why.contains(chunk), "{why}");
        let count = store.wait(opened.stored_objects(opened.meta.find("g/v").unwrap())).unwrap();
        assert_eq!(count, None, "a server without listings is not asked");
    }
}
