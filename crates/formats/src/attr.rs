//! Values of attributes, with the types that their files give them.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::codec::order;
use crate::dtype::DType;

/// Attributes in file order.
pub type Attrs = IndexMap<String, AttrValue>;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AttrValue {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// Integers of `int32`, or of no type (of JSON); written as `int32` where that holds them, else as `int64`.
    Int(Vec<i64>),
    /// Unsigned 64-bit integers.
    UInt(Vec<u64>),
    /// Single precision numbers.
    Float32(Vec<f32>),
    /// Double precision numbers.
    Float64(Vec<f64>),
    /// Integers of another type.
    Typed(IntType, Vec<i64>),
}

/// Types of integers in attributes beside `int32` and `uint64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntType {
    /// Signed 8-bit integer.
    Int8,
    /// Unsigned 8-bit integer.
    UInt8,
    /// Signed 16-bit integer.
    Int16,
    /// Unsigned 16-bit integer.
    UInt16,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Signed 64-bit integer.
    Int64,
}

impl IntType {
    /// The type of elements.
    pub fn dtype(self) -> DType {
        match self {
            Self::Int8 => DType::Int8,
            Self::UInt8 => DType::UInt8,
            Self::Int16 => DType::Int16,
            Self::UInt16 => DType::UInt16,
            Self::UInt32 => DType::UInt32,
            Self::Int64 => DType::Int64,
        }
    }
}

impl AttrValue {
    /// Numbers by their bits, the lowest of each; `None` for a type that attributes do not have.
    pub(crate) fn of_bits(dtype: DType, bits: impl Iterator<Item = u64>) -> Option<Self> {
        let shift = 64 - 8 * u32::try_from(dtype.size().min(8)).ok()?;
        let signed = |b: u64| (b << shift).cast_signed() >> shift;
        let low = |b: u64| u32::try_from(b & u64::from(u32::MAX)).map(f32::from_bits);
        Some(match dtype {
            DType::Int8 => Self::Typed(IntType::Int8, bits.map(signed).collect()),
            DType::Int16 => Self::Typed(IntType::Int16, bits.map(signed).collect()),
            DType::Int32 => Self::Int(bits.map(signed).collect()),
            DType::Int64 => Self::Typed(IntType::Int64, bits.map(signed).collect()),
            DType::UInt8 => Self::Typed(IntType::UInt8, bits.map(u64::cast_signed).collect()),
            DType::UInt16 => Self::Typed(IntType::UInt16, bits.map(u64::cast_signed).collect()),
            DType::UInt32 => Self::Typed(IntType::UInt32, bits.map(u64::cast_signed).collect()),
            DType::UInt64 => Self::UInt(bits.collect()),
            DType::Float32 => Self::Float32(bits.filter_map(|b| low(b).ok()).collect()),
            DType::Float64 => Self::Float64(bits.map(f64::from_bits).collect()),
            _ => return None,
        })
    }

    /// The first number, whatever its type.
    pub fn number(&self) -> Option<f64> {
        self.numbers().first().copied()
    }

    /// All numbers as double precision; none for texts.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Text(_) | Self::Texts(_) => Vec::new(),
            Self::Int(values) | Self::Typed(_, values) => values.iter().map(|v| *v as f64).collect(),
            Self::UInt(values) => values.iter().map(|v| *v as f64).collect(),
            Self::Float32(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Self::Float64(values) => values.clone(),
        }
    }

    /// All integers, exactly; none for texts and floats.
    pub fn integers(&self) -> Vec<i128> {
        match self {
            Self::Int(values) | Self::Typed(_, values) => values.iter().map(|v| i128::from(*v)).collect(),
            Self::UInt(values) => values.iter().map(|v| i128::from(*v)).collect(),
            Self::Text(_) | Self::Texts(_) | Self::Float32(_) | Self::Float64(_) => Vec::new(),
        }
    }

    /// The text, if it is one text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Texts(texts) if texts.len() == 1 => texts.first().map(String::as_str),
            _ => None,
        }
    }

    /// The type that its numbers have by themselves; `None` for texts.
    pub(crate) fn dtype(&self) -> Option<DType> {
        let small = |values: &[i64]| values.iter().all(|n| i32::try_from(*n).is_ok());
        match self {
            Self::Text(_) | Self::Texts(_) => None,
            Self::Int(values) => Some(if small(values) { DType::Int32 } else { DType::Int64 }),
            Self::Typed(kind, _) => Some(kind.dtype()),
            Self::UInt(_) => Some(DType::UInt64),
            Self::Float32(_) => Some(DType::Float32),
            Self::Float64(_) => Some(DType::Float64),
        }
    }

    /// Its numbers as elements of a type, little-endian; `None` where the type does not hold them, and for texts. Floats are
    /// rounded to the nearest.
    pub(crate) fn little_endian(&self, dtype: DType) -> Option<Vec<u8>> {
        self.dtype()?;
        if matches!(dtype, DType::Float16 | DType::Float32 | DType::Float64) {
            let bytes: Option<Vec<Vec<u8>>> = self.numbers().into_iter().map(|n| float(n, dtype)).collect();
            return Some(bytes?.concat());
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 100 bits")]
        let whole = |n: f64| (n.fract() == 0.0 && n.abs() < 1e30).then_some(n as i128);
        let wholes: Option<Vec<i128>> = match self {
            Self::Float32(_) | Self::Float64(_) => self.numbers().into_iter().map(whole).collect(),
            integers => Some(integers.integers()),
        };
        let bytes: Option<Vec<Vec<u8>>> = wholes?.into_iter().map(|n| integer(n, dtype)).collect();
        Some(bytes?.concat())
    }

    /// The first number as an element of a type in native byte order; `None` where the type does not hold all of them.
    pub(crate) fn element(&self, dtype: DType) -> Option<Vec<u8>> {
        let mut first = self.little_endian(dtype)?;
        first.truncate(dtype.size());
        if cfg!(target_endian = "big") {
            first.reverse();
        }
        (first.len() == dtype.size()).then_some(first)
    }

    /// As [`AttrValue::little_endian`], with the most significant byte first.
    pub(crate) fn big_endian(&self, dtype: DType) -> Option<Vec<u8>> {
        let mut bytes = self.little_endian(dtype)?;
        order::swap(&mut bytes, dtype.word());
        Some(bytes)
    }
}

fn integer(n: i128, dtype: DType) -> Option<Vec<u8>> {
    Some(match dtype {
        DType::Int8 => i8::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::Int16 => i16::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::Int32 => i32::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::Int64 => i64::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::UInt8 => u8::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::UInt16 => u16::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::UInt32 => u32::try_from(n).ok()?.to_le_bytes().to_vec(),
        DType::UInt64 => u64::try_from(n).ok()?.to_le_bytes().to_vec(),
        _ => return None,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "to the nearest, as wanted")]
fn float(n: f64, dtype: DType) -> Option<Vec<u8>> {
    let (bytes, held) = match dtype {
        DType::Float16 => (half::f16::from_f64(n).to_le_bytes().to_vec(), half::f16::from_f64(n).is_finite()),
        DType::Float32 => ((n as f32).to_le_bytes().to_vec(), (n as f32).is_finite()),
        _ => (n.to_le_bytes().to_vec(), true),
    };
    (held || !n.is_finite()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_elements_where_the_type_holds_them() {
        let large = AttrValue::Typed(IntType::Int64, vec![i64::MAX]);
        assert_eq!(large.little_endian(DType::Int64), Some(i64::MAX.to_le_bytes().to_vec()), "not by way of a float");
        assert_eq!(large.big_endian(DType::UInt64), Some(i64::MAX.to_be_bytes().to_vec()));
        assert_eq!(large.little_endian(DType::Int32), None);
        let half = AttrValue::Float64(vec![0.5]);
        assert_eq!((half.little_endian(DType::Int16), half.little_endian(DType::Float16)), (None, Some(vec![0, 0x38])));
        assert_eq!(AttrValue::Float64(vec![1e300]).little_endian(DType::Float32), None);
        assert_eq!(AttrValue::Float64(vec![255.0]).little_endian(DType::UInt8), Some(vec![255]));
        assert_eq!(AttrValue::Text("5".into()).little_endian(DType::UInt8), None);
    }

    #[test]
    fn bits_have_the_sign_of_their_type() {
        let of = |dtype| AttrValue::of_bits(dtype, [0xff].into_iter());
        assert_eq!(of(DType::Int8), Some(AttrValue::Typed(IntType::Int8, vec![-1])));
        assert_eq!(of(DType::UInt8), Some(AttrValue::Typed(IntType::UInt8, vec![255])));
        assert_eq!(of(DType::Int32), Some(AttrValue::Int(vec![255])));
        assert_eq!(of(DType::Complex64), None);
    }
}
