//! Functions of two values.

use num_complex::Complex;
use serde::{Deserialize, Serialize};

use super::number::{Float, Integer};
use super::{Piece, zip};
use crate::block::{Element, each_type};
use crate::cast::Value;
use crate::{Block, DType};

/// A function of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is NumPy's function of the name")]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    Minimum,
    Maximum,
    Fmin,
    Fmax,
    Arctan2,
    Hypot,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    LogicalAnd,
    LogicalOr,
    LogicalXor,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
}

impl BinaryOp {
    fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    fn is_logical(self) -> bool {
        matches!(self, Self::LogicalAnd | Self::LogicalOr | Self::LogicalXor)
    }

    fn is_bitwise(self) -> bool {
        matches!(self, Self::BitwiseAnd | Self::BitwiseOr | Self::BitwiseXor)
    }

    /// The type in which both are taken if `common` is the type that both fit, and the type of the result; `None` if there is no
    /// such function of them.
    pub(crate) fn types(self, common: DType) -> Option<(DType, DType)> {
        let ordered = !matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide);
        Some(match self {
            Self::Equal | Self::NotEqual => (common, DType::Bool),
            _ if self.is_comparison() && !common.is_complex() => (common, DType::Bool),
            _ if self.is_logical() => (DType::Bool, DType::Bool),
            _ if self.is_bitwise() => {
                let whole = common.is_integer() || common == DType::Bool;
                return whole.then_some((common, common));
            }
            _ if common.is_complex() && ordered => return None,
            Self::Divide if common.is_integer() || common == DType::Bool => (DType::Float64, DType::Float64),
            Self::Arctan2 | Self::Hypot => (common.to_inexact(), common.to_inexact()),
            Self::Subtract if common == DType::Bool => return None,
            Self::FloorDivide | Self::Remainder | Self::Power if common == DType::Bool => (DType::Int8, DType::Int8),
            _ => (common, common),
        })
    }

    /// The function of values that have the type that [`BinaryOp::types`] asks for.
    pub(crate) fn apply(self, a: &Piece<'_>, b: &Piece<'_>) -> Block {
        fn equal<T: Element>(op: BinaryOp, a: &[T], b: &[T]) -> Block {
            if op == BinaryOp::Equal { zip(a, b, |a, b| a == b) } else { zip(a, b, |a, b| a != b) }
        }
        if matches!(self, Self::Equal | Self::NotEqual) {
            return each_type!(a.dtype(), T => equal::<T>(self, a.values(), b.values()));
        }
        match a.dtype() {
            DType::Bool => self.truths(a.values(), b.values()),
            DType::Int8 => self.integers::<i8>(a.values(), b.values()),
            DType::Int16 => self.integers::<i16>(a.values(), b.values()),
            DType::Int32 => self.integers::<i32>(a.values(), b.values()),
            DType::Int64 => self.integers::<i64>(a.values(), b.values()),
            DType::UInt8 => self.integers::<u8>(a.values(), b.values()),
            DType::UInt16 => self.integers::<u16>(a.values(), b.values()),
            DType::UInt32 => self.integers::<u32>(a.values(), b.values()),
            DType::UInt64 => self.integers::<u64>(a.values(), b.values()),
            DType::Float32 => self.floats::<f32>(a.values(), b.values()),
            DType::Float64 => self.floats::<f64>(a.values(), b.values()),
            DType::Complex64 => self.complex::<f32>(a.values(), b.values()),
            DType::Complex128 => self.complex::<f64>(a.values(), b.values()),
        }
    }

    fn compare<T: Value + PartialOrd>(self, a: &[T], b: &[T]) -> Block {
        match self {
            Self::Less => zip(a, b, |a, b| a < b),
            Self::LessEqual => zip(a, b, |a, b| a <= b),
            Self::Greater => zip(a, b, |a, b| a > b),
            _ => zip(a, b, |a, b| a >= b),
        }
    }

    fn truths(self, a: &[bool], b: &[bool]) -> Block {
        match self {
            Self::Add | Self::LogicalOr | Self::BitwiseOr | Self::Maximum | Self::Fmax => zip(a, b, |a, b| a | b),
            Self::LogicalXor | Self::BitwiseXor => zip(a, b, |a, b| a ^ b),
            _ if self.is_comparison() => self.compare(a, b),
            _ => zip(a, b, |a, b| a & b),
        }
    }

    fn integers<T: Integer + Value>(self, a: &[T], b: &[T]) -> Block {
        match self {
            Self::Add => zip(a, b, T::wrapping_add),
            Self::Subtract => zip(a, b, T::wrapping_sub),
            Self::Multiply => zip(a, b, T::wrapping_mul),
            Self::FloorDivide => zip(a, b, T::floor_divide),
            Self::Remainder => zip(a, b, T::remainder),
            Self::Power => zip(a, b, T::power),
            Self::Minimum | Self::Fmin => zip(a, b, Ord::min),
            Self::Maximum | Self::Fmax => zip(a, b, Ord::max),
            Self::BitwiseAnd => zip(a, b, T::and),
            Self::BitwiseOr => zip(a, b, T::or),
            Self::BitwiseXor => zip(a, b, T::xor),
            _ => self.compare(a, b),
        }
    }

    fn floats<T: Float + Value>(self, a: &[T], b: &[T]) -> Block {
        match self {
            Self::Add => zip(a, b, |a, b| a + b),
            Self::Subtract => zip(a, b, |a, b| a - b),
            Self::Multiply => zip(a, b, |a, b| a * b),
            Self::Divide => zip(a, b, |a, b| a / b),
            Self::FloorDivide => zip(a, b, |a, b| divmod(a, b).0),
            Self::Remainder => zip(a, b, |a, b| divmod(a, b).1),
            // NumPy squares where the exponent is the number 2.
            Self::Power if matches!(b, [two] if *two == T::ONE + T::ONE) => zip(a, b, |a, _| a * a),
            Self::Power => zip(a, b, T::powf),
            Self::Minimum => zip(a, b, |a, b| if a <= b || Float::is_nan(a) { a } else { b }),
            Self::Maximum => zip(a, b, |a, b| if a >= b || Float::is_nan(a) { a } else { b }),
            Self::Fmin => zip(a, b, |a, b| if a <= b || Float::is_nan(b) { a } else { b }),
            Self::Fmax => zip(a, b, |a, b| if a >= b || Float::is_nan(b) { a } else { b }),
            Self::Arctan2 => zip(a, b, T::atan2),
            Self::Hypot => zip(a, b, T::hypot),
            _ => self.compare(a, b),
        }
    }

    fn complex<T: Float>(self, a: &[Complex<T>], b: &[Complex<T>]) -> Block
    where
        Complex<T>: Element,
    {
        let new = Complex::<T>::new;
        match self {
            Self::Add => zip(a, b, |a, b| new(a.re + b.re, a.im + b.im)),
            Self::Subtract => zip(a, b, |a, b| new(a.re - b.re, a.im - b.im)),
            Self::Multiply => zip(a, b, |a, b| new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)),
            // Smith's way, which does not overflow where the result does not.
            _ => zip(a, b, |a, b| {
                if b.re.abs() >= b.im.abs() {
                    let ratio = b.im / b.re;
                    let scale = T::ONE / (b.re + b.im * ratio);
                    new((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale)
                } else {
                    let ratio = b.re / b.im;
                    let scale = T::ONE / (b.re * ratio + b.im);
                    new((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale)
                }
            }),
        }
    }
}

/// Quotient rounded down and remainder with the sign of the divisor (`npy_divmod`).
fn divmod<T: Float>(a: T, b: T) -> (T, T) {
    let mut rest = a.fmod(b);
    if b == T::ZERO {
        return (a / b, rest);
    }
    let mut quotient = (a - rest) / b;
    if rest == T::ZERO {
        rest = T::ZERO.copysign(b);
    } else if (b < T::ZERO) != (rest < T::ZERO) {
        rest = rest + b;
        quotient = quotient - T::ONE;
    }
    if quotient == T::ZERO {
        return (T::ZERO.copysign(a / b), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > T::ONE / (T::ONE + T::ONE) { floor + T::ONE } else { floor }, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(op: BinaryOp, a: impl Into<Block>, b: impl Into<Block>) -> Block {
        let (a, b) = (a.into(), b.into());
        let (taken, result) = op.types(a.dtype().promote(b.dtype())).unwrap();
        let got = op.apply(&Piece::Own(a.into_dtype(taken)), &Piece::Own(b.into_dtype(taken)));
        assert_eq!(got.dtype(), result);
        got
    }

    #[test]
    fn whole_numbers_divide_and_wrap_as_in_numpy() {
        assert_eq!(
            of(BinaryOp::FloorDivide, vec![7i32, -7, 7, -7, 1], vec![2, 2, -2, -2, 0]),
            vec![3, -4, -4, 3, 0].into()
        );
        assert_eq!(
            of(BinaryOp::Remainder, vec![7i32, -7, 7, -7, 1], vec![2, 2, -2, -2, 0]),
            vec![1, 1, -1, -1, 0].into()
        );
        assert_eq!(of(BinaryOp::Divide, vec![1i16, 0], vec![2i16, 0]).into_f64()[0], 0.5);
        assert_eq!(of(BinaryOp::Add, vec![255u8], vec![1u8]), vec![0u8].into());
        assert_eq!(of(BinaryOp::Power, vec![3i32, -2, 2, 1], vec![4, 3, -1, -3]), vec![81, -8, 0, 1].into());
        assert_eq!(of(BinaryOp::FloorDivide, vec![i32::MIN], vec![-1]), vec![i32::MIN].into());
    }

    #[test]
    fn floats_divide_and_compare_as_in_numpy() {
        let got = of(BinaryOp::FloorDivide, vec![7.5, -7.5, 1.0, f64::INFINITY], vec![2.0, 2.0, 0.0, 2.0]).into_f64();
        assert_eq!((got[0], got[1], got[2]), (3.0, -4.0, f64::INFINITY));
        assert!(got[3].is_nan());
        assert_eq!(of(BinaryOp::Remainder, vec![-7.5, 5.0], vec![2.0, -3.0]), vec![0.5, -1.0].into());
        let nan = f64::NAN;
        let low = of(BinaryOp::Minimum, vec![nan, 1.0, 3.0], vec![1.0, nan, 2.0]).into_f64();
        assert!(low[0].is_nan() && low[1].is_nan() && low[2] == 2.0);
        assert_eq!(of(BinaryOp::Fmax, vec![nan, 1.0], vec![1.0, nan]), vec![1.0, 1.0].into());
        assert_eq!(of(BinaryOp::Less, vec![1.0, nan], vec![2i32, 2]), vec![true, false].into());
        assert_eq!(of(BinaryOp::LogicalAnd, vec![nan, 0.0], vec![true, true]), vec![true, false].into());
        let i = Complex::new(0.0f64, 1.0);
        assert_eq!(of(BinaryOp::Multiply, vec![i], vec![i]), vec![Complex::new(-1.0, 0.0)].into());
        assert_eq!(of(BinaryOp::Divide, vec![i], vec![i]), vec![Complex::new(1.0, 0.0)].into());
        assert!(BinaryOp::Less.types(DType::Complex64).is_none());
    }
}
