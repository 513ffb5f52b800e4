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
    let value = |m: AttributeMessage| value(objects, &m).map(|v| (m.name, v));
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

fn value(objects: &mut Objects<'_>, message: &AttributeMessage) -> Option<Value> {
    let count = usize::try_from(message.dataspace.num_elements().ok()?).ok()?;
    let (datatype, count) = match &message.datatype {
        Datatype::Array { base, dims } => {
            let each = dims.iter().try_fold(1u64, |n, len| n.checked_mul(*len))?;
            (base.as_ref(), count.checked_mul(usize::try_from(each).ok()?)?)
        }
        other => (other, count),
    };
    let raw = message.raw_data.as_slice();
    match datatype {
        Datatype::String { size: StringSize::Fixed(size), padding, .. } => {
            let size = usize::try_from(*size).ok()?;
            let texts = elements(raw, count, size)?.map(|b| text(b, *padding)).collect();
            Some(Value::Plain(texts_value(texts)))
        }
        Datatype::String { size: StringSize::Variable, .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => {
            variable_texts(objects, raw, count)
        }
        Datatype::VarLen { base, .. } if matches!(base.as_ref(), Datatype::Reference { .. }) => {
            references(objects, raw, count)
        }
        other => numbers(raw, count, other).map(Value::Plain),
    }
}

/// The elements of raw data, if all of them are there.
fn elements(raw: &[u8], count: usize, size: usize) -> Option<impl Iterator<Item = &[u8]>> {
    let bytes = raw.get(..count.checked_mul(size)?)?;
    Some(bytes.chunks_exact(size.max(1)))
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

fn variable_texts(objects: &mut Objects<'_>, raw: &[u8], count: usize) -> Option<Value> {
    let size = 8 + usize::from(objects.offset_size);
    let mut texts = Vec::new();
    for reference in elements(raw, count, size)? {
        let (len, bytes) = objects.variable_length(reference)?;
        texts.push(text(bytes.get(..len.min(bytes.len()))?, StringPadding::NullTerminate));
    }
    Some(Value::Plain(texts_value(texts)))
}

fn references(objects: &mut Objects<'_>, raw: &[u8], count: usize) -> Option<Value> {
    let size = 8 + usize::from(objects.offset_size);
    let width = usize::from(objects.offset_size);
    let mut lists = Vec::new();
    for reference in elements(raw, count, size)? {
        let (len, bytes) = objects.variable_length(reference)?;
        let addresses = bytes.chunks_exact(width.max(1)).take(len);
        lists.push(addresses.map(|b| b.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte))).collect());
    }
    Some(Value::References(lists))
}

fn numbers(raw: &[u8], count: usize, datatype: &Datatype) -> Option<AttrValue> {
    let (size, order, dtype) = match datatype {
        Datatype::FixedPoint { size, signed, byte_order } => (*size, *byte_order, integer(*size, *signed)),
        Datatype::Bitfield { size, byte_order } => (*size, *byte_order, integer(*size, false)),
        Datatype::FloatingPoint { size: 4, byte_order } => (4, *byte_order, Some(DType::Float32)),
        Datatype::FloatingPoint { size: 8, byte_order } => (8, *byte_order, Some(DType::Float64)),
        Datatype::Enum { base, .. } => return numbers(raw, count, base),
        _ => return None,
    };
    let size = usize::from(size);
    if dtype_element_size(datatype).ok()? != size {
        return None;
    }
    let bits = elements(raw, count, size)?.map(|b| match order {
        ByteOrder::LittleEndian => b.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte)),
        ByteOrder::BigEndian => b.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte)),
    });
    AttrValue::of_bits(dtype?, bits)
}

fn integer(size: u8, signed: bool) -> Option<DType> {
    let (own, unsigned) = match size {
        1 => (DType::Int8, DType::UInt8),
        2 => (DType::Int16, DType::UInt16),
        4 => (DType::Int32, DType::UInt32),
        8 => (DType::Int64, DType::UInt64),
        _ => return None,
    };
    Some(if signed { own } else { unsigned })
}
