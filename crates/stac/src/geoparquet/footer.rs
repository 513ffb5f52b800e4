//! What a file says of itself at its end.

use std::fs::File;

use parquet::errors::{ParquetError, Result};
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use serde_json::{Map, Value};

use super::group::Group;
use super::{FOREIGN, GROUPS};

/// Largest footer in bytes.
pub(super) const MOST_FOOTER: u64 = 256 << 20;
/// Deepest structure of columns.
const DEEPEST: usize = 64;

/// What the metadata of a table of items says.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// What is known of each group, where the file says so.
    pub groups: Option<Vec<Group>>,
    /// Columns that are fields of the item, not properties.
    pub foreign: Vec<String>,
    /// Collections by id.
    pub collections: Map<String, Value>,
    /// Kinds of geometries.
    pub shapes: Vec<String>,
}

impl Known {
    /// # Errors
    /// If the file has no column `id`: it is not stac-geoparquet.
    pub(super) fn of(footer: &ParquetMetaData) -> Result<Self> {
        let file = footer.file_metadata();
        if !file.schema().get_fields().iter().any(|field| field.name() == "id") {
            return Err(ParquetError::General("it has no column `id`: it is not stac-geoparquet".to_owned()));
        }
        let text = |key: &str| {
            let pair = file.key_value_metadata()?.iter().find(|pair| pair.key == key)?;
            pair.value.as_deref()
        };
        let groups = text(GROUPS).and_then(|text| serde_json::from_str::<Vec<Group>>(text).ok());
        let mut known = Self {
            groups: groups.filter(|groups| groups.len() == footer.num_row_groups()),
            foreign: text(FOREIGN).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
            collections: Map::new(),
            shapes: Vec::new(),
        };
        let tree = |key| text(key).and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
        if let Value::Object(collections) = tree("stac-geoparquet")["collections"].take() {
            known.collections = collections;
        }
        if let Some(shapes) = tree("geo").pointer("/columns/geometry/geometry_types").and_then(Value::as_array) {
            known.shapes = shapes.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        }
        Ok(known)
    }
}

/// Checks that no column lies before the file or has fewer bytes than none, of which the crate `parquet` panics.
pub(super) fn check_places(footer: &ParquetMetaData) -> Result<()> {
    for column in footer.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let places = [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(column.compressed_size())];
        if places.into_iter().flatten().any(i64::is_negative) {
            return Err(ParquetError::General("its columns lie before its beginning".to_owned()));
        }
    }
    Ok(())
}

/// Checks the footer of a file, as [`check_depth`].
pub(super) fn check_depth_of(file: &File) -> Result<()> {
    let size = file.len();
    let cut = || ParquetError::EOF("it is cut".to_owned());
    let end = size.checked_sub(FOOTER_SIZE as u64).ok_or_else(cut)?;
    let tail = file.get_bytes(end, FOOTER_SIZE)?;
    let length = tail.first_chunk::<4>().map(|length| u64::from(u32::from_le_bytes(*length))).ok_or_else(cut)?;
    let start = end.checked_sub(length).filter(|_| length <= MOST_FOOTER).ok_or_else(cut)?;
    check_depth(&file.get_bytes(start, usize::try_from(length).unwrap_or(0))?)
}

/// Checks that the schema of a footer (Thrift, compact protocol, without the eight bytes behind it) is not nested so deep
/// that the parser, which calls itself, would have no stack left. What is no footer is left to the parser.
pub(super) fn check_depth(footer: &[u8]) -> Result<()> {
    match schema_depth(footer) {
        Some(depth) if depth > DEEPEST => {
            Err(ParquetError::General(format!("its columns are nested more than {DEEPEST} deep")))
        }
        _ => Ok(()),
    }
}

/// How deep the columns are nested; `None` for what is no footer.
fn schema_depth(footer: &[u8]) -> Option<usize> {
    let mut input = Thrift { rest: footer };
    let mut id = 0;
    // FileMetaData: the schema is the list of field 2.
    let elements = loop {
        let kind = input.field(&mut id)?;
        if id == 2 && kind == LIST {
            break input.list()?.0;
        }
        input.skip(kind, 0)?;
    };
    // Groups that are open: how many members each still has.
    let (mut open, mut deepest): (Vec<u64>, usize) = (Vec::new(), 0);
    for _ in 0..elements {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        let children = input.children()?;
        if children > 0 {
            open.push(children);
            deepest = deepest.max(open.len());
        }
        // It is too deep anyway.
        if deepest > DEEPEST {
            break;
        }
    }
    Some(deepest)
}

const STRUCT: u8 = 12;
const LIST: u8 = 9;

/// Reads the compact protocol: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.
struct Thrift<'a> {
    rest: &'a [u8],
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// The kind of the next field, whose number is put into `id`; 0 at the end of the structure.
    fn field(&mut self, id: &mut i64) -> Option<u8> {
        let head = self.byte()?;
        let kind = head & 15;
        if kind == 0 {
            return Some(0);
        }
        *id = if head >> 4 == 0 {
            let raw = self.varint()?;
            (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
        } else {
            id.checked_add(i64::from(head >> 4))?
        };
        Some(kind)
    }

    /// Number and kind of the elements of a list.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Some((count, head & 15))
    }

    /// Members of the element of a schema that comes next (field 5 of it).
    fn children(&mut self) -> Option<u64> {
        let (mut id, mut children) = (0, 0);
        loop {
            match self.field(&mut id)? {
                0 => return Some(children),
                5 if id == 5 => children = self.varint()? >> 1,
                kind => self.skip(kind, 0)?,
            }
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            // The value of a truth is in its kind.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                // A truth of a list has a byte.
                (0..count).try_for_each(|_| if kind <= 2 { self.pass(1) } else { self.skip(kind, depth + 1) })
            }
            STRUCT => {
                let mut id = 0;
                loop {
                    match self.field(&mut id)? {
                        0 => return Some(()),
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer with so many groups within each other, and no more.
    fn nested(depth: usize) -> Vec<u8> {
        // Field 1 (version, i32), field 2 (list of structures, long form).
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let count = depth + 1;
        let mut rest = count;
        while rest >= 0x80 {
            bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap());
        for _ in 0..depth {
            // Field 4 (name), field 5 (one child).
            bytes.extend_from_slice(&[0x48, 1, b'a', 0x15, 2, 0]);
        }
        bytes.extend_from_slice(&[0x15, 0, 0x38, 1, b'z', 0, 0]);
        bytes
    }

    #[test]
    fn depth_is_counted_without_a_stack() {
        assert_eq!(schema_depth(&nested(3)), Some(3));
        assert!(check_depth(&nested(60)).is_ok());
        assert!(check_depth(&nested(1_000_000)).is_err());
        for end in 0..40 {
            let _ = schema_depth(&nested(5)[..end.min(nested(5).len())]);
        }
    }
}
