//! Copies what was opened, or a part of it, into a new file: any reader to any writer.
//!
//! Values are copied as they are stored, with the attributes that say what they mean, or decoded ([`Policy`]). The work is cut into regions that are whole units of the writer and, where memory allows, whole chunks of
//! the reader, so that few chunks are decoded twice. Memory: the regions that are worked on, not the size of the file.

mod plan;
mod run;
mod targets;
mod texts;
mod turn;
mod waveform;

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;

use indexmap::IndexMap;
use outcrop_store::progress::Sink;

use crate::array::{Attrs, DType, Dim};
use crate::cf::Policy;
use crate::miniseed::WriteOptions;
use crate::netcdf3;
use crate::tiff::GeoTiffOptions;
use crate::zarr::{ZarrCompression, ZarrFormat};
use crate::{Error, Opened, Result};

pub use turn::Turn;

/// A part of a file.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Names of variables, which bring their coordinates and grid mappings with them; none is all.
    pub variables: Vec<String>,
    /// Positions along dimensions; all of those that are not named.
    pub windows: Vec<(String, Range<u64>)>,
    /// Dimensions whose windows go past the end and on at the beginning.
    pub turns: Vec<Turn>,
}

/// A format to be written, and how.
#[derive(Debug, Clone)]
pub enum Target {
    /// NetCDF-4, shuffled and deflated.
    NetCdf4 {
        /// Level of deflate, 1 to 12; `None` is none.
        deflate: Option<u8>,
    },
    /// NetCDF-3.
    NetCdf3 {
        /// The version; by default the oldest that can hold everything.
        version: Option<netcdf3::Version>,
    },
    /// Zarr, the arrays in the store itself.
    Zarr {
        /// The version.
        format: ZarrFormat,
        /// Compression.
        compression: ZarrCompression,
        /// Lengths of shards along dimensions, multiples of those of chunks; none is no shards.
        shards: Vec<(String, u64)>,
    },
    /// miniSEED; variables along time alone, named `NET.STA.LOC.CHA`, are segments.
    MiniSeed(WriteOptions),
    /// Cloud-optimised GeoTIFF of one variable, or of variables of one grid as bands.
    GeoTiff(GeoTiffOptions),
}

impl Target {
    /// The name people use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NetCdf4 { .. } => "NetCDF-4",
            Self::NetCdf3 { .. } => "NetCDF-3",
            Self::Zarr { .. } => "Zarr",
            Self::MiniSeed(_) => "miniSEED",
            Self::GeoTiff(_) => "GeoTIFF",
        }
    }

    /// True if it has a type of values.
    fn holds(&self, dtype: DType) -> bool {
        let is_complex = matches!(dtype, DType::Complex64 | DType::Complex128);
        match self {
            Self::NetCdf4 { .. } | Self::NetCdf3 { .. } => {
                dtype.is_text() || (dtype.is_real() && dtype != DType::Float16)
            }
            Self::Zarr { .. } => dtype.is_real() || is_complex || dtype.is_text(),
            Self::GeoTiff(_) => dtype.is_real() || is_complex,
            Self::MiniSeed(_) => dtype.is_real(),
        }
    }
}

/// How to copy.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// The format.
    pub target: Target,
    /// What becomes of missing values, scale and offset.
    pub policy: Policy,
    /// Lengths of chunks along dimensions; else those of the source.
    pub chunks: Vec<(String, u64)>,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Most memory for values, in bytes. One unit of the writer for each thread is always held.
    pub memory: u64,
    /// Where progress goes, in bytes of decoded values.
    pub progress: Sink,
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Converted {
    /// Names of the variables in the new file.
    pub variables: Vec<String>,
    /// Variables that were left out, and why.
    pub left_out: Vec<(String, String)>,
    /// Bytes of all decoded values.
    pub bytes: u64,
    /// True if `stop` ended the work; nothing was written then.
    pub stopped: bool,
}

/// A variable of the new file.
#[derive(Debug, Clone)]
struct NewVariable {
    name: String,
    dims: Vec<String>,
    shape: Vec<u64>,
    chunk: Vec<u64>,
    dtype: DType,
    /// One element in native byte order.
    fill: Vec<u8>,
    attrs: Attrs,
}

/// What the new file is to hold.
#[derive(Debug, Clone)]
struct NewFile {
    attrs: Attrs,
    dims: IndexMap<String, Dim>,
    variables: Vec<NewVariable>,
}

/// A file that is being written, unit by unit. Adding a format is implementing this and a case of [`Target`].
trait Writer: Send + Sync + Debug {
    /// Shape of the pieces that a variable is written in.
    fn unit(&self, variable: usize) -> Vec<u64>;

    /// Writes one unit in C order and native byte order; at the edge, what lies beyond the shape is fill value.
    fn write(&self, variable: usize, index: &[u64], raw: &[u8]) -> Result<()>;

    /// Writes all texts of a variable of texts of any length, in C order.
    fn write_texts(&self, variable: usize, _: &[String]) -> Result<()> {
        Err(Error::unsupported(format!("variable {variable}"), "writing texts of any length, in this format,"))
    }

    /// True if units must come in order, variable by variable.
    fn in_order(&self) -> bool {
        false
    }

    /// Puts the file in its place.
    fn finish(self: Box<Self>, threads: usize) -> Result<()>;
}

/// Copies an opened file, or a part of it, to `to`, which appears whole at the end. `stop` is asked between regions.
///
/// - It blocks, and must not be called from async code.
/// - What runs that were killed left of `to` is removed.
///
/// # Errors
/// Those of reading and writing; [`Error::Unsupported`] for what the target cannot hold.
pub fn convert(
    opened: &Opened,
    part: &Part,
    to: &Path,
    options: &ConvertOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Converted> {
    let (mut plan, left_out) = plan::plan(opened, part, options)?;
    if plan.copies.is_empty() {
        let why = left_out.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; ");
        return Err(Error::unsupported("the file", format!("a file without anything to copy ({why})")));
    }
    outcrop_store::publish::remove_abandoned(to);
    let writer: Box<dyn Writer> = match &options.target {
        Target::NetCdf4 { deflate } => Box::new(targets::NetCdf4::create(to, &plan.file, *deflate)?),
        Target::NetCdf3 { version } => Box::new(targets::NetCdf3::create(to, &plan.file, *version)?),
        Target::Zarr { format, compression, shards } => {
            Box::new(targets::Zarr::create(to, &plan.file, (*format, *compression), shards)?)
        }
        Target::MiniSeed(records) => Box::new(waveform::MiniSeed::create(opened, to, &plan, *records)?),
        Target::GeoTiff(tiff) => Box::new(targets::GeoTiff::create(opened, to, &mut plan, *tiff)?),
    };
    let mut done = Converted {
        variables: plan.file.variables.iter().map(|v| v.name.clone()).collect(),
        left_out,
        ..Converted::default()
    };
    match run::run(opened, &plan, writer.as_ref(), options, stop)? {
        Some(bytes) => done.bytes = bytes,
        None => return Ok(Converted { stopped: true, ..done }),
    }
    writer.finish(options.threads.max(1))?;
    Ok(done)
}
