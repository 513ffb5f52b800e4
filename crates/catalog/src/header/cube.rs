//! Fields of the datacube extension 2.3.0 and `bands` of STAC 1.1, from the header of a file.

use outcrop_formats::place::{Place, is_coordinate, is_named, numbers, text};
use outcrop_formats::{AttrValue, FileMeta, Variable};
use outcrop_grid::Axis;
use serde_json::{Map, Value, json};

use super::axes::TimeSpan;

/// `cube:dimensions` and `cube:variables`.
pub(super) fn fields(
    meta: &FileMeta,
    (place, time): (Option<&Place>, Option<&TimeSpan>),
    labelled: &[Labelled],
) -> Vec<(&'static str, Value)> {
    let mut dimensions = Map::new();
    for (name, dim) in &meta.dims {
        let of_labels = || labelled.iter().find(|axis| axis.name == *name).map(Labelled::dimension);
        let dimension = dimension(name, place, time).or_else(of_labels).unwrap_or_else(|| {
            let last = dim.len.saturating_sub(1);
            json!({"type": name, "extent": [0, last]})
        });
        dimensions.insert(name.clone(), dimension);
    }
    let mut variables = Map::new();
    for variable in meta.variables.iter().filter(|v| !is_coordinate(v) && !v.dims.is_empty()) {
        variables.insert(variable.name.clone(), described(meta, variable));
    }
    vec![("cube:dimensions", Value::Object(dimensions)), ("cube:variables", Value::Object(variables))]
}

/// A dimension that is neither place nor time, with the numbers of its coordinate.
#[derive(Debug)]
pub(super) struct Labelled {
    name: String,
    extent: [f64; 2],
    step: Option<f64>,
    unit: String,
    description: String,
    is_vertical: bool,
}

impl Labelled {
    /// `None` where no label is a number.
    pub(super) fn of(variable: &Variable, labels: &[f64]) -> Option<Self> {
        let finite = || labels.iter().copied().filter(|label| label.is_finite());
        let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        let even = Axis::from_centres(labels).filter(|axis| axis.len > 1);
        let positive = ["up", "down"].iter().any(|way| text(variable, "positive").eq_ignore_ascii_case(way));
        Some(Self {
            name: variable.name.clone(),
            extent: [low, high],
            step: even.map(|axis| axis.step.abs()),
            unit: text(variable, "units").to_owned(),
            description: text(variable, "long_name").to_owned(),
            is_vertical: positive || text(variable, "axis").eq_ignore_ascii_case("Z"),
        })
    }

    fn dimension(&self) -> Value {
        let mut dimension = json!({"type": self.name, "extent": self.extent, "step": self.step});
        if self.is_vertical {
            dimension["type"] = "spatial".into();
            dimension["axis"] = "z".into();
        }
        for (key, text) in [("unit", &self.unit), ("description", &self.description)] {
            if !text.is_empty() {
                dimension[key] = json!(text);
            }
        }
        dimension
    }
}

fn dimension(name: &str, place: Option<&Place>, time: Option<&TimeSpan>) -> Option<Value> {
    if let Some(time) = time.filter(|time| time.name == name) {
        let mut dimension = json!({"type": "temporal", "extent": [time.start, time.end]});
        dimension["step"] = json!(time.step);
        return Some(dimension);
    }
    let place = place?;
    let (letter, axis) = match name {
        x if x == place.x_name => ("x", &place.x),
        y if y == place.y_name => ("y", &place.y),
        _ => return None,
    };
    let ends = [axis.first, axis.first + axis.step * axis.len.saturating_sub(1) as f64];
    let extent = [ends[0].min(ends[1]), ends[0].max(ends[1])];
    let mut dimension = json!({"type": "spatial", "axis": letter, "extent": extent, "step": axis.step.abs()});
    if let Some(code) = place.epsg {
        dimension["reference_system"] = json!(code);
    } else if let Some(wkt) = place.crs.wkt2().filter(|_| !place.crs.is_lonlat()) {
        dimension["reference_system"] = Value::String(wkt);
    }
    Some(dimension)
}

fn described(meta: &FileMeta, variable: &Variable) -> Value {
    let kind = if is_data(meta, variable) { "data" } else { "auxiliary" };
    let mut fields = json!({"dimensions": variable.dims, "type": kind});
    for (key, value) in values(variable) {
        fields[key] = value;
    }
    fields
}

/// `description`, `unit`, `data_type`, `nodata` where the file has them.
fn values(variable: &Variable) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    let long = [text(variable, "long_name"), text(variable, "standard_name")].into_iter().find(|text| !text.is_empty());
    fields.extend(long.map(|long| ("description", json!(long))));
    let unit = Some(text(variable, "units")).filter(|unit| !unit.is_empty());
    fields.extend(unit.map(|unit| ("unit", json!(unit))));
    if variable.dtype.is_real() {
        fields.push(("data_type", json!(variable.dtype.name())));
    }
    fields.extend(nodata(variable).map(|nodata| ("nodata", nodata)));
    fields
}

fn nodata(variable: &Variable) -> Option<Value> {
    let attr = |name: &str| variable.attrs.get(name).and_then(AttrValue::number);
    // A `_FillValue` may be kept as the fill value only.
    let fill =
        || variable.attrs.contains_key("_FillValue").then(|| numbers(variable.dtype, &variable.fill).first().copied());
    let value = attr("_FillValue").or_else(|| fill().flatten()).or_else(|| attr("missing_value"))?;
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    Some(match value {
        value if value.is_nan() => json!("nan"),
        value if value.is_infinite() => json!(if value > 0.0 { "inf" } else { "-inf" }),
        #[expect(clippy::cast_possible_truncation, reason = "bounded before")]
        value if whole => json!(value as i64),
        value => json!(value),
    })
}

/// Numbers over two dimensions or more that are neither bounds nor coordinates of another variable.
fn is_data(meta: &FileMeta, variable: &Variable) -> bool {
    let numeric = variable.dtype.is_real();
    let helps = |other: &Variable| {
        let names = ["coordinates", "bounds", "ancillary_variables", "climatology"];
        names.iter().any(|attr| text(other, attr).split_whitespace().any(|name| name == variable.name))
    };
    let place = is_named(variable, "latitude") || is_named(variable, "longitude");
    numeric && variable.dims.len() >= 2 && !place && !meta.variables.iter().any(helps)
}

/// The variables of data as bands; of a GeoTIFF the bands of its image.
pub(super) fn bands(meta: &FileMeta) -> Value {
    let band = |variable: &Variable| {
        let mut band = json!({"name": variable.name});
        for (key, value) in values(variable) {
            band[key] = value;
        }
        band
    };
    let data = || meta.variables.iter().filter(|v| is_data(meta, v));
    if meta.format.is_image() {
        return Value::Array(data().flat_map(raster_bands).collect());
    }
    Value::Array(data().map(band).collect())
}

/// Bands of an image: name and description, type, nodata, scale, unit and statistics, each with its own.
fn raster_bands(variable: &Variable) -> Vec<Value> {
    let count = variable.grid.shape.first().and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
    let text_of = |name: &str, at: usize| match variable.attrs.get(name) {
        Some(AttrValue::Texts(texts)) => texts.get(at).cloned(),
        Some(AttrValue::Text(text)) if count == 1 || name == "units" => Some(text.clone()),
        _ => None,
    };
    let number_of = |names: [&str; 2], at: usize| {
        let all = names.iter().find_map(|name| variable.attrs.get(*name)).map(AttrValue::numbers)?;
        all.get(at).or_else(|| all.first().filter(|_| all.len() == 1)).copied()
    };
    let band = |at: usize| {
        let mut band = json!({"name": format!("{}", at + 1), "data_type": variable.dtype.name()});
        for (key, name) in [("description", "long_name"), ("unit", "units"), ("unit", "units_of_bands")] {
            if let Some(text) = text_of(name, at).filter(|text| !text.is_empty()) {
                band[key] = json!(text);
            }
        }
        if let Some(nodata) = nodata(variable) {
            band["nodata"] = nodata;
        }
        for (key, names) in [("raster:scale", ["scale_factor", "scales"]), ("raster:offset", ["add_offset", "offsets"])]
        {
            if let Some(number) = number_of(names, at) {
                band[key] = json!(number);
            }
        }
        for (key, name) in [("minimum", "MINIMUM"), ("maximum", "MAXIMUM"), ("mean", "MEAN"), ("stddev", "STDDEV")] {
            let name = format!("STATISTICS_{name}");
            if let Some(number) = number_of([&name, &name], at) {
                band["statistics"][key] = json!(number);
            }
        }
        band
    };
    (0..count).map(band).collect()
}
