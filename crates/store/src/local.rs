//! Local files: sizes, ranges, folders.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use crate::listing::Entry;
use crate::store::joined;
use crate::{Error, Href, ObjectMeta, Result};

/// Size of a file; a folder is an error, and so is a pipe or a device, which could be waited for without end.
pub(crate) fn size(href: &Href, path: &Path) -> Result<u64> {
    let meta = fs::metadata(path).map_err(|e| Error::io("read", href, e))?;
    if meta.is_dir() {
        return Err(Error::io("read", href, std::io::ErrorKind::IsADirectory.into()));
    }
    if !meta.is_file() {
        let why =
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is a pipe, a socket or a device, not a file");
        return Err(Error::io("read", href, why));
    }
    Ok(meta.len())
}

/// When a file was last changed, in nanoseconds since 1970.
pub(crate) fn modified(path: &Path) -> Option<String> {
    time_of(&fs::metadata(path).ok()?)
}

fn time_of(meta: &fs::Metadata) -> Option<String> {
    let time = meta.modified().ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_nanos().to_string())
}

/// Refuses ranges past the end.
pub(crate) fn check_within(meta: &ObjectMeta, ranges: &[Range<u64>]) -> Result<()> {
    match ranges.iter().find(|range| range.end > meta.size) {
        Some(range) => {
            let got = meta.size.saturating_sub(range.start);
            Err(Error::Truncated { href: meta.href.clone(), got, want: range.end - range.start })
        }
        None => Ok(()),
    }
}

/// Runs file I/O on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(
    href: &Href,
    work: impl FnOnce(&Href, &Path) -> Result<T> + Send + 'static,
) -> Result<T> {
    let owned = href.clone();
    let task = tokio::task::spawn_blocking(move || work(&owned, &owned.to_path().unwrap_or_default()));
    task.await.map_err(|e| joined(href, e))?
}

/// The bytes of the ranges, each read in one piece.
pub(crate) fn ranges(href: &Href, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let mut file = File::open(path).map_err(|e| Error::io("read", href, e))?;
    ranges.iter().map(|range| read_at(href, &mut file, range)).collect()
}

/// Reads without filling the buffer first: `read_to_end` writes into spare capacity.
fn read_at(href: &Href, file: &mut File, range: &Range<u64>) -> Result<Bytes> {
    let want = range.end.saturating_sub(range.start);
    let too_large = || Error::TooLarge { href: href.clone(), limit: isize::MAX.unsigned_abs() as u64 };
    let len = usize::try_from(want).map_err(|_| too_large())?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| too_large())?;
    file.seek(SeekFrom::Start(range.start)).map_err(|e| Error::io("read", href, e))?;
    let got = file.take(want).read_to_end(&mut buffer).map_err(|e| Error::io("read", href, e))?;
    if got < len {
        return Err(Error::Truncated { href: href.clone(), got: got as u64, want });
    }
    Ok(Bytes::from(buffer))
}

/// The members of a folder, sorted by name.
pub(crate) fn list(href: &Href, path: &Path) -> Result<Vec<Entry>> {
    let base = href.as_folder();
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| Error::io("list", href, e))? {
        let entry = entry.map_err(|e| Error::io("list", href, e))?;
        let meta = fs::metadata(entry.path()).map_err(|e| Error::io("list", href, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".part") && name.starts_with('.') {
            continue;
        }
        let child = Href::parse(&format!("{}{name}", base.as_str()))?;
        entries.push(if meta.is_dir() {
            Entry::folder(child.as_folder(), name)
        } else {
            Entry { version: time_of(&meta), ..Entry::file(child, name, Some(meta.len())) }
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}
