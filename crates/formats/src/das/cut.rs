//! Blocks that overlap in time as one array: of each stored chunk, some rows of each of its blocks.
//!
//! A block of a chunk is to its rows that remain what an element of a compound is to a member, so that the codec is the
//! same, [`Codec::Member`]. No chunk is moved: chunks of `[b, rows, c]` are chunks of `[b * kept, c]` of the array.

use std::sync::Arc;

use crate::array::{AttrValue, ChunkGrid, ChunkRef, Codec, FileMeta, Variable};
use crate::layout::Layout;
use crate::refs::{ChunkRefs, Entry, Table};

/// Most blocks of contiguous data, which become one chunk each.
const MAX_BLOCKS: u64 = 1 << 20;
/// Largest chunk, in bytes.
const MAX_CHUNK: u64 = 256 << 20;

/// The rows of each block that remain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Rows that are left out at the start.
    pub(super) before: u64,
    /// Rows that remain.
    pub(super) kept: u64,
}

impl Cut {
    /// The name that the blocks of an array have.
    pub(super) fn blocks_name(path: &str) -> String {
        format!("{path}.blocks")
    }

    /// Says why the stored chunks of a variable of blocks cannot be cut, where they cannot.
    pub(super) fn check(self, blocks: &Variable) -> Result<(), String> {
        if blocks.codecs.iter().any(|codec| matches!(codec, Codec::Member { .. })) {
            return Err("its samples are members of compounds".to_owned());
        }
        let ([count, rows, _], [_, rows_together, _]) = (blocks.grid.shape.as_slice(), chunk(blocks)) else {
            return Err("it has no three dimensions".to_owned());
        };
        if rows_together < *rows {
            return Err(format!("its chunks hold {rows_together} of the {rows} samples of a block"));
        }
        if matches!(blocks.layout, Layout::Rows { .. }) && *count > MAX_BLOCKS {
            return Err(format!("it has {count} blocks without chunks; {MAX_BLOCKS} are the most"));
        }
        let bytes = chunk(blocks).iter().fold(blocks.dtype.size() as u64, |n, len| n.saturating_mul(*len));
        let all = self.kept.checked_mul(*count).and_then(|n| n.checked_mul(rows_together));
        if bytes > MAX_CHUNK || all.is_none() {
            return Err(format!("a chunk of whole blocks has {bytes} bytes; {MAX_CHUNK} are the most"));
        }
        Ok(())
    }

    /// Makes the blocks of this path one array, followed by the blocks under another name.
    pub(super) fn apply(self, meta: &mut FileMeta, path: &str) {
        let Some(at) = meta.variables.iter().position(|variable| variable.name == path) else { return };
        let mut blocks = meta.variables[at].clone();
        let ([count, _, channels], [together, rows, side]) = (blocks.grid.shape.as_slice(), chunk(&blocks)) else {
            return;
        };
        let grid = ChunkGrid {
            shape: vec![count.saturating_mul(self.kept), *channels],
            chunk: vec![together.saturating_mul(self.kept), side],
        };
        let size = |rows: u64| usize::try_from(rows.saturating_mul(side)).unwrap_or(usize::MAX) * blocks.dtype.size();
        let member = Codec::Member { element: size(rows), offset: size(self.before), length: size(self.kept) };
        let mut codecs = blocks.codecs.clone();
        codecs.insert(codecs.iter().take_while(|codec| codec.is_form()).count(), member);
        let whole = ChunkGrid { shape: blocks.grid.shape.clone(), chunk: vec![together, rows, side] };
        let dims = [0, 2].iter().filter_map(|axis| blocks.dims.get(*axis).cloned()).collect();
        let layout = Layout::Blocks(Arc::new(Variable { grid: whole, ..blocks.clone() }));
        let mut array = Variable { dims, grid, codecs, layout, ..blocks.clone() };
        blocks.name = Self::blocks_name(path);
        array.attrs.insert("blocks".to_owned(), AttrValue::Text(blocks.name.clone()));
        blocks.attrs.insert("blocks_of".to_owned(), AttrValue::Text(path.to_owned()));
        meta.variables[at] = array;
        meta.variables.insert(at + 1, blocks);
    }
}

/// Lengths of a chunk: of contiguous data, one block.
fn chunk(blocks: &Variable) -> [u64; 3] {
    match (&blocks.layout, blocks.grid.shape.as_slice(), blocks.grid.chunk.as_slice()) {
        (Layout::Rows { .. }, [_, rows, channels], _) => [1, (*rows).max(1), (*channels).max(1)],
        (_, _, [together, rows, channels]) => [*together, *rows, *channels],
        _ => [0; 3],
    }
}

/// The chunks of blocks as those of the array: they have the same places, in the same order.
pub(crate) fn table(blocks: ChunkRefs) -> Table {
    match blocks.table {
        Table::Listed(mut entries) => {
            // The codec of the cut stands before the filters.
            for entry in &mut entries {
                entry.filter_mask <<= 1;
            }
            Table::Listed(entries)
        }
        Table::Rows { .. } => {
            let entry = |(linear, (_, chunk)): (u64, (_, ChunkRef))| match chunk {
                ChunkRef::Range { offset, length, .. } => Some(Entry { linear, offset, length, filter_mask: 0 }),
                _ => None,
            };
            Table::Listed((0..).zip(blocks.iter()).filter_map(entry).collect())
        }
        other => other,
    }
}
