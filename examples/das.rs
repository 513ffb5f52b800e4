//! A small fibre-optic recording: makes two minutes of it, computes the filtered section and draws it.
//!
//! `cargo run --release --example das [FOLDER]`
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;
use std::path::{Path, PathBuf};

use outcrop_compute::{RunOptions, human};
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType};
use outcrop_pipelines::das::{Das, DasOptions, DasResult, PictureOptions, open};
use outcrop_store::{Href, Store, StoreOptions};

const CHANNELS: u16 = 240;
/// A minute at 50 samples a second.
const SAMPLES: u32 = 3000;
const STEP_US: i64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("outcrop-das"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let files: Vec<PathBuf> = (0..2).map(|minute| folder.join(format!("minute-{minute}.zarr"))).collect();
    for (minute, file) in files.iter().enumerate() {
        write_minute(file, u32::try_from(minute)?)?;
    }

    // I/O has its own runtime; the computation blocks and must not run on it.
    let runtime = tokio::runtime::Runtime::new()?;
    let store = Store::new(StoreOptions::default(), runtime.handle().clone())?;
    let hrefs: Vec<Href> = files.iter().map(|file| Href::from_path(file).as_folder()).collect();
    let picture = PictureOptions { pclip: 0.8, ..PictureOptions::default() };
    let options = DasOptions { picture, ..DasOptions::default() };
    let das = Das::new(store.wait(open(&store, &hrefs, &options))?, options)?;
    let run = RunOptions { memory: 20 << 20, ..RunOptions::default() };
    let plan = das.summary(&run)?.plan;
    println!("{} tasks, at most {} for arrays", plan.tasks, human(plan.memory_bytes));
    let report = das.run(&run, &DasResult { root: folder.join("das.zarr"), compression: 0 })?;
    for (name, png) in ["raw.png", "processed.png"].iter().zip(&report.pictures) {
        std::fs::write(folder.join(name), png)?;
    }
    println!("{:?} channels and samples in {}", report.shape, folder.join("das.zarr").display());
    Ok(())
}

/// Noise, a drift of each channel, what all channels have in common, and a wave that runs along the fibre.
fn sample(channel: u16, at: u32) -> f64 {
    let (place, time) = (f64::from(channel), f64::from(at) * 0.02);
    let mixed = (u64::from(channel) * 7919 + u64::from(at) * 104_729).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let noise = (f64::from(u32::try_from(mixed % 2001).unwrap_or(0)) - 1000.0) * 0.03;
    let arrival = time - 40.0 - (place - 80.0).abs() * 0.12;
    let wave = 800.0 * (-arrival * arrival / 8.0).exp() * (arrival * 5.0).sin();
    noise + wave + 3.0 * place + time * (place - 120.0) * 0.05 + 150.0 * (time * 2.0).sin()
}

#[expect(clippy::cast_possible_truncation, reason = "samples are small")]
fn write_minute(root: &Path, minute: u32) -> Result<(), Box<dyn Error>> {
    let mut group = GroupWriter::create(root, "", ZarrFormat::V3, &Attrs::new())?;
    let lengths = [("distance", u64::from(CHANNELS)), ("time", u64::from(SAMPLES))];
    let spec = |name: &str, dims: &[(&str, u64)], dtype: DType, units: &str| ArraySpec {
        name: name.into(),
        dims: dims.iter().map(|(dim, _)| (*dim).to_owned()).collect(),
        shape: dims.iter().map(|(_, len)| *len).collect(),
        chunk: dims.iter().map(|(_, len)| *len).collect(),
        dtype: Element::Number(dtype),
        fill: None,
        shard: None,
        compression: ZarrCompression::Default,
        attrs: Attrs::from_iter([("units".to_owned(), AttrValue::Text(units.into()))]),
    };
    group.add_array(&spec("data", &lengths, DType::Int16, "counts"))?;
    group.add_array(&spec("distance", &lengths[..1], DType::Float64, "m"))?;
    group.add_array(&spec("time", &lengths[1..], DType::Int64, "microseconds since 2024-01-01"))?;
    let first = minute * SAMPLES;
    let cells = (0..CHANNELS).flat_map(|channel| (first..first + SAMPLES).map(move |at| (channel, at)));
    let values: Vec<i16> = cells.map(|(channel, at)| sample(channel, at).round() as i16).collect();
    group.write_chunk("data", &[0, 0], &values)?;
    let places: Vec<f64> = (0..CHANNELS).map(|channel| f64::from(channel) * 2.0).collect();
    group.write_chunk("distance", &[0], &places)?;
    let times: Vec<i64> = (first..first + SAMPLES).map(|at| i64::from(at) * STEP_US).collect();
    group.write_chunk("time", &[0], &times)?;
    Ok(group.finish()?)
}
