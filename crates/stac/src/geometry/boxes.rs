//! Does a shape have a point in common with a box? Plane, edges included; also across the antimeridian.

use outcrop_grid::BBox;

use super::{Position, Shape, ShapeKind};

/// Lowest and highest height of a box in three dimensions, in metres.
pub type Heights = [f64; 2];

impl Shape {
    /// True if the shape has a point in common with the box, which may cross the antimeridian.
    ///
    /// A shape whose longitudes go beyond 180 degrees is looked for on both sides of it.
    pub fn meets(&self, bbox: &BBox) -> bool {
        let Some([west, _, east, _]) = self.bounds() else { return false };
        let beyond = [(0.0, true), (360.0, east > 180.0), (-360.0, west < -180.0)];
        let moved = |part: &BBox, by: f64| BBox { west: part.west + by, east: part.east + by, ..*part };
        bbox.parts()
            .iter()
            .any(|part| beyond.iter().filter(|(_, wanted)| *wanted).any(|(by, _)| self.meets_part(&moved(part, *by))))
    }

    /// True if the heights of the shape (0 where it has none) and those of a box have one in common.
    pub fn meets_heights(&self, [lowest, highest]: Heights) -> bool {
        let z = self.all_positions().map(|[_, _, z]| *z);
        let [low, high] = z.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], z| [low.min(z), high.max(z)]);
        low <= highest && high >= lowest
    }

    /// The shape with all longitudes east of its western edge, of an item whose box crosses the antimeridian while its
    /// rings are not cut there: 170, -170 is then 170, 190.
    #[must_use]
    pub fn unrolled(mut self) -> Self {
        let is_cut = self.bounds().is_none_or(|[west, _, east, _]| east - west <= 180.0);
        let in_parts =
            matches!(self.kind, ShapeKind::MultiPolygon | ShapeKind::MultiLineString | ShapeKind::MultiPoint);
        if is_cut || in_parts || !self.members.is_empty() {
            return self;
        }
        self.positions.iter_mut().filter(|[x, _, _]| *x < 0.0).for_each(|[x, _, _]| *x += 360.0);
        self
    }

    fn meets_part(&self, bbox: &BBox) -> bool {
        match self.kind {
            ShapeKind::Point | ShapeKind::MultiPoint => self.positions.iter().any(|p| holds(bbox, p)),
            ShapeKind::LineString | ShapeKind::MultiLineString => self.lines().any(|line| line_meets(line, bbox)),
            ShapeKind::Polygon | ShapeKind::MultiPolygon => {
                self.polygons().any(|mut rings| polygon_meets(&mut rings, bbox))
            }
            ShapeKind::GeometryCollection => self.members.iter().any(|member| member.meets_part(bbox)),
        }
    }
}

fn holds(bbox: &BBox, [x, y, _]: &Position) -> bool {
    (bbox.west..=bbox.east).contains(x) && (bbox.south..=bbox.north).contains(y)
}

fn line_meets(line: &[Position], bbox: &BBox) -> bool {
    line.first().is_some_and(|p| holds(bbox, p)) || line.windows(2).any(|edge| edge_meets(&edge[0], &edge[1], bbox))
}

/// Liang and Barsky: is there a part of the edge within all four sides?
fn edge_meets(from: &Position, to: &Position, bbox: &BBox) -> bool {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let sides = [
        (-dx, from[0] - bbox.west),
        (dx, bbox.east - from[0]),
        (-dy, from[1] - bbox.south),
        (dy, bbox.north - from[1]),
    ];
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for (slope, room) in sides {
        if slope == 0.0 {
            if room < 0.0 {
                return false;
            }
        } else if slope < 0.0 {
            start = start.max(room / slope);
        } else {
            end = end.min(room / slope);
        }
    }
    start <= end
}

/// A ring crosses the box, or the box lies wholly inside (an odd number of rings around its corner).
fn polygon_meets<'a>(rings: &mut (impl Iterator<Item = &'a [Position]> + Clone), bbox: &BBox) -> bool {
    if rings.clone().any(|ring| line_meets(ring, bbox)) {
        return true;
    }
    rings.filter(|ring| surrounds(ring, [bbox.west, bbox.south])).count() % 2 == 1
}

fn surrounds(ring: &[Position], [x, y]: [f64; 2]) -> bool {
    let crosses = |edge: &&[Position]| {
        let ([x0, y0, _], [x1, y1, _]) = (edge[0], edge[1]);
        (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    };
    ring.windows(2).filter(crosses).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(geometry: &str, bbox: &str) -> bool {
        Shape::parse(geometry).unwrap().meets(&bbox.parse().unwrap())
    }

    fn polygon(rings: &str) -> String {
        format!(r#"{{"coordinates": {rings}, "type": "Polygon"}}"#)
    }

    #[test]
    fn polygons_meet_boxes_by_their_area_not_by_their_box() {
        let triangle = polygon("[[[0, 0], [10, 0], [0, 10], [0, 0]]]");
        assert!(meets(&triangle, "1,1,2,2"));
        assert!(meets(&triangle, "-5,-5,20,20"));
        assert!(meets(&triangle, "4,4,9,9"));
        assert!(!meets(&triangle, "6,6,9,9"));
        assert!(meets(&triangle, "5,5,9,9"), "the edge counts");
        assert!(meets(&triangle, "-1,-1,0,0"), "the corner counts");
    }

    #[test]
    fn holes_are_outside() {
        let ring = polygon("[[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], [[3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]]");
        assert!(!meets(&ring, "4,4,5,5"));
        assert!(meets(&ring, "4,4,7,5") && meets(&ring, "1,1,2,2"));
        let two =
            r#"{"type": "MultiPolygon", "coordinates": [[[[0,0],[1,0],[1,1],[0,0]]], [[[5,5],[9,5],[9,9],[5,5]]]]}"#;
        assert!(meets(two, "7,6,7.5,6.5") && meets(two, "0.5,0.1,0.6,0.2") && !meets(two, "2,2,4,4"));
    }

    #[test]
    fn boxes_across_the_antimeridian_and_odd_geometries() {
        let island = r#"{"type": "Point", "coordinates": [-179.5, -17, 4]}"#;
        assert!(meets(island, "178,-20,-178,-10"));
        assert!(!meets(island, "-178,-20,178,-10"));
        let line = r#"{"type": "LineString", "coordinates": [[0, 0], [10, 10]]}"#;
        assert!(meets(line, "4,4,5,6") && !meets(line, "0,5,4,9"));
        let all = format!(r#"{{"type": "GeometryCollection", "geometries": [{line}, {island}]}}"#);
        assert!(meets(&all, "178,-20,-178,-10"));
        let odd = [
            "null",
            "{}",
            r#"{"type":"Polygon","coordinates":[[["a"]]]}"#,
            r#"{"type":"Polygon","coordinates":[1,2]}"#,
        ];
        assert!(odd.iter().all(|json| Shape::parse(json).is_none()));
        let empty = Shape::parse(r#"{"type":"Polygon","coordinates":[]}"#).unwrap();
        assert!(!empty.meets(&"-180,-90,180,90".parse().unwrap()));
    }

    #[test]
    fn shapes_beyond_180_degrees_are_on_both_sides() {
        let beyond = polygon("[[[170, 0], [190, 0], [190, 10], [170, 10], [170, 0]]]");
        assert!(meets(&beyond, "-175,1,-172,2") && meets(&beyond, "175,1,-175,2") && !meets(&beyond, "-160,1,-150,2"));
        let uncut = polygon("[[[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]]");
        let shape = Shape::parse(&uncut).unwrap().unrolled();
        assert!(shape.meets(&"-175,1,-172,2".parse().unwrap()) && !shape.meets(&"0,1,10,2".parse().unwrap()));
    }

    #[test]
    fn heights_are_zero_where_there_are_none() {
        let flat = Shape::parse(r#"{"type": "Point", "coordinates": [1, 2]}"#).unwrap();
        assert!(flat.meets_heights([-1.0, 0.0]) && !flat.meets_heights([1.0, 5.0]));
        let high = Shape::parse(r#"{"type": "Point", "coordinates": [1, 2, 300]}"#).unwrap();
        assert!(high.meets_heights([100.0, 300.0]) && !high.meets_heights([0.0, 100.0]));
    }
}
