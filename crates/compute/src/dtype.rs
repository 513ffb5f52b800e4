//! Types of values in memory, and what becomes of two of them (NumPy's promotion rules).

use serde::{Deserialize, Serialize};

/// Type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// True or false.
    Bool,
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
    /// Real and imaginary part, each in single precision.
    Complex64,
    /// Real and imaginary part, each in double precision.
    Complex128,
}

/// All types, in the order of [`DType`].
pub(crate) const DTYPES: [DType; 13] = [
    DType::Bool,
    DType::Int8,
    DType::Int16,
    DType::Int32,
    DType::Int64,
    DType::UInt8,
    DType::UInt16,
    DType::UInt32,
    DType::UInt64,
    DType::Float32,
    DType::Float64,
    DType::Complex64,
    DType::Complex128,
];

/// What kind of number a type holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Bool,
    Unsigned,
    Signed,
    Float,
    Complex,
}

impl DType {
    fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::UInt8 | Self::UInt16 | Self::UInt32 | Self::UInt64 => Kind::Unsigned,
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 => Kind::Signed,
            Self::Float32 | Self::Float64 => Kind::Float,
            Self::Complex64 | Self::Complex128 => Kind::Complex,
        }
    }

    /// Bytes of one value.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::Int8 | Self::UInt8 => 1,
            Self::Int16 | Self::UInt16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// The NumPy name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
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
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
        }
    }

    /// The type of this NumPy name.
    pub fn parse(name: &str) -> Option<Self> {
        DTYPES.into_iter().find(|dtype| dtype.name() == name)
    }

    /// True of real floats.
    pub fn is_float(self) -> bool {
        self.kind() == Kind::Float
    }

    /// True of signed and unsigned integers.
    pub fn is_integer(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    /// True of unsigned integers.
    pub fn is_unsigned(self) -> bool {
        self.kind() == Kind::Unsigned
    }

    /// True of complex numbers.
    pub fn is_complex(self) -> bool {
        self.kind() == Kind::Complex
    }

    /// The type in which values of both fit, as `numpy.promote_types`.
    #[must_use]
    pub fn promote(self, other: Self) -> Self {
        let (low, high) = if self.kind() <= other.kind() { (self, other) } else { (other, self) };
        let (small, large) = if low.size() <= high.size() { (low, high) } else { (high, low) };
        match (low.kind(), high.kind()) {
            (Kind::Bool, _) => high,
            (a, b) if a == b => large,
            (Kind::Unsigned, Kind::Signed) => match low.size() {
                size if size < high.size() => high,
                1 => Self::Int16,
                2 => Self::Int32,
                4 => Self::Int64,
                _ => Self::Float64,
            },
            (Kind::Unsigned | Kind::Signed, Kind::Float) if low.size() > 2 => Self::Float64,
            (Kind::Unsigned | Kind::Signed, _) if low.size() > 2 => Self::Complex128,
            (Kind::Float, _) if low == Self::Float64 => Self::Complex128,
            _ => {
                debug_assert!(small.size() <= large.size());
                high
            }
        }
    }

    /// The float in which functions of values of this type are computed: single precision of floats of single precision and
    /// integers up to 16 bits, complex of complex numbers, else double precision.
    #[must_use]
    pub fn to_inexact(self) -> Self {
        match self {
            Self::Float32 | Self::Int16 | Self::UInt16 | Self::Int8 | Self::UInt8 | Self::Bool => Self::Float32,
            Self::Complex64 | Self::Complex128 => self,
            _ => Self::Float64,
        }
    }

    /// The type of a file's values; `None` for texts and opaque elements. Half precision becomes single.
    pub fn of_stored(stored: outcrop_formats::DType) -> Option<Self> {
        use outcrop_formats::DType as Stored;
        Some(match stored {
            Stored::Int8 => Self::Int8,
            Stored::Int16 => Self::Int16,
            Stored::Int32 => Self::Int32,
            Stored::Int64 => Self::Int64,
            Stored::UInt8 => Self::UInt8,
            Stored::UInt16 => Self::UInt16,
            Stored::UInt32 => Self::UInt32,
            Stored::UInt64 => Self::UInt64,
            Stored::Float16 | Stored::Float32 => Self::Float32,
            Stored::Float64 => Self::Float64,
            Stored::Complex64 => Self::Complex64,
            Stored::Complex128 => Self::Complex128,
            _ => return None,
        })
    }

    /// The type that a file has for it: truth values are stored as bytes.
    pub fn stored(self) -> outcrop_formats::DType {
        use outcrop_formats::DType as Stored;
        match self {
            Self::Bool | Self::UInt8 => Stored::UInt8,
            Self::Int8 => Stored::Int8,
            Self::Int16 => Stored::Int16,
            Self::Int32 => Stored::Int32,
            Self::Int64 => Stored::Int64,
            Self::UInt16 => Stored::UInt16,
            Self::UInt32 => Stored::UInt32,
            Self::UInt64 => Stored::UInt64,
            Self::Float32 => Stored::Float32,
            Self::Float64 => Stored::Float64,
            Self::Complex64 => Stored::Complex64,
            Self::Complex128 => Stored::Complex128,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType::*;
    use super::*;

    #[test]
    fn types_are_promoted_as_numpy_does() {
        for (a, b, want) in [
            (Bool, Int8, Int8),
            (UInt8, Int8, Int16),
            (UInt32, Int32, Int64),
            (UInt64, Int64, Float64),
            (UInt8, Int64, Int64),
            (Int16, Float32, Float32),
            (Int32, Float32, Float64),
            (Bool, Float32, Float32),
            (Float32, Float64, Float64),
            (Float64, Complex64, Complex128),
            (Float32, Complex64, Complex64),
            (Int32, Complex64, Complex128),
            (UInt16, UInt32, UInt32),
        ] {
            assert_eq!(a.promote(b), want, "{a} {b}");
            assert_eq!(b.promote(a), want, "{b} {a}");
        }
        for dtype in DTYPES {
            assert_eq!(DType::parse(dtype.name()), Some(dtype));
            assert_eq!(dtype.promote(dtype), dtype);
        }
    }
}
