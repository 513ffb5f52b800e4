//! Segments: records that continue each other.
//!
//! A record continues the last segment of its source if its type of samples is the same, its rate differs by less than
//! one part in ten thousand, and it begins within half a sample of the expected time. Otherwise there is a gap or an
//! overlap and a new segment begins, as in ObsPy: records are not sorted.

use std::collections::HashMap;

use super::record::{Encoding, Rate, Record};
use crate::array::{ByteOrder, DType};

/// Least samples of a chunk.
const CHUNK: u64 = 1 << 16;

/// Where a record is and which samples of its segment it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    /// Position of its first sample in the segment.
    pub(crate) first: u64,
    pub(crate) samples: u32,
    pub(crate) length: u32,
    /// Where its samples begin, in bytes from its start.
    pub(crate) data: u32,
    pub(crate) encoding: Encoding,
    pub(crate) order: ByteOrder,
}

/// The records of a variable.
///
/// - Records are in file order; `first` grows from 0 by the samples before.
/// - A chunk has more samples than any record, so that no two chunks begin in the same record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) samples: u64,
    pub(crate) chunk: u64,
    pub(crate) entries: Vec<Entry>,
}

impl Segment {
    /// The records that hold samples of a chunk.
    fn touched(&self, chunk: u64) -> &[Entry] {
        let from = chunk.saturating_mul(self.chunk);
        let to = from.saturating_add(self.chunk).min(self.samples);
        let first = self.entries.partition_point(|entry| entry.first <= from).saturating_sub(1);
        let end = self.entries.partition_point(|entry| entry.first < to);
        self.entries.get(first..end).unwrap_or_default()
    }

    /// Offset and length of the bytes from the first record of a chunk to its last; what lies between belongs to other
    /// sources where a file interleaves them.
    pub(crate) fn range(&self, chunk: u64) -> Option<(u64, u64)> {
        let touched = self.touched(chunk);
        let (first, last) = (touched.first()?, touched.last()?);
        let end = last.offset.checked_add(u64::from(last.length))?;
        Some((first.offset, end.checked_sub(first.offset)?))
    }

    /// The chunk whose bytes begin at an offset, with its records.
    pub(crate) fn chunk_at(&self, offset: u64) -> Option<(u64, &[Entry])> {
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        let chunk = self.entries.get(at)?.first.div_ceil(self.chunk.max(1));
        let touched = self.touched(chunk);
        (touched.first()?.offset == offset).then_some((chunk, touched))
    }

    /// Where the last record ends.
    pub(crate) fn end(&self) -> u64 {
        self.entries.last().map_or(0, |last| last.offset.saturating_add(u64::from(last.length)))
    }

    /// True if everything holds that reading relies on, for a file of this size.
    pub(crate) fn is_sound(&self, size: u64) -> bool {
        let (mut first, mut offset) = (0u64, 0u64);
        let sound = self.entries.iter().all(|entry| {
            let (end, length) = (entry.offset.saturating_add(entry.length.into()), entry.length);
            let fits = entry.first == first && entry.offset >= offset && end <= size && entry.data <= length;
            let most = entry.encoding.most_samples(length.into()).is_some_and(|n| u64::from(entry.samples) <= n);
            first = first.saturating_add(entry.samples.into());
            offset = end;
            let chunked = u64::from(entry.samples) < self.chunk || self.chunk >= self.samples;
            fits && most && chunked && entry.samples > 0 && entry.encoding.dtype() == Some(self.dtype)
        });
        sound && first == self.samples && self.chunk > 0 && self.samples > 0
    }

    /// Bytes of all its records.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(u64::from(entry.length)))
    }
}

/// A segment while it grows, with what its attributes tell.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) source: usize,
    pub(crate) start_ns: i64,
    pub(crate) rate: Rate,
    pub(crate) samples: u64,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) entries: Vec<Entry>,
    /// Smallest and largest percentage.
    pub(crate) timing_quality: Option<(u8, u8)>,
    pub(crate) extra: Option<String>,
    /// Time without samples before it; negative where it overlaps the segment before.
    pub(crate) gap_ns: Option<i128>,
    /// Largest difference between a record's own start and the time that equal steps from the segment's start give.
    pub(crate) drift_ns: i128,
    /// Time of the sample that would come next.
    next_ns: i128,
}

/// Sorts records into segments.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    pub(crate) segments: Vec<Growing>,
    pub(crate) records: u64,
    pub(crate) without_samples: u64,
    /// The segment of each source that can go on.
    open: HashMap<usize, usize>,
    /// The last segment of each source.
    last: HashMap<usize, usize>,
}

impl Joiner {
    pub(crate) fn add(&mut self, record: &Record, offset: u64) {
        self.records += 1;
        if record.samples == 0 {
            self.without_samples += 1;
            self.open.remove(&record.source);
            return;
        }
        let open = self.open.get(&record.source).and_then(|at| self.segments.get_mut(*at));
        if let Some(segment) = open.filter(|segment| segment.continues(record)) {
            segment.push(record, offset);
            return;
        }
        let before = self.last.get(&record.source).and_then(|at| self.segments.get(*at));
        let gap_ns = before.map(|before| i128::from(record.start_ns) - before.next_ns);
        let at = self.segments.len();
        self.segments.push(Growing::start(record, offset, gap_ns));
        self.open.insert(record.source, at);
        self.last.insert(record.source, at);
    }
}

impl Growing {
    fn start(record: &Record, offset: u64, gap_ns: Option<i128>) -> Self {
        let mut segment = Self {
            source: record.source,
            start_ns: record.start_ns,
            rate: record.rate,
            samples: 0,
            encodings: Vec::new(),
            entries: Vec::new(),
            timing_quality: None,
            extra: record.extra.clone(),
            gap_ns,
            drift_ns: 0,
            next_ns: i128::from(record.start_ns),
        };
        segment.push(record, offset);
        segment
    }

    fn continues(&self, record: &Record) -> bool {
        let Some(first) = self.encodings.first() else { return false };
        let same_type = match (first.dtype(), record.encoding.dtype()) {
            (None, None) => *first == record.encoding,
            (ours, theirs) => ours == theirs,
        };
        let (up, down) = self.rate.step_ns();
        let gap = i128::from(record.start_ns) - self.next_ns;
        let near = gap.unsigned_abs() * 2 * u128::from(down.unsigned_abs()) <= u128::from(up.unsigned_abs());
        // Two rates of 0 are not a time series: the comparison is false for NaN.
        same_type && near && (1.0 - self.rate.hz() / record.rate.hz()).abs() < 1e-4
    }

    fn push(&mut self, record: &Record, offset: u64) {
        let expected = i128::from(self.start_ns) + self.rate.elapsed_ns(self.samples);
        self.drift_ns = self.drift_ns.max((i128::from(record.start_ns) - expected).abs());
        if !self.encodings.contains(&record.encoding) {
            self.encodings.push(record.encoding);
        }
        if let Some(quality) = record.timing_quality {
            let (low, high) = self.timing_quality.unwrap_or((quality, quality));
            self.timing_quality = Some((low.min(quality), high.max(quality)));
        }
        // Lengths of records are limited to 16 MiB where they are read.
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        self.entries.push(Entry {
            offset,
            first: self.samples,
            samples: record.samples,
            length: narrow(record.length),
            data: narrow(record.data.start),
            encoding: record.encoding,
            order: record.order,
        });
        self.samples = self.samples.saturating_add(u64::from(record.samples));
        // The record's own rate leads to its last sample, the segment's to the one that is expected next.
        let last = record.rate.elapsed_ns(u64::from(record.samples - 1));
        self.next_ns = i128::from(record.start_ns) + last + self.rate.elapsed_ns(1);
    }

    /// Time of the last sample by equal steps.
    pub(crate) fn end_ns(&self) -> i128 {
        i128::from(self.start_ns) + self.rate.elapsed_ns(self.samples.saturating_sub(1))
    }

    pub(crate) fn finish(&self, name: &str, dtype: DType, entries: Vec<Entry>) -> Segment {
        let largest = entries.iter().map(|entry| u64::from(entry.samples)).max().unwrap_or(0);
        let chunk = CHUNK.max((largest + 1).next_power_of_two()).min(self.samples.max(1));
        Segment { name: name.to_owned(), dtype, samples: self.samples, chunk, entries }
    }
}
