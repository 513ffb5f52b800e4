//! Means over windows of a plane (`xarray`'s `coarsen(boundary="trim").mean()`).

use crate::reduce::lanes::Summand;

/// Means of windows of `window = (rows, columns)` cells of a plane of `shape = (rows, columns)`.
///
/// Windows are counted from the first cell; cells of an incomplete last window are left out. NaN is skipped; a window
/// without any value is NaN. Sums are kept in double precision, row by row and then from left to right.
/// The result has `(shape.0 / window.0) * (shape.1 / window.1)` values of the input's precision.
pub fn coarsen_mean<T: Cell>(values: &[T], shape: (usize, usize), window: (usize, usize)) -> Vec<T> {
    let mut means = Means::new(shape, window);
    values.chunks_exact(shape.1.max(1)).for_each(|row| means.push(row));
    means.out
}

/// Means that grow row by row, so that the rows need not be in memory together.
pub(crate) struct Means<T> {
    shape: (usize, usize),
    window: (usize, usize),
    /// Row of the plane that comes next; after the last one a new plane begins.
    row: usize,
    sums: Vec<f64>,
    counts: Vec<f64>,
    pub(crate) out: Vec<T>,
}

impl<T: Cell> Means<T> {
    pub(crate) fn new(shape: (usize, usize), window: (usize, usize)) -> Self {
        let window = (window.0.max(1), window.1.max(1));
        let used = shape.1 / window.1 * window.1;
        Self { shape, window, row: 0, sums: vec![0.0; used], counts: vec![0.0; used], out: Vec::new() }
    }

    /// Adds the next row of the plane.
    pub(crate) fn push(&mut self, row: &[T]) {
        let at = self.row;
        self.row = if at + 1 == self.shape.0 { 0 } else { at + 1 };
        if at >= self.shape.0 / self.window.0 * self.window.0 {
            return;
        }
        if at.is_multiple_of(self.window.0) {
            self.sums.fill(0.0);
            self.counts.fill(0.0);
        }
        T::add_row(&row[..self.sums.len()], &mut self.sums, &mut self.counts);
        if (at + 1).is_multiple_of(self.window.0) {
            let windows = self.sums.chunks_exact(self.window.1).zip(self.counts.chunks_exact(self.window.1));
            self.out.extend(windows.map(|(sums, counts)| {
                let (sum, count): (f64, f64) = (sums.iter().sum(), counts.iter().sum());
                T::from_f64(sum / count)
            }));
        }
    }
}

/// A value that windows can be averaged over.
pub trait Cell: Copy {
    /// Adds a row to running sums and counts, skipping NaN.
    fn add_row(row: &[Self], sums: &mut [f64], counts: &mut [f64]);
    /// Rounds to this precision.
    fn from_f64(value: f64) -> Self;
}

impl Cell for f32 {
    fn add_row(row: &[Self], sums: &mut [f64], counts: &mut [f64]) {
        <Self as Summand>::add_rows(&[row], sums, counts);
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the contract")]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Cell for f64 {
    fn add_row(row: &[Self], sums: &mut [f64], counts: &mut [f64]) {
        <Self as Summand>::add_rows(&[row], sums, counts);
    }

    fn from_f64(value: f64) -> Self {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outcrop_testkit::{difference, npz, shared_data};

    #[test]
    fn the_last_incomplete_windows_are_trimmed_and_nan_is_skipped() {
        let nan = f32::NAN;
        let plane = [1.0, 2.0, 9.0, 3.0, nan, 9.0, nan, nan, 9.0, nan, nan, 9.0, 7.0, 7.0, 9.0];
        let got = coarsen_mean(&plane, (5, 3), (2, 2));
        assert_eq!(got[0].to_bits(), 2.0f32.to_bits());
        assert!(got[1].is_nan());
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn golden_means_agree_with_xarray() {
        let Some(folder) = shared_data("golden/e_spring") else { return };
        for (name, window) in [("coarsen_trim_f32", (4, 5)), ("coarsen_nan_f32", (3, 3))] {
            let path = folder.join(format!("{name}.npz"));
            let (v, want) = (npz::<f32>(&path, "v"), npz::<f32>(&path, "want"));
            let shape = (v.shape()[1], v.shape()[2]);
            let got: Vec<f64> = v
                .outer_iter()
                .flat_map(|plane| coarsen_mean(&plane.iter().copied().collect::<Vec<f32>>(), shape, window))
                .map(f64::from)
                .collect();
            let want: Vec<f64> = want.iter().map(|w| f64::from(*w)).collect();
            assert_eq!(difference(&got, &want, 2e-6, 2e-5), None, "{name}");
        }
        let path = folder.join("coarsen_i16.npz");
        let (v, want) = (npz::<i16>(&path, "v"), npz::<f64>(&path, "want"));
        let shape = (v.shape()[1], v.shape()[2]);
        let planes = v.outer_iter().map(|plane| plane.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>());
        let got: Vec<f64> = planes.flat_map(|plane| coarsen_mean(&plane, shape, (3, 2))).collect();
        let want: Vec<f64> = want.iter().copied().collect();
        assert_eq!(difference(&got, &want, 1e-13, 1e-12), None);
    }
}
