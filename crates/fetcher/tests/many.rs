//! Thousands of small assets from a host of which three requests in ten fail.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use outcrop_fetcher::{Error, FetchOptions, Selection, Target, fetch};
use outcrop_stac::{Document, Node};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Fault, Object, Random, Times};
use serde_json::{Value, json};

const ITEMS: usize = 500;
const ASSETS: usize = 10;
const JOBS: usize = 16;
/// Tries after the first.
const RETRIES: u32 = 4;
/// Copies that may wait for their names at once.
const WAITING: usize = 128;

fn content(path: &str) -> Vec<u8> {
    path.bytes().cycle().take(3000 + path.len()).collect()
}

/// Fails so often at first, in one of three ways; the faults of all requests.
fn object(random: &mut Random, path: &str, faults: &mut usize) -> Object {
    let mut times = 0;
    while times < RETRIES as usize && random.below(10) < 3 {
        times += 1;
    }
    *faults += times;
    let faults = match random.below(3) {
        0 => Fault::busy("0").to_vec(),
        1 => vec![Fault::Cut(0)],
        _ => vec![Fault::Cut(1000)],
    };
    faults.into_iter().fold(Object::new(content(path)), |object, fault| object.with_fault(fault, Times::First(times)))
}

fn item(archive: &Archive, n: usize) -> Node {
    let assets: serde_json::Map<String, Value> =
        (0..ASSETS).map(|k| (format!("k{k}"), json!({"href": archive.url(&format!("{n}/{k}.nc"))}))).collect();
    let item = json!({"type": "Feature", "stac_version": "1.1.0", "id": format!("i{n}"), "geometry": null, "links": [],
        "properties": {"datetime": "2000-01-01T00:00:00Z"}, "assets": assets});
    Node::alone(Document::from_value(Href::parse("/c/i.json").unwrap(), item).unwrap())
}

/// Files below a folder that this process has open, and its connections to a port that are not closed.
fn open_now(folder: &Path, port: &str) -> (usize, usize) {
    let of = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    let files = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(of).filter(|path| path.starts_with(folder));
    let remote = format!("0100007F:{:04X}", port.parse::<u16>().unwrap());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    // ESTABLISHED, and CLOSE_WAIT: the other side has closed it and we have not.
    let is_open = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(2) == Some(&remote.as_str()) && ["01", "08"].contains(words.get(3).unwrap_or(&""))
    };
    (files.count(), table.lines().filter(is_open).count())
}

#[test]
fn five_thousand_small_assets_of_a_bad_host_all_come() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let wait = Duration::from_millis(3);
    let options = StoreOptions { retries: RETRIES, retry_wait_cap: wait, ..StoreOptions::default() };
    let options = StoreOptions { per_host: JOBS, concurrency: JOBS, ..options };
    let store = Store::new(options, runtime.handle().clone()).unwrap();
    let (archive, folder) = (Archive::start(), tempfile::tempdir().unwrap());
    let (mut random, mut faults) = (Random::new(8), 0);
    for path in (0..ITEMS).flat_map(|n| (0..ASSETS).map(move |k| format!("{n}/{k}.nc"))) {
        archive.put(&path, object(&mut random, &path, &mut faults));
    }
    let share = faults as f64 / (faults + ITEMS * ASSETS) as f64;
    assert!((0.27..0.33).contains(&share), "{share} of the requests fail");
    let to = std::fs::canonicalize(folder.path()).unwrap().join("to");
    let (ended, most) = (Arc::new(AtomicBool::new(false)), Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]));
    let watch = std::thread::spawn({
        let (ended, most, to) = (ended.clone(), most.clone(), to.clone());
        let port = archive.url("").trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
        move || {
            while !ended.load(Ordering::Relaxed) {
                let (files, connections) = open_now(&to, &port);
                most[0].fetch_max(files, Ordering::Relaxed);
                most[1].fetch_max(connections, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
            // The last connections are closed by tasks that may end a little later.
            for _ in 0..100 {
                if open_now(&to, &port) == (0, 0) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            open_now(&to, &port)
        }
    });
    let keys: Vec<String> = (0..ASSETS).map(|k| format!("k{k}")).collect();
    let target = Target::Folder(Href::from_path(&to));
    let options =
        FetchOptions { jobs: JOBS, ..FetchOptions::new(Selection::of_keys(keys.iter().map(String::as_str)), target) };
    let items = futures::stream::iter((0..ITEMS).map(|n| Ok::<_, Error>(item(&archive, n))).collect::<Vec<_>>());
    let report = store.wait(fetch(&store, items, &options)).unwrap();
    ended.store(true, Ordering::Relaxed);
    let after = watch.join().unwrap();
    assert_eq!((report.copied, report.failures), ((ITEMS * ASSETS) as u64, 0), "{:?}", report.failed.first());
    for path in (0..ITEMS).flat_map(|n| (0..ASSETS).map(move |k| (n, k))) {
        let (n, k) = path;
        let copy = std::fs::read(to.join(format!("i{n}/{k}.nc"))).unwrap();
        assert!(copy == content(&format!("{n}/{k}.nc")), "{path:?}");
    }
    let requests = archive.log().len();
    assert_eq!(requests, faults + ITEMS * ASSETS, "no request more than the faults ask for");
    assert!(requests <= 2 * ITEMS * ASSETS);
    // Each copy has its file and its folder open; journal and ledger are two more.
    let [files, connections] = [&most[0], &most[1]].map(|most| most.load(Ordering::Relaxed));
    assert!(files > 0 && files <= 2 * (WAITING + JOBS) + 8, "{files} files open at once");
    assert!(connections > 0 && connections <= 2 * JOBS, "{connections} connections open at once");
    assert_eq!(after, (0, 0), "files and connections that stay open");
    eprintln!(
        "| many small assets of a bad host | {requests} requests for {} assets | {files} files, {connections} connections open at most |",
        ITEMS * ASSETS
    );
}
