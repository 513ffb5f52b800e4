//! Heat index of daily temperature images: what they are on average, over the cells of each day and over the days of each cell.
//!
//! All products come from one pass over the files, as a fold:
//! 1. the mean of each day over its cells with data, in degrees Fahrenheit, unweighted;
//! 2. the mean of each cell over all days, and over the days of each month of the year.
//!
//! Sums are in double precision in the order of time, sums of a day exact, so the results have the same bits for any number
//! of threads and any chunks of the files.

mod days;
mod fold;
mod item;
mod output;
mod picture;
mod run;
mod select;
mod series;
mod tiles;
mod values;
mod zarr;

pub use days::missing_days;
pub use fold::{HeatColumn, HeatFold, HeatState};
pub use item::item;
pub use outcrop_compute::{DatePattern, day_of_name};
pub use output::{HeatFiles, HeatOutput, HeatWriter, limits, nearest_csv};
pub use run::{DailyMean, HeatIndex, HeatOptions, HeatPlan, HeatReport};
pub use select::{Part, Selection};
pub use series::{DayFile, Series, SeriesOptions};
pub use values::{DaySum, Masking, NanRule, Rule, Units};
