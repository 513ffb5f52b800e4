//! An open folder: what is done in it goes by its handle, so that no link that is planted meanwhile leads elsewhere.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Which files [`OpenFolder::file`] opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Only one that it makes.
    New,
    /// One that is there, or a new one.
    Any,
    /// As `Any`; what is written goes to its end.
    Append,
    /// One that is there; what is written goes to its end.
    Old,
}

impl Opening {
    fn flags(self) -> OFlags {
        match self {
            Self::New => OFlags::CREATE | OFlags::EXCL,
            Self::Any => OFlags::CREATE,
            Self::Append => OFlags::CREATE | OFlags::APPEND,
            Self::Old => OFlags::APPEND,
        }
    }
}

/// A folder that is open. Names are of files in it, without slashes.
#[derive(Debug)]
pub struct OpenFolder(OwnedFd);

impl OpenFolder {
    /// Opens a folder that is `root` or below it, and makes what is missing. Links may lead to `root`, none below it.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::NotADirectory`] for a link.
    pub fn below(root: &Path, folder: &Path) -> Result<Self> {
        let start = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let mut here = match open(start) {
            Err(Errno::NOENT) => {
                fs::create_dir_all(start)?;
                open(start)?
            }
            other => other?,
        };
        let outside = || Error::new(ErrorKind::InvalidInput, "the folder is not below its root");
        for part in folder.strip_prefix(root).map_err(|_| outside())?.components() {
            here = match part {
                Component::Normal(name) => step(&here, name)?,
                Component::CurDir => continue,
                _ => return Err(outside()),
            };
        }
        Ok(Self(here))
    }

    /// Opens the folder that a file is in, wherever links lead.
    ///
    /// # Errors
    /// As [`OpenFolder::below`].
    pub fn of(file: &Path) -> Result<Self> {
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::below(folder, folder)
    }

    /// Opens a plain file to read and write; a link, a folder, a device or a file of several names is an error.
    ///
    /// # Errors
    /// What the system says.
    pub fn file(&self, name: &OsStr, opening: Opening) -> Result<File> {
        let flags = opening.flags() | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match retry_on_intr(|| rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o666))) {
            Err(Errno::LOOP) => return Err(not_plain(name)),
            other => File::from(other?),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || meta.nlink() > 1 {
            return Err(not_plain(name));
        }
        Ok(file)
    }

    /// True if a folder has this name.
    pub fn has_folder(&self, name: &OsStr) -> bool {
        let found = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|meta| FileType::from_raw_mode(meta.st_mode) == FileType::Directory)
    }

    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> Result<()> {
        Ok(retry_on_intr(|| rustix::fs::renameat(&self.0, from, &self.0, to))?)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        Ok(retry_on_intr(|| rustix::fs::unlinkat(&self.0, name, AtFlags::empty()))?)
    }

    /// Waits until its names are on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fsync(&self.0))?)
    }
}

fn not_plain(name: &OsStr) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("`{}` is not a plain file", name.display()))
}

fn open(path: &Path) -> std::result::Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::open(path, FOLDER, Mode::empty()))
}

/// The folder of this name in another; it is made if it is missing.
fn step(here: &OwnedFd, name: &OsStr) -> Result<OwnedFd> {
    let enter = || retry_on_intr(|| rustix::fs::openat(here, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()));
    let entered = match enter() {
        Err(Errno::NOENT) => match retry_on_intr(|| rustix::fs::mkdirat(here, name, Mode::from_raw_mode(0o777))) {
            // Another may have made it meanwhile.
            Ok(()) | Err(Errno::EXIST) => enter(),
            Err(other) => Err(other),
        },
        other => other,
    };
    entered.map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => {
            Error::new(ErrorKind::NotADirectory, format!("`{}` is a file or a link, not a folder", name.display()))
        }
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_are_made_below_the_root_and_links_lead_nowhere() {
        let (dir, name) = (tempfile::tempdir().unwrap(), OsStr::new("a"));
        let (root, outside) = (dir.path().join("by-link"), dir.path().join("outside"));
        fs::create_dir_all(dir.path().join("real")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        symlink(dir.path().join("real"), &root).unwrap();
        let folder = OpenFolder::below(&root, &root.join("x/y")).unwrap();
        folder.file(name, Opening::New).unwrap();
        assert!(dir.path().join("real/x/y/a").is_file());
        // Somebody puts a link in the place of the folder that is open.
        fs::rename(dir.path().join("real/x/y"), dir.path().join("real/x/moved")).unwrap();
        symlink(&outside, dir.path().join("real/x/y")).unwrap();
        folder.rename(name, OsStr::new("b")).unwrap();
        assert!(dir.path().join("real/x/moved/b").is_file());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        let refused = OpenFolder::below(&root, &root.join("x/y")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotADirectory);
        assert!(OpenFolder::below(&root, dir.path()).is_err() && OpenFolder::below(&root, &root.join("../b")).is_err());
    }

    #[test]
    fn only_plain_files_of_one_name_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OpenFolder::below(dir.path(), dir.path()).unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "x").unwrap();
        symlink(&victim, dir.path().join("link")).unwrap();
        fs::hard_link(&victim, dir.path().join("hard")).unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        for name in ["link", "hard", "folder", "victim"] {
            for opening in [Opening::New, Opening::Any, Opening::Append, Opening::Old] {
                assert!(folder.file(OsStr::new(name), opening).is_err(), "{name} {opening:?}");
            }
        }
        assert!(folder.has_folder(OsStr::new("folder")) && !folder.has_folder(OsStr::new("link")));
        assert_eq!(fs::read(&victim).unwrap(), b"x");
        assert!(folder.file(OsStr::new("none"), Opening::Old).is_err() && !dir.path().join("none").exists());
    }
}
