//! Chunk indexes: lists the stored chunks of one dataset.

use std::ops::Range;

use hdf5_reader::btree_v2::BTreeV2Header;
use hdf5_reader::chunk_index::{self, ChunkEntry};
use hdf5_reader::error::{Error as LibraryError, Result as LibraryResult};
use hdf5_reader::messages::layout::ChunkIndexing;
use hdf5_reader::storage::Storage;
use hdf5_reader::{extensible_array, fixed_array};
use outcrop_store::{Sparse, Step};

use super::btree1::TreeWalk;
use super::storage::{Pacer, SparseStorage};
use crate::array::Variable;
use crate::layout::product;
use crate::refs::Entry;
use crate::{Error, Result};

/// Where a chunk index is and of which kind.
#[derive(Debug, Clone)]
pub(crate) struct ChunkIndex {
    /// Place of the superblock; addresses count from here.
    pub(super) base: u64,
    pub(super) address: u64,
    pub(super) offset_size: u8,
    pub(super) length_size: u8,
    /// `None` is a B-tree of version 1.
    pub(super) indexing: Option<ChunkIndexing>,
    pub(super) max_dims: Option<Vec<u64>>,
    pub(super) filtered: bool,
    /// Chunks at the edge are stored without their filters.
    pub(super) plain_edge: bool,
    /// Codecs before the filters, which filter masks do not count.
    pub(super) leading: u32,
    /// Dimensions of the dataset: those of the variable without the array in each element.
    pub(super) rank: usize,
    /// Bytes of an element.
    pub(super) element: usize,
}

/// Reads a chunk index with the bytes at hand.
#[derive(Debug)]
pub(crate) struct IndexWalk {
    index: ChunkIndex,
    pacer: Pacer,
    tree: Option<TreeWalk>,
}

impl IndexWalk {
    pub(crate) fn new(index: ChunkIndex) -> Self {
        let tree = index.indexing.is_none().then(|| TreeWalk::new(&index));
        Self { index, pacer: Pacer::default(), tree }
    }

    pub(crate) fn step(&mut self, variable: &Variable, have: &Sparse) -> Result<Step<Vec<Entry>>> {
        let storage = SparseStorage::new(have, self.index.base);
        let (found, missed): (_, Vec<Range<u64>>) = if let Some(tree) = &mut self.tree {
            let result = tree.advance(&storage, self.index.rank);
            (result.map(|()| None), storage.into_missed())
        } else {
            let result = collect(&storage, &self.index, variable);
            (result.map(Some), storage.into_missed())
        };
        if !missed.is_empty() {
            return Ok(Step::Need(self.pacer.ask(&missed, have.len())?));
        }
        let broken = |source| Error::Hdf5 {
            object: format!("the chunk index of `{}`", variable.name),
            source: Box::new(source),
        };
        let found = found.map_err(broken)?;
        let chunks = match (&mut self.tree, found) {
            (Some(tree), _) => tree.take(),
            (None, found) => found.unwrap_or_default(),
        };
        let checker = Checker::new(variable, &self.index, have.len())?;
        Ok(Step::Done(checker.entries(&chunks)?))
    }
}

fn collect(storage: &dyn Storage, index: &ChunkIndex, variable: &Variable) -> LibraryResult<Vec<ChunkEntry>> {
    let shape = variable.grid.shape.get(..index.rank).unwrap_or_default();
    let chunk = variable.grid.chunk.get(..index.rank).unwrap_or_default();
    let dims: Vec<u32> = chunk.iter().map(|n| u32::try_from(*n).unwrap_or(u32::MAX)).collect();
    let (address, offset_size, length_size) = (index.address, index.offset_size, index.length_size);
    match &index.indexing {
        None => Ok(Vec::new()),
        Some(ChunkIndexing::SingleChunk { filtered_size, filters }) => {
            Ok(vec![chunk_index::single_chunk_entry(address, *filtered_size, *filters, shape.len())])
        }
        Some(ChunkIndexing::Implicit) => {
            chunk_index::collect_implicit_chunk_entries(address, shape, &dims, index.element, None, storage.len())
        }
        Some(ChunkIndexing::FixedArray { .. }) => fixed_array::collect_fixed_array_chunk_entries_storage(
            storage,
            address,
            offset_size,
            length_size,
            shape,
            &dims,
            None,
        ),
        Some(ChunkIndexing::ExtensibleArray { .. }) => {
            extensible_array::collect_extensible_array_chunk_entries_storage(
                storage,
                address,
                offset_size,
                length_size,
                shape,
                index.max_dims.as_deref(),
                &dims,
                None,
            )
        }
        Some(ChunkIndexing::BTreeV2) => {
            let header = BTreeV2Header::parse_at_storage(storage, address, offset_size, length_size)?;
            // Other records may have no bytes, of which a node holds any number.
            if !matches!(header.btree_type, 10 | 11) || usize::from(header.record_size) < 8 * shape.len() {
                let kind = (header.btree_type, header.record_size);
                return Err(LibraryError::InvalidData(format!("records of kind and size {kind:?}")));
            }
            let rank = u32::try_from(shape.len()).unwrap_or(u32::MAX);
            chunk_index::collect_v2_chunk_entries_storage(storage, address, offset_size, length_size, rank, &dims, None)
        }
    }
}

/// Checks what an index says against the grid and the length of the file.
struct Checker<'a> {
    variable: &'a Variable,
    index: &'a ChunkIndex,
    counts: Vec<u64>,
    chunk_bytes: u64,
    len: u64,
}

impl<'a> Checker<'a> {
    fn new(variable: &'a Variable, index: &'a ChunkIndex, len: u64) -> Result<Self> {
        let elements = product(variable.grid.chunk.get(..index.rank).unwrap_or_default(), &variable.name)?;
        let chunk_bytes = elements
            .checked_mul(index.element as u64)
            .ok_or_else(|| Error::malformed(&variable.name, "its chunks are beyond 64 bits"))?;
        let counts = variable.grid.counts();
        product(&counts, &variable.name)?;
        Ok(Self { variable, index, counts, chunk_bytes, len })
    }

    fn entries(&self, chunks: &[ChunkEntry]) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            if let Some(entry) = self.entry(chunk)? {
                entries.push(entry);
            }
        }
        entries.sort_by_key(|entry: &Entry| entry.linear);
        if entries.windows(2).any(|pair| pair[0].linear == pair[1].linear) {
            return Err(self.malformed("it lists a chunk twice"));
        }
        Ok(entries)
    }

    fn malformed(&self, why: impl Into<String>) -> Error {
        Error::malformed(format!("the chunk index of `{}`", self.variable.name), why)
    }

    /// A chunk outside of the shape (the variable was shrunk) is left out.
    fn entry(&self, chunk: &ChunkEntry) -> Result<Option<Entry>> {
        let offset_size = self.index.offset_size;
        if hdf5_reader::io::Cursor::is_undefined_offset(chunk.address, offset_size) {
            return Ok(None);
        }
        let (mut linear, mut at_edge) = (0u64, false);
        // Along the array in each element there is one chunk.
        for (axis, count) in self.counts.iter().enumerate().take(self.index.rank) {
            let (start, len) = (chunk.offsets.get(axis).copied().unwrap_or(u64::MAX), self.variable.grid.chunk[axis]);
            if start % len != 0 {
                return Err(self.malformed(format!("offset {start} is not a multiple of the chunk length {len}")));
            }
            if start / len >= *count {
                return Ok(None);
            }
            // Both factors are bounded by the checked product of all counts.
            linear = linear * count + start / len;
            at_edge |= start.saturating_add(len) > self.variable.grid.shape[axis];
        }
        let plain = at_edge && self.index.plain_edge;
        let filter_mask = if plain { u32::MAX } else { chunk.filter_mask } << self.index.leading;
        let length = if self.index.filtered && !plain && chunk.size > 0 { chunk.size } else { self.chunk_bytes };
        let offset = chunk.address.checked_add(self.index.base);
        let end = offset.and_then(|at| at.checked_add(length));
        match (offset, end) {
            (Some(offset), Some(end)) if end <= self.len => Ok(Some(Entry { linear, offset, length, filter_mask })),
            (_, end) => {
                let what = format!("chunk {:?} of `{}`", chunk.offsets, self.variable.name);
                Err(Error::Truncated { what, need: end.unwrap_or(u64::MAX), have: self.len })
            }
        }
    }
}
