//! One image of a file: what the tags of its directory say about its samples and chunks.

use bytes::Bytes;
use outcrop_store::Sparse;

use super::codec::{LercPacking, TiffCodec};
use super::directory::{Directory, Form, Values};
use super::index::{Plain, TileIndex};
use crate::array::{ByteOrder, Codec, DType};
use crate::{Error, Result};

pub(super) mod tag {
    pub(crate) const SUBFILE: u16 = 254;
    pub(crate) const WIDTH: u16 = 256;
    pub(crate) const HEIGHT: u16 = 257;
    pub(crate) const BITS: u16 = 258;
    pub(crate) const COMPRESSION: u16 = 259;
    pub(crate) const PHOTOMETRIC: u16 = 262;
    pub(crate) const FILL_ORDER: u16 = 266;
    pub(crate) const DESCRIPTION: u16 = 270;
    pub(crate) const ORIENTATION: u16 = 274;
    pub(crate) const LERC_PARAMETERS: u16 = 50674;
    pub(crate) const STRIP_OFFSETS: u16 = 273;
    pub(crate) const SAMPLES: u16 = 277;
    pub(crate) const ROWS_PER_STRIP: u16 = 278;
    pub(crate) const STRIP_LENGTHS: u16 = 279;
    pub(crate) const PLANAR: u16 = 284;
    pub(crate) const SOFTWARE: u16 = 305;
    pub(crate) const DATETIME: u16 = 306;
    pub(crate) const PREDICTOR: u16 = 317;
    pub(crate) const COLOUR_MAP: u16 = 320;
    pub(crate) const TILE_WIDTH: u16 = 322;
    pub(crate) const TILE_HEIGHT: u16 = 323;
    pub(crate) const TILE_OFFSETS: u16 = 324;
    pub(crate) const TILE_LENGTHS: u16 = 325;
    pub(crate) const EXTRA_SAMPLES: u16 = 338;
    pub(crate) const SAMPLE_FORMAT: u16 = 339;
    pub(crate) const JPEG_TABLES: u16 = 347;
    pub(crate) const SUBSAMPLING: u16 = 530;
    pub(crate) const PIXEL_SCALE: u16 = 33550;
    pub(crate) const TIEPOINTS: u16 = 33922;
    pub(crate) const TRANSFORMATION: u16 = 34264;
    pub(crate) const GEO_KEYS: u16 = 34735;
    pub(crate) const GEO_DOUBLES: u16 = 34736;
    pub(crate) const GEO_TEXTS: u16 = 34737;
    pub(crate) const GDAL_METADATA: u16 = 42112;
    pub(crate) const GDAL_NODATA: u16 = 42113;

    /// Tags whose values are read when a file is opened.
    pub(crate) const READ: [u16; 29] = [
        SUBFILE,
        WIDTH,
        HEIGHT,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        FILL_ORDER,
        DESCRIPTION,
        SAMPLES,
        ROWS_PER_STRIP,
        PLANAR,
        SOFTWARE,
        DATETIME,
        PREDICTOR,
        COLOUR_MAP,
        TILE_WIDTH,
        TILE_HEIGHT,
        EXTRA_SAMPLES,
        SAMPLE_FORMAT,
        JPEG_TABLES,
        SUBSAMPLING,
        PIXEL_SCALE,
        TIEPOINTS,
        TRANSFORMATION,
        GEO_KEYS,
        GEO_DOUBLES,
        GEO_TEXTS,
        GDAL_METADATA,
        GDAL_NODATA,
    ];
}

/// Largest uncompressed strip that is one chunk, in bytes.
const VIRTUAL_CHUNK: u64 = 8 << 20;

/// The values of the tags of a directory.
pub(super) struct Tags<'a> {
    pub(super) form: Form,
    pub(super) directory: &'a Directory,
    have: &'a Sparse,
}

impl<'a> Tags<'a> {
    pub(super) fn new(form: Form, directory: &'a Directory, have: &'a Sparse) -> Self {
        Self { form, directory, have }
    }

    pub(super) fn values(&self, tag: u16) -> Option<Values> {
        let entry = self.directory.entries.get(&tag)?;
        Some(Values::new(self.form, entry.kind, self.have.get(&entry.place)?))
    }

    pub(super) fn all(&self, tag: u16) -> Vec<u64> {
        self.values(tag).map(|values| values.unsigned()).unwrap_or_default()
    }

    pub(super) fn first(&self, tag: u16) -> Option<u64> {
        self.all(tag).first().copied()
    }

    pub(super) fn numbers(&self, tag: u16) -> Vec<f64> {
        self.values(tag).map(|values| values.numbers()).unwrap_or_default()
    }

    pub(super) fn text(&self, tag: u16) -> Option<String> {
        self.values(tag).map(|values| values.text()).filter(|text| !text.is_empty())
    }
}

/// An image as its directory describes it.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) bands: u64,
    pub(super) dtype: DType,
    pub(super) order: ByteOrder,
    /// Bits of a sample in the file.
    bits: u64,
    is_complex_int: bool,
    compression: u64,
    /// 2: the bits of stored bytes are in the other order.
    fill_order: u64,
    /// How LERC blobs are compressed once more.
    lerc: u64,
    predictor: u64,
    pub(super) photometric: u64,
    pub(super) is_pixel_interleaved: bool,
    pub(super) is_tiled: bool,
    /// Rows and columns of a tile or strip.
    block: (u64, u64),
    jpeg_tables: Bytes,
    pub(super) extra: Vec<u64>,
    pub(super) index: TileIndex,
}

/// A chunk grid and how its chunks are stored.
pub(super) struct Chunks {
    /// Bands, rows and columns of a chunk.
    pub(super) chunk: [u64; 3],
    pub(super) codecs: Vec<Codec>,
    pub(super) index: TileIndex,
}

impl Image {
    pub(super) fn parse(tags: &Tags<'_>) -> Result<Self> {
        let what = format!("the directory at byte {}", tags.directory.offset);
        let broken = |why: &str| Error::malformed(&what, why);
        let need = |tag: u16, why: &str| tags.first(tag).ok_or_else(|| broken(why));
        let (width, height) = (need(tag::WIDTH, "it has no width")?, need(tag::HEIGHT, "it has no height")?);
        if width == 0 || height == 0 || width.checked_mul(height).is_none() {
            return Err(broken(&format!("an image of {width} by {height} cells is absurd")));
        }
        let bands = tags.first(tag::SAMPLES).unwrap_or(1);
        if bands == 0 || bands > u64::from(u16::MAX) {
            return Err(broken(&format!("{bands} samples per cell are absurd")));
        }
        let (bits, format) = (uniform(tags, tag::BITS, 1)?, uniform(tags, tag::SAMPLE_FORMAT, 1)?);
        let is_tiled = tags.directory.entries.contains_key(&tag::TILE_WIDTH);
        let block = if is_tiled {
            (need(tag::TILE_HEIGHT, "it has no tile height")?, need(tag::TILE_WIDTH, "it has no tile width")?)
        } else {
            (tags.first(tag::ROWS_PER_STRIP).unwrap_or(height).min(height), width)
        };
        if block.0 == 0 || block.1 == 0 {
            return Err(broken("its tiles have no cells"));
        }
        let fill_order = tags.first(tag::FILL_ORDER).unwrap_or(1);
        if !matches!(fill_order, 1 | 2) {
            return Err(Error::unsupported(&what, format!("fill order {fill_order}")));
        }
        Ok(Self {
            width,
            height,
            bands,
            dtype: dtype(&what, bits, format)?,
            order: tags.form.order,
            bits,
            is_complex_int: format == 5,
            compression: tags.first(tag::COMPRESSION).unwrap_or(1),
            fill_order,
            lerc: tags.all(tag::LERC_PARAMETERS).get(1).copied().unwrap_or(0),
            predictor: tags.first(tag::PREDICTOR).unwrap_or(1),
            photometric: tags.first(tag::PHOTOMETRIC).unwrap_or(1),
            is_pixel_interleaved: tags.first(tag::PLANAR).unwrap_or(1) == 1 && bands > 1,
            is_tiled,
            block,
            jpeg_tables: tags.values(tag::JPEG_TABLES).map(|values| values.bytes()).unwrap_or_default(),
            extra: tags.all(tag::EXTRA_SAMPLES),
            index: index(tags, &what)?,
        })
    }

    /// The chunks, or why they cannot be read.
    pub(super) fn chunks(&self) -> Result<Chunks, String> {
        let (rows, columns) = self.block;
        let (down, across) = (self.height.div_ceil(rows), self.width.div_ceil(columns));
        let planes = if self.is_pixel_interleaved { 1 } else { self.bands };
        let samples = if self.is_pixel_interleaved { self.bands } else { 1 };
        let absurd = || "its rows are beyond 64 bits".to_owned();
        let row = columns.checked_mul(samples).and_then(|n| n.checked_mul(self.bits)).ok_or_else(absurd)?.div_ceil(8);
        let stored = down.checked_mul(across).and_then(|n| n.checked_mul(planes)).ok_or_else(absurd)?;
        let mut index = self.index.clone();
        index.stored = stored;
        let codecs = self.codecs()?;
        let mut cut = rows;
        if self.compression == 1 && self.predictor == 1 {
            if !self.is_tiled && down == 1 && row.saturating_mul(rows) > VIRTUAL_CHUNK {
                cut = (VIRTUAL_CHUNK / row.max(1)).max(1);
            }
            let last = if self.is_tiled { rows } else { self.height - (down - 1) * rows };
            index.plain = Some(Plain { row, rows, last, cut, down, across });
        } else if !index.has_lengths() {
            return Err("the lengths of its chunks are missing".to_owned());
        }
        Ok(Chunks { chunk: [samples, cut, columns], codecs, index })
    }

    /// The codec chain in the order of encoding.
    fn codecs(&self) -> Result<Vec<Codec>, String> {
        let mut chain = Vec::new();
        if !self.is_tiled {
            chain.push(TiffCodec::Strips);
        }
        if self.is_pixel_interleaved {
            chain.push(TiffCodec::PixelInterleave { bands: usize::try_from(self.bands).unwrap_or(usize::MAX) });
        }
        let whole = self.bits == 8 * self.dtype.size() as u64;
        let bits = u16::try_from(self.bits).unwrap_or(0);
        if self.is_complex_int {
            chain.push(TiffCodec::ComplexInt { bits: bits / 2 });
        } else if !whole {
            chain.push(TiffCodec::PackedBits { bits });
        }
        match self.predictor {
            1 => {}
            2 if whole && self.dtype.size() <= 8 && self.dtype.is_real() => {
                chain.push(TiffCodec::HorizontalDifference);
            }
            3 if matches!(self.dtype, DType::Float16 | DType::Float32 | DType::Float64) => {
                chain.push(TiffCodec::FloatDifference);
            }
            other => return Err(format!("predictor {other} of {bits}-bit {}", self.dtype.name())),
        }
        let mut chain: Vec<Codec> = chain.into_iter().map(Codec::Tiff).collect();
        chain.extend(self.compressor()?);
        // libtiff leaves the streams of JPEG as they are.
        if self.fill_order == 2 && self.compression != 7 {
            chain.push(Codec::Tiff(TiffCodec::ReversedBits));
        }
        Ok(chain)
    }

    fn compressor(&self) -> Result<Option<Codec>, String> {
        let is_ycbcr = self.photometric == 6;
        if is_ycbcr && self.compression != 7 {
            return Err("luminance and chrominance without JPEG".to_owned());
        }
        let eight_bits = |name: &str| {
            let fits = self.bits == 8 && self.predictor == 1;
            fits.then_some(()).ok_or_else(|| format!("{name} of {}-bit samples", self.bits))
        };
        Ok(Some(Codec::Tiff(match self.compression {
            1 => return Ok(None),
            5 => TiffCodec::Lzw,
            7 => {
                eight_bits("JPEG")?;
                TiffCodec::Jpeg { tables: self.jpeg_tables.to_vec(), ycbcr: is_ycbcr }
            }
            8 | 32946 => return Ok(Some(Codec::Deflate)),
            32773 => TiffCodec::PackBits,
            50000 => return Ok(Some(Codec::Zstd)),
            50001 => {
                eight_bits("WebP")?;
                TiffCodec::WebP
            }
            34887 => {
                if self.bits != 8 * self.dtype.size() as u64 || self.predictor != 1 {
                    return Err(format!("LERC of {}-bit samples", self.bits));
                }
                let packing = match self.lerc {
                    0 => LercPacking::None,
                    1 => LercPacking::Deflate,
                    2 => LercPacking::Zstd,
                    other => return Err(format!("LERC with the compression {other}")),
                };
                TiffCodec::Lerc { packing }
            }
            34925 => TiffCodec::Lzma,
            id => TiffCodec::Unsupported { id, name: compression_name(id).to_owned() },
        })))
    }
}

fn compression_name(id: u64) -> &'static str {
    match id {
        2..=4 => "CCITT fax",
        6 => "old JPEG",
        34661 => "JBIG",
        33003 | 33005 | 34712 => "JPEG 2000",
        50002 | 52546 => "JPEG XL",
        _ => "an unknown compression",
    }
}

/// A tag with one value for each band, all of them equal.
fn uniform(tags: &Tags<'_>, tag: u16, default: u64) -> Result<u64> {
    let values = tags.all(tag);
    let first = values.first().copied().unwrap_or(default);
    if values.iter().any(|value| *value != first) {
        let what = if tag == tag::BITS { "bits per sample" } else { "sample format" };
        let object = format!("the directory at byte {}", tags.directory.offset);
        return Err(Error::unsupported(object, format!("a {what} that differs between bands ({values:?})")));
    }
    Ok(first)
}

fn dtype(what: &str, bits: u64, format: u64) -> Result<DType> {
    Ok(match (format, bits) {
        (1 | 4, 1..=8) => DType::UInt8,
        (1 | 4, 9..=16) => DType::UInt16,
        (1 | 4, 17..=32) => DType::UInt32,
        (1 | 4, 33..=64) => DType::UInt64,
        (2, 8) => DType::Int8,
        (2, 16) => DType::Int16,
        (2, 32) => DType::Int32,
        (2, 64) => DType::Int64,
        (3, 16) => DType::Float16,
        (3, 32) => DType::Float32,
        (3, 64) => DType::Float64,
        (5, 32) | (6, 64) => DType::Complex64,
        (5, 64) | (6, 128) => DType::Complex128,
        _ => return Err(Error::unsupported(what, format!("sample format {format} of {bits} bits"))),
    })
}

fn index(tags: &Tags<'_>, what: &str) -> Result<TileIndex> {
    let entries = &tags.directory.entries;
    // Some writers use the tags of strips for tiles.
    let offsets = entries.get(&tag::TILE_OFFSETS).or_else(|| entries.get(&tag::STRIP_OFFSETS));
    let lengths = entries.get(&tag::TILE_LENGTHS).or_else(|| entries.get(&tag::STRIP_LENGTHS));
    let offsets = offsets.ok_or_else(|| Error::malformed(what, "it says not where its data is"))?;
    Ok(TileIndex::new(tags.form, offsets, lengths, tags.have))
}
