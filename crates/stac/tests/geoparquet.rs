//! Items written as rows come back as items.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use futures::TryStreamExt;
use outcrop_stac::geoparquet::{Outlined, Table, TableWriter, plain_rows};
use outcrop_stac::{Error, RawItem};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Value, json};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

fn item(id: &str, properties: &Value) -> Value {
    json!({"type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": id, "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [[[0.5, 1.0], [2.5, 1.0], [2.5, 3.0], [0.5, 1.0]]]},
        "bbox": [0.5, 1.0, 2.5, 3.0], "properties": properties, "links": [{"rel": "via", "href": "https://h/x"}],
        "assets": {"a": {"href": "https://h/a.nc", "roles": ["data", "x"], "bands": [{"name": "b", "nodata": -1}]}}})
}

fn raw(item: &Value) -> RawItem {
    RawItem::parse(Href::parse("/c/i.json").unwrap(), item.to_string().into()).unwrap()
}

fn write(path: &Path, items: &[Value]) -> Result<u64, Error> {
    let mut writer = TableWriter::create(path)?;
    for item in items {
        writer.add(&raw(item))?;
    }
    Ok(writer.finish()?.items)
}

fn rows(store: &Store, table: &Table, at: usize) -> Result<Vec<RawItem>, Error> {
    store.wait(async {
        let batches: Vec<Vec<RawItem>> =
            table.select(at, Outlined::PlaceAndTime, |_| true).await?.items().try_collect().await?;
        Ok(batches.concat())
    })
}

fn read(path: &Path) -> Vec<Value> {
    let (_runtime, store) = store();
    let table = store.wait(Table::open(&store, &Href::from_path(path))).unwrap();
    let groups = (0..table.groups()).map(|at| rows(&store, &table, at).unwrap());
    groups.flatten().map(|item| item.to_value().unwrap()).collect()
}

#[test]
fn items_of_all_kinds_of_values_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let items = vec![
        item(
            "a",
            &json!({"datetime": "2020-01-01T00:00:00Z", "whole": 7, "text": "ä\"", "truth": true, "list": [1.5, 2.0],
            "deep": {"er": [{"x": 1}, {"y": [[1], []]}]}, "mixed": 1}),
        ),
        item(
            "b",
            &json!({"datetime": null, "start_datetime": "2019-12-31T23:59:59.500Z",
            "end_datetime": "2020-01-02T00:00:00Z", "list": [], "mixed": "one", "deep": {}}),
        ),
    ];
    assert_eq!(write(&path, &items).unwrap(), 2);
    assert_eq!(read(&path), items);
}

#[test]
fn places_and_foreign_fields_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let mut nowhere = item("n", &json!({"datetime": "2020-01-01T00:00:00Z"}));
    nowhere["geometry"] = Value::Null;
    nowhere.as_object_mut().unwrap().remove("bbox");
    let mut high = item("h", &json!({"datetime": "2020-01-01T00:00:00Z"}));
    high["geometry"] = json!({"type": "Point", "coordinates": [179.0, 2.0, 30.0]});
    high["bbox"] = json!([179.0, 2.0, 30.0, 179.0, 2.0, 30.0]);
    high["foreign"] = json!({"member": 1});
    let items = vec![nowhere, high];
    write(&path, &items).unwrap();
    let back = read(&path);
    let of = |id: &str| back.iter().find(|item| item["id"] == id).unwrap();
    assert_eq!(of("n")["geometry"], Value::Null);
    assert!(of("n").get("bbox").is_none());
    assert_eq!(*of("h"), items[1]);
}

#[test]
fn later_items_may_have_other_fields_and_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let mut items: Vec<Value> =
        (0..12_000).map(|i| item(&format!("i{i}"), &json!({"datetime": "2020-01-01T00:00:00Z", "n": i}))).collect();
    items[11_000]["properties"]["n"] = json!(0.5);
    items[11_500]["properties"]["new"] = json!("here");
    write(&path, &items).unwrap();
    let back = read(&path);
    assert_eq!(back.len(), items.len());
    assert_eq!(back[11_500]["properties"]["new"], "here");
    assert!(back.iter().zip(&items).all(|(a, b)| a["properties"]["n"].as_f64() == b["properties"]["n"].as_f64()));
}

#[test]
fn what_has_no_column_is_refused_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    write(&path, &[item("a", &json!({"datetime": "2020-01-01T00:00:00Z"}))]).unwrap();
    let before = std::fs::read(&path).unwrap();
    let clash = write(&path, &[item("a", &json!({"links": 1}))]).unwrap_err().to_string();
    assert!(clash.contains("property `links`"), "{clash}");
    let mut odd = item("a", &json!({}));
    odd["geometry"] = json!({"type": "Polygon", "coordinates": [1]});
    assert!(write(&path, &[odd]).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_added_replaces_and_what_is_removed_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let of = |i: u32, n: Value| {
        item(&format!("i{i}"), &json!({"datetime": format!("{}-01-01T00:00:00Z", 1900 + i % 150), "n": n}))
    };
    let items: Vec<Value> = (0..12_000).map(|i| of(i, i.into())).collect();
    write(&path, &items).unwrap();
    let mut update = TableWriter::update(&path).unwrap();
    (0..10).for_each(|i| update.add(&raw(&of(i * 150, json!(-1)))).unwrap());
    update.add(&raw(&of(20_000, json!(1)))).unwrap();
    update.remove(Some("c"), "i151");
    update.remove(Some("other"), "i152");
    let written = update.finish().unwrap();
    assert_eq!((written.items, written.removed), (12_000, 1));
    // The items of one year stand together, so that most groups stay as they are.
    assert!(written.kept >= 5000, "{written:?}");
    let mut want = items;
    (0..10).for_each(|i| want[i * 150] = of(u32::try_from(i * 150).unwrap(), json!(-1)));
    want.remove(151);
    want.push(of(20_000, json!(1)));
    let by_id = |items: Vec<Value>| -> std::collections::BTreeMap<String, Value> {
        items.into_iter().map(|item| (item["id"].as_str().unwrap().to_owned(), item)).collect()
    };
    let back = read(&path);
    assert_eq!(back.len(), want.len());
    assert_eq!(by_id(back), by_id(want));
}

#[test]
fn an_update_that_does_not_fit_the_columns_writes_all_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    write(&path, &(0..100).map(|i| item(&format!("i{i}"), &json!({"datetime": null, "n": i}))).collect::<Vec<_>>())
        .unwrap();
    let mut update = TableWriter::update(&path).unwrap();
    update.add(&raw(&item("i7", &json!({"datetime": null, "n": "seven", "more": {"x": [1.5]}})))).unwrap();
    let written = update.finish().unwrap();
    assert_eq!((written.items, written.kept, written.removed), (100, 0, 0));
    let back = read(&path);
    let of = |id: &str| &back.iter().find(|item| item["id"] == id).unwrap()["properties"];
    assert_eq!(*of("i7"), json!({"datetime": null, "n": "seven", "more": {"x": [1.5]}}));
    assert_eq!(*of("i8"), json!({"datetime": null, "n": 8}));
}

#[test]
fn an_item_that_cannot_be_a_row_is_refused_and_others_follow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let mut writer = TableWriter::create(&path).unwrap();
    assert!(matches!(writer.add(&raw(&item("a", &json!({"links": 1})))), Err(Error::Row { .. })));
    writer.add(&raw(&item("b", &json!({"datetime": null, "empty": {}, "big": 9_007_199_254_740_993u64})))).unwrap();
    let twice = r#"{"type": "Feature", "id": "c", "id": "d", "geometry": null, "properties": {"a": {"x": 1, "x": 2}}}"#;
    writer.add(&RawItem::parse(Href::parse("/c/i.json").unwrap(), twice.into()).unwrap()).unwrap();
    assert_eq!(writer.finish().unwrap().items, 2);
    let back = read(&path);
    assert_eq!(back.iter().find(|item| item["id"] == "b").unwrap()["properties"]["big"], 9_007_199_254_740_993u64);
    assert_eq!(back.iter().find(|item| item["id"] == "b").unwrap()["properties"]["empty"], json!({}));
    assert_eq!(back.iter().find(|item| item["id"] == "d").unwrap()["properties"]["a"]["x"], 2);
}

#[test]
fn damaged_tables_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let items: Vec<Value> = (0..50).map(|i| item(&format!("i{i}"), &json!({"n": i, "datetime": null}))).collect();
    write(&path, &items).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let (_runtime, store) = store();
    let mut random = outcrop_testkit::Random::new(3);
    for round in 0..400 {
        let mut bytes = whole.clone();
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        if round % 4 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << random.below(8);
        }
        std::fs::write(&path, &bytes).unwrap();
        if round % 3 == 0 {
            let updated = TableWriter::update(&path).and_then(|mut update| {
                update.add(&raw(&items[7]))?;
                update.finish()
            });
            // What could be read was written anew; what could not stays as it was.
            assert!(updated.is_ok() || std::fs::read(&path).unwrap() == bytes);
            std::fs::write(&path, &bytes).unwrap();
        }
        let Ok(table) = store.wait(Table::open(&store, &Href::from_path(&path))) else { continue };
        for at in 0..table.groups().min(4) {
            let _ = rows(&store, &table, at);
        }
    }
}

/// Found by fuzzing (tests/fuzz, `items_table`): the crate `parquet` panics of columns whose place is a number below 0.
#[test]
fn a_table_whose_columns_lie_before_it_is_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/columns_before_the_file.parquet");
    let (_runtime, store) = store();
    let why = plain_rows(std::fs::read(&path).unwrap().into(), |_| {}).unwrap_err();
    assert!(why.ends_with("its columns lie before its beginning"), "{why}");
    for why in [
        store.wait(Table::open(&store, &Href::from_path(&path))).map(drop).unwrap_err(),
        TableWriter::update(&path).map(drop).unwrap_err(),
    ] {
        assert!(
            matches!(&why, Error::Table { why, .. } if why.ends_with("its columns lie before its beginning")),
            "{why:?}"
        );
    }
}
