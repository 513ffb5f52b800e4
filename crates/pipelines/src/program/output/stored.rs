//! Results as files of arrays. Zarr is written chunk by chunk; the values of other formats go into a hidden Zarr store beside the file
//! first, which a run that was killed goes on with, and the file is made of that, with the memory of some chunks.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use outcrop_compute::plan::{Ledger, Plan, ZarrSink, ZarrTarget};
use outcrop_compute::{DataArray, RunOptions, default_allowance};
use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
use outcrop_formats::zarr::ZarrCompression;
use outcrop_formats::{AttrValue, Attrs, DType, GeoTiffOptions, Opened};
use outcrop_store::Href;
use serde_json::Value;

use super::{Doing, Kind, Output, Written, place};
use crate::Result;

/// Attribute of a hidden store that tells what it holds.
const OF: &str = "values_of";
/// Most bands of a GeoTIFF.
const BANDS: u64 = 65535;

/// Computes an array into a Zarr store, and tells what was done. Where windows fail the others are computed, and the store is not put in place.
pub(super) fn compute(array: &DataArray, target: &ZarrTarget, run: &RunOptions, written: &mut Written) -> Result<()> {
    let sink = ZarrSink::create(array, target)?;
    let ledger = Arc::new(Ledger::default());
    let options = RunOptions { partition: target.partition, ledger: Some(ledger.clone()), ..run.clone() };
    let report = Plan::new(array, &sink, &options)?.run(&options, &sink)?;
    written.tasks = [report.tasks, report.skipped];
    written.failed = ledger.failed();
    written.complete = written.failed.is_empty() && sink.finish()?;
    Ok(())
}

/// Writes a NetCDF file or a GeoTIFF.
pub(super) fn write(
    output: &Output,
    (array, path): (&DataArray, &Path),
    doing: Doing<'_>,
    written: &mut Written,
) -> Result<()> {
    let root = hidden(path);
    let (array, target) = planned(output, array, output.target(&root, doing.partition))?;
    let failed = |what: &str, e: std::io::Error| output.wrong(format!("cannot {what} `{}`: {e}", root.display()));
    let labels = format!("{:?} {:?} {:?} {:?}", array.coords, array.attrs, array.grid_mapping, output.chunks);
    let key = blake3::hash(format!("{} {} {labels}", array.fingerprint(), array.name).as_bytes()).to_hex().to_string();
    if told(&root).as_deref() != Some(&key) {
        let attrs = Attrs::from_iter([(OF.to_owned(), AttrValue::Text(key))]);
        if root.exists() && told(&root).is_none() {
            // What a run left that was killed while it removed its store.
            std::fs::remove_dir_all(&root).map_err(|e| failed("remove", e))?;
        }
        let target = ZarrTarget { attrs, compression: ZarrCompression::Zstd { level: 1 }, ..target };
        compute(&array, &target, doing.run, written)?;
        if !written.complete {
            return Ok(());
        }
    }
    let lock = File::open(&root).map_err(|e| failed("open", e))?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        return Err(output.wrong(format!("another run makes `{}` now; wait for it", path.display())));
    }
    make(output, &array, (&root, path), doing)?;
    // First what says that it is complete.
    std::fs::remove_file(root.join("zarr.json")).map_err(|e| failed("remove", e))?;
    std::fs::remove_dir_all(&root).map_err(|e| failed("remove", e))
}

/// The array as it is stored for an output, and how.
pub(super) fn planned(output: &Output, array: &DataArray, mut target: ZarrTarget) -> Result<(DataArray, ZarrTarget)> {
    let is_image = output.kind()? == Kind::GeoTiff;
    let array = place::placed(&if is_image { image(array)? } else { array.clone() });
    if is_image {
        // As the tiles, so that no chunk is read twice.
        let tile = tiles(output)?.tile;
        target.chunks = array.dims.iter().rev().take(2).map(|dim| (dim.clone(), tile)).collect();
    }
    Ok((array, target))
}

/// `.mean.tif.values.zarr` of `mean.tif`.
fn hidden(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.values.zarr", path.file_name().unwrap_or_default().to_string_lossy()))
}

/// What a hidden store says that it holds; it is complete if it is there.
fn told(root: &Path) -> Option<String> {
    let document: Value = serde_json::from_slice(&std::fs::read(root.join("zarr.json")).ok()?).ok()?;
    Some(document.get("attributes")?.get(OF)?.as_str()?.to_owned())
}

/// Makes the file of a complete store.
fn make(output: &Output, array: &DataArray, (root, path): (&Path, &Path), doing: Doing<'_>) -> Result<()> {
    let store = doing.store;
    let mut opened = store.wait(Opened::open(store, &Href::from_path(root).absolute().as_folder()))?;
    let is_image = output.kind()? == Kind::GeoTiff;
    opened.meta.attrs.clear();
    if !is_image {
        opened.meta.attrs.insert("Conventions".into(), AttrValue::Text("CF-1.11".into()));
    }
    for variable in opened.meta.variables.iter_mut().filter(|variable| variable.name == array.name) {
        let missing = match variable.dtype {
            DType::Float32 => AttrValue::Float32(vec![f32::NAN]),
            DType::Float64 => AttrValue::Float64(vec![f64::NAN]),
            _ => continue,
        };
        variable.attrs.insert("_FillValue".into(), missing);
    }
    let target = if is_image { Target::GeoTiff(tiles(output)?) } else { Target::NetCdf4 { deflate: Some(4) } };
    let memory = if doing.run.memory == 0 { default_allowance() } else { doing.run.memory };
    let options = ConvertOptions {
        target,
        policy: Policy::Raw,
        chunks: output.chunks.iter().filter(|_| !is_image).map(|(dim, len)| (dim.clone(), *len)).collect(),
        threads: doing.run.thread_count(),
        // Values of a region, its chunks as they are stored, and those that are decoded.
        memory: memory / 4,
        progress: doing.run.progress.clone(),
    };
    let part = Part { variables: vec![array.name.clone()], ..Part::default() };
    let stop = || doing.run.interrupt.load(Ordering::Relaxed);
    let done = convert(&opened, &part, path, &options, &stop)?;
    if done.stopped { Err(outcrop_compute::Error::Interrupted.into()) } else { Ok(()) }
}

/// The array with rows and columns last, where its coordinates tell which those are, without a single `band`.
fn image(array: &DataArray) -> Result<DataArray> {
    let Some((y, x)) = place::plane(array) else { return Ok(array.clone()) };
    let others = (0..array.dims.len()).filter(|at| ![y, x].contains(at));
    let order: Vec<&str> = others.chain([y, x]).map(|at| array.dims[at].as_str()).collect();
    let turned = array.transpose(&order)?;
    // A single band of an image says nothing beside other dimensions.
    let is_single = turned.dims.iter().zip(turned.shape()).any(|(dim, len)| dim == "band" && len == 1);
    if is_single { Ok(turned.index("band", 0)?) } else { Ok(turned) }
}

/// Refuses a name that readers of files take for that of labels.
pub(super) fn check_name(output: &Output, array: &DataArray) -> Result<()> {
    if array.dims.len() > 1 && array.dims.contains(&array.name) {
        let why = format!("a variable of several dimensions cannot be called `{}` as one of them", array.name);
        return Err(output.wrong(format!("{why}; give the step another name")));
    }
    Ok(())
}

/// Refuses what no GeoTIFF can hold, before anything is computed.
pub(super) fn check_image(output: &Output, array: &DataArray) -> Result<()> {
    let array = image(array)?;
    let shape = array.shape();
    let Some((outer, [_, _])) = shape.split_last_chunk::<2>() else {
        let why = format!(
            "an image has rows and columns, `{}` has {} dimensions; write .nc or .csv",
            array.name,
            shape.len()
        );
        return Err(output.wrong(why));
    };
    let bands = outer.iter().fold(1u64, |n, len| n.saturating_mul(*len));
    if bands > BANDS {
        let why =
            format!("{bands} positions along {} are more bands than {BANDS}", array.dims[..outer.len()].join(", "));
        return Err(output.wrong(format!("{why}; select less, or write .nc")));
    }
    tiles(output).map(drop)
}

/// Tiles of the length that was asked for.
fn tiles(output: &Output) -> Result<GeoTiffOptions> {
    let own = GeoTiffOptions::default();
    let asked: Vec<u64> = output.chunks.values().copied().filter(|len| *len > 1).collect();
    let tile = asked.first().copied().unwrap_or(own.tile);
    if asked.iter().any(|len| *len != tile) || !tile.is_multiple_of(16) {
        return Err(
            output.wrong("tiles of a GeoTIFF are squares of a multiple of 16, like chunks = { y = 256, x = 256 }")
        );
    }
    Ok(GeoTiffOptions { tile, ..own })
}
