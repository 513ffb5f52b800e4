//! Maps as PNG: a plane of values with axes, a colour bar and a title.
//!
//! Colours follow xarray: the limits are the smallest and largest finite value; where they lie on both sides of zero
//! the map is RdBu reversed with symmetric limits, else viridis. Missing cells are left grey. North is up whatever the
//! order of the rows is.

mod canvas;
mod colour;
mod line;

use std::io::Cursor;

use canvas::Canvas;
pub use colour::{ColourMap, Limits};
pub use line::{Line, draw_line};

use crate::{Error, Result};

/// A plane of values and how it is labelled.
#[derive(Debug, Clone)]
pub struct Map<'a> {
    /// Values in C order; NaN is missing.
    pub values: &'a [f64],
    /// Rows and columns.
    pub shape: (usize, usize),
    /// First and last centre of the rows.
    pub y: (f64, f64),
    /// First and last centre of the columns.
    pub x: (f64, f64),
    /// Above the map.
    pub title: &'a str,
    /// Beside the colour bar, with units.
    pub label: &'a str,
    /// Below and beside the axes, with units.
    pub axes: (&'a str, &'a str),
}

/// Longest side of the map in pixels; smaller arrays are enlarged, larger ones sampled.
const LONGEST: usize = 900;
const LEFT: i32 = 110;
const TOP: i32 = 60;
const BAR_GAP: i32 = 30;
const BAR_WIDTH: i32 = 26;
const RIGHT: i32 = 150;
const BOTTOM: i32 = 70;

/// Which way rows go up the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Larger coordinates are further up.
    ByCoordinate,
    /// The first row is at the top.
    FromTop,
}

/// How a map is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Range of the colours.
    pub limits: Limits,
    /// Width and height of the map in pixels; `None` keeps the shape of the cells.
    pub size: Option<(u16, u16)>,
    /// Which way rows go.
    pub rows: Rows,
}

/// Draws a map and encodes it as PNG.
///
/// # Errors
/// [`Error::Plot`] if the shape does not match the values or is empty, or no value is finite.
pub fn draw(map: &Map<'_>) -> Result<Vec<u8>> {
    let limits = Limits::of(map.values).ok_or_else(|| Error::Plot { why: "there is no finite value".into() })?;
    draw_as(map, &Style { limits, size: None, rows: Rows::ByCoordinate })
}

/// As [`draw`], in a style; values need not be finite.
///
/// # Errors
/// [`Error::Plot`] if the shape does not match the values or is empty.
pub fn draw_as(map: &Map<'_>, style: &Style) -> Result<Vec<u8>> {
    let (rows, columns) = map.shape;
    if rows == 0 || columns == 0 || rows.checked_mul(columns) != Some(map.values.len()) {
        return Err(Error::Plot { why: format!("{} values do not fill {rows} x {columns} cells", map.values.len()) });
    }
    let scale = LONGEST as f64 / rows.max(columns) as f64;
    let natural = (pixels(columns as f64 * scale), pixels(rows as f64 * scale));
    let (width, height) =
        style.size.map_or(natural, |(width, height)| (i32::from(width.max(1)), i32::from(height.max(1))));
    let mut canvas = Canvas::new(LEFT + width + BAR_GAP + BAR_WIDTH + RIGHT, TOP + height.max(200) + BOTTOM);
    cells(&mut canvas, map, style, (width, height));
    axes(&mut canvas, map, style.rows, (width, height));
    bar(&mut canvas, map, &style.limits, (width, height.max(200)));
    canvas.title(map.title, LEFT, 16);
    let mut png = Cursor::new(Vec::new());
    canvas.into_image().write_to(&mut png, image::ImageFormat::Png).map_err(|e| Error::Plot { why: e.to_string() })?;
    Ok(png.into_inner())
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by the longest side")]
fn pixels(value: f64) -> i32 {
    (value.round() as i32).max(1)
}

fn cells(canvas: &mut Canvas, map: &Map<'_>, style: &Style, (width, height): (i32, i32)) {
    let (rows, columns) = map.shape;
    let flip = style.rows == Rows::ByCoordinate && map.y.0 < map.y.1;
    let at = |pixel: i32, size: i32, cells: usize| {
        usize::try_from(pixel).unwrap_or(0) * cells / usize::try_from(size).unwrap_or(1)
    };
    for py in 0..height {
        let row = at(py, height, rows);
        let row = if flip { rows - 1 - row } else { row };
        for px in 0..width {
            let column = at(px, width, columns);
            let column = if map.x.0 > map.x.1 { columns - 1 - column } else { column };
            canvas.pixel(LEFT + px, TOP + py, style.limits.colour(map.values[row * columns + column]));
        }
    }
    canvas.frame(LEFT - 1, TOP - 1, width + 2, height + 2);
}

/// Tick labels at the outer cell edges' inside: five along each axis.
fn axes(canvas: &mut Canvas, map: &Map<'_>, rows: Rows, (width, height): (i32, i32)) {
    let (west, east) = (map.x.0.min(map.x.1), map.x.0.max(map.x.1));
    let (south, north) = (map.y.0.min(map.y.1), map.y.0.max(map.y.1));
    let half = |from: f64, to: f64, n: usize| if n > 1 { (to - from) / (n - 1) as f64 / 2.0 } else { 0.5 };
    let (dx, dy) = (half(west, east, map.shape.1), half(south, north, map.shape.0));
    for value in colour::ticks(west - dx, east + dx, 5) {
        let x = LEFT + pixels((value - west + dx) / (east - west + 2.0 * dx) * f64::from(width) + 1.0) - 1;
        canvas.line(x, TOP + height, x, TOP + height + 6);
        canvas.centred(&colour::number(value), x, TOP + height + 10);
    }
    for value in colour::ticks(south - dy, north + dy, 5) {
        let above = if rows == Rows::FromTop && map.y.0 < map.y.1 { value - south + dy } else { north + dy - value };
        let y = TOP + pixels(above / (north - south + 2.0 * dy) * f64::from(height) + 1.0) - 1;
        canvas.line(LEFT - 7, y, LEFT - 1, y);
        canvas.right(&colour::number(value), LEFT - 11, y - 7);
    }
    canvas.centred(map.axes.0, LEFT + width / 2, TOP + height + 34);
    canvas.text(map.axes.1, 8, TOP - 22);
}

fn bar(canvas: &mut Canvas, map: &Map<'_>, limits: &Limits, (width, height): (i32, i32)) {
    let left = LEFT + width + BAR_GAP;
    for py in 0..height {
        let value = limits.high - (limits.high - limits.low) * (f64::from(py) + 0.5) / f64::from(height);
        for px in 0..BAR_WIDTH {
            canvas.pixel(left + px, TOP + py, limits.colour(value));
        }
    }
    canvas.frame(left - 1, TOP - 1, BAR_WIDTH + 2, height + 2);
    for value in colour::ticks(limits.low, limits.high, 6) {
        let share = if limits.high > limits.low { (limits.high - value) / (limits.high - limits.low) } else { 0.5 };
        let y = TOP + pixels(share * f64::from(height) + 1.0) - 1;
        canvas.line(left + BAR_WIDTH, y, left + BAR_WIDTH + 6, y);
        canvas.text(&colour::number(value), left + BAR_WIDTH + 10, y - 7);
    }
    let room = i32::try_from(map.label.chars().count()).unwrap_or(0) * 8;
    canvas.text(map.label, left.min(left + BAR_WIDTH + RIGHT - 10 - room), TOP - 22);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_a_png_and_bad_shapes_are_refused() {
        let values = [1.0, 2.0, f64::NAN, 4.0];
        let map = Map {
            values: &values,
            shape: (2, 2),
            y: (1.0, 0.0),
            x: (0.0, 1.0),
            title: "first leaf",
            label: "day of the year",
            axes: ("x (m)", "y (m)"),
        };
        let png = draw(&map).unwrap();
        assert_eq!(&png[..4], b"\x89PNG");
        assert!(draw(&Map { shape: (3, 2), ..map.clone() }).is_err());
        assert!(draw(&Map { values: &[f64::NAN; 4], ..map }).is_err());
    }
}
