//! What servers do in place of plain pages: packed answers, lists of collections, parts of the time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use outcrop_catalog::{CollectionSearch, Order, SearchOptions, Source, collections, search_raw};
use outcrop_store::{Store, StoreOptions};
use outcrop_testkit::{Answer, Service};
use serde_json::{Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = StoreOptions {
        retries: 1,
        retry_wait_cap: std::time::Duration::from_millis(20),
        max_document: 1 << 20,
        ..StoreOptions::default()
    };
    let store = Store::new(options, runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn item(id: usize, year: usize) -> Value {
    json!({"type": "Feature", "stac_version": "1.1.0", "id": format!("i{id:04}"), "collection": "c", "geometry": null,
        "properties": {"datetime": format!("{year}-01-01T00:00:00Z")}, "links": [], "assets": {}})
}

fn landing(classes: &[&str]) -> Answer {
    let links =
        json!([{"rel": "search", "href": "/search", "method": "POST"}, {"rel": "data", "href": "/collections"}]);
    let body = json!({"type": "Catalog", "id": "api", "description": "d", "stac_version": "1.0.0", "links": links,
        "conformsTo": classes});
    Answer::json(body.to_string())
}

fn packed(body: &[u8]) -> Answer {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body).unwrap();
    let headers = vec!["Content-Type: application/geo+json".to_owned(), "Content-Encoding: gzip".to_owned()];
    Answer { status: 200, headers, body: gzip.finish().unwrap() }
}

fn found(store: &Store, service: &Service, options: &SearchOptions) -> Vec<Result<String, outcrop_catalog::Error>> {
    let source = Source::parse(&format!("{}/", service.base())).unwrap();
    let items = store.wait(search_raw(store, &source, options).collect::<Vec<_>>());
    items.into_iter().map(|found| found.map(|found| found.item.id().into_owned())).collect()
}

#[test]
fn packed_pages_are_read_and_what_unpacks_to_too_much_is_not() {
    let (_runtime, store) = store();
    let page = json!({"type": "FeatureCollection", "features": (0..50).map(|i| item(i, 2000)).collect::<Vec<_>>()});
    let service = Service::start(move |asked| match asked.target.as_str() {
        "/" => landing(&[]),
        _ => packed(page.to_string().as_bytes()),
    });
    assert_eq!(found(&store, &service, &SearchOptions::default()).len(), 50);
    assert!(service.asked()[1].headers.iter().any(|line| line.eq_ignore_ascii_case("accept-encoding: gzip")));
    // Fewer bytes came than there are.
    assert!(store.stats().remote_bytes < 5000, "{:?}", store.stats());
    let bomb = Service::start(|asked| match asked.target.as_str() {
        "/" => landing(&[]),
        _ => packed(&vec![b' '; 50 << 20]),
    });
    let error = found(&store, &bomb, &SearchOptions::default()).remove(0).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("1048576"), "{error:?}");
    let cut = Service::start(|asked| {
        if asked.target == "/" {
            return landing(&[]);
        }
        let mut answer = packed(b"{\"type\": \"FeatureCollection\", \"features\": []}");
        answer.body.truncate(answer.body.len() - 9);
        answer
    });
    assert!(found(&store, &cut, &SearchOptions::default()).remove(0).is_err());
}

/// A server of an item a year, which knows intervals, and gives three items a page.
fn yearly() -> Service {
    Service::start(|asked| {
        if asked.target == "/" {
            return landing(&[]);
        }
        let collection = json!({"type": "Collection", "id": "c", "description": "d", "license": "other", "links": [],
            "stac_version": "1.0.0", "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["1950-01-01T00:00:00Z", "2000-01-01T00:00:00Z"]]}}});
        if asked.target == "/collections" {
            return Answer::json(json!({"collections": [collection]}).to_string());
        }
        if asked.target == "/collections/c" {
            return Answer::json(collection.to_string());
        }
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let at = usize::try_from(body["token"].as_u64().unwrap_or(0)).unwrap();
        let interval: outcrop_grid::Interval = body["datetime"].as_str().unwrap_or("1000/3000").parse().unwrap();
        // What the collection says is wrong: there is more before and after.
        let all = (1940..=2010).filter(|year| {
            let moment: outcrop_grid::Interval = format!("{year}-01-01T00:00:00Z").parse().unwrap();
            moment.intersects(&interval)
        });
        let all: Vec<Value> = all.map(|year| item(year, year)).collect();
        let next =
            json!({"rel": "next", "href": "/search", "method": "POST", "merge": true, "body": {"token": at + 3}});
        let links = if at + 3 < all.len() { json!([next]) } else { json!([]) };
        let page = &all[at.min(all.len())..(at + 3).min(all.len())];
        Answer::json(json!({"type": "FeatureCollection", "features": page, "links": links}).to_string())
    })
}

#[test]
fn parts_of_the_time_give_what_all_of_it_gives() {
    let (_runtime, store) = store();
    for (datetime, collections) in
        [(None, vec![]), (None, vec!["c".to_owned()]), (Some("1960/.."), vec![]), (Some("1960/1970"), vec![])]
    {
        let whole = SearchOptions {
            datetime: datetime.map(|text| text.parse().unwrap()),
            collections,
            order: Order::By(Vec::new()),
            ..SearchOptions::default()
        };
        let service = yearly();
        let want: Vec<String> = found(&store, &service, &whole).into_iter().map(Result::unwrap).collect();
        assert!(want.len() > 10 && want.iter().collect::<BTreeSet<_>>().len() == want.len());
        for split in [2, 5, 64] {
            let service = yearly();
            let parts = SearchOptions { split, ..whole.clone() };
            let ids: Vec<String> = found(&store, &service, &parts).into_iter().map(Result::unwrap).collect();
            assert_eq!(ids, want, "{datetime:?} in {split} parts");
            let asked: BTreeSet<String> = service
                .asked()
                .iter()
                .filter(|asked| asked.method == "POST")
                .map(|asked| serde_json::from_str::<Value>(&asked.body).unwrap()["datetime"].to_string())
                .collect();
            assert_eq!(asked.len(), split);
        }
    }
}

fn collection(id: &str, title: &str, west: f64, years: [&str; 2]) -> Value {
    json!({"type": "Collection", "stac_version": "1.1.0", "id": id, "title": title, "description": "d", "license": "other",
        "links": [], "extent": {"spatial": {"bbox": [[west, 0, west + 10.0, 10]]},
            "temporal": {"interval": [years.map(|year| if year.is_empty() { Value::Null } else { json!(format!("{year}-01-01T00:00:00Z")) })]}}})
}

#[test]
fn collections_are_found_in_catalogs_and_servers_alike() {
    let (_runtime, store) = store();
    let all = [
        collection("snow", "Snow and sea ice", 0.0, ["1980", "1990"]),
        collection("rain", "Rain", 100.0, ["1985", ""]),
        collection("wind", "Wind", -60.0, ["2000", "2010"]),
    ];
    // A server that pages its list and knows neither boxes nor words.
    let listed = all.clone();
    let server = Service::start(move |asked| {
        let at: usize = match asked.target.as_str() {
            "/" => return landing(&[]),
            "/collections" => 0,
            other => other.rsplit('=').next().unwrap().parse().unwrap(),
        };
        let links = if at + 1 < listed.len() {
            json!([{"rel": "next", "href": format!("/collections?at={}", at + 1)}])
        } else {
            json!([])
        };
        Answer::json(json!({"collections": [listed[at]], "links": links}).to_string())
    });
    let folder = tempfile::tempdir().unwrap();
    let mut links = Vec::new();
    for one in &all {
        let mut one = one.clone();
        // An item that is not there: it is not read.
        one["links"] = json!([{"rel": "item", "href": "./none.json"}]);
        let id = one["id"].as_str().unwrap().to_owned();
        std::fs::create_dir(folder.path().join(&id)).unwrap();
        std::fs::write(folder.path().join(&id).join("collection.json"), one.to_string()).unwrap();
        links.push(json!({"rel": "child", "href": format!("./{id}/collection.json")}));
    }
    let root = json!({"type": "Catalog", "stac_version": "1.1.0", "id": "r", "description": "d", "links": links});
    std::fs::write(folder.path().join("catalog.json"), root.to_string()).unwrap();
    let sources = [format!("{}/", server.base()), folder.path().to_str().unwrap().to_owned()];
    let wanted = |bbox: Option<&str>, datetime: Option<&str>, words: &[&str]| CollectionSearch {
        ids: Vec::new(),
        bbox: bbox.map(|text| text.parse().unwrap()),
        datetime: datetime.map(|text| text.parse().unwrap()),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    for (wanted, want) in [
        (wanted(None, None, &[]), vec!["snow", "rain", "wind"]),
        (wanted(Some("5,5,105,6"), None, &[]), vec!["snow", "rain"]),
        (wanted(Some("170,5,-55,6"), None, &[]), vec!["wind"]),
        (wanted(None, Some("1991/.."), &[]), vec!["rain", "wind"]),
        (wanted(None, None, &["SEA ICE", "wind"]), vec!["snow", "wind"]),
        (CollectionSearch { ids: vec!["rain".into()], ..wanted(None, None, &[]) }, vec!["rain"]),
    ] {
        for source in &sources {
            let found = store.wait(collections(&store, &Source::parse(source).unwrap(), &wanted).collect::<Vec<_>>());
            let ids: Vec<String> = found.into_iter().map(|found| found.unwrap().id().to_owned()).collect();
            assert_eq!(ids, want, "{source} {wanted:?}");
        }
    }
}
