//! The spring index of a dataset with tmin, tmax and day length: units, coarsening, days, plan and run.

use outcrop_compute::{Coord, DataArray, Dataset, FoldPlan, RunOptions, fold::Bound, fold::RunReport};
use outcrop_formats::AttrValue;
use outcrop_grid::time::CfTime;
use serde::Serialize;

use super::result::ResultWriter;
use super::{FirstLeaf, PLANTS, Plant};
use crate::{Error, Result};

/// Parameters of the spring index.
#[derive(Debug, Clone)]
pub struct SpringIndexOptions {
    /// Plants; with more than one the result also has their mean.
    pub plants: Vec<Plant>,
    /// Cells per side of the windows that are averaged first; 1 for none.
    pub coarsen: u64,
    /// First day, counted from 1 on the time axis.
    pub start_day: u64,
    /// Last day, inclusive.
    pub end_day: u64,
}

impl Default for SpringIndexOptions {
    fn default() -> Self {
        Self { plants: PLANTS.to_vec(), coarsen: 1, start_day: 1, end_day: 300 }
    }
}

/// A planned spring index.
#[derive(Debug)]
pub struct SpringIndex {
    plan: FoldPlan<FirstLeaf>,
    options: SpringIndexOptions,
    /// An input after coarsening: its labels and grid mapping are those of the result.
    like: DataArray,
    assumed: Vec<String>,
}

/// What a run of the spring index did.
#[derive(Debug, Clone)]
pub struct SpringReport {
    /// The run.
    pub run: RunReport,
    /// Cells of the result for which the first plant has a first leaf.
    pub cells: u64,
    /// Cells of the result.
    pub of_cells: u64,
    /// Earliest and latest first leaf of the first plant as days of the year.
    pub range: Option<(f64, f64)>,
}

/// A plan as data: what would be read, cut and held.
#[derive(Debug, Clone, Serialize)]
pub struct PlanSummary {
    /// Name of the pipeline.
    pub pipeline: &'static str,
    /// Names of the plants.
    pub plants: Vec<&'static str>,
    /// Cells per side of the averaged windows.
    pub coarsen: u64,
    /// First and last day, from 1.
    pub days: [u64; 2],
    /// Files and variables that are read.
    pub inputs: Vec<PlanInput>,
    /// Shape of the result's plane.
    pub plane: Vec<u64>,
    /// Windows of the plane that are one task each.
    pub tasks: Vec<Vec<std::ops::Range<u64>>>,
    /// Slabs that each task reads in order.
    pub slabs: usize,
    /// Bytes of all chunks of the plan as stored.
    pub stored_bytes: u64,
    /// Upper bound of the memory for arrays.
    pub memory: Bound,
    /// Its sum in bytes.
    pub memory_bytes: u64,
}

/// A variable that a plan reads.
#[derive(Debug, Clone, Serialize)]
pub struct PlanInput {
    /// The file, without secrets.
    pub href: String,
    /// The variable.
    pub variable: String,
    /// Shape of the whole variable.
    pub shape: Vec<u64>,
    /// Shape of its chunks.
    pub chunk: Vec<u64>,
}

impl SpringIndex {
    /// Names of the variables that a dataset must have.
    pub const VARIABLES: [&'static str; 3] = ["tmin", "tmax", "dayl"];

    /// Plans the spring index of a dataset.
    ///
    /// # Errors
    /// [`Error::Parameter`] for days or windows that do not fit, [`Error::Units`], and those of the arrays.
    pub fn new(dataset: &Dataset, options: SpringIndexOptions) -> Result<Self> {
        let mut inputs = Vec::with_capacity(3);
        let mut like = None;
        let mut assumed = Vec::new();
        for name in Self::VARIABLES {
            let array = dataset.array(name)?;
            check_axes(array, &mut assumed)?;
            let coarse = coarsened(array, &options)?;
            like.get_or_insert_with(|| coarse.clone());
            inputs.push(in_formula_units(&days(&coarse, &options)?, &mut assumed)?);
        }
        let plan = FoldPlan::new(inputs, FirstLeaf::new(options.plants.clone(), options.start_day))?;
        let Some(like) = like else { return Err(outcrop_compute::Error::Worker.into()) };
        assumed.sort();
        assumed.dedup();
        Ok(Self { plan, options, like, assumed })
    }

    /// The plan.
    pub fn plan(&self) -> &FoldPlan<FirstLeaf> {
        &self.plan
    }

    /// The parameters.
    pub fn options(&self) -> &SpringIndexOptions {
        &self.options
    }

    /// What the files do not say and was taken for granted; it is also an attribute of the result.
    pub fn assumed(&self) -> &[String] {
        &self.assumed
    }

    /// The labels and attributes that the result takes over.
    pub fn like(&self) -> &DataArray {
        &self.like
    }

    /// The plan as data.
    ///
    /// # Errors
    /// [`outcrop_compute::Error::Memory`] if it does not fit the allowance.
    pub fn summary(&self, run: &RunOptions) -> Result<PlanSummary> {
        let memory = self.plan.bound(run)?;
        let sources = Self::VARIABLES.iter().zip(self.inputs());
        Ok(PlanSummary {
            pipeline: "spring-index",
            plants: self.options.plants.iter().map(|plant| plant.name).collect(),
            coarsen: self.options.coarsen,
            days: [self.options.start_day, self.options.end_day],
            inputs: sources.map(|(_, input)| input).collect(),
            plane: self.plan.plane().to_vec(),
            tasks: self.plan.columns().to_vec(),
            slabs: self.plan.slabs().len(),
            stored_bytes: self.plan.stored_bytes(),
            memory,
            memory_bytes: memory.total(),
        })
    }

    /// Files and variables that the plan reads.
    pub fn inputs(&self) -> Vec<PlanInput> {
        let of = |source: &std::sync::Arc<outcrop_compute::Source>| PlanInput {
            href: source.href().to_string(),
            variable: source.variable().name.clone(),
            shape: source.refs().grid.shape.clone(),
            chunk: source.refs().grid.chunk.clone(),
        };
        self.plan.inputs().iter().flat_map(|input| input.sources().iter().map(of).collect::<Vec<_>>()).collect()
    }

    /// Runs the plan and writes the result.
    ///
    /// # Errors
    /// Those of the arrays; [`Error::Format`] if the result cannot be written. Nothing appears at the final place then.
    pub fn run(&self, run: &RunOptions, mut writer: ResultWriter) -> Result<SpringReport> {
        let (mut cells, mut of_cells) = (0, 0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let offset = self.options.start_day as f64;
        let report = self.plan.run::<Error>(run, |column| {
            if let Some(first) = column.output.first() {
                of_cells += first.len() as u64;
                for value in first.iter().filter(|v| !v.is_nan()) {
                    cells += 1;
                    (low, high) = (low.min(value + offset), high.max(value + offset));
                }
            }
            writer.write(column.window, column.output)
        })?;
        writer.finish()?;
        let range = (cells > 0).then_some((low, high));
        Ok(SpringReport { run: report, cells, of_cells, range })
    }
}

/// The first dimension must be the days of a year from 1 January, the other two the plane.
fn check_axes(array: &DataArray, assumed: &mut Vec<String>) -> Result<()> {
    let refuse = |why: String| Error::Axis { variable: array.name.clone(), why };
    let [time, ..] = &array.dims[..] else { return Err(refuse("it has no dimensions".into())) };
    if array.dims.len() != 3 {
        return Err(refuse(format!(
            "its dimensions are {}, three are needed: time and a plane",
            array.dims.join(", ")
        )));
    }
    let coord = array.coords.get(time);
    let units = coord.and_then(|coord| text(coord, "units"));
    let (Some(coord), Some(units)) = (coord, units) else {
        if time != "time" {
            return Err(refuse(format!("its first dimension `{time}` is not a time axis")));
        }
        assumed.push("the time axis has no dates: its steps are the days of a year from 1 January".into());
        return Ok(());
    };
    let calendar = text(coord, "calendar").unwrap_or_default();
    let axis = CfTime::parse(&units, &calendar).map_err(|e| refuse(format!("its first dimension `{time}`: {e}")))?;
    let decoded = |at: usize| coord.values.get(at).and_then(|value| axis.decode(*value));
    let Some(first) = decoded(0) else { return Err(refuse(format!("its time axis `{time}` has no dates"))) };
    if first.yearday != 1 {
        let (year, month, day) = (first.year, first.month, first.day);
        return Err(refuse(format!("its time axis starts on {year:04}-{month:02}-{day:02}, not on 1 January")));
    }
    let daily = |pair: &[f64]| {
        let (Some(a), Some(b)) = (axis.decode(pair[0]), axis.decode(pair[1])) else { return false };
        let next = a.year == b.year && b.yearday == a.yearday + 1 || b.year == a.year + 1 && b.yearday == 1;
        next && (a.second - b.second).abs() < 1.0
    };
    match coord.values.windows(2).position(|pair| !daily(pair)) {
        Some(at) => Err(refuse(format!("its time axis has no step of one day after position {at}"))),
        None => Ok(()),
    }
}

fn text(coord: &Coord, name: &str) -> Option<String> {
    match coord.attrs.get(name) {
        Some(AttrValue::Text(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn coarsened(array: &DataArray, options: &SpringIndexOptions) -> Result<DataArray> {
    if options.coarsen == 0 {
        return Err(Error::Parameter { name: "coarsen", value: "0".into(), why: "use 1 for no coarsening".into() });
    }
    if options.coarsen == 1 {
        return Ok(array.clone());
    }
    let inner: Vec<(&str, u64)> = array.dims.iter().skip(1).map(|dim| (dim.as_str(), options.coarsen)).collect();
    Ok(array.coarsen(&inner)?.mean()?)
}

fn days(array: &DataArray, options: &SpringIndexOptions) -> Result<DataArray> {
    let (start, end) = (options.start_day, options.end_day);
    let refuse =
        |name: &'static str, value: u64, why: String| Err(Error::Parameter { name, value: value.to_string(), why });
    let len = array.shape().first().copied().unwrap_or(0);
    if start == 0 {
        return refuse("start-day", start, "days are counted from 1".into());
    }
    if end < start {
        return refuse("end-day", end, format!("it is before the start day {start}"));
    }
    if end > len {
        return refuse("end-day", end, format!("`{}` has {len} days", array.name));
    }
    let dim = array.dims.first().cloned().unwrap_or_default();
    Ok(array.isel(&dim, start - 1..end)?)
}

/// Temperatures in °F and day lengths in hours, in the precision of the file.
fn in_formula_units(array: &DataArray, assumed: &mut Vec<String>) -> Result<DataArray> {
    let units = match array.attrs.get("units") {
        Some(AttrValue::Text(units)) => units.trim().to_lowercase(),
        _ => String::new(),
    };
    if units.is_empty() {
        let unit = if array.name == "dayl" { "seconds" } else { "degrees Celsius" };
        assumed.push(format!("`{}` has no units: {unit}", array.name));
    }
    let refuse = |want| Error::Units { variable: array.name.clone(), units: units.clone(), want };
    if array.name == "dayl" {
        return match units.as_str() {
            "" | "s" | "sec" | "second" | "seconds" => Ok(array.divide(3600.0)?),
            "h" | "hour" | "hours" | "hr" => Ok(array.clone()),
            _ => Err(refuse("seconds or hours")),
        };
    }
    let to_f = |celsius: DataArray| -> Result<DataArray> { Ok(celsius.multiply(1.8)?.add(32.0)?) };
    match units.as_str() {
        "" | "degrees c" | "degree c" | "deg c" | "degc" | "c" | "°c" | "celsius" | "degrees_celsius"
        | "degree_celsius" | "degrees celsius" | "degree celsius" => to_f(array.clone()),
        "k" | "kelvin" | "degrees k" => to_f(array.subtract(273.15)?),
        "f" | "degf" | "°f" | "degrees f" | "fahrenheit" | "degrees fahrenheit" | "degrees_fahrenheit" => {
            Ok(array.clone())
        }
        _ => Err(refuse("degrees Celsius, Fahrenheit or kelvin")),
    }
}
