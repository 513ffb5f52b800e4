//! Steps that begin with files, or with numbers by chance.

use outcrop_compute::{Block, DType, DataArray, OpenOptions, Reach, concat_files, kernel::MapBlocks, open_dataset};
use outcrop_formats::cf::Policy;
use outcrop_store::{Href, Store};

use super::parameters::Parameters;
use crate::Result;

/// `open`: a variable of a file, or of many files one behind the other along `dim`.
pub(super) fn open(store: &Store, folder: &Href, parameters: &Parameters<'_>) -> Result<DataArray> {
    let mut hrefs = Vec::new();
    for path in parameters.texts("path")? {
        hrefs.extend(matching(folder, path, parameters)?);
    }
    if hrefs.is_empty() {
        return Err(parameters.wrong("`open` needs `path`: a file, a list of files, or a pattern like days/*.tif"));
    }
    let policy = match parameters.text_or("decode", "scaled")? {
        "raw" => Policy::Raw,
        "masked" => Policy::Masked,
        "scaled" => Policy::Scaled,
        other => return Err(parameters.wrong(format!("`decode` is raw, masked or scaled, not `{other}`"))),
    };
    let variables = parameters.texts("variable")?.into_iter().map(str::to_owned).collect();
    let options = OpenOptions { variables, policy, ..OpenOptions::default() };
    let dim = parameters.text_or("dim", "")?;
    if hrefs.len() > 1 || !dim.is_empty() {
        let dim = if dim.is_empty() { "time" } else { dim };
        return Ok(store.wait(concat_files(store, &hrefs, dim, &options))?);
    }
    let dataset = store.wait(open_dataset(store, &hrefs, &options))?;
    let names: Vec<&str> = dataset.arrays.keys().map(String::as_str).collect();
    match &names[..] {
        [name] => Ok(dataset.array(name)?.clone()),
        [] => Err(parameters.wrong("the file has no variable of two dimensions or more; name one with `variable`")),
        _ => Err(parameters.wrong(format!("the file has {}; name one with `variable`", names.join(", ")))),
    }
}

/// The files of a name with at most one `*` in its last part, in the order of their names.
fn matching(folder: &Href, path: &str, parameters: &Parameters<'_>) -> Result<Vec<Href>> {
    let href = folder.join(path)?;
    let Some(local) = href.to_path().filter(|_| path.contains('*')) else {
        let is_store =
            href.to_path().is_some_and(|path| path.is_dir()) || path.trim_end_matches('/').ends_with(".zarr");
        return Ok(vec![if is_store { href.as_folder() } else { href }]);
    };
    let name = local.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((start, end)) = name.split_once('*') else {
        return Err(parameters.wrong("a pattern has its `*` in the last part of the path"));
    };
    let above = local.parent().map(std::path::Path::to_owned).unwrap_or_default();
    let fits = |file: &String| file.len() >= start.len() + end.len() && file.starts_with(start) && file.ends_with(end);
    let entries = std::fs::read_dir(&above).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(fits).collect();
    names.sort();
    if names.is_empty() {
        return Err(parameters.wrong(format!("no file fits `{path}`")));
    }
    Ok(names.iter().map(|name| Href::from_path(&above.join(name))).collect())
}

/// `random`: numbers from 0 to 1 that depend on `seed` and their position only, in chunks.
pub(super) fn random(parameters: &Parameters<'_>) -> Result<DataArray> {
    let lengths = parameters.lengths("shape")?;
    let seed = parameters.whole_or("seed", 0)?;
    let chunks = if parameters.get("chunks").is_some() { parameters.lengths("chunks")? } else { Vec::new() };
    let zero = DataArray::from_values("random", &[("one", 1)], vec![0u8])?.index("one", 0)?;
    let mut array = zero;
    for (dim, len) in lengths.iter().rev() {
        array = array.expand_dims(dim)?.repeated(dim, *len)?;
    }
    let shape = array.shape();
    let function =
        move |_: Vec<Block>, place: &outcrop_compute::kernel::Place<'_>| Ok(numbers(seed, &shape, place.out));
    let kernel = MapBlocks::new(&format!("random {seed}"), vec![Reach::Same; lengths.len()], DType::Float64, function);
    let array = array.map_blocks(&[], kernel)?;
    Ok(if chunks.is_empty() { array } else { array.with_chunks(&chunks)? })
}

/// Numbers of the positions of a window.
fn numbers(seed: u64, shape: &[u64], window: &[std::ops::Range<u64>]) -> Block {
    let Some((last, outer)) = window.split_last() else { return vec![number(seed, 0)].into() };
    let mut values = Vec::new();
    let mut rows: Vec<u64> = vec![0];
    for (range, len) in outer.iter().zip(shape) {
        rows = rows.iter().flat_map(|row| range.clone().map(move |at| row * len + at)).collect();
    }
    let width = shape.last().copied().unwrap_or(1);
    for row in rows {
        values.extend(last.clone().map(|at| number(seed, row.wrapping_mul(width).wrapping_add(at))));
    }
    values.into()
}

/// SplitMix64 of a position: <https://prng.di.unimi.it/splitmix64.c>.
fn number(seed: u64, at: u64) -> f64 {
    let mut z = seed.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
