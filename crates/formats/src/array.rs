//! What every format is lowered to: variables with a shape, a type, a codec chain and chunk references.
//!
//! Nothing here does I/O. A reader makes a [`FileMeta`] from a header; the chunk index of a variable is located when
//! its values are wanted.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use outcrop_store::Href;
use serde::{Deserialize, Serialize};

pub use crate::attr::{AttrValue, Attrs, IntType};
pub use crate::codec::bitshuffle::Compression;
pub use crate::codec::checksum::{Sum, SumPlace};
pub use crate::codec::hdf5::Packing;
pub use crate::codec::lzma::LzmaFormat;
pub use crate::codec::numbers::NumberFilter;
pub use crate::dtype::{DType, HeapPlace, Padding};
use crate::layout::Layout;
use crate::tiff::TiffCodec;
use crate::{Error, Result};

/// Order of the bytes of an element in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// True if it is the order of this machine.
    pub fn is_native(self) -> bool {
        (self == Self::Little) == cfg!(target_endian = "little")
    }
}

/// One step of a codec chain, in the order of encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Codec {
    /// HDF5 filter 2: bytes of equal significance side by side.
    Shuffle {
        /// Bytes of one element.
        element: usize,
    },
    /// HDF5 filter 1: zlib.
    Deflate,
    /// HDF5 filter 3: a checksum of 4 bytes at the end.
    Fletcher32,
    /// Only some bits of an integer carry its value; first in a chain.
    Bits {
        /// Lowest bit of the value.
        offset: u32,
        /// Number of bits of the value.
        precision: u32,
    },
    /// A text of fixed size does not end with zeros alone; first in a chain.
    Padded(Padding),
    /// A variable is one member of each element, or the rows of each block that are in no other; behind [`Codec::Bits`]
    /// and [`Codec::Padded`], before all others.
    Member {
        /// Bytes of a whole element, or of a block.
        element: usize,
        /// First byte of the member.
        offset: usize,
        /// Bytes of the member, all of it where it is an array.
        length: usize,
    },
    /// HDF5 filters 4 to 6: szip, nbit, scale-offset.
    Packed {
        /// Which.
        packing: Packing,
        /// The parameters of the filter in the file.
        parameters: Vec<u32>,
    },
    /// Zarr's `transpose`; first in a chain.
    Transpose {
        /// Axis `i` of the encoded chunk is axis `order[i]` of the chunk.
        order: Vec<usize>,
        /// Lengths of the chunk.
        shape: Vec<usize>,
    },
    /// Zarr's `gzip`.
    Gzip,
    /// Zarr's `crc32c`: a checksum of 4 bytes at the end.
    Crc32c,
    /// HDF5 filter 32000.
    Lzf,
    /// HDF5 filter 32004.
    Lz4,
    /// LZ4 of numcodecs: the decoded size, and one block.
    Lz4Sized,
    /// HDF5 filter 32015, and Zarr's.
    Zstd,
    /// HDF5 filter 32001, and Zarr's.
    Blosc,
    /// HDF5 filter 32008: bits of equal significance side by side, compressed block by block.
    Bitshuffle {
        /// Bytes of one element.
        element: usize,
        /// Elements of a block; 0 for the default of the filter.
        block: usize,
        /// How a block is compressed.
        compression: Compression,
    },
    /// Records of miniSEED, which are decoded by the record table of their variable.
    MiniSeed {
        /// How samples are stored: `Steim2`.
        encoding: String,
    },
    /// A step of storing a TIFF image.
    Tiff(TiffCodec),
    /// A codec without a decoder here; reading a chunk that uses it is an error that names it.
    Unsupported {
        /// HDF5 filter number; 0 where codecs have names only.
        id: u16,
        /// Its name in the file.
        name: String,
    },
    /// bzip2 of numcodecs.
    Bz2,
    /// LZMA of numcodecs.
    Lzma {
        /// The container of the stream.
        format: LzmaFormat,
    },
    /// A checksum of numcodecs.
    Checksum {
        /// How it is computed.
        sum: Sum,
        /// Where it stands.
        place: SumPlace,
    },
    /// A filter of numcodecs that changes numbers.
    Numbers(NumberFilter),
    /// Whatever a driver of GDAL does.
    Gdal {
        /// Its short name: `JP2OpenJPEG`.
        driver: String,
    },
    /// Zarr's `vlen-utf8`: texts of any length, one after the other.
    VlenUtf8,
}

/// A regular grid of chunks.
///
/// - `shape` and `chunk` have the same length; every member of `chunk` is at least 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkGrid {
    /// Length of each dimension in elements.
    pub shape: Vec<u64>,
    /// Length of a chunk along each dimension; edge chunks are stored whole.
    pub chunk: Vec<u64>,
}

impl ChunkGrid {
    /// Number of chunks along each dimension.
    pub fn counts(&self) -> Vec<u64> {
        self.shape.iter().zip(&self.chunk).map(|(n, c)| n.div_ceil((*c).max(1))).collect()
    }
}

/// Where the bytes of one chunk are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkRef {
    /// A range of the file.
    Range {
        /// First byte.
        offset: u64,
        /// Number of bytes as stored.
        length: u64,
        /// Bit `i` set: codec `i` was not applied to this chunk.
        filter_mask: u32,
    },
    /// Another object, or a range of it.
    Object {
        /// Where the object is.
        href: Href,
        /// The range; `None` for the whole of it.
        range: Option<Range<u64>>,
        /// Bit `i` set: codec `i` was not applied to this chunk.
        filter_mask: u32,
    },
    /// A window of what only a foreign library reads (GDAL): no bytes of the file.
    Opaque {
        /// The driver of the library.
        driver: Arc<str>,
        /// Which array of the file, counted from 0.
        array: usize,
        /// Positions along each dimension, within the shape.
        window: Vec<Range<u64>>,
    },
    /// Encoded bytes held here.
    Inline(Bytes),
    /// Never written: every element is the fill value.
    Fill,
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Format {
    /// NetCDF classic: CDF-1, CDF-2 (64-bit offset) or CDF-5 (64-bit data).
    NetCdf3,
    /// HDF5 with the marks of NetCDF-4: dimension scales or `_NCProperties`.
    NetCdf4,
    /// Zarr 2 or 3: a store of many objects.
    Zarr,
    /// HDF5 without them; its dimensions are named `phony_dim_N`, as netCDF-C does.
    Hdf5,
    /// miniSEED 2 or 3.
    MiniSeed,
    /// An array without a header, as its caller declares it.
    Raw,
    /// TIFF or BigTIFF, with or without a place on Earth.
    GeoTiff,
    /// What GDAL reads: JPEG 2000, GRIB, HDF4 and more (feature `gdal`).
    Gdal,
}

impl Format {
    /// True if its variables are images of bands, rows and columns.
    pub fn is_image(self) -> bool {
        matches!(self, Self::GeoTiff | Self::Gdal)
    }
}

/// A dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dim {
    /// Number of positions.
    pub len: u64,
    /// True if it can grow.
    pub unlimited: bool,
}

/// What the header of a file says.
#[derive(Debug, Clone)]
pub struct FileMeta {
    /// The format.
    pub format: Format,
    /// Dimensions by name, in file order; one of a group has the group's path in its name (`group/time`).
    pub dims: IndexMap<String, Dim>,
    /// Attributes of the file (of the root group).
    pub attrs: Attrs,
    /// Variables of all groups, in file order.
    pub variables: Vec<Variable>,
    /// Objects that cannot be read, by path, and why.
    pub refused: Vec<(String, String)>,
}

impl FileMeta {
    /// True for a GeoTIFF laid out so that a reader finds any part of it with few requests: tiles, overviews and all
    /// directories before the data.
    pub fn is_cloud_optimised(&self) -> bool {
        self.format == Format::GeoTiff && self.attrs.get("layout").and_then(AttrValue::text) == Some("COG")
    }

    /// The variable of this path (without leading `/`).
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|v| v.name == name)
    }

    /// The coordinate of a dimension of a variable: the variable of one dimension that has its name, in the group of the
    /// variable or the nearest above.
    pub fn coordinate(&self, variable: &Variable, dim: &str) -> Option<&Variable> {
        let labels = |found: &&Variable| found.dims.len() == 1 && variable.dims.contains(&found.dims[0]);
        if let Some(found) = self.variable(dim).filter(labels) {
            return Some(found);
        }
        let (mut group, mut found) = (variable.name.as_str(), None);
        while let (None, Some((above, _))) = (found, group.rsplit_once('/')) {
            group = above;
            found = self.variable(&format!("{group}/{dim}")).filter(labels);
        }
        found
    }

    /// The variable of this path, or an error that says why there is none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is there but cannot be read, [`Error::NoVariable`] with the names there are.
    pub fn find(&self, name: &str) -> Result<&Variable> {
        if let Some(variable) = self.variable(name) {
            return Ok(variable);
        }
        if let Some((path, why)) = self.refused.iter().find(|(path, _)| path == name) {
            return Err(Error::unsupported(path, why));
        }
        let known: Vec<&str> = self.variables.iter().take(20).map(|v| v.name.as_str()).collect();
        Err(Error::NoVariable { name: name.to_owned(), known: known.join(", ") })
    }
}

/// A variable: an array and what is needed to find its chunks.
///
/// - `dims`, `grid.shape` and `grid.chunk` have the same length.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Path without leading `/`: `tmin`, `Acquisition/Raw[0]/RawData`.
    pub name: String,
    /// Names of the dimensions, outermost first.
    pub dims: Vec<String>,
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
    /// Attributes, without those that only keep the books of HDF5 and NetCDF-4.
    pub attrs: Attrs,
    pub(crate) layout: Layout,
}

impl Variable {
    /// Number of elements; `None` if that is beyond 64 bits.
    pub fn elements(&self) -> Option<u64> {
        self.grid.shape.iter().try_fold(1u64, |n, len| n.checked_mul(*len))
    }
}

impl std::fmt::Display for Format {
    /// The name people use: `NetCDF-4`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NetCdf3 => "NetCDF-3",
            Self::NetCdf4 => "NetCDF-4",
            Self::Hdf5 => "HDF5",
            Self::MiniSeed => "miniSEED",
            Self::Raw => "raw",
            Self::GeoTiff => "GeoTIFF",
            Self::Gdal => "GDAL",
            Self::Zarr => "Zarr",
        })
    }
}

impl Codec {
    /// True if it puts a checksum of four bytes behind what it is given.
    pub(crate) fn is_checksum(&self) -> bool {
        matches!(self, Self::Fletcher32 | Self::Crc32c | Self::Checksum { .. })
    }

    /// The most bytes that it stores for so many decoded ones.
    pub(crate) fn most_stored(&self, decoded: usize) -> usize {
        match self {
            Self::Numbers(filter) => filter.stored_bytes(decoded),
            codec if codec.is_checksum() => decoded.saturating_add(4),
            codec if codec.keeps_size() => decoded,
            // What cannot be compressed grows a little.
            _ => decoded.saturating_add(decoded / 8 + 4096),
        }
    }

    /// True if it is about the form of an element: undone last, and never left out for a chunk.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self, Self::Bits { .. } | Self::Padded(_) | Self::Member { .. })
    }

    /// True if what it makes has as many bytes as what it is given.
    pub(crate) fn keeps_size(&self) -> bool {
        matches!(self, Self::Shuffle { .. } | Self::Transpose { .. }) || self.is_form()
    }
}

impl std::fmt::Display for Codec {
    /// The name people use: `shuffle`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shuffle { .. } => f.write_str("shuffle"),
            Self::Deflate => f.write_str("deflate"),
            Self::Fletcher32 => f.write_str("fletcher32"),
            Self::Bits { offset, precision } => write!(f, "{precision} bits from bit {offset}"),
            Self::Padded(Padding::NullTerminated) => f.write_str("ended by zero"),
            Self::Padded(Padding::Null) => f.write_str("padded with zeros"),
            Self::Padded(Padding::Space) => f.write_str("padded with blanks"),
            Self::Member { element, offset, length } => {
                write!(f, "bytes {offset} to {} of {element}", offset.saturating_add(*length))
            }
            Self::Packed { packing, .. } => f.write_str(packing.name()),
            Self::Lzf => f.write_str("lzf"),
            Self::Transpose { order, .. } => write!(f, "transpose {order:?}"),
            Self::Gzip => f.write_str("gzip"),
            Self::Crc32c => f.write_str("crc32c"),
            Self::Lz4 | Self::Lz4Sized => f.write_str("lz4"),
            Self::Zstd => f.write_str("zstd"),
            Self::Blosc => f.write_str("blosc"),
            Self::Bitshuffle { compression: Compression::None, .. } => f.write_str("bitshuffle"),
            Self::Bitshuffle { compression: Compression::Lz4, .. } => f.write_str("bitshuffle+lz4"),
            Self::Bitshuffle { compression: Compression::Zstd, .. } => f.write_str("bitshuffle+zstd"),
            Self::MiniSeed { encoding } => f.write_str(encoding),
            Self::Tiff(codec) => codec.fmt(f),
            Self::Bz2 => f.write_str("bz2"),
            Self::Lzma { .. } => f.write_str("lzma"),
            Self::Checksum { sum, .. } => f.write_str(sum.name()),
            Self::Numbers(filter) => f.write_str(filter.name()),
            Self::Gdal { driver } => write!(f, "GDAL {driver}"),
            Self::VlenUtf8 => f.write_str("vlen-utf8"),
            Self::Unsupported { id: 0, name } => write!(f, "{name} (cannot be decoded)"),
            Self::Unsupported { id, name } => write!(f, "{name} (HDF5 filter {id}, cannot be decoded)"),
        }
    }
}
