//! The axes of a file by CF conventions 1.11, chapter 4: which variables are x, y and time, and what they span.

use outcrop_formats::{AttrValue, FileMeta, Format, Variable};
use outcrop_grid::time::{CfTime, rfc3339};
use outcrop_grid::{Axis, Crs};
use serde_json::{Value, json};

use super::File;
use crate::Result;

/// Evenly spaced x and y and their CRS.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) crs: Crs,
    /// `EPSG:32631`, where the file names it.
    pub(crate) code: Option<String>,
    pub(crate) x_name: String,
    pub(crate) y_name: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

/// What a time axis spans, RFC 3339.
#[derive(Debug)]
pub(crate) struct TimeSpan {
    pub(crate) name: String,
    pub(crate) start: String,
    pub(crate) end: String,
    /// ISO 8601 duration of an even step.
    pub(crate) step: Option<String>,
}

pub(crate) fn text<'a>(variable: &'a Variable, name: &str) -> &'a str {
    variable.attrs.get(name).and_then(AttrValue::text).unwrap_or_default()
}

/// True if a variable is a latitude or longitude by its standard name, its units or its name.
pub(crate) fn is_named(variable: &Variable, what: &str) -> bool {
    let units = if what == "latitude" { ["degrees_north", "degree_north"] } else { ["degrees_east", "degree_east"] };
    let short = if what == "latitude" { "lat" } else { "lon" };
    text(variable, "standard_name") == what
        || units.contains(&text(variable, "units"))
        || [what, short].contains(&variable.name.to_ascii_lowercase().as_str())
}

/// True for a variable that labels its own dimension.
pub(crate) fn is_coordinate(variable: &Variable) -> bool {
    // In a group, the variable has the path of the group in its name; its dimension may be of a group above.
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    variable.dims.len() == 1 && (variable.dims[0] == variable.name || last(&variable.dims[0]) == last(&variable.name))
}

fn is_axis(variable: &Variable, plane: &str, degrees: &str, axis: &str) -> bool {
    text(variable, "standard_name") == plane
        || text(variable, "axis") == axis
        || is_named(variable, degrees)
        || variable.name.eq_ignore_ascii_case(axis)
}

/// x, y and their CRS, where they are evenly spaced coordinates.
pub(crate) async fn place(file: &mut File) -> Result<Option<Place>> {
    let find = |plane: &str, degrees: &str, axis: &str| {
        let mut axes =
            file.opened.meta.variables.iter().filter(|v| is_coordinate(v) && is_axis(v, plane, degrees, axis));
        axes.next().cloned()
    };
    let x = find("projection_x_coordinate", "longitude", "X");
    let y = find("projection_y_coordinate", "latitude", "Y");
    let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
    let Some(crs) = crs(file, &x)? else { return Ok(None) };
    let code = mapping(file).and_then(|mapping| mapping.attrs.get("epsg")?.number()).map(|code| format!("EPSG:{code}"));
    let (x_name, y_name) = (x.name.clone(), y.name.clone());
    let (per_x, per_y) = (unit(file, &x, &crs)?, unit(file, &y, &crs)?);
    let x = Axis::from_centres(&scaled(&file.labels(&x).await?, per_x));
    let y = Axis::from_centres(&scaled(&file.labels(&y).await?, per_y));
    Ok(x.zip(y).map(|(x, y)| Place { crs, code, x_name, y_name, x, y }))
}

/// The variable that others name as their grid mapping.
fn mapping(file: &File) -> Option<&Variable> {
    let mut named = file.opened.meta.variables.iter().map(|v| text(v, "grid_mapping")).filter(|name| !name.is_empty());
    // The extended form is `crs: x y`.
    file.opened.meta.variable(named.next()?.split([':', ' ']).next()?)
}

fn scaled(labels: &[f64], factor: f64) -> Vec<f64> {
    labels.iter().map(|label| label * factor).collect()
}

/// What one unit of a coordinate is in units of its CRS: metres, or degrees.
fn unit(file: &File, coordinate: &Variable, crs: &Crs) -> Result<f64> {
    let units = text(coordinate, "units").trim();
    let lower = units.to_ascii_lowercase();
    if crs.is_lonlat() {
        return match lower.as_str() {
            "radian" | "radians" | "rad" => Ok(1f64.to_degrees()),
            _ => Ok(1.0),
        };
    }
    // A system that names its unit (`+units=us-ft`) takes coordinates in it.
    let own = |key: &str| crs.proj_string().split_whitespace().find_map(|part| part.strip_prefix(key));
    if own("+units=").is_some_and(|unit| unit != "m") || own("+to_meter=").is_some_and(|factor| factor != "1") {
        return Ok(1.0);
    }
    match lower.as_str() {
        "" | "1" | "m" | "meter" | "meters" | "metre" | "metres" => Ok(1.0),
        "km" | "kilometer" | "kilometers" | "kilometre" | "kilometres" => Ok(1000.0),
        "ft" | "foot" | "feet" => Ok(0.3048),
        "us_survey_foot" | "us-ft" | "us survey foot" => Ok(1200.0 / 3937.0),
        _ => {
            let why =
                format!("coordinate `{}` of a projection has units `{units}`, which are no length", coordinate.name);
            Err(file.failed(why))
        }
    }
}

/// The CRS of the grid mapping; without one, longitude and latitude if the axes are such.
fn crs(file: &File, x: &Variable) -> Result<Option<Crs>> {
    let mapping = mapping(file);
    if let Some(proj) = mapping.map(|mapping| text(mapping, "proj4")).filter(|proj| !proj.is_empty()) {
        return Crs::from_proj(proj).map(Some).map_err(|e| file.failed(e));
    }
    if let Some(mapping) = mapping {
        let numbers = |name: &str| mapping.attrs.get(name).map(AttrValue::numbers).filter(|n| !n.is_empty());
        let crs = Crs::from_cf(text(mapping, "grid_mapping_name"), &numbers);
        return crs.map(Some).map_err(|e| file.failed(e));
    }
    if !is_named(x, "longitude") {
        return Ok(None);
    }
    Crs::lonlat().map(Some).map_err(|e| file.failed(e))
}

/// The first coordinate with units of time.
pub(crate) async fn time(file: &mut File) -> Result<Option<TimeSpan>> {
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
    let second = labels.get(1).and_then(|label| moment(*label));
    let even = Axis::from_centres(&labels).filter(|axis| axis.len > 1);
    let step = second.filter(|_| even.is_some()).map(|second| duration((second - start).num_seconds()));
    Ok(Some(TimeSpan { name: variable.name, start: rfc3339(&start), end: rfc3339(&end), step: step.flatten() }))
}

/// What all segments of a file of seismic records span; its coordinates are one for each segment.
fn time_of_records(meta: &FileMeta) -> Option<TimeSpan> {
    let moment = |name: &str| meta.attrs.get(name).and_then(AttrValue::text).map(ToOwned::to_owned);
    Some(TimeSpan { name: "time".to_owned(), start: moment("starttime")?, end: moment("endtime")?, step: None })
}

fn duration(seconds: i64) -> Option<String> {
    let units = [(86_400, "P", "D"), (3600, "PT", "H"), (60, "PT", "M"), (1, "PT", "S")];
    let (unit, before, after) = units.into_iter().find(|(unit, ..)| seconds > 0 && seconds % unit == 0)?;
    Some(format!("{before}{}{after}", seconds / unit))
}

impl Place {
    /// Fields of the projection extension 2.0.0; rows from the first y to the last.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Value)> {
        let (x, y) = (&self.x, &self.y);
        let ((west, east), (south, north)) = (x.bounds(), y.bounds());
        let origin = [x.first - x.step / 2.0, y.first - y.step / 2.0];
        let lonlat = || self.crs.is_lonlat().then(|| "OGC:CRS84".to_owned());
        let mut fields = vec![("proj:code", json!(self.code.clone().or_else(lonlat)))];
        if !self.crs.is_lonlat() {
            fields.extend(self.crs.wkt2().map(|wkt| ("proj:wkt2", Value::String(wkt))));
        }
        fields.push(("proj:shape", json!([y.len, x.len])));
        fields.push(("proj:transform", json!([x.step, 0.0, origin[0], 0.0, y.step, origin[1]])));
        fields.push(("proj:bbox", json!([west, south, east, north])));
        fields
    }
}
