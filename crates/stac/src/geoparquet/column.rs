//! The values of one column for some rows, and each of them as JSON.

use std::io::Write;

use base64::Engine;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::{ParquetError, Result};

use super::layout::Scalar;
use crate::Shape;

/// Values of a column for some rows, and where reading stands among them.
#[derive(Debug)]
pub(super) struct Column {
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
    pub(super) fn def(&self) -> Option<i16> {
        match &self.defs {
            Some(defs) => defs.get(self.at).copied(),
            None => (self.at < self.values.len()).then_some(self.most),
        }
    }

    /// Repetition of the next entry; 0, as that of a new row, at the end.
    pub(super) fn rep(&self) -> i16 {
        self.reps.as_ref().and_then(|reps| reps.get(self.at)).copied().unwrap_or(0)
    }

    /// Passes an entry.
    pub(super) fn pass(&mut self) {
        if self.def() == Some(self.most) {
            self.value += 1;
        }
        self.at += 1;
    }

    pub(super) fn put(&mut self, out: &mut Vec<u8>, def: i16, scalar: Scalar) -> Result<bool> {
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

/// Rows that are passed, and rows behind them that are wanted, one pair after the other.
pub(super) type Runs<'a> = &'a [(usize, usize)];

/// Reads the rows of runs, each behind so many that are passed.
pub(super) fn read(reader: &mut ColumnReader, levels: (i16, i16), runs: Runs<'_>) -> Result<Column> {
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

pub(super) fn damaged() -> ParquetError {
    ParquetError::General("levels of its columns do not fit together".to_owned())
}
