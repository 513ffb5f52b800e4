//! The journal of a destination: which files are whole, one line each with its own checksum.
//!
//! A line is written after its file is on the disk. A line that is torn or altered counts as not written. In memory is
//! only where each file's line is: 16 bytes a file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, Metadata, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use outcrop_store::{Href, OpenFolder, Opening};
use serde::{Deserialize, Serialize};

use crate::cut::bytes_of;
use crate::item::locked;
use crate::verify::Checksum;
use crate::{Error, Result};

/// Name of the journal in the folder of the destination.
pub(crate) const NAME: &str = ".outcrop-fetch.journal";
/// No line is longer.
const LONGEST: usize = 1 << 18;

/// A file that was copied whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Path below the destination.
    pub(crate) file: String,
    /// Where it came from, without secrets.
    pub(crate) href: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its digest as a multihash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<String>,
    /// What vouches for it.
    #[serde(default)]
    pub(crate) verified: String,
    /// When it was last changed, in nanoseconds since 1970.
    #[serde(default)]
    pub(crate) time: i128,
    /// Of the document of an item: the assets that were wanted, with their files, and further files that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) assets: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<String>,
    /// Its ETag, of one that is not local.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) etag: String,
}

impl Entry {
    /// A file from a source, of which no more is known.
    pub(crate) fn new(file: String, href: String, size: u64) -> Self {
        Self { file, href, size, ..Self::default() }
    }

    /// True if the file was last changed when the line says.
    pub(crate) fn is_dated(&self, meta: &Metadata) -> bool {
        time_of(meta) == self.time
    }

    /// With the time of the file as it is now.
    pub(crate) fn dated(mut self, meta: &Metadata) -> Self {
        self.time = time_of(meta);
        self
    }
}

fn time_of(meta: &Metadata) -> i128 {
    i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())
}

/// The open journal; it is locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Journal {
    href: Href,
    file: Option<Arc<File>>,
    /// Where the last line of a file is, by the hash of its name.
    places: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Journal {
    /// Opens the journal of a folder, which is made where it does not exist.
    pub(crate) fn open(folder: &Href) -> Result<Self> {
        let root = folder.to_path().unwrap_or_default();
        let path = root.join(NAME);
        let href = Href::from_path(&path);
        let failed = |source| Error::Journal { href: href.clone(), source };
        let opened = OpenFolder::below(&root, &root).and_then(|root| root.file(NAME.as_ref(), Opening::Append));
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { href: folder.clone() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Self::of(href.clone(), Some(file)).map_err(failed)
    }

    /// The journal of a folder as it stands, without making or locking it.
    pub(crate) fn peek(folder: &Href) -> Self {
        Self::read(&folder.to_path().unwrap_or_default().join(NAME))
    }

    /// The journal at a path, for its lines.
    pub(crate) fn read(path: &Path) -> Self {
        let empty =
            Self { href: Href::from_path(path), file: None, places: HashMap::new(), hasher: RandomState::new() };
        Self::of(empty.href.clone(), File::open(path).ok()).unwrap_or(empty)
    }

    /// Bytes of all copies that are noted, without documents.
    pub(crate) fn bytes(&self) -> u64 {
        let copies = self.places.values().filter_map(|at| self.at(*at)).filter(|entry| entry.assets.is_empty());
        copies.map(|entry| entry.size).fold(0, u64::saturating_add)
    }

    /// Adds the lines of another journal for files of which it knows more, or something newer.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        let mut places: Vec<u64> = other.places.values().copied().collect();
        places.sort_unstable();
        for entry in places.into_iter().filter_map(|at| other.at(at)) {
            if self.get(&entry.file).is_none_or(|own| own.time < entry.time) {
                self.add(&entry)?;
            }
        }
        self.flush()
    }

    fn of(href: Href, file: Option<File>) -> std::io::Result<Self> {
        let mut journal = Self { href, file: None, places: HashMap::new(), hasher: RandomState::new() };
        let Some(file) = file else { return Ok(journal) };
        let mut lines = BufReader::with_capacity(1 << 20, &file);
        let (mut line, mut end) = (Vec::new(), 0);
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            if let Some(name) = parsed::<Name<'_>>(&line) {
                let key = journal.hasher.hash_one(&*name.file);
                journal.places.insert(key, end);
            }
            end += read as u64;
        }
        journal.file = Some(Arc::new(file));
        Ok(journal)
    }

    /// What is noted of a file, by its path below the destination.
    pub(crate) fn get(&self, name: &str) -> Option<Entry> {
        self.place(name)?.read(name)
    }

    /// Where the line of a file is.
    fn place(&self, name: &str) -> Option<Place> {
        let at = *self.places.get(&self.hasher.hash_one(name))?;
        Some(Place { file: self.file.clone()?, at })
    }

    /// The line that begins there.
    fn at(&self, at: u64) -> Option<Entry> {
        line_at(self.file.as_ref()?, at)
    }

    /// Adds a file; the line is on the disk after [`Journal::flush`].
    pub(crate) fn add(&mut self, entry: &Entry) -> Result<()> {
        let failed = |source| Error::Journal { href: self.href.clone(), source };
        let text = serde_json::to_string(entry).map_err(|e| failed(e.into()))?;
        // A torn line before this one ends here.
        let line = format!("\n{}", line_of(&text));
        let Some(mut file) = self.file.as_deref() else { return Ok(()) };
        let end = file.metadata().map_err(failed)?.len();
        file.write_all(line.as_bytes()).map_err(failed)?;
        self.places.insert(self.hasher.hash_one(&entry.file), end + 1);
        Ok(())
    }

    /// Waits until all lines are on the disk.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let failed = |source| Error::Journal { href: self.href.clone(), source };
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data().map_err(failed))
    }
}

impl Entry {
    /// True if a file is there as its line says, and the line is of one of these sources (by their identities) and what
    /// the catalog knows of it. A folder is there if it has as many bytes.
    pub(crate) fn is_met_by(&self, path: &Path, sources: &[String], want: &Want<'_>) -> bool {
        let meta = std::fs::symlink_metadata(path).ok().filter(|meta| meta.is_file() || meta.is_dir());
        let Some(meta) = meta.filter(|_| sources.contains(&self.href)) else { return false };
        let size = if meta.is_dir() { bytes_of(path) } else { meta.len() };
        let same = size == self.size;
        // Of a file that somebody touched its digest decides.
        let has_digest = || {
            let noted = self.checksum.as_deref().and_then(|text| Checksum::parse(text).ok());
            noted.is_some_and(|noted| crate::check::is_of(path, &noted))
        };
        same && self.agrees(want) && (self.is_dated(&meta) || has_digest())
    }

    /// True if what its line says is what the catalog knows, as far as both tell.
    pub(crate) fn agrees(&self, want: &Want<'_>) -> bool {
        let noted = self.checksum.as_deref().and_then(|text| Checksum::parse(text).ok());
        let is_same_digest = match (want.checksum, &noted) {
            (Some(want), Some(noted)) if want.algorithm == noted.algorithm => want.is_of(&noted.digest),
            (Some(_), None) => false,
            _ => true,
        };
        is_same_digest && want.size.is_none_or(|size| size == self.size)
    }

    /// With the time as it is now.
    pub(crate) fn now(mut self) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.time = now.map_or(0, |now| i128::try_from(now.as_nanos()).unwrap_or(i128::MAX));
        self
    }
}

/// Where the line of a file begins.
struct Place {
    file: Arc<File>,
    at: u64,
}

impl Place {
    /// The line, if it is of this file: another's may have the same hash.
    fn read(&self, name: &str) -> Option<Entry> {
        line_at(&self.file, self.at).filter(|entry| entry.file == name)
    }
}

/// What is noted of a file. Others may look into the journal while its line is read.
pub(crate) fn noted(journal: &Mutex<Journal>, name: &str) -> Option<Entry> {
    let place = locked(journal).place(name)?;
    place.read(name)
}

/// What the catalog knows of a file.
#[derive(Debug, Default)]
pub(crate) struct Want<'a> {
    pub(crate) size: Option<u64>,
    pub(crate) checksum: Option<&'a Checksum>,
}

/// Of a line only whose it is.
#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    file: Cow<'a, str>,
}

fn parsed<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Option<T> {
    serde_json::from_str(checked_line(std::str::from_utf8(line).ok()?.trim_end())?).ok()
}

/// The line that begins there.
fn line_at(file: &File, at: u64) -> Option<Entry> {
    let mut few = [0; 1024];
    let got = file.read_at(&mut few, at).ok()?;
    if let Some(end) = few[..got].iter().position(|byte| *byte == b'\n') {
        return parsed(&few[..=end]);
    }
    if got < few.len() {
        return None;
    }
    let mut all = vec![0; LONGEST];
    let got = file.read_at(&mut all, at).ok()?;
    let end = all[..got].iter().position(|byte| *byte == b'\n')?;
    parsed(&all[..=end])
}

/// The text of a line whose checksum is right.
pub(crate) fn checked_line(line: &str) -> Option<&str> {
    let (sum, text) = line.split_once(' ')?;
    (sum.len() == 16 && u64::from_str_radix(sum, 16).ok()? == checksum(text.as_bytes())).then_some(text)
}

/// A line with its checksum.
pub(crate) fn line_of(text: &str) -> String {
    format!("{:016x} {text}\n", checksum(text.as_bytes()))
}

/// FNV-1a, 64 bits: against torn and altered lines, not against an attacker.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str) -> Entry {
        Entry { verified: "size".into(), ..Entry::new(file.into(), "https://h/x.nc".into(), 7) }
    }

    #[test]
    fn torn_and_altered_lines_count_as_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let href = Href::from_path(folder.path());
        let mut journal = Journal::open(&href).unwrap();
        journal.add(&entry("a")).unwrap();
        journal.add(&entry("b")).unwrap();
        assert_eq!(journal.get("a"), Some(entry("a")));
        drop(journal);
        let path = folder.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap().replace("\"a\"", "\"z\"");
        std::fs::write(&path, format!("{text}\n0123 {{\"file\":\"c\"")).unwrap();
        let mut journal = Journal::open(&href).unwrap();
        assert_eq!((journal.get("a"), journal.get("b"), journal.get("c")), (None, Some(entry("b")), None));
        journal.add(&entry("d")).unwrap();
        let long = entry(&"x".repeat(5000));
        journal.add(&long).unwrap();
        assert_eq!((journal.get("d"), journal.get(&long.file)), (Some(entry("d")), Some(long)));
        assert_eq!(Journal::peek(&href).places.len(), 3);
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

    #[test]
    fn any_flipped_bit_is_noticed() {
        let line = line_of(r#"{"file":"a","href":"h","size":7}"#);
        for at in 0..8 * (line.len() - 1) {
            let mut bytes = line.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let text = String::from_utf8_lossy(&bytes);
            let found = checked_line(text.trim_end());
            assert!(found.is_none() || line.contains(found.unwrap_or_default()), "{text}");
        }
    }
}
