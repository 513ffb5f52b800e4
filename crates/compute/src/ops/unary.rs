//! Functions of one value.

use serde::{Deserialize, Serialize};

use super::Piece;
use super::number::Float;
use crate::block::{Element, each_type};
use crate::cast::Value;
use crate::{Block, DType};

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is NumPy's function of the name")]
pub enum UnaryOp {
    Negative,
    Absolute,
    Sign,
    Square,
    Sqrt,
    Exp,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sin,
    Cos,
    Tan,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Degrees,
    Radians,
    Floor,
    Ceil,
    Trunc,
    Rint,
    Isnan,
    Isfinite,
    LogicalNot,
    Real,
    Imag,
    Conj,
}

/// What of the values an operation needs.
enum Class {
    /// Keeps the type of real numbers.
    Same,
    /// Computed as floats.
    Inexact,
    /// Rounds floats; other numbers are whole already.
    Rounding,
    /// Tells something true or false.
    Test,
    /// A part of a complex number.
    Part,
}

impl UnaryOp {
    fn class(self) -> Class {
        match self {
            Self::Negative | Self::Absolute | Self::Sign | Self::Square => Class::Same,
            Self::Floor | Self::Ceil | Self::Trunc | Self::Rint => Class::Rounding,
            Self::Isnan | Self::Isfinite | Self::LogicalNot => Class::Test,
            Self::Real | Self::Imag | Self::Conj => Class::Part,
            _ => Class::Inexact,
        }
    }

    /// The type in which values of a type are taken, and the type of the result; `None` if there is no such function of them.
    pub(crate) fn types(self, dtype: DType) -> Option<(DType, DType)> {
        let real_of = |dtype| match dtype {
            DType::Complex64 => DType::Float32,
            DType::Complex128 => DType::Float64,
            other => other,
        };
        Some(match self.class() {
            Class::Same if dtype == DType::Bool && self != Self::Absolute => return None,
            Class::Same if dtype.is_complex() && matches!(self, Self::Sign) => return None,
            Class::Same if self == Self::Absolute => (dtype, real_of(dtype)),
            Class::Rounding | Class::Inexact if dtype.is_complex() => return None,
            Class::Inexact => (dtype.to_inexact(), dtype.to_inexact()),
            Class::Test => (dtype, DType::Bool),
            Class::Part if self == Self::Conj => (dtype, dtype),
            Class::Part => (dtype, real_of(dtype)),
            Class::Same | Class::Rounding => (dtype, dtype),
        })
    }

    /// The function of values that have the type that [`UnaryOp::types`] asks for.
    pub(crate) fn apply(self, piece: &Piece<'_>) -> Block {
        fn tests<T: Value>(op: UnaryOp, values: &[T]) -> Block {
            Block::Bool(match op {
                UnaryOp::Isnan => values.iter().map(|v| v.is_nan()).collect(),
                UnaryOp::LogicalNot => values.iter().map(|v| !v.truth()).collect(),
                _ => values.iter().map(|v| v.to_f64().is_finite() && v.imaginary().is_finite()).collect(),
            })
        }
        match (self.class(), piece.dtype()) {
            (Class::Test, dtype) => each_type!(dtype, T => tests::<T>(self, piece.values())),
            (Class::Part | Class::Same, DType::Complex64) => self.complex::<f32>(piece.values()),
            (Class::Part | Class::Same, DType::Complex128) => self.complex::<f64>(piece.values()),
            (_, DType::Float32) => self.float::<f32>(piece.values()),
            (_, DType::Float64) => self.float::<f64>(piece.values()),
            (_, dtype) => each_type!(dtype, T => self.whole::<T>(piece)),
        }
    }

    /// Of numbers that are whole: the sign is taken in 64 bits, which all of them fit.
    fn whole<T: Value>(self, piece: &Piece<'_>) -> Block {
        let values: &[T] = piece.values();
        let wrapped = |f: fn(i64) -> i64| T::block(values.iter().map(|v| T::cast(f(v.to_i64()))).collect());
        let unsigned = T::DTYPE.is_unsigned() || T::DTYPE == DType::Bool;
        match self {
            Self::Negative => wrapped(i64::wrapping_neg),
            Self::Square => wrapped(|v| v.wrapping_mul(v)),
            Self::Absolute if !unsigned => wrapped(i64::wrapping_abs),
            Self::Sign if unsigned => T::block(values.iter().map(|v| T::cast(v.truth())).collect()),
            Self::Sign => wrapped(i64::signum),
            Self::Imag => Block::zeros(T::DTYPE, values.len()),
            _ => T::block(values.to_vec()),
        }
    }

    fn complex<T: Float>(self, values: &[num_complex::Complex<T>]) -> Block
    where
        num_complex::Complex<T>: Element,
    {
        match self {
            Self::Imag => T::block(values.iter().map(|v| v.im).collect()),
            Self::Real => T::block(values.iter().map(|v| v.re).collect()),
            Self::Absolute => T::block(values.iter().map(|v| T::hypot(v.re, v.im)).collect()),
            Self::Negative => Element::block(values.iter().map(|v| num_complex::Complex::new(-v.re, -v.im)).collect()),
            Self::Square => {
                let square = |v: &num_complex::Complex<T>| (v.re * v.re - v.im * v.im, v.re * v.im + v.im * v.re);
                Element::block(values.iter().map(square).map(|(re, im)| num_complex::Complex::new(re, im)).collect())
            }
            _ => Element::block(values.iter().map(|v| num_complex::Complex::new(v.re, -v.im)).collect()),
        }
    }

    fn float<T: Float>(self, values: &[T]) -> Block {
        fn map<T: Element>(values: &[T], f: impl Fn(T) -> T) -> Block {
            T::block(values.iter().map(|value| f(*value)).collect())
        }
        match self {
            Self::Negative => map(values, |v| -v),
            Self::Absolute => map(values, T::abs),
            Self::Sign => map(values, |v| {
                if v > T::ZERO {
                    T::ONE
                } else if v < T::ZERO {
                    -T::ONE
                } else {
                    v + T::ZERO
                }
            }),
            Self::Square => map(values, |v| v * v),
            Self::Floor => map(values, T::floor),
            Self::Ceil => map(values, T::ceil),
            Self::Trunc => map(values, T::trunc),
            Self::Rint => map(values, T::rint),
            Self::Imag => map(values, |_| T::ZERO),
            Self::Sqrt => map(values, T::sqrt),
            Self::Degrees => map(values, T::degrees),
            Self::Radians => map(values, T::radians),
            _ => map(values, self.transcendental()),
        }
    }

    fn transcendental<T: Float>(self) -> fn(T) -> T {
        match self {
            Self::Exp => T::exp,
            Self::Expm1 => T::expm1,
            Self::Log => T::ln,
            Self::Log2 => T::log2,
            Self::Log10 => T::log10,
            Self::Log1p => T::ln_1p,
            Self::Sin => T::sin,
            Self::Cos => T::cos,
            Self::Tan => T::tan,
            Self::Arcsin => T::asin,
            Self::Arccos => T::acos,
            Self::Arctan => T::atan,
            Self::Sinh => T::sinh,
            Self::Cosh => T::cosh,
            Self::Tanh => T::tanh,
            _ => |value| value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(op: UnaryOp, block: impl Into<Block>) -> Block {
        let block = block.into();
        let (taken, result) = op.types(block.dtype()).unwrap();
        let got = op.apply(&Piece::Own(block.into_dtype(taken)));
        assert_eq!(got.dtype(), result);
        got
    }

    #[test]
    fn functions_are_those_of_numpy() {
        assert_eq!(of(UnaryOp::Rint, vec![0.5, 1.5, 2.5, -0.5]), vec![0.0, 2.0, 2.0, -0.0].into());
        assert_eq!(of(UnaryOp::Sign, vec![-3i32, 0, 7]), vec![-1i32, 0, 1].into());
        assert_eq!(of(UnaryOp::Sign, vec![-3.0f32, 0.0]), vec![-1.0f32, 0.0].into());
        assert_eq!(of(UnaryOp::Negative, vec![1u8, 0]), vec![255u8, 0].into());
        assert_eq!(of(UnaryOp::Absolute, vec![i8::MIN, -5]), vec![i8::MIN, 5].into());
        assert_eq!(of(UnaryOp::Floor, vec![-1.5, 2.0]), vec![-2.0, 2.0].into());
        assert_eq!(of(UnaryOp::Sqrt, vec![4i32, 9]), vec![2.0, 3.0].into());
        assert_eq!(of(UnaryOp::Isnan, vec![f32::NAN, 1.0]), vec![true, false].into());
        assert_eq!(of(UnaryOp::Isfinite, vec![1u8, 2]), vec![true, true].into());
        assert_eq!(of(UnaryOp::LogicalNot, vec![0i64, 2]), vec![true, false].into());
        let complex = vec![num_complex::Complex::new(3.0f64, -4.0)];
        assert_eq!(of(UnaryOp::Absolute, complex.clone()), vec![5.0].into());
        assert_eq!(of(UnaryOp::Imag, complex), vec![-4.0].into());
        assert!(UnaryOp::Negative.types(DType::Bool).is_none() && UnaryOp::Exp.types(DType::Complex64).is_none());
    }
}
