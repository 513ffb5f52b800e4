//! Tables of references in Parquet: flat columns `path`, `offset`, `size` and `raw`, one row for each chunk.
//!
//! What kerchunk writes through fastparquet or pyarrow is read: plain and dictionary pages of version 1 and 2, without
//! compression, with gzip or zstd. Other encodings and codecs are refused by name. This is no reader of Parquet at large.
//! Format: <https://parquet.apache.org/docs/file-format/>.

use std::collections::HashMap;

use bytes::Bytes;
use libdeflater::Decompressor;

use super::thrift::{Thrift, read_varint, varint};
use crate::codec::{deflate, zstd};

/// Most rows of a file.
const MAX_ROWS: usize = 1 << 20;
/// Most bytes of the pages of a file, decompressed.
const MAX_BYTES: usize = 256 << 20;
const MAGIC: &[u8; 4] = b"PAR1";

/// The rows of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) path: Vec<Option<Bytes>>,
    pub(super) offset: Vec<u64>,
    pub(super) size: Vec<u64>,
    pub(super) raw: Vec<Option<Bytes>>,
}

/// Whether values may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Never,
    Perhaps,
}

impl Nulls {
    fn of(leaf: &Thrift) -> Self {
        if leaf.int(3) == Some(1) { Self::Perhaps } else { Self::Never }
    }
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int32,
    Int64,
    Bytes,
}

/// One column; a member that is null is `None`.
enum Column {
    Ints(Vec<Option<i64>>),
    Bytes(Vec<Option<Bytes>>),
}

/// Reads a file. A column that is not there holds nothing.
pub(super) fn read(file: &Bytes) -> Result<Rows, String> {
    let cut = "it is no Parquet file, or it is cut";
    let len = file.len();
    let foot = len.checked_sub(8).filter(|_| file.starts_with(MAGIC) && file.ends_with(MAGIC)).ok_or(cut)?;
    let size = file.get(foot..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b)) as usize;
    let start = foot.checked_sub(size).ok_or(cut)?;
    let (meta, _) = Thrift::read(file.get(start..foot).ok_or(cut)?).ok_or("its footer is damaged")?;
    let rows = meta.int(3).and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MAX_ROWS);
    let rows = rows.ok_or_else(|| format!("it has more than {MAX_ROWS} rows"))?;
    let leaves: Vec<&Thrift> = meta.list(2).iter().skip(1).collect();
    if leaves.len() > 64 {
        return Err("it has more than 64 columns".to_owned());
    }
    if leaves.iter().any(|leaf| leaf.int(5).unwrap_or(0) > 0 || leaf.int(3) == Some(2)) {
        return Err("nested columns are not supported".to_owned());
    }
    let mut reader = Reader { file, left: MAX_BYTES, decompressor: Decompressor::new() };
    let mut found = Rows::default();
    for (at, leaf) in leaves.iter().enumerate() {
        let name = String::from_utf8_lossy(leaf.bytes(4).unwrap_or_default()).into_owned();
        if !["path", "offset", "size", "raw"].contains(&name.as_str()) {
            continue;
        }
        let column =
            reader.column((&meta, at), Nulls::of(leaf), rows).map_err(|why| format!("column `{name}`: {why}"))?;
        let number = |value: &Option<i64>| u64::try_from(value.unwrap_or(0)).ok();
        match (name.as_str(), column) {
            ("path", Column::Bytes(values)) => found.path = values,
            ("raw", Column::Bytes(values)) => found.raw = values,
            ("path" | "raw", Column::Ints(values)) if values.iter().all(Option::is_none) => {}
            ("offset" | "size", Column::Ints(values)) => {
                let numbers: Option<Vec<u64>> = values.iter().map(number).collect();
                let numbers = numbers.ok_or_else(|| format!("column `{name}` has negative numbers"))?;
                *(if name == "offset" { &mut found.offset } else { &mut found.size }) = numbers;
            }
            _ => return Err(format!("column `{name}` is of another type")),
        }
    }
    found.path.resize(rows, None);
    found.raw.resize(rows, None);
    found.offset.resize(rows, 0);
    found.size.resize(rows, 0);
    Ok(found)
}

struct Reader<'a> {
    file: &'a Bytes,
    /// Bytes that pages may still have.
    left: usize,
    decompressor: Decompressor,
}

impl Reader<'_> {
    /// Column `at` of all row groups.
    fn column(&mut self, (meta, at): (&Thrift, usize), nulls: Nulls, rows: usize) -> Result<Column, String> {
        let mut all: Option<Column> = None;
        for group in meta.list(4) {
            let chunk = group.list(1).get(at).ok_or("a row group without it")?;
            if chunk.bytes(1).is_some() {
                return Err("data in another file are not supported".to_owned());
            }
            let chunk = chunk.field(3).ok_or("a row group without its place")?;
            let held = all.as_ref().map_or(0, Column::len);
            let part = self.chunk(chunk, nulls, rows.saturating_sub(held))?;
            all = Some(match (all, part) {
                (None, part) => part,
                (Some(Column::Ints(mut all)), Column::Ints(part)) => {
                    all.extend(part);
                    Column::Ints(all)
                }
                (Some(Column::Bytes(mut all)), Column::Bytes(part)) => {
                    all.extend(part);
                    Column::Bytes(all)
                }
                _ => return Err("its type changes".to_owned()),
            });
        }
        let all = all.unwrap_or(Column::Ints(Vec::new()));
        if all.len() == rows { Ok(all) } else { Err(format!("{} values in {rows} rows", all.len())) }
    }

    /// The part of a column in one row group; at most so many values.
    fn chunk(&mut self, chunk: &Thrift, nulls: Nulls, most: usize) -> Result<Column, String> {
        let number = |field| chunk.int(field).and_then(|n| usize::try_from(n).ok());
        let total = number(5).filter(|n| *n <= most).ok_or("more values than rows")?;
        let data = number(9).ok_or("a chunk without a page")?;
        let mut at = number(11).filter(|at| *at > 0).map_or(data, |dictionary| dictionary.min(data));
        let (kind, mut out) = match chunk.int(1) {
            Some(1) => (Kind::Int32, Column::Ints(Vec::new())),
            Some(2) => (Kind::Int64, Column::Ints(Vec::new())),
            Some(6) => (Kind::Bytes, Column::Bytes(Vec::new())),
            _ => return Err("its physical type is not supported".to_owned()),
        };
        let mut dictionary = None;
        while out.len() < total {
            let rest = self.file.get(at..).ok_or("a page past the end")?;
            let (header, size) = Thrift::read(rest).ok_or("a damaged page")?;
            let field = |number| header.int(number).and_then(|n| usize::try_from(n).ok()).ok_or("a damaged page");
            let start = at.checked_add(size).ok_or("a damaged page")?;
            let end =
                start.checked_add(field(3)?).filter(|end| *end <= self.file.len()).ok_or("a page past the end")?;
            let stored = self.file.slice(start..end);
            at = end;
            let page = Page { header: &header, stored, codec: chunk.int(4).unwrap_or(0), size: field(2)? };
            match header.int(1) {
                Some(0) => self.data(&page, (5, nulls), dictionary.as_ref(), (kind, total, &mut out))?,
                Some(3) => self.data(&page, (8, nulls), dictionary.as_ref(), (kind, total, &mut out))?,
                Some(2) => {
                    let bytes = self.decompress(&page.stored, page.codec, page.size)?;
                    let count = header.field(7).and_then(|h| h.int(1)).and_then(|n| usize::try_from(n).ok());
                    let count = count.filter(|n| *n <= MAX_ROWS).ok_or("a dictionary that is too large")?;
                    dictionary = Some(plain(&bytes, count, kind)?);
                }
                _ => {}
            }
        }
        if out.len() == total { Ok(out) } else { Err("more values than declared".to_owned()) }
    }

    /// A page of values. Its header is field 5 of version 1, field 8 of version 2.
    fn data(
        &mut self,
        page: &Page<'_>,
        (version, nulls): (i16, Nulls),
        dictionary: Option<&Column>,
        (kind, total, out): (Kind, usize, &mut Column),
    ) -> Result<(), String> {
        let header = page.header.field(version).ok_or("a page without its header")?;
        let field = |number| header.int(number).and_then(|n| usize::try_from(n).ok());
        let count = field(1).filter(|n| *n <= total.saturating_sub(out.len())).ok_or("more values than declared")?;
        let damaged = "a damaged page";
        let (bytes, levels, encoding) = if version == 5 {
            let bytes = self.decompress(&page.stored, page.codec, page.size)?;
            if nulls == Nulls::Perhaps {
                if header.int(3) != Some(3) {
                    return Err("levels that are not of RLE are not supported".to_owned());
                }
                let len = bytes.first_chunk().map_or(usize::MAX, |b| u32::from_le_bytes(*b) as usize);
                let end = len.checked_add(4).filter(|end| *end <= bytes.len()).ok_or(damaged)?;
                (bytes.slice(end..), Some(bytes.slice(4..end)), header.int(2))
            } else {
                (bytes, None, header.int(2))
            }
        } else {
            let split = field(5).filter(|n| *n <= page.stored.len() && field(6) == Some(0)).ok_or(damaged)?;
            let packed = header.field(7) != Some(&Thrift::Bool(false));
            let codec = if packed { page.codec } else { 0 };
            let size = page.size.checked_sub(split).ok_or(damaged)?;
            let bytes = self.decompress(&page.stored.slice(split..), codec, size)?;
            (bytes, (nulls == Nulls::Perhaps).then(|| page.stored.slice(..split)), header.int(4))
        };
        let present = match levels {
            Some(levels) => Some(hybrid(&levels, 1, count).ok_or(damaged)?),
            None => None,
        };
        let some = present.as_ref().map_or(count, |levels| levels.iter().filter(|level| **level == 1).count());
        let values = match (encoding, dictionary) {
            (Some(0), _) => plain(&bytes, some, kind)?,
            (Some(2 | 8), Some(dictionary)) => {
                let (width, rest) = match bytes.split_first() {
                    Some((width, rest)) if *width <= 32 => (*width, rest),
                    None if some == 0 => (0, &[][..]),
                    _ => return Err(damaged.to_owned()),
                };
                dictionary.pick(&hybrid(rest, width, some).ok_or(damaged)?).ok_or("a value beyond its dictionary")?
            }
            (encoding, _) => return Err(format!("encoding {} is not supported", encoding.unwrap_or(-1))),
        };
        out.spread(values, present.as_deref());
        Ok(())
    }

    fn decompress(&mut self, stored: &Bytes, codec: i64, size: usize) -> Result<Bytes, String> {
        self.left = self.left.checked_sub(size).ok_or_else(|| format!("pages of more than {MAX_BYTES} bytes"))?;
        let mut out = match codec {
            0 => return Ok(stored.clone()),
            _ => vec![0; size],
        };
        let got = match codec {
            _ if size == 0 => Ok(0),
            2 => deflate::gunzip(&mut self.decompressor, stored, &mut out),
            6 => zstd::decode(stored, &mut out),
            1 => return Err("the compression snappy is not supported".to_owned()),
            4 => return Err("the compression brotli is not supported".to_owned()),
            other => return Err(format!("the compression {other} is not supported")),
        };
        match got {
            Ok(got) if got == size => Ok(out.into()),
            Ok(got) => Err(format!("a page of {got} bytes in place of {size}")),
            Err(e) => Err(e.to_string()),
        }
    }
}

struct Page<'a> {
    header: &'a Thrift,
    stored: Bytes,
    codec: i64,
    size: usize,
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }

    /// The members at these places.
    fn pick(&self, places: &[u32]) -> Option<Self> {
        fn at<T: Clone>(values: &[T], places: &[u32]) -> Option<Vec<T>> {
            places.iter().map(|place| values.get(*place as usize).cloned()).collect()
        }
        Some(match self {
            Self::Ints(values) => Self::Ints(at(values, places)?),
            Self::Bytes(values) => Self::Bytes(at(values, places)?),
        })
    }

    /// Appends values where `present` is 1, null elsewhere.
    fn spread(&mut self, values: Self, present: Option<&[u32]>) {
        fn put<T>(out: &mut Vec<Option<T>>, values: Vec<Option<T>>, present: Option<&[u32]>) {
            let mut values = values.into_iter();
            match present {
                None => out.extend(values),
                Some(present) => {
                    out.extend(present.iter().map(|level| if *level == 1 { values.next().flatten() } else { None }));
                }
            }
        }
        match (self, values) {
            (Self::Ints(out), Self::Ints(values)) => put(out, values, present),
            (Self::Bytes(out), Self::Bytes(values)) => put(out, values, present),
            _ => {}
        }
    }
}

/// Values one after the other.
fn plain(bytes: &Bytes, count: usize, kind: Kind) -> Result<Column, String> {
    let short = "a page that is too short";
    let (mut at, mut texts) = (0usize, Vec::new());
    if kind != Kind::Bytes {
        let size = if kind == Kind::Int64 { 8 } else { 4 };
        let end = count.checked_mul(size).filter(|end| *end <= bytes.len()).ok_or(short)?;
        let number = |b: &[u8]| match (b.first_chunk::<8>(), b.first_chunk::<4>()) {
            (Some(b), _) if kind == Kind::Int64 => Some(i64::from_le_bytes(*b)),
            (_, Some(b)) => Some(i64::from(i32::from_le_bytes(*b))),
            _ => None,
        };
        return Ok(Column::Ints(bytes[..end].chunks_exact(size).map(number).collect()));
    }
    for _ in 0..count {
        let len =
            bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b) as usize).ok_or(short)?;
        let start = at + 4;
        let end = start.checked_add(len).filter(|end| *end <= bytes.len()).ok_or(short)?;
        texts.push(Some(bytes.slice(start..end)));
        at = end;
    }
    Ok(Column::Bytes(texts))
}

/// Runs and groups of eight of small numbers ("RLE/bit-packing hybrid").
fn hybrid(bytes: &[u8], width: u8, count: usize) -> Option<Vec<u32>> {
    let mut out = Vec::with_capacity(count);
    let mut at = 0;
    let mask = (1u64 << width) - 1;
    while out.len() < count {
        if width == 0 {
            out.resize(count, 0);
            break;
        }
        let head = read_varint(bytes, &mut at)?;
        let left = count - out.len();
        if head & 1 == 0 {
            let size = usize::from(width.div_ceil(8));
            let mut value = [0; 4];
            value.get_mut(..size)?.copy_from_slice(bytes.get(at..at + size)?);
            at += size;
            let run = usize::try_from(head >> 1).unwrap_or(usize::MAX);
            if run == 0 {
                return None;
            }
            out.resize(out.len() + run.min(left), u32::from_le_bytes(value));
            continue;
        }
        let size = usize::try_from(head >> 1).ok()?.checked_mul(usize::from(width))?;
        // A writer may leave out the end of the last group.
        let packed = bytes.get(at..at.checked_add(size)?.min(bytes.len()))?;
        at = at.checked_add(size)?;
        let values = (packed.len() * 8 / usize::from(width)).min(left);
        if values == 0 {
            return None;
        }
        for i in 0..values {
            let bit = i * usize::from(width);
            let mut word = [0; 8];
            let from = packed.get(bit / 8..)?;
            let take = from.len().min(8);
            word[..take].copy_from_slice(&from[..take]);
            out.push(u32::try_from(u64::from_le_bytes(word) >> (bit % 8) & mask).ok()?);
        }
    }
    Some(out)
}

/// Writes a file of one row group, compressed with zstd.
pub(super) fn write(rows: &Rows) -> Result<Vec<u8>, String> {
    let mut out = MAGIC.to_vec();
    let count = rows.path.len();
    let mut columns = vec![texts(&mut out, "path", &rows.path)?];
    for (name, values) in [("offset", &rows.offset), ("size", &rows.size)] {
        let plain: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let at = out.len();
        let sizes = page(&mut out, &plain, data_header(count, 0))?;
        columns.push(chunk((name, 2), (at, None), (count, sizes)));
    }
    columns.push(texts(&mut out, "raw", &rows.raw)?);
    let rows = long(count);
    let total = long(out.len());
    let group = Thrift::Struct(vec![(1, Thrift::List(columns)), (2, total), (3, rows.clone())]);
    let leaf = |name: &str, kind: i64, repetition: i64, text: bool| {
        let mut fields = vec![(1, Thrift::Int(kind)), (3, Thrift::Int(repetition)), (4, Thrift::text(name))];
        if text {
            fields.push((6, Thrift::Int(0)));
        }
        Thrift::Struct(fields)
    };
    let root = Thrift::Struct(vec![(4, Thrift::text("schema")), (5, Thrift::Int(4))]);
    let schema = vec![
        root,
        leaf("path", 6, 1, true),
        leaf("offset", 2, 0, false),
        leaf("size", 2, 0, false),
        leaf("raw", 6, 1, false),
    ];
    let meta = Thrift::Struct(vec![
        (1, Thrift::Int(1)),
        (2, Thrift::List(schema)),
        (3, rows),
        (4, Thrift::List(vec![group])),
        (6, Thrift::text("outcrop")),
    ]);
    let start = out.len();
    meta.write(&mut out);
    let size = u32::try_from(out.len() - start).map_err(|_| "a footer beyond 4 GiB")?;
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(MAGIC);
    Ok(out)
}

fn long(n: usize) -> Thrift {
    Thrift::Long(i64::try_from(n).unwrap_or(i64::MAX))
}

fn int(n: usize) -> Thrift {
    Thrift::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A column of texts that may be null. Paths are few: each is once in a dictionary.
fn texts(out: &mut Vec<u8>, name: &str, values: &[Option<Bytes>]) -> Result<Thrift, String> {
    let mut levels = Vec::new();
    bits(values.iter().map(|value| u32::from(value.is_some())), 1, &mut levels);
    let mut body = u32::try_from(levels.len()).map_err(|_| "too many rows")?.to_le_bytes().to_vec();
    body.extend_from_slice(&levels);
    let some = || values.iter().flatten();
    let start = out.len();
    if name != "path" {
        for value in some() {
            put(&mut body, value)?;
        }
        let sizes = page(out, &body, data_header(values.len(), 0))?;
        return Ok(chunk((name, 6), (start, None), (values.len(), sizes)));
    }
    let mut known: HashMap<&Bytes, u32> = HashMap::new();
    let (mut dictionary, mut places) = (Vec::new(), Vec::new());
    for value in some() {
        let next = u32::try_from(known.len()).map_err(|_| "too many texts")?;
        let place = *known.entry(value).or_insert(next);
        if place == next {
            put(&mut dictionary, value)?;
        }
        places.push(place);
    }
    let header = Thrift::Struct(vec![(1, int(known.len())), (2, Thrift::Int(0))]);
    let first = page(out, &dictionary, (2, 7, header))?;
    let at = out.len();
    let largest = known.len().saturating_sub(1).max(1) as u64;
    let width = u8::try_from(64 - largest.leading_zeros()).unwrap_or(32);
    body.push(width);
    bits(places.into_iter(), width, &mut body);
    let second = page(out, &body, data_header(values.len(), 8))?;
    let sizes = (first.0 + second.0, first.1 + second.1);
    Ok(chunk((name, 6), (at, Some(start)), (values.len(), sizes)))
}

fn put(out: &mut Vec<u8>, value: &Bytes) -> Result<(), String> {
    out.extend_from_slice(&u32::try_from(value.len()).map_err(|_| "a value beyond 4 GiB")?.to_le_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// Numbers in groups of eight, in one run.
fn bits(values: impl ExactSizeIterator<Item = u32>, width: u8, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let start = out.len();
    out.resize(start + groups * usize::from(width), 0);
    for (i, value) in values.enumerate() {
        for bit in 0..usize::from(width) {
            let at = i * usize::from(width) + bit;
            out[start + at / 8] |= u8::from(value >> bit & 1 == 1) << (at % 8);
        }
    }
}

/// The type of a page, the number of its own header, and that.
type Header = (i64, i16, Thrift);

fn data_header(count: usize, encoding: i64) -> Header {
    let fields = [(1, int(count)), (2, Thrift::Int(encoding)), (3, Thrift::Int(3)), (4, Thrift::Int(3))];
    (0, 5, Thrift::Struct(fields.into()))
}

/// Appends a page; the answer is its size before and after compression, with its header.
fn page(out: &mut Vec<u8>, plain: &[u8], (kind, number, header): Header) -> Result<(usize, usize), String> {
    let packed = ::zstd::bulk::compress(plain, 3).map_err(|e| e.to_string())?;
    let start = out.len();
    let fields = vec![(1, Thrift::Int(kind)), (2, int(plain.len())), (3, int(packed.len())), (number, header)];
    Thrift::Struct(fields).write(out);
    let head = out.len() - start;
    out.extend_from_slice(&packed);
    Ok((head + plain.len(), head + packed.len()))
}

/// The entry of a column in its row group.
fn chunk(
    (name, kind): (&str, i64),
    (data, dictionary): (usize, Option<usize>),
    (count, (plain, packed)): (usize, (usize, usize)),
) -> Thrift {
    let encodings = [Some(0), Some(3), dictionary.map(|_| 8)];
    let mut meta = vec![
        (1, Thrift::Int(kind)),
        (2, Thrift::List(encodings.into_iter().flatten().map(Thrift::Int).collect())),
        (3, Thrift::List(vec![Thrift::text(name)])),
        (4, Thrift::Int(6)),
        (5, long(count)),
        (6, long(plain)),
        (7, long(packed)),
        (9, long(data)),
    ];
    meta.extend(dictionary.map(|at| (11, long(at))));
    if kind == 2 {
        // Readers take integers without a count of nulls for floats.
        meta.push((12, Thrift::Struct(vec![(3, Thrift::Long(0))])));
    }
    Thrift::Struct(vec![(2, long(dictionary.unwrap_or(data))), (3, Thrift::Struct(meta))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Rows {
        let raw = |i: usize| (i % 7 == 3).then(|| Bytes::from(vec![u8::try_from(i % 251).unwrap(); i % 5]));
        Rows {
            path: (0..count).map(|i| (i % 3 != 0).then(|| Bytes::from(format!("s3://a/{}", i % 5)))).collect(),
            offset: (0..count as u64).map(|i| i * 1000).collect(),
            size: (0..count as u64).map(|i| i % 900).collect(),
            raw: (0..count).map(raw).collect(),
        }
    }

    /// fastparquet reads it in `tests/python`.
    #[test]
    fn what_is_written_comes_back() {
        for count in [0, 1, 8, 9, 1000] {
            let file = Bytes::from(write(&rows(count)).unwrap());
            assert_eq!(read(&file).unwrap(), rows(count), "{count}");
        }
    }

    #[test]
    fn damaged_files_are_refused_or_read() {
        let file = write(&rows(100)).unwrap();
        for at in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= flip;
                let _ = read(&damaged.into());
            }
            assert!(read(&Bytes::copy_from_slice(&file[..at])).is_err());
        }
    }
}
