//! From the items of a source to a stac-geoparquet file that is searched without reading the rest.
//!
//! Rows that are near each other in space and time stand together, so that a search reads few groups of them. The table of a
//! whole catalog bears the mark of its root; a search of the catalog uses it as long as the root is the same.

use std::path::{Path, PathBuf};
use std::pin::pin;

use futures::StreamExt;
use outcrop_stac::geoparquet::{TableWriter, Written};
use outcrop_stac::{Kind, Loaded};
use outcrop_store::{Href, Store};

use crate::search::{FILE_NAME, Mark, SearchOptions, Source, search_raw};
use crate::{Error, Result};

/// How an index is made.
#[derive(Debug, Clone, Default)]
pub struct IndexOptions {
    /// Which items; all by default.
    pub items: SearchOptions,
    /// The file stays, and the items are added to it: each replaces the one of its collection and id.
    pub update: bool,
}

/// What became of an index.
#[derive(Debug, Default)]
pub struct IndexReport {
    /// Rows and bytes that were written.
    pub written: Written,
    /// Searches of the catalog will use it.
    pub is_of_catalog: bool,
    /// Documents that could not be read.
    pub failed: Vec<Error>,
}

/// Where the index of a local catalog is; `None` for other sources.
pub fn index_path(source: &Source) -> Option<PathBuf> {
    let path = source.href.to_path()?;
    let is_root = path.file_name().is_some_and(|name| name == "catalog.json" || name == "collection.json");
    let folder = if is_root { path.parent()?.to_owned() } else { path };
    folder.is_dir().then(|| folder.join(FILE_NAME))
}

/// Writes the items of a source that fit as the rows of a file. Hrefs become absolute, so that the file can stand anywhere.
///
/// # Errors
/// [`Error::Stac`] where the file cannot be written; a source that cannot be read at all. Documents that cannot be read, and
/// items that cannot be rows, are in the report.
pub async fn index(store: &Store, source: &Source, options: &IndexOptions, to: &Path) -> Result<IndexReport> {
    let mut report = IndexReport::default();
    let mut writer = if options.update && to.exists() { TableWriter::update(to)? } else { TableWriter::create(to)? };
    let mark = if options.update { None } else { mark(store, source, &options.items, to).await };
    if mark.is_some() {
        let folder = to.parent().map_or_else(|| Href::from_path(Path::new(".")), Href::from_path);
        writer.stands_in(&folder.absolute());
    }
    let mut wanted = options.items.clone();
    wanted.use_index = false;
    let mut collections = std::collections::BTreeSet::new();
    let mut items = 0u64;
    let mut found = pin!(search_raw(store, source, &wanted));
    while let Some(next) = found.next().await {
        match next {
            Ok(found) => {
                for above in found.ancestors.iter().filter(|above| above.kind == Kind::Collection) {
                    if collections.insert(above.id().to_owned()) {
                        writer.add_collection(above.id(), serde_json::Value::Object(above.to_portable()));
                    }
                }
                match writer.add(&found.item) {
                    Err(error @ outcrop_stac::Error::Row { .. }) => report.failed.push(error.into()),
                    added => {
                        added?;
                        items += 1;
                    }
                }
            }
            Err(error) => report.failed.push(error),
        }
    }
    if items == 0
        && let Some(first) = report.failed.pop()
    {
        return Err(first);
    }
    // An index that lacks items must not stand for the catalog.
    if let Some(mark) = mark.filter(|_| report.failed.is_empty()) {
        report.is_of_catalog = true;
        writer.add_metadata(mark.entry());
    }
    report.written = writer.finish()?;
    Ok(report)
}

/// The mark of the catalog whose index is written: all of it, beside its root.
async fn mark(store: &Store, source: &Source, items: &SearchOptions, to: &Path) -> Option<Mark> {
    if source.id.is_some() || !items.takes_all() || index_path(source).is_none_or(|own| own != to) {
        return None;
    }
    // What cannot be read is said by the search.
    match outcrop_stac::load(store, &source.href).await {
        Ok(Loaded::Other(root)) => Some(Mark::of(&root)),
        _ => None,
    }
}
