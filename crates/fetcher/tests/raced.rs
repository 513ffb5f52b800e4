//! Links that somebody plants in the destination while fetches run: nothing outside is touched.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use outcrop_fetcher::{Error, FetchOptions, Selection, Target, fetch};
use outcrop_stac::{Document, Node};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::Random;
use serde_json::json;

/// Names that a fetch of one item with one asset writes, below the destination.
const NAMES: [&str; 8] = [
    "i/a.nc",
    "i/.a.nc.outcrop.part",
    "i/.a.nc.outcrop.record",
    "i/i.json",
    "catalog.json",
    ".outcrop-fetch.journal",
    ".outcrop-fetch.ledger.ndjson",
    ".outcrop-fetch.ledger.ndjson.part",
];

/// What lies outside: a file of each name, and nothing else.
fn outside(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// Plants and removes links until it is told to stop; counts those that it planted.
fn plant(to: &Path, victims: &Path, stop: &AtomicBool, planted: &AtomicUsize) {
    let mut random = Random::new(28);
    let (folder, away) = (to.join("i"), to.join("away"));
    let mut pause = || std::thread::sleep(Duration::from_micros(random.below(500)));
    let mut random = Random::new(29);
    while !stop.load(Ordering::Relaxed) {
        // Longer without than with, so that most fetches get somewhere.
        pause();
        pause();
        let name = random.of(&NAMES);
        let victim = victims.join(Path::new(name).file_name().unwrap());
        let at = to.join(name);
        let was_planted = match random.below(4) {
            // A link in the place of a folder.
            0 | 1 => std::fs::rename(&folder, &away).and_then(|()| symlink(victims, &folder)),
            2 => {
                let _ = std::fs::remove_file(&at);
                symlink(&victim, &at)
            }
            _ => {
                let _ = std::fs::remove_file(&at);
                std::fs::hard_link(&victim, &at)
            }
        };
        planted.fetch_add(usize::from(was_planted.is_ok()), Ordering::Relaxed);
        pause();
        if folder.is_symlink() {
            let _ = std::fs::remove_file(&folder);
        } else {
            let _ = std::fs::remove_file(&at);
        }
        if away.exists() {
            let _ = std::fs::rename(&away, &folder).or_else(|_| std::fs::remove_dir_all(&away));
        }
    }
}

#[test]
fn links_that_are_planted_meanwhile_lead_nowhere() {
    let tries = if std::env::var("OUTCROP_TORTURE").is_ok_and(|how| how == "long") { 10_000 } else { 1_000 };
    // In memory, where flushes cost nothing.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let (to, victims) = (folder.path().join("to"), folder.path().join("victims"));
    std::fs::create_dir_all(&to).unwrap();
    std::fs::create_dir_all(&victims).unwrap();
    for name in NAMES {
        std::fs::write(victims.join(Path::new(name).file_name().unwrap()), format!("victim {name}")).unwrap();
    }
    let before = outside(&victims);
    std::fs::write(folder.path().join("a.nc"), vec![1; 30_000]).unwrap();
    let item = json!({"type": "Feature", "stac_version": "1.1.0", "id": "i", "geometry": null, "links": [],
        "properties": {"datetime": "2000-01-01T00:00:00Z"}, "assets": {"k": {"href": folder.path().join("a.nc")}}});
    let node = Node::alone(Document::from_value(Href::parse("/c/i.json").unwrap(), item).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = Store::new(StoreOptions { retries: 0, ..StoreOptions::default() }, runtime.handle().clone()).unwrap();
    let (stop, planted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let planter = std::thread::spawn({
        let (to, victims, stop, planted) = (to.clone(), victims.clone(), stop.clone(), planted.clone());
        move || plant(&to, &victims, &stop, &planted)
    });
    let (mut done, mut refused) = (0, 0);
    for _ in 0..tries {
        // Each from nothing, so that all is written.
        for name in [".outcrop-fetch.journal", ".outcrop-fetch.ledger.ndjson", "catalog.json"] {
            let _ = std::fs::remove_file(to.join(name));
        }
        let options = FetchOptions::new(Selection::of_keys(["k"]), Target::Folder(Href::from_path(&to)));
        let items = futures::stream::iter([Ok::<_, Error>(node.clone())]);
        let copied = store.wait(fetch(&store, items, &options)).is_ok_and(|report| report.failures == 0);
        (done, refused) = (done + usize::from(copied), refused + usize::from(!copied));
        assert!(outside(&victims) == before, "something outside was touched: {:?}", outside(&victims).keys());
    }
    stop.store(true, Ordering::Relaxed);
    planter.join().unwrap();
    let planted = planted.load(Ordering::Relaxed);
    eprintln!(
        "| links planted while fetches run | {tries} fetches, {planted} links | {done} done, {refused} refused, 0 outside touched |"
    );
    assert!(planted >= tries / 4 && refused > 0 && done >= tries / 10, "{planted} planted, {refused} refused");
}
