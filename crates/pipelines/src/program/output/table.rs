//! Results as texts: numbers in JSON, tables.

use outcrop_compute::{Block, DataArray};
use serde_json::{Value, json};

/// A number, or a list of lists of numbers.
pub(super) fn printed(array: &DataArray, block: Block) -> Value {
    let whole = block.dtype().is_integer();
    let values = block.into_f64();
    let value = |v: &f64| if whole && v.abs() < 9e15 { json!(whole_number(*v)) } else { json!(v) };
    let mut list: Vec<Value> = values.iter().map(value).collect();
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
    let mut text = array.dims.join(",");
    text.push_str(if array.dims.is_empty() { "" } else { "," });
    text.push_str(&array.name);
    text.push('\n');
    let shape: Vec<usize> = array.shape().iter().map(|len| usize::try_from(*len).unwrap_or(1)).collect();
    for (at, value) in block.clone().into_f64().iter().enumerate() {
        let mut rest = at;
        let mut labels = vec![String::new(); shape.len()];
        for d in (0..shape.len()).rev() {
            let position = rest % shape[d].max(1);
            rest /= shape[d].max(1);
            labels[d] = match array.coords.get(&array.dims[d]) {
                Some(coord) if !coord.texts.is_empty() => coord.texts[position].clone(),
                Some(coord) if !coord.whole.is_empty() => coord.whole[position].to_string(),
                Some(coord) => coord.values[position].to_string(),
                None => position.to_string(),
            };
        }
        labels.push(if value.is_nan() { String::new() } else { value.to_string() });
        text.push_str(&labels.join(","));
        text.push('\n');
    }
    text
}
