//! What `migrate` makes of bands means what rustac (the crate `stac`) makes of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use outcrop_stac::migrate;
use outcrop_stac::model::{Item, Migrate, Version};
use serde_json::{Map, Value, json};

/// What is known of each band of an asset: its own fields before those of the asset, whichever of the two tells it.
type Bands = Vec<BTreeMap<String, Value>>;

fn item(assets: &Value) -> Value {
    json!({"type": "Feature", "stac_version": "1.0.0", "id": "i", "geometry": null, "links": [],
        "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json"],
        "properties": {"datetime": "2020-01-01T00:00:00Z", "license": "proprietary"}, "assets": assets})
}

/// Numbers as they are compared: the types of rustac make `0.0` of `0`.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

/// One band is told by the asset itself, with or without a list.
fn bands_of(asset: &Value) -> Bands {
    let of_bands = |name: &str| {
        name.starts_with("eo:")
            || name.starts_with("raster:")
            || ["name", "description", "nodata", "data_type", "statistics", "unit"].contains(&name)
    };
    let own = |fields: &Map<String, Value>| -> BTreeMap<String, Value> {
        fields.iter().filter(|(name, _)| of_bands(name)).map(|(name, value)| (name.clone(), plain(value))).collect()
    };
    let shared = own(asset.as_object().unwrap());
    let list = asset.get("bands").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![json!({})]);
    let band = |band: &Value| shared.clone().into_iter().chain(own(band.as_object().unwrap())).collect();
    list.iter().map(band).collect()
}

fn ours(item: &Value) -> Value {
    let (new, told) = migrate(item.as_object().unwrap().clone());
    assert_eq!(told, Vec::<String>::new());
    Value::Object(new)
}

fn theirs(item: &Value) -> Value {
    let item: Item = serde_json::from_value(item.clone()).unwrap();
    serde_json::to_value(item.migrate(&Version::v1_1_0).unwrap()).unwrap()
}

#[test]
fn bands_mean_what_rustac_makes_of_them() {
    let assets = json!({
        "one": {"href": "1.tif", "eo:bands": [{"name": "B04", "common_name": "red", "center_wavelength": 0.665}],
            "raster:bands": [{"data_type": "uint16", "nodata": 0, "unit": "1", "scale": 0.0001, "offset": -0.1}]},
        "equal": {"href": "2.tif", "raster:bands": [{"data_type": "uint8", "nodata": 0}, {"data_type": "uint8", "nodata": 0}],
            "eo:bands": [{"name": "r", "common_name": "red"}, {"name": "g", "common_name": "green"}]},
        "unlike": {"href": "3.tif", "raster:bands": [{"data_type": "uint8", "bits_per_sample": 7},
            {"data_type": "float32", "spatial_resolution": 10.5}, {"data_type": "int8", "nodata": -9999}]},
        "numbers": {"href": "4.tif", "raster:bands": [
            {"statistics": {"minimum": 1, "maximum": 7.5}, "histogram": {"count": 2, "min": 0, "max": 1, "buckets": [1, 2]}},
            {"statistics": {"minimum": 0, "maximum": 2.5}}]},
        "colours": {"href": "5.tif", "eo:bands": [{"name": "a", "full_width_half_max": 0.1}, {"name": "b", "solar_illumination": 9}]},
        "none": {"href": "6.json", "type": "application/json"},
    });
    let (ours, theirs) = (ours(&item(&assets)), theirs(&item(&assets)));
    for key in assets.as_object().unwrap().keys() {
        assert_eq!(bands_of(&ours["assets"][key]), bands_of(&theirs["assets"][key]), "{key}");
    }
    assert_eq!(ours["stac_version"], theirs["stac_version"]);
    assert_eq!(ours["properties"]["license"], theirs["properties"]["license"]);
}

#[test]
fn where_rustac_differs_ours_says_what_the_item_said() {
    let before = |name: &str| {
        json!({"href": "x.tif", "eo:bands": [{"name": "r", "description": "Red"}, {"name": "g"}, {"name": "b"}],
        "raster:bands": [{"nodata": 0}, {"nodata": 0}, {name: "metre"}]})
    };
    let assets = json!({"some": before("unit")});
    let (ours, theirs) = (ours(&item(&assets)), theirs(&item(&assets)));
    // A value that most bands have and others lack: rustac tells it of the asset, and so of the bands that lack it.
    let nodata = |bands: &Bands| bands.iter().map(|band| band.get("nodata").cloned()).collect::<Vec<_>>();
    assert_eq!(nodata(&bands_of(&ours["assets"]["some"])), [Some(json!(0.0)), Some(json!(0.0)), None]);
    assert_eq!(nodata(&bands_of(&theirs["assets"]["some"])), vec![Some(json!(0.0)); 3]);
    // A description of a band is common metadata; rustac gives it the prefix of an extension that has no such field.
    assert_eq!(bands_of(&ours["assets"]["some"])[0]["description"], "Red");
    assert_eq!(bands_of(&theirs["assets"]["some"])[0]["eo:description"], "Red");
    // The new fields are of the new versions of the extensions, which rustac leaves as they were.
    let extensions = |item: &Value| item["stac_extensions"].to_string();
    assert!(!extensions(&ours).contains("/v1.1.0/"), "{}", extensions(&ours));
    assert!(extensions(&theirs).contains("raster/v1.1.0/"));
}
