//! Pure rules: what an item says when some of its assets are parts of what they were.

use outcrop_stac::{Body, Document, Portrait};
use serde_json::{Map, Value, json};

use super::{Cut, bands};

/// Fields that are of the old file.
const OLD: [&str; 6] = ["file:", "proj:", "cube:", "raster:histogram", "statistics", "outcrop:references"];
/// Lists with an entry for each band.
const LISTS: [&str; 3] = ["bands", "eo:bands", "raster:bands"];

/// Writes into an item what the new files of some of its assets, in the order of `keys`, say of them.
pub(crate) fn narrow(item: &mut Document, keys: &[String], cut: &Cut, portrait: Portrait) {
    let source = item.href().absolute();
    let body = item.body_mut();
    move_properties(body, keys);
    if let Some(assets) = body.get_mut("assets").and_then(Value::as_object_mut) {
        for (key, fields) in keys.iter().zip(portrait.assets) {
            if let Some(asset) = assets.get_mut(key).and_then(Value::as_object_mut) {
                redescribe(asset, cut, fields);
            }
        }
    }
    if let (Some(geometry), Some(bbox)) = (portrait.geometry, portrait.bbox) {
        body.insert("geometry".into(), geometry);
        body.insert("bbox".into(), bbox);
    }
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        set_time(properties, portrait.moment, portrait.span);
    }
    for schema in portrait.extensions {
        add_schema(body, schema);
    }
    let links = body.entry("links").or_insert_with(|| json!([]));
    if let Some(links) = links.as_array_mut() {
        let href = outcrop_stac::unsigned(&source);
        links.push(json!({"rel": "derived_from", "href": href, "type": "application/geo+json"}));
    }
}

/// Fields of place that an item says of all its assets stay with those that are whole.
fn move_properties(body: &mut Body, keys: &[String]) {
    let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let is_old = |name: &str| name.starts_with("proj:") || name.starts_with("cube:");
    let names: Vec<String> = properties.keys().filter(|name| is_old(name)).cloned().collect();
    let moved: Vec<(String, Value)> =
        names.into_iter().filter_map(|name| properties.shift_remove_entry(&name)).collect();
    let Some(assets) = body.get_mut("assets").and_then(Value::as_object_mut) else { return };
    let whole = assets.iter_mut().filter(|(key, _)| !keys.contains(key));
    for asset in whole.filter_map(|(_, asset)| asset.as_object_mut()) {
        for (name, value) in &moved {
            asset.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// The fields of one asset: those of the new file, and what the item says of bands that are kept.
fn redescribe(asset: &mut Map<String, Value>, cut: &Cut, mut fields: Body) {
    asset.retain(|name, _| !OLD.iter().any(|old| name.starts_with(old)));
    for list in LISTS {
        if let Some(known) = asset.shift_remove(list).and_then(|known| kept(known, cut)) {
            asset.insert(list.into(), known);
        }
    }
    let known = asset.shift_remove("bands");
    if let (Some(Value::Array(known)), Some(Value::Array(read))) = (known, fields.get_mut("bands"))
        && known.len() == read.len()
    {
        for (read, known) in read.iter_mut().zip(known) {
            if let (Some(read), Value::Object(known)) = (read.as_object_mut(), known) {
                for (name, value) in known {
                    // Names and meanings of bands are the item's, numbers those of the file.
                    if name == "name" || !read.contains_key(&name) {
                        read.insert(name, value);
                    }
                }
            }
        }
    }
    if fields.get("bands").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        fields.shift_remove("bands");
    }
    asset.extend(fields);
}

/// The entries of the bands that are kept, without what was counted over the whole.
fn kept(list: Value, cut: &Cut) -> Option<Value> {
    let Value::Array(mut list) = list else { return None };
    let run = bands::chosen(&cut.bands, list.len() as u64, &[names_of(&list)]).ok()?;
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let mut list: Vec<Value> = list.drain(place(run.start)..place(run.end)).collect();
    for band in list.iter_mut().filter_map(Value::as_object_mut) {
        band.retain(|name, _| !["statistics", "histogram", "raster:histogram"].contains(&name.as_str()));
    }
    Some(Value::Array(list))
}

/// Names of bands in a list; of one without a name, an empty text.
fn names_of(list: &[Value]) -> Vec<String> {
    list.iter().map(|band| band.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
}

/// The names of bands that an asset tells.
pub(crate) fn names(asset: Option<&Body>) -> Vec<Vec<String>> {
    let list = |name: &&str| asset?.get(*name)?.as_array().map(|list| names_of(list));
    LISTS.iter().filter_map(list).collect()
}

fn set_time(properties: &mut Map<String, Value>, moment: Option<String>, span: Option<(String, String)>) {
    let Some((start, end)) = span else { return };
    let old = properties.get("datetime").and_then(Value::as_str).map(str::to_owned);
    let time = |text: &str| outcrop_grid::interval::parse_time(text);
    // A moment that stands for the whole stays if it lies in the part.
    let stays = old.filter(|old| time(&start) <= time(old) && time(old) <= time(&end));
    properties.insert("datetime".into(), json!(moment.or(stays)));
    let had_span = properties.contains_key("start_datetime");
    if had_span || start != end || properties["datetime"].is_null() {
        properties.insert("start_datetime".into(), start.into());
        properties.insert("end_datetime".into(), end.into());
    }
}

fn add_schema(body: &mut Body, schema: String) {
    let name = schema.rsplit('/').nth(2).map(|name| format!("/{name}/")).unwrap_or_default();
    let known = body.entry("stac_extensions").or_insert_with(|| json!([]));
    if let Some(known) = known.as_array_mut()
        && !known.iter().any(|old| old.as_str().is_some_and(|old| old.contains(&name)))
    {
        known.push(schema.into());
    }
}

#[cfg(test)]
mod tests {
    use outcrop_store::Href;

    use super::*;
    use crate::cut::Describe;

    fn cut(bands: &[&str]) -> Cut {
        let describe = Describe::new(|_, _| Box::pin(async { Ok(Portrait::default()) }));
        let bands = bands.iter().map(ToString::to_string).collect();
        Cut { bbox: None, interval: None, variables: Vec::new(), bands, describe }
    }

    #[test]
    fn an_item_of_parts_says_what_its_new_files_say() {
        let item = json!({"type": "Feature", "id": "i", "geometry": null, "links": [],
            "properties": {"datetime": "2000-01-01T00:00:00Z", "start_datetime": "2000-01-01T00:00:00Z",
                "end_datetime": "2000-12-31T00:00:00Z", "proj:code": "EPSG:1"},
            "assets": {"a": {"href": "a.tif", "file:size": 5, "file:checksum": "x", "title": "T",
                "proj:shape": [9, 9], "bands": [{"name": "red"}, {"name": "nir", "eo:common_name": "nir", "statistics": {}}]},
                "b": {"href": "b.tif"}}});
        let mut item = Document::from_value(Href::parse("https://h/i.json").unwrap(), item).unwrap();
        let fields =
            json!({"type": "image/tiff", "proj:shape": [2, 3], "bands": [{"name": "1", "data_type": "uint8"}]});
        let portrait = Portrait {
            assets: vec![fields.as_object().unwrap().clone()],
            geometry: Some(json!({"type": "Polygon"})),
            bbox: Some(json!([0, 0, 1, 1])),
            span: Some(("2000-06-01T00:00:00Z".into(), "2000-06-30T00:00:00Z".into())),
            ..Portrait::default()
        };
        narrow(&mut item, &["a".into()], &cut(&["nir"]), portrait);
        let body = item.body();
        assert_eq!(
            body["assets"]["a"],
            json!({"href": "a.tif", "title": "T", "type": "image/tiff", "proj:shape": [2, 3],
                "bands": [{"name": "nir", "data_type": "uint8", "eo:common_name": "nir"}]})
        );
        assert_eq!(body["assets"]["b"], json!({"href": "b.tif", "proj:code": "EPSG:1"}));
        assert_eq!(
            body["properties"],
            json!({"datetime": null, "start_datetime": "2000-06-01T00:00:00Z", "end_datetime": "2000-06-30T00:00:00Z"})
        );
        assert_eq!(body["links"][0]["rel"], "derived_from");
        assert_eq!((&body["bbox"], &body["geometry"]["type"]), (&json!([0, 0, 1, 1]), &json!("Polygon")));
    }
}
