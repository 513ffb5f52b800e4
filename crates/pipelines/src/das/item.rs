//! The result as a STAC item.

use outcrop_stac::Body;
use outcrop_store::Href;
use serde_json::{Map, Value, json};

use super::Das;
use super::run::band_text;
use super::writer::variable_name;
use crate::register::Inputs;

/// What an item of a result is made of.
#[derive(Debug, Clone)]
pub struct DasItem {
    /// Its id.
    pub id: String,
    /// The Zarr store.
    pub zarr: Href,
    /// Pictures, before and after; none where none were drawn.
    pub pictures: Option<[Href; 2]>,
    /// Items that the recording came from; none for plain files.
    pub sources: Vec<Inputs>,
}

impl DasItem {
    /// The item. It is where its sources are, if they are all at one place.
    pub fn body(&self, das: &Das) -> Body {
        let mut body = Map::new();
        body.insert("type".into(), json!("Feature"));
        body.insert("stac_version".into(), json!("1.1.0"));
        body.insert(
            "stac_extensions".into(),
            json!(["https://stac-extensions.github.io/processing/v1.2.0/schema.json"]),
        );
        body.insert("id".into(), json!(self.id));
        body.insert("geometry".into(), Value::Null);
        if let Some((geometry, bbox)) = self.place() {
            body.insert("geometry".into(), geometry);
            body.insert("bbox".into(), bbox);
        }
        body.insert("properties".into(), Value::Object(properties(das)));
        body.insert("links".into(), Value::Array(self.links(das)));
        body.insert("assets".into(), Value::Object(self.assets(das)));
        body
    }

    fn place(&self) -> Option<(Value, Value)> {
        let of = |source: &Inputs| Some((source.field("geometry")?.clone(), source.field("bbox")?.clone()));
        let first = of(self.sources.first()?)?;
        self.sources.iter().all(|source| of(source).as_ref() == Some(&first)).then_some(first)
    }

    fn links(&self, das: &Das) -> Vec<Value> {
        if self.sources.is_empty() {
            let link = |file: &String| json!({"rel": "derived_from", "href": file});
            return das.section().files.iter().map(link).collect();
        }
        let link = |source: &Inputs| json!({"rel": "derived_from", "href": source.href.as_str(), "type": "application/geo+json", "title": source.id});
        self.sources.iter().map(link).collect()
    }

    fn assets(&self, das: &Das) -> Map<String, Value> {
        let mut assets = Map::new();
        let title = format!("{} by distance and time, {}", variable_name(das), band_text(das.options().band));
        let zarr = self.zarr.as_str();
        assets.insert(
            "data".into(),
            json!({"href": zarr, "type": "application/vnd.zarr; version=3", "title": title, "roles": ["data"]}),
        );
        for ((key, title), href) in
            [("raw", "Raw samples"), ("processed", "Result")].iter().zip(self.pictures.iter().flatten())
        {
            let picture = json!({"href": href.as_str(), "type": "image/png", "title": title, "roles": ["overview"]});
            assets.insert((*key).to_owned(), picture);
        }
        assets
    }
}

fn properties(das: &Das) -> Map<String, Value> {
    let (section, options) = (das.section(), das.options());
    let time = section.array.coords.get("time");
    // The last sample that is kept.
    let last = das.shape()[1].saturating_sub(1).saturating_mul(options.every);
    let moment = |at: u64| {
        let moment = time.and_then(|coord| section.clock.moment(coord, usize::try_from(at).ok()?))?;
        Some(Value::String(outcrop_grid::time::rfc3339(&moment)))
    };
    let mut properties = Map::new();
    properties.insert("datetime".into(), Value::Null);
    match (moment(0), moment(last)) {
        (Some(start), Some(end)) => {
            properties.insert("start_datetime".into(), start);
            properties.insert("end_datetime".into(), end);
        }
        (start, end) => drop(properties.insert("datetime".into(), start.or(end).unwrap_or(Value::Null))),
    }
    let lineage = format!(
        "trends off, Butterworth order {} {} forward and backward, each sample {} of {}, median of channels {}",
        options.order,
        band_text(options.band),
        1,
        options.every,
        if options.median.is_some() { "off" } else { "kept" },
    );
    properties.insert("processing:lineage".into(), json!(lineage));
    properties.insert("processing:software".into(), json!({"outcrop": env!("CARGO_PKG_VERSION")}));
    properties
}
