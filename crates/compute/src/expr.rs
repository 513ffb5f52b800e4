//! Expressions over sources: data, not closures, so that a plan can be inspected.

use std::ops::Range;
use std::sync::Arc;

use outcrop_formats::DType;

use crate::align::{Cuts, UNCUT};
use crate::source::Source;

/// An operation with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalarOp {
    /// Value + number.
    Add(f64),
    /// Value - number.
    Subtract(f64),
    /// Value * number.
    Multiply(f64),
    /// Value / number.
    Divide(f64),
}

/// An operation of two arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// Left + right.
    Add,
    /// Left - right.
    Subtract,
    /// Left * right.
    Multiply,
    /// Left / right.
    Divide,
    /// Left where right is neither NaN nor zero, else NaN.
    Where,
}

/// Is shown a source and a window of it.
pub(crate) type Visitor<'a> = dyn FnMut(&Arc<Source>, &[Range<u64>]) + 'a;

/// A lazy array: what to do to the chunks of some files.
#[derive(Debug)]
pub(crate) enum Expr {
    Source(Arc<Source>),
    Window { input: Arc<Expr>, window: Vec<Range<u64>> },
    Scalar { input: Arc<Expr>, op: ScalarOp },
    Binary { left: Arc<Expr>, right: Arc<Expr>, op: BinaryOp },
    Coarsen { input: Arc<Expr>, window: Vec<u64> },
}

impl Expr {
    pub(crate) fn shape(&self) -> Vec<u64> {
        match self {
            Self::Source(source) => source.refs.grid.shape.clone(),
            Self::Window { window, .. } => window.iter().map(|r| r.end - r.start).collect(),
            Self::Scalar { input, .. } | Self::Binary { left: input, .. } => input.shape(),
            Self::Coarsen { input, window } => input.shape().iter().zip(window).map(|(n, w)| n / w).collect(),
        }
    }

    /// Single precision stays single with numbers and its like, as in NumPy.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Source(source) => source.dtype(),
            Self::Window { input, .. } | Self::Scalar { input, .. } | Self::Coarsen { input, .. } => input.dtype(),
            Self::Binary { left, op: BinaryOp::Where, .. } => left.dtype(),
            Self::Binary { left, right, .. } => {
                if left.dtype() == right.dtype() {
                    left.dtype()
                } else {
                    DType::Float64
                }
            }
        }
    }

    /// Where the array may be cut, per dimension.
    pub(crate) fn cuts(&self) -> Vec<Cuts> {
        match self {
            Self::Source(source) => source.refs.grid.chunk.iter().map(|c| Cuts::of_chunk(*c)).collect(),
            Self::Window { input, window } => {
                input.cuts().iter().zip(window).map(|(cuts, r)| cuts.shifted(r.start)).collect()
            }
            Self::Scalar { input, .. } => input.cuts(),
            Self::Binary { left, right, .. } => {
                left.cuts().iter().zip(right.cuts()).map(|(a, b)| if *a == UNCUT { b } else { a.and(b) }).collect()
            }
            Self::Coarsen { input, window } => input.cuts().iter().zip(window).map(|(c, w)| c.coarsened(*w)).collect(),
        }
    }

    /// Calls `f` for each source with the window of it that a window of this array needs.
    pub(crate) fn visit(&self, window: &[Range<u64>], f: &mut Visitor<'_>) {
        match self {
            Self::Source(source) => f(source, window),
            Self::Window { input, window: outer } => input.visit(&offset(window, outer), f),
            Self::Scalar { input, .. } => input.visit(window, f),
            Self::Binary { left, right, .. } => {
                left.visit(window, f);
                right.visit(window, f);
            }
            Self::Coarsen { input, window: factors } => input.visit(&scaled(window, factors), f),
        }
    }
}

/// A window of a window, in the coordinates of the outer array.
pub(crate) fn offset(inner: &[Range<u64>], outer: &[Range<u64>]) -> Vec<Range<u64>> {
    inner.iter().zip(outer).map(|(i, o)| o.start + i.start..o.start + i.end).collect()
}

/// The cells that a window of coarse cells is made of.
pub(crate) fn scaled(window: &[Range<u64>], factors: &[u64]) -> Vec<Range<u64>> {
    window.iter().zip(factors).map(|(r, f)| r.start * f..r.end * f).collect()
}
