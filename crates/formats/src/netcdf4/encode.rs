//! Pieces of HDF5, as bytes: messages, object headers, heaps, B-trees.
//!
//! Section numbers are those of the HDF5 File Format Specification 3.0.

use hdf5_reader::checksum::jenkins_lookup3;

use crate::array::DType;
use crate::refs::Entry;

/// The address that is none.
pub(super) const UNDEFINED: u64 = u64::MAX;
/// Children of a node of a chunk B-tree: two times the K of 32 that holds where a file does not say otherwise.
const CHILDREN: usize = 64;

/// A header message: its type and body.
pub(super) type Message = (u8, Vec<u8>);

/// Appends little-endian integers.
pub(super) trait Put {
    fn u16(&mut self, value: usize);
    fn u32(&mut self, value: u64);
    fn u64(&mut self, value: u64);
}

impl Put for Vec<u8> {
    fn u16(&mut self, value: usize) {
        self.extend_from_slice(&value.to_le_bytes()[..2]);
    }

    fn u32(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes()[..4]);
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
}

/// IV.A.2.d: datatypes, little-endian.
pub(super) fn number(dtype: DType) -> Vec<u8> {
    let size = dtype.size();
    match dtype {
        DType::Float32 => vec![0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0],
        DType::Float64 => vec![0x11, 0x20, 63, 0, 8, 0, 0, 0, 0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0],
        DType::Float16 => vec![0x11, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0],
        DType::Char
        | DType::Opaque(_)
        | DType::Text(_)
        | DType::Unicode(_)
        | DType::VlenText(_)
        | DType::VlenUtf8
        | DType::Complex64
        | DType::Complex128 => text(size, 0),
        _ => {
            let signed = matches!(dtype, DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64);
            let mut bytes = vec![0x10, if signed { 8 } else { 0 }, 0, 0];
            bytes.u32(size as u64);
            bytes.u16(0);
            bytes.u16(8 * size);
            bytes
        }
    }
}

/// A text of fixed size, ended by zero; `charset` 0 is ASCII, 1 UTF-8.
pub(super) fn text(size: usize, charset: u8) -> Vec<u8> {
    let mut bytes = vec![0x13, charset << 4, 0, 0];
    bytes.u32(size.max(1) as u64);
    bytes
}

/// A list of references to objects.
pub(super) fn reference_list() -> Vec<u8> {
    let mut bytes = vec![0x19, 0, 0, 0, 16, 0, 0, 0];
    bytes.extend_from_slice(&reference());
    bytes
}

fn reference() -> [u8; 8] {
    [0x17, 0, 0, 0, 8, 0, 0, 0]
}

/// The pair that `REFERENCE_LIST` holds: a dataset and the number of its dimension.
pub(super) fn back_reference() -> Vec<u8> {
    let mut bytes = vec![0x36, 2, 0, 0, 16, 0, 0, 0];
    bytes.extend_from_slice(b"dataset\0\0");
    bytes.extend_from_slice(&reference());
    bytes.extend_from_slice(b"dimension\0\x08");
    bytes.extend_from_slice(&number(DType::Int32));
    bytes
}

/// IV.A.2.b: a dataspace; `None` is a scalar.
pub(super) fn space(shape: Option<&[u64]>, max: Option<&[u64]>) -> Vec<u8> {
    let Some(shape) = shape else { return vec![2, 0, 0, 0] };
    let rank = u8::try_from(shape.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![2, rank, u8::from(max.is_some()), 1];
    shape.iter().chain(max.unwrap_or_default()).for_each(|len| bytes.u64(*len));
    bytes
}

/// IV.A.2.m: an attribute.
pub(super) fn attribute(name: &str, datatype: &[u8], space: &[u8], data: &[u8]) -> Message {
    let mut bytes = vec![3, 0];
    bytes.u16(name.len() + 1);
    bytes.u16(datatype.len());
    bytes.u16(space.len());
    bytes.push(u8::from(!name.is_ascii()));
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    for part in [datatype, space, data] {
        bytes.extend_from_slice(part);
    }
    (0x0c, bytes)
}

/// IV.A.2.g: a hard link.
pub(super) fn link(name: &str, order: u64, address: u64) -> Message {
    let mut bytes = vec![1, 0x15];
    bytes.u64(order);
    bytes.push(1);
    bytes.u16(name.len());
    bytes.extend_from_slice(name.as_bytes());
    bytes.u64(address);
    (0x06, bytes)
}

/// IV.A.1.b: an object header of version 2. Attributes keep their order of creation, as netCDF expects.
pub(super) fn object(messages: &[Message]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut order = 0;
    for (kind, bytes) in messages {
        body.push(*kind);
        body.u16(bytes.len());
        body.push(0);
        body.u16(order);
        body.extend_from_slice(bytes);
        order += usize::from(*kind == 0x0c);
    }
    let mut header = b"OHDR\x02\x0e".to_vec();
    header.u32(body.len() as u64);
    header.extend_from_slice(&body);
    let sum = jenkins_lookup3(&header);
    header.u32(u64::from(sum));
    header
}

/// IV.A.2.v and IV.A.2.c: attribute info and link info without dense storage.
pub(super) fn info(kind: u8, count: usize) -> Message {
    let mut bytes = vec![0, 3];
    if kind == 0x02 {
        bytes.u64(count as u64);
    } else {
        bytes.u16(count);
    }
    (0..3).for_each(|_| bytes.u64(UNDEFINED));
    (kind, bytes)
}

/// III.E: a global heap; object `i` of the list has index `i + 1`.
pub(super) fn heap(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"GCOL\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    for (i, object) in objects.iter().enumerate() {
        bytes.u16(i + 1);
        bytes.u16(1);
        bytes.u32(0);
        bytes.u64(object.len() as u64);
        bytes.extend_from_slice(object);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    // What is left, with its own head, is free space; a collection has at least 4096 bytes.
    let size = (bytes.len() + 16).next_multiple_of(8).max(4096);
    let free = size - bytes.len();
    bytes.extend_from_slice(&[0; 8]);
    bytes.u64(free as u64);
    bytes.resize(size, 0);
    bytes[8..16].copy_from_slice(&(size as u64).to_le_bytes());
    bytes
}

/// A node of a chunk index that is not placed yet: its first key and its address.
struct Child {
    key: Vec<u8>,
    address: u64,
}

/// III.A.1: a B-tree of version 1 over sorted chunks, to be placed at `at`. Gives its bytes and the address of its root.
pub(super) fn tree(entries: &[Entry], grid: &crate::array::ChunkGrid, at: u64) -> (Vec<u8>, u64) {
    let rank = grid.shape.len();
    let counts = grid.counts();
    let key = |linear: u64, size: u64| {
        let mut index = vec![0u64; rank];
        let mut rest = linear;
        for (axis, count) in counts.iter().enumerate().rev() {
            // The outermost position is not cut, so that the key behind the last chunk is larger than all.
            index[axis] = if axis == 0 { rest } else { rest % count };
            rest /= count;
        }
        let mut bytes = Vec::with_capacity(16 + 8 * rank);
        bytes.u32(size);
        bytes.u32(0);
        index.iter().zip(&grid.chunk).for_each(|(i, chunk)| bytes.u64(i * chunk));
        bytes.u64(0);
        bytes
    };
    let end = key(counts.iter().product(), 0);
    let mut level: Vec<Child> =
        entries.iter().map(|e| Child { key: key(e.linear, e.length), address: e.offset }).collect();
    let node = 24 + CHILDREN * (end.len() + 8) + end.len();
    let mut bytes: Vec<u8> = Vec::new();
    for depth in 0u8.. {
        let first = at + bytes.len() as u64;
        let groups: Vec<&[Child]> = level.chunks(CHILDREN).collect();
        let place = |i: usize| first + (i * node) as u64;
        for (i, group) in groups.iter().enumerate() {
            let start = bytes.len();
            bytes.extend_from_slice(b"TREE\x01");
            bytes.push(depth);
            bytes.u16(group.len());
            bytes.u64(if i == 0 { UNDEFINED } else { place(i - 1) });
            bytes.u64(if i + 1 == groups.len() { UNDEFINED } else { place(i + 1) });
            for child in *group {
                bytes.extend_from_slice(&child.key);
                bytes.u64(child.address);
            }
            let right = groups.get(i + 1).and_then(|group| group.first()).map_or(&end, |child| &child.key);
            bytes.extend_from_slice(right);
            bytes.resize(start + node, 0);
        }
        if groups.len() <= 1 {
            return (bytes, first);
        }
        let parent = |(i, group): (usize, &&[Child])| {
            group.first().map(|child| Child { key: child.key.clone(), address: place(i) })
        };
        level = groups.iter().enumerate().filter_map(parent).collect();
    }
    (bytes, UNDEFINED)
}
