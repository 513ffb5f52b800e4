//! The table of a catalog's items that stands beside it, used in place of a walk as long as it is of this very catalog.

use std::sync::Arc;

use outcrop_stac::Document;
use outcrop_stac::geoparquet::{Table, TableWriter};
use outcrop_store::{Href, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Items, table};
use crate::Result;
use crate::search::{Filter, SearchOptions};

/// Name of the table beside the root of a catalog.
pub(crate) const FILE_NAME: &str = "items.parquet";
/// Key of the table's metadata: which catalog it was made of.
const KEY: &str = "outcrop:catalog";
/// Role of an asset that is a table of all items of a collection.
const ROLE: &str = "collection-mirror";

/// What the root of a catalog was when its table was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    id: String,
    bytes: u64,
    crc32c: u32,
}

impl Mark {
    /// The mark of a root as it is now: of its JSON on one line.
    pub(crate) fn of(root: &Document) -> Self {
        let (bytes, crc32c) = root.mark();
        Self { id: root.id().to_owned(), bytes, crc32c }
    }

    /// The entry of the metadata of a table that is updated.
    pub(crate) fn entry_of(table: &TableWriter) -> (&'static str, Option<String>) {
        (KEY, table.metadata_before(KEY).map(str::to_owned))
    }

    /// As an entry of a table's metadata.
    pub(crate) fn entry(&self) -> (&'static str, String) {
        (KEY, serde_json::json!(self).to_string())
    }
}

/// The items of the root's table that may fit; `None` where there is none that can be used.
pub(super) async fn items(
    store: &Store,
    root: &Document,
    (filter, options): (&Arc<Filter>, &SearchOptions),
) -> Result<Option<Items>> {
    let Some(href) = place(root)? else { return Ok(None) };
    let is_there = href.to_path().is_none_or(|path| path.is_file());
    if !is_there {
        return Ok(None);
    }
    let unusable = |why: &str| {
        options
            .tally
            .warn(format!("`{href}` is not used, the catalog is walked: {why}; `outcrop index` makes it anew"));
        Ok(None)
    };
    let table = match Table::open(store, &href).await {
        Ok(table) => table,
        Err(error) => return unusable(&error.to_string()),
    };
    match table.metadata(KEY).and_then(|text| serde_json::from_str::<Mark>(text).ok()) {
        // It was made of something else: another catalog, or a selection.
        None => return Ok(None),
        Some(mark) if mark != Mark::of(root) => return unusable("the catalog has changed since it was made"),
        Some(_) => {}
    }
    if is_older(root, &href) {
        return unusable("the catalog was written after it");
    }
    Ok(Some(table::of(&table, (filter, options))))
}

/// Where the table of a root is: its asset of that role, or beside it on this machine.
fn place(root: &Document) -> Result<Option<Href>> {
    let assets = root.body().get("assets").and_then(Value::as_object);
    let is_mirror = |asset: &&Value| {
        let roles = asset.get("roles").and_then(Value::as_array);
        roles.is_some_and(|roles| roles.iter().any(|role| role == ROLE))
    };
    let mirror = assets.and_then(|assets| assets.values().find(is_mirror));
    if let Some(href) = mirror.and_then(|asset| asset.get("href")).and_then(Value::as_str) {
        let is_table = href.split(['?', '#']).next().is_some_and(|path| path.ends_with("parquet"));
        return Ok(if is_table { Some(root.resolve(href)?) } else { None });
    }
    Ok(if root.href().is_local() { root.resolve(FILE_NAME).ok() } else { None })
}

/// True if the root was written after its table, where both are on this machine.
fn is_older(root: &Document, table: &Href) -> bool {
    let written = |href: &Href| href.to_path()?.metadata().ok()?.modified().ok();
    written(root.href()).zip(written(table)).is_some_and(|(root, table)| root > table)
}
