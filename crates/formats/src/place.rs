//! Where the cells of a file are, by CF conventions 1.11, chapters 4 and 5: evenly spaced x and y and their coordinate
//! reference system.

use std::ops::Range;

use outcrop_grid::{Axis, Crs};

use crate::array::{AttrValue, DType, FileMeta, Variable};
use crate::cf::Decoding;
use crate::{Error, Opened, Result};

/// Longest coordinate that is read.
const MOST_LABELS: u64 = 16 << 20;

/// Attributes of a grid mapping that say which CRS it is, or that it is not understood.
const CRS: [&str; 3] = ["grid_mapping_name", "proj4", "crs_error"];

/// Evenly spaced x and y and their CRS.
#[derive(Debug, Clone)]
pub struct Place {
    /// The coordinate reference system; the axes are in its unit.
    pub crs: Crs,
    /// The code of EPSG's registry, where the file names it.
    pub epsg: Option<u16>,
    /// Name of the variable of x.
    pub x_name: String,
    /// Name of the variable of y.
    pub y_name: String,
    /// Centres of the columns.
    pub x: Axis,
    /// Centres of the rows.
    pub y: Axis,
}

impl Place {
    /// The transform of columns and rows in GDAL's order: x of the outer corner, x per column, x per row, y of the corner,
    /// y per column, y per row. A side of one cell has no step; it takes that of the other.
    pub fn transform(&self) -> [f64; 6] {
        let (x, y) = (&self.x, &self.y);
        let step = |own: f64, other: f64| if own == 0.0 { other } else { own };
        let (dx, dy) = (step(x.step, y.step.abs()), step(y.step, -x.step.abs()));
        [x.first - dx / 2.0, dx, 0.0, y.first - dy / 2.0, 0.0, dy]
    }
}

/// The text of an attribute of a variable; empty if there is none.
pub fn text<'a>(variable: &'a Variable, name: &str) -> &'a str {
    variable.attrs.get(name).and_then(AttrValue::text).unwrap_or_default()
}

/// True if a variable is a `latitude` or `longitude` by its standard name, its units or its name.
pub fn is_named(variable: &Variable, what: &str) -> bool {
    let units = if what == "latitude" { ["degrees_north", "degree_north"] } else { ["degrees_east", "degree_east"] };
    let short = if what == "latitude" { "lat" } else { "lon" };
    text(variable, "standard_name") == what
        || units.contains(&text(variable, "units"))
        || [what, short].contains(&variable.name.to_ascii_lowercase().as_str())
}

/// True for a variable that labels its own dimension.
pub fn is_coordinate(variable: &Variable) -> bool {
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

/// True for a coordinate of columns: x, or longitude.
pub(crate) fn is_axis_of_columns(variable: &Variable) -> bool {
    is_axis(variable, "projection_x_coordinate", "longitude", "X")
}

/// True for a coordinate of rows: y, or latitude.
pub(crate) fn is_axis_of_rows(variable: &Variable) -> bool {
    is_axis(variable, "projection_y_coordinate", "latitude", "Y")
}

/// x, y and their CRS, where they are evenly spaced coordinates: those of a variable, or the first of the file.
///
/// # Errors
/// [`Error::Malformed`] if a coordinate or a grid mapping is there but cannot be understood, and the store's.
pub async fn place(opened: &Opened, of: Option<&Variable>) -> Result<Option<Place>> {
    let find = |plane: &str, degrees: &str, axis: &str| {
        let own = |v: &&Variable| of.is_none_or(|of| v.dims.first().is_some_and(|dim| of.dims.contains(dim)));
        let mut axes = opened.meta.variables.iter();
        axes.find(|v| is_coordinate(v) && is_axis(v, plane, degrees, axis) && own(v)).cloned()
    };
    let x = find("projection_x_coordinate", "longitude", "X");
    let y = find("projection_y_coordinate", "latitude", "Y");
    let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
    let mapping = mapping(&opened.meta, of);
    let Some(crs) = crs(mapping, &x)? else { return Ok(None) };
    let epsg = mapping.and_then(epsg);
    let (x_name, y_name) = (x.name.clone(), y.name.clone());
    let (per_x, per_y) = (unit(&x, &crs)?, unit(&y, &crs)?);
    let x = Axis::from_centres(&scaled(&labels(opened, &x).await?, per_x));
    let y = Axis::from_centres(&scaled(&labels(opened, &y).await?, per_y));
    Ok(x.zip(y).map(|(x, y)| Place { crs, epsg, x_name, y_name, x, y }))
}

/// The grid mapping of a variable, or the first that one names.
pub fn mapping<'a>(meta: &'a FileMeta, of: Option<&Variable>) -> Option<&'a Variable> {
    let first = || meta.variables.iter().map(|v| text(v, "grid_mapping")).find(|name| !name.is_empty());
    let own = of.map(|of| text(of, "grid_mapping")).filter(|name| !name.is_empty()).map(str::to_owned);
    // The extended form is `crs: x y`.
    let name = own.or_else(|| first().map(str::to_owned))?;
    meta.variable(name.split([':', ' ']).next()?)
}

/// The code of EPSG's registry that a grid mapping names.
pub fn epsg(mapping: &Variable) -> Option<u16> {
    let whole = |code: f64| (1024..=32767).find(|whole| f64::from(*whole) == code);
    mapping.attrs.get("epsg").or_else(|| mapping.attrs.get("epsg_code"))?.number().and_then(whole)
}

fn scaled(labels: &[f64], factor: f64) -> Vec<f64> {
    labels.iter().map(|label| label * factor).collect()
}

/// What one unit of a coordinate is in units of its CRS: metres, or degrees.
fn unit(coordinate: &Variable, crs: &Crs) -> Result<f64> {
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
            let why = format!("it has units `{units}`, which are no length");
            Err(Error::malformed(format!("coordinate `{}` of a projection", coordinate.name), why))
        }
    }
}

/// The CRS of the grid mapping; without one, longitude and latitude if the axes are such.
fn crs(mapping: Option<&Variable>, x: &Variable) -> Result<Option<Crs>> {
    let says = |name: &str| mapping.is_some_and(|mapping| mapping.attrs.contains_key(name));
    match mapping.filter(|_| CRS.iter().any(|name| says(name))) {
        Some(mapping) => crs_of(mapping).map(Some),
        None => is_named(x, "longitude").then(|| Crs::lonlat().map_err(|e| failed("longitude", &e))).transpose(),
    }
}

/// The CRS of a grid mapping: of its PROJ string, else of its name and numbers.
///
/// # Errors
/// [`Error::Malformed`] if it is not understood.
pub fn crs_of(mapping: &Variable) -> Result<Crs> {
    if let Some(why) = mapping.attrs.get("crs_error").and_then(AttrValue::text) {
        return Err(Error::malformed(format!("grid mapping `{}`", mapping.name), why));
    }
    let proj = text(mapping, "proj4");
    let numbers = |name: &str| mapping.attrs.get(name).map(AttrValue::numbers).filter(|n| !n.is_empty());
    let crs =
        if proj.is_empty() { Crs::from_cf(text(mapping, "grid_mapping_name"), &numbers) } else { Crs::from_proj(proj) };
    crs.map_err(|e| failed(&mapping.name, &e))
}

fn failed(name: &str, error: &outcrop_grid::Error) -> Error {
    Error::malformed(format!("grid mapping `{name}`"), error.to_string())
}

/// The values of a one-dimensional variable.
///
/// # Errors
/// [`Error::Limit`] for a coordinate that is too large, those of reading, and the store's.
pub async fn labels(opened: &Opened, variable: &Variable) -> Result<Vec<f64>> {
    let value = variable.elements().unwrap_or(u64::MAX);
    if variable.grid.shape.len() > 1 || value > MOST_LABELS {
        return Err(Error::Limit {
            what: format!("length of coordinate `{}`", variable.name),
            value,
            limit: MOST_LABELS,
        });
    }
    let refs = opened.locate(variable).await?;
    let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|len| 0..*len).collect();
    Ok(meant(variable, &opened.read(&refs, &window).await?))
}

/// The values of a variable of coordinates out of its elements in native byte order: those of a packed one with its scale and
/// offset, and NaN for missing ones; of others as they are stored.
pub fn meant(variable: &Variable, bytes: &[u8]) -> Vec<f64> {
    let is_packed = ["scale_factor", "add_offset", "_Unsigned"].iter().any(|name| variable.attrs.contains_key(*name));
    if is_packed && variable.dtype.is_real() {
        return Decoding::of(variable).to_f64(bytes);
    }
    numbers(variable.dtype, bytes)
}

/// Elements in native byte order as double precision; none of types that are not real numbers.
pub fn numbers(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|element| read(*element)).collect()
    }
    match dtype {
        DType::Int8 => each(bytes, |b| f64::from(i8::from_ne_bytes(b))),
        DType::UInt8 | DType::Char => each(bytes, |b: [u8; 1]| f64::from(b[0])),
        DType::Int16 => each(bytes, |b| f64::from(i16::from_ne_bytes(b))),
        DType::UInt16 => each(bytes, |b| f64::from(u16::from_ne_bytes(b))),
        DType::Int32 => each(bytes, |b| f64::from(i32::from_ne_bytes(b))),
        DType::UInt32 => each(bytes, |b| f64::from(u32::from_ne_bytes(b))),
        DType::Int64 => each(bytes, |b| i64::from_ne_bytes(b) as f64),
        DType::UInt64 => each(bytes, |b| u64::from_ne_bytes(b) as f64),
        DType::Float16 => each(bytes, |b| half::f16::from_ne_bytes(b).to_f64()),
        DType::Float32 => each(bytes, |b| f64::from(f32::from_ne_bytes(b))),
        DType::Float64 => each(bytes, f64::from_ne_bytes),
        _ => Vec::new(),
    }
}
