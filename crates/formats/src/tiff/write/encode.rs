//! From a chunk of (band, y, x) to the stored bytes of a tile, least significant byte first.

use std::borrow::Cow;

use libdeflater::{CompressionLvl, Compressor};

use super::{GeoTiffOptions, failed};
use crate::Result;
use crate::array::{Codec, DType};
use crate::codec::{lzw, order, predictor};
use crate::tiff::TiffCodec;

/// How tiles are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TiffCompression {
    /// Not at all.
    None,
    /// Deflate, which every reader knows.
    Deflate {
        /// 1 (fast) to 12 (small); 1 to 9 are comparable to zlib's.
        level: u8,
    },
    /// Zstandard, which GDAL 2.3 and later read.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: u8,
    },
    /// LZW.
    Lzw,
}

impl TiffCompression {
    /// The value of tag 259.
    pub(super) fn id(self) -> u16 {
        match self {
            Self::None => 1,
            Self::Lzw => 5,
            Self::Deflate { .. } => 8,
            Self::Zstd { .. } => 50000,
        }
    }

    pub(super) fn codec(self) -> Option<Codec> {
        match self {
            Self::None => None,
            Self::Lzw => Some(Codec::Tiff(TiffCodec::Lzw)),
            Self::Deflate { .. } => Some(Codec::Deflate),
            Self::Zstd { .. } => Some(Codec::Zstd),
        }
    }
}

/// Which differences are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    Float,
}

impl Predictor {
    pub(super) fn of(dtype: DType, options: GeoTiffOptions) -> Self {
        match dtype {
            _ if !options.predictor || options.compression == TiffCompression::None => Self::None,
            DType::Float32 | DType::Float64 => Self::Float,
            // GDAL reads predictor 3 of half floats since 3.11 only.
            DType::Float16
            | DType::Complex64
            | DType::Complex128
            | DType::Char
            | DType::Opaque(_)
            | DType::Text(_)
            | DType::Unicode(_)
            | DType::VlenText(_)
            | DType::VlenUtf8 => Self::None,
            _ => Self::Horizontal,
        }
    }

    /// The value of tag 317.
    pub(super) fn id(self) -> u16 {
        match self {
            Self::None => 1,
            Self::Horizontal => 2,
            Self::Float => 3,
        }
    }

    pub(super) fn codec(self) -> Option<TiffCodec> {
        match self {
            Self::None => None,
            Self::Horizontal => Some(TiffCodec::HorizontalDifference),
            Self::Float => Some(TiffCodec::FloatDifference),
        }
    }
}

/// Encodes the tiles of one image.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) compression: TiffCompression,
    pub(super) predictor: Predictor,
    /// Bands side by side.
    pub(super) samples: usize,
    /// Rows and columns of a tile.
    pub(super) tile: usize,
    pub(super) dtype: DType,
    /// One bit for each cell, of a mask.
    pub(super) is_mask: bool,
}

impl Encoder {
    /// Of a mask beside an image: bits, deflated, which every reader knows.
    pub(super) fn of_mask(image: &Self) -> Self {
        let compression = TiffCompression::Deflate { level: 6 };
        Self {
            compression,
            predictor: Predictor::None,
            samples: 1,
            tile: image.tile,
            dtype: DType::UInt8,
            is_mask: true,
        }
    }

    /// What undoes it.
    pub(super) fn codecs(&self) -> Vec<Codec> {
        let interleave = (self.samples > 1).then_some(TiffCodec::PixelInterleave { bands: self.samples });
        let bits = self.is_mask.then_some(TiffCodec::PackedBits { bits: 1 });
        let first = interleave.into_iter().chain(bits).chain(self.predictor.codec());
        first.map(Codec::Tiff).chain(self.compression.codec()).collect()
    }

    /// Bytes of a chunk.
    pub(super) fn bytes(&self) -> usize {
        self.samples * self.tile * self.tile * self.dtype.size()
    }

    pub(super) fn encode<'a>(&self, raw: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        if self.is_mask {
            return self.compress(bits(raw).into());
        }
        let mut bytes = self.interleaved(raw);
        let (element, row) = (self.dtype.size(), self.tile * self.samples * self.dtype.size());
        match self.predictor {
            Predictor::None => {}
            Predictor::Horizontal => {
                for row in bytes.to_mut().chunks_exact_mut(row) {
                    predictor::difference(row, self.samples, element);
                }
            }
            Predictor::Float => {
                let mut out = vec![0; bytes.len()];
                for (row, out) in bytes.chunks_exact(row).zip(out.chunks_exact_mut(row)) {
                    predictor::float_difference(row, self.samples, element, out);
                }
                bytes = out.into();
            }
        }
        if cfg!(target_endian = "big") && self.predictor != Predictor::Float {
            order::swap(bytes.to_mut(), self.dtype.word());
        }
        self.compress(bytes)
    }

    /// (y, x, band) out of (band, y, x).
    fn interleaved<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        if self.samples == 1 {
            return raw.into();
        }
        let (size, cells) = (self.dtype.size(), self.tile * self.tile);
        let mut out = vec![0; raw.len()];
        for (band, plane) in raw.chunks_exact(cells * size).enumerate() {
            for (to, from) in out.chunks_exact_mut(self.samples * size).zip(plane.chunks_exact(size)) {
                to[band * size..(band + 1) * size].copy_from_slice(from);
            }
        }
        out.into()
    }

    fn compress<'a>(&self, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
        match self.compression {
            TiffCompression::None => Ok(bytes),
            TiffCompression::Lzw => Ok(lzw::encode(&bytes).into()),
            TiffCompression::Zstd { level } => {
                let out = zstd::bulk::compress(&bytes, i32::from(level));
                out.map(Cow::from).map_err(|e| failed(format!("zstd at level {level}: {e}")))
            }
            TiffCompression::Deflate { level } => {
                let level = CompressionLvl::new(i32::from(level))
                    .map_err(|_| failed(format!("{level} is no level of deflate (1 to 12)")))?;
                let mut compressor = Compressor::new(level);
                let mut out = vec![0; compressor.zlib_compress_bound(bytes.len())];
                let length = compressor.zlib_compress(&bytes, &mut out);
                out.truncate(length.map_err(|_| failed("a tile cannot be compressed"))?);
                Ok(out.into())
            }
        }
    }
}

/// A bit for each cell that is not 0, the highest of a byte first. Rows are a multiple of 16 cells.
fn bits(cells: &[u8]) -> Vec<u8> {
    let (eights, _) = cells.as_chunks::<8>();
    eights.iter().map(|eight| eight.iter().fold(0, |byte, cell| byte << 1 | u8::from(*cell != 0))).collect()
}
