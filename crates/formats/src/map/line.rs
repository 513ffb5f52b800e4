//! A line over an axis, as PNG.

use std::io::Cursor;

use image::Rgb;

use super::canvas::Canvas;
use super::colour::{number, ticks};
use super::{BOTTOM, LEFT, TOP, pixels};
use crate::{Error, Result};

/// Values along an axis and how they are labelled.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// Positions on the axis, rising; as many as values.
    pub x: &'a [f64],
    /// Values; NaN leaves a gap.
    pub values: &'a [f64],
    /// Labels of positions.
    pub ticks: &'a [(f64, String)],
    /// Above the picture.
    pub title: &'a str,
    /// What the values are, with units.
    pub label: &'a str,
}

const WIDTH: i32 = 900;
const HEIGHT: i32 = 360;
const RIGHT: i32 = 40;
const INK: Rgb<u8> = Rgb([33, 102, 172]);

/// Draws a line and encodes it as PNG. The axis of the values has a twentieth of room at both ends.
///
/// # Errors
/// [`Error::Plot`] if positions and values differ in number, or no value is finite.
pub fn draw_line(line: &Line<'_>) -> Result<Vec<u8>> {
    if line.x.len() != line.values.len() {
        return Err(Error::Plot { why: format!("{} values at {} positions", line.values.len(), line.x.len()) });
    }
    let finite = || line.values.iter().copied().filter(|value| value.is_finite());
    let range = finite().reduce(f64::min).zip(finite().reduce(f64::max));
    let (low, high) = range.ok_or_else(|| Error::Plot { why: "there is no finite value".into() })?;
    let room = if high > low { (high - low) / 20.0 } else { low.abs().max(1.0) / 20.0 };
    let (low, high) = (low - room, high + room);
    let (first, last) = (line.x.first().copied().unwrap_or(0.0), line.x.last().copied().unwrap_or(1.0));
    let across = |x: f64| if last > first { (x - first) / (last - first) } else { 0.5 };
    let place = |x: f64, value: f64| {
        let up = (high - value) / (high - low);
        (LEFT + offset(across(x), WIDTH), TOP + offset(up, HEIGHT))
    };
    let mut canvas = Canvas::new(LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM);
    let mut before = None;
    for (x, value) in line.x.iter().zip(line.values) {
        let here = value.is_finite().then(|| place(*x, *value));
        if let Some(to) = here {
            canvas.segment(before.unwrap_or(to), to, INK);
        }
        before = here;
    }
    canvas.frame(LEFT - 1, TOP - 1, WIDTH + 2, HEIGHT + 2);
    for value in ticks(low, high, 5) {
        let (_, y) = place(first, value);
        canvas.line(LEFT - 7, y, LEFT - 1, y);
        canvas.right(&number(value), LEFT - 11, y - 7);
    }
    for (x, text) in line.ticks.iter().filter(|(x, _)| *x >= first && *x <= last) {
        let (x, _) = place(*x, low);
        canvas.line(x, TOP + HEIGHT, x, TOP + HEIGHT + 6);
        canvas.centred(text, x, TOP + HEIGHT + 10);
    }
    canvas.title(line.title, LEFT, 16);
    canvas.text(line.label, 8, TOP - 22);
    let mut png = Cursor::new(Vec::new());
    canvas.into_image().write_to(&mut png, image::ImageFormat::Png).map_err(|e| Error::Plot { why: e.to_string() })?;
    Ok(png.into_inner())
}

/// The pixel at a share of a length.
fn offset(share: f64, length: i32) -> i32 {
    pixels(share * f64::from(length - 1) + 1.0) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_png_also_with_gaps_and_of_one_value() {
        let ticks = [(0.0, "a".to_owned()), (9.0, "outside".to_owned())];
        let line = Line { x: &[0.0, 1.0, 2.0], values: &[1.0, f64::NAN, 2.0], ticks: &ticks, title: "t", label: "°F" };
        assert_eq!(&draw_line(&line).unwrap()[..4], b"\x89PNG");
        assert!(draw_line(&Line { x: &[5.0], values: &[0.0], ..line.clone() }).is_ok());
        assert!(draw_line(&Line { values: &[f64::NAN; 3], ..line.clone() }).is_err());
        assert!(draw_line(&Line { values: &[1.0], ..line }).is_err());
    }
}
