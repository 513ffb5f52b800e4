//! The file that is being written: appended by several threads, its first bytes last.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use outcrop_store::{Href, publish};

use super::header::SUPERBLOCK;
use crate::Result;

/// A file under a hidden name beside its target; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub(super) struct PartFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    end: AtomicU64,
}

fn io(path: &Path, source: std::io::Error) -> crate::Error {
    outcrop_store::Error::Io { action: "write", href: Href::from_path(path), source }.into()
}

impl PartFile {
    pub(super) fn create(target: &Path) -> Result<Self> {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
        }
        let part = publish::part_path(target);
        let file = File::create_new(&part).map_err(|e| io(target, e))?;
        Ok(Self { file, part, target: target.to_owned(), end: AtomicU64::new(SUPERBLOCK) })
    }

    /// Where the next bytes will be.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Writes bytes behind all others and says where they are.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64> {
        let offset = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.put(offset, bytes)?;
        Ok(offset)
    }

    /// Writes bytes at a place.
    pub(super) fn put(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| io(&self.target, e))
    }

    pub(super) fn finish(self) -> Result<()> {
        self.file.sync_all().map_err(|e| io(&self.target, e))?;
        fs::rename(&self.part, &self.target).map_err(|e| io(&self.target, e))?;
        let folder = self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io(folder, e))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.part);
    }
}
