//! Arguments and their help.

mod catalogs;
mod fetch;
mod heat_index;
mod run;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use catalogs::{
    BuildArgs, CollectionsArgs, DescribeArgs, HarvestArgs, IndexArgs, ItemFormat, MigrateArgs, SearchArgs, Selection,
    ValidateArgs,
};
pub(crate) use fetch::{Conflict, DoctorArgs, FetchArgs};
pub(crate) use heat_index::{HeatIndexArgs, HeatPart, HeatValues, MaskingName, NanName, UnitsName};
pub(crate) use run::{
    DasArgs, ExecutorName, GapsName, Limits, MedianName, ProgramArgs, RunArgs, RunPipeline, SpringIndexArgs, TrendName,
};

/// Catalog, fetch and compute archives of array data.
#[derive(Debug, Parser)]
#[command(
    name = "outcrop",
    version,
    after_help = "Start with `outcrop demo`: the whole way on a small archive that it serves itself.\n\
                  Exit codes: 0 done, 1 some items failed (each is named), 2 could not run, 130/143 ended by a signal."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print one machine-readable summary to stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but results and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Write what happens to this file, a line of JSON each: begin, progress, end, asset.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) events: Option<String>,
    /// Further tries of a request that may pass.
    #[arg(long, global = true, value_name = "N", default_value_t = 4)]
    pub(crate) retries: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a STAC catalog from an archive, as a recipe says.
    Build(BuildArgs),
    /// Tell what a catalog holds: the tree, counts, extents, assets.
    Describe(DescribeArgs),
    /// Find items of a catalog.
    Search(SearchArgs),
    /// Find collections of a catalog or a STAC API.
    Collections(CollectionsArgs),
    /// Write the items of a catalog as a table (stac-geoparquet) that is searched without reading the rest.
    Index(IndexArgs),
    /// Write the items of an API, a catalog or a file as a static catalog.
    Harvest(HarvestArgs),
    /// Check documents against the schemas of STAC and its extensions, offline.
    Validate(ValidateArgs),
    /// Bring documents of STAC 1.0 to 1.1.
    Migrate(MigrateArgs),
    /// Copy selected assets of selected items and rewrite their hrefs.
    Fetch(FetchArgs),
    /// Tell what a host can do: ranges, ETags, digests, speed, clock, credentials.
    Doctor(DoctorArgs),
    /// Tell what is in a file, a Zarr store or the files of an item.
    Info(InfoArgs),
    /// Copy a file, or a part of it, into another format.
    Convert(ConvertArgs),
    /// Run a pipeline on items.
    Run(RunArgs),
    /// Draw a map as PNG.
    Plot(PlotArgs),
    /// Serve a folder over HTTP, read-only, with index pages and byte ranges.
    Serve(ServeArgs),
    /// The whole way on a small archive: make, serve, build, search, fetch, compute, plot, register.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop info local/pr/pr-1980/daymet_v4_daily_pr_tmin_1980.nc\n  \
    outcrop info local#pr-1980\n  \
    outcrop info local/pr/pr-1980/daymet_v4_daily_pr_tmin_1980.nc --save-references tmin.json")]
pub(crate) struct InfoArgs {
    /// File, Zarr store, document of references (kerchunk), item document or CATALOG#ID: a path, or a URL of http(s), s3,
    /// gs, az or abfs(s).
    pub(crate) href: String,
    /// List the chunk references of each variable.
    #[arg(long)]
    pub(crate) references: bool,
    /// A file without a header: its type (NumPy's names), shape, and where they are not the defaults offset, tail, dims,
    /// name: `dtype=<i2,shape=1000x200,offset=512,dims=time:distance`.
    #[arg(long, value_name = "SPEC")]
    pub(crate) raw: Option<String>,
    /// Open with GDAL what other readers know too, and files that name others as a VRT does (needs a program that was
    /// built with `--features gdal`).
    #[arg(long, conflicts_with = "raw")]
    pub(crate) gdal: bool,
    /// Write the chunk references of all variables: kerchunk JSON if FILE ends with .json, a folder of kerchunk's
    /// tables if it ends with .parq or .parquet (xarray opens both through zarr), else a compact file that `outcrop` opens in place of the original.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_references: Option<String>,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How<'a> {
    /// By what its header says.
    Header,
    /// As it is declared.
    Raw(&'a str),
    /// With GDAL, whatever it is.
    Gdal,
}

impl InfoArgs {
    pub(crate) fn how(&self) -> How<'_> {
        if self.gdal { How::Gdal } else { self.raw.as_deref().map_or(How::Header, How::Raw) }
    }
}

impl ConvertArgs {
    pub(crate) fn how(&self) -> How<'_> {
        if self.gdal { How::Gdal } else { self.raw.as_deref().map_or(How::Header, How::Raw) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// Cloud-optimised GeoTIFF.
    Cog,
    /// NetCDF-4.
    Netcdf4,
    /// NetCDF-3, in the oldest version that can hold everything.
    Netcdf3,
    /// Zarr 3, or what `--zarr-format` says.
    Zarr,
    /// miniSEED 2.
    Miniseed,
    /// miniSEED 3.
    Miniseed3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResamplingName {
    /// The upper left of four cells.
    Nearest,
    /// Their mean, without those that have no data.
    Average,
    /// The value that most of them have.
    Mode,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop convert local/pr/pr-1980/daymet_v4_daily_pr_tmin_1980.nc --to tmin.tif --var tmin\n  \
    outcrop convert tmin.tif --to january.tif --isel band=0:31 --compress zstd:15\n  \
    outcrop convert tmin.tif --to tmin.zarr --shard band=30")]
pub(crate) struct ConvertArgs {
    /// File, Zarr store or document of references: a path, or a URL of http(s), s3, gs, az or abfs(s).
    pub(crate) href: String,
    /// File to write; its format is that of its name: .tif, .nc, .zarr, .mseed.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) to: String,
    /// Variables; their coordinates and grid mappings come with them [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) var: Vec<String>,
    /// Positions along a dimension, from the first to before the second: time=0:31; one: time=5.
    #[arg(long, value_name = "DIM=A:B", value_delimiter = ',')]
    pub(crate) isel: Vec<String>,
    /// The format, where the name does not tell it.
    #[arg(long, value_enum)]
    pub(crate) format: Option<FileFormat>,
    /// deflate, zstd, lzw, steim1, steim2, int32 or none, with a level where it has one: deflate:9. What a format has not is
    /// refused [default: deflate, of Zarr zstd, of miniSEED steim2, of a GeoTIFF made from one the same].
    #[arg(long, value_name = "NAME[:LEVEL]")]
    pub(crate) compress: Option<String>,
    /// Length of chunks along a dimension: time=1 [default: that of the source].
    #[arg(long, value_name = "DIM=N", value_delimiter = ',')]
    pub(crate) chunk: Vec<String>,
    /// Length of shards of Zarr along a dimension, whole chunks: time=365.
    #[arg(long, value_name = "DIM=N", value_delimiter = ',')]
    pub(crate) shard: Vec<String>,
    /// Version of Zarr, 2 or 3 [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) zarr_format: Option<u8>,
    /// What becomes of missing values, scale and offset.
    #[arg(long, value_enum, default_value = "raw")]
    pub(crate) decode: PolicyName,
    /// Rows and columns of a tile of a GeoTIFF [default: those of the source where it is one, else 512].
    #[arg(long, value_name = "N")]
    pub(crate) tile: Option<u64>,
    /// Most overviews of a GeoTIFF [default: down to one tile].
    #[arg(long, value_name = "N")]
    pub(crate) overviews: Option<usize>,
    /// How cells of overviews are made [default: average of floats, else nearest].
    #[arg(long, value_enum)]
    pub(crate) resampling: Option<ResamplingName>,
    /// A file without a header: as for `outcrop info --raw`.
    #[arg(long, value_name = "SPEC")]
    pub(crate) raw: Option<String>,
    /// Open with GDAL: as for `outcrop info --gdal`.
    #[arg(long, conflicts_with = "raw")]
    pub(crate) gdal: bool,
    /// Most memory for values, like 500MB or 2GiB [default: 512 MiB, at most a quarter of what is
    /// free].
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyName {
    /// Values as they are stored, with the attributes that say what they mean.
    Raw,
    /// Missing values become NaN; scale and offset stay attributes.
    Masked,
    /// Physical values as floats, missing ones NaN: what xarray opens by default.
    Scaled,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop plot first-leaf.zarr/1980 --var first-leaf-doy --sel plant=lilac -o lilac.png\n  \
    outcrop plot local/pr/pr-1980/daymet_v4_daily_pr_tmin_1980.nc --var tmin --isel time=0 -o tmin.png")]
pub(crate) struct PlotArgs {
    /// File, or group of a Zarr store.
    pub(crate) href: String,
    /// Variable [default: the only one with two dimensions or more].
    #[arg(long, value_name = "NAME")]
    pub(crate) var: Option<String>,
    /// Position along a dimension.
    #[arg(long, value_name = "DIM=N", value_delimiter = ',')]
    pub(crate) isel: Vec<String>,
    /// Label along a dimension; the nearest number, or the same text.
    #[arg(long, value_name = "DIM=LABEL", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) sel: Vec<String>,
    /// Title [default: name and selection].
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// PNG file.
    #[arg(long, short, value_name = "FILE.png")]
    pub(crate) output: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  outcrop serve local\n  outcrop serve . --bind 127.0.0.1:9000")]
pub(crate) struct ServeArgs {
    /// Folder.
    pub(crate) folder: String,
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) bind: std::net::SocketAddr,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  outcrop demo\n  outcrop demo --to /tmp/demo --json")]
pub(crate) struct DemoArgs {
    /// Folder for everything the demo makes; an older demo there is replaced.
    #[arg(long, value_name = "FOLDER", default_value = "outcrop-demo")]
    pub(crate) to: String,
}
