//! Statistics of windows that move along a dimension (xarray's `rolling`).
//!
//! Windows are put together from the values before and behind the positions that are multiples of their length (van Herk's way): three
//! operations for each value, whatever the length is, and the same bits however the array is cut.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, along, around, float, lengths, only};
use crate::reduce::Reduction;
use crate::{Block, DType};

/// How windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollingOptions {
    /// Positions of a window.
    pub window: u64,
    /// Positions of the window behind the one that it belongs to: 0, or for centred windows `(window - 1) / 2`.
    pub after: u64,
    /// Values that are not missing below which the result is NaN.
    pub min_periods: u64,
}

/// A statistic of windows along a dimension: sum, mean, min, max, count, var or std. Missing values are left out.
#[derive(Debug, Clone)]
pub struct Rolling {
    /// Which.
    pub kind: Reduction,
    /// How windows lie.
    pub options: RollingOptions,
    /// What is subtracted from the number of values in a variance.
    pub ddof: u32,
    /// The dimension.
    pub axis: usize,
    /// Number of dimensions.
    pub rank: usize,
}

impl Kernel for Rolling {
    fn spec(&self) -> Value {
        json!({"kernel": "rolling", "kind": self.kind, "axis": self.axis, "options": self.options, "ddof": self.ddof})
    }

    fn reach(&self) -> Vec<Reach> {
        let RollingOptions { window, after, .. } = self.options;
        along(self.rank, self.axis, Reach::Halo { before: window.saturating_sub(1 + after), after })
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        let dtype = float(inputs)?;
        if self.options.window == 0 || self.options.after >= self.options.window {
            return Err("a window has at least one position".into());
        }
        match self.kind {
            Reduction::Sum | Reduction::Mean | Reduction::Min | Reduction::Max | Reduction::Var | Reduction::Std => {
                Ok(dtype)
            }
            Reduction::Count => Ok(dtype),
            kind => Err(format!("there is no rolling {kind:?}")),
        }
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        // Values in double precision in place of the input, results in double precision, and as they are wanted; statistics are kept of
        // one line.
        let narrowed = if sizes.input < 8 * sizes.cells { sizes.result } else { 0 };
        (16 * sizes.cells + narrowed).saturating_sub(sizes.input)
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let result = self.dtype(&[block.dtype()])?;
        let size = around(&lengths(place.window), self.axis);
        let values = block.into_f64();
        let (from, wanted) = (place.window[self.axis].start, place.out[self.axis].clone());
        let line = Line { kernel: self, from, len: place.shape[self.axis], wanted };
        Ok(Block::Float64(line.all(&values, size)).into_dtype(result))
    }
}

/// Count, sum or mean, sum of squared distances or extreme.
#[derive(Debug, Clone, Copy)]
struct Statistic {
    count: f64,
    value: f64,
    squares: f64,
}

const NONE: Statistic = Statistic { count: 0.0, value: 0.0, squares: 0.0 };

struct Line<'a> {
    kernel: &'a Rolling,
    /// Position of the first value that is given.
    from: u64,
    /// Length of the whole dimension.
    len: u64,
    wanted: std::ops::Range<u64>,
}

impl Line<'_> {
    fn all(&self, values: &[f64], (pre, n, post): (usize, usize, usize)) -> Vec<f64> {
        let size = crate::expr::size;
        let wanted = size(self.wanted.end - self.wanted.start);
        let mut out = vec![0.0; pre * wanted * post];
        let mut column = vec![NONE; n];
        let (mut before, mut behind) = (vec![NONE; n], vec![NONE; n]);
        for (block, cell) in (0..pre).flat_map(|block| (0..post).map(move |cell| (block, cell))) {
            for (k, one) in column.iter_mut().enumerate() {
                *one = Self::one(values[(block * n + k) * post + cell]);
            }
            self.sweep(&column, &mut before, &mut behind);
            for at in 0..wanted {
                let statistic = self.window(self.wanted.start + at as u64, &before, &behind);
                out[(block * wanted + at) * post + cell] = self.finish(statistic);
            }
        }
        out
    }

    fn one(value: f64) -> Statistic {
        if value.is_nan() { NONE } else { Statistic { count: 1.0, value, squares: 0.0 } }
    }

    /// Statistics of the values from the last multiple of the window's length up to each, and from each to the next.
    fn sweep(&self, column: &[Statistic], before: &mut [Statistic], behind: &mut [Statistic]) {
        let window = self.kernel.options.window;
        let starts = |k: usize| (self.from + k as u64).is_multiple_of(window);
        for k in 0..column.len() {
            before[k] = if k == 0 || starts(k) { column[k] } else { self.merge(before[k - 1], column[k]) };
        }
        for k in (0..column.len()).rev() {
            let last = k + 1 == column.len() || starts(k + 1);
            behind[k] = if last { column[k] } else { self.merge(column[k], behind[k + 1]) };
        }
    }

    fn window(&self, at: u64, before: &[Statistic], behind: &[Statistic]) -> Statistic {
        let RollingOptions { window, after, .. } = self.kernel.options;
        let first = (at + after + 1).saturating_sub(window);
        let last = (at + after).min(self.len - 1);
        let index = |position: u64| crate::expr::size(position - self.from);
        let edge = last - last % window;
        if edge > first {
            return self.merge(behind[index(first)], before[index(last)]);
        }
        if edge == first {
            return before[index(last)];
        }
        // Within one stretch only at an end of the dimension.
        if first == 0 { before[index(last)] } else { behind[index(first)] }
    }

    fn merge(&self, a: Statistic, b: Statistic) -> Statistic {
        if a.count == 0.0 {
            return b;
        }
        if b.count == 0.0 {
            return a;
        }
        let count = a.count + b.count;
        match self.kernel.kind {
            Reduction::Min => Statistic { count, value: a.value.min(b.value), squares: 0.0 },
            Reduction::Max => Statistic { count, value: a.value.max(b.value), squares: 0.0 },
            Reduction::Var | Reduction::Std => {
                let delta = b.value - a.value;
                let squares = a.squares + b.squares + delta * delta * a.count * b.count / count;
                Statistic { count, value: a.value + delta * b.count / count, squares }
            }
            _ => Statistic { count, value: a.value + b.value, squares: 0.0 },
        }
    }

    fn finish(&self, statistic: Statistic) -> f64 {
        let Statistic { count, value, squares } = statistic;
        let Rolling { kind, options, ddof, .. } = self.kernel;
        if *kind == Reduction::Count && count >= options.min_periods as f64 {
            return count;
        }
        if count < options.min_periods as f64 || (count == 0.0 && *kind != Reduction::Sum) {
            return f64::NAN;
        }
        let var = || if count > f64::from(*ddof) { squares / (count - f64::from(*ddof)) } else { f64::NAN };
        match kind {
            Reduction::Mean => value / count,
            Reduction::Var => var(),
            Reduction::Std => var().sqrt(),
            _ => value,
        }
    }
}
