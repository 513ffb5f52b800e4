//! The rows of any flat Parquet file as texts, such as a table of files has them.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::{ParquetError, Result as TableResult};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use super::base::guarded;
use super::footer::{check_depth, check_places};

/// Most bytes of texts.
const MOST: usize = 1 << 30;

/// A cell: the name of its column and what it says.
pub type Cell = (Arc<str>, String);

/// Calls `each` with the cells of every row, in order; cells that are null, and columns that are no texts, numbers, truths or
/// times, are left out. Times are written as RFC 3339.
///
/// # Errors
/// Why it is no Parquet file, or that it has more than 1 GiB of texts.
pub fn plain_rows(bytes: Bytes, mut each: impl FnMut(Vec<Cell>)) -> Result<(), String> {
    let wrong = |e: ParquetError| format!("it is no Parquet file that can be read: {e}");
    let reader = guarded(|| open(bytes)).map_err(wrong)?;
    check_places(reader.metadata()).map_err(wrong)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<(Arc<str>, bool)> = schema
        .root_schema()
        .get_fields()
        .iter()
        .map(|field| {
            let is_nanos = matches!(
                field.get_basic_info().logical_type_ref(),
                Some(LogicalType::Timestamp { unit: TimeUnit::NANOS, .. })
            );
            (Arc::from(field.name()), is_nanos)
        })
        .collect();
    let mut rows = guarded(|| reader.get_row_iter(None)).map_err(wrong)?;
    let mut left = MOST;
    while let Some(row) = guarded(|| rows.next().transpose()).map_err(wrong)? {
        let cells = cells(&names, &row);
        let taken: usize = cells.iter().map(|(_, text)| text.len()).sum();
        left = left.checked_sub(taken).ok_or_else(|| format!("it has more than {MOST} bytes of texts"))?;
        each(cells);
    }
    Ok(())
}

fn open(bytes: Bytes) -> TableResult<SerializedFileReader<Bytes>> {
    let end = bytes.len().checked_sub(8).ok_or_else(|| ParquetError::EOF("it is cut".to_owned()))?;
    let length = bytes[end..].first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length)) as usize;
    check_depth(&bytes[end.saturating_sub(length)..end])?;
    SerializedFileReader::new(bytes)
}

fn cells(names: &[(Arc<str>, bool)], row: &Row) -> Vec<Cell> {
    let cell = |((name, is_nanos), (_, field)): (&(Arc<str>, bool), (&String, &Field))| {
        let text = match field {
            Field::Long(nanos) if *is_nanos => moment(DateTime::from_timestamp_nanos(*nanos)),
            other => text(other)?,
        };
        Some((name.clone(), text))
    };
    names.iter().zip(row.get_column_iter()).filter_map(cell).collect()
}

fn moment(time: DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn text(field: &Field) -> Option<String> {
    match field {
        Field::Null | Field::Bytes(_) | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => None,
        Field::Str(text) => Some(text.clone()),
        Field::TimestampMillis(millis) => DateTime::from_timestamp_millis(*millis).map(moment),
        Field::TimestampMicros(micros) => DateTime::from_timestamp_micros(*micros).map(moment),
        Field::Date(days) => {
            DateTime::from_timestamp(i64::from(*days) * 86_400, 0).map(|time| time.format("%Y-%m-%d").to_string())
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn table() -> Vec<u8> {
        let schema = "message m { REQUIRED BYTE_ARRAY name (UTF8); OPTIONAL INT64 n; REQUIRED DOUBLE x;
            REQUIRED INT64 day (TIMESTAMP(MILLIS,true)); REQUIRED INT64 at (TIMESTAMP(NANOS,true)); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut out = Vec::new();
        let mut file = SerializedFileWriter::new(&mut out, schema, Arc::default()).unwrap();
        let mut group = file.next_row_group().unwrap();
        let mut at = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            match at {
                0 => column.typed::<ByteArrayType>().write_batch(
                    &[ByteArray::from("a"), ByteArray::from("b\u{e9}")],
                    None,
                    None,
                ),
                1 => column.typed::<Int64Type>().write_batch(&[7], Some(&[1, 0]), None),
                2 => column.typed::<DoubleType>().write_batch(&[1.5, 2.0], None, None),
                3 => column.typed::<Int64Type>().write_batch(&[0, 86_400_000], None, None),
                _ => column.typed::<Int64Type>().write_batch(&[1, 1_000_000_000], None, None),
            }
            .unwrap();
            column.close().unwrap();
            at += 1;
        }
        group.close().unwrap();
        file.close().unwrap();
        out
    }

    fn rows(bytes: Vec<u8>) -> Result<Vec<String>, String> {
        let mut rows = Vec::new();
        let each = |cells: Vec<Cell>| {
            rows.push(cells.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" "));
        };
        plain_rows(bytes.into(), each)?;
        Ok(rows)
    }

    #[test]
    fn cells_are_texts() {
        let want = [
            "name=a n=7 x=1.5 day=1970-01-01T00:00:00Z at=1970-01-01T00:00:00.000000001Z",
            "name=b\u{e9} x=2.0 day=1970-01-02T00:00:00Z at=1970-01-01T00:00:01Z",
        ];
        assert_eq!(rows(table()).unwrap(), want);
    }

    #[test]
    fn damaged_files_are_errors() {
        let whole = table();
        assert!(rows(Vec::new()).is_err() && rows(b"PAR1PAR1".to_vec()).is_err());
        for at in 0..whole.len() {
            assert!(rows(whole[..at].to_vec()).is_err());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let _ = rows(bytes);
        }
    }
}
