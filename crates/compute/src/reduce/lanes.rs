//! Inner loops of sums and moments, in double precision, and of extremes.

use multiversion::multiversion;

use super::extreme::Extreme;
use crate::cast::Value;

/// Lanes that values along the last dimension go to, by their position.
pub(crate) const LANES: usize = 16;

/// One value for each lane.
pub(crate) type Lane = [f64; LANES];

/// Rows that are put in together, one after the other for each cell: what is kept for it is read and written once.
pub(crate) const ROWS: usize = 8;

/// Values that are added up.
pub(crate) trait Summand: Value + PartialOrd {
    /// Adds rows to sums of as many cells, and counts what is not NaN; NaN is left out.
    fn add_rows(rows: &[&[Self]], sums: &mut [f64], counts: &mut [f64]) {
        add_rows(rows, sums, counts);
    }
    /// Adds rows to sums of as many cells.
    fn add_rows_plain(rows: &[&[Self]], sums: &mut [f64]) {
        add_rows_plain(rows, sums);
    }
    /// Adds values to lanes, the first to lane 0; NaN is left out and not counted.
    fn add_run(run: &[[Self; LANES]], sums: &mut Lane, counts: &mut Lane) {
        add_run(run, sums, counts);
    }
    /// Adds values to lanes, the first to lane 0.
    fn add_run_plain(run: &[[Self; LANES]], sums: &mut Lane) {
        add_run_plain(run, sums);
    }
    /// Adds up to [`ROWS`] rows to counts, means and moments of as many cells; NaN is left out if `skip` is 1, and taken if it is 0.
    fn move_rows(rows: &[&[Self]], moments: (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
        move_rows(rows, moments, skip);
    }
    /// Puts better values of rows in place of those of as many cells.
    fn best_rows(rows: &[&[Self]], best: &mut [Self], extreme: Extreme) {
        best_rows(rows, best, extreme);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn add_rows<T: Value>(rows: &[&[T]], sums: &mut [f64], counts: &mut [f64]) {
    let ((whole, rest), (whole_counts, rest_counts)) = (sums.as_chunks_mut(), counts.as_chunks_mut());
    for (at, (sums, counts)) in whole.iter_mut().zip(whole_counts).enumerate() {
        let (mut s, mut c): (Lane, Lane) = (*sums, *counts);
        for values in rows.iter().filter_map(|row| row.as_chunks().0.get(at)) {
            add_run(std::slice::from_ref(values), &mut s, &mut c);
        }
        (*sums, *counts) = (s, c);
    }
    for row in rows {
        for ((value, sum), count) in tail(row).iter().zip(rest.iter_mut()).zip(rest_counts.iter_mut()) {
            let valid = !value.is_nan();
            *sum += if valid { value.to_f64() } else { 0.0 };
            *count += if valid { 1.0 } else { 0.0 };
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn add_rows_plain<T: Value>(rows: &[&[T]], sums: &mut [f64]) {
    let (whole, rest) = sums.as_chunks_mut();
    for (at, sums) in whole.iter_mut().enumerate() {
        let mut s: Lane = *sums;
        for values in rows.iter().filter_map(|row| row.as_chunks().0.get(at)) {
            add_run_plain(std::slice::from_ref(values), &mut s);
        }
        *sums = s;
    }
    for row in rows {
        for (value, sum) in tail(row).iter().zip(rest.iter_mut()) {
            *sum += value.to_f64();
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn best_rows<T: Value + PartialOrd>(rows: &[&[T]], best: &mut [T], extreme: Extreme) {
    // Where NaN is left out, it is what all others are better than; else it is better than all others.
    match extreme {
        Extreme { smallest: false, skip: true } => put_rows(rows, best, |value, best| (value > best) | best.is_nan()),
        Extreme { smallest: true, skip: true } => put_rows(rows, best, |value, best| (value < best) | best.is_nan()),
        Extreme { smallest: false, .. } => put_rows(rows, best, |value, best| (value > best) | value.is_nan()),
        Extreme { smallest: true, .. } => put_rows(rows, best, |value, best| (value < best) | value.is_nan()),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn put_rows<T: Value>(rows: &[&[T]], best: &mut [T], is_better: impl Fn(T, T) -> bool) {
    let put = |values: &[T], best: &mut [T]| {
        for (best, value) in best.iter_mut().zip(values) {
            *best = if is_better(*value, *best) { *value } else { *best };
        }
    };
    let (whole, rest) = best.as_chunks_mut::<LANES>();
    for (at, best) in whole.iter_mut().enumerate() {
        let mut own = *best;
        for values in rows.iter().filter_map(|row| row.as_chunks::<LANES>().0.get(at)) {
            put(values, &mut own);
        }
        *best = own;
    }
    for row in rows {
        put(tail(row), rest);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn tail<T>(row: &[T]) -> &[T] {
    row.as_chunks::<LANES>().1
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn add_run<T: Value>(run: &[[T; LANES]], sums: &mut Lane, counts: &mut Lane) {
    for values in run {
        for ((value, sum), count) in values.iter().zip(sums.iter_mut()).zip(counts.iter_mut()) {
            let valid = !value.is_nan();
            *sum += if valid { value.to_f64() } else { 0.0 };
            *count += if valid { 1.0 } else { 0.0 };
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn add_run_plain<T: Value>(run: &[[T; LANES]], sums: &mut Lane) {
    for values in run {
        for (value, sum) in values.iter().zip(sums.iter_mut()) {
            *sum += value.to_f64();
        }
    }
}

/// Welford's way, which does not cancel. What is divided by is turned around first: where no value is missing, it is the same for all cells.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn move_rows<T: Value>(rows: &[&[T]], (counts, means, squares): (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
    let (whole, rest) = counts.as_chunks_mut::<LANES>();
    let ((whole_means, rest_means), (whole_squares, rest_squares)) = (means.as_chunks_mut(), squares.as_chunks_mut());
    for (at, ((counts, means), squares)) in whole.iter_mut().zip(whole_means).zip(whole_squares).enumerate() {
        let of_rows = || rows.iter().filter_map(|row| row.as_chunks::<LANES>().0.get(at));
        let count = counts[0];
        let others: u32 = counts.iter().map(|own| u32::from(*own != count)).sum();
        if others == 0 {
            let inverse: [f64; ROWS] = std::array::from_fn(|row| 1.0 / (count + 1.0 + row as f64));
            let (mut m, mut s): (Lane, Lane) = (*means, *squares);
            for (values, inverse) in of_rows().zip(&inverse) {
                move_all(values, *inverse, &mut m, &mut s);
            }
            // Where a value is missing, its mean is it now.
            let missing: u32 = m.iter().map(|mean| u32::from(mean.is_nan())).sum();
            if skip == 0 || missing == 0 {
                (*counts, *means, *squares) = ([count + rows.len() as f64; LANES], m, s);
                continue;
            }
        }
        for values in of_rows() {
            move_some(values, (&mut *counts, &mut *means, &mut *squares), skip);
        }
    }
    for row in rows {
        move_some(tail(row), (&mut *rest, &mut *rest_means, &mut *rest_squares), skip);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn move_all<T: Value>(values: &[T; LANES], inverse: f64, means: &mut Lane, squares: &mut Lane) {
    for ((value, mean), square) in values.iter().zip(means.iter_mut()).zip(squares.iter_mut()) {
        let value = value.to_f64();
        let delta = value - *mean;
        *mean += delta * inverse;
        *square += delta * (value - *mean);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn move_some<T: Value>(values: &[T], (counts, means, squares): (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
    for (((value, count), mean), square) in values.iter().zip(counts).zip(means).zip(squares) {
        let valid = skip == 0 || !value.is_nan();
        let value = value.to_f64();
        let more = *count + 1.0;
        let delta = value - *mean;
        let moved = *mean + delta * (1.0 / more);
        let grown = *square + delta * (value - moved);
        *count = if valid { more } else { *count };
        *mean = if valid { moved } else { *mean };
        *square = if valid { grown } else { *square };
    }
}

macro_rules! dispatched {
    ($($kind:ident),*) => {$(
        impl Summand for $kind {
            fn add_rows(rows: &[&[Self]], sums: &mut [f64], counts: &mut [f64]) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(rows: &[&[$kind]], sums: &mut [f64], counts: &mut [f64]) {
                    add_rows(rows, sums, counts);
                }
                fast(rows, sums, counts);
            }
            fn add_rows_plain(rows: &[&[Self]], sums: &mut [f64]) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(rows: &[&[$kind]], sums: &mut [f64]) {
                    add_rows_plain(rows, sums);
                }
                fast(rows, sums);
            }
            fn add_run(run: &[[Self; LANES]], sums: &mut Lane, counts: &mut Lane) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(run: &[[$kind; LANES]], sums: &mut Lane, counts: &mut Lane) {
                    let (mut s, mut c) = (*sums, *counts);
                    add_run(run, &mut s, &mut c);
                    (*sums, *counts) = (s, c);
                }
                fast(run, sums, counts);
            }
            fn add_run_plain(run: &[[Self; LANES]], sums: &mut Lane) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(run: &[[$kind; LANES]], sums: &mut Lane) {
                    let mut s = *sums;
                    add_run_plain(run, &mut s);
                    *sums = s;
                }
                fast(run, sums);
            }
            fn move_rows(rows: &[&[Self]], moments: (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(rows: &[&[$kind]], moments: (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
                    move_rows(rows, moments, skip);
                }
                fast(rows, moments, skip);
            }
            fn best_rows(rows: &[&[Self]], best: &mut [Self], extreme: Extreme) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(rows: &[&[$kind]], best: &mut [$kind], extreme: Extreme) {
                    best_rows(rows, best, extreme);
                }
                fast(rows, best, extreme);
            }
        }
    )*};
}

dispatched!(f32, f64);

macro_rules! plain {
    ($($kind:ident),*) => {$(impl Summand for $kind {})*};
}

plain!(bool, i8, i16, i32, i64, u8, u16, u32, u64);
