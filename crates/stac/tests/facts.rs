//! The rules of STAC, each with a document that keeps it and one that breaks it: <https://github.com/radiantearth/stac-spec>.

#![expect(clippy::too_many_lines, clippy::needless_pass_by_value, reason = "they are lists of documents")]

use outcrop_stac::validate::Validator;
use serde_json::{Value, json};

fn item() -> Value {
    json!({"type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": "i", "geometry": {"type": "Point",
        "coordinates": [1, 2]}, "bbox": [1, 2, 1, 2], "properties": {"datetime": "2020-01-01T00:00:00Z"}, "links": [],
        "assets": {"a": {"href": "a.nc"}}})
}

fn collection() -> Value {
    json!({"type": "Collection", "stac_version": "1.1.0", "id": "c", "description": "d", "license": "CC-BY-4.0", "links": [],
        "extent": {"spatial": {"bbox": [[-10, -10, 10, 10]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", null]]}}})
}

fn catalog() -> Value {
    json!({"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "d", "links": []})
}

/// A document with other fields; null at the top level leaves a field out, `"null"` makes it null.
fn with(mut document: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(document.as_object_mut().map(|object| object.remove(key))),
            Value::String(text) if text == "null" => document[key] = Value::Null,
            Value::Object(inner) if document[key].is_object() => {
                for (name, value) in inner {
                    document[key][name] = value.clone();
                }
            }
            value => document[key] = value.clone(),
        }
    }
    document
}

#[track_caller]
fn holds(validator: &mut Validator, rule: &str, good: &[Value], bad: &[Value]) {
    for document in good {
        let checked = validator.check(document);
        assert!(checked.faults.is_empty() && !checked.is_unchecked, "{rule}: {:?} of {document}", checked.faults);
    }
    for document in bad {
        assert!(!validator.check(document).faults.is_empty(), "{rule}: no fault of {document}");
    }
}

#[test]
fn rules_of_items() {
    let v = &mut Validator::new();
    let no_place = json!({"geometry": "null", "bbox": null});
    holds(
        v,
        "a box if, and only if, there is a geometry",
        &[item(), with(item(), no_place)],
        &[
            with(item(), json!({"bbox": null})),
            with(item(), json!({"geometry": "null"})),
            with(item(), json!({"geometry": null})),
        ],
    );
    for field in ["stac_version", "type", "id", "properties", "links", "assets"] {
        let mut without = json!({});
        without[field] = Value::Null;
        let checked = v.check(&with(item(), without));
        assert!(checked.is_unchecked || !checked.faults.is_empty(), "`{field}` is required");
    }
    holds(v, "an id has a character", &[], &[with(item(), json!({"id": ""}))]);
    holds(
        v,
        "a box has four or six numbers, also across the antimeridian",
        &[with(item(), json!({"bbox": [1, 2, 0, 1, 2, 9]})), with(item(), json!({"bbox": [170, -10, -170, 10]}))],
        &[with(item(), json!({"bbox": [1, 2, 3]})), with(item(), json!({"bbox": [1, 2, 3, 4, 5]}))],
    );
    holds(
        v,
        "a collection of geometries is none of an item",
        &[],
        &[with(item(), json!({"geometry": json!({"type": "GeometryCollection", "geometries": []})}))],
    );
    let times = |datetime: Value, more: Value| {
        let mut item = with(item(), json!({"properties": more}));
        item["properties"]["datetime"] = datetime;
        item
    };
    let (start, end) = ("2020-01-01T00:00:00Z", "2020-02-01T00:00:00+00:00");
    let both = json!({"start_datetime": start, "end_datetime": end});
    let mut without = item();
    if let Some(properties) = without["properties"].as_object_mut() {
        properties.remove("datetime");
    }
    holds(
        v,
        "a time, or null with start and end",
        &[
            times(Value::Null, both.clone()),
            times(json!(start), both.clone()),
            times(json!("2020-01-01T00:00:00.25Z"), json!({})),
        ],
        &[
            times(Value::Null, json!({})),
            times(Value::Null, json!({"start_datetime": start})),
            times(json!(start), json!({"start_datetime": start})),
            times(json!(start), json!({"end_datetime": end})),
            with(without, json!({"properties": both})),
        ],
    );
    holds(
        v,
        "times are RFC 3339 in UTC",
        &[],
        &[
            times(json!("2020-01-01"), json!({})),
            times(json!("2020-01-01T00:00:00+02:00"), json!({})),
            times(json!("2020-01-01 00:00:00"), json!({})),
        ],
    );
    let link = json!([{"rel": "collection", "href": "../collection.json"}]);
    holds(
        v,
        "a collection is named if, and only if, it is linked",
        &[with(item(), json!({"collection": "c", "links": link}))],
        &[with(item(), json!({"collection": "c"})), with(item(), json!({"links": link}))],
    );
    let bands = json!([{"name": "b", "data_type": "int16"}]);
    holds(
        v,
        "bands of an item only where an asset has some",
        &[
            with(item(), json!({"properties": {"bands": bands}, "assets": {"a": {"href": "a.nc", "bands": bands}}})),
            with(item(), json!({"assets": {"a": {"href": "a.nc", "bands": bands}}})),
        ],
        &[with(item(), json!({"properties": {"bands": bands}}))],
    );
    holds(
        v,
        "an asset has an href of any scheme; type and roles are optional",
        &[
            with(item(), json!({"assets": {"a": {"href": "s3://b/k.nc", "roles": ["data", "own"]}}})),
            with(item(), json!({"assets": json!({})})),
        ],
        &[
            with(item(), json!({"assets": {"a": {"title": "t"}}})),
            with(item(), json!({"assets": {"a": {"href": "a.nc", "roles": "data"}}})),
        ],
    );
}

#[test]
fn rules_of_collections_and_catalogs() {
    let v = &mut Validator::new();
    holds(v, "what is required", &[collection(), catalog()], &[]);
    for (document, fields) in [
        (collection(), &["type", "id", "description", "license", "extent", "links"][..]),
        (catalog(), &["type", "id", "description", "links"]),
    ] {
        for field in fields {
            let mut without = json!({});
            without[field] = Value::Null;
            let checked = v.check(&with(document.clone(), without));
            assert!(checked.is_unchecked || !checked.faults.is_empty(), "`{field}` is required");
        }
    }
    let boxes = |boxes: Value| with(collection(), json!({"extent": {"spatial": {"bbox": boxes}}}));
    let one = json!([-10, -10, 10, 10]);
    holds(
        v,
        "one box, or the whole and at least two parts",
        &[boxes(json!([one])), boxes(json!([one, one, one])), boxes(json!([[-10, -10, 0, 10, 10, 9]]))],
        &[boxes(json!([])), boxes(json!([one, one])), boxes(json!([[1, 2, 3]]))],
    );
    let times = |interval: Value| with(collection(), json!({"extent": {"temporal": {"interval": interval}}}));
    holds(
        v,
        "an interval is open at an end that is null",
        &[times(json!([[null, null]])), times(json!([[null, "2020-01-01T00:00:00Z"]]))],
        &[times(json!([])), times(json!([["2020-01-01T00:00:00Z"]])), times(json!([["2020", null]]))],
    );
    holds(
        v,
        "licences are SPDX ids or other: the schema has no expressions with spaces",
        &[with(collection(), json!({"license": "other"})), with(collection(), json!({"license": "CC-BY-4.0+"}))],
        &[with(collection(), json!({"license": "my own!"}))],
    );
    holds(
        v,
        "a summary is a list, a range or a schema",
        &[with(
            collection(),
            json!({"summaries": {"a": ["x"], "b": {"minimum": 1, "maximum": 2}, "c": {"type": "string"}}}),
        )],
        &[with(collection(), json!({"summaries": {"a": "x"}}))],
    );
    holds(
        v,
        "item_assets are without hrefs and not required",
        &[with(collection(), json!({"item_assets": {"a": {"type": "image/tiff", "roles": ["data"]}}}))],
        &[with(collection(), json!({"item_assets": {"a": {"href": "x", "type": "image/tiff"}}}))],
    );
    holds(
        v,
        "links have a rel and an href, and of 1.1 a method, headers and a body",
        &[with(
            catalog(),
            json!({"links": [{"rel": "search", "href": "s", "method": "POST", "headers": {"X": "1"}, "body": {}}]}),
        )],
        &[with(catalog(), json!({"links": [{"rel": "child"}]})), with(catalog(), json!({"links": [{"href": "a"}]}))],
    );
}

#[test]
fn versions_may_be_mixed_and_kinds_are_known_by_type() {
    let v = &mut Validator::new();
    holds(
        v,
        "1.0",
        &[
            with(item(), json!({"stac_version": "1.0.0"})),
            with(collection(), json!({"stac_version": "1.0.0"})),
            with(catalog(), json!({"stac_version": "1.0.0"})),
        ],
        &[],
    );
    let unknown = v.check(&with(item(), json!({"stac_version": "3.0.0"})));
    assert!(unknown.is_unchecked || !unknown.faults.is_empty(), "{unknown:?}");
}
