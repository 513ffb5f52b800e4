//! Items as one dataset: a variable for each array of an asset and each band of an image, its items one behind the other along a dimension.
//!
//! Not here: which items and assets are wanted, and the STAC documents that tell of them.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures::{StreamExt, TryStreamExt};
use indexmap::IndexMap;
use outcrop_formats::AttrValue;
use outcrop_store::{Href, Store};

use super::image::{BAND, IMAGE, grid_difference};
use super::names::{DatePattern, day_of_name};
use super::{OpenOptions, open_file};
use crate::expr::select::Pick;
use crate::{Coord, DataArray, Dataset, Error, Result};

/// An item as it is opened.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// Its time, or the start of it.
    pub time: Option<DateTime<Utc>>,
    /// Its files, by the keys of their assets.
    pub assets: IndexMap<String, Asset>,
}

/// A file of an item.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The file, or the references that are kept of it.
    pub href: Href,
    /// What the file is called.
    pub name: String,
    /// Names of its bands, in order; those that are not named are called by their number, from 1.
    pub bands: Vec<String>,
}

/// Where the labels of items along the dimension come from.
#[derive(Debug, Clone, Default)]
pub enum Labels {
    /// The files' own labels; those of files without the dimension are the times of their items, or else the days of their names; if one has
    /// neither there are none.
    #[default]
    Auto,
    /// The times of the items.
    Items,
    /// The days in the names of files.
    Names(DatePattern),
}

/// How items are opened.
#[derive(Debug, Clone)]
pub struct ItemOptions {
    /// Keys of assets; empty for all.
    pub assets: Vec<String>,
    /// Variables of the files, and their decoding. Of an image the variable is `band_data`.
    pub files: OpenOptions,
    /// The dimension along which items lie one behind the other.
    pub dim: String,
    /// Labels along it.
    pub labels: Labels,
}

impl Default for ItemOptions {
    /// All assets, along `time`.
    fn default() -> Self {
        Self { assets: Vec::new(), files: OpenOptions::default(), dim: "time".into(), labels: Labels::Auto }
    }
}

/// The arrays of one item by the names that they have in the dataset, each with the name of its file.
type Arrays = IndexMap<String, (DataArray, String)>;

/// One array of one item.
struct Part<'a> {
    item: &'a Item,
    array: DataArray,
}

/// Opens items as one dataset: headers, chunk indexes and coordinates, no data.
///
/// - An array of a file keeps its name; where two assets of an item have arrays of one name they are `asset.name`. A band of an image is
///   called by its asset; of several bands `asset.band`.
/// - Items are put in the order of their labels along the dimension, in its direction. Labels of times in other units of one calendar become
///   those of the first.
/// - It takes memory for the chunk index of each file.
///
/// # Errors
/// [`Error::Item`] for an item that lacks an asset or a variable that others have, whose labels repeat or lie among those of another, or
/// that lies on other cells or has other units; [`Error::Day`]; those of [`super::open_dataset`] and [`DataArray::concat`].
pub async fn open(store: &Store, items: &[Item], options: &ItemOptions) -> Result<Dataset> {
    let opened: Vec<Arrays> = futures::stream::iter(items)
        .map(|item| open_item(store, item, options))
        .buffered(store.options().concurrency.max(1))
        .try_collect()
        .await?;
    let mut dataset = Dataset::default();
    for name in opened.iter().flat_map(IndexMap::keys) {
        if dataset.arrays.contains_key(name) {
            continue;
        }
        let mut parts = Vec::with_capacity(items.len());
        let mut files = Vec::with_capacity(items.len());
        for (item, arrays) in items.iter().zip(&opened) {
            let have = || arrays.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            let missing = || odd(item, format!("it has no `{name}`, which others have; it has {}", have()));
            let (array, file) = arrays.get(name).ok_or_else(missing)?;
            parts.push(Part { item, array: array.clone() });
            files.push(file.as_str());
        }
        dataset.arrays.insert(name.clone(), along(parts, &files, options)?.named(name));
    }
    Ok(dataset)
}

fn odd(item: &Item, why: impl Into<String>) -> Error {
    Error::Item { item: item.id.clone(), why: why.into() }
}

async fn open_item(store: &Store, item: &Item, options: &ItemOptions) -> Result<Arrays> {
    let keys: Vec<&String> =
        if options.assets.is_empty() { item.assets.keys().collect() } else { options.assets.iter().collect() };
    let mut found: Vec<(&String, Asset, IndexMap<String, DataArray>)> = Vec::with_capacity(keys.len());
    for key in keys {
        let have = || item.assets.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let missing = || odd(item, format!("it has no asset `{key}`; it has {}", have()));
        let asset = item.assets.get(key).ok_or_else(missing)?;
        let dataset = open_file(store, &asset.href, &options.files).await?;
        found.push((key, asset.clone(), dataset.arrays));
    }
    let mut arrays = Arrays::new();
    for (key, asset, own) in &found {
        for (name, array) in own {
            if name == IMAGE && array.dims.len() == 3 && array.dims[0] == BAND {
                for (name, band) in bands(key, asset, array)? {
                    add(&mut arrays, name, (band, asset), item)?;
                }
                continue;
            }
            let is_shared = found.iter().filter(|(_, _, arrays)| arrays.contains_key(name)).count() > 1;
            let name = if is_shared { format!("{key}.{name}") } else { name.clone() };
            add(&mut arrays, name, (array.clone(), asset), item)?;
        }
    }
    Ok(arrays)
}

/// Adds an array under a name that no other has.
fn add(arrays: &mut Arrays, name: String, (array, asset): (DataArray, &Asset), item: &Item) -> Result<()> {
    if arrays.contains_key(&name) {
        return Err(odd(item, format!("two of its arrays or bands are called `{name}`; name one asset")));
    }
    arrays.insert(name, (array, asset.name.clone()));
    Ok(())
}

/// The bands of an image.
fn bands(key: &str, asset: &Asset, image: &DataArray) -> Result<Vec<(String, DataArray)>> {
    let count = image.shape()[0];
    let name = |at: u64| {
        let own = usize::try_from(at).ok().and_then(|at| asset.bands.get(at)).filter(|name| !name.is_empty());
        let number = (at + 1).to_string();
        if count == 1 { key.to_owned() } else { format!("{key}.{}", own.unwrap_or(&number)) }
    };
    (0..count).map(|at| Ok((name(at), image.band(at)?))).collect()
}

/// The arrays of items one behind the other.
fn along(mut parts: Vec<Part<'_>>, files: &[&str], options: &ItemOptions) -> Result<DataArray> {
    let dim = options.dim.as_str();
    let have: Vec<bool> = parts.iter().map(|part| part.array.dims.iter().any(|d| d == dim)).collect();
    if let Some(at) = have.iter().position(|own| *own != have[0]) {
        return Err(odd(parts[at].item, format!("one of it and `{}` has no dimension `{dim}`", parts[0].item.id)));
    }
    let is_new = !have.first().copied().unwrap_or(false);
    check_alike(&mut parts, dim)?;
    if is_new {
        for part in &mut parts {
            part.array = part.array.expand_dims(dim)?;
        }
    }
    if is_new || !matches!(options.labels, Labels::Auto) {
        label(&mut parts, files, options)?;
    }
    in_order(&mut parts, dim)?;
    let arrays: Vec<DataArray> = parts.into_iter().map(|part| part.array).collect();
    DataArray::concat(&arrays, dim)
}

/// Checks that the arrays lie on the same cells and have the same units; the labels become those of the first to the last bit.
fn check_alike(parts: &mut [Part<'_>], dim: &str) -> Result<()> {
    let Some((first, others)) = parts.split_first_mut() else { return Ok(()) };
    let plane = |array: &DataArray| {
        let is_along = array.dims.iter().any(|d| d == dim) && array.shape().iter().all(|n| *n > 0);
        if is_along { array.index(dim, 0) } else { Ok(array.clone()) }
    };
    let own = plane(&first.array)?;
    for part in others {
        let theirs = plane(&part.array)?;
        if theirs.dims.len() == own.dims.len()
            && let Some(why) = grid_difference(&own, &theirs)
        {
            return Err(odd(part.item, format!("it does not lie on the cells of `{}`: {why}", first.item.id)));
        }
        let units =
            |array: &DataArray| array.attrs.get("units").and_then(AttrValue::text).unwrap_or_default().to_owned();
        let (a, b) = (units(&own), units(&theirs));
        if a != b {
            let why = format!("its units are `{b}`, those of `{}` are `{a}`", first.item.id);
            return Err(odd(part.item, why));
        }
        for (name, coord) in &own.coords {
            if part.array.coords.contains_key(name) {
                part.array.coords.insert(name.clone(), coord.clone());
            }
        }
    }
    Ok(())
}

/// Gives each array, of one position along the dimension, its label.
fn label(parts: &mut [Part<'_>], files: &[&str], options: &ItemOptions) -> Result<()> {
    let times: Option<Vec<DateTime<Utc>>> = match &options.labels {
        Labels::Auto => {
            let of_items: Option<Vec<_>> = parts.iter().map(|part| part.item.time).collect();
            match (of_items, files) {
                _ if options.dim != "time" => None,
                (Some(times), _) => Some(times),
                (None, [_]) => day_of_name(files[0], None).ok().map(|day| vec![midnight(day)]),
                // Without times nothing tells their order.
                (None, _) => {
                    Some(files.iter().map(|file| day_of_name(file, None).map(midnight)).collect::<Result<_>>()?)
                }
            }
        }
        Labels::Items => {
            let time = |part: &Part<'_>| part.item.time.ok_or_else(|| odd(part.item, "it has no time"));
            Some(parts.iter().map(time).collect::<Result<_>>()?)
        }
        Labels::Names(pattern) => {
            let day = |file: &&str| day_of_name(file, Some(pattern)).map(midnight);
            Some(files.iter().map(day).collect::<Result<_>>()?)
        }
    };
    let Some(times) = times else { return Ok(()) };
    let labels = Coord::moments(&times);
    for (part, place) in parts.iter_mut().zip(0u64..) {
        let at = part.array.dim(&options.dim)?;
        if part.array.shape()[at] != 1 {
            let why = format!(
                "its file has {} positions along `{}`, each with its own label",
                part.array.shape()[at],
                options.dim
            );
            return Err(odd(part.item, why));
        }
        let own = labels.picked(&Pick::Range { start: place, step: 1, len: 1 });
        part.array.coords.insert(options.dim.clone(), own);
    }
    Ok(())
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Puts the arrays in the order of their labels. Labels of two that lie among one another are an error.
fn in_order(parts: &mut [Part<'_>], dim: &str) -> Result<()> {
    let Some(first) = parts.iter().find_map(|part| part.array.coords.get(dim).cloned()) else {
        if parts.iter().all(|part| part.item.time.is_some()) {
            parts.sort_by_key(|part| part.item.time);
        }
        return Ok(());
    };
    for part in parts.iter_mut() {
        let Some(coord) = part.array.coords.get_mut(dim) else {
            return Err(odd(part.item, format!("it has no labels along `{dim}`, which others have")));
        };
        if let Some(same) = coord.in_units_of(&first) {
            *coord = same;
        }
    }
    let ends = |part: &Part<'_>| -> Option<(f64, f64)> {
        let values = &part.array.coords.get(dim)?.values;
        Some((*values.first()?, *values.last()?)).filter(|(a, b)| !a.is_nan() && !b.is_nan())
    };
    if parts.iter().any(|part| ends(part).is_none()) {
        return Ok(());
    }
    let direction = |part: &Part<'_>| ends(part).map(|(a, b)| a.total_cmp(&b)).filter(|order| order.is_ne());
    let falls = parts.iter().find_map(direction).is_some_and(std::cmp::Ordering::is_gt);
    if let Some(part) = parts.iter().find(|part| direction(part).is_some_and(|order| order.is_gt() != falls)) {
        return Err(odd(part.item, format!("its `{dim}` has another direction than that of others")));
    }
    let sign = if falls { -1.0 } else { 1.0 };
    parts.sort_by(|a, b| {
        let key = |part: &Part<'_>| ends(part).map_or(0.0, |(first, _)| first * sign);
        key(a).total_cmp(&key(b))
    });
    for pair in parts.windows(2) {
        let (Some((_, before)), Some((after, _))) = (ends(&pair[0]), ends(&pair[1])) else { continue };
        if before * sign >= after * sign {
            let text = |part: &Part<'_>, last: bool| {
                let coord = part.array.coords.get(dim);
                coord.map(|coord| coord.text_at(if last { coord.len() - 1 } else { 0 })).unwrap_or_default()
            };
            let (a, b) = (text(&pair[0], true), text(&pair[1], false));
            let why = format!(
                "its `{dim}` begins at {b}, which is not behind {a}, where `{}` ends; select one of them, or mosaic them first",
                pair[0].item.id
            );
            return Err(odd(pair[1].item, why));
        }
    }
    Ok(())
}
