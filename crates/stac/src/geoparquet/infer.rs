//! From the JSON of items to the types of columns.

use std::sync::Arc;

use indexmap::IndexMap;
use outcrop_grid::interval::parse_time;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};

use super::TIMES;

/// Deepest structure that has columns; what is deeper is JSON text.
const DEEPEST: usize = 12;
/// Most fields of a structure that have columns; a structure of more is JSON text.
const MOST_FIELDS: usize = 1000;

/// Type of a column, or of the columns below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Only null so far.
    Null,
    Bool,
    Int,
    Float,
    Text,
    /// Microseconds since 1970, UTC.
    Time,
    /// Well-known binary.
    Wkb,
    /// Of unlike types: JSON as text.
    Json,
    List(Box<Kind>),
    Struct(IndexMap<String, Kind>),
}

impl Kind {
    /// The type of a value; `name` is that of its column.
    pub(super) fn of(value: &Value, name: &str, depth: usize) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if number.is_i64() => Self::Int,
            Value::Number(_) => Self::Float,
            Value::String(text) if depth == 0 && TIMES.contains(&name) && moment(text).is_some() => Self::Time,
            Value::String(_) => Self::Text,
            _ if depth > DEEPEST => Self::Json,
            Value::Object(_) if name == "geometry" || name.ends_with(":geometry") => Self::Wkb,
            Value::Array(values) => {
                let element = values.iter().map(|value| Self::of(value, "", depth + 1)).fold(Self::Null, Self::join);
                Self::List(Box::new(element))
            }
            Value::Object(fields) => Self::structure(fields, depth),
        }
    }

    fn structure(fields: &Map<String, Value>, depth: usize) -> Self {
        if fields.is_empty() || fields.len() > MOST_FIELDS {
            return if fields.is_empty() { Self::Struct(IndexMap::new()) } else { Self::Json };
        }
        Self::Struct(fields.iter().map(|(name, value)| (name.clone(), Self::of(value, name, depth + 1))).collect())
    }

    /// A type that holds what both hold.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (a, b) if a == b => a,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::Time, Self::Text) | (Self::Text, Self::Time) => Self::Text,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(*b))),
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, kind) in b {
                    let known = a.get_mut(&name).map(|known| std::mem::replace(known, Self::Null));
                    a.insert(name, known.map_or(kind.clone(), |known| known.join(kind)));
                }
                if a.len() > MOST_FIELDS { Self::Json } else { Self::Struct(a) }
            }
            _ => Self::Json,
        }
    }

    /// True if every value of the other type can be stored as this one.
    pub(super) fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Null) | (Self::Float, Self::Int) | (Self::Text, Self::Time) | (Self::Json, _) => true,
            (Self::List(a), Self::List(b)) => a.holds(b),
            (Self::Struct(a), Self::Struct(b)) => {
                b.iter().all(|(name, kind)| a.get(name).is_some_and(|known| known.holds(kind)))
            }
            (a, b) => a == b,
        }
    }

    /// False for a structure without fields, which a file cannot have.
    pub(super) fn has_column(&self) -> bool {
        match self {
            Self::Struct(fields) => fields.values().any(Self::has_column),
            _ => true,
        }
    }

    /// The column of this type, optional; `None` for a structure without fields.
    pub(super) fn column(&self, name: &str) -> Option<TypePtr> {
        let primitive = |physical, logical| {
            let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
            builder.with_logical_type(logical).build().ok().map(Arc::new)
        };
        let micros = LogicalType::Timestamp { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS };
        match self {
            Self::Bool => primitive(Physical::BOOLEAN, None),
            Self::Int => primitive(Physical::INT64, None),
            Self::Float => primitive(Physical::DOUBLE, None),
            Self::Null | Self::Text => primitive(Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Json => primitive(Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Self::Time => primitive(Physical::INT64, Some(micros)),
            Self::Wkb => primitive(Physical::BYTE_ARRAY, None),
            Self::List(element) => {
                let element = element.column("element").or_else(|| Self::Null.column("element"))?;
                let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
                let list = list.with_fields(vec![element]).build().ok()?;
                let whole = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
                let whole = whole.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(list)]);
                whole.build().ok().map(Arc::new)
            }
            Self::Struct(fields) => {
                let fields: Vec<TypePtr> = fields.iter().filter_map(|(name, kind)| kind.column(name)).collect();
                let whole = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL).with_fields(fields);
                let whole = whole.build().ok().filter(|whole| !whole.get_fields().is_empty());
                whole.map(Arc::new)
            }
        }
    }
}

/// Microseconds since 1970 of a time.
pub(super) fn moment(text: &str) -> Option<i64> {
    parse_time(text).map(|time| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(values: &[Value]) -> Kind {
        values.iter().map(|value| Kind::of(value, "x", 0)).fold(Kind::Null, Kind::join)
    }

    #[test]
    fn types_are_joined_so_that_all_values_fit() {
        assert_eq!(of(&[json!(1), json!(null), json!(2.5)]), Kind::Float);
        assert_eq!(of(&[json!(1), json!("a")]), Kind::Json);
        assert_eq!(of(&[json!([1]), json!([]), json!([2.0])]), Kind::List(Box::new(Kind::Float)));
        let both = of(&[json!({"a": 1}), json!({"b": [true], "a": null})]);
        assert!(both.holds(&of(&[json!({"a": 7})])) && !both.holds(&of(&[json!({"c": 7})])));
        assert_eq!(Kind::of(&json!("2020-01-01T00:00:00Z"), "datetime", 0), Kind::Time);
        assert_eq!(Kind::of(&json!("soon"), "datetime", 0), Kind::Text);
        assert!(Kind::Struct(IndexMap::new()).column("x").is_none());
    }
}
