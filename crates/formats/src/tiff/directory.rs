//! Directories (IFD) and the values of their entries. An entry is a range of the file.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use outcrop_store::Sparse;

use crate::array::ByteOrder;
use crate::{Error, Result};

/// Byte order and width of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) order: ByteOrder,
    pub(crate) big: bool,
}

/// An entry of a directory.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) count: u64,
    /// Where its value is: within the entry itself if it is small.
    pub(super) place: Range<u64>,
}

/// A directory.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) offset: u64,
    pub(super) entries: BTreeMap<u16, Entry>,
    /// The directory after it; 0 for none.
    pub(super) next: u64,
    /// Bytes of the directory itself.
    pub(super) size: u64,
}

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned(u8),
    Signed(u8),
    Text,
    Bytes,
    Rational,
    SignedRational,
    Float,
    Double,
}

impl Kind {
    fn of(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::Unsigned(1),
            2 => Self::Text,
            3 => Self::Unsigned(2),
            4 | 13 => Self::Unsigned(4),
            5 => Self::Rational,
            6 => Self::Signed(1),
            7 => Self::Bytes,
            8 => Self::Signed(2),
            9 => Self::Signed(4),
            10 => Self::SignedRational,
            11 => Self::Float,
            12 => Self::Double,
            16 | 18 => Self::Unsigned(8),
            17 => Self::Signed(8),
            _ => return None,
        })
    }

    /// Bytes of one value.
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Unsigned(size) | Self::Signed(size) => u64::from(size),
            Self::Text | Self::Bytes => 1,
            Self::Float => 4,
            Self::Rational | Self::SignedRational | Self::Double => 8,
        }
    }
}

impl Form {
    /// The form that the first bytes of a file say, and where the first directory is.
    pub(super) fn parse(head: &[u8]) -> Result<(Self, u64)> {
        let broken = |why: String| Error::malformed("the header", why);
        let order = match head.get(..2) {
            Some(b"II") => ByteOrder::Little,
            Some(b"MM") => ByteOrder::Big,
            _ => return Err(broken("it does not begin with II or MM".into())),
        };
        let form = Self { order, big: false };
        match form.unsigned(head.get(2..4).unwrap_or_default()) {
            42 => Ok((form, form.unsigned(head.get(4..8).unwrap_or_default()))),
            43 if form.unsigned(head.get(4..8).unwrap_or_default().get(..2).unwrap_or_default()) == 8 => {
                Ok((Self { big: true, ..form }, form.unsigned(head.get(8..16).unwrap_or_default())))
            }
            version => Err(broken(format!("version {version} is none of 42 and 43"))),
        }
    }

    /// An unsigned number of up to 8 bytes.
    pub(super) fn unsigned(self, bytes: &[u8]) -> u64 {
        let add = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        match self.order {
            ByteOrder::Little => bytes.iter().take(8).rev().fold(0, add),
            ByteOrder::Big => bytes.iter().take(8).fold(0, add),
        }
    }

    fn signed(self, bytes: &[u8]) -> i64 {
        let shift = 64 - 8 * bytes.len().clamp(1, 8);
        (self.unsigned(bytes) << shift).cast_signed() >> shift
    }

    fn single(self, bytes: &[u8]) -> f64 {
        f64::from(f32::from_bits(u32::try_from(self.unsigned(bytes)).unwrap_or(0)))
    }

    fn sizes(self) -> (u64, u64, u64) {
        if self.big { (8, 20, 8) } else { (2, 12, 4) }
    }
}

/// What reading a part of a directory gives.
pub(super) enum Read<T> {
    Value(T),
    Need(Range<u64>),
}

/// Bytes asked for at the offset of a directory: most directories and their short values lie within.
const READ_AHEAD: u64 = 16 << 10;

/// A range of the file, or an error if the file ends before.
pub(super) fn within(range: Range<u64>, len: u64, what: &str) -> Result<Range<u64>> {
    if range.start > range.end || range.end > len {
        return Err(Error::Truncated { what: what.into(), need: range.end, have: len });
    }
    Ok(range)
}

/// Reads the directory at `offset`.
pub(super) fn read(form: Form, offset: u64, have: &Sparse) -> Result<Read<Directory>> {
    let (count_size, entry_size, next_size) = form.sizes();
    let what = format!("the directory at byte {offset}");
    let beyond = || Error::malformed(&what, "its end is beyond 64 bits");
    let start = offset.checked_add(count_size).ok_or_else(beyond)?;
    let head = within(offset..start, have.len(), &what)?;
    let ahead = offset..offset.saturating_add(READ_AHEAD).min(have.len());
    let Some(head) = have.get(&head) else { return Ok(Read::Need(ahead)) };
    let count = form.unsigned(&head);
    if count > u64::from(u16::MAX) {
        return Err(Error::Limit {
            what: format!("number of entries of {what}"),
            value: count,
            limit: u16::MAX.into(),
        });
    }
    let end = start.checked_add(count * entry_size + next_size).ok_or_else(beyond)?;
    let body = within(start..end, have.len(), &what)?;
    let Some(bytes) = have.get(&body) else { return Ok(Read::Need(offset..end.max(ahead.end))) };
    let (list, next) = bytes.split_at(bytes.len().saturating_sub(usize::from(form.sizes().2 == 8) * 4 + 4));
    let mut entries = BTreeMap::new();
    let step = if form.big { 20 } else { 12 };
    for (at, raw) in list.chunks_exact(step).enumerate() {
        let tag = u16::try_from(form.unsigned(&raw[..2])).unwrap_or(0);
        if let Some(entry) = entry(form, raw, start + at as u64 * entry_size) {
            entries.entry(tag).or_insert(entry);
        }
    }
    Ok(Read::Value(Directory { offset, entries, next: form.unsigned(next), size: end - offset }))
}

/// An entry at `at`; `None` for types that are not known, as the specification asks.
fn entry(form: Form, raw: &[u8], at: u64) -> Option<Entry> {
    let kind = Kind::of(u16::try_from(form.unsigned(&raw[2..4])).ok()?)?;
    let (value_at, room) = if form.big { (12, 8) } else { (8, 4) };
    let count = form.unsigned(&raw[4..value_at]);
    // A product beyond 64 bits is past the end of any file.
    let size = count.saturating_mul(kind.size());
    let start = if size <= room { at + value_at as u64 } else { form.unsigned(&raw[value_at..]) };
    Some(Entry { kind, count, place: start..start.saturating_add(size) })
}

/// Values of an entry.
pub(super) struct Values {
    form: Form,
    kind: Kind,
    bytes: Bytes,
}

impl Values {
    pub(super) fn new(form: Form, kind: Kind, bytes: Bytes) -> Self {
        Self { form, kind, bytes }
    }

    fn each(&self) -> std::slice::ChunksExact<'_, u8> {
        self.bytes.chunks_exact(usize::try_from(self.kind.size()).unwrap_or(1))
    }

    /// The values as unsigned numbers; none if they are of another type.
    pub(super) fn unsigned(&self) -> Vec<u64> {
        match self.kind {
            Kind::Unsigned(_) => self.each().map(|bytes| self.form.unsigned(bytes)).collect(),
            Kind::Signed(_) => self.each().filter_map(|bytes| u64::try_from(self.form.signed(bytes)).ok()).collect(),
            _ => Vec::new(),
        }
    }

    /// The values as real numbers; none for texts and bytes.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let form = self.form;
        let half = |bytes: &[u8]| (form.unsigned(&bytes[..4]), form.unsigned(&bytes[4..]));
        match self.kind {
            Kind::Unsigned(_) => self.each().map(|bytes| form.unsigned(bytes) as f64).collect(),
            Kind::Signed(_) => self.each().map(|bytes| form.signed(bytes) as f64).collect(),
            Kind::Float => self.each().map(|bytes| form.single(bytes)).collect(),
            Kind::Double => self.each().map(|bytes| f64::from_bits(form.unsigned(bytes))).collect(),
            Kind::Rational => self.each().map(half).map(|(up, down)| up as f64 / down as f64).collect(),
            Kind::SignedRational => {
                self.each().map(|b| form.signed(&b[..4]) as f64 / form.signed(&b[4..]) as f64).collect()
            }
            Kind::Text | Kind::Bytes => Vec::new(),
        }
    }

    /// The text, up to the first zero byte; bytes that are no UTF-8 are Latin-1.
    pub(super) fn text(&self) -> String {
        let text = self.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => text.iter().map(|byte| char::from(*byte)).collect(),
        }
    }

    /// The bytes as they are.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}
