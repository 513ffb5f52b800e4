//! From the items of a source to a stac-geoparquet file that is searched without reading the rest.
//!
//! Rows that are near each other in space and time stand together, so that a search reads few groups of them.

use std::path::Path;
use std::pin::pin;

use futures::StreamExt;
use outcrop_stac::geoparquet::{TableWriter, Written};
use outcrop_stac::{Kind, RawItem};
use outcrop_store::Store;

use crate::search::{Found, SearchOptions, Sorter, Source, search_raw};
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
    let mut sorter = Sorter::new(Vec::new());
    let mut writer = TableWriter::create(to)?;
    let mut collections = std::collections::BTreeSet::new();
    let mut items = pin!(search_raw(store, source, options));
    while let Some(found) = items.next().await {
        match found {
            Ok(found) => {
                for above in found.ancestors.iter().filter(|above| above.kind == Kind::Collection) {
                    if collections.insert(above.id().to_owned()) {
                        writer.add_collection(above.id(), serde_json::Value::Object(above.body.clone()));
                    }
                }
                let place = place(&found.item);
                let bytes = found.item.to_portable()?;
                let item = RawItem::parse(found.item.href().clone(), bytes.into())?;
                sorter.add_at(Found { item, ..found }, place)?;
            }
            Err(error) => report.failed.push(error),
        }
    }
    if sorter.is_empty()
        && let Some(first) = report.failed.pop()
    {
        return Err(first);
    }
    for found in sorter.finish() {
        writer.add(&found?.item, &[])?;
    }
    report.written = writer.finish()?;
    Ok(report)
}

/// A number that is near for items near each other: the bits of longitude, latitude and time, one of each in turn.
fn place(item: &RawItem) -> f64 {
    const BITS: u32 = 17;
    let steps = f64::from((1u32 << BITS) - 1);
    let center = item.bbox().map(|bbox| match *bbox.as_slice() {
        [w, s, e, n] | [w, s, _, e, n, _] => [if w > e { 180.0 } else { f64::midpoint(w, e) }, f64::midpoint(s, n)],
        _ => [0.0, 0.0],
    });
    let [lon, lat] = center.unwrap_or([0.0, 0.0]);
    let time = item.interval().and_then(|interval| interval.start).map_or(0.0, |start| start.timestamp() as f64);
    // From 1900 to 2100; what is beyond stands at the ends.
    let years = (time / 31_556_952.0 + 70.0) / 200.0;
    let parts = [(lon + 180.0) / 360.0, (lat + 90.0) / 180.0, years];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was clamped")]
    let parts = parts.map(|part| (part.clamp(0.0, 1.0) * steps) as u64);
    let mut place = 0u64;
    for bit in (0..BITS).rev() {
        for part in parts {
            place = place << 1 | (part >> bit & 1);
        }
    }
    place as f64
}
