//! Results as STAC items with links to what they were made from.

use futures::TryStreamExt;
use outcrop_formats::{REFERENCES, zarr::ZarrFormat};
use outcrop_grid::Footprint;
use outcrop_stac::{Body, Document, Kind, Published, TreeWriter, WalkOptions, WriteOptions, walk};
use outcrop_store::{Href, Store};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// An item as a pipeline needs it.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Its id.
    pub id: String,
    /// Its document.
    pub href: Href,
    /// The year of its time, where it has one.
    pub year: Option<String>,
    /// Its time, or the start of it, as it stands.
    pub time: Option<String>,
    assets: Vec<(String, Href)>,
    /// Files of chunk references, by the key of their asset.
    references: Vec<(String, Href)>,
    body: Body,
}

impl Inputs {
    /// Takes what is needed from an item.
    ///
    /// # Errors
    /// [`Error::Stac`] if an asset's href cannot be resolved.
    pub fn of(item: &Document) -> Result<Self> {
        let time = ["datetime", "start_datetime"].iter().find_map(|name| item.property(name)?.as_str());
        let (mut assets, mut references) = (Vec::new(), Vec::new());
        for (key, asset) in item.assets() {
            if let Some(href) = asset.get(REFERENCES).and_then(Value::as_str) {
                references.push((key.to_owned(), item.resolve(href)?));
            }
            if let Some(href) = asset.get("href").and_then(Value::as_str) {
                assets.push((key.to_owned(), item.resolve(href)?));
            }
        }
        Ok(Self {
            id: item.id().to_owned(),
            href: item.href().clone(),
            year: time.and_then(|time| time.get(..4)).map(str::to_owned),
            time: time.map(str::to_owned),
            assets,
            references,
            body: item.body().clone(),
        })
    }

    /// Keys of the assets.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.assets.iter().map(|(key, _)| key.as_str())
    }

    /// Keys of the assets that are images by their media type or name.
    pub fn images(&self) -> Vec<String> {
        let kind = |key: &str| self.body.get("assets")?.get(key)?.get("type")?.as_str();
        let is_image = |(key, href): &&(String, Href)| {
            let name = href.file_name().unwrap_or_default().to_lowercase();
            match kind(key) {
                Some(kind) => kind.starts_with("image/tiff"),
                None => name.ends_with(".tif") || name.ends_with(".tiff"),
            }
        };
        self.assets.iter().filter(is_image).map(|(key, _)| key.clone()).collect()
    }

    /// What to open for these assets: their files, or the references that are kept of them.
    ///
    /// # Errors
    /// As [`Inputs::hrefs`].
    pub fn hrefs_to_open(&self, keys: &[&str]) -> Result<Vec<Href>> {
        let files = self.hrefs(keys)?;
        let reference = |file: &Href| {
            let (key, _) = self.assets.iter().find(|(_, href)| href == file)?;
            self.references.iter().find(|(have, _)| have == key).map(|(_, href)| href.clone())
        };
        Ok(files.into_iter().map(|file| reference(&file).unwrap_or(file)).collect())
    }

    /// What to open for one asset: of this key, else the only one, else `data`.
    ///
    /// # Errors
    /// As [`Inputs::hrefs`].
    pub fn only_to_open(&self, key: Option<&str>) -> Result<Href> {
        let key = match (key, &self.assets[..]) {
            (Some(key), _) => key,
            (None, [(only, _)]) => only,
            (None, _) => "data",
        };
        let missing = || Error::NoAsset { item: self.id.clone(), key: key.to_owned(), have: "none".into() };
        self.hrefs_to_open(&[key])?.into_iter().next().ok_or_else(missing)
    }

    /// A field of the item.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.body.get(name)
    }

    /// The files of these assets, each once.
    ///
    /// # Errors
    /// [`Error::NoAsset`] for a key that the item does not have.
    pub fn hrefs(&self, keys: &[&str]) -> Result<Vec<Href>> {
        let mut hrefs: Vec<Href> = Vec::new();
        for key in keys {
            let found = self.assets.iter().find(|(have, _)| have == key);
            let have = || self.assets.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
            let missing = || Error::NoAsset { item: self.id.clone(), key: (*key).to_owned(), have: have() };
            let href = &found.ok_or_else(missing)?.1;
            if !hrefs.contains(href) {
                hrefs.push(href.clone());
            }
        }
        Ok(hrefs)
    }
}

/// The Zarr group of an item's result: its year, or its id where another item has the same year or it has none.
pub fn group_of(item: &Inputs, all: &[Inputs]) -> String {
    let shared = all.iter().filter(|other| other.year == item.year).count() > 1;
    match &item.year {
        Some(year) if !shared => year.clone(),
        _ => item.id.clone(),
    }
}

/// A result that is to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// What it was made from.
    pub source: Inputs,
    /// The Zarr store.
    pub zarr: Href,
    /// The group in it.
    pub group: String,
    /// Zarr 2 or 3.
    pub format: ZarrFormat,
    /// A map of it.
    pub map: Option<Href>,
}

impl Registration {
    /// Id of the result's item.
    pub fn id(&self) -> String {
        format!("{}-first-leaf", self.source.id)
    }

    fn body(&self) -> Body {
        let version = match self.format {
            ZarrFormat::V2 => 2,
            ZarrFormat::V3 => 3,
        };
        let mut assets = Map::new();
        assets.insert(
            "first-leaf".into(),
            json!({
                "href": format!("{}{}", self.zarr.as_str(), self.group),
                "type": format!("application/vnd.zarr; version={version}"),
                "title": "First leaf by plant, as index and day of the year",
                "roles": ["data"],
            }),
        );
        if let Some(map) = &self.map {
            let map = json!({"href": map.as_str(), "type": "image/png", "title": "Map", "roles": ["overview"]});
            assets.insert("map".into(), map);
        }
        let mut body = Map::new();
        body.insert("type".into(), json!("Feature"));
        body.insert("stac_version".into(), json!("1.1.0"));
        body.insert(
            "stac_extensions".into(),
            json!(["https://stac-extensions.github.io/processing/v1.2.0/schema.json"]),
        );
        body.insert("id".into(), json!(self.id()));
        for name in ["geometry", "bbox"] {
            if let Some(value) = self.source.body.get(name) {
                body.insert(name.into(), value.clone());
            }
        }
        body.insert("properties".into(), Value::Object(self.properties()));
        let derived = json!({
            "rel": "derived_from", "href": self.source.href.as_str(), "type": "application/geo+json", "title": self.source.id,
        });
        body.insert("links".into(), json!([derived]));
        body.insert("assets".into(), Value::Object(assets));
        body
    }

    fn properties(&self) -> Map<String, Value> {
        let mut properties = Map::new();
        for name in ["datetime", "start_datetime", "end_datetime"] {
            if let Some(value) = self.source.body.get("properties").and_then(|p| p.get(name)) {
                properties.insert(name.into(), value.clone());
            }
        }
        properties.insert("processing:lineage".into(), json!("first leaf of the extended spring indices"));
        properties.insert("processing:software".into(), json!({"outcrop": env!("CARGO_PKG_VERSION")}));
        properties
    }
}

/// Writes the results as items of a local catalog; items of an older run stay, those of the same id are replaced.
///
/// # Errors
/// [`Error::Stac`] if the catalog that is there cannot be read, or the new one cannot be written.
pub async fn register(store: &Store, catalog: &Href, results: &[Registration]) -> Result<()> {
    register_items(store, catalog, results.iter().map(Registration::body).collect()).await
}

/// As [`register`], of items as they are.
///
/// # Errors
/// As there.
pub async fn register_items(store: &Store, catalog: &Href, results: Vec<Body>) -> Result<()> {
    let mut root = json!({
        "type": "Catalog", "id": "results", "stac_version": "1.1.0",
        "description": "Results computed by outcrop, with links to what they were made from", "links": [],
    });
    let mut items: Vec<Body> = Vec::new();
    let document = catalog.join("catalog.json")?;
    if document.to_path().is_some_and(|path| path.exists()) {
        let nodes = walk(store, &document, WalkOptions::default());
        let documents: Vec<Document> = nodes.map_ok(|node| node.document).try_collect().await?;
        for document in documents {
            match document.kind() {
                Kind::Item => items.push(document.into_body()),
                _ => root = Value::Object(document.into_body()),
            }
        }
    }
    let id_of = |body: &Body| body.get("id").and_then(Value::as_str).map(str::to_owned);
    items.retain(|item| results.iter().all(|result| id_of(item).is_none_or(|id| id_of(result) != Some(id))));
    items.extend(results);
    let root = root.as_object().cloned().unwrap_or_default();
    let options = WriteOptions { published: Published::SelfContained, ..WriteOptions::new(catalog.clone()) };
    let mut tree = TreeWriter::new(root, options)?;
    for item in items {
        tree.add(item)?;
    }
    tree.finish()?;
    Ok(())
}

/// An outline as GeoJSON.
pub(crate) fn geometry(footprint: &Footprint) -> Value {
    match &footprint.rings[..] {
        [ring] => json!({"type": "Polygon", "coordinates": [ring]}),
        rings => {
            let parts: Vec<Value> = rings.iter().map(|ring| json!([ring])).collect();
            json!({"type": "MultiPolygon", "coordinates": parts})
        }
    }
}
