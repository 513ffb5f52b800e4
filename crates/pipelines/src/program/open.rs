//! Steps that begin with files, or with numbers by chance.

use chrono::NaiveDate;
use outcrop_catalog::{Cql, SearchOptions, Source};
use outcrop_compute::{
    Block, Coord, DType, DataArray, Dataset, DatePattern, ItemOptions, Labels, OpenOptions, Reach, concat_files,
    day_of_name, kernel::MapBlocks, open_dataset,
};
use outcrop_formats::cf::Policy;
use outcrop_grid::BBox;
use outcrop_store::{Href, Store};
use serde_json::Value;

use super::parameters::Parameters;
use crate::Result;
use crate::register::Inputs;

/// What `open` may open besides what its step names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) store: &'a Store,
    /// Paths are relative to it.
    pub(super) folder: &'a Href,
    /// Items for the steps that name nothing.
    pub(super) items: &'a [Inputs],
}

/// `open`: a variable of a file, of many files one behind the other along `dim`, or of items.
pub(super) fn open(opening: Opening<'_>, parameters: &Parameters<'_>) -> Result<DataArray> {
    let paths = parameters.texts("path")?;
    let is_of_items = parameters.has("items") || (paths.is_empty() && !opening.items.is_empty());
    if !is_of_items {
        return of_files(opening, &paths, parameters);
    }
    if !paths.is_empty() {
        return Err(parameters.wrong("name `path` or `items`, not both"));
    }
    let dataset = of_items(opening, parameters)?;
    let all: Vec<&str> = dataset.arrays.keys().map(String::as_str).collect();
    let asset_of = |name: &str| name.rsplit_once('.').map_or(name, |(asset, _)| asset).to_owned();
    let names: Vec<&str> = match parameters.get("band") {
        None => all.clone(),
        Some(Value::String(band)) => {
            let fits = |name: &str| name == band || name.rsplit_once('.').is_some_and(|(_, own)| own == band);
            all.iter().copied().filter(|name| fits(name)).collect()
        }
        Some(Value::Number(number)) => {
            let place = |at: usize| 1 + all[..at].iter().filter(|name| asset_of(name) == asset_of(all[at])).count();
            let fits = |at: &usize| number.as_u64() == Some(place(*at) as u64);
            (0..all.len()).filter(fits).map(|at| all[at]).collect()
        }
        Some(_) => return Err(parameters.wrong("`band` is a name or a number, from 1")),
    };
    if let [name] = names[..] {
        return Ok(dataset.array(name)?.clone());
    }
    let have = all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(parameters.wrong(format!("the items have {have}; choose one with `asset`, `band` or `variable`")))
}

fn options(parameters: &Parameters<'_>) -> Result<OpenOptions> {
    let policy = match parameters.text_or("decode", "scaled")? {
        "raw" => Policy::Raw,
        "masked" => Policy::Masked,
        "scaled" => Policy::Scaled,
        other => return Err(parameters.wrong(format!("`decode` is raw, masked or scaled, not `{other}`"))),
    };
    let variables = parameters.texts("variable")?.into_iter().map(str::to_owned).collect();
    Ok(OpenOptions { variables, policy, ..OpenOptions::default() })
}

fn of_files(opening: Opening<'_>, paths: &[&str], parameters: &Parameters<'_>) -> Result<DataArray> {
    let Opening { store, folder, .. } = opening;
    let mut hrefs = Vec::new();
    for path in paths {
        hrefs.extend(matching(folder, path, parameters)?);
    }
    if hrefs.is_empty() {
        let what = "`path`: a file, a list of files, or a pattern like days/*.tif, or `items`: a catalog";
        return Err(parameters.wrong(format!("`open` needs {what}")));
    }
    let options = options(parameters)?;
    let dim = parameters.text_or("dim", "")?;
    if hrefs.len() > 1 || !dim.is_empty() {
        let dim = if dim.is_empty() { "time" } else { dim };
        let array = store.wait(concat_files(store, &hrefs, dim, &options))?;
        return with_days(array, &hrefs, dim, parameters);
    }
    let dataset = store.wait(open_dataset(store, &hrefs, &options))?;
    let names: Vec<&str> = dataset.arrays.keys().map(String::as_str).collect();
    match &names[..] {
        [name] => Ok(dataset.array(name)?.clone()),
        [] => Err(parameters.wrong("the file has no variable of two dimensions or more; name one with `variable`")),
        _ => Err(parameters.wrong(format!("the file has {}; name one with `variable`", names.join(", ")))),
    }
}

/// Files that have no labels along the dimension are labelled with the days of their names, if `labels` says where those are; by default along
/// `time`, if each name has one and they rise.
fn with_days(array: DataArray, hrefs: &[Href], dim: &str, parameters: &Parameters<'_>) -> Result<DataArray> {
    let pattern = match parameters.text_or("labels", "auto")? {
        "auto" => None,
        pattern => Some(DatePattern::parse(pattern).map_err(|e| parameters.wrong(e.to_string()))?),
    };
    let len = array.dims.iter().position(|have| have == dim).map(|at| array.shape()[at]);
    let is_one_each = len == Some(hrefs.len() as u64);
    if pattern.is_none() && (dim != "time" || array.coords.contains_key(dim) || !is_one_each) {
        return Ok(array);
    }
    if !is_one_each {
        return Err(parameters.wrong(format!("`labels` needs files of one position along `{dim}`")));
    }
    let days: std::result::Result<Vec<NaiveDate>, _> =
        hrefs.iter().map(|href| day_of_name(href.file_name().unwrap_or_default(), pattern.as_ref())).collect();
    let days = match (days, &pattern) {
        (Ok(days), _) if pattern.is_some() || days.is_sorted_by(|a, b| a < b) => days,
        (Err(error), Some(_)) => return Err(error.into()),
        _ => return Ok(array),
    };
    Ok(array.with_coord(dim, Coord::days(days))?)
}

fn of_items(opening: Opening<'_>, parameters: &Parameters<'_>) -> Result<Dataset> {
    let Opening { store, folder, items } = opening;
    let found = match parameters.texts("items")?[..] {
        [] => items.to_vec(),
        [source] => store.wait(crate::items::find(store, &located(folder, source)?, &wanted(parameters)?))?,
        _ => return Err(parameters.wrong("`items` is one catalog, collection, item, API or file of items")),
    };
    let mut assets: Vec<String> = parameters.texts("asset")?.into_iter().map(str::to_owned).collect();
    if assets.is_empty() {
        assets = found.first().map(Inputs::data).unwrap_or_default();
    }
    let labels = match parameters.text_or("labels", "auto")? {
        "auto" => Labels::Auto,
        "items" => Labels::Items,
        pattern => Labels::Names(DatePattern::parse(pattern).map_err(|e| parameters.wrong(e.to_string()))?),
    };
    let dim = parameters.text_or("dim", "time")?.to_owned();
    let options = ItemOptions { assets, files: options(parameters)?, dim, labels };
    let items: Vec<_> = found.iter().map(Inputs::to_open).collect::<Result<_>>()?;
    Ok(store.wait(outcrop_compute::open(store, &items, &options))?)
}

/// A source whose path is relative to a folder.
fn located(folder: &Href, text: &str) -> Result<Source> {
    let mut source = Source::parse(text)?;
    if !source.is_standard_input() {
        let place = source.id.as_ref().and_then(|id| text.strip_suffix(id.as_str())?.strip_suffix('#'));
        let href = folder.join(place.unwrap_or(text))?;
        source.href = if href.to_path().is_some_and(|path| path.is_dir()) { href.as_folder() } else { href };
    }
    Ok(source)
}

/// Which items are wanted.
fn wanted(parameters: &Parameters<'_>) -> Result<SearchOptions> {
    let texts =
        |name: &str| -> Result<Vec<String>> { Ok(parameters.texts(name)?.into_iter().map(str::to_owned).collect()) };
    let wrong = |error: outcrop_grid::Error| parameters.wrong(error.to_string());
    let bbox = parameters.numbers("bbox")?;
    let bbox = if bbox.is_empty() { None } else { Some(BBox::from_slice(&bbox).map_err(wrong)?) };
    let text = |name: &str| if parameters.has(name) { parameters.text(name).map(Some) } else { Ok(None) };
    let datetime = text("datetime")?.map(|text| text.parse().map_err(wrong)).transpose()?;
    let filter = text("filter")?.map(Cql::parse).transpose()?;
    let max_items =
        if parameters.has("max_items") { usize::try_from(parameters.whole("max_items")?).ok() } else { None };
    Ok(SearchOptions {
        ids: texts("ids")?,
        collections: texts("collections")?,
        bbox,
        datetime,
        filter,
        max_items,
        ..SearchOptions::default()
    })
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
