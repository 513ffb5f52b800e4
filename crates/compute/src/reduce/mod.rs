//! Reductions along dimensions: what they are. How values are put together is in [`accumulate`].
//!
//! Sums are kept in double precision, of integers in 64 bits that wrap. Along the last dimension of an array values go to 16
//! lanes by their position, along others they are added in order; several dimensions are reduced from the last to the first. So
//! the result has the same bits however the array is cut.

pub(crate) mod accumulate;
pub(crate) mod extreme;
pub(crate) mod lanes;
mod real;
mod rows;

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::DType;
use crate::expr::cuts::Cuts;

/// What becomes of the values along a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The product.
    Prod,
    /// The mean.
    Mean,
    /// The variance.
    Var,
    /// The standard deviation.
    Std,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The number of values that are not missing.
    Count,
    /// True if one value is not 0.
    Any,
    /// True if no value is 0.
    All,
    /// The position of the first smallest value.
    Argmin,
    /// The position of the first largest value.
    Argmax,
}

/// What NaN does to a reduction of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// It is left out (`skipna=True`).
    #[default]
    Skip,
    /// It makes the result NaN (`skipna=False`).
    Propagate,
}

/// How a reduction is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReduceOptions {
    /// What NaN does.
    pub missing: Missing,
    /// What is subtracted from the number of values in a variance.
    pub ddof: u32,
    /// Sums and products of fewer values are NaN.
    pub min_count: u64,
}

impl Default for ReduceOptions {
    fn default() -> Self {
        Self { missing: Missing::Skip, ddof: 0, min_count: 0 }
    }
}

/// Groups of positions along a dimension.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    /// The group of each position; [`NO_GROUP`] belongs to none.
    pub(crate) codes: Arc<[u32]>,
    /// Number of groups.
    pub(crate) count: u64,
}

/// The code of positions that belong to no group.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// A reduction of some dimensions.
#[derive(Debug, Clone)]
pub(crate) struct Reduce {
    pub(crate) kind: Reduction,
    /// The dimensions, in rising order; with groups one, which stays.
    pub(crate) axes: Vec<usize>,
    pub(crate) options: ReduceOptions,
    pub(crate) groups: Option<Groups>,
}

impl Reduce {
    /// The type in which values are taken, and that of the result.
    pub(crate) fn types(&self, dtype: DType) -> Result<(DType, DType), String> {
        let whole = dtype.is_integer() || dtype == DType::Bool;
        let result = match self.kind {
            Reduction::Count | Reduction::Argmin | Reduction::Argmax => DType::Int64,
            Reduction::Any | Reduction::All => DType::Bool,
            _ if dtype.is_complex() => {
                return Err(format!("values of type {dtype} have no {}; take real, imag or absolute", self.name()));
            }
            Reduction::Sum | Reduction::Prod if dtype.is_unsigned() => DType::UInt64,
            Reduction::Sum | Reduction::Prod if whole => DType::Int64,
            Reduction::Mean | Reduction::Var | Reduction::Std if whole => DType::Float64,
            _ => dtype,
        };
        match self.kind {
            Reduction::Argmin | Reduction::Argmax if dtype.is_complex() => {
                Err(format!("values of type {dtype} have no order"))
            }
            Reduction::Any | Reduction::All => Ok((DType::Bool, result)),
            _ => Ok((dtype, result)),
        }
    }

    /// The name that xarray has for it.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Reduction::Sum => "sum",
            Reduction::Prod => "prod",
            Reduction::Mean => "mean",
            Reduction::Var => "var",
            Reduction::Std => "std",
            Reduction::Min => "min",
            Reduction::Max => "max",
            Reduction::Count => "count",
            Reduction::Any => "any",
            Reduction::All => "all",
            Reduction::Argmin => "argmin",
            Reduction::Argmax => "argmax",
        }
    }

    /// The shape of the result.
    pub(crate) fn shape(&self, input: &[u64]) -> Vec<u64> {
        let len = |(d, len): (usize, &u64)| match &self.groups {
            Some(groups) if self.axes.contains(&d) => Some(groups.count),
            None if self.axes.contains(&d) => None,
            _ => Some(*len),
        };
        input.iter().enumerate().filter_map(len).collect()
    }

    pub(crate) fn cuts(&self, input: &[Cuts]) -> Vec<Cuts> {
        let cuts = |(d, cuts): (usize, &Cuts)| match &self.groups {
            // All groups are made in one pass over the positions.
            Some(_) if self.axes.contains(&d) => Some(Cuts::Whole),
            None if self.axes.contains(&d) => None,
            _ => Some(cuts.clone()),
        };
        input.iter().enumerate().filter_map(cuts).collect()
    }

    /// The window of the input that a window of the result is made of.
    pub(crate) fn needed(&self, input: &[u64], window: &[Range<u64>]) -> Vec<Range<u64>> {
        let mut window = window.iter().cloned();
        let range = |(d, len): (usize, &u64)| match &self.groups {
            None if self.axes.contains(&d) => 0..*len,
            Some(groups) if self.axes.contains(&d) => groups.positions(&window.next().unwrap_or(0..0)),
            _ => window.next().unwrap_or(0..0),
        };
        input.iter().enumerate().map(range).collect()
    }
}

impl Groups {
    /// The span of positions that belong to some groups.
    fn positions(&self, groups: &Range<u64>) -> Range<u64> {
        let wanted = |code: &u32| *code != NO_GROUP && groups.contains(&u64::from(*code));
        let first = self.codes.iter().position(wanted);
        let last = self.codes.iter().rposition(wanted);
        first.zip(last).map_or(0..0, |(first, last)| first as u64..last as u64 + 1)
    }
}
