//! Inner loops of sums and moments, in double precision.

use multiversion::multiversion;

use crate::cast::Value;

/// Lanes that values along the last dimension go to, by their position.
pub(crate) const LANES: usize = 16;

/// One value for each lane.
pub(crate) type Lane = [f64; LANES];

/// Values that are added up.
pub(crate) trait Summand: Value {
    /// Adds a row to sums of as many cells, and counts what is not NaN; NaN is left out.
    fn add_row(row: &[Self], sums: &mut [f64], counts: &mut [f64]) {
        add_row(row, sums, counts);
    }
    /// Adds a row to sums of as many cells.
    fn add_row_plain(row: &[Self], sums: &mut [f64]) {
        add_row_plain(row, sums);
    }
    /// Adds values to lanes, the first to lane 0; NaN is left out and not counted.
    fn add_run(run: &[[Self; LANES]], sums: &mut Lane, counts: &mut Lane) {
        add_run(run, sums, counts);
    }
    /// Adds values to lanes, the first to lane 0.
    fn add_run_plain(run: &[[Self; LANES]], sums: &mut Lane) {
        add_run_plain(run, sums);
    }
    /// Adds a row to means and moments of as many cells; NaN is left out if `skip` is 1, and taken if it is 0.
    fn move_row(row: &[Self], moments: (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
        move_row(row, moments, skip);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn add_row<T: Value>(row: &[T], sums: &mut [f64], counts: &mut [f64]) {
    for ((value, sum), count) in row.iter().zip(sums).zip(counts) {
        let valid = !value.is_nan();
        *sum += if valid { value.to_f64() } else { 0.0 };
        *count += if valid { 1.0 } else { 0.0 };
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn add_row_plain<T: Value>(row: &[T], sums: &mut [f64]) {
    for (value, sum) in row.iter().zip(sums) {
        *sum += value.to_f64();
    }
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

/// Welford's way, which does not cancel.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn move_row<T: Value>(row: &[T], (counts, means, squares): (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
    for (((value, count), mean), square) in row.iter().zip(counts).zip(means).zip(squares) {
        let valid = skip == 0 || !value.is_nan();
        let value = value.to_f64();
        let more = *count + 1.0;
        let delta = value - *mean;
        let moved = *mean + delta / more;
        let grown = *square + delta * (value - moved);
        *count = if valid { more } else { *count };
        *mean = if valid { moved } else { *mean };
        *square = if valid { grown } else { *square };
    }
}

macro_rules! dispatched {
    ($($kind:ident),*) => {$(
        impl Summand for $kind {
            fn add_row(row: &[Self], sums: &mut [f64], counts: &mut [f64]) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(row: &[$kind], sums: &mut [f64], counts: &mut [f64]) {
                    add_row(row, sums, counts);
                }
                fast(row, sums, counts);
            }
            fn add_row_plain(row: &[Self], sums: &mut [f64]) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(row: &[$kind], sums: &mut [f64]) {
                    add_row_plain(row, sums);
                }
                fast(row, sums);
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
            fn move_row(row: &[Self], moments: (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
                #[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
                fn fast(row: &[$kind], moments: (&mut [f64], &mut [f64], &mut [f64]), skip: u8) {
                    move_row(row, moments, skip);
                }
                fast(row, moments, skip);
            }
        }
    )*};
}

dispatched!(f32, f64);

macro_rules! plain {
    ($($kind:ident),*) => {$(impl Summand for $kind {})*};
}

plain!(bool, i8, i16, i32, i64, u8, u16, u32, u64);
