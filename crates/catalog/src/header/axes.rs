//! What the axes of a file mean in STAC: what time spans, and the fields of the projection extension.

use outcrop_formats::place::{Place, is_coordinate, text};
use outcrop_formats::{AttrValue, FileMeta, Format, Variable};
use outcrop_grid::Axis;
use outcrop_grid::time::{CfTime, rfc3339};
use serde_json::{Value, json};

use super::File;
use crate::Result;
use crate::recipe::Field;

/// What a time axis spans, RFC 3339.
#[derive(Debug)]
pub(crate) struct TimeSpan {
    pub(crate) name: String,
    pub(crate) start: String,
    pub(crate) end: String,
    /// ISO 8601 duration of an even step.
    pub(crate) step: Option<String>,
    /// From the start of the first cell to the end of the last, where the axis has bounds that were wanted.
    pub(crate) cells: Option<(String, String)>,
}

/// The first coordinate with units of time.
pub(crate) async fn time(file: &mut File, fields: &[Field]) -> Result<Option<TimeSpan>> {
    if file.opened.meta.format == Format::MiniSeed {
        return Ok(time_of_records(&file.opened.meta));
    }
    let is_time = |v: &&Variable| text(v, "units").contains(" since ") && (is_coordinate(v) || v.dims.is_empty());
    let Some(variable) = file.opened.meta.variables.iter().find(is_time).cloned() else { return Ok(None) };
    let cf = CfTime::parse(text(&variable, "units"), text(&variable, "calendar")).map_err(|e| file.failed(e))?;
    let labels = file.labels(&variable).await?;
    let moment = |value: f64| cf.decode(value).and_then(|stamp| stamp.to_utc());
    let finite = || labels.iter().copied().filter(|label| label.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let (Some(start), Some(end)) = (moment(low), moment(high)) else { return Ok(None) };
    let even = Axis::from_centres(&labels).filter(|axis| axis.len > 1);
    let steps = even.and_then(|axis| i64::try_from(axis.len - 1).ok());
    // Labels are rounded, the whole span least of all.
    let step = steps.and_then(|steps| duration((end - start).num_nanoseconds()? / steps));
    let mut cells = None;
    if fields.contains(&Field::Datetime)
        && let Some([low, high]) = ends(file, &variable, &labels).await?
        && let (Some(start), Some(end)) = (moment(low), moment(high))
    {
        cells = Some((rfc3339(&start), rfc3339(&end)));
    }
    Ok(Some(TimeSpan { name: variable.name, start: rfc3339(&start), end: rfc3339(&end), step, cells }))
}

/// The least and the largest of the bounds of an axis (CF conventions, 7.1), where all of them are around their labels.
async fn ends(file: &mut File, axis: &Variable, labels: &[f64]) -> Result<Option<[f64; 2]>> {
    let name = text(axis, "bounds");
    let shape: Vec<u64> = axis.grid.shape.iter().copied().chain([2]).collect();
    let fits = |v: &&Variable| v.name == name && v.grid.shape == shape && v.dtype.is_real();
    let bounds =
        file.opened.meta.variables.iter().find(fits).filter(|_| !name.is_empty() && !labels.is_empty()).cloned();
    let Some(bounds) = bounds else { return Ok(None) };
    // Their units are those of the axis; others would not be of CF.
    if [("units", ""), ("calendar", "")]
        .iter()
        .any(|(key, none)| ![*none, text(axis, key)].contains(&text(&bounds, key)))
    {
        return Ok(None);
    }
    let window = shape.into_iter().map(|length| 0..length).collect();
    let values = file.windows(&bounds, &[window]).await?.concat();
    let pairs = || values.as_chunks::<2>().0.iter().map(|[a, b]| [a.min(*b), a.max(*b)]);
    let is_around = |(label, [low, high]): (&f64, [f64; 2])| low <= *label && *label <= high;
    if pairs().len() != labels.len() || !labels.iter().zip(pairs()).all(is_around) {
        return Ok(None);
    }
    Ok(pairs().reduce(|[low, high], [next, last]| [low.min(next), high.max(last)]))
}

/// What all segments of a file of seismic records span; its coordinates are one for each segment.
fn time_of_records(meta: &FileMeta) -> Option<TimeSpan> {
    let moment = |name: &str| meta.attrs.get(name).and_then(AttrValue::text).map(ToOwned::to_owned);
    let (start, end) = (moment("starttime")?, moment("endtime")?);
    Some(TimeSpan { name: "time".to_owned(), start, end, step: None, cells: None })
}

/// A duration of ISO 8601: whole days, hours, minutes or seconds, else seconds with a fraction.
fn duration(nanos: i64) -> Option<String> {
    const SECOND: i64 = 1_000_000_000;
    if nanos <= 0 {
        return None;
    }
    let units = [(86_400, "P", "D"), (3600, "PT", "H"), (60, "PT", "M"), (1, "PT", "S")];
    if let Some((unit, before, after)) = units.into_iter().find(|(unit, ..)| nanos % (unit * SECOND) == 0) {
        return Some(format!("{before}{}{after}", nanos / (unit * SECOND)));
    }
    let text = format!("{}.{:09}", nanos / SECOND, nanos % SECOND);
    Some(format!("PT{}S", text.trim_end_matches('0')))
}

/// Fields of the projection extension 2.0.0; rows from the first y to the last.
pub(crate) fn proj(place: &Place) -> Vec<(&'static str, Value)> {
    let (x, y) = (&place.x, &place.y);
    let ((west, east), (south, north)) = (x.bounds(), y.bounds());
    let origin = [x.first - x.step / 2.0, y.first - y.step / 2.0];
    let code = place.epsg.map(|code| format!("EPSG:{code}"));
    let lonlat = || place.crs.is_lonlat().then(|| "OGC:CRS84".to_owned());
    let mut fields = vec![("proj:code", json!(code.or_else(lonlat)))];
    // A code says it better: its names are not known here.
    if !place.crs.is_lonlat() && place.epsg.is_none() {
        fields.extend(place.crs.wkt2().map(|wkt| ("proj:wkt2", Value::String(wkt))));
    }
    fields.push(("proj:shape", json!([y.len, x.len])));
    fields.push(("proj:transform", json!([x.step, 0.0, origin[0], 0.0, y.step, origin[1]])));
    fields.push(("proj:bbox", json!([west, south, east, north])));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601() {
        let of = |millis: i64| duration(millis * 1_000_000).unwrap();
        assert_eq!([86_400_000, 7_200_000, 90_000, 1, 1250].map(of), ["P1D", "PT2H", "PT90S", "PT0.001S", "PT1.25S"]);
        assert_eq!((duration(0), duration(-5)), (None, None));
    }
}
