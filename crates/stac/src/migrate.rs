//! From STAC 1.0 to 1.1: bands, the code of the projection, licences, assets of items.
//!
//! Rules: <https://github.com/radiantearth/stac-spec/releases/tag/v1.1.0> and the bands guide of its best practices: bands of
//! `eo:bands` and `raster:bands` become one list `bands`; fields that are common metadata lose their prefix, others get
//! that of their extension; what all bands of an asset have alike is told of the asset.

use serde_json::{Map, Value, json};

use crate::Body;

/// Version that documents have afterwards.
pub const VERSION: &str = "1.1.0";
/// Extensions whose fields are changed: the part of the address that names them, and the version of the new fields.
const EXTENSIONS: [(&str, &str); 3] = [("eo", "v2.0.0"), ("raster", "v2.0.0"), ("projection", "v2.0.0")];
/// Fields of `eo:bands` that keep the prefix of their extension.
const OF_EO: [&str; 4] = ["common_name", "center_wavelength", "full_width_half_max", "solar_illumination"];
/// Fields of `raster:bands` that are common metadata now.
const COMMON: [&str; 4] = ["nodata", "data_type", "statistics", "unit"];

/// A document of STAC 1.1; what could not be moved is said and stays as it was.
///
/// One that is of 1.1 already, or older than 1.0, is given back as it is.
pub fn migrate(mut document: Body) -> (Body, Vec<String>) {
    let mut told = Vec::new();
    let version = document.get("stac_version").and_then(Value::as_str).unwrap_or_default().to_owned();
    if document.get("type").and_then(Value::as_str) == Some("FeatureCollection") {
        let members = document.get_mut("features").and_then(Value::as_array_mut).into_iter().flatten();
        for member in members.filter_map(Value::as_object_mut) {
            let (new, more) = migrate(std::mem::take(member));
            *member = new;
            told.extend(more);
        }
        return (document, told);
    }
    if !version.starts_with("1.0") {
        if !version.starts_with("1.1") {
            told.push(format!("it is of STAC {version}, which is not 1.0: it stays as it is"));
        }
        return (document, told);
    }
    document.insert("stac_version".to_owned(), VERSION.into());
    for name in ["assets", "item_assets"] {
        for (key, asset) in document.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten() {
            if let Some(fields) = asset.as_object_mut() {
                told.extend(bands(fields).into_iter().map(|why| format!("asset `{key}`: {why}")));
                projection(fields);
            }
        }
    }
    if let Some(properties) = document.get_mut("properties").and_then(Value::as_object_mut) {
        told.extend(bands(properties));
        projection(properties);
    }
    if let Some(summaries) = document.get_mut("summaries").and_then(Value::as_object_mut) {
        told.extend(bands(summaries));
        projection(summaries);
    }
    licence(&mut document);
    extensions(&mut document);
    (document, told)
}

/// Merges the bands of an asset; why they could not be.
fn bands(fields: &mut Map<String, Value>) -> Option<String> {
    let list = |name: &str| fields.get(name).and_then(Value::as_array).cloned();
    let (eo, raster) = (list("eo:bands"), list("raster:bands"));
    let count = match (&eo, &raster) {
        (None, None) => return None,
        (Some(eo), Some(raster)) if eo.len() != raster.len() => {
            let (eo, raster) = (eo.len(), raster.len());
            return Some(format!("`eo:bands` has {eo} bands and `raster:bands` {raster}: both stay as they are"));
        }
        (Some(list), _) | (None, Some(list)) => list.len(),
    };
    if fields.contains_key("bands") {
        return Some("it has `bands` already: `eo:bands` and `raster:bands` stay as they are".to_owned());
    }
    let member = |list: &Option<Vec<Value>>, at: usize| {
        list.as_ref().and_then(|list| list.get(at)).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let mut merged: Vec<Map<String, Value>> = (0..count)
        .map(|at| {
            let eo = member(&eo, at)
                .into_iter()
                .map(|(name, value)| (if OF_EO.contains(&name.as_str()) { format!("eo:{name}") } else { name }, value));
            let raster = member(&raster, at).into_iter().map(|(name, value)| {
                let is_plain = COMMON.contains(&name.as_str()) || name.contains(':');
                (if is_plain { name } else { format!("raster:{name}") }, value)
            });
            eo.chain(raster).collect()
        })
        .collect();
    fields.shift_remove("eo:bands");
    fields.shift_remove("raster:bands");
    // What all bands have alike is told once; of one band only what is no name of it.
    let first = merged.first().cloned().unwrap_or_default();
    for (name, value) in first {
        let of_band = matches!(name.as_str(), "name" | "description" | "statistics") || name.starts_with("eo:");
        let is_alike = merged.iter().all(|band| band.get(&name) == Some(&value));
        if !of_band && is_alike && !fields.contains_key(&name) {
            for band in &mut merged {
                band.shift_remove(&name);
            }
            fields.insert(name, value);
        }
    }
    // A band of which nothing is left to be told needs no list, unless others have something.
    if merged.iter().any(|band| !band.is_empty()) || count > 1 {
        fields.insert("bands".to_owned(), merged.into_iter().map(Value::Object).collect());
    }
    None
}

/// `proj:epsg` becomes `proj:code`.
fn projection(fields: &mut Map<String, Value>) {
    if let Some(code) = fields.shift_remove("proj:epsg") {
        fields.entry("proj:code").or_insert_with(|| codes_of(&code));
    }
}

fn codes_of(code: &Value) -> Value {
    match code {
        Value::Number(number) => format!("EPSG:{number}").into(),
        Value::Array(codes) => codes.iter().map(codes_of).collect(),
        other => other.clone(),
    }
}

/// Licences that 1.1 knows no more.
fn licence(document: &mut Body) {
    let is_old = |value: &Value| matches!(value.as_str(), Some("proprietary" | "various"));
    if let Some(licence) = document.get_mut("license").filter(|value| is_old(value)) {
        *licence = "other".into();
    }
    let of_item = document.get_mut("properties").and_then(|properties| properties.get_mut("license"));
    if let Some(licence) = of_item.filter(|value| is_old(value)) {
        *licence = "other".into();
    }
}

/// The extensions that the fields are of now.
fn extensions(document: &mut Body) {
    let text = Value::Object(document.clone()).to_string();
    let uses = |prefix: &str| text.contains(&format!("\"{prefix}:"));
    let Some(list) = document.get_mut("stac_extensions").and_then(Value::as_array_mut) else { return };
    let of = |name: &str| format!("https://stac-extensions.github.io/{name}/");
    // What was an extension is of the core.
    list.retain(|address| !address.as_str().is_some_and(|address| address.starts_with(&of("item-assets"))));
    for (name, version) in EXTENSIONS {
        let own = of(name);
        let had = list.len();
        list.retain(|address| !address.as_str().is_some_and(|address| address.starts_with(&own)));
        let prefix = if name == "projection" { "proj" } else { name };
        if list.len() < had && uses(prefix) {
            list.push(json!(format!("{own}{version}/schema.json")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated(document: &Value) -> (Value, Vec<String>) {
        let (body, told) = migrate(document.as_object().unwrap().clone());
        (Value::Object(body), told)
    }

    #[test]
    fn bands_are_merged_and_what_they_share_is_told_once() {
        let old = json!({"type": "Feature", "stac_version": "1.0.0", "id": "i", "properties": {"proj:epsg": 32633},
            "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json",
                "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
                "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
                "https://stac-extensions.github.io/view/v1.0.0/schema.json"],
            "assets": {"rgb": {"href": "x.tif",
                "eo:bands": [{"name": "r", "common_name": "red"}, {"name": "g", "common_name": "green"}],
                "raster:bands": [{"data_type": "uint16", "nodata": 0, "scale": 0.1, "spatial_resolution": 10},
                    {"data_type": "uint16", "nodata": 1, "scale": 0.1, "spatial_resolution": 10}]}}});
        let (new, told) = migrated(&old);
        assert_eq!(told, Vec::<String>::new());
        assert_eq!(new["stac_version"], "1.1.0");
        assert_eq!(new["properties"], json!({"proj:code": "EPSG:32633"}));
        assert_eq!(
            new["assets"]["rgb"],
            json!({"href": "x.tif", "data_type": "uint16", "raster:scale": 0.1, "raster:spatial_resolution": 10,
                "bands": [{"name": "r", "eo:common_name": "red", "nodata": 0},
                    {"name": "g", "eo:common_name": "green", "nodata": 1}]})
        );
        let extensions: Vec<&str> =
            new["stac_extensions"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(
            extensions,
            [
                "https://stac-extensions.github.io/view/v1.0.0/schema.json",
                "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
                "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
                "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
            ]
        );
        assert_eq!(migrated(&new), (new.clone(), Vec::new()));
    }

    #[test]
    fn what_does_not_fit_stays_and_is_told() {
        let old = json!({"type": "Feature", "stac_version": "1.0.0", "id": "i", "properties": {},
            "assets": {"a": {"eo:bands": [{"name": "r"}], "raster:bands": [{}, {}]}}});
        let (new, told) = migrated(&old);
        assert_eq!(new["assets"], old["assets"]);
        assert!(told[0].starts_with("asset `a`: `eo:bands` has 1 bands"), "{told:?}");
        let older = json!({"type": "Feature", "stac_version": "0.9.0", "id": "i"});
        assert_eq!(migrated(&older).0, older);
        assert_eq!(migrated(&older).1.len(), 1);
    }

    #[test]
    fn collections_have_assets_of_items_and_licences_of_now() {
        let old = json!({"type": "Collection", "stac_version": "1.0.0", "id": "c", "license": "proprietary",
            "stac_extensions": ["https://stac-extensions.github.io/item-assets/v1.0.0/schema.json"],
            "item_assets": {"a": {"raster:bands": [{"data_type": "float32", "nodata": "nan"}]}},
            "summaries": {"proj:epsg": [4326, 3857], "eo:bands": [{"name": "B1"}, {"name": "B2"}]}});
        let (new, _) = migrated(&old);
        assert_eq!(new["license"], "other");
        assert_eq!(new["stac_extensions"], json!([]));
        assert_eq!(new["item_assets"]["a"], json!({"data_type": "float32", "nodata": "nan"}));
        assert_eq!(
            new["summaries"],
            json!({"bands": [{"name": "B1"}, {"name": "B2"}], "proj:code": ["EPSG:4326", "EPSG:3857"]})
        );
    }
}
