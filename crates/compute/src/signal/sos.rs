//! Filters of second-order sections, forward and backward (`scipy.signal.sosfiltfilt`).
//!
//! Sections are applied in the transposed direct form II, in double precision: single precision cannot hold the state of poles
//! near the unit circle. Several traces go side by side, one in each lane of a vector; each lane's arithmetic is that of a trace
//! alone, so that results do not depend on how many there are.

use multiversion::multiversion;

use super::SignalError;

/// Traces side by side.
const LANES: usize = 16;
/// The values of all lanes at one sample.
type Lane = [f64; LANES];

/// A value that can be filtered.
pub trait Sample: Copy {
    /// In double precision.
    fn to_f64(self) -> f64;
    /// `2 * edge - self`, in the precision of floats; integers do not overflow.
    fn mirrored(self, edge: Self) -> f64;
}

macro_rules! sample {
    ($($kind:ty),*) => {$(
        impl Sample for $kind {
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn mirrored(self, edge: Self) -> f64 {
                2.0 * f64::from(edge) - f64::from(self)
            }
        }
    )*};
}

sample!(f64, i8, u8, i16, u16, i32, u32);

impl Sample for f32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn mirrored(self, edge: Self) -> f64 {
        f64::from(2.0 * edge - self)
    }
}

/// A filter: sections of the coefficients b0, b1, b2, a0 (which is 1), a1, a2.
#[derive(Debug, Clone, PartialEq)]
pub struct Sos {
    sections: Vec<[f64; 6]>,
}

impl Sos {
    pub(super) fn new(sections: Vec<[f64; 6]>) -> Self {
        Self { sections }
    }

    /// The sections, in the order in which they are applied.
    pub fn sections(&self) -> &[[f64; 6]] {
        &self.sections
    }

    /// Samples that are added at each end when filtering forward and backward; traces must be longer.
    pub fn pad_length(&self) -> usize {
        let zeros = |at: usize| self.sections.iter().filter(|section| section[at] == 0.0).count();
        3 * (2 * self.sections.len() + 1 - zeros(2).min(zeros(5)))
    }

    /// The state of each section after an endless step of 1 (`scipy.signal.sosfilt_zi`).
    pub fn initial(&self) -> Vec<[f64; 2]> {
        let mut scale = 1.0;
        let of = |[b0, b1, b2, _, a1, a2]: &[f64; 6]| {
            let (first, second) = (b1 - a1 * b0, b2 - a2 * b0);
            let state = (first + second) / (1.0 + a1 + a2);
            let both = [scale * state, scale * ((1.0 + a1) * state - first)];
            scale *= (b0 + b1 + b2) / (1.0 + a1 + a2);
            both
        };
        self.sections.iter().map(of).collect()
    }

    /// Filters traces forward and backward, so that nothing is shifted; `traces` are rows of `length` samples. Of the result each
    /// `every`-th sample is kept, from the first on: `ceil(length / every)` for each trace, in rows.
    ///
    /// - Ends are extended by [`Sos::pad_length`] samples, mirrored at the point of the end (`padtype="odd"`).
    /// - A NaN makes all of its trace NaN.
    ///
    /// # Errors
    /// [`SignalError::Short`] for traces that are not longer than the extension.
    pub fn filtfilt<T: Sample>(&self, traces: &[T], length: usize, every: usize) -> Result<Vec<f64>, SignalError> {
        let mut out = Vec::new();
        self.filtfilt_into((traces, length), every, &mut out, &mut Workspace::default())?;
        Ok(out)
    }

    /// Like [`Sos::filtfilt`], with memory that is used again: the result is appended to `out`.
    ///
    /// # Errors
    /// As [`Sos::filtfilt`].
    pub fn filtfilt_into<T: Sample>(
        &self,
        (traces, length): (&[T], usize),
        every: usize,
        out: &mut Vec<f64>,
        workspace: &mut Workspace,
    ) -> Result<(), SignalError> {
        let pad = self.pad_length();
        if length <= pad {
            return Err(SignalError::Short { length, least: pad });
        }
        let (every, initial) = (every.max(1), self.initial());
        let kept = length.div_ceil(every);
        let rows: Vec<&[T]> = traces.chunks_exact(length).collect();
        let begin = out.len();
        out.resize(begin + rows.len() * kept, 0.0);
        let buffer = &mut workspace.buffer;
        buffer.resize(length + 2 * pad, [0.0; LANES]);
        for (rows, out) in rows.chunks(LANES).zip(out[begin..].chunks_mut(LANES * kept)) {
            spread(rows, pad, buffer);
            forward(&self.sections, &initial, buffer);
            backward(&self.sections, &initial, buffer);
            gather(&buffer[pad..pad + length], every, out);
        }
        Ok(())
    }
}

/// Memory of a filter that is used again for other traces: 128 bytes for each sample of a trace.
#[derive(Debug, Default)]
pub struct Workspace {
    buffer: Vec<Lane>,
}

/// Samples that are carried between rows and lanes together: few enough to stay in the first cache.
const TILE: usize = 32;

/// Traces with their ends mirrored, each in a lane.
fn spread<T: Sample>(rows: &[&[T]], pad: usize, buffer: &mut [Lane]) {
    let length = buffer.len() - 2 * pad;
    for (lane, trace) in rows.iter().enumerate() {
        let (first, last) = (trace[0], trace[length - 1]);
        for (lanes, value) in buffer.iter_mut().zip(trace[1..=pad].iter().rev()) {
            lanes[lane] = value.mirrored(first);
        }
        for (lanes, value) in buffer[pad + length..].iter_mut().zip(trace[length - 1 - pad..length - 1].iter().rev()) {
            lanes[lane] = value.mirrored(last);
        }
    }
    for (tile, lanes) in buffer[pad..pad + length].chunks_mut(TILE).enumerate() {
        for (lane, trace) in rows.iter().enumerate() {
            for (lanes, value) in lanes.iter_mut().zip(&trace[tile * TILE..]) {
                lanes[lane] = value.to_f64();
            }
        }
    }
}

/// Each `every`-th sample of the lanes, in rows.
fn gather(buffer: &[Lane], every: usize, out: &mut [f64]) {
    let kept = buffer.len().div_ceil(every);
    let rows = out.len() / kept;
    for tile in (0..kept).step_by(TILE) {
        let tile = tile..(tile + TILE).min(kept);
        for lane in 0..rows {
            let out = &mut out[lane * kept + tile.start..lane * kept + tile.end];
            for (value, at) in out.iter_mut().zip(tile.clone()) {
                *value = buffer[at * every][lane];
            }
        }
    }
}

/// One pass over all sections, from a state as if the first value had been there for ever.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn forward(sections: &[[f64; 6]], initial: &[[f64; 2]], buffer: &mut [Lane]) {
    let Some(first) = buffer.first() else { return };
    let mut states = states(initial, first);
    for values in buffer {
        step(sections, &mut states, values);
    }
}

/// As [`forward`], from the last sample to the first.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn backward(sections: &[[f64; 6]], initial: &[[f64; 2]], buffer: &mut [Lane]) {
    let Some(last) = buffer.last() else { return };
    let mut states = states(initial, last);
    for values in buffer.iter_mut().rev() {
        step(sections, &mut states, values);
    }
}

fn states(initial: &[[f64; 2]], first: &Lane) -> Vec<[Lane; 2]> {
    initial.iter().map(|state| state.map(|s| first.map(|value| s * value))).collect()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it takes the instructions of the one who calls it")]
fn step(sections: &[[f64; 6]], states: &mut [[Lane; 2]], values: &mut Lane) {
    for ([b0, b1, b2, _, a1, a2], [near, far]) in sections.iter().zip(states) {
        for lane in 0..LANES {
            let (x, s1, s2) = (values[lane], near[lane], far[lane]);
            let y = b0 * x + s1;
            near[lane] = b1 * x - a1 * y + s2;
            far[lane] = b2 * x - a2 * y;
            values[lane] = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Band, butter};
    use super::*;

    fn traces(count: usize, length: usize) -> Vec<f64> {
        (0..count * length).map(|at| ((at * at + 7 * at) % 1013) as f64 / 100.0 - 3.0).collect()
    }

    #[test]
    fn traces_do_not_depend_on_their_neighbours() {
        let sos = butter(5, Band::Pass(0.025, 5.0), 200.0).unwrap();
        let all = traces(19, 300);
        let together = sos.filtfilt(&all, 300, 1).unwrap();
        for (trace, got) in all.chunks(300).zip(together.chunks(300)) {
            let alone = sos.filtfilt(trace, 300, 1).unwrap();
            assert!(alone.iter().zip(got).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        let few = sos.filtfilt(&all, 300, 4).unwrap();
        let kept: Vec<f64> = together.chunks(300).flat_map(|trace| trace.iter().step_by(4).copied()).collect();
        assert_eq!(few, kept);
        let odd = sos.filtfilt(&all[..299], 299, 4).unwrap();
        assert_eq!(odd.len(), 75);
    }

    #[test]
    fn a_constant_stays_under_a_low_pass_and_vanishes_under_a_high_pass() {
        let constant = vec![5.0; 200];
        let low = butter(4, Band::Low(3.0), 50.0).unwrap().filtfilt(&constant, 200, 1).unwrap();
        assert!(low.iter().all(|value| (value - 5.0).abs() < 1e-9), "{low:?}");
        let high = butter(3, Band::High(3.0), 50.0).unwrap().filtfilt(&constant, 200, 1).unwrap();
        assert!(high.iter().all(|value| value.abs() < 1e-9));
    }

    #[test]
    fn short_traces_are_refused_and_a_nan_takes_its_trace() {
        let sos = butter(5, Band::Pass(0.025, 5.0), 200.0).unwrap();
        assert_eq!(sos.pad_length(), 33);
        assert_eq!(sos.filtfilt(&[0.0; 33], 33, 1), Err(SignalError::Short { length: 33, least: 33 }));
        let mut two = traces(2, 100);
        two[40] = f64::NAN;
        let got = sos.filtfilt(&two, 100, 1).unwrap();
        assert!(got[..100].iter().all(|value| value.is_nan()) && got[100..].iter().all(|value| value.is_finite()));
        // Integers at the ends of their range do not wrap.
        let loud: Vec<i16> = (0..100).map(|at| if at % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let wide: Vec<f64> = loud.iter().map(|value| f64::from(*value)).collect();
        assert_eq!(sos.filtfilt(&loud, 100, 1).unwrap(), sos.filtfilt(&wide, 100, 1).unwrap());
    }
}
