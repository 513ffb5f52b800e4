//! Trends of traces (`scipy.signal.detrend`, last axis).

use multiversion::multiversion;

use super::{Sample, SignalError};

/// Subtracts the mean of a trace (`type="constant"`); one NaN makes all of it NaN.
pub fn remove_mean(trace: &mut [f64]) {
    let mean = sum(trace, |_, value| value) / trace.len() as f64;
    for value in trace {
        *value -= mean;
    }
}

/// Subtracts the line of least squares from each piece of a trace between the positions `breaks` (`type="linear"`).
///
/// - A piece of one sample becomes 0. One NaN or infinity makes its piece NaN, where SciPy refuses the whole array.
/// - Sums are kept in double precision, around the middle of a piece, in an order that only its length decides.
///
/// # Errors
/// [`SignalError::Break`] for a position beyond the end.
pub fn detrend(trace: &mut [f64], breaks: &[usize]) -> Result<(), SignalError> {
    let length = trace.len();
    if let Some(at) = breaks.iter().find(|at| **at > length) {
        return Err(SignalError::Break { at: *at, length });
    }
    let mut edges: Vec<usize> = breaks.iter().copied().chain([0, length]).collect();
    edges.sort_unstable();
    edges.dedup();
    for piece in edges.windows(2) {
        line(&mut trace[piece[0]..piece[1]]);
    }
    Ok(())
}

/// A sum over positions and values in a fixed order: in lanes by position, then over the lanes.
#[inline]
fn sum<T: Sample>(values: &[T], each: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut at = 0.0;
    for part in whole {
        for ((lane, value), ahead) in lanes.iter_mut().zip(part).zip(0u8..) {
            *lane += each(at + f64::from(ahead), value.to_f64());
        }
        at += LANES as f64;
    }
    for ((lane, value), ahead) in lanes.iter_mut().zip(rest).zip(0u8..) {
        *lane += each(at + f64::from(ahead), value.to_f64());
    }
    lanes.iter().sum()
}

/// The line of least squares of values: its value in the middle, which is their mean, and its slope; that of one value is 0.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
pub(super) fn line_of<T: Sample>(values: &[T]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = sum(values, |_, value| value) / n;
    let middle = (n - 1.0) / 2.0;
    let moment = sum(values, |at, value| (at - middle) * (value - mean));
    // Of one sample it is 0 by 0.
    let slope = if values.len() > 1 { 12.0 * moment / (n * (n * n - 1.0)) } else { 0.0 };
    (mean, slope)
}

fn line(piece: &mut [f64]) {
    let (mean, slope) = line_of(piece);
    let middle = (piece.len() as f64 - 1.0) / 2.0;
    for (value, at) in piece.iter_mut().zip(0u32..) {
        *value -= mean + slope * (f64::from(at) - middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_vanish_and_breaks_are_kept_apart() {
        let mut trace: Vec<f64> = (0..50).map(|at| 3.0 + 0.5 * f64::from(at)).collect();
        trace.extend((0..50).map(|at| 100.0 - 2.0 * f64::from(at)));
        let mut whole = trace.clone();
        detrend(&mut trace, &[50]).unwrap();
        assert!(trace.iter().all(|value| value.abs() < 1e-11), "{trace:?}");
        detrend(&mut whole, &[]).unwrap();
        assert!(whole.iter().any(|value| value.abs() > 1.0));
        assert_eq!(detrend(&mut whole, &[101]), Err(SignalError::Break { at: 101, length: 100 }));
        let mut one = [7.0];
        detrend(&mut one, &[0, 1]).unwrap();
        assert_eq!(one, [0.0]);
        detrend(&mut [], &[]).unwrap();
    }

    #[test]
    fn one_missing_value_takes_its_trace() {
        let mut trace = vec![1.0, f64::NAN, 3.0];
        remove_mean(&mut trace);
        assert!(trace.iter().all(|value| value.is_nan()));
    }
}
