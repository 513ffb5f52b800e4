//! `outcrop run das`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use outcrop_compute::kernel::Trend;
use outcrop_compute::signal::Band;
use outcrop_compute::{Missing, RunOptions, human, peak};
use outcrop_grid::Interval;
use outcrop_pipelines::das::{Channels, Das, DasItem, DasOptions, DasReport, DasResult, Gaps, PictureOptions, open};
use outcrop_pipelines::register::{Inputs, register_items};
use outcrop_store::Href;
use serde_json::{Value, json};

use super::super::{folder, located};
use super::{items, run_options};
use crate::args::{DasArgs, GapsName, MedianName, TrendName};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// Gaps that are named one by one.
const NAMED: usize = 10;

pub(crate) fn run(context: &Context, args: &DasArgs) -> Result<Outcome, Failure> {
    let options = options(args)?;
    let run = RunOptions { scratch: args.scratch.as_ref().map(Into::into), ..run_options(context, &args.limits)? };
    let to = folder(&args.to)?;
    let sources = items(context, args.items.as_deref(), &args.selection)?;
    let hrefs = hrefs(args, &sources)?;
    let das = Das::new(context.wait(open(&context.store, &hrefs, &options))?, options)?;
    if args.limits.plan {
        print::json(&serde_json::to_value(das.summary(&run)?)?);
        return Ok(Outcome::Done);
    }
    for gap in das.section().gaps.iter().take(NAMED) {
        context.say(&gap.to_string());
    }
    for note in das.notes() {
        context.say(&format!("note: {note}"));
    }
    let result = DasResult { root: to.to_path().unwrap_or_default(), compression: args.compress };
    result.check_owner(&context.store)?;
    let (start, before) = (Instant::now(), context.store.stats());
    let report = das
        .run(&run, &result)
        .map_err(|error| if context.interrupt.load(Ordering::SeqCst) { context.interrupted() } else { error.into() })?;
    let pictures = if args.pictures.no_images { None } else { Some(draw(context, &to, &report)?) };
    let after = context.store.stats();
    let read = after.local_bytes + after.remote_bytes - before.local_bytes - before.remote_bytes;
    let item = DasItem { id: name_of(&to), zarr: to, pictures, sources };
    tell(context, &das, (&item, &report), (read, start.elapsed().as_secs_f64()));
    if let Some(catalog) = &args.catalog {
        let catalog = folder(catalog)?;
        context.wait(register_items(&context.store, &catalog, vec![item.body(&das)]))?;
        context.say(&format!("registered {} in {catalog}catalog.json", item.id));
    }
    Ok(Outcome::Done)
}

fn options(args: &DasArgs) -> Result<DasOptions, Failure> {
    let channels = match (&args.channels, &args.distance) {
        (Some(text), _) => {
            let (from, to) = pair("--channels", text, ':', "0:1000")?;
            Channels::Positions(from, to)
        }
        (None, Some(text)) => {
            let (from, to) = pair("--distance", text, ':', "1200:3500.5")?;
            Channels::Distance(from, to)
        }
        (None, None) => Channels::All,
    };
    let interval = |text: &String| {
        let wrong = |e| {
            Failure::usage(format!("--time: {e}"), "write it like --time 2022-10-25T18:38:00Z/2022-10-25T18:40:00Z")
        };
        text.parse::<Interval>().map_err(wrong)
    };
    Ok(DasOptions {
        variable: args.variable.clone(),
        channels,
        time: args.time.as_ref().map(interval).transpose()?,
        gaps: match args.gaps {
            GapsName::Report => Gaps::Report,
            GapsName::Refuse => Gaps::Refuse,
        },
        detrend: trends(&args.detrend)?,
        band: band(args)?,
        order: args.order,
        every: args.every,
        median: (!args.no_median).then_some(match args.median {
            MedianName::Propagate => Missing::Propagate,
            MedianName::Skip => Missing::Skip,
        }),
        picture: PictureOptions {
            from: args.pictures.from_channel,
            to: args.pictures.to_channel,
            pclip: args.pictures.pclip,
            raw_pclip: args.pictures.raw_pclip,
        },
    })
}

fn trends(names: &[TrendName]) -> Result<Vec<Trend>, Failure> {
    if names.contains(&TrendName::None) && names.len() > 1 {
        return Err(Failure::usage("--detrend names `none` and a trend", "write --detrend none, or only trends"));
    }
    let trend = |name: &TrendName| match name {
        TrendName::Constant => Some(Trend::Constant),
        TrendName::Linear => Some(Trend::Linear),
        TrendName::None => None,
    };
    Ok(names.iter().filter_map(trend).collect())
}

fn band(args: &DasArgs) -> Result<Band, Failure> {
    Ok(match (&args.band, args.lowpass, args.highpass) {
        (Some(text), ..) => {
            let (low, high) = pair("--band", text, ',', "0.025,5")?;
            Band::Pass(low, high)
        }
        (None, Some(edge), _) => Band::Low(edge),
        (None, None, Some(edge)) => Band::High(edge),
        (None, None, None) => DasOptions::default().band,
    })
}

fn pair<T: std::str::FromStr>(flag: &str, text: &str, between: char, example: &str) -> Result<(T, T), Failure> {
    let parts = text.split_once(between).and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    parts.ok_or_else(|| {
        Failure::usage(format!("`{flag} {text}` is not two numbers"), format!("write it like {flag} {example}"))
    })
}

fn hrefs(args: &DasArgs, sources: &[Inputs]) -> Result<Vec<Href>, Failure> {
    if args.items.is_some() {
        return sources.iter().map(|item| Ok(item.only_to_open(args.asset.as_deref())?)).collect();
    }
    let href = |text: &String| Ok(located(&Href::parse(text)?));
    args.files.iter().map(href).collect()
}

/// `das.zarr` is `das`.
fn name_of(to: &Href) -> String {
    let name = to.as_str().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".zarr").unwrap_or(name);
    if name.is_empty() { "das".to_owned() } else { name.to_owned() }
}

/// Puts the pictures beside the result.
fn draw(context: &Context, to: &Href, report: &DasReport) -> Result<[Href; 2], Failure> {
    let base = to.as_str().trim_end_matches('/');
    let base = base.strip_suffix(".zarr").unwrap_or(base);
    let hrefs = ["raw", "processed"].map(|what| Href::parse(&format!("{base}-{what}.png")));
    let [raw, processed] = hrefs;
    let hrefs = [raw?, processed?];
    for (href, png) in hrefs.iter().zip(&report.pictures) {
        context.wait(context.store.put(href, png.clone().into()))?;
    }
    Ok(hrefs)
}

fn tell(context: &Context, das: &Das, (item, report): (&DasItem, &DasReport), (read, seconds): (u64, f64)) {
    let [channels, samples] = report.shape;
    let section = das.section();
    let [before, after] = das.rates();
    if report.missing > 0 {
        let of = channels * samples;
        context.say(&format!("note: {} of {of} values are NaN", report.missing));
    }
    context.say(&format!(
        "{channels} channels of {} samples from {} files at {before} Hz, {} gaps: {samples} samples at {after} Hz; {} read, \
         {seconds:.2} s, arrays within {}, process peak {} -> {}",
        section.array.shape()[1],
        section.files.len(),
        section.gaps.len(),
        human(read),
        human(report.run.memory_bytes),
        human(peak()),
        item.zarr,
    ));
    if context.json {
        let pictures: Option<Vec<Value>> =
            item.pictures.as_ref().map(|all| all.iter().map(|href| json!(href.to_string())).collect());
        print::json(&json!({
            "zarr": item.zarr.to_string(), "shape": report.shape, "files": section.files, "gaps": section.gaps,
            "notes": das.notes(), "sampling_rate": [before, after], "missing": report.missing,
            "largest": report.largest, "pictures": pictures, "seconds": seconds, "bytes_read": read,
            "tasks": report.run.tasks, "memory_bound": report.run.memory_bytes, "peak_memory": peak(),
        }));
    }
}
