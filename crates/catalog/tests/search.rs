//! One search over every kind of source: the same items, in the same order, as brute force says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use futures::StreamExt;
use outcrop_catalog::{Cql, Error, IndexOptions, Order, SearchOptions, Source, index, index_path, search_raw};
use outcrop_store::{Store, StoreOptions};
use outcrop_testkit::{Answer, Asked, Random, Service};
use serde_json::{Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = StoreOptions { retry_wait_cap: std::time::Duration::from_millis(20), ..StoreOptions::default() };
    let store = Store::new(options, runtime.handle().clone()).unwrap();
    (runtime, store)
}

/// Items all over the world, some across the antimeridian, some without a place, some with a span of time.
fn items(count: usize) -> Vec<Value> {
    let mut random = Random::new(7);
    let number = |random: &mut Random, limit: u64| random.below(limit * 100) as f64 / 100.0;
    let item = |i: usize| {
        let (west, south) = (number(&mut random, 360) - 180.0, number(&mut random, 160) - 80.0);
        let (width, height) = (number(&mut random, 20), number(&mut random, 9));
        let (east, north) = (west + width, south + height);
        let ring = |w: f64, e: f64| json!([[[w, south], [e, south], [e, north], [w, north], [w, south]]]);
        let (geometry, bbox) = match i % 10 {
            9 => (Value::Null, Value::Null),
            _ if east > 180.0 => (
                json!({"type": "MultiPolygon", "coordinates": [ring(west, 180.0), ring(-180.0, east - 360.0)]}),
                json!([west, south, east - 360.0, north]),
            ),
            _ => (json!({"type": "Polygon", "coordinates": ring(west, east)}), json!([west, south, east, north])),
        };
        let year = 1990 + random.below(20);
        let time = if i.is_multiple_of(7) {
            json!({"datetime": null, "start_datetime": format!("{year}-01-01T00:00:00Z"),
                "end_datetime": format!("{year}-12-31T00:00:00Z")})
        } else {
            json!({"datetime": format!("{year}-06-0{}T12:00:00Z", 1 + random.below(9))})
        };
        let mut properties = time;
        properties["eo:cloud_cover"] = json!(random.below(101));
        let mut item = json!({"type": "Feature", "stac_version": "1.1.0", "id": format!("i{i:04}"), "collection":
            format!("c{}", i % 3), "geometry": geometry, "properties": properties, "links": [],
            "assets": {"a": {"href": format!("https://example.com/{i}.nc")}}});
        if !bbox.is_null() {
            item["bbox"] = bbox;
        }
        item
    };
    (0..count).map(item).collect()
}

/// The items as a catalog, a line each, a collection of items, a table, and a server.
fn sources(folder: &Path, items: &[Value]) -> Vec<String> {
    let lines = items.iter().fold(String::new(), |all, item| all + &item.to_string() + "\n");
    std::fs::write(folder.join("items.ndjson"), lines).unwrap();
    let collection = json!({"type": "FeatureCollection", "features": items});
    std::fs::write(folder.join("items.json"), serde_json::to_vec_pretty(&collection).unwrap()).unwrap();
    let tree = folder.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let link = |item: &Value| json!({"rel": "item", "href": format!("./{}.json", item["id"].as_str().unwrap())});
    for item in items {
        let name = format!("{}.json", item["id"].as_str().unwrap());
        std::fs::write(tree.join(name), serde_json::to_vec_pretty(item).unwrap()).unwrap();
    }
    // The other way round, so that an order has something to do.
    let links: Vec<Value> = items.iter().rev().map(link).collect();
    let root = json!({"type": "Catalog", "id": "t", "stac_version": "1.1.0", "description": "d", "links": links});
    std::fs::write(tree.join("catalog.json"), root.to_string()).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (_runtime, store) = store();
    let lines = Source::parse(&path("items.ndjson")).unwrap();
    let table = folder.join("items.parquet");
    assert_eq!(store.wait(index(&store, &lines, &IndexOptions::default(), &table)).unwrap().failed.len(), 0);
    let server = format!("{}/", api(items.to_vec()).base());
    vec![path("items.ndjson"), path("items.json"), path("tree"), path("items.parquet"), server]
}

/// A server that pages and decides nothing.
fn api(items: Vec<Value>) -> Service {
    const PAGE: usize = 40;
    Service::start(move |asked| {
        if asked.method == "GET" {
            return Answer::json(landing(&json!([{"rel": "search", "href": "/search", "method": "POST"}])));
        }
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let at = usize::try_from(body["token"].as_u64().unwrap_or(0)).unwrap();
        let page = &items[at.min(items.len())..(at + PAGE).min(items.len())];
        let next =
            json!({"rel": "next", "href": "/search", "method": "POST", "merge": true, "body": {"token": at + PAGE}});
        let links = if at + PAGE < items.len() { json!([next]) } else { json!([]) };
        Answer::json(json!({"type": "FeatureCollection", "features": page, "links": links}).to_string())
    })
}

fn landing(links: &Value) -> String {
    let classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"];
    json!({"type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "d", "conformsTo": classes,
        "links": links})
    .to_string()
}

fn run(store: &Store, source: &str, options: &SearchOptions) -> Vec<Result<String, Error>> {
    let source = Source::parse(source).unwrap();
    let found = store.wait(search_raw(store, &source, options).collect::<Vec<_>>());
    found.into_iter().map(|found| found.map(|found| found.item.id().into_owned())).collect()
}

fn ids(store: &Store, source: &str, options: &SearchOptions) -> Vec<String> {
    run(store, source, options).into_iter().map(Result::unwrap).collect()
}

/// What a box and an interval mean, number by number.
fn fits(item: &Value, bbox: [f64; 4], years: std::ops::RangeInclusive<i32>) -> bool {
    let Some(numbers) = item["bbox"].as_array() else { return false };
    let [w, s, e, n] = [0, 1, 2, 3].map(|i| numbers[i].as_f64().unwrap());
    let sides = |w: f64, e: f64| if w > e { vec![(w, 180.0), (-180.0, e)] } else { vec![(w, e)] };
    let (own, wanted) = (sides(w, e), sides(bbox[0], bbox[2]));
    let meets = own.iter().any(|a| wanted.iter().any(|b| a.0 <= b.1 && b.0 <= a.1)) && s <= bbox[3] && n >= bbox[1];
    let time = item["properties"]["datetime"].as_str().or(item["properties"]["start_datetime"].as_str()).unwrap();
    meets && years.contains(&time[..4].parse().unwrap())
}

#[test]
fn every_source_gives_what_brute_force_gives_in_one_order() {
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let items = items(400);
    let sources = sources(folder.path(), &items);
    for bbox in ["-10,-40,60,50", "170,-60,-160,60", "-180,-90,180,90", "179.99,-90,180,90"] {
        let box_numbers: Vec<f64> = bbox.split(',').map(|n| n.parse().unwrap()).collect();
        let mut want: Vec<(&str, &str)> = items
            .iter()
            .filter(|item| fits(item, box_numbers[..].try_into().unwrap(), 1995..=2003))
            .map(|item| (item["collection"].as_str().unwrap(), item["id"].as_str().unwrap()))
            .collect();
        want.sort_unstable();
        let want: Vec<&str> = want.into_iter().map(|(_, id)| id).collect();
        assert!(!want.is_empty());
        let options = SearchOptions {
            bbox: Some(bbox.parse().unwrap()),
            datetime: Some("1995/2003".parse().unwrap()),
            order: Order::By(Vec::new()),
            ..SearchOptions::default()
        };
        for source in &sources {
            assert_eq!(ids(&store, source, &options), want, "{source} {bbox}");
        }
    }
}

#[test]
fn filters_orders_and_limits_are_those_of_every_source() {
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), &items(200));
    let filtered = SearchOptions {
        filter: Some(Cql::parse("eo:cloud_cover <= 20 AND collection IN ('c0', 'c1')").unwrap()),
        order: Order::By(vec!["-eo:cloud_cover".parse().unwrap()]),
        max_items: Some(7),
        ..SearchOptions::default()
    };
    let want = ids(&store, &sources[0], &filtered);
    assert_eq!(want.len(), 7);
    let Value::Object(query) = json!({"eo:cloud_cover": {"lte": 20}}) else { return };
    let queried = SearchOptions {
        filter: None,
        query: Some(query),
        collections: vec!["c0".into(), "c1".into()],
        ..filtered.clone()
    };
    let place = json!({"type": "Polygon", "coordinates": [[[0, 0], [50, 0], [0, 50], [0, 0]]]});
    let within = SearchOptions { intersects: Some(place), order: Order::By(Vec::new()), ..SearchOptions::default() };
    let inside = ids(&store, &sources[0], &within);
    assert!(!inside.is_empty() && inside.len() < 100);
    for source in &sources {
        assert_eq!(ids(&store, source, &filtered), want, "{source}");
        assert_eq!(ids(&store, source, &queried), want, "{source}");
        assert_eq!(ids(&store, source, &within), inside, "{source}");
        let unknown = SearchOptions { ids: vec!["i0001".into(), "x".into()], ..SearchOptions::default() };
        let found = run(&store, source, &unknown);
        assert!(
            matches!(&found[..], [Ok(id), Err(Error::UnknownIds { ids })] if id == "i0001" && ids == &["x"]),
            "{source}"
        );
    }
}

/// A server whose page `n` is what `page` says.
/// The ids of a search that may use an index, whether it did, and what was said.
fn by_index(store: &Store, source: &str, bbox: Option<&str>) -> (Vec<String>, bool, Vec<String>) {
    let bbox = bbox.map(|text| text.parse().unwrap());
    let options = SearchOptions { bbox, use_index: true, order: Order::By(Vec::new()), ..SearchOptions::default() };
    let found = ids(store, source, &options);
    let told = options.tally.told();
    (found, told.notes.iter().any(|note| note.contains("a table of")), told.warnings)
}

#[test]
fn an_index_stands_for_its_catalog_until_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let items = items(120);
    let tree = sources(folder.path(), &items)[2].clone();
    let (_runtime, store) = store();
    let source = Source::parse(&tree).unwrap();
    let path = index_path(&source).unwrap();
    let make = |options: &IndexOptions| store.wait(index(&store, &source, options, &path)).unwrap();
    let (walked, used, warnings) = by_index(&store, &tree, Some("-60,-40,90,50"));
    assert!(!used && warnings.is_empty() && !walked.is_empty());
    assert!(make(&IndexOptions::default()).is_of_catalog);
    let (found, used, warnings) = by_index(&store, &tree, Some("-60,-40,90,50"));
    assert_eq!((&found, used, warnings.len()), (&walked, true, 0));
    // A part of the catalog does not stand for it.
    let part =
        IndexOptions { items: SearchOptions { ids: vec!["i0001".into()], ..SearchOptions::default() }, update: false };
    assert!(!make(&part).is_of_catalog);
    assert_eq!(by_index(&store, &tree, None), (by_index(&store, &tree, None).0, false, Vec::new()));
    assert_eq!(by_index(&store, &tree, None).0.len(), 120);
    // The catalog changes.
    make(&IndexOptions::default());
    let root = Path::new(&tree).join("catalog.json");
    let text = std::fs::read_to_string(&root).unwrap();
    std::fs::write(&root, text.replace("\"description\":\"d\"", "\"description\":\"e\"")).unwrap();
    let (found, used, warnings) = by_index(&store, &tree, None);
    assert_eq!((found.len(), used), (120, false));
    assert!(warnings[0].contains("outcrop index"), "{warnings:?}");
    // A damaged index is no error.
    make(&IndexOptions::default());
    assert!(by_index(&store, &tree, None).1);
    std::fs::write(&path, b"PAR1").unwrap();
    let (found, used, warnings) = by_index(&store, &tree, None);
    assert_eq!((found.len(), used, warnings.len()), (120, false, 1));
}

#[test]
fn an_item_that_cannot_be_read_keeps_the_index_from_standing_for_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sources(folder.path(), &items(10))[2].clone();
    std::fs::write(Path::new(&tree).join("i0003.json"), "{").unwrap();
    let (_runtime, store) = store();
    let source = Source::parse(&tree).unwrap();
    let path = index_path(&source).unwrap();
    let report = store.wait(index(&store, &source, &IndexOptions::default(), &path)).unwrap();
    assert_eq!((report.written.items, report.failed.len(), report.is_of_catalog), (9, 1, false));
}

#[test]
fn an_update_replaces_items_of_the_same_collection_and_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut items = items(60);
    let all = sources(folder.path(), &items);
    let (_runtime, store) = store();
    items.truncate(3);
    items[0]["properties"]["eo:cloud_cover"] = json!(-7);
    items[1]["collection"] = json!("other");
    items[2]["id"] = json!("new");
    let lines = items.iter().fold(String::new(), |all, item| all + &item.to_string() + "\n");
    let new = folder.path().join("new.ndjson");
    std::fs::write(&new, lines).unwrap();
    let options = IndexOptions { update: true, ..IndexOptions::default() };
    let source = Source::parse(new.to_str().unwrap()).unwrap();
    let report = store.wait(index(&store, &source, &options, Path::new(&all[3]))).unwrap();
    assert_eq!(report.written.items, 62);
    let filter = Some(Cql::parse("\"eo:cloud_cover\" = -7").unwrap());
    assert_eq!(ids(&store, &all[3], &SearchOptions { filter, ..SearchOptions::default() }), ["i0000"]);
}

fn paged(page: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Service {
    Service::start(move |asked| {
        if asked.target == "/" {
            return Answer::json(landing(&json!([{"rel": "search", "href": "search"}])));
        }
        let number =
            asked.target.split("page=").nth(1).and_then(|text| text.split('&').next()?.parse().ok()).unwrap_or(0);
        page(asked, number)
    })
}

fn page(ids: &[&str], next: Option<&str>) -> Answer {
    let features: Vec<Value> = ids.iter().map(|id| json!({"type": "Feature", "id": id, "properties": {}})).collect();
    let links: Vec<Value> = next.iter().map(|href| json!({"rel": "next", "href": href})).collect();
    Answer::json(json!({"type": "FeatureCollection", "features": features, "links": links}).to_string())
}

fn failure(store: &Store, service: &Service) -> (usize, String) {
    let found = run(store, &format!("{}/", service.base()), &SearchOptions::default());
    let texts: Vec<String> = found.iter().filter_map(|found| found.as_ref().err()).map(full).collect();
    (found.iter().filter(|found| found.is_ok()).count(), texts.join("; "))
}

fn full(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[test]
fn pages_that_lead_back_or_never_end_end() {
    let (_runtime, store) = store();
    let circle = paged(|_, n| page(&["a"], Some(if n == 1 { "search?page=0" } else { "search?page=1" })));
    let (found, text) = failure(&store, &circle);
    assert!(found == 1 && text.contains("leads back"), "{text}");
    let endless = paged(|_, n| page(&["a", "b"], Some(&format!("search?page={}", n + 1))));
    let (found, text) = failure(&store, &endless);
    assert!(found == 2 && text.contains("pages without end"), "{text}");
    assert!(endless.asked().len() < 40);
}

#[test]
fn items_that_come_twice_are_given_once() {
    let (_runtime, store) = store();
    let twice = paged(|_, n| page(&["a", if n == 0 { "b" } else { "c" }], (n == 0).then_some("search?page=1")));
    assert_eq!(ids(&store, twice.base(), &SearchOptions::default()), ["a", "b", "c"]);
}

#[test]
fn what_passes_is_tried_again_and_refusals_say_why() {
    let (_runtime, store) = store();
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let busy = paged(move |_, _| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer { headers: vec!["Retry-After: 0".into()], ..Answer::status(429) },
        1 => Answer::status(502),
        _ => page(&["a"], None),
    });
    assert_eq!(ids(&store, busy.base(), &SearchOptions::default()), ["a"]);
    let refusing = paged(|_, _| Answer { body: r#"{"description": "no such bbox"}"#.into(), ..Answer::status(400) });
    let (found, text) = failure(&store, &refusing);
    assert!(found == 0 && text.contains("no such bbox"), "{text}");
    assert_eq!(refusing.asked().len(), 2, "a refusal is not tried again");
}

#[test]
fn a_search_that_broke_goes_on_with_the_pages_it_has() {
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let switch = broken.clone();
    let service = paged(move |_, n| match n {
        2 if switch.load(std::sync::atomic::Ordering::Relaxed) => Answer::status(403),
        2 => page(&["e"], None),
        n => page(if n == 0 { &["a", "b"] } else { &["c", "d"] }, Some(&format!("search?page={}", n + 1))),
    });
    let keep_pages = Some(folder.path().join("out.pages"));
    let options = SearchOptions { keep_pages, ..SearchOptions::default() };
    let first = run(&store, service.base(), &options);
    assert!(first.len() == 5 && first[4].is_err());
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    let before = service.asked().len();
    assert_eq!(ids(&store, service.base(), &options), ["a", "b", "c", "d", "e"]);
    assert_eq!(service.asked().len() - before, 2, "the landing page and the page that was missing");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "what was kept is gone");
}

#[test]
fn boxes_across_the_antimeridian_are_asked_for_side_by_side() {
    let (_runtime, store) = store();
    let service = paged(|_, _| page(&[], None));
    let options = SearchOptions { bbox: Some("170,-20,-170,-10".parse().unwrap()), ..SearchOptions::default() };
    assert!(ids(&store, service.base(), &options).is_empty());
    let targets: Vec<String> = service.asked().into_iter().map(|asked| asked.target).collect();
    assert!(targets[1].contains("bbox=170") && targets[2].contains("bbox=-180"), "{targets:?}");
}

#[test]
fn truncated_files_of_items_are_errors() {
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let whole = json!({"type": "FeatureCollection", "features": items(20)}).to_string();
    let path = folder.path().join("cut.json");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let found = run(&store, path.to_str().unwrap(), &SearchOptions::default());
    assert!(found.last().unwrap().is_err());
}
