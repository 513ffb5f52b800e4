//! The geometry of an item, read without a tree: positions in a row, and where lines and polygons end among them.
//!
//! For tests against boxes ([`Shape::meets`]) and as WKB (`wkb`). In plane longitude and latitude, edges included
//! (RFC 7946).

mod boxes;
mod json;
mod wkb;

use serde::Deserialize;

pub use boxes::Heights;

/// Deepest nesting of geometry collections.
const DEEPEST: usize = 8;

/// A position: longitude and latitude in degrees, height in metres (0 where there is none).
pub type Position = [f64; 3];

/// Kind of a [`Shape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum ShapeKind {
    /// One position.
    Point,
    /// Positions.
    MultiPoint,
    /// A line.
    LineString,
    /// Lines.
    MultiLineString,
    /// Rings.
    Polygon,
    /// Polygons.
    MultiPolygon,
    /// Shapes.
    GeometryCollection,
}

/// A geometry of GeoJSON.
///
/// - `lines` are ends among `positions`, `polygons` are ends among `lines`; both rise and end at the length of what they
///   divide, where the kind has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    kind: ShapeKind,
    positions: Vec<Position>,
    lines: Vec<usize>,
    polygons: Vec<usize>,
    members: Vec<Shape>,
    has_heights: bool,
}

impl Shape {
    /// Reads the JSON of a geometry; what is not one is `None`.
    pub fn parse(json: &str) -> Option<Self> {
        json::parse(json, DEEPEST)
    }

    /// Reads a geometry that is a tree.
    pub fn of_value(value: &serde_json::Value) -> Option<Self> {
        if value.is_null() { None } else { Self::parse(&value.to_string()) }
    }

    /// Its kind.
    pub fn kind(&self) -> ShapeKind {
        self.kind
    }

    /// West, south, east and north over all positions, also of members; `None` without positions.
    pub fn bounds(&self) -> Option<[f64; 4]> {
        let mut all = self.all_positions();
        let [x, y, _] = *all.next()?;
        Some(all.fold([x, y, x, y], |[w, s, e, n], [x, y, _]| [w.min(*x), s.min(*y), e.max(*x), n.max(*y)]))
    }

    fn all_positions(&self) -> Box<dyn Iterator<Item = &Position> + '_> {
        Box::new(self.positions.iter().chain(self.members.iter().flat_map(Self::all_positions)))
    }

    /// The lines (or rings) as positions.
    fn lines(&self) -> impl Iterator<Item = &[Position]> {
        parts(&self.positions, &self.lines)
    }

    /// The rings of each polygon.
    fn polygons(&self) -> impl Iterator<Item = impl Iterator<Item = &[Position]> + Clone> {
        let mut first = 0usize;
        self.polygons.iter().map(move |end| {
            let from = first.checked_sub(1).and_then(|last: usize| self.lines.get(last)).copied().unwrap_or(0);
            let ends = self.lines.get(first..*end).unwrap_or_default();
            first = *end;
            let mut at = from;
            let ranges: Vec<_> = ends.iter().map(|end| (std::mem::replace(&mut at, *end), *end)).collect();
            ranges.into_iter().map(|(from, to)| self.positions.get(from..to).unwrap_or_default())
        })
    }
}

fn parts<'a>(positions: &'a [Position], ends: &'a [usize]) -> impl Iterator<Item = &'a [Position]> {
    let mut from = 0;
    ends.iter().map(move |end| {
        let part = positions.get(from..*end).unwrap_or_default();
        from = *end;
        part
    })
}
