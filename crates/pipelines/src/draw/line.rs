//! A line over an axis.

use image::Rgb;

use super::shapes::{Anchor, Drawing, Form, Frame, Shape};
use super::ticks::{Tick, numbers};
use super::{BOTTOM, LEFT, TOP, axis};
use crate::{Error, Result};

/// Values along an axis and how they are labelled.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// Positions on the axis, rising or falling; as many as values.
    pub x: &'a [f64],
    /// Values; NaN leaves a gap.
    pub values: &'a [f64],
    /// Labels of positions.
    pub ticks: &'a [Tick],
    /// Above the picture.
    pub title: &'a str,
    /// What the values are, with units.
    pub label: &'a str,
    /// What the axis is, with units.
    pub axis: &'a str,
    /// Smallest and largest value that is shown; by default those that there are, with a twentieth of room at both ends.
    pub range: Option<(f64, f64)>,
}

/// The frame of lines and histograms.
pub(super) const FRAME: Frame = Frame { left: LEFT, top: TOP, width: 900, height: 360 };
pub(super) const RIGHT: i32 = 40;
/// Colour of lines and bars.
pub(super) const BLUE: Rgb<u8> = Rgb([33, 102, 172]);

/// Draws a line. Of more values than four a pixel, the first, smallest, largest and last of each pixel are joined.
///
/// # Errors
/// [`Error::Plot`] if positions and values differ in number, or no value is finite.
pub fn draw_line(line: &Line<'_>, form: Form) -> Result<Vec<u8>> {
    if line.x.len() != line.values.len() {
        return Err(Error::Plot { why: format!("{} values at {} positions", line.values.len(), line.x.len()) });
    }
    let (low, high) = match line.range {
        Some(range) => range,
        None => room(line.values).ok_or_else(|| Error::Plot { why: "there is no finite value".into() })?,
    };
    let ends = (line.x.first().copied().unwrap_or(0.0), line.x.last().copied().unwrap_or(1.0));
    let (first, last) = (ends.0.min(ends.1), ends.0.max(ends.1));
    let across = |x: f64| if last > first { (x - first) / (last - first) } else { 0.5 };
    let place = |(x, value): (f64, f64)| FRAME.at(across(x), ((high - value) / (high - low)).clamp(0.0, 1.0));
    let mut drawing = Drawing::new(LEFT + FRAME.width + RIGHT, TOP + FRAME.height + BOTTOM);
    let points: Vec<(f64, f64)> = line.x.iter().copied().zip(line.values.iter().copied()).collect();
    for run in points.split(|(_, value)| !value.is_finite() || *value < low || *value > high) {
        if !run.is_empty() {
            let points = thinned(&run.iter().map(|point| place(*point)).collect::<Vec<_>>());
            drawing.shapes.push(Shape::Path { points, colour: BLUE });
        }
    }
    drawing.outline(FRAME);
    let up = numbers(low, high, 5).into_iter().map(|(value, text)| ((high - value) / (high - low), text));
    axis::beside(&mut drawing, FRAME, &up.collect::<Vec<_>>());
    let along: Vec<Tick> = line.ticks.iter().map(|(x, text)| (across(*x), text.clone())).collect();
    axis::below(&mut drawing, FRAME, &axis::drawn(&along, axis::From::First));
    drawing.title(line.title, (LEFT, 16));
    drawing.text(line.label, (8, TOP - 22), Anchor::Left);
    drawing.text(line.axis, (LEFT + FRAME.width / 2, FRAME.bottom() + 34), Anchor::Centre);
    drawing.encode(form)
}

/// The range of the finite values, with some room.
fn room(values: &[f64]) -> Option<(f64, f64)> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = finite().reduce(f64::min).zip(finite().reduce(f64::max))?;
    let room = if high > low { (high - low) / 20.0 } else { low.abs().max(1.0) / 20.0 };
    Some((low - room, high + room))
}

/// Of points of the same column of pixels the first, the highest, the lowest and the last.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor().total_cmp(&b.0.floor()).is_eq()) {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by = |(_, a): &(usize, &(f64, f64)), (_, b): &(usize, &(f64, f64))| a.1.total_cmp(&b.1);
        let ends = [column.iter().enumerate().min_by(by), column.iter().enumerate().max_by(by)];
        let mut places: Vec<usize> = ends.iter().flatten().map(|(at, _)| *at).chain([0, column.len() - 1]).collect();
        places.sort_unstable();
        places.dedup();
        kept.extend(places.iter().map(|at| column[*at]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_picture_also_with_gaps_and_of_one_value() {
        let ticks = [(0.0, "a".to_owned()), (9.0, "outside".to_owned())];
        let (x, values) = (&[0.0, 1.0, 2.0], &[1.0, f64::NAN, 2.0]);
        let line = Line { x, values, ticks: &ticks, title: "t", label: "°F", axis: "x<y", range: None };
        assert_eq!(&draw_line(&line, Form::Png).unwrap()[..4], b"\x89PNG");
        let svg = String::from_utf8(draw_line(&line, Form::Svg).unwrap()).unwrap();
        assert!(svg.contains("x&lt;y") && svg.contains("°F") && !svg.contains("outside"));
        assert_eq!(svg.matches("fill=\"none\"").count(), 2, "a gap parts the line");
        assert!(draw_line(&Line { x: &[5.0], values: &[0.0], ..line.clone() }, Form::Png).is_ok());
        assert!(draw_line(&Line { values: &[f64::NAN; 3], ..line.clone() }, Form::Png).is_err());
        assert!(draw_line(&Line { values: &[1.0], ..line }, Form::Png).is_err());
    }

    #[test]
    fn many_points_of_a_pixel_keep_their_extremes() {
        let points: Vec<(f64, f64)> = (0..1000).map(|at| (0.0, f64::from((at * 37) % 1000))).collect();
        assert_eq!(thinned(&points), [(0.0, 0.0), (0.0, 999.0), (0.0, 963.0)]);
    }
}
