//! The bytes of two messages of which `hdf5-reader` leaves something out: datatypes, and flags of chunked layouts.
//!
//! Object headers are sections IV.A.1 of the HDF5 file format specification, version 3.0; datatypes IV.A.2.d, data
//! layouts IV.A.2.i.

use hdf5_reader::error::Result as LibraryResult;
use hdf5_reader::io::Cursor;

use super::object::Objects;

const DATATYPE: u16 = 0x0003;
const LAYOUT: u16 = 0x0008;
const CONTINUATION: u16 = 0x0010;
/// Most blocks of one header.
const MAX_BLOCKS: usize = 4096;

/// Bytes of the two messages of a dataset.
#[derive(Debug, Default)]
pub(super) struct Messages {
    datatype: Option<Vec<u8>>,
    layout: Option<Vec<u8>>,
}

/// The bits of an element that carry its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    /// All of them, as in memory.
    All,
    /// Some bits of an integer.
    Some { offset: u16, precision: u16 },
}

impl Messages {
    /// Reads the messages of the object at `address`, and the datatype behind a shared message.
    pub(super) fn read(objects: &Objects<'_>, address: u64) -> LibraryResult<Self> {
        let mut found = Self::default();
        let shared = scan(objects, address, &mut found)?;
        if let Some(address) = shared {
            let mut committed = Self::default();
            scan(objects, address, &mut committed)?;
            found.datatype = committed.datatype;
        }
        Ok(found)
    }

    /// The bytes of the datatype.
    pub(super) fn datatype(&self) -> Option<&[u8]> {
        self.datatype.as_deref()
    }

    /// True if chunks at the edge are stored without their filters (flag 0 of a layout of version 4 or 5).
    pub(super) fn edge_is_plain(&self) -> bool {
        match self.layout.as_deref() {
            Some([4 | 5, 2, flags, ..]) => flags & 1 != 0,
            _ => false,
        }
    }
}

/// Walks the blocks of a header; the answer is the address of a shared datatype.
fn scan(objects: &Objects<'_>, address: u64, found: &mut Messages) -> LibraryResult<Option<u64>> {
    let head = objects.storage.read_range(address, 16.min(left(objects, address)))?;
    let modern = head.starts_with(b"OHDR");
    let mut queue = Vec::new();
    let mut version = Version::One;
    if modern {
        let flags = head.get(5).copied().unwrap_or(0);
        // Flag 2: messages carry the order of their creation.
        version = Version::Two { head: if flags & 4 == 0 { 4 } else { 6 } };
        let skip = 6 + if flags & 0x20 == 0 { 0 } else { 16 } + if flags & 0x10 == 0 { 0 } else { 4 };
        let width = 1usize << (flags & 3);
        let size = objects.storage.read_range(address.saturating_add(skip), width)?;
        let size = size.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        queue.push((address.saturating_add(skip).saturating_add(width as u64), size));
    } else {
        let size = head.get(8..12).map_or(0, |b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        queue.push((address.saturating_add(16), size));
    }
    let (mut shared, mut seen) = (None, 0);
    while let Some((start, size)) = queue.pop() {
        seen += 1;
        if seen > MAX_BLOCKS {
            break;
        }
        let block = objects.storage.read_range(start, usize::try_from(size).unwrap_or(usize::MAX))?;
        let mut rest: &[u8] = &block;
        if modern && rest.starts_with(b"OCHK") {
            rest = rest.get(4..rest.len().saturating_sub(4)).unwrap_or_default();
        }
        while let Some((kind, flags, data, next)) = message(rest, version) {
            rest = next;
            match kind {
                CONTINUATION => queue.extend(continuation(objects, data)),
                DATATYPE if flags & 2 != 0 => shared = shared.or(committed(objects, data)),
                DATATYPE if found.datatype.is_none() => found.datatype = Some(data.to_vec()),
                LAYOUT if found.layout.is_none() => found.layout = Some(data.to_vec()),
                _ => {}
            }
        }
    }
    Ok(shared)
}

fn left(objects: &Objects<'_>, address: u64) -> usize {
    usize::try_from(objects.storage.len().saturating_sub(address)).unwrap_or(usize::MAX)
}

/// How the messages of a header begin: with 8 bytes, or with as many as `head` says.
#[derive(Debug, Clone, Copy)]
enum Version {
    One,
    Two { head: usize },
}

/// One message: its kind, its flags, its data, and what follows it.
fn message(bytes: &[u8], version: Version) -> Option<(u16, u8, &[u8], &[u8])> {
    let (kind, size, flags, skip) = if let Version::Two { head: skip } = version {
        let head = bytes.first_chunk::<4>()?;
        (u16::from(head[0]), u16::from_le_bytes([head[1], head[2]]), head[3], skip)
    } else {
        let head = bytes.first_chunk::<8>()?;
        (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]), head[4], 8)
    };
    let (data, rest) = bytes.get(skip..)?.split_at_checked(usize::from(size))?;
    Some((kind, flags, data, rest))
}

fn continuation(objects: &Objects<'_>, data: &[u8]) -> Option<(u64, u64)> {
    let mut cursor = Cursor::new(data);
    let address = cursor.read_offset(objects.offset_size).ok()?;
    Some((address, cursor.read_length(objects.length_size).ok()?))
}

/// The address in a shared message (IV.A.2, "shared message").
fn committed(objects: &Objects<'_>, data: &[u8]) -> Option<u64> {
    let skip = if *data.first()? == 1 { 8 } else { 2 };
    Cursor::new(data.get(skip..)?).read_offset(objects.offset_size).ok()
}
