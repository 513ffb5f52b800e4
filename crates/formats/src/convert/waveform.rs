//! miniSEED: each variable along time alone is a segment, written record by record and in order.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use outcrop_grid::time::CfTime;

use super::plan::{Copy, Plan};
use super::{NewVariable, Writer};
use crate::array::{AttrValue, DType, Variable};
use crate::miniseed::{self, Rate, Samples, SegmentSpec, WriteOptions};
use crate::place::text;
use crate::{Error, Opened, Result, utc};

/// Samples that are encoded at once; records do not go beyond them.
const PIECE: u64 = 1 << 20;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct MiniSeed {
    writer: Mutex<miniseed::Writer>,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    source: String,
    start_ns: i64,
    rate: Rate,
    dtype: DType,
    samples: u64,
}

/// True if a variable can be a segment; the time axis that it needs is looked for later.
pub(super) fn is_segment(variable: &Variable) -> bool {
    use DType::{Float32, Float64, Int8, Int16, Int32, UInt8, UInt16};
    variable.dims.len() == 1
        && variable.grid.shape[0] > 0
        && variable.dims[0] != variable.name
        && matches!(variable.dtype, Int8 | UInt8 | Int16 | UInt16 | Int32 | Float32 | Float64)
}

impl MiniSeed {
    pub(super) fn create(opened: &Opened, to: &Path, plan: &Plan, options: WriteOptions) -> Result<Self> {
        let each = plan.file.variables.iter().zip(&plan.copies);
        let segments = each.map(|(new, copy)| Segment::of(opened, new, copy)).collect::<Result<Vec<_>>>()?;
        Ok(Self { writer: Mutex::new(miniseed::Writer::create(to, options)?), segments })
    }
}

impl Writer for MiniSeed {
    fn unit(&self, variable: usize) -> Vec<u64> {
        vec![self.segments[variable].samples.clamp(1, PIECE)]
    }

    fn in_order(&self) -> bool {
        true
    }

    fn write(&self, variable: usize, index: &[u64], raw: &[u8]) -> Result<()> {
        let segment = &self.segments[variable];
        let first = index.first().map_or(0, |at| at * self.unit(variable)[0]);
        let count = usize::try_from((segment.samples - first).min(PIECE)).unwrap_or(usize::MAX);
        let raw = &raw[..count * segment.dtype.size()];
        let floats: Vec<f32>;
        let doubles: Vec<f64>;
        let (shorts, integers): (Vec<i16>, Vec<i32>);
        let samples = match segment.dtype {
            DType::Float32 => {
                floats = numbers(raw, f32::from_ne_bytes);
                Samples::Float32(&floats)
            }
            DType::Float64 => {
                doubles = numbers(raw, f64::from_ne_bytes);
                Samples::Float64(&doubles)
            }
            DType::Int16 => {
                shorts = numbers(raw, i16::from_ne_bytes);
                Samples::Int16(&shorts)
            }
            dtype => {
                integers = match dtype {
                    DType::Int8 => raw.iter().map(|byte| i32::from(byte.cast_signed())).collect(),
                    DType::UInt8 => raw.iter().map(|byte| i32::from(*byte)).collect(),
                    DType::UInt16 => numbers(raw, |bytes| i32::from(u16::from_ne_bytes(bytes))),
                    _ => numbers(raw, i32::from_ne_bytes),
                };
                Samples::Int32(&integers)
            }
        };
        let start = i128::from(segment.start_ns) + segment.rate.elapsed_ns(first);
        let start_ns =
            i64::try_from(start).map_err(|_| failed(&segment.source, "its times go beyond the year 2262"))?;
        let spec = SegmentSpec { source: segment.source.clone(), start_ns, rate_hz: segment.rate.hz(), samples };
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write(&spec)
    }

    fn finish(self: Box<Self>, _: usize) -> Result<()> {
        self.writer.into_inner().unwrap_or_else(PoisonError::into_inner).finish().map(drop)
    }
}

fn failed(segment: &str, why: impl Into<String>) -> Error {
    Error::MiniSeed { segment: segment.to_owned(), why: why.into() }
}

fn numbers<T, const N: usize>(raw: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}

impl Segment {
    fn of(opened: &Opened, new: &NewVariable, copy: &Copy) -> Result<Self> {
        let id = new.attrs.get("source_id").and_then(AttrValue::text).filter(|id| id.starts_with("FDSN:"));
        let name = copy.from.name.split('/').next().unwrap_or_default();
        let source = id.unwrap_or(name).to_owned();
        let dim = &copy.from.dims[0];
        let Some(times) = opened.meta.coordinate(&copy.from, dim).filter(|times| is_time(times)) else {
            return Err(failed(&copy.from.name, format!("its dimension `{dim}` has no times")));
        };
        let hz = new.attrs.get("sampling_rate_hz").and_then(AttrValue::number);
        let (start_ns, rate) = steps(opened, times, &copy.window[0], hz).map_err(|e| e.of_variable(&copy.from.name))?;
        Ok(Self { source, start_ns, rate, dtype: new.dtype, samples: new.shape[0] })
    }
}

fn is_time(variable: &Variable) -> bool {
    text(variable, "units").contains(" since ")
}

/// First time and rate of evenly spaced times; each must lie within half a step of its place, as where records join.
fn steps(opened: &Opened, times: &Variable, window: &Range<u64>, hz: Option<f64>) -> Result<(i64, Rate)> {
    let at = |at: u64| Ok::<_, Error>(nanoseconds(opened, times, at..at + 1)?.first().copied().unwrap_or_default());
    let (first, last, steps) = (at(window.start)?, at(window.end - 1)?, window.end - 1 - window.start);
    let found = 1e9 * steps as f64 / (i128::from(last) - i128::from(first)) as f64;
    // Times in single or double precision give 99.99999 Hz where 100 are meant.
    let rounded = if (found - found.round()).abs() < 1e-6 * found { found.round() } else { found };
    let hz = hz.filter(|hz| *hz > 0.0).or((steps > 0 && rounded > 0.0).then_some(rounded));
    let rate = hz.and_then(Rate::from_hz);
    let rate = rate.ok_or_else(|| failed(&times.name, "neither `sampling_rate_hz` nor the times tell a rate"))?;
    let half = i128::from(rate.step_ns().0) / i128::from(rate.step_ns().1.max(1)) / 2;
    let mut start = window.start;
    while start < window.end {
        let end = (start + PIECE).min(window.end);
        for (at, time) in (start - window.start..).zip(nanoseconds(opened, times, start..end)?) {
            let off = i128::from(time) - i128::from(first) - rate.elapsed_ns(at);
            if off.abs() > half.max(1) {
                let why = format!("sample {at} is {:.9} s off the even steps of {} Hz", off as f64 / 1e9, rate.hz());
                return Err(failed(&times.name, why));
            }
        }
        start = end;
    }
    Ok((first, rate))
}

/// Times of a coordinate in nanoseconds since 1970-01-01.
fn nanoseconds(opened: &Opened, times: &Variable, window: Range<u64>) -> Result<Vec<i64>> {
    let runtime = opened.origin.store().runtime().clone();
    let refs = runtime.block_on(opened.locate(times))?;
    let raw = runtime.block_on(opened.read(&refs, std::slice::from_ref(&window)))?;
    let units = text(times, "units");
    if times.dtype == DType::Int64 && units == utc::UNITS {
        return Ok(numbers(&raw, i64::from_ne_bytes));
    }
    let unknown = |what: String| failed(&times.name, what);
    let time = CfTime::parse(units, text(times, "calendar")).map_err(|e| unknown(e.to_string()))?;
    let values = crate::cf::Decoding::of(times).to_f64(&raw);
    let moment = |value: f64| time.decode(value)?.to_utc()?.timestamp_nanos_opt();
    values.into_iter().map(|v| moment(v).ok_or_else(|| unknown(format!("{v} {units} is no time")))).collect()
}
