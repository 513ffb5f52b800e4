//! Kernels: what is done to whole pieces of arrays. Adding one is implementing [`Kernel`].

mod closure;
mod coarsen;
mod cumulative;
mod fourier;
mod neighbours;
mod order;
mod rolling;
mod traces;

use std::fmt::Debug;
use std::ops::Range;

use serde_json::Value;

use crate::{Block, DType};

pub use closure::MapBlocks;
pub use coarsen::CoarsenBy;
pub use cumulative::{Cumulative, CumulativeOp};
pub use fourier::Fft2;
pub use neighbours::{Border, Differences, Division, Stencil};
pub use order::{KeepsPrecision, Quantile, RemoveMedian};
pub use rolling::{Rolling, RollingOptions};
pub use traces::{Condition, Detrend, FiltFilt, Trend};

/// What of a dimension a kernel needs, and what it leaves of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The same positions.
    Same,
    /// Also so many positions before and after, as far as there are.
    Halo {
        /// Positions before.
        before: u64,
        /// Positions after.
        after: u64,
    },
    /// So many positions become one; those of an incomplete last window are left out.
    Window(u64),
    /// All positions; so many are left.
    Whole(u64),
    /// All positions; the dimension goes.
    Gone,
}

/// Which piece a kernel is at.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Shape of the whole input.
    pub shape: &'a [u64],
    /// The window of the input that is given.
    pub window: &'a [Range<u64>],
    /// The window of the result that is wanted.
    pub out: &'a [Range<u64>],
}

/// How large a piece is.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Cells of an input.
    pub cells: u64,
    /// Bytes of all inputs.
    pub input: u64,
    /// Bytes of the result.
    pub result: u64,
}

impl Sizes {
    /// Bytes of the result where it takes the place of an input of the same type.
    fn in_place(self) -> u64 {
        if self.input == self.result { 0 } else { self.result }
    }
}

/// Computes a piece of an array from pieces of others, which have one shape.
///
/// - The same piece gives the same bits, whatever pieces came before and however the array is cut.
/// - A dimension that is [`Reach::Whole`] or [`Reach::Gone`] is given whole.
pub trait Kernel: Debug + Send + Sync {
    /// Name and parameters: `{"kernel": "rolling", ...}`.
    fn spec(&self) -> Value;
    /// What it needs of each dimension of its inputs.
    fn reach(&self) -> Vec<Reach>;
    /// The type of the result.
    ///
    /// # Errors
    /// Why values of these types cannot be taken.
    fn dtype(&self, inputs: &[DType]) -> Result<DType, String>;
    /// Bytes that it takes beside its inputs, the result among them: one that works in place takes none for it.
    fn work_bytes(&self, sizes: Sizes) -> u64;
    /// Computes a piece: values in C order.
    ///
    /// # Errors
    /// Why it cannot be computed.
    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String>;
}

/// Lengths of a window.
fn lengths(window: &[Range<u64>]) -> Vec<usize> {
    crate::expr::lengths(window)
}

/// Cells before a dimension, its length, cells behind it.
fn around(lengths: &[usize], axis: usize) -> (usize, usize, usize) {
    (lengths[..axis].iter().product(), lengths[axis], lengths[axis + 1..].iter().product())
}

/// The only input.
fn only(inputs: Vec<Block>) -> Result<Block, String> {
    let mut inputs = inputs;
    match (inputs.pop(), inputs.pop()) {
        (Some(only), None) => Ok(only),
        _ => Err("it takes one input".into()),
    }
}

/// Reach of a kernel along one of so many dimensions.
fn along(rank: usize, axis: usize, reach: Reach) -> Vec<Reach> {
    (0..rank).map(|d| if d == axis { reach } else { Reach::Same }).collect()
}

/// The type of the only input, if it is a real number.
fn real(inputs: &[DType]) -> Result<DType, String> {
    match inputs {
        [dtype] if !dtype.is_complex() => Ok(*dtype),
        [dtype] => Err(format!("it takes real numbers, not {dtype}")),
        _ => Err("it takes one input".into()),
    }
}

/// Floats keep their precision; other numbers become floats of double precision.
fn float(inputs: &[DType]) -> Result<DType, String> {
    real(inputs).map(|dtype| if dtype.is_float() { dtype } else { DType::Float64 })
}
