//! Steps that compute: names and parameters are those of NumPy and xarray.

use indexmap::IndexMap;
use outcrop_compute::kernel::{Stencil, Trend};
use outcrop_compute::signal::{Band, butter};
use outcrop_compute::{BinaryOp, DType, DataArray, GroupBy, Join, Missing, ReduceOptions, Reduction, Scalar, UnaryOp};
use serde_json::Value;

use super::parameters::{Parameters, named};
use super::{Step, at};
use crate::Result;

/// What a step takes.
enum Operand<'a> {
    Array(&'a DataArray),
    Number(Scalar),
}

/// Names of the steps that a step takes.
pub(super) fn names<'a>(step: &'a Step, all: &[&'a String]) -> Vec<&'a str> {
    let before = || {
        let own = all.iter().position(|name| **name == step.name).unwrap_or(0);
        own.checked_sub(1).map(|at| all[at].as_str()).into_iter().collect()
    };
    match &step.of {
        None if ["open", "random"].contains(&step.op.as_str()) => Vec::new(),
        None => before(),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(of)) => of.iter().filter_map(Value::as_str).collect(),
        Some(_) => Vec::new(),
    }
}

fn operands<'a>(step: &Step, arrays: &'a IndexMap<String, DataArray>) -> Result<Vec<Operand<'a>>> {
    let one = |value: &Value| match value {
        Value::String(name) => match arrays.get(name) {
            Some(array) => Ok(Operand::Array(array)),
            None => Err(at(&step.name, format!("it takes `{name}`, but no step before has this name"))),
        },
        Value::Bool(value) => Ok(Operand::Number(Scalar::Bool(*value))),
        Value::Number(number) => Ok(Operand::Number(match number.as_i64() {
            Some(whole) => Scalar::Int(whole),
            None => Scalar::Float(number.as_f64().unwrap_or(f64::NAN)),
        })),
        _ => Err(at(&step.name, "`of` is a name of a step, a number, or a list of them")),
    };
    match &step.of {
        None => match arrays.last() {
            Some((_, last)) => Ok(vec![Operand::Array(last)]),
            None => Err(at(&step.name, "there is no step before; begin with `open`")),
        },
        Some(Value::Array(all)) => all.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// A number as an array without dimensions.
fn array_of(operand: &Operand<'_>) -> Result<DataArray> {
    let block = match operand {
        Operand::Array(array) => return Ok((*array).clone()),
        Operand::Number(Scalar::Int(value)) => vec![*value].into(),
        Operand::Number(Scalar::Bool(value)) => vec![*value].into(),
        Operand::Number(Scalar::Float(value)) => outcrop_compute::Block::from(vec![*value]),
    };
    Ok(DataArray::from_values("number", &[], block)?)
}

/// The array of a step.
pub(super) fn apply(step: &Step, p: &Parameters<'_>, arrays: &IndexMap<String, DataArray>) -> Result<DataArray> {
    let operands = operands(step, arrays)?;
    let first = array_of(operands.first().ok_or_else(|| p.wrong("it takes nothing"))?)?;
    let count = |n: usize| {
        if operands.len() == n {
            Ok(())
        } else {
            Err(p.wrong(format!("`{}` takes {n}, not {}", step.op, operands.len())))
        }
    };
    let second = || -> Result<DataArray> {
        count(2)?;
        array_of(&operands[1])
    };
    if let Some(op) = named::<BinaryOp>(&step.op) {
        count(2)?;
        if let (Operand::Array(left), Operand::Array(right), true) = (&operands[0], &operands[1], p.has("join")) {
            let (left, right) = left.align(right, join(p)?)?;
            return Ok(left.binary(op, &right)?);
        }
        return Ok(match (&operands[0], &operands[1]) {
            (Operand::Number(left), Operand::Array(right)) => right.binary_from(*left, op)?,
            (_, Operand::Number(right)) => first.binary(op, *right)?,
            (_, Operand::Array(right)) => first.binary(op, *right)?,
        });
    }
    match step.op.as_str() {
        "where" => {
            return match &operands[..] {
                [_, Operand::Array(condition)] => Ok(first.where_(condition)?),
                [_, Operand::Array(condition), Operand::Array(other)] => Ok(first.where_else(condition, *other)?),
                [_, Operand::Array(condition), Operand::Number(other)] => Ok(first.where_else(condition, *other)?),
                _ => Err(p.wrong("`where` takes values, a condition, and perhaps what stands where it is false")),
            };
        }
        "concat" | "stack" => {
            let all: Vec<DataArray> = operands.iter().map(array_of).collect::<Result<_>>()?;
            let dim = p.text("dim")?;
            return Ok(if step.op == "concat" { DataArray::concat(&all, dim)? } else { DataArray::stack(&all, dim)? });
        }
        "dot" => return Ok(first.dot(&second()?, p.text("dim")?)?),
        "corr" => return Ok(first.corr(&second()?, &p.texts("dim")?)?),
        "cov" => {
            let ddof = u32::try_from(p.whole_or("ddof", 1)?).unwrap_or(u32::MAX);
            return Ok(first.cov(&second()?, &p.texts("dim")?, ddof)?);
        }
        _ => {}
    }
    count(1)?;
    if let Some(op) = named::<UnaryOp>(&step.op) {
        return Ok(first.unary(op)?);
    }
    if let Some(kind) = named::<Reduction>(&step.op) {
        return reduced(&first, kind, p);
    }
    of_one(step, p, &first)
}

/// What becomes of labels that only one of two arrays has.
fn join(p: &Parameters<'_>) -> Result<Join> {
    Ok(match p.text("join")? {
        "exact" => Join::Exact,
        "inner" => Join::Inner,
        "outer" => Join::Outer,
        "left" => Join::Left,
        "right" => Join::Right,
        other => return Err(p.wrong(format!("`join` is exact, inner, outer, left or right, not `{other}`"))),
    })
}

fn missing(p: &Parameters<'_>) -> Result<Missing> {
    match p.get("skipna") {
        None | Some(Value::Bool(true)) => Ok(Missing::Skip),
        Some(Value::Bool(false)) => Ok(Missing::Propagate),
        Some(_) => Err(p.wrong("`skipna` is true or false")),
    }
}

fn options(p: &Parameters<'_>) -> Result<ReduceOptions> {
    let ddof = u32::try_from(p.whole_or("ddof", 0)?).unwrap_or(u32::MAX);
    Ok(ReduceOptions { missing: missing(p)?, ddof, min_count: p.whole_or("min_count", 0)? })
}

fn reduced(array: &DataArray, kind: Reduction, p: &Parameters<'_>) -> Result<DataArray> {
    if let Some(by) = p.get("groupby") {
        let by = match by.as_str() {
            Some("month") => GroupBy::Month,
            Some("season") => GroupBy::Season,
            Some("year") => GroupBy::Year,
            Some("dayofyear") => GroupBy::DayOfYear,
            _ => return Err(p.wrong("`groupby` is month, season, year or dayofyear")),
        };
        return Ok(array.groupby(p.text_or("dim", "time")?, by, kind, options(p)?)?);
    }
    Ok(array.reduce(kind, &p.texts("dim")?, options(p)?)?)
}

/// Operations of one array.
fn of_one(step: &Step, p: &Parameters<'_>, array: &DataArray) -> Result<DataArray> {
    Ok(match step.op.as_str() {
        "isel" => selected(array, p)?,
        "sel" => {
            let mut array = array.clone();
            for (dim, labels) in p.by_dim("at")? {
                array = match labels {
                    Value::Array(ends) if ends.len() == 2 => {
                        let end = |at: usize| ends[at].as_f64().ok_or_else(|| p.wrong("labels are numbers"));
                        array.sel(dim, end(0)?, end(1)?)?
                    }
                    label => array.sel_nearest(dim, label.as_f64().ok_or_else(|| p.wrong("labels are numbers"))?)?,
                };
            }
            array
        }
        "months" => {
            let wanted = p.numbers("month")?;
            array.take_dates(p.text_or("dim", "time")?, |date| wanted.contains(&f64::from(date.month)))?
        }
        "transpose" => array.transpose(&p.texts("dim")?)?,
        "rename" => array.rename_dim(p.text("dim")?, p.text("to")?)?,
        "astype" => {
            let name = p.text("dtype")?;
            array.astype(DType::parse(name).ok_or_else(|| p.wrong(format!("there is no type `{name}`")))?)
        }
        "clip" => {
            let limit = |name: &str| p.get(name).map(|_| p.scalar(name)).transpose();
            array.clip(limit("min")?, limit("max")?)?
        }
        "fillna" => array.fillna(p.scalar("value")?)?,
        "median" => array.median(&p.texts("dim")?, missing(p)?)?,
        "quantile" => array.quantile(p.number("q")?, &p.texts("dim")?, missing(p)?)?,
        "coarsen" => {
            let kind = p.text_or("by", "mean")?;
            let kind = named::<Reduction>(kind).ok_or_else(|| p.wrong(format!("there is no reduction `{kind}`")))?;
            let windows = array.coarsen(&p.lengths("window")?)?;
            if kind == Reduction::Mean && missing(p)? == Missing::Skip {
                windows.mean()?
            } else {
                windows.reduce(kind, options(p)?)?
            }
        }
        "rolling" => rolled(array, p)?,
        "rechunk" => array.rechunk(&p.lengths("chunks")?)?,
        _ => along(step, p, array)?,
    })
}

fn selected(array: &DataArray, p: &Parameters<'_>) -> Result<DataArray> {
    let mut array = array.clone();
    for (dim, positions) in p.by_dim("at")? {
        let whole = |value: &Value| value.as_u64().ok_or_else(|| p.wrong("positions are whole numbers from 0"));
        array = match positions {
            Value::Array(ends) if ends.len() == 2 => array.isel(dim, whole(&ends[0])?..whole(&ends[1])?)?,
            Value::Array(ends) if ends.len() == 3 => {
                let step = ends[2].as_i64().ok_or_else(|| p.wrong("a step is a whole number"))?;
                array.isel_step(dim, whole(&ends[0])?..whole(&ends[1])?, step)?
            }
            one => array.index(dim, whole(one)?)?,
        };
    }
    Ok(array)
}

fn rolled(array: &DataArray, p: &Parameters<'_>) -> Result<DataArray> {
    let window = p.whole("window")?;
    let kind = p.text_or("by", "mean")?;
    let kind = named::<Reduction>(kind).ok_or_else(|| p.wrong(format!("there is no reduction `{kind}`")))?;
    let mut rolled = array.rolling(p.text("dim")?, window)?.min_periods(p.whole_or("min_periods", window)?);
    if p.is_set("center")? {
        rolled = rolled.centered();
    }
    Ok(rolled.reduce(kind, u32::try_from(p.whole_or("ddof", 0)?).unwrap_or(u32::MAX))?)
}

/// Operations along dimensions that keep them.
fn along(step: &Step, p: &Parameters<'_>, array: &DataArray) -> Result<DataArray> {
    Ok(match step.op.as_str() {
        "cumsum" => array.cumsum(p.text("dim")?, missing(p)?)?,
        "cumprod" => array.cumprod(p.text("dim")?, missing(p)?)?,
        "diff" => array.diff(p.text("dim")?, p.whole_or("n", 1)?)?,
        "shift" => array.shift(p.text("dim")?, p.signed("by")?)?,
        "detrend" => {
            let trends = p.texts("type")?;
            let trend = |name: &&str| named::<Trend>(name).ok_or_else(|| p.wrong("`type` is constant or linear"));
            let trends: Vec<Trend> = trends.iter().map(trend).collect::<Result<_>>()?;
            let trends = if trends.is_empty() { vec![Trend::Linear] } else { trends };
            array.detrend(p.text("dim")?, &trends, &[])?
        }
        "sosfiltfilt" => {
            let band = match (p.text_or("btype", "bandpass")?, &p.numbers("cutoff")?[..]) {
                ("lowpass", [high]) => Band::Low(*high),
                ("highpass", [low]) => Band::High(*low),
                ("bandpass", [low, high]) => Band::Pass(*low, *high),
                ("bandstop", [low, high]) => Band::Stop(*low, *high),
                _ => {
                    return Err(
                        p.wrong("`btype` is lowpass, highpass, bandpass or bandstop; `cutoff` one or two frequencies")
                    );
                }
            };
            let order = usize::try_from(p.whole_or("order", 5)?).unwrap_or(usize::MAX);
            let sos = butter(order, band, p.number("fs")?).map_err(|e| p.wrong(e.to_string()))?;
            array.sosfiltfilt(p.text("dim")?, &sos, p.whole_or("every", 1)?)?
        }
        "decimate" => array.decimate(p.text("dim")?, p.whole("every")?)?,
        "remove_median" => array.remove_median(p.text("dim")?, missing(p)?)?,
        "smooth" => array.stencil(Stencil::smooth(array.dims.len()))?,
        "fft2" => array.fft2()?,
        other => return Err(p.wrong(format!("there is no operation `{other}`; docs/reference/program.md lists them"))),
    })
}
