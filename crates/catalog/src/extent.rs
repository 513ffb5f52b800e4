//! What items and collections span in space and time.

use outcrop_grid::interval::parse_time;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::Body;
use serde_json::Value;

/// The box of a document of an item, if it has a valid one.
pub(crate) fn bbox_of(item: &Body) -> Option<BBox> {
    numbers(item.get("bbox")?)
}

/// A box from a JSON array of 4 or 6 numbers.
pub(crate) fn numbers(value: &Value) -> Option<BBox> {
    let numbers: Option<Vec<f64>> = value.as_array()?.iter().map(Value::as_f64).collect();
    BBox::from_slice(&numbers?).ok()
}

/// The time of an item: start and end where it has both, else its datetime.
pub(crate) fn interval_of(item: &Body) -> Option<Interval> {
    let properties = item.get("properties")?;
    let time = |key: &str| properties.get(key).and_then(Value::as_str).and_then(parse_time);
    match (time("start_datetime"), time("end_datetime"), time("datetime")) {
        (Some(start), Some(end), _) => Some(Interval { start: Some(start), end: Some(end) }),
        (_, _, Some(time)) => Some(Interval { start: Some(time), end: Some(time) }),
        _ => None,
    }
}

/// The box around both.
pub(crate) fn union(all: Option<BBox>, next: Option<BBox>) -> Option<BBox> {
    match (all, next) {
        (Some(all), Some(next)) => Some(all.union(&next)),
        (all, next) => all.or(next),
    }
}

/// The interval around both; an open end stays open.
pub(crate) fn hull(all: Option<Interval>, next: Option<Interval>) -> Option<Interval> {
    match (all, next) {
        (Some(all), Some(next)) => Some(Interval {
            start: all.start.zip(next.start).map(|(a, b)| a.min(b)),
            end: all.end.zip(next.end).map(|(a, b)| a.max(b)),
        }),
        (all, next) => all.or(next),
    }
}
