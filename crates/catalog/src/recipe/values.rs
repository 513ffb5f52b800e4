//! Values of variables: lists, ranges, and tables by another variable.

use indexmap::IndexMap;
use serde::Deserialize;
use toml::Value;

const MOST: i64 = 1_000_000;

/// One value for all, or one for each value of a variable: `{ by = "region", values = { na = …, hi = … } }`.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice<T> {
    /// The same everywhere.
    Plain(T),
    /// It depends on a variable.
    By {
        /// The variable.
        variable: String,
        /// The value for each of the variable's.
        values: IndexMap<String, T>,
    },
}

impl<T> Choice<T> {
    /// The variable that it depends on.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::By { variable, .. } => Some(variable),
        }
    }

    /// The value where `value` is that of the variable that it depends on.
    pub(crate) fn get(&self, value: impl Fn(&str) -> Option<String>) -> Option<&T> {
        match self {
            Self::Plain(plain) => Some(plain),
            Self::By { variable, values } => values.get(&value(variable)?),
        }
    }

    fn parse(value: Value, one: impl Fn(Value) -> Result<T, String>) -> Result<Self, String> {
        let is_table = value.as_table().is_some_and(|table| table.contains_key("by"));
        let Value::Table(mut table) = value else { return one(value).map(Self::Plain) };
        if !is_table {
            return one(Value::Table(table)).map(Self::Plain);
        }
        let by = table.remove("by");
        let (Some(Value::String(variable)), Some(Value::Table(values))) = (by, table.remove("values")) else {
            return Err("write { by = \"variable\", values = { first = …, second = … } }".into());
        };
        if let Some((key, _)) = table.iter().next() {
            return Err(format!("unknown key `{key}`, a choice has `by` and `values`"));
        }
        let each = |(key, value)| one(value).map(|value| (key, value));
        Ok(Self::By { variable, values: values.into_iter().map(each).collect::<Result<_, _>>()? })
    }
}

/// The values of a variable: a list, or a range of whole numbers `{ from = 1980, to = 2022 }` with both ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Values(pub Choice<Vec<String>>);

impl TryFrom<Value> for Values {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Choice::parse(value, list).map(Self)
    }
}

/// A box, or one for each value of a variable.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Boxes(pub Choice<Vec<f64>>);

impl TryFrom<Value> for Boxes {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Choice::parse(value, numbers).map(Self)
    }
}

/// One box, or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct BoxList(pub Vec<Vec<f64>>);

impl TryFrom<Value> for BoxList {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::Array(boxes) if boxes.first().is_some_and(Value::is_array) => {
                let boxes: Vec<Vec<f64>> = boxes.iter().cloned().map(numbers).collect::<Result<_, _>>()?;
                let length = boxes.first().map_or(0, Vec::len);
                if boxes.iter().any(|numbers| numbers.len() != length) {
                    return Err("all boxes have four numbers, or all have six".into());
                }
                Ok(Self(boxes))
            }
            _ => Ok(Self(vec![numbers(value)?])),
        }
    }
}

fn list(value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(values) if !values.is_empty() => values.into_iter().map(text).collect(),
        Value::Table(table) => range(&table),
        _ => Err("write a list like [\"na\", \"hi\"] or a range like { from = 1980, to = 2022 }".into()),
    }
}

fn range(table: &toml::Table) -> Result<Vec<String>, String> {
    if let Some(key) = table.keys().find(|key| !matches!(key.as_str(), "from" | "to" | "step")) {
        return Err(format!("unknown key `{key}`, a range has `from`, `to` and `step`"));
    }
    let number = |key: &str| table.get(key).and_then(Value::as_integer);
    let (Some(from), Some(to)) = (number("from"), number("to")) else {
        return Err("a range needs whole numbers `from` and `to`".into());
    };
    let step = number("step").unwrap_or(1);
    if step < 1 || to < from || to.checked_sub(from).is_none_or(|span| span / step >= MOST) {
        return Err(format!("the range {from} to {to} by {step} must go up and have at most {MOST} values"));
    }
    let values = std::iter::successors(Some(from), |at| at.checked_add(step));
    Ok(values.take_while(|at| *at <= to).map(|at| at.to_string()).collect())
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        other => Err(format!("`{other}` cannot be a value of a variable; write texts or whole numbers")),
    }
}

fn numbers(value: Value) -> Result<Vec<f64>, String> {
    let wrong = || "write a box as [west, south, east, north] in degrees".to_owned();
    let Value::Array(values) = value else { return Err(wrong()) };
    #[expect(clippy::cast_precision_loss, reason = "degrees are small")]
    let number = |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
    let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
    let numbers = numbers.ok_or_else(wrong)?;
    outcrop_grid::BBox::from_slice(&numbers).map_err(|e| e.to_string())?;
    Ok(numbers)
}
