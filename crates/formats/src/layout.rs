//! Where the data of a variable begins, as the header of its file says; and limits on what headers may say.

use std::sync::Arc;

use bytes::Bytes;

use crate::array::{ChunkGrid, DType, Variable};
use crate::miniseed::Segment;
use crate::refs::Table;
use crate::{Error, Result};

/// Largest virtual chunk of contiguous data, in bytes.
const VIRTUAL_CHUNK: u64 = 8 << 20;
/// Most dimensions of a variable.
pub(crate) const MAX_DIMS: usize = 32;

/// How the chunks of a variable are found.
#[derive(Debug, Clone)]
pub(crate) enum Layout {
    /// A chunk index of HDF5.
    Hdf5(crate::hdf5::ChunkIndex),
    /// Rows at `base + i * stride`, each contiguous.
    Rows { base: u64, stride: u64 },
    /// All bytes are in the header.
    Inline(Bytes),
    /// `float64` or `int64` coordinates `first + i * step` along one dimension: no bytes of the file.
    Linear(Linear),
    /// Records of miniSEED.
    Records(Arc<Segment>),
    /// Objects of a Zarr store, or shards of them.
    Zarr(crate::zarr::Place),
    /// The arrays of strips or tiles of a TIFF image.
    Tiff(crate::tiff::TileIndex),
    /// Some rows of each block of a variable of HDF5, whose index lists the chunks.
    Blocks(Arc<Variable>),
    /// An array that only GDAL reads.
    #[cfg_attr(not(feature = "gdal"), expect(dead_code, reason = "only GDAL makes it"))]
    Opaque(crate::gdal::OpaqueArray),
    /// The chunks were found before: references that were saved.
    Found(Arc<Table>),
    /// Nothing was ever written.
    Empty,
    /// The data cannot be read, and why.
    Refused(String),
}

/// Coordinates that are equally spaced, or so within pieces.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Linear {
    /// Position `i` is at `first + i * step`, computed in this order of operations.
    Float { first: f64, step: f64 },
    /// The same in whole numbers; `step` is the exact fraction `step.0 / step.1`, rounded to the nearest.
    Int { first: i64, step: (i64, i64) },
    /// Pieces of `rows` positions, each like [`Linear::Int`] from its own start.
    Pieces { starts: Vec<i64>, rows: u64, step: (i64, i64) },
}

impl Linear {
    /// Positions `from..to` in native byte order.
    pub(crate) fn bytes(&self, from: u64, to: u64) -> Bytes {
        let each = from..to.max(from);
        match self {
            Self::Float { first, step } => each.flat_map(|i| (first + i as f64 * step).to_ne_bytes()).collect(),
            Self::Int { first, step } => each.flat_map(|i| moved(*first, i, *step).to_ne_bytes()).collect(),
            Self::Pieces { starts, rows, step } => each
                .flat_map(|i| {
                    let piece = usize::try_from(i / (*rows).max(1)).ok().and_then(|piece| starts.get(piece));
                    moved(piece.copied().unwrap_or(i64::MAX), i % (*rows).max(1), *step).to_ne_bytes()
                })
                .collect(),
        }
    }
}

/// `first + i * up / down`, rounded to the nearest.
fn moved(first: i64, i: u64, (up, down): (i64, i64)) -> i64 {
    let (up, down) = (i128::from(i) * i128::from(up), i128::from(down.max(1)));
    i64::try_from(i128::from(first) + (2 * up + down).div_euclid(2 * down)).unwrap_or(i64::MAX)
}

/// The chunks of [`Linear`] coordinates.
pub(crate) fn linear_grid(len: u64) -> ChunkGrid {
    ChunkGrid { shape: vec![len], chunk: vec![len.clamp(1, 1 << 16)] }
}

/// Multiplies lengths, or says that they are absurd.
pub(crate) fn product(lengths: &[u64], what: &str) -> Result<u64> {
    lengths
        .iter()
        .try_fold(1u64, |n, len| n.checked_mul(*len))
        .ok_or_else(|| Error::malformed(what, format!("its shape {lengths:?} is beyond 64 bits")))
}

/// The position of a number in C order.
pub(crate) fn position(mut linear: u64, counts: &[u64]) -> Vec<u64> {
    let mut index = vec![0; counts.len()];
    for (at, count) in index.iter_mut().zip(counts).rev() {
        *at = linear % (*count).max(1);
        linear /= (*count).max(1);
    }
    index
}

/// Cuts contiguous data into virtual chunks of at most 8 MiB along the outermost axis that allows it.
pub(crate) fn virtual_grid(shape: &[u64], dtype: DType) -> ChunkGrid {
    cut(shape, dtype.size(), u64::MAX)
}

/// Like [`virtual_grid`] where elements have this many bytes.
pub(crate) fn virtual_elements(shape: &[u64], size: usize) -> ChunkGrid {
    cut(shape, size, u64::MAX)
}

/// Like [`virtual_grid`] where rows of the first axis do not lie side by side, so that no chunk spans two of them.
pub(crate) fn virtual_rows(shape: &[u64], dtype: DType) -> ChunkGrid {
    cut(shape, dtype.size(), 1)
}

fn cut(shape: &[u64], size: usize, most_rows: u64) -> ChunkGrid {
    let mut chunk: Vec<u64> = shape.iter().map(|n| (*n).max(1)).collect();
    let mut inner = size.max(1) as u64;
    let mut cut = false;
    for (axis, len) in chunk.iter_mut().enumerate().rev() {
        let room = if cut { 1 } else { (VIRTUAL_CHUNK / inner).max(1) };
        let most = if axis == 0 { room.min(most_rows) } else { room };
        if *len > most {
            *len = most;
            cut = true;
        }
        inner = inner.saturating_mul(*len);
    }
    ChunkGrid { shape: shape.to_vec(), chunk }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_chunks_are_cut_along_one_axis_only() {
        let grid = virtual_grid(&[100, 1000, 1000], DType::Float32);
        assert_eq!(grid.chunk, vec![2, 1000, 1000]);
        let grid = virtual_grid(&[3, 3_000_000, 2], DType::Float64);
        assert_eq!(grid.chunk, vec![1, 524_288, 2]);
        assert_eq!(virtual_rows(&[10, 3], DType::Int16).chunk, vec![1, 3]);
        assert_eq!(virtual_grid(&[], DType::Int16).chunk, Vec::<u64>::new());
        assert_eq!(virtual_grid(&[0], DType::Int16).chunk, vec![1]);
    }
}
