//! The walk from record to record.

use outcrop_store::{Sparse, Step};

use super::record::{self, Found, Sources, Stop, Whole};
use super::segment::Joiner;
use crate::array::FileMeta;
use crate::{Error, Result};

/// Bytes that are asked for at once: records are small and stand side by side, so the file is read from its start to its
/// end. Twice the largest record.
const WINDOW: u64 = 32 << 20;
/// Most records of a file.
const MAX_RECORDS: u64 = 16 << 20;
/// Most segments of a file: each is a variable with attributes, about 3 kB.
const MAX_SEGMENTS: usize = 1 << 16;

/// Reads the headers of all records of a file.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    at: u64,
    records: u64,
    samples: u64,
    skipped_bytes: u64,
    sources: Sources,
    joiner: Joiner,
}

impl Scan {
    /// Bytes before this were walked over.
    pub(crate) fn done_before(&self) -> u64 {
        self.at
    }

    pub(crate) fn step(&mut self, have: &Sparse) -> Result<Step<FileMeta>> {
        while self.at < have.len() {
            let window = self.at..self.at.saturating_add(WINDOW).min(have.len());
            let Some(bytes) = have.get(&window) else { return Ok(Step::Need(std::iter::once(window).collect())) };
            let whole = if window.end == have.len() { Whole::Yes } else { Whole::No };
            self.walk(&bytes, whole, have.len())?;
            if self.at == window.start {
                return Err(Error::malformed(self.place(), "it is longer than records can be"));
            }
        }
        let joiner = std::mem::take(&mut self.joiner);
        Ok(Step::Done(super::lower::lower(joiner, &self.sources, self.skipped_bytes)))
    }

    /// Walks over the records that lie in these bytes wholly.
    fn walk(&mut self, bytes: &[u8], whole: Whole, len: u64) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match record::read(rest, whole, &mut self.sources) {
                Ok(Found::Record(record)) => {
                    self.count(record.samples)?;
                    let length = record.length;
                    self.joiner.add(&record, self.at);
                    length
                }
                Ok(Found::Skip(size)) => {
                    self.skipped_bytes += size;
                    size
                }
                Err(Stop::Short { .. }) if whole == Whole::No => return Ok(()),
                Err(Stop::Short { need, what }) => return Err(self.truncated(need, what, len)),
                Err(Stop::Broken(why)) => return Err(Error::malformed(self.place(), why)),
            };
            let step = usize::try_from(size).ok().filter(|step| *step > 0);
            let Some(next) = step.and_then(|step| rest.get(step..)) else {
                return Err(self.truncated(size, None, len));
            };
            rest = next;
            self.at = self.at.saturating_add(size);
        }
        Ok(())
    }

    fn count(&mut self, samples: u32) -> Result<()> {
        self.records += 1;
        self.samples = self.samples.saturating_add(u64::from(samples));
        if self.records > MAX_RECORDS {
            let what = "number of miniSEED records".to_owned();
            return Err(Error::Limit { what, value: self.records, limit: MAX_RECORDS });
        }
        let segments = self.joiner.segments.len();
        if segments > MAX_SEGMENTS {
            let what = "number of miniSEED segments".to_owned();
            return Err(Error::Limit { what, value: segments as u64, limit: MAX_SEGMENTS as u64 });
        }
        Ok(())
    }

    /// The place that an error is about.
    fn place(&self) -> String {
        format!("miniSEED record {} at byte {}", self.records + 1, self.at)
    }

    fn truncated(&self, need: u64, what: Option<(usize, u32)>, have: u64) -> Error {
        let whose = what.and_then(|(source, samples)| self.sources.get(source).map(|source| (source.name(), samples)));
        let declared =
            whose.map_or_else(String::new, |(name, samples)| format!(" of `{name}`, which declares {samples} samples"));
        let (records, samples) = (self.records, self.samples);
        let what = format!(
            "record {}{declared} ({samples} samples are in the {records} whole records before it),",
            records + 1
        );
        Error::Truncated { what, need: self.at.saturating_add(need), have }
    }
}
