//! Sums and products of all values up to each (`numpy.cumsum`, `numpy.cumprod`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, along, around, lengths, only, real};
use crate::reduce::Missing;
use crate::{Block, DType};

/// Which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CumulativeOp {
    /// Sums.
    Cumsum,
    /// Products.
    Cumprod,
}

/// Sums or products along a dimension, of floats in double precision. NaN that is left out counts as 0 (of products 1).
#[derive(Debug, Clone)]
pub struct Cumulative {
    /// Which.
    pub op: CumulativeOp,
    /// What NaN does.
    pub missing: Missing,
    /// The dimension.
    pub axis: usize,
    /// Shape of the array.
    pub shape: Vec<u64>,
}

impl Kernel for Cumulative {
    fn spec(&self) -> Value {
        json!({"kernel": self.op, "axis": self.axis, "missing": self.missing})
    }

    fn reach(&self) -> Vec<Reach> {
        along(self.shape.len(), self.axis, Reach::Whole(self.shape[self.axis]))
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        let dtype = real(inputs)?;
        Ok(match dtype {
            dtype if dtype.is_float() => dtype,
            dtype if dtype.is_unsigned() => DType::UInt64,
            _ => DType::Int64,
        })
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        if sizes.input == 8 * sizes.cells { sizes.in_place() } else { sizes.result + 8 * sizes.cells }
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let result = self.dtype(&[block.dtype()])?;
        let size = around(&lengths(place.window), self.axis);
        let product = self.op == CumulativeOp::Cumprod;
        if !result.is_float() {
            let Block::Int64(mut values) = block.into_dtype(DType::Int64) else { return Err("no integers".into()) };
            run(
                &mut values,
                size,
                |all, value| if product { all.wrapping_mul(value) } else { all.wrapping_add(value) },
            );
            return Ok(Block::Int64(values).into_dtype(result));
        }
        let mut values = block.into_f64();
        if self.missing == Missing::Skip {
            let neutral = if product { 1.0 } else { 0.0 };
            for value in values.iter_mut().filter(|value| value.is_nan()) {
                *value = neutral;
            }
        }
        run(&mut values, size, |all, value| if product { all * value } else { all + value });
        Ok(Block::Float64(values).into_dtype(result))
    }
}

/// Puts each value together with the one before it.
fn run<T: Copy>(values: &mut [T], (pre, n, post): (usize, usize, usize), f: impl Fn(T, T) -> T) {
    for block in 0..pre {
        for k in 1..n {
            let at = (block * n + k) * post;
            for cell in at..at + post {
                values[cell] = f(values[cell - post], values[cell]);
            }
        }
    }
}
