//! Items of catalogs as the files that are opened of them.

use futures::TryStreamExt;
use outcrop_catalog::{SearchOptions, Source, search};
use outcrop_compute::{Asset, Item};
use outcrop_grid::interval::parse_time;
use outcrop_store::Store;
use serde_json::Value;

use crate::register::Inputs;
use crate::{Error, Result};

/// The items of a source that are wanted.
///
/// # Errors
/// Those of the search; [`Error::Choose`] if there is none.
pub async fn find(store: &Store, source: &Source, wanted: &SearchOptions) -> Result<Vec<Inputs>> {
    let found = search(store, source, wanted).map_err(Error::from);
    let items: Vec<Inputs> = found.and_then(|node| async move { Inputs::of(&node.document) }).try_collect().await?;
    if items.is_empty() {
        let why = format!("none of `{}` fits; try `outcrop search` with the same options", source.href);
        return Err(Error::Choose { what: "items", why });
    }
    Ok(items)
}

impl Inputs {
    /// The item as it is opened: of assets with references these, and the names of bands.
    ///
    /// # Errors
    /// As [`Inputs::hrefs`].
    pub fn to_open(&self) -> Result<Item> {
        let mut assets = indexmap::IndexMap::new();
        for key in self.keys() {
            let href = self.hrefs_to_open(&[key])?.remove(0);
            let file = self.hrefs(&[key])?.remove(0);
            let name = file.file_name().unwrap_or_default().to_owned();
            assets.insert(key.to_owned(), Asset { href, name, bands: self.bands(key) });
        }
        Ok(Item { id: self.id.clone(), time: self.time.as_deref().and_then(parse_time), assets })
    }

    /// Keys of the assets that hold data: by their role, else images, else all.
    pub fn data(&self) -> Vec<String> {
        let has_role = |key: &&str| {
            let roles = self.asset(key).and_then(|asset| asset.get("roles")).and_then(Value::as_array);
            roles.is_some_and(|roles| roles.iter().any(|role| role == "data"))
        };
        let of_role: Vec<String> = self.keys().filter(has_role).map(str::to_owned).collect();
        if !of_role.is_empty() {
            return of_role;
        }
        let images = self.images();
        if images.is_empty() { self.keys().map(str::to_owned).collect() } else { images }
    }

    fn asset(&self, key: &str) -> Option<&Value> {
        self.field("assets")?.get(key)
    }

    /// Names of the bands of an asset: of STAC 1.1, or of the extension before it.
    fn bands(&self, key: &str) -> Vec<String> {
        let list = ["bands", "eo:bands", "raster:bands"]
            .iter()
            .find_map(|name| self.asset(key)?.get(*name)?.as_array().filter(|bands| !bands.is_empty()));
        let name = |band: &Value| band.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        list.map(|bands| bands.iter().map(name).collect()).unwrap_or_default()
    }
}
