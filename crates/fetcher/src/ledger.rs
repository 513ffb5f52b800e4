//! The ledger of a destination: what became of each asset, a line of JSON each.
//!
//! It is written beside the old one while a run goes on and takes its place at the end.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use outcrop_store::Href;
use outcrop_store::publish::remove_abandoned_below;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Name of the ledger in the folder of the destination.
pub const LEDGER: &str = ".outcrop-fetch.ledger.ndjson";

/// What became of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// It was copied.
    Done,
    /// It was there already, whole.
    Skipped,
    /// It was copied, and nothing is known that it could be held against.
    Unverified,
    /// There is no copy.
    Failed,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Ids of the catalogs below the root and of the item, with slashes between.
    pub item: String,
    /// Key of the asset; empty if it is about the item.
    pub asset: String,
    /// What became of it.
    pub state: State,
    /// Where it came from, without secrets.
    pub href: String,
    /// Path of the copy below the destination.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Bytes of the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Digest of the copy, a multihash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// What vouches for the copy: the name of a digest, `size`, or `unverified`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verified: String,
    /// Why it failed: the error and its causes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The ledger of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
}

impl Ledger {
    /// Begins the ledger of a destination.
    pub(crate) fn begin(folder: &Href) -> Result<Self> {
        let path = folder.to_path().unwrap_or_default().join(LEDGER);
        let part = path.with_file_name(format!("{LEDGER}.part"));
        // A run that was killed left it, and perhaps documents under hidden names.
        if part.symlink_metadata().is_ok() {
            remove_abandoned_below(&folder.to_path().unwrap_or_default());
        }
        // A link would lead elsewhere.
        let _ = std::fs::remove_file(&part);
        let file = File::create_new(&part).map_err(|source| failed(&path, source))?;
        Ok(Self { path, part, file: BufWriter::with_capacity(1 << 16, file) })
    }

    pub(crate) fn add(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line).map_err(|e| failed(&self.path, e.into()))?;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|e| failed(&self.path, e))
    }

    /// Takes over the lines of the ledger before of what did not fail, and tells what did: item and asset.
    pub(crate) fn take_over(&mut self) -> Result<HashSet<(String, String)>> {
        let old = File::open(&self.path).map_err(|source| failed(&self.path, source))?;
        let mut failures = HashSet::new();
        for line in BufReader::new(old).lines() {
            let line = line.map_err(|source| failed(&self.path, source))?;
            let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
            if line.state == State::Failed {
                failures.insert((line.item, line.asset));
            } else {
                self.add(&line)?;
            }
        }
        Ok(failures)
    }

    /// Puts it in the place of the one before.
    pub(crate) fn finish(mut self) -> Result<()> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        written.and_then(|()| std::fs::rename(&self.part, &self.path)).map_err(|e| failed(&self.path, e))?;
        self.part = PathBuf::new();
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if !self.part.as_os_str().is_empty() {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn failed(path: &std::path::Path, source: std::io::Error) -> Error {
    Error::Journal { href: Href::from_path(path), source }
}
