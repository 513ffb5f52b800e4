//! Rows of values that are put into the states of as many cells, some of them at a time.

use std::ops::Range;

use super::accumulate::{Kept, State};
use super::extreme::Extreme;
use super::lanes::{ROWS, Summand};
use super::real::OnReal;
use super::{Missing, Reduction};
use crate::Block;
use crate::cast::Value;

/// Adds rows of values to as many cells.
pub(super) struct RowAdder<'a> {
    pub(super) state: &'a mut State,
    /// The first value, and from one row to the next.
    pub(super) from: usize,
    pub(super) step: usize,
    /// Rows: one where `at` matters.
    pub(super) count: usize,
    pub(super) to: Range<usize>,
    pub(super) at: i64,
}

impl RowAdder<'_> {
    fn row(&self, row: usize) -> Range<usize> {
        let from = self.from + row * self.step;
        from..from + self.to.len()
    }
}

impl OnReal for RowAdder<'_> {
    fn run<T: Summand>(self, values: &[T]) {
        let mut all: [&[T]; ROWS] = [&[]; ROWS];
        for (at, row) in all.iter_mut().enumerate().take(self.count) {
            *row = &values[self.row(at)];
        }
        let rows = &all[..self.count];
        let State { kind, missing, kept, .. } = self.state;
        let (to, is_product) = (self.to, *kind == Reduction::Prod);
        match kept {
            Kept::Sums { sums, counts } if is_product => {
                for row in rows {
                    multiply(row, &mut sums[to.clone()], counts.get_mut(to.clone()));
                }
            }
            Kept::Sums { sums, counts } if counts.is_empty() => T::add_rows_plain(rows, &mut sums[to]),
            Kept::Sums { sums, counts } if *missing == Missing::Propagate => {
                T::add_rows_plain(rows, &mut sums[to.clone()]);
                counts[to].iter_mut().for_each(|count| *count += rows.len() as f64);
            }
            Kept::Sums { sums, counts } => T::add_rows(rows, &mut sums[to.clone()], &mut counts[to]),
            Kept::Whole(sums) => {
                let add =
                    |sum: i64, value: i64| if is_product { sum.wrapping_mul(value) } else { sum.wrapping_add(value) };
                each_cell(rows, &mut sums[to], |sum, value| *sum = add(*sum, value.to_i64()));
            }
            Kept::Moments { counts, means, squares } => {
                let skip = u8::from(*missing == Missing::Skip);
                T::move_rows(rows, (&mut counts[to.clone()], &mut means[to.clone()], &mut squares[to]), skip);
            }
            Kept::Extremes(best) => Extreme::of(*kind, *missing).rows(rows, best, to),
            Kept::Places { best, at } => {
                Extreme::of(*kind, *missing).places(rows[0], (best, at), to.start, self.at);
            }
            Kept::Truths(truths) if *kind == Reduction::Any => {
                each_cell(rows, &mut truths[to], |truth, value| *truth |= value.truth());
            }
            Kept::Truths(truths) => each_cell(rows, &mut truths[to], |truth, value| *truth &= value.truth()),
            Kept::Counts(counts) => {
                each_cell(rows, &mut counts[to], |count, value| *count += i64::from(!value.is_nan()));
            }
        }
    }

    fn count_complex(self, block: &Block) {
        let rows: Vec<Range<usize>> = (0..self.count).map(|row| self.row(row)).collect();
        let Kept::Counts(counts) = &mut self.state.kept else { return };
        for row in rows {
            for (count, at) in counts[self.to.clone()].iter_mut().zip(row) {
                let nan = match block {
                    Block::Complex64(values) => Value::is_nan(values[at]),
                    Block::Complex128(values) => Value::is_nan(values[at]),
                    _ => false,
                };
                *count += i64::from(!nan);
            }
        }
    }
}

fn each_cell<T: Copy, K>(rows: &[&[T]], cells: &mut [K], put: impl Fn(&mut K, T)) {
    for row in rows {
        cells.iter_mut().zip(*row).for_each(|(cell, value)| put(cell, *value));
    }
}

/// Products of as many cells; where values are counted, NaN is left out.
fn multiply<T: Summand>(row: &[T], products: &mut [f64], counts: Option<&mut [f64]>) {
    let Some(counts) = counts else {
        products.iter_mut().zip(row).for_each(|(product, value)| *product *= value.to_f64());
        return;
    };
    for ((value, product), count) in row.iter().zip(products).zip(counts).filter(|((value, _), _)| !value.is_nan()) {
        *product *= value.to_f64();
        *count += 1.0;
    }
}
