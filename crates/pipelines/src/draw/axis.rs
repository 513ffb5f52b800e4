//! The two sides of a picture: ticks, numbers and names.

use super::shapes::{Anchor, Drawing, Frame, LINE, width_of};
use super::ticks::{Along, Tick, number, numbers};
use super::{Limits, png::pixel, shapes::Shape};

/// Pixels between the numbers of two ticks.
const GAP: i32 = 10;
/// Width of a colour bar in pixels.
pub(super) const BAR: i32 = 26;

/// An axis of cells.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// Its name, with units.
    pub(crate) label: String,
    /// By the share of the length from the outer edge of the first cell to that of the last.
    pub(crate) ticks: Vec<Tick>,
    /// True if labels rise from the first cell to the last.
    pub(crate) rises: bool,
}

impl Axis {
    /// Of evenly spaced cells, by the centres of the first and the last.
    pub(super) fn even(label: &str, (first, last): (f64, f64), cells: usize) -> Self {
        let half =
            if cells > 1 && first.total_cmp(&last).is_ne() { (last - first) / (cells - 1) as f64 / 2.0 } else { 0.5 };
        let (from, to) = (first - half, last + half);
        let share = |(value, text): Tick| ((value - from) / (to - from), text);
        let ticks = numbers(from.min(to), from.max(to), 5).into_iter().map(share).collect();
        Self { label: label.to_owned(), ticks, rises: first < last }
    }

    /// Of cells with labels, at whatever distances.
    pub(crate) fn along(along: &Along) -> Self {
        let all = &along.positions;
        let ends = |at: usize, next: usize| all[at] + (all[at] - all[next]) / 2.0;
        let (from, to) = match all.len() {
            0 => (0.0, 1.0),
            1 => (all[0] - 0.5, all[0] + 0.5),
            n => (ends(0, 1), ends(n - 1, n - 2)),
        };
        let rises = from < to;
        // Cells have the same size in a picture: places between labels are those between their centres.
        let share = |value: f64| {
            let edges = all.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
            let edges: Vec<f64> = std::iter::once(from).chain(edges).chain([to]).collect();
            let after = edges.partition_point(|edge| if rises { *edge <= value } else { *edge >= value });
            let cell = after.clamp(1, edges.len() - 1) - 1;
            (cell as f64 + (value - edges[cell]) / (edges[cell + 1] - edges[cell])) / (edges.len() - 1) as f64
        };
        let ticks = along.ticks(from, to, 5).into_iter().map(|(value, text)| (share(value), text)).collect();
        Self { label: along.label.clone(), ticks, rises }
    }
}

/// Ticks below a frame; those whose texts would touch the one before are left out.
pub(super) fn below(drawing: &mut Drawing, frame: Frame, ticks: &[Tick]) {
    let mut free = i32::MIN;
    let bottom = frame.bottom();
    for (share, text) in ticks.iter().filter(|(share, _)| (-1e-6..=1.0 + 1e-6).contains(share)) {
        let (x, half) = (pixel(frame.at(*share, 0.0).0), width_of(text) / 2);
        drawing.rule((x, bottom), (x, bottom + 6));
        if x - half >= free {
            drawing.text(text, (x, bottom + 10), Anchor::Centre);
            free = x + half + GAP;
        }
    }
}

/// Ticks to the left of a frame.
pub(super) fn beside(drawing: &mut Drawing, frame: Frame, ticks: &[Tick]) {
    let mut free = i32::MAX;
    let mut ticks: Vec<&Tick> = ticks.iter().filter(|(share, _)| (-1e-6..=1.0 + 1e-6).contains(share)).collect();
    ticks.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (share, text) in ticks {
        let y = pixel(frame.at(0.0, *share).1);
        drawing.rule((frame.left - 7, y), (frame.left - 1, y));
        if y + LINE / 2 <= free {
            drawing.text(text, (frame.left - 11, y - 7), Anchor::Right);
            free = y - LINE / 2 - 2;
        }
    }
}

/// Which end of an axis is drawn first: at the left or at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    First,
    Last,
}

/// The ticks in the direction in which they are drawn.
pub(super) fn drawn(ticks: &[Tick], from: From) -> Vec<Tick> {
    let place = |share: f64| if from == From::Last { 1.0 - share } else { share };
    let mut ticks: Vec<Tick> = ticks.iter().map(|(share, text)| (place(*share), text.clone())).collect();
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    ticks
}

/// Colours from the lowest value to the highest, and what they mean, beside a frame.
pub(super) fn colour_bar(drawing: &mut Drawing, frame: Frame, limits: &Limits, (label, top): (&str, i32)) {
    let value = |py: i32| limits.high - (limits.high - limits.low) * (f64::from(py) + 0.5) / f64::from(frame.height);
    let colours = (0..frame.height).map(|py| limits.colour(value(py))).collect();
    drawing.shapes.push(Shape::Cells { frame, columns: 1, colours });
    drawing.outline(frame);
    let ticks = if limits.high > limits.low {
        numbers(limits.low, limits.high, 6)
    } else {
        vec![(limits.low, number(limits.low))]
    };
    for (value, text) in ticks {
        let share = if limits.high > limits.low { (limits.high - value) / (limits.high - limits.low) } else { 0.5 };
        let y = pixel(frame.at(0.0, share).1);
        drawing.rule((frame.right(), y), (frame.right() + 6, y));
        drawing.text(&text, (frame.right() + 10, y - 7), Anchor::Left);
    }
    let room = width_of(label);
    drawing.text(label, (frame.left.min(drawing.width - 10 - room), top), Anchor::Left);
}
