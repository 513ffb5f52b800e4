//! Atomic publishing of local files: a final name means whole.
//!
//! Bytes go to `.name.<run>.part` in the same folder, are flushed to the disk and renamed. Many small files of one
//! catalog are flushed together ([`Batch`]) before the document that names them is published.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Href, Result};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The name under which `path` is written until it is whole.
pub fn part_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    // A final name may use all of the 255 bytes that a component has.
    let short: String = name.chars().take(60).collect();
    path.with_file_name(format!(".{short}.{}-{serial}.part", std::process::id()))
}

/// A file that appears under its final name only when it is finished; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    file: Option<File>,
    part: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// Starts a file for `target`, making its folders.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder or the file cannot be made.
    pub fn create(target: &Path) -> Result<Self> {
        make_folder(target)?;
        let part = part_path(target);
        let file = File::create_new(&part).map_err(|e| io("write", target, e))?;
        Ok(Self { file: Some(file), part, target: target.to_owned() })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Io`], for example when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(|e| io("write", &self.target, e)),
            None => Ok(()),
        }
    }

    /// Throws away what was written, to start again.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be cut.
    pub fn restart(&mut self) -> Result<()> {
        use std::io::Seek;
        match &mut self.file {
            Some(file) => file.set_len(0).and_then(|()| file.rewind()).map_err(|e| io("write", &self.target, e)),
            None => Ok(()),
        }
    }

    /// Flushes to the disk and gives the file its final name.
    ///
    /// # Errors
    /// [`Error::Io`]; the old file then stays.
    pub fn finish(mut self) -> Result<()> {
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(|e| io("write", &self.target, e))?;
        }
        self.rename()?;
        sync_folder(&self.target)
    }

    /// Gives the file its final name; the flush is left to a [`Batch`].
    fn finish_unsynced(mut self) -> Result<()> {
        self.file.take();
        self.rename()
    }

    fn rename(&self) -> Result<()> {
        fs::rename(&self.part, &self.target).map_err(|e| io("write", &self.target, e))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.file.take();
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.part);
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// [`Error::Io`]; an old file under the name then stays as it was.
pub fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut staged = Staged::create(target)?;
    staged.write(bytes)?;
    staged.finish()
}

/// Many small files that are flushed to the disk together.
#[derive(Debug, Default)]
pub struct Batch {
    folder: Option<PathBuf>,
}

impl Batch {
    /// Writes a file atomically; it is on the disk after [`Batch::flush`].
    ///
    /// # Errors
    /// [`Error::Io`]; an old file under the name then stays as it was.
    pub fn write(&mut self, target: &Path, bytes: &[u8]) -> Result<()> {
        let mut staged = Staged::create(target)?;
        staged.write(bytes)?;
        staged.finish_unsynced()?;
        self.folder = target.parent().map(Path::to_owned);
        Ok(())
    }

    /// Flushes the file system that holds the files.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk fails.
    pub fn flush(&mut self) -> Result<()> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        let file = File::open(&folder).map_err(|e| io("flush", &folder, e))?;
        rustix::fs::syncfs(&file).map_err(|e| io("flush", &folder, e.into()))
    }
}

fn make_folder(target: &Path) -> Result<()> {
    match target.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(|e| io("write folder", folder, e)),
        None => Ok(()),
    }
}

fn sync_folder(target: &Path) -> Result<()> {
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io("flush", folder, e))
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, href: Href::from_path(path), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_no_part() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b.json");
        write(&target, b"old").unwrap();
        let mut staged = Staged::create(&target).unwrap();
        staged.write(b"half").unwrap();
        drop(staged);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        let names: Vec<_> = fs::read_dir(dir.path().join("a")).unwrap().collect();
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn a_batch_is_readable_at_once_and_flushes() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::default();
        for i in 0..10 {
            batch.write(&dir.path().join(format!("{i}/x.json")), b"{}").unwrap();
        }
        batch.flush().unwrap();
        assert_eq!(fs::read(dir.path().join("9/x.json")).unwrap(), b"{}");
    }
}
