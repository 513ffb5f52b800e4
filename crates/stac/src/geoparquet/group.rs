//! What is known of a group of rows without reading it.

use outcrop_grid::{BBox, Interval};
use serde::{Deserialize, Serialize};

/// Most collections that a group names.
const MOST_COLLECTIONS: usize = 32;

/// What is known of a group of rows without reading it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Group {
    /// Rows.
    pub rows: usize,
    /// West, south, east, north around the geometries and boxes of all rows; from -180 to 180 where one crosses the
    /// antimeridian. `None` where no row has a place.
    pub bbox: Option<[f64; 4]>,
    /// First and last moment of all rows, microseconds since 1970. `None` where no row has a time.
    pub time: Option<[i64; 2]>,
    /// Collections of the rows; none where there are many.
    #[serde(default)]
    pub collections: Vec<String>,
    /// There are too many collections to name them.
    #[serde(skip)]
    many: bool,
}

impl Group {
    pub(super) fn meet_box(&mut self, [w, s, e, n]: [f64; 4]) {
        // Across the antimeridian, or beyond 180 degrees.
        let (w, e) = if w > e || w < -180.0 || e > 180.0 { (-180.0, 180.0) } else { (w, e) };
        let [west, south, east, north] = self.bbox.unwrap_or([w, s, e, n]);
        self.bbox = Some([west.min(w), south.min(s), east.max(e), north.max(n)]);
    }

    pub(super) fn meet_time(&mut self, micros: i64) {
        let [first, last] = self.time.unwrap_or([micros; 2]);
        self.time = Some([first.min(micros), last.max(micros)]);
    }

    /// A row of this collection; the empty id is a row without one.
    pub(super) fn meet_collection(&mut self, id: &str) {
        if self.many || self.collections.iter().rev().any(|known| known == id) {
            return;
        }
        self.collections.push(id.to_owned());
        if self.collections.len() > MOST_COLLECTIONS {
            (self.many, self.collections) = (true, Vec::new());
        }
    }

    /// False only if no row can meet the box, the interval and the collections; no collections are all.
    pub fn may_hold(&self, bbox: Option<&BBox>, interval: Option<&Interval>, collections: &[String]) -> bool {
        let in_space = bbox.is_none_or(|wanted| {
            self.bbox.is_some_and(|[west, south, east, north]| BBox { west, south, east, north }.intersects(wanted))
        });
        let in_time = interval.is_none_or(|wanted| {
            let micros = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|time| time.timestamp_micros());
            let (start, end) = (micros(wanted.start), micros(wanted.end));
            self.time.is_some_and(|[first, last]| {
                start.is_none_or(|start| start <= last) && end.is_none_or(|end| end >= first)
            })
        });
        let named = collections.is_empty()
            || self.collections.is_empty()
            || self.collections.iter().any(|own| collections.contains(own));
        in_space && in_time && named
    }
}

/// A number that is near for items near each other: the bits of longitude, latitude and time, one of each in turn.
///
/// - `center`: degrees; `seconds`: since 1970. What is beyond -180 to 180, -90 to 90, or 1900 to 2100, stands at the ends.
pub(super) fn place([lon, lat]: [f64; 2], seconds: f64) -> u64 {
    const BITS: u32 = 21;
    let steps = f64::from((1u32 << BITS) - 1);
    let years = (seconds / 31_556_952.0 + 70.0) / 200.0;
    let parts = [(lon + 180.0) / 360.0, (lat + 90.0) / 180.0, years];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was clamped")]
    let parts = parts.map(|part| (part.clamp(0.0, 1.0) * steps) as u64);
    (0..BITS).rev().flat_map(|bit| parts.map(|part| part >> bit & 1)).fold(0, |place, bit| place << 1 | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_near_for_what_is_near() {
        let here = place([10.0, 50.0], 1e9);
        let near = place([10.001, 50.001], 1e9 + 60.0);
        let far = place([-170.0, -80.0], 0.0);
        assert!(here.abs_diff(near) < here.abs_diff(far));
        assert_eq!(place([f64::NAN, 500.0], -1e30), place([-180.0, 90.0], -1e30));
    }

    #[test]
    fn many_collections_are_none_named() {
        let mut group = Group::default();
        (0..40).for_each(|i| group.meet_collection(&format!("c{i}")));
        assert!(group.collections.is_empty());
        group.meet_collection("c0");
        assert!(group.collections.is_empty() && group.may_hold(None, None, &["x".to_owned()]));
    }
}
