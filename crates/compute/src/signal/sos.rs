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
pub trait Sample: Copy + Default {
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
        self.condition_into((traces, length), (Removed::Nothing, every), out, workspace)
    }

    /// Like [`Sos::filtfilt_into`], of traces without their mean or line of least squares, which is subtracted in double precision while they
    /// are read. The result may have single precision, to which it is rounded at the end.
    ///
    /// # Errors
    /// As [`Sos::filtfilt`].
    pub fn condition_into<T: Sample, O: Filtered>(
        &self,
        (traces, length): (&[T], usize),
        (removed, every): (Removed, usize),
        out: &mut Vec<O>,
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
        out.resize(begin + rows.len() * kept, O::default());
        let buffer = &mut workspace.buffer;
        buffer.resize(length + 2 * pad, [0.0; LANES]);
        for (rows, out) in rows.chunks(LANES).zip(out[begin..].chunks_mut(LANES * kept)) {
            let rows = Rows::new(rows, removed);
            rows.ends(pad, buffer);
            self.forward(&rows, (&initial, pad), buffer);
            self.backward((&initial, pad), buffer, every, out);
        }
        Ok(())
    }

    /// Fills the buffer with the filtered traces; their ends are in it.
    fn forward<T: Sample>(&self, rows: &Rows<'_, T>, (initial, pad): (&[[f64; 2]], usize), buffer: &mut [Lane]) {
        let Some(first) = buffer.first() else { return };
        let mut states = states(initial, first);
        let (before, others) = buffer.split_at_mut(pad);
        let (traces, behind) = others.split_at_mut(rows.length);
        pass(&self.sections, &mut states, before);
        for (tile, values) in traces.chunks_mut(TILE).enumerate() {
            load(rows, tile * TILE, values);
            pass(&self.sections, &mut states, values);
        }
        pass(&self.sections, &mut states, behind);
    }

    /// Filters the buffer from its last sample to the first of the traces, and takes each `every`-th into rows.
    fn backward<O: Filtered>(
        &self,
        (initial, pad): (&[[f64; 2]], usize),
        buffer: &[Lane],
        every: usize,
        out: &mut [O],
    ) {
        let Some(last) = buffer.last() else { return };
        let mut states = states(initial, last);
        let (mut tile, mut narrow) = (Vec::with_capacity(TILE * every), [[O::default(); LANES]; TILE]);
        let mut turned = |part: &[Lane], tile: &mut Vec<Lane>| {
            tile.clear();
            tile.extend(part.iter().rev());
            pass(&self.sections, &mut states, tile);
        };
        let (traces, behind) = buffer[pad..].split_at(buffer.len() - 2 * pad);
        turned(behind, &mut tile);
        let kept = traces.len().div_ceil(every);
        for (number, part) in traces.chunks(TILE * every).enumerate().rev() {
            turned(part, &mut tile);
            keep(&tile, every, &mut narrow);
            for (lane, row) in out.chunks_exact_mut(kept).enumerate() {
                for (value, lanes) in row[number * TILE..].iter_mut().zip(&narrow) {
                    *value = lanes[lane];
                }
            }
        }
    }
}

/// Each `every`-th sample, from the first, of samples that stand in reverse.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn keep<O: Filtered>(tile: &[Lane], every: usize, kept: &mut [[O; LANES]]) {
    for (kept, lanes) in kept.iter_mut().zip(tile.iter().rev().step_by(every)) {
        for (kept, value) in kept.iter_mut().zip(lanes) {
            *kept = O::of(*value);
        }
    }
}

/// Memory of a filter that is used again for other traces: 128 bytes for each sample of a trace.
#[derive(Debug, Default)]
pub struct Workspace {
    buffer: Vec<Lane>,
}

/// What is subtracted from traces before they are filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Nothing.
    Nothing,
    /// The mean of each trace.
    Mean,
    /// The line of least squares of each trace.
    Line,
}

/// A value that filtered traces become.
pub trait Filtered: Copy + Default {
    /// The nearest one.
    fn of(value: f64) -> Self;
}

impl Filtered for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

impl Filtered for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounded to single precision")]
    fn of(value: f64) -> Self {
        value as Self
    }
}

/// Samples that are carried between rows and lanes together: few enough to stay in the first cache.
const TILE: usize = 32;

/// Up to as many traces as there are lanes, and the lines that are subtracted from them.
struct Rows<'a, T> {
    traces: &'a [&'a [T]],
    length: usize,
    removed: Removed,
    mean: Lane,
    slope: Lane,
}

impl<'a, T: Sample> Rows<'a, T> {
    fn new(rows: &'a [&'a [T]], removed: Removed) -> Self {
        let length = rows.first().map_or(0, |row| row.len());
        let (mut mean, mut slope) = ([0.0; LANES], [0.0; LANES]);
        if removed != Removed::Nothing {
            for ((row, mean), slope) in rows.iter().zip(&mut mean).zip(&mut slope) {
                (*mean, *slope) = super::detrend::line_of(row);
            }
            if removed == Removed::Mean {
                slope = [0.0; LANES];
            }
        }
        Self { traces: rows, length, removed, mean, slope }
    }

    fn value(&self, lane: usize, at: usize) -> f64 {
        let middle = (self.length as f64 - 1.0) / 2.0;
        self.traces[lane][at].to_f64() - (self.mean[lane] + self.slope[lane] * (at as f64 - middle))
    }

    /// The mirrored ends of the traces.
    fn ends(&self, pad: usize, buffer: &mut [Lane]) {
        let last = self.length - 1;
        let mirrored = |lane: usize, at: usize, edge: usize| match self.removed {
            Removed::Nothing => self.traces[lane][at].mirrored(self.traces[lane][edge]),
            Removed::Mean | Removed::Line => 2.0 * self.value(lane, edge) - self.value(lane, at),
        };
        let (before, behind) = buffer.split_at_mut(pad + self.length);
        for at in 1..=pad {
            let lanes = before[pad - at].iter_mut().zip(&mut behind[at - 1]).take(self.traces.len());
            for (lane, (first, end)) in lanes.enumerate() {
                *first = mirrored(lane, at, 0);
                *end = mirrored(lane, last - at, last);
            }
        }
    }
}

/// Some samples of traces, from position `from` on, each trace in a lane.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn load<T: Sample>(rows: &Rows<'_, T>, from: usize, values: &mut [Lane]) {
    // Turned while they are small, then converted side by side.
    let mut tile = [[T::default(); LANES]; TILE];
    for (lane, row) in rows.traces.iter().enumerate() {
        for (lanes, value) in tile.iter_mut().zip(&row[from..]) {
            lanes[lane] = *value;
        }
    }
    for (values, lanes) in values.iter_mut().zip(&tile) {
        for (value, sample) in values.iter_mut().zip(lanes) {
            *value = sample.to_f64();
        }
    }
    if rows.removed == Removed::Nothing {
        return;
    }
    let middle = (rows.length as f64 - 1.0) / 2.0;
    for (lanes, at) in values.iter_mut().zip(from..) {
        let at = at as f64 - middle;
        for ((value, mean), slope) in lanes.iter_mut().zip(&rows.mean).zip(&rows.slope) {
            *value -= mean + slope * at;
        }
    }
}

/// The state of the sections as if the first value had been there for ever.
fn states(initial: &[[f64; 2]], first: &Lane) -> Vec<[Lane; 2]> {
    initial.iter().map(|state| state.map(|s| first.map(|value| s * value))).collect()
}

/// One pass of some samples over all sections, a few of them at a time, so that their states stay in registers.
fn pass(sections: &[[f64; 6]], states: &mut [[Lane; 2]], values: &mut [Lane]) {
    let (mut sections, mut states) = (sections, states);
    while !sections.is_empty() {
        let count = sections.len().min(5);
        let (now, later) = sections.split_at(count);
        let (own, others) = states.split_at_mut(count);
        match count {
            1 => pass_of::<1>(now, own, values),
            2 => pass_of::<2>(now, own, values),
            3 => pass_of::<3>(now, own, values),
            4 => pass_of::<4>(now, own, values),
            _ => pass_of::<5>(now, own, values),
        }
        (sections, states) = (later, others);
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn pass_of<const N: usize>(sections: &[[f64; 6]], states: &mut [[Lane; 2]], values: &mut [Lane]) {
    let (Some(sections), Some(kept)) = (sections.first_chunk::<N>(), states.first_chunk_mut::<N>()) else { return };
    let mut states = *kept;
    for values in values {
        for ([b0, b1, b2, _, a1, a2], [near, far]) in sections.iter().zip(&mut states) {
            for lane in 0..LANES {
                let (x, s1, s2) = (values[lane], near[lane], far[lane]);
                let y = b0 * x + s1;
                near[lane] = b1 * x - a1 * y + s2;
                far[lane] = b2 * x - a2 * y;
                values[lane] = y;
            }
        }
    }
    *kept = states;
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
