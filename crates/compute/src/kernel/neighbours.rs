//! Kernels that look at neighbouring cells: differences, stencils.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, along, around, lengths, only};
use crate::block::{Element, each_type};
use crate::cast::Value as Cell;
use crate::ops::{BinaryOp, Piece};
use crate::{Block, DType};

/// The difference of each value and the one before it along a dimension; the first means nothing and is cut off behind
/// ([`crate::DataArray::diff`]).
#[derive(Debug, Clone)]
pub struct Differences {
    /// The dimension.
    pub axis: usize,
    /// Number of dimensions.
    pub rank: usize,
}

impl Kernel for Differences {
    fn spec(&self) -> Value {
        json!({"kernel": "diff", "axis": self.axis})
    }

    fn reach(&self) -> Vec<Reach> {
        along(self.rank, self.axis, Reach::Halo { before: 1, after: 0 })
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        match inputs {
            [dtype] => Ok(*dtype),
            _ => Err("it takes one input".into()),
        }
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        sizes.result + 8 * sizes.cells
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let (pre, n, post) = around(&lengths(place.window), self.axis);
        let wanted = lengths(place.out)[self.axis];
        let op = if block.dtype() == DType::Bool { BinaryOp::LogicalXor } else { BinaryOp::Subtract };
        let mut out = Block::with_capacity(block.dtype(), pre * wanted * post);
        for at in 0..pre {
            let (start, end) = (at * n * post, (at + 1) * n * post);
            if wanted == n {
                // The first of the array has none before it.
                out.extend(&block.slice(start..start + post.min(end - start)));
            }
            let later = Piece::Part(&block, (start + post).min(end)..end);
            let earlier = Piece::Part(&block, start..end - post.min(end - start));
            if later.len() > 1 || (later.len() == 1 && earlier.len() == 1) {
                out.extend(&op.apply(&later, &earlier));
            }
        }
        Ok(out)
    }
}

/// What is done to the sum of a stencil.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Division {
    /// Nothing.
    None,
    /// It is divided by a number, and rounded down (Python's `//`); integers stay integers.
    Floor(i64),
    /// It is divided by a number.
    True(f64),
}

/// What cells get that have not all neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// 0.
    Zero,
    /// NaN, of floats.
    Nan,
}

/// A weighted sum of the neighbours in the last two dimensions. Terms are added from left to right and from top to bottom in the
/// type of the values; weights of 1 are not multiplied. So it has the same bits however the array is cut.
#[derive(Debug, Clone)]
pub struct Stencil {
    /// Weights, in rows of an odd number; an odd number of rows.
    pub weights: Vec<Vec<f64>>,
    /// What is done to the sum.
    pub division: Division,
    /// What cells at the border of the array get.
    pub border: Border,
    /// Number of dimensions.
    pub rank: usize,
}

impl Stencil {
    /// The sum of nine cells, divided by 9 and rounded down, with a border of zeros.
    pub fn smooth(rank: usize) -> Self {
        Self { weights: vec![vec![1.0; 3]; 3], division: Division::Floor(9), border: Border::Zero, rank }
    }

    /// Cells that are seen to each side, in rows and columns.
    fn halo(&self) -> (u64, u64) {
        let half = |n: usize| n as u64 / 2;
        (half(self.weights.len()), half(self.weights.first().map_or(0, Vec::len)))
    }
}

impl Kernel for Stencil {
    fn spec(&self) -> Value {
        json!({"kernel": "stencil", "weights": self.weights, "division": self.division, "border": self.border})
    }

    fn reach(&self) -> Vec<Reach> {
        let (rows, columns) = self.halo();
        let halo = |n: u64| Reach::Halo { before: n, after: n };
        (0..self.rank)
            .map(|d| match self.rank - d {
                1 => halo(columns),
                2 => halo(rows),
                _ => Reach::Same,
            })
            .collect()
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        let dtype = super::real(inputs)?;
        let width = self.weights.first().map_or(0, Vec::len);
        if self.rank < 2
            || self.weights.len().is_multiple_of(2)
            || width.is_multiple_of(2)
            || self.weights.iter().any(|row| row.len() != width)
        {
            return Err("a stencil has an odd number of rows of an odd number of weights, over two dimensions".into());
        }
        let whole = self.weights.iter().flatten().all(|weight| weight.fract() == 0.0);
        let stays =
            dtype.is_float() || (whole && !matches!(self.division, Division::True(_)) && self.border == Border::Zero);
        Ok(if !stays || dtype == DType::Bool { DType::Float64 } else { dtype })
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        // Sums of one row.
        sizes.result + 16 * self.weights.len() as u64
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let dtype = self.dtype(&[block.dtype()])?;
        let block = block.into_dtype(dtype);
        Ok(match &block {
            Block::Float32(values) => self.floats(values, place, |sum| match self.division {
                Division::None => sum,
                Division::Floor(by) => narrow(floor_divide(f64::from(sum), by as f64)),
                Division::True(by) => narrow(f64::from(sum) / by),
            }),
            Block::Float64(values) => self.floats(values, place, |sum| match self.division {
                Division::None => sum,
                Division::Floor(by) => floor_divide(sum, by as f64),
                Division::True(by) => sum / by,
            }),
            _ => each_type!(dtype, T => self.whole::<T>(&block, place)),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the contract")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Python's `//` of floats, which is NaN of infinity.
fn floor_divide(a: f64, b: f64) -> f64 {
    if a.is_infinite() { f64::NAN } else { (a / b).floor() }
}

/// Floats that stencils add up.
trait Term: Cell + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> {}
impl Term for f32 {}
impl Term for f64 {}

impl Stencil {
    /// Rows and columns of the result that have all neighbours, counted in the array.
    fn inner(&self, place: &Place<'_>) -> ((u64, u64), (u64, u64)) {
        let (rows, columns) = self.halo();
        let end = |d: usize, n: u64| place.shape[d].saturating_sub(n);
        ((rows, end(self.rank - 2, rows)), (columns, end(self.rank - 1, columns)))
    }

    fn floats<T: Term>(&self, values: &[T], place: &Place<'_>, divide: impl Fn(T) -> T) -> Block {
        let border = if self.border == Border::Nan { T::cast(f64::NAN) } else { T::default() };
        let weights: Vec<Vec<Option<T>>> = self
            .weights
            .iter()
            .map(|row| row.iter().map(|weight| (*weight != 1.0).then(|| T::cast(*weight))).collect())
            .collect();
        let mut sums: Vec<T> = Vec::new();
        self.each_row(values, place, border, |rows, first, out| {
            sums.clear();
            for (row, weights) in rows.iter().zip(&weights) {
                for (at, weight) in weights.iter().enumerate() {
                    let terms = &row[first + at..first + at + out.len()];
                    match weight {
                        None if sums.is_empty() => sums.extend_from_slice(terms),
                        Some(weight) if sums.is_empty() => sums.extend(terms.iter().map(|term| *term * *weight)),
                        None => sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum = *sum + *term),
                        Some(weight) => {
                            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum = *sum + *term * *weight);
                        }
                    }
                }
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = divide(*sum);
            }
        })
    }

    fn whole<T: Cell>(&self, block: &Block, place: &Place<'_>) -> Block {
        let weights: Vec<Vec<i64>> =
            self.weights.iter().map(|row| row.iter().map(|weight| i64::cast(*weight)).collect()).collect();
        self.each_row(T::of(block).unwrap_or_default(), place, T::default(), |rows, first, out| {
            for (j, out) in out.iter_mut().enumerate() {
                let mut sum = 0i64;
                for (row, weights) in rows.iter().zip(&weights) {
                    for (at, weight) in weights.iter().enumerate() {
                        sum = sum.wrapping_add(row[first + j + at].to_i64().wrapping_mul(*weight));
                    }
                }
                let by = if let Division::Floor(by) = self.division { by } else { 1 };
                let floor = sum.wrapping_div_euclid(by.unsigned_abs().try_into().unwrap_or(1));
                *out = T::cast(floor);
            }
        })
    }

    /// Shows each row of the result that has neighbours above and below, with the rows it is made of and the column of the leftmost
    /// neighbour of its first cell.
    fn each_row<T: Element>(
        &self,
        values: &[T],
        place: &Place<'_>,
        border: T,
        mut show: impl FnMut(&[&[T]], usize, &mut [T]),
    ) -> Block {
        let (given, wanted) = (lengths(place.window), lengths(place.out));
        let (d, planes) = (self.rank - 2, given[..self.rank - 2].iter().product::<usize>());
        let ((top, bottom), (left, right)) = self.inner(place);
        let (halo, halo_columns) = self.halo();
        let size = crate::expr::size;
        let mut out = vec![border; planes * wanted[d] * wanted[d + 1]];
        let columns = place.out[d + 1].start.max(left)..place.out[d + 1].end.min(right);
        if columns.is_empty() {
            return T::block(out);
        }
        let first = size(columns.start - halo_columns - place.window[d + 1].start);
        let (from, to) = (size(columns.start - place.out[d + 1].start), size(columns.end - place.out[d + 1].start));
        for plane in 0..planes {
            for row in place.out[d].clone().filter(|row| (top..bottom).contains(row)) {
                let above = plane * given[d] + size(row - halo - place.window[d].start);
                let rows: Vec<&[T]> = (0..self.weights.len())
                    .map(|at| &values[(above + at) * given[d + 1]..(above + at + 1) * given[d + 1]])
                    .collect();
                let at = (plane * wanted[d] + size(row - place.out[d].start)) * wanted[d + 1];
                show(&rows, first, &mut out[at + from..at + to]);
            }
        }
        T::block(out)
    }
}
