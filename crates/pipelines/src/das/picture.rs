//! Pictures of a section: gray from the negative to the positive amplitude at which it is clipped.

use std::sync::{Mutex, PoisonError};

use crate::draw::{Limits, Map, Rows, Style, draw_as};
use outcrop_compute::Block;

use crate::Result;

/// Width and height of a drawn section in pixels: no more samples and channels than that are kept.
const SIZE: (u16, u16) = (1000, 700);

/// What is seen of a section while it is computed: the largest amplitude of all that it shows, and as many of its values as a picture has
/// pixels.
#[derive(Debug)]
pub struct Picture {
    /// Channels that are shown, by position in the array.
    channels: std::ops::Range<u64>,
    /// Channels and samples that are drawn.
    rows: Vec<u64>,
    columns: Vec<u64>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    largest: f64,
    values: Vec<f64>,
}

/// What is written around a picture.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    pub(super) title: String,
    pub(super) units: String,
    /// Seconds from the first sample to the last.
    pub(super) seconds: f64,
    /// Position in the files of the first channel of the array.
    pub(super) first_channel: u64,
}

impl Picture {
    /// A picture of some channels, by position in an array of so many samples.
    pub fn new(channels: std::ops::Range<u64>, samples: u64) -> Self {
        let spread = |start: u64, len: u64, most: u16| -> Vec<u64> {
            let count = len.min(most.into());
            (0..count).map(|at| start + at * len / count.max(1)).collect()
        };
        let rows = spread(channels.start, channels.end.saturating_sub(channels.start), SIZE.1);
        let columns = spread(0, samples, SIZE.0);
        let values = vec![f64::NAN; rows.len() * columns.len()];
        Self { channels, rows, columns, seen: Mutex::new(Seen { largest: 0.0, values }) }
    }

    /// Looks at a window of the section, whose first cell is at a channel and a sample.
    pub(super) fn show(&self, block: &Block, first: (u64, u64), width: usize) {
        match block {
            Block::Float32(values) => self.show_values(values, first, width),
            Block::Float64(values) => self.show_values(values, first, width),
            Block::Int16(values) => self.show_values(values, first, width),
            Block::Int32(values) => self.show_values(values, first, width),
            other => self.show_values(&other.clone().into_f64(), first, width),
        }
    }

    fn show_values<T: Copy + Default + PartialOrd + Into<f64>>(
        &self,
        values: &[T],
        (first_row, first_column): (u64, u64),
        width: usize,
    ) {
        let rows = first_row..first_row + values.len().checked_div(width).unwrap_or(0) as u64;
        let shown = rows.start.max(self.channels.start)..rows.end.min(self.channels.end);
        if shown.is_empty() {
            return;
        }
        let cell = |row: u64| usize::try_from(row - first_row).unwrap_or(usize::MAX).saturating_mul(width);
        let largest = largest(&values[cell(shown.start)..cell(shown.end)]);
        let within =
            |all: &[u64], from: u64, to: u64| all.partition_point(|at| *at < from)..all.partition_point(|at| *at < to);
        let drawn = within(&self.rows, rows.start, rows.end);
        let columns = within(&self.columns, first_column, first_column + width as u64);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.largest = seen.largest.max(largest);
        for at in drawn {
            let row = cell(self.rows[at]);
            let target = at * self.columns.len();
            for column in columns.clone() {
                let from = usize::try_from(self.columns[column] - first_column).unwrap_or(usize::MAX);
                seen.values[target + column] = values[row + from].into();
            }
        }
    }

    /// The largest amplitude of all that was seen; NaN counts for nothing.
    pub fn largest(&self) -> f64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).largest
    }

    /// The amplitude that is black and white.
    pub fn clip(&self, pclip: f64) -> f64 {
        (1.0 - pclip) * self.largest()
    }

    /// The picture as PNG: time from left to right, channels from top to bottom.
    pub(super) fn draw(&self, pclip: f64, labels: &Labels) -> Result<Vec<u8>> {
        let limits = Limits::gray(self.clip(pclip));
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = |at: u64| (at + labels.first_channel) as f64;
        let png = draw_as(
            &Map {
                values: &seen.values,
                shape: (self.rows.len(), self.columns.len()),
                y: (channel(self.channels.start), channel(self.channels.end.saturating_sub(1))),
                x: (0.0, labels.seconds),
                title: &labels.title,
                label: &labels.units,
                axes: ("time (s)", "channel"),
            },
            &Style { limits, size: Some(SIZE), rows: Rows::FromTop },
        )?;
        Ok(png)
    }
}

/// The largest amplitude.
fn largest<T: Copy + Default + PartialOrd + Into<f64>>(values: &[T]) -> f64 {
    const LANES: usize = 32;
    let (mut low, mut high) = ([T::default(); LANES], [T::default(); LANES]);
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut see = |part: &[T]| {
        for ((low, high), value) in low.iter_mut().zip(&mut high).zip(part) {
            *low = if *value < *low { *value } else { *low };
            *high = if *value > *high { *value } else { *high };
        }
    };
    for part in whole {
        see(part);
    }
    see(rest);
    low.iter()
        .map(|value| -Into::<f64>::into(*value))
        .chain(high.iter().map(|value| (*value).into()))
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_in_pieces_is_the_same_picture() {
        let values: Vec<f32> =
            (0..40 * 3000u32).map(|at| f32::from(u16::try_from(at * 37 % 1009).unwrap()) - 500.0).collect();
        let whole = Picture::new(3..38, 3000);
        whole.show(&values.clone().into(), (0, 0), 3000);
        let pieces = Picture::new(3..38, 3000);
        for (row, values) in (0u64..).zip(values.chunks(3000)) {
            pieces.show(&values[..1000].to_vec().into(), (row, 0), 1000);
            pieces.show(&values[1000..].to_vec().into(), (row, 1000), 2000);
        }
        let of = |picture: &Picture| picture.seen.lock().unwrap().values.clone();
        assert_eq!(of(&whole), of(&pieces));
        assert_eq!((whole.largest(), pieces.largest()), (508.0, 508.0));
        assert_eq!(largest(&[i16::MIN, 5]), 32768.0);
        assert_eq!(largest(&[f32::NAN, -2.0]), 2.0);
    }
}
