//! Chunk references of one variable.

use std::sync::Arc;

use bytes::Bytes;

use crate::array::{ByteOrder, ChunkGrid, ChunkRef, Codec, DType, Variable};
use crate::gdal::OpaqueArray;
use crate::kerchunk::Referenced;
use crate::layout::{Linear, position};
use crate::miniseed::Segment;
use crate::zarr::{Keys, Mapped, Shards};

/// Where each chunk of a variable is, and how to decode it.
///
/// - Regular layouts are kept in closed form, so that the table of a contiguous variable takes no memory.
/// - A chunk that is not listed was never written: [`ChunkRef::Fill`].
#[derive(Debug, Clone)]
pub struct ChunkRefs {
    /// Type of an element.
    pub dtype: DType,
    /// Order of the bytes of an element in the file.
    pub byte_order: ByteOrder,
    /// Shape and chunks.
    pub grid: ChunkGrid,
    /// Codec chain in the order of encoding.
    pub codecs: Vec<Codec>,
    /// The fill value: one element in native byte order.
    pub fill: Vec<u8>,
    pub(crate) table: Table,
}

/// One stored chunk of a listed table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) linear: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) filter_mask: u32,
}

/// The forms of a table.
#[derive(Debug, Clone)]
pub(crate) enum Table {
    /// Sorted by `linear`, the position of the chunk in C order.
    Listed(Vec<Entry>),
    /// Virtual chunks: rows of the first axis at `base + i * stride`, C order within.
    Rows { base: u64, stride: u64 },
    /// One chunk held here.
    Inline(Bytes),
    /// Coordinates that are computed.
    Linear(Linear),
    /// Records of miniSEED: a chunk reaches from the first record with samples of it to the last.
    Records(Arc<Segment>),
    /// An object for each chunk.
    Objects(Keys),
    /// Chunks that a document of references lists.
    Mapped(Mapped),
    /// Chunks that tables of references list.
    Referenced(Arc<Referenced>),
    /// Windows of an array that only GDAL reads.
    Opaque(OpaqueArray),
    /// Chunks within objects; sorted by `linear`.
    Shards { shards: Shards, per_shard: Vec<u64>, entries: Vec<Entry> },
    /// No chunk at all.
    Empty,
}

impl ChunkRefs {
    pub(crate) fn new(variable: &Variable, table: Table) -> Self {
        Self {
            dtype: variable.dtype,
            byte_order: variable.byte_order,
            grid: variable.grid.clone(),
            codecs: variable.codecs.clone(),
            fill: variable.fill.clone(),
            table,
        }
    }

    /// True if chunks at the edge are stored cut, not whole (contiguous data that was cut here).
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.table, Table::Rows { .. } | Table::Inline(_) | Table::Linear(_))
    }

    /// Bytes that are stored for so many decoded ones, before compression.
    pub(crate) fn unpacked(&self, decoded: u64) -> u64 {
        stored(&self.codecs, decoded)
    }

    /// Cuts contiguous data into virtual chunks of no more than so many positions along the first axis; other data keep their chunks. Small
    /// pieces of it can be read then without those around them.
    pub fn cut_contiguous(&mut self, positions: u64) {
        if matches!(self.table, Table::Rows { .. })
            && self.codecs.is_empty()
            && let Some(first) = self.grid.chunk.first_mut()
        {
            *first = (*first).min(positions.max(1));
        }
    }

    /// First byte and stride of contiguous data.
    pub(crate) fn rows(&self) -> Option<(u64, u64)> {
        match self.table {
            Table::Rows { base, stride } => Some((base, stride)),
            _ => None,
        }
    }

    /// The chunk at this position of the chunk grid; [`ChunkRef::Fill`] outside of the grid.
    pub fn get(&self, index: &[u64]) -> ChunkRef {
        match (&self.table, self.linear(index)) {
            (_, None) | (Table::Empty, _) => ChunkRef::Fill,
            (Table::Objects(keys), _) => keys.get(index.iter().copied()),
            (Table::Mapped(mapped), _) => mapped.get(index.iter().copied()),
            (Table::Referenced(referenced), Some(linear)) => referenced.chunk(linear),
            (Table::Shards { shards, per_shard, entries }, Some(linear)) => {
                let found = entries.binary_search_by_key(&linear, |e| e.linear).ok().and_then(|at| entries.get(at));
                let shard = index.iter().zip(per_shard).map(|(i, per)| i / per);
                found.map_or(ChunkRef::Fill, |entry| entry.within(shards.get(shard)))
            }
            (Table::Inline(bytes), _) => ChunkRef::Inline(bytes.clone()),
            (Table::Opaque(array), _) => array.chunk(&self.grid, index),
            (Table::Linear(linear), Some(at)) => {
                let (len, chunk) = (self.grid.shape.first().copied(), self.grid.chunk.first().copied());
                let (len, start) = (len.unwrap_or(0), at.saturating_mul(chunk.unwrap_or(1)));
                ChunkRef::Inline(linear.bytes(start, len.min(start.saturating_add(chunk.unwrap_or(1)))))
            }
            (Table::Records(segment), Some(at)) => match segment.range(at) {
                Some((offset, length)) => ChunkRef::Range { offset, length, filter_mask: 0 },
                None => ChunkRef::Fill,
            },
            (Table::Rows { base, stride }, _) => self.row(*base, *stride, index),
            (Table::Listed(entries), Some(linear)) => match entries.binary_search_by_key(&linear, |e| e.linear) {
                Ok(at) => entries.get(at).map_or(ChunkRef::Fill, Entry::reference),
                Err(_) => ChunkRef::Fill,
            },
        }
    }

    /// Position of a chunk in C order.
    fn linear(&self, index: &[u64]) -> Option<u64> {
        let ChunkGrid { shape, chunk } = &self.grid;
        (index.len() == shape.len()).then_some(())?;
        index.iter().zip(shape.iter().zip(chunk)).try_fold(0u64, |at, (i, (len, chunk))| {
            let n = len.div_ceil((*chunk).max(1));
            (*i < n).then_some(())?;
            at.checked_mul(n)?.checked_add(*i)
        })
    }

    /// A virtual chunk. Offsets were checked against the length of the file when the table was made.
    fn row(&self, base: u64, stride: u64, index: &[u64]) -> ChunkRef {
        let size = self.dtype.size() as u64;
        let (mut inner, mut offset, mut length) = (size, base, size);
        // The array of a member is never cut, and blocks are listed, so that these are whole elements.
        for axis in (0..index.len()).rev() {
            let (shape, chunk) = (self.grid.shape[axis], self.grid.chunk[axis]);
            let start = index[axis].saturating_mul(chunk);
            let step = if axis == 0 { stride } else { self.unpacked(inner) };
            offset = offset.saturating_add(start.saturating_mul(step));
            length = length.saturating_mul(chunk.min(shape.saturating_sub(start)));
            inner = inner.saturating_mul(shape);
        }
        ChunkRef::Range { offset, length: self.unpacked(length), filter_mask: 0 }
    }

    /// Bytes that are stored for the variable: after compression, without chunks that were never written; `None` where
    /// only the objects themselves know.
    pub fn stored_bytes(&self) -> Option<u64> {
        if matches!(self.table, Table::Objects(_) | Table::Mapped(_) | Table::Referenced(_) | Table::Opaque(_)) {
            return None;
        }
        Some(match &self.table {
            Table::Listed(entries) | Table::Shards { entries, .. } => {
                entries.iter().fold(0, |sum, e| sum.saturating_add(e.length))
            }
            Table::Rows { .. } => {
                let decoded = self.grid.shape.iter().fold(self.dtype.size() as u64, |n, len| n.saturating_mul(*len));
                self.unpacked(decoded)
            }
            Table::Inline(bytes) => bytes.len() as u64,
            Table::Records(segment) => segment.stored_bytes(),
            Table::Empty
            | Table::Linear(_)
            | Table::Objects(_)
            | Table::Mapped(_)
            | Table::Referenced(_)
            | Table::Opaque(_) => 0,
        })
    }

    /// The stored chunks with their positions in the chunk grid, in C order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Vec<u64>, ChunkRef)> + '_> {
        match &self.table {
            Table::Listed(entries) => Box::new(entries.iter().map(|e| (self.position(e.linear), e.reference()))),
            Table::Shards { entries, .. } => Box::new(entries.iter().map(|e| {
                let index = self.position(e.linear);
                let chunk = self.get(&index);
                (index, chunk)
            })),
            Table::Referenced(referenced) => Box::new(referenced.positions().map(|linear| {
                let index = self.position(linear);
                (index, referenced.chunk(linear))
            })),
            Table::Empty => Box::new(std::iter::empty()),
            Table::Rows { .. }
            | Table::Inline(_)
            | Table::Linear(_)
            | Table::Records(_)
            | Table::Objects(_)
            | Table::Opaque(_)
            | Table::Mapped(_) => {
                let total = self.grid.counts().iter().fold(1u64, |n, c| n.saturating_mul(*c));
                Box::new((0..total).map(|linear| {
                    let index = self.position(linear);
                    let chunk = self.get(&index);
                    (index, chunk)
                }))
            }
        }
    }

    fn position(&self, linear: u64) -> Vec<u64> {
        position(linear, &self.grid.counts())
    }
}

/// Bytes of whole elements, where so many bytes of their members are decoded.
pub(crate) fn stored(codecs: &[Codec], decoded: u64) -> u64 {
    match codecs.iter().find(|codec| matches!(codec, Codec::Member { .. })) {
        Some(Codec::Member { element, length, .. }) => {
            (decoded / (*length).max(1) as u64).saturating_mul(*element as u64)
        }
        _ => decoded,
    }
}

impl<'a> IntoIterator for &'a ChunkRefs {
    type Item = (Vec<u64>, ChunkRef);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Entry {
    /// The part of a shard.
    fn within(&self, shard: ChunkRef) -> ChunkRef {
        let (offset, filter_mask) = (self.offset, self.filter_mask);
        match shard {
            ChunkRef::Object { href, range, .. } => {
                let start = range.map_or(0, |range| range.start).saturating_add(offset);
                ChunkRef::Object { href, range: Some(start..start.saturating_add(self.length)), filter_mask }
            }
            // Its index was checked against its length.
            ChunkRef::Inline(bytes) => {
                let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                ChunkRef::Inline(bytes.slice(place(offset)..place(offset.saturating_add(self.length))))
            }
            other => other,
        }
    }

    fn reference(&self) -> ChunkRef {
        ChunkRef::Range { offset: self.offset, length: self.length, filter_mask: self.filter_mask }
    }
}
