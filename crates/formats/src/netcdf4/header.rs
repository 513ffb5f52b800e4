//! The headers of a NetCDF-4 file: root group, dimension scales, variables.

use std::collections::HashMap;
use std::sync::PoisonError;

use hdf5_reader::checksum::jenkins_lookup3;

use super::encode::{self, Message, Put, UNDEFINED};
use super::{Dimension, Member, VariableSpec, attributes, failed};
use crate::Result;
use crate::array::{AttrValue, Attrs, Codec, DType};
use crate::netcdf3;
use crate::part_file::PartFile;
use crate::refs::Entry;

/// Bytes of the superblock, with which a file begins.
pub(super) const SUPERBLOCK: u64 = 48;
/// Name of a scale that is a dimension only.
const NO_VARIABLE: &str = "This is a netCDF dimension but not a netCDF variable.";
const NON_COORDINATE: &str = "_nc4_non_coord_";

/// An object of the root group: a dimension without variable, or a variable.
struct Object<'a> {
    name: String,
    /// Its dimension, if it is a scale.
    scale: Option<usize>,
    member: Option<&'a Member>,
    /// Address of the root of its chunk index, or of its data.
    data: u64,
}

/// What headers refer to. Addresses are guesses in the first pass, which only finds sizes.
struct Places {
    addresses: Vec<u64>,
    heap: u64,
}

/// Writes chunk indexes, the heap, all headers, and the superblock.
pub(super) fn write(file: &PartFile, attrs: &Attrs, dims: &[Dimension], members: &[Member]) -> Result<()> {
    let mut objects = objects(dims, members);
    for object in &mut objects {
        if let Some(member) = object.member {
            object.data = index(file, member)?;
        }
    }
    let mut scales: HashMap<&str, usize> = HashMap::new();
    for (i, object) in objects.iter().enumerate() {
        if let Some(dim) = object.scale {
            scales.insert(dims[dim].name.as_str(), i);
        }
    }
    let context = Context { dims, objects: &objects, scales, attrs };
    let guess = Places { addresses: vec![0; objects.len()], heap: 0 };
    let heap = file.end().next_multiple_of(8);
    let mut at = heap + context.heap(&guess).len() as u64;
    let mut addresses = Vec::new();
    for object in &objects {
        addresses.push(at);
        at += encode::object(&context.messages(object, &guess)?).len() as u64;
    }
    let places = Places { addresses, heap };
    file.put(heap, &context.heap(&places))?;
    for (object, address) in objects.iter().zip(&places.addresses) {
        file.put(*address, &encode::object(&context.messages(object, &places)?))?;
    }
    let root = encode::object(&context.root(&places)?);
    file.put(at, &root)?;
    file.put(0, &superblock(at, at + root.len() as u64))
}

fn superblock(root: u64, end: u64) -> Vec<u8> {
    let mut bytes = b"\x89HDF\r\n\x1a\n\x02\x08\x08\0".to_vec();
    for value in [0, UNDEFINED, end, root] {
        bytes.u64(value);
    }
    let sum = jenkins_lookup3(&bytes);
    bytes.u32(u64::from(sum));
    bytes
}

/// Dimensions without variable, then variables, as netCDF-C orders them.
fn objects<'a>(dims: &[Dimension], members: &'a [Member]) -> Vec<Object<'a>> {
    let coordinate = |spec: &VariableSpec| spec.dims.len() == 1 && spec.dims.first() == Some(&spec.name);
    let mut objects = Vec::new();
    for (i, dim) in dims.iter().enumerate() {
        if !members.iter().any(|m| m.spec.name == dim.name && coordinate(&m.spec)) {
            objects.push(Object { name: dim.name.clone(), scale: Some(i), member: None, data: UNDEFINED });
        }
    }
    for member in members {
        let spec = &member.spec;
        let same = dims.iter().position(|dim| dim.name == spec.name);
        let scale = same.filter(|_| coordinate(spec));
        let prefix = if same.is_some() && scale.is_none() { NON_COORDINATE } else { "" };
        objects.push(Object { name: format!("{prefix}{}", spec.name), scale, member: Some(member), data: UNDEFINED });
    }
    objects
}

/// Writes the chunk index of a variable and gives its address; of a variable in one piece, the address of its data.
fn index(file: &PartFile, member: &Member) -> Result<u64> {
    let mut entries: Vec<Entry> = member.entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
    entries.sort_by_key(|entry| entry.linear);
    if entries.windows(2).any(|pair| pair[0].linear == pair[1].linear) {
        return Err(failed(&member.spec.name, "a chunk was written twice"));
    }
    if let Some(long) = entries.iter().find(|entry| u32::try_from(entry.length).is_err()) {
        return Err(failed(
            &member.spec.name,
            format!("a chunk has {} bytes, HDF5 counts them in 32 bits", long.length),
        ));
    }
    match (entries.first(), &member.spec.chunk) {
        (None, _) => Ok(UNDEFINED),
        (Some(only), None) => Ok(only.offset),
        (Some(_), Some(_)) => {
            let at = file.end().next_multiple_of(8);
            file.append(&vec![0; usize::try_from(at - file.end()).unwrap_or(0)])?;
            let (bytes, root) = encode::tree(&entries, &member.grid, at);
            file.append(&bytes)?;
            Ok(root)
        }
    }
}

struct Context<'a> {
    dims: &'a [Dimension],
    objects: &'a [Object<'a>],
    scales: HashMap<&'a str, usize>,
    attrs: &'a Attrs,
}

impl Context<'_> {
    /// One reference per scale, to which lists of dimensions refer.
    fn heap(&self, places: &Places) -> Vec<u8> {
        let object = |dim: &Dimension| {
            let address = self.scales.get(dim.name.as_str()).and_then(|i| places.addresses.get(*i));
            address.copied().unwrap_or(UNDEFINED).to_le_bytes().to_vec()
        };
        encode::heap(&self.dims.iter().map(object).collect::<Vec<_>>())
    }

    fn root(&self, places: &Places) -> Result<Vec<Message>> {
        let mut attrs = vec![("_NCProperties".to_owned(), None, AttrValue::Text(properties()))];
        attrs.extend(self.attrs.iter().map(|(name, value)| (name.clone(), None, value.clone())));
        let mut messages = vec![encode::info(0x02, self.objects.len()), (0x0a, vec![0, 0])];
        messages.push(encode::info(0x15, attrs.len()));
        for (i, (object, address)) in self.objects.iter().zip(&places.addresses).enumerate() {
            messages.push(encode::link(&object.name, i as u64, *address));
        }
        messages.extend(attrs.iter().map(|(name, dtype, value)| attribute(name, *dtype, value)));
        checked("the file", messages)
    }

    fn messages(&self, object: &Object<'_>, places: &Places) -> Result<Vec<Message>> {
        let dim = object.scale.and_then(|dim| self.dims.get(dim));
        let names: Vec<&str> = match object.member {
            Some(member) => member.spec.dims.iter().map(String::as_str).collect(),
            None => dim.iter().map(|dim| dim.name.as_str()).collect(),
        };
        let dims: Vec<&Dimension> = names.iter().filter_map(|n| self.dims.iter().find(|d| d.name == *n)).collect();
        let shape: Vec<u64> = dims.iter().map(|dim| dim.len).collect();
        let max: Vec<u64> = dims.iter().map(|dim| if dim.unlimited { UNDEFINED } else { dim.len }).collect();
        let grows = dims.iter().any(|dim| dim.unlimited);
        let scalar = shape.is_empty();
        let space = encode::space((!scalar).then_some(&shape), grows.then_some(&max));
        let dtype = object.member.map_or(DType::Float32, |member| member.spec.dtype);
        let fill = object.member.map_or(vec![0; 4], |member| member.fill.clone());
        let mut messages = vec![(0x01, space), (0x03, encode::number(dtype)), (0x05, fill_message(fill, dtype))];
        if let Some(codecs) = object.member.map(|m| &m.codecs).filter(|codecs| !codecs.is_empty()) {
            messages.push((0x0b, pipeline(codecs, object.member.and_then(|m| m.spec.deflate))));
        }
        let chunk = match object.member {
            Some(member) => member.spec.chunk.clone(),
            None => grows.then(|| vec![1024]),
        };
        messages.push((0x08, layout(object, &shape, chunk.as_deref(), dtype)));
        let mut attrs = self.scale_attributes(object, places);
        attrs.extend(self.dimension_list(object, &dims, places));
        if let Some(member) = object.member {
            let plain = attributes(&member.spec);
            attrs.extend(plain.iter().map(|(name, dtype, value)| attribute(name, *dtype, value)));
        }
        messages.push(encode::info(0x15, attrs.len()));
        messages.extend(attrs);
        checked(&object.name, messages)
    }

    /// HDF5 Dimension Scale Specification, 3: `CLASS`, `NAME`, `REFERENCE_LIST`; netCDF's identifier.
    fn scale_attributes(&self, object: &Object<'_>, places: &Places) -> Vec<Message> {
        let Some(id) = object.scale else { return Vec::new() };
        let Some(dim) = self.dims.get(id) else { return Vec::new() };
        let name = match object.member {
            Some(member) => member.spec.name.clone(),
            None => format!("{NO_VARIABLE}{:>10}", dim.len),
        };
        let mut list = Vec::new();
        let mut count = 0;
        for (other, address) in self.objects.iter().zip(&places.addresses) {
            let Some(member) = other.member.filter(|_| other.scale.is_none()) else { continue };
            for (axis, _) in member.spec.dims.iter().enumerate().filter(|(_, name)| **name == dim.name) {
                list.u64(*address);
                list.u32(axis as u64);
                list.u32(0);
                count += 1;
            }
        }
        let id = i32::try_from(id).unwrap_or(i32::MAX);
        let mut attrs = vec![
            attribute("CLASS", None, &AttrValue::Text("DIMENSION_SCALE\0".to_owned())),
            attribute("NAME", None, &AttrValue::Text(format!("{name}\0"))),
            scalar_int("_Netcdf4Dimid", id),
        ];
        if count > 0 {
            let space = encode::space(Some(&[count]), None);
            attrs.push(encode::attribute("REFERENCE_LIST", &encode::back_reference(), &space, &list));
        }
        attrs
    }

    fn dimension_list(&self, object: &Object<'_>, dims: &[&Dimension], places: &Places) -> Option<Message> {
        if object.scale.is_some() || dims.is_empty() {
            return None;
        }
        let mut data = Vec::new();
        for dim in dims {
            let id = self.dims.iter().position(|d| d.name == dim.name)?;
            data.u32(1);
            data.u64(places.heap);
            data.u32(id as u64 + 1);
        }
        let space = encode::space(Some(&[dims.len() as u64]), None);
        Some(encode::attribute("DIMENSION_LIST", &encode::reference_list(), &space, &data))
    }
}

fn properties() -> String {
    format!("version=2,outcrop={}", env!("CARGO_PKG_VERSION"))
}

/// A message counts its bytes in 16 bits.
fn checked(name: &str, messages: Vec<Message>) -> Result<Vec<Message>> {
    match messages.iter().find(|(_, bytes)| bytes.len() >= 1 << 16) {
        Some((_, bytes)) => Err(failed(name, format!("an attribute of {} bytes is larger than 64 KiB", bytes.len()))),
        None => Ok(messages),
    }
}

fn scalar_int(name: &str, value: i32) -> Message {
    encode::attribute(name, &encode::number(DType::Int32), &encode::space(None, None), &value.to_le_bytes())
}

/// An attribute in the type of its variable where it must have that and is held by it, else in its own.
fn attribute(name: &str, dtype: Option<DType>, value: &AttrValue) -> Message {
    let own = value.dtype();
    let held = |dtype: DType| value.little_endian(dtype).map(|data| (dtype, data));
    if let Some((dtype, data)) = own.and(dtype).and_then(held).or_else(|| own.and_then(held)) {
        let space = encode::space(Some(&[(data.len() / dtype.size().max(1)) as u64]), None);
        return encode::attribute(name, &encode::number(dtype), &space, &data);
    }
    match value {
        AttrValue::Text(text) => {
            // As netCDF writes texts: all of them, without a final zero.
            let data = if text.is_empty() { vec![0] } else { text.as_bytes().to_vec() };
            let datatype = encode::text(data.len(), u8::from(!text.is_ascii()));
            encode::attribute(name, &datatype, &encode::space(None, None), &data)
        }
        AttrValue::Texts(texts) => {
            let size = texts.iter().map(String::len).max().unwrap_or(0) + 1;
            let mut data = Vec::new();
            for text in texts {
                data.extend_from_slice(text.as_bytes());
                data.resize(data.len() + size - text.len(), 0);
            }
            let datatype = encode::text(size, u8::from(!texts.iter().all(|text| text.is_ascii())));
            encode::attribute(name, &datatype, &encode::space(Some(&[texts.len() as u64]), None), &data)
        }
        // Numbers have a type of their own.
        _ => encode::attribute(name, &encode::number(DType::UInt8), &encode::space(Some(&[0]), None), &[]),
    }
}

/// The fill value of a variable in native byte order: its own, or netCDF's default.
pub(super) fn fill(spec: &VariableSpec) -> Vec<u8> {
    let given = || spec.attrs.get("_FillValue").and_then(|value| value.element(spec.dtype));
    spec.fill.clone().or_else(given).unwrap_or_else(|| netcdf3::default_fill(spec.dtype))
}

/// IV.A.2.f: allocated piece by piece, written where it is set.
fn fill_message(mut fill: Vec<u8>, dtype: DType) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        crate::codec::order::swap(&mut fill, dtype.size());
    }
    let mut bytes = vec![3, 0x2b];
    bytes.u32(fill.len() as u64);
    bytes.extend_from_slice(&fill);
    bytes
}

/// IV.A.2.l: the filters.
fn pipeline(codecs: &[Codec], level: Option<u8>) -> Vec<u8> {
    let mut bytes = vec![2, u8::try_from(codecs.len()).unwrap_or(u8::MAX)];
    for codec in codecs {
        let (id, value) = match codec {
            Codec::Shuffle { element } => (2, *element as u64),
            // zlib has no level above 9; readers do not use it.
            _ => (1, u64::from(level.unwrap_or(1).min(9))),
        };
        bytes.u16(id);
        bytes.u16(1);
        bytes.u16(1);
        bytes.u32(value);
    }
    bytes
}

/// IV.A.2.i: the layout, of version 3.
fn layout(object: &Object<'_>, shape: &[u64], chunk: Option<&[u64]>, dtype: DType) -> Vec<u8> {
    let size = dtype.size() as u64;
    let mut bytes = vec![3];
    if let Some(chunk) = chunk {
        bytes.extend_from_slice(&[2, u8::try_from(chunk.len() + 1).unwrap_or(u8::MAX)]);
        bytes.u64(object.data);
        chunk.iter().chain(std::iter::once(&size)).for_each(|len| bytes.u32(*len));
    } else {
        bytes.push(1);
        bytes.u64(object.data);
        bytes.u64(shape.iter().fold(size, |n, len| n.saturating_mul(*len)));
    }
    bytes
}
