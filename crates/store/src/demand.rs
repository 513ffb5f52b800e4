//! Parsers without I/O: a parser says which bytes it needs, the store brings them.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

/// The parts of an object that are at hand.
///
/// - Parts never overlap and are joined where they touch.
#[derive(Debug, Clone, Default)]
pub struct Sparse {
    len: u64,
    parts: BTreeMap<u64, Bytes>,
}

impl Sparse {
    /// Nothing of an object of `len` bytes.
    pub fn new(len: u64) -> Self {
        Self { len, parts: BTreeMap::new() }
    }

    /// A whole object.
    pub fn whole(bytes: &Bytes) -> Self {
        let mut sparse = Self::new(bytes.len() as u64);
        sparse.insert(0, bytes);
        sparse
    }

    /// Size of the object in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for an object of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds the bytes at `offset`, joining them with their neighbours; bytes at hand already are kept.
    pub fn insert(&mut self, offset: u64, bytes: &Bytes) {
        for gap in self.missing(&(offset..offset + bytes.len() as u64)) {
            let from = usize::try_from(gap.start - offset).unwrap_or(usize::MAX);
            let to = usize::try_from(gap.end - offset).unwrap_or(usize::MAX);
            self.insert_gap(gap.start, bytes.slice(from..to));
        }
    }

    fn insert_gap(&mut self, offset: u64, bytes: Bytes) {
        let before = self.parts.range(..offset).next_back().map(|(at, part)| (*at, part.len() as u64));
        let joins_before = before.filter(|(at, len)| at + len == offset).map(|(at, _)| at);
        let after = self.parts.remove(&(offset + bytes.len() as u64));
        let start = joins_before.unwrap_or(offset);
        let head = joins_before.and_then(|at| self.parts.remove(&at));
        let joined = if head.is_none() && after.is_none() {
            bytes
        } else {
            let all: [&[u8]; 3] = [head.as_deref().unwrap_or_default(), &bytes, after.as_deref().unwrap_or_default()];
            Bytes::from(all.concat())
        };
        self.parts.insert(start, joined);
    }

    /// The bytes of `range` if all of them are at hand; an empty range always is.
    pub fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        if range.start >= range.end {
            return Some(Bytes::new());
        }
        let (at, part) = self.parts.range(..=range.start).next_back()?;
        let from = usize::try_from(range.start - at).ok()?;
        let to = usize::try_from(range.end - at).ok()?;
        (to <= part.len()).then(|| part.slice(from..to))
    }

    /// The parts of `range` that are not at hand.
    pub fn missing(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let first = self.parts.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        for (start, part) in self.parts.range(first..range.end.max(first)) {
            let end = start + part.len() as u64;
            if *start > at {
                gaps.push(at..(*start).min(range.end));
            }
            at = at.max(end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Lets go of the bytes before `offset`.
    pub fn forget(&mut self, offset: u64) {
        let kept = self.parts.split_off(&offset);
        let last = std::mem::replace(&mut self.parts, kept).pop_last();
        let tail = last.and_then(|(at, part)| {
            let from = usize::try_from(offset - at).ok()?;
            (from < part.len()).then(|| part.slice(from..))
        });
        if let Some(tail) = tail {
            self.parts.insert(offset, tail);
        }
    }

    /// Bytes at hand.
    pub fn held(&self) -> u64 {
        self.parts.values().map(|part| part.len() as u64).sum()
    }
}

/// What a parser answers.
#[derive(Debug)]
pub enum Step<T> {
    /// It cannot go on without these bytes.
    Need(Vec<Range<u64>>),
    /// It is done.
    Done(T),
}

/// A parser of an object's metadata that does no I/O of its own.
pub trait Demand {
    /// What the parser makes.
    type Output;
    /// How it fails.
    type Error;

    /// Goes on with the bytes at hand. It is called again after each [`Step::Need`] with those bytes added.
    ///
    /// # Errors
    /// The parser's own, when the bytes cannot be understood.
    fn step(&mut self, have: &Sparse) -> Result<Step<Self::Output>, Self::Error>;

    /// Bytes before this are not looked at again: those who bring bytes may let go of them.
    fn done_before(&self) -> u64 {
        0
    }
}

/// A failure of [`crate::Store::drive`].
#[derive(Debug, thiserror::Error)]
pub enum DriveError<E> {
    /// The bytes could not be brought.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// The bytes could not be understood.
    #[error(transparent)]
    Parse(E),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_and_gaps_are_named() {
        let mut sparse = Sparse::new(100);
        sparse.insert(10, &Bytes::from(vec![1; 10]));
        sparse.insert(30, &Bytes::from(vec![3; 10]));
        assert_eq!(sparse.missing(&(0..50)), vec![0..10, 20..30, 40..50]);
        assert!(sparse.get(&(10..31)).is_none());
        sparse.insert(15, &Bytes::from(vec![2; 20]));
        assert_eq!(sparse.missing(&(10..40)), Vec::<Range<u64>>::new());
        let got = sparse.get(&(10..40)).unwrap();
        assert_eq!(&got[..], &[vec![1u8; 10], vec![2; 10], vec![3; 10]].concat()[..]);
        assert_eq!(sparse.held(), 30);
        sparse.forget(15);
        assert_eq!(sparse.held(), 25);
        assert!(sparse.get(&(14..40)).is_none() && sparse.get(&(15..20)).is_some());
        sparse.forget(40);
        assert_eq!(sparse.held(), 0);
    }
}
