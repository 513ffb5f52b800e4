//! Parts of a file that were fetched, as the crate `parquet` reads them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use bytes::Bytes;
use outcrop_store::{ObjectMeta, Store};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Parts of a file that are at hand.
#[derive(Debug, Clone)]
pub(super) struct Held {
    size: u64,
    parts: BTreeMap<u64, Bytes>,
}

impl Held {
    pub(super) fn new(size: u64) -> Self {
        Self { size, parts: BTreeMap::new() }
    }

    pub(super) async fn bring(
        &mut self,
        store: &Store,
        meta: &ObjectMeta,
        ranges: &[Range<u64>],
    ) -> outcrop_store::Result<()> {
        for (range, bytes) in ranges.iter().zip(store.ranges(meta, ranges).await?) {
            self.parts.insert(range.start, bytes);
        }
        Ok(())
    }

    pub(super) fn get(&self, range: Range<u64>) -> Option<Bytes> {
        let (start, bytes) = self.parts.range(..=range.start).next_back()?;
        let place = |at: u64| usize::try_from(at - start).ok();
        let (from, to) = (place(range.start)?, place(range.end)?);
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
    }
}

impl Length for Held {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Held {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let found = self.parts.range(..=start).next_back();
        let rest = found.and_then(|(from, bytes)| {
            let at = usize::try_from(start - from).ok()?;
            (at <= bytes.len()).then(|| bytes.slice(at..))
        });
        rest.map(Cursor::new).ok_or_else(|| ParquetError::EOF(format!("byte {start} is not there")))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.saturating_add(length as u64);
        self.get(start..end).ok_or_else(|| ParquetError::EOF(format!("bytes {start} to {end} are not there")))
    }
}
