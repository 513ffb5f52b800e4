//! Trees as the reference writes them, and walks over what was written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt;
use outcrop_stac::{
    Body, Error, Kind, Layout, Node, Published, TreeWriter, WalkOptions, WriteOptions, Written, read, walk,
};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Value, json};

const PARAMETERS: [&str; 7] = ["dayl", "prcp", "srad", "swe", "tmax", "tmin", "vp"];
type Region = (&'static str, [f64; 4], std::ops::RangeInclusive<i32>);

fn root() -> Body {
    let root = json!({"type": "Catalog", "id": "daymet-daily-v4.5", "stac_version": "1.1.0",
        "description": "Daymet Daily v4.5"});
    root.as_object().unwrap().clone()
}

fn item(region: &str, [west, south, east, north]: [f64; 4], year: i32) -> Body {
    let base = "https://thredds.daac.ornl.gov/thredds/fileServer/ornldaac/2129/daymet_v4_daily";
    let assets: BTreeMap<_, _> =
        PARAMETERS.iter().map(|p| (*p, json!({"href": format!("{base}_{region}_{p}_{year}.nc")}))).collect();
    let ring = [[east, south], [east, north], [west, north], [west, south], [east, south]];
    let item = json!({"type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": format!("{region}-{year}"),
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [west, south, east, north],
        "properties": {"datetime": format!("{year}-01-01T00:00:00Z"), "region": region}, "links": [], "assets": assets});
    item.as_object().unwrap().clone()
}

fn regions(count: i32) -> [Region; 3] {
    let years = |first: i32| first..=2022.min(first + count - 1);
    [
        ("na", [-178.1333, 14.0749, -53.0567, 82.9143], years(1980)),
        ("hi", [-160.3056, 17.9539, -154.772, 23.5186], years(1980)),
        ("pr", [-67.9927, 16.8444, -64.1196, 19.9382], years(1950)),
    ]
}

fn options(to: &Path, published: Published) -> WriteOptions {
    let layout = Layout::parse("${region}").unwrap();
    WriteOptions { layout, published, ..WriteOptions::new(Href::from_path(to)) }
}

fn build(regions: &[Region], options: WriteOptions) -> Written {
    let mut writer = TreeWriter::new(root(), options).unwrap();
    for (region, bbox, years) in regions {
        for year in years.clone() {
            writer.add(item(region, *bbox, year)).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn tree(folder: &Path) -> BTreeMap<String, Value> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                tree.insert(name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap());
            }
        }
    }
    tree
}

fn golden(name: &str) -> Option<BTreeMap<String, Value>> {
    let path = outcrop_testkit::shared_data("golden/e_spring")?.join(name);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn walked(store: &Store, folder: &Path) -> Vec<Result<Node, Error>> {
    store.wait(walk(store, &Href::from_path(folder), WalkOptions::default()).collect())
}

#[test]
fn an_absolute_tree_equals_the_reference() {
    let Some(want) = golden("cat_region.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), Published::Absolute);
    options.root_href = Some(Href::parse("https://example.com/daymet").unwrap());
    let written = build(&regions(2), options);
    assert_eq!((written.items, written.documents), (6, 10));
    assert_eq!(tree(folder.path()), want);
}

#[test]
fn a_self_contained_tree_equals_the_reference() {
    let Some(want) = golden("cat_region_selfcontained.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let [na, (hi, bbox, _), _] = regions(2);
    build(&[na, (hi, bbox, 1980..=1980)], options(folder.path(), Published::SelfContained));
    assert_eq!(tree(folder.path()), want);
}

#[test]
fn the_whole_tree_has_the_counts_of_the_reference_and_is_walked_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let written = build(&regions(100), options(folder.path(), Published::Relative));
    assert_eq!((written.items, written.documents, written.unchanged), (159, 163, 0));
    let (_runtime, store) = store();
    let nodes: Vec<Node> = walked(&store, folder.path()).into_iter().map(Result::unwrap).collect();
    assert_eq!(nodes.len(), 163);
    let items: Vec<&Node> = nodes.iter().filter(|node| node.document.kind() == Kind::Item).collect();
    assert_eq!((items[0].document.id(), items[158].document.id()), ("na-1980", "pr-2022"));
    assert_eq!(items[0].path(), ["daymet-daily-v4.5", "na"]);
    assert_eq!(items.iter().map(|node| node.document.assets().count()).sum::<usize>(), 1113);
    let own = tree(folder.path());
    let has_own_link = |name: &str| own[name]["links"].as_array().unwrap().iter().any(|link| link["rel"] == "self");
    assert!(
        has_own_link("catalog.json") && !has_own_link("na/catalog.json") && !has_own_link("na/na-1980/na-1980.json")
    );
}

#[test]
fn a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    build(&regions(2), options(folder.path(), Published::SelfContained));
    let before = tree(folder.path());
    let again = build(&regions(2), options(folder.path(), Published::SelfContained));
    assert_eq!((again.documents, again.unchanged), (10, 10));
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn every_link_resolves_to_a_document() {
    for published in [Published::SelfContained, Published::Relative, Published::Absolute] {
        let folder = tempfile::tempdir().unwrap();
        build(&regions(2), options(folder.path(), published));
        let (_runtime, store) = store();
        for node in walked(&store, folder.path()) {
            let node = node.unwrap();
            for link in node.document.links() {
                let target = store.wait(read(&store, &node.document.resolve(link.href).unwrap())).unwrap();
                if link.rel == "parent" {
                    assert_eq!(target.id(), *node.path().last().unwrap());
                }
            }
        }
    }
}

#[test]
fn documents_become_the_published_model() {
    let folder = tempfile::tempdir().unwrap();
    build(&regions(2), options(folder.path(), Published::SelfContained));
    let (_runtime, store) = store();
    for node in walked(&store, folder.path()) {
        let document = node.unwrap().document;
        let model = document.to_model().unwrap();
        assert_eq!(model.is_item(), document.kind() == Kind::Item);
    }
}

#[test]
fn items_of_a_collection_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = root();
    root.insert("type".into(), "Collection".into());
    let mut writer = TreeWriter::new(root, options(folder.path(), Published::SelfContained)).unwrap();
    writer.add(item("na", [0.0, 0.0, 1.0, 1.0], 1980)).unwrap();
    writer.finish().unwrap();
    let tree = tree(folder.path());
    let item = &tree["na/na-1980/na-1980.json"];
    assert_eq!(item["collection"], "daymet-daily-v4.5");
    assert_eq!(
        item["links"][2],
        json!({"rel": "collection", "href": "../../collection.json", "type": "application/json"})
    );
}

#[test]
fn two_items_of_one_file_are_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = TreeWriter::new(root(), options(folder.path(), Published::SelfContained)).unwrap();
    writer.add(item("na", [0.0, 0.0, 1.0, 1.0], 1980)).unwrap();
    let mut twin = item("na", [0.0, 0.0, 1.0, 1.0], 1980);
    twin.insert("id".into(), "NA-1980".into());
    let error = writer.add(twin).unwrap_err().to_string();
    assert!(error.contains("`na/na-1980` and `na/NA-1980`"), "{error}");
    assert_eq!(writer.finish().unwrap().items, 1);
}

#[test]
fn a_broken_child_is_named_and_the_walk_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    build(&regions(2), options(folder.path(), Published::SelfContained));
    std::fs::write(folder.path().join("hi/catalog.json"), "{\n\"id\": ").unwrap();
    std::fs::remove_file(folder.path().join("na/na-1980/na-1980.json")).unwrap();
    let (_runtime, store) = store();
    let (good, bad): (Vec<_>, Vec<_>) = walked(&store, folder.path()).into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (6, 2));
    let messages: Vec<String> = bad.into_iter().map(|e| e.unwrap_err().to_string()).collect();
    assert!(messages[0].contains("na/na-1980/na-1980.json`"), "{messages:?}");
    assert!(messages[1].contains("hi/catalog.json` is not valid JSON at line 2"), "{messages:?}");
}

#[test]
fn cycles_end_and_depth_is_capped() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = |id: &str, links: Value| json!({"type": "Catalog", "id": id, "description": "d", "links": links});
    let link = |href: &str| json!({"rel": "child", "href": href});
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("catalog.json"), catalog("a", json!([link("b.json"), link("./catalog.json")])).to_string())
        .unwrap();
    std::fs::write(at("b.json"), catalog("b", json!([link("catalog.json"), link("b.json")])).to_string()).unwrap();
    let (_runtime, store) = store();
    assert_eq!(walked(&store, folder.path()).len(), 2);
    for i in 0..20 {
        std::fs::write(at(&format!("{i}.json")), catalog("x", json!([link(&format!("{}.json", i + 1))])).to_string())
            .unwrap();
    }
    let options = WalkOptions { max_depth: 5, ..WalkOptions::default() };
    let deep: Vec<_> = store.wait(walk(&store, &Href::from_path(&at("0.json")), options).collect());
    assert_eq!(deep.len(), 7);
    assert!(deep[6].as_ref().unwrap_err().to_string().contains("more than 5 levels"));
}
