//! Zarr 2 and 3: groups written as xarray reads them, arrays read from any store.
//!
//! Codecs are those of the crate `zarrs`; metadata, consolidated metadata and publishing are here, because `zarrs` knows
//! nothing of xarray's conventions and its file store replaces files in place. Specifications:
//! <https://zarr-specs.readthedocs.io/>.

mod codecs;
mod complete;
mod consolidate;
mod lower;
mod marker;
mod metadata;
mod read;
mod resume;
mod shard;
mod storage;
mod texts;
mod types;
mod write;

use crate::array::{Attrs, DType};
pub(crate) use complete::Complete;
pub use complete::StoredObjects;
pub(crate) use lower::{Keys, Mapped, Place, Shards, Shelf, number};
pub(crate) use metadata::attributes;
pub use read::{ArrayInfo, Zarr, open};
pub(crate) use read::{load, of_documents};
pub(crate) use texts::read as read_texts;
pub use write::GroupWriter;
pub(crate) use write::replace;

/// The version of the Zarr format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZarrFormat {
    /// Version 2, compressed with blosc (lz4), as zarr-python does.
    V2,
    /// Version 3, compressed with zstd, as zarr-python does.
    #[default]
    V3,
}

/// Type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Numbers.
    Number(DType),
    /// Texts of at most this many characters (UTF-32, padded with zeros).
    Text {
        /// Number of characters.
        chars: usize,
    },
    /// Texts of any length (`vlen-utf8`).
    VlenText,
}

/// How the chunks of an array are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZarrCompression {
    /// As zarr-python does: blosc with lz4 in Zarr 2, zstd in Zarr 3.
    #[default]
    Default,
    /// Not at all.
    None,
    /// Zstandard.
    Zstd {
        /// 1 to 22; 0 is its default.
        level: u8,
    },
    /// Blosc.
    Blosc {
        /// What compresses its blocks.
        codec: BloscCodec,
        /// 0 (none) to 9.
        level: u8,
        /// What is done to the bytes before.
        shuffle: BloscShuffle,
    },
    /// Gzip.
    Gzip {
        /// 0 (none) to 9.
        level: u8,
    },
}

/// What compresses the blocks of blosc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscCodec {
    /// LZ4.
    Lz4,
    /// LZ4, slower and smaller.
    Lz4Hc,
    /// Zlib.
    Zlib,
    /// Zstandard.
    Zstd,
}

/// What blosc does to bytes before it compresses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscShuffle {
    /// Nothing.
    None,
    /// Bytes of equal significance are put side by side.
    Byte,
    /// Bits of equal significance are put side by side.
    Bit,
}

/// An array to be written.
#[derive(Debug, Clone)]
pub struct ArraySpec {
    /// Name within its group.
    pub name: String,
    /// Names of the dimensions.
    pub dims: Vec<String>,
    /// Length of each dimension.
    pub shape: Vec<u64>,
    /// Length of a chunk along each dimension, at least 1.
    pub chunk: Vec<u64>,
    /// Length of a shard along each dimension, a multiple of that of `chunk`; `None` is an object for each chunk. Zarr 3
    /// only.
    pub shard: Option<Vec<u64>>,
    /// Type: real or complex numbers, or text.
    pub dtype: Element,
    /// How chunks are compressed.
    pub compression: ZarrCompression,
    /// Value of what is never written, one element in native byte order; by default NaN for floats, 0 for integers and
    /// complex numbers. Texts have none.
    pub fill: Option<Vec<u8>>,
    /// Attributes.
    pub attrs: Attrs,
}

/// Numbers that can be written as such; [`GroupWriter::write_chunk_bytes`] takes all types.
pub trait Number: Copy + private::Sealed {
    /// The type in the file.
    const DTYPE: DType;
    /// Appends the bytes of a number in native byte order.
    fn put(self, bytes: &mut Vec<u8>);
}

mod private {
    pub trait Sealed {}
}

macro_rules! number {
    ($($type:ty => $dtype:ident),*) => {$(
        impl private::Sealed for $type {}
        impl Number for $type {
            const DTYPE: DType = DType::$dtype;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_ne_bytes());
            }
        }
    )*};
}

number!(f32 => Float32, f64 => Float64, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64);
number!(u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64);

impl std::fmt::Display for Element {
    /// The NumPy name: `float64`, `<U10`; `str` for texts of any length.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(dtype) => f.write_str(&dtype.name()),
            Self::Text { chars } => write!(f, "<U{chars}"),
            Self::VlenText => f.write_str("str"),
        }
    }
}

impl std::fmt::Display for ZarrFormat {
    /// The version: `Zarr 3`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V2 => "Zarr 2",
            Self::V3 => "Zarr 3",
        })
    }
}
