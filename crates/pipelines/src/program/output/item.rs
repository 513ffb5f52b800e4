//! Results as STAC items: one for each step that is written, with an asset for each of its files.

use std::io::Read;
use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use outcrop_compute::DataArray;
use outcrop_grid::time::rfc3339;
use outcrop_stac::Body;
use outcrop_store::Href;
use serde_json::{Map, Value, json};

use super::{Kind, Output, Written, place};
use crate::Result;
use crate::draw::Form;
use crate::program::{Prepared, Step};
use crate::register::geometry;

const EXTENSIONS: [&str; 2] = [
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
];

impl Prepared {
    /// The items of files that were written. Their ids are the name of the program with that of the step.
    ///
    /// - Place and time are those of the labels of the array; of an array that has lost them, those of the files that it is made of; without
    ///   a time, the moment of the run.
    ///
    /// # Errors
    /// [`crate::Error::Program`] if a file cannot be read.
    pub fn items(&self, name: &str, written: &[Written], folder: &Href) -> Result<Vec<Body>> {
        let mut bodies: IndexMap<&str, Body> = IndexMap::new();
        for (output, _) in self.outputs().iter().zip(written).filter(|(_, w)| w.complete && w.to.is_some()) {
            let (step, array) =
                self.arrays.get_key_value(&output.of).ok_or_else(|| super::at(&output.of, "there is none"))?;
            let body = match bodies.get_mut(step.as_str()) {
                Some(body) => body,
                None => bodies.entry(step).or_insert(self.body(&format!("{name}-{step}"), array)),
            };
            let path = output.path(folder)?;
            if let Some(assets) = body.get_mut("assets").and_then(Value::as_object_mut) {
                let key = key(output, &path, assets)?;
                assets.insert(key, asset(output, &path)?);
            }
        }
        Ok(bodies.into_values().collect())
    }

    fn body(&self, id: &str, array: &DataArray) -> Body {
        let origins = self.origins(array);
        let place = place::footprint(array).or_else(|| origins.iter().find_map(|origin| place::footprint(origin)));
        let mut body = Map::new();
        body.insert("type".into(), json!("Feature"));
        body.insert("stac_version".into(), json!("1.1.0"));
        body.insert("stac_extensions".into(), json!(EXTENSIONS));
        body.insert("id".into(), json!(id));
        body.insert("geometry".into(), place.as_ref().map_or(Value::Null, geometry));
        if let Some(place) = &place {
            body.insert("bbox".into(), json!(place.bbox.to_array()));
        }
        let mut properties = times(array).or_else(|| span(&origins)).unwrap_or_else(now);
        properties.insert("processing:lineage".into(), json!(self.lineage()));
        let steps: Vec<Value> = self.program.steps.iter().map(expression).collect();
        properties.insert("processing:expression".into(), json!({"format": "outcrop-program", "expression": steps}));
        properties.insert("processing:software".into(), json!({"outcrop": env!("CARGO_PKG_VERSION")}));
        body.insert("properties".into(), Value::Object(properties));
        let hrefs: IndexSet<String> =
            array.sources().iter().map(|source| source.href().absolute().to_string()).collect();
        let links: Vec<Value> = hrefs.iter().map(|href| json!({"rel": "derived_from", "href": href})).collect();
        body.insert("links".into(), Value::Array(links));
        body.insert("assets".into(), json!({}));
        body
    }

    /// The arrays of files that an array is made of.
    fn origins(&self, array: &DataArray) -> Vec<&DataArray> {
        let own: Vec<Href> = array.sources().iter().map(|source| source.href().clone()).collect();
        let is_origin = |(step, opened): &(&Step, &DataArray)| {
            step.op == "open" && opened.sources().iter().any(|source| own.contains(source.href()))
        };
        self.program.steps.iter().zip(self.arrays.values()).filter(is_origin).map(|(_, opened)| opened).collect()
    }

    fn lineage(&self) -> String {
        let steps: Vec<String> = self.program.steps.iter().map(|step| format!("{} = {}", step.name, step.op)).collect();
        let title = &self.program.title;
        if title.is_empty() { steps.join(", ") } else { format!("{title}: {}", steps.join(", ")) }
    }
}

fn expression(step: &Step) -> Value {
    let mut all = Map::from_iter([("name".to_owned(), json!(step.name)), ("op".to_owned(), json!(step.op))]);
    all.extend(step.of.as_ref().map(|of| ("of".to_owned(), of.clone())));
    all.extend(step.parameters.clone());
    crate::report::shown_value(&Value::Object(all))
}

/// First and last moment of the labels.
fn moments(array: &DataArray) -> Option<(String, String)> {
    let dates = array.coords.values().find_map(outcrop_compute::Coord::dates).filter(|dates| !dates.is_empty())?;
    let mut moments: Vec<_> = dates.iter().filter_map(outcrop_grid::time::Stamp::to_utc).collect();
    moments.sort_unstable();
    Some((rfc3339(moments.first()?), rfc3339(moments.last()?)))
}

fn times(array: &DataArray) -> Option<Map<String, Value>> {
    moments(array).map(between)
}

/// From the first moment of all to the last.
fn span(arrays: &[&DataArray]) -> Option<Map<String, Value>> {
    let all: Vec<(String, String)> = arrays.iter().filter_map(|array| moments(array)).collect();
    let first = all.iter().map(|(first, _)| first).min()?.clone();
    let last = all.iter().map(|(_, last)| last).max()?.clone();
    Some(between((first, last)))
}

fn between((first, last): (String, String)) -> Map<String, Value> {
    let times = if first == last {
        json!({"datetime": first})
    } else {
        json!({"datetime": null, "start_datetime": first, "end_datetime": last})
    };
    times.as_object().cloned().unwrap_or_default()
}

fn now() -> Map<String, Value> {
    let now = rfc3339(&chrono::Utc::now());
    between((now.clone(), now))
}

/// `data` for the first array, `table`, `picture`; the name of the file where that is taken.
fn key(output: &Output, path: &Path, taken: &Map<String, Value>) -> Result<String> {
    let key = match output.kind()? {
        Kind::Zarr | Kind::NetCdf | Kind::GeoTiff => "data",
        Kind::Csv | Kind::Printed => "table",
        Kind::Picture(_) => "picture",
    };
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(if taken.contains_key(key) { file.into_owned() } else { key.to_owned() })
}

fn asset(output: &Output, path: &Path) -> Result<Value> {
    let (kind, role) = match output.kind()? {
        Kind::Zarr => ("application/vnd.zarr; version=3", "data"),
        Kind::NetCdf => ("application/netcdf", "data"),
        Kind::GeoTiff => ("image/tiff; application=geotiff; profile=cloud-optimized", "data"),
        Kind::Csv | Kind::Printed => ("text/csv", "data"),
        Kind::Picture(Form::Png) => ("image/png", "overview"),
        Kind::Picture(Form::Svg) => ("image/svg+xml", "overview"),
    };
    let title = output.title.as_ref().unwrap_or(&output.of);
    let href = Href::from_path(path).absolute();
    if output.kind()? == Kind::Zarr {
        return Ok(json!({"href": href.as_folder().as_str(), "type": kind, "title": title, "roles": [role]}));
    }
    let (size, checksum) = digest(path).map_err(|e| output.wrong(format!("cannot read `{}`: {e}", path.display())))?;
    Ok(json!({
        "href": href.as_str(), "type": kind, "title": title, "roles": [role], "file:size": size, "file:checksum": checksum,
    }))
}

/// Size and BLAKE3 of a file, as a multihash.
fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let (mut file, mut hasher, mut size) = (std::fs::File::open(path)?, blake3::Hasher::new(), 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((size, format!("1e20{}", hasher.finalize().to_hex())));
        }
        hasher.update(&piece[..read]);
        size += read as u64;
    }
}
