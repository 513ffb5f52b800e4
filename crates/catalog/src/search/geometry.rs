//! Does a GeoJSON geometry meet a box? In plane longitude and latitude, edges included (RFC 7946).

use outcrop_grid::BBox;
use serde_json::Value;

type Point = [f64; 2];

/// Deepest nesting of geometry collections that is looked into.
const DEEPEST: usize = 8;

/// True if the geometry has a point in common with the box, which may cross the antimeridian.
pub(super) fn meets(geometry: &Value, bbox: &BBox) -> bool {
    bbox.parts().iter().any(|part| meets_part(geometry, part, DEEPEST))
}

fn meets_part(geometry: &Value, bbox: &BBox, depth: usize) -> bool {
    let kind = geometry.get("type").and_then(Value::as_str).unwrap_or_default();
    let coordinates = geometry.get("coordinates").unwrap_or(&Value::Null);
    let any = |value: &Value, test: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|all| all.iter().any(test));
    match kind {
        "Point" => point(coordinates).is_some_and(|p| holds(bbox, p)),
        "MultiPoint" => any(coordinates, &|p| point(p).is_some_and(|p| holds(bbox, p))),
        "LineString" => line_meets(&line(coordinates), bbox),
        "MultiLineString" => any(coordinates, &|l| line_meets(&line(l), bbox)),
        "Polygon" => polygon_meets(coordinates, bbox),
        "MultiPolygon" => any(coordinates, &|polygon| polygon_meets(polygon, bbox)),
        "GeometryCollection" if depth > 0 => {
            any(geometry.get("geometries").unwrap_or(&Value::Null), &|member| meets_part(member, bbox, depth - 1))
        }
        _ => false,
    }
}

fn point(value: &Value) -> Option<Point> {
    let part = |at: usize| value.get(at).and_then(Value::as_f64);
    Some([part(0)?, part(1)?])
}

fn line(value: &Value) -> Vec<Point> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(point).collect()
}

fn holds(bbox: &BBox, [x, y]: Point) -> bool {
    (bbox.west..=bbox.east).contains(&x) && (bbox.south..=bbox.north).contains(&y)
}

fn line_meets(line: &[Point], bbox: &BBox) -> bool {
    line.first().is_some_and(|p| holds(bbox, *p)) || line.windows(2).any(|edge| edge_meets(edge[0], edge[1], bbox))
}

/// Liang and Barsky: is there a part of the edge within all four sides?
fn edge_meets(from: Point, to: Point, bbox: &BBox) -> bool {
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
fn polygon_meets(rings: &Value, bbox: &BBox) -> bool {
    let rings: Vec<Vec<Point>> = rings.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(line).collect();
    if rings.iter().any(|ring| line_meets(ring, bbox)) {
        return true;
    }
    let around = rings.iter().filter(|ring| surrounds(ring, [bbox.west, bbox.south])).count();
    around % 2 == 1
}

fn surrounds(ring: &[Point], [x, y]: Point) -> bool {
    let crosses = |edge: &&[Point]| {
        let ([x0, y0], [x1, y1]) = (edge[0], edge[1]);
        (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    };
    ring.windows(2).filter(crosses).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meets_box(geometry: &Value, bbox: &str) -> bool {
        meets(geometry, &bbox.parse().unwrap())
    }

    #[test]
    fn polygons_meet_boxes_by_their_area_not_by_their_box() {
        let triangle = json!({"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]});
        assert!(meets_box(&triangle, "1,1,2,2"));
        assert!(meets_box(&triangle, "-5,-5,20,20"));
        assert!(meets_box(&triangle, "4,4,9,9"));
        assert!(!meets_box(&triangle, "6,6,9,9"));
        assert!(meets_box(&triangle, "5,5,9,9"), "the edge counts");
        assert!(meets_box(&triangle, "-1,-1,0,0"), "the corner counts");
    }

    #[test]
    fn holes_are_outside() {
        let rings = json!([[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], [[3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]]);
        let ring = json!({"type": "Polygon", "coordinates": rings});
        assert!(!meets_box(&ring, "4,4,5,5"));
        assert!(meets_box(&ring, "4,4,7,5") && meets_box(&ring, "1,1,2,2"));
    }

    #[test]
    fn boxes_across_the_antimeridian_and_odd_geometries() {
        let island = json!({"type": "Point", "coordinates": [-179.5, -17, 4]});
        assert!(meets_box(&island, "178,-20,-178,-10"));
        assert!(!meets_box(&island, "-178,-20,178,-10"));
        let line = json!({"type": "LineString", "coordinates": [[0, 0], [10, 10]]});
        assert!(meets_box(&line, "4,4,5,6") && !meets_box(&line, "0,5,4,9"));
        let all = json!({"type": "GeometryCollection", "geometries": [line, island]});
        assert!(meets_box(&all, "178,-20,-178,-10"));
        for odd in [json!(null), json!({"type": "Polygon"}), json!({"type": "Polygon", "coordinates": [[["a"]]]})] {
            assert!(!meets_box(&odd, "-180,-90,180,90"));
        }
    }
}
