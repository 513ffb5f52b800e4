//! Filters of numcodecs that change numbers: `delta`, `fixedscaleoffset`, `astype`, `quantize`, and `packbits` of booleans.
//!
//! Definitions: <https://numcodecs.readthedocs.io/>. Arithmetic is in the types that NumPy uses.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::array::{ByteOrder, DType};
use crate::{Error, Result};

/// A filter that changes numbers, with the types before and behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberFilter {
    pub(crate) rule: Rule,
    /// Type and byte order as stored.
    pub(crate) stored: (DType, ByteOrder),
    /// Type and byte order of what comes out.
    pub(crate) decoded: (DType, ByteOrder),
}

/// What is done to numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rule {
    /// Only the type changes (`astype`, `quantize`).
    Cast,
    /// Each is the difference to the one before.
    Delta,
    /// Each was scaled behind an offset; the bits of both.
    ScaleOffset { scale: u64, offset: u64 },
    /// Booleans of one bit, the most significant first, behind a byte that says how many are missing in the last.
    PackBits,
}

impl NumberFilter {
    /// The filter of these types; `None` where it cannot be computed (complex numbers; differences of floats that become
    /// integers).
    pub(crate) fn new(rule: Rule, stored: (DType, ByteOrder), decoded: (DType, ByteOrder)) -> Option<Self> {
        let real = stored.0.is_real() && decoded.0.is_real();
        let lossy = rule == Rule::Delta && is_float(stored.0) && !is_float(decoded.0);
        (real && !lossy).then_some(Self { rule, stored, decoded })
    }

    /// The most bytes that are stored for so many decoded ones.
    pub(crate) fn stored_bytes(&self, decoded: usize) -> usize {
        match self.rule {
            Rule::PackBits => decoded.div_ceil(8).saturating_add(1),
            _ => (decoded / self.decoded.0.size()).saturating_mul(self.stored.0.size()),
        }
    }

    /// Decodes into the start of `out`; the answer is how many bytes came out.
    pub(crate) fn decode(&self, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
        if self.rule == Rule::PackBits {
            return unpack(bytes, out);
        }
        let (from, to) = (self.stored.0.size(), self.decoded.0.size());
        let count = bytes.len() / from;
        let actual = count.saturating_mul(to);
        let (step, expected) = (self.name(), out.len());
        let target = out.get_mut(..actual).filter(|_| bytes.len().is_multiple_of(from));
        let target = target.ok_or(Error::ChunkLength { step, expected, actual })?;
        let places = bytes.chunks_exact(from).zip(target.chunks_exact_mut(to));
        match self.rule {
            Rule::Cast | Rule::PackBits => places.for_each(|(place, out)| self.put(self.get(place), out)),
            Rule::Delta if is_float(self.decoded.0) => {
                let mut sum = 0.0;
                for (place, out) in places {
                    sum = round(sum + round(self.get(place).float(), self.decoded.0), self.decoded.0);
                    self.put(Number::Float(sum), out);
                }
            }
            Rule::Delta => {
                let mut sum = 0i64;
                for (place, out) in places {
                    sum = sum.wrapping_add(self.get(place).bits());
                    self.put(Number::Int(sum), out);
                }
            }
            Rule::ScaleOffset { scale, offset } => {
                // Integers are divided in double precision, floats in their own.
                let kind = if is_float(self.stored.0) { self.stored.0 } else { DType::Float64 };
                let (scale, offset) = (round(f64::from_bits(scale), kind), round(f64::from_bits(offset), kind));
                for (place, out) in places {
                    let scaled = round(self.get(place).float() / scale, kind);
                    self.put(Number::Float(round(scaled + offset, kind)), out);
                }
            }
        }
        Ok(actual)
    }

    /// The name people use.
    pub fn name(&self) -> &'static str {
        match self.rule {
            Rule::Cast => "astype",
            Rule::Delta => "delta",
            Rule::ScaleOffset { .. } => "fixedscaleoffset",
            Rule::PackBits => "packbits",
        }
    }

    fn get(&self, place: &[u8]) -> Number {
        let (dtype, order) = self.stored;
        let mut bytes = [0; 8];
        let size = place.len().min(8);
        bytes[..size].copy_from_slice(&place[..size]);
        if order == ByteOrder::Big {
            bytes[..size].reverse();
        }
        let [a, b, c, d, ..] = bytes;
        match dtype {
            DType::Int8 => Number::Int(i8::from_le_bytes([a]).into()),
            DType::UInt8 => Number::Int(a.into()),
            DType::Int16 => Number::Int(i16::from_le_bytes([a, b]).into()),
            DType::UInt16 => Number::Int(u16::from_le_bytes([a, b]).into()),
            DType::Int32 => Number::Int(i32::from_le_bytes([a, b, c, d]).into()),
            DType::UInt32 => Number::Int(u32::from_le_bytes([a, b, c, d]).into()),
            DType::Int64 => Number::Int(i64::from_le_bytes(bytes)),
            DType::UInt64 => Number::Wide(u64::from_le_bytes(bytes)),
            DType::Float16 => Number::Float(f16::from_le_bytes([a, b]).to_f64()),
            DType::Float32 => Number::Float(f32::from_le_bytes([a, b, c, d]).into()),
            _ => Number::Float(f64::from_le_bytes(bytes)),
        }
    }

    fn put(&self, value: Number, out: &mut [u8]) {
        let (dtype, order) = self.decoded;
        let bytes = match dtype {
            DType::Float64 => value.float().to_bits(),
            DType::Float32 => (value.single()).to_bits().into(),
            DType::Float16 => f16::from_f64(value.float()).to_bits().into(),
            // The lowest bytes are those of all widths.
            _ => value.bits().cast_unsigned(),
        };
        let size = out.len().min(8);
        out[..size].copy_from_slice(&bytes.to_le_bytes()[..size]);
        if order == ByteOrder::Big {
            out[..size].reverse();
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i64),
    Wide(u64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Wide(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// In single precision, rounded once.
    #[expect(clippy::cast_possible_truncation, reason = "as NumPy casts")]
    fn single(self) -> f32 {
        match self {
            Self::Int(value) => value as f32,
            Self::Wide(value) => value as f32,
            Self::Float(value) => value as f32,
        }
    }

    /// As a whole number of 64 bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as C casts")]
    fn bits(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::Wide(value) => value.cast_signed(),
            Self::Float(value) if value >= 2f64.powi(63) => (value as u64).cast_signed(),
            Self::Float(value) => value as i64,
        }
    }
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::Float16 | DType::Float32 | DType::Float64)
}

/// The nearest number of a type of floats.
#[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
fn round(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::Float16 => f16::from_f64(value).to_f64(),
        DType::Float32 => f64::from(value as f32),
        _ => value,
    }
}

fn unpack(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let fail = |why: &str| Error::Codec { codec: "packbits", why: why.to_owned() };
    let (missing, packed) = bytes.split_first().ok_or_else(|| fail("it is empty"))?;
    let whole = packed.len().saturating_mul(8);
    let actual = whole.checked_sub(usize::from(*missing)).ok_or_else(|| fail("fewer than no bits"))?;
    let expected = out.len();
    let place = out.get_mut(..actual).ok_or(Error::ChunkLength { step: "packbits", expected, actual })?;
    for (i, value) in place.iter_mut().enumerate() {
        *value = packed[i / 8] >> (7 - i % 8) & 1;
    }
    Ok(actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of numcodecs are in `tests/fixtures/zarr_filters.json`.
    #[test]
    fn sizes_are_checked() {
        let little = |dtype| (dtype, ByteOrder::Little);
        let filter = NumberFilter::new(Rule::Delta, little(DType::Int16), little(DType::Int32)).unwrap();
        let mut out = [0; 8];
        assert_eq!(filter.decode(&[1, 0, 255, 255], &mut out).unwrap(), 8);
        assert_eq!(out, [1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(filter.decode(&[1, 0, 2], &mut out).is_err());
        assert!(filter.decode(&[0; 6], &mut out).is_err());
        assert!(NumberFilter::new(Rule::Delta, little(DType::Float32), little(DType::Int32)).is_none());
        assert!(
            unpack(&[], &mut out).is_err()
                && unpack(&[9, 1], &mut out).is_err()
                && unpack(&[0, 1, 2], &mut out).is_err()
        );
        assert_eq!(unpack(&[6, 0b1010_0000], &mut out).unwrap(), 2);
    }
}
