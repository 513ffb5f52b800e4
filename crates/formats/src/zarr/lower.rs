//! Arrays of Zarr lowered to variables: codec chains, chunk keys, shards.

use std::sync::Arc;

use base64::Engine;
use indexmap::IndexMap;
use outcrop_store::Href;
use serde_json::Value;

use super::codecs::{Chain, native};
use super::shard::Sharding;
use super::types::{fill_bytes, time_unit};
use super::{ArrayInfo, Element, Zarr, ZarrFormat};
use crate::array::{AttrValue, Attrs, ChunkGrid, ChunkRef, Codec, DType, Dim, FileMeta, Format, Variable};
use crate::kerchunk::{Lazy, References};
use crate::layout::{Layout, product};
use crate::{Error, Result};

/// How positions become names of chunks (or shards).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyNames {
    /// What stands before the positions: `c` or nothing.
    prefix: &'static str,
    /// What stands between them.
    separator: char,
}

/// Where the chunks (or shards) of an array are: one object each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keys {
    /// Folder of the array.
    pub(crate) folder: Href,
    /// Names of the objects in it.
    pub(crate) names: KeyNames,
}

impl Keys {
    /// Those of an array of a store.
    pub(super) fn of(array: &ArrayInfo, root: &Href) -> Result<Self> {
        let (path, root) = (array.path.as_str(), root.as_folder());
        let folder = if path.is_empty() { root } else { root.join(&format!("{path}/"))? };
        let names = match array.format {
            ZarrFormat::V2 => KeyNames::v2(&array.document),
            ZarrFormat::V3 => KeyNames::v3(&array.document, path)?,
        };
        Ok(Self { folder, names })
    }

    /// The object at this position of the grid of objects.
    pub(crate) fn get(&self, index: impl Iterator<Item = u64>) -> ChunkRef {
        // Its name is made of numbers: it can be joined.
        let href = self.folder.join(&self.names.name(index)).unwrap_or_else(|_| self.folder.clone());
        ChunkRef::Object { href, range: None, filter_mask: 0 }
    }
}

impl KeyNames {
    /// The name of the object at this position.
    pub(crate) fn name(&self, index: impl Iterator<Item = u64>) -> String {
        let mut name = self.prefix.to_owned();
        for (axis, position) in index.enumerate() {
            if axis > 0 || !name.is_empty() {
                name.push(self.separator);
            }
            name.push_str(&position.to_string());
        }
        if name.is_empty() {
            name.push('0');
        }
        name
    }

    /// The position, in C order, of the object of this name in a grid of objects; `None` for another name.
    pub(super) fn linear(&self, name: &str, counts: &[u64]) -> Option<u64> {
        let numbers = name.strip_prefix(self.prefix)?;
        let numbers = if self.prefix.is_empty() { numbers } else { numbers.strip_prefix(self.separator).unwrap_or("") };
        if counts.is_empty() {
            return (name == self.name(std::iter::empty())).then_some(0);
        }
        let mut at = numbers.split(self.separator).map(|number| number.parse::<u64>().ok());
        let linear = counts.iter().try_fold(0u64, |linear, count| {
            let at = at.next()??;
            (at < *count).then_some(())?;
            linear.checked_mul(*count)?.checked_add(at)
        });
        linear.filter(|_| at.next().is_none())
    }

    /// Those that are written.
    pub(super) fn written(format: ZarrFormat) -> Self {
        match format {
            ZarrFormat::V2 => Self { prefix: "", separator: '.' },
            ZarrFormat::V3 => Self { prefix: "c", separator: '/' },
        }
    }

    /// Of Zarr 2: `0.0`, or `0/0` with `dimension_separator`.
    fn v2(document: &Value) -> Self {
        let slash = document["dimension_separator"] == "/";
        Self { prefix: "", separator: if slash { '/' } else { '.' } }
    }

    /// Of Zarr 3: `c/0/0`, or `0.0` with the encoding `v2`.
    fn v3(document: &Value, path: &str) -> Result<Self> {
        let encoding = &document["chunk_key_encoding"];
        let separator = encoding["configuration"]["separator"].as_str();
        match encoding["name"].as_str().or(encoding.as_str()) {
            Some("default") => match separator.unwrap_or("/") {
                "." => Ok(Self { prefix: "c", separator: '.' }),
                _ => Ok(Self { prefix: "c", separator: '/' }),
            },
            Some("v2") => Ok(Self { prefix: "", separator: if separator == Some("/") { '/' } else { '.' } }),
            other => Err(Error::unsupported(path, format!("the chunk key encoding {other:?}"))),
        }
    }
}

/// How the chunks of an array are found.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An object each.
    Objects(Keys),
    /// Several in an object each, with an index.
    Shards(Arc<Sharding>),
    /// Wherever a document of references says.
    Mapped(Mapped),
    /// Wherever tables of references say.
    Lazy(Lazy),
}

/// Where the chunks of a store are.
#[derive(Debug)]
pub(crate) enum Shelf {
    /// In objects below its root.
    Objects,
    /// Where a document of references says.
    Mapped(Arc<References>),
}

/// Where the shards of an array are.
#[derive(Debug, Clone)]
pub(crate) enum Shards {
    /// An object each.
    Objects(Keys),
    /// Wherever a document of references says.
    Mapped(Mapped),
}

impl Shards {
    /// The shard at this position of the grid of shards.
    pub(crate) fn get(&self, index: impl Iterator<Item = u64>) -> ChunkRef {
        match self {
            Self::Objects(keys) => keys.get(index),
            Self::Mapped(mapped) => mapped.get(index),
        }
    }
}

/// An array whose chunks a document of references lists.
#[derive(Debug, Clone)]
pub(crate) struct Mapped {
    /// Path of the array, with `/` at its end unless it is empty.
    pub(crate) path: String,
    /// Names of its chunks.
    pub(crate) names: KeyNames,
    /// All references of the document.
    pub(crate) references: Arc<References>,
}

impl Mapped {
    /// The chunk (or shard) at this position.
    pub(crate) fn get(&self, index: impl Iterator<Item = u64>) -> ChunkRef {
        self.references.chunk(&format!("{}{}", self.path, self.names.name(index)))
    }
}

impl Zarr {
    /// The arrays as variables. What cannot be read is among the refused.
    pub(crate) fn into_meta(self, shelf: &Shelf) -> FileMeta {
        let mut dims: IndexMap<String, Dim> = IndexMap::new();
        let mut variables = Vec::new();
        let mut refused = self.refused;
        for array in &self.arrays {
            match lower(array, (&self.remote.root, self.record_size), shelf) {
                Ok(mut variable) => {
                    name_dims(&mut dims, &mut variable);
                    variables.push(variable);
                }
                Err(e) => refused.push((array.path.clone(), e.to_string())),
            }
        }
        let attrs = self.groups.get("").cloned().unwrap_or_default();
        FileMeta { format: Format::Zarr, dims, attrs, variables, refused }
    }
}

/// Dimensions of one name and several lengths (in groups of their own) get the path of their group.
fn name_dims(dims: &mut IndexMap<String, Dim>, variable: &mut Variable) {
    let group = variable.name.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
    for (name, len) in variable.dims.iter_mut().zip(&variable.grid.shape) {
        if dims.get(name.as_str()).is_some_and(|dim| dim.len != *len) && !group.is_empty() {
            *name = format!("{group}/{name}");
        }
        dims.entry(name.clone()).or_insert(Dim { len: *len, unlimited: false });
    }
}

/// One array.
fn lower(array: &ArrayInfo, (root, record_size): (&Href, Option<u64>), shelf: &Shelf) -> Result<Variable> {
    let path = array.path.as_str();
    product(&array.shape, path)?;
    let dtype = match array.dtype {
        Element::Number(dtype) => dtype,
        Element::Text { chars } => DType::Unicode(chars.max(1)),
        Element::VlenText => DType::VlenUtf8,
    };
    let document = &array.document;
    let mut chain = Chain { codecs: Vec::new(), byte_order: native(), sharding: None };
    match array.format {
        ZarrFormat::V2 => chain.read_v2(document, &array.chunk, dtype),
        ZarrFormat::V3 => chain.read_v3(&document["codecs"], &array.chunk, dtype),
    }
    let keys = Keys::of(array, root)?;
    let mut attrs = array.attrs.clone();
    let fill = fill_bytes(&document["fill_value"], dtype);
    let said = &document["fill_value"];
    // Objects of NumPy have a fill value of their own kind.
    if fill.is_none() && !said.is_null() && dtype.is_real() {
        return Err(Error::malformed(path, format!("its fill value {said} is no {}", dtype.name())));
    }
    if let Some(value) = coded_fill(&attrs, dtype) {
        attrs.insert("_FillValue".to_owned(), value);
    }
    if array.format == ZarrFormat::V2 && !attrs.contains_key("_FillValue") {
        // As xarray reads Zarr 2: the fill value says what is missing.
        if let Some(value) = fill.as_deref().and_then(|fill| number(fill, dtype)) {
            attrs.insert("_FillValue".to_owned(), value);
        }
    }
    if let (Some(unit), false) = (time_unit(document), attrs.contains_key("units")) {
        attrs.insert("units".to_owned(), AttrValue::Text(format!("{unit} since 1970-01-01")));
    }
    let (place, chunk) = place(array, (keys, record_size.map(|n| (root, n))), shelf, (&mut chain, dtype))?;
    check_texts(path, &chain.codecs, dtype)?;
    let layout = Layout::Zarr(place);
    Ok(Variable {
        name: path.to_owned(),
        dims: array.dims.clone(),
        dtype,
        byte_order: chain.byte_order,
        grid: ChunkGrid { shape: array.shape.clone(), chunk },
        codecs: chain.codecs,
        fill: fill.unwrap_or_else(|| vec![0; dtype.size().min(1 << 16)]),
        attrs,
        layout,
    })
}

/// `vlen-utf8` makes bytes of texts of any length, and of nothing else.
fn check_texts(path: &str, codecs: &[Codec], dtype: DType) -> Result<()> {
    let count = codecs.iter().filter(|codec| **codec == Codec::VlenUtf8).count();
    let wanted = usize::from(dtype == DType::VlenUtf8);
    if count == wanted {
        return Ok(());
    }
    let why = format!("elements of type {} have {wanted} codecs `vlen-utf8`, not {count}", dtype.name());
    Err(Error::malformed(path, why))
}

/// Where the chunks of an array are, and their lengths. Tables of references have a root and a number of rows.
fn place(
    array: &ArrayInfo,
    (keys, tables): (Keys, Option<(&Href, u64)>),
    shelf: &Shelf,
    (chain, dtype): (&mut Chain, DType),
) -> Result<(Place, Vec<u64>)> {
    let (path, names) = (array.path.as_str(), keys.names);
    let mapped = |references: &Arc<References>| {
        let path = if path.is_empty() { String::new() } else { format!("{path}/") };
        Mapped { path, names, references: references.clone() }
    };
    let place = match (chain.sharding.take(), tables, shelf) {
        (Some(_), Some(_), _) => return Err(Error::unsupported(path, "shards behind tables of references")),
        (Some(inner), None, shelf) => {
            let shards = match shelf {
                Shelf::Objects => Shards::Objects(keys),
                Shelf::Mapped(references) => Shards::Mapped(mapped(references)),
            };
            let sharding = Sharding::new(path, shards, &array.chunk, &inner, (chain, dtype))?;
            let chunk = sharding.chunk.clone();
            return Ok((Place::Shards(Arc::new(sharding)), chunk));
        }
        (None, _, Shelf::Mapped(references)) => Place::Mapped(mapped(references)),
        (None, Some((root, record_size)), Shelf::Objects) => {
            Place::Lazy(Lazy { root: root.clone(), folder: keys.folder, record_size })
        }
        (None, None, Shelf::Objects) => Place::Objects(keys),
    };
    Ok((place, array.chunk.clone()))
}

/// `_FillValue` of a float as xarray writes it to Zarr 3: a little-endian double in base64.
fn coded_fill(attrs: &Attrs, dtype: DType) -> Option<AttrValue> {
    let text = attrs.get("_FillValue")?.text()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let value = f64::from_le_bytes(bytes.try_into().ok()?);
    matches!(dtype, DType::Float16 | DType::Float32 | DType::Float64).then(|| AttrValue::Float64(vec![value]))
}

/// An element in native byte order as an attribute of its kind.
pub(crate) fn number(fill: &[u8], dtype: DType) -> Option<AttrValue> {
    match dtype {
        DType::UInt64 => Some(AttrValue::UInt(vec![u64::from_ne_bytes(*fill.first_chunk()?)])),
        DType::Int64 => Some(AttrValue::Int(vec![i64::from_ne_bytes(*fill.first_chunk()?)])),
        DType::Float32 => Some(AttrValue::Float32(vec![f32::from_ne_bytes(*fill.first_chunk()?)])),
        DType::Float64 => Some(AttrValue::Float64(vec![f64::from_ne_bytes(*fill.first_chunk()?)])),
        DType::Float16 => Some(AttrValue::Float32(vec![half::f16::from_ne_bytes(*fill.first_chunk()?).to_f32()])),
        DType::Int8 => Some(AttrValue::Int(vec![i8::from_ne_bytes(*fill.first_chunk()?).into()])),
        DType::UInt8 => Some(AttrValue::Int(vec![(*fill.first()?).into()])),
        DType::Int16 => Some(AttrValue::Int(vec![i16::from_ne_bytes(*fill.first_chunk()?).into()])),
        DType::UInt16 => Some(AttrValue::Int(vec![u16::from_ne_bytes(*fill.first_chunk()?).into()])),
        DType::Int32 => Some(AttrValue::Int(vec![i32::from_ne_bytes(*fill.first_chunk()?).into()])),
        DType::UInt32 => Some(AttrValue::Int(vec![u32::from_ne_bytes(*fill.first_chunk()?).into()])),
        DType::Complex64
        | DType::Complex128
        | DType::Char
        | DType::Opaque(_)
        | DType::Text(_)
        | DType::Unicode(_)
        | DType::VlenText(_)
        | DType::VlenUtf8 => None,
    }
}
