//! Recipes whose files are the assets of other items; what a listing says of versions and folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use outcrop_catalog::{BuildOptions, BuildReport, Recipe, Renewal, build};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn made(text: &str, to: &Path, renewal: Renewal) -> BuildReport {
    let (_runtime, store) = store();
    let recipe = Recipe::parse("r.toml", text).unwrap();
    let options = BuildOptions { renewal, ..BuildOptions::default() };
    store.wait(build(&store, &recipe, &Href::from_path(to), &options)).unwrap()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn items_of_other_items_keep_what_the_recipe_does_not_give() {
    let folder = tempfile::tempdir().unwrap();
    let item = |n: u32| {
        json!({"type": "Feature", "stac_version": "1.0.0", "id": format!("s{n}"), "collection": "c",
            "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json"],
            "geometry": {"type": "Point", "coordinates": [n, 5]}, "bbox": [n, 5, n, 5],
            "properties": {"datetime": format!("2020-01-0{n}T00:00:00Z"), "eo:cloud_cover": n * 10, "gone": true},
            "links": [{"rel": "self", "href": format!("https://example.com/s{n}.json")}],
            "assets": {"B1": {"href": "b1.tif", "title": "Blue", "bands": [{"name": "b", "eo:common_name": "blue"}]},
                "B2": {"href": "https://other.example.com/b2.tif", "type": "image/tiff"}}})
    };
    let lines: String = (1..4).map(|n| item(n).to_string() + "\n").collect();
    let source = folder.path().join("items.ndjson");
    std::fs::write(&source, lines).unwrap();
    let text = format!(
        "id = 'r'\ndescription = 'd'\nlayout = '${{month}}'\nflat = true\n[stac]\nhref = '{}'\nfilter = 'eo:cloud_cover < 25'\n\
         [item]\nid = 'new-{{id}}'\nproperties = {{ cover = '{{eo_cloud_cover}} %' }}\n\
         [[item.links]]\nrel = 'via'\nhref = 'https://example.com/{{id}}'\n\
         [assets.'{{asset}}']\nhref = '{{href}}'\nroles = ['data']\n",
        source.display()
    );
    let to = folder.path().join("to");
    assert_eq!(made(&text, &to, Renewal::All).items, 2);
    let new = json_of(&to.join("1/new-s2.json"));
    assert_eq!(new["geometry"], json!({"type": "Point", "coordinates": [2, 5]}));
    assert_eq!(
        new["properties"],
        json!({"datetime": "2020-01-02T00:00:00Z", "eo:cloud_cover": 20, "gone": true, "cover": "20 %"})
    );
    let blue = json!({"href": "https://example.com/b1.tif", "title": "Blue",
        "bands": [{"name": "b", "eo:common_name": "blue"}], "roles": ["data"]});
    assert_eq!(new["assets"]["B1"], blue);
    assert_eq!(new["assets"]["B2"]["href"], "https://other.example.com/b2.tif");
    // The version that the source names stays.
    assert_eq!(new["stac_extensions"], json!(["https://stac-extensions.github.io/eo/v1.1.0/schema.json"]));
    assert!(new["links"].as_array().unwrap().contains(&json!({"rel": "via", "href": "https://example.com/s2"})));
    assert!(new.get("collection").is_none());
    let again = made(&text, &to, Renewal::Changed);
    assert_eq!((again.kept, again.documents - again.unchanged), (2, 0));
}

#[test]
fn files_whose_listing_says_all_are_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("to/data");
    std::fs::create_dir_all(&data).unwrap();
    for name in ["a_1.bin", "a_2.bin"] {
        std::fs::write(data.join(name), b"no format that is known").unwrap();
    }
    let text = format!(
        "id = 'r'\ndescription = 'd'\n[[links]]\nrel = 'license'\nhref = 'https://example.com/l'\n[listing]\nhref = '{}'\n\
         [item]\nid = 'i{{n}}'\ndatetime = '200{{n}}-01-01T00:00:00Z'\n\
         [assets.a]\npattern = 'a_{{n}}.bin'\n\
         fields = {{ 'eo:x' = {{ by = 'n', values = {{ 1 = 'one', 2 = 'two' }} }} }}\n[headers]\nfields = ['file:size']\n",
        data.display()
    );
    let to = folder.path().join("to");
    assert_eq!(made(&text, &to, Renewal::All).items, 2);
    let item = json_of(&to.join("i2/i2.json"));
    // What lies in the folder of the catalog is seen from the item.
    assert_eq!(item["assets"]["a"], json!({"href": "../data/a_2.bin", "file:size": 23, "eo:x": "two"}));
    let extensions = item["stac_extensions"].as_array().unwrap();
    assert!(["/file/v", "/eo/v"].iter().all(|part| extensions.iter().any(|e| e.as_str().unwrap().contains(part))));
    let links = json_of(&to.join("catalog.json"))["links"].clone();
    assert!(links.as_array().unwrap().contains(&json!({"rel": "license", "href": "https://example.com/l"})));
    assert_eq!(made(&text, &to, Renewal::Changed).kept, 2);
    std::fs::write(data.join("a_2.bin"), b"another").unwrap();
    assert_eq!(made(&text, &to, Renewal::Changed).kept, 1);
    assert_eq!(json_of(&to.join("i2/i2.json"))["assets"]["a"]["file:size"], 7);
}
