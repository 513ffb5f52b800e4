//! Types of elements and fill values as metadata documents name them, both ways.

use base64::Engine;
use serde_json::{Value, json};

use super::metadata::{broken, unsupported};
use super::{ArraySpec, Element};
use crate::Result;
use crate::array::DType;

pub(super) fn dtype_v2(spec: &ArraySpec) -> Result<String> {
    let dtype = match spec.dtype {
        Element::Text { chars } => return Ok(format!("<U{}", chars.max(1))),
        Element::VlenText => return Ok("|O".to_owned()),
        Element::Number(dtype) => dtype,
    };
    let kind = match dtype {
        DType::Int8 => return Ok("|i1".to_owned()),
        DType::UInt8 => return Ok("|u1".to_owned()),
        DType::Int16 | DType::Int32 | DType::Int64 => 'i',
        DType::UInt16 | DType::UInt32 | DType::UInt64 => 'u',
        DType::Float16 | DType::Float32 | DType::Float64 => 'f',
        DType::Complex64 | DType::Complex128 => 'c',
        DType::Char | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) | DType::VlenUtf8 | DType::Opaque(_) => {
            return Err(unsupported(spec));
        }
    };
    Ok(format!("<{kind}{}", dtype.size()))
}

pub(super) fn dtype_v3(spec: &ArraySpec) -> Result<Value> {
    match spec.dtype {
        Element::Number(dtype) if dtype == DType::Char || dtype.is_text() || matches!(dtype, DType::Opaque(_)) => {
            Err(unsupported(spec))
        }
        Element::Number(dtype) => Ok(json!(dtype.name())),
        Element::Text { chars } => {
            Ok(json!({"name": "fixed_length_utf32", "configuration": {"length_bytes": 4 * chars.max(1)}}))
        }
        Element::VlenText => Ok(json!("string")),
    }
}

pub(super) fn number_or_text_v2(path: &str, dtype: &str) -> Result<Element> {
    parse_dtype_v2(dtype).ok_or_else(|| broken(path, format!("type {dtype} is not supported")))
}

/// Python's objects are what their filter says.
pub(super) fn objects_v2(path: &str, filters: &[Value]) -> Result<Element> {
    const OBJECTS: [&str; 6] = ["vlen-utf8", "vlen-bytes", "vlen-array", "json2", "msgpack2", "pickle"];
    let names = || filters.iter().filter_map(|filter| filter["id"].as_str());
    match names().find(|name| OBJECTS.contains(name)).or_else(|| names().next_back()) {
        Some("vlen-utf8") => Ok(Element::VlenText),
        Some(other) => Err(broken(path, format!("objects by `{other}` are not supported; texts (`vlen-utf8`) are"))),
        None => Err(broken(path, "objects without a filter that says what they are cannot be read")),
    }
}

fn parse_dtype_v2(text: &str) -> Option<Element> {
    let (_, kind) = text.split_at_checked(1)?;
    if kind.starts_with("M8") || kind.starts_with("m8") {
        return Some(Element::Number(DType::Int64));
    }
    if let Some(chars) = kind.strip_prefix('U') {
        return Some(Element::Text { chars: chars.parse().ok()? });
    }
    let dtype = if kind == "b1" { Some(DType::UInt8) } else { DType::from_numpy(kind) };
    dtype.map(Element::Number)
}

pub(super) fn parse_dtype_v3(value: &Value) -> Option<Element> {
    if value["name"] == "fixed_length_utf32" {
        let bytes = usize::try_from(value["configuration"]["length_bytes"].as_u64()?).ok()?;
        return Some(Element::Text { chars: bytes / 4 });
    }
    if value["name"] == "null_terminated_bytes" {
        let bytes = usize::try_from(value["configuration"]["length_bytes"].as_u64()?).ok()?;
        return DType::from_numpy(&format!("S{bytes}")).map(Element::Number);
    }
    let name = value.as_str().or_else(|| value["name"].as_str())?;
    match name {
        "string" => return Some(Element::VlenText),
        "bool" => return Some(Element::Number(DType::UInt8)),
        "numpy.datetime64" | "numpy.timedelta64" => return Some(Element::Number(DType::Int64)),
        _ => {}
    }
    let all = [
        DType::Complex128,
        DType::Complex64,
        DType::Float64,
        DType::Float32,
        DType::Float16,
        DType::Int64,
        DType::Int32,
        DType::Int16,
        DType::Int8,
        DType::UInt64,
        DType::UInt32,
        DType::UInt16,
        DType::UInt8,
    ];
    all.into_iter().find(|dtype| dtype.name() == name).map(Element::Number)
}

/// The unit of a `datetime64`: `nanoseconds`.
pub(super) fn time_unit(document: &Value) -> Option<&'static str> {
    let v2 = document["dtype"].as_str().and_then(|text| text.get(1..)?.strip_prefix("M8[")?.strip_suffix(']'));
    let v3 = || {
        let kind = &document["data_type"];
        let (scale, unit) = (&kind["configuration"]["scale_factor"], kind["configuration"]["unit"].as_str());
        let whole = scale.is_null() || *scale == 1;
        unit.filter(|_| kind["name"] == "numpy.datetime64" && whole)
    };
    match v2.or_else(v3)? {
        "ns" => Some("nanoseconds"),
        "us" => Some("microseconds"),
        "ms" => Some("milliseconds"),
        "s" => Some("seconds"),
        "m" => Some("minutes"),
        "h" => Some("hours"),
        "D" => Some("days"),
        _ => None,
    }
}

/// A fill value as one element in native byte order; `None` if there is none, or it is no number.
#[expect(clippy::cast_possible_truncation, reason = "a fill value is given in the type of its array")]
pub(super) fn fill_bytes(value: &Value, dtype: DType) -> Option<Vec<u8>> {
    let float = || parse_fill(value).or_else(|| hexadecimal(value, dtype));
    let signed = || value.as_i64().or_else(|| value.as_bool().map(i64::from)).or_else(|| whole(value));
    let part = |at: usize| parse_fill(&value[at]);
    Some(match dtype {
        DType::Float64 => float()?.to_ne_bytes().to_vec(),
        DType::Float32 => (float()? as f32).to_ne_bytes().to_vec(),
        DType::Float16 => half::f16::from_f64(float()?).to_ne_bytes().to_vec(),
        DType::Int8 => i8::try_from(signed()?).ok()?.to_ne_bytes().to_vec(),
        DType::Int16 => i16::try_from(signed()?).ok()?.to_ne_bytes().to_vec(),
        DType::Int32 => i32::try_from(signed()?).ok()?.to_ne_bytes().to_vec(),
        DType::Int64 => signed()?.to_ne_bytes().to_vec(),
        DType::UInt8 => u8::try_from(signed()?).ok()?.to_ne_bytes().to_vec(),
        DType::UInt16 => u16::try_from(signed()?).ok()?.to_ne_bytes().to_vec(),
        DType::UInt32 => u32::try_from(signed()?).ok()?.to_ne_bytes().to_vec(),
        DType::UInt64 => {
            value.as_u64().or_else(|| signed().and_then(|n| u64::try_from(n).ok()))?.to_ne_bytes().to_vec()
        }
        DType::Complex64 => [part(0)? as f32, part(1)? as f32].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        DType::Complex128 => [part(0)?, part(1)?].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        DType::Char | DType::Text(_) => {
            let mut bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?;
            bytes.resize(dtype.size(), 0);
            bytes
        }
        DType::Unicode(chars) => {
            let codes = value.as_str()?.chars().map(u32::from).chain(std::iter::repeat(0)).take(chars);
            codes.flat_map(u32::to_ne_bytes).collect()
        }
        DType::VlenUtf8 => match value {
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Null => Vec::new(),
            // As zarr-python takes the 0 of older writers.
            other => other.to_string().into_bytes(),
        },
        DType::Opaque(_) | DType::VlenText(_) => return None,
    })
}

/// A whole number that is written as a float (`0.0`).
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and within 53 bits")]
fn whole(value: &Value) -> Option<i64> {
    value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64)
}

/// The bits of a float in hexadecimal, most significant first (Zarr 3: `0x7fc00000`).
fn hexadecimal(value: &Value, dtype: DType) -> Option<f64> {
    let bits = u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()?;
    match dtype {
        DType::Float16 => u16::try_from(bits).ok().map(|bits| half::f16::from_bits(bits).to_f64()),
        DType::Float32 => u32::try_from(bits).ok().map(|bits| f64::from(f32::from_bits(bits))),
        _ => Some(f64::from_bits(bits)),
    }
}

pub(super) fn parse_fill(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}
