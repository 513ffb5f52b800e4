//! From the columns of a group to the JSON of its rows. Columns may be of any writer; their schema says what they hold.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::OWN;
use crate::Shape;

/// Deepest structure of columns that is read.
const DEEPEST: usize = 64;

/// Where the columns of a file stand in an item.
#[derive(Debug)]
pub(super) struct Layout {
    /// Fields of the item in their order; `None` is where the properties stand.
    fields: Vec<Option<Member>>,
    properties: Vec<Member>,
    leaves: Vec<Scalar>,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// The name as JSON, with a colon.
    key: Vec<u8>,
    node: Node,
}

#[derive(Debug)]
enum Node {
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
enum Scalar {
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
        Ok(Self { fields, properties, leaves })
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().flatten().any(|member| member.name == name)
    }

    /// The item of the row at which the columns stand.
    fn item(&self, columns: &mut [Column]) -> Result<Vec<u8>> {
        let mut out = b"{\"type\":\"Feature\"".to_vec();
        if !self.has("stac_version") {
            out.extend_from_slice(b",\"stac_version\":\"1.1.0\"");
        }
        for field in &self.fields {
            let Some(member) = field else {
                self.put_properties(&mut out, columns)?;
                continue;
            };
            let (before, name) = (out.len(), member.name.as_str());
            out.push(b',');
            out.extend_from_slice(&member.key);
            let written = if name == "bbox" {
                put_box(&mut out, &member.node, columns)?
            } else {
                put(&mut out, &member.node, (&self.leaves, columns))?
            };
            match name {
                _ if written => {}
                "geometry" => out.extend_from_slice(b"null"),
                "links" => out.extend_from_slice(b"[]"),
                "assets" => out.extend_from_slice(b"{}"),
                _ => out.truncate(before),
            }
        }
        for (name, empty) in
            [("geometry", &b",\"geometry\":null"[..]), ("links", b",\"links\":[]"), ("assets", b",\"assets\":{}")]
        {
            if !self.has(name) {
                out.extend_from_slice(empty);
            }
        }
        out.push(b'}');
        Ok(out)
    }

    fn put_properties(&self, out: &mut Vec<u8>, columns: &mut [Column]) -> Result<()> {
        out.extend_from_slice(b",\"properties\":{");
        let (mut is_first, mut has_time) = (true, false);
        for member in &self.properties {
            let before = out.len();
            if !is_first {
                out.push(b',');
            }
            out.extend_from_slice(&member.key);
            if put(out, &member.node, (&self.leaves, columns))? {
                (is_first, has_time) = (false, has_time || member.name == "datetime");
            } else {
                out.truncate(before);
            }
        }
        if !has_time {
            out.extend_from_slice(if is_first { b"\"datetime\":null" } else { b",\"datetime\":null" });
        }
        out.push(b'}');
        Ok(())
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

/// Appends a value; false, and nothing, where it is null.
fn put(out: &mut Vec<u8>, node: &Node, (scalars, columns): (&[Scalar], &mut [Column])) -> Result<bool> {
    match node {
        Node::Leaf { at, def } => {
            let (Some(column), Some(scalar)) = (columns.get_mut(*at), scalars.get(*at)) else { return Err(damaged()) };
            column.put(out, *def, *scalar)
        }
        Node::Struct { def, members, leaves } => {
            if level(columns, leaves)? < *def {
                skip(columns, leaves)?;
                return Ok(false);
            }
            out.push(b'{');
            let mut is_first = true;
            for member in members {
                let before = out.len();
                if !is_first {
                    out.push(b',');
                }
                out.extend_from_slice(&member.key);
                if put(out, &member.node, (scalars, &mut *columns))? {
                    is_first = false;
                } else {
                    out.truncate(before);
                }
            }
            out.push(b'}');
            Ok(true)
        }
        Node::List { def, filled, rep, element, leaves } => {
            let found = level(columns, leaves)?;
            if found < *filled {
                skip(columns, leaves)?;
                if found < *def {
                    return Ok(false);
                }
                out.extend_from_slice(b"[]");
                return Ok(true);
            }
            out.push(b'[');
            loop {
                if !put(out, element, (scalars, &mut *columns))? {
                    out.extend_from_slice(b"null");
                }
                if !goes_on(columns, leaves, *rep)? {
                    break;
                }
                out.push(b',');
            }
            out.push(b']');
            Ok(true)
        }
        Node::Map { .. } => put_map(out, node, (scalars, columns)),
    }
}

fn put_map(out: &mut Vec<u8>, node: &Node, (scalars, columns): (&[Scalar], &mut [Column])) -> Result<bool> {
    let Node::Map { def, filled, rep, pair, leaves } = node else { return Err(damaged()) };
    let found = level(columns, leaves)?;
    if found < *filled {
        skip(columns, leaves)?;
        if found >= *def {
            out.extend_from_slice(b"{}");
        }
        return Ok(found >= *def);
    }
    out.push(b'{');
    loop {
        let mut key = Vec::new();
        put(&mut key, &pair[0], (scalars, &mut *columns))?;
        // Keys that are no texts are written as one.
        if !key.starts_with(b"\"") {
            key =
                serde_json::to_vec(&String::from_utf8_lossy(&key)).map_err(|e| ParquetError::General(e.to_string()))?;
        }
        out.extend_from_slice(&key);
        out.push(b':');
        if !put(out, &pair[1], (scalars, &mut *columns))? {
            out.extend_from_slice(b"null");
        }
        if !goes_on(columns, leaves, *rep)? {
            break;
        }
        out.push(b',');
    }
    out.push(b'}');
    Ok(true)
}

/// The box: a structure of its ends, or a list of numbers.
fn put_box(out: &mut Vec<u8>, node: &Node, columns: &mut [Column]) -> Result<bool> {
    let Node::Struct { def, members, leaves } = node else {
        return put(out, node, (&vec![Scalar::Plain; columns.len()], columns));
    };
    let is_there = level(columns, leaves)? >= *def;
    let mut ends: [Option<Vec<u8>>; 6] = Default::default();
    for member in members {
        let mut number = Vec::new();
        let there = put(&mut number, &member.node, (&vec![Scalar::Plain; columns.len()], &mut *columns))?;
        let place = ["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"].iter().position(|end| *end == member.name);
        if let Some(place) = place.filter(|_| there) {
            ends[place] = Some(number);
        }
    }
    let plain = [0, 1, 3, 4].iter().all(|at| ends[*at].is_some());
    if !is_there || !plain {
        return Ok(false);
    }
    if ends[2].is_none() || ends[5].is_none() {
        (ends[2], ends[5]) = (None, None);
    }
    out.push(b'[');
    for (place, number) in ends.into_iter().flatten().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&number);
    }
    out.push(b']');
    Ok(true)
}

fn damaged() -> ParquetError {
    ParquetError::General("levels of its columns do not fit together".to_owned())
}

/// The level at which a node stands: that of its first column.
fn level(columns: &[Column], leaves: &Range<usize>) -> Result<i16> {
    columns.get(leaves.start).and_then(Column::def).ok_or_else(damaged)
}

/// True if another element of the list follows.
fn goes_on(columns: &[Column], leaves: &Range<usize>, rep: i16) -> Result<bool> {
    columns.get(leaves.start).map(|column| column.rep() >= rep).ok_or_else(damaged)
}

/// Passes what stands in the columns of a node that is null or empty.
fn skip(columns: &mut [Column], leaves: &Range<usize>) -> Result<()> {
    columns.get_mut(leaves.clone()).ok_or_else(damaged)?.iter_mut().for_each(Column::pass);
    Ok(())
}

/// Values of a column for some rows, and where reading stands among them.
#[derive(Debug)]
struct Column {
    /// Level of what is there; `None` where all is.
    defs: Option<Vec<i16>>,
    reps: Option<Vec<i16>>,
    most: i16,
    values: Values,
    at: usize,
    value: usize,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I96(Vec<Int96>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::I96(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Bytes(values) => values.len(),
            Self::Fixed(values) => values.len(),
        }
    }
}

impl Column {
    /// Level of the next entry; `None` at the end.
    fn def(&self) -> Option<i16> {
        match &self.defs {
            Some(defs) => defs.get(self.at).copied(),
            None => (self.at < self.values.len()).then_some(self.most),
        }
    }

    /// Repetition of the next entry; 0, as that of a new row, at the end.
    fn rep(&self) -> i16 {
        self.reps.as_ref().and_then(|reps| reps.get(self.at)).copied().unwrap_or(0)
    }

    /// Passes an entry.
    fn pass(&mut self) {
        if self.def() == Some(self.most) {
            self.value += 1;
        }
        self.at += 1;
    }

    fn put(&mut self, out: &mut Vec<u8>, def: i16, scalar: Scalar) -> Result<bool> {
        let found = self.def().ok_or_else(damaged)?;
        let value = self.value;
        self.pass();
        if found < def || found < self.most {
            return Ok(false);
        }
        let written = match &self.values {
            Values::Bool(values) => json(out, values.get(value)),
            Values::I32(values) => values.get(value).and_then(|n| number(out, i64::from(*n), scalar, 32)),
            Values::I64(values) => values.get(value).and_then(|n| number(out, *n, scalar, 64)),
            Values::I96(values) => values.get(value).and_then(|n| number(out, n.to_nanos(), Scalar::Time(1), 64)),
            Values::F32(values) => json(out, values.get(value)),
            Values::F64(values) => json(out, values.get(value)),
            Values::Bytes(values) => values.get(value).and_then(|bytes| text(out, bytes.data(), scalar)),
            Values::Fixed(values) => values.get(value).and_then(|bytes| text(out, bytes.data(), scalar)),
        };
        written.map(|()| true).ok_or_else(damaged)
    }
}

/// Appends a value as JSON; `None` if there is none.
fn json<T: serde::Serialize>(out: &mut Vec<u8>, value: Option<&T>) -> Option<()> {
    serde_json::to_writer(out, value?).ok()
}

fn number(out: &mut Vec<u8>, number: i64, scalar: Scalar, bits: u32) -> Option<()> {
    match scalar {
        Scalar::Time(nanos) => {
            let of_second = 1_000_000_000 / nanos;
            let (seconds, rest) = (number.div_euclid(of_second), number.rem_euclid(of_second) * nanos);
            let time = chrono::DateTime::from_timestamp(seconds, u32::try_from(rest).ok()?)?;
            json(out, Some(&outcrop_grid::time::rfc3339(&time)))
        }
        Scalar::Date => {
            let time = chrono::DateTime::from_timestamp(number.checked_mul(86_400)?, 0)?;
            json(out, Some(&time.format("%Y-%m-%d").to_string()))
        }
        Scalar::Unsigned if bits == 32 => json(out, Some(&(number.cast_unsigned() & u64::from(u32::MAX)))),
        Scalar::Unsigned => json(out, Some(&number.cast_unsigned())),
        Scalar::Decimal(scale) => json(out, Some(&(number as f64 / 10f64.powi(scale)))),
        _ => write!(out, "{number}").ok(),
    }
}

fn text(out: &mut Vec<u8>, bytes: &[u8], scalar: Scalar) -> Option<()> {
    let as_text = std::str::from_utf8(bytes).ok();
    match scalar {
        Scalar::Json => match as_text {
            Some(text) if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() => {
                out.write_all(bytes).ok()
            }
            _ => json(out, Some(&String::from_utf8_lossy(bytes))),
        },
        Scalar::Geometry => {
            if let Some(shape) = Shape::from_wkb(bytes) {
                return json(out, Some(&shape.to_json()));
            }
            json(out, Some(&base64::engine::general_purpose::STANDARD.encode(bytes)))
        }
        Scalar::Decimal(scale) if bytes.len() <= 16 => {
            let start = if bytes.first().is_some_and(|byte| *byte > 127) { -1i128 } else { 0 };
            let whole = bytes.iter().fold(start, |whole, byte| whole << 8 | i128::from(*byte));
            json(out, Some(&(whole as f64 / 10f64.powi(scale))))
        }
        _ => match as_text {
            Some(text) => json(out, Some(&text)),
            None => json(out, Some(&base64::engine::general_purpose::STANDARD.encode(bytes))),
        },
    }
}

/// The rows of a group, read as far as they are wanted.
pub(super) struct Rows {
    layout: Arc<Layout>,
    readers: Vec<(ColumnReader, i16, i16)>,
    at: usize,
}

impl Rows {
    pub(super) fn new<R: ChunkReader + 'static>(
        group: &SerializedRowGroupReader<'_, R>,
        layout: Arc<Layout>,
    ) -> Result<Self> {
        let reader = |number: usize| {
            let descriptor = group.metadata().column(number).column_descr_ptr();
            let levels = (descriptor.max_def_level(), descriptor.max_rep_level());
            let pages = group.get_column_page_reader(number)?;
            Ok((get_column_reader(descriptor, pages), levels.0, levels.1))
        };
        let readers = (0..group.num_columns()).map(reader).collect::<Result<Vec<_>>>()?;
        Ok(Self { layout, readers, at: 0 })
    }

    /// The items of rows, which rise and follow those of the call before.
    pub(super) fn take(&mut self, wanted: &[usize]) -> Result<Vec<Vec<u8>>> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let mut at = self.at;
        for row in wanted {
            let gap = row.checked_sub(at).ok_or_else(damaged)?;
            match runs.last_mut().filter(|_| gap == 0) {
                Some((_, count)) => *count += 1,
                None => runs.push((gap, 1)),
            }
            at = row + 1;
        }
        self.at = at;
        let readers = self.readers.iter_mut();
        let columns = readers.map(|(reader, most, rep)| read(reader, (*most, *rep), &runs));
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        wanted.iter().map(|_| self.layout.item(&mut columns)).collect()
    }
}

/// Rows that are passed, and rows behind them that are wanted, one pair after the other.
type Runs<'a> = &'a [(usize, usize)];

/// Reads the rows of runs, each behind so many that are passed.
fn read(reader: &mut ColumnReader, levels: (i16, i16), runs: Runs<'_>) -> Result<Column> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => column(reader, levels, runs, Values::Bool),
        ColumnReader::Int32ColumnReader(reader) => column(reader, levels, runs, Values::I32),
        ColumnReader::Int64ColumnReader(reader) => column(reader, levels, runs, Values::I64),
        ColumnReader::Int96ColumnReader(reader) => column(reader, levels, runs, Values::I96),
        ColumnReader::FloatColumnReader(reader) => column(reader, levels, runs, Values::F32),
        ColumnReader::DoubleColumnReader(reader) => column(reader, levels, runs, Values::F64),
        ColumnReader::ByteArrayColumnReader(reader) => column(reader, levels, runs, Values::Bytes),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => column(reader, levels, runs, Values::Fixed),
    }
}

fn column<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    (most, rep): (i16, i16),
    runs: Runs<'_>,
    of: impl FnOnce(Vec<T::T>) -> Values,
) -> Result<Column> {
    let (mut defs, mut reps, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (gap, count) in runs {
        if *gap > 0 {
            reader.skip_records(*gap)?;
        }
        let (def, rep) = ((most > 0).then_some(&mut defs), (rep > 0).then_some(&mut reps));
        let (read, _, _) = reader.read_records(*count, def, rep, &mut values)?;
        if read < *count {
            return Err(ParquetError::EOF("a column has too few rows".to_owned()));
        }
    }
    let (defs, reps) = ((most > 0).then_some(defs), (rep > 0).then_some(reps));
    Ok(Column { defs, reps, most, values: of(values), at: 0, value: 0 })
}
