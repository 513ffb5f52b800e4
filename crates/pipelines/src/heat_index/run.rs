//! The heat index of a series: plan, memory, run.

use std::ops::Range;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use outcrop_compute::fold::{Bound, RunReport};
use outcrop_compute::{DataArray, FoldPlan, RunOptions, default_allowance, human};
use outcrop_formats::DType;
use serde::Serialize;

use super::days::missing_days;
use super::fold::{Day, HeatColumn, HeatFold, Total};
use super::series::Series;
use super::values::{DaySum, Masking, NanRule, Rule, Ways};
use crate::{Error, Result};

/// Parameters of the heat index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeatOptions {
    /// What NaN does to the mean of a day.
    pub nan: NanRule,
    /// What cells without data do to means over time.
    pub masking: Masking,
}

/// A planned heat index.
#[derive(Debug)]
pub struct HeatIndex {
    series: Series,
    months: Vec<u32>,
    options: HeatOptions,
    plan: FoldPlan<HeatFold>,
}

/// The mean of a day in degrees Fahrenheit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DailyMean {
    /// The day.
    pub day: NaiveDate,
    /// The mean over its cells with data; NaN without one.
    pub mean_f: f64,
    /// Cells with data.
    pub count: u64,
}

/// What a run made.
#[derive(Debug, Clone)]
pub struct HeatReport {
    /// The run.
    pub run: RunReport,
    /// Means of days, in the order of time.
    pub days: Vec<DailyMean>,
}

/// A plan as data.
#[derive(Debug, Clone, Serialize)]
pub struct HeatPlan {
    /// Name of the pipeline.
    pub pipeline: &'static str,
    /// Number of files.
    pub files: usize,
    /// First and last day.
    pub days: Option<[String; 2]>,
    /// Days between them that are not there.
    pub missing_days: Vec<String>,
    /// Months of the year that occur.
    pub months: Vec<u32>,
    /// Shape of a day's plane.
    pub plane: Vec<u64>,
    /// Windows of the plane that are computed one after the other.
    pub tasks: Vec<Vec<Range<u64>>>,
    /// Slabs that each task reads in order.
    pub slabs: usize,
    /// Bytes of all chunks of the plan as stored.
    pub stored_bytes: u64,
    /// Upper bound of the memory for arrays.
    pub memory: Bound,
    /// Its sum in bytes.
    pub memory_bytes: u64,
    /// What the files do not say and was taken for granted.
    pub assumed: Vec<String>,
}

impl HeatIndex {
    /// Plans the heat index of a series.
    ///
    /// # Errors
    /// Those of the plan.
    pub fn new(series: Series, options: HeatOptions) -> Result<Self> {
        let months = series.months();
        let place = |day: NaiveDate| months.iter().position(|month| *month == day.month()).unwrap_or(0);
        let days: Arc<[Day]> = series
            .files
            .iter()
            .zip(&series.rules)
            .map(|(file, rule)| Day { rule: *rule, month: place(file.day) })
            .collect();
        let ways = Ways { units: series.units, nan: options.nan, masking: options.masking };
        let stored = series.array.dtype().size() as u64;
        let single = series.rules.iter().all(Rule::is_single);
        let total = if single { Total::OfMonths } else { Total::OfDays };
        let fold = HeatFold { days, months: months.len(), ways, total, stored };
        let plan = FoldPlan::new(vec![series.array.clone()], fold)?;
        Ok(Self { series, months, options, plan })
    }

    /// The days and cells.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The plan.
    pub fn plan(&self) -> &FoldPlan<HeatFold> {
        &self.plan
    }

    /// The parameters.
    pub fn options(&self) -> HeatOptions {
        self.options
    }

    /// Months of the year that occur, rising: what the means after the first are of.
    pub fn months(&self) -> &[u32] {
        &self.months
    }

    /// Days between the first and the last that are not there.
    pub fn missing_days(&self) -> Vec<NaiveDate> {
        let days: Vec<NaiveDate> = self.series.files.iter().map(|file| file.day).collect();
        missing_days(&days)
    }

    /// Type of the means over time: single precision, but where xarray has double.
    pub fn dtype(&self) -> DType {
        let floats = [DType::Float16, DType::Float32, DType::Float64];
        let whole = !floats.contains(&self.series.image.dtype) && self.options.masking == Masking::None;
        let single = self.series.rules.iter().all(Rule::is_single) && !whole;
        if single { DType::Float32 } else { DType::Float64 }
    }

    /// The plan as data, for a run that keeps `kept` bytes besides.
    ///
    /// # Errors
    /// [`outcrop_compute::Error::Memory`] if it does not fit the allowance.
    pub fn summary(&self, run: &RunOptions, kept: u64) -> Result<HeatPlan> {
        let memory = self.plan.bound(&within(run, kept)?).map_err(memory_error)?;
        Ok(HeatPlan {
            pipeline: "heat-index",
            files: self.series.files.len(),
            days: self.series.span().map(|(first, last)| [first.to_string(), last.to_string()]),
            missing_days: self.missing_days().iter().map(NaiveDate::to_string).collect(),
            months: self.months.clone(),
            plane: self.plan.plane().to_vec(),
            tasks: self.plan.columns().to_vec(),
            slabs: self.plan.slabs().len(),
            stored_bytes: self.plan.stored_bytes(),
            memory,
            memory_bytes: memory.total() + kept,
            assumed: self.series.assumed.clone(),
        })
    }

    /// Runs the plan. `sink` is given each window of the plane with the mean over time of its cells, then those of the
    /// months, in C order; it keeps `kept` bytes.
    ///
    /// # Errors
    /// Those of the arrays and of `sink`.
    pub fn run(
        &self,
        run: &RunOptions,
        kept: u64,
        mut sink: impl FnMut(&[Range<u64>], &[Vec<f64>]) -> Result<()>,
    ) -> Result<HeatReport> {
        let mut sums = vec![DaySum::default(); self.series.files.len()];
        let report = self.plan.run::<Error>(&within(run, kept)?, |column| {
            let HeatColumn { means, days } = column.output;
            for (sum, part) in sums.iter_mut().zip(&days) {
                sum.add(part);
            }
            sink(column.window, &means)
        });
        let report = report.map_err(|error| match error {
            Error::Compute(error) => memory_error(error),
            other => other,
        })?;
        let daily =
            |(file, sum): (&super::DayFile, &DaySum)| DailyMean { day: file.day, mean_f: sum.mean(), count: sum.count };
        Ok(HeatReport { run: report, days: self.series.files.iter().zip(&sums).map(daily).collect() })
    }

    /// A place in degrees as x and y of the files.
    ///
    /// # Errors
    /// [`Error::Parameter`] if it has none there.
    pub fn in_files(&self, [lon, lat]: [f64; 2]) -> Result<[f64; 2]> {
        match super::output::crs(self) {
            Some(Ok(crs)) if !crs.is_lonlat() => crs.from_lonlat(lon, lat).map_err(|e| Error::Parameter {
                name: "nearest",
                value: format!("{lon},{lat}"),
                why: e.to_string(),
            }),
            _ => Ok([lon, lat]),
        }
    }

    /// The temperatures of the nearest cell by day, with its x and y; NaN where there is no data. Reads the chunks of the
    /// cell once more.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the image is turned or the selection is empty; those of the arrays.
    pub fn nearest(&self, run: &RunOptions, [x, y]: [f64; 2]) -> Result<([f64; 2], Vec<f64>)> {
        let refuse = |why: &str| Error::Parameter { name: "nearest", value: format!("{x},{y}"), why: why.into() };
        let array = &self.series.array;
        let at = |dim: &str, label: f64| -> Result<(u64, f64)> {
            let labels = array.coords.get(dim).ok_or_else(|| refuse("the image is turned and has no coordinates"))?;
            let near = |(_, a): &(u64, f64), (_, b): &(u64, f64)| (a - label).abs().total_cmp(&(b - label).abs());
            let found = (0u64..).zip(labels.values.iter().copied()).min_by(near);
            found.ok_or_else(|| refuse("the selection is empty"))
        };
        let ((column, x), (row, y)) = (at("x", x)?, at("y", y)?);
        let cell: DataArray = array.index("y", row)?.index("x", column)?;
        Ok(([x, y], self.temperatures(&cell, run)?))
    }

    /// All temperatures, by day and cell in C order; NaN where there is no data. For selections that fit in memory.
    ///
    /// # Errors
    /// Those of the arrays.
    pub fn values(&self, run: &RunOptions) -> Result<Vec<f64>> {
        self.temperatures(&self.series.array, run)
    }

    fn temperatures(&self, array: &DataArray, run: &RunOptions) -> Result<Vec<f64>> {
        let values = array.compute_with(run)?.into_f64();
        let cells = (values.len() / self.series.rules.len().max(1)).max(1);
        let mask = self.options.masking;
        let of = |stored: f64, rule: &Rule| match (rule.apply(stored), mask) {
            (Some(value), _) => value,
            (None, Masking::Nodata) => f64::NAN,
            (None, Masking::None) => rule.nodata().unwrap_or(f64::NAN),
        };
        let days = values.chunks(cells).zip(&self.series.rules);
        Ok(days.flat_map(|(day, rule)| day.iter().map(|stored| of(*stored, rule))).collect())
    }
}

/// The limits of a run that keeps so many bytes besides.
fn within(run: &RunOptions, kept: u64) -> Result<RunOptions> {
    let allowed = if run.memory == 0 { default_allowance() } else { run.memory };
    match allowed.checked_sub(kept).filter(|left| *left > 0) {
        Some(memory) => Ok(RunOptions { memory, ..run.clone() }),
        None => {
            Err(outcrop_compute::Error::Memory { need: human(kept + 1), allowed: human(allowed), hint: HINT }.into())
        }
    }
}

const HINT: &str = ", or select a part with --sel";

fn memory_error(error: outcrop_compute::Error) -> Error {
    match error {
        outcrop_compute::Error::Memory { need, allowed, .. } => {
            outcrop_compute::Error::Memory { need, allowed, hint: HINT }.into()
        }
        other => other.into(),
    }
}
