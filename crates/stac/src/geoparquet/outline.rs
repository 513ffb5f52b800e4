//! What a row is tested by before it becomes an item.

use outcrop_grid::Interval;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;

use super::kind::moment;

/// Columns that are read first; the names only where they are asked for.
pub(super) const PLACE_AND_TIME: &[&str] =
    &["datetime", "start_datetime", "end_datetime", "bbox.xmin", "bbox.ymin", "bbox.xmax", "bbox.ymax"];
pub(super) const NAMES: &[&str] = &["id", "collection"];

/// What of rows is looked at before they become items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlined {
    /// Box and time.
    PlaceAndTime,
    /// Id and collection, too.
    Names,
}

/// What a row is tested by before it becomes an item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outline {
    id: ByteArray,
    collection: Option<ByteArray>,
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
    /// The id; empty if it is no text, or was not asked for.
    pub fn id(&self) -> &str {
        std::str::from_utf8(self.id.data()).unwrap_or_default()
    }

    /// The collection, if it was asked for.
    pub fn collection(&self) -> Option<&str> {
        self.collection.as_ref().map(|bytes| std::str::from_utf8(bytes.data()).unwrap_or_default())
    }

    fn take(&mut self, path: &str, cell: Cell, unit: Unit) {
        match (path, cell) {
            ("id", Cell::Bytes(bytes)) => self.id = bytes,
            ("collection", Cell::Bytes(bytes)) => self.collection = Some(bytes),
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

/// The outlines of all rows of a group: of the columns that were fetched.
pub(super) fn outlines<R: ChunkReader + 'static>(
    group: &SerializedRowGroupReader<'_, R>,
    columns: &[&str],
) -> Result<Vec<Outline>> {
    // There are as many rows as the first column has; the number that the file gives is not trusted.
    let mut rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let mut outlines = Vec::new();
    for (number, column) in group.metadata().columns().iter().enumerate() {
        let path = column.column_path().string();
        if !columns.contains(&path.as_str()) || column.column_descr().max_rep_level() > 0 {
            continue;
        }
        let unit = Unit::of(column.column_descr().logical_type_ref());
        let values = cells(group.get_column_reader(number)?, rows, column.column_descr().max_def_level())?;
        if outlines.is_empty() {
            rows = values.len();
            outlines = vec![Outline::default(); rows];
        }
        for (outline, cell) in outlines.iter_mut().zip(values) {
            outline.take(&path, cell, unit);
        }
    }
    Ok(outlines)
}

/// The texts of a column of a group; none at all where there is no such column.
pub(super) fn texts<R: ChunkReader + 'static>(
    group: &SerializedRowGroupReader<'_, R>,
    name: &str,
    rows: usize,
) -> Result<Vec<Option<ByteArray>>> {
    let mut columns = group.metadata().columns().iter();
    let Some(number) = columns.position(|column| column.column_path().string() == name) else { return Ok(Vec::new()) };
    let most = group.metadata().column(number).column_descr().max_def_level();
    let cells = cells(group.get_column_reader(number)?, rows, most)?;
    Ok(cells.into_iter().map(|cell| if let Cell::Bytes(bytes) = cell { Some(bytes) } else { None }).collect())
}

fn micros(cell: &Cell, unit: Unit) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(match unit {
            Unit::Millis => value.saturating_mul(1000),
            Unit::Micros => *value,
            Unit::Nanos => value.div_euclid(1000),
        }),
        Cell::Bytes(bytes) => std::str::from_utf8(bytes.data()).ok().and_then(moment),
        _ => None,
    }
}

/// Unit of a column of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    fn of(logical: Option<&LogicalType>) -> Self {
        match logical {
            Some(LogicalType::Timestamp { unit: TimeUnit::NANOS, .. }) => Self::Nanos,
            Some(LogicalType::Timestamp { unit: TimeUnit::MILLIS, .. }) => Self::Millis,
            _ => Self::Micros,
        }
    }
}

/// All values of a column that is no list.
fn cells(reader: ColumnReader, rows: usize, most: i16) -> Result<Vec<Cell>> {
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
        // Of another type than those that are looked at; so many rows there cannot be.
        _ => Ok((0..rows.min(1 << 20)).map(|_| Cell::None).collect()),
    }
}
