//! The file that is being written: appended by several threads, its first bytes last.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use outcrop_store::{Href, publish};

use crate::Result;

/// A file under a hidden name beside its target; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    end: AtomicU64,
}

fn io(path: &Path, source: std::io::Error) -> crate::Error {
    outcrop_store::Error::Io { action: "write", href: Href::from_path(path), source }.into()
}

impl PartFile {
    /// Starts a file that will appear at `target`; its first `start` bytes are put at the end.
    pub(crate) fn create(target: &Path, start: u64) -> Result<Self> {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
        }
        let part = publish::part_path(target);
        let new = File::options().read(true).write(true).create_new(true).open(&part);
        let file = new.map_err(|e| io(target, e))?;
        Ok(Self { file, part, target: target.to_owned(), end: AtomicU64::new(start) })
    }

    /// Where the next bytes will be.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Writes bytes behind all others and says where they are.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<u64> {
        let offset = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.put(offset, bytes)?;
        Ok(offset)
    }

    /// Writes bytes at a place.
    pub(crate) fn put(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| io(&self.target, e))
    }

    /// Reads bytes that were written before.
    pub(crate) fn get(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, offset).map_err(|e| io(&self.target, e))
    }

    /// Removes the name, so that nothing is left however the program ends; the file never appears.
    pub(crate) fn hide(&self) -> Result<()> {
        fs::remove_file(&self.part).map_err(|e| io(&self.target, e))
    }

    pub(crate) fn finish(self) -> Result<()> {
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
