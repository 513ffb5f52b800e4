//! Where the columns of a file stand in an item, and what their values mean. The schema of any writer says it.

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::{SchemaDescriptor, Type};

use super::OWN;

/// Deepest structure of columns that is read.
const DEEPEST: usize = 64;

/// Where the columns of a file stand in an item.
#[derive(Debug)]
pub(super) struct Layout {
    /// Fields of the item in their order; `None` is where the properties stand.
    pub fields: Vec<Option<Member>>,
    pub properties: Vec<Member>,
    pub leaves: Vec<Scalar>,
    /// How every item begins, and what those lack that have no such column.
    pub head: &'static [u8],
    pub tail: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub name: String,
    /// The name as JSON, with a colon.
    pub key: Vec<u8>,
    pub node: Node,
}

#[derive(Debug)]
pub(super) enum Node {
    Leaf {
        at: usize,
        def: i16,
    },
    /// Is there from level `def` on.
    Struct {
        def: i16,
        members: Vec<Member>,
        leaves: Range<usize>,
    },
    /// Is there from level `def` on, has elements from `filled` on; the next element has the repetition `rep`.
    List {
        def: i16,
        filled: i16,
        rep: i16,
        element: Box<Node>,
        leaves: Range<usize>,
    },
    /// As a list of pairs.
    Map {
        def: i16,
        filled: i16,
        rep: i16,
        pair: Box<[Node; 2]>,
        leaves: Range<usize>,
    },
}

/// What the numbers or bytes of a column mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Plain,
    Unsigned,
    /// Nanoseconds of one.
    Time(i64),
    Date,
    /// Digits behind the point.
    Decimal(i32),
    Json,
    Geometry,
}

impl Layout {
    /// The layout of a schema; `foreign` are columns that are fields of the item beside those of the specification.
    ///
    /// # Errors
    /// Where structures are nested too deep.
    pub(super) fn of(schema: &SchemaDescriptor, foreign: &[String]) -> Result<Self> {
        let mut leaves = Vec::new();
        let (mut fields, mut properties) = (Vec::new(), Vec::new());
        for column in schema.root_schema().get_fields() {
            let member = member(column, (0, 0), (&mut leaves, 0))?;
            let name = column.name();
            if name == "type" {
                continue;
            }
            let is_field = OWN.contains(&name) || foreign.iter().any(|known| known == name);
            if is_field { fields.push(Some(member)) } else { properties.push(member) }
        }
        let place = |field: &Option<Member>| match field {
            Some(member) => {
                let at = OWN.iter().position(|own| *own == member.name).unwrap_or(OWN.len());
                2 * at
            }
            // Behind the box, before the links.
            None => 2 * OWN.iter().position(|own| *own == "links").unwrap_or(0) - 1,
        };
        fields.push(None);
        fields.sort_by_key(place);
        let has = |name: &str| fields.iter().flatten().any(|member: &Member| member.name == name);
        let head: &[u8] = if has("stac_version") {
            b"{\"type\":\"Feature\""
        } else {
            b"{\"type\":\"Feature\",\"stac_version\":\"1.1.0\""
        };
        let tail: String =
            [("geometry", ",\"geometry\":null"), ("links", ",\"links\":[]"), ("assets", ",\"assets\":{}")]
                .into_iter()
                .filter_map(|(name, empty)| (!has(name)).then_some(empty))
                .collect();
        Ok(Self { head, tail: tail.into_bytes(), fields, properties, leaves })
    }
}

fn member(column: &Type, levels: (i16, i16), (leaves, depth): (&mut Vec<Scalar>, usize)) -> Result<Member> {
    let name = column.name().to_owned();
    let mut key = serde_json::to_vec(&name).map_err(|e| ParquetError::General(e.to_string()))?;
    key.push(b':');
    let node = node(column, levels, (leaves, depth))?;
    Ok(Member { name, key, node })
}

fn node(column: &Type, (def, rep): (i16, i16), (leaves, depth): (&mut Vec<Scalar>, usize)) -> Result<Node> {
    if depth > DEEPEST {
        return Err(ParquetError::General(format!("columns are nested more than {DEEPEST} deep")));
    }
    let first = leaves.len();
    let info = column.get_basic_info();
    let repetition = if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED };
    if repetition == Repetition::REPEATED {
        // A list of old writers, without a group around it.
        let element = Box::new(content(column, (def + 1, rep + 1), (leaves, depth))?);
        return Ok(Node::List { def, filled: def + 1, rep: rep + 1, element, leaves: first..leaves.len() });
    }
    let def = def + i16::from(repetition == Repetition::OPTIONAL);
    content(column, (def, rep), (leaves, depth))
}

/// What a column is, apart from whether it is there.
fn content(column: &Type, (def, rep): (i16, i16), (leaves, depth): (&mut Vec<Scalar>, usize)) -> Result<Node> {
    let first = leaves.len();
    if column.is_primitive() {
        leaves.push(Scalar::of(column));
        return Ok(Node::Leaf { at: first, def });
    }
    let (info, fields) = (column.get_basic_info(), column.get_fields());
    let is_repeated = |inner: &Type| inner.get_basic_info().repetition() == Repetition::REPEATED;
    let (list, map) = match info.logical_type_ref() {
        Some(LogicalType::List) => (true, false),
        Some(LogicalType::Map) => (false, true),
        _ => (
            info.converted_type() == ConvertedType::LIST,
            matches!(info.converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE),
        ),
    };
    let levels = (def + 1, rep + 1);
    match fields {
        [inner] if list && is_repeated(inner) => {
            // A repeated group around the element, or (old writers) the element itself.
            let wraps = inner.is_group() && inner.get_fields().len() == 1 && inner.name() != "array";
            let element = match inner.get_fields().first().filter(|_| wraps) {
                Some(element) => node(element, levels, (leaves, depth + 1))?,
                None => content(inner, levels, (leaves, depth + 1))?,
            };
            Ok(Node::List {
                def,
                filled: def + 1,
                rep: rep + 1,
                element: Box::new(element),
                leaves: first..leaves.len(),
            })
        }
        [inner] if map && is_repeated(inner) && inner.is_group() && inner.get_fields().len() == 2 => {
            let mut half = |at: usize| node(&inner.get_fields()[at], levels, (&mut *leaves, depth + 1));
            let pair = Box::new([half(0)?, half(1)?]);
            Ok(Node::Map { def, filled: def + 1, rep: rep + 1, pair, leaves: first..leaves.len() })
        }
        fields => {
            let members = fields.iter().map(|field| member(field, (def, rep), (leaves, depth + 1)));
            let members = members.collect::<Result<Vec<_>>>()?;
            Ok(Node::Struct { def, members, leaves: first..leaves.len() })
        }
    }
}

impl Scalar {
    fn of(column: &Type) -> Self {
        let info = column.get_basic_info();
        let name = column.name();
        match (info.logical_type_ref(), info.converted_type()) {
            (Some(LogicalType::Timestamp { unit: TimeUnit::NANOS, .. }), _) => Self::Time(1),
            (Some(LogicalType::Timestamp { unit: TimeUnit::MICROS, .. }), _)
            | (None, ConvertedType::TIMESTAMP_MICROS) => Self::Time(1000),
            (Some(LogicalType::Timestamp { .. }), _) | (None, ConvertedType::TIMESTAMP_MILLIS) => Self::Time(1_000_000),
            (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Self::Date,
            (Some(LogicalType::Integer { is_signed: false, .. }), _)
            | (
                None,
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
            ) => Self::Unsigned,
            (Some(LogicalType::Decimal { scale, .. }), _) => Self::Decimal(*scale),
            (Some(LogicalType::Json), _) | (None, ConvertedType::JSON) => Self::Json,
            (Some(LogicalType::Geometry { .. } | LogicalType::Geography { .. }), _) => Self::Geometry,
            (None, ConvertedType::NONE) if name == "geometry" || name.ends_with(":geometry") => Self::Geometry,
            _ => Self::Plain,
        }
    }
}
