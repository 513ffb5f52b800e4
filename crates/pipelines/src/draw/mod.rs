//! Pictures as PNG or SVG: planes of values, small planes side by side, lines and histograms, with axes, a colour bar and a title.
//!
//! Colours follow xarray: the limits are the smallest and largest finite value; where they lie on both sides of zero
//! the map is RdBu reversed with symmetric limits, else viridis. Missing cells are left grey. North is up whatever the
//! order of the rows is.

mod axis;
mod colour;
mod facets;
mod histogram;
mod line;
mod png;
mod shapes;
mod svg;
mod ticks;

pub(crate) use axis::Axis;
use axis::From;
pub use colour::{ColourMap, Limits};
pub(crate) use facets::{Facet, Facets, MOST_FACETS, draw_facets};
pub(crate) use histogram::{Histogram, draw_histogram};
pub use line::{Line, draw_line};
pub use shapes::Form;
use shapes::{Anchor, Drawing, Frame, Shape};
pub use ticks::Tick;
pub(crate) use ticks::{Along, moments, name};

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

/// A plane of values between two axes.
#[derive(Debug, Clone)]
pub(crate) struct Plane<'a> {
    /// Values in C order; NaN is missing.
    pub(crate) values: &'a [f64],
    /// Rows and columns.
    pub(crate) shape: (usize, usize),
    pub(crate) y: Axis,
    pub(crate) x: Axis,
}

/// Longest side of the map in pixels; smaller arrays are enlarged, larger ones sampled.
const LONGEST: u16 = 900;
/// Shortest side.
const SHORTEST: u16 = 120;
const LEFT: i32 = 110;
const TOP: i32 = 60;
const BAR_GAP: i32 = 30;
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

/// What is written around a plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    /// Above it.
    pub(crate) title: &'a str,
    /// Beside the colour bar, with units.
    pub(crate) values: &'a str,
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
    let plane = Plane {
        values: map.values,
        shape: map.shape,
        y: Axis::even(map.axes.1, map.y, map.shape.0),
        x: Axis::even(map.axes.0, map.x, map.shape.1),
    };
    draw_plane(&plane, style, Labels { title: map.title, values: map.label }, Form::Png)
}

/// Draws a plane with its axes and a colour bar.
///
/// # Errors
/// [`Error::Plot`] if the shape does not match the values or is empty.
pub(crate) fn draw_plane(plane: &Plane<'_>, style: &Style, labels: Labels<'_>, form: Form) -> Result<Vec<u8>> {
    check(plane)?;
    let (rows, columns) = plane.shape;
    let (width, height) = style.size.unwrap_or_else(|| size(rows as u64, columns as u64));
    let (width, height) = (i32::from(width.max(1)), i32::from(height.max(1)));
    let wide = LEFT + width + BAR_GAP + axis::BAR + RIGHT;
    let mut drawing = Drawing::new(wide, TOP + height.max(200) + BOTTOM);
    let frame = Frame { left: LEFT, top: TOP, width, height };
    cells(&mut drawing, frame, plane, style);
    axis::below(&mut drawing, frame, &axis::drawn(&plane.x.ticks, columns_from(plane)));
    axis::beside(&mut drawing, frame, &axis::drawn(&plane.y.ticks, rows_from(plane, style.rows)));
    drawing.text(&plane.x.label, (LEFT + width / 2, TOP + height + 34), Anchor::Centre);
    drawing.text(&plane.y.label, (8, TOP - 22), Anchor::Left);
    let bar = Frame { left: LEFT + width + BAR_GAP, width: axis::BAR, height: height.max(200), ..frame };
    axis::colour_bar(&mut drawing, bar, &style.limits, (labels.values, TOP - 22));
    drawing.title(labels.title, (LEFT, 16));
    drawing.encode(form)
}

/// Width and height of a map of so many rows and columns in pixels: those of the cells, within the longest and the shortest side.
pub(crate) fn size(rows: u64, columns: u64) -> (u16, u16) {
    let scale = f64::from(LONGEST) / rows.max(columns).max(1) as f64;
    let length = |cells: u64| u16::try_from(png::pixel(cells as f64 * scale)).unwrap_or(LONGEST).max(SHORTEST);
    (length(columns), length(rows))
}

fn check(plane: &Plane<'_>) -> Result<()> {
    let (rows, columns) = plane.shape;
    if rows == 0 || columns == 0 || rows.checked_mul(columns) != Some(plane.values.len()) {
        return Err(Error::Plot { why: format!("{} values do not fill {rows} x {columns} cells", plane.values.len()) });
    }
    Ok(())
}

/// The row at the top.
fn rows_from(plane: &Plane<'_>, rows: Rows) -> From {
    if rows == Rows::ByCoordinate && plane.y.rises { From::Last } else { From::First }
}

/// The column at the left.
fn columns_from(plane: &Plane<'_>) -> From {
    if plane.x.rises || plane.shape.1 == 1 { From::First } else { From::Last }
}

/// The colours of a plane in a frame: of all cells, or of as many as the frame has pixels.
fn cells(drawing: &mut Drawing, frame: Frame, plane: &Plane<'_>, style: &Style) {
    let (rows, columns) = plane.shape;
    let (from_row, from_column) = (rows_from(plane, style.rows), columns_from(plane));
    let most = |cells: usize, pixels: i32| cells.min(usize::try_from(pixels).unwrap_or(1));
    let (down, across) = (most(rows, frame.height), most(columns, frame.width));
    let mut colours = Vec::with_capacity(down * across);
    for row in 0..down {
        let row = row * rows / down;
        let row = if from_row == From::Last { rows - 1 - row } else { row };
        for column in 0..across {
            let column = column * columns / across;
            let column = if from_column == From::Last { columns - 1 - column } else { column };
            colours.push(style.limits.colour(plane.values[row * columns + column]));
        }
    }
    drawing.shapes.push(Shape::Cells { frame, columns: across, colours });
    drawing.outline(frame);
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
