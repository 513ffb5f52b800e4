//! Results as texts: numbers in JSON, tables.

use outcrop_compute::{Block, DataArray};
use serde_json::{Value, json};

/// A number, or a list of lists of numbers.
pub(super) fn printed(array: &DataArray, block: Block) -> Value {
    let mut list: Vec<Value> = match block {
        Block::Int64(values) => values.into_iter().map(Value::from).collect(),
        Block::UInt64(values) => values.into_iter().map(Value::from).collect(),
        block if block.dtype().is_integer() => block.into_f64().into_iter().map(|v| json!(whole_number(v))).collect(),
        block => block.into_f64().into_iter().map(Value::from).collect(),
    };
    for len in array.shape().iter().skip(1).rev() {
        let len = usize::try_from(*len).unwrap_or(1).max(1);
        list = list.chunks(len).map(|row| Value::Array(row.to_vec())).collect();
    }
    if array.dims.is_empty() { list.pop().unwrap_or(Value::Null) } else { Value::Array(list) }
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^53")]
fn whole_number(value: f64) -> i64 {
    value as i64
}

/// A line for each cell: its labels, then its value; missing values are empty.
pub(super) fn csv(array: &DataArray, block: &Block) -> String {
    let names: Vec<String> = array.dims.iter().chain([&array.name]).map(|name| quoted(name)).collect();
    let mut text = names.join(",");
    text.push('\n');
    let values: Vec<String> = match block {
        Block::Int64(values) => values.iter().map(i64::to_string).collect(),
        Block::UInt64(values) => values.iter().map(u64::to_string).collect(),
        _ => {
            let values = block.clone().into_f64();
            values.iter().map(|value| if value.is_nan() { String::new() } else { value.to_string() }).collect()
        }
    };
    let shape: Vec<usize> = array.shape().iter().map(|len| usize::try_from(*len).unwrap_or(1)).collect();
    for (at, value) in values.into_iter().enumerate() {
        let mut rest = at;
        let mut labels = vec![String::new(); shape.len()];
        for d in (0..shape.len()).rev() {
            let position = rest % shape[d].max(1);
            rest /= shape[d].max(1);
            labels[d] = match array.coords.get(&array.dims[d]) {
                Some(coord) if !coord.texts.is_empty() => quoted(&coord.texts[position]),
                Some(coord) if !coord.whole.is_empty() => coord.whole[position].to_string(),
                Some(coord) => coord.values[position].to_string(),
                None => position.to_string(),
            };
        }
        labels.push(value);
        text.push_str(&labels.join(","));
        text.push('\n');
    }
    text
}

/// A field as RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
