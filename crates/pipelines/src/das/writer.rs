//! The result as a Zarr group, written chunk by chunk.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use outcrop_compute::{Block, Coord, Sink};
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType, Opened};
use outcrop_store::{Href, Store};

use super::run::band_text;
use super::{Das, Picture};
use crate::{Error, Result};

/// Where the result is written.
#[derive(Debug, Clone)]
pub struct DasResult {
    /// The Zarr store, a local folder; an older result of this pipeline is replaced when the new one is complete.
    pub root: PathBuf,
    /// Level of Zstandard, 1 to 22; 0 does not compress. Nearly all of a filtered sample is noise: a seventh is saved, at any level.
    pub compression: u8,
}

/// Attributes of raw samples that are not those of the result.
const OF_RAW: [&str; 19] = [
    "_FillValue",
    "missing_value",
    "scale_factor",
    "add_offset",
    "valid_min",
    "valid_max",
    "valid_range",
    "starttime",
    "endtime",
    "PartStartTime",
    "PartEndTime",
    "Count",
    "StartIndex",
    "Dimensions",
    "coordinates",
    "grid_mapping",
    "sampling_rate_hz",
    "sampling_rate",
    "OutputDataRate",
];
/// Attributes of the labels of one file that are not those of all.
const OF_RAW_LABELS: [&str; 7] = [
    "_FillValue",
    "missing_value",
    "scale_factor",
    "add_offset",
    "actual_range",
    "irregular_steps",
    "first_irregular_step_after_position",
];
/// Names that say where samples are stored, not what they are.
const STORED_AS: [&str; 10] =
    ["rawdata", "raw", "data", "das", "acoustic", "values", "samples", "dataset", "array", "variable"];
/// Name of the variable where the file has none that says what it is.
const STRAIN_RATE: &str = "strain_rate";
/// Most gaps that the attributes list; the number of all is there too.
const LISTED: usize = 100;

impl DasResult {
    /// Checks that the folder is free, or holds an older result of this pipeline.
    ///
    /// # Errors
    /// [`Error::OtherResult`] if it holds something else.
    pub fn check_owner(&self, store: &Store) -> Result<()> {
        if !self.root.join("zarr.json").exists() {
            return Ok(());
        }
        let opened = store.wait(Opened::open(store, &Href::from_path(&self.root).as_folder()))?;
        match opened.meta.attrs.get("pipeline").and_then(AttrValue::text) {
            Some("das") => Ok(()),
            _ => Err(Error::OtherResult {
                root: self.root.display().to_string(),
                group: "/".into(),
                owner: "something else".into(),
            }),
        }
    }
}

/// Writes windows of the result.
#[derive(Debug)]
pub(super) struct Writer {
    group: GroupWriter,
    name: String,
    shape: [u64; 2],
    chunk: [u64; 2],
    picture: Picture,
    missing: AtomicU64,
}

/// Bytes that writing a window takes beside it: a chunk, as numbers, as bytes and compressed.
pub(super) fn work_bytes(chunk: [u64; 2]) -> u64 {
    3 * 4 * chunk[0] * chunk[1]
}

impl Writer {
    /// Starts the group.
    pub(super) fn create(das: &Das, result: &DasResult, picture: Picture) -> Result<Self> {
        let (name, shape, chunk) = (variable_name(das), das.shape(), das.tile());
        let mut group = GroupWriter::create(&result.root, "", ZarrFormat::V3, &group_attrs(das))?;
        group.add_array(&ArraySpec {
            name: name.clone(),
            dims: vec!["distance".into(), "time".into()],
            shape: shape.to_vec(),
            chunk: chunk.to_vec(),
            dtype: Element::Number(DType::Float32),
            fill: None,
            shard: None,
            compression: match result.compression {
                0 => ZarrCompression::None,
                level => ZarrCompression::Zstd { level },
            },
            attrs: array_attrs(das),
        })?;
        for dim in ["distance", "time"] {
            let Some(coord) = das.section().array.coords.get(dim) else { continue };
            let every = if dim == "time" { das.options().every } else { 1 };
            write_coord(&mut group, dim, coord, usize::try_from(every).unwrap_or(usize::MAX))?;
        }
        Ok(Self { group, name, shape, chunk, picture, missing: AtomicU64::new(0) })
    }

    /// Puts the group at its place; the picture, and how many values are NaN.
    pub(super) fn finish(self) -> Result<(Picture, u64)> {
        self.group.finish()?;
        Ok((self.picture, self.missing.into_inner()))
    }

    fn write_chunk(&self, index: [u64; 2], window: &[Range<u64>], values: &[f32]) -> Result<()> {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let width = size(window[1].end - window[1].start);
        let from = [index[0] * self.chunk[0], index[1] * self.chunk[1]];
        let rows = from[0]..(from[0] + self.chunk[0]).min(self.shape[0]);
        let length = size((from[1] + self.chunk[1]).min(self.shape[1]) - from[1]);
        let (chunk_width, cells) = (size(self.chunk[1]), size(self.chunk[0] * self.chunk[1]));
        let mut chunk = Vec::with_capacity(cells);
        for row in rows {
            let start = size(row - window[0].start) * width + size(from[1] - window[1].start);
            chunk.extend_from_slice(&values[start..start + length]);
            // What lies beyond the last sample.
            chunk.resize(chunk.len() + chunk_width - length, 0f32);
        }
        chunk.resize(cells, 0f32);
        Ok(self.group.write_chunk_bytes(&self.name, &index, bytemuck::cast_slice(&chunk))?)
    }

    fn take(&self, window: &[Range<u64>], values: &Block) -> Result<()> {
        let ([rows, columns], Block::Float32(numbers)) = (window, values) else {
            return Err(outcrop_compute::Error::Worker.into());
        };
        let width = usize::try_from(columns.end - columns.start).unwrap_or(usize::MAX);
        self.picture.show(values, (rows.start, columns.start), width);
        let missing = numbers.iter().map(|value| u64::from(value.is_nan())).sum();
        self.missing.fetch_add(missing, Ordering::Relaxed);
        let indices = |range: &Range<u64>, chunk: u64| range.start / chunk..range.end.div_ceil(chunk);
        for row in indices(rows, self.chunk[0]) {
            for column in indices(columns, self.chunk[1]) {
                self.write_chunk([row, column], window, numbers)?;
            }
        }
        Ok(())
    }
}

impl Sink for Writer {
    fn unit(&self) -> Option<Vec<u64>> {
        Some(self.chunk.to_vec())
    }

    fn work_bytes(&self, _: u64) -> u64 {
        work_bytes(self.chunk)
    }

    fn held(&self, _: u64) -> u64 {
        0
    }

    fn has(&self, _: &[Range<u64>]) -> bool {
        false
    }

    fn write(&self, window: &[Range<u64>], values: Block) -> outcrop_compute::Result<()> {
        self.take(window, &values).map_err(|error| match error {
            Error::Format(error) => outcrop_compute::Error::Write(error),
            Error::Compute(error) => error,
            _ => outcrop_compute::Error::Worker,
        })
    }
}

/// The name of the file's variable if it says what the samples are.
pub(super) fn variable_name(das: &Das) -> String {
    let name = &das.section().array.name;
    let last = name.rsplit('/').next().unwrap_or(name);
    let is_plain = last.starts_with(|c: char| c.is_ascii_alphabetic())
        && last.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let says =
        is_plain && !STORED_AS.contains(&last.to_ascii_lowercase().as_str()) && !["time", "distance"].contains(&last);
    if says { last.to_owned() } else { STRAIN_RATE.to_owned() }
}

fn text(value: impl Into<String>) -> AttrValue {
    AttrValue::Text(value.into())
}

fn int(value: u64) -> AttrValue {
    AttrValue::Int(vec![i64::try_from(value).unwrap_or(i64::MAX)])
}

fn group_attrs(das: &Das) -> Attrs {
    let (section, options) = (das.section(), das.options());
    let trends: Vec<String> = options.detrend.iter().map(|trend| format!("{trend:?}").to_lowercase()).collect();
    let median = match options.median {
        None => "not subtracted",
        Some(outcrop_compute::Missing::Skip) => "of all channels subtracted, without NaN",
        Some(outcrop_compute::Missing::Propagate) => "of all channels subtracted, NaN where one is",
    };
    let mut attrs = Attrs::from_iter([
        ("Conventions".to_owned(), text("CF-1.11")),
        ("pipeline".to_owned(), text("das")),
        ("outcrop_version".to_owned(), text(env!("CARGO_PKG_VERSION"))),
        ("source_files".to_owned(), AttrValue::Texts(section.files.clone())),
        ("source_variable".to_owned(), text(section.array.name.clone())),
        ("source_dtype".to_owned(), text(section.array.dtype().name())),
        ("detrend".to_owned(), text(if trends.is_empty() { "none".to_owned() } else { trends.join(", ") })),
        ("filter".to_owned(), text("Butterworth, forward and backward")),
        ("filter_order".to_owned(), int(options.order as u64)),
        ("filter_band".to_owned(), text(band_text(options.band))),
        ("every".to_owned(), int(options.every)),
        ("median".to_owned(), text(median)),
        ("source_sampling_rate".to_owned(), AttrValue::Float64(vec![das.rates()[0]])),
        ("sampling_rate".to_owned(), AttrValue::Float64(vec![das.rates()[1]])),
        ("first_channel".to_owned(), int(section.first_channel)),
        ("gaps".to_owned(), int(section.gaps.len() as u64)),
    ]);
    if !section.gaps.is_empty() {
        let list = section.gaps.iter().take(LISTED).map(ToString::to_string).collect();
        attrs.insert("gap_list".to_owned(), AttrValue::Texts(list));
    }
    let notes = das.notes();
    if !notes.is_empty() {
        attrs.insert("notes".to_owned(), AttrValue::Texts(notes));
    }
    attrs
}

/// What the file says about its samples and filtering does not change, units among it.
fn array_attrs(das: &Das) -> Attrs {
    let source = &das.section().array.attrs;
    let kept = source.iter().filter(|(name, _)| !OF_RAW.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Each `every`-th label: whole numbers as such, to the last digit.
fn write_coord(group: &mut GroupWriter, dim: &str, coord: &Coord, every: usize) -> Result<()> {
    let is_whole = !coord.whole.is_empty();
    let len = (coord.len() as u64).div_ceil(every as u64);
    let mut attrs = coord.attrs.clone();
    for name in OF_RAW_LABELS {
        attrs.shift_remove(name);
    }
    let standard = [("standard_name", "time"), ("axis", "T")];
    for (name, value) in standard.into_iter().filter(|_| dim == "time") {
        attrs.entry(name.to_owned()).or_insert_with(|| text(value));
    }
    group.add_array(&ArraySpec {
        name: dim.into(),
        dims: vec![dim.into()],
        shape: vec![len],
        chunk: vec![len.max(1)],
        dtype: Element::Number(if is_whole { DType::Int64 } else { DType::Float64 }),
        fill: None,
        shard: None,
        compression: ZarrCompression::Default,
        attrs,
    })?;
    if is_whole {
        let labels: Vec<i64> = coord.whole.iter().step_by(every).copied().collect();
        return Ok(group.write_chunk(dim, &[0], &labels)?);
    }
    let labels: Vec<f64> = coord.values.iter().step_by(every).copied().collect();
    Ok(group.write_chunk(dim, &[0], &labels)?)
}
