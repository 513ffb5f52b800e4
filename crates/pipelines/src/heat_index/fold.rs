//! All products of the heat index in one pass: sums by cell and month, sums by day.

use std::sync::Arc;

use outcrop_compute::fold::Moment;
use outcrop_compute::{Block, Fold, FoldBytes, Step};

use super::values::{DaySum, Rule, Sums, Ways, add_day};

/// A step of the time axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    /// How its values are stored.
    pub(super) rule: Rule,
    /// Position of its month in the list of months.
    pub(super) month: usize,
}

/// How the sums over all time are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    /// Of those of the months: sums of single precision have no digits that double precision loses.
    OfMonths,
    /// Day by day, for values of double precision.
    OfDays,
}

/// The sums that all products are made of; a step is a day.
#[derive(Debug)]
pub struct HeatFold {
    pub(super) days: Arc<[Day]>,
    /// Months of the year that occur.
    pub(super) months: usize,
    pub(super) ways: Ways,
    /// How the sums over all time are made.
    pub(super) total: Total,
    /// Bytes of a stored value.
    pub(super) stored: u64,
}

/// Sums of a column of cells.
#[derive(Debug)]
pub struct HeatState {
    cells: usize,
    /// By month; empty before its first day.
    months: Vec<Sums>,
    /// Over all time, unless it is that of the months.
    total: Sums,
    days: Vec<DaySum>,
}

/// Results of a column of cells.
#[derive(Debug)]
pub struct HeatColumn {
    /// Mean over time of each cell, then the mean of each month; NaN without a value.
    pub means: Vec<Vec<f64>>,
    /// The part of each day's sum.
    pub days: Vec<DaySum>,
}

impl Fold for HeatFold {
    type Mapped = Block;
    type State = HeatState;
    type Output = HeatColumn;

    fn bytes(&self) -> FoldBytes {
        let months = self.months as u64;
        FoldBytes { state: 12 * (months + 1), mapped: self.stored, output: 8 * (months + 1) }
    }

    /// An image is often stored in strips of few rows; each task opens a file.
    fn slab_values(&self) -> u64 {
        1 << 17
    }

    fn map(&self, inputs: Vec<Block>, _: usize) -> Block {
        inputs.into_iter().next().unwrap_or(Block::Float32(Vec::new()))
    }

    fn start(&self, cells: usize) -> HeatState {
        let mut months = Vec::new();
        months.resize_with(self.months, Sums::default);
        let total = if self.total == Total::OfDays { Sums::of(cells) } else { Sums::default() };
        HeatState { cells, months, total, days: vec![DaySum::default(); self.days.len()] }
    }

    fn apply(&self, state: &mut HeatState, mapped: &Block, first: u64) -> Step {
        let steps = mapped.len().checked_div(state.cells).unwrap_or(0);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        for step in 0..steps {
            let (Some(day), Some(sum)) = (self.days.get(first + step), state.days.get_mut(first + step)) else { break };
            let sums = &mut state.months[day.month];
            if sums.sums.is_empty() {
                *sums = Sums::of(state.cells);
            }
            *sum = add_day(mapped, step * state.cells, &day.rule, self.ways, sums);
            if self.total == Total::OfDays {
                add_day(mapped, step * state.cells, &day.rule, self.ways, &mut state.total);
            }
        }
        Step::Continue(1.0)
    }

    fn reuse(&self, mapped: Block) -> Option<Block> {
        Some(mapped)
    }

    fn key(&self) -> Option<String> {
        Some(format!("heat index {:?} {:?} {:?}", self.days, self.ways, self.total))
    }

    /// Sums by month (as many cells as there are, or none), those over all time, sums by day.
    fn save(&self, state: &HeatState, _: Moment) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 * state.cells * (state.months.len() + 1) + 32 * state.days.len() + 64);
        for sums in state.months.iter().chain([&state.total]) {
            bytes.push(u8::from(!sums.sums.is_empty()));
            bytes.extend_from_slice(bytemuck::cast_slice(&sums.sums));
            bytes.extend_from_slice(bytemuck::cast_slice(&sums.counts));
        }
        state.days.iter().for_each(|day| bytes.extend_from_slice(&day.to_bytes()));
        bytes
    }

    fn restore(&self, bytes: &[u8], cells: usize) -> Option<HeatState> {
        let (mut state, mut rest) = (self.start(cells), bytes);
        for sums in state.months.iter_mut().chain([&mut state.total]) {
            let [has] = take(&mut rest)?;
            *sums = if has == 1 { Sums::of(cells) } else { Sums::default() };
            for sum in &mut sums.sums {
                *sum = f64::from_le_bytes(take(&mut rest)?);
            }
            for count in &mut sums.counts {
                *count = u32::from_le_bytes(take(&mut rest)?);
            }
        }
        for day in &mut state.days {
            *day = DaySum::from_bytes(take(&mut rest)?);
        }
        rest.is_empty().then_some(state)
    }

    fn finish(&self, state: HeatState) -> HeatColumn {
        let mut all = if self.total == Total::OfDays { state.total } else { Sums::of(state.cells) };
        let mut means = vec![Vec::new()];
        for month in state.months {
            if self.total == Total::OfMonths {
                all.sums.iter_mut().zip(&month.sums).for_each(|(all, own)| *all += own);
                all.counts.iter_mut().zip(&month.counts).for_each(|(all, own)| *all += own);
            }
            means.push(mean(month));
        }
        means[0] = mean(all);
        HeatColumn { means, days: state.days }
    }
}

/// The first bytes, which go.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (own, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*own)
}

/// Means; NaN of no value.
fn mean(sums: Sums) -> Vec<f64> {
    let Sums { mut sums, counts } = sums;
    for (sum, count) in sums.iter_mut().zip(&counts) {
        *sum /= f64::from(*count);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat_index::values::{Masking, NanRule, Units};
    use outcrop_formats::{Attrs, DType};

    #[test]
    fn a_state_that_was_saved_goes_on_to_the_same_bits() {
        let rule = Rule::of(DType::Float32, &Attrs::new(), Some(-9999.0));
        let ways = Ways { units: Units::Celsius, nan: NanRule::Poison, masking: Masking::Nodata };
        for total in [Total::OfMonths, Total::OfDays] {
            let days = (0..40).map(|day| Day { rule, month: day / 20 }).collect();
            let fold = HeatFold { days, months: 3, ways, total, stored: 4 };
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let day = |t: u64| -> Block {
                let value =
                    |cell: u64| if (t + cell).is_multiple_of(7) { -9999.0 } else { (t * 31 + cell * 17) as f32 / 3.0 };
                (0..6).map(value).collect::<Vec<f32>>().into()
            };
            let (mut whole, mut parted) = (fold.start(6), fold.start(6));
            for t in 0..40 {
                let _ = fold.apply(&mut whole, &day(t), t);
                let _ = fold.apply(&mut parted, &day(t), t);
                if t == 11 || t == 25 {
                    let bytes = fold.save(&parted, Moment::Between);
                    assert!(fold.restore(&bytes[1..], 6).is_none() && fold.restore(&bytes, 7).is_none());
                    parted = fold.restore(&bytes, 6).unwrap();
                }
            }
            parted = fold.restore(&fold.save(&parted, Moment::Finished), 6).unwrap();
            let (want, got) = (fold.finish(whole), fold.finish(parted));
            let bits = |means: &[Vec<f64>]| means.concat().into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(&got.means), bits(&want.means));
            assert_eq!(got.days, want.days);
        }
    }
}
