//! A piece of an array in memory.

use outcrop_formats::DType;

/// Values of one window, in C order; missing values are NaN.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision; integers are widened to it.
    F64(Vec<f64>),
}

impl Block {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::Float32,
            Self::F64(_) => DType::Float64,
        }
    }

    /// The values in double precision.
    pub fn into_f64(self) -> Vec<f64> {
        match self {
            Self::F32(values) => values.into_iter().map(f64::from).collect(),
            Self::F64(values) => values,
        }
    }
}
