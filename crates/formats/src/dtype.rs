//! Types of elements.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Type of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// IEEE 754 half precision.
    Float16,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// Real and imaginary part, each in single precision.
    Complex64,
    /// Real and imaginary part, each in double precision.
    Complex128,
    /// One byte of text.
    Char,
    /// Elements of this many bytes whose meaning the file does not say (HDF5's opaque type).
    Opaque(usize),
    /// Text of at most this many bytes of UTF-8, with zeros behind it (NumPy's `S`).
    Text(usize),
    /// Text of at most this many characters of UTF-32, with zeros behind it (NumPy's `U`).
    Unicode(usize),
    /// Text of any length: an element is a reference into a heap of the file.
    VlenText(HeapPlace),
    /// Text of any length in UTF-8, of which only its whole chunk can be decoded (Zarr's `vlen-utf8`).
    VlenUtf8,
}

/// How references into the heaps of an HDF5 file are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeapPlace {
    /// Place of the superblock; addresses count from here.
    pub(crate) base: u64,
    /// Bytes of an address.
    pub(crate) offset_size: u8,
    /// Bytes of a length.
    pub(crate) length_size: u8,
}

impl HeapPlace {
    /// Bytes of a reference.
    pub(crate) fn element(self) -> usize {
        8 + usize::from(self.offset_size)
    }

    /// A byte of the file.
    pub(crate) fn absolute(self, address: u64) -> Option<u64> {
        address.checked_add(self.base)
    }
}

/// What stands behind a text of fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// The first zero ends the text; what is behind it means nothing.
    NullTerminated,
    /// Zeros.
    Null,
    /// Blanks.
    Space,
}

impl DType {
    /// Bytes of one element; 16 for text that has no size of its own.
    pub fn size(self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 | Self::Char => 1,
            Self::Int16 | Self::UInt16 | Self::Float16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 | Self::Complex64 => 8,
            Self::Complex128 | Self::VlenUtf8 => 16,
            Self::Opaque(size) | Self::Text(size) => size,
            Self::Unicode(chars) => chars.saturating_mul(4),
            Self::VlenText(place) => place.element(),
        }
    }

    /// Bytes of what a byte order swaps: of one part of a complex number, else of the element.
    pub(crate) fn word(self) -> usize {
        match self {
            Self::Complex64 | Self::Complex128 => self.size() / 2,
            Self::Opaque(_) | Self::Text(_) | Self::VlenText(_) | Self::VlenUtf8 => 1,
            Self::Unicode(_) => 4,
            _ => self.size(),
        }
    }

    /// True if an element is one real number.
    pub fn is_real(self) -> bool {
        !matches!(self, Self::Complex64 | Self::Complex128 | Self::Opaque(_)) && !self.is_text()
    }

    /// True if an element is a text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Char | Self::Text(_) | Self::Unicode(_) | Self::VlenText(_) | Self::VlenUtf8)
    }

    /// The type of NumPy's array protocol (`f4`, `u1`, `c16`), without byte order.
    pub(crate) fn from_numpy(kind: &str) -> Option<Self> {
        Some(match kind {
            "i1" => Self::Int8,
            "i2" => Self::Int16,
            "i4" => Self::Int32,
            "i8" => Self::Int64,
            "u1" => Self::UInt8,
            "u2" => Self::UInt16,
            "u4" => Self::UInt32,
            "u8" => Self::UInt64,
            "f2" => Self::Float16,
            "f4" => Self::Float32,
            "f8" => Self::Float64,
            "c8" => Self::Complex64,
            "c16" => Self::Complex128,
            "S1" => Self::Char,
            text => {
                let (kind, len) = text.split_at_checked(1)?;
                let len = len.parse().ok().filter(|len| (1..1 << 28).contains(len))?;
                match kind {
                    "S" => Self::Text(len),
                    "U" => Self::Unicode(len),
                    _ => return None,
                }
            }
        })
    }

    /// The NumPy name (`float32`, `S10`), `char`, `str` for text of any length, or `opaque`.
    pub fn name(self) -> Cow<'static, str> {
        let plain = match self {
            Self::Text(size) => return format!("S{size}").into(),
            Self::Unicode(chars) => return format!("U{chars}").into(),
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
            Self::Char => "char",
            Self::Opaque(_) => "opaque",
            Self::VlenText(_) | Self::VlenUtf8 => "str",
        };
        plain.into()
    }
}
