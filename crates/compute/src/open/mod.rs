//! Opens files as one dataset: headers, chunk indexes of the wanted variables and their coordinates; no data.

mod image;
mod items;
mod names;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, TryStreamExt};
use indexmap::IndexMap;
use outcrop_formats::cf::{Decoding, Policy};
use outcrop_formats::{AttrValue, Attrs, FileMeta, Opened, Variable};
use outcrop_store::{Href, Store};

use crate::expr::Expr;
use crate::expr::select::Pick;
use crate::source::Source;
use crate::{Block, Coord, DType, DataArray, Dataset, Error, Result};
pub use image::grid_difference;
use image::{IMAGE, MASK};
pub use items::{Asset, Item, ItemOptions, Labels, open};
pub use names::{DatePattern, day_of_name};

static NEXT_SOURCE: AtomicUsize = AtomicUsize::new(0);

/// What to open.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Names of the variables; empty for every variable of two dimensions or more that is not a coordinate or bound of another, and of an
    /// image for its bands, `band_data`.
    pub variables: Vec<String>,
    /// What becomes of missing values, scale and offset.
    pub policy: Policy,
    /// Positions along the first axis of contiguous data of local files that are read at once at most, for arrays that are computed in small
    /// pieces; `None` leaves it at 8 MiB.
    pub contiguous: Option<u64>,
}

impl OpenOptions {
    /// These variables, decoded as xarray does.
    pub fn of(variables: &[&str]) -> Self {
        Self { variables: variables.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }
}

impl Default for OpenOptions {
    /// All variables, decoded as xarray does.
    fn default() -> Self {
        Self { variables: Vec::new(), policy: Policy::Scaled, contiguous: None }
    }
}

/// Opens the files as one dataset. Each file is read by its header and the chunk indexes of the wanted variables.
///
/// # Errors
/// [`Error::Open`] for a file that is not understood, [`Error::NoVariable`] for a name that no file has, the store's.
pub async fn open_dataset(store: &Store, hrefs: &[Href], options: &OpenOptions) -> Result<Dataset> {
    let opened: Vec<Dataset> = futures::stream::iter(hrefs)
        .map(|href| open_file(store, href, options))
        .buffered(store.options().concurrency.max(1))
        .try_collect()
        .await?;
    let mut merged = Dataset::default();
    for dataset in opened {
        if merged.attrs.is_empty() {
            merged.attrs.clone_from(&dataset.attrs);
        }
        merged.others.extend(dataset.others);
        for (name, array) in dataset.arrays {
            if let Some(first) = merged.arrays.get(&name) {
                let why = format!("both files have a variable `{name}`; open them one by one");
                return Err(Error::Misaligned { left: first.name.clone(), right: name, why });
            }
            merged.arrays.insert(name, array);
        }
    }
    for name in &options.variables {
        merged.array(name)?;
    }
    Ok(merged)
}

async fn open_file(store: &Store, href: &Href, options: &OpenOptions) -> Result<Dataset> {
    let opened = Opened::open(store, href).await.map_err(|e| named(href, e))?;
    let meta = &opened.meta;
    let auxiliary = auxiliary(meta);
    let is_data = |v: &&Variable| {
        !options.variables.is_empty() || (!auxiliary.contains(&v.name.as_str()) && image::is_usual(meta, v))
    };
    let wanted: Vec<&Variable> = meta.variables.iter().filter(|v| is_wanted(v, options)).filter(is_data).collect();
    let mut coords: IndexMap<String, Coord> = IndexMap::new();
    let others = meta.variables.iter().filter(|v| !is_wanted(v, options)).map(|v| v.name.clone()).collect();
    let mut dataset = Dataset { attrs: meta.attrs.clone(), others, ..Dataset::default() };
    for variable in wanted {
        for dim in &variable.dims {
            let Some(coordinate) = meta.coordinate(variable, dim) else { continue };
            if !coords.contains_key(&coordinate.name) {
                coords.insert(coordinate.name.clone(), read_coord(&opened, coordinate).await?);
            }
        }
        let label = |dim: &String| coords.get(&meta.coordinate(variable, dim)?.name).cloned();
        let labels = variable.dims.iter().filter_map(|dim| Some((dim.clone(), label(dim)?)));
        let array = DataArray {
            name: variable.name.clone(),
            dims: variable.dims.clone(),
            coords: labels.collect(),
            attrs: attrs_after(variable, options.policy),
            grid_mapping: grid_mapping(meta, variable),
            expr: expr_of(&opened, variable, options).await?,
        };
        let array = match meta.variable(MASK).filter(|_| options.policy != Policy::Raw && variable.name == IMAGE) {
            Some(mask) => array.masked(&mask_of(&opened, mask).await?)?,
            None => array,
        };
        dataset.arrays.insert(variable.name.clone(), array);
    }
    Ok(dataset)
}

/// The variable that `grid_mapping` names; of the long form (`crs: x y`) the first.
fn grid_mapping(meta: &FileMeta, variable: &Variable) -> Option<(String, Attrs)> {
    let Some(AttrValue::Text(text)) = variable.attrs.get("grid_mapping") else { return None };
    let name = text.split([':', ' ']).next()?;
    // What is missing in a scalar that holds no data says nothing, and Zarr 3 writes it in another way.
    let attrs =
        meta.variable(name)?.attrs.iter().filter(|(key, _)| !["_FillValue", "missing_value"].contains(&key.as_str()));
    Some((name.to_owned(), attrs.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

/// Names that other variables use as coordinates or bounds.
fn auxiliary(meta: &FileMeta) -> Vec<&str> {
    let mut names = Vec::new();
    for variable in &meta.variables {
        for attr in ["coordinates", "bounds"] {
            if let Some(AttrValue::Text(text)) = variable.attrs.get(attr) {
                names.extend(text.split_whitespace());
            }
        }
    }
    names
}

fn is_wanted(variable: &Variable, options: &OpenOptions) -> bool {
    if options.variables.is_empty() { variable.dims.len() >= 2 } else { options.variables.contains(&variable.name) }
}

/// The attributes of decoded values: without what says how they are stored.
fn attrs_after(variable: &Variable, policy: Policy) -> Attrs {
    let mut attrs = variable.attrs.clone();
    let of_stored = ["_FillValue", "missing_value", "valid_min", "valid_max", "valid_range", "_Unsigned"];
    let of_scale = ["scale_factor", "add_offset", "scales", "offsets"];
    let is_time = attrs.get("units").and_then(AttrValue::text).is_some_and(|units| units.contains(" since "));
    for name in of_stored.iter().filter(|_| policy != Policy::Raw && !is_time) {
        attrs.shift_remove(*name);
    }
    for name in of_scale.iter().filter(|_| policy == Policy::Scaled && !is_time) {
        attrs.shift_remove(*name);
    }
    attrs
}

/// The values of a variable as they are decoded.
async fn expr_of(opened: &Opened, variable: &Variable, options: &OpenOptions) -> Result<Arc<Expr>> {
    let Some(bands) = image::apart(variable, options.policy) else {
        return Ok(Expr::source(source_of(opened, variable, options).await?.into()));
    };
    let mut exprs = Vec::with_capacity(bands.len());
    for (band, at) in bands.iter().zip(0..) {
        let all = Expr::source(source_of(opened, band, options).await?.into());
        let mut picks = all.shape.iter().map(|len| Pick::all(*len)).collect::<Vec<_>>();
        picks[0] = Pick::Range { start: at, step: 1, len: 1 };
        exprs.push(Expr::select(all, picks));
    }
    let empty = || Error::Unsupported { action: "open", array: variable.name.clone(), why: "it has no band".into() };
    Expr::concat(exprs, 0).ok_or_else(empty)
}

/// The mask of an image: 0 where there is no data.
async fn mask_of(opened: &Opened, variable: &Variable) -> Result<DataArray> {
    let source = source_of(opened, variable, &OpenOptions { policy: Policy::Raw, ..OpenOptions::default() }).await?;
    let expr = Expr::source(source.into());
    let (name, dims) = (variable.name.clone(), variable.dims.clone());
    Ok(DataArray { name, dims, coords: IndexMap::new(), attrs: Attrs::new(), grid_mapping: None, expr })
}

async fn source_of(opened: &Opened, variable: &Variable, options: &OpenOptions) -> Result<Source> {
    let mut refs = opened.locate(variable).await.map_err(|e| named(opened.origin.href(), e))?;
    if let Some(positions) = options.contiguous.filter(|_| opened.origin.href().is_local()) {
        refs.cut_contiguous(positions);
    }
    let decoding = Decoding::under(options.policy, variable).map_err(|e| named(opened.origin.href(), e))?;
    Ok(Source {
        id: NEXT_SOURCE.fetch_add(1, Ordering::Relaxed),
        origin: opened.origin.clone(),
        variable: variable.clone(),
        refs,
        decoding,
    })
}

/// The values of a coordinate variable, or its texts.
async fn read_coord(opened: &Opened, variable: &Variable) -> Result<Coord> {
    let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|n| 0..*n).collect();
    let attrs = variable.attrs.clone();
    if variable.dtype.is_text() {
        let texts = opened.read_texts(variable, &window).await.map_err(|e| named(opened.origin.href(), e))?;
        return Ok(Coord::texts(texts, attrs));
    }
    let refs = opened.locate(variable).await.map_err(|e| named(opened.origin.href(), e))?;
    let raw = opened.read(&refs, &window).await.map_err(|e| named(opened.origin.href(), e))?;
    let rules = Decoding::of(variable);
    let values = rules.to_f64(&raw);
    if variable.dtype == outcrop_formats::DType::Int64
        && rules.is_identity()
        && let Block::Int64(whole) = Block::from_bytes(DType::Int64, &raw)
    {
        return Ok(Coord::integers(whole, attrs));
    }
    if variable.dtype == outcrop_formats::DType::UInt64
        && rules.is_identity()
        && let Block::UInt64(whole) = Block::from_bytes(DType::UInt64, &raw)
        && let Ok(whole) = whole.into_iter().map(i64::try_from).collect()
    {
        return Ok(Coord::integers(whole, attrs));
    }
    Ok(Coord::numbers(values, attrs))
}

/// Opens one variable of many files, and lays them one behind the other along a dimension in the order given. A dimension that the variable
/// has not is put first. Each file is read by its header; other dimensions must agree in length and labels.
///
/// # Errors
/// As [`open_dataset`] and [`DataArray::concat`]; [`Error::Unsupported`] if a file has more than one variable and none is named.
pub async fn concat_files(store: &Store, hrefs: &[Href], dim: &str, options: &OpenOptions) -> Result<DataArray> {
    let arrays: Vec<DataArray> = futures::stream::iter(hrefs)
        .map(|href| async move {
            let dataset = open_file(store, href, options).await?;
            let names: Vec<String> = dataset.arrays.keys().cloned().collect();
            let [name] = &names[..] else {
                let why =
                    format!("it has {}; name one", if names.is_empty() { "none".into() } else { names.join(", ") });
                return Err(Error::Unsupported { action: "choose a variable of", array: href.to_string(), why });
            };
            let array = dataset.array(name)?.clone();
            if array.dims.iter().any(|have| have == dim) { Ok(array) } else { array.expand_dims(dim) }
        })
        .buffered(store.options().concurrency.max(1))
        .try_collect()
        .await?;
    DataArray::concat(&arrays, dim)
}

fn named(href: &Href, error: outcrop_formats::Error) -> Error {
    match error {
        outcrop_formats::Error::Store(error) => error.into(),
        source => Error::Open { href: href.clone(), source },
    }
}
