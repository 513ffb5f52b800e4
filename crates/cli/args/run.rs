//! Arguments of `outcrop run`: one struct a pipeline.

use clap::{Args, Subcommand, ValueEnum};

use super::{HeatIndexArgs, Selection};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop run spring-index --items local --to first-leaf.zarr --plan\n  \
    outcrop run smooth.toml --plan\n  \
    outcrop run program --help")]
pub(crate) struct RunArgs {
    #[command(subcommand)]
    pub(crate) pipeline: RunPipeline,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunPipeline {
    /// First leaf of three plants from tmin, tmax and dayl.
    SpringIndex(Box<SpringIndexArgs>),
    /// Fibre-optic recordings: trends off, band-pass, fewer samples, common mode off.
    Das(Box<DasArgs>),
    /// Means of daily temperature images: by day, over time and by month.
    HeatIndex(Box<HeatIndexArgs>),
    /// Arrays computed as a file of steps says (TOML): the operations of NumPy and xarray by name. `run FILE.toml` for short.
    Program(Box<ProgramArgs>),
}

/// What a run may take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Print the plan as JSON and stop.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Most memory for arrays, like 500MB or 2GiB [default: half of what is free; of `das` at most 512 MiB].
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
    /// Which threads compute; the results are the same to the bit.
    #[arg(long, value_enum, default_value_t = ExecutorName::Threads)]
    pub(crate) executor: ExecutorName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecutorName {
    /// Worker threads.
    Threads,
    /// The calling thread alone.
    Serial,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop run spring-index --items local --ids pr-1980 --to first-leaf.zarr --coarsen 2\n  \
    outcrop run spring-index --items local --to first-leaf.zarr --plan")]
pub(crate) struct SpringIndexArgs {
    /// Items: catalog, collection, item or file of items; CATALOG#ID names one item.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) items: String,
    /// Zarr store of the results; a group per year, or per item where items share a year.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Plants: lilac, arnold-red, zabelli; with more than one, their mean is added.
    #[arg(long, value_delimiter = ',', default_value = "lilac,arnold-red,zabelli")]
    pub(crate) plants: Vec<String>,
    /// Average windows of N x N cells first.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) coarsen: u64,
    /// First day, counted from 1.
    #[arg(long, value_name = "DAY", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=366))]
    pub(crate) start_day: u64,
    /// Last day, inclusive.
    #[arg(long, value_name = "DAY", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=366))]
    pub(crate) end_day: u64,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Read every day even when all cells with data are decided.
    #[arg(long)]
    pub(crate) no_early_end: bool,
    /// Zarr format, 2 or 3.
    #[arg(long, value_name = "2|3", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) zarr_format: u8,
    /// Register the results as items of a STAC catalog in this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) catalog: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop run program smooth.toml\n  \
    outcrop run program smooth.toml --plan --graph smooth.svg\n  \
    outcrop run program ndvi.toml --items scenes --datetime 2020-06 --bbox=-68,16,-64,20\n  \
    outcrop run program mean.toml --catalog results --report mean.html\n  \
    outcrop run program mean.toml --memory 500MB --partition 2/8")]
pub(crate) struct ProgramArgs {
    /// File of steps; paths in it are relative to its folder.
    pub(crate) file: String,
    /// Items that the steps `open` read which name no file: catalog, collection, item, API or file of items.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) items: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Draw the steps as a graph: .svg, or .dot for Graphviz.
    #[arg(long, value_name = "FILE")]
    pub(crate) graph: Option<String>,
    /// Write what became of the run, failed windows with their reasons among it: .html, .txt or .json.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<String>,
    /// Write only part I of N of each Zarr; the run that is last puts it in place.
    #[arg(long, value_name = "I/N")]
    pub(crate) partition: Option<String>,
    /// Folder for what is stored between stages and does not fit in memory [default: that of temporary files].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<String>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Register the files that are written as items of a STAC catalog in this folder, one a step.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) catalog: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop run das minutes/*.h5 --to das.zarr\n  \
    outcrop run das minutes/*.h5 --to das.zarr --band 0.1,10 --every 8 --channels 23000:35000\n  \
    outcrop run das --items catalog --asset data --to das.zarr --gaps refuse --catalog results\n  \
    outcrop run das minutes/*.h5 --to das.zarr --plan")]
pub(crate) struct DasArgs {
    /// Files of one recording, in any order: HDF5, NetCDF or Zarr with time and distance.
    #[arg(value_name = "FILE", required_unless_present = "items", conflicts_with = "items")]
    pub(crate) files: Vec<String>,
    /// Items instead of files: catalog, collection, item or file of items.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) items: Option<String>,
    /// Asset of each item [default: the only one, else `data`].
    #[arg(long, value_name = "KEY", requires = "items")]
    pub(crate) asset: Option<String>,
    /// Zarr store of the result; pictures go beside it.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Variable, where files have several of time and distance.
    #[arg(long, value_name = "NAME")]
    pub(crate) variable: Option<String>,
    /// Channels by position, the end not included.
    #[arg(long, value_name = "A:B", conflicts_with = "distance")]
    pub(crate) channels: Option<String>,
    /// Channels by distance in the units of the file, both ends included.
    #[arg(long, value_name = "A:B", allow_hyphen_values = true)]
    pub(crate) distance: Option<String>,
    /// Samples of this time, both ends included: START/END.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// What becomes of gaps and overlaps.
    #[arg(long, value_enum, default_value_t = GapsName::Report)]
    pub(crate) gaps: GapsName,
    /// What is subtracted from each channel: constant, linear, both or none.
    #[arg(long, value_name = "TRENDS", value_enum, value_delimiter = ',', default_value = "constant,linear")]
    pub(crate) detrend: Vec<TrendName>,
    /// Frequencies that pass, in Hz [default: 0.025,5].
    #[arg(long, value_name = "LOW,HIGH", conflicts_with_all = ["lowpass", "highpass"])]
    pub(crate) band: Option<String>,
    /// Pass frequencies below this one, in Hz.
    #[arg(long, value_name = "HZ", conflicts_with = "highpass")]
    pub(crate) lowpass: Option<f64>,
    /// Pass frequencies above this one, in Hz.
    #[arg(long, value_name = "HZ")]
    pub(crate) highpass: Option<f64>,
    /// Order of the Butterworth filter, which goes forward and backward.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) order: usize,
    /// Keep each N-th sample.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
    /// What NaN does to the median of the channels, which is subtracted.
    #[arg(long, value_enum, default_value_t = MedianName::Propagate)]
    pub(crate) median: MedianName,
    /// Do not subtract the median of the channels.
    #[arg(long, conflicts_with = "median")]
    pub(crate) no_median: bool,
    /// Compress the result with Zstandard at this level, 1 to 22; 0 does not.
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=22))]
    pub(crate) compress: u8,
    #[command(flatten)]
    pub(crate) pictures: DasPictures,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Folder for what does not fit in memory [default: that of temporary files].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<String>,
    /// Register the result as an item of a STAC catalog in this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) catalog: Option<String>,
}

/// The pictures of a recording.
#[derive(Debug, Args)]
pub(crate) struct DasPictures {
    /// First channel of the pictures, by position in the file.
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) from_channel: Option<u64>,
    /// Last channel of the pictures, included.
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) to_channel: Option<u64>,
    /// Share of the largest amplitude of the result that is clipped.
    #[arg(long, value_name = "SHARE", default_value_t = 0.99)]
    pub(crate) pclip: f64,
    /// The same of the raw samples.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) raw_pclip: f64,
    /// Draw no pictures.
    #[arg(long)]
    pub(crate) no_images: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GapsName {
    /// They are named; samples on both sides follow one another.
    Report,
    /// They are an error.
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrendName {
    /// The mean.
    Constant,
    /// The line of least squares.
    Linear,
    /// Nothing.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MedianName {
    /// One NaN makes a sample NaN in all channels.
    Propagate,
    /// NaN is left out.
    Skip,
}
