//! A snapshot of a STAC API as a static catalog.

use outcrop_catalog::{HarvestOptions, SearchOptions, Source, harvest};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Answer, Service};
use serde_json::{Value, json};

fn item(id: &str, collection: &str, lon: f64) -> Value {
    json!({"type": "Feature", "stac_version": "1.1.0", "id": id, "collection": collection, "links": [],
        "geometry": {"type": "Point", "coordinates": [lon, 1.0]}, "bbox": [lon, 1.0, lon, 1.0],
        "properties": {"datetime": "2020-02-03T00:00:00Z"}, "assets": {"a": {"href": "files/a.tif"}}})
}

#[test]
fn items_come_below_their_collections_with_what_the_server_says_of_them() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.target.as_str()) {
        ("GET", "/collections/known") => Answer::json(
            json!({"type": "Collection", "stac_version": "1.1.0", "id": "known", "description": "of the server",
                "license": "MIT", "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal":
                {"interval": [[null, null]]}}, "links": [], "assets": {"thumb": {"href": "../thumb.png"}}})
            .to_string(),
        ),
        ("GET", "/") => Answer::json(
            json!({"type": "Catalog", "id": "api", "stac_version": "1.1.0", "description": "d", "conformsTo":
                ["https://api.stacspec.org/v1.0.0/item-search"], "links": [{"rel": "search", "href": "/search",
                "method": "POST"}, {"rel": "data", "href": "/collections"}]})
            .to_string(),
        ),
        ("POST", _) => {
            let features = [item("a", "known", 3.0), item("b", "known", 7.0), item("c", "unknown", 9.0)];
            Answer::json(json!({"type": "FeatureCollection", "features": features, "links": []}).to_string())
        }
        _ => Answer::status(404),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("snapshot");
    let source = Source::parse(&format!("{}/", service.base())).unwrap();
    let options = HarvestOptions { items: SearchOptions::default(), ..HarvestOptions::default() };
    let report = store.wait(harvest(&store, &source, &Href::from_path(&to), &options)).unwrap();
    assert_eq!((report.items, report.failed.len()), (3, 0), "{:?}", report.failed);
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(to.join(name)).unwrap()).unwrap() };
    let known = read("known/collection.json");
    assert_eq!((&known["description"], &known["license"]), (&json!("of the server"), &json!("MIT")));
    assert_eq!(known["extent"]["spatial"]["bbox"], json!([[3.0, 1.0, 7.0, 1.0]]));
    assert_eq!(known["assets"]["thumb"]["href"], format!("{}/thumb.png", service.base()));
    // A collection that the server does not know is a plain catalog.
    assert_eq!(read("unknown/catalog.json")["type"], "Catalog");
    let item = read("known/a/a.json");
    assert_eq!(item["collection"], "known");
    assert!(item["assets"]["a"]["href"].as_str().unwrap().starts_with("http://"), "{item}");
    assert_eq!(read("catalog.json")["id"], "api");
}
