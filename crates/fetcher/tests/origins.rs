//! What is sent to which origin, and which places a catalog of others may lead to.

use std::time::{Duration, Instant};

use outcrop_fetcher::{CopyOptions, Error, FetchOptions, Selection, Target, fetch};
use outcrop_stac::{Document, Node};
use outcrop_store::{Environment, Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Fault, Object, Times};
use serde_json::json;

fn store_with(settings: &[(&str, &str)]) -> (Store, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let environment: Environment = settings.iter().copied().collect();
    let wait = Duration::from_secs(3);
    let options = StoreOptions { retries: 2, retry_wait_cap: wait, environment, ..StoreOptions::default() };
    (Store::new(options, runtime.handle().clone()).unwrap(), runtime)
}

fn item_at(at: &str, href: &str) -> Node {
    let item = json!({"type": "Feature", "stac_version": "1.1.0", "id": "i", "geometry": null, "links": [],
        "properties": {"datetime": "2000-01-01T00:00:00Z"}, "assets": {"k": {"href": href}}});
    Node::alone(Document::from_value(Href::parse(at).unwrap(), item).unwrap())
}

fn fetched(store: &Store, node: Node, to: &std::path::Path) -> outcrop_fetcher::FetchReport {
    let options = FetchOptions::new(Selection::of_keys(["k"]), Target::Folder(Href::from_path(to)));
    let items = futures::stream::iter([Ok::<_, Error>(node)]);
    store.wait(fetch(store, items, &options)).unwrap()
}

#[test]
fn a_token_goes_to_its_own_origin_only() {
    let (archive, other, files) = (Archive::start(), Archive::start(), tempfile::tempdir().unwrap());
    other.put("a.nc", Object::new(vec![1; 1000]));
    for status in [301, 302, 303, 307, 308] {
        let to_other = [Fault::Redirect(other.url("a.nc")), Fault::Header("Set-Cookie", Some("s=SECRET".into()))];
        archive.put(
            &format!("{status}.nc"),
            to_other.into_iter().fold(Object::new(""), |o, f| o.with_fault(f, Times::Always)),
        );
    }
    let config = files.path().join("config.toml");
    let token = files.path().join("token");
    for (kind, name) in
        [("", "authorization"), ("header = \"X-Api-Key\"\n", "x-api-key"), ("user = \"me\"\n", "authorization")]
    {
        let origin = archive.url("");
        let origin = origin.trim_end_matches('/');
        std::fs::write(&config, format!("[[host]]\norigin = \"{origin}\"\n{kind}token-file = \"token\"\n")).unwrap();
        std::fs::write(&token, "SECRET\n").unwrap();
        let (store, _runtime) = store_with(&[("OUTCROP_CONFIG", config.to_str().unwrap())]);
        for status in [301, 302, 303, 307, 308] {
            let href = Href::parse(&archive.url(&format!("{status}.nc"))).unwrap();
            let to = files.path().join("copy.nc");
            store.wait(outcrop_fetcher::copy(&store, &href, &to, &CopyOptions::default())).unwrap();
        }
        let sent = archive.log().last().unwrap().header(name).map(str::to_owned);
        assert!(sent.is_some_and(|value| value.contains("SECRET") || value.starts_with("Basic ")), "{name}");
    }
    let log = format!("{:?}", other.log());
    assert!(!log.contains("SECRET") && !log.contains("Basic") && other.log().len() == 15, "{log}");
    assert!(other.log().iter().all(|r| ["authorization", "cookie", "x-api-key"].iter().all(|n| r.header(n).is_none())));
}

#[test]
fn an_alias_leads_to_its_door() {
    let (archive, files) = (Archive::start(), tempfile::tempdir().unwrap());
    archive.put("pnfs/grid/a.nc", Object::new(vec![1; 1000]));
    let config = files.path().join("config.toml");
    std::fs::write(
        &config,
        format!("[[alias]]\nprefix = \"dcache://pnfs/grid/\"\nurl = \"{}\"\n", archive.url("pnfs/grid/")),
    )
    .unwrap();
    let (store, _runtime) = store_with(&[("OUTCROP_CONFIG", config.to_str().unwrap())]);
    let report = fetched(&store, item_at("/c/i.json", "dcache://pnfs/grid/a.nc"), &files.path().join("to"));
    assert_eq!((report.copied, report.failures), (1, 0), "{:?}", report.failed);
    let item: serde_json::Value =
        serde_json::from_slice(&std::fs::read(files.path().join("to/i/i.json")).unwrap()).unwrap();
    assert_eq!(item["assets"]["k"]["alternate"]["remote"]["href"], "dcache://pnfs/grid/a.nc");
    let (plain, _runtime) = store_with(&[]);
    let report = fetched(&plain, item_at("/c/i.json", "dcache://pnfs/grid/a.nc"), &files.path().join("other"));
    assert!(report.failed[0].why.to_string().contains("asset `k`"), "{:?}", report.failed);
}

#[test]
fn a_catalog_of_others_leads_neither_to_files_nor_to_private_addresses() {
    let (archive, files) = (Archive::start(), tempfile::tempdir().unwrap());
    archive.put("a.nc", Object::new(vec![1; 1000]));
    let secret = files.path().join("secret.nc");
    std::fs::write(&secret, "x").unwrap();
    let (open, _runtime) = store_with(&[]);
    for scheme in ["file", "FILE"] {
        let href = format!("{scheme}://{}", secret.display());
        let report = fetched(&open, item_at("https://example.org/c/i.json", &href), &files.path().join("one"));
        assert_eq!(report.failures, 1, "{:?}", report.failed);
        assert!(format!("{:?}", report.failed).contains("LocalFromRemote"), "{:?}", report.failed);
    }
    let guarded = open.guarded(&[Href::parse("https://example.org/").unwrap()]).unwrap();
    let start = Instant::now();
    let port = archive.url("").trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"] {
        let href = format!("http://{host}:{port}/a.nc");
        let report = fetched(&guarded, item_at("https://example.org/c/i.json", &href), &files.path().join("two"));
        let why = format!("{:?}", report.failed);
        assert!(
            report.failures == 1 && ["not public", "NotPublic"].iter().any(|text| why.contains(text)),
            "{host}: {why}"
        );
    }
    assert_eq!(archive.log().len(), 0, "no packet");
    assert!(start.elapsed() < Duration::from_secs(2), "nor is it tried again");
    let trusting = open.guarded(&[Href::parse(&archive.url("")).unwrap()]).unwrap();
    assert_eq!(
        fetched(&trusting, item_at("https://example.org/i.json", &archive.url("a.nc")), &files.path().join("3")).copied,
        1
    );
}

#[test]
fn signatures_are_asked_for_and_never_saved() {
    let (archive, files) = (Archive::start(), tempfile::tempdir().unwrap());
    archive.put("container/a.nc", Object::new(vec![1; 1000]));
    archive.put(
        "token/127/container",
        Object::new(r#"{"token": "sv=1&sig=SECRET", "msft:expiry": "2999-01-01T00:00:00Z"}"#),
    );
    let base = archive.url("");
    let origin = base.trim_end_matches('/');
    let config = files.path().join("config.toml");
    std::fs::write(
        &config,
        format!("[[sign]]\nservice = \"planetary-computer\"\nurl = \"{base}token\"\nhosts = [\"{origin}\"]\n"),
    )
    .unwrap();
    let (store, _runtime) = store_with(&[("OUTCROP_CONFIG", config.to_str().unwrap())]);
    let to = files.path().join("to");
    let report = fetched(&store, item_at("/c/i.json", &archive.url("container/a.nc")), &to);
    assert_eq!(report.copied, 1, "{:?}", report.failed);
    let targets: Vec<String> = archive.log().iter().map(|request| request.target.clone()).collect();
    assert_eq!(targets, ["/token/127/container", "/container/a.nc?sv=1&sig=SECRET"]);
    for file in ["i/i.json", "catalog.json", ".outcrop-fetch.journal", ".outcrop-fetch.ledger.ndjson"] {
        assert!(!std::fs::read_to_string(to.join(file)).unwrap().contains("SECRET"), "{file}");
    }
}

#[test]
fn a_busy_host_is_left_alone_by_all_workers() {
    let (archive, files) = (Archive::start(), tempfile::tempdir().unwrap());
    let (store, _runtime) = store_with(&[]);
    let start = Instant::now();
    let nodes: Vec<Node> = (0..8)
        .map(|n| {
            let object = Object::new(vec![1; 1000]);
            let faults = if n == 0 { Fault::busy("2").to_vec() } else { Vec::new() };
            archive.put(&format!("{n}.nc"), faults.into_iter().fold(object, |o, f| o.with_fault(f, Times::First(1))));
            let mut node = item_at("/c/i.json", &archive.url(&format!("{n}.nc")));
            node.document.body_mut()["id"] = format!("i{n}").into();
            node
        })
        .collect();
    let options = FetchOptions {
        jobs: 2,
        ..FetchOptions::new(Selection::of_keys(["k"]), Target::Folder(Href::from_path(&files.path().join("to"))))
    };
    let items = futures::stream::iter(nodes.into_iter().map(Ok::<_, Error>));
    let report = store.wait(fetch(&store, items, &options)).unwrap();
    assert_eq!((report.copied, report.failures), (8, 0));
    assert!(start.elapsed() >= Duration::from_secs(2) && start.elapsed() < Duration::from_millis(3500));
    assert!(archive.log().len() <= 10, "one asks first after the pause: {}", archive.log().len());
}
