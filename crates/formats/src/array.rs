//! What every format is lowered to: variables with a shape, a type, a codec chain and chunk references.
//!
//! Nothing here does I/O. A reader makes a [`FileMeta`] from a header; the chunk index of a variable is located when
//! its values are wanted.

use bytes::Bytes;
use indexmap::IndexMap;

/// Type of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// Signed 8-bit integer.
    Int8,
    /// Signed 16-bit integer.
    Int16,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// Unsigned 8-bit integer.
    UInt8,
    /// Unsigned 16-bit integer.
    UInt16,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Unsigned 64-bit integer.
    UInt64,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// One byte of text.
    Char,
    /// Elements of this many bytes whose meaning is not decoded (strings, compounds, references).
    Opaque(usize),
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 | Self::Char => 1,
            Self::Int16 | Self::UInt16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 => 8,
            Self::Opaque(size) => size,
        }
    }

    /// The NumPy name (`float32`), `char`, or `opaque`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Char => "char",
            Self::Opaque(_) => "opaque",
        }
    }
}

/// Order of the bytes of an element in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// One step of a codec chain, in the order of encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A codec without a decoder here; reading a chunk that uses it is an error that names it.
    Unsupported {
        /// HDF5 filter number.
        id: u16,
        /// Its name in the file.
        name: String,
    },
}

/// A regular grid of chunks.
///
/// - `shape` and `chunk` have the same length; every member of `chunk` is at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Encoded bytes held here.
    Inline(Bytes),
    /// Never written: every element is the fill value.
    Fill,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttrValue {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// Integers of any width and sign that fit.
    Int(Vec<i64>),
    /// Unsigned 64-bit integers.
    UInt(Vec<u64>),
    /// Single precision numbers.
    Float32(Vec<f32>),
    /// Double precision numbers.
    Float64(Vec<f64>),
}

/// Attributes in file order.
pub type Attrs = IndexMap<String, AttrValue>;
