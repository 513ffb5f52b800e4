//! The journal of a destination: which files are whole, one line each with its own checksum.
//!
//! A line is written after its file is on the disk. A line that is torn or altered counts as not written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use outcrop_store::Href;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Name of the journal in the folder of the destination.
pub(crate) const NAME: &str = ".outcrop-fetch.journal";

/// A file that was copied whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Path below the destination.
    pub(crate) file: String,
    /// Where it came from, without secrets.
    pub(crate) href: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// The open journal; it is locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Journal {
    href: Href,
    file: File,
    entries: HashMap<String, Entry>,
}

impl Journal {
    /// Opens the journal of a folder, which is made where it does not exist.
    pub(crate) fn open(folder: &Href) -> Result<Self> {
        let root = folder.to_path().unwrap_or_default();
        let path = root.join(NAME);
        let href = Href::from_path(&path);
        let failed = |source| Error::Journal { href: href.clone(), source };
        std::fs::create_dir_all(&root).map_err(failed)?;
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { href: folder.clone() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let entries = entries_of(&mut file).map_err(failed)?;
        Ok(Self { href, file, entries })
    }

    /// The journal of a folder as it stands, without making or locking it.
    pub(crate) fn peek(folder: &Href) -> HashMap<String, Entry> {
        let path = folder.to_path().unwrap_or_default().join(NAME);
        File::open(path).and_then(|mut file| entries_of(&mut file)).unwrap_or_default()
    }

    pub(crate) fn entries(&self) -> &HashMap<String, Entry> {
        &self.entries
    }

    /// Adds a file and waits until the line is on the disk.
    pub(crate) fn add(&mut self, entry: Entry) -> Result<()> {
        let failed = |source| Error::Journal { href: self.href.clone(), source };
        let text = serde_json::to_string(&entry).map_err(|e| failed(e.into()))?;
        // A torn line before this one ends here.
        let line = format!("\n{:016x} {text}\n", checksum(text.as_bytes()));
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).map_err(failed)?;
        self.entries.insert(entry.file.clone(), entry);
        Ok(())
    }
}

fn entries_of(file: &mut File) -> std::io::Result<HashMap<String, Entry>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let entries = text.lines().filter_map(parse);
    Ok(entries.map(|entry| (entry.file.clone(), entry)).collect())
}

fn parse(line: &str) -> Option<Entry> {
    let (sum, text) = line.split_once(' ')?;
    let matches = u64::from_str_radix(sum, 16).ok()? == checksum(text.as_bytes());
    matches.then(|| serde_json::from_str(text).ok())?
}

/// FNV-1a, 64 bits: against torn and altered lines, not against an attacker.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// True if a file is there with the size of its entry, and the entry is of this source and size.
pub(crate) fn holds(entries: &HashMap<String, Entry>, file: (&Path, &str), source: &Href, want: Option<u64>) -> bool {
    let Some(entry) = entries.get(file.1) else { return false };
    let size = std::fs::symlink_metadata(file.0).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    entry.href == source.to_string() && size == Some(entry.size) && want.is_none_or(|want| want == entry.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str) -> Entry {
        Entry { file: file.into(), href: "https://h/x.nc".into(), size: 7 }
    }

    #[test]
    fn torn_and_altered_lines_count_as_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let href = Href::from_path(folder.path());
        let mut journal = Journal::open(&href).unwrap();
        journal.add(entry("a")).unwrap();
        journal.add(entry("b")).unwrap();
        drop(journal);
        let path = folder.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap().replace("\"a\"", "\"z\"");
        std::fs::write(&path, format!("{text}\n0123 {{\"file\":\"c\"")).unwrap();
        let mut journal = Journal::open(&href).unwrap();
        assert_eq!(journal.entries().keys().collect::<Vec<_>>(), ["b"]);
        journal.add(entry("d")).unwrap();
        assert_eq!(Journal::peek(&href).len(), 2);
    }

    #[test]
    fn a_destination_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let href = Href::from_path(folder.path());
        let first = Journal::open(&href).unwrap();
        assert!(matches!(Journal::open(&href), Err(Error::Busy { .. })));
        drop(first);
        assert!(Journal::open(&href).is_ok());
    }
}
