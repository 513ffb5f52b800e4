//! Attributes of an HDF5 object.

use hdf5_reader::datatype_api::{StringPadding, StringSize, VarLenKind};
use hdf5_reader::error::Result as LibraryResult;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::attribute::{self, AttributeMessage};
use hdf5_reader::messages::attribute_info::AttributeInfoMessage;
use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{ByteOrder, dtype_element_size};

use super::object::Objects;
use crate::array::{AttrValue, DType};

/// A value of an attribute, also those that only matter within the file.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// What callers see.
    Plain(AttrValue),
    /// Lists of addresses of objects: `DIMENSION_LIST`.
    References(Vec<Vec<u64>>),
    /// It is there, but its value cannot be had, and why.
    Damaged(String),
}

/// Attributes without which values would be others than they are, or of unknown meaning.
const MATTERS: [&str; 10] = [
    "_FillValue",
    "missing_value",
    "valid_min",
    "valid_max",
    "valid_range",
    "scale_factor",
    "add_offset",
    "_Unsigned",
    "units",
    "calendar",
];

/// A damaged attribute that decides what the values of its variable mean.
pub(super) fn damage(attrs: &[(String, Value)]) -> Option<String> {
    attrs.iter().find_map(|(name, value)| match value {
        Value::Damaged(why) if MATTERS.contains(&name.as_str()) => {
            Some(format!("a damaged attribute `{name}` ({why})"))
        }
        _ => None,
    })
}

/// All attributes of an object in file order; those of types that have no plain value are left out.
pub(super) fn read(objects: &mut Objects<'_>, header: &ObjectHeader) -> LibraryResult<Vec<(String, Value)>> {
    let mut messages: Vec<AttributeMessage> = Vec::new();
    for message in &header.messages {
        match message {
            HdfMessage::Attribute(attribute) => messages.push(attribute.clone()),
            HdfMessage::AttributeInfo(info) => messages.extend(dense(objects, info)?),
            _ => {}
        }
    }
    let value = |m: AttributeMessage| match value(objects, &m) {
        Ok(value) => value.map(|value| (m.name, value)),
        Err(why) => Some((m.name, Value::Damaged(why))),
    };
    Ok(messages.into_iter().filter_map(value).collect())
}

fn dense(objects: &Objects<'_>, info: &AttributeInfoMessage) -> LibraryResult<Vec<AttributeMessage>> {
    if Cursor::is_undefined_offset(info.fractal_heap_address, objects.offset_size) {
        return Ok(Vec::new());
    }
    let by_order = info.btree_creation_order_address;
    let defined = by_order.filter(|address| !Cursor::is_undefined_offset(*address, objects.offset_size));
    let ids = objects.dense_ids(defined.unwrap_or(info.btree_name_index_address))?;
    let found = objects.dense_objects(info.fractal_heap_address, &ids)?;
    found
        .iter()
        .map(|b| attribute::parse(&mut Cursor::new(b), objects.offset_size, objects.length_size, b.len()))
        .collect()
}

/// What of a value cannot be had, and why.
type Had<T> = Result<T, String>;

/// `None` for types that have no plain value.
fn value(objects: &mut Objects<'_>, message: &AttributeMessage) -> Had<Option<Value>> {
    let (datatype, count) = shape(message).ok_or("its shape is beyond 64 bits")?;
    let raw = message.raw_data.as_slice();
    Ok(match datatype {
        Datatype::String { size: StringSize::Fixed(size), padding, .. } => {
            let size = usize::try_from(*size).unwrap_or(usize::MAX);
            let texts = elements(raw, count, size)?.map(|b| text(b, *padding)).collect();
            Some(Value::Plain(texts_value(texts)))
        }
        Datatype::String { size: StringSize::Variable, .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => {
            Some(variable_texts(objects, raw, count)?)
        }
        Datatype::VarLen { base, .. } if matches!(base.as_ref(), Datatype::Reference { .. }) => {
            Some(references(objects, raw, count)?)
        }
        other => numbers(raw, count, other)?.map(Value::Plain),
    })
}

/// The type of an element that is no array, and how many there are.
fn shape(message: &AttributeMessage) -> Option<(&Datatype, usize)> {
    let count = usize::try_from(message.dataspace.num_elements().ok()?).ok()?;
    match &message.datatype {
        Datatype::Array { base, dims } => {
            let each = dims.iter().try_fold(1u64, |n, len| n.checked_mul(*len))?;
            Some((base.as_ref(), count.checked_mul(usize::try_from(each).ok()?)?))
        }
        other => Some((other, count)),
    }
}

/// The elements of raw data, if all of them are there.
fn elements(raw: &[u8], count: usize, size: usize) -> Had<impl Iterator<Item = &[u8]>> {
    let short = || format!("it has {} bytes, and {count} elements of {size}", raw.len());
    let bytes = count.checked_mul(size).and_then(|bytes| raw.get(..bytes)).ok_or_else(short)?;
    Ok(bytes.chunks_exact(size.max(1)))
}

fn text(bytes: &[u8], padding: StringPadding) -> String {
    let end = match padding {
        StringPadding::NullTerminate => bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()),
        StringPadding::NullPad => bytes.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1),
        StringPadding::SpacePad => bytes.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1),
    };
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn texts_value(mut texts: Vec<String>) -> AttrValue {
    match texts.len() {
        0 => AttrValue::Text(String::new()),
        1 => AttrValue::Text(texts.remove(0)),
        _ => AttrValue::Texts(texts),
    }
}

fn variable_texts(objects: &mut Objects<'_>, raw: &[u8], count: usize) -> Had<Value> {
    let size = 8 + usize::from(objects.offset_size);
    let mut texts = Vec::new();
    for reference in elements(raw, count, size)? {
        let (len, bytes) = objects.variable_length(reference)?;
        let short = || format!("a text of {len} bytes has {} in the heap", bytes.len());
        texts.push(text(bytes.get(..len).ok_or_else(short)?, StringPadding::NullTerminate));
    }
    Ok(Value::Plain(texts_value(texts)))
}

fn references(objects: &mut Objects<'_>, raw: &[u8], count: usize) -> Had<Value> {
    let size = 8 + usize::from(objects.offset_size);
    let width = usize::from(objects.offset_size);
    let mut lists = Vec::new();
    for reference in elements(raw, count, size)? {
        let (len, bytes) = objects.variable_length(reference)?;
        let addresses = elements(&bytes, len, width)?;
        lists.push(addresses.map(|b| b.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte))).collect());
    }
    Ok(Value::References(lists))
}

fn numbers(raw: &[u8], count: usize, datatype: &Datatype) -> Had<Option<AttrValue>> {
    let (size, order, dtype) = match datatype {
        Datatype::FixedPoint { size, signed: true, byte_order } => (*size, *byte_order, signed(*size)),
        Datatype::FixedPoint { size, byte_order, .. } | Datatype::Bitfield { size, byte_order } => {
            (*size, *byte_order, unsigned(*size))
        }
        Datatype::FloatingPoint { size: 4, byte_order } => (4, *byte_order, Some(DType::Float32)),
        Datatype::FloatingPoint { size: 8, byte_order } => (8, *byte_order, Some(DType::Float64)),
        Datatype::Enum { base, .. } => return numbers(raw, count, base),
        _ => return Ok(None),
    };
    let size = usize::from(size);
    let Some(dtype) = dtype.filter(|_| dtype_element_size(datatype).is_ok_and(|bytes| bytes == size)) else {
        return Ok(None);
    };
    let bits = elements(raw, count, size)?.map(|b| match order {
        ByteOrder::LittleEndian => b.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte)),
        ByteOrder::BigEndian => b.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte)),
    });
    Ok(AttrValue::of_bits(dtype, bits))
}

fn signed(size: u8) -> Option<DType> {
    match size {
        1 => Some(DType::Int8),
        2 => Some(DType::Int16),
        4 => Some(DType::Int32),
        8 => Some(DType::Int64),
        _ => None,
    }
}

fn unsigned(size: u8) -> Option<DType> {
    match size {
        1 => Some(DType::UInt8),
        2 => Some(DType::UInt16),
        4 => Some(DType::UInt32),
        8 => Some(DType::UInt64),
        _ => None,
    }
}
