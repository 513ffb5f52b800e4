//! Small planes side by side, with one colour bar.

use super::shapes::{Anchor, Drawing, Form, Frame, LETTER};
use super::{
    Axis, BAR_GAP, BOTTOM, LEFT, Labels, Plane, RIGHT, Style, TOP, axis, cells, check, columns_from, rows_from,
};
use crate::{Error, Result};

/// Most planes of one picture.
pub(crate) const MOST_FACETS: u64 = 64;

/// One of the planes.
#[derive(Debug, Clone)]
pub(crate) struct Facet<'a> {
    /// Above it.
    pub(crate) title: String,
    /// Values in C order; NaN is missing.
    pub(crate) values: &'a [f64],
}

/// Planes of the same axes.
#[derive(Debug, Clone)]
pub(crate) struct Facets<'a> {
    /// The planes, from left to right and from top to bottom.
    pub(crate) planes: Vec<Facet<'a>>,
    /// Rows and columns of each.
    pub(crate) shape: (usize, usize),
    pub(crate) y: Axis,
    pub(crate) x: Axis,
}

/// Width of all planes together, in pixels.
const WIDTH: i32 = 1000;
/// Most height of all together.
const TALLEST: i32 = 1100;
/// Between two planes.
const GAP: i32 = 18;
/// Above each plane, for its title.
const HEAD: i32 = 24;

/// Draws planes with one colour bar; axes are at the outer ones.
///
/// # Errors
/// [`Error::Plot`] if there is no plane, or the values of one do not fill its shape.
pub(crate) fn draw_facets(facets: &Facets<'_>, style: &Style, labels: Labels<'_>, form: Form) -> Result<Vec<u8>> {
    let count = i32::try_from(facets.planes.len()).unwrap_or(i32::MAX);
    if count == 0 {
        return Err(Error::Plot { why: "there is no plane".into() });
    }
    let shape = style.size.map_or(facets.shape, |(width, height)| (height.into(), width.into()));
    let (across, width, height) = layout(count, shape);
    let down = (count + across - 1) / across;
    let right = LEFT + across * (width + GAP) - GAP;
    let bottom = TOP + down * (height + GAP + HEAD) - GAP;
    let mut drawing = Drawing::new(right + BAR_GAP + axis::BAR + RIGHT, bottom + BOTTOM);
    for (at, facet) in (0..).zip(&facets.planes) {
        let plane = Plane { values: facet.values, shape: facets.shape, y: facets.y.clone(), x: facets.x.clone() };
        check(&plane)?;
        let (column, row) = (at % across, at / across);
        let top = TOP + row * (height + GAP + HEAD) + HEAD;
        let frame = Frame { left: LEFT + column * (width + GAP), top, width, height };
        cells(&mut drawing, frame, &plane, style);
        drawing.text(&cut(&facet.title, width), (frame.left + width / 2, top - 17), Anchor::Centre);
        if column == 0 {
            axis::beside(&mut drawing, frame, &axis::drawn(&plane.y.ticks, rows_from(&plane, style.rows)));
        }
        // Where there is none below.
        if at + across >= count {
            axis::below(&mut drawing, frame, &axis::drawn(&plane.x.ticks, columns_from(&plane)));
        }
    }
    drawing.text(&facets.x.label, (i32::midpoint(LEFT, right), bottom + 34), Anchor::Centre);
    drawing.text(&facets.y.label, (8, TOP - 4), Anchor::Left);
    let (top, tall) = (TOP + HEAD, bottom - TOP - HEAD);
    let bar = Frame { left: right + BAR_GAP, top, width: axis::BAR, height: tall.max(150) };
    axis::colour_bar(&mut drawing, bar, &style.limits, (labels.values, TOP - 22));
    drawing.title(labels.title, (LEFT, 16));
    drawing.encode(form)
}

/// Planes in a row, width and height of each: as many in a row as make the picture about as high as wide.
fn layout(count: i32, (rows, columns): (usize, usize)) -> (i32, i32, i32) {
    let shape = (rows as f64 / columns.max(1) as f64).clamp(0.3, 2.0);
    let size = |across: i32| (WIDTH - (across - 1) * GAP) / across;
    let height = |across: i32| super::png::pixel(f64::from(size(across)) * shape).max(40);
    let fits = |across: &i32| (count + across - 1) / across * (height(*across) + GAP + HEAD) <= TALLEST;
    let across = (1..=count).find(fits).unwrap_or(count).max(count.min(2));
    (across, size(across), height(across))
}

/// A text that is not wider than so many pixels.
fn cut(text: &str, width: i32) -> String {
    let most = usize::try_from(width / LETTER).unwrap_or(0).max(4);
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 2).chain("..".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_laid_out_about_as_high_as_wide() {
        assert_eq!(layout(1, (10, 10)).0, 1);
        assert_eq!(layout(4, (10, 10)).0, 2);
        assert_eq!(layout(12, (10, 20)).0, 3);
        assert_eq!(layout(12, (10, 10)).0, 4);
        assert_eq!(cut("2003-11-20", 48), "2003..");
    }
}
