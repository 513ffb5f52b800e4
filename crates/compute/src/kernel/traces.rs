//! Kernels along the last dimension: trends and filters ([`crate::signal`]).

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, along, float, lengths, only, real};
use crate::signal::{Removed, Sos, Workspace, detrend, remove_mean};
use crate::{Block, DType};

/// What is subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// The mean.
    Constant,
    /// The line of least squares.
    Linear,
}

/// Subtracts trends along the last dimension (`scipy.signal.detrend`), one after the other. Computed in double precision; floats keep
/// theirs.
#[derive(Debug, Clone)]
pub struct Detrend {
    /// What is subtracted, in this order.
    pub trends: Vec<Trend>,
    /// Positions between which lines are fitted apart.
    pub breaks: Vec<usize>,
    /// Shape of the array.
    pub shape: Vec<u64>,
}

impl Kernel for Detrend {
    fn spec(&self) -> Value {
        json!({"kernel": "detrend", "trends": self.trends, "breaks": self.breaks})
    }

    fn reach(&self) -> Vec<Reach> {
        let rank = self.shape.len();
        along(rank, rank - 1, Reach::Whole(self.shape[rank - 1]))
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        float(inputs)
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        // Numbers in double precision; those that are such already stay where they are.
        if sizes.input == 8 * sizes.cells { sizes.in_place() } else { sizes.result + 8 * sizes.cells }
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let result = float(&[block.dtype()])?;
        let width = lengths(place.window).last().copied().unwrap_or(1).max(1);
        let mut values = block.into_f64();
        for trace in values.chunks_exact_mut(width) {
            for trend in &self.trends {
                match trend {
                    Trend::Constant => remove_mean(trace),
                    Trend::Linear => detrend(trace, &self.breaks).map_err(|e| e.to_string())?,
                }
            }
        }
        Ok(Block::Float64(values).into_dtype(result))
    }
}

/// Filters along the last dimension forward and backward (`scipy.signal.sosfiltfilt`), and keeps each `every`-th sample. The result has
/// double precision.
#[derive(Debug, Clone)]
pub struct FiltFilt {
    /// The filter.
    pub sos: Sos,
    /// 1 keeps all.
    pub every: u64,
    /// Shape of the array.
    pub shape: Vec<u64>,
}

impl Kernel for FiltFilt {
    fn spec(&self) -> Value {
        json!({"kernel": "sosfiltfilt", "sos": self.sos.sections(), "every": self.every})
    }

    fn reach(&self) -> Vec<Reach> {
        let rank = self.shape.len();
        along(rank, rank - 1, Reach::Whole(self.shape[rank - 1].div_ceil(self.every.max(1))))
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        real(inputs)?;
        let (len, least) = (self.shape.last().copied().unwrap_or(0), self.sos.pad_length() as u64);
        if len <= least {
            return Err(format!("traces of {len} samples are too short; the filter needs more than {least}"));
        }
        Ok(DType::Float64)
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        let width = self.shape.last().copied().unwrap_or(1).max(1);
        // The lanes of the filter, and numbers in double precision where the input has others.
        sizes.result + 128 * (width + 2 * self.sos.pad_length() as u64) + 8 * sizes.cells
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let width = lengths(place.window).last().copied().unwrap_or(1);
        let every = usize::try_from(self.every).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        let done = with_workspace(|work| match &block {
            Block::Float32(values) => self.sos.filtfilt_into((values, width), every, &mut out, work),
            Block::Float64(values) => self.sos.filtfilt_into((values, width), every, &mut out, work),
            Block::Int16(values) => self.sos.filtfilt_into((values, width), every, &mut out, work),
            Block::Int32(values) => self.sos.filtfilt_into((values, width), every, &mut out, work),
            _ => self.sos.filtfilt_into((&block.clone().into_f64()[..], width), every, &mut out, work),
        });
        done.map_err(|e| e.to_string())?;
        Ok(Block::Float64(out))
    }
}

thread_local! {
    /// The lanes of the filters of this thread. A few rows come at a time, and clean memory for each of them costs as much as they do.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

fn with_workspace<T>(work: impl FnOnce(&mut Workspace) -> T) -> T {
    WORKSPACE.with(|own| match own.try_borrow_mut() {
        Ok(mut own) => work(&mut own),
        Err(_) => work(&mut Workspace::default()),
    })
}

/// Subtracts a trend along the last dimension, filters forward and backward, and keeps each `every`-th sample: [`Detrend`] and
/// [`FiltFilt`] in one pass over the samples as they are. Computed in double precision; the result is rounded to single precision.
#[derive(Debug, Clone)]
pub struct Condition {
    /// What is subtracted from each trace.
    pub removed: Removed,
    /// The filter.
    pub filter: FiltFilt,
}

impl Kernel for Condition {
    fn spec(&self) -> Value {
        let removed = match self.removed {
            Removed::Nothing => "nothing",
            Removed::Mean => "mean",
            Removed::Line => "line",
        };
        json!({"kernel": "condition", "removed": removed, "sos": self.filter.sos.sections(), "every": self.filter.every})
    }

    fn reach(&self) -> Vec<Reach> {
        self.filter.reach()
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        self.filter.dtype(inputs).map(|_| DType::Float32)
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        self.filter.work_bytes(sizes)
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let width = lengths(place.window).last().copied().unwrap_or(1);
        let how = (self.removed, usize::try_from(self.filter.every).unwrap_or(usize::MAX));
        let (mut out, sos) = (Vec::<f32>::new(), &self.filter.sos);
        let done = with_workspace(|work| match &block {
            Block::Float32(values) => sos.condition_into((values, width), how, &mut out, work),
            Block::Float64(values) => sos.condition_into((values, width), how, &mut out, work),
            Block::Int16(values) => sos.condition_into((values, width), how, &mut out, work),
            Block::Int32(values) => sos.condition_into((values, width), how, &mut out, work),
            _ => sos.condition_into((&block.clone().into_f64()[..], width), how, &mut out, work),
        });
        done.map_err(|e| e.to_string())?;
        Ok(Block::Float32(out))
    }
}
