//! The recipe of Daymet makes the tree of the reference, without a network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt;
use outcrop_catalog::{BuildOptions, Error, Recipe, SearchOptions, Source, build, describe, search};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::Value;

const RECIPE: &str = include_str!("../../../catalogs/daymet-daily-v4/recipe.toml");

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn tree(folder: &Path) -> BTreeMap<String, Value> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                tree.insert(name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap());
            }
        }
    }
    tree
}

/// The recipe for fewer years, published as the reference was.
fn changed(changes: &[(&str, &str)]) -> Recipe {
    let text = changes.iter().fold(RECIPE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    Recipe::parse("recipe.toml", &text).unwrap()
}

fn golden(name: &str) -> Option<BTreeMap<String, Value>> {
    let path = outcrop_testkit::shared_data("golden/e_spring")?.join(name);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

#[test]
fn two_years_equal_the_reference() {
    let Some(want) = golden("cat_region.json") else { return };
    let layout = "layout = \"${region}\"";
    let absolute = format!("{layout}\npublished = \"absolute\"\nroot_href = \"https://example.com/daymet\"");
    let years =
        [("from = 1980, to = 2022", "from = 1980, to = 1981"), ("from = 1950, to = 2022", "from = 1950, to = 1951")];
    let recipe = changed(&[years[0], years[1], (layout, &absolute)]);
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let to = Href::from_path(folder.path());
    store.wait(build(&store, &recipe, &to, &BuildOptions::default())).unwrap();
    assert_eq!(tree(folder.path()), want);
}

#[test]
fn the_whole_recipe_has_the_counts_of_the_reference_and_is_idempotent() {
    let recipe = changed(&[]);
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let to = Href::from_path(folder.path());
    let report = store.wait(build(&store, &recipe, &to, &BuildOptions::default())).unwrap();
    assert_eq!((report.items, report.assets, report.documents, report.failed.len()), (159, 1113, 163, 0));
    assert_eq!((report.bytes_read, store.stats().requests), (0, 0));
    let before = tree(folder.path());
    let again = store.wait(build(&store, &recipe, &to, &BuildOptions::default())).unwrap();
    assert_eq!(again.unchanged, 163);
    assert_eq!(tree(folder.path()), before);
    let description = store.wait(describe(&store, &to)).unwrap();
    let text = description.to_text();
    let want = "daymet-daily-v4.5  Catalog  Daymet Daily v4.5\n\
        ├── na  43 items  1980-01-01 to 2022-01-01\n\
        ├── hi  43 items  1980-01-01 to 2022-01-01\n\
        └── pr  73 items  1950-01-01 to 2022-01-01\n\n\
        159 items, 1113 assets, 4 catalogs\n\
        bbox    -178.1333 14.0749 -53.0567 82.9143\n\
        time    1950-01-01T00:00:00Z to 2022-01-01T00:00:00Z\n\
        assets  dayl      159\n";
    assert!(text.starts_with(want), "{text}");
    let mut other = recipe;
    other.id = "another".into();
    let error = store.wait(build(&store, &other, &to, &BuildOptions::default())).unwrap_err();
    assert!(matches!(error, Error::OtherCatalog { .. }));
}

fn found(store: &Store, source: &str, options: &SearchOptions) -> Vec<String> {
    let source = Source::parse(source).unwrap();
    let items: Vec<_> = store.wait(search(store, &source, options).collect());
    items.into_iter().map(|item| item.map_or_else(|e| e.to_string(), |node| node.document.id().to_owned())).collect()
}

#[test]
fn items_are_found_by_id_place_and_time() {
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let to = Href::from_path(folder.path());
    store.wait(build(&store, &changed(&[]), &to, &BuildOptions::default())).unwrap();
    let root = to.as_str();
    let all = SearchOptions::default();
    assert_eq!(found(&store, root, &all).len(), 159);
    assert_eq!(found(&store, &format!("{root}/catalog.json#pr-1999"), &all), ["pr-1999"]);
    let hawaii = SearchOptions {
        bbox: Some("-157,20,-156,21".parse().unwrap()),
        datetime: Some("1981/1982".parse().unwrap()),
        ..all.clone()
    };
    assert_eq!(found(&store, root, &hawaii), ["na-1981", "na-1982", "hi-1981", "hi-1982"]);
    let open = SearchOptions { datetime: Some("../1951-06-01".parse().unwrap()), ..all.clone() };
    assert_eq!(found(&store, root, &open), ["pr-1950", "pr-1951"]);
    let few = SearchOptions { max_items: Some(2), ..all.clone() };
    assert_eq!(found(&store, &format!("{root}/hi/catalog.json"), &few), ["hi-1980", "hi-1981"]);
    let unknown = SearchOptions { ids: vec!["hi-1980".into(), "xx-1".into()], ..all.clone() };
    let got = found(&store, root, &unknown);
    assert_eq!(got[0], "hi-1980");
    assert!(got[1].starts_with("no item has the id `xx-1`"), "{got:?}");
    assert_eq!(found(&store, &format!("{root}/hi/hi-1980/hi-1980.json"), &all), ["hi-1980"]);
}

#[test]
fn files_of_items_are_searched_and_spans_count() {
    let item = |id: &str, time: &str| {
        format!(r#"{{"type":"Feature","stac_version":"1.0.0","id":"{id}","geometry":{{"type":"Point","coordinates":[179.9,1]}},
            "bbox":[179.9,1,0,179.9,1,9],"properties":{time},"links":[],"assets":{{}}}}"#).replace('\n', "")
    };
    let spans = r#"{"datetime":null,"start_datetime":"2000-01-01T00:00:00Z","end_datetime":"2000-12-31T00:00:00Z"}"#;
    let (a, b) = (item("a", spans), item("b", r#"{"datetime":"2005-01-01T00:00:00Z"}"#));
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("items.ndjson");
    std::fs::write(&lines, format!("{a}\n{b}\n")).unwrap();
    let collection = folder.path().join("items.json");
    std::fs::write(&collection, format!(r#"{{"type":"FeatureCollection","features":[{a},{b}]}}"#)).unwrap();
    let (_runtime, store) = store();
    let options = SearchOptions {
        bbox: Some("179,0,-179,2".parse().unwrap()),
        datetime: Some("2000-06-01T00:00:00Z".parse().unwrap()),
        ..SearchOptions::default()
    };
    for source in [&lines, &collection] {
        assert_eq!(found(&store, source.to_str().unwrap(), &options), ["a"]);
    }
    let description = store.wait(describe(&store, &Href::from_path(&collection))).unwrap();
    assert_eq!(description.items, 2);
}

#[test]
fn a_wrong_recipe_is_told_with_file_line_and_key() {
    let message = |from: &str, to: &str| {
        assert!(RECIPE.contains(from), "{from}");
        Recipe::parse("r.toml", &RECIPE.replace(from, to)).unwrap_err().to_string()
    };
    let cases = [
        ("layout = ", "layuot = ", "line 6, `layuot`: unknown field `layuot`"),
        ("to = 2022 }\nvalues.hi", "too = 2022 }\nvalues.hi", "`variables.year"),
        ("{param}_{year}.nc", "{parm}_{year}.nc", "line 30, `assets.{param}.href`: variable `parm` has no values"),
        ("values.pr = { from = 1950, to = 2022 }", "", "`variables.year`: it has no values for region = `pr`"),
        ("datetime = \"{year}-", "datetime = \"{yaer}-", "`item.datetime`: variable `yaer` has no values"),
        ("id = \"{region}-{year}\"", "id = \"{year}\"", "the item's id must name it"),
        ("[-67.9927, 16.8444, -64.1196, 19.9382]", "[1, 2]", "4 or 6 numbers"),
        ("[variables]", "[variables", "line 8"),
        ("href = ", "herf = ", "unknown field `herf`"),
        ("datetime = \"{year}-01-01T00:00:00Z\"", "", "`item`: an item needs a time"),
    ];
    for (from, to, want) in cases {
        let got = message(from, to);
        assert!(got.starts_with("recipe `r.toml`, line ") && got.contains(want), "{got}\nwants {want}");
    }
}

/// A recipe that lists a folder and reads headers.
fn listing(folder: &Path) -> Recipe {
    let text = format!(
        "id = 'local'\ndescription = 'A folder of Daymet files'\nlayout = '${{region}}'\n\
         [collection]\nlicense = 'other'\nkeywords = ['climate']\n\
         [listing]\nhref = '{}'\n\
         [item]\nid = '{{region}}-{{year}}'\nproperties = {{ region = '{{region}}' }}\n\
         [assets.'{{param}}']\npattern = 'daymet_v4_daily_{{region}}_{{param}}_{{year}}.nc'\nroles = ['data']\n\
         [headers]\nfields = ['file:size', 'type', 'proj', 'cube', 'bands', 'bbox', 'datetime']\n",
        folder.display()
    );
    Recipe::parse("listing.toml", &text).unwrap()
}

#[test]
fn headers_of_listed_files_make_the_items() {
    let Some(archive) = outcrop_testkit::shared_data("golden/e_spring") else { return };
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let to = Href::from_path(folder.path());
    let report = store.wait(build(&store, &listing(&archive), &to, &BuildOptions::default())).unwrap();
    assert_eq!((report.items, report.assets, report.documents), (1, 3, 3), "{:?}", report.failed);
    let tree = tree(folder.path());
    let item = &tree["na/na-1981/na-1981.json"];
    println!("{}", serde_json::to_string_pretty(item).unwrap());
    let asset = &item["assets"]["tmin"];
    let file = std::fs::metadata(archive.join("daymet_v4_daily_na_tmin_1981.nc")).unwrap();
    assert_eq!(asset["file:size"], file.len());
    assert_eq!(asset["type"], "application/netcdf");
    assert_eq!(asset["proj:code"], Value::Null);
    assert!(asset["proj:wkt2"].as_str().unwrap().contains("Lambert"));
    assert_eq!(asset["cube:dimensions"]["x"]["axis"], "x");
    assert_eq!(asset["cube:dimensions"]["time"]["step"], "P1D");
    assert_eq!(asset["cube:variables"]["tmin"]["type"], "data");
    assert_eq!(asset["bands"][0]["nodata"], -9999);
    assert_eq!(asset["bands"].as_array().unwrap().len(), 1);
    assert_eq!(item["properties"]["datetime"], Value::Null);
    assert_eq!(item["properties"]["start_datetime"], "1981-01-01T00:00:00Z");
    assert_eq!(item["collection"], "local");
    assert_eq!(tree["collection.json"]["extent"]["spatial"]["bbox"][0], item["bbox"]);
    let model =
        store.wait(outcrop_stac::read(&store, &Href::from_path(&folder.path().join("na/na-1981/na-1981.json"))));
    assert!(model.unwrap().to_model().unwrap().is_item());
}

#[test]
fn a_bad_file_is_named_and_the_rest_goes_on() {
    let Some(golden) = outcrop_testkit::shared_data("golden/e_spring") else { return };
    let archive = tempfile::tempdir().unwrap();
    std::fs::create_dir(archive.path().join("1981")).unwrap();
    let name = |param: &str, year: u32| archive.path().join(format!("{year}/daymet_v4_daily_na_{param}_{year}.nc"));
    std::fs::copy(golden.join("daymet_v4_daily_na_tmin_1981.nc"), name("tmin", 1981)).unwrap();
    std::fs::write(name("tmax", 1981), "<html>login</html>").unwrap();
    let whole = std::fs::read(golden.join("daymet_v4_daily_na_tmin_1981.nc")).unwrap();
    std::fs::write(name("prcp", 1981), &whole[..whole.len() / 3]).unwrap();
    std::fs::write(archive.path().join("readme.txt"), "x").unwrap();
    let (_runtime, store) = store();
    let folder = tempfile::tempdir().unwrap();
    let to = Href::from_path(folder.path());
    let report = store.wait(build(&store, &listing(archive.path()), &to, &BuildOptions::default())).unwrap();
    assert_eq!((report.items, report.assets), (1, 1));
    let whats: Vec<&str> = report.failed.iter().map(|failed| failed.what.rsplit('/').next().unwrap()).collect();
    assert_eq!(whats, ["daymet_v4_daily_na_prcp_1981.nc", "daymet_v4_daily_na_tmax_1981.nc"]);
    for failed in &report.failed {
        println!("{} | {:?}", failed.why, std::error::Error::source(&failed.why).map(ToString::to_string));
    }
    let nothing = listing(&golden.join("spring_v2.zarr"));
    let error =
        store.wait(build(&store, &nothing, &Href::from_path(&folder.path().join("x")), &BuildOptions::default()));
    assert!(matches!(error, Err(Error::NothingFits { .. })));
}
