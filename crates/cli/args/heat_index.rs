//! Arguments of `outcrop run heat-index`.

use clap::{Args, ValueEnum};

use super::Selection;
use super::run::Limits;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop run heat-index himax.2016.*.tif --to heat\n  \
    outcrop run heat-index himax.*.tif --to africa --sel y=20:-5,x=-30:19 --months 1,2\n  \
    outcrop run heat-index --items daily --asset tmax --to heat --catalog results\n  \
    outcrop run heat-index himax.*.tif --to heat --nearest=-111.04,45.68 --vmin=-32")]
pub(crate) struct HeatIndexArgs {
    /// Daily images: GeoTIFF files or URLs, in any order.
    #[arg(value_name = "FILE", required_unless_present = "items", conflicts_with = "items")]
    pub(crate) files: Vec<String>,
    /// Items with an image each: catalog, collection, item or file of items.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) items: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Asset of the items [default: the only one that is an image].
    #[arg(long, value_name = "KEY", requires = "items")]
    pub(crate) asset: Option<String>,
    /// Folder of the results.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: String,
    /// Where file names say the day: YYYY, MM, DD, or DDD for the day of the year.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) date_pattern: Option<String>,
    #[command(flatten)]
    pub(crate) values: HeatValues,
    #[command(flatten)]
    pub(crate) part: HeatPart,
    /// Value of the first colour of the map [default: as xarray].
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) vmin: Option<f64>,
    /// Value of the last colour of the map.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) vmax: Option<f64>,
    /// Also write a Zarr store of this format, 2 or 3.
    #[arg(long, value_name = "2|3", num_args = 0..=1, default_missing_value = "3")]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) zarr: Option<u8>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Register the results as an item of a STAC catalog in this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) catalog: Option<String>,
}

/// What the values of the images mean.
#[derive(Debug, Args)]
pub(crate) struct HeatValues {
    /// Units of the images [default: what they say, else celsius].
    #[arg(long, value_enum)]
    pub(crate) units: Option<UnitsName>,
    /// Value of cells without data [default: what the images say].
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) nodata: Option<f64>,
    /// What cells without data do to means over time.
    #[arg(long, value_enum, default_value_t = MaskingName::Nodata)]
    pub(crate) masking: MaskingName,
    /// What NaN does to the mean of its day.
    #[arg(long, value_enum, default_value_t = NanName::Poison)]
    pub(crate) nan: NanName,
    /// Band of each image, from 1 [default: the only one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) band: Option<u64>,
}

/// Which days and cells.
#[derive(Debug, Args)]
pub(crate) struct HeatPart {
    /// Months of the year, 1 to 12.
    #[arg(long, value_name = "MONTH", value_delimiter = ',')]
    pub(crate) months: Vec<u32>,
    /// Labels, both included, in the direction of the axis: y=20:-5,x=-30:19,time=2016-01-05:2016-02-01.
    #[arg(long, value_name = "DIM=FROM:TO", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) sel: Vec<String>,
    /// Positions from 0, the second not included: y=5:12,x=20:31,time=:10.
    #[arg(long, value_name = "DIM=FROM:TO", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) isel: Vec<String>,
    /// Write the temperatures of the cell nearest to a place by day (nearest.csv): longitude and latitude.
    #[arg(long, value_name = "LON,LAT", allow_hyphen_values = true)]
    pub(crate) nearest: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitsName {
    /// Degrees Celsius.
    Celsius,
    /// Degrees Fahrenheit.
    Fahrenheit,
    /// Kelvin.
    Kelvin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MaskingName {
    /// They are left out.
    Nodata,
    /// Their number takes part, as in an array that xarray opened without a mask.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NanName {
    /// The mean is NaN, as in NumPy.
    Poison,
    /// It is a cell without data.
    Missing,
}
