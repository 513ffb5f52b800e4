//! A variable of a file: its chunk references, and how their bytes become values.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use outcrop_formats::{ChunkRef, DType, Origin};
use outcrop_formats::{ChunkRefs, Decoder, Variable, cf::Decoding};
use outcrop_store::Href;

use crate::{Block, Error, Result};

/// A variable of an open file.
#[derive(Debug)]
pub struct Source {
    /// Number of the source, unique in the process.
    pub(crate) id: usize,
    pub(crate) origin: Arc<Origin>,
    pub(crate) variable: Variable,
    pub(crate) refs: ChunkRefs,
    pub(crate) decoding: Decoding,
}

/// Stored bytes of chunks, by source and chunk position.
pub(crate) type Fetched = HashMap<(usize, Vec<u64>), (ChunkRef, Bytes)>;

/// What a worker keeps between blocks: a decoder and a buffer for each source.
#[derive(Default)]
pub(crate) struct Scratch {
    decoders: HashMap<usize, (Decoder, Vec<u8>)>,
    raw: Vec<u8>,
}

impl Source {
    /// The file or store.
    pub fn href(&self) -> &Href {
        self.origin.href()
    }

    /// The variable as the file describes it.
    pub fn variable(&self) -> &Variable {
        &self.variable
    }

    /// Where the chunks are.
    pub fn refs(&self) -> &ChunkRefs {
        &self.refs
    }

    /// Type of the values once decoded: single precision where CF rules give it, else double.
    pub fn dtype(&self) -> DType {
        if self.decoding.result_dtype() == DType::Float32 { DType::Float32 } else { DType::Float64 }
    }

    /// Positions of the chunks that a window touches, in C order.
    pub(crate) fn chunks_in(&self, window: &[Range<u64>]) -> Vec<Vec<u64>> {
        let mut indices: Vec<Vec<u64>> = vec![Vec::new()];
        for (range, chunk) in window.iter().zip(&self.refs.grid.chunk) {
            let chunk = (*chunk).max(1);
            let positions = if range.is_empty() { 0..0 } else { range.start / chunk..(range.end - 1) / chunk + 1 };
            indices = indices
                .into_iter()
                .flat_map(|index| positions.clone().map(move |p| index.iter().copied().chain([p]).collect()))
                .collect();
        }
        indices
    }

    /// Bytes of the chunks as stored, those of one file in one call.
    pub(crate) async fn fetch(&self, indices: Vec<Vec<u64>>, into: &mut Fetched) -> Result<()> {
        let chunks: Vec<ChunkRef> = indices.iter().map(|index| self.refs.get(index)).collect();
        let fetched = self.origin.fetch(&chunks, self.chunk_bytes(), 0).await.map_err(|e| self.opened_error(e))?;
        into.extend(indices.into_iter().zip(fetched).map(|(index, found)| ((self.id, index), found)));
        Ok(())
    }

    /// Bytes of a decoded chunk.
    fn chunk_bytes(&self) -> u64 {
        self.refs.grid.chunk.iter().fold(self.variable.dtype.size() as u64, |n, len| n.saturating_mul(*len))
    }

    fn opened_error(&self, error: outcrop_formats::Error) -> Error {
        match error {
            outcrop_formats::Error::Store(error) => error.into(),
            source => Error::Open { href: self.href().clone(), source },
        }
    }

    /// The values of a window, missing ones as NaN.
    pub(crate) fn decode(&self, window: &[Range<u64>], fetched: &Fetched, scratch: &mut Scratch) -> Result<Block> {
        let raw = self.decode_raw(window, fetched, scratch)?;
        let block = if self.dtype() == DType::Float32 {
            let mut values = vec![0f32; raw.len() / self.variable.dtype.size()];
            self.decoding.to_f32(&raw, &mut values);
            Block::F32(values)
        } else {
            Block::F64(self.decoding.to_f64(&raw))
        };
        scratch.raw = raw;
        Ok(block)
    }

    /// Shows the values of a window row by row, in single precision; a few rows at a time are in memory as numbers.
    pub(crate) fn decode_rows(
        &self,
        window: &[Range<u64>],
        (fetched, scratch): (&Fetched, &mut Scratch),
        columns: usize,
        show: &mut dyn FnMut(&[f32]),
    ) -> Result<()> {
        /// Values that are turned into numbers together: few enough to stay in the first cache.
        const TOGETHER: usize = 4096;
        let raw = self.decode_raw(window, fetched, scratch)?;
        let columns = columns.max(1);
        let together = TOGETHER.div_ceil(columns) * columns;
        let mut values = vec![0f32; together];
        for part in raw.chunks(together * self.variable.dtype.size()) {
            let values = &mut values[..part.len() / self.variable.dtype.size()];
            self.decoding.to_f32(part, values);
            values.chunks_exact(columns).for_each(&mut *show);
        }
        scratch.raw = raw;
        Ok(())
    }

    /// The elements of a window as stored, in native byte order. The caller gives the buffer back to the scratch.
    fn decode_raw(&self, window: &[Range<u64>], fetched: &Fetched, scratch: &mut Scratch) -> Result<Vec<u8>> {
        let cells: u64 = window.iter().map(|r| r.end - r.start).product();
        let cells = usize::try_from(cells).unwrap_or(usize::MAX);
        let mut raw = std::mem::take(&mut scratch.raw);
        raw.resize(cells.saturating_mul(self.variable.dtype.size()), 0);
        let indices = self.chunks_in(window);
        match &indices[..] {
            [index] if self.is_whole_chunk(window) => self.decode_chunk(index, fetched, scratch, &mut raw)?,
            _ => self.assemble(&indices, window, (fetched, scratch), &mut raw)?,
        }
        Ok(raw)
    }

    fn is_whole_chunk(&self, window: &[Range<u64>]) -> bool {
        window.iter().zip(&self.refs.grid.chunk).all(|(r, chunk)| r.start % chunk == 0 && r.end - r.start == *chunk)
    }

    fn decode_chunk(&self, index: &[u64], fetched: &Fetched, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
        let (decoder, _) = scratch.of(self)?;
        let (chunk, bytes) = fetched.get(&(self.id, index.to_vec())).ok_or(Error::Worker)?;
        decoder.decode(chunk, bytes, out).map_err(|e| self.chunk_error(index, e))
    }

    fn chunk_error(&self, index: &[u64], source: outcrop_formats::Error) -> Error {
        Error::Chunk { href: self.href().clone(), variable: self.variable.name.clone(), index: index.to_vec(), source }
    }

    /// Decodes chunk by chunk and copies the parts that lie within the window, row by row.
    fn assemble(
        &self,
        indices: &[Vec<u64>],
        window: &[Range<u64>],
        (fetched, scratch): (&Fetched, &mut Scratch),
        out: &mut [u8],
    ) -> Result<()> {
        for index in indices {
            let (decoder, buffer) = scratch.of(self)?;
            let (chunk, bytes) = fetched.get(&(self.id, index.clone())).ok_or(Error::Worker)?;
            decoder.decode(chunk, bytes, buffer).map_err(|e| self.chunk_error(index, e))?;
            self.copy_part(index, window, buffer, out);
        }
        Ok(())
    }

    fn copy_part(&self, index: &[u64], window: &[Range<u64>], chunk: &[u8], out: &mut [u8]) {
        let size = self.variable.dtype.size();
        let lengths = &self.refs.grid.chunk;
        let rank = window.len();
        if rank == 0 {
            out.copy_from_slice(&chunk[..out.len()]);
            return;
        }
        let origin: Vec<u64> = index.iter().zip(lengths).map(|(i, c)| i * c).collect();
        let part: Vec<Range<u64>> = window
            .iter()
            .zip(origin.iter().zip(lengths))
            .map(|(r, (o, c))| r.start.max(*o)..r.end.min(o + c))
            .collect();
        if part.iter().any(Range::is_empty) {
            return;
        }
        let at = |position: &[u64], from: &dyn Fn(usize) -> u64, len: &dyn Fn(usize) -> u64| {
            let offset = (0..rank).fold(0, |offset, d| offset * len(d) + (position[d] - from(d)));
            usize::try_from(offset).unwrap_or(usize::MAX) * size
        };
        let row = usize::try_from(part[rank - 1].end - part[rank - 1].start).unwrap_or(0) * size;
        let mut position: Vec<u64> = part.iter().map(|r| r.start).collect();
        loop {
            let from = at(&position, &|d| origin[d], &|d| lengths[d]);
            let to = at(&position, &|d| window[d].start, &|d| window[d].end - window[d].start);
            out[to..to + row].copy_from_slice(&chunk[from..from + row]);
            if !advance(&mut position[..rank - 1], &part) {
                return;
            }
        }
    }

    /// Bytes as stored of the largest set of chunks among these windows.
    pub(crate) fn stored_in(&self, window: &[Range<u64>]) -> u64 {
        let length = |index: &Vec<u64>| match self.refs.get(index) {
            ChunkRef::Range { length, .. } => length,
            ChunkRef::Object { range: Some(range), .. } => range.end - range.start,
            // How large an object is, only its store knows; what cannot be compressed is as large as it is decoded.
            ChunkRef::Object { range: None, .. } | ChunkRef::Opaque { .. } => self.chunk_bytes(),
            ChunkRef::Inline(_) | ChunkRef::Fill => 0,
        };
        self.chunks_in(window).iter().map(length).sum()
    }

    /// Bytes that decoding a window takes: the values, as stored and as numbers, and two chunks of scratch.
    pub(crate) fn decode_bytes(&self, window: &[Range<u64>]) -> u64 {
        let cells: u64 = window.iter().map(|r| r.end - r.start).product();
        let size = self.variable.dtype.size() as u64;
        cells * (size + self.dtype().size() as u64) + 2 * self.chunk_bytes()
    }
}

/// Steps through the outer dimensions of a window in C order; false after the last position.
fn advance(position: &mut [u64], window: &[Range<u64>]) -> bool {
    for d in (0..position.len()).rev() {
        position[d] += 1;
        if position[d] < window[d].end {
            return true;
        }
        position[d] = window[d].start;
    }
    false
}

impl Scratch {
    fn of(&mut self, source: &Source) -> Result<&mut (Decoder, Vec<u8>)> {
        match self.decoders.entry(source.id) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let decoder = Decoder::new(&source.refs).map_err(|e| source.chunk_error(&[], e))?;
                let buffer = vec![0; decoder.chunk_bytes()];
                Ok(entry.insert((decoder, buffer)))
            }
        }
    }
}
