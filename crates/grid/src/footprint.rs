//! Footprints: the outline of a grid in longitude and latitude, also across the antimeridian and around a pole.
//!
//! Geometry follows RFC 7946: rings are counter-clockwise and closed, what crosses the antimeridian is cut there
//! (section 3.1.9), the box then has west > east (section 5.2).

use crate::{BBox, Crs, Error, Result};

/// Points per edge of a rectangle, so that curved edges are followed.
const POINTS_PER_EDGE: u32 = 32;

/// An outline in degrees.
///
/// - Each ring is closed, counter-clockwise and within -180..=180.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    /// The box around it.
    pub bbox: BBox,
    /// One ring, or two where it crosses the antimeridian.
    pub rings: Vec<Vec<[f64; 2]>>,
}

/// The outline of the rectangle between two corners in the coordinates of `crs`.
///
/// # Errors
/// [`Error::Projection`] if the outline leaves the projection.
pub fn footprint_of_rectangle(crs: &Crs, x: (f64, f64), y: (f64, f64)) -> Result<Footprint> {
    let corners = [(x.0, y.0), (x.1, y.0), (x.1, y.1), (x.0, y.1), (x.0, y.0)];
    if crs.is_lonlat() {
        let (south, north) = (y.0.max(-90.0), y.1.min(90.0));
        return Ok(placed(vec![[x.0, south], [x.1, south], [x.1, north], [x.0, north]]));
    }
    let steps = POINTS_PER_EDGE;
    let mut ring = Vec::new();
    for pair in corners.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        for i in 0..steps {
            let t = f64::from(i) / f64::from(steps);
            ring.push(crs.to_lonlat(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t)?);
        }
    }
    footprint_of_lonlat(&ring)
}

/// The outline through these points (lon, lat), in either direction, open or closed.
///
/// # Errors
/// [`Error::BBox`] for fewer than three points or points that are not finite.
pub fn footprint_of_lonlat(points: &[[f64; 2]]) -> Result<Footprint> {
    let bad = |why| Error::BBox { text: format!("outline of {} points", points.len()), why };
    if points.len() < 3 {
        return Err(bad("it needs three points"));
    }
    if !points.iter().flatten().all(|v| v.is_finite()) {
        return Err(bad("its coordinates must be finite"));
    }
    let (ring, turn) = unrolled(points);
    if turn.abs() > 180.0 {
        return Ok(around_pole(ring));
    }
    Ok(placed(ring))
}

/// Brings a ring of continuous longitudes into -180..=180, cut at the antimeridian.
fn placed(mut ring: Vec<[f64; 2]>) -> Footprint {
    if area(&ring) < 0.0 {
        ring.reverse();
    }
    let (west, east) = range(&ring, 0);
    let (south, north) = range(&ring, 1);
    if east - west >= 359.9 {
        let ring = vec![[-180.0, south], [180.0, south], [180.0, north], [-180.0, north], [-180.0, south]];
        return Footprint { bbox: BBox { west: -180.0, south, east: 180.0, north }, rings: vec![ring] };
    }
    let shift = -360.0 * ((west + 180.0) / 360.0).floor();
    let ring: Vec<[f64; 2]> = ring.iter().map(|[lon, lat]| [lon + shift, *lat]).collect();
    let (west, east) = (west + shift, east + shift);
    if east <= 180.0 {
        return Footprint { bbox: BBox { west, south, east, north }, rings: vec![closed(ring)] };
    }
    let left = closed(clipped(&ring, 180.0, 1.0));
    let right: Vec<[f64; 2]> = clipped(&ring, 180.0, -1.0).iter().map(|[lon, lat]| [lon - 360.0, *lat]).collect();
    Footprint { bbox: BBox { west, south, east: east - 360.0, north }, rings: vec![left, closed(right)] }
}

/// Longitudes made continuous, and the total turn: 0, or 360 degrees around a pole.
fn unrolled(points: &[[f64; 2]]) -> (Vec<[f64; 2]>, f64) {
    let step = |from: f64, to: f64| (to - from + 180.0).rem_euclid(360.0) - 180.0;
    let mut ring = vec![points[0]];
    for pair in points.windows(2) {
        let last = ring[ring.len() - 1][0];
        ring.push([last + step(pair[0][0], pair[1][0]), pair[1][1]]);
    }
    let last = ring[ring.len() - 1][0];
    let turn = last + step(points[points.len() - 1][0], points[0][0]) - ring[0][0];
    (ring, turn)
}

fn around_pole(mut ring: Vec<[f64; 2]>) -> Footprint {
    if ring[0][0] > ring[ring.len() - 1][0] {
        ring.reverse();
    }
    let (south, north) = range(&ring, 1);
    let pole = if north.abs() >= south.abs() { 90.0 } else { -90.0 };
    let mut line: Vec<[f64; 2]> =
        ring.iter().map(|[lon, lat]| [(lon + 180.0).rem_euclid(360.0) - 180.0, *lat]).collect();
    line.sort_by(|a, b| a[0].total_cmp(&b[0]));
    // The line meets the antimeridian at the latitude between its two ends.
    let edge = f64::midpoint(line[0][1], line[line.len() - 1][1]);
    let mut outline = vec![[-180.0, edge]];
    outline.extend(line);
    outline.extend([[180.0, edge], [180.0, pole], [-180.0, pole]]);
    if area(&outline) < 0.0 {
        outline.reverse();
    }
    let bbox = BBox { west: -180.0, south: south.min(pole), east: 180.0, north: north.max(pole) };
    Footprint { bbox, rings: vec![closed(outline)] }
}

/// The part of a ring on one side of a meridian (`side` 1: west of it, -1: east of it).
fn clipped(ring: &[[f64; 2]], meridian: f64, side: f64) -> Vec<[f64; 2]> {
    let inside = |p: &[f64; 2]| (meridian - p[0]) * side >= 0.0;
    let mut out = Vec::new();
    for (i, to) in ring.iter().enumerate() {
        let from = &ring[(i + ring.len() - 1) % ring.len()];
        if inside(from) != inside(to) {
            let t = (meridian - from[0]) / (to[0] - from[0]);
            out.push([meridian, from[1] + t * (to[1] - from[1])]);
        }
        if inside(to) {
            out.push(*to);
        }
    }
    out
}

fn closed(mut ring: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    ring.dedup();
    if let (Some(first), Some(last)) = (ring.first().copied(), ring.last().copied())
        && first != last
    {
        ring.push(first);
    }
    ring
}

fn range(ring: &[[f64; 2]], axis: usize) -> (f64, f64) {
    let fold = |(lo, hi): (f64, f64), p: &[f64; 2]| (lo.min(p[axis]), hi.max(p[axis]));
    ring.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold)
}

/// Twice the signed area; positive for a counter-clockwise ring.
fn area(ring: &[[f64; 2]]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daymet_grid_of_north_america_crosses_the_antimeridian() {
        let crs = Crs::from_proj("+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +ellps=WGS84").unwrap();
        let footprint = footprint_of_rectangle(&crs, (-4_560_750.0, 3_253_250.0), (-3_090_500.0, 4_984_500.0)).unwrap();
        assert_eq!(footprint.rings.len(), 2);
        assert!(footprint.bbox.crosses_antimeridian());
        assert!((footprint.bbox.west - 156.0).abs() < 1.0, "{:?}", footprint.bbox);
        for [lon, lat] in footprint.rings.iter().flatten() {
            assert!((-180.0..=180.0).contains(lon) && (-90.0..=90.0).contains(lat));
        }
    }

    #[test]
    fn rectangles_in_degrees_stay_rectangles() {
        let crs = Crs::lonlat().unwrap();
        let footprint = footprint_of_rectangle(&crs, (0.0, 10.0), (40.0, 50.0)).unwrap();
        assert_eq!(footprint.bbox.to_array(), [0.0, 40.0, 10.0, 50.0]);
        assert_eq!(footprint.rings, vec![vec![[0.0, 40.0], [10.0, 40.0], [10.0, 50.0], [0.0, 50.0], [0.0, 40.0]]]);
        let world = footprint_of_rectangle(&crs, (-180.0, 180.0), (-90.0, 90.0)).unwrap();
        assert_eq!(world.bbox.to_array(), [-180.0, -90.0, 180.0, 90.0]);
        let east = footprint_of_rectangle(&crs, (0.0, 360.0), (-90.0, 90.0)).unwrap();
        assert_eq!(east.bbox.to_array(), [-180.0, -90.0, 180.0, 90.0]);
    }

    #[test]
    fn an_outline_around_the_pole_reaches_it() {
        let crs = Crs::from_proj("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=70 +ellps=WGS84").unwrap();
        let footprint = footprint_of_rectangle(&crs, (-3e6, 3e6), (-3e6, 3e6)).unwrap();
        assert_eq!((footprint.bbox.west, footprint.bbox.east, footprint.bbox.north), (-180.0, 180.0, 90.0));
        assert!(footprint.bbox.south > 40.0 && footprint.bbox.south < 65.0);
    }
}
