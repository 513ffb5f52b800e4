//! One dataset, lowered to a variable.

use bytes::Bytes;
use hdf5_reader::datatype_api::StringSize;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::datatype::{CompoundField, Datatype, DatatypeMessage};
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::object_header::ObjectHeader;

use super::index::ChunkIndex;
use super::messages::{Bits, Messages};
use super::object::Objects;
use crate::array::{Attrs, ByteOrder, ChunkGrid, Codec, Compression, DType, Packing, Variable};
use crate::layout::{Layout, MAX_DIMS, product, virtual_grid};
use crate::{Error, Result};

/// The messages of a dataset that matter.
#[derive(Default)]
struct Parts<'a> {
    shape: Vec<u64>,
    max: Option<Vec<u64>>,
    null: bool,
    datatype: Option<&'a DatatypeMessage>,
    layout: Option<&'a DataLayout>,
    filters: &'a [FilterDescription],
    fill: Option<&'a [u8]>,
    external: bool,
    /// Chunks at the edge are stored without their filters.
    plain_edge: bool,
    /// Codecs before the filters.
    leading: u32,
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
                HdfMessage::Datatype(datatype) => parts.datatype = Some(datatype),
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

/// A variable without names of dimensions and attributes, and which of its dimensions can grow.
pub(super) fn lower(
    objects: &Objects<'_>,
    base: u64,
    name: &str,
    (address, header): (u64, &ObjectHeader),
) -> Result<(Variable, Vec<bool>)> {
    let mut parts = Parts::of(header);
    let message = parts.datatype.ok_or_else(|| Error::malformed(name, "it has no datatype"))?;
    let (dtype, byte_order) = element(message)?;
    let raw = Messages::read(objects, address)
        .map_err(|source| Error::Hdf5 { object: format!("the header of `{name}`"), source: Box::new(source) })?;
    parts.plain_edge = raw.edge_is_plain();
    let bits = raw.bits();
    if bits == Bits::Foreign {
        return Err(Error::unsupported(name, "a float that is none of IEEE 754 half, single and double precision"));
    }
    let mut codecs: Vec<Codec> = parts.filters.iter().map(|filter| codec(filter, dtype)).collect();
    if let Bits::Some { offset, precision } = bits {
        parts.leading = 1;
        codecs.insert(0, Codec::Bits { offset: offset.into(), precision: precision.into() });
    }
    if parts.null {
        parts.shape = vec![0];
    }
    let rank = parts.shape.len();
    if rank > MAX_DIMS {
        return Err(Error::Limit { what: "number of dimensions".into(), value: rank as u64, limit: MAX_DIMS as u64 });
    }
    product(&parts.shape, name)?
        .checked_mul(dtype.size() as u64)
        .ok_or_else(|| Error::malformed(name, format!("its shape {:?} is beyond 64 bits", parts.shape)))?;
    let (layout, grid) = place(objects, base, &parts, dtype, name)?;
    let unlimited = (0..rank).map(|axis| parts.max.as_ref().and_then(|m| m.get(axis)) == Some(&u64::MAX)).collect();
    let variable = Variable {
        name: name.to_owned(),
        dims: Vec::new(),
        dtype,
        byte_order,
        grid,
        codecs,
        fill: fill(parts.fill, (dtype, byte_order), bits),
        attrs: Attrs::new(),
        layout,
    };
    Ok((variable, unlimited))
}

fn element(message: &DatatypeMessage) -> Result<(DType, ByteOrder)> {
    let size = usize::try_from(message.size).unwrap_or(usize::MAX);
    if size == 0 {
        return Err(Error::malformed("a datatype", "its size is 0"));
    }
    Ok(dtype(&message.datatype, size))
}

fn dtype(datatype: &Datatype, size: usize) -> (DType, ByteOrder) {
    let of = |order: &hdf5_reader::ByteOrder| match order {
        hdf5_reader::ByteOrder::LittleEndian => ByteOrder::Little,
        hdf5_reader::ByteOrder::BigEndian => ByteOrder::Big,
    };
    let integer = |signed: bool, size: u8| match (signed, size) {
        (true, 1) => Some(DType::Int8),
        (true, 2) => Some(DType::Int16),
        (true, 4) => Some(DType::Int32),
        (true, 8) => Some(DType::Int64),
        (false, 1) => Some(DType::UInt8),
        (false, 2) => Some(DType::UInt16),
        (false, 4) => Some(DType::UInt32),
        (false, 8) => Some(DType::UInt64),
        _ => None,
    };
    let (found, order) = match datatype {
        Datatype::FixedPoint { size, signed, byte_order } => (integer(*signed, *size), of(byte_order)),
        Datatype::Bitfield { size, byte_order } => (integer(false, *size), of(byte_order)),
        Datatype::FloatingPoint { size: 2, byte_order } => (Some(DType::Float16), of(byte_order)),
        Datatype::FloatingPoint { size: 4, byte_order } => (Some(DType::Float32), of(byte_order)),
        Datatype::FloatingPoint { size: 8, byte_order } => (Some(DType::Float64), of(byte_order)),
        Datatype::Enum { base, .. } if !matches!(base.as_ref(), Datatype::Enum { .. }) => {
            let (dtype, order) = dtype(base, size);
            (Some(dtype), order)
        }
        Datatype::Compound { fields, .. } => (complex(fields), complex_order(fields)),
        Datatype::String { size: StringSize::Fixed(1), .. } => (Some(DType::Char), ByteOrder::Little),
        _ => (None, ByteOrder::Little),
    };
    let found = found.filter(|dtype| dtype.size() == size).unwrap_or(DType::Opaque(size));
    (found, order)
}

/// Complex numbers as h5py and netCDF write them: real and imaginary part side by side.
fn complex(fields: &[CompoundField]) -> Option<DType> {
    let [real, imaginary] = fields else { return None };
    let names = [("r", "i"), ("re", "im"), ("real", "imag"), ("real", "imaginary")];
    let lower = (real.name.to_ascii_lowercase(), imaginary.name.to_ascii_lowercase());
    if !names.contains(&(lower.0.as_str(), lower.1.as_str())) || real.datatype != imaginary.datatype {
        return None;
    }
    let at = (real.byte_offset, imaginary.byte_offset);
    match &real.datatype {
        Datatype::FloatingPoint { size: 4, .. } if at == (0, 4) => Some(DType::Complex64),
        Datatype::FloatingPoint { size: 8, .. } if at == (0, 8) => Some(DType::Complex128),
        _ => None,
    }
}

fn complex_order(fields: &[CompoundField]) -> ByteOrder {
    match fields.first().map(|field| &field.datatype) {
        Some(Datatype::FloatingPoint { byte_order: hdf5_reader::ByteOrder::BigEndian, .. }) => ByteOrder::Big,
        _ => ByteOrder::Little,
    }
}

fn fill(value: Option<&[u8]>, (dtype, order): (DType, ByteOrder), bits: Bits) -> Vec<u8> {
    let mut fill = match value {
        Some(value) if value.len() == dtype.size() => value.to_vec(),
        // An opaque element may be large: its zeros are made when they are needed.
        _ => vec![0; dtype.size().min(1 << 16)],
    };
    if !order.is_native() {
        crate::codec::order::swap(&mut fill, dtype.word());
    }
    if let Bits::Some { offset, precision } = bits {
        crate::codec::bits::extract(&mut fill, dtype, offset.into(), precision.into());
    }
    fill
}

fn codec(filter: &FilterDescription, dtype: DType) -> Codec {
    match filter.id {
        1 => Codec::Deflate,
        2 => {
            let element = filter.client_data.first().and_then(|n| usize::try_from(*n).ok());
            Codec::Shuffle { element: element.filter(|n| *n > 0).unwrap_or(dtype.size()) }
        }
        3 => Codec::Fletcher32,
        4 => Codec::Packed { packing: Packing::Szip, parameters: filter.client_data.clone() },
        5 => Codec::Packed { packing: Packing::Nbit, parameters: filter.client_data.clone() },
        6 => Codec::Packed { packing: Packing::ScaleOffset, parameters: filter.client_data.clone() },
        32000 => Codec::Lzf,
        32001 => Codec::Blosc,
        32004 => Codec::Lz4,
        32008 if bitshuffle(filter, dtype).is_some() => bitshuffle(filter, dtype).unwrap_or(Codec::Fletcher32),
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
fn bitshuffle(filter: &FilterDescription, dtype: DType) -> Option<Codec> {
    let parameter = |at: usize| filter.client_data.get(at).and_then(|n| usize::try_from(*n).ok());
    let compression = match parameter(4).unwrap_or(0) {
        0 => Compression::None,
        2 => Compression::Lz4,
        3 => Compression::Zstd,
        _ => return None,
    };
    let element = parameter(2).filter(|n| *n > 0).unwrap_or(dtype.size());
    Some(Codec::Bitshuffle { element, block: parameter(3).unwrap_or(0), compression })
}

fn place(objects: &Objects<'_>, base: u64, parts: &Parts<'_>, dtype: DType, name: &str) -> Result<(Layout, ChunkGrid)> {
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
            let grid = virtual_grid(&parts.shape, dtype);
            if Cursor::is_undefined_offset(*address, objects.offset_size) {
                return Ok((Layout::Empty, grid));
            }
            let row = product(parts.shape.get(1..).unwrap_or_default(), name)?.saturating_mul(dtype.size() as u64);
            let base = address.checked_add(base).ok_or_else(|| Error::malformed(name, "its address is too large"))?;
            Ok((Layout::Rows { base, stride: row }, grid))
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
                leading: parts.leading,
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
