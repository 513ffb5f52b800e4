//! The state of a reduction: values are put in, states are put together, a result comes out.

use std::ops::Range;

use super::extreme::Extreme;
use super::lanes::{LANES, Lane, ROWS, Summand};
use super::real::{OnReal, each_real};
use super::rows::RowAdder;
use super::{Missing, Reduce, Reduction};
use crate::{Block, DType};

/// Cells whose states are worked on together: few enough to stay near.
const TOGETHER: usize = 8192;

/// A slab of values: `pre` times `n` along the dimension times `post`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slab {
    pub(crate) pre: usize,
    pub(crate) n: usize,
    pub(crate) post: usize,
    /// Position of the first along the dimension.
    pub(crate) first: u64,
}

/// Where the values of a slab lie in a block.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The first value of each position before the dimension.
    pub(crate) starts: Vec<usize>,
    /// From one position along the dimension to the next.
    pub(crate) step: usize,
}

impl Rows {
    /// Of a block that holds the slab and nothing else.
    fn of(slab: Slab) -> Self {
        Self { starts: (0..slab.pre).map(|pre| pre * slab.n * slab.post).collect(), step: slab.post }
    }
}

/// What is kept for each cell.
#[derive(Debug)]
pub(super) enum Kept {
    /// Sums or products; counts where NaN is left out.
    Sums {
        sums: Vec<f64>,
        counts: Vec<f64>,
    },
    /// Sums or products of whole numbers.
    Whole(Vec<i64>),
    Moments {
        counts: Vec<f64>,
        means: Vec<f64>,
        squares: Vec<f64>,
    },
    Extremes(Block),
    Places {
        best: Block,
        at: Vec<i64>,
    },
    Truths(Vec<bool>),
    Counts(Vec<i64>),
}

/// The state of a reduction of many cells.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) kind: Reduction,
    pub(super) missing: Missing,
    dtype: DType,
    /// Values of a cell are in lanes.
    in_lanes: bool,
    pub(super) kept: Kept,
    /// Values that were put in, of each cell, where they are not counted one by one.
    seen: u64,
}

/// How many numbers a state keeps for a cell, in bytes.
pub(crate) fn state_bytes(reduce: &Reduce, dtype: DType, in_lanes: LanesOrNot) -> u64 {
    let lanes = if in_lanes == LanesOrNot::Lanes { LANES as u64 } else { 1 };
    match reduce.kind {
        Reduction::Sum | Reduction::Prod | Reduction::Mean => {
            let whole = !dtype.is_float() && reduce.kind != Reduction::Mean;
            if whole { 8 } else { lanes * if counts_values(reduce, dtype) { 16 } else { 8 } }
        }
        Reduction::Var | Reduction::Std => 24 * lanes,
        Reduction::Min | Reduction::Max => dtype.size() as u64,
        Reduction::Argmin | Reduction::Argmax => dtype.size() as u64 + 8,
        Reduction::Any | Reduction::All => 1,
        Reduction::Count => 8,
    }
}

/// Whether the values of a cell are kept in lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LanesOrNot {
    /// One number for each lane.
    Lanes,
    /// One number.
    Not,
}

fn counts_values(reduce: &Reduce, dtype: DType) -> bool {
    // How many values a group has, only counting tells.
    (dtype.is_float() && reduce.options.missing == Missing::Skip) || reduce.groups.is_some()
}

impl State {
    /// Of so many cells without values.
    pub(crate) fn new(reduce: &Reduce, dtype: DType, cells: usize, lanes: LanesOrNot) -> Self {
        let in_lanes = lanes == LanesOrNot::Lanes
            && matches!(
                reduce.kind,
                Reduction::Sum | Reduction::Prod | Reduction::Mean | Reduction::Var | Reduction::Std
            );
        let floats = if in_lanes { cells.saturating_mul(LANES) } else { cells };
        let missing = if dtype.is_float() { reduce.options.missing } else { Missing::Propagate };
        let begin = i64::from(reduce.kind == Reduction::Prod);
        let kept = match reduce.kind {
            Reduction::Sum | Reduction::Prod if !dtype.is_float() => Kept::Whole(vec![begin; cells]),
            Reduction::Sum | Reduction::Prod | Reduction::Mean => {
                let counted = if counts_values(reduce, dtype) { floats } else { 0 };
                Kept::Sums { sums: vec![begin as f64; floats], counts: vec![0.0; counted] }
            }
            Reduction::Var | Reduction::Std => {
                Kept::Moments { counts: vec![0.0; floats], means: vec![0.0; floats], squares: vec![0.0; floats] }
            }
            Reduction::Min | Reduction::Max => Kept::Extremes(worst(reduce.kind, dtype, missing, cells)),
            Reduction::Argmin | Reduction::Argmax => {
                Kept::Places { best: worst(reduce.kind, dtype, missing, cells), at: vec![-1; cells] }
            }
            Reduction::Any => Kept::Truths(vec![false; cells]),
            Reduction::All => Kept::Truths(vec![true; cells]),
            Reduction::Count => Kept::Counts(vec![0; cells]),
        };
        let in_lanes = in_lanes && !matches!(kept, Kept::Whole(_));
        Self { kind: reduce.kind, missing, dtype, in_lanes, kept, seen: 0 }
    }

    /// Puts in a slab; `group` tells the group of its positions out of so many, where there are groups.
    pub(crate) fn add(&mut self, values: &Block, slab: Slab, groups: Option<(&[Option<usize>], usize)>) {
        self.add_rows(values, &Rows::of(slab), slab, groups);
    }

    /// As [`State::add`], of values that lie in a larger block.
    pub(crate) fn add_rows(
        &mut self,
        values: &Block,
        rows: &Rows,
        slab: Slab,
        groups: Option<(&[Option<usize>], usize)>,
    ) {
        self.seen += slab.n as u64;
        if self.in_lanes {
            each_real(values, RunAdder { state: self, slab, rows });
            return;
        }
        let per = groups.map_or(1, |(_, count)| count);
        for pre in 0..slab.pre {
            for cell in (0..slab.post).step_by(TOGETHER) {
                let len = TOGETHER.min(slab.post - cell);
                let at_once = if groups.is_some() || matches!(self.kept, Kept::Places { .. }) { 1 } else { ROWS };
                for k in (0..slab.n).step_by(at_once) {
                    let group = match groups {
                        None => 0,
                        Some((groups, _)) => match groups[k] {
                            Some(group) => group,
                            None => continue,
                        },
                    };
                    let from = rows.starts[pre] + k * rows.step + cell;
                    let to = (pre * per + group) * slab.post + cell;
                    let at = i64::try_from(slab.first + k as u64).unwrap_or(i64::MAX);
                    let count = at_once.min(slab.n - k);
                    let adder = RowAdder { state: self, from, step: rows.step, count, to: to..to + len, at };
                    each_real(values, adder);
                }
            }
        }
    }

    /// Puts in the states of cells that lie along a dimension, in order.
    pub(crate) fn merge(&mut self, other: &Self, slab: Slab) {
        for pre in 0..slab.pre {
            for k in 0..slab.n {
                for cell in 0..slab.post {
                    self.merge_cell(pre * slab.post + cell, other, (pre * slab.n + k) * slab.post + cell);
                }
            }
        }
        self.seen += other.seen * slab.n as u64;
    }

    fn merge_cell(&mut self, to: usize, other: &Self, from: usize) {
        let product = self.kind == Reduction::Prod;
        match (&mut self.kept, &other.kept) {
            (Kept::Sums { sums, counts }, Kept::Sums { sums: more, counts: more_counts }) => {
                sums[to] = if product { sums[to] * more[from] } else { sums[to] + more[from] };
                if let (Some(count), Some(more)) = (counts.get_mut(to), more_counts.get(from)) {
                    *count += more;
                }
            }
            (Kept::Whole(sums), Kept::Whole(more)) => {
                sums[to] = if product { sums[to].wrapping_mul(more[from]) } else { sums[to].wrapping_add(more[from]) };
            }
            (Kept::Moments { counts, means, squares }, Kept::Moments { counts: c, means: m, squares: s }) => {
                let merged = merge_moments((counts[to], means[to], squares[to]), (c[from], m[from], s[from]));
                (counts[to], means[to], squares[to]) = merged;
            }
            (Kept::Extremes(best), Kept::Extremes(more)) => {
                let extreme = Extreme::of(self.kind, self.missing);
                each_real(more, ExtremeMerger { extreme, best, from, to });
            }
            (Kept::Truths(truths), Kept::Truths(more)) => {
                truths[to] =
                    if self.kind == Reduction::Any { truths[to] | more[from] } else { truths[to] & more[from] };
            }
            (Kept::Counts(counts), Kept::Counts(more)) => counts[to] += more[from],
            _ => {}
        }
    }

    /// Puts the lanes of each cell together.
    pub(crate) fn without_lanes(mut self) -> Self {
        if !self.in_lanes {
            return self;
        }
        let product = self.kind == Reduction::Prod;
        let join = |values: &[f64]| -> Vec<f64> {
            let of = |lanes: &[f64]| if product { lanes.iter().product() } else { lanes.iter().sum() };
            values.chunks_exact(LANES).map(of).collect()
        };
        self.kept = match self.kept {
            Kept::Sums { sums, counts } => {
                let counted = counts.chunks_exact(LANES).map(|lanes| lanes.iter().sum()).collect();
                Kept::Sums { sums: join(&sums), counts: counted }
            }
            Kept::Moments { counts, means, squares } => {
                let lanes = counts.chunks_exact(LANES).zip(means.chunks_exact(LANES)).zip(squares.chunks_exact(LANES));
                let cells: Vec<(f64, f64, f64)> = lanes
                    .map(|((c, m), s)| {
                        (0..LANES).fold((0.0, 0.0, 0.0), |all, lane| merge_moments(all, (c[lane], m[lane], s[lane])))
                    })
                    .collect();
                Kept::Moments {
                    counts: cells.iter().map(|cell| cell.0).collect(),
                    means: cells.iter().map(|cell| cell.1).collect(),
                    squares: cells.iter().map(|cell| cell.2).collect(),
                }
            }
            other => other,
        };
        self.in_lanes = false;
        self
    }

    /// The results.
    pub(crate) fn finish(self, reduce: &Reduce) -> Result<Block, String> {
        let state = self.without_lanes();
        let (kind, dtype, seen) = (state.kind, state.dtype, state.seen as f64);
        let result = if dtype.is_float() { dtype } else { DType::Float64 };
        let least = reduce.options.min_count as f64;
        Ok(match state.kept {
            Kept::Sums { sums, counts } => {
                let count = |at: usize| counts.get(at).copied().unwrap_or(seen);
                let value = |(at, sum): (usize, f64)| match kind {
                    Reduction::Mean => sum / count(at),
                    _ if count(at) < least => f64::NAN,
                    _ => sum,
                };
                Block::Float64(sums.into_iter().enumerate().map(value).collect()).into_dtype(result)
            }
            Kept::Whole(sums) if dtype.is_unsigned() => Block::Int64(sums).into_dtype(DType::UInt64),
            Kept::Whole(sums) => Block::Int64(sums),
            Kept::Moments { counts, squares: mut values, .. } => {
                let ddof = f64::from(reduce.options.ddof);
                let var = |count: f64, square: f64| if count > ddof { square / (count - ddof) } else { f64::NAN };
                let root = |var: f64| if kind == Reduction::Std { var.sqrt() } else { var };
                values.iter_mut().zip(counts).for_each(|(value, count)| *value = root(var(count, *value)));
                Block::Float64(values).into_dtype(result)
            }
            Kept::Extremes(best) => best,
            Kept::Places { at, .. } if at.contains(&-1) => {
                return Err("all values along the dimension are missing".into());
            }
            Kept::Places { at, .. } => Block::Int64(at),
            Kept::Truths(truths) => Block::Bool(truths),
            Kept::Counts(counts) => Block::Int64(counts),
        })
    }
}

fn merge_moments(a: (f64, f64, f64), b: (f64, f64, f64)) -> (f64, f64, f64) {
    if b.0 == 0.0 {
        return a;
    }
    let count = a.0 + b.0;
    let delta = b.1 - a.1;
    (count, a.1 + delta * b.0 / count, a.2 + b.2 + delta * delta * a.0 * b.0 / count)
}

/// The value that every other is better than: NaN where NaN is left out.
fn worst(kind: Reduction, dtype: DType, missing: Missing, cells: usize) -> Block {
    let smallest = matches!(kind, Reduction::Min | Reduction::Argmin);
    let edge = if smallest { f64::INFINITY } else { f64::NEG_INFINITY };
    let one = match dtype {
        DType::Float32 | DType::Float64 if missing == Missing::Skip => Block::from(vec![f64::NAN]),
        DType::Bool => Block::from(vec![smallest]),
        DType::Int64 => Block::from(vec![if smallest { i64::MAX } else { i64::MIN }]),
        DType::UInt64 => Block::from(vec![if smallest { u64::MAX } else { 0 }]),
        // Rust's conversion takes the nearest that fits.
        _ => Block::from(vec![edge]),
    };
    Block::repeat(&one.into_dtype(dtype), cells)
}

/// Adds values along the last dimension, lane by lane.
struct RunAdder<'a> {
    state: &'a mut State,
    slab: Slab,
    rows: &'a Rows,
}

impl OnReal for RunAdder<'_> {
    fn run<T: Summand>(self, values: &[T]) {
        let Slab { pre, n, first, .. } = self.slab;
        let lane = usize::try_from(first % LANES as u64).unwrap_or(0);
        let head = ((LANES - lane) % LANES).min(n);
        for cell in 0..pre {
            let start = self.rows.starts[cell];
            let run = &values[start..start + n];
            let lanes = cell * LANES..(cell + 1) * LANES;
            let (before, rest) = run.split_at(head);
            let (whole, after) = rest.as_chunks::<LANES>();
            for (at, value) in before.iter().enumerate() {
                self.state.add_one(*value, lanes.start + lane + at);
            }
            self.state.add_lanes(whole, lanes.clone());
            for (at, value) in after.iter().enumerate() {
                self.state.add_one(*value, lanes.start + at);
            }
        }
    }

    fn count_complex(self, _: &Block) {}
}

impl State {
    fn add_one<T: Summand>(&mut self, value: T, to: usize) {
        let product = self.kind == Reduction::Prod;
        match &mut self.kept {
            Kept::Sums { sums, counts } => {
                if let Some(count) = counts.get_mut(to) {
                    if value.is_nan() {
                        return;
                    }
                    *count += 1.0;
                }
                if product { sums[to] *= value.to_f64() } else { sums[to] += value.to_f64() }
            }
            Kept::Moments { counts, means, squares } => {
                let row = (&mut counts[to..=to], &mut means[to..=to], &mut squares[to..=to]);
                T::move_rows(&[&[value]], row, u8::from(self.missing == Missing::Skip));
            }
            _ => {}
        }
    }

    fn add_lanes<T: Summand>(&mut self, run: &[[T; LANES]], to: Range<usize>) {
        fn lane(values: &mut [f64]) -> Option<&mut Lane> {
            values.as_chunks_mut::<LANES>().0.first_mut()
        }
        if self.kind == Reduction::Prod {
            for values in run {
                for (lane, value) in values.iter().enumerate() {
                    self.add_one(*value, to.start + lane);
                }
            }
            return;
        }
        match &mut self.kept {
            Kept::Sums { sums, counts } => match (lane(&mut sums[to.clone()]), counts.get_mut(to).and_then(lane)) {
                (Some(sums), Some(counts)) => T::add_run(run, sums, counts),
                (Some(sums), None) => T::add_run_plain(run, sums),
                (None, _) => {}
            },
            Kept::Moments { counts, means, squares } => {
                let skip = u8::from(self.missing == Missing::Skip);
                for group in run.chunks(ROWS) {
                    let mut rows: [&[T]; ROWS] = [&[]; ROWS];
                    rows.iter_mut().zip(group).for_each(|(row, values)| *row = values);
                    let moments = (&mut counts[to.clone()], &mut means[to.clone()], &mut squares[to.clone()]);
                    T::move_rows(&rows[..group.len()], moments, skip);
                }
            }
            _ => {}
        }
    }
}

/// Puts one extreme in place of another that is worse.
struct ExtremeMerger<'a> {
    extreme: Extreme,
    best: &'a mut Block,
    from: usize,
    to: usize,
}

impl OnReal for ExtremeMerger<'_> {
    fn run<T: Summand>(self, values: &[T]) {
        self.extreme.rows(&[&values[self.from..=self.from]], self.best, self.to..self.to + 1);
    }

    fn count_complex(self, _: &Block) {}
}
