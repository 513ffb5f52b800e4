//! Writes references, as a document or as tables, which xarray opens through zarr and fsspec.

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use bytes::Bytes;
use outcrop_store::{Href, publish};
use serde_json::{Map, Value, json};

use super::parquet::{self, Rows};
use crate::array::{ByteOrder, ChunkGrid, ChunkRef, Codec, DType, FileMeta, Variable};
use crate::refs::ChunkRefs;
use crate::zarr;
use crate::{Error, Result};

/// Largest chunk that contiguous data is cut into, in bytes.
const CHUNK: u64 = 8 << 20;
/// Rows of a table in Parquet: kerchunk's default.
const RECORD_SIZE: u64 = 10_000;

/// A variable whose chunks were found.
pub type Located<'a> = (&'a Variable, &'a ChunkRefs);

/// Variables that Zarr cannot express, and why.
pub type LeftOut = Vec<(String, String)>;

/// A document of references (kerchunk version 1, Zarr 2) of these variables of the file at `href`.
///
/// The second part names the variables that Zarr cannot express, and why.
pub fn export(meta: &FileMeta, located: &[Located<'_>], href: &Href) -> (Value, LeftOut) {
    let (mut refs, arrays, left_out) = lower(meta, located, href);
    for (name, array) in arrays {
        for (index, target) in &array.pieces {
            let value = match target {
                Target::Range(href, None) => json!([href.as_str()]),
                Target::Range(href, Some(range)) => json!([href.as_str(), range.start, range.end - range.start]),
                Target::Inline(bytes) => {
                    format!("base64:{}", base64::engine::general_purpose::STANDARD.encode(bytes)).into()
                }
            };
            refs.insert(format!("{name}/{}", key(index)), value);
        }
    }
    for value in refs.values_mut().filter(|value| value.is_object()) {
        *value = value.to_string().into();
    }
    (json!({"version": 1, "refs": refs}), left_out)
}

/// Writes references as tables in Parquet: a folder that takes the place of `to` when it is complete. It has
/// `.zmetadata` and, for each array, files of 10 000 rows, as fsspec's `LazyReferenceMapper` reads them.
///
/// The answer names the variables that Zarr cannot express, and why.
///
/// # Errors
/// [`Error::Store`] where the folder cannot be written or holds something else.
pub fn write_parquet(meta: &FileMeta, located: &[Located<'_>], (href, to): (&Href, &Path)) -> Result<LeftOut> {
    let (documents, arrays, left_out) = lower(meta, located, href);
    let metadata = json!({"metadata": documents, "record_size": RECORD_SIZE});
    if to.exists() && !to.join(".zmetadata").is_file() {
        return Err(Error::malformed(to.display().to_string(), "it is there, and holds no references"));
    }
    let staging = publish::part_path(to);
    let written = write_folder(&staging, &metadata, &arrays).and_then(|()| zarr::replace(&staging, to));
    // After a rename there is nothing to remove.
    let _ = std::fs::remove_dir_all(&staging);
    written.map(|()| left_out)
}

fn write_folder(folder: &Path, metadata: &Value, arrays: &[(String, Exported)]) -> Result<()> {
    let mut batch = publish::Batch::default();
    for (name, array) in arrays {
        let counts = array.grid.counts();
        let total: u64 = counts.iter().product();
        let linear = |index: &[u64]| index.iter().zip(&counts).fold(0u64, |at, (i, n)| at * n + i);
        let mut pieces = array.pieces.iter().map(|(index, target)| (linear(index), target)).peekable();
        for number in 0..total.div_ceil(RECORD_SIZE) {
            let first = number * RECORD_SIZE;
            let len = usize::try_from(RECORD_SIZE.min(total - first)).unwrap_or(usize::MAX);
            let mut rows =
                Rows { path: vec![None; len], offset: vec![0; len], size: vec![0; len], raw: vec![None; len] };
            while let Some((linear, target)) = pieces.next_if(|(linear, _)| *linear < first + len as u64) {
                let row = usize::try_from(linear - first).unwrap_or(usize::MAX);
                match target {
                    Target::Inline(bytes) => rows.raw[row] = Some(bytes.clone()),
                    Target::Range(href, range) => {
                        rows.path[row] = Some(href.as_str().to_owned().into());
                        let range = range.clone().unwrap_or(0..0);
                        (rows.offset[row], rows.size[row]) = (range.start, range.end - range.start);
                    }
                }
            }
            let file = parquet::write(&rows).map_err(|why| Error::malformed(name, why))?;
            batch.write(&folder.join(name).join(format!("refs.{number}.parq")), &file)?;
        }
    }
    batch.write(&folder.join(".zmetadata"), metadata.to_string().as_bytes())?;
    Ok(batch.flush()?)
}

/// A variable as Zarr: its grid, and the chunks that there are, in C order.
struct Exported {
    grid: ChunkGrid,
    pieces: Vec<(Vec<u64>, Target)>,
}

/// Where a chunk is, without filters that were skipped.
enum Target {
    Range(Href, Option<Range<u64>>),
    Inline(Bytes),
}

/// Metadata documents by key, and the arrays.
fn lower(
    meta: &FileMeta,
    located: &[Located<'_>],
    href: &Href,
) -> (Map<String, Value>, Vec<(String, Exported)>, LeftOut) {
    let (mut documents, mut arrays, mut left_out) = (Map::new(), Vec::new(), Vec::new());
    let group = json!({"zarr_format": 2});
    documents.insert(".zgroup".to_owned(), group.clone());
    documents.insert(".zattrs".to_owned(), Value::Object(zarr::attributes(&meta.attrs)));
    for (variable, chunks) in located {
        match array(variable, chunks, href) {
            Ok((document, attributes, exported)) => {
                let name = &variable.name;
                for (at, _) in name.match_indices('/') {
                    documents.insert(format!("{}/.zgroup", &name[..at]), group.clone());
                }
                documents.insert(format!("{name}/.zarray"), document);
                documents.insert(format!("{name}/.zattrs"), attributes);
                arrays.push((name.clone(), exported));
            }
            Err(why) => left_out.push((variable.name.clone(), why.to_string())),
        }
    }
    (documents, arrays, left_out)
}

fn key(index: &[u64]) -> String {
    let key = index.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
    if key.is_empty() { "0".to_owned() } else { key }
}

/// The documents of an array, and its chunks.
fn array(variable: &Variable, refs: &ChunkRefs, href: &Href) -> Result<(Value, Value, Exported)> {
    let (grid, pieces) = pieces(variable, refs)?;
    let (filters, compressor) = codecs(variable)?;
    let mut attrs = variable.attrs.clone();
    let given = attrs.shift_remove("_FillValue");
    // Zarr 2 takes its fill value for what is missing, so it is only named where something was never written.
    let written = pieces.iter().filter(|(_, chunk)| *chunk != ChunkRef::Fill).count() as u64;
    let whole = written == grid.counts().iter().product::<u64>();
    let zeros = variable.fill.iter().all(|byte| *byte == 0);
    let fill = match given {
        Some(value) => zarr::attributes(&std::iter::once(("fill".to_owned(), value)).collect())["fill"].clone(),
        None if zeros || whole => Value::Null,
        None => fill(variable),
    };
    let document = json!({
        "zarr_format": 2, "shape": grid.shape, "chunks": grid.chunk, "dtype": dtype(variable)?, "order": "C",
        "fill_value": fill, "filters": if filters.is_empty() { Value::Null } else { filters.into() },
        "compressor": compressor,
    });
    let mut attributes = zarr::attributes(&attrs);
    attributes.insert("_ARRAY_DIMENSIONS".to_owned(), variable.dims.clone().into());
    let targets = pieces.into_iter().filter_map(|(index, chunk)| Some((index, target(variable, chunk, href)?)));
    let pieces = targets.map(|(index, target)| Ok((index, target?))).collect::<Result<_>>()?;
    Ok((document, Value::Object(attributes), Exported { grid, pieces }))
}

/// `None` for a chunk that was never written.
fn target(variable: &Variable, chunk: ChunkRef, own: &Href) -> Option<Result<Target>> {
    Some(Ok(match chunk {
        ChunkRef::Range { filter_mask, .. } | ChunkRef::Object { filter_mask, .. } if filter_mask != 0 => {
            return Some(Err(Error::unsupported(&variable.name, "a chunk that skips a filter, in Zarr,")));
        }
        ChunkRef::Range { offset, length, .. } => {
            Target::Range(own.clone(), Some(offset..offset.saturating_add(length)))
        }
        ChunkRef::Object { href, range, .. } => Target::Range(href, range),
        ChunkRef::Opaque { .. } => {
            return Some(Err(Error::unsupported(&variable.name, "what only GDAL reads, in references,")));
        }
        ChunkRef::Inline(bytes) => Target::Inline(bytes),
        ChunkRef::Fill => return None,
    }))
}

type Pieces = Vec<(Vec<u64>, ChunkRef)>;

/// The chunks, all stored whole: contiguous data is cut where its rows divide evenly.
fn pieces(variable: &Variable, refs: &ChunkRefs) -> Result<(ChunkGrid, Pieces)> {
    let Some((base, stride)) = refs.rows() else {
        let inline = refs.iter().any(|(_, chunk)| matches!(chunk, ChunkRef::Inline(_)));
        let cut = refs.grid.shape.iter().zip(&refs.grid.chunk).any(|(n, c)| *n > *c && n % c != 0);
        if inline && refs.is_virtual() && cut {
            return Err(Error::unsupported(&variable.name, "computed values in several chunks, in references,"));
        }
        return Ok((refs.grid.clone(), refs.iter().collect()));
    };
    let shape = refs.grid.shape.clone();
    let size = refs.dtype.size() as u64;
    let Some((rows, rest)) = shape.split_first() else {
        let chunk = ChunkRef::Range { offset: base, length: size, filter_mask: 0 };
        return Ok((refs.grid.clone(), vec![(Vec::new(), chunk)]));
    };
    let row: u64 = rest.iter().product::<u64>() * size;
    let most = if stride == row { (CHUNK / row.max(1)).clamp(1, (*rows).max(1)) } else { 1 };
    let together = (1..=most).rev().find(|n| rows % n == 0).unwrap_or(1);
    let chunk = std::iter::once(together).chain(rest.iter().map(|n| (*n).max(1))).collect();
    let pieces = (0..rows / together)
        .map(|i| {
            let index = std::iter::once(i).chain(rest.iter().map(|_| 0)).collect();
            let offset = base.saturating_add(i.saturating_mul(together).saturating_mul(stride));
            (index, ChunkRef::Range { offset, length: together.saturating_mul(row), filter_mask: 0 })
        })
        .filter(|(_, chunk)| !matches!(chunk, ChunkRef::Range { length: 0, .. }))
        .collect();
    Ok((ChunkGrid { shape, chunk }, pieces))
}

/// Filters and compressor by their names in numcodecs.
fn codecs(variable: &Variable) -> Result<(Vec<Value>, Value)> {
    let mut filters = Vec::new();
    for codec in &variable.codecs {
        filters.push(match codec {
            Codec::Shuffle { element } => json!({"id": "shuffle", "elementsize": element}),
            Codec::Deflate => json!({"id": "zlib", "level": 1}),
            Codec::Gzip => json!({"id": "gzip", "level": 1}),
            Codec::Zstd => json!({"id": "zstd", "level": 1}),
            Codec::Blosc => json!({"id": "blosc"}),
            Codec::Lz4Sized => json!({"id": "lz4"}),
            Codec::Fletcher32 => json!({"id": "fletcher32"}),
            other => return Err(Error::unsupported(&variable.name, format!("the codec {other}, in Zarr,"))),
        });
    }
    let compresses = |codec: &Value| matches!(codec["id"].as_str(), Some("zlib" | "gzip" | "zstd" | "blosc" | "lz4"));
    let compressor = if filters.last().is_some_and(compresses) { filters.pop() } else { None };
    Ok((filters, compressor.unwrap_or(Value::Null)))
}

fn dtype(variable: &Variable) -> Result<String> {
    let kind = match variable.dtype {
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => 'i',
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => 'u',
        DType::Float16 | DType::Float32 | DType::Float64 => 'f',
        DType::Complex64 | DType::Complex128 => 'c',
        DType::Char | DType::Text(_) => 'S',
        DType::Unicode(chars) => {
            let order = if variable.byte_order == ByteOrder::Little { '<' } else { '>' };
            return Ok(format!("{order}U{chars}"));
        }
        DType::Opaque(_) | DType::VlenText(_) | DType::VlenUtf8 => {
            return Err(Error::unsupported(&variable.name, "its type, in Zarr,"));
        }
    };
    let order = match (variable.dtype.word(), variable.byte_order) {
        (1, _) => '|',
        (_, ByteOrder::Little) => '<',
        (_, ByteOrder::Big) => '>',
    };
    Ok(format!("{order}{kind}{}", variable.dtype.size()))
}

/// The fill value as JSON: that of unwritten chunks.
fn fill(variable: &Variable) -> Value {
    match zarr::number(&variable.fill, variable.dtype) {
        Some(value) => zarr::attributes(&std::iter::once(("fill".to_owned(), value)).collect())["fill"].clone(),
        None => Value::Null,
    }
}
