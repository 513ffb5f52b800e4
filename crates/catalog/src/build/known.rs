//! What the last build made, found by id in the file that it left ([`super::state`]): 16 bytes of an item stay in memory.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::state::{Entry, FILE, LOG, Line, failed};
use crate::Result;

/// Bytes that are read for a line, at first.
const LINE: usize = 512;

/// The items of an earlier build.
///
/// - The last line of an id is the one that counts.
/// - Ids whose hashes are equal are told apart by their lines.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: [Option<File>; 2],
    paths: [PathBuf; 2],
    /// In the order of hashes.
    records: Vec<Record>,
    hasher: RandomState,
}

/// A line: hash of its id, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    hash: u64,
    place: Place,
}

/// The number of the file, the byte in it, and whether the item is there no more; in the order in which lines were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place(u64);

impl Place {
    fn new(file: usize, offset: u64, what: &Line) -> Self {
        Self((file as u64) << 63 | offset << 1 | u64::from(matches!(what, Line::Gone { .. })))
    }

    fn file(self) -> usize {
        usize::from(self.0 >> 63 == 1)
    }

    fn offset(self) -> u64 {
        self.0 << 1 >> 2
    }

    fn is_gone(self) -> bool {
        self.0 & 1 == 1
    }
}

/// An item of the last build, and its number among them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub at: usize,
    pub entry: Entry,
}

impl Known {
    /// The items of the state in a folder whose documents are there.
    pub(super) fn open(folder: &Path, is_there: impl Fn(&Entry) -> bool) -> Result<Self> {
        let mut known = Self { paths: [FILE, LOG].map(|name| folder.join(name)), ..Self::default() };
        for at in 0..known.paths.len() {
            known.files[at] = match File::open(&known.paths[at]) {
                Ok(file) => Some(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(failed("open", &known.paths[at], e)),
            };
            known.read(at, &is_there)?;
        }
        known.records.sort_unstable();
        known.settle()?;
        Ok(known)
    }

    fn read(&mut self, at: usize, is_there: impl Fn(&Entry) -> bool) -> Result<()> {
        let Some(file) = &self.files[at] else { return Ok(()) };
        let mut lines = BufReader::with_capacity(1 << 16, file);
        let (mut line, mut offset) = (Vec::new(), 0);
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).map_err(|e| failed("read", &self.paths[at], e))?;
            if read == 0 {
                return Ok(());
            }
            // A line that was torn when the process was killed is none.
            let parsed = Line::parse(&line).ok().map(|line| match line {
                Line::Entry(entry) if !is_there(&entry) => Line::Gone { gone: entry.id },
                line => line,
            });
            if let Some((id, line)) = parsed.as_ref().and_then(|line| Some((line.id()?, line))) {
                self.records.push(Record { hash: self.hasher.hash_one(id), place: Place::new(at, offset, line) });
            }
            offset += read as u64;
        }
    }

    /// Of the lines of an id the last stays, and none where that says that it is gone.
    fn settle(&mut self) -> Result<()> {
        let mut records = std::mem::take(&mut self.records);
        let (mut from, mut kept) = (0, 0);
        while let Some(first) = records.get(from).copied() {
            let equal = records[from..].iter().take_while(|record| record.hash == first.hash).count();
            let mut last = HashMap::new();
            if equal > 1 {
                for record in &records[from..from + equal] {
                    last.insert(self.line(record.place)?.id().unwrap_or_default().to_owned(), record.place);
                }
            }
            for at in from..from + equal {
                let record = records[at];
                let counts = equal == 1 || last.values().any(|place| *place == record.place);
                if counts && !record.place.is_gone() {
                    records[kept] = record;
                    kept += 1;
                }
            }
            from += equal;
        }
        records.truncate(kept);
        records.shrink_to_fit();
        self.records = records;
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The item of an id.
    pub(super) fn get(&self, id: &str) -> Result<Option<Found>> {
        let hash = self.hasher.hash_one(id);
        let first = self.records.partition_point(|record| record.hash < hash);
        for (at, record) in self.records.iter().enumerate().skip(first).take_while(|(_, record)| record.hash == hash) {
            let entry = self.entry_in(record.place)?;
            if entry.id == id {
                return Ok(Some(Found { at, entry }));
            }
        }
        Ok(None)
    }

    /// The item of a number.
    pub(super) fn entry(&self, at: usize) -> Result<Option<Entry>> {
        self.records.get(at).map(|record| self.entry_in(record.place)).transpose()
    }

    /// Numbers of items in the order in which the last build wrote their lines.
    pub(super) fn in_order(&self, of: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.len()).filter(|at| of(*at)).collect();
        numbers.sort_unstable_by_key(|at| self.records[*at].place);
        numbers
    }

    /// The line of an item as it was written, without its end.
    pub(super) fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        self.records.get(at).map_or(Ok(Vec::new()), |record| self.bytes_at(record.place))
    }

    fn entry_in(&self, place: Place) -> Result<Entry> {
        match self.line(place)? {
            Line::Entry(entry) => Ok(entry),
            _ => Err(self.changed(place)),
        }
    }

    fn line(&self, place: Place) -> Result<Line> {
        Line::parse(&self.bytes_at(place)?).map_err(|_| self.changed(place))
    }

    fn bytes_at(&self, place: Place) -> Result<Vec<u8>> {
        let path = &self.paths[place.file()];
        let Some(file) = &self.files[place.file()] else { return Err(self.changed(place)) };
        let mut line = vec![0; LINE];
        let mut filled = 0;
        loop {
            let read = match file.read_at(&mut line[filled..], place.offset() + filled as u64) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|e| failed("read", path, e))?,
            };
            let end = line[filled..filled + read].iter().position(|byte| *byte == b'\n').map(|end| filled + end);
            filled += read;
            if let Some(end) = end.or((read == 0).then_some(filled)) {
                line.truncate(end);
                return Ok(line);
            }
            line.resize(line.len().max(2 * filled), 0);
        }
    }

    /// The file is not what it was when it was opened.
    fn changed(&self, place: Place) -> crate::Error {
        let why = io::Error::new(io::ErrorKind::InvalidData, "it has changed since it was opened");
        failed("read", &self.paths[place.file()], why)
    }
}

/// A set of numbers of items.
#[derive(Debug)]
pub(super) struct Numbers(Vec<u64>);

impl Numbers {
    /// None, of numbers below `end`.
    pub(super) fn below(end: usize) -> Self {
        Self(vec![0; end.div_ceil(64)])
    }

    pub(super) fn insert(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(super) fn contains(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, assets: u64) -> String {
        format!(r#"{{"id":"{id}","path":["p"],"print":5,"assets":{assets},"bbox":null,"time":null,"document":[7,8]}}"#)
    }

    fn known(state: &[String], log: &[String], is_there: impl Fn(&Entry) -> bool) -> (tempfile::TempDir, Known) {
        let folder = tempfile::tempdir().unwrap();
        for (name, lines) in [(FILE, state), (LOG, log)] {
            std::fs::write(folder.path().join(name), lines.join("\n")).unwrap();
        }
        let known = Known::open(folder.path(), is_there).unwrap();
        (folder, known)
    }

    fn ids(known: &Known) -> Vec<(String, u64)> {
        let entries = known.in_order(|_| true).into_iter().map(|at| known.entry(at).unwrap().unwrap());
        entries.map(|entry| (entry.id, entry.assets)).collect()
    }

    #[test]
    fn the_last_line_of_an_id_counts_and_what_is_gone_is_none() {
        let gone = |id: &str| format!(r#"{{"gone":"{id}"}}"#);
        let state = [line("a", 1), line("b", 1), line("c", 1), line("d", 1)];
        let log = [
            r#"{"recipe":3}"#.to_owned(),
            gone("a"),
            line("b", 2),
            line("d", 2),
            gone("d"),
            line("e", 1),
            gone("c"),
            line("c", 3),
        ];
        let (_folder, known) = known(&state, &log, |_| true);
        assert_eq!(ids(&known), [("b".to_owned(), 2), ("e".to_owned(), 1), ("c".to_owned(), 3)]);
        assert_eq!(known.get("b").unwrap().unwrap().entry.assets, 2);
        assert_eq!(known.get("a").unwrap(), None);
        assert_eq!(known.get("x").unwrap(), None);
    }

    #[test]
    fn a_line_whose_document_is_not_there_says_that_the_item_is_gone() {
        let (_folder, known) = known(&[line("a", 1), line("b", 1)], &[line("a", 2)], |entry| entry.assets == 1);
        assert_eq!(ids(&known), [("b".to_owned(), 1)]);
    }

    #[test]
    fn ids_of_equal_hashes_are_told_apart() {
        let state: Vec<String> = (0..5).map(|n| line(&format!("i{n}"), n)).chain([line("i3", 9)]).collect();
        let (_folder, mut known) = known(&state, &[], |_| true);
        // As if all hashes were one.
        let id = "i3";
        let hash = known.hasher.hash_one(id);
        known.records.iter_mut().for_each(|record| record.hash = hash);
        known.settle().unwrap();
        assert_eq!(known.len(), 5);
        assert_eq!(known.get(id).unwrap().unwrap().entry.assets, 9);
    }

    #[test]
    fn a_long_line_is_read_whole() {
        let id = "x".repeat(5000);
        let (_folder, known) = known(&[line("a", 1), line(&id, 2)], &[], |_| true);
        assert_eq!(known.get(&id).unwrap().unwrap().entry.id, id);
        assert_eq!(known.bytes(known.get("a").unwrap().unwrap().at).unwrap(), line("a", 1).into_bytes());
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let mut numbers = Numbers::below(130);
        for at in [0, 63, 64, 129, 500] {
            numbers.insert(at);
        }
        let all: Vec<usize> = (0..600).filter(|at| numbers.contains(*at)).collect();
        assert_eq!(all, [0, 63, 64, 129]);
    }
}
