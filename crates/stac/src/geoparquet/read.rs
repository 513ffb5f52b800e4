//! Reads rows of a stac-geoparquet file as items: of groups that may hold some, and of them those that may fit.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use outcrop_grid::{BBox, Interval};
use outcrop_store::{Href, ObjectMeta, Store};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::infer::moment;
use super::{FOREIGN, GROUPS, OWN};
use crate::{Error, RawItem, Result, Shape};

/// Bytes at the end of a file that are read first.
const TAIL: u64 = 1 << 16;
/// Largest footer in bytes.
const MOST_FOOTER: u64 = 256 << 20;

/// What is known of a group of rows without reading it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Group {
    /// Rows.
    pub rows: usize,
    /// West, south, east, north around the geometries and boxes of all rows; from -180 to 180 where one crosses the
    /// antimeridian. `None` where no row has a place.
    pub bbox: Option<[f64; 4]>,
    /// First and last moment of all rows, microseconds since 1970. `None` where no row has a time.
    pub time: Option<[i64; 2]>,
    /// Collections of the rows; none where there are many.
    #[serde(default)]
    pub collections: Vec<String>,
}

impl Group {
    const MOST_COLLECTIONS: usize = 32;

    /// What is known of rows.
    pub(super) fn of(rows: &[Value]) -> Self {
        let mut group = Self { rows: rows.len(), ..Self::default() };
        let mut many = false;
        for row in rows {
            if let Some(bounds) = row.get("geometry").and_then(|geometry| Shape::of_value(geometry)?.bounds()) {
                group.meet_box(bounds);
            }
            let end = |name: &str| row.get("bbox")?.get(name)?.as_f64();
            if let (Some(w), Some(s), Some(e), Some(n)) = (end("xmin"), end("ymin"), end("xmax"), end("ymax")) {
                group.meet_box([w, s, e, n]);
            }
            let time = |name: &str| row.get(name).and_then(Value::as_str).and_then(moment);
            for micros in ["datetime", "start_datetime", "end_datetime"].into_iter().filter_map(time) {
                let [first, last] = group.time.unwrap_or([micros; 2]);
                group.time = Some([first.min(micros), last.max(micros)]);
            }
            let name = row.get("collection").and_then(Value::as_str).unwrap_or_default();
            if !many && !group.collections.iter().any(|known| known == name) {
                group.collections.push(name.to_owned());
            }
            if group.collections.len() > Self::MOST_COLLECTIONS {
                (many, group.collections) = (true, Vec::new());
            }
        }
        group
    }

    fn meet_box(&mut self, [w, s, e, n]: [f64; 4]) {
        // Across the antimeridian, or beyond 180 degrees.
        let (w, e) = if w > e || w < -180.0 || e > 180.0 { (-180.0, 180.0) } else { (w, e) };
        let [west, south, east, north] = self.bbox.unwrap_or([w, s, e, n]);
        self.bbox = Some([west.min(w), south.min(s), east.max(e), north.max(n)]);
    }

    /// False only if no row can meet the box, the interval and the collections; no collections are all.
    pub fn may_hold(&self, bbox: Option<&BBox>, interval: Option<&Interval>, collections: &[String]) -> bool {
        let in_space = bbox.is_none_or(|wanted| {
            self.bbox.is_some_and(|[west, south, east, north]| BBox { west, south, east, north }.intersects(wanted))
        });
        let in_time = interval.is_none_or(|wanted| {
            let micros = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|time| time.timestamp_micros());
            let (start, end) = (micros(wanted.start), micros(wanted.end));
            self.time.is_some_and(|[first, last]| {
                start.is_none_or(|start| start <= last) && end.is_none_or(|end| end >= first)
            })
        });
        let named = collections.is_empty()
            || self.collections.is_empty()
            || self.collections.iter().any(|own| collections.contains(own));
        in_space && in_time && named
    }
}

/// A stac-geoparquet file, local or remote, of which the footer was read.
#[derive(Debug, Clone)]
pub struct Table {
    store: Store,
    meta: ObjectMeta,
    footer: Arc<ParquetMetaData>,
    groups: Option<Arc<Vec<Group>>>,
    foreign: Arc<Vec<String>>,
}

impl Table {
    /// Reads the footer.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Table`] if it is no Parquet file or has no column `id`.
    pub async fn open(store: &Store, href: &Href) -> Result<Self> {
        let failed = |source| Error::Read { href: href.clone(), source };
        let (meta, _) = store.head(href, 4).await.map_err(failed)?;
        let wrong = |why: String| Error::Table { path: href.as_str().into(), why };
        let mut held = Held::new(meta.size);
        let mut from = meta.size.saturating_sub(TAIL);
        let footer = loop {
            held.bring(store, &meta, std::slice::from_ref(&(from..meta.size))).await.map_err(failed)?;
            let tail = held.get(from..meta.size).ok_or_else(|| wrong("it is cut".to_owned()))?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&tail, meta.size) {
                Ok(()) => break reader.finish().map_err(|e| wrong(e.to_string()))?,
                Err(ParquetError::NeedMoreData(more)) if more as u64 <= MOST_FOOTER && from > 0 => {
                    from = meta.size.saturating_sub(more as u64);
                }
                Err(e) => return Err(wrong(e.to_string())),
            }
        };
        if !footer.file_metadata().schema().get_fields().iter().any(|field| field.name() == "id") {
            return Err(wrong("it has no column `id`: it is not stac-geoparquet".to_owned()));
        }
        let value = |key: &str| {
            let all = footer.file_metadata().key_value_metadata()?;
            all.iter().find(|pair| pair.key == key)?.value.clone()
        };
        let groups: Option<Vec<Group>> = value(GROUPS).and_then(|text| serde_json::from_str(&text).ok());
        let groups = groups.filter(|groups| groups.len() == footer.num_row_groups()).map(Arc::new);
        let foreign = value(FOREIGN).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        Ok(Self { store: store.clone(), meta, footer: Arc::new(footer), groups, foreign: Arc::new(foreign) })
    }

    /// Where the file is.
    pub fn href(&self) -> &Href {
        &self.meta.href
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.footer.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Groups of rows.
    pub fn groups(&self) -> usize {
        self.footer.num_row_groups()
    }

    /// What is known of a group; `None` where the file does not say.
    pub fn group(&self, at: usize) -> Option<&Group> {
        self.groups.as_ref()?.get(at)
    }

    /// The items of a group that may fit: by id, collection, box (not geometry) and time, as `keep` decides.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Table`].
    pub async fn items(&self, at: usize, keep: impl Fn(&Outline) -> bool + Send + 'static) -> Result<Vec<RawItem>> {
        let outlines = self.clone().columns(at, Some(OUTLINE)).await?;
        let table = self.clone();
        let chosen = blocking(self.href(), move || table.outlines(&outlines, at)).await?;
        let wanted: Vec<usize> =
            chosen.iter().enumerate().filter(|(_, outline)| keep(outline)).map(|(row, _)| row).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let whole = self.clone().columns(at, None).await?;
        let table = self.clone();
        blocking(self.href(), move || table.rows_of(&whole, at, &wanted)).await
    }

    /// The bytes of columns of a group; `None` are all.
    async fn columns(self, at: usize, names: Option<&'static [&'static str]>) -> Result<Held> {
        let group = self.footer.row_group(at);
        let wanted = |path: &str| names.is_none_or(|names| names.contains(&path));
        let ranges: Vec<Range<u64>> = group
            .columns()
            .iter()
            .filter(|column| wanted(column.column_path().string().as_str()))
            .map(ColumnChunkMetaData::byte_range)
            .map(|(start, len)| start..start.saturating_add(len))
            .collect();
        let mut held = Held::new(self.meta.size);
        let failed = |source| Error::Read { href: self.href().clone(), source };
        held.bring(&self.store, &self.meta, &ranges).await.map_err(failed)?;
        Ok(held)
    }

    fn reader<'a>(&'a self, held: &Held, at: usize) -> parquet::errors::Result<SerializedRowGroupReader<'a, Held>> {
        let properties = Arc::new(ReaderProperties::builder().build());
        SerializedRowGroupReader::new(Arc::new(held.clone()), self.footer.row_group(at), None, properties)
    }

    fn outlines(&self, held: &Held, at: usize) -> parquet::errors::Result<Vec<Outline>> {
        let reader = self.reader(held, at)?;
        let group = self.footer.row_group(at);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let mut outlines = vec![Outline::default(); rows];
        for (number, column) in group.columns().iter().enumerate() {
            let path = column.column_path().string();
            if !OUTLINE.contains(&path.as_str()) || column.column_descr().max_rep_level() > 0 {
                continue;
            }
            let unit = Unit::of(column.column_descr().logical_type_ref());
            let values = cells(reader.get_column_reader(number)?, rows, column.column_descr().max_def_level())?;
            for (outline, cell) in outlines.iter_mut().zip(values) {
                outline.take(&path, cell, unit);
            }
        }
        Ok(outlines)
    }

    fn rows_of(&self, held: &Held, at: usize, wanted: &[usize]) -> parquet::errors::Result<Vec<RawItem>> {
        let reader = self.reader(held, at)?;
        let schema = self.footer.file_metadata().schema();
        let mut items = Vec::with_capacity(wanted.len());
        let mut wanted = wanted.iter().copied().peekable();
        for (number, row) in reader.get_row_iter(None)?.enumerate() {
            let row = row?;
            if wanted.next_if_eq(&number).is_some() {
                let json = self.item(&row, schema).to_string();
                let item = RawItem::parse(self.href().clone(), json.into()).and_then(RawItem::at_self);
                items.push(item.map_err(|e| ParquetError::General(e.to_string()))?);
            }
            if wanted.peek().is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// The item of a row: fields at the top, all else among the properties. Nulls are left out, but for `datetime`.
    fn item(&self, row: &Row, schema: &Type) -> Value {
        let mut item = Map::new();
        let mut properties = Map::new();
        item.insert("type".to_owned(), "Feature".into());
        item.insert("stac_version".to_owned(), "1.1.0".into());
        for ((name, field), kind) in row.get_column_iter().zip(schema.get_fields()) {
            let value = to_json(field, kind);
            let is_field = OWN.contains(&name.as_str()) || self.foreign.contains(name);
            match (name.as_str(), value) {
                ("geometry", value) => drop(item.insert(name.clone(), value)),
                ("bbox", value) => drop(box_numbers(&value).map(|numbers| item.insert(name.clone(), numbers))),
                (_, Value::Null) => {}
                (_, value) if is_field => drop(item.insert(name.clone(), value)),
                (_, value) => drop(properties.insert(name.clone(), value)),
            }
        }
        properties.entry("datetime").or_insert(Value::Null);
        item.entry("geometry").or_insert(Value::Null);
        item.insert("properties".to_owned(), Value::Object(properties));
        item.entry("links").or_insert_with(|| json!([]));
        item.entry("assets").or_insert_with(|| json!({}));
        Value::Object(item)
    }
}

/// Columns that are read first.
const OUTLINE: &[&str] = &[
    "id",
    "collection",
    "datetime",
    "start_datetime",
    "end_datetime",
    "bbox.xmin",
    "bbox.ymin",
    "bbox.xmax",
    "bbox.ymax",
];

/// What a row is tested by before it becomes an item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outline {
    /// The id.
    pub id: String,
    /// The collection.
    pub collection: Option<String>,
    /// West, south, east, north; a number that is absent is NaN.
    pub bbox: Option<[f64; 4]>,
    /// `datetime`, `start_datetime`, `end_datetime` in microseconds since 1970.
    pub times: [Option<i64>; 3],
}

/// A value of a column that is no list.
enum Cell {
    None,
    Int(i64),
    Float(f64),
    Bytes(ByteArray),
}

impl Outline {
    fn take(&mut self, path: &str, cell: Cell, unit: Unit) {
        let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
        match (path, cell) {
            ("id", Cell::Bytes(bytes)) => self.id = text(&bytes),
            ("collection", Cell::Bytes(bytes)) => self.collection = Some(text(&bytes)),
            ("datetime", cell) => self.times[0] = micros(&cell, unit),
            ("start_datetime", cell) => self.times[1] = micros(&cell, unit),
            ("end_datetime", cell) => self.times[2] = micros(&cell, unit),
            (_, Cell::Float(number)) => {
                let place = ["bbox.xmin", "bbox.ymin", "bbox.xmax", "bbox.ymax"].iter().position(|end| *end == path);
                if let Some(place) = place {
                    self.bbox.get_or_insert([f64::NAN; 4])[place] = number;
                }
            }
            _ => {}
        }
    }

    /// False only if the row cannot meet the interval.
    pub fn may_meet(&self, interval: &Interval) -> bool {
        let micros = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|time| time.timestamp_micros());
        let (start, end) = (micros(interval.start), micros(interval.end));
        let (first, last) = match self.times {
            [_, Some(first), Some(last)] => (first, last),
            [Some(moment), ..] => (moment, moment),
            _ => return false,
        };
        start.is_none_or(|start| last >= start) && end.is_none_or(|end| first <= end)
    }
}

fn micros(cell: &Cell, unit: Unit) -> Option<i64> {
    match cell {
        Cell::Int(value) if unit == Unit::Nanos => Some(value.div_euclid(1000)),
        Cell::Int(value) => Some(*value),
        Cell::Bytes(bytes) => std::str::from_utf8(bytes.data()).ok().and_then(moment),
        _ => None,
    }
}

/// Unit of a column of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros,
    Nanos,
}

impl Unit {
    fn of(logical: Option<&LogicalType>) -> Self {
        match logical {
            Some(LogicalType::Timestamp { unit: TimeUnit::NANOS, .. }) => Self::Nanos,
            _ => Self::Micros,
        }
    }
}

/// All values of a column that is no list.
fn cells(reader: ColumnReader, rows: usize, most: i16) -> parquet::errors::Result<Vec<Cell>> {
    macro_rules! read {
        ($reader:expr, $type:ty, $cell:expr) => {{
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let mut reader: parquet::column::reader::ColumnReaderImpl<$type> = $reader;
            reader.read_records(rows, Some(&mut levels), None, &mut values)?;
            let mut values = values.into_iter().map($cell);
            if most == 0 {
                return Ok(values.collect());
            }
            Ok(levels
                .iter()
                .map(|level| if *level == most { values.next().unwrap_or(Cell::None) } else { Cell::None })
                .collect())
        }};
    }
    match reader {
        ColumnReader::Int64ColumnReader(reader) => read!(reader, Int64Type, Cell::Int),
        ColumnReader::DoubleColumnReader(reader) => read!(reader, DoubleType, Cell::Float),
        ColumnReader::FloatColumnReader(reader) => read!(reader, FloatType, |value| Cell::Float(f64::from(value))),
        ColumnReader::ByteArrayColumnReader(reader) => read!(reader, ByteArrayType, Cell::Bytes),
        _ => Ok((0..rows).map(|_| Cell::None).collect()),
    }
}

fn box_numbers(value: &Value) -> Option<Value> {
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    let plain = [number("xmin")?, number("ymin")?, number("xmax")?, number("ymax")?];
    Some(match (number("zmin"), number("zmax")) {
        (Some(low), Some(high)) => json!([plain[0], plain[1], low, plain[2], plain[3], high]),
        _ => json!(plain),
    })
}

/// A value of a row as JSON; its type says what bytes and numbers mean.
fn to_json(field: &Field, kind: &Type) -> Value {
    let logical = if kind.is_primitive() { kind.get_basic_info().logical_type_ref() } else { None };
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => json!(truth),
        Field::Byte(n) => json!(n),
        Field::Short(n) => json!(n),
        Field::Int(n) => json!(n),
        Field::Long(n) if Unit::of(logical) == Unit::Nanos => {
            time(n.div_euclid(1_000_000_000), n.rem_euclid(1_000_000_000))
        }
        Field::Long(n) => json!(n),
        Field::UByte(n) => json!(n),
        Field::UShort(n) => json!(n),
        Field::UInt(n) => json!(n),
        Field::ULong(n) => json!(n),
        Field::Float(n) => json!(n),
        Field::Double(n) => json!(n),
        Field::TimestampMillis(n) => time(n.div_euclid(1000), n.rem_euclid(1000) * 1_000_000),
        Field::TimestampMicros(n) => time(n.div_euclid(1_000_000), n.rem_euclid(1_000_000) * 1000),
        Field::Str(text) if matches!(logical, Some(LogicalType::Json)) => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        Field::Str(text) => json!(text),
        Field::Bytes(bytes) => match Shape::from_wkb(bytes.data()) {
            Some(shape) => shape.to_json(),
            None => json!(base64::engine::general_purpose::STANDARD.encode(bytes.data())),
        },
        Field::Group(row) => group_json(row, kind),
        Field::ListInternal(list) => {
            // LIST: a repeated group around the element, or (old writers) the element itself.
            let repeated = kind.get_fields().first();
            let element = repeated.map(|inner| {
                let wraps = inner.is_group() && inner.get_fields().len() == 1;
                inner_of(inner).filter(|_| wraps).unwrap_or(inner)
            });
            list.elements().iter().map(|field| element.map_or(Value::Null, |kind| to_json(field, kind))).collect()
        }
        other => json!(other.to_string()),
    }
}

/// The first member of a group.
fn inner_of(group: &Arc<Type>) -> Option<&Arc<Type>> {
    if group.is_group() { group.get_fields().first() } else { None }
}

/// A structure; what is null in it is left out.
fn group_json(row: &Row, kind: &Type) -> Value {
    let members = row.get_column_iter().zip(kind.get_fields());
    let members = members.map(|((name, field), kind)| (name.clone(), to_json(field, kind)));
    Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
}

fn time(seconds: i64, nanos: i64) -> Value {
    let time = chrono::DateTime::from_timestamp(seconds, u32::try_from(nanos).unwrap_or(0));
    time.map_or(Value::Null, |time| outcrop_grid::time::rfc3339(&time).into())
}

async fn blocking<T: Send + 'static>(
    href: &Href,
    work: impl FnOnce() -> parquet::errors::Result<T> + Send + 'static,
) -> Result<T> {
    let wrong = |why: String| Error::Table { path: Path::new(href.as_str()).to_owned(), why };
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| wrong(e.to_string()))?;
    done.map_err(|e| wrong(e.to_string()))
}

/// Parts of a file that are at hand.
#[derive(Debug, Clone)]
struct Held {
    size: u64,
    parts: BTreeMap<u64, Bytes>,
}

impl Held {
    fn new(size: u64) -> Self {
        Self { size, parts: BTreeMap::new() }
    }

    async fn bring(&mut self, store: &Store, meta: &ObjectMeta, ranges: &[Range<u64>]) -> outcrop_store::Result<()> {
        for (range, bytes) in ranges.iter().zip(store.ranges(meta, ranges).await?) {
            self.parts.insert(range.start, bytes);
        }
        Ok(())
    }

    fn get(&self, range: Range<u64>) -> Option<Bytes> {
        let (start, bytes) = self.parts.range(..=range.start).next_back()?;
        let place = |at: u64| usize::try_from(at - start).ok();
        let (from, to) = (place(range.start)?, place(range.end)?);
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
    }
}

impl Length for Held {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Held {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let found = self.parts.range(..=start).next_back();
        let rest = found.and_then(|(from, bytes)| {
            let at = usize::try_from(start - from).ok()?;
            (at <= bytes.len()).then(|| bytes.slice(at..))
        });
        rest.map(Cursor::new).ok_or_else(|| ParquetError::EOF(format!("byte {start} is not there")))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.saturating_add(length as u64);
        self.get(start..end).ok_or_else(|| ParquetError::EOF(format!("bytes {start} to {end} are not there")))
    }
}
