//! Writes a group: into a hidden folder beside, which then takes the place of the old group.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use outcrop_store::{Href, publish};
use serde_json::{Map, Value, json};
use zarrs::array::{Array, ArrayBytes};
use zarrs::storage::WritableStorageTraits;

use super::storage::Folder;
use super::{ArraySpec, Element, Number, ZarrFormat, metadata};
use crate::array::Attrs;
use crate::layout::product;
use crate::{Error, Result};

/// Largest chunk, in elements.
const MAX_CHUNK: u64 = 1 << 28;
/// Deepest folder of a store that is looked at for consolidated metadata.
const MAX_DEPTH: usize = 32;

/// Writes one group of a local Zarr store.
///
/// - The group appears whole, by [`GroupWriter::finish`]; an old group of the name stays until then.
/// - Dropped before, it leaves nothing.
pub struct GroupWriter {
    root: PathBuf,
    group: String,
    format: ZarrFormat,
    attrs: Map<String, Value>,
    staging: PathBuf,
    folder: Arc<Folder>,
    arrays: IndexMap<String, Member>,
}

struct Member {
    spec: ArraySpec,
    array: Array<dyn WritableStorageTraits>,
}

impl std::fmt::Debug for GroupWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { root, group, format, .. } = self;
        f.debug_struct("GroupWriter").field("root", root).field("group", group).field("format", format).finish()
    }
}

fn failed(path: &str, why: impl std::fmt::Display) -> Error {
    Error::Zarr { action: "write", path: path.to_owned(), why: why.to_string() }
}

fn io(path: &Path, source: std::io::Error) -> Error {
    outcrop_store::Error::Io { action: "write", href: Href::from_path(path), source }.into()
}

impl GroupWriter {
    /// Starts the group `group` (`1980`, or `a/b`) of the store at `root`, making the store if it is absent.
    ///
    /// # Errors
    /// [`Error::Zarr`] for a name that cannot be a group, [`Error::Store`] if the folder cannot be written.
    pub fn create(root: &Path, group: &str, format: ZarrFormat, attrs: &Attrs) -> Result<Self> {
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
        if !group.split('/').all(plain) {
            return Err(failed(group, "a group needs a name that does not start with a dot"));
        }
        check_format(root, format)?;
        let staging = publish::part_path(&root.join(group));
        fs::create_dir_all(&staging).map_err(|e| io(&staging, e))?;
        let folder = Arc::new(Folder { path: staging.clone() });
        let attrs = metadata::attributes(attrs);
        Ok(Self {
            root: root.to_owned(),
            group: group.to_owned(),
            format,
            attrs,
            staging,
            folder,
            arrays: IndexMap::new(),
        })
    }

    /// Adds an array; its chunks are fill value until they are written.
    ///
    /// # Errors
    /// [`Error::Zarr`] if the name is taken or not plain, or if shape, chunks, names and type do not fit together.
    pub fn add_array(&mut self, spec: &ArraySpec) -> Result<()> {
        let name = spec.name.as_str();
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) || name == "zarr.json" {
            return Err(failed(name, "an array needs a name without slashes that does not start with a dot"));
        }
        if self.arrays.contains_key(name) {
            return Err(failed(name, "there is an array of this name already"));
        }
        let rank = spec.shape.len();
        if spec.dims.len() != rank || spec.chunk.len() != rank || spec.chunk.contains(&0) {
            let why =
                format!("dims {:?}, shape {:?} and chunk {:?} do not fit together", spec.dims, spec.shape, spec.chunk);
            return Err(failed(name, why));
        }
        let elements = product(&spec.chunk, name)?;
        if elements > MAX_CHUNK {
            let what = format!("number of elements of a chunk of `{name}`");
            return Err(Error::Limit { what, value: elements, limit: MAX_CHUNK });
        }
        let document = metadata::array(spec, self.format)?;
        let parsed = metadata::parse_metadata(name, &document)?;
        let storage: Arc<dyn WritableStorageTraits> = self.folder.clone();
        let array = Array::new_with_metadata(storage, &format!("/{name}"), parsed).map_err(|e| failed(name, e))?;
        self.arrays.insert(name.to_owned(), Member { spec: spec.clone(), array });
        Ok(())
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.arrays.get(name).ok_or_else(|| failed(name, "there is no array of this name"))
    }

    /// Writes one chunk: a whole one, or at the edge only the part within the shape. Safe from several threads.
    ///
    /// # Errors
    /// [`Error::Zarr`] if the array, its type, the position or the number of values does not fit; [`Error::Store`].
    pub fn write_chunk<T: Number>(&self, name: &str, index: &[u64], values: &[T]) -> Result<()> {
        let Member { spec, array } = self.member(name)?;
        if spec.dtype != Element::Number(T::DTYPE) {
            return Err(failed(name, format!("it holds {:?}, not {}", spec.dtype, T::DTYPE.name())));
        }
        let part = part_of(spec, index)?;
        let (whole, cut) = (product(&spec.chunk, name)?, product(&part, name)?);
        let given = values.len() as u64;
        let padded;
        let values = if given == whole {
            values
        } else if given == cut {
            padded = pad(values, &part, &spec.chunk, T::of(metadata::fill_number(spec)));
            &padded
        } else {
            return Err(failed(name, format!("chunk {index:?} has {given} values, {whole} or {cut} are wanted")));
        };
        array.store_chunk(index, values).map_err(|e| failed(name, e))
    }

    /// Writes all texts of an array of one dimension.
    ///
    /// # Errors
    /// [`Error::Zarr`] if it is not such an array, if the number of texts is another, or if a text is too long.
    pub fn write_text(&self, name: &str, texts: &[String]) -> Result<()> {
        let Member { spec, array } = self.member(name)?;
        let (Element::Text { chars }, [len], [chunk]) = (spec.dtype, spec.shape.as_slice(), spec.chunk.as_slice())
        else {
            return Err(failed(name, "it is not an array of texts of one dimension"));
        };
        if texts.len() as u64 != *len {
            return Err(failed(name, format!("{} texts were given, {len} are wanted", texts.len())));
        }
        let chunk = usize::try_from(*chunk).map_err(|e| failed(name, e))?;
        for (index, texts) in texts.chunks(chunk).enumerate() {
            let mut bytes = Vec::with_capacity(chunk * chars * 4);
            for text in texts {
                let found = text.chars().count();
                if found > chars {
                    return Err(failed(name, format!("`{text}` has {found} characters, {chars} are the most")));
                }
                let padded = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(chars.max(1));
                padded.for_each(|c| bytes.extend_from_slice(&c.to_ne_bytes()));
            }
            bytes.resize(chunk * chars.max(1) * 4, 0);
            array.store_chunk(&[index as u64], ArrayBytes::new_flen(bytes)).map_err(|e| failed(name, e))?;
        }
        Ok(())
    }

    /// Flushes everything to the disk and puts the group in place of the old one.
    ///
    /// # Errors
    /// [`Error::Store`]; the old group then stays.
    pub fn finish(self) -> Result<()> {
        self.write_metadata()?;
        let target = self.root.join(&self.group);
        flush(&self.staging)?;
        replace(&self.staging, &target)?;
        self.write_parents()?;
        consolidate(&self.root, self.format)?;
        flush(&self.root)
    }

    fn write_metadata(&self) -> Result<()> {
        let mut batch = publish::Batch::default();
        let mut put = |name: &str, document: &Value| batch.write(&self.staging.join(name), &bytes(document));
        let mut members = Map::new();
        for (name, Member { spec, .. }) in &self.arrays {
            let document = metadata::array(spec, self.format)?;
            match self.format {
                ZarrFormat::V2 => {
                    let attrs = metadata::array_attributes_v2(spec);
                    put(&format!("{name}/.zarray"), &document)?;
                    put(&format!("{name}/.zattrs"), &attrs)?;
                    members.insert(format!("{name}/.zarray"), document);
                    members.insert(format!("{name}/.zattrs"), attrs);
                }
                ZarrFormat::V3 => {
                    put(&format!("{name}/zarr.json"), &document)?;
                    members.insert(name.clone(), document);
                }
            }
        }
        match self.format {
            ZarrFormat::V2 => {
                let (group, attrs) = (json!({"zarr_format": 2}), Value::Object(self.attrs.clone()));
                put(".zgroup", &group)?;
                put(".zattrs", &attrs)?;
                members.insert(".zgroup".to_owned(), group);
                members.insert(".zattrs".to_owned(), attrs);
                put(".zmetadata", &json!({"zarr_consolidated_format": 1, "metadata": members}))?;
            }
            ZarrFormat::V3 => put("zarr.json", &metadata::group_v3(&self.attrs, &members))?,
        }
        Ok(())
    }

    /// Makes the root, and the groups between it and this one, groups.
    fn write_parents(&self) -> Result<()> {
        let mut batch = publish::Batch::default();
        let mut folder = self.root.clone();
        for part in self.group.split('/') {
            let (name, document) = match self.format {
                ZarrFormat::V2 => (".zgroup", json!({"zarr_format": 2})),
                ZarrFormat::V3 => ("zarr.json", json!({"attributes": {}, "zarr_format": 3, "node_type": "group"})),
            };
            if !folder.join(name).exists() {
                batch.write(&folder.join(name), &bytes(&document))?;
            }
            folder.push(part);
        }
        Ok(())
    }
}

impl Drop for GroupWriter {
    fn drop(&mut self) {
        // After finish there is nothing left, or the old group.
        let _ = fs::remove_dir_all(&self.staging);
        // A store that was made for this group alone goes with it; one that holds something cannot be removed this way.
        let _ = fs::remove_dir(&self.root);
    }
}

/// A store has one format: readers that find metadata of both would choose the stale one.
fn check_format(root: &Path, format: ZarrFormat) -> Result<()> {
    let (other, name) = match format {
        ZarrFormat::V2 => ("zarr.json", "Zarr 3"),
        ZarrFormat::V3 => (".zgroup", "Zarr 2"),
    };
    if root.join("catalog.json").exists() {
        return Err(failed(&root.display().to_string(), "it is a STAC catalog; choose another folder"));
    }
    if root.join(other).exists() {
        let why = format!("the store is {name}; write that format, or choose another folder");
        return Err(failed(&root.display().to_string(), why));
    }
    Ok(())
}

fn bytes(document: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Lengths of the part of a chunk that lies within the shape.
fn part_of(spec: &ArraySpec, index: &[u64]) -> Result<Vec<u64>> {
    let outside = || failed(&spec.name, format!("chunk {index:?} does not lie within shape {:?}", spec.shape));
    if index.len() != spec.shape.len() {
        return Err(outside());
    }
    let part = |((i, chunk), len): ((&u64, &u64), &u64)| {
        let start = i.checked_mul(*chunk).filter(|start| start < len).ok_or_else(outside)?;
        Ok((*chunk).min(len - start))
    };
    index.iter().zip(&spec.chunk).zip(&spec.shape).map(part).collect()
}

/// Puts a part into the corner of a whole chunk of fill value. The sizes are those of a chunk in memory.
fn pad<T: Copy>(values: &[T], part: &[u64], chunk: &[u64], fill: T) -> Vec<T> {
    let size = |lengths: &[u64]| usize::try_from(lengths.iter().product::<u64>()).unwrap_or(usize::MAX);
    let mut padded = vec![fill; size(chunk)];
    let Some((run, outer)) = part.split_last() else { return values.to_vec() };
    let run = usize::try_from(*run).unwrap_or(usize::MAX);
    for (row, values) in values.chunks_exact(run.max(1)).enumerate() {
        let (mut row, mut at, mut stride) = (row as u64, 0, chunk[outer.len()]);
        for (len, chunk) in outer.iter().zip(chunk).rev() {
            at += row % len * stride;
            row /= len;
            stride *= chunk;
        }
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        padded[at..at + run].copy_from_slice(values);
    }
    padded
}

fn flush(folder: &Path) -> Result<()> {
    let file = File::open(folder).map_err(|e| io(folder, e))?;
    rustix::fs::syncfs(&file).map_err(|e| io(folder, e.into()))
}

/// Puts the new folder in place of the old one, at once where the file system can.
fn replace(new: &Path, target: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if !target.exists() {
        return fs::rename(new, target).map_err(|e| io(target, e));
    }
    if renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE).is_ok() {
        return fs::remove_dir_all(new).map_err(|e| io(new, e));
    }
    let old = publish::part_path(target);
    fs::rename(target, &old).map_err(|e| io(target, e))?;
    if let Err(e) = fs::rename(new, target) {
        let _ = fs::rename(&old, target);
        return Err(io(target, e));
    }
    fs::remove_dir_all(&old).map_err(|e| io(&old, e))
}

/// Gathers the metadata of all groups at the root, so that one request opens the store.
fn consolidate(root: &Path, format: ZarrFormat) -> Result<()> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| io(&folder, e))? {
            let entry = entry.map_err(|e| io(&folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_document = match format {
                ZarrFormat::V2 => matches!(name.as_str(), ".zarray" | ".zgroup" | ".zattrs"),
                ZarrFormat::V3 => name == "zarr.json" && !prefix.is_empty(),
            };
            if is_document {
                let text = fs::read(entry.path()).map_err(|e| io(&entry.path(), e))?;
                let document: Value = serde_json::from_slice(&text).map_err(|e| failed(&name, e))?;
                found.insert((prefix.clone(), name), document);
            } else if depth < MAX_DEPTH && !name.starts_with('.') && is_node(&entry.path(), format) {
                folders.push((entry.path(), format!("{prefix}{name}/"), depth + 1));
            }
        }
    }
    let mut batch = publish::Batch::default();
    let (path, document) = match format {
        ZarrFormat::V2 => {
            let members: Map<String, Value> = found.into_iter().map(|((p, n), d)| (format!("{p}{n}"), d)).collect();
            (root.join(".zmetadata"), json!({"zarr_consolidated_format": 1, "metadata": members}))
        }
        ZarrFormat::V3 => {
            let path = root.join("zarr.json");
            let text = fs::read(&path).map_err(|e| io(&path, e))?;
            let old: Value = serde_json::from_slice(&text).map_err(|e| failed("zarr.json", e))?;
            let attrs = old["attributes"].as_object().cloned().unwrap_or_default();
            let member = |((prefix, _), document): ((String, String), Value)| {
                (prefix.trim_end_matches('/').to_owned(), without_consolidated(document))
            };
            (path, metadata::group_v3(&attrs, &found.into_iter().map(member).collect()))
        }
    };
    batch.write(&path, &bytes(&document))?;
    Ok(())
}

fn without_consolidated(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.shift_remove("consolidated_metadata");
    }
    document
}

/// True for folders that are groups or arrays, so that folders of chunks are not walked.
fn is_node(path: &Path, format: ZarrFormat) -> bool {
    match format {
        ZarrFormat::V2 => path.join(".zgroup").is_file() || path.join(".zarray").is_file(),
        ZarrFormat::V3 => path.join("zarr.json").is_file(),
    }
}
