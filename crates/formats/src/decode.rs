//! From the stored bytes of one chunk to its elements.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use libdeflater::Decompressor;

use crate::array::{ChunkRef, Codec, DType, SumPlace};
use crate::codec::shuffle::Swap;
use crate::codec::{bits, bitshuffle, blosc, bz2, crc32c, deflate, fletcher32, hdf5};
use crate::codec::{lz4, lzf, lzma, order, padding, shuffle, transpose, zstd};
use crate::gdal;
use crate::layout::{MAX_DIMS, product};
use crate::miniseed::Segment;
use crate::refs::{ChunkRefs, Table};
use crate::tiff::ChunkDecoder;
use crate::{Error, Result};

/// Largest chunk in bytes, decoded.
const MAX_CHUNK: u64 = 256 << 20;
/// Largest growth by decoding of chunks above 64 MiB.
const MAX_RATIO: u64 = 1000;

/// Decodes the chunks of one variable. It owns its scratch memory, so each thread has its own.
///
/// - Output is one whole chunk in C order and native byte order; elements beyond the shape hold what was stored there.
pub struct Decoder {
    codecs: Vec<Codec>,
    dtype: DType,
    swap: Swap,
    fill: Vec<u8>,
    chunk_bytes: usize,
    /// Lengths of a chunk.
    chunk: Vec<u64>,
    /// Bytes of a chunk of whole elements, where the variable is a member of them.
    stored_bytes: usize,
    cut_at_edge: bool,
    records: Option<Arc<Segment>>,
    decompressor: Decompressor,
    scratch: [Vec<u8>; 2],
    elements: Vec<u8>,
    tiff: Option<ChunkDecoder>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { codecs, dtype, chunk_bytes, .. } = self;
        f.debug_struct("Decoder").field("codecs", codecs).field("dtype", dtype).field("bytes", chunk_bytes).finish()
    }
}

impl Decoder {
    /// Checks the codec chain and the size of a chunk.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming a codec that has no decoder here; [`Error::Limit`] for more than 32 dimensions or
    /// chunks of more than 256 MiB.
    pub fn new(refs: &ChunkRefs) -> Result<Self> {
        let rank = refs.grid.chunk.len();
        if rank > MAX_DIMS {
            let (value, limit) = (rank as u64, MAX_DIMS as u64);
            return Err(Error::Limit { what: "number of dimensions".into(), value, limit });
        }
        let elements = product(&refs.grid.chunk, "a chunk")?;
        let bytes = elements.saturating_mul(refs.dtype.size() as u64);
        let checked = |value: u64| {
            let limit = || Error::Limit { what: "size of a chunk in bytes".into(), value, limit: MAX_CHUNK };
            usize::try_from(value).ok().filter(|_| value <= MAX_CHUNK).ok_or_else(limit)
        };
        let (chunk_bytes, stored_bytes) = (checked(bytes)?, checked(refs.unpacked(bytes))?);
        for codec in &refs.codecs {
            // What the chain is run with relies on it.
            if let Codec::Member { element, offset, length } = codec
                && (offset.checked_add(*length).is_none_or(|end| end > *element) || chunk_bytes % (*length).max(1) != 0)
            {
                return Err(Error::malformed("a chunk", "its member lies outside of its elements"));
            }
        }
        if let Some(Codec::Unsupported { id, name }) =
            refs.codecs.iter().find(|c| matches!(c, Codec::Unsupported { .. }))
        {
            let number = if *id == 0 { String::new() } else { format!(" (HDF5 filter {id})") };
            return Err(Error::unsupported("a chunk", format!("the codec {name}{number}")));
        }
        if refs.codecs.contains(&Codec::VlenUtf8) {
            return Err(Error::unsupported(
                "a chunk",
                "texts of any length as elements of one size (read them as texts)",
            ));
        }
        let packs = |codec: &&Codec| !codec.keeps_size() && !codec.is_checksum() && !matches!(codec, Codec::Numbers(_));
        let packing = refs.codecs.iter().filter(packs).count();
        if refs.codecs.len() > 32 || packing > 4 {
            return Err(Error::unsupported("a chunk", "a chain of more than 32 codecs or 4 compressors"));
        }
        Ok(Self {
            codecs: refs.codecs.clone(),
            dtype: refs.dtype,
            swap: if refs.byte_order.is_native() || refs.dtype.word() == 1 { Swap::No } else { Swap::Yes },
            fill: refs.fill.clone(),
            chunk_bytes,
            chunk: refs.grid.chunk.clone(),
            stored_bytes,
            cut_at_edge: refs.is_virtual(),
            records: match &refs.table {
                Table::Records(segment) => Some(Arc::clone(segment)),
                _ => None,
            },
            decompressor: Decompressor::new(),
            scratch: [Vec::new(), Vec::new()],
            elements: Vec::new(),
            tiff: ChunkDecoder::of(refs)?,
        })
    }

    /// Size of a decoded chunk in bytes.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Decodes a chunk into `out`, which has [`Decoder::chunk_bytes`] bytes.
    ///
    /// `bytes` is what is stored; it is not looked at for [`ChunkRef::Inline`] and [`ChunkRef::Fill`].
    ///
    /// # Errors
    /// [`Error::ChunkLength`] if `out`, the stored bytes or what a codec makes of them has another size than declared;
    /// [`Error::Codec`] and [`Error::Checksum`] for damaged bytes.
    pub fn decode(&mut self, chunk: &ChunkRef, bytes: &[u8], out: &mut [u8]) -> Result<()> {
        if out.len() != self.chunk_bytes {
            return Err(Error::ChunkLength { step: "allocation", expected: self.chunk_bytes, actual: out.len() });
        }
        match chunk {
            ChunkRef::Fill => {
                self.fill(out);
                Ok(())
            }
            ChunkRef::Inline(held) => self.stored(held, 0, out),
            ChunkRef::Range { offset, length, filter_mask } => {
                if bytes.len() as u64 != *length {
                    let expected = usize::try_from(*length).unwrap_or(usize::MAX);
                    return Err(Error::ChunkLength { step: "fetching", expected, actual: bytes.len() });
                }
                match &self.records {
                    Some(records) => records.decode(*offset, bytes, out),
                    None => self.stored(bytes, *filter_mask, out),
                }
            }
            ChunkRef::Object { filter_mask, .. } => self.stored(bytes, *filter_mask, out),
            ChunkRef::Opaque { window, .. } => self.spread(window, bytes, out),
        }
    }

    /// What a foreign library has decoded.
    fn spread(&self, window: &[Range<u64>], values: &[u8], out: &mut [u8]) -> Result<()> {
        let size = self.dtype.size();
        let lengths: Vec<u64> = window.iter().map(|w| w.end.saturating_sub(w.start)).collect();
        let bytes = lengths.iter().fold(size as u64, |n, len| n.saturating_mul(*len));
        let fits = lengths.len() == self.chunk.len() && lengths.iter().zip(&self.chunk).all(|(n, most)| n <= most);
        if values.len() as u64 != bytes || !fits {
            let expected = usize::try_from(bytes).unwrap_or(usize::MAX);
            return Err(Error::ChunkLength { step: "reading", expected, actual: values.len() });
        }
        gdal::spread((&lengths, &self.chunk), size, values, out);
        Ok(())
    }

    fn fill(&self, out: &mut [u8]) {
        let zeros = self.fill.iter().all(|byte| *byte == 0);
        if zeros || self.fill.len() != self.dtype.size() {
            out.fill(0);
        } else {
            out.chunks_exact_mut(self.fill.len()).for_each(|element| element.copy_from_slice(&self.fill));
        }
    }

    fn stored(&mut self, bytes: &[u8], mask: u32, out: &mut [u8]) -> Result<()> {
        check_ratio(bytes.len(), self.stored_bytes)?;
        if let Some(tiff) = &mut self.tiff {
            return tiff.decode(bytes, out);
        }
        let active = |i: usize| mask >> i.min(31) & 1 == 0;
        let forms = self.codecs.iter().take_while(|codec| codec.is_form()).count();
        let steps: Vec<usize> = (forms..self.codecs.len()).rev().filter(|i| active(*i)).collect();
        let member = self.codecs.iter().find_map(|codec| match codec {
            Codec::Member { element, offset, length } => Some((*element, *offset, *length)),
            _ => None,
        });
        let mut scratch = std::mem::take(&mut self.scratch);
        let done = if let Some((element, offset, length)) = member {
            let mut elements = std::mem::take(&mut self.elements);
            let done = grow(&mut elements, self.stored_bytes)
                .and_then(|()| self.run(&steps, bytes, &mut scratch, &mut elements[..self.stored_bytes]));
            for (element, out) in elements.chunks_exact(element.max(1)).zip(out.chunks_exact_mut(length.max(1))) {
                out.copy_from_slice(&element[offset..offset + length]);
            }
            self.elements = elements;
            done
        } else {
            self.run(&steps, bytes, &mut scratch, out)
        };
        self.scratch = scratch;
        self.finish(out, done?);
        Ok(())
    }

    /// Undoes the codecs; the last step that moves bytes moves them into `out`. The answer is whether it turned them.
    fn run(&mut self, steps: &[usize], bytes: &[u8], scratch: &mut [Vec<u8>; 2], out: &mut [u8]) -> Result<Swap> {
        let [held, next] = scratch;
        let (mut in_scratch, mut start, mut end) = (false, 0, bytes.len());
        for (at, step) in steps.iter().enumerate() {
            let codec = &self.codecs[*step];
            let input = if in_scratch { &held[start..end] } else { &bytes[start..end] };
            if let Some(data) = checked(codec, input)? {
                (start, end) = (start + data.start, start + data.end);
                continue;
            }
            let left = &steps[at + 1..];
            if left.is_empty() {
                let swap = self.last_swap(codec);
                let actual = apply(codec, &mut self.decompressor, input, out, swap)?;
                if actual != out.len() {
                    return Err(Error::ChunkLength { step: "decoding", expected: out.len(), actual });
                }
                return Ok(swap);
            }
            let size = if codec.keeps_size() { input.len() } else { self.most_between(left) };
            grow(next, size)?;
            end = apply(codec, &mut self.decompressor, input, &mut next[..size], Swap::No)?;
            start = 0;
            std::mem::swap(held, next);
            in_scratch = true;
        }
        self.copy(if in_scratch { &held[start..end] } else { &bytes[start..end] }, out)?;
        Ok(Swap::No)
    }

    /// Most bytes that codecs which are still to be undone may have been given as input.
    fn most_between(&self, left: &[usize]) -> usize {
        let codecs = left.iter().rev().filter_map(|step| self.codecs.get(*step));
        let most = 2 * usize::try_from(MAX_CHUNK).unwrap_or(usize::MAX / 2);
        codecs.fold(self.stored_bytes, |size, codec| codec.most_stored(size).min(most))
    }

    /// Turns bytes around where the last codec did not.
    fn finish(&self, out: &mut [u8], done: Swap) {
        if self.swap == Swap::Yes && done == Swap::No {
            order::swap(out, self.dtype.word());
        }
        match self.codecs.first() {
            Some(Codec::Bits { offset, precision }) => bits::extract(out, self.dtype, *offset, *precision),
            Some(Codec::Padded(padding)) => padding::to_zeros(out, self.dtype.size(), *padding),
            _ => {}
        }
    }

    /// Shuffle can turn bytes around on the way, if its element is an element of the variable.
    fn last_swap(&self, codec: &Codec) -> Swap {
        match codec {
            Codec::Shuffle { element } if *element == self.dtype.word() && self.stored_bytes == self.chunk_bytes => {
                self.swap
            }
            _ => Swap::No,
        }
    }

    fn copy(&self, input: &[u8], out: &mut [u8]) -> Result<()> {
        let plain = self.codecs.iter().all(Codec::is_form);
        let short = self.cut_at_edge && plain && input.len() < out.len();
        if input.len() != out.len() && !short {
            return Err(Error::ChunkLength { step: "decoding", expected: out.len(), actual: input.len() });
        }
        let (head, tail) = out.split_at_mut(input.len());
        head.copy_from_slice(input);
        tail.fill(0);
        Ok(())
    }
}

/// What a checksum is of, once it holds; `None` for other codecs.
fn checked(codec: &Codec, input: &[u8]) -> Result<Option<Range<usize>>> {
    Ok(Some(match codec {
        Codec::Fletcher32 => 0..fletcher32::strip(input)?.len(),
        Codec::Crc32c => 0..crc32c::strip(input)?.len(),
        Codec::Checksum { sum, place } => {
            let data = sum.strip(*place, input)?.len();
            match place {
                SumPlace::Start => input.len() - data..input.len(),
                SumPlace::End => 0..data,
            }
        }
        _ => return Ok(None),
    }))
}

/// Undoes codecs whose output has a size that only they know; it is `most` bytes at most.
///
/// # Errors
/// [`Error::Unsupported`] for what is no compressor or checksum, [`Error::Codec`] and [`Error::Checksum`] for damaged
/// bytes and for those that are more.
pub(crate) fn unpack<'a>(codecs: &[Codec], bytes: &'a [u8], most: usize) -> Result<Cow<'a, [u8]>> {
    let mut data = Cow::Borrowed(bytes);
    for codec in codecs.iter().rev() {
        let range = checked(codec, &data)?;
        data = match (range, data) {
            (None, packed) => Cow::Owned(expand(codec, &packed, most)?),
            (Some(range), Cow::Borrowed(bytes)) => Cow::Borrowed(bytes.get(range).unwrap_or_default()),
            (Some(range), Cow::Owned(mut bytes)) => {
                bytes.truncate(range.end);
                bytes.drain(..range.start);
                Cow::Owned(bytes)
            }
        };
    }
    if data.len() <= most {
        return Ok(data);
    }
    let (value, limit) = (data.len() as u64, most as u64);
    Err(Error::Limit { what: "size of a chunk in bytes".into(), value, limit })
}

/// Gives a compressor more room until its output fits.
fn expand(codec: &Codec, input: &[u8], most: usize) -> Result<Vec<u8>> {
    let packs = !codec.is_form() && !matches!(codec, Codec::Numbers(_) | Codec::Transpose { .. });
    if !packs {
        return Err(Error::unsupported("a chunk", format!("the codec {codec} behind texts of any length")));
    }
    let by_ratio = input.len().saturating_mul(usize::try_from(MAX_RATIO).unwrap_or(usize::MAX));
    let limit = by_ratio.max(64 << 20).min(most);
    let mut size = if codec.keeps_size() { input.len() } else { input.len().saturating_mul(8).clamp(4096, limit) };
    loop {
        let mut out = Vec::new();
        grow(&mut out, size)?;
        match apply(codec, &mut Decompressor::new(), input, &mut out, Swap::No) {
            Ok(length) => {
                out.truncate(length);
                return Ok(out);
            }
            Err(Error::Codec { codec, why }) if size >= limit => {
                return Err(Error::Codec { codec, why: format!("{why} ({limit} bytes are the most)") });
            }
            Err(error) if size >= limit || codec.keeps_size() => return Err(error),
            Err(_) => size = size.saturating_mul(8).min(limit),
        }
    }
}

fn check_ratio(stored: usize, decoded: usize) -> Result<()> {
    let (stored, decoded) = (stored as u64, decoded as u64);
    if decoded > 64 << 20 && stored.saturating_mul(MAX_RATIO) < decoded {
        let value = decoded / stored.max(1);
        return Err(Error::Limit { what: "compression ratio of a chunk".into(), value, limit: MAX_RATIO });
    }
    Ok(())
}

/// Undoes one codec that moves bytes; the answer is how many bytes there are at the start of `out`.
fn apply(codec: &Codec, decompressor: &mut Decompressor, input: &[u8], out: &mut [u8], swap: Swap) -> Result<usize> {
    match codec {
        Codec::Deflate => deflate::decode(decompressor, input, out),
        Codec::Gzip => deflate::gunzip(decompressor, input, out),
        Codec::Shuffle { element } => {
            if input.len() != out.len() {
                return Err(Error::ChunkLength { step: "shuffle", expected: out.len(), actual: input.len() });
            }
            shuffle::decode(input, out, *element, swap);
            Ok(out.len())
        }
        Codec::Transpose { order, shape } => transpose::decode(input, out, shape, order),
        Codec::Packed { packing, parameters } => hdf5::decode(*packing, parameters, input, out),
        Codec::Lzf => lzf::decode(input, out),
        Codec::Lz4 => lz4::decode(input, out),
        Codec::Lz4Sized => lz4::sized(input, out),
        Codec::Zstd => zstd::decode(input, out),
        Codec::Bz2 => bz2::decode(input, out),
        Codec::Lzma { format } => lzma::decode(*format, input, out),
        Codec::Numbers(filter) => filter.decode(input, out),
        Codec::Blosc => blosc::decode(input, out),
        Codec::Bitshuffle { element, block, compression } => {
            bitshuffle::decode(input, out, *element, *block, *compression)?;
            Ok(out.len())
        }
        Codec::Fletcher32
        | Codec::Crc32c
        | Codec::Checksum { .. }
        | Codec::Bits { .. }
        | Codec::Padded(_)
        | Codec::Member { .. }
        | Codec::MiniSeed { .. }
        | Codec::Tiff(_)
        | Codec::Gdal { .. }
        | Codec::VlenUtf8
        | Codec::Unsupported { .. } => Ok(0),
    }
}

fn grow(buffer: &mut Vec<u8>, size: usize) -> Result<()> {
    if buffer.len() < size {
        let more = size - buffer.len();
        let limit = buffer.len() as u64;
        let memory = |_| Error::Limit { what: "memory for a chunk in bytes".into(), value: size as u64, limit };
        buffer.try_reserve_exact(more).map_err(memory)?;
        buffer.resize(size, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{ByteOrder, ChunkGrid};

    /// Contiguous integers of reduced precision have a codec, and yet their last virtual chunk is stored cut.
    #[test]
    fn the_last_chunk_of_contiguous_reduced_integers_is_cut() {
        let refs = ChunkRefs {
            dtype: DType::Int16,
            byte_order: ByteOrder::Little,
            grid: ChunkGrid { shape: vec![3], chunk: vec![2] },
            codecs: vec![Codec::Bits { offset: 4, precision: 8 }],
            fill: vec![0; 2],
            table: Table::Rows { base: 0, stride: 2 },
        };
        let mut decoder = Decoder::new(&refs).unwrap();
        let mut out = [0; 4];
        let stored = [0xf0, 0x0f];
        decoder.decode(&refs.get(&[1]), &stored, &mut out).unwrap();
        assert_eq!(out.first_chunk().map(|b| i16::from_ne_bytes(*b)), Some(-1));
    }
}
