//! Copies to buckets and WebDAV servers: one suite for all of them, then what goes wrong on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use outcrop_fetcher::{FetchOptions, FetchReport, LEDGER, Selection, State, Target, Told, check, fetch};
use outcrop_stac::{Kind, Node, WalkOptions, walk};
use outcrop_store::progress::Sink;
use outcrop_store::{Environment, Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Deed, Depot, Fault, Object, Times, Trouble};
use serde_json::{Value, json};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
/// Two whole parts and a bit.
const LARGE: usize = 20 * MIB + 77;
const SMALL: usize = 5000;
const JOURNAL: &str = ".outcrop-fetch.journal";

fn content(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from((i / 977 + seed) % 251).unwrap()).collect()
}

fn names(id: &str) -> [(String, usize); 3] {
    [(format!("{id}.nc"), SMALL), (format!("{id}_large.nc"), LARGE), (format!("{id} é+b.txt"), 0)]
}

/// A source with two items of three assets, and a place to copy to.
struct Bench {
    archive: Archive,
    store: Store,
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(depot: &Depot) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, runtime) = store(depot, &folder.path().join("state"));
        let bench = Self { archive: Archive::start(), store, folder, runtime };
        let links = ["a", "b"].map(|id| json!({"rel": "item", "href": format!("{id}/{id}.json")}));
        let catalog =
            json!({"type": "Catalog", "id": "c", "stac_version": "1.1.0", "description": "d", "links": links});
        bench.write("catalog.json", &catalog);
        for id in ["a", "b"] {
            bench.item(id, |assets, key, name, bytes| {
                bench.archive.put(&escaped(name), Object::new(bytes));
                assets[key] = json!({"href": bench.archive.url(&escaped(name))});
            });
        }
        bench
    }

    fn item(&self, id: &str, mut each: impl FnMut(&mut Value, &str, &str, Vec<u8>)) {
        let mut assets = json!({});
        for (at, (name, size)) in names(id).iter().enumerate() {
            each(&mut assets, ["small", "large", "empty"][at], name, content(at, *size));
        }
        let item = json!({"type": "Feature", "stac_version": "1.1.0", "id": id, "geometry": null, "links": [],
            "properties": {"datetime": "1980-01-01T00:00:00Z"}, "assets": assets});
        self.write(&format!("{id}/{id}.json"), &item);
    }

    fn write(&self, name: &str, document: &Value) {
        let path = self.folder.path().join("source").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, document.to_string()).unwrap();
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source/catalog.json")
    }

    fn fetch(&self, to: &str) -> outcrop_fetcher::Result<FetchReport> {
        self.fetch_keys(to, &["*"])
    }

    fn fetch_keys(&self, to: &str, keys: &[&str]) -> outcrop_fetcher::Result<FetchReport> {
        let target = Target::Folder(Href::parse(to).unwrap().as_folder());
        let options = FetchOptions::new(Selection::of_keys(keys.iter().copied()), target);
        self.run(&self.source(), &options)
    }

    fn run(&self, from: &Path, options: &FetchOptions) -> outcrop_fetcher::Result<FetchReport> {
        let items = walk(&self.store, &Href::from_path(from), WalkOptions::default());
        let items =
            items.filter(|node| std::future::ready(node.as_ref().is_ok_and(|n| n.document.kind() == Kind::Item)));
        self.runtime.block_on(fetch(&self.store, items, options))
    }

    /// The catalog as it is read back there.
    fn read(&self, root: &str) -> Vec<Node> {
        let root = Href::parse(&format!("{root}/catalog.json")).unwrap();
        let nodes = self.runtime.block_on(walk(&self.store, &root, WalkOptions::default()).collect::<Vec<_>>());
        nodes.into_iter().map(Result::unwrap).filter(|node| node.document.kind() == Kind::Item).collect()
    }
}

fn escaped(name: &str) -> String {
    name.replace(' ', "%20").replace('é', "%C3%A9")
}

fn store(depot: &Depot, state: &Path) -> (Store, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let pairs = [
        ("AWS_ENDPOINT_URL", depot.url("")),
        ("AWS_ACCESS_KEY_ID", "a".into()),
        ("AWS_SECRET_ACCESS_KEY", "b".into()),
        ("STORAGE_EMULATOR_HOST", depot.url("")),
        ("AZURE_STORAGE_ACCOUNT", "own".into()),
        ("AZURE_STORAGE_KEY", "a2V5".into()),
        ("AZURE_STORAGE_ENDPOINT", depot.url("")),
        ("OUTCROP_STATE", state.display().to_string()),
    ];
    let options = StoreOptions {
        retries: 2,
        retry_wait_cap: Duration::from_millis(20),
        read_timeout: Duration::from_secs(5),
        environment: pairs.into_iter().collect::<Environment>(),
        ..StoreOptions::default()
    };
    (Store::new(options, runtime.handle().clone()).unwrap(), runtime)
}

/// Where each kind of destination is, and the path of it in the depot.
fn places(depot: &Depot) -> [(String, &'static str); 4] {
    [
        ("s3://bucket/deep/x".into(), "bucket/deep/x"),
        ("gs://bucket/deep/x".into(), "bucket/deep/x"),
        ("az://bucket/deep/x".into(), "bucket/deep/x"),
        (depot.url("dav/deep/x"), "dav/deep/x"),
    ]
}

fn depot_for(at: usize, decide: impl Fn(&Deed, usize) -> Option<Trouble> + Send + Sync + 'static) -> Depot {
    if at == 3 { Depot::webdav(decide) } else { Depot::with_trouble(decide) }
}

/// All copies are whole under their names, nothing else is there, and the catalog resolves to them.
fn assert_whole(bench: &Bench, depot: &Depot, root: &str, path: &str) {
    let mut want: Vec<String> = vec![JOURNAL.into(), LEDGER.into(), "catalog.json".into()];
    for id in ["a", "b"] {
        want.push(format!("{id}/{id}.json"));
        for (at, (name, size)) in names(id).iter().enumerate() {
            // A copy is named after its href, which is escaped; a bucket's key is the name as it is.
            let name = if root.starts_with("http") { name.clone() } else { escaped(name) };
            want.push(format!("{id}/{name}"));
            let bytes =
                depot.get(&format!("{path}/{id}/{name}")).unwrap_or_else(|| panic!("{name}: {:?}", depot.paths()));
            assert!(bytes == content(at, *size), "{name}");
        }
    }
    want.sort();
    let mut found: Vec<String> = depot.paths().iter().map(|name| name[path.len() + 1..].to_owned()).collect();
    found.retain(|name| name != ".outcrop-fetch.lease");
    found.sort();
    assert_eq!(found, want);
    assert_eq!(depot.unfinished(), 0, "an upload was left: {root}");
    let items = bench.read(root);
    assert_eq!(items.len(), 2);
    for node in &items {
        for (key, asset) in node.document.assets() {
            let href = node.document.resolve(asset["href"].as_str().unwrap()).unwrap();
            assert!(href.as_str().starts_with(root), "{href}");
            let size = bench.runtime.block_on(bench.store.head(&href, 1)).unwrap().0.size;
            assert_eq!(asset["file:size"], size, "{key}");
            assert!(asset["alternate"]["remote"]["href"].as_str().unwrap().starts_with("http://"));
        }
    }
}

#[test]
fn copies_go_to_each_kind_of_place_and_are_found_again() {
    for at in 0..4 {
        let depot = depot_for(at, |_, _| None);
        let (root, path) = places(&depot)[at].clone();
        let bench = Bench::new(&depot);
        let report = bench.fetch(&root).unwrap();
        assert_eq!((report.copied, report.failures, report.items), (6, 0, 2), "{root} {:?}", report.failed);
        assert_whole(&bench, &depot, &root, path);
        // Again, and again on another machine: nothing is copied.
        let asked = bench.archive.log().len();
        for forget in [false, true] {
            if forget {
                std::fs::remove_dir_all(bench.folder.path().join("state")).unwrap();
            }
            let report = bench.fetch(&root).unwrap();
            assert_eq!((report.copied, report.skipped, report.failures), (0, 6, 0), "{root}");
        }
        assert_eq!(bench.archive.log().len(), asked);
        // What was changed or lost there is copied again.
        let name = escaped("a.nc");
        depot.put(&format!("{path}/a/{name}"), content(9, SMALL));
        let report = bench.fetch(&root).unwrap();
        assert_eq!((report.copied, report.skipped), (1, 5), "{root}");
        assert_whole(&bench, &depot, &root, path);
    }
}

#[test]
fn what_is_there_is_held_against_its_digests() {
    let depot = Depot::start();
    let bench = Bench::new(&depot);
    bench.fetch("s3://bucket/x").unwrap();
    let checked = || {
        let root = Href::parse("s3://bucket/x/catalog.json").unwrap();
        let items = walk(&bench.store, &root, WalkOptions::default());
        let items =
            items.filter(|node| std::future::ready(node.as_ref().is_ok_and(|n| n.document.kind() == Kind::Item)));
        bench.runtime.block_on(check(&bench.store, items, &Sink::default()))
    };
    let all = checked();
    assert_eq!((all.items, all.right, all.failed.len()), (2, 6, 0));
    let mut bytes = depot.get("bucket/x/a/a_large.nc").unwrap();
    bytes[LARGE / 2] ^= 1;
    depot.put("bucket/x/a/a_large.nc", bytes);
    let all = checked();
    assert_eq!((all.right, all.failed.len()), (5, 1));
    assert!(all.failed[0].why.to_string().contains("is damaged"), "{}", all.failed[0].why);
}

#[test]
fn a_catalog_there_is_extended() {
    for at in [0, 3] {
        let depot = depot_for(at, |_, _| None);
        let (root, path) = places(&depot)[at].clone();
        let bench = Bench::new(&depot);
        bench.fetch_keys(&root, &["small"]).unwrap();
        let report = bench.fetch_keys(&root, &["large", "empty"]).unwrap();
        assert_eq!((report.copied, report.failures), (4, 0));
        assert_whole(&bench, &depot, &root, path);
    }
}

#[test]
fn servers_that_fail_now_and_then_get_whole_copies_all_the_same() {
    for at in 0..4 {
        for trouble in [Trouble::Status(503), Trouble::Reset, Trouble::LostAnswer] {
            // Each fourth request that writes. Of an upload whose id was lost with the answer nobody can know, and a lost answer to MOVE
            // cannot be told from a failure.
            let is_told = move |deed: &Deed| {
                trouble != Trouble::LostAnswer || !(deed.target.contains("?uploads") || deed.method == "MOVE")
            };
            let count = Arc::new(AtomicUsize::new(0));
            let depot = depot_for(at, move |deed, _| {
                let is_due = deed.method != "GET" && is_told(deed) && count.fetch_add(1, Ordering::Relaxed) % 4 == 1;
                is_due.then_some(trouble)
            });
            let (root, path) = places(&depot)[at].clone();
            let bench = Bench::new(&depot);
            let mut report = bench.fetch(&root).unwrap();
            for _ in 0..5 {
                if report.failures == 0 {
                    break;
                }
                report = bench.fetch(&root).unwrap();
            }
            assert_eq!(report.failures, 0, "{root} {trouble:?} {:?}", report.failed);
            assert_whole(&bench, &depot, &root, path);
        }
    }
}

#[test]
fn a_source_that_breaks_off_is_gone_on_with() {
    for at in 0..4 {
        let depot = depot_for(at, |_, _| None);
        let (root, path) = places(&depot)[at].clone();
        let bench = Bench::new(&depot);
        let object = Object::new(content(1, LARGE)).with_fault(Fault::Cut(9 * MIB), Times::First(2));
        bench.archive.put("a_large.nc", object);
        let report = bench.fetch(&root).unwrap();
        assert_eq!((report.copied, report.failures), (6, 0), "{root} {:?}", report.failed);
        assert_whole(&bench, &depot, &root, path);
        let asked = bench.archive.log();
        let from: Vec<_> =
            asked.iter().filter(|r| r.target == "/a_large.nc").map(|r| r.range().map_or(0, |r| r.0)).collect();
        assert_eq!(from, [0, 9 * MIB, 18 * MIB], "nothing comes twice");
    }
}

#[test]
fn bytes_that_are_not_those_of_the_catalog_do_not_appear() {
    for at in 0..4 {
        let depot = depot_for(at, |_, _| None);
        let (root, path) = places(&depot)[at].clone();
        let bench = Bench::new(&depot);
        // A multihash of SHA-256 that is not theirs.
        let wrong = format!("1220{}", "ab".repeat(32));
        bench.item("a", |assets, key, name, _| {
            assets[key] = json!({"href": bench.archive.url(&escaped(name)), "file:checksum": wrong});
        });
        let report = bench.fetch(&root).unwrap();
        assert_eq!((report.copied, report.failures), (3, 3), "{root}");
        assert!(report.failed.iter().all(|failed| failed.why.to_string().contains("is damaged")));
        // An upload is given up in the background.
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while depot.unfinished() > usize::from(at == 2) && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Blocks of Azure that no list names are dropped by the service.
        assert!(depot.unfinished() <= usize::from(at == 2), "{root}");
        let left: Vec<String> =
            depot.paths().into_iter().filter(|name| name.starts_with(&format!("{path}/a/"))).collect();
        let hidden = |name: &&String| name.contains("/.") && name.ends_with(".part");
        let seen: Vec<_> = left.iter().filter(|name| !hidden(name)).collect();
        assert_eq!(seen, [&format!("{path}/a/a.json")], "{root}");
    }
}

#[test]
fn a_place_that_loses_bytes_is_found_out() {
    // The part of a large object, and a file of WebDAV, lose their last byte; a digest tells.
    for at in [0, 3] {
        let depot =
            depot_for(at, |deed, _| (deed.method == "PUT" && deed.target.contains("large")).then_some(Trouble::Short));
        let root = places(&depot)[at].0.clone();
        let bench = Bench::new(&depot);
        let report = bench.fetch_keys(&root, &["large"]).unwrap();
        assert_eq!((report.copied, report.failures), (0, 2), "{root}");
    }
    // One that changes them is caught where it tells a digest of what it has.
    let depot = Depot::webdav(|_, _| None);
    let bench = Bench::new(&depot);
    let root = places(&depot)[3].0.clone();
    bench.fetch_keys(&root, &["small"]).unwrap();
    let told = |deed: &Deed| deed.headers.iter().any(|(name, _)| name == "want-digest");
    assert!(depot.deeds().iter().any(told), "it is asked for the digest of what it took");
}

#[test]
fn a_place_that_may_not_be_written_is_told_before_the_first_byte() {
    for (at, status) in [(0, 403), (1, 403), (2, 403), (3, 403), (3, 405), (0, 404)] {
        let depot = depot_for(at, move |deed, _| (deed.method != "GET").then_some(Trouble::Status(status)));
        let root = places(&depot)[at].0.clone();
        let bench = Bench::new(&depot);
        let error = bench.fetch(&root).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write `{root}/{JOURNAL}`")), "{error}");
        assert!(error.contains(&status.to_string()), "{error}");
        assert_eq!(bench.archive.log().len(), 0, "nothing was read for nothing");
    }
}

#[test]
fn within_one_service_the_bytes_stay_there() {
    let depot = Depot::start();
    let bench = Bench::new(&depot);
    bench.item("a", |assets, key, name, bytes| {
        depot.put(&format!("other/in/{name}"), bytes);
        assets[key] = json!({"href": format!("s3://other/in/{name}")});
    });
    let report = bench.fetch("s3://bucket/x").unwrap();
    assert_eq!((report.copied, report.failures), (6, 0), "{:?}", report.failed);
    for (at, (name, size)) in names("a").iter().enumerate() {
        assert!(depot.get(&format!("bucket/x/a/{name}")).unwrap() == content(at, *size), "{name}");
    }
    let whole = |deed: &&Deed| {
        deed.method == "GET"
            && deed.target.starts_with("/other/")
            && !deed.headers.iter().any(|(name, _)| name == "range")
    };
    // Of an object of no bytes the first one cannot be asked for.
    assert!(depot.deeds().iter().filter(whole).all(|deed| deed.target.contains("txt")), "no bytes were read");
    let copied = depot.deeds().iter().filter(|d| d.headers.iter().any(|(name, _)| name == "x-amz-copy-source")).count();
    assert_eq!(copied, 3);
    // Where the catalog knows a digest that the store does not tell, the bytes are read.
    let digest = format!("1220{}", "ab".repeat(32));
    bench.item("b", |assets, key, name, bytes| {
        depot.put(&format!("other/in/{name}"), bytes);
        assets[key] = json!({"href": format!("s3://other/in/{name}"), "file:checksum": digest});
    });
    let report = bench.fetch("s3://bucket/y").unwrap();
    assert_eq!((report.copied, report.failures), (3, 3));
}

#[test]
fn a_catalog_of_a_bucket_is_changed_in_place() {
    let depot = Depot::start();
    let bench = Bench::new(&depot);
    for name in ["catalog.json", "a/a.json", "b/b.json"] {
        depot.put(&format!("bucket/in/{name}"), std::fs::read(bench.folder.path().join("source").join(name)).unwrap());
    }
    let told = Arc::new(AtomicUsize::new(0));
    let seen = told.clone();
    let mut options = FetchOptions::new(Selection::of_keys(["small"]), Target::InPlace);
    options.told = Told::new(move |line| {
        assert_eq!(line.state, State::Done);
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let root = Href::parse("s3://bucket/in/catalog.json").unwrap();
    let items = walk(&bench.store, &root, WalkOptions::default());
    let items = items.filter(|node| std::future::ready(node.as_ref().is_ok_and(|n| n.document.kind() == Kind::Item)));
    let report = bench.runtime.block_on(fetch(&bench.store, items, &options)).unwrap();
    assert_eq!((report.copied, report.failures, told.load(Ordering::Relaxed)), (2, 0, 2), "{:?}", report.failed);
    let item: Value = serde_json::from_slice(&depot.get("bucket/in/a/a.json").unwrap()).unwrap();
    assert_eq!(item["assets"]["small"]["href"], "a.nc");
    assert!(item["assets"]["large"]["href"].as_str().unwrap().starts_with("http://"));
    assert!(depot.get("bucket/in/a/a.nc").unwrap() == content(0, SMALL));
}

#[test]
fn two_runs_that_publish_at_once_lose_nothing() {
    for at in 0..3 {
        let depot = Depot::start();
        let (first, second) = (Bench::new(&depot), Bench::new(&depot));
        // Each has items of its own in one catalog.
        let only = |bench: &Bench, id: &str| {
            let links = json!([{"rel": "item", "href": format!("{id}/{id}.json")}]);
            bench.write(
                "catalog.json",
                &json!({"type": "Catalog", "id": "c", "stac_version": "1.1.0", "description": "d", "links": links}),
            );
        };
        only(&first, "a");
        only(&second, "b");
        let to = &places(&depot)[at].0;
        std::thread::scope(|scope| {
            let other = scope.spawn(|| first.fetch(to).unwrap());
            let own = second.fetch(to).unwrap();
            assert_eq!((own.failures, other.join().unwrap().failures), (0, 0));
        });
        let mut ids: Vec<String> = first.read(to).iter().map(|node| node.document.id().to_owned()).collect();
        ids.sort();
        assert_eq!(ids, ["a", "b"], "{to}");
        // Both journals are one, so that neither copies what the other has.
        let target = Target::Folder(Href::parse(to).unwrap().as_folder());
        let options = FetchOptions::new(Selection::of_keys(["*"]), target);
        let again = first.run(&second.source(), &options).unwrap();
        assert_eq!((again.copied, again.skipped), (0, 3), "{to}: {:?}", again.failed);
    }
}
