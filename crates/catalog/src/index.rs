//! From the items of a source to a stac-geoparquet file that is searched without reading the rest.
//!
//! Rows that are near each other in space and time stand together, so that a search reads few groups of them.

use std::path::Path;
use std::pin::pin;

use futures::StreamExt;
use outcrop_stac::geoparquet::{TableWriter, Written};
use outcrop_stac::Kind;
use outcrop_store::Store;

use crate::search::{SearchOptions, Source, search_raw};
use crate::{Error, Result};

/// What became of an index.
#[derive(Debug, Default)]
pub struct IndexReport {
    /// Rows and bytes that were written.
    pub written: Written,
    /// Documents that could not be read.
    pub failed: Vec<Error>,
}

/// Writes the items of a source that fit as the rows of a file. Hrefs become absolute, so that the file can stand anywhere.
///
/// # Errors
/// [`Error::Stac`] where the file cannot be written, [`Error::Spool`]; a source that cannot be read at all. Documents that
/// cannot be read are in the report.
pub async fn index(store: &Store, source: &Source, options: &SearchOptions, to: &Path) -> Result<IndexReport> {
    let mut report = IndexReport::default();
    let mut writer = TableWriter::create(to)?;
    let mut collections = std::collections::BTreeSet::new();
    let mut items = 0u64;
    let mut found = pin!(search_raw(store, source, options));
    while let Some(next) = found.next().await {
        match next {
            Ok(found) => {
                for above in found.ancestors.iter().filter(|above| above.kind == Kind::Collection) {
                    if collections.insert(above.id().to_owned()) {
                        writer.add_collection(above.id(), serde_json::Value::Object(above.body.clone()));
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
    report.written = writer.finish()?;
    Ok(report)
}
