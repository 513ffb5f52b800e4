//! Reads the arrays of a Zarr store, local or over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use outcrop_store::{EntryKind, Href, Store};
use serde_json::{Value, json};
use zarrs::array::{Array, ElementOwned};

use super::storage::Remote;
use super::{Complete, Element, ZarrFormat, marker, metadata};
use crate::array::{Attrs, DType};
use crate::json::Budget;
use crate::layout::{MAX_DIMS, product};
use crate::{Error, Result};

/// Largest array that is read whole, in elements.
const MAX_ELEMENTS: u64 = 1 << 32;
/// Most groups and arrays of a store: each takes about 4 kB.
const MAX_NODES: usize = 1 << 15;
/// Largest document of metadata, in bytes; as a tree it has a limit of its own ([`Budget`]).
const MAX_DOCUMENT: usize = 16 << 20;
/// Deepest group.
const MAX_DEPTH: usize = 32;

/// An array of a store.
#[derive(Debug, Clone)]
pub struct ArrayInfo {
    /// Path without leading `/`: `1980/first-leaf`.
    pub path: String,
    /// Names of the dimensions; `dim_N` where the store has none.
    pub dims: Vec<String>,
    /// Length of each dimension.
    pub shape: Vec<u64>,
    /// Length of a chunk (of a shard, where the array is sharded) along each dimension.
    pub chunk: Vec<u64>,
    /// Type of the elements.
    pub dtype: Element,
    /// The fill value, where it is a number.
    pub fill: Option<f64>,
    /// Attributes.
    pub attrs: Attrs,
    /// Names of the codecs in the order of encoding.
    pub codecs: Vec<String>,
    /// Version of the format.
    pub format: ZarrFormat,
    pub(super) document: Arc<Value>,
}

/// An opened store or group.
#[derive(Debug)]
pub struct Zarr {
    pub(super) remote: Remote,
    /// Paths of the groups with their attributes; the opened group itself is the empty path.
    pub groups: BTreeMap<String, Attrs>,
    /// The arrays, sorted by path.
    pub arrays: Vec<ArrayInfo>,
    /// Arrays that cannot be read, by path, and why.
    pub refused: Vec<(String, String)>,
    /// Rows of a table of references, if its chunks are behind such tables.
    pub(crate) record_size: Option<u64>,
    /// Paths of arrays that have a completion marker, as consolidated metadata say, if there are any.
    hinted: Option<BTreeSet<String>>,
}

fn broken(path: &str, why: impl std::fmt::Display) -> Error {
    Error::Zarr { action: "read", path: path.to_owned(), why: why.to_string() }
}

/// Opens a store or group: by its consolidated metadata, else by listing its folders. Blocks; not for use within the
/// runtime.
///
/// # Errors
/// [`Error::Zarr`] if there is no Zarr group or array, or its metadata is malformed; [`Error::Store`].
pub fn open(store: &Store, href: &Href) -> Result<Zarr> {
    store.wait(load(store, href))
}

/// As [`open`], without blocking.
pub(crate) async fn load(store: &Store, href: &Href) -> Result<Zarr> {
    let mut zarr = Zarr::new(store, href.as_folder());
    if let Some(document) = zarr.document("zarr.json").await? {
        zarr.open_v3(&document).await?;
    } else if let Some(document) = zarr.document(".zmetadata").await? {
        zarr.record_size = record_size(&document)?;
        zarr.hinted = Some(marker::hinted(&document));
        zarr.consolidated_v2(&document["metadata"])?;
    } else if zarr.document(".zgroup").await?.is_some() || zarr.document(".zarray").await?.is_some() {
        zarr.walk().await?;
    } else {
        return Err(broken(&href.to_string(), "neither zarr.json nor .zgroup, .zarray or .zmetadata is there"));
    }
    zarr.arrays.sort_by(|a, b| a.path.cmp(&b.path));
    zarr.remote.complete = Some(Arc::new(Complete::of(&zarr.remote.root, &zarr.arrays, zarr.hinted.as_ref())));
    Ok(zarr)
}

/// Rows of a table of references, where consolidated metadata are those of such tables.
fn record_size(document: &Value) -> Result<Option<u64>> {
    match document.get("record_size") {
        None => Ok(None),
        Some(size) => match size.as_u64() {
            Some(size) if size > 0 => Ok(Some(size)),
            _ => Err(broken(".zmetadata", "`record_size` is no number above 0")),
        },
    }
}

/// A store whose metadata documents are given by key, as in consolidated metadata of Zarr 2.
pub(crate) fn of_documents(store: &Store, href: &Href, documents: &Value) -> Result<Zarr> {
    let mut zarr = Zarr::new(store, href.folder());
    zarr.consolidated_v2(documents)?;
    zarr.arrays.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(zarr)
}

impl Zarr {
    fn new(store: &Store, root: Href) -> Self {
        Self {
            remote: Remote { store: store.clone(), root, complete: None },
            groups: BTreeMap::new(),
            arrays: Vec::new(),
            refused: Vec::new(),
            record_size: None,
            hinted: None,
        }
    }

    /// Which chunks have to be there.
    pub(crate) fn complete(&self) -> Option<Arc<Complete>> {
        self.remote.complete.clone()
    }

    async fn document(&self, key: &str) -> Result<Option<Value>> {
        let Some(bytes) = self.remote.bytes(key).await? else { return Ok(None) };
        if bytes.len() > MAX_DOCUMENT {
            let what = format!("size of the document `{key}` in bytes");
            return Err(Error::Limit { what, value: bytes.len() as u64, limit: MAX_DOCUMENT as u64 });
        }
        Budget::default().tree(&bytes).map(Some).map_err(|e| broken(key, e))
    }

    /// The array of this path.
    ///
    /// # Errors
    /// [`Error::Zarr`] with the paths there are.
    pub fn array(&self, path: &str) -> Result<&ArrayInfo> {
        self.arrays.iter().find(|array| array.path == path).ok_or_else(|| {
            if let Some((_, why)) = self.refused.iter().find(|(refused, _)| refused == path) {
                return broken(path, why);
            }
            let known: Vec<&str> = self.arrays.iter().take(20).map(|array| array.path.as_str()).collect();
            broken(path, format!("there is no such array; there are: {}", known.join(", ")))
        })
    }

    fn consolidated_v2(&mut self, documents: &Value) -> Result<()> {
        let empty = json!({});
        for (key, document) in documents.as_object().into_iter().flatten() {
            let (path, name) = key.rsplit_once('/').unwrap_or(("", key));
            if name == "zarr.json" {
                self.node_v3(path, document)?;
            }
            let attrs_key = if path.is_empty() { ".zattrs".to_owned() } else { format!("{path}/.zattrs") };
            let attrs = documents.get(&attrs_key).unwrap_or(&empty);
            match name {
                ".zarray" => self.add(path, metadata::parse_v2(path, document, attrs))?,
                ".zgroup" => {
                    self.groups.insert(path.to_owned(), metadata::parse_attributes(attrs));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn open_v3(&mut self, document: &Value) -> Result<()> {
        if document["node_type"] == "array" {
            return self.add("", metadata::parse_v3("", document));
        }
        let Some(members) = document["consolidated_metadata"]["metadata"].as_object() else {
            return self.walk().await;
        };
        self.groups.insert(String::new(), metadata::parse_attributes(&document["attributes"]));
        self.hinted = Some(marker::hinted(&document["consolidated_metadata"]));
        for (path, member) in members {
            self.node_v3(path, member)?;
        }
        Ok(())
    }

    fn node_v3(&mut self, path: &str, document: &Value) -> Result<()> {
        if document["node_type"] == "array" {
            return self.add(path, metadata::parse_v3(path, document));
        }
        self.groups.insert(path.to_owned(), metadata::parse_attributes(&document["attributes"]));
        Ok(())
    }

    /// Takes an array; one whose metadata is malformed does not stop the others.
    fn add(&mut self, path: &str, array: Result<ArrayInfo>) -> Result<()> {
        let refused = match array {
            Err(e) => Some(e.to_string()),
            Ok(array) => {
                let rank = array.shape.len();
                if rank > MAX_DIMS || array.chunk.len() != rank || array.chunk.contains(&0) {
                    Some(format!("chunk {:?} does not fit shape {:?}", array.chunk, array.shape))
                } else {
                    self.arrays.push(array);
                    None
                }
            }
        };
        self.refused.extend(refused.map(|why| (path.to_owned(), why)));
        self.limit()
    }

    fn limit(&self) -> Result<()> {
        let value = self.arrays.len() + self.groups.len() + self.refused.len();
        if value <= MAX_NODES {
            return Ok(());
        }
        let what = "number of groups and arrays".to_owned();
        Err(Error::Limit { what, value: value as u64, limit: MAX_NODES as u64 })
    }

    /// Finds groups and arrays by listing folders.
    async fn walk(&mut self) -> Result<()> {
        let mut folders = vec![(String::new(), 0)];
        while let Some((path, depth)) = folders.pop() {
            let key = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if let Some(document) = self.document(&key("zarr.json")).await? {
                self.node_v3(&path, &document)?;
                if document["node_type"] == "array" {
                    continue;
                }
            } else if let Some(document) = self.document(&key(".zarray")).await? {
                let attrs = self.document(&key(".zattrs")).await?.unwrap_or_else(|| json!({}));
                self.add(&path, metadata::parse_v2(&path, &document, &attrs))?;
                continue;
            } else if self.document(&key(".zgroup")).await?.is_some() {
                let attrs = self.document(&key(".zattrs")).await?.unwrap_or_else(|| json!({}));
                self.groups.insert(path.clone(), metadata::parse_attributes(&attrs));
            } else {
                continue;
            }
            self.limit()?;
            let folder = self.remote.root.as_folder().join(&key("")).unwrap_or_else(|_| self.remote.root.as_folder());
            for entry in self.remote.store.list(&folder).await? {
                if entry.kind == EntryKind::Folder && depth < MAX_DEPTH && !entry.name.starts_with('.') {
                    folders.push((key(entry.name.trim_end_matches('/')), depth + 1));
                }
            }
        }
        Ok(())
    }

    fn opened(&self, info: &ArrayInfo) -> Result<Array<Remote>> {
        let elements = product(&info.shape, &info.path)?;
        let chunk = product(&info.chunk, &info.path)?;
        if elements > MAX_ELEMENTS || chunk > MAX_ELEMENTS {
            let what = format!("number of elements of `{}`", info.path);
            return Err(Error::Limit { what, value: elements.max(chunk), limit: MAX_ELEMENTS });
        }
        let path = if info.path.is_empty() { "/".to_owned() } else { format!("/{}", info.path) };
        let metadata = metadata::parse_metadata(&info.path, &info.document)?;
        Array::new_with_metadata(Arc::new(self.remote.clone()), &path, metadata).map_err(|e| broken(&info.path, e))
    }

    fn values<T: ElementOwned>(&self, info: &ArrayInfo) -> Result<Vec<T>> {
        let array = self.opened(info)?;
        array.retrieve_array_subset(&array.subset_all()).map_err(|e| broken(&info.path, e))
    }

    /// All values of an array of numbers, in C order. 64-bit integers beyond 2^53 lose their last digits. Blocks.
    ///
    /// # Errors
    /// [`Error::Zarr`] if there is no such array, it is no array of numbers, or a chunk cannot be decoded.
    pub fn read_f64(&self, path: &str) -> Result<Vec<f64>> {
        let info = self.array(path)?;
        let Element::Number(dtype) = info.dtype else { return Err(broken(path, "it holds texts")) };
        Ok(match dtype {
            DType::Float64 => self.values::<f64>(info)?,
            DType::Float32 => widen(&self.values::<f32>(info)?),
            DType::Int8 => widen(&self.values::<i8>(info)?),
            DType::Int16 => widen(&self.values::<i16>(info)?),
            DType::Int32 => widen(&self.values::<i32>(info)?),
            DType::UInt8 => widen(&self.values::<u8>(info)?),
            DType::UInt16 => widen(&self.values::<u16>(info)?),
            DType::UInt32 => widen(&self.values::<u32>(info)?),
            DType::Int64 => self.values::<i64>(info)?.into_iter().map(|v| v as f64).collect(),
            DType::UInt64 => self.values::<u64>(info)?.into_iter().map(|v| v as f64).collect(),
            _ => return Err(broken(path, "it does not hold numbers")),
        })
    }

    /// All values of an array of `float32`, in C order, without a copy in double precision. Blocks.
    ///
    /// # Errors
    /// [`Error::Zarr`] if there is no such array, it has another type, or a chunk cannot be decoded.
    pub fn read_f32(&self, path: &str) -> Result<Vec<f32>> {
        let info = self.array(path)?;
        if info.dtype != Element::Number(DType::Float32) {
            return Err(broken(path, format!("it holds {:?}, not float32", info.dtype)));
        }
        self.values::<f32>(info)
    }

    /// All texts of an array of texts, in C order. Blocks.
    ///
    /// # Errors
    /// [`Error::Zarr`] if there is no such array, it is no array of texts, or a chunk cannot be decoded.
    pub fn read_text(&self, path: &str) -> Result<Vec<String>> {
        let info = self.array(path)?;
        match info.dtype {
            Element::VlenText => return self.values::<String>(info),
            Element::Number(_) => return Err(broken(path, "it does not hold texts")),
            Element::Text { .. } => {}
        }
        let texts = self.values::<Vec<char>>(info)?;
        Ok(texts.into_iter().map(|text| text.into_iter().collect()).collect())
    }
}

fn widen<T: Copy + Into<f64>>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| (*v).into()).collect()
}
