//! What a program writes: Zarr, NetCDF, GeoTIFF, tables, pictures, or a line of text.

mod item;
mod picture;
mod place;
mod stored;
mod table;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use outcrop_compute::plan::{FailedWindow, Partition, Plan, ZarrSink, ZarrTarget};
use outcrop_compute::{Block, DataArray, MemorySink, RunOptions};
use outcrop_formats::Attrs;
use outcrop_formats::zarr::{ZarrCompression, ZarrFormat};
use outcrop_store::{Href, Store, publish};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::at;
use crate::draw::Form;
use crate::{Error, Result};
pub use picture::Plot;

/// Cells up to which a result is printed or written as a table.
const SMALL: u64 = 1 << 20;

/// Something to write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Name of the step.
    pub of: String,
    /// File; its name tells the format: .zarr, .nc, .tif, .csv, .png or .svg. Without it the values are printed.
    #[serde(default)]
    pub to: Option<String>,
    /// Lengths of chunks along dimensions; of a GeoTIFF, of its tiles.
    #[serde(default)]
    pub chunks: IndexMap<String, u64>,
    /// What a picture shows; by default what the dimensions suggest.
    #[serde(default)]
    pub plot: Option<Plot>,
    /// Title of a picture; by default the name of the step.
    #[serde(default)]
    pub title: Option<String>,
    /// Bins of a histogram.
    #[serde(default)]
    pub bins: Option<u64>,
    /// Smallest and largest value that a picture shows.
    #[serde(default)]
    pub range: Option<[f64; 2]>,
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
    /// Windows that could not be computed, because of what is read for them.
    pub failed: Vec<FailedWindow>,
}

/// What an output becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zarr,
    NetCdf,
    GeoTiff,
    Csv,
    Picture(Form),
    Printed,
}

/// How outputs are computed, and by what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doing<'a> {
    pub(super) store: &'a Store,
    pub(super) run: &'a RunOptions,
    pub(super) partition: Option<Partition>,
}

impl Output {
    pub(super) fn printed(step: &str) -> Self {
        let (chunks, of) = (IndexMap::new(), step.to_owned());
        Self { of, to: None, chunks, plot: None, title: None, bins: None, range: None }
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::Program { at: format!("output of `{}`", self.of), why: why.into() }
    }

    fn array<'a>(&self, arrays: &'a IndexMap<String, DataArray>) -> Result<&'a DataArray> {
        arrays.get(&self.of).ok_or_else(|| at(&self.of, "an output names it, but there is no such step"))
    }

    /// The array that is written, if it can be written so.
    pub(super) fn check<'a>(&self, arrays: &'a IndexMap<String, DataArray>) -> Result<&'a DataArray> {
        let array = self.array(arrays)?;
        let kind = self.kind()?;
        let is_picture = matches!(kind, Kind::Picture(_));
        let for_pictures = self.plot.is_some() || self.title.is_some() || self.range.is_some() || self.bins.is_some();
        if for_pictures && !is_picture {
            return Err(self.wrong("`plot`, `title`, `bins` and `range` are of pictures; name a .png or .svg"));
        }
        if !self.chunks.is_empty() && !matches!(kind, Kind::Zarr | Kind::NetCdf | Kind::GeoTiff) {
            return Err(self.wrong("`chunks` are of .zarr, .nc and .tif"));
        }
        if let Some(dim) = self.chunks.keys().find(|dim| !array.dims.contains(*dim)) {
            return Err(self.wrong(format!("`chunks` names `{dim}`; its dimensions are {}", array.dims.join(", "))));
        }
        if array.dtype().is_complex() && kind != Kind::Zarr {
            return Err(self.wrong("these are complex numbers; take real, imag or absolute first, or write .zarr"));
        }
        match kind {
            Kind::Zarr | Kind::NetCdf => stored::check_name(self, array)?,
            Kind::GeoTiff => {
                stored::check_name(self, array)?;
                stored::check_image(self, array)?;
            }
            Kind::Picture(_) => picture::check(self, array)?,
            Kind::Csv | Kind::Printed if array.shape().iter().product::<u64>() > SMALL => {
                let why = format!("{:?} cells are too many for a table; write .zarr or .nc", array.shape());
                return Err(self.wrong(why));
            }
            _ => {}
        }
        Ok(array)
    }

    fn kind(&self) -> Result<Kind> {
        let Some(to) = &self.to else { return Ok(Kind::Printed) };
        let end = to.trim_end_matches('/').rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
        match end.as_deref() {
            Some("zarr") => Ok(Kind::Zarr),
            Some("nc" | "nc4") => Ok(Kind::NetCdf),
            Some("tif" | "tiff") => Ok(Kind::GeoTiff),
            Some("csv") => Ok(Kind::Csv),
            Some("png") => Ok(Kind::Picture(Form::Png)),
            Some("svg") => Ok(Kind::Picture(Form::Svg)),
            _ => Err(self.wrong(format!(
                "`{to}` ends with none of .zarr, .nc, .tif, .csv, .png and .svg; `outcrop convert` makes other formats of Zarr"
            ))),
        }
    }

    fn path(&self, folder: &Href) -> Result<PathBuf> {
        let to = self.to.as_deref().unwrap_or_default();
        let local = || self.wrong(format!("`{to}` is not a local file"));
        folder.join(to.trim_end_matches('/'))?.to_path().ok_or_else(local)
    }

    /// Whether it can be written there, and in parts if that is asked for.
    pub(super) fn check_place(&self, folder: &Href, partition: Option<Partition>) -> Result<()> {
        let kind = self.kind()?;
        if partition.is_some() && !matches!(kind, Kind::Zarr | Kind::NetCdf | Kind::GeoTiff) {
            return Err(self.wrong("parts write arrays; name a .zarr, .nc or .tif"));
        }
        if kind == Kind::Printed { Ok(()) } else { self.path(folder).map(|_| ()) }
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
    pub(super) fn summary(&self, arrays: &IndexMap<String, DataArray>, run: &RunOptions) -> Result<Value> {
        let array = self.array(arrays)?;
        let plan = match self.kind()? {
            Kind::Zarr | Kind::NetCdf | Kind::GeoTiff => {
                // A sink in a folder that goes again.
                let folder = tempfile::tempdir().map_err(|e| self.wrong(e.to_string()))?;
                let (array, target) =
                    stored::planned(self, array, self.target(&folder.path().join("plan.zarr"), None))?;
                Plan::new(&array, &ZarrSink::create(&array, &target)?, run)?
            }
            Kind::Picture(_) => picture::plan(self, array, run)?,
            Kind::Csv | Kind::Printed => Plan::new(array, &MemorySink::new(array.dtype(), &array.shape()), run)?,
        };
        Ok(json!({"of": self.of, "to": self.to, "plan": plan.summary()}))
    }

    pub(super) fn write(
        &self,
        arrays: &IndexMap<String, DataArray>,
        folder: &Href,
        doing: Doing<'_>,
    ) -> Result<Written> {
        let array = self.check(arrays)?;
        let mut written = Written {
            of: self.of.clone(),
            to: self.to.clone(),
            values: None,
            shape: array.shape(),
            dtype: array.dtype().name(),
            tasks: [0, 0],
            complete: true,
            failed: Vec::new(),
        };
        let kind = self.kind()?;
        match kind {
            Kind::Zarr => {
                let (array, path) = (place::placed(array), self.path(folder)?);
                stored::compute(&array, &self.target(&path, doing.partition), doing.run, &mut written)?;
            }
            Kind::NetCdf | Kind::GeoTiff => {
                stored::write(self, (array, &self.path(folder)?), doing, &mut written)?;
            }
            Kind::Picture(form) => {
                let path = self.path(folder)?;
                put(&path, &picture::draw(self, array, (form, doing.run), &mut written)?)?;
            }
            Kind::Csv => {
                let (block, path) = (computed(array, doing.run, &mut written)?, self.path(folder)?);
                put(&path, table::csv(array, &block).as_bytes())?;
            }
            Kind::Printed => {
                let block = computed(array, doing.run, &mut written)?;
                written.values = Some(table::printed(array, block));
            }
        }
        Ok(written)
    }
}

/// All values.
fn computed(array: &DataArray, run: &RunOptions, written: &mut Written) -> Result<Block> {
    let sink = MemorySink::new(array.dtype(), &array.shape());
    let report = Plan::new(array, &sink, run)?.run(run, &sink)?;
    written.tasks = [report.tasks, report.skipped];
    Ok(sink.into_block())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = publish::Staged::create(path)?;
    file.write(bytes)?;
    file.finish()?;
    Ok(())
}
