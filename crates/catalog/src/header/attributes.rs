//! What the attributes of a file say, as JSON.

use outcrop_formats::AttrValue;
use outcrop_formats::Variable;
use serde_json::{Number, Value};

use super::File;
use crate::Result;

/// The attribute of a name, of the file itself or of the first variable that has it; `VARIABLE:ATTRIBUTE` is that of one variable.
/// A variable of one number that is called so is its value. `None` where there is nothing like that.
pub(super) async fn find(file: &File, name: &str) -> Result<Option<Value>> {
    let meta = &file.opened.meta;
    let of_one = || {
        let (variable, attribute) = name.rsplit_once(':')?;
        meta.variables.iter().find(|v| v.name == variable)?.attrs.get(attribute)
    };
    let of_any = || meta.variables.iter().find_map(|v| v.attrs.get(name));
    if let Some(value) = meta.attrs.get(name).or_else(of_one).or_else(of_any) {
        return Ok(json(value));
    }
    let is_number =
        |v: &&Variable| v.name == name && v.dtype.is_real() && v.grid.shape.len() < 2 && v.elements() == Some(1);
    let Some(variable) = meta.variables.iter().find(is_number) else { return Ok(None) };
    let values = file.labels(variable).await?;
    Ok(values.first().and_then(|value| number(*value)))
}

/// One value by itself, several as a list; `None` of none, and of numbers that JSON does not have.
fn json(value: &AttrValue) -> Option<Value> {
    let mut all: Vec<Value> = match value {
        AttrValue::Text(text) => return Some(text.as_str().into()),
        AttrValue::Texts(texts) => texts.iter().map(|text| text.as_str().into()).collect(),
        AttrValue::Int(values) | AttrValue::Typed(_, values) => values.iter().map(|value| (*value).into()).collect(),
        AttrValue::UInt(values) => values.iter().map(|value| (*value).into()).collect(),
        // The shortest number that is this one in single precision.
        AttrValue::Float32(values) => {
            values.iter().map(|value| number(value.to_string().parse().ok()?)).collect::<Option<_>>()?
        }
        AttrValue::Float64(values) => values.iter().map(|value| number(*value)).collect::<Option<_>>()?,
    };
    if all.len() > 1 { Some(Value::Array(all)) } else { all.pop() }
}

fn number(value: f64) -> Option<Value> {
    Number::from_f64(value).map(Value::Number)
}
