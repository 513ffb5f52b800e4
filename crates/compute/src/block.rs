//! A piece of an array in memory, of any type.

use num_complex::Complex;

use crate::DType;

/// Values of one window, in C order.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Truth values.
    Bool(Vec<bool>),
    /// Signed 8-bit integers.
    Int8(Vec<i8>),
    /// Signed 16-bit integers.
    Int16(Vec<i16>),
    /// Signed 32-bit integers.
    Int32(Vec<i32>),
    /// Signed 64-bit integers.
    Int64(Vec<i64>),
    /// Unsigned 8-bit integers.
    UInt8(Vec<u8>),
    /// Unsigned 16-bit integers.
    UInt16(Vec<u16>),
    /// Unsigned 32-bit integers.
    UInt32(Vec<u32>),
    /// Unsigned 64-bit integers.
    UInt64(Vec<u64>),
    /// Single precision; missing values are NaN.
    Float32(Vec<f32>),
    /// Double precision; missing values are NaN.
    Float64(Vec<f64>),
    /// Complex numbers of single precision.
    Complex64(Vec<Complex<f32>>),
    /// Complex numbers of double precision.
    Complex128(Vec<Complex<f64>>),
}

/// Does the same to the values of a block, whatever their type is.
macro_rules! each {
    ($block:expr, $values:ident => $body:expr) => {
        match $block {
            $crate::Block::Bool($values) => $body,
            $crate::Block::Int8($values) => $body,
            $crate::Block::Int16($values) => $body,
            $crate::Block::Int32($values) => $body,
            $crate::Block::Int64($values) => $body,
            $crate::Block::UInt8($values) => $body,
            $crate::Block::UInt16($values) => $body,
            $crate::Block::UInt32($values) => $body,
            $crate::Block::UInt64($values) => $body,
            $crate::Block::Float32($values) => $body,
            $crate::Block::Float64($values) => $body,
            $crate::Block::Complex64($values) => $body,
            $crate::Block::Complex128($values) => $body,
        }
    };
}

/// Does the same for each type of values: `$kind` is the type.
macro_rules! each_type {
    ($dtype:expr, $kind:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $kind = bool;
                $body
            }
            $crate::DType::Int8 => {
                type $kind = i8;
                $body
            }
            $crate::DType::Int16 => {
                type $kind = i16;
                $body
            }
            $crate::DType::Int32 => {
                type $kind = i32;
                $body
            }
            $crate::DType::Int64 => {
                type $kind = i64;
                $body
            }
            $crate::DType::UInt8 => {
                type $kind = u8;
                $body
            }
            $crate::DType::UInt16 => {
                type $kind = u16;
                $body
            }
            $crate::DType::UInt32 => {
                type $kind = u32;
                $body
            }
            $crate::DType::UInt64 => {
                type $kind = u64;
                $body
            }
            $crate::DType::Float32 => {
                type $kind = f32;
                $body
            }
            $crate::DType::Float64 => {
                type $kind = f64;
                $body
            }
            $crate::DType::Complex64 => {
                type $kind = num_complex::Complex<f32>;
                $body
            }
            $crate::DType::Complex128 => {
                type $kind = num_complex::Complex<f64>;
                $body
            }
        }
    };
}

pub(crate) use {each, each_type};

/// A type of values.
pub trait Element: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {
    /// Its name.
    const DTYPE: DType;
    /// Values as a block.
    fn block(values: Vec<Self>) -> Block;
    /// The values of a block of this type.
    fn of(block: &Block) -> Option<&[Self]>;
    /// The values of a block of this type, to be changed.
    fn of_mut(block: &mut Block) -> Option<&mut Vec<Self>>;
}

macro_rules! element {
    ($($kind:ty => $dtype:ident),*) => {$(
        impl Element for $kind {
            const DTYPE: DType = DType::$dtype;
            fn block(values: Vec<Self>) -> Block {
                Block::$dtype(values)
            }
            fn of(block: &Block) -> Option<&[Self]> {
                if let Block::$dtype(values) = block { Some(values) } else { None }
            }
            fn of_mut(block: &mut Block) -> Option<&mut Vec<Self>> {
                if let Block::$dtype(values) = block { Some(values) } else { None }
            }
        }
        impl From<Vec<$kind>> for Block {
            fn from(values: Vec<$kind>) -> Self {
                Self::$dtype(values)
            }
        }
    )*};
}

element!(bool => Bool, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64);
element!(u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64);
element!(f32 => Float32, f64 => Float64, Complex<f32> => Complex64, Complex<f64> => Complex128);

impl Default for Block {
    /// Without values.
    fn default() -> Self {
        Self::Bool(Vec::new())
    }
}

impl Block {
    /// Number of values.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn dtype(&self) -> DType {
        fn of<T: Element>(_: &[T]) -> DType {
            T::DTYPE
        }
        each!(self, values => of(values))
    }

    /// So many values that are 0 or false.
    pub fn zeros(dtype: DType, len: usize) -> Self {
        each_type!(dtype, T => T::block(vec![T::default(); len]))
    }

    /// Without values, with room for so many.
    pub(crate) fn with_capacity(dtype: DType, len: usize) -> Self {
        each_type!(dtype, T => T::block(Vec::with_capacity(len)))
    }

    /// So many times the first value of a block, which has one.
    pub(crate) fn repeat(one: &Self, len: usize) -> Self {
        fn of<T: Element>(values: &[T], len: usize) -> Block {
            T::block(vec![values.first().copied().unwrap_or_default(); len])
        }
        each!(one, values => of(values, len))
    }

    /// Values out of their bytes in native byte order; what does not fill a value is left out.
    pub fn from_bytes(dtype: DType, bytes: &[u8]) -> Self {
        fn of<T: Element + bytemuck::AnyBitPattern + bytemuck::NoUninit>(bytes: &[u8]) -> Block {
            T::block(bytemuck::pod_collect_to_vec(&bytes[..bytes.len() / size_of::<T>() * size_of::<T>()]))
        }
        match dtype {
            DType::Bool => Self::Bool(bytes.iter().map(|byte| *byte != 0).collect()),
            DType::Int8 => of::<i8>(bytes),
            DType::Int16 => of::<i16>(bytes),
            DType::Int32 => of::<i32>(bytes),
            DType::Int64 => of::<i64>(bytes),
            DType::UInt8 => of::<u8>(bytes),
            DType::UInt16 => of::<u16>(bytes),
            DType::UInt32 => of::<u32>(bytes),
            DType::UInt64 => of::<u64>(bytes),
            DType::Float32 => of::<f32>(bytes),
            DType::Float64 => of::<f64>(bytes),
            DType::Complex64 => of::<Complex<f32>>(bytes),
            DType::Complex128 => of::<Complex<f64>>(bytes),
        }
    }

    /// The bytes of the values in native byte order; truth values are 0 and 1.
    pub fn bytes(&self) -> &[u8] {
        each!(self, values => bytemuck::cast_slice(values))
    }

    /// The bytes of the values in native byte order, to be changed; none of truth values, which have only two.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Bool(_) => &mut [],
            Self::Int8(values) => bytemuck::cast_slice_mut(values),
            Self::Int16(values) => bytemuck::cast_slice_mut(values),
            Self::Int32(values) => bytemuck::cast_slice_mut(values),
            Self::Int64(values) => bytemuck::cast_slice_mut(values),
            Self::UInt8(values) => values,
            Self::UInt16(values) => bytemuck::cast_slice_mut(values),
            Self::UInt32(values) => bytemuck::cast_slice_mut(values),
            Self::UInt64(values) => bytemuck::cast_slice_mut(values),
            Self::Float32(values) => bytemuck::cast_slice_mut(values),
            Self::Float64(values) => bytemuck::cast_slice_mut(values),
            Self::Complex64(values) => bytemuck::cast_slice_mut(values),
            Self::Complex128(values) => bytemuck::cast_slice_mut(values),
        }
    }

    /// The values in double precision; of complex numbers the real part.
    pub fn into_f64(self) -> Vec<f64> {
        match self.into_dtype(DType::Float64) {
            Self::Float64(values) => values,
            _ => Vec::new(),
        }
    }

    /// Some of the values.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        fn of<T: Element>(values: &[T], range: std::ops::Range<usize>) -> Block {
            T::block(values[range].to_vec())
        }
        each!(self, values => of(values, range))
    }

    /// Appends values of the same type; others are not taken.
    pub(crate) fn extend(&mut self, other: &Self) {
        fn of<T: Element>(values: &mut Vec<T>, other: &Block) {
            values.extend_from_slice(T::of(other).unwrap_or_default());
        }
        each!(self, values => of(values, other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DTYPES;

    #[test]
    fn blocks_of_all_types_come_back_from_their_bytes() {
        for dtype in DTYPES {
            let mut block = Block::zeros(dtype, 3);
            block.extend(&Block::zeros(dtype, 2));
            assert_eq!((block.dtype(), block.len(), block.bytes().len()), (dtype, 5, 5 * dtype.size()));
            assert_eq!(Block::from_bytes(dtype, block.bytes()), block);
            assert_eq!(block.slice(1..3), Block::zeros(dtype, 2));
        }
    }
}
