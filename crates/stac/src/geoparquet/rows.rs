//! From the columns of a group to the JSON of its rows.

use std::ops::Range;
use std::sync::Arc;

use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;

use super::column::{Column, damaged, read};
use super::layout::{Layout, Node, Scalar};

impl Layout {
    /// The item of the row at which the columns stand.
    fn item(&self, columns: &mut [Column]) -> Result<Vec<u8>> {
        let mut out = self.head.to_vec();
        for field in &self.fields {
            let Some(member) = field else {
                self.put_properties(&mut out, columns)?;
                continue;
            };
            let (before, name) = (out.len(), member.name.as_str());
            out.push(b',');
            out.extend_from_slice(&member.key);
            let written = if name == "bbox" {
                put_box(&mut out, &member.node, (&self.leaves, columns))?
            } else {
                put(&mut out, &member.node, (&self.leaves, columns))?
            };
            match name {
                _ if written => {}
                "geometry" => out.extend_from_slice(b"null"),
                "links" => out.extend_from_slice(b"[]"),
                "assets" => out.extend_from_slice(b"{}"),
                _ => out.truncate(before),
            }
        }
        out.extend_from_slice(&self.tail);
        out.push(b'}');
        Ok(out)
    }

    fn put_properties(&self, out: &mut Vec<u8>, columns: &mut [Column]) -> Result<()> {
        out.extend_from_slice(b",\"properties\":{");
        let (mut is_first, mut has_time) = (true, false);
        for member in &self.properties {
            let before = out.len();
            if !is_first {
                out.push(b',');
            }
            out.extend_from_slice(&member.key);
            if put(out, &member.node, (&self.leaves, columns))? {
                (is_first, has_time) = (false, has_time || member.name == "datetime");
            } else {
                out.truncate(before);
            }
        }
        if !has_time {
            out.extend_from_slice(if is_first { b"\"datetime\":null" } else { b",\"datetime\":null" });
        }
        out.push(b'}');
        Ok(())
    }
}

/// Appends a value; false, and nothing, where it is null.
fn put(out: &mut Vec<u8>, node: &Node, (scalars, columns): (&[Scalar], &mut [Column])) -> Result<bool> {
    match node {
        Node::Leaf { at, def } => {
            let (Some(column), Some(scalar)) = (columns.get_mut(*at), scalars.get(*at)) else { return Err(damaged()) };
            column.put(out, *def, *scalar)
        }
        Node::Struct { def, members, leaves } => {
            if level(columns, leaves)? < *def {
                skip(columns, leaves)?;
                return Ok(false);
            }
            out.push(b'{');
            let mut is_first = true;
            for member in members {
                let before = out.len();
                if !is_first {
                    out.push(b',');
                }
                out.extend_from_slice(&member.key);
                if put(out, &member.node, (scalars, &mut *columns))? {
                    is_first = false;
                } else {
                    out.truncate(before);
                }
            }
            out.push(b'}');
            Ok(true)
        }
        Node::List { def, filled, rep, element, leaves } => {
            let found = level(columns, leaves)?;
            if found < *filled {
                skip(columns, leaves)?;
                if found < *def {
                    return Ok(false);
                }
                out.extend_from_slice(b"[]");
                return Ok(true);
            }
            out.push(b'[');
            loop {
                if !put(out, element, (scalars, &mut *columns))? {
                    out.extend_from_slice(b"null");
                }
                if !goes_on(columns, leaves, *rep)? {
                    break;
                }
                out.push(b',');
            }
            out.push(b']');
            Ok(true)
        }
        Node::Map { .. } => put_map(out, node, (scalars, columns)),
    }
}

fn put_map(out: &mut Vec<u8>, node: &Node, (scalars, columns): (&[Scalar], &mut [Column])) -> Result<bool> {
    let Node::Map { def, filled, rep, pair, leaves } = node else { return Err(damaged()) };
    let found = level(columns, leaves)?;
    if found < *filled {
        skip(columns, leaves)?;
        if found >= *def {
            out.extend_from_slice(b"{}");
        }
        return Ok(found >= *def);
    }
    out.push(b'{');
    loop {
        let mut key = Vec::new();
        put(&mut key, &pair[0], (scalars, &mut *columns))?;
        // Keys that are no texts are written as one.
        if !key.starts_with(b"\"") {
            key =
                serde_json::to_vec(&String::from_utf8_lossy(&key)).map_err(|e| ParquetError::General(e.to_string()))?;
        }
        out.extend_from_slice(&key);
        out.push(b':');
        if !put(out, &pair[1], (scalars, &mut *columns))? {
            out.extend_from_slice(b"null");
        }
        if !goes_on(columns, leaves, *rep)? {
            break;
        }
        out.push(b',');
    }
    out.push(b'}');
    Ok(true)
}

/// The box: a structure of its ends, or a list of numbers.
fn put_box(out: &mut Vec<u8>, node: &Node, (scalars, columns): (&[Scalar], &mut [Column])) -> Result<bool> {
    let Node::Struct { def, members, leaves } = node else { return put(out, node, (scalars, columns)) };
    let is_there = level(columns, leaves)? >= *def;
    let mut ends: [Option<Vec<u8>>; 6] = Default::default();
    for member in members {
        let mut number = Vec::new();
        let there = put(&mut number, &member.node, (scalars, &mut *columns))?;
        let place = ["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"].iter().position(|end| *end == member.name);
        if let Some(place) = place.filter(|_| there) {
            ends[place] = Some(number);
        }
    }
    let plain = [0, 1, 3, 4].iter().all(|at| ends[*at].is_some());
    if !is_there || !plain {
        return Ok(false);
    }
    if ends[2].is_none() || ends[5].is_none() {
        (ends[2], ends[5]) = (None, None);
    }
    out.push(b'[');
    for (place, number) in ends.into_iter().flatten().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&number);
    }
    out.push(b']');
    Ok(true)
}

/// The level at which a node stands: that of its first column.
fn level(columns: &[Column], leaves: &Range<usize>) -> Result<i16> {
    columns.get(leaves.start).and_then(Column::def).ok_or_else(damaged)
}

/// True if another element of the list follows.
fn goes_on(columns: &[Column], leaves: &Range<usize>, rep: i16) -> Result<bool> {
    columns.get(leaves.start).map(|column| column.rep() >= rep).ok_or_else(damaged)
}

/// Passes what stands in the columns of a node that is null or empty.
fn skip(columns: &mut [Column], leaves: &Range<usize>) -> Result<()> {
    columns.get_mut(leaves.clone()).ok_or_else(damaged)?.iter_mut().for_each(Column::pass);
    Ok(())
}

/// The rows of a group, read as far as they are wanted.
pub(super) struct Rows {
    layout: Arc<Layout>,
    readers: Vec<(ColumnReader, i16, i16)>,
    at: usize,
}

impl Rows {
    pub(super) fn new<R: ChunkReader + 'static>(
        group: &SerializedRowGroupReader<'_, R>,
        layout: Arc<Layout>,
    ) -> Result<Self> {
        let reader = |number: usize| {
            let descriptor = group.metadata().column(number).column_descr_ptr();
            let levels = (descriptor.max_def_level(), descriptor.max_rep_level());
            let pages = group.get_column_page_reader(number)?;
            Ok((get_column_reader(descriptor, pages), levels.0, levels.1))
        };
        let readers = (0..group.num_columns()).map(reader).collect::<Result<Vec<_>>>()?;
        Ok(Self { layout, readers, at: 0 })
    }

    /// The items of rows, which rise and follow those of the call before.
    pub(super) fn take(&mut self, wanted: &[usize]) -> Result<Vec<Vec<u8>>> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let mut at = self.at;
        for row in wanted {
            let gap = row.checked_sub(at).ok_or_else(damaged)?;
            match runs.last_mut().filter(|_| gap == 0) {
                Some((_, count)) => *count += 1,
                None => runs.push((gap, 1)),
            }
            at = row + 1;
        }
        self.at = at;
        let readers = self.readers.iter_mut();
        let columns = readers.map(|(reader, most, rep)| read(reader, (*most, *rep), &runs));
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        wanted.iter().map(|_| self.layout.item(&mut columns)).collect()
    }
}
