//! What a program writes: Zarr, GeoTIFF, NetCDF, CSV, PNG, or a line of text.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use outcrop_compute::plan::{Partition, Plan, ZarrSink, ZarrTarget};
use outcrop_compute::{Block, DataArray, MemorySink, RunOptions};
use outcrop_formats::Attrs;
use outcrop_formats::zarr::{ZarrCompression, ZarrFormat};
use outcrop_store::{Href, publish};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::at;
use crate::{Error, Result};

/// Cells up to which a result is printed or written as a table.
const SMALL: u64 = 1 << 20;

/// Something to write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Name of the step.
    pub of: String,
    /// File; its name tells the format: .zarr, .csv or .png. Without it the values are printed.
    #[serde(default)]
    pub to: Option<String>,
    /// Lengths of chunks of Zarr along dimensions.
    #[serde(default)]
    pub chunks: IndexMap<String, u64>,
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Written {
    /// Name of the step.
    pub of: String,
    /// The file, if there is one.
    pub to: Option<String>,
    /// The values of a result that is printed.
    pub values: Option<Value>,
    /// Shape of the result.
    pub shape: Vec<u64>,
    /// Type of its values.
    pub dtype: &'static str,
    /// Tasks that were run, and that an earlier run had done.
    pub tasks: [u64; 2],
    /// Whether it is complete: of several runs that write parts, only the last sees that.
    pub complete: bool,
}

enum Kind {
    Zarr(PathBuf),
    Csv(PathBuf),
    Png(PathBuf),
    Printed,
}

impl Output {
    pub(super) fn printed(step: &str) -> Self {
        Self { of: step.to_owned(), to: None, chunks: IndexMap::new() }
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::Program { at: format!("output of `{}`", self.of), why: why.into() }
    }

    pub(super) fn array<'a>(&self, arrays: &'a IndexMap<String, DataArray>) -> Result<&'a DataArray> {
        arrays.get(&self.of).ok_or_else(|| at(&self.of, "an output names it, but there is no such step"))
    }

    fn kind(&self, folder: &Href) -> Result<Kind> {
        let Some(to) = &self.to else { return Ok(Kind::Printed) };
        let local = || self.wrong(format!("`{to}` is not a local file"));
        let path = folder.join(to.trim_end_matches('/'))?.to_path().ok_or_else(local)?;
        match path.extension().and_then(|end| end.to_str()) {
            Some("zarr") => Ok(Kind::Zarr(path)),
            Some("csv") => Ok(Kind::Csv(path)),
            Some("png") => Ok(Kind::Png(path)),
            _ => Err(self.wrong(format!(
                "`{to}` ends with none of .zarr, .csv and .png; `outcrop convert` makes other formats of Zarr"
            ))),
        }
    }

    fn target(&self, path: &Path, partition: Option<Partition>) -> ZarrTarget {
        ZarrTarget {
            root: path.to_owned(),
            group: String::new(),
            format: ZarrFormat::V3,
            compression: ZarrCompression::Default,
            chunks: self.chunks.iter().map(|(dim, len)| (dim.clone(), *len)).collect(),
            attrs: Attrs::new(),
            partition,
        }
    }

    /// What it would take.
    pub(super) fn summary(
        &self,
        arrays: &IndexMap<String, DataArray>,
        folder: &Href,
        run: &RunOptions,
    ) -> Result<Value> {
        let array = self.array(arrays)?;
        let plan = match self.kind(folder)? {
            Kind::Zarr(_) => {
                // A sink in a folder that goes again.
                let folder = tempfile::tempdir().map_err(|e| self.wrong(e.to_string()))?;
                Plan::new(array, &ZarrSink::create(array, &self.target(&folder.path().join("plan.zarr"), None))?, run)?
            }
            _ => Plan::new(array, &MemorySink::new(array.dtype(), &array.shape()), run)?,
        };
        Ok(json!({"of": self.of, "to": self.to, "plan": plan.summary()}))
    }

    pub(super) fn write(
        &self,
        arrays: &IndexMap<String, DataArray>,
        folder: &Href,
        (run, partition): (&RunOptions, Option<Partition>),
    ) -> Result<Written> {
        let array = self.array(arrays)?;
        let mut written = Written {
            of: self.of.clone(),
            to: self.to.clone(),
            values: None,
            shape: array.shape(),
            dtype: array.dtype().name(),
            tasks: [0, 0],
            complete: true,
        };
        let kind = self.kind(folder)?;
        if let Kind::Zarr(path) = &kind {
            let sink = ZarrSink::create(array, &self.target(path, partition))?;
            let options = RunOptions { partition, ..run.clone() };
            let report = Plan::new(array, &sink, &options)?.run(&options, &sink)?;
            written.tasks = [report.tasks, report.skipped];
            written.complete = sink.finish()?;
            return Ok(written);
        }
        if partition.is_some() {
            return Err(self.wrong("parts write Zarr; name a .zarr"));
        }
        if array.dtype().is_complex() {
            return Err(self.wrong("these are complex numbers; take real, imag or absolute first, or write .zarr"));
        }
        if array.shape().iter().product::<u64>() > SMALL && !matches!(kind, Kind::Png(_)) {
            return Err(self.wrong(format!("{:?} cells are too many for a table; write .zarr", array.shape())));
        }
        let sink = MemorySink::new(array.dtype(), &array.shape());
        let report = Plan::new(array, &sink, run)?.run(run, &sink)?;
        written.tasks = [report.tasks, report.skipped];
        let block = sink.into_block();
        match kind {
            Kind::Csv(path) => put(&path, csv(array, &block).as_bytes())?,
            Kind::Png(path) => put(&path, &crate::plot::picture(array, &block.into_f64(), &self.of)?)?,
            _ => written.values = Some(printed(array, block)),
        }
        Ok(written)
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = publish::Staged::create(path)?;
    file.write(bytes)?;
    file.finish()?;
    Ok(())
}

/// A number, or a list of lists of numbers.
fn printed(array: &DataArray, block: Block) -> Value {
    let whole = block.dtype().is_integer();
    let values = block.into_f64();
    let value = |v: &f64| if whole && v.abs() < 9e15 { json!(whole_number(*v)) } else { json!(v) };
    let mut list: Vec<Value> = values.iter().map(value).collect();
    for len in array.shape().iter().skip(1).rev() {
        let len = usize::try_from(*len).unwrap_or(1).max(1);
        list = list.chunks(len).map(|row| Value::Array(row.to_vec())).collect();
    }
    if array.dims.is_empty() { list.pop().unwrap_or(Value::Null) } else { Value::Array(list) }
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^53")]
fn whole_number(value: f64) -> i64 {
    value as i64
}

/// A line for each cell: its labels, then its value; missing values are empty.
fn csv(array: &DataArray, block: &Block) -> String {
    let mut text = array.dims.join(",");
    text.push_str(if array.dims.is_empty() { "" } else { "," });
    text.push_str(&array.name);
    text.push('\n');
    let shape: Vec<usize> = array.shape().iter().map(|len| usize::try_from(*len).unwrap_or(1)).collect();
    for (at, value) in block.clone().into_f64().iter().enumerate() {
        let mut rest = at;
        let mut labels = vec![String::new(); shape.len()];
        for d in (0..shape.len()).rev() {
            let position = rest % shape[d].max(1);
            rest /= shape[d].max(1);
            labels[d] = match array.coords.get(&array.dims[d]) {
                Some(coord) if !coord.texts.is_empty() => coord.texts[position].clone(),
                Some(coord) if !coord.whole.is_empty() => coord.whole[position].to_string(),
                Some(coord) => coord.values[position].to_string(),
                None => position.to_string(),
            };
        }
        labels.push(if value.is_nan() { String::new() } else { value.to_string() });
        text.push_str(&labels.join(","));
        text.push('\n');
    }
    text
}
