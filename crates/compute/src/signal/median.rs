//! Medians across traces, sample by sample.

use crate::reduce::Missing;

/// Samples whose medians are computed together.
const TOGETHER: usize = 16;

/// Subtracts from each sample the median of all traces at that sample. `traces` are rows of `length` samples.
///
/// - Of an even number of traces it is the mean of the two in the middle, in double precision; differences are rounded to
///   single precision. A NaN makes that sample NaN in all traces, as in NumPy.
pub fn remove_median(traces: &mut [f32], length: usize) {
    let count = traces.len().checked_div(length).unwrap_or(0);
    remove_median_along(traces, (1, count, length), Missing::Propagate);
}

/// Subtracts from each value the median of all along the middle of three dimensions, `pre` times `n` times `post` values. NaN makes all of
/// them NaN, or is left out. Computed in double precision from keys of 32 bits, tile by tile.
pub(crate) fn remove_median_along(values: &mut [f32], (pre, n, post): (usize, usize, usize), missing: Missing) {
    let mut keys = vec![vec![0u32; n]; TOGETHER.min(post.max(1))];
    let mut medians = [0f64; TOGETHER];
    for block in 0..pre {
        for cell in (0..post).step_by(TOGETHER) {
            let count = TOGETHER.min(post - cell);
            let start = block * n * post + cell;
            for k in 0..n {
                let row = &values[start + k * post..start + k * post + count];
                for (keys, value) in keys.iter_mut().zip(row) {
                    keys[k] = key32(*value);
                }
            }
            for (middle, keys) in medians.iter_mut().zip(&mut keys[..count]) {
                *middle = median(keys, missing);
            }
            for k in 0..n {
                let row = &mut values[start + k * post..start + k * post + count];
                for (value, median) in row.iter_mut().zip(&medians) {
                    *value = rounded(f64::from(*value) - median);
                }
            }
        }
    }
}

/// The median of values that have these keys, which are put in another order.
fn median(keys: &mut [u32], missing: Missing) -> f64 {
    // NaN lies beyond the infinities on both ends.
    let (low, high) = (key32(f32::NEG_INFINITY), key32(f32::INFINITY));
    let is_nan = |key: &u32| *key < low || *key > high;
    let mut keys = keys;
    if keys.iter().any(is_nan) {
        if missing == Missing::Propagate {
            return f64::NAN;
        }
        let mut at = 0;
        for from in 0..keys.len() {
            if !is_nan(&keys[from]) {
                keys.swap(at, from);
                at += 1;
            }
        }
        keys = &mut keys[..at];
    }
    if keys.is_empty() {
        return f64::NAN;
    }
    let (middle, odd) = (keys.len() / 2, keys.len() % 2 == 1);
    let (below, upper, _) = keys.select_nth_unstable(middle);
    let upper = f64::from(number32(*upper));
    let lower = below.iter().max().map(|key| f64::from(number32(*key)));
    if odd { upper } else { f64::midpoint(lower.unwrap_or(upper), upper) }
}

fn key32(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn number32(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

#[expect(clippy::cast_possible_truncation, reason = "the traces have single precision")]
fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_those_of_numpy() {
        let of = |values: &[f32]| median(&mut values.iter().map(|v| key32(*v)).collect::<Vec<_>>(), Missing::Propagate);
        assert_eq!(of(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(of(&[-0.0, 0.0]), 0.0);
        assert!(of(&[1.0, f32::NAN]).is_nan() && of(&[1.0, -f32::NAN]).is_nan() && of(&[]).is_nan());
        let mut traces = vec![1.0, f32::NAN, 2.0, 5.0, 6.0, 9.0];
        remove_median(&mut traces, 2);
        assert_eq!((traces[0], traces[2], traces[4]), (-1.0, 0.0, 4.0));
        assert!(traces[1].is_nan() && traces[3].is_nan() && traces[5].is_nan());
        remove_median(&mut [], 0);
    }
}
