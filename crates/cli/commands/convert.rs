//! `outcrop convert`.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use outcrop_compute::{available, human, parse_bytes};
use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
use outcrop_formats::miniseed::{Encoding, Version, WriteOptions};
use outcrop_formats::zarr::{ZarrCompression, ZarrFormat};
use outcrop_formats::{Format, GeoTiffOptions, Opened, Resampling, TiffCompression};
use outcrop_store::Href;
use serde_json::json;

use super::info::{named, open};
use super::located;
use crate::args::{ConvertArgs, FileFormat, PolicyName, ResamplingName};
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
    let part = Part { variables: args.var.clone(), windows: windows(&args.isel)?, turns: Vec::new() };
    let memory = match &args.memory {
        None => available().map_or(MEMORY, |free| MEMORY.min(free / 4)),
        Some(text) => parse_bytes(text)
            .ok_or_else(|| Failure::usage(format!("`{text}` is not a size"), "write it like 500MB or 2GiB"))?,
    };
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let opened =
        context.wait(async { open(&context.store, &href, args.how()).await.map_err(|error| named(&href, error)) })?;
    let options = ConvertOptions {
        target: target(format, args, &opened)?,
        policy: match args.decode {
            PolicyName::Raw => Policy::Raw,
            PolicyName::Masked => Policy::Masked,
            PolicyName::Scaled => Policy::Scaled,
        },
        chunks: lengths("--chunk", &args.chunk)?,
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
    let size = bytes_of(&path);
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

/// Bytes of a file, or of all files of a folder; 0 where they cannot be looked at.
fn bytes_of(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| bytes_of(&entry.path())).sum(),
        Err(_) => std::fs::metadata(path).map(|meta| meta.len()).unwrap_or_default(),
    }
}

/// The format that was asked for, or that of the name.
fn format(args: &ConvertArgs) -> Result<FileFormat, Failure> {
    let lower = args.to.to_ascii_lowercase();
    let of_name = match lower.rsplit_once('.').map(|(_, end)| end) {
        Some("tif" | "tiff" | "gtiff") => Some(FileFormat::Cog),
        Some("nc" | "nc4" | "cdf") => Some(FileFormat::Netcdf4),
        Some("zarr") => Some(FileFormat::Zarr),
        Some("mseed" | "miniseed" | "msd" | "ms") => Some(FileFormat::Miniseed),
        Some("mseed3" | "ms3") => Some(FileFormat::Miniseed3),
        _ => None,
    };
    args.format.or(of_name).ok_or_else(|| {
        Failure::usage(
            format!("the name `{}` does not tell a format", args.to),
            "end it with .tif, .nc, .zarr or .mseed, or add --format",
        )
    })
}

fn target(format: FileFormat, args: &ConvertArgs, opened: &Opened) -> Result<Target, Failure> {
    check_flags(format, args)?;
    let text = args.compress.as_deref();
    let compress = text.map(|text| text.split_once(':').unwrap_or((text, "")));
    let wrong = |hint: &str| Failure::usage(format!("--compress {}", text.unwrap_or_default()), hint.to_owned());
    match format {
        FileFormat::Netcdf4 => {
            let deflate = match compress {
                None => Some(Some(4)),
                Some(("none", "")) => Some(None),
                Some(("deflate" | "zlib" | "gzip", level)) => level_of(level, 4, 12).map(Some),
                Some(_) => None,
            };
            let hint = "NetCDF-4 takes deflate:1 to deflate:12, or none";
            Ok(Target::NetCdf4 { deflate: deflate.ok_or_else(|| wrong(hint))? })
        }
        FileFormat::Netcdf3 => match compress {
            None | Some(("none", "")) => Ok(Target::NetCdf3 { version: None }),
            Some(_) => Err(wrong("NetCDF-3 is never compressed; write NetCDF-4")),
        },
        FileFormat::Zarr => {
            let compression = match compress {
                None => Some(ZarrCompression::Default),
                Some(("none", "")) => Some(ZarrCompression::None),
                Some(("zstd", level)) => level_of(level, 0, 22).map(|level| ZarrCompression::Zstd { level }),
                Some(("gzip", level)) => level_of(level, 5, 9).map(|level| ZarrCompression::Gzip { level }),
                Some(_) => None,
            };
            let compression =
                compression.ok_or_else(|| wrong("Zarr takes zstd:1 to zstd:22, gzip:1 to gzip:9, or none"))?;
            let format = if args.zarr_format == Some(2) { ZarrFormat::V2 } else { ZarrFormat::V3 };
            Ok(Target::Zarr { format, compression, shards: lengths("--shard", &args.shard)? })
        }
        FileFormat::Miniseed | FileFormat::Miniseed3 => {
            let encoding = match compress {
                None => Some(None),
                Some(("int32", "")) => Some(Some(Encoding::Int32)),
                Some(("steim1", "")) => Some(Some(Encoding::Steim1)),
                Some(("steim2", "")) => Some(Some(Encoding::Steim2)),
                Some(_) => None,
            };
            let version = if format == FileFormat::Miniseed { Version::Two } else { Version::Three };
            let encoding = encoding.ok_or_else(|| wrong("miniSEED takes steim1, steim2 or int32"))?;
            Ok(Target::MiniSeed(WriteOptions { version, encoding, ..WriteOptions::default() }))
        }
        FileFormat::Cog => {
            let mut options = image_options(args, opened);
            let compression = match compress {
                None => Some(options.compression),
                Some(("none", "")) => Some(TiffCompression::None),
                Some(("lzw", "")) => Some(TiffCompression::Lzw),
                Some(("deflate", level)) => level_of(level, 6, 12).map(|level| TiffCompression::Deflate { level }),
                Some(("zstd", level)) => level_of(level, 9, 22).map(|level| TiffCompression::Zstd { level }),
                Some(_) => None,
            };
            let hint = "GeoTIFF takes deflate:1 to deflate:12, zstd:1 to zstd:22, lzw or none";
            options.compression = compression.ok_or_else(|| wrong(hint))?;
            Ok(Target::GeoTiff(options))
        }
    }
}

/// Options that the format does not have are mistakes.
fn check_flags(format: FileFormat, args: &ConvertArgs) -> Result<(), Failure> {
    let of_image = args.tile.is_some() || args.overviews.is_some() || args.resampling.is_some();
    for (flag, given, fits) in [
        ("--shard", !args.shard.is_empty(), format == FileFormat::Zarr && args.zarr_format != Some(2)),
        ("--zarr-format", args.zarr_format.is_some(), format == FileFormat::Zarr),
        ("--chunk", !args.chunk.is_empty(), format != FileFormat::Cog),
        ("--tile, --overviews or --resampling", of_image, format == FileFormat::Cog),
    ] {
        if given && !fits {
            let hint = "--shard is for Zarr 3, --zarr-format for Zarr; --tile, --overviews and --resampling for GeoTIFF; --chunk for all others";
            return Err(Failure::usage(format!("{flag} does not go with this format"), hint));
        }
    }
    Ok(())
}

/// As the source is stored where it is a GeoTIFF, with what was asked for.
fn image_options(args: &ConvertArgs, opened: &Opened) -> GeoTiffOptions {
    let image = opened.meta.variable("band_data").filter(|_| opened.meta.format == Format::GeoTiff);
    let mut options = image.map(GeoTiffOptions::like).unwrap_or_default();
    options.tile = args.tile.unwrap_or(options.tile);
    options.overviews = args.overviews.unwrap_or(options.overviews);
    options.resampling = args.resampling.map(|name| match name {
        ResamplingName::Nearest => Resampling::Nearest,
        ResamplingName::Average => Resampling::Average,
        ResamplingName::Mode => Resampling::Mode,
    });
    options
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
fn lengths(flag: &str, texts: &[String]) -> Result<Vec<(String, u64)>, Failure> {
    let length = |text: &String| {
        let (dim, len) = text.split_once('=')?;
        Some((dim.trim().to_owned(), len.trim().parse().ok().filter(|len| *len > 0)?))
    };
    let wrong = |text: &String| {
        Failure::usage(format!("`{flag} {text}` is not DIM=N"), format!("write it like `{flag} time=1`"))
    };
    texts.iter().map(|text| length(text).ok_or_else(|| wrong(text))).collect()
}
