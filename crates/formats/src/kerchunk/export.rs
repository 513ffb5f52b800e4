//! Writes a document of references, which xarray opens through zarr and fsspec.

use base64::Engine;
use outcrop_store::Href;
use serde_json::{Map, Value, json};

use crate::array::{ByteOrder, ChunkGrid, ChunkRef, Codec, DType, FileMeta, Variable};
use crate::refs::ChunkRefs;
use crate::zarr;
use crate::{Error, Result};

/// Largest chunk that contiguous data is cut into, in bytes.
const CHUNK: u64 = 8 << 20;

/// A variable whose chunks were found.
pub type Located<'a> = (&'a Variable, &'a ChunkRefs);

/// A document of references (kerchunk version 1, Zarr 2) of these variables of the file at `href`.
///
/// The second part names the variables that Zarr cannot express, and why.
pub fn export(meta: &FileMeta, located: &[Located<'_>], href: &Href) -> (Value, Vec<(String, String)>) {
    let mut refs = Map::new();
    let group = json!({"zarr_format": 2}).to_string();
    refs.insert(".zgroup".to_owned(), group.clone().into());
    refs.insert(".zattrs".to_owned(), Value::Object(zarr::attributes(&meta.attrs)).to_string().into());
    let mut left_out = Vec::new();
    for (variable, chunks) in located {
        match array(variable, chunks, href) {
            Ok(members) => {
                for (at, _) in variable.name.match_indices('/') {
                    refs.insert(format!("{}/.zgroup", &variable.name[..at]), group.clone().into());
                }
                refs.extend(members.into_iter().map(|(key, value)| (format!("{}/{key}", variable.name), value)));
            }
            Err(why) => left_out.push((variable.name.clone(), why.to_string())),
        }
    }
    (json!({"version": 1, "refs": refs}), left_out)
}

fn array(variable: &Variable, refs: &ChunkRefs, href: &Href) -> Result<Vec<(String, Value)>> {
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
    let mut members = vec![
        (".zarray".to_owned(), document.to_string().into()),
        (".zattrs".to_owned(), Value::Object(attributes).to_string().into()),
    ];
    for (index, chunk) in pieces {
        let key = index.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let key = if key.is_empty() { "0".to_owned() } else { key };
        let value = match chunk {
            ChunkRef::Range { filter_mask, .. } | ChunkRef::Object { filter_mask, .. } if filter_mask != 0 => {
                return Err(Error::unsupported(&variable.name, "a chunk that skips a filter, in Zarr,"));
            }
            ChunkRef::Range { offset, length, .. } => json!([href.as_str(), offset, length]),
            ChunkRef::Object { href, range: Some(range), .. } => {
                json!([href.as_str(), range.start, range.end - range.start])
            }
            ChunkRef::Object { href, range: None, .. } => json!([href.as_str()]),
            ChunkRef::Inline(bytes) => {
                format!("base64:{}", base64::engine::general_purpose::STANDARD.encode(bytes)).into()
            }
            ChunkRef::Fill => continue,
        };
        members.push((key, value));
    }
    Ok(members)
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
        DType::Opaque(_) | DType::VlenText(_) => return Err(Error::unsupported(&variable.name, "its type, in Zarr,")),
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
