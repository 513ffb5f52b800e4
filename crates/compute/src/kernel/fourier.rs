//! Fourier transforms of planes (`numpy.fft.fft2`): not normalised, with a negative exponent.

use std::sync::Arc;

use num_complex::Complex;
use realfft::num_traits::Zero;
use realfft::{FftNum, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, lengths, only};
use crate::block::Element;
use crate::{Block, DType};

/// The transform of the last two dimensions. Single precision stays single; other real numbers become complex numbers of double
/// precision.
#[derive(Debug, Clone)]
pub struct Fft2 {
    /// Shape of the array.
    pub shape: Vec<u64>,
}

impl Kernel for Fft2 {
    fn spec(&self) -> Value {
        json!({"kernel": "fft2"})
    }

    fn reach(&self) -> Vec<Reach> {
        let rank = self.shape.len();
        (0..rank).map(|d| if d + 2 >= rank { Reach::Whole(self.shape[d]) } else { Reach::Same }).collect()
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        match inputs {
            [_] if self.shape.len() < 2 => Err("it has fewer than two dimensions".into()),
            [_] if self.shape.iter().rev().take(2).any(|len| *len == 0) => Err("a plane is empty".into()),
            [DType::Float32 | DType::Complex64] => Ok(DType::Complex64),
            [_] => Ok(DType::Complex128),
            _ => Err("it takes one input".into()),
        }
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        // Half a plane of complex numbers twice, and what the transforms need for a line.
        let plane: u64 = self.shape.iter().rev().take(2).product();
        sizes.result + 16 * plane + 64 * self.shape.iter().rev().take(2).sum::<u64>()
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let lengths = lengths(place.window);
        let (rows, columns) = (lengths[lengths.len() - 2], lengths[lengths.len() - 1]);
        match block {
            Block::Float32(values) => real(&values, (rows, columns)),
            Block::Complex64(values) => Ok(complex(values, (rows, columns))),
            Block::Complex128(values) => Ok(complex(values, (rows, columns))),
            other => real(&other.into_f64(), (rows, columns)),
        }
    }
}

/// Of complex numbers: rows, then columns.
fn complex<T: FftNum>(mut values: Vec<Complex<T>>, (rows, columns): (usize, usize)) -> Block
where
    Complex<T>: Element,
{
    let mut planner = FftPlanner::new();
    let (along, across) = (planner.plan_fft_forward(columns), planner.plan_fft_forward(rows));
    for plane in values.chunks_exact_mut((rows * columns).max(1)) {
        along.process(plane);
        let mut turned = vec![Complex::zero(); rows * columns];
        transpose(plane, (rows, columns), &mut turned);
        across.process(&mut turned);
        transpose(&turned, (columns, rows), plane);
    }
    Element::block(values)
}

/// Of real numbers: half of the columns, the others are their mirror images.
fn real<T: FftNum + Element>(values: &[T], (rows, columns): (usize, usize)) -> Result<Block, String>
where
    Complex<T>: Element,
{
    let along: Arc<dyn RealToComplex<T>> = RealFftPlanner::new().plan_fft_forward(columns);
    let across: Arc<dyn Fft<T>> = FftPlanner::new().plan_fft_forward(rows);
    let half = columns / 2 + 1;
    let mut line = vec![T::default(); columns];
    let mut work = along.make_scratch_vec();
    let mut spectra = vec![Complex::zero(); rows * half];
    let mut turned = vec![Complex::zero(); rows * half];
    let mut out = vec![Complex::<T>::zero(); values.len()];
    let mut scratch = vec![Complex::zero(); across.get_inplace_scratch_len()];
    let planes = values.chunks_exact((rows * columns).max(1)).zip(out.chunks_exact_mut((rows * columns).max(1)));
    for (plane, out) in planes {
        for (row, spectrum) in plane.chunks_exact(columns).zip(spectra.chunks_exact_mut(half)) {
            line.copy_from_slice(row);
            along.process_with_scratch(&mut line, spectrum, &mut work).map_err(|e| e.to_string())?;
        }
        transpose(&spectra, (rows, half), &mut turned);
        across.process_with_scratch(&mut turned, &mut scratch);
        transpose(&turned, (half, rows), &mut spectra);
        for row in 0..rows {
            let mirrored = &spectra[(rows - row) % rows * half..][..half];
            let out = &mut out[row * columns..(row + 1) * columns];
            out[..half].copy_from_slice(&spectra[row * half..(row + 1) * half]);
            for (column, out) in out.iter_mut().enumerate().skip(half) {
                *out = mirrored[columns - column].conj();
            }
        }
    }
    Ok(Element::block(out))
}

/// In tiles, so that both sides stay in the cache.
fn transpose<T: Copy>(from: &[T], (rows, columns): (usize, usize), to: &mut [T]) {
    const TILE: usize = 16;
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for row in top..(top + TILE).min(rows) {
                for column in left..(left + TILE).min(columns) {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
}
