//! A variable of a file: its chunk references, and how their bytes become values.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use outcrop_formats::{ChunkRef, ChunkRefs, Decoder, Origin, Variable, cf::Decoding};
use outcrop_store::Href;

use crate::expr::{Expr, cells, lengths, size};
use crate::strided::{Layout, copy, signed};
use crate::{Block, DType, Error, Result};

/// Bytes between two chunks of a remote file that are read in vain rather than asked for apart.
const GAP: u64 = 8 << 10;

/// As [`GAP`], of a local file: neighbours are read together, so that the strips of an image are not a call each.
const LOCAL_GAP: u64 = 64;

/// Decoders that a worker keeps for the next piece; others are made again.
const KEPT_DECODERS: usize = 16;

/// A variable of an open file.
#[derive(Debug)]
pub struct Source {
    /// Number of the source, unique in the process.
    pub(crate) id: usize,
    pub(crate) origin: Arc<Origin>,
    pub(crate) variable: Variable,
    pub(crate) refs: ChunkRefs,
    /// How stored values become physical ones; `None` where they are what they are stored as.
    pub(crate) decoding: Option<Decoding>,
}

/// Stored bytes of chunks: of each source in the order of their positions. An image may have a chunk for each of its rows, so that nothing
/// is made for one that is looked up.
#[derive(Debug, Default)]
pub(crate) struct Fetched(HashMap<usize, Vec<Stored>>);

#[derive(Debug)]
pub(crate) struct Stored {
    index: Vec<u64>,
    chunk: ChunkRef,
    bytes: Bytes,
}

impl Fetched {
    fn get(&self, source: usize, index: &[u64]) -> Result<&Stored> {
        let all = self.0.get(&source).ok_or(Error::Worker)?;
        let at = all.binary_search_by(|stored| stored.index.as_slice().cmp(index)).map_err(|_| Error::Worker)?;
        all.get(at).ok_or(Error::Worker)
    }
}

/// What a worker keeps between pieces: some decoders, and a buffer for a chunk.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    decoders: HashMap<usize, Decoder>,
    chunk: Vec<u8>,
    /// Memory for the next values of a source, whatever is in it.
    pub(crate) spare: Option<Block>,
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

    /// Type of the values once decoded, by xarray's rules; half precision becomes single.
    pub fn dtype(&self) -> DType {
        let stored = self.decoding.as_ref().map_or(self.variable.dtype, Decoding::result_dtype);
        DType::of_stored(stored).unwrap_or(DType::Float64)
    }

    /// True if stored values must be converted, not only taken as they are.
    pub(crate) fn is_decoded(&self) -> bool {
        self.decoding.is_some() || self.variable.dtype == outcrop_formats::DType::Float16
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
    async fn fetch(&self, indices: Vec<Vec<u64>>) -> Result<Vec<Stored>> {
        let fetched = self.origin.fetch(&self.chunks(&indices), self.chunk_bytes(), self.gap()).await;
        self.stored(indices, fetched)
    }

    fn chunks(&self, indices: &[Vec<u64>]) -> Vec<ChunkRef> {
        indices.iter().map(|index| self.refs.get(index)).collect()
    }

    fn gap(&self) -> u64 {
        if self.href().is_local() { LOCAL_GAP } else { GAP }
    }

    fn stored(
        &self,
        indices: Vec<Vec<u64>>,
        fetched: outcrop_formats::Result<Vec<(ChunkRef, Bytes)>>,
    ) -> Result<Vec<Stored>> {
        let fetched = fetched.map_err(|e| self.opened_error(e))?;
        Ok(indices.into_iter().zip(fetched).map(|(index, (chunk, bytes))| Stored { index, chunk, bytes }).collect())
    }

    /// Bytes of a decoded chunk.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.refs.grid.chunk.iter().fold(self.variable.dtype.size() as u64, |n, len| n.saturating_mul(*len))
    }

    fn opened_error(&self, error: outcrop_formats::Error) -> Error {
        match error {
            outcrop_formats::Error::Store(error) => error.into(),
            source => Error::Open { href: self.href().clone(), source },
        }
    }

    /// Physical values of stored ones in native byte order.
    pub(crate) fn values(&self, raw: &[u8]) -> Block {
        let decoding;
        let rules = match &self.decoding {
            Some(rules) => rules,
            None if !self.is_decoded() => return Block::from_bytes(self.dtype(), raw),
            None => {
                decoding = Decoding::from_attrs(self.variable.dtype, &outcrop_formats::Attrs::default());
                &decoding
            }
        };
        if self.dtype() == DType::Float32 {
            let mut values = vec![0f32; raw.len() / self.variable.dtype.size().max(1)];
            rules.to_f32(raw, &mut values);
            Block::Float32(values)
        } else {
            Block::Float64(rules.to_f64(raw))
        }
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
        let raw = self.decode(window, fetched, scratch)?;
        let columns = columns.max(1);
        let together = TOGETHER.div_ceil(columns) * columns;
        for part in raw.chunks(together * self.variable.dtype.size()) {
            if let Block::Float32(values) = self.values(part) {
                values.chunks_exact(columns).for_each(&mut *show);
            }
        }
        Ok(())
    }

    /// The elements of a window as stored, in native byte order.
    pub(crate) fn decode(&self, window: &[Range<u64>], fetched: &Fetched, scratch: &mut Scratch) -> Result<Vec<u8>> {
        let mut raw = vec![0; size(cells(window)).saturating_mul(self.variable.dtype.size())];
        self.decode_into(window, (fetched, scratch), &mut raw)?;
        Ok(raw)
    }

    fn decode_into(
        &self,
        window: &[Range<u64>],
        (fetched, scratch): (&Fetched, &mut Scratch),
        raw: &mut [u8],
    ) -> Result<()> {
        let indices = self.chunks_in(window);
        match &indices[..] {
            [index] if self.is_whole_chunk(window) => self.decode_chunk(index, fetched, scratch, raw),
            _ => self.assemble(&indices, window, (fetched, scratch), raw),
        }
    }

    /// Physical values of a window. Those that are stored as they are, are decoded where they stay.
    pub(crate) fn decode_values(
        &self,
        window: &[Range<u64>],
        fetched: &Fetched,
        scratch: &mut Scratch,
    ) -> Result<Block> {
        if self.is_decoded() || self.dtype() == DType::Bool {
            return Ok(self.values(&self.decode(window, fetched, scratch)?));
        }
        let count = size(cells(window));
        // Chunks fill all of it.
        let spare = scratch.spare.take().filter(|spare| spare.dtype() == self.dtype() && spare.len() == count);
        let mut block = spare.unwrap_or_else(|| Block::zeros(self.dtype(), count));
        self.decode_into(window, (fetched, scratch), block.bytes_mut())?;
        Ok(block)
    }

    /// Copies a window that is one chunk without codecs to a place in a larger block, as its bytes are; false, and nothing done, if it is not.
    pub(crate) fn copy_plain(
        &self,
        window: &[Range<u64>],
        fetched: &Fetched,
        out: &mut Block,
        to: &Layout,
    ) -> Result<bool> {
        let is_plain = !self.is_decoded() && self.refs.codecs.is_empty() && self.refs.byte_order.is_native();
        if !is_plain || self.dtype() == DType::Bool || out.dtype() != self.dtype() || !self.is_whole_chunk(window) {
            return Ok(false);
        }
        let index: Vec<u64> =
            window.iter().zip(&self.refs.grid.chunk).map(|(range, chunk)| range.start / chunk).collect();
        let Stored { chunk, bytes, .. } = fetched.get(self.id, &index)?;
        if !matches!(chunk, ChunkRef::Range { filter_mask: 0, .. }) || bytes.len() as u64 != self.chunk_bytes() {
            return Ok(false);
        }
        let part = self.with_bytes(lengths(window));
        let size = signed(self.variable.dtype.size());
        let strides = to.strides.iter().map(|stride| stride * size).chain([1]).collect();
        let to = Layout { offset: to.offset * size, strides };
        copy(bytes, &Layout::of(&part), out.bytes_mut(), &to, &part);
        Ok(true)
    }

    /// A shape in bytes: an element is a run of them along one more dimension.
    fn with_bytes(&self, shape: Vec<usize>) -> Vec<usize> {
        [shape, vec![self.variable.dtype.size()]].concat()
    }

    fn is_whole_chunk(&self, window: &[Range<u64>]) -> bool {
        window.iter().zip(&self.refs.grid.chunk).all(|(r, chunk)| r.start % chunk == 0 && r.end - r.start == *chunk)
    }

    fn decode_chunk(&self, index: &[u64], fetched: &Fetched, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
        let decoder = scratch.decoder(self)?;
        let Stored { chunk, bytes, .. } = fetched.get(self.id, index)?;
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
        let mut buffer = std::mem::take(&mut scratch.chunk);
        let shape = lengths(window);
        for index in indices {
            if let Some(rows) = self.as_rows(index, window, &shape) {
                self.decode_chunk(index, fetched, scratch, &mut out[rows])?;
                continue;
            }
            buffer.resize(size(self.chunk_bytes()), 0);
            self.decode_chunk(index, fetched, scratch, &mut buffer)?;
            self.copy_part(index, window, &buffer, out);
        }
        scratch.chunk = buffer;
        Ok(())
    }

    /// The bytes of the window that a chunk fills from end to end, if it lies in it as it is.
    fn as_rows(&self, index: &[u64], window: &[Range<u64>], shape: &[usize]) -> Option<Range<usize>> {
        let chunk = &self.refs.grid.chunk;
        let all = index.iter().zip(chunk).zip(window);
        let (mut start, mut is_inner) = (0usize, true);
        for (d, ((at, chunk), range)) in all.enumerate() {
            let from = at * chunk;
            if from < range.start || from + chunk > range.end {
                return None;
            }
            start = start * shape[d] + size(from - range.start);
        }
        // All but the outermost dimension of more than one position must be whole.
        for d in (0..chunk.len()).rev() {
            if !is_inner && chunk[d] != 1 {
                return None;
            }
            is_inner = is_inner && size(chunk[d]) == shape[d];
        }
        let bytes = self.variable.dtype.size();
        Some(start * bytes..(start * bytes).checked_add(size(self.chunk_bytes()))?)
    }

    fn copy_part(&self, index: &[u64], window: &[Range<u64>], chunk: &[u8], out: &mut [u8]) {
        let grid = &self.refs.grid.chunk;
        let origin: Vec<u64> = index.iter().zip(grid).map(|(i, c)| i * c).collect();
        let part: Vec<Range<u64>> =
            window.iter().zip(origin.iter().zip(grid)).map(|(r, (o, c))| r.start.max(*o)..r.end.min(o + c)).collect();
        if part.iter().any(Range::is_empty) {
            return;
        }
        let with_bytes = |shape: Vec<usize>| self.with_bytes(shape);
        let from = Layout::of(&with_bytes(grid.iter().map(|c| size(*c)).collect()))
            .at(part.iter().zip(&origin).map(|(p, o)| size(p.start - o)));
        let to =
            Layout::of(&with_bytes(lengths(window))).at(part.iter().zip(window).map(|(p, w)| size(p.start - w.start)));
        copy(chunk, &from, out, &to, &with_bytes(lengths(&part)));
    }

    /// Bytes of a chunk as it is stored.
    pub(crate) fn stored_length(&self, index: &[u64]) -> u64 {
        match self.refs.get(index) {
            ChunkRef::Range { length, .. } => length,
            ChunkRef::Object { range: Some(range), .. } => range.end - range.start,
            // How large an object is, only its store knows; what cannot be compressed is as large as it is decoded.
            ChunkRef::Object { range: None, .. } | ChunkRef::Opaque { .. } => self.chunk_bytes(),
            ChunkRef::Inline(_) | ChunkRef::Fill => 0,
        }
    }

    /// Bytes that decoding takes besides the elements themselves: a chunk that lies across the window, and what its codecs need.
    pub(crate) fn decode_bytes(&self) -> u64 {
        let buffers = 1 + u64::from(!self.refs.codecs.is_empty());
        buffers * self.chunk_bytes()
    }
}

/// The chunks that windows of some arrays need, by variable; a chunk may be named twice.
pub(crate) fn wanted(arrays: &[(&Arc<Expr>, &[Range<u64>])]) -> Vec<(Arc<Source>, Vec<Vec<u64>>)> {
    let mut sources: Vec<(Arc<Source>, Vec<Vec<u64>>)> = Vec::new();
    for (expr, window) in arrays.iter().filter(|(_, window)| cells(window) > 0) {
        expr.visit(window, &mut |source, window| {
            let indices = source.chunks_in(window);
            match sources.last_mut() {
                Some((last, have)) if last.id == source.id => have.extend(indices),
                _ => sources.push((source.clone(), indices)),
            }
        });
    }
    sources
}

/// Fetches chunks, each once.
pub(crate) async fn fetch(sources: Vec<(Arc<Source>, Vec<Vec<u64>>)>) -> Result<Fetched> {
    let fetches = each_once(sources).into_iter().map(|(source, indices)| async move {
        let stored = source.fetch(indices).await?;
        Ok::<_, Error>((source.id, stored))
    });
    Ok(Fetched(futures::future::try_join_all(fetches).await?.into_iter().collect()))
}

/// As [`fetch`], in this thread where files are local: on its way through others, what is read would take longer than the reading.
pub(crate) fn wait_fetch(sources: Vec<(Arc<Source>, Vec<Vec<u64>>)>) -> Result<Fetched> {
    let fetch = |(source, indices): (Arc<Source>, Vec<Vec<u64>>)| {
        let fetched = source.origin.wait_fetch(&source.chunks(&indices), source.chunk_bytes(), source.gap());
        Ok((source.id, source.stored(indices, fetched)?))
    };
    Ok(Fetched(each_once(sources).into_iter().map(fetch).collect::<Result<_>>()?))
}

fn each_once(sources: Vec<(Arc<Source>, Vec<Vec<u64>>)>) -> Vec<(Arc<Source>, Vec<Vec<u64>>)> {
    let mut each: HashMap<usize, (Arc<Source>, Vec<Vec<u64>>)> = HashMap::new();
    for (source, indices) in sources {
        each.entry(source.id).or_insert_with(|| (source, Vec::new())).1.extend(indices);
    }
    let mut each: Vec<(Arc<Source>, Vec<Vec<u64>>)> = each.into_values().collect();
    for (_, indices) in &mut each {
        indices.sort_unstable();
        indices.dedup();
    }
    each
}

impl Scratch {
    fn decoder(&mut self, source: &Source) -> Result<&mut Decoder> {
        if self.decoders.len() >= KEPT_DECODERS && !self.decoders.contains_key(&source.id) {
            self.decoders.clear();
        }
        match self.decoders.entry(source.id) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let decoder = Decoder::new(&source.refs).map_err(|e| source.chunk_error(&[], e))?;
                Ok(entry.insert(decoder))
            }
        }
    }
}
