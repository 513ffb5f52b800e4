//! The smallest and the largest of values.

use std::ops::Range;

use super::lanes::Summand;
use super::{Missing, Reduction};
use crate::Block;
use crate::cast::Value;

/// Which of two values is better.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extreme {
    pub(super) smallest: bool,
    pub(super) skip: bool,
}

impl Extreme {
    pub(super) fn of(kind: Reduction, missing: Missing) -> Self {
        Self { smallest: matches!(kind, Reduction::Min | Reduction::Argmin), skip: missing == Missing::Skip }
    }

    fn is_better<T: Value + PartialOrd>(self, value: T, best: T) -> bool {
        let beyond = if self.smallest { value < best } else { value > best };
        // Where NaN is left out, it is what all others are better than; else it is better than all others.
        beyond | if self.skip { best.is_nan() } else { value.is_nan() }
    }

    /// Puts better values of rows in place of those of as many cells.
    pub(super) fn rows<T: Summand>(self, rows: &[&[T]], best: &mut Block, to: Range<usize>) {
        if let Some(best) = T::of_mut(best) {
            T::best_rows(rows, &mut best[to], self);
        }
    }

    /// As [`Extreme::rows`], of one row, with the position `k` of what is put in place.
    pub(super) fn places<T: Value + PartialOrd>(
        self,
        row: &[T],
        (best, at): (&mut Block, &mut [i64]),
        to: usize,
        k: i64,
    ) {
        let Some(best) = T::of_mut(best) else { return };
        let cells = best[to..to + row.len()].iter_mut().zip(&mut at[to..to + row.len()]);
        for ((best, at), value) in cells.zip(row) {
            let (best_is_nan, value_is_nan) = (best.is_nan(), value.is_nan());
            let left_out = self.skip && value_is_nan;
            let stays = !self.skip && best_is_nan && *at >= 0;
            if !left_out && (*at < 0 || (!stays && self.is_better(*value, *best))) {
                (*best, *at) = (*value, k);
            }
        }
    }
}
