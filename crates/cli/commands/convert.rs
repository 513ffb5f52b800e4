//! `outcrop convert`.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use outcrop_compute::{available, human, parse_bytes};
use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
use outcrop_formats::{Format, GeoTiffOptions, Opened, Resampling, TiffCompression};
use outcrop_store::Href;
use serde_json::json;

use super::info::{named, open};
use super::located;
use crate::args::{ConvertArgs, FileFormat, ResamplingName};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// Memory for values, if a quarter of what is free is not less.
const MEMORY: u64 = 512 << 20;

pub(crate) fn run(context: &Context, args: &ConvertArgs) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let href = located(&Href::parse(&args.href)?).absolute();
    let to = Href::parse(&args.to)?.absolute();
    let Some(path) = to.to_path() else {
        return Err(Failure::usage(format!("cannot write to `{to}`"), "name a local file"));
    };
    let format = format(args)?;
    let part = Part { variables: args.var.clone(), windows: windows(&args.isel)? };
    let memory = match &args.memory {
        None => available().map_or(MEMORY, |free| MEMORY.min(free / 4)),
        Some(text) => parse_bytes(text)
            .ok_or_else(|| Failure::usage(format!("`{text}` is not a size"), "write it like 500MB or 2GiB"))?,
    };
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let opened = context
        .wait(async { open(&context.store, &href, args.raw.as_deref()).await.map_err(|error| named(&href, error)) })?;
    let options = ConvertOptions {
        target: target(format, args, &opened)?,
        chunks: lengths(&args.chunk)?,
        threads,
        memory,
        progress: context.progress.sink(),
    };
    let stop = || context.interrupt.load(Ordering::Relaxed);
    let done = convert(&opened, &part, &path, &options, &stop).map_err(|error| named(&href, error))?;
    if done.stopped {
        return Err(context.interrupted());
    }
    let seconds = start.elapsed().as_secs_f64();
    let size = std::fs::metadata(&path).map(|meta| meta.len()).unwrap_or_default();
    if context.json {
        let left: Vec<_> = done.left_out.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
        print::json(&json!({
            "output": to.to_string(), "variables": done.variables, "left_out": left, "values_bytes": done.bytes,
            "bytes": size, "seconds": seconds,
        }));
    } else {
        for (name, why) in &done.left_out {
            print::note(&format!("{name} is left out: {why}"));
        }
        let (values, names) = (human(done.bytes), done.variables.join(", "));
        context.say(&format!("{names}: {values} of values to {} in {} ({seconds:.2} s)", args.to, human(size)));
    }
    Ok(Outcome::of(done.left_out.len()))
}

/// The format that was asked for, or that of the name.
fn format(args: &ConvertArgs) -> Result<FileFormat, Failure> {
    let lower = args.to.to_ascii_lowercase();
    let of_name = match lower.rsplit_once('.').map(|(_, end)| end) {
        Some("tif" | "tiff" | "gtiff") => Some(FileFormat::Cog),
        Some("nc" | "nc4" | "cdf") => Some(FileFormat::Netcdf4),
        _ => None,
    };
    args.format.or(of_name).ok_or_else(|| {
        Failure::usage(
            format!("the name `{}` does not tell a format", args.to),
            "end it with .tif or .nc, or add --format",
        )
    })
}

fn target(format: FileFormat, args: &ConvertArgs, opened: &Opened) -> Result<Target, Failure> {
    let compress = args.compress.as_deref().map(|text| text.split_once(':').unwrap_or((text, "")));
    let wrong = |hint: &str| {
        let text = args.compress.as_deref().unwrap_or_default();
        Failure::usage(format!("--compress {text}"), hint.to_owned())
    };
    match format {
        FileFormat::Netcdf4 => {
            let hint = "NetCDF-4 takes deflate:1 to deflate:12, or none";
            let deflate = match compress {
                None => Some(4),
                Some(("none", "")) => None,
                Some(("deflate" | "zlib" | "gzip", level)) => Some(level_of(level, 4, 12).ok_or_else(|| wrong(hint))?),
                Some(_) => return Err(wrong(hint)),
            };
            Ok(Target::NetCdf4 { deflate })
        }
        FileFormat::Netcdf3 => match compress {
            None | Some(("none", "")) => Ok(Target::NetCdf3 { version: None }),
            Some(_) => Err(wrong("NetCDF-3 is never compressed; write NetCDF-4")),
        },
        FileFormat::Cog => {
            let image = opened.meta.variable("band_data").filter(|_| opened.meta.format == Format::GeoTiff);
            let mut options = image.map(GeoTiffOptions::like).unwrap_or_default();
            let hint = "GeoTIFF takes deflate:1 to deflate:12, zstd:1 to zstd:22, lzw or none";
            options.compression = match compress {
                None => options.compression,
                Some(("none", "")) => TiffCompression::None,
                Some(("lzw", "")) => TiffCompression::Lzw,
                Some(("deflate", level)) => {
                    TiffCompression::Deflate { level: level_of(level, 6, 12).ok_or_else(|| wrong(hint))? }
                }
                Some(("zstd", level)) => {
                    TiffCompression::Zstd { level: level_of(level, 9, 22).ok_or_else(|| wrong(hint))? }
                }
                Some(_) => return Err(wrong(hint)),
            };
            options.tile = args.tile.unwrap_or(options.tile);
            options.overviews = args.overviews.unwrap_or(options.overviews);
            options.resampling = args.resampling.map(|name| match name {
                ResamplingName::Nearest => Resampling::Nearest,
                ResamplingName::Average => Resampling::Average,
                ResamplingName::Mode => Resampling::Mode,
            });
            Ok(Target::GeoTiff(options))
        }
    }
}

fn level_of(text: &str, default: u8, most: u8) -> Option<u8> {
    if text.is_empty() { Some(default) } else { text.parse().ok().filter(|level| (1..=most).contains(level)) }
}

/// `DIM=A:B`, or `DIM=A` for one position.
fn windows(texts: &[String]) -> Result<Vec<(String, Range<u64>)>, Failure> {
    let window = |text: &String| {
        let (dim, range) = text.split_once('=')?;
        let range = if let Some((from, to)) = range.split_once(':') {
            from.trim().parse().ok()?..to.trim().parse().ok()?
        } else {
            let at: u64 = range.trim().parse().ok()?;
            at..at.checked_add(1)?
        };
        Some((dim.trim().to_owned(), range))
    };
    let wrong = |text: &String| {
        Failure::usage(
            format!("`--isel {text}` is not DIM=A:B"),
            "write it like `--isel time=0:31`, or `time=5` for one",
        )
    };
    texts.iter().map(|text| window(text).ok_or_else(|| wrong(text))).collect()
}

/// `DIM=N`.
fn lengths(texts: &[String]) -> Result<Vec<(String, u64)>, Failure> {
    let length = |text: &String| {
        let (dim, len) = text.split_once('=')?;
        Some((dim.trim().to_owned(), len.trim().parse().ok().filter(|len| *len > 0)?))
    };
    let wrong =
        |text: &String| Failure::usage(format!("`--chunk {text}` is not DIM=N"), "write it like `--chunk time=1`");
    texts.iter().map(|text| length(text).ok_or_else(|| wrong(text))).collect()
}
