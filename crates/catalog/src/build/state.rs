//! What a build made, a line for each item, in the folder of its catalog: the next build knows by it what is done.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use outcrop_grid::{BBox, Interval};
use outcrop_store::Href;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Name of the file.
pub(super) const FILE: &str = ".outcrop-build";
/// Name of the file while a build is under way.
pub(super) const LOG: &str = ".outcrop-build.log";

/// What was made of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub id: String,
    /// Ids of the sub-catalogs it is in.
    pub path: Vec<String>,
    /// Of the recipe, the files and their versions ([`fingerprint`]); 0 where it is to be made again anyway.
    pub print: u64,
    pub assets: u64,
    pub bbox: Option<[f64; 4]>,
    pub time: Option<[Option<i64>; 2]>,
    /// Length and CRC-32C of its document, to tell whole ones after the process was killed.
    pub document: (u64, u32),
}

/// A line: an item, or one that is there no more.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Entry(Entry),
    Gone {
        gone: String,
    },
    /// The recipe of the lines that follow.
    Recipe {
        recipe: u64,
    },
}

impl Line {
    pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        // Nearly all are items, for which nothing needs to be tried.
        serde_json::from_slice(bytes).map(Self::Entry).or_else(|_| serde_json::from_slice(bytes))
    }

    /// The id of the item that it is about.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Entry(entry) => Some(&entry.id),
            Self::Gone { gone } => Some(gone),
            Self::Recipe { .. } => None,
        }
    }
}

impl Entry {
    pub(super) fn bbox(&self) -> Option<BBox> {
        BBox::from_slice(&self.bbox?).ok()
    }

    pub(super) fn interval(&self) -> Option<Interval> {
        let time = |micros: Option<i64>| micros.and_then(chrono::DateTime::from_timestamp_micros);
        self.time.map(|[start, end]| Interval { start: time(start), end: time(end) })
    }

    /// True if the document is the one that was written.
    pub(super) fn is_whole(&self, document: &Path) -> bool {
        fs::read(document).is_ok_and(|bytes| mark(&bytes) == self.document)
    }
}

/// Length and checksum of a document.
pub(super) fn mark(bytes: &[u8]) -> (u64, u32) {
    (bytes.len() as u64, crc32c::crc32c(bytes))
}

/// A number for what an item is made of; it differs where any part of it does. Never 0.
pub(super) fn fingerprint(parts: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish().max(1)
}

/// True if the build that was interrupted here was of this recipe.
pub(super) fn is_of(folder: &Path, recipe: u64) -> bool {
    let Ok(file) = File::open(folder.join(LOG)) else { return false };
    let first = BufReader::new(file).split(b'\n').map_while(std::result::Result::ok).find(|line| !line.is_empty());
    let line = first.and_then(|line| serde_json::from_slice(&line).ok());
    matches!(line, Some(Line::Recipe { recipe: of }) if of == recipe)
}

/// How a log starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// What an earlier build made does not count.
    Anew,
    /// Behind what an earlier build made, be it whole or interrupted.
    GoOn,
}

/// Writes the state of a build while it runs.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    held: Vec<u8>,
    /// Is written before the first line.
    head: Option<Vec<u8>>,
}

impl Log {
    /// Starts the log of a build.
    pub(super) fn open(folder: &Path, mode: Start, recipe: u64) -> Result<Self> {
        let path = folder.join(LOG);
        let failed = |e| failed("write", &path, e);
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(&path).map_err(failed)?;
        if mode == Start::GoOn && file.metadata().is_ok_and(|meta| meta.len() > 0) {
            // Behind a line that was torn.
            file.write_all(b"\n").map_err(failed)?;
        } else if mode == Start::Anew {
            file.set_len(0).map_err(failed)?;
        }
        let head = Some(format!("{}\n", serde_json::json!({"recipe": recipe})).into_bytes());
        Ok(Self { path, file, held: Vec::new(), head })
    }

    /// An item whose document is on its way.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<()> {
        serde_json::to_writer(&mut self.held, entry).map_err(|e| failed("write", &self.path, e.into()))?;
        self.held.push(b'\n');
        Ok(())
    }

    /// An item that is there no more.
    pub(super) fn gone(&mut self, id: &str) -> Result<()> {
        self.held.extend_from_slice(serde_json::json!({"gone": id}).to_string().as_bytes());
        self.held.push(b'\n');
        self.settle()
    }

    /// All documents that were added are written.
    pub(super) fn settle(&mut self) -> Result<()> {
        if !self.held.is_empty() {
            let lines = [self.head.take().unwrap_or_default(), std::mem::take(&mut self.held)].concat();
            self.file.write_all(&lines).map_err(|e| failed("write", &self.path, e))?;
        }
        Ok(())
    }

    /// The build is done: the log, which with those of items that were kept has a line for each, becomes the state.
    pub(super) fn finish(&mut self, kept: impl Iterator<Item = Result<Vec<u8>>>) -> Result<()> {
        for line in kept {
            self.held.extend_from_slice(&line?);
            self.held.push(b'\n');
            if self.held.len() >= 1 << 16 {
                self.settle()?;
            }
        }
        self.settle()?;
        fs::rename(&self.path, self.path.with_file_name(FILE)).map_err(|e| failed("write", &self.path, e))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A build that made nothing leaves nothing.
        if self.file.metadata().is_ok_and(|meta| meta.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    let href = Href::from_path(path);
    Error::State { href: href.clone(), source: outcrop_store::Error::Io { action, href, source } }
}

#[cfg(test)]
mod tests {
    use super::super::known::Known;
    use super::*;

    fn entry(id: &str, print: u64) -> Entry {
        let (bbox, time) = (Some([1.0, 2.0, 3.0, 4.5]), Some([Some(5), None]));
        Entry { id: id.into(), path: vec!["p".into()], print, assets: 3, bbox, time, document: (7, 8) }
    }

    #[test]
    fn what_is_settled_is_read_back_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path(), Start::Anew, 7).unwrap();
        log.add(&entry("a", u64::MAX)).unwrap();
        log.settle().unwrap();
        log.add(&entry("b", 2)).unwrap();
        drop(log);
        let path = folder.path().join(LOG);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"id\": \"c\", \"pa");
        fs::write(&path, &bytes).unwrap();
        let all = |known: Known| -> Vec<Entry> {
            known.in_order(|_| true).into_iter().map(|at| known.entry(at).unwrap().unwrap()).collect()
        };
        assert_eq!(all(Known::open(folder.path(), |_| true).unwrap()), [entry("a", u64::MAX)]);
        assert!(is_of(folder.path(), 7) && !is_of(folder.path(), 8));
        let mut log = Log::open(folder.path(), Start::GoOn, 7).unwrap();
        log.add(&entry("d", 4)).unwrap();
        log.gone("a").unwrap();
        log.finish([Ok(serde_json::to_vec(&entry("e", 5)).unwrap())].into_iter()).unwrap();
        assert_eq!(all(Known::open(folder.path(), |_| true).unwrap()), [entry("d", 4), entry("e", 5)]);
        assert!(!path.exists());
    }
}
