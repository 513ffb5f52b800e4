//! Builds that go on where the last one was: what is new, what has changed, what is gone, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use outcrop_catalog::{BuildOptions, BuildReport, Error, Recipe, Renewal, SearchOptions, Source, build, search_raw};
use outcrop_store::publish::StagedFolder;
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::Value;

struct Archive {
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
    store: Store,
    more: &'static str,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/fixtures").join(name)
}

impl Archive {
    /// An archive of so many files, and a recipe with more lines before its tables.
    fn new(files: u32, more: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("archive")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        let archive = Self { folder, _runtime: runtime, store, more };
        (0..files).for_each(|n| archive.put(n, "netcdf4.nc"));
        archive
    }

    fn file(&self, n: u32) -> PathBuf {
        self.folder.path().join(format!("archive/f_{}_{n}.nc", n % 3))
    }

    fn put(&self, n: u32, what: &str) {
        std::fs::copy(fixture(what), self.file(n)).unwrap();
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("catalog")
    }

    fn try_build(&self, options: &BuildOptions) -> Result<BuildReport, Error> {
        let text = format!(
            "id = 'c'\ndescription = 'd'\nlayout = 'p${{part}}'\n{}\n[listing]\nhref = '{}'\n[item]\nid = 'i{{part}}-{{n}}'\n\
             datetime = '2000-01-01T00:00:00Z'\nbbox = [0, 0, 1, 1]\nproperties = {{ part = '{{part}}' }}\n[assets.data]\n\
             pattern = 'f_{{part}}_{{n}}.nc'\n{}\n[headers]\nfields = ['file:size', 'bands']\n",
            if self.more.starts_with("[assets") { "" } else { self.more },
            self.folder.path().join("archive").display(),
            if self.more.starts_with("[assets") { self.more } else { "" },
        );
        let recipe = Recipe::parse("r.toml", &text).unwrap();
        self.store.wait(build(&self.store, &recipe, &Href::from_path(&self.to()), options))
    }

    fn build(&self, options: &BuildOptions) -> BuildReport {
        let report = self.try_build(options).unwrap();
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        report
    }

    /// The items by id, by a walk.
    fn walked(&self) -> BTreeMap<String, Value> {
        self.items(&SearchOptions::default())
    }

    /// The items by id, by the index.
    fn indexed(&self) -> BTreeMap<String, Value> {
        self.items(&SearchOptions { use_index: true, ..SearchOptions::default() })
    }

    fn items(&self, options: &SearchOptions) -> BTreeMap<String, Value> {
        let source = Source { href: Href::from_path(&self.to()), id: None };
        let found = self.store.wait(search_raw(&self.store, &source, options).collect::<Vec<_>>());
        let told = options.tally.told();
        assert_eq!(told.notes.iter().any(|note| note.contains("a table of")), options.use_index, "{told:?}");
        let items = found.into_iter().map(|found| {
            let item = found.unwrap().item;
            let portable: Value = serde_json::from_slice(&item.to_portable().unwrap()).unwrap();
            (item.id().into_owned(), portable)
        });
        items.collect()
    }

    /// Every file of the catalog but the state of the build.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut open = vec![self.to()];
        let mut files = BTreeMap::new();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if !path.ends_with(".outcrop-build") {
                    let name = path.strip_prefix(self.to()).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

const UPDATE: fn() -> BuildOptions = || BuildOptions { renewal: Renewal::Changed, ..BuildOptions::default() };

#[test]
fn an_update_makes_what_is_new_or_changed_and_leaves_the_rest() {
    let archive = Archive::new(12, "");
    assert_eq!(archive.build(&BuildOptions::default()).kept, 0);
    let before = archive.files();
    let report = archive.build(&UPDATE());
    assert_eq!((report.items, report.kept, report.removed), (12, 12, 0));
    assert_eq!(archive.files(), before);
    archive.put(3, "texts.nc");
    archive.put(12, "netcdf4.nc");
    std::fs::remove_file(archive.file(5)).unwrap();
    let report = archive.build(&UPDATE());
    // What is gone from the archive stays in the catalog.
    assert_eq!((report.items, report.kept), (13, 11));
    let items = archive.walked();
    assert_eq!(items.len(), 13);
    let size = |name: &str| std::fs::metadata(fixture(name)).unwrap().len();
    assert_eq!(items["i0-3"]["assets"]["data"]["file:size"], size("texts.nc"));
    assert_eq!(items["i0-6"]["assets"]["data"]["file:size"], size("netcdf4.nc"));
    let report = archive.build(&BuildOptions { renewal: Renewal::ChangedAndGone, ..UPDATE() });
    assert_eq!((report.items, report.kept, report.removed), (12, 12, 1));
    assert!(!archive.to().join("p2/i2-5").exists());
    // The same as a build from nothing.
    let updated = archive.files();
    std::fs::remove_dir_all(archive.to()).unwrap();
    archive.build(&BuildOptions::default());
    assert_eq!(archive.files(), updated);
}

#[test]
fn a_changed_recipe_makes_all_anew_and_a_failed_file_is_tried_again() {
    let mut archive = Archive::new(4, "");
    archive.build(&BuildOptions::default());
    archive.more = "title = 't'";
    assert_eq!(archive.build(&UPDATE()).kept, 0);
    std::fs::write(archive.file(1), b"no file").unwrap();
    let report = archive.try_build(&UPDATE()).unwrap();
    // The item that was there stays.
    assert_eq!((report.failed.is_empty(), report.items), (false, 4));
    assert_eq!(archive.walked().len(), 4);
    archive.put(1, "netcdf4.nc");
    assert_eq!(archive.build(&UPDATE()).items, 4);
}

#[test]
fn the_index_and_what_items_have_in_common_follow() {
    let collection = "flat = true\n[collection]\nlicense = 'MIT'\nsummaries = ['part']\nitem_assets = true\n\
                      bbox = [[0, 0, 1, 1], [5, 5, 6, 6]]";
    let archive = Archive::new(9, collection);
    archive.build(&BuildOptions { index: true, ..BuildOptions::default() });
    assert_eq!(archive.indexed(), archive.walked());
    let root = |archive: &Archive| -> Value {
        serde_json::from_slice(&std::fs::read(archive.to().join("collection.json")).unwrap()).unwrap()
    };
    let first = root(&archive);
    assert_eq!(first["summaries"]["part"], serde_json::json!(["0", "1", "2"]));
    assert_eq!(first["extent"]["spatial"]["bbox"].as_array().unwrap().len(), 3);
    assert_eq!(first["extent"]["temporal"]["interval"][0][0], "2000-01-01T00:00:00Z");
    assert_eq!(first["assets"]["items"]["roles"], serde_json::json!(["collection-mirror"]));
    assert!(first["item_assets"]["data"].get("bands").is_some());
    assert!(archive.to().join("p0/i0-0.json").exists());
    // The index is there, so it goes on without being asked for.
    archive.put(0, "texts.nc");
    archive.put(20, "netcdf4.nc");
    (0..9).filter(|n| n % 3 == 1).for_each(|n| std::fs::remove_file(archive.file(n)).unwrap());
    let report = archive.build(&BuildOptions { renewal: Renewal::ChangedAndGone, ..UPDATE() });
    assert_eq!((report.items, report.removed), (7, 3));
    assert_eq!(archive.indexed(), archive.walked());
    assert_eq!(root(&archive)["summaries"]["part"], serde_json::json!(["0", "2"]));
    // One that is of another state is made anew.
    std::fs::write(archive.to().join("items.parquet"), b"nothing").unwrap();
    archive.build(&UPDATE());
    assert_eq!(archive.indexed(), archive.walked());
}

#[test]
fn an_interrupted_build_goes_on_with_what_is_whole() {
    let mut archive = Archive::new(10, "");
    archive.build(&BuildOptions::default());
    let whole = archive.files();
    // As a killed build leaves it: hidden, with a log, and a document that was cut.
    let hidden = archive.folder.path().join(".catalog.outcrop.part");
    std::fs::rename(archive.to(), &hidden).unwrap();
    std::fs::rename(hidden.join(".outcrop-build"), hidden.join(".outcrop-build.log")).unwrap();
    std::fs::write(hidden.join("stray.json"), b"{}").unwrap();
    std::fs::write(hidden.join("p1/i1-4/i1-4.json"), b"").unwrap();
    std::fs::remove_file(hidden.join("p2/i2-8/i2-8.json")).unwrap();
    std::fs::remove_file(archive.file(9)).unwrap();
    let report = archive.build(&BuildOptions::default());
    assert_eq!((report.items, report.kept), (9, 7));
    // What the archive has no more does not come with it.
    assert!(!archive.to().join("p0/i0-9").exists());
    archive.put(9, "netcdf4.nc");
    archive.build(&UPDATE());
    std::fs::remove_file(archive.to().join("stray.json")).unwrap();
    assert_eq!(archive.files(), whole);
    assert!(!hidden.exists());
    // What a build of another recipe left is none of it.
    std::fs::rename(archive.to(), &hidden).unwrap();
    std::fs::rename(hidden.join(".outcrop-build"), hidden.join(".outcrop-build.log")).unwrap();
    std::fs::write(hidden.join("stray.json"), b"{}").unwrap();
    archive.more = "title = 'other'";
    assert_eq!(archive.build(&BuildOptions::default()).kept, 0);
    assert!(!archive.to().join("stray.json").exists());
}

#[test]
fn a_second_build_is_told_that_the_first_runs() {
    let archive = Archive::new(1, "");
    let held = StagedFolder::open(&archive.to()).unwrap().unwrap();
    let error = archive.try_build(&BuildOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    drop(held);
    archive.build(&BuildOptions::default());
    let held = StagedFolder::open(&archive.to()).unwrap().unwrap();
    assert!(matches!(archive.try_build(&UPDATE()), Err(Error::Busy { .. })));
    drop(held);
}

#[test]
fn an_item_that_was_whole_loses_no_asset_and_a_document_that_is_missing_is_made_again() {
    let archive = Archive::new(3, "[assets.more]\npattern = 'g_{part}_{n}.nc'");
    let more = |n: u32| archive.folder.path().join(format!("archive/g_{}_{n}.nc", n % 3));
    let (zero, one) = (more(0), more(1));
    for path in [&zero, &one] {
        std::fs::copy(fixture("netcdf4.nc"), path).unwrap();
    }
    archive.build(&BuildOptions::default());
    let before = archive.walked();
    assert_eq!(before["i0-0"]["assets"].as_object().unwrap().len(), 2);
    std::fs::write(&zero, b"no file any more").unwrap();
    let report = archive.try_build(&UPDATE()).unwrap();
    assert_eq!((report.failed.len(), report.kept), (1, 3));
    assert_eq!(archive.walked(), before);
    std::fs::copy(fixture("netcdf4.nc"), &zero).unwrap();
    std::fs::remove_file(archive.to().join("p1/i1-1/i1-1.json")).unwrap();
    archive.build(&UPDATE());
    assert_eq!(archive.walked(), before);
}

#[test]
fn what_goes_takes_its_own_references_and_no_others() {
    let archive = Archive::new(3, "flat = true");
    let options = |renewal| BuildOptions { references: true, renewal, ..BuildOptions::default() };
    archive.build(&options(Renewal::All));
    let at = |name: &str| archive.to().join(name);
    assert!(at("p0/i0-0.data.refs").exists() && at("p1/i1-1.data.refs").exists());
    // Of another item, whose id begins alike.
    std::fs::write(at("p0/i0-0.x.data.refs"), b"of i0-0.x").unwrap();
    std::fs::remove_file(archive.file(0)).unwrap();
    assert_eq!(archive.build(&options(Renewal::ChangedAndGone)).removed, 1);
    assert!(!at("p0/i0-0.json").exists() && !at("p0/i0-0.data.refs").exists());
    assert!(at("p0/i0-0.x.data.refs").exists() && at("p1/i1-1.data.refs").exists());
}
