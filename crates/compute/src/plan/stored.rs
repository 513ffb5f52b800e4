//! What is stored between two stages of a plan: tiles that one side writes and the other reads, in memory or in a file without a name.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::tiling::Tiling;
use crate::expr::cuts::Cuts;
use crate::expr::{Expr, lengths, size};
use crate::strided::{Layout, copy_block};
use crate::{Block, DType, Error, Result};

/// An array that is computed once and read in other pieces.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) input: Arc<Expr>,
    /// Lengths of the pieces that it is read in.
    pub(crate) chunk: Vec<u64>,
    /// Once they are filled.
    tiles: OnceLock<Arc<Tiles>>,
}

/// Where tiles are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Disk,
}

/// The values, in tiles.
#[derive(Debug)]
pub(super) struct Tiles {
    dtype: DType,
    shape: Vec<u64>,
    /// Edges of tiles along each dimension, with both ends: all edges of those who write and those who read.
    edges: Vec<Vec<u64>>,
    at: At,
}

#[derive(Debug)]
enum At {
    Memory(Vec<OnceLock<Block>>),
    Disk(OnceLock<(File, PathBuf)>),
}

impl Stored {
    pub(crate) fn new(input: Arc<Expr>, chunk: Vec<u64>) -> Self {
        Self { input, chunk, tiles: OnceLock::new() }
    }

    pub(crate) fn cuts(&self) -> Vec<Cuts> {
        self.chunk.iter().map(|chunk| Cuts::of_chunk(*chunk)).collect()
    }

    /// True if its values are there.
    pub(crate) fn is_filled(&self) -> bool {
        self.tiles.get().is_some()
    }

    /// Bytes of memory that its values hold.
    pub(super) fn held_bytes(&self) -> u64 {
        match self.tiles.get().map(|tiles| &tiles.at) {
            Some(At::Memory(_)) => super::cells_of(&self.input.shape) * self.input.dtype.size() as u64,
            _ => 0,
        }
    }

    /// Makes room for the windows of a tiling.
    pub(super) fn lay_out(&self, tiling: &Tiling, place: Place) -> Arc<Tiles> {
        let edges: Vec<Vec<u64>> = tiling
            .pieces
            .iter()
            .zip(&self.chunk)
            .zip(&self.input.shape)
            .map(|((pieces, chunk), len)| {
                let read = Cuts::of_chunk(*chunk).pieces(*len, 1);
                let mut edges: Vec<u64> = pieces.iter().chain(&read).map(|piece| piece.start).chain([*len]).collect();
                edges.sort_unstable();
                edges.dedup();
                edges
            })
            .collect();
        let count = edges.iter().map(|edges| edges.len().saturating_sub(1)).product();
        let at = match place {
            Place::Memory => At::Memory((0..count).map(|_| OnceLock::new()).collect()),
            Place::Disk => At::Disk(OnceLock::new()),
        };
        Arc::new(Tiles { dtype: self.input.dtype, shape: self.input.shape.clone(), edges, at })
    }

    fn tiles(&self) -> Result<Arc<Tiles>> {
        self.tiles.get().cloned().ok_or(Error::Worker)
    }

    /// Takes the tiles, now that they are filled.
    pub(super) fn fill(&self, tiles: Arc<Tiles>) {
        // Another run of the same plan may have been faster.
        let _ = self.tiles.set(tiles);
    }

    /// The values of a window.
    pub(crate) fn read(&self, window: &[Range<u64>]) -> Result<Block> {
        let tiles = self.tiles()?;
        let shape = lengths(window);
        let own = Layout::of(&shape);
        let mut out = Block::zeros(tiles.dtype, shape.iter().product());
        for at in tiles.touched(window) {
            let tile = tiles.range(&at);
            let part: Vec<Range<u64>> =
                tile.iter().zip(window).map(|(t, w)| t.start.max(w.start)..t.end.min(w.end)).collect();
            let to = own.clone().at(part.iter().zip(window).map(|(p, w)| size(p.start - w.start)));
            let from = Layout::of(&lengths(&tile)).at(part.iter().zip(&tile).map(|(p, t)| size(p.start - t.start)));
            tiles.with(&at, |block| copy_block(block, &from, &mut out, &to, &lengths(&part)))?;
        }
        Ok(out)
    }

    /// Bytes of the largest tile that is read through memory, at most.
    pub(crate) fn tile_bytes(&self) -> u64 {
        super::cells_of(&self.chunk).saturating_mul(self.input.dtype.size() as u64)
    }
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    let href = outcrop_store::Href::from_path(path);
    outcrop_store::Error::Io { action, href, source }.into()
}

impl Tiles {
    /// Opens the file, where there is to be one.
    pub(super) fn prepare(&self, folder: Option<&Path>) -> Result<()> {
        let At::Disk(file) = &self.at else { return Ok(()) };
        if file.get().is_none() {
            let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
            let made = tempfile::tempfile_in(&folder).map_err(|e| failed("make a scratch file in", &folder, e))?;
            // Another run of the same plan may have been faster.
            let _ = file.set((made, folder));
        }
        Ok(())
    }

    /// Takes a window, which is made of whole tiles.
    pub(super) fn write(&self, window: &[Range<u64>], values: &Block) -> Result<()> {
        let own = Layout::of(&lengths(window));
        for at in self.touched(window) {
            let tile = self.range(&at);
            let shape = lengths(&tile);
            let mut block = Block::zeros(self.dtype, shape.iter().product());
            let from = own.clone().at(tile.iter().zip(window).map(|(t, w)| size(t.start - w.start)));
            copy_block(values, &from, &mut block, &Layout::of(&shape), &shape);
            self.put(&at, block)?;
        }
        Ok(())
    }

    /// Positions of the tiles that a window touches.
    fn touched(&self, window: &[Range<u64>]) -> Vec<Vec<usize>> {
        let along = |(edges, range): (&Vec<u64>, &Range<u64>)| -> Vec<usize> {
            if range.is_empty() {
                return Vec::new();
            }
            let first = edges.partition_point(|edge| *edge <= range.start).saturating_sub(1);
            let last = edges.partition_point(|edge| *edge < range.end);
            (first..last).collect()
        };
        let each: Vec<Vec<usize>> = self.edges.iter().zip(window).map(along).collect();
        crate::expr::products(&each).into_iter().map(|at| at.into_iter().copied().collect()).collect()
    }

    fn range(&self, at: &[usize]) -> Vec<Range<u64>> {
        self.edges.iter().zip(at).map(|(edges, at)| edges[*at]..edges[at + 1]).collect()
    }

    fn number(&self, at: &[usize]) -> usize {
        self.edges.iter().zip(at).fold(0, |n, (edges, at)| n * (edges.len() - 1) + at)
    }

    /// Cells of all tiles before one: tiles lie one behind the other.
    fn offset(&self, range: &[Range<u64>]) -> u64 {
        let (mut before, mut own) = (0u64, 1u64);
        for (d, range) in range.iter().enumerate() {
            let behind: u64 = self.shape[d + 1..].iter().product();
            before += own * range.start * behind;
            own *= range.end - range.start;
        }
        before * self.dtype.size() as u64
    }

    fn put(&self, at: &[usize], block: Block) -> Result<()> {
        match &self.at {
            At::Memory(tiles) => {
                // A tile has one writer; written twice, it is the same.
                let _ = tiles[self.number(at)].set(block);
                Ok(())
            }
            At::Disk(file) => {
                let (file, folder) = file.get().ok_or(Error::Worker)?;
                let offset = self.offset(&self.range(at));
                file.write_all_at(block.bytes(), offset).map_err(|e| failed("write a scratch file in", folder, e))
            }
        }
    }

    fn with(&self, at: &[usize], f: impl FnOnce(&Block)) -> Result<()> {
        match &self.at {
            At::Memory(tiles) => f(tiles[self.number(at)].get().ok_or(Error::Worker)?),
            At::Disk(file) => {
                let (file, folder) = file.get().ok_or(Error::Worker)?;
                let range = self.range(at);
                let mut bytes = vec![0; lengths(&range).iter().product::<usize>() * self.dtype.size()];
                file.read_exact_at(&mut bytes, self.offset(&range))
                    .map_err(|e| failed("read a scratch file in", folder, e))?;
                f(&Block::from_bytes(self.dtype, &bytes));
            }
        }
        Ok(())
    }
}
