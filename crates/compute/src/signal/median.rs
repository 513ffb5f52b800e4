//! Medians across traces, sample by sample.

/// Subtracts from each sample the median of all traces at that sample. `traces` are rows of `length` samples.
///
/// - Of an even number of traces it is the mean of the two in the middle, in double precision; differences are rounded to
///   single precision. A NaN makes that sample NaN in all traces, as in NumPy.
pub fn remove_median(traces: &mut [f32], length: usize) {
    let count = traces.len().checked_div(length).unwrap_or(0);
    let mut column = vec![0f32; count];
    for at in 0..if count == 0 { 0 } else { length } {
        for (value, trace) in column.iter_mut().zip(traces.chunks_exact(length)) {
            *value = trace[at];
        }
        let median = median(&mut column);
        for trace in traces.chunks_exact_mut(length) {
            trace[at] = rounded(f64::from(trace[at]) - median);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the traces have single precision")]
fn rounded(value: f64) -> f32 {
    value as f32
}

/// The median of values, which are reordered; NaN if one is.
fn median(values: &mut [f32]) -> f64 {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let upper = f64::from(*upper);
    if is_odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::midpoint(f64::from(lower), upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_those_of_numpy() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [-0.0, 0.0]), 0.0);
        assert!(median(&mut [1.0, f32::NAN]).is_nan() && median(&mut []).is_nan());
        let mut traces = vec![1.0, f32::NAN, 2.0, 5.0, 6.0, 9.0];
        remove_median(&mut traces, 2);
        assert_eq!((traces[0], traces[2], traces[4]), (-1.0, 0.0, 4.0));
        assert!(traces[1].is_nan() && traces[3].is_nan() && traces[5].is_nan());
        remove_median(&mut [], 0);
    }
}
