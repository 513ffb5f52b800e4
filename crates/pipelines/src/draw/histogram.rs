//! How many values lie in each of some bins.

use super::line::{BLUE, FRAME, RIGHT};
use super::shapes::{Anchor, Drawing, Form, Frame, Shape};
use super::ticks::{Tick, numbers};
use super::{BOTTOM, LEFT, TOP, axis, png::pixel};
use crate::{Error, Result};

/// Counts of bins of one width and how they are labelled.
#[derive(Debug, Clone)]
pub(crate) struct Histogram<'a> {
    /// Values in each bin.
    pub(crate) counts: &'a [u64],
    /// Lower edge of the first bin, upper edge of the last.
    pub(crate) range: (f64, f64),
    /// Above the picture.
    pub(crate) title: &'a str,
    /// What the values are, with units.
    pub(crate) label: &'a str,
}

/// Draws a histogram.
///
/// # Errors
/// [`Error::Plot`] if it is empty.
pub(crate) fn draw_histogram(histogram: &Histogram<'_>, form: Form) -> Result<Vec<u8>> {
    let most = histogram.counts.iter().copied().max().filter(|most| *most > 0);
    let most = most.ok_or_else(|| Error::Plot { why: "no value lies in the range".into() })? as f64 * 1.05;
    let mut drawing = Drawing::new(LEFT + FRAME.width + RIGHT, TOP + FRAME.height + BOTTOM);
    let bins = histogram.counts.len() as f64;
    let edge = |at: usize| FRAME.left + pixel(at as f64 / bins * f64::from(FRAME.width));
    for (at, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = pixel(*count as f64 / most * f64::from(FRAME.height)).max(1);
        // A line of ground between bars that are wide enough for it.
        let width = edge(at + 1) - edge(at);
        let width = if width > 4 { width - 1 } else { width.max(1) };
        let frame = Frame { left: edge(at), top: FRAME.bottom() - height, width, height };
        drawing.shapes.push(Shape::Bar { frame, colour: BLUE });
    }
    drawing.outline(FRAME);
    let up: Vec<Tick> = numbers(0.0, most, 5).into_iter().map(|(value, text)| (1.0 - value / most, text)).collect();
    axis::beside(&mut drawing, FRAME, &up);
    let (low, high) = histogram.range;
    let along = numbers(low, high, 8).into_iter().map(|(value, text)| ((value - low) / (high - low), text));
    axis::below(&mut drawing, FRAME, &along.collect::<Vec<_>>());
    drawing.title(histogram.title, (LEFT, 16));
    drawing.text("count", (8, TOP - 22), Anchor::Left);
    drawing.text(histogram.label, (LEFT + FRAME.width / 2, FRAME.bottom() + 34), Anchor::Centre);
    drawing.encode(form)
}
