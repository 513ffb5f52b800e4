//! Texts of variable length: references into global heaps, resolved over the bytes at hand.
//!
//! Section III.E of the HDF5 file format specification, version 3.0. An element is a length (4 bytes), the address of
//! a collection and the index of an object in it (4 bytes). Collections are asked for together, each once.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use bytes::Bytes;
use outcrop_store::{Demand, Sparse, Step, coalesce};

use crate::array::HeapPlace;
use crate::{Error, Result};

/// Bytes of a collection that are asked for at first: libhdf5 makes none smaller.
const FIRST: u64 = 4096;
/// Largest collection, in bytes.
const LARGEST: u64 = 64 << 20;
/// Most bytes of collections that are held at once, beyond the largest.
const HELD: u64 = 32 << 20;
/// Ranges at most this many bytes apart become one request.
const GAP: u64 = 16 << 10;
/// Most collections that are looked at at once.
const TOGETHER: usize = 1024;
/// Most memory that the texts of one call may take, in bytes.
const MOST: u64 = 128 << 20;

/// One reference. Length 0 is an empty text.
#[derive(Debug, Clone, Copy)]
struct Reference {
    len: usize,
    address: u64,
    index: u32,
}

/// Resolves the references of a window.
#[derive(Debug)]
pub(crate) struct Texts {
    place: HeapPlace,
    /// Those of texts that are not empty, by address; the number is the place among the texts.
    references: Vec<(Reference, usize)>,
    resolved: Vec<String>,
    /// Addresses of collections that are not done yet, each once.
    open: BTreeSet<u64>,
    /// Sizes of collections, once their first bytes were there.
    sizes: HashMap<u64, u64>,
    /// Bytes of all collections so far.
    total: u64,
    memory: u64,
}

impl Texts {
    /// Of elements as they are in the file.
    pub(crate) fn new(place: HeapPlace, elements: &[u8]) -> Result<Self> {
        let mut references = Vec::new();
        let size = place.element();
        let count = elements.len() / size;
        let memory = (count as u64).saturating_mul(64);
        limit(memory)?;
        for (at, element) in elements.chunks_exact(size).enumerate() {
            let reference = reference(place, element)?;
            references.extend((reference.len > 0).then_some((reference, at)));
        }
        references.sort_by_key(|(reference, _)| reference.address);
        let open = references.iter().map(|(reference, _)| reference.address).collect();
        let resolved = vec![String::new(); count];
        Ok(Self { place, references, resolved, open, sizes: HashMap::new(), total: 0, memory })
    }

    /// Reads the sizes of collections; what is missing for that.
    fn measure(&mut self, batch: &[u64], have: &Sparse) -> Result<Vec<Range<u64>>> {
        let mut missing = Vec::new();
        for address in batch {
            if self.sizes.contains_key(address) {
                continue;
            }
            let start = self.place.absolute(*address).ok_or_else(|| outside(*address, have))?;
            let head = 8 + u64::from(self.place.length_size);
            if start.checked_add(head).is_none_or(|end| end > have.len()) {
                return Err(outside(*address, have));
            }
            match have.get(&(start..start + head)) {
                Some(bytes) => {
                    let size = size(*address, &bytes)?;
                    self.sizes.insert(*address, size);
                    self.total = self.total.saturating_add(size);
                }
                None => missing.push(start..start.saturating_add(FIRST).min(have.len())),
            }
        }
        // Those of a sound file lie side by side.
        if self.total > have.len() {
            let what = "a heap of texts, or heaps that overlap,".to_owned();
            return Err(Error::Truncated { what, need: self.total, have: have.len() });
        }
        Ok(missing)
    }

    fn range(&self, address: u64, have: &Sparse) -> Result<Range<u64>> {
        let size = self.sizes.get(&address).copied().unwrap_or(0);
        if size > LARGEST {
            let what = format!("size of the heap at byte {address}");
            return Err(Error::Limit { what, value: size, limit: LARGEST });
        }
        let start = self.place.absolute(address).ok_or_else(|| outside(address, have))?;
        match start.checked_add(size) {
            Some(end) if end <= have.len() => Ok(start..end),
            _ => Err(outside(address, have)),
        }
    }

    /// The objects of a collection by index.
    fn collection(&self, address: u64, bytes: Bytes) -> Result<Collection> {
        let width = usize::from(self.place.length_size);
        let (head, mut at) = (8 + width, 8 + width);
        let mut objects = HashMap::new();
        while let Some(object) = bytes.get(at..at.saturating_add(head)) {
            let index = u16::from_le_bytes([object[0], object[1]]);
            if index == 0 {
                break;
            }
            let start = at + head;
            let len = usize::try_from(number(&object[8..])).unwrap_or(usize::MAX);
            let end = start.checked_add(len).filter(|end| *end <= bytes.len());
            let end = end.ok_or_else(|| malformed(address, &format!("object {index} lies outside of it")))?;
            objects.insert(u32::from(index), start..end);
            at = end.next_multiple_of(8);
        }
        Ok(Collection { bytes, objects })
    }

    fn resolve(&mut self, address: u64, collection: &Collection) -> Result<()> {
        let from = self.references.partition_point(|(reference, _)| reference.address < address);
        let here = self.references.get(from..).unwrap_or_default();
        for (reference, at) in here.iter().take_while(|(reference, _)| reference.address == address) {
            let text = collection.text(address, *reference)?;
            self.memory = self.memory.saturating_add(text.len() as u64);
            limit(self.memory)?;
            if let Some(slot) = self.resolved.get_mut(*at) {
                text.clone_into(slot);
            }
        }
        Ok(())
    }
}

struct Collection {
    bytes: Bytes,
    objects: HashMap<u32, Range<usize>>,
}

impl Demand for Texts {
    type Output = Vec<String>;
    type Error = Error;

    fn step(&mut self, have: &Sparse) -> Result<Step<Vec<String>>> {
        loop {
            let batch: Vec<u64> = self.open.iter().copied().take(TOGETHER).collect();
            if batch.is_empty() {
                return Ok(Step::Done(std::mem::take(&mut self.resolved)));
            }
            let missing = self.measure(&batch, have)?;
            if !missing.is_empty() {
                return Ok(Step::Need(coalesce(&missing, GAP, HELD)));
            }
            let (mut held, mut missing, mut done) = (0u64, Vec::new(), HashMap::new());
            for address in batch {
                let range = self.range(address, have)?;
                held = held.saturating_add(range.end - range.start);
                if held > HELD && (!done.is_empty() || !missing.is_empty()) {
                    break;
                }
                match have.get(&range) {
                    Some(bytes) => drop(done.insert(address, self.collection(address, bytes)?)),
                    None => missing.push(range),
                }
            }
            if !missing.is_empty() {
                return Ok(Step::Need(coalesce(&missing, GAP, HELD)));
            }
            for (address, collection) in &done {
                self.resolve(*address, collection)?;
                self.open.remove(address);
            }
        }
    }

    /// Collections are resolved in the order of the file.
    fn done_before(&self) -> u64 {
        self.open.first().and_then(|address| self.place.absolute(*address)).unwrap_or(0)
    }
}

impl Collection {
    fn text(&self, address: u64, reference: Reference) -> Result<&str> {
        let Reference { len, index, .. } = reference;
        let object = self.objects.get(&index).and_then(|range| self.bytes.get(range.clone()));
        let object = object.ok_or_else(|| malformed(address, &format!("there is no object {index}")))?;
        let short = || malformed(address, &format!("object {index} has {} bytes, not {len}", object.len()));
        let bytes = object.get(..len).ok_or_else(short)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).map_err(|_| malformed(address, &format!("object {index} is not UTF-8")))
    }
}

fn limit(memory: u64) -> Result<()> {
    if memory <= MOST {
        return Ok(());
    }
    Err(Error::Limit { what: "memory for texts in bytes".to_owned(), value: memory, limit: MOST })
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

fn reference(place: HeapPlace, element: &[u8]) -> Result<Reference> {
    let (len, rest) = element.split_at_checked(4).unwrap_or_default();
    let (address, index) = rest.split_at_checked(usize::from(place.offset_size)).unwrap_or_default();
    let len = usize::try_from(number(len)).unwrap_or(usize::MAX);
    let (address, index) = (number(address), u32::try_from(number(index)).unwrap_or(u32::MAX));
    // Address 0 is how libhdf5 writes that there is none (H5T__vlen_disk_isnull).
    if address == 0 || len == 0 {
        return Ok(Reference { len: 0, address: 0, index: 0 });
    }
    if index == 0 {
        return Err(malformed(address, "object 0 is its free space"));
    }
    Ok(Reference { len, address, index })
}

fn size(address: u64, head: &[u8]) -> Result<u64> {
    match head.split_first_chunk::<8>() {
        Some(([b'G', b'C', b'O', b'L', 1, ..], size)) => Ok(number(size)),
        Some(([b'G', b'C', b'O', b'L', version, ..], _)) => {
            Err(malformed(address, &format!("it is of version {version}")))
        }
        _ => Err(malformed(address, "there is none")),
    }
}

fn malformed(address: u64, why: &str) -> Error {
    Error::malformed(format!("the heap of texts at byte {address}"), why)
}

fn outside(address: u64, have: &Sparse) -> Error {
    Error::Truncated { what: "a heap of texts".to_owned(), need: address, have: have.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: HeapPlace = HeapPlace { base: 0, offset_size: 8, length_size: 8 };

    fn element(len: u32, address: u64, index: u32) -> Vec<u8> {
        [&len.to_le_bytes()[..], &address.to_le_bytes(), &index.to_le_bytes()].concat()
    }

    /// A collection at byte 64 with the objects 1 `ab` and 2, which says that it has `len` bytes.
    fn file(size: u64, len: u64) -> Sparse {
        let mut bytes = vec![0; 64];
        bytes.extend(b"GCOL\x01\0\0\0");
        bytes.extend(size.to_le_bytes());
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 0, 0, 0, 0, 0, 0]);
        bytes.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(len.to_le_bytes());
        bytes.extend([0xff; 8]);
        bytes.resize(64 + 4096, 0);
        Sparse::whole(&bytes.into())
    }

    fn texts(elements: &[u8], have: &Sparse) -> std::result::Result<Vec<String>, String> {
        match Texts::new(PLACE, elements).and_then(|mut texts| texts.step(have)).map_err(|e| e.to_string())? {
            Step::Done(texts) => Ok(texts),
            Step::Need(ranges) => Err(format!("needs {ranges:?}")),
        }
    }

    #[test]
    fn references_are_resolved_and_lies_are_errors() {
        let good = file(4096, 1);
        let two = [element(2, 64, 1), element(0, 0, 0), element(1, 64, 1), element(9, 0, 0)].concat();
        assert_eq!(texts(&two, &good), Ok(["ab", "", "a", ""].map(String::from).to_vec()));
        for (element, have, why) in [
            (element(3, 64, 1), &good, "has 2 bytes, not 3"),
            (element(1, 64, 3), &good, "no object 3"),
            (element(1, 64, 0), &good, "free space"),
            (element(1, 64, 2), &good, "not UTF-8"),
            (element(1, 72, 1), &good, "there is none"),
            (element(1, 1 << 40, 1), &good, "truncated"),
            (element(1, u64::MAX, 1), &good, "truncated"),
            (element(1, 64, 1), &file(1 << 50, 1), "overlap"),
            (element(1, 64, 1), &file(8192, 1), "truncated"),
            (element(1, 64, 1), &file(4096, u64::MAX), "outside"),
        ] {
            let error = texts(&element, have).unwrap_err();
            assert!(error.contains(why), "{error} is not {why}");
        }
    }

    #[test]
    fn all_collections_are_asked_for_at_once() {
        let elements = [element(1, 100, 1), element(1, 50_000, 1), element(1, 100, 2)].concat();
        let mut walk = Texts::new(PLACE, &elements).unwrap();
        let Ok(Step::Need(ranges)) = walk.step(&Sparse::new(51_000)) else { panic!("nothing is at hand") };
        assert_eq!(ranges, vec![100..4196, 50_000..51_000]);
    }
}
