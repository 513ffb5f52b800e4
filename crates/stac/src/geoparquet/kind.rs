//! Types of columns: what values ask for, what holds both of two, and how a file writes them.

use std::sync::Arc;

use indexmap::IndexMap;
use outcrop_grid::interval::parse_time;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{Type, TypePtr};

/// Most fields of a structure that have columns; a structure of more is JSON text.
pub(super) const MOST_FIELDS: usize = 1000;
/// Largest whole number that a float holds, as all below it.
pub(super) const MOST_EXACT: u64 = 1 << 53;

/// Fields by name, in the order in which they were met.
pub(super) type Fields = IndexMap<String, Kind>;

/// Type of a column, or of the columns below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Only null so far.
    Null,
    Bool,
    /// Whole numbers that a float holds too.
    Int,
    /// Whole numbers of 64 bits.
    Long,
    Float,
    Text,
    /// Microseconds since 1970, UTC.
    Time,
    /// Well-known binary.
    Wkb,
    /// Of unlike types: JSON as text.
    Json,
    List(Box<Kind>),
    Struct(Fields),
}

impl Kind {
    /// Becomes a type that holds this one and the other.
    pub(super) fn meet(&mut self, other: Self) {
        match (&mut *self, other) {
            (_, Self::Null) => {}
            (Self::Null, other) => *self = other,
            (known, other) if *known == other => {}
            (Self::Float | Self::Long, Self::Int) => {}
            (Self::Int, other @ (Self::Float | Self::Long)) => *self = other,
            (Self::Time, Self::Text) | (Self::Text, Self::Time) => *self = Self::Text,
            (Self::List(known), Self::List(other)) => known.meet(*other),
            (Self::Struct(known), Self::Struct(other)) => {
                for (name, kind) in other {
                    known.entry(name).or_insert(Self::Null).meet(kind);
                }
                if known.len() > MOST_FIELDS {
                    *self = Self::Json;
                }
            }
            _ => *self = Self::Json,
        }
    }

    /// Structures without fields, which a file cannot have, become JSON.
    pub(super) fn settle(&mut self) {
        match self {
            Self::Struct(fields) if fields.is_empty() => *self = Self::Json,
            Self::Struct(fields) => fields.values_mut().for_each(Self::settle),
            Self::List(element) => element.settle(),
            _ => {}
        }
    }

    /// The optional column of this type; `None` for a name that no column can have.
    pub(super) fn column(&self, name: &str) -> Option<TypePtr> {
        let primitive = |physical, logical| {
            let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
            builder.with_logical_type(logical).build().ok().map(Arc::new)
        };
        let micros = LogicalType::Timestamp { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS };
        match self {
            Self::Bool => primitive(Physical::BOOLEAN, None),
            Self::Int | Self::Long => primitive(Physical::INT64, None),
            Self::Float => primitive(Physical::DOUBLE, None),
            Self::Null | Self::Text => primitive(Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Json => primitive(Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Self::Time => primitive(Physical::INT64, Some(micros)),
            Self::Wkb => primitive(Physical::BYTE_ARRAY, None),
            Self::List(element) => {
                let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
                let list = list.with_fields(vec![element.column("element")?]).build().ok()?;
                let whole = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
                let whole = whole.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(list)]);
                whole.build().ok().map(Arc::new)
            }
            Self::Struct(fields) => {
                let fields: Option<Vec<TypePtr>> = fields.iter().map(|(name, kind)| kind.column(name)).collect();
                let whole = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL).with_fields(fields?);
                whole.build().ok().map(Arc::new)
            }
        }
    }

    /// The type of a column as [`Kind::column`] writes it; `None` for any other.
    pub(super) fn of_column(column: &Type) -> Option<Self> {
        let info = column.get_basic_info();
        if info.repetition() != Repetition::OPTIONAL {
            return None;
        }
        let logical = info.logical_type_ref();
        if !column.is_primitive() {
            return match (logical, column.get_fields()) {
                (Some(LogicalType::List), [list]) if list.is_group() => match list.get_fields() {
                    [element] => Some(Self::List(Box::new(Self::of_column(element)?))),
                    _ => None,
                },
                (None, fields) if info.converted_type() == ConvertedType::NONE => {
                    let fields = fields.iter().map(|field| Some((field.name().to_owned(), Self::of_column(field)?)));
                    Some(Self::Struct(fields.collect::<Option<Fields>>()?))
                }
                _ => None,
            };
        }
        Some(match (column.get_physical_type(), logical) {
            (Physical::BOOLEAN, None) => Self::Bool,
            (Physical::INT64, None) => Self::Long,
            (Physical::DOUBLE, None) => Self::Float,
            (Physical::BYTE_ARRAY, Some(LogicalType::String)) => Self::Text,
            (Physical::BYTE_ARRAY, Some(LogicalType::Json)) => Self::Json,
            (Physical::BYTE_ARRAY, None) => Self::Wkb,
            (Physical::INT64, Some(LogicalType::Timestamp { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS })) => {
                Self::Time
            }
            _ => return None,
        })
    }
}

/// Microseconds since 1970 of a time.
pub(super) fn moment(text: &str) -> Option<i64> {
    parse_time(text).map(|time| time.timestamp_micros())
}
