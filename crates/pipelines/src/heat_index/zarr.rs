//! The results as a Zarr store: means on the plane, means of days.

use std::path::Path;

use outcrop_compute::since_1970;
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType};

use super::output::store_root;
use super::run::{HeatIndex, HeatReport};
use super::tiles::Tile;
use super::values::narrow;
use crate::Result;

/// Its name in the folder.
pub(super) const NAME: &str = "heat-index.zarr";

fn text(value: impl Into<String>) -> AttrValue {
    AttrValue::Text(value.into())
}

fn attrs<const N: usize>(all: [(&str, &str); N]) -> Attrs {
    all.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
}

fn array(name: &str, dims: &[(&str, u64, u64)], dtype: DType, attrs: Attrs) -> ArraySpec {
    ArraySpec {
        name: name.into(),
        dims: dims.iter().map(|(dim, ..)| (*dim).to_owned()).collect(),
        shape: dims.iter().map(|(_, len, _)| *len).collect(),
        chunk: dims.iter().map(|(.., chunk)| *chunk.max(&1)).collect(),
        dtype: Element::Number(dtype),
        fill: None,
        shard: None,
        compression: ZarrCompression::Default,
        attrs,
    }
}

/// Starts the store with its arrays and coordinates; tiles have this side.
pub(super) fn create(index: &HeatIndex, (folder, format): (&Path, ZarrFormat), side: u64) -> Result<GroupWriter> {
    let series = index.series();
    let about = attrs([("title", "Heat index: means of daily temperatures"), ("source", "outcrop run heat-index")]);
    let mut group = GroupWriter::create(&store_root(folder), "", format, &about)?;
    let plane = index.plan().plane();
    let (y, x) = (("y", plane[0], side), ("x", plane[1], side));
    let months = index.months().len() as u64;
    let mut told = attrs([("long_name", "mean over time"), ("units", series.units.sign())]);
    if let Some((name, place)) = &series.array.grid_mapping {
        told.insert("grid_mapping".into(), text(name.as_str()));
        group.add_array(&array(name, &[], DType::Int32, place.clone()))?;
        group.write_chunk(name, &[], &[0i32])?;
    }
    group.add_array(&array("mean", &[y, x], index.dtype(), told.clone()))?;
    told.insert("long_name".into(), text("mean over the days of a month of the year"));
    group.add_array(&array("monthly", &[("month", months, 1), y, x], index.dtype(), told))?;
    let months: Vec<i64> = index.months().iter().map(|month| i64::from(*month)).collect();
    number(&mut group, "month", &months, attrs([("long_name", "month of the year")]))?;
    for dim in ["y", "x"] {
        if let Some(coord) = series.array.coords.get(dim) {
            let len = coord.values.len() as u64;
            group.add_array(&array(dim, &[(dim, len, len)], DType::Float64, coord.attrs.clone()))?;
            group.write_chunk(dim, &[0], &coord.values)?;
        }
    }
    Ok(group)
}

/// Whole numbers along a dimension of their own.
fn number(group: &mut GroupWriter, name: &str, values: &[i64], attrs: Attrs) -> Result<()> {
    let len = values.len() as u64;
    group.add_array(&array(name, &[(name, len, len)], DType::Int64, attrs))?;
    Ok(group.write_chunk(name, &[0], values)?)
}

/// Writes a tile.
pub(super) fn write(group: &GroupWriter, tile: &Tile, dtype: DType) -> Result<()> {
    let (row, column) = (tile.row as u64, tile.column as u64);
    let (name, at) = match tile.layer {
        0 => ("mean", vec![row, column]),
        month => ("monthly", vec![month as u64 - 1, row, column]),
    };
    if dtype == DType::Float32 {
        let values: Vec<f32> = tile.values.iter().map(|value| narrow(*value)).collect();
        return Ok(group.write_chunk(name, &at, &values)?);
    }
    Ok(group.write_chunk(name, &at, &tile.values)?)
}

/// Adds the means of days and publishes the store.
pub(super) fn finish(mut group: GroupWriter, report: &HeatReport) -> Result<()> {
    let days: Vec<i64> = report.days.iter().map(|day| since_1970(day.day)).collect();
    let time = [("units", "days since 1970-01-01"), ("calendar", "proleptic_gregorian"), ("standard_name", "time")];
    number(&mut group, "time", &days, attrs(time))?;
    let len = days.len() as u64;
    let about = attrs([("long_name", "mean over the cells with data of a day"), ("units", "°F")]);
    group.add_array(&array("daily_mean", &[("time", len, len)], DType::Float64, about))?;
    let means: Vec<f64> = report.days.iter().map(|day| day.mean_f).collect();
    group.write_chunk("daily_mean", &[0], &means)?;
    let counts: Vec<i64> = report.days.iter().map(|day| i64::try_from(day.count).unwrap_or(i64::MAX)).collect();
    group.add_array(&array(
        "daily_count",
        &[("time", len, len)],
        DType::Int64,
        attrs([("long_name", "cells with data of a day")]),
    ))?;
    group.write_chunk("daily_count", &[0], &counts)?;
    Ok(group.finish()?)
}
