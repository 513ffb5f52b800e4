//! CF attributes as xarray decodes them, and times as cftime does (`tests/fixtures/make_cf.py`).
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by panicking; values fit")]

use std::path::Path;

use outcrop_formats::{AttrValue, Attrs, DType, cf::Decoding};
use outcrop_grid::time::CfTime;
use serde_json::Value;

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cf.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn attr(told: &Value) -> AttrValue {
    if told[0] == "text" {
        return AttrValue::Text(told[1].as_str().unwrap().to_owned());
    }
    let values = told[1].as_array().unwrap();
    match told[0].as_str().unwrap() {
        "float32" => AttrValue::Float32(values.iter().map(|v| float(v) as f32).collect()),
        "float16" | "float64" => AttrValue::Float64(values.iter().map(float).collect()),
        "uint64" => AttrValue::UInt(values.iter().map(|v| v.as_u64().unwrap()).collect()),
        _ => AttrValue::Int(values.iter().map(|v| v.as_i64().unwrap()).collect()),
    }
}

fn stored(kind: &str, values: &Value) -> (DType, Vec<u8>) {
    let (whole, wide) = (|v: &Value| v.as_i64().unwrap(), |v: &Value| v.as_u64().unwrap());
    let each = |bytes: &dyn Fn(&Value) -> Vec<u8>| values.as_array().unwrap().iter().flat_map(bytes).collect();
    match kind {
        "i1" => (DType::Int8, each(&|v| i8::try_from(whole(v)).unwrap().to_ne_bytes().to_vec())),
        "u1" => (DType::UInt8, each(&|v| u8::try_from(whole(v)).unwrap().to_ne_bytes().to_vec())),
        "i2" => (DType::Int16, each(&|v| i16::try_from(whole(v)).unwrap().to_ne_bytes().to_vec())),
        "u2" => (DType::UInt16, each(&|v| u16::try_from(whole(v)).unwrap().to_ne_bytes().to_vec())),
        "i4" => (DType::Int32, each(&|v| i32::try_from(whole(v)).unwrap().to_ne_bytes().to_vec())),
        "u4" => (DType::UInt32, each(&|v| u32::try_from(whole(v)).unwrap().to_ne_bytes().to_vec())),
        "i8" => (DType::Int64, each(&|v| whole(v).to_ne_bytes().to_vec())),
        "u8" => (DType::UInt64, each(&|v| wide(v).to_ne_bytes().to_vec())),
        "f2" => (DType::Float16, each(&|v| half::f16::from_f64(float(v)).to_ne_bytes().to_vec())),
        "f4" => (DType::Float32, each(&|v| (float(v) as f32).to_ne_bytes().to_vec())),
        _ => (DType::Float64, each(&|v| float(v).to_ne_bytes().to_vec())),
    }
}

#[test]
fn values_and_types_are_those_of_xarray() {
    let mut differ = Vec::new();
    for case in fixture()["variables"].as_array().unwrap() {
        let (dtype, raw) = stored(case[0].as_str().unwrap(), &case[2]);
        let attrs: Attrs = case[1].as_object().unwrap().iter().map(|(name, told)| (name.clone(), attr(told))).collect();
        let decoding = Decoding::from_attrs(dtype, &attrs).without_limits();
        let want: Vec<f64> = case[4].as_array().unwrap().iter().map(float).collect();
        let got = decoding.to_f64(&raw);
        let same = got.iter().zip(&want).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        // Missing values of half precision come out in single.
        let half = case[3] == "float16" && decoding.result_dtype() == DType::Float32;
        if (*decoding.result_dtype().name() != case[3] && !half) || !same {
            differ.push(format!("{case}: {} {got:?}", decoding.result_dtype().name()));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn times_are_those_of_cftime() {
    let mut differ = Vec::new();
    for case in fixture()["times"].as_array().unwrap() {
        let time = CfTime::parse(case[0].as_str().unwrap(), case[1].as_str().unwrap());
        let text = time.as_ref().ok().and_then(|time| time.decode(case[2].as_f64().unwrap())).map(|stamp| {
            let whole = stamp.second.floor();
            let (hours, rest) = ((whole / 3600.0).floor(), whole % 3600.0);
            let micro = ((stamp.second - whole) * 1e6).round();
            let (minutes, seconds) = ((rest / 60.0).floor(), rest % 60.0);
            let (year, month, day) = (stamp.year, stamp.month, stamp.day);
            format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{micro:06}")
        });
        if text.as_deref() != case[3].as_str() {
            differ.push(format!("{case}: {text:?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}
