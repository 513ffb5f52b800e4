//! Arguments of `outcrop run`: one struct a pipeline.

use clap::{Args, Subcommand, ValueEnum};

use super::Selection;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop run spring-index --items local --to first-leaf.zarr --plan\n  \
    outcrop run program --help")]
pub(crate) struct RunArgs {
    #[command(subcommand)]
    pub(crate) pipeline: RunPipeline,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one for each run of the program")]
pub(crate) enum RunPipeline {
    /// First leaf of three plants from tmin, tmax and dayl.
    SpringIndex(SpringIndexArgs),
    /// Arrays computed as a file of steps says (TOML): the operations of NumPy and xarray by name.
    Program(ProgramArgs),
}

/// What a run may take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Print the plan as JSON and stop.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Most memory for arrays, like 500MB or 2GiB [default: half of what is free].
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
    outcrop run program mean.toml --memory 500MB --partition 2/8")]
pub(crate) struct ProgramArgs {
    /// File of steps; paths in it are relative to its folder.
    pub(crate) file: String,
    /// Draw the steps as a graph: .svg, or .dot for Graphviz.
    #[arg(long, value_name = "FILE")]
    pub(crate) graph: Option<String>,
    /// Write only part I of N of each Zarr; the run that is last puts it in place.
    #[arg(long, value_name = "I/N")]
    pub(crate) partition: Option<String>,
    /// Folder for what is stored between stages and does not fit in memory [default: that of temporary files].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<String>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}
