//! Numbers as operations need them.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::block::Element;

/// Floats of both precisions.
pub(super) trait Float:
    Element
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    fn abs(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn trunc(self) -> Self;
    fn rint(self) -> Self;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn expm1(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn degrees(self) -> Self;
    fn radians(self) -> Self;
    fn powf(self, other: Self) -> Self;
    fn atan2(self, other: Self) -> Self;
    fn hypot(self, other: Self) -> Self;
    fn fmod(self, other: Self) -> Self;
    fn copysign(self, other: Self) -> Self;
    fn is_nan(self) -> bool;
}

macro_rules! float {
    ($($kind:ident),*) => {$(
        impl Float for $kind {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn abs(self) -> Self { $kind::abs(self) }
            fn floor(self) -> Self { $kind::floor(self) }
            fn ceil(self) -> Self { $kind::ceil(self) }
            fn trunc(self) -> Self { $kind::trunc(self) }
            fn rint(self) -> Self { $kind::round_ties_even(self) }
            fn sqrt(self) -> Self { $kind::sqrt(self) }
            fn exp(self) -> Self { $kind::exp(self) }
            fn expm1(self) -> Self { $kind::exp_m1(self) }
            fn ln(self) -> Self { $kind::ln(self) }
            fn ln_1p(self) -> Self { $kind::ln_1p(self) }
            fn log2(self) -> Self { $kind::log2(self) }
            fn log10(self) -> Self { $kind::log10(self) }
            fn sin(self) -> Self { $kind::sin(self) }
            fn cos(self) -> Self { $kind::cos(self) }
            fn tan(self) -> Self { $kind::tan(self) }
            fn asin(self) -> Self { $kind::asin(self) }
            fn acos(self) -> Self { $kind::acos(self) }
            fn atan(self) -> Self { $kind::atan(self) }
            fn sinh(self) -> Self { $kind::sinh(self) }
            fn cosh(self) -> Self { $kind::cosh(self) }
            fn tanh(self) -> Self { $kind::tanh(self) }
            fn degrees(self) -> Self { self * (180.0 / std::$kind::consts::PI) }
            fn radians(self) -> Self { self * (std::$kind::consts::PI / 180.0) }
            fn powf(self, other: Self) -> Self { $kind::powf(self, other) }
            fn atan2(self, other: Self) -> Self { $kind::atan2(self, other) }
            fn hypot(self, other: Self) -> Self { $kind::hypot(self, other) }
            fn fmod(self, other: Self) -> Self { self % other }
            fn copysign(self, other: Self) -> Self { $kind::copysign(self, other) }
            fn is_nan(self) -> bool { $kind::is_nan(self) }
        }
    )*};
}

float!(f32, f64);

/// Integers of all sizes.
pub(super) trait Integer: Element + Ord {
    const ZERO: Self;
    fn wrapping_add(self, other: Self) -> Self;
    fn wrapping_sub(self, other: Self) -> Self;
    fn wrapping_mul(self, other: Self) -> Self;
    /// Rounded down; by 0 it is 0.
    fn floor_divide(self, other: Self) -> Self;
    /// With the sign of the divisor; by 0 it is 0.
    fn remainder(self, other: Self) -> Self;
    /// Of negative exponents 0, and of 1 and -1 what they are.
    fn power(self, exponent: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
}

macro_rules! integer {
    ($($kind:ident $floor:ident),*) => {$(
        impl Integer for $kind {
            const ZERO: Self = 0;
            fn wrapping_add(self, other: Self) -> Self { $kind::wrapping_add(self, other) }
            fn wrapping_sub(self, other: Self) -> Self { $kind::wrapping_sub(self, other) }
            fn wrapping_mul(self, other: Self) -> Self { $kind::wrapping_mul(self, other) }
            fn floor_divide(self, other: Self) -> Self { $floor!(self, other).0 }
            fn remainder(self, other: Self) -> Self { $floor!(self, other).1 }
            fn power(self, exponent: Self) -> Self {
                let (mut base, mut left, mut result) = (self, exponent, 1 as $kind);
                if left < Self::ZERO {
                    return $floor!(1 as $kind, base.wrapping_mul(base)).0.wrapping_mul(if left % 2 == 0 { 1 } else { base });
                }
                while left > 0 {
                    if left % 2 == 1 {
                        result = $kind::wrapping_mul(result, base);
                    }
                    base = $kind::wrapping_mul(base, base);
                    left /= 2;
                }
                result
            }
            fn xor(self, other: Self) -> Self { self ^ other }
            fn and(self, other: Self) -> Self { self & other }
            fn or(self, other: Self) -> Self { self | other }
        }
    )*};
}

/// Quotient and remainder of signed numbers.
macro_rules! signed {
    ($a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        if b == 0 {
            (0, 0)
        } else {
            let (quotient, rest) = (a.wrapping_div(b), a.wrapping_rem(b));
            if rest != 0 && (rest < 0) != (b < 0) { (quotient - 1, rest + b) } else { (quotient, rest) }
        }
    }};
}

/// Quotient and remainder of unsigned numbers.
macro_rules! unsigned {
    ($a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        (a.checked_div(b).unwrap_or(0), a.checked_rem(b).unwrap_or(0))
    }};
}

mod integers {
    use super::Integer;
    integer!(i8 signed, i16 signed, i32 signed, i64 signed, u8 unsigned, u16 unsigned, u32 unsigned, u64 unsigned);
}
