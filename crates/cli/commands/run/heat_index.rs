//! `outcrop run heat-index`.

use outcrop_compute::{Checkpoints, RunOptions, human, peak};
use outcrop_formats::zarr::ZarrFormat;
use outcrop_pipelines::heat_index::{
    DatePattern, DayFile, HeatFiles, HeatIndex, HeatOptions, HeatOutput, HeatReport, HeatWriter, Masking, NanRule,
    Part, Selection, Series, SeriesOptions, Units, day_of_name, item, nearest_csv,
};
use outcrop_pipelines::register::{Inputs, register_items};
use outcrop_store::Href;
use serde_json::json;

use super::super::folder;
use super::{items, run_options};
use crate::args::{HeatIndexArgs, HeatPart, HeatValues, MaskingName, NanName, UnitsName};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// Missing days that are named.
const NAMED: usize = 5;

pub(crate) fn run(context: &Context, args: &HeatIndexArgs) -> Result<Outcome, Failure> {
    let start = std::time::Instant::now();
    let before = context.store.stats();
    let selection = selected(&args.part)?;
    let nearest = args.part.nearest.as_deref().map(place).transpose()?;
    let to = folder(&args.to)?;
    let files = files(context, args)?;
    let count = files.len();
    let series = context.wait(Series::open(&context.store, files, series_options(&args.values)))?;
    let series = series.select(&selection)?;
    let index = HeatIndex::new(series, options(&args.values))?;
    tell_first(context, &index, count);
    let limits = run_options(context, &args.limits)?;
    let kept = HeatWriter::kept(&index);
    if args.limits.plan {
        print::json(&serde_json::to_value(index.summary(&limits, kept)?)?);
        return Ok(Outcome::Done);
    }
    if let Some(why) = index.series().emptiness() {
        let hint = "labels follow the axis: y falls on most images, so the larger comes first (y=20:-5)";
        return Err(Failure::usage(format!("{why}, so there is nothing to compute"), hint));
    }
    // Before anything is written: does the plan fit the memory?
    index.summary(&limits, kept)?;
    let output = HeatOutput {
        folder: to.to_path().unwrap_or_default(),
        zarr: args.zarr.map(|version| if version == 2 { ZarrFormat::V2 } else { ZarrFormat::V3 }),
        vmin: args.vmin,
        vmax: args.vmax,
    };
    let states = output.folder.join(".heat-index.states");
    let limits = RunOptions { checkpoints: Some(Checkpoints::of(states)), ..limits };
    let mut writer = HeatWriter::create(&index, output)?;
    let report = index.run(&limits, kept, |window, means| writer.write(window, means))?;
    super::tell_resumed(context, &report.run);
    let mut files = writer.finish(&context.store, &index, &report)?;
    if let Some(nearest) = nearest {
        let (cell, values) = index.nearest(&limits, index.in_files(nearest)?)?;
        let href = to.join("nearest.csv")?;
        context.wait(context.store.put(&href, nearest_csv(&index, &values).into()))?;
        context.say(&format!("nearest cell: x {}, y {}", cell[0], cell[1]));
        files.files.push(("nearest", href));
    }
    for name in ["nearest.csv", "heat-index.zarr"] {
        let is_new = files.files.iter().any(|(_, href)| href.as_str().trim_end_matches('/').ends_with(name));
        if !is_new && to.join(name)?.to_path().is_some_and(|path| path.exists()) {
            context.say(&format!("`{name}` in {to} is of an earlier run"));
        }
    }
    if let Some(catalog) = &args.catalog {
        let catalog = folder(catalog)?;
        context.wait(register_items(&context.store, &catalog, vec![item(&index, &files)?]))?;
        context.say(&format!("registered 1 item in {catalog}catalog.json"));
    }
    let after = context.store.stats();
    let read = after.local_bytes + after.remote_bytes - before.local_bytes - before.remote_bytes;
    tell(context, &index, (&report, &files), (read, start.elapsed().as_secs_f64()));
    Ok(Outcome::Done)
}

/// What is known before the run: assumptions and days that are not there.
fn tell_first(context: &Context, index: &HeatIndex, count: usize) {
    for assumed in &index.series().assumed {
        context.say(&format!("assumed, {assumed}"));
    }
    let missing = index.missing_days();
    if !missing.is_empty() && count == index.series().files.len() {
        let named: Vec<String> = missing.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if missing.len() > NAMED { ", ..." } else { "" };
        context.say(&format!(
            "{} days are missing between the first and the last: {}{more}",
            missing.len(),
            named.join(", ")
        ));
    }
}

fn tell(context: &Context, index: &HeatIndex, (report, files): (&HeatReport, &HeatFiles), (read, seconds): (u64, f64)) {
    let empty = report.days.iter().filter(|day| day.count == 0).count();
    let nan = report.days.iter().filter(|day| day.count > 0 && day.mean_f.is_nan()).count();
    if empty > 0 {
        context.say(&format!("{empty} days have no cell with data: their mean is NaN"));
    }
    if nan > 0 {
        context.say(&format!(
            "{nan} days have cells that are NaN but not nodata, so their mean is NaN (--nan missing leaves them out)"
        ));
    }
    if files.collisions > 0 {
        context.say(&format!(
            "{} cells have a mean that is the nodata value of mean.tif, and will be read as missing",
            files.collisions
        ));
    }
    let to = files.files.iter().map(|(key, href)| ((*key).to_owned(), json!(href.to_string())));
    let to: serde_json::Map<String, serde_json::Value> = to.collect();
    if context.json {
        print::json(&json!({
            "days": report.days.len(), "missing_days": index.missing_days().len(), "months": index.months(),
            "cells": files.cells, "mean_range": files.range.map(|(low, high)| [low, high]),
            "days_without_data": empty, "days_with_nan": nan, "nodata_collisions": files.collisions,
            "seconds": seconds, "bytes_read": read, "memory_bound": report.run.bound.total(), "peak_memory": peak(),
            "assumed": index.series().assumed, "files": to,
        }));
        return;
    }
    let (unit, range) = (index.series().units.sign(), files.range);
    let range = range
        .map_or("no cell has data".to_owned(), |(low, high)| format!("mean over time {low:.2} to {high:.2} {unit}"));
    context.say(&format!(
        "{} days, {} cells: {range}; {} read, {seconds:.2} s, arrays within {}, process peak {}",
        report.days.len(),
        files.cells,
        human(read),
        human(report.run.bound.total()),
        human(peak()),
    ));
    let names: Vec<&str> =
        files.files.iter().filter_map(|(_, href)| href.as_str().trim_end_matches('/').rsplit('/').next()).collect();
    context.say(&format!("wrote {}", names.join(", ")));
}

fn series_options(values: &HeatValues) -> SeriesOptions {
    let units = values.units.map(|units| match units {
        UnitsName::Celsius => Units::Celsius,
        UnitsName::Fahrenheit => Units::Fahrenheit,
        UnitsName::Kelvin => Units::Kelvin,
    });
    SeriesOptions { band: values.band, nodata: values.nodata, units }
}

fn options(values: &HeatValues) -> HeatOptions {
    HeatOptions {
        nan: match values.nan {
            NanName::Poison => NanRule::Poison,
            NanName::Missing => NanRule::Missing,
        },
        masking: match values.masking {
            MaskingName::Nodata => Masking::Nodata,
            MaskingName::None => Masking::None,
        },
    }
}

/// The images and their days.
fn files(context: &Context, args: &HeatIndexArgs) -> Result<Vec<DayFile>, Failure> {
    let pattern = args.date_pattern.as_deref().map(DatePattern::parse).transpose()?;
    let found = items(context, args.items.as_deref(), &args.selection)?;
    if found.is_empty() {
        let file = |text: &String| {
            let href = Href::parse(text)?.absolute();
            let day = day_of_name(href.file_name().unwrap_or_default(), pattern.as_ref())?;
            Ok(DayFile { href, day, item: None })
        };
        return args.files.iter().map(file).collect();
    }
    found.iter().map(|inputs| of_item(inputs, args.asset.as_deref(), pattern.as_ref())).collect()
}

/// The image of an item; its day is the item's, unless a pattern says where the name has it.
fn of_item(inputs: &Inputs, asset: Option<&str>, pattern: Option<&DatePattern>) -> Result<DayFile, Failure> {
    let key = match (asset, &inputs.images()[..]) {
        (Some(key), _) => key.to_owned(),
        (None, [only]) => only.clone(),
        (None, images) => {
            let have = if images.is_empty() { "no image".to_owned() } else { images.join(", ") };
            return Err(Failure::usage(format!("item `{}` has {have}", inputs.id), "name the asset with --asset"));
        }
    };
    let href = inputs.hrefs_to_open(&[&key])?.remove(0);
    let of_item = inputs.time.as_deref().and_then(|time| time.get(..10)?.parse().ok());
    let day = match (pattern, of_item) {
        (None, Some(day)) => day,
        _ => day_of_name(inputs.hrefs(&[&key])?[0].file_name().unwrap_or_default(), pattern)?,
    };
    Ok(DayFile { href, day, item: Some(inputs.href.clone()) })
}

fn selected(part: &HeatPart) -> Result<Selection, Failure> {
    let mut parts = Vec::new();
    for text in &part.isel {
        let wrong = || Failure::usage(format!("`--isel {text}` is no part"), "write it like --isel y=5:12,x=20:31");
        let (dim, from, to) = split(text).ok_or_else(wrong)?;
        let number = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong()) };
        parts.push((dim.to_owned(), Part::Positions(number(from)?, number(to)?)));
    }
    for text in &part.sel {
        let hint = "write it like --sel y=20:-5,x=-30:19 or --sel time=2016-01-05:2016-02-01";
        let wrong = || Failure::usage(format!("`--sel {text}` is no part"), hint);
        let (dim, from, to) = split(text).ok_or_else(wrong)?;
        let part = if dim == "time" {
            let day = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong()) };
            Part::Days(day(from)?, day(to)?)
        } else {
            let label = |text: &str| match text.parse::<f64>() {
                _ if text.is_empty() => Ok(None),
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(wrong()),
            };
            Part::Labels(label(from)?, label(to)?)
        };
        parts.push((dim.to_owned(), part));
    }
    Ok(Selection { months: part.months.clone(), parts })
}

/// `DIM=FROM:TO`.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (dim, range) = text.split_once('=')?;
    let (from, to) = range.split_once(':')?;
    Some((dim.trim(), from.trim(), to.trim()))
}

fn place(text: &str) -> Result<[f64; 2], Failure> {
    let numbers: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match numbers[..] {
        [lon, lat] if lon.is_finite() && lat.is_finite() => Ok([lon, lat]),
        _ => Err(Failure::usage(format!("`--nearest {text}` is no place"), "write it like --nearest=-111.04,45.68")),
    }
}
