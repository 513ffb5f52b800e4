//! The results as a STAC item.

use outcrop_grid::{Axis, Footprint, footprint_of_rectangle};
use outcrop_stac::Body;
use outcrop_store::Href;
use serde_json::{Map, Value, json};

use super::output::{HeatFiles, crs};
use super::run::HeatIndex;
use crate::Result;
use crate::register::geometry;

/// The item of some results: their assets, place and time, and links to the items or files they were made from. Its id is
/// `heat-index` with the name of their folder, the first and the last day.
///
/// # Errors
/// [`crate::Error::Axis`] if the selection has no day.
pub fn item(index: &HeatIndex, files: &HeatFiles) -> Result<Body> {
    let series = index.series();
    let none = || crate::Error::Axis { variable: "time".into(), why: "no day is selected".into() };
    let (first, last) = series.span().ok_or_else(none)?;
    let footprint = footprint(index);
    let folder = files.files.first().map(|(_, href)| href.folder());
    let folder = folder.as_ref().and_then(|folder| folder.as_str().trim_end_matches('/').rsplit('/').next());
    let folder = folder.filter(|name| !name.is_empty()).map_or_else(String::new, |name| format!("{name}-"));
    let assets: Map<String, Value> =
        files.files.iter().map(|(key, href)| ((*key).to_owned(), asset(key, href))).collect();
    let mut body = Map::new();
    body.insert("type".into(), json!("Feature"));
    body.insert("stac_version".into(), json!("1.1.0"));
    body.insert("stac_extensions".into(), json!(["https://stac-extensions.github.io/processing/v1.2.0/schema.json"]));
    body.insert("id".into(), json!(format!("heat-index-{folder}{first}-{last}")));
    body.insert("geometry".into(), footprint.as_ref().map_or(Value::Null, geometry));
    if let Some(footprint) = &footprint {
        body.insert("bbox".into(), json!(footprint.bbox.to_array()));
    }
    body.insert(
        "properties".into(),
        json!({
            "datetime": null,
            "start_datetime": format!("{first}T00:00:00Z"),
            "end_datetime": format!("{last}T23:59:59Z"),
            "processing:lineage": format!("means of {} daily images", series.files.len()),
            "processing:software": {"outcrop": env!("CARGO_PKG_VERSION")},
        }),
    );
    let links: Vec<Value> = series.files.iter().map(|file| derived(file.item.as_ref(), &file.href)).collect();
    body.insert("links".into(), Value::Array(links));
    body.insert("assets".into(), Value::Object(assets));
    Ok(body)
}

fn derived(item: Option<&Href>, file: &Href) -> Value {
    match item {
        Some(item) => json!({"rel": "derived_from", "href": item.as_str(), "type": "application/geo+json"}),
        None => {
            json!({"rel": "derived_from", "href": file.absolute().as_str(), "type": "image/tiff; application=geotiff"})
        }
    }
}

fn asset(key: &str, href: &Href) -> Value {
    let (kind, title, role) = match key {
        "mean" => ("image/tiff; application=geotiff", "Mean over time", "data"),
        "monthly" => ("image/tiff; application=geotiff", "Mean of each month of the year, a band each", "data"),
        "zarr" => ("application/vnd.zarr", "All results", "data"),
        "daily" => ("text/csv", "Mean of each day in degrees Fahrenheit", "data"),
        "nearest" => ("text/csv", "Temperature of a cell by day", "data"),
        "daily-plot" => ("image/png", "Mean of each day", "overview"),
        _ => ("image/png", "Map of the mean over time", "overview"),
    };
    json!({"href": href.as_str(), "type": kind, "title": title, "roles": [role]})
}

/// The outline of the selected cells, where their place in degrees is known.
fn footprint(index: &HeatIndex) -> Option<Footprint> {
    let bounds = |dim: &str| Some(Axis::from_centres(&index.series().array.coords.get(dim)?.values)?.bounds());
    footprint_of_rectangle(&crs(index)?.ok()?, bounds("x")?, bounds("y")?).ok()
}
