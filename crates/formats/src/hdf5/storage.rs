//! The bytes at hand, as the storage that `hdf5-reader` parses from; what is missing is noted.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_reader::error::{Error as LibraryError, Result as LibraryResult};
use hdf5_reader::{Storage, StorageBuffer};
use outcrop_store::Sparse;

use crate::{Error, Result};

/// Largest piece of metadata that is read at once, in bytes.
const MAX_PIECE: usize = 16 << 20;
/// Most metadata that is asked for while one file is opened or one index read, in bytes.
const MAX_METADATA: u64 = 256 << 20;
/// Bytes of indirect blocks that are read for one object of a heap, at most.
const PER_OBJECT: u64 = 2048;
/// Most rounds of asking.
const MAX_ROUNDS: u32 = 4096;

/// The part of a sparse object behind `base`, the place of the superblock.
pub(super) struct SparseStorage<'a> {
    have: &'a Sparse,
    base: u64,
    missed: Mutex<Vec<Range<u64>>>,
}

impl<'a> SparseStorage<'a> {
    pub(super) fn new(have: &'a Sparse, base: u64) -> Self {
        Self { have, base, missed: Mutex::default() }
    }

    /// The ranges that were asked for and are not at hand, in bytes of the file.
    pub(super) fn into_missed(self) -> Vec<Range<u64>> {
        self.missed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn miss(&self, range: Range<u64>) {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).push(range);
    }
}

impl Storage for SparseStorage<'_> {
    fn len(&self) -> u64 {
        self.have.len().saturating_sub(self.base)
    }

    fn read_range(&self, offset: u64, len: usize) -> LibraryResult<StorageBuffer> {
        let available = self.len().saturating_sub(offset);
        if len as u64 > available {
            return Err(LibraryError::UnexpectedEof { offset, needed: len as u64, available });
        }
        if len > MAX_PIECE {
            return Err(LibraryError::ResourceLimit(format!("{len} bytes of metadata, the limit is {MAX_PIECE}")));
        }
        let start = self.base.saturating_add(offset);
        let range = start..start.saturating_add(len as u64);
        if let Some(bytes) = self.have.get(&range) {
            return StorageBuffer::from_shared_owner(Arc::new(bytes), 0, len);
        }
        self.miss(range);
        Err(LibraryError::Other("bytes are not at hand yet".to_owned()))
    }
}

/// A storage of which only so much is read: trees and heaps that lie would fill the memory.
pub(super) struct Metered<'a> {
    storage: &'a dyn Storage,
    what: &'static str,
    /// Most bytes.
    limit: u64,
    read: AtomicU64,
    /// Most bytes of indirect blocks of a heap, which are read again for each object and not kept.
    again: u64,
    read_again: AtomicU64,
    /// Bytes that a piece is taken for, at least: it may be compressed.
    least: u64,
}

impl<'a> Metered<'a> {
    pub(super) fn new(storage: &'a dyn Storage, what: &'static str, limit: u64) -> Self {
        let (read, read_again) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { storage, what, limit, read, again: limit, read_again, least: 0 }
    }

    /// For so many objects of a heap whose blocks may have so many bytes.
    pub(super) fn of_heap(self, objects: usize, block: u64) -> Self {
        Self { again: self.limit.saturating_add(objects as u64 * PER_OBJECT), least: block, ..self }
    }
}

impl Storage for Metered<'_> {
    fn len(&self) -> u64 {
        self.storage.len()
    }

    fn read_range(&self, offset: u64, len: usize) -> LibraryResult<StorageBuffer> {
        let bytes = self.storage.read_range(offset, len)?;
        let (counter, limit, len) = if bytes.as_ref().starts_with(b"FHIB") {
            (&self.read_again, self.again, len as u64)
        } else {
            (&self.read, self.limit, self.least.max(len as u64))
        };
        if counter.fetch_add(len, Ordering::Relaxed).saturating_add(len) > limit {
            return Err(LibraryError::ResourceLimit(format!("{} of more than {limit} bytes", self.what)));
        }
        Ok(bytes)
    }
}

/// Turns missing ranges into requests: whole blocks, larger in later rounds, within limits.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    round: u32,
    asked: u64,
}

impl Pacer {
    pub(super) fn ask(&mut self, missed: &[Range<u64>], len: u64) -> Result<Vec<Range<u64>>> {
        // 4 KiB first; a file that needs many rounds is asked for in larger blocks.
        let block = 4096u64 << (2 * self.round.min(3));
        self.round += 1;
        let rounded: Vec<Range<u64>> = missed
            .iter()
            .map(|range| {
                let start = range.start / block * block;
                start..range.end.div_ceil(block).saturating_mul(block).min(len)
            })
            .collect();
        let ranges = outcrop_store::coalesce(&rounded, 0, u64::MAX);
        let bytes = ranges.iter().fold(0u64, |sum, range| sum.saturating_add(range.end - range.start));
        self.asked = self.asked.saturating_add(bytes);
        if self.round > MAX_ROUNDS || self.asked > MAX_METADATA {
            let what = format!("metadata of the file in bytes, after {} rounds,", self.round);
            return Err(Error::Limit { what, value: self.asked, limit: MAX_METADATA });
        }
        Ok(ranges)
    }
}
