//! miniSEED: the samples of each segment in an interval. A station is a point, so a box does not cut it.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use outcrop_formats::convert::Part;
use outcrop_formats::miniseed::{Version, WriteOptions};
use outcrop_formats::{AttrValue, FileMeta, Variable};
use outcrop_grid::Interval;

use super::Cut;
use super::window::Refusal;

/// The segments that are wanted, each with its samples in the interval; those without any are left out.
pub(super) fn part(meta: &FileMeta, cut: &Cut) -> Result<Part, Refusal> {
    let mut part = Part::default();
    let chosen: Vec<&Variable> = if cut.variables.is_empty() {
        meta.variables.iter().filter(|variable| is_segment(variable)).collect()
    } else {
        cut.variables.iter().map(|name| meta.find(name)).collect::<Result<_, _>>()?
    };
    for segment in chosen {
        let Some(run) = run(segment, cut.interval.as_ref()) else { continue };
        part.variables.push(segment.name.clone());
        let dim = &segment.dims[0];
        // Segments with one dimension have the same times.
        if run != (0..segment.grid.shape[0]) && !part.windows.iter().any(|(known, _)| known == dim) {
            part.windows.push((dim.clone(), run));
        }
    }
    if part.variables.is_empty() {
        return Err(Refusal::Said("no sample of it lies in the interval".into()));
    }
    Ok(part)
}

fn is_segment(variable: &Variable) -> bool {
    variable.dims.len() == 1 && variable.dims[0] != variable.name
}

/// The samples of a segment in an interval, both ends included; `None` if there are none.
fn run(segment: &Variable, interval: Option<&Interval>) -> Option<Range<u64>> {
    let count = segment.grid.shape.first().copied()?;
    let Some(interval) = interval else { return (count > 0).then_some(0..count) };
    let start = segment.attrs.get("starttime").and_then(AttrValue::text)?;
    let start = DateTime::parse_from_rfc3339(start).ok()?.timestamp_nanos_opt()?;
    let rate = match segment.attrs.get("sampling_rate_hz") {
        Some(AttrValue::Float64(rate)) => rate.first().copied().filter(|rate| *rate > 0.0)?,
        _ => return None,
    };
    // To the nanosecond, as the coordinate has them.
    let since = |at: u64| Duration::try_from_secs_f64(at as f64 / rate).map_or(i128::MAX, nanoseconds);
    let time = |at: u64| i128::from(start).saturating_add(since(at));
    let before = |is_before: &dyn Fn(i128) -> bool| {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(time(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    };
    let nanos = |time: DateTime<Utc>| time.timestamp_nanos_opt().map(i128::from);
    let first = interval.start.map_or(Some(0), |from| nanos(from).map(|from| before(&|time| time < from)))?;
    let end = interval.end.map_or(Some(count), |to| nanos(to).map(|to| before(&|time| time <= to)))?;
    (first < end).then_some(first..end)
}

fn nanoseconds(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

/// Parts are written in the version of the source.
pub(super) fn options(meta: &FileMeta) -> WriteOptions {
    let is_third = |variable: &Variable| variable.attrs.contains_key("publication_version");
    let version = if meta.variables.iter().any(is_third) { Version::Three } else { Version::Two };
    WriteOptions { version, ..WriteOptions::default() }
}
