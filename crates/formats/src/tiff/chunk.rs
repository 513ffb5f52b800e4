//! From the stored bytes of a strip or tile to a chunk of (band, y, x) in native byte order.

use bytes::Bytes;
use libdeflater::{DecompressionError, Decompressor};

use super::codec::{LercPacking, TiffCodec};
use crate::array::{Codec, DType};
use crate::codec::lzma::{self, LzmaFormat};
use crate::codec::shuffle::Swap;
use crate::codec::{jpeg, lerc, lzw, order, packbits, predictor, samples, webp};
use crate::refs::ChunkRefs;
use crate::{Error, Result};

/// Decodes the chunks of one image; it owns its scratch memory.
#[derive(Debug)]
pub(crate) struct ChunkDecoder {
    plan: Plan,
    compression: Compression,
    /// Bits of the stored bytes are in the other order.
    is_reversed: bool,
    scratch: Scratch,
}

/// What is between the decompressed bytes and the elements of a chunk.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Bands side by side.
    samples: usize,
    rows: usize,
    /// Rows of the last strip; as many as `rows` for tiles.
    last: usize,
    columns: usize,
    /// Bytes of a stored row.
    row: usize,
    dtype: DType,
    swap: Swap,
    packing: Packing,
    predictor: Predictor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Bits(u16),
    ComplexInt(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Predictor {
    None,
    Horizontal,
    Float,
}

#[derive(Debug, Clone)]
enum Compression {
    None,
    Deflate,
    Lzw,
    PackBits,
    Zstd,
    Jpeg { tables: Bytes, ycbcr: bool },
    WebP,
    Lzma,
    Lerc(LercPacking),
}

struct Scratch {
    decompressor: Decompressor,
    table: Option<lzw::Table>,
    stored: Vec<u8>,
    row: Vec<u8>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("stored", &self.stored.len()).finish_non_exhaustive()
    }
}

/// Bytes of a chunk were bounded by the caller, so sizes fit.
fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl ChunkDecoder {
    /// A decoder of these chunks, if they are of a TIFF image.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names a compression without decoder.
    pub(crate) fn of(refs: &ChunkRefs) -> Result<Option<Self>> {
        if !refs.codecs.iter().any(|codec| matches!(codec, Codec::Tiff(_))) {
            return Ok(None);
        }
        let (mut compression, mut is_reversed) = (Compression::None, false);
        let mut plan = Plan::of(refs);
        for codec in &refs.codecs {
            let Codec::Tiff(codec) = codec else {
                compression = if *codec == Codec::Zstd { Compression::Zstd } else { Compression::Deflate };
                continue;
            };
            match codec {
                TiffCodec::Strips => plan.last = size(last_rows(refs)),
                TiffCodec::PixelInterleave { bands } => plan.samples = *bands,
                TiffCodec::PackedBits { bits } => plan.packing = Packing::Bits(*bits),
                TiffCodec::ComplexInt { bits } => plan.packing = Packing::ComplexInt(*bits),
                TiffCodec::HorizontalDifference => plan.predictor = Predictor::Horizontal,
                TiffCodec::FloatDifference => plan.predictor = Predictor::Float,
                TiffCodec::PackBits => compression = Compression::PackBits,
                TiffCodec::Lzw => compression = Compression::Lzw,
                TiffCodec::WebP => compression = Compression::WebP,
                TiffCodec::Lzma => compression = Compression::Lzma,
                TiffCodec::ReversedBits => is_reversed = true,
                // libtiff turns bytes around before it encodes.
                TiffCodec::Lerc { packing } => compression = Compression::Lerc(*packing),
                TiffCodec::Jpeg { tables, ycbcr } => {
                    compression = Compression::Jpeg { tables: tables.clone().into(), ycbcr: *ycbcr };
                }
                TiffCodec::Unsupported { id, name } => {
                    return Err(Error::unsupported("a chunk", format!("the compression {name} (TIFF {id})")));
                }
            }
        }
        plan.row = plan.columns.saturating_mul(plan.samples).saturating_mul(plan.bits()).div_ceil(8);
        let scratch = Scratch { decompressor: Decompressor::new(), table: None, stored: Vec::new(), row: Vec::new() };
        Ok(Some(Self { plan, compression, is_reversed, scratch }))
    }

    /// Decodes a chunk into `out`, which has the size of a whole one; rows that are not stored are zero.
    pub(crate) fn decode(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<()> {
        let plan = self.plan;
        let whole = plan.rows.saturating_mul(plan.row);
        if !plan.is_direct() {
            grow(&mut self.scratch.stored, whole)?;
        }
        let mut stored = std::mem::take(&mut self.scratch.stored);
        let target = if plan.is_direct() { &mut out[..whole] } else { &mut stored[..whole] };
        let turned: Vec<u8>;
        let bytes = if self.is_reversed {
            turned = bytes.iter().map(|byte| byte.reverse_bits()).collect();
            &turned
        } else {
            bytes
        };
        let result = self.decompress(bytes, target).and_then(|got| self.plan.stored_rows(got));
        let result = result.map(|rows| {
            if plan.is_direct() {
                plan.finish(&mut out[..rows * plan.row]);
                out[rows * plan.row..].fill(0);
            } else {
                if rows < plan.rows {
                    out.fill(0);
                }
                plan.arrange(&mut stored[..rows * plan.row], &mut self.scratch.row, out);
            }
        });
        self.scratch.stored = stored;
        result
    }

    /// Decompresses into `out` and says how many bytes came out.
    fn decompress(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
        let Plan { columns, rows, samples, .. } = self.plan;
        match &self.compression {
            Compression::None => {
                let got = out.get_mut(..bytes.len());
                let long = || Error::ChunkLength { step: "fetching", expected: rows * columns, actual: bytes.len() };
                got.ok_or_else(long)?.copy_from_slice(bytes);
                Ok(bytes.len())
            }
            Compression::Deflate => inflate(&mut self.scratch.decompressor, bytes, out),
            Compression::Lzw => lzw::decode(self.scratch.table.get_or_insert_default(), bytes, out),
            Compression::PackBits => packbits::decode(bytes, out),
            Compression::Zstd => zstd::bulk::decompress_to_buffer(bytes, out)
                .map_err(|e| Error::Codec { codec: "zstd", why: format!("{e} ({} bytes)", bytes.len()) }),
            Compression::Jpeg { tables, ycbcr } => {
                jpeg::decode(tables, bytes, jpeg::Shape { columns, rows, samples, ycbcr: *ycbcr }, out)
            }
            Compression::WebP => webp::decode(bytes, (columns, rows, samples), out),
            Compression::Lzma => lzma::decode(LzmaFormat::Xz, bytes, out),
            Compression::Lerc(packing) => {
                let shape = lerc::Shape { columns, rows, samples, dtype: self.plan.dtype };
                let mut blob = Vec::new();
                if *packing == LercPacking::None {
                    return lerc::decode(bytes, shape, out);
                }
                // What cannot be compressed grows by a header and a mask.
                grow(&mut blob, out.len() + out.len() / 8 + (1 << 16))?;
                let got = match packing {
                    LercPacking::Zstd => crate::codec::zstd::decode(bytes, &mut blob)?,
                    _ => inflate(&mut self.scratch.decompressor, bytes, &mut blob)?,
                };
                lerc::decode(&blob[..got], shape, out)
            }
        }
    }
}

fn inflate(decompressor: &mut Decompressor, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let (given, room) = (bytes.len(), out.len());
    decompressor.zlib_decompress(bytes, out).map_err(|e| {
        let why = match e {
            DecompressionError::BadData => format!("the {given} bytes are damaged or cut"),
            DecompressionError::InsufficientSpace => format!("more than {room} bytes come out"),
        };
        Error::Codec { codec: "deflate", why }
    })
}

fn grow(buffer: &mut Vec<u8>, size: usize) -> Result<()> {
    if buffer.len() < size {
        let (value, limit) = (size as u64, buffer.len() as u64);
        let memory = |_| Error::Limit { what: "memory for a chunk in bytes".into(), value, limit };
        buffer.try_reserve_exact(size - buffer.len()).map_err(memory)?;
        buffer.resize(size, 0);
    }
    Ok(())
}

/// Rows of the last chunk along y.
fn last_rows(refs: &ChunkRefs) -> u64 {
    let y = refs.grid.shape.len().saturating_sub(2);
    let (len, chunk) = (refs.grid.shape.get(y).copied(), refs.grid.chunk.get(y).copied());
    let (len, chunk) = (len.unwrap_or(1), chunk.unwrap_or(1).max(1));
    len - (len.div_ceil(chunk).saturating_sub(1)) * chunk
}

impl Plan {
    fn of(refs: &ChunkRefs) -> Self {
        let chunk = &refs.grid.chunk;
        let from_end = |n: usize| chunk.len().checked_sub(n).and_then(|at| chunk.get(at)).map_or(1, |n| size(*n));
        let rows = from_end(2);
        Self {
            samples: 1,
            rows,
            last: rows,
            columns: from_end(1),
            row: 0,
            dtype: refs.dtype,
            swap: if refs.byte_order.is_native() { Swap::No } else { Swap::Yes },
            packing: Packing::None,
            predictor: Predictor::None,
        }
    }

    /// Bits of a stored sample.
    fn bits(&self) -> usize {
        match self.packing {
            Packing::None => 8 * self.dtype.size(),
            Packing::Bits(bits) => usize::from(bits),
            Packing::ComplexInt(bits) => 2 * usize::from(bits),
        }
    }

    /// True if what is decompressed needs no other place.
    fn is_direct(&self) -> bool {
        self.samples == 1 && self.packing == Packing::None && self.predictor != Predictor::Float
    }

    /// Rows that so many bytes are: all, or those of the last strip.
    fn stored_rows(&self, got: usize) -> Result<usize> {
        let known = [self.rows, self.last].into_iter().find(|rows| rows.checked_mul(self.row) == Some(got));
        let expected = self.rows.saturating_mul(self.row);
        known.ok_or(Error::ChunkLength { step: "decompression", expected, actual: got })
    }

    /// Undoes the predictor in place and turns bytes around.
    fn finish(&self, data: &mut [u8]) {
        match self.predictor {
            Predictor::Horizontal => {
                for row in data.chunks_exact_mut(self.row.max(1)) {
                    predictor::horizontal(row, self.samples, self.dtype.size(), self.swap);
                }
            }
            _ if self.swap == Swap::Yes && self.dtype.word() > 1 => order::swap(data, self.dtype.word()),
            _ => {}
        }
    }

    /// Undoes the predictor and puts samples to their place, row by row.
    fn arrange(&self, stored: &mut [u8], scratch: &mut Vec<u8>, out: &mut [u8]) {
        let element = self.dtype.size();
        let line = self.columns * element;
        scratch.resize(line * self.samples, 0);
        for (at, row) in stored.chunks_exact_mut(self.row.max(1)).enumerate() {
            let place = at * line;
            if self.samples == 1 {
                self.native(row, &mut out[place..place + line]);
            } else if self.predictor == Predictor::Float || self.packing != Packing::None {
                self.native(row, scratch);
                samples::deinterleave(scratch, self.samples, element, (self.rows * line, place), out);
            } else {
                self.finish(row);
                samples::deinterleave(row, self.samples, element, (self.rows * line, place), out);
            }
        }
    }

    /// A stored row as elements in native order.
    fn native(&self, row: &mut [u8], out: &mut [u8]) {
        match self.packing {
            Packing::Bits(bits) => {
                // GDAL gives 24 bits the byte order of a big-endian file, on top of the order of bits.
                if bits == 24 && self.swap == Swap::Yes {
                    order::swap(row, 3);
                }
                samples::unpack(row, u32::from(bits), self.dtype.size(), out);
            }
            Packing::ComplexInt(bits) => {
                if self.swap == Swap::Yes {
                    order::swap(row, usize::from(bits / 8));
                }
                samples::widen(row, bits, out);
            }
            Packing::None => predictor::float(row, self.samples, self.dtype.size(), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_strip_may_be_short_and_no_other() {
        let plan = Plan {
            samples: 1,
            rows: 4,
            last: 3,
            columns: 2,
            row: 2,
            dtype: DType::UInt8,
            swap: Swap::No,
            packing: Packing::None,
            predictor: Predictor::None,
        };
        assert_eq!(plan.stored_rows(8).unwrap(), 4);
        assert_eq!(plan.stored_rows(6).unwrap(), 3);
        assert!(plan.stored_rows(4).is_err() && plan.stored_rows(7).is_err());
    }
}
