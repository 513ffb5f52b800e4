//! Values of one type as another (`numpy.ndarray.astype`).
//!
//! Floats become integers by dropping what stands behind the point; those that do not fit become the nearest that does, NaN
//! 0 (NumPy leaves both undefined). Integers wrap. Of complex numbers the real part stays. All but 0 is true, also NaN.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::cast_lossless,
    reason = "what is lost is what the conversion is defined to lose"
)]

use num_complex::Complex;

use crate::block::{Element, each, each_type};
use crate::{Block, DType};

/// A value as a value of the basic types.
pub(crate) trait Value: Element {
    fn to_f64(self) -> f64;
    fn to_f32(self) -> f32;
    fn to_i64(self) -> i64;
    fn imaginary(self) -> f64;
    fn truth(self) -> bool;
    fn is_nan(self) -> bool;
    fn cast<T: Value>(value: T) -> Self;
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn to_f64(self) -> f64 { self as f64 }
            fn to_f32(self) -> f32 { self as f32 }
            fn to_i64(self) -> i64 { self as i64 }
            fn imaginary(self) -> f64 { 0.0 }
            fn truth(self) -> bool { self != 0 }
            fn is_nan(self) -> bool { false }
            fn cast<T: Value>(value: T) -> Self {
                if T::DTYPE.is_float() || T::DTYPE.is_complex() { value.to_f64() as Self } else { value.to_i64() as Self }
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl Value for bool {
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self))
    }
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    fn imaginary(self) -> f64 {
        0.0
    }
    fn truth(self) -> bool {
        self
    }
    fn is_nan(self) -> bool {
        false
    }
    fn cast<T: Value>(value: T) -> Self {
        value.truth()
    }
}

macro_rules! floats {
    ($($kind:ty => $as:ident),*) => {$(
        impl Value for $kind {
            fn to_f64(self) -> f64 { self as f64 }
            fn to_f32(self) -> f32 { self as f32 }
            fn to_i64(self) -> i64 { self as i64 }
            fn imaginary(self) -> f64 { 0.0 }
            fn truth(self) -> bool { self != 0.0 }
            fn is_nan(self) -> bool { <$kind>::is_nan(self) }
            fn cast<T: Value>(value: T) -> Self { value.$as() }
        }
        impl Value for Complex<$kind> {
            fn to_f64(self) -> f64 { self.re as f64 }
            fn to_f32(self) -> f32 { self.re as f32 }
            fn to_i64(self) -> i64 { self.re as i64 }
            fn imaginary(self) -> f64 { self.im as f64 }
            fn truth(self) -> bool { self.re != 0.0 || self.im != 0.0 }
            fn is_nan(self) -> bool { self.re.is_nan() || self.im.is_nan() }
            fn cast<T: Value>(value: T) -> Self { Self::new(value.$as(), value.imaginary() as $kind) }
        }
    )*};
}

floats!(f32 => to_f32, f64 => to_f64);

impl Block {
    /// The values as another type; those that have it already as they are.
    #[must_use]
    pub fn into_dtype(self, dtype: DType) -> Self {
        if self.dtype() == dtype { self } else { self.cast_part(0..self.len(), dtype) }
    }

    /// Some of the values as another type.
    pub(crate) fn cast_part(&self, range: std::ops::Range<usize>, dtype: DType) -> Self {
        fn of<T: Value, U: Value>(values: &[T]) -> Block {
            U::block(values.iter().map(|value| U::cast(*value)).collect())
        }
        each!(self, values => { let part = &values[range]; each_type!(dtype, U => of::<_, U>(part)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_others_as_in_numpy() {
        let floats = Block::from(vec![1.9, -1.9, f64::NAN, 300.0]);
        assert_eq!(floats.clone().into_dtype(DType::Int32), vec![1i32, -1, 0, 300].into());
        assert_eq!(floats.into_dtype(DType::Bool), vec![true; 4].into());
        let wide = Block::from(vec![u64::MAX, 1 << 40, 3]);
        assert_eq!(wide.clone().into_dtype(DType::Int16), vec![-1i16, 0, 3].into());
        assert_eq!(wide.into_f64()[0], u64::MAX as f64);
        let complex = Block::from(vec![Complex::new(1.5f64, 2.0), Complex::new(0.0, 1.0)]);
        assert_eq!(complex.clone().into_dtype(DType::Bool), vec![true, true].into());
        assert_eq!(complex.clone().into_dtype(DType::Complex64).into_dtype(DType::Complex128), complex);
        assert_eq!(Block::from(vec![true, false]).into_f64(), [1.0, 0.0]);
        // Rounded once, not by way of double precision.
        let odd = (1i64 << 62) + (1 << 38) + 1;
        assert_eq!(Block::from(vec![odd]).into_dtype(DType::Float32), vec![odd as f32].into());
    }
}
