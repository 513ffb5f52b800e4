//! Writes a group: into a hidden folder beside, which then takes the place of the old group.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use outcrop_store::{Href, publish};
use serde_json::{Map, Value, json};
use zarrs::array::{Array, ArrayBytes, ArrayBytesOffsets};
use zarrs::storage::WritableStorageTraits;

use super::consolidate::consolidate;
use super::lower::KeyNames;
use super::marker::{self, MARKER, Marker};
use super::storage::Folder;
use super::{ArraySpec, Element, Number, ZarrFormat, metadata};
use crate::array::Attrs;
use crate::layout::{position, product};
use crate::{Error, Result};

/// Largest chunk, in elements.
const MAX_CHUNK: u64 = 1 << 28;

/// Writes one group of a local Zarr store.
///
/// - The group appears whole, by [`GroupWriter::finish`]; an old group of the name stays until then.
/// - Each array has a completion marker then (`.outcrop.json`), which says which of its chunks were stored.
/// - Dropped before, it leaves nothing.
pub struct GroupWriter {
    pub(super) root: PathBuf,
    group: String,
    pub(super) format: ZarrFormat,
    attrs: Map<String, Value>,
    pub(super) staging: PathBuf,
    /// What is left when it is dropped goes on in another writer.
    pub(super) resumes: bool,
    pub(super) arrays: IndexMap<String, Member>,
}

pub(super) struct Member {
    spec: ArraySpec,
    array: Array<dyn WritableStorageTraits>,
    /// Objects along each dimension.
    pub(super) counts: Vec<u64>,
    /// Positions of the objects that are there, in C order: those of fill value alone are not.
    pub(super) stored: Mutex<BTreeSet<u64>>,
}

impl std::fmt::Debug for GroupWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { root, group, format, .. } = self;
        f.debug_struct("GroupWriter").field("root", root).field("group", group).field("format", format).finish()
    }
}

pub(super) fn failed(path: &str, why: impl std::fmt::Display) -> Error {
    Error::Zarr { action: "write", path: path.to_owned(), why: why.to_string() }
}

pub(super) fn io(path: &Path, source: std::io::Error) -> Error {
    outcrop_store::Error::Io { action: "write", href: Href::from_path(path), source }.into()
}

impl GroupWriter {
    /// Starts the group `group` (`1980`, or `a/b`) of the store at `root`, making the store if it is absent. With an empty
    /// name the store itself is written, and takes the place of an old store with all its groups.
    ///
    /// # Errors
    /// [`Error::Zarr`] for a name that cannot be a group and for a folder that holds something else, [`Error::Store`] if
    /// the folder cannot be written.
    pub fn create(root: &Path, group: &str, format: ZarrFormat, attrs: &Attrs) -> Result<Self> {
        Self::staged(root, group, (format, attrs), publish::part_path)
    }

    /// Starts a group that grows in the folder that `staging` names of its place.
    pub(super) fn staged(
        root: &Path,
        group: &str,
        (format, attrs): (ZarrFormat, &Attrs),
        staging: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self> {
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
        if !group.is_empty() && !group.split('/').all(plain) {
            return Err(failed(group, "a group needs a name that does not start with a dot"));
        }
        let staging = if group.is_empty() {
            check_replaceable(root)?;
            staging(root)
        } else {
            check_format(root, format)?;
            staging(&root.join(group))
        };
        fs::create_dir_all(&staging).map_err(|e| io(&staging, e))?;
        let attrs = metadata::attributes(attrs);
        let (root, group) = (root.to_owned(), group.to_owned());
        Ok(Self { root, group, format, attrs, staging, resumes: false, arrays: IndexMap::new() })
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
        if let Some(shard) = &spec.shard {
            let fits = shard.len() == rank && shard.iter().zip(&spec.chunk).all(|(s, c)| *s > 0 && s % c == 0);
            if !fits {
                return Err(failed(name, format!("shard {shard:?} is no multiple of chunk {:?}", spec.chunk)));
            }
            if self.format == ZarrFormat::V2 {
                return Err(failed(name, "Zarr 2 has no shards; write Zarr 3, or leave them out"));
            }
        }
        let elements = product(spec.unit(), name)?;
        if elements > MAX_CHUNK {
            let what = format!("number of elements of a chunk or shard of `{name}`");
            return Err(Error::Limit { what, value: elements, limit: MAX_CHUNK });
        }
        let document = metadata::array(spec, self.format)?;
        let parsed = metadata::parse_metadata(name, &document)?;
        // Each array is a store of its own to `zarrs`, which takes no names like those that xarray makes up (`__…`).
        let storage: Arc<dyn WritableStorageTraits> = Arc::new(Folder { path: self.staging.join(name) });
        let array = Array::new_with_metadata(storage, "/", parsed).map_err(|e| failed(name, e))?;
        let counts: Vec<u64> = spec.shape.iter().zip(spec.unit()).map(|(len, unit)| len.div_ceil(*unit)).collect();
        product(&counts, name)?;
        self.arrays.insert(name.to_owned(), Member { spec: spec.clone(), array, counts, stored: Mutex::default() });
        Ok(())
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.arrays.get(name).ok_or_else(|| failed(name, "there is no array of this name"))
    }

    /// Stores one unit, and notes whether it is an object now.
    fn store(&self, name: &str, index: &[u64], values: ArrayBytes<'_>) -> Result<()> {
        let Member { array, counts, stored, .. } = self.member(name)?;
        array.store_chunk(index, values).map_err(|e| failed(name, e))?;
        let object = self.staging.join(name).join(KeyNames::written(self.format).name(index.iter().copied()));
        let linear = index.iter().zip(counts).fold(0, |at, (i, count)| at * count + i);
        let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
        if object.exists() {
            stored.insert(linear)
        } else {
            stored.remove(&linear)
        };
        Ok(())
    }

    /// Shape of what is written at once: of a shard where the array has shards, else of a chunk.
    ///
    /// # Errors
    /// [`Error::Zarr`] if there is no such array.
    pub fn unit(&self, name: &str) -> Result<&[u64]> {
        Ok(self.member(name)?.spec.unit())
    }

    /// Writes one chunk (one shard, see [`GroupWriter::unit`]): a whole one, or at the edge only the part within the
    /// shape. Safe from several threads.
    ///
    /// # Errors
    /// [`Error::Zarr`] if the array, its type, the position or the number of values does not fit; [`Error::Store`].
    pub fn write_chunk<T: Number>(&self, name: &str, index: &[u64], values: &[T]) -> Result<()> {
        let Member { spec, .. } = self.member(name)?;
        if spec.dtype != Element::Number(T::DTYPE) {
            return Err(failed(name, format!("it holds {}, not {}", spec.dtype, T::DTYPE.name())));
        }
        let (part, unit) = (part_of(spec, index)?, spec.unit());
        let (whole, cut) = (product(unit, name)?, product(&part, name)?);
        let given = values.len() as u64;
        if given != whole && given != cut {
            return Err(failed(name, format!("chunk {index:?} has {given} values, {whole} or {cut} are wanted")));
        }
        let mut raw = Vec::with_capacity(size_of_val(values));
        for value in values {
            value.put(&mut raw);
        }
        if given == whole {
            return self.write_chunk_bytes(name, index, &raw);
        }
        let fill = metadata::fill_element(spec)?;
        self.write_chunk_bytes(name, index, &place(&raw, (&part, &part), unit, &fill))
    }

    /// Writes one whole chunk (one shard, see [`GroupWriter::unit`]) in C order and native byte order; what lies beyond
    /// the shape becomes fill value. Safe from several threads.
    ///
    /// # Errors
    /// [`Error::Zarr`] if the array, the position or the number of bytes does not fit; [`Error::Store`].
    pub fn write_chunk_bytes(&self, name: &str, index: &[u64], raw: &[u8]) -> Result<()> {
        let Member { spec, .. } = self.member(name)?;
        if spec.dtype == Element::VlenText {
            return Err(failed(name, "texts of any length are no bytes of one size; give texts"));
        }
        let (part, unit) = (part_of(spec, index)?, spec.unit());
        let fill = metadata::fill_element(spec)?;
        let want = product(unit, name)?.saturating_mul(fill.len() as u64);
        if raw.len() as u64 != want {
            return Err(failed(name, format!("chunk {index:?} has {} bytes, {want} are wanted", raw.len())));
        }
        let padded;
        let raw = if part == unit {
            raw
        } else {
            padded = place(raw, (&part, unit), unit, &fill);
            &padded
        };
        self.store(name, index, ArrayBytes::new_flen(raw))
    }

    /// Writes all texts of an array, in C order.
    ///
    /// # Errors
    /// [`Error::Zarr`] if it is no array of texts, if the number of texts is another, or if a text is too long.
    pub fn write_text(&self, name: &str, texts: &[String]) -> Result<()> {
        let Member { spec, counts, .. } = self.member(name)?;
        let longest = match spec.dtype {
            Element::Text { chars } => Some(chars),
            Element::VlenText => None,
            Element::Number(_) => return Err(failed(name, "it is not an array of texts")),
        };
        let want = product(&spec.shape, name)?;
        if texts.len() as u64 != want {
            return Err(failed(name, format!("{} texts were given, {want} are wanted", texts.len())));
        }
        for linear in 0..product(counts, name)? {
            let index = position(linear, counts);
            let texts = within(spec, &index, texts);
            let bytes = match longest {
                Some(chars) => utf32(&texts, chars).map_err(|why| failed(name, why))?,
                None => utf8(&texts).map_err(|e| failed(name, e))?,
            };
            self.store(name, &index, bytes)?;
        }
        Ok(())
    }

    /// Flushes everything to the disk and puts the group in place of the old one.
    ///
    /// # Errors
    /// [`Error::Store`]; the old group then stays.
    pub fn finish(self) -> Result<()> {
        if self.resumes {
            self.count_stored()?;
        }
        self.write_metadata()?;
        flush(&self.staging)?;
        self.write_markers()?;
        if self.group.is_empty() {
            replace(&self.staging, &self.root)?;
            let above = self.root.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return flush(above);
        }
        let target = self.root.join(&self.group);
        replace(&self.staging, &target)?;
        self.write_parents()?;
        consolidate(&self.root, self.format)?;
        flush(&self.root)
    }

    /// Says of each array that it is complete, once all else is on the disk.
    fn write_markers(&self) -> Result<()> {
        let mut batch = publish::Batch::default();
        for (name, Member { spec, counts, stored, .. }) in &self.arrays {
            let document = metadata::array(spec, self.format)?;
            let stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
            let marker = Marker::new(&document, product(counts, name)?, &stored);
            batch.write(&self.staging.join(name).join(MARKER), &marker.bytes())?;
        }
        Ok(batch.flush()?)
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
        let hint = marker::hint(self.arrays.keys().cloned());
        match self.format {
            ZarrFormat::V2 => {
                let (group, attrs) = (json!({"zarr_format": 2}), Value::Object(self.attrs.clone()));
                put(".zgroup", &group)?;
                put(".zattrs", &attrs)?;
                members.insert(".zgroup".to_owned(), group);
                members.insert(".zattrs".to_owned(), attrs);
                put(".zmetadata", &metadata::consolidated_v2(&members, hint))?;
            }
            ZarrFormat::V3 => put("zarr.json", &metadata::group_v3(&self.attrs, &members, hint))?,
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
        if self.resumes {
            return;
        }
        // After finish there is nothing left, or the old group.
        let _ = fs::remove_dir_all(&self.staging);
        // A store that was made for this group alone goes with it; one that holds something cannot be removed this way.
        if !self.group.is_empty() {
            let _ = fs::remove_dir(&self.root);
        }
    }
}

/// A folder whose place a store may take: none, an empty one, or an old store.
fn check_replaceable(root: &Path) -> Result<()> {
    let refuse = |why: &str| Err(failed(&root.display().to_string(), why));
    if root.join("catalog.json").exists() {
        return refuse("it is a STAC catalog; choose another folder");
    }
    let is_store = ["zarr.json", ".zgroup", ".zarray", ".zmetadata"].iter().any(|name| root.join(name).is_file());
    if is_store {
        return Ok(());
    }
    match fs::read_dir(root).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => refuse("it is a folder that is no Zarr store; choose another one, or remove it"),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io(root, e)),
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

pub(super) fn bytes(document: &Value) -> Vec<u8> {
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
    index.iter().zip(spec.unit()).zip(&spec.shape).map(part).collect()
}

/// The texts of one chunk; empty ones beyond the shape.
fn within<'t>(spec: &ArraySpec, index: &[u64], texts: &'t [String]) -> Vec<&'t str> {
    let unit = spec.unit();
    let text = |linear: u64| {
        let inside = position(linear, unit);
        let axes = index.iter().zip(unit).zip(&inside).zip(&spec.shape);
        let at = axes.map(|(((i, unit), inside), len)| (i * unit + inside, *len));
        let place = at.into_iter().try_fold(0, |place, (at, len)| (at < len).then_some(place * len + at));
        place.and_then(|place| texts.get(usize::try_from(place).ok()?)).map_or("", String::as_str)
    };
    (0..unit.iter().product()).map(text).collect()
}

fn utf32(texts: &[&str], chars: usize) -> Result<ArrayBytes<'static>, String> {
    let mut bytes = Vec::with_capacity(texts.len() * chars.max(1) * 4);
    for text in texts {
        let found = text.chars().count();
        if found > chars {
            return Err(format!("`{text}` has {found} characters, {chars} are the most"));
        }
        let padded = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(chars.max(1));
        padded.for_each(|c| bytes.extend_from_slice(&c.to_ne_bytes()));
    }
    Ok(ArrayBytes::new_flen(bytes))
}

fn utf8(texts: &[&str]) -> Result<ArrayBytes<'static>, String> {
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.len();
        Some(*end)
    });
    let offsets =
        ArrayBytesOffsets::new(std::iter::once(0).chain(ends).collect::<Vec<_>>()).map_err(|e| e.to_string())?;
    ArrayBytes::new_vlen(texts.concat().into_bytes(), offsets).map_err(|e| e.to_string())
}

/// The corner of `part` out of bytes of shape `from`, in the corner of a whole chunk of fill value. The sizes are those
/// of a chunk in memory.
fn place(raw: &[u8], (part, from): (&[u64], &[u64]), chunk: &[u64], fill: &[u8]) -> Vec<u8> {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_mul(fill.len());
    let mut placed = fill.repeat(chunk.iter().product::<u64>().try_into().unwrap_or(usize::MAX));
    let Some((run, outer)) = part.split_last() else { return raw.to_vec() };
    let last = outer.len();
    for row in 0..outer.iter().product::<u64>() {
        let (mut rest, mut read, mut write) = (row, 0, 0);
        let (mut read_stride, mut write_stride) = (from[last], chunk[last]);
        for axis in (0..last).rev() {
            read += rest % part[axis] * read_stride;
            write += rest % part[axis] * write_stride;
            rest /= part[axis];
            read_stride *= from[axis];
            write_stride *= chunk[axis];
        }
        placed[size(write)..size(write + run)].copy_from_slice(&raw[size(read)..size(read + run)]);
    }
    placed
}

fn flush(folder: &Path) -> Result<()> {
    let file = File::open(folder).map_err(|e| io(folder, e))?;
    rustix::fs::syncfs(&file).map_err(|e| io(folder, e.into()))
}

/// Puts the new folder in place of the old one, at once where the file system can.
pub(crate) fn replace(new: &Path, target: &Path) -> Result<()> {
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
