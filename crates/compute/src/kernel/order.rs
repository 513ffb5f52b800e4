//! Medians and quantiles along dimensions.

use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, around, float, lengths, only};
use crate::reduce::Missing;
use crate::signal::remove_median_along;
use crate::{Block, DType};

/// Cells whose values are gathered together.
const TOGETHER: usize = 16;

/// A quantile along some dimensions, by NumPy's method `linear`; `q` 0.5 is the median.
///
/// - The mean of the two in the middle, or what lies between two neighbours, is computed in double precision.
/// - Of nothing but NaN, or with one that is not left out, it is NaN.
#[derive(Debug, Clone)]
pub struct Quantile {
    /// 0 to 1.
    pub q: f64,
    /// The dimensions, in rising order.
    pub axes: Vec<usize>,
    /// What NaN does.
    pub missing: Missing,
    /// Shape of the array.
    pub shape: Vec<u64>,
    /// Whether floats keep their precision, as a median does; a quantile has double precision.
    pub keeps_precision: KeepsPrecision,
}

/// Whether the result has the precision of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepsPrecision {
    /// It has.
    Yes,
    /// It has double precision.
    No,
}

impl Kernel for Quantile {
    fn spec(&self) -> Value {
        json!({"kernel": "quantile", "q": self.q, "axes": self.axes, "missing": self.missing})
    }

    fn reach(&self) -> Vec<Reach> {
        (0..self.shape.len()).map(|d| if self.axes.contains(&d) { Reach::Gone } else { Reach::Same }).collect()
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        if !(0.0..=1.0).contains(&self.q) {
            return Err(format!("a quantile lies between 0 and 1, not at {}", self.q));
        }
        let own = float(inputs)?;
        Ok(if self.keeps_precision == KeepsPrecision::Yes { own } else { DType::Float64 })
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        let whole: u64 = self.axes.iter().map(|axis| self.shape[*axis]).product();
        let adjacent = self.axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let turned = if adjacent { 0 } else { 8 * sizes.cells };
        sizes.result + turned + 8 * whole * TOGETHER as u64 + 8 * sizes.cells / whole.max(1)
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let result = self.dtype(&[block.dtype()])?;
        let mut lengths = lengths(place.window);
        // Dimensions that go are put last, side by side.
        let kept: Vec<usize> = (0..lengths.len()).filter(|d| !self.axes.contains(d)).collect();
        let adjacent = self.axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let block = if adjacent {
            let (first, last) = (self.axes[0], self.axes[self.axes.len() - 1]);
            let whole: usize = lengths[first..=last].iter().product();
            lengths.splice(first..=last, [whole]);
            block
        } else {
            let order: Vec<usize> = kept.iter().chain(&self.axes).copied().collect();
            let own = crate::strided::Layout::of(&lengths);
            let from = crate::strided::Layout { offset: 0, strides: order.iter().map(|d| own.strides[*d]).collect() };
            let turned: Vec<usize> = order.iter().map(|d| lengths[*d]).collect();
            let mut out = Block::zeros(block.dtype(), block.len());
            crate::strided::copy_block(&block, &from, &mut out, &crate::strided::Layout::of(&turned), &turned);
            lengths = turned[..kept.len()].to_vec();
            lengths.push(turned[kept.len()..].iter().product());
            out
        };
        let axis = if adjacent { self.axes[0] } else { kept.len() };
        let (pre, n, post) = around(&lengths, axis);
        let mut out = vec![0.0; pre * post];
        let each = |cell: usize, values: &mut [u64], out: &mut Vec<f64>| out[cell] = self.of(values);
        columns(&block, (pre, n, post), |cell, values| each(cell, values, &mut out));
        Ok(Block::Float64(out).into_dtype(result))
    }
}

impl Quantile {
    fn of(&self, keys: &mut [u64]) -> f64 {
        let valid = keys.iter().filter(|key| !number(**key).is_nan()).count();
        if valid == 0 || (valid < keys.len() && self.missing == Missing::Propagate) {
            return f64::NAN;
        }
        // NaN of either sign is moved behind all others.
        if valid < keys.len() {
            let mut at = 0;
            for from in 0..keys.len() {
                if !number(keys[from]).is_nan() {
                    keys.swap(at, from);
                    at += 1;
                }
            }
        }
        quantile(&mut keys[..valid], self.q)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions within the values")]
fn quantile(keys: &mut [u64], q: f64) -> f64 {
    let place = q * (keys.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place - place.floor());
    let (_, low, above) = keys.select_nth_unstable(below);
    let low = number(*low);
    match above.iter().min().map(|key| number(*key)) {
        Some(high) if share >= 0.5 => high - (high - low) * (1.0 - share),
        Some(high) if share > 0.0 => low + (high - low) * share,
        _ => low,
    }
}

/// A number whose order among whole numbers is that of the value.
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn number(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// Shows the values of each cell along the middle dimension, as keys.
fn columns(block: &Block, (pre, n, post): (usize, usize, usize), mut show: impl FnMut(usize, &mut [u64])) {
    fn gather<T: crate::cast::Value>(values: &[T], (start, step, n): (usize, usize, usize), out: &mut [Vec<u64>]) {
        for k in 0..n {
            for (out, value) in out.iter_mut().zip(&values[start + k * step..]) {
                out[k] = key(value.to_f64());
            }
        }
    }
    let mut buffers = vec![vec![0u64; n]; TOGETHER.min(post.max(1))];
    for block_at in 0..pre {
        for cell in (0..post).step_by(TOGETHER) {
            let count = TOGETHER.min(post - cell);
            let start = block_at * n * post + cell;
            crate::block::each!(block, values => gather(values, (start, post, n), &mut buffers[..count]));
            for (at, buffer) in buffers[..count].iter_mut().enumerate() {
                show(block_at * post + cell + at, buffer);
            }
        }
    }
}

/// Subtracts from each value the median of all along a dimension, in double precision; floats keep their precision. One NaN makes all
/// of them NaN, or is left out.
#[derive(Debug, Clone)]
pub struct RemoveMedian {
    /// The dimension.
    pub axis: usize,
    /// What NaN does.
    pub missing: Missing,
    /// Shape of the array.
    pub shape: Vec<u64>,
}

impl Kernel for RemoveMedian {
    fn spec(&self) -> Value {
        json!({"kernel": "remove_median", "axis": self.axis, "missing": self.missing})
    }

    fn reach(&self) -> Vec<Reach> {
        super::along(self.shape.len(), self.axis, Reach::Whole(self.shape[self.axis]))
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        float(inputs)
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        sizes.in_place() + 4 * self.shape[self.axis] * TOGETHER as u64
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let result = self.dtype(&[block.dtype()])?;
        let size = around(&lengths(place.window), self.axis);
        match block.into_dtype(result) {
            Block::Float32(mut values) => {
                remove_median_along(&mut values, size, self.missing);
                Ok(Block::Float32(values))
            }
            block => {
                let mut values = block.into_f64();
                self.wide(&mut values, size);
                Ok(Block::Float64(values))
            }
        }
    }
}

impl RemoveMedian {
    fn wide(&self, values: &mut [f64], (pre, n, post): (usize, usize, usize)) {
        let mut keys = vec![0u64; n];
        let quantile = Quantile {
            q: 0.5,
            axes: vec![self.axis],
            missing: self.missing,
            shape: self.shape.clone(),
            keeps_precision: KeepsPrecision::Yes,
        };
        for (block, cell) in (0..pre).flat_map(|block| (0..post).map(move |cell| (block, cell))) {
            let start = block * n * post + cell;
            for (k, at) in (0..n).zip((start..).step_by(post)) {
                keys[k] = key(values[at]);
            }
            let median = quantile.of(&mut keys);
            for at in (start..).step_by(post).take(n) {
                values[at] -= median;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let of = |values: &[f64], q: f64| {
            let mut keys: Vec<u64> = values.iter().map(|value| key(*value)).collect();
            quantile(&mut keys, q)
        };
        assert_eq!(of(&[3.0, 1.0, 2.0, -4.0], 0.5), 1.5);
        assert_eq!(of(&[3.0, 1.0, 2.0], 1.0), 3.0);
        assert_eq!(of(&[0.0, 10.0], 0.25), 2.5);
        assert_eq!(of(&[7.0], 0.3), 7.0);
        for value in [-1.5, 0.0, -0.0, f64::INFINITY, 1e-310, -1e300] {
            assert_eq!(number(key(value)).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn the_median_of_a_column_goes() {
        let kernel = RemoveMedian { axis: 0, missing: Missing::Propagate, shape: vec![3, 2] };
        let window = [0..3, 0..2];
        let place = Place { shape: &[3, 2], window: &window, out: &window };
        let values = vec![1.0f32, f32::NAN, 2.0, 5.0, 6.0, 9.0];
        let Block::Float32(got) = kernel.apply(vec![values.clone().into()], &place).unwrap() else { panic!() };
        assert_eq!((got[0], got[2], got[4]), (-1.0, 0.0, 4.0));
        assert!(got[1].is_nan() && got[3].is_nan() && got[5].is_nan());
        let skipping = RemoveMedian { missing: Missing::Skip, ..kernel };
        let Block::Float32(got) = skipping.apply(vec![values.into()], &place).unwrap() else { panic!() };
        assert_eq!((got[3], got[5]), (-2.0, 2.0));
    }
}
