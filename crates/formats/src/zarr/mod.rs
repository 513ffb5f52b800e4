//! Zarr 2 and 3: groups written as xarray reads them, arrays read from any store.
//!
//! Codecs are those of the crate `zarrs`; metadata, consolidated metadata and publishing are here, because `zarrs` knows
//! nothing of xarray's conventions and its file store replaces files in place. Specifications:
//! <https://zarr-specs.readthedocs.io/>.

mod lower;
mod metadata;
mod read;
mod shard;
mod storage;
mod write;

use crate::array::{Attrs, DType};
pub(crate) use lower::{Keys, Mapped, Place, number};
pub(crate) use metadata::attributes;
pub use read::{ArrayInfo, Zarr, open};
pub(crate) use read::{load, of_documents};
pub use write::GroupWriter;

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
    /// Type: `Float64`, `Float32`, `Int64`, `Int32`, `Int16` or text.
    pub dtype: Element,
    /// Value of what is never written; by default NaN for floats, 0 for integers, and no text.
    pub fill: Option<f64>,
    /// Attributes.
    pub attrs: Attrs,
}

/// Numbers that can be written: `f64`, `f32`, `i64`, `i32`, `i16`.
pub trait Number: zarrs::array::Element + Copy + private::Sealed {
    /// The type in the file.
    const DTYPE: DType;
    /// The number nearest to the fill value.
    fn of(fill: f64) -> Self;
}

mod private {
    pub trait Sealed {}
}

macro_rules! number {
    ($($type:ty => $dtype:expr),*) => {$(
        impl private::Sealed for $type {}
        impl Number for $type {
            const DTYPE: DType = $dtype;
            #[expect(clippy::cast_possible_truncation, reason = "a fill value is given in the type of its array")]
            fn of(fill: f64) -> Self {
                fill as $type
            }
        }
    )*};
}

number!(f32 => DType::Float32, i64 => DType::Int64, i32 => DType::Int32, i16 => DType::Int16);

impl private::Sealed for f64 {}

impl Number for f64 {
    const DTYPE: DType = DType::Float64;
    fn of(fill: f64) -> Self {
        fill
    }
}

impl std::fmt::Display for Element {
    /// The NumPy name: `float64`, `<U10`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(dtype) => f.write_str(dtype.name()),
            Self::Text { chars } => write!(f, "<U{chars}"),
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
