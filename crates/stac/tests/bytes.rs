//! Whatever a catalog holds survives reading and writing to the byte: unknown fields, their order, numbers as they are written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use futures::StreamExt;
use outcrop_stac::{Body, Loaded, RawItem, TreeWriter, WalkOptions, WriteOptions, load, parse_catalog, walk_from};
use outcrop_store::{Href, Store, StoreOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A number as people and programs write it; `serde_json` would write most of them otherwise.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<i32>().prop_map(|n| format!("{n}.0")),
        (any::<i16>(), 0u16..400).prop_map(|(n, e)| format!("{n}e{}", e % 30)),
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("{a}{b:020}")),
        (any::<i8>(), "[0-9]{1,25}").prop_map(|(a, b)| format!("{a}.{b}")),
        Just("-0".to_owned()),
        Just("-0.0".to_owned()),
        Just("1E+2".to_owned()),
    ]
}

/// A text as JSON, sometimes with escapes that need not be.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        "[a-z]{0,8}".prop_map(|text| format!("\"\\u0041\\/{text}\"")),
        "[a-z:_.-]{1,10}".prop_map(|text| format!("\"{text}\"")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![number(), text(), Just("null".to_owned()), Just("true".to_owned())];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|all| format!("[{}]", all.join(","))),
            object(inner),
        ]
    })
}

/// An object with keys that no field of STAC has.
fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(("[a-z]{1,6}", inner), 0..5).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().enumerate().map(|(i, (k, v))| format!("\"x:{k}{i}\":{v}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

/// The JSON of an item: its fields in any order, unknown ones among them, and links that are kept.
fn item(id: usize) -> impl Strategy<Value = String> {
    let parts = (object(value()), object(value()), prop::collection::vec(value(), 0..4), any::<u64>());
    parts.prop_map(move |(properties, asset, unknown, seed)| {
        let mut fields = vec![
            "\"type\":\"Feature\"".to_owned(),
            "\"stac_version\":\"1.1.0\"".to_owned(),
            format!("\"id\":\"i{id}\""),
            "\"geometry\":{\"type\":\"Point\",\"coordinates\":[1.0,2e0]}".to_owned(),
            "\"bbox\":[1.0,2.00,1.0,2e0]".to_owned(),
            format!("\"properties\":{{\"datetime\":\"2020-01-01T00:00:00Z\",\"own\":{properties}}}"),
            "\"links\":[{\"rel\":\"root\",\"href\":\"../old.json\"},{\"x\":1.0,\"rel\":\"via\",\"href\":\"https://h/1\"}]".to_owned(),
            format!("\"assets\":{{\"data\":{{\"href\":\"https://h/a.nc\",\"own\":{asset}}}}}"),
        ];
        fields.extend(unknown.iter().enumerate().map(|(i, value)| format!("\"x{i}\":{value}")));
        // Any order.
        let count = fields.len();
        for at in 0..count {
            fields.swap(at, usize::try_from(seed.rotate_left(u32::try_from(at).unwrap())).unwrap_or(0) % count);
        }
        format!("{{{}}}", fields.join(","))
    })
}

fn items() -> impl Strategy<Value = Vec<String>> {
    (1usize..6).prop_flat_map(|count| (0..count).map(item).collect::<Vec<_>>())
}

fn root() -> Body {
    let root = json!({"type": "Catalog", "id": "r", "stac_version": "1.1.0", "description": "d"});
    root.as_object().unwrap().clone()
}

/// The JSON without white space between its tokens, and without its links.
fn without_links(json: &str) -> String {
    let mut compact = String::new();
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text || !c.is_ascii_whitespace() {
            compact.push(c);
        }
        in_text = if c == '"' && !escaped { !in_text } else { in_text };
        escaped = in_text && c == '\\' && !escaped;
    }
    let start = compact.find("\"links\":[").unwrap();
    let end = start + compact[start..].find("}]").unwrap() + 2;
    format!("{}{}", &compact[..start], &compact[end..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn items_survive_reading_and_writing(items in items()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let to = Href::from_path(&folder.path().join("to"));
        let mut writer = TreeWriter::new(root(), WriteOptions::new(to.clone())).unwrap();
        for json in &items {
            let item = RawItem::parse(Href::parse("https://h/i.json").unwrap(), json.clone().into()).unwrap();
            // Reading keeps the bytes; so does what is to stand elsewhere, as its hrefs are absolute.
            prop_assert_eq!(item.bytes().as_ref(), json.as_bytes());
            let portable = String::from_utf8(item.to_portable().unwrap()).unwrap();
            prop_assert_eq!(without_links(&portable), without_links(json));
            let path = if item.id() == "i1" { vec!["a".to_owned(), "b".to_owned()] } else { Vec::new() };
            writer.add_item(&path, &item).unwrap();
        }
        writer.finish().unwrap();
        let first = store.wait(load(&store, &to)).unwrap();
        let enter = std::sync::Arc::new(|_: &outcrop_stac::Document| true);
        let nodes = store.wait(walk_from(&store, first, WalkOptions::default(), enter).collect::<Vec<_>>());
        let mut found = 0;
        for node in nodes {
            let Loaded::Item(item) = node.unwrap().loaded else { continue };
            found += 1;
            let at: usize = item.id().trim_start_matches('i').parse().unwrap();
            let written = std::str::from_utf8(item.bytes()).unwrap();
            prop_assert_eq!(without_links(written), without_links(&items[at]));
            prop_assert!(written.contains("\"x\": 1.0"), "the link that is kept: {}", written);
            let links: Vec<Value> = serde_json::from_str(item.links().unwrap()).unwrap();
            let rels: Vec<&str> = links.iter().map(|link| link["rel"].as_str().unwrap()).collect();
            prop_assert_eq!(rels, ["root", "parent", "via"]);
        }
        prop_assert_eq!(found, items.len());
    }

    #[test]
    fn a_catalog_is_the_same_with_and_without_the_tree_of_its_links(body in object(value()), count in 0usize..30) {
        let mut links = vec!["{\"rel\":\"root\",\"href\":\"./catalog.json\"}".to_owned()];
        links.extend((0..count).map(|i| format!("{{\"title\":1.0,\"rel\":\"item\",\"href\":\"./i{i}.json\"}}")));
        let json = format!("{{\"type\":\"Catalog\",\"id\":\"c\",\"own\":{body},\"links\":[{}]}}", links.join(","));
        let href = Href::parse("/c/catalog.json").unwrap();
        let cut = parse_catalog(&href, json.as_bytes()).unwrap();
        let tree = outcrop_stac::parse(href, &json.into()).unwrap();
        prop_assert_eq!(cut.cut_links(), count);
        prop_assert_eq!(&cut.body()["own"], &tree.body()["own"]);
        prop_assert_eq!(cut.links().count(), 1);
    }
}
