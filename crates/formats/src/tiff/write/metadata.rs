//! Attributes as tags: GDAL's document of items (tag 42112), nodata, and what TIFF has tags for.

use std::fmt::Write;

use super::GeoTiffSpec;
use crate::array::{AttrValue, DType};

/// Attributes that are tags, or that describe the storage of the file they come from.
const NO_ITEMS: [&str; 20] = [
    "_FillValue",
    "missing_value",
    "grid_mapping",
    "coordinates",
    "scale_factor",
    "add_offset",
    "scales",
    "offsets",
    "long_name",
    "units",
    "units_of_bands",
    "photometric",
    "color_map",
    "color_interpretation",
    "AREA_OR_POINT",
    "TIFFTAG_IMAGEDESCRIPTION",
    "TIFFTAG_SOFTWARE",
    "TIFFTAG_DATETIME",
    "layout",
    "nodata",
];

/// The document; `None` if it would be empty.
pub(super) fn document(spec: &GeoTiffSpec) -> Option<String> {
    let mut xml = String::new();
    for (name, value) in spec.file_attrs.iter().filter(|(name, _)| !NO_ITEMS.contains(&name.as_str())) {
        let (domain, name) = name.split_once(':').unwrap_or(("", name));
        item(&mut xml, name, domain, None, &text(value));
    }
    let bands = usize::try_from(spec.bands).unwrap_or(usize::MAX);
    roles(spec, bands, &mut xml);
    for (name, value) in &spec.attrs {
        if NO_ITEMS.contains(&name.as_str()) {
            continue;
        }
        let (domain, name) = name.split_once(':').unwrap_or(("", name));
        match of_bands(value, bands) {
            Some(values) => {
                for (band, value) in values.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
                    item(&mut xml, name, domain, Some((band, "")), value);
                }
            }
            None => item(&mut xml, name, domain, Some((0, "")), &text(value)),
        }
    }
    (!xml.is_empty()).then(|| format!("<GDALMetadata>\n{xml}</GDALMetadata>\n"))
}

/// Scale, offset, units and description of each band.
fn roles(spec: &GeoTiffSpec, bands: usize, xml: &mut String) {
    let number = |name: &str| spec.attrs.get(name).and_then(AttrValue::number);
    let each = |list: &str, one: Option<f64>| -> Vec<f64> {
        let values = spec.attrs.get(list).map(AttrValue::numbers).unwrap_or_default();
        if values.len() == bands { values } else { one.map(|one| vec![one; bands]).unwrap_or_default() }
    };
    let is_scaled = number("scale_factor").is_some() || number("add_offset").is_some();
    let or = |name: &str, default: f64| is_scaled.then(|| number(name).unwrap_or(default));
    let (offsets, scales) = (each("offsets", or("add_offset", 0.0)), each("scales", or("scale_factor", 1.0)));
    let texts = |name: &str| spec.attrs.get(name).and_then(|value| of_bands(value, bands)).unwrap_or_default();
    // Red, green and blue, and alpha, have tags.
    let told = spec.attrs.get("photometric").is_some();
    let colours = texts("color_interpretation");
    let (long, mut units) = (texts("long_name"), texts("units_of_bands"));
    if let Some(unit) = spec.attrs.get("units").and_then(AttrValue::text) {
        units = vec![unit.to_owned(); bands];
    }
    for band in 0..bands {
        let mut put = |name: &str, role: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                item(xml, name, "", Some((band, role)), &value);
            }
        };
        put("OFFSET", "offset", offsets.get(band).map(f64::to_string));
        put("SCALE", "scale", scales.get(band).map(f64::to_string));
        put("UNITTYPE", "unittype", units.get(band).cloned());
        put("DESCRIPTION", "description", long.get(band).cloned());
        put("COLORINTERP", "colorinterp", colours.get(band).filter(|_| !told).map(|name| capital(name)));
    }
}

/// As GDAL writes the names of colours: `Red`.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// A value for each band, where there are so many; one text of one band.
fn of_bands(value: &AttrValue, bands: usize) -> Option<Vec<String>> {
    let values: Vec<String> = match value {
        AttrValue::Text(text) if bands == 1 => vec![text.clone()],
        AttrValue::Text(_) => return None,
        AttrValue::Texts(texts) => texts.clone(),
        AttrValue::Int(values) | AttrValue::Typed(_, values) => values.iter().map(i64::to_string).collect(),
        AttrValue::UInt(values) => values.iter().map(u64::to_string).collect(),
        AttrValue::Float32(values) => values.iter().map(f32::to_string).collect(),
        AttrValue::Float64(values) => values.iter().map(f64::to_string).collect(),
    };
    (values.len() == bands).then_some(values)
}

/// A value as one text.
fn text(value: &AttrValue) -> String {
    let join = |values: Vec<String>| values.join(" ");
    match value {
        AttrValue::Text(text) => text.clone(),
        AttrValue::Texts(texts) => texts.join(" "),
        AttrValue::Int(values) | AttrValue::Typed(_, values) => join(values.iter().map(i64::to_string).collect()),
        AttrValue::UInt(values) => join(values.iter().map(u64::to_string).collect()),
        AttrValue::Float32(values) => join(values.iter().map(f32::to_string).collect()),
        AttrValue::Float64(values) => join(values.iter().map(f64::to_string).collect()),
    }
}

fn item(xml: &mut String, name: &str, domain: &str, band: Option<(usize, &str)>, value: &str) {
    // Writing to a string cannot fail.
    let _ = write!(xml, "  <Item name=\"{}\"", escaped(name));
    if let Some((band, role)) = band {
        let _ = write!(xml, " sample=\"{band}\"");
        if !role.is_empty() {
            let _ = write!(xml, " role=\"{role}\"");
        }
    }
    if !domain.is_empty() {
        let _ = write!(xml, " domain=\"{}\"", escaped(domain));
    }
    // GDAL escapes a value before it makes a text of it, which is escaped again.
    let _ = writeln!(xml, ">{}</Item>", escaped(&escaped(value)));
}

/// As XML; characters that it cannot have are left out.
fn escaped(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r') || *c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let plain: String = text.chars().filter(allowed).collect();
    quick_xml::escape::escape(&plain).into_owned()
}

/// The value of cells without data as GDAL writes it.
pub(super) fn nodata(value: &[u8], dtype: DType) -> Option<String> {
    macro_rules! text {
        ($type:ty) => {
            <$type>::from_ne_bytes(*value.first_chunk()?).to_string()
        };
    }
    let float = |text: String| match text.as_str() {
        "NaN" => "nan".to_owned(),
        _ => text,
    };
    Some(match dtype {
        DType::Int8 => text!(i8),
        DType::UInt8 => text!(u8),
        DType::Int16 => text!(i16),
        DType::UInt16 => text!(u16),
        DType::Int32 => text!(i32),
        DType::UInt32 => text!(u32),
        DType::Int64 => text!(i64),
        DType::UInt64 => text!(u64),
        DType::Float16 => float(half::f16::from_ne_bytes(*value.first_chunk()?).to_string()),
        // GDAL compares in double precision, so all digits of the single are written.
        DType::Float32 | DType::Complex64 => float(f64::from(f32::from_ne_bytes(*value.first_chunk()?)).to_string()),
        DType::Float64 | DType::Complex128 => float(text!(f64)),
        DType::Char | DType::Opaque(_) | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) | DType::VlenUtf8 => {
            return None;
        }
    })
}
