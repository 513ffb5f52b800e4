//! Opens a file: finds out what it is and reads its header.

use std::ops::Range;

use outcrop_store::{Demand, Sparse, Step};

use crate::array::{FileMeta, Format};
use crate::das;
use crate::gdal;
use crate::hdf5;
use crate::miniseed;
use crate::netcdf3;
use crate::tiff;
use crate::{Error, Result};

/// First bytes worth fetching together with the size of a file: most headers lie within.
pub const HEAD: u64 = 64 << 10;

const HDF5_MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Reads the header of a NetCDF classic, NetCDF-4, HDF5, TIFF or miniSEED file.
///
/// ```
/// use outcrop_formats::Open;
/// use outcrop_store::{Demand, Sparse};
///
/// let page = Sparse::whole(&b"<!DOCTYPE html><html>".to_vec().into());
/// let error = Open::new().step(&page).err().map(|e| e.to_string());
/// assert_eq!(error.as_deref(), Some("not a NetCDF, HDF5, TIFF or miniSEED file: it looks like an HTML page"));
/// ```
#[derive(Debug, Default)]
pub struct Open {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Sniff,
    Hdf5(hdf5::OpenWalk),
    Das(Box<das::Lowering>),
    NetCdf3(netcdf3::Header),
    MiniSeed(Box<miniseed::Scan>),
    Tiff(tiff::OpenWalk),
}

impl Open {
    /// Starts to open a file.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Demand for Open {
    type Output = FileMeta;
    type Error = Error;

    fn step(&mut self, have: &Sparse) -> Result<Step<FileMeta>> {
        if matches!(self.state, State::Sniff) {
            match sniff(have)? {
                Step::Need(ranges) => return Ok(Step::Need(ranges)),
                Step::Done(state) => self.state = state,
            }
        }
        if let State::Hdf5(walk) = &mut self.state {
            match walk.step(have)? {
                // Only what has no names of its own is looked at for layouts of vendors.
                Step::Done(meta) if meta.format == Format::Hdf5 => {
                    self.state = State::Das(Box::new(das::Lowering::new(meta, walk.take_groups())));
                }
                step => return Ok(step),
            }
        }
        match &mut self.state {
            State::Sniff | State::Hdf5(_) => Ok(Step::Need(Vec::new())),
            State::Das(lowering) => lowering.step(have),
            State::NetCdf3(header) => header.step(have),
            State::Tiff(walk) => walk.step(have),
            State::MiniSeed(scan) => scan.step(have),
        }
    }

    fn done_before(&self) -> u64 {
        match &self.state {
            State::MiniSeed(scan) => scan.done_before(),
            _ => 0,
        }
    }
}

fn sniff(have: &Sparse) -> Result<Step<State>> {
    let len = have.len();
    let first = 0..len.min(512);
    let Some(head) = have.get(&first) else { return Ok(Step::Need(std::iter::once(first).collect())) };
    if head.starts_with(HDF5_MAGIC) {
        return Ok(Step::Done(State::Hdf5(hdf5::OpenWalk::new(0))));
    }
    if head.len() >= 4 && head.starts_with(b"CDF") && matches!(head[3], 1 | 2 | 5) {
        return Ok(Step::Done(State::NetCdf3(netcdf3::Header::new())));
    }
    if tiff::is_tiff(&head) && head.len() >= 8 {
        return Ok(Step::Done(State::Tiff(tiff::OpenWalk::default())));
    }
    if miniseed::is_record(&head) {
        return Ok(Step::Done(State::MiniSeed(Box::default())));
    }
    if let Some(looks) = looks_like(&head) {
        return Err(Error::NotRecognised { looks });
    }
    let places: Vec<Range<u64>> = magic_places(len);
    let missing: Vec<Range<u64>> = places.iter().filter(|place| have.get(place).is_none()).cloned().collect();
    if !missing.is_empty() {
        return Ok(Step::Need(missing));
    }
    let found = places.iter().find(|place| have.get(place).is_some_and(|bytes| bytes[..] == HDF5_MAGIC[..]));
    match found {
        Some(place) => Ok(Step::Done(State::Hdf5(hdf5::OpenWalk::new(place.start)))),
        None => Err(Error::NotRecognised { looks: format!("something else{}", gdal::MAYBE) }),
    }
}

/// Where the signature of HDF5 may stand behind a user block: at 512 bytes and each doubling.
fn magic_places(len: u64) -> Vec<Range<u64>> {
    (9..63).map(|power| 1u64 << power).take_while(|at| at.saturating_add(8) <= len).map(|at| at..at + 8).collect()
}

/// A name for what the first bytes are, where they are something known.
fn looks_like(head: &[u8]) -> Option<String> {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "gzip (decompress it first)"),
        (b"PK\x03\x04", "a zip archive"),
        (b"BZh", "bzip2 (decompress it first)"),
        (b"\xfd7zXZ", "xz (decompress it first)"),
        (b"\x28\xb5\x2f\xfd", "zstd (decompress it first)"),
        (b"%PDF", "a PDF document"),
        (b"CDF", "an unknown version of NetCDF classic"),
        (b"{", "a JSON document"),
    ];
    if let Some(name) = plain(head) {
        return Some(name.to_owned());
    }
    let foreign = gdal::looks_like(head).map(|name| format!("{name}{}", gdal::HINT));
    foreign.or_else(|| KNOWN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| (*name).to_owned()))
}

/// A name for what has no signature.
fn plain(head: &[u8]) -> Option<&'static str> {
    if head.is_empty() {
        return Some("an empty file");
    }
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") || text.contains("<head>") {
        return Some("an HTML page");
    }
    if text.starts_with("<?xml") && !text.contains("<vrtdataset") {
        return Some("an XML document");
    }
    if head.iter().all(|b| *b == 0) {
        return Some("zero bytes (an unfinished download?)");
    }
    (head.len() < 8).then_some("a truncated file of a few bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_is_not_ours_is_named() {
        for (bytes, want) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0\0"[..], "gzip"),
            (b"\0\0\0\0\0\0\0\0\0", "zero bytes"),
            (b"", "empty"),
            (b"\x89HD", "truncated"),
            (b"CDF\x09\0\0\0\0\0", "unknown version"),
            (b"hello, this is a text", "something else"),
        ] {
            let error = Open::new().step(&Sparse::whole(&Bytes::copy_from_slice(bytes))).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }
}
