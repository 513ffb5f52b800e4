//! Chunk references that are kept in a file.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::{Path, PathBuf};

use outcrop_formats::{Fresh, Opened, Variable, save};
use outcrop_store::{Href, Store, StoreOptions};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn open(store: &Store, path: &Path) -> Opened {
    store.wait(Opened::open(store, &Href::from_path(path))).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bytes(store: &Store, opened: &Opened, variable: &Variable) -> Result<Vec<u8>, String> {
    let refs = store.wait(opened.locate(variable)).map_err(|e| e.to_string())?;
    let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|n| 0..*n).collect();
    store.wait(opened.read(&refs, &window)).map_err(|e| e.to_string())
}

#[test]
fn what_was_saved_opens_with_the_same_values() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|e| ["nc", "h5", "tif", "mseed"].iter().any(|known| e == *known)) {
            continue;
        }
        let opened = open(&store, &path);
        let (content, left_out) = store.wait(save(&opened)).unwrap();
        let refs = dir.path().join("file.refs");
        std::fs::write(&refs, &content).unwrap();
        let again = open(&store, &refs);
        assert_eq!(again.fresh, Fresh::Saved, "{}", path.display());
        assert_eq!(again.origin.href(), &Href::from_path(&path));
        assert_eq!(again.meta.attrs, opened.meta.attrs);
        assert_eq!(again.meta.dims, opened.meta.dims);
        let before = store.stats().local_bytes;
        for variable in &opened.meta.variables {
            if left_out.iter().any(|(name, _)| *name == variable.name) {
                assert!(again.meta.find(&variable.name).is_err());
                continue;
            }
            let other = again.meta.find(&variable.name).unwrap();
            assert_eq!((&other.dims, &other.attrs, &other.codecs), (&variable.dims, &variable.attrs, &variable.codecs));
            let (got, want) = (bytes(&store, &again, other), bytes(&store, &opened, variable));
            assert_eq!(got, want, "{}: {}", path.display(), variable.name);
        }
        assert!(store.stats().local_bytes > before);
    }
}

#[test]
fn references_of_a_file_that_has_changed_are_not_used() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    let (file, refs) = (dir.path().join("a.nc"), dir.path().join("a.refs"));
    std::fs::copy(fixtures().join("classic.nc"), &file).unwrap();
    let (content, _) = store.wait(save(&open(&store, &file))).unwrap();
    std::fs::write(&refs, &content).unwrap();
    assert_eq!(open(&store, &refs).fresh, Fresh::Saved);
    std::fs::copy(fixtures().join("cdf5.nc"), &file).unwrap();
    let again = open(&store, &refs);
    assert_eq!(again.fresh, Fresh::Outdated);
    assert!(again.meta.find("fixed_u8").is_ok(), "the new file was read");
    std::fs::remove_file(&file).unwrap();
    let why = store.wait(Opened::open(&store, &Href::from_path(&refs))).unwrap_err().to_string();
    assert!(why.contains("a.nc"), "{why}");
}

#[test]
fn damaged_references_are_refused() {
    let (_runtime, store) = store();
    let dir = tempfile::tempdir().unwrap();
    let (content, _) = store.wait(save(&open(&store, &fixtures().join("latest.h5")))).unwrap();
    let path = dir.path().join("a.refs");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        store.wait(Opened::open(&store, &Href::from_path(&path))).unwrap_err().to_string()
    };
    for at in (8..content.len()).step_by(17) {
        let mut damaged = content.clone();
        damaged[at] ^= 0x10;
        let why = refused(&damaged);
        assert!(why.contains("checksum") || why.contains("version"), "byte {at}: {why}");
    }
    for cut in [8, 10, 13, 200, content.len() - 1] {
        assert!(refused(&content[..cut]).contains("references"), "{cut}");
    }
    assert!(content.len() < 12_000, "{} bytes", content.len());
}
