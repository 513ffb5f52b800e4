//! Atomic publishing of local files: a final name means whole.
//!
//! Bytes go to `.name.<run>.part` in the same folder, are flushed to the disk and renamed. Many small files of one
//! catalog are flushed together ([`Batch`]) before the document that names them is published.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Href, OpenFolder, Opening, Result};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The name under which `path` is written until it is whole.
pub fn part_path(path: &Path) -> PathBuf {
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!("{}{}-{serial}.part", part_start(path), std::process::id()))
}

/// Removes what processes that have ended left of `path`: files and folders under its hidden names.
pub fn remove_abandoned(path: &Path) {
    let start = part_start(path);
    let run_of = |name: &str| name.strip_prefix(&start)?.strip_suffix(".part").map(str::to_owned);
    let entries = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    for entry in entries.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(run_of).is_some_and(|run| has_ended(&run)) {
            remove(&entry.path());
        }
    }
}

/// Removes what processes that have ended left anywhere below a folder, of files of any name. Links are not followed.
pub fn remove_abandoned_below(folder: &Path) {
    let run_of = |name: &str| Some(name.strip_prefix('.')?.strip_suffix(".part")?.rsplit_once('.')?.1.to_owned());
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.file_name().to_str().and_then(run_of).is_some_and(|run| has_ended(&run)) {
                remove(&entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}

/// True of `process-serial` if the process has ended. Where the system does not list processes, none is known to have.
fn has_ended(run: &str) -> bool {
    let numbers = run.split_once('-').map(|(process, serial)| (process.parse::<u32>(), serial.parse::<u64>()));
    let Some((Ok(process), Ok(_))) = numbers else { return false };
    Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{process}")).exists()
}

fn remove(path: &Path) {
    // What cannot be removed does no harm.
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

fn part_start(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A final name may use all of the 255 bytes that a component has.
    let short: String = name.chars().take(60).collect();
    format!(".{short}.")
}

/// Removes what killed runs left of `path`. Only for those who know that nobody else writes it.
pub fn remove_parts(path: &Path) {
    let start = part_start(path);
    let of_a_run = |name: &str| {
        let run = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".part"));
        run.is_some_and(|run| !run.is_empty() && run.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
    };
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(of_a_run) {
            // One that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that appears under its final name only when it is finished; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    file: Option<File>,
    folder: OpenFolder,
    /// Its hidden name, until it has the final one.
    part: Option<OsString>,
    target: PathBuf,
}

impl Staged {
    /// Starts a file for `target`, making its folders.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder or the file cannot be made.
    pub fn create(target: &Path) -> Result<Self> {
        let folder = target.parent().unwrap_or(Path::new(""));
        Self::create_below(folder, target)
    }

    /// Starts a file that no link below `root` leads elsewhere, whoever plants it meanwhile.
    fn create_below(root: &Path, target: &Path) -> Result<Self> {
        let at = target.parent().unwrap_or(Path::new(""));
        let folder = OpenFolder::below(root, at).map_err(|e| io("write folder", at, e))?;
        let part = part_path(target).file_name().unwrap_or_default().to_owned();
        let file = folder.file(&part, Opening::New).map_err(|e| io("write", target, e))?;
        Ok(Self { file: Some(file), folder, part: Some(part), target: target.to_owned() })
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
        self.folder.sync().map_err(|e| io("flush", &self.target, e))
    }

    /// Gives the file its final name; the flush is left to a [`Batch`].
    fn finish_unsynced(mut self) -> Result<()> {
        self.file.take();
        self.rename()
    }

    fn rename(&mut self) -> Result<()> {
        if let Some(part) = &self.part {
            let name = self.target.file_name().unwrap_or_default();
            self.folder.rename(part, name).map_err(|e| io("write", &self.target, e))?;
        }
        self.part = None;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.file.take();
        if let Some(part) = &self.part {
            // What cannot be removed does no harm.
            let _ = self.folder.remove(part);
        }
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if self.is_new() {
            // Only if nothing was made in it; what was made is for the next one.
            let _ = fs::remove_dir(&self.work);
        }
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
    /// No link below it is followed.
    root: Option<PathBuf>,
    is_staged: bool,
}

impl Batch {
    /// For files of a folder that nobody sees before it is whole ([`StagedFolder`]): they are written in place, which costs
    /// a third of what renaming each does.
    pub fn in_staged_folder() -> Self {
        Self { is_staged: true, ..Self::default() }
    }

    /// For files of a folder below which no link is followed, also if it is planted meanwhile.
    pub fn below(root: &Path) -> Self {
        Self { root: Some(root.to_owned()), ..Self::default() }
    }

    /// Writes a file atomically; it is on the disk after [`Batch::flush`].
    ///
    /// # Errors
    /// [`Error::Io`]; an old file under the name then stays as it was.
    pub fn write(&mut self, target: &Path, bytes: &[u8]) -> Result<()> {
        self.folder = target.parent().map(Path::to_owned);
        if self.is_staged {
            make_folder(target)?;
            return fs::write(target, bytes).map_err(|e| io("write", target, e));
        }
        let mut staged = match &self.root {
            Some(root) => Staged::create_below(root, target)?,
            None => Staged::create(target)?,
        };
        staged.write(bytes)?;
        staged.finish_unsynced()
    }

    /// Writes a file, unless it is there with the same bytes; true if it was.
    ///
    /// # Errors
    /// As [`Batch::write`].
    pub fn keep_or_write(&mut self, target: &Path, bytes: &[u8]) -> Result<bool> {
        if self.is_staged && self.create(target, bytes)? {
            return Ok(false);
        }
        if fs::read(target).is_ok_and(|old| old == bytes) {
            return Ok(true);
        }
        self.write(target, bytes).map(|()| false)
    }

    /// Writes a new file in place; false if there is one.
    fn create(&mut self, target: &Path, bytes: &[u8]) -> Result<bool> {
        let failed = |e| io("write", target, e);
        let mut file = match File::create_new(target) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                make_folder(target)?;
                File::create_new(target).map_err(failed)?
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
            other => other.map_err(failed)?,
        };
        self.folder = target.parent().map(Path::to_owned);
        file.write_all(bytes).map_err(failed)?;
        Ok(true)
    }

    /// Flushes the file system that holds the files.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk fails.
    pub fn flush(&mut self) -> Result<()> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        let file = File::open(&folder).map_err(|e| io("flush", &folder, e))?;
        rustix::io::retry_on_intr(|| rustix::fs::syncfs(&file)).map_err(|e| io("flush", &folder, e.into()))
    }
}

/// A folder that one process at a time makes or changes. A new one appears under its name when it is finished.
///
/// - What was made of a new folder before the process was killed is there for the next one that makes it.
/// - The lock goes with the process. Where the file system has no locks, there is none.
#[derive(Debug)]
pub struct StagedFolder {
    target: PathBuf,
    work: PathBuf,
    _lock: File,
}

impl StagedFolder {
    /// Takes the folder; `None` if another process has it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made.
    pub fn open(target: &Path) -> Result<Option<Self>> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let work = match target.parent() {
            Some(parent) if !target.exists() => parent.join(format!(".{name}.outcrop.part")),
            _ => target.to_owned(),
        };
        fs::create_dir_all(&work).map_err(|e| io("write folder", &work, e))?;
        let lock = File::open(&work).map_err(|e| io("write folder", &work, e))?;
        // Any other error means that there are no locks here.
        let locked = rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        if locked == Err(rustix::io::Errno::WOULDBLOCK) {
            return Ok(None);
        }
        Ok(Some(Self { target: target.to_owned(), work, _lock: lock }))
    }

    /// Where its files are until it is finished.
    pub fn path(&self) -> &Path {
        &self.work
    }

    /// True if it is not there under its name yet.
    pub fn is_new(&self) -> bool {
        self.work != self.target
    }

    /// Gives a new folder its name, after all files were flushed.
    ///
    /// # Errors
    /// [`Error::Io`], for example if something else has taken the name.
    pub fn finish(self) -> Result<()> {
        if !self.is_new() {
            return Ok(());
        }
        fs::rename(&self.work, &self.target).map_err(|e| io("write folder", &self.target, e))?;
        sync_folder(&self.target)
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
    fn a_folder_is_made_by_one_at_a_time_and_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/catalog");
        let folder = StagedFolder::open(&target).unwrap().unwrap();
        assert!(StagedFolder::open(&target).unwrap().is_none());
        let mut batch = Batch::in_staged_folder();
        assert!(!batch.keep_or_write(&folder.path().join("x/y.json"), b"1").unwrap());
        assert!(!batch.keep_or_write(&folder.path().join("x/y.json"), b"2").unwrap());
        assert!(batch.keep_or_write(&folder.path().join("x/y.json"), b"2").unwrap());
        assert!(!target.exists());
        drop(folder);
        // The next one goes on.
        let folder = StagedFolder::open(&target).unwrap().unwrap();
        assert!(folder.is_new() && folder.path().join("x/y.json").exists());
        batch.flush().unwrap();
        folder.finish().unwrap();
        assert_eq!(fs::read(target.join("x/y.json")).unwrap(), b"2");
        let names: Vec<_> = fs::read_dir(dir.path().join("a")).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert!(!StagedFolder::open(&target).unwrap().unwrap().is_new());
    }

    #[test]
    fn only_parts_of_the_same_file_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let names = [".a.nc.12-3.part", ".a.nc.2.12-3.part", ".a.nc.notes.part", "a.nc", ".b.nc.12-3.part"];
        for name in names {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        remove_parts(&dir.path().join("a.nc"));
        let left: Vec<bool> = names.iter().map(|name| dir.path().join(name).exists()).collect();
        assert_eq!(left, [false, true, true, true, true]);
    }

    #[test]
    fn what_ended_processes_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let own = std::process::id();
        let gone = [".a.nc.4194999-3.part", ".a.nc.4194998-0.part"];
        let stay =
            [format!(".a.nc.{own}-3.part"), ".a.nc.notes.part".into(), ".b.nc.4194999-3.part".into(), "a.nc".into()];
        fs::create_dir(dir.path().join(gone[0])).unwrap();
        fs::write(dir.path().join(gone[0]).join("x"), "x").unwrap();
        fs::write(dir.path().join(gone[1]), "x").unwrap();
        for name in &stay {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        remove_abandoned(&dir.path().join("a.nc"));
        assert!(gone.iter().all(|name| !dir.path().join(name).exists()));
        assert!(stay.iter().all(|name| dir.path().join(name).exists()));
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::rename(dir.path().join(&stay[2]), dir.path().join("below").join(&stay[2])).unwrap();
        remove_abandoned_below(dir.path());
        assert_eq!(fs::read_dir(dir.path().join("below")).unwrap().count(), 0);
        assert!(stay.iter().all(|name| dir.path().join(name).exists() != name.contains("4194999")));
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
