//! Metadata documents of arrays and groups, both ways.

use std::sync::Arc;

use base64::Engine;
use serde_json::{Map, Value, json};
use zarrs::array::ArrayMetadata;

use super::marker::HINT;
use super::read::ArrayInfo;
use super::types::{dtype_v2, dtype_v3, fill_bytes, number_or_text_v2, objects_v2, parse_dtype_v3, parse_fill};
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
            "filters": filters_v2(spec),
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

fn filters_v2(spec: &ArraySpec) -> Value {
    if spec.dtype == Element::VlenText { json!([{"id": "vlen-utf8"}]) } else { json!(null) }
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
                Element::VlenText => 1,
            };
            Some(json!({"name": "blosc", "configuration": {
                "cname": blosc_name(codec), "clevel": level, "shuffle": shuffle, "typesize": typesize, "blocksize": 0,
            }}))
        }
    };
    let first = if spec.dtype == Element::VlenText { json!({"name": "vlen-utf8"}) } else { bytes.clone() };
    let codecs: Vec<Value> = std::iter::once(first).chain(compressor).collect();
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

/// The document of a group of version 3; `hint` names the marked arrays.
pub(super) fn group_v3(attrs: &Map<String, Value>, members: &Map<String, Value>, hint: Value) -> Value {
    let mut consolidated = json!({"kind": "inline", "must_understand": false, "metadata": members});
    consolidated[HINT] = hint;
    json!({"attributes": attrs, "zarr_format": 3, "consolidated_metadata": consolidated, "node_type": "group"})
}

/// The consolidated metadata of version 2; `hint` names the marked arrays.
pub(super) fn consolidated_v2(members: &Map<String, Value>, hint: Value) -> Value {
    let mut consolidated = json!({"zarr_consolidated_format": 1, "metadata": members});
    consolidated[HINT] = hint;
    consolidated
}

fn refused(spec: &ArraySpec, why: String) -> Error {
    Error::Zarr { action: "write", path: spec.name.clone(), why }
}

pub(super) fn unsupported(spec: &ArraySpec) -> Error {
    refused(spec, format!("type {} cannot be written", spec.dtype))
}

/// The fill value: one element in native byte order.
pub(super) fn fill_element(spec: &ArraySpec) -> Result<Vec<u8>> {
    let dtype = match (spec.dtype, &spec.fill) {
        (Element::Number(dtype), _) => dtype,
        (Element::Text { chars }, None) => return Ok(vec![0; chars.max(1) * 4]),
        (Element::VlenText, None) => return Ok(Vec::new()),
        (Element::Text { .. } | Element::VlenText, Some(_)) => {
            return Err(refused(spec, "texts have no fill value".to_owned()));
        }
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

pub(super) fn broken(path: &str, why: impl Into<String>) -> Error {
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
        dtype: if dtype == "|O" { objects_v2(path, filters)? } else { number_or_text_v2(path, dtype)? },
        fill: parse_fill(&zarray["fill_value"]),
        attrs,
        codecs: filters.iter().chain(std::iter::once(&zarray["compressor"])).filter_map(name).collect(),
        format: ZarrFormat::V2,
        document: Arc::new(zarray.clone()),
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
        document: Arc::new(document.clone()),
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
            Some('U' | 'O') => document["fill_value"] = json!(""),
            Some('c') => document["fill_value"] = json!([0.0, 0.0]),
            _ => {}
        }
    }
    serde_json::from_value(document).map_err(|e| broken(path, e.to_string()))
}
