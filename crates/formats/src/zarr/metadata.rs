//! Metadata documents of arrays and groups, both ways.

use base64::Engine;
use serde_json::{Map, Value, json};
use zarrs::array::ArrayMetadata;

use super::read::ArrayInfo;
use super::{ArraySpec, BloscCodec, BloscShuffle, Element, ZarrCompression, ZarrFormat};
use crate::array::{AttrValue, Attrs, DType};
use crate::{Error, Result};

/// Where xarray keeps names of dimensions in Zarr 2.
const DIMENSIONS: &str = "_ARRAY_DIMENSIONS";

/// The document of an array (`.zarray`, or `zarr.json` with its attributes).
pub(super) fn array(spec: &ArraySpec, format: ZarrFormat) -> Result<Value> {
    match format {
        ZarrFormat::V2 => Ok(json!({
            "zarr_format": 2,
            "shape": spec.shape,
            "chunks": spec.chunk,
            "dtype": dtype_v2(spec)?,
            "fill_value": fill(spec, format)?,
            "order": "C",
            "filters": null,
            "dimension_separator": ".",
            "compressor": compressor_v2(spec)?,
        })),
        ZarrFormat::V3 => Ok(json!({
            "shape": spec.shape,
            "data_type": dtype_v3(spec)?,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": spec.unit()}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill(spec, format)?,
            "codecs": codecs_v3(spec)?,
            "attributes": array_attributes_v3(spec),
            "dimension_names": spec.dims,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        })),
    }
}

impl ArraySpec {
    /// Lengths of what is one object: of a shard, else of a chunk.
    pub(super) fn unit(&self) -> &[u64] {
        self.shard.as_deref().unwrap_or(&self.chunk)
    }
}

fn compressor_v2(spec: &ArraySpec) -> Result<Value> {
    check_level(spec)?;
    Ok(match spec.compression {
        ZarrCompression::Default => json!({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}),
        ZarrCompression::None => json!(null),
        ZarrCompression::Zstd { level } => json!({"id": "zstd", "level": level, "checksum": false}),
        ZarrCompression::Gzip { level } => json!({"id": "gzip", "level": level}),
        ZarrCompression::Blosc { codec, level, shuffle } => {
            let shuffle = match shuffle {
                BloscShuffle::None => 0,
                BloscShuffle::Byte => 1,
                BloscShuffle::Bit => 2,
            };
            json!({"id": "blosc", "cname": blosc_name(codec), "clevel": level, "shuffle": shuffle, "blocksize": 0})
        }
    })
}

fn codecs_v3(spec: &ArraySpec) -> Result<Value> {
    check_level(spec)?;
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let compressor = match spec.compression {
        ZarrCompression::Default => Some(json!({"name": "zstd", "configuration": {"level": 0, "checksum": false}})),
        ZarrCompression::None => None,
        ZarrCompression::Zstd { level } => {
            Some(json!({"name": "zstd", "configuration": {"level": level, "checksum": false}}))
        }
        ZarrCompression::Gzip { level } => Some(json!({"name": "gzip", "configuration": {"level": level}})),
        ZarrCompression::Blosc { codec, level, shuffle } => {
            let shuffle = match shuffle {
                BloscShuffle::None => "noshuffle",
                BloscShuffle::Byte => "shuffle",
                BloscShuffle::Bit => "bitshuffle",
            };
            let typesize = match spec.dtype {
                Element::Number(dtype) => dtype.size(),
                Element::Text { .. } => 4,
            };
            Some(json!({"name": "blosc", "configuration": {
                "cname": blosc_name(codec), "clevel": level, "shuffle": shuffle, "typesize": typesize, "blocksize": 0,
            }}))
        }
    };
    let codecs: Vec<Value> = std::iter::once(bytes.clone()).chain(compressor).collect();
    Ok(match spec.shard {
        None => json!(codecs),
        Some(_) => json!([{"name": "sharding_indexed", "configuration": {
            "chunk_shape": spec.chunk,
            "codecs": codecs,
            "index_codecs": [bytes, {"name": "crc32c"}],
            "index_location": "end",
        }}]),
    })
}

fn blosc_name(codec: BloscCodec) -> &'static str {
    match codec {
        BloscCodec::Lz4 => "lz4",
        BloscCodec::Lz4Hc => "lz4hc",
        BloscCodec::Zlib => "zlib",
        BloscCodec::Zstd => "zstd",
    }
}

fn check_level(spec: &ArraySpec) -> Result<()> {
    let (level, most) = match spec.compression {
        ZarrCompression::Default | ZarrCompression::None => return Ok(()),
        ZarrCompression::Zstd { level } => (level, 22),
        ZarrCompression::Blosc { level, .. } | ZarrCompression::Gzip { level } => (level, 9),
    };
    if level <= most {
        return Ok(());
    }
    Err(refused(spec, format!("{level} is no level of its compression (0 to {most})")))
}

/// Attributes of an array of version 3; the `_FillValue` of floats as xarray writes it, a double in base64.
fn array_attributes_v3(spec: &ArraySpec) -> Value {
    let mut attrs = attributes(&spec.attrs);
    let float = matches!(spec.dtype, Element::Number(dtype) if is_float(dtype));
    if let (true, Some(fill)) = (float, spec.attrs.get("_FillValue").and_then(AttrValue::number)) {
        let coded = base64::engine::general_purpose::STANDARD.encode(fill.to_le_bytes());
        attrs.insert("_FillValue".to_owned(), coded.into());
    }
    Value::Object(attrs)
}

/// The document `.zattrs` of an array of version 2.
pub(super) fn array_attributes_v2(spec: &ArraySpec) -> Value {
    let mut attrs = attributes(&spec.attrs);
    attrs.insert(DIMENSIONS.to_owned(), json!(spec.dims));
    Value::Object(attrs)
}

/// The document of a group of version 3.
pub(super) fn group_v3(attrs: &Map<String, Value>, members: &Map<String, Value>) -> Value {
    json!({
        "attributes": attrs,
        "zarr_format": 3,
        "consolidated_metadata": {"kind": "inline", "must_understand": false, "metadata": members},
        "node_type": "group",
    })
}

fn refused(spec: &ArraySpec, why: String) -> Error {
    Error::Zarr { action: "write", path: spec.name.clone(), why }
}

fn unsupported(spec: &ArraySpec) -> Error {
    refused(spec, format!("type {} cannot be written", spec.dtype))
}

fn dtype_v2(spec: &ArraySpec) -> Result<String> {
    let dtype = match spec.dtype {
        Element::Text { chars } => return Ok(format!("<U{}", chars.max(1))),
        Element::Number(dtype) => dtype,
    };
    let kind = match dtype {
        DType::Int8 => return Ok("|i1".to_owned()),
        DType::UInt8 => return Ok("|u1".to_owned()),
        DType::Int16 | DType::Int32 | DType::Int64 => 'i',
        DType::UInt16 | DType::UInt32 | DType::UInt64 => 'u',
        DType::Float16 | DType::Float32 | DType::Float64 => 'f',
        DType::Complex64 | DType::Complex128 => 'c',
        DType::Char | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) | DType::Opaque(_) => {
            return Err(unsupported(spec));
        }
    };
    Ok(format!("<{kind}{}", dtype.size()))
}

fn dtype_v3(spec: &ArraySpec) -> Result<Value> {
    match spec.dtype {
        Element::Number(dtype) if dtype == DType::Char || dtype.is_text() || matches!(dtype, DType::Opaque(_)) => {
            Err(unsupported(spec))
        }
        Element::Number(dtype) => Ok(json!(dtype.name())),
        Element::Text { chars } => {
            Ok(json!({"name": "fixed_length_utf32", "configuration": {"length_bytes": 4 * chars.max(1)}}))
        }
    }
}

/// The fill value: one element in native byte order.
pub(super) fn fill_element(spec: &ArraySpec) -> Result<Vec<u8>> {
    let dtype = match (spec.dtype, &spec.fill) {
        (Element::Number(dtype), _) => dtype,
        (Element::Text { chars }, None) => return Ok(vec![0; chars.max(1) * 4]),
        (Element::Text { .. }, Some(_)) => return Err(refused(spec, "texts have no fill value".to_owned())),
    };
    match &spec.fill {
        Some(fill) if fill.len() == dtype.size() => Ok(fill.clone()),
        Some(fill) => {
            let why = format!("its fill value has {} bytes, one element has {}", fill.len(), dtype.size());
            Err(refused(spec, why))
        }
        None => Ok(match dtype {
            DType::Float16 => half::f16::NAN.to_ne_bytes().to_vec(),
            DType::Float32 => f32::NAN.to_ne_bytes().to_vec(),
            DType::Float64 => f64::NAN.to_ne_bytes().to_vec(),
            other => vec![0; other.size()],
        }),
    }
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::Float16 | DType::Float32 | DType::Float64)
}

fn fill(spec: &ArraySpec, format: ZarrFormat) -> Result<Value> {
    let element = fill_element(spec)?;
    let Element::Number(dtype) = spec.dtype else {
        return Ok(if format == ZarrFormat::V2 { json!(null) } else { json!("") });
    };
    // In version 2 it marks missing values, of which whole numbers need not have any.
    if format == ZarrFormat::V2 && spec.fill.is_none() && !is_float(dtype) {
        return Ok(json!(null));
    }
    let value = match dtype {
        DType::Complex64 => json!([fill_part(&element[..4], DType::Float32), fill_part(&element[4..], DType::Float32)]),
        DType::Complex128 => {
            json!([fill_part(&element[..8], DType::Float64), fill_part(&element[8..], DType::Float64)])
        }
        dtype => fill_part(&element, dtype),
    };
    // What the text does not say bit by bit (a NaN of other bits) would read as another value.
    match fill_bytes(&value, dtype) {
        Some(again) if again == element => Ok(value),
        _ => Err(refused(spec, format!("its fill value cannot be written exactly; {value} can"))),
    }
}

/// A real number as JSON.
fn fill_part(element: &[u8], dtype: DType) -> Value {
    match super::lower::number(element, dtype) {
        Some(AttrValue::Float32(values)) => values.first().map_or(json!(null), |v| float(f64::from(*v))),
        Some(AttrValue::Float64(values)) => values.first().map_or(json!(null), |v| float(*v)),
        Some(AttrValue::Int(values)) => values.first().map_or(json!(null), |v| json!(v)),
        Some(AttrValue::UInt(values)) => values.first().map_or(json!(null), |v| json!(v)),
        _ => json!(null),
    }
}

fn float(value: f64) -> Value {
    match value {
        v if v.is_nan() => json!("NaN"),
        v if v.is_infinite() => json!(if v > 0.0 { "Infinity" } else { "-Infinity" }),
        v => json!(v),
    }
}

/// Attributes as JSON; single numbers without a list.
pub(crate) fn attributes(attrs: &Attrs) -> Map<String, Value> {
    fn list<T>(values: &[T], one: impl Fn(&T) -> Value) -> Value {
        match values {
            [value] => one(value),
            many => Value::Array(many.iter().map(one).collect()),
        }
    }
    let value = |value: &AttrValue| match value {
        AttrValue::Text(text) => json!(text),
        AttrValue::Texts(texts) => json!(texts),
        AttrValue::Int(values) | AttrValue::Typed(_, values) => list(values, |v| json!(v)),
        AttrValue::UInt(values) => list(values, |v| json!(v)),
        AttrValue::Float32(values) => list(values, |v| float(f64::from(*v))),
        AttrValue::Float64(values) => list(values, |v| float(*v)),
    };
    attrs.iter().map(|(name, attr)| (name.clone(), value(attr))).collect()
}

/// JSON as attributes; what has no plain value is left out.
pub(super) fn parse_attributes(json: &Value) -> Attrs {
    let Some(members) = json.as_object() else { return Attrs::new() };
    members.iter().filter_map(|(name, value)| Some((name.clone(), parse_attribute(value)?))).collect()
}

fn parse_attribute(value: &Value) -> Option<AttrValue> {
    match value {
        Value::String(text) => Some(AttrValue::Text(text.clone())),
        Value::Bool(flag) => Some(AttrValue::Int(vec![i64::from(*flag)])),
        Value::Number(_) => parse_numbers(std::slice::from_ref(value)),
        Value::Array(values) if values.iter().all(Value::is_number) => parse_numbers(values),
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(|v| v.as_str().map(str::to_owned)).collect();
            texts.map(AttrValue::Texts)
        }
        Value::Null | Value::Object(_) => None,
    }
}

fn parse_numbers(values: &[Value]) -> Option<AttrValue> {
    let integers: Option<Vec<i64>> = values.iter().map(Value::as_i64).collect();
    integers.map(AttrValue::Int).or_else(|| {
        let floats: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
        floats.map(AttrValue::Float64)
    })
}

fn broken(path: &str, why: impl Into<String>) -> Error {
    Error::Zarr { action: "read", path: path.to_owned(), why: why.into() }
}

fn lengths(path: &str, json: &Value, what: &str) -> Result<Vec<u64>> {
    let values = json.as_array().and_then(|values| values.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
    values.ok_or_else(|| broken(path, format!("`{what}` is not a list of lengths")))
}

/// An array from `.zarray` and `.zattrs`.
pub(super) fn parse_v2(path: &str, zarray: &Value, zattrs: &Value) -> Result<ArrayInfo> {
    let mut attrs = parse_attributes(zattrs);
    let shape = lengths(path, &zarray["shape"], "shape")?;
    let dims = match attrs.shift_remove(DIMENSIONS) {
        Some(AttrValue::Texts(dims)) if dims.len() == shape.len() => dims,
        Some(AttrValue::Text(dim)) if shape.len() == 1 => vec![dim],
        _ => (0..shape.len()).map(|axis| format!("dim_{axis}")).collect(),
    };
    if zarray["zarr_format"] != 2 {
        return Err(broken(path, format!("`zarr_format` is {}, not 2", zarray["zarr_format"])));
    }
    if !matches!(zarray["order"].as_str(), Some("C" | "F")) {
        return Err(broken(path, format!("the order {} is neither C nor F", zarray["order"])));
    }
    let dtype = zarray["dtype"].as_str().ok_or_else(|| broken(path, "structured types are not supported"))?;
    let name = |codec: &Value| codec["id"].as_str().map(str::to_owned);
    let filters = zarray["filters"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(ArrayInfo {
        path: path.to_owned(),
        dims,
        chunk: lengths(path, &zarray["chunks"], "chunks")?,
        shape,
        dtype: parse_dtype_v2(dtype).ok_or_else(|| broken(path, format!("type {dtype} is not supported")))?,
        fill: parse_fill(&zarray["fill_value"]),
        attrs,
        codecs: filters.iter().chain(std::iter::once(&zarray["compressor"])).filter_map(name).collect(),
        format: ZarrFormat::V2,
        document: zarray.clone(),
    })
}

/// An array from `zarr.json`.
pub(super) fn parse_v3(path: &str, document: &Value) -> Result<ArrayInfo> {
    let shape = lengths(path, &document["shape"], "shape")?;
    check_v3(path, document, shape.len())?;
    let names = document["dimension_names"].as_array().map(Vec::as_slice).unwrap_or_default();
    let dim = |axis: usize| names.get(axis).and_then(Value::as_str).map_or(format!("dim_{axis}"), str::to_owned);
    let data_type = &document["data_type"];
    let codecs = document["codecs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |codec: &Value| codec["name"].as_str().or(codec.as_str()).map(str::to_owned);
    Ok(ArrayInfo {
        path: path.to_owned(),
        dims: (0..shape.len()).map(dim).collect(),
        chunk: lengths(path, &document["chunk_grid"]["configuration"]["chunk_shape"], "chunk_shape")?,
        shape,
        dtype: parse_dtype_v3(data_type).ok_or_else(|| broken(path, format!("type {data_type} is not supported")))?,
        fill: parse_fill(&document["fill_value"]),
        attrs: parse_attributes(&document["attributes"]),
        codecs: codecs.iter().filter_map(name).collect(),
        format: ZarrFormat::V3,
        document: document.clone(),
    })
}

/// What version 3 says that a document of an array must have, and must not.
fn check_v3(path: &str, document: &Value, rank: usize) -> Result<()> {
    const MEMBERS: [&str; 12] = [
        "zarr_format",
        "node_type",
        "shape",
        "data_type",
        "chunk_grid",
        "chunk_key_encoding",
        "fill_value",
        "codecs",
        "attributes",
        "dimension_names",
        "storage_transformers",
        "consolidated_metadata",
    ];
    let members = document.as_object().ok_or_else(|| broken(path, "its document is no object"))?;
    let must =
        |(name, value): &(&String, &Value)| !MEMBERS.contains(&name.as_str()) && value["must_understand"] != false;
    if let Some((name, _)) = members.iter().find(must) {
        return Err(broken(path, format!("it has `{name}`, which must be understood and is not")));
    }
    let grid = document["chunk_grid"]["name"].as_str().unwrap_or_default();
    if grid != "regular" {
        return Err(broken(path, format!("the chunk grid `{grid}` is not supported; `regular` is")));
    }
    if document["dimension_names"].as_array().is_some_and(|names| names.len() != rank) {
        return Err(broken(path, format!("`dimension_names` are not {rank}")));
    }
    if document["storage_transformers"].as_array().is_some_and(|list| !list.is_empty()) {
        return Err(broken(path, "storage transformers are not supported"));
    }
    check_codecs(path, &document["codecs"])
}

/// One codec makes bytes of numbers. Of codecs that are not known it is not known which one does.
pub(super) fn check_codecs(path: &str, codecs: &Value) -> Result<()> {
    let list = codecs.as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |codec: &Value| codec["name"].as_str().or(codec.as_str()).unwrap_or_default().to_owned();
    let serializes = |name: &String| matches!(name.as_str(), "bytes" | "endian" | "sharding_indexed" | "vlen-utf8");
    let count = list.iter().map(name).filter(serializes).count();
    let all: Vec<String> = list.iter().map(name).collect();
    match count {
        1 => Ok(()),
        0 if all.iter().any(|name| !super::codecs::is_known(name)) => Ok(()),
        _ => Err(broken(path, format!("of its codecs ({}) {count} make bytes of numbers, not one", all.join(", ")))),
    }
}

/// A document as `zarrs` takes it: it has no null for texts and complex numbers, which is how zarr-python writes Zarr 2.
pub(super) fn parse_metadata(path: &str, document: &Value) -> Result<ArrayMetadata> {
    let mut document = document.clone();
    let kind = document["dtype"].as_str().and_then(|text| text.chars().nth(1));
    if document["fill_value"].is_null() {
        match kind {
            Some('U') => document["fill_value"] = json!(""),
            Some('c') => document["fill_value"] = json!([0.0, 0.0]),
            _ => {}
        }
    }
    serde_json::from_value(document).map_err(|e| broken(path, e.to_string()))
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

fn parse_fill(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
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

fn parse_dtype_v3(value: &Value) -> Option<Element> {
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
