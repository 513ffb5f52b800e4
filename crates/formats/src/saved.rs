//! Chunk references kept in a file, so that the next open reads neither header nor chunk index.
//!
//! The file begins with `OUTCREFS`, the version (1 byte) and a CRC-32C of the rest (4 bytes, little-endian); the rest is
//! one zstd frame of postcard. It says of which object it was made: size, ETag, and of a local file the time of its last
//! change. Where one of them differs, the references are outdated and the object is read again.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use outcrop_store::{Href, ObjectMeta, Store};
use serde::{Deserialize, Serialize};

use crate::array::{Attrs, ByteOrder, ChunkGrid, Codec, DType, Dim, FileMeta, Format, Variable};
use crate::gdal;
use crate::layout::{Layout, Linear, MAX_DIMS, product};
use crate::miniseed::Segment;
use crate::opened::Opened;
use crate::refs::{ChunkRefs, Entry, Table};
use crate::{Error, Result};

/// The field of a STAC asset that names the file of its references, relative to the item.
pub const REFERENCES: &str = "outcrop:references";

const MAGIC: &[u8; 8] = b"OUTCREFS";
const VERSION: u8 = 3;
/// Largest content, in bytes.
const MAX_CONTENT: usize = 1 << 30;

/// Whether references come from a file or were saved before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// Read from the file now.
    Read,
    /// Saved before, and the file has not changed since.
    Saved,
    /// Saved before, but the file has changed: read again now.
    Outdated,
}

/// What a file of references holds.
#[derive(Serialize, Deserialize)]
struct Content {
    href: String,
    size: u64,
    etag: Option<String>,
    modified: Option<u64>,
    format: Format,
    dims: Vec<(String, Dim)>,
    attrs: Attrs,
    variables: Vec<SavedVariable>,
    refused: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct SavedVariable {
    name: String,
    dims: Vec<String>,
    dtype: DType,
    byte_order: ByteOrder,
    grid: ChunkGrid,
    codecs: Vec<Codec>,
    fill: Vec<u8>,
    attrs: Attrs,
    table: SavedTable,
}

#[derive(Serialize, Deserialize)]
enum SavedTable {
    /// Columns of a listed table: positions and offsets as differences to the entry before.
    Listed {
        linear: Vec<u64>,
        offset: Vec<i64>,
        length: Vec<u64>,
        filter_mask: Vec<u32>,
    },
    Rows {
        base: u64,
        stride: u64,
    },
    Inline(Vec<u8>),
    Linear(Linear),
    Empty,
    Records(Segment),
}

/// References of an object as it was when they were saved.
pub(crate) struct Saved {
    pub(crate) meta: FileMeta,
    size: u64,
    etag: Option<String>,
    modified: Option<u64>,
}

impl Saved {
    pub(crate) fn is_fresh(&self, object: &ObjectMeta) -> bool {
        self.size == object.size && self.etag == object.etag && self.modified == modified(&object.href)
    }
}

/// Nanoseconds since 1970 of the last change of a local file.
fn modified(href: &Href) -> Option<u64> {
    let time = std::fs::metadata(href.to_path()?).ok()?.modified().ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// The references of an opened file, as bytes to be kept. Chunks are located first, several variables one after the other.
///
/// The second part names the variables that are not among them, and why.
///
/// # Errors
/// [`Error::Unsupported`] for a store of many objects, which has no header to save, and for what GDAL reads; the
/// store's.
pub async fn save(opened: &Opened) -> Result<(Vec<u8>, Vec<(String, String)>)> {
    let href = opened.origin.href().absolute();
    let Some(object) = opened.origin.object() else {
        return Err(Error::unsupported(href.to_string(), "saving references of a store of many objects"));
    };
    gdal::check_references(opened)?;
    let (mut variables, mut left_out) = (Vec::new(), Vec::new());
    let mut refused = opened.meta.refused.clone();
    for (variable, refs) in opened.locate_all().await {
        let table = match refs {
            Ok(refs) => table(&refs).ok_or("chunks in objects of their own are not saved".to_owned()),
            Err(Error::Store(e)) => return Err(e.into()),
            Err(e) => Err(e.to_string()),
        };
        match table {
            Ok(table) => variables.push(saved_variable(variable, table)),
            Err(why) => {
                refused.push((variable.name.clone(), why.clone()));
                left_out.push((variable.name.clone(), why));
            }
        }
    }
    let meta = &opened.meta;
    let content = Content {
        href: href.as_str().to_owned(),
        size: object.size,
        etag: object.etag.clone(),
        modified: modified(&href),
        format: meta.format,
        dims: meta.dims.iter().map(|(name, dim)| (name.clone(), *dim)).collect(),
        attrs: meta.attrs.clone(),
        variables,
        refused,
    };
    let broken = |why: String| Error::malformed("the references", why);
    let plain = postcard::to_stdvec(&content).map_err(|e| broken(e.to_string()))?;
    let packed = zstd::bulk::compress(&plain, 9).map_err(|e| broken(e.to_string()))?;
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend_from_slice(&crc32c::crc32c(&packed).to_le_bytes());
    out.extend_from_slice(&packed);
    Ok((out, left_out))
}

fn saved_variable(variable: &Variable, table: SavedTable) -> SavedVariable {
    SavedVariable {
        name: variable.name.clone(),
        dims: variable.dims.clone(),
        dtype: variable.dtype,
        byte_order: variable.byte_order,
        grid: variable.grid.clone(),
        codecs: variable.codecs.clone(),
        fill: variable.fill.clone(),
        attrs: variable.attrs.clone(),
        table,
    }
}

fn table(refs: &ChunkRefs) -> Option<SavedTable> {
    Some(match &refs.table {
        Table::Listed(entries) => {
            let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let (mut linear, mut offset) = (0u64, 0u64);
            for entry in entries {
                columns.0.push(entry.linear.wrapping_sub(linear));
                columns.1.push(entry.offset.wrapping_sub(offset).cast_signed());
                columns.2.push(entry.length);
                columns.3.push(entry.filter_mask);
                (linear, offset) = (entry.linear, entry.offset);
            }
            let (linear, offset, length, filter_mask) = columns;
            SavedTable::Listed { linear, offset, length, filter_mask }
        }
        Table::Rows { base, stride } => SavedTable::Rows { base: *base, stride: *stride },
        Table::Inline(bytes) => SavedTable::Inline(bytes.to_vec()),
        Table::Linear(linear) => SavedTable::Linear(linear.clone()),
        Table::Empty => SavedTable::Empty,
        Table::Records(segment) => SavedTable::Records((**segment).clone()),
        Table::Objects(_) | Table::Mapped(_) | Table::Referenced(_) | Table::Opaque(_) | Table::Shards { .. } => {
            return None;
        }
    })
}

/// True if a file begins like saved references.
pub(crate) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Opens the object that saved references are of.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are damaged or of another version, or a remote file names a local one; the
/// errors of [`Opened::open`] where the object has changed.
pub(crate) async fn open(store: &Store, href: &Href, bytes: &[u8]) -> Result<Opened> {
    let broken = |why: String| Error::malformed(format!("the file of references `{href}`"), why);
    let (target, saved) = parse(bytes).map_err(broken)?;
    let target = href.join(&target)?;
    if target.is_local() && !href.is_local() {
        return Err(broken(format!("a remote file may not name the local file `{target}`")));
    }
    Opened::of_saved(store, &target, saved).await
}

/// The href of the object, and the references.
fn parse(bytes: &[u8]) -> Result<(String, Saved), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is something else")?;
    let (version, rest) = rest.split_first().ok_or("it is cut")?;
    if *version != VERSION {
        return Err(format!("it is of version {version}, and this program reads {VERSION}; write it again"));
    }
    let (sum, packed) = rest.split_first_chunk::<4>().ok_or("it is cut")?;
    if crc32c::crc32c(packed) != u32::from_le_bytes(*sum) {
        return Err("its checksum does not match; write it again".to_owned());
    }
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let size = size.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MAX_CONTENT).ok_or("it is too large")?;
    let plain = zstd::bulk::decompress(packed, size).map_err(|e| e.to_string())?;
    let content: Content = postcard::from_bytes(&plain).map_err(|e| e.to_string())?;
    let size = content.size;
    let variables = content.variables.into_iter().map(|v| variable(v, size)).collect::<Result<_, _>>()?;
    let meta = FileMeta {
        format: content.format,
        dims: content.dims.into_iter().collect(),
        attrs: content.attrs,
        variables,
        refused: content.refused,
    };
    Ok((content.href, Saved { meta, size, etag: content.etag, modified: content.modified }))
}

/// A variable, once everything that it says holds for an object of this size.
fn variable(saved: SavedVariable, size: u64) -> Result<Variable, String> {
    let SavedVariable { name, dims, dtype, byte_order, grid, codecs, fill, attrs, table } = saved;
    let rank = grid.shape.len();
    let bad = |why: &str| format!("variable `{name}`: {why}");
    if rank > MAX_DIMS || grid.chunk.len() != rank || dims.len() != rank || grid.chunk.contains(&0) {
        return Err(bad("its dimensions do not fit"));
    }
    let whole = product(&grid.shape, &name).and(product(&grid.counts(), &name)).and(product(&grid.chunk, &name));
    whole.map_err(|e| bad(&e.to_string()))?;
    let table = match table {
        SavedTable::Listed { linear, offset, length, filter_mask } => {
            let entries = entries((&linear, &offset), (&length, &filter_mask)).ok_or(bad("its table is damaged"))?;
            let inside = |e: &Entry| e.offset.checked_add(e.length).is_some_and(|end| end <= size);
            let sorted = entries.windows(2).all(|pair| pair[0].linear < pair[1].linear);
            if !sorted || !entries.iter().all(inside) {
                return Err(bad("its chunks lie past the end or are not in order"));
            }
            Table::Listed(entries)
        }
        SavedTable::Rows { base, stride } => Table::Rows { base, stride },
        SavedTable::Inline(bytes) => Table::Inline(bytes.into()),
        SavedTable::Linear(linear) if rank == 1 => Table::Linear(linear),
        SavedTable::Linear(_) => return Err(bad("computed coordinates have one dimension")),
        SavedTable::Empty => Table::Empty,
        SavedTable::Records(segment) => {
            let same = segment.name == name && segment.dtype == dtype;
            if !same || grid.shape != [segment.samples] || grid.chunk != [segment.chunk] || !segment.is_sound(size) {
                return Err(bad("its records are damaged"));
            }
            return Ok(Variable {
                layout: Layout::Records(Arc::new(segment)),
                ..Variable { name, dims, dtype, byte_order, grid, codecs, fill, attrs, layout: Layout::Empty }
            });
        }
    };
    let layout = match table {
        // Where its last row ends is checked when it is located.
        Table::Rows { base, stride } => Layout::Rows { base, stride },
        table => Layout::Found(Arc::new(table)),
    };
    Ok(Variable { name, dims, dtype, byte_order, grid, codecs, fill, attrs, layout })
}

fn entries((linear, offset): (&[u64], &[i64]), (length, mask): (&[u64], &[u32])) -> Option<Vec<Entry>> {
    let same = linear.len() == offset.len() && offset.len() == length.len() && length.len() == mask.len();
    let (mut position, mut place) = (0u64, 0u64);
    same.then(|| {
        (0..linear.len())
            .map(|i| {
                position = position.wrapping_add(linear[i]);
                place = place.wrapping_add(offset[i].cast_unsigned());
                Entry { linear: position, offset: place, length: length[i], filter_mask: mask[i] }
            })
            .collect()
    })
}
