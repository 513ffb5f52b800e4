//! One dataset, lowered to a variable.

use bytes::Bytes;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::object_header::ObjectHeader;

use super::datatype;
use super::index::ChunkIndex;
use super::member::{self, Leaf};
use super::messages::Messages;
use super::object::Objects;
use crate::array::{ChunkGrid, Codec, Compression, HeapPlace, Packing, Variable};
use crate::layout::{Layout, MAX_DIMS, product, virtual_elements};
use crate::{Error, Result};

/// The messages of a dataset that matter.
#[derive(Default)]
struct Parts<'a> {
    shape: Vec<u64>,
    max: Option<Vec<u64>>,
    null: bool,
    layout: Option<&'a DataLayout>,
    filters: &'a [FilterDescription],
    fill: Option<&'a [u8]>,
    external: bool,
    /// Chunks at the edge are stored without their filters.
    plain_edge: bool,
}

impl<'a> Parts<'a> {
    fn of(header: &'a ObjectHeader) -> Self {
        let mut parts = Self::default();
        for message in &header.messages {
            match message {
                HdfMessage::Dataspace(space) => {
                    parts.shape.clone_from(&space.dims);
                    parts.max.clone_from(&space.max_dims);
                    parts.null = space.dataspace_type == hdf5_reader::messages::dataspace::DataspaceType::Null;
                }
                HdfMessage::DataLayout(layout) => parts.layout = Some(&layout.layout),
                HdfMessage::FilterPipeline(pipeline) => parts.filters = &pipeline.filters,
                HdfMessage::FillValue(fill) => {
                    if let Some(value) = &fill.value {
                        parts.fill = Some(value);
                    }
                }
                HdfMessage::ExternalFiles(_) => parts.external = true,
                _ => {}
            }
        }
        parts
    }
}

/// A dataset without names of dimensions and attributes: one variable, or one for each member of a compound.
pub(super) struct Lowered {
    pub(super) variables: Vec<Variable>,
    /// Which dimensions of the dataset can grow.
    pub(super) unlimited: Vec<bool>,
    /// Members that cannot be read, and why.
    pub(super) refused: Vec<(String, String)>,
}

/// Lowers a dataset; of its names of values, only enumerations have attributes.
pub(super) fn lower(
    objects: &Objects<'_>,
    base: u64,
    name: &str,
    (address, header): (u64, &ObjectHeader),
) -> Result<Lowered> {
    let mut parts = Parts::of(header);
    let raw = Messages::read(objects, address)
        .map_err(|source| Error::Hdf5 { object: format!("the header of `{name}`"), source: Box::new(source) })?;
    let bytes = raw.datatype().ok_or_else(|| Error::malformed(name, "it has no datatype"))?;
    let datatype = datatype::parse(bytes).map_err(|why| Error::malformed(name, why))?;
    parts.plain_edge = raw.edge_is_plain();
    if parts.null {
        parts.shape = vec![0];
    }
    let place = HeapPlace { base, offset_size: objects.offset_size, length_size: objects.length_size };
    let (leaves, mut refused) = member::leaves(&datatype, name, place);
    let rank = parts.shape.len();
    let unlimited = (0..rank).map(|axis| parts.max.as_ref().and_then(|m| m.get(axis)) == Some(&u64::MAX)).collect();
    let mut variables = Vec::new();
    for leaf in leaves {
        match variable(objects, base, (&parts, datatype.size), &leaf) {
            Ok(variable) => variables.push(variable),
            Err(Error::Unsupported { object, what }) => refused.push((object, what)),
            Err(error) => return Err(error),
        }
    }
    Ok(Lowered { variables, unlimited, refused })
}

fn variable(objects: &Objects<'_>, base: u64, (parts, size): (&Parts<'_>, usize), leaf: &Leaf) -> Result<Variable> {
    let (name, plain) = (leaf.name.as_str(), leaf.plain);
    let rank = parts.shape.len() + leaf.dims.len();
    if rank > MAX_DIMS {
        return Err(Error::Limit { what: "number of dimensions".into(), value: rank as u64, limit: MAX_DIMS as u64 });
    }
    product(&parts.shape, name)?
        .checked_mul(size as u64)
        .ok_or_else(|| Error::malformed(name, format!("its shape {:?} is beyond 64 bits", parts.shape)))?;
    let mut codecs = leaf.forms(size);
    let forms = u32::try_from(codecs.len()).unwrap_or(u32::MAX);
    codecs.extend(parts.filters.iter().map(|filter| codec(filter, size)));
    let (layout, mut grid) = place(objects, base, (parts, size, forms), leaf)?;
    grid.shape.extend(&leaf.dims);
    grid.chunk.extend(&leaf.dims);
    Ok(Variable {
        name: leaf.name.clone(),
        dims: Vec::new(),
        dtype: plain.dtype,
        byte_order: plain.order,
        grid,
        codecs,
        fill: leaf.fill(parts.fill, size)?,
        attrs: leaf.attrs.clone(),
        layout,
    })
}

fn codec(filter: &FilterDescription, size: usize) -> Codec {
    match filter.id {
        1 => Codec::Deflate,
        2 => {
            let element = filter.client_data.first().and_then(|n| usize::try_from(*n).ok());
            Codec::Shuffle { element: element.filter(|n| *n > 0).unwrap_or(size) }
        }
        3 => Codec::Fletcher32,
        4 => Codec::Packed { packing: Packing::Szip, parameters: filter.client_data.clone() },
        5 => Codec::Packed { packing: Packing::Nbit, parameters: filter.client_data.clone() },
        6 => Codec::Packed { packing: Packing::ScaleOffset, parameters: filter.client_data.clone() },
        32000 => Codec::Lzf,
        32001 => Codec::Blosc,
        32004 => Codec::Lz4,
        32008 if bitshuffle(filter, size).is_some() => bitshuffle(filter, size).unwrap_or(Codec::Fletcher32),
        32015 => Codec::Zstd,
        id => {
            let known = match id {
                307 => "bzip2",
                32008 => "bitshuffle",
                32013 => "zfp",
                32017 => "sz",
                32024 => "sz3",
                32026 => "blosc2",
                32028 => "sperr",
                _ => "unknown",
            };
            Codec::Unsupported { id, name: filter.name.clone().filter(|n| !n.is_empty()).unwrap_or(known.into()) }
        }
    }
}

/// Parameters: version twice, bytes of an element, elements of a block, compression (0, 2 LZ4, 3 zstd), level.
fn bitshuffle(filter: &FilterDescription, size: usize) -> Option<Codec> {
    let parameter = |at: usize| filter.client_data.get(at).and_then(|n| usize::try_from(*n).ok());
    let compression = match parameter(4).unwrap_or(0) {
        0 => Compression::None,
        2 => Compression::Lz4,
        3 => Compression::Zstd,
        _ => return None,
    };
    let element = parameter(2).filter(|n| *n > 0).unwrap_or(size);
    Some(Codec::Bitshuffle { element, block: parameter(3).unwrap_or(0), compression })
}

/// Where the elements are, and their grid; `size` is that of an element, `forms` the number of codecs before the filters.
fn place(
    objects: &Objects<'_>,
    base: u64,
    (parts, size, forms): (&Parts<'_>, usize, u32),
    leaf: &Leaf,
) -> Result<(Layout, ChunkGrid)> {
    let name = leaf.name.as_str();
    let whole = || {
        let chunk = parts.shape.iter().map(|n| (*n).max(1)).collect();
        ChunkGrid { shape: parts.shape.clone(), chunk }
    };
    let layout = parts.layout.ok_or_else(|| Error::malformed(name, "it has no layout"))?;
    if parts.external {
        return Ok((Layout::Refused("external storage (its data is in other files)".to_owned()), whole()));
    }
    if parts.null {
        return Ok((Layout::Empty, whole()));
    }
    match layout {
        DataLayout::Compact { data } => Ok((Layout::Inline(Bytes::from(data.clone())), whole())),
        DataLayout::Contiguous { address, .. } => {
            let grid = virtual_elements(&parts.shape, size);
            if Cursor::is_undefined_offset(*address, objects.offset_size) {
                return Ok((Layout::Empty, grid));
            }
            let stride = match (parts.shape.get(1..), leaf.dims.first()) {
                (Some(inner), _) => product(inner, name)?.saturating_mul(size as u64),
                // The first axis is that of an array in the only element.
                (None, Some(len)) => size as u64 / (*len).max(1),
                (None, None) => size as u64,
            };
            let base = address.checked_add(base).ok_or_else(|| Error::malformed(name, "its address is too large"))?;
            Ok((Layout::Rows { base, stride }, grid))
        }
        DataLayout::Chunked { address, dims, chunk_indexing, .. } => {
            let chunk = chunk_shape(dims, &parts.shape, name)?;
            let grid = ChunkGrid { shape: parts.shape.clone(), chunk };
            if Cursor::is_undefined_offset(*address, objects.offset_size) {
                return Ok((Layout::Empty, grid));
            }
            let index = ChunkIndex {
                base,
                address: *address,
                offset_size: objects.offset_size,
                length_size: objects.length_size,
                indexing: chunk_indexing.clone(),
                max_dims: parts.max.clone(),
                filtered: !parts.filters.is_empty(),
                plain_edge: parts.plain_edge,
                leading: forms,
                rank: parts.shape.len(),
                element: size,
            };
            Ok((Layout::Hdf5(index), grid))
        }
    }
}

/// Chunk lengths without the trailing size of an element.
fn chunk_shape(dims: &[u32], shape: &[u64], name: &str) -> Result<Vec<u64>> {
    let chunk: Vec<u64> = dims.iter().take(shape.len()).map(|n| u64::from(*n)).collect();
    if shape.is_empty() || chunk.len() != shape.len() || chunk.contains(&0) {
        return Err(Error::malformed(name, format!("chunks {dims:?} do not fit shape {shape:?}")));
    }
    Ok(chunk)
}
