//! Where the strips or tiles of an image are: two arrays, read when the values of the image are wanted.

use std::ops::Range;

use bytes::Bytes;
use outcrop_store::{Sparse, Step};

use super::directory::{Entry, Form, Kind, Values, within};
use crate::array::Variable;
use crate::refs::Entry as Chunk;
use crate::{Error, Result};

/// Most chunks of an image.
const MAX_CHUNKS: u64 = 16 << 20;
/// Largest stored chunk in bytes: as much as a decoded one, and what a codec may add.
const MAX_STORED: u64 = 260 << 20;

/// The arrays of offsets and lengths of an image.
#[derive(Debug, Clone)]
pub(crate) struct TileIndex {
    form: Form,
    offsets: Array,
    lengths: Option<Array>,
    /// Strips or tiles that the file must have.
    pub(super) stored: u64,
    /// Of uncompressed chunks: how long each is.
    pub(super) plain: Option<Plain>,
}

/// Uncompressed chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    /// Bytes of one row of a chunk.
    pub(super) row: u64,
    /// Rows of a strip or tile in the file.
    pub(super) rows: u64,
    /// Rows of the last strip of a plane; those of a tile.
    pub(super) last: u64,
    /// Rows of a chunk: fewer than `rows` where a large strip is cut into virtual chunks.
    pub(super) cut: u64,
    /// Strips or tiles from one end of the image's rows to the other.
    pub(super) down: u64,
    /// Strips or tiles side by side.
    pub(super) across: u64,
}

/// Numbers of a tag, held if they were among the first bytes.
#[derive(Debug, Clone)]
struct Array {
    kind: Kind,
    count: u64,
    place: Range<u64>,
    held: Option<Bytes>,
}

impl Array {
    fn new(entry: &Entry, have: &Sparse) -> Self {
        let place = entry.place.clone();
        Self { kind: entry.kind, count: entry.count, held: have.get(&place), place }
    }

    fn bytes(&self, have: &Sparse) -> Option<Bytes> {
        self.held.clone().or_else(|| have.get(&self.place))
    }
}

impl TileIndex {
    /// From the entries of the two arrays; the lengths may be missing if chunks are not compressed.
    pub(super) fn new(form: Form, offsets: &Entry, lengths: Option<&Entry>, have: &Sparse) -> Self {
        let lengths = lengths.map(|entry| Array::new(entry, have));
        Self { form, offsets: Array::new(offsets, have), lengths, stored: 0, plain: None }
    }

    /// The offset of the first chunk, if the array is at hand.
    pub(super) fn first(&self) -> Option<u64> {
        let size = usize::try_from(self.offsets.kind.size()).ok()?;
        Some(self.form.unsigned(self.offsets.held.as_ref()?.get(..size)?))
    }

    pub(super) fn has_lengths(&self) -> bool {
        self.lengths.is_some()
    }

    fn check(&self, len: u64) -> Result<()> {
        // A strip that is cut makes many.
        let parts = self.plain.map_or(1, |plain| plain.rows.div_ceil(plain.cut.max(1)));
        let value = self.stored.saturating_mul(parts);
        if value > MAX_CHUNKS {
            return Err(Error::Limit { what: "number of chunks".into(), value, limit: MAX_CHUNKS });
        }
        for array in std::iter::once(&self.offsets).chain(&self.lengths) {
            if !matches!(array.kind, Kind::Unsigned(_)) {
                return Err(Error::malformed("the chunk index", "it holds no whole numbers"));
            }
            if array.count < self.stored {
                let why = format!("it lists {} chunks, the image has {}", array.count, self.stored);
                return Err(Error::malformed("the chunk index", why));
            }
            within(array.place.clone(), len, "the chunk index")?;
        }
        Ok(())
    }
}

/// Reads the two arrays.
#[derive(Debug)]
pub(crate) struct IndexWalk {
    index: TileIndex,
}

impl IndexWalk {
    pub(crate) fn new(index: TileIndex) -> Self {
        Self { index }
    }

    pub(crate) fn step(&mut self, variable: &Variable, have: &Sparse) -> Result<Step<Vec<Chunk>>> {
        let index = &self.index;
        index.check(have.len())?;
        let arrays: Vec<&Array> = std::iter::once(&index.offsets).chain(&index.lengths).collect();
        let held: Vec<Option<Bytes>> = arrays.iter().map(|array| array.bytes(have)).collect();
        let missing = |(array, bytes): (&&Array, &Option<Bytes>)| bytes.is_none().then(|| array.place.clone());
        let missing: Vec<Range<u64>> = arrays.iter().zip(&held).filter_map(missing).collect();
        if !missing.is_empty() {
            return Ok(Step::Need(missing));
        }
        let mut numbers = arrays
            .iter()
            .zip(held)
            .map(|(array, bytes)| Values::new(index.form, array.kind, bytes.unwrap_or_default()).unsigned());
        let offsets = numbers.next().unwrap_or_default();
        let lengths = numbers.next();
        let mut chunks = Vec::new();
        let stored = usize::try_from(index.stored).unwrap_or(usize::MAX);
        for (linear, offset) in offsets.into_iter().take(stored).enumerate() {
            let length = lengths.as_ref().map(|lengths| lengths.get(linear).copied().unwrap_or(0));
            push(&mut chunks, index, linear as u64, (offset, length), have.len())?;
        }
        check_ends(&chunks, variable, have.len())?;
        Ok(Step::Done(chunks))
    }
}

/// Adds a strip or tile: one chunk, several if it is cut, none if it was never written. Of those past the end of the file
/// only the first.
fn push(
    chunks: &mut Vec<Chunk>,
    index: &TileIndex,
    linear: u64,
    (offset, length): (u64, Option<u64>),
    len: u64,
) -> Result<()> {
    if length == Some(0) || (length.is_none() && offset == 0) {
        return Ok(());
    }
    let Some(plain) = index.plain else {
        let length = length.unwrap_or(0);
        if length > MAX_STORED {
            let what = format!("size of chunk {linear} in bytes");
            return Err(Error::Limit { what, value: length, limit: MAX_STORED });
        }
        chunks.push(Chunk { linear, offset, length, filter_mask: 0 });
        return Ok(());
    };
    let is_last = (linear / plain.across.max(1)) % plain.down.max(1) + 1 == plain.down;
    let rows = if is_last { plain.last } else { plain.rows };
    let parts = plain.rows.div_ceil(plain.cut.max(1));
    for part in 0..parts {
        let from = part * plain.cut;
        let here = plain.cut.min(rows.saturating_sub(from)).saturating_mul(plain.row);
        // Some writers give the last strip the length of a whole one, or all strips a length of more than their rows.
        let there = length.map_or(here, |all| here.min(all.saturating_sub(from.saturating_mul(plain.row))));
        let offset = offset.saturating_add(from.saturating_mul(plain.row));
        chunks.push(Chunk { linear: linear * parts + part, offset, length: there, filter_mask: 0 });
        if offset.saturating_add(there) > len {
            break;
        }
    }
    Ok(())
}

fn check_ends(chunks: &[Chunk], variable: &Variable, len: u64) -> Result<()> {
    let end = |chunk: &Chunk| chunk.offset.saturating_add(chunk.length);
    match chunks.iter().find(|chunk| end(chunk) > len) {
        None => Ok(()),
        Some(chunk) => {
            let what = format!("chunk {} of `{}`", chunk.linear, variable.name);
            Err(Error::Truncated { what, need: end(chunk), have: len })
        }
    }
}
