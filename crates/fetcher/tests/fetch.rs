//! Fetching from a local archive and over HTTP: copies, hrefs, second runs, failures.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, StreamExt};
use outcrop_fetcher::{Error, FetchOptions, FetchReport, OnConflict, Selection, Target, fetch};
use outcrop_stac::{Kind, Layout, Node, TreeWriter, WalkOptions, WriteOptions, walk};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Object};
use serde_json::{Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = StoreOptions { retries: 0, ..StoreOptions::default() };
    let store = Store::new(options, runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn content(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(20_000 + name.len()).collect()
}

/// An archive of two regions, two years, three parameters, and its catalog with hrefs below `base`.
fn archive(folder: &Path, base: &str) -> PathBuf {
    let root = json!({"type": "Catalog", "id": "c", "stac_version": "1.1.0", "description": "d", "title": "Kept"});
    let mut options = WriteOptions::new(Href::from_path(&folder.join("catalog")));
    options.layout = Layout::parse("${region}").unwrap();
    let mut writer = TreeWriter::new(root.as_object().unwrap().clone(), options).unwrap();
    std::fs::create_dir_all(folder.join("files")).unwrap();
    for region in ["na", "hi"] {
        for year in [1980, 1981] {
            let mut assets = json!({});
            for key in ["tmin", "tmax", "dayl"] {
                let name = format!("{region}_{key}_{year}.nc");
                std::fs::write(folder.join("files").join(&name), content(&name)).unwrap();
                assets[key] = json!({"href": format!("{base}/files/{name}"), "title": key});
            }
            if year == 1981 {
                assets.as_object_mut().unwrap().remove("tmax");
            }
            let item = json!({"type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": format!("{region}-{year}"),
                "geometry": null, "properties": {"datetime": "1980-01-01T00:00:00Z", "region": region}, "links": [], "assets": assets});
            writer.add(item.as_object().unwrap().clone()).unwrap();
        }
    }
    writer.finish().unwrap();
    folder.join("catalog")
}

fn items(store: &Store, catalog: &Path, only: &'static str) -> impl Stream<Item = outcrop_stac::Result<Node>> + use<> {
    walk(store, &Href::from_path(catalog), WalkOptions::default()).filter(move |node| {
        let wanted = node.as_ref().map_or(true, |n| n.document.kind() == Kind::Item && n.document.id().contains(only));
        std::future::ready(wanted)
    })
}

fn run(store: &Store, catalog: &Path, only: &'static str, options: &FetchOptions) -> FetchReport {
    store.wait(fetch(store, items(store, catalog, only), options)).unwrap()
}

fn options(keys: &[&str], to: &Path) -> FetchOptions {
    FetchOptions::new(Selection::of_keys(keys.iter().copied()), Target::Folder(Href::from_path(to)))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Answers GET for files of a folder, with `Content-Length`; counts the bytes of bodies. A name with `cut` breaks off.
fn serve(folder: PathBuf) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (folder, count) = (folder.clone(), count.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let path = folder.join(first.split(' ').nth(1).unwrap().trim_start_matches('/'));
                let Ok(body) = std::fs::read(&path) else {
                    let _ =
                        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    return;
                };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let end = if path.to_string_lossy().contains("tmax") { body.len() / 2 } else { body.len() };
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..end]));
                count.fetch_add(end as u64, Ordering::Relaxed);
            });
        }
    });
    (base, sent)
}

#[test]
fn selected_assets_are_copied_and_a_second_run_copies_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (base, sent) = serve(folder.path().to_owned());
    let catalog = archive(folder.path(), &base);
    let (_runtime, store) = store();
    let to = folder.path().join("copy");
    let options = options(&["tmin"], &to);
    let report = run(&store, &catalog, "na-", &options);
    assert_eq!((report.items, report.copied, report.skipped, report.failed.len()), (2, 2, 0, 0), "{:?}", report.failed);
    assert_eq!(std::fs::read(to.join("na/na-1980/na_tmin_1980.nc")).unwrap(), content("na_tmin_1980.nc"));
    let item = json_of(&to.join("na/na-1980/na-1980.json"));
    let digest = format!("1e20{}", blake3::hash(&content("na_tmin_1980.nc")).to_hex());
    let tmin = json!({"href": "na_tmin_1980.nc", "title": "tmin", "file:size": 20_015, "file:checksum": digest,
        "alternate": {"remote": {"href": format!("{base}/files/na_tmin_1980.nc")}}});
    assert_eq!(item["assets"]["tmin"], tmin);
    assert_eq!(item["assets"]["dayl"], json!({"href": format!("{base}/files/na_dayl_1980.nc"), "title": "dayl"}));
    assert_eq!(item["links"][1], json!({"rel": "parent", "href": "../catalog.json", "type": "application/json"}));
    assert_eq!(json_of(&to.join("catalog.json"))["title"], "Kept");
    let before = (sent.load(Ordering::Relaxed), std::fs::read(to.join("catalog.json")).unwrap());
    let again = run(&store, &catalog, "na-", &options);
    assert_eq!((again.copied, again.skipped, again.bytes), (0, 2, 0));
    assert_eq!((sent.load(Ordering::Relaxed), std::fs::read(to.join("catalog.json")).unwrap()), before);
    std::fs::write(to.join("na/na-1980/na_tmin_1980.nc"), "damaged").unwrap();
    assert_eq!(run(&store, &catalog, "na-", &options).copied, 1);
}

#[test]
fn later_fetches_extend_the_destination() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = archive(folder.path(), folder.path().to_str().unwrap());
    let (_runtime, store) = store();
    let to = folder.path().join("copy");
    run(&store, &catalog, "na-1980", &options(&["tmin"], &to));
    run(&store, &catalog, "na-1980", &options(&["dayl"], &to));
    let item = json_of(&to.join("na/na-1980/na-1980.json"));
    assert_eq!(
        (&item["assets"]["tmin"]["href"], &item["assets"]["dayl"]["href"]),
        (&json!("na_tmin_1980.nc"), &json!("na_dayl_1980.nc"))
    );
    run(&store, &catalog, "hi-1980", &options(&["dayl"], &to));
    let nodes: Vec<Node> =
        store.wait(items(&store, &to, "").collect::<Vec<_>>()).into_iter().map(Result::unwrap).collect();
    assert_eq!(nodes.len(), 2);
    // The copy is itself a source.
    let third = folder.path().join("third");
    assert_eq!(run(&store, &to, "", &options(&["dayl"], &third)).copied, 2);
}

#[test]
fn what_fails_is_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (base, _) = serve(folder.path().to_owned());
    let catalog = archive(folder.path(), &base);
    std::fs::remove_file(folder.path().join("files/hi_dayl_1981.nc")).unwrap();
    let (_runtime, store) = store();
    let to = folder.path().join("copy");
    let report = run(&store, &catalog, "hi-", &options(&["dayl", "tmax"], &to));
    let mut failed: Vec<(&str, &str)> = report.failed.iter().map(|f| (f.item.as_str(), f.asset.as_str())).collect();
    failed.sort_unstable();
    assert_eq!(report.copied, 1);
    assert_eq!(failed, [("hi-1980", "tmax"), ("hi-1981", "dayl"), ("hi-1981", "tmax")]);
    let lacking = report.failed.iter().find(|f| (f.item.as_str(), f.asset.as_str()) == ("hi-1981", "tmax")).unwrap();
    assert!(lacking.why.to_string().contains("item `hi-1981` has no asset `tmax`; it has tmin, dayl"));
    let names: Vec<String> = std::fs::read_dir(to.join("hi/hi-1980"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "nothing half-written: {names:?}");
    let item = json_of(&to.join("hi/hi-1980/hi-1980.json"));
    assert_eq!(item["assets"]["tmax"]["href"], format!("{base}/files/hi_tmax_1980.nc"));
    assert!(item["assets"]["tmax"].get("alternate").is_none());
}

#[test]
fn in_place_rewrites_the_source_and_only_its_own_asset() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = archive(folder.path(), folder.path().to_str().unwrap());
    let (_runtime, store) = store();
    let before = json_of(&catalog.join("na/na-1981/na-1981.json"));
    let options = FetchOptions::new(Selection::of_keys(["tmin"]), Target::InPlace);
    assert_eq!(run(&store, &catalog, "", &options).copied, 4);
    let after = json_of(&catalog.join("na/na-1981/na-1981.json"));
    assert_eq!(after["assets"]["tmin"]["href"], "na_tmin_1981.nc");
    assert_eq!((&after["assets"]["dayl"], &after["links"]), (&before["assets"]["dayl"], &before["links"]));
    let again = run(&store, &catalog, "", &options);
    assert_eq!((again.copied, again.skipped), (0, 4), "{:?}", again.failed);
    std::fs::remove_file(catalog.join("na/na-1981/na_tmin_1981.nc")).unwrap();
    assert_eq!(run(&store, &catalog, "", &options).copied, 1);
}

#[test]
fn twins_are_found_before_the_first_byte_and_a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = archive(folder.path(), folder.path().to_str().unwrap());
    let path = catalog.join("na/na-1980/na-1980.json");
    let mut item = json_of(&path);
    item["assets"]["tmax"]["href"] = format!("{}/other/NA_tmin_1980.nc", folder.path().display()).into();
    std::fs::write(&path, item.to_string()).unwrap();
    let (_runtime, store) = store();
    let to = folder.path().join("copy");
    let dry = FetchOptions { dry_run: true, ..options(&["tmin"], &to) };
    let report = run(&store, &catalog, "na-", &dry);
    assert_eq!((report.copied, report.bytes, to.exists()), (2, 40_030, false));
    let report = run(&store, &catalog, "na-1980", &options(&["tmin", "tmax"], &to));
    assert!(report.failed[0].why.to_string().starts_with("`tmin` and `tmax` would both be the file `na_tmin_1980.nc`"));
    let other = folder.path().join("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("catalog.json"), r#"{"type":"Catalog","id":"z","links":[]}"#).unwrap();
    let error = store.wait(fetch(&store, items(&store, &catalog, "na-"), &options(&["dayl"], &other))).unwrap_err();
    assert!(matches!(error, Error::OtherCatalog { .. }));
    let none = store.wait(fetch(&store, items(&store, &catalog, ""), &options(&[], &to)));
    assert!(matches!(none, Err(Error::NoAssets)));
}

#[test]
fn names_that_differ_in_the_form_of_an_accent_are_twins() {
    let folder = tempfile::tempdir().unwrap();
    let (base, sent) = serve(folder.path().to_owned());
    let catalog = archive(folder.path(), &base);
    let (composed, apart) = ("\u{e9}t\u{e9}.nc", "e\u{301}te\u{301}.nc");
    for name in [composed, apart] {
        std::fs::write(folder.path().join("files").join(name), content(name)).unwrap();
    }
    let path = catalog.join("na/na-1980/na-1980.json");
    let mut item = json_of(&path);
    for (key, name) in [("tmin", composed), ("dayl", apart)] {
        item["assets"][key]["href"] = folder.path().join("files").join(name).to_str().unwrap().into();
    }
    std::fs::write(&path, item.to_string()).unwrap();
    let (_runtime, store) = store();
    let report = run(&store, &catalog, "na-1980", &options(&["tmin", "dayl"], &folder.path().join("copy")));
    let why = report.failed[0].why.to_string();
    assert!(why.starts_with("`tmin` and `dayl` would both be the file"), "{why}");
    assert_eq!(sent.load(Ordering::Relaxed), 0);
    let both =
        FetchOptions { on_conflict: OnConflict::Suffix, ..options(&["tmin", "dayl"], &folder.path().join("both")) };
    assert_eq!(run(&store, &catalog, "na-1980", &both).copied, 2);
    // Items too: their folders would be one.
    for (at, id) in [("na/na-1980/na-1980.json", composed), ("na/na-1981/na-1981.json", apart)] {
        let mut item = json_of(&catalog.join(at));
        item["id"] = id.into();
        std::fs::write(catalog.join(at), item.to_string()).unwrap();
    }
    let report = run(&store, &catalog, "", &options(&["dayl"], &folder.path().join("items")));
    let failed: Vec<String> = report.failed.iter().map(|failure| failure.why.to_string()).collect();
    assert!(failed.len() == 1 && failed[0].contains(composed) && failed[0].contains(apart), "{failed:?}");
}

#[test]
fn the_run_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let (_runtime, store) = store();
    let to = Path::new("/nowhere");
    let options = options(&["a"], to);
    is_send(&fetch(&store, items(&store, to, ""), &options));
}

#[test]
fn one_request_at_once_is_enough_for_catalog_and_copies() {
    // More items than are on their way at once, and each of them, and each copy, wants the only request.
    const ITEMS: usize = 300;
    let archive = Archive::start();
    let links: Vec<Value> = (0..ITEMS).map(|n| json!({"rel": "item", "href": format!("i{n}.json")})).collect();
    let root =
        json!({"type": "Catalog", "id": "c", "stac_version": "1.1.0", "description": "d", "links": links}).to_string();
    archive.put("catalog.json", Object::new(root));
    archive.put("a.nc", Object::new(vec![7; 100]));
    for n in 0..ITEMS {
        let item = json!({"type": "Feature", "stac_version": "1.1.0", "id": format!("i{n}"), "geometry": null,
            "properties": {"datetime": "1980-01-01T00:00:00Z"}, "links": [], "assets": {"a": {"href": archive.url("a.nc")}}});
        archive.put(&format!("i{n}.json"), Object::new(item.to_string()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = StoreOptions { concurrency: 1, per_host: 1, ..StoreOptions::default() };
    let store = Store::new(options, runtime.handle().clone()).unwrap();
    let to = tempfile::tempdir().unwrap();
    let target = Target::Folder(Href::from_path(to.path()));
    let items = walk(&store, &Href::parse(&archive.url("catalog.json")).unwrap(), WalkOptions::default());
    let items =
        items.filter(|node| std::future::ready(node.as_ref().is_ok_and(|node| node.document.kind() == Kind::Item)));
    let options = FetchOptions { jobs: 64, ..FetchOptions::new(Selection::of_keys(["a"]), target) };
    let patience = std::time::Duration::from_mins(1);
    let fetching = async { tokio::time::timeout(patience, fetch(&store, items, &options)).await };
    let report = runtime.block_on(fetching).unwrap().unwrap();
    assert_eq!((report.copied, report.failures), (ITEMS as u64, 0));
}
