//! A copy that is not whole yet: its bytes, and a record of which of them are good.
//!
//! `.name.outcrop.part` holds the bytes, `.name.outcrop.record` tells the source (its ETag and size) and, piece by piece,
//! which bytes are there with their digest. A piece counts when its digest is right, so neither a power cut nor a flipped
//! bit can make a bad byte part of a copy. Dropped unfinished, both stay if they hold enough to be worth it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use outcrop_store::{Href, ObjectMeta, OpenFolder, Opening};
use serde::{Deserialize, Serialize};

use crate::journal::{checked_line, line_of};
use crate::rewrite::identity;

/// Bytes of a piece: at most so many of an open file are fetched again.
pub(super) const PIECE: u64 = 8 << 20;
/// Fewest bytes that are kept of an unfinished copy.
const WORTH: u64 = 1 << 20;
/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// What the record begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    /// Where it came from, without secrets.
    href: String,
    /// Strong ETag of the version that was read; empty if the server has none and a digest vouches for the whole.
    etag: String,
    size: u64,
}

/// A line of the record.
#[derive(Debug, Serialize, Deserialize)]
struct Piece {
    from: u64,
    to: u64,
    /// BLAKE3, in hex.
    digest: String,
}

/// The unfinished copy.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    folder: Arc<OpenFolder>,
    name: OsString,
    record_name: OsString,
    record: Option<File>,
    /// What can be gone on with, if anything can.
    source: Option<Source>,
    /// Bytes in pieces that the record knows.
    recorded: u64,
    /// Length of the file.
    length: u64,
    finished: bool,
}

/// A failure to read or write a file of a copy.
#[derive(Debug)]
pub(super) struct Failed(pub(super) &'static str, pub(super) std::io::Error);

fn names(target: &Path) -> (OsString, OsString) {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let cut: String = name.chars().take(60).collect();
    // Names that begin alike must not share a part.
    let mark = if cut.len() < name.len() {
        format!(".{}", &blake3::hash(name.as_bytes()).to_hex()[..16])
    } else {
        String::new()
    };
    let with = |end: &str| OsString::from(format!(".{cut}{mark}.outcrop.{end}"));
    (with("part"), with("record"))
}

impl Part {
    /// Opens the part of a copy below a folder; what an earlier run left of it can be taken with [`Part::good`].
    pub(super) fn open(root: &Path, target: &Path) -> Result<Self, Failed> {
        let (name, record_name) = names(target);
        let at = target.parent().unwrap_or(Path::new(""));
        let folder = Arc::new(OpenFolder::below(root, at).map_err(|e| Failed("write folder", e))?);
        // Better now than after all bytes have come.
        if folder.has_folder(target.file_name().unwrap_or_default()) {
            return Err(Failed("write", ErrorKind::IsADirectory.into()));
        }
        let file = folder.file(&name, Opening::Any).map_err(|e| Failed("write", e))?;
        let length = file.metadata().map_err(|e| Failed("write", e))?.len();
        let (record, source) = (None, None);
        Ok(Self { file, folder, name, record_name, record, source, recorded: 0, length, finished: false })
    }

    /// The good pieces that an earlier run left of this source, each checked by its digest; their bytes go to `each` in
    /// order, as far as they follow each other from the first byte.
    pub(super) fn good(&mut self, href: &Href, mut each: impl FnMut(&[u8])) -> Option<(ObjectMeta, Vec<Range<u64>>)> {
        let mut record = self.folder.file(&self.record_name, Opening::Old).ok()?;
        let mut text = String::new();
        record.read_to_string(&mut text).ok()?;
        let mut lines = text.lines().filter_map(checked_line);
        let source: Source = serde_json::from_str(lines.next()?).ok()?;
        if source.href != identity(href) {
            return None;
        }
        let mut pieces: Vec<Piece> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        pieces.sort_by_key(|piece| piece.from);
        let (mut good, mut next) = (Vec::<Range<u64>>::new(), 0);
        for piece in pieces {
            let follows = piece.from >= good.last().map_or(0, |before| before.end);
            if !follows || piece.to <= piece.from || piece.to > source.size {
                continue;
            }
            let is_next = piece.from == next;
            let mut hasher = blake3::Hasher::new();
            let read = self.read(piece.from..piece.to, |bytes| {
                hasher.update(bytes);
            });
            if read.is_err() || hasher.finalize().to_hex().as_str() != piece.digest {
                continue;
            }
            if is_next && self.read(piece.from..piece.to, &mut each).is_ok() {
                next = piece.to;
            }
            good.push(piece.from..piece.to);
        }
        let etag = Some(source.etag.clone()).filter(|etag| !etag.is_empty());
        let mut meta = ObjectMeta::new(href.clone(), source.size);
        meta.etag = etag;
        self.recorded = good.iter().map(|range| range.end - range.start).sum();
        (self.record, self.source) = (Some(record), Some(source));
        (self.recorded > 0).then_some((meta, good))
    }

    /// Starts from nothing; of a source that can be gone on with later, if it is given.
    pub(super) fn restart(&mut self, source: Option<&ObjectMeta>) -> Result<(), Failed> {
        (self.record, self.recorded) = (None, 0);
        if self.length > 0 {
            // The record goes first: it must not speak of bytes that are gone.
            let _ = self.folder.remove(&self.record_name);
            self.file.set_len(0).map_err(|e| Failed("write", e))?;
            self.length = 0;
        }
        self.source = source.map(|meta| Source {
            href: identity(&meta.href),
            etag: meta.strong_etag().unwrap_or_default().to_owned(),
            size: meta.size,
        });
        Ok(())
    }

    /// Sees whether the disk has room for a file of this size, before its first byte.
    pub(super) fn room(&self, size: u64) -> Result<(), Failed> {
        let Ok(disk) = rustix::fs::fstatvfs(&self.file) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= size {
            return Ok(());
        }
        let why = format!("No space left on device: {size} bytes are needed, {free} are free");
        Err(Failed("write", std::io::Error::new(ErrorKind::StorageFull, why)))
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failed> {
        self.length = self.length.max(at + bytes.len() as u64);
        self.file.write_all_at(bytes, at).map_err(|e| Failed("write", e))
    }

    /// Notes a piece that was written, by its digest. A record that cannot be written makes no copy fail.
    pub(super) fn note(&mut self, range: &Range<u64>, digest: &blake3::Hash) {
        let Some(source) = &self.source else { return };
        if self.record.is_none() {
            let Ok(mut file) = self.folder.file(&self.record_name, Opening::Any) else { return };
            let start = serde_json::to_string(source).unwrap_or_default();
            let begun = file.set_len(0).and_then(|()| file.write_all(line_of(&start).as_bytes()));
            self.record = begun.is_ok().then_some(file);
        }
        let piece = Piece { from: range.start, to: range.end, digest: digest.to_hex().to_string() };
        let line = line_of(&serde_json::to_string(&piece).unwrap_or_default());
        if let Some(record) = &mut self.record
            && record.write_all(line.as_bytes()).is_ok()
        {
            self.recorded += range.end - range.start;
        }
    }

    /// Hands on the bytes of a range.
    pub(super) fn read(&self, range: Range<u64>, mut each: impl FnMut(&[u8])) -> Result<(), Failed> {
        let wanted = range.end.saturating_sub(range.start).min(BUFFER as u64);
        let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(BUFFER)];
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from((range.end - at).min(BUFFER as u64)).unwrap_or(BUFFER);
            self.file.read_exact_at(&mut buffer[..len], at).map_err(|e| Failed("read", e))?;
            each(&buffer[..len]);
            at += len as u64;
        }
        Ok(())
    }

    /// The whole file under its hidden name, and its record, for the one who publishes it.
    pub(super) fn finish(mut self, size: u64) -> Result<Staged, Failed> {
        // Longer only where an earlier version was.
        if self.length > size {
            self.file.set_len(size).map_err(|e| Failed("write", e))?;
        }
        self.finished = true;
        let file = self.file.try_clone().map_err(|e| Failed("write", e))?;
        let record = self.record.take().map(|_| self.record_name.clone());
        Ok(Staged { file, folder: self.folder.clone(), part: self.name.clone(), record, is_named: false })
    }

    /// Throws all of it away.
    pub(super) fn discard(mut self) {
        (self.recorded, self.source) = (0, None);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.finished || self.recorded >= WORTH {
            return;
        }
        for name in [&self.record_name, &self.name] {
            // What cannot be removed does no harm.
            let _ = self.folder.remove(name);
        }
    }
}

/// A whole copy that has not its final name yet. Dropped without one, it stays only if its record can be gone on with.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) file: File,
    folder: Arc<OpenFolder>,
    part: OsString,
    record: Option<OsString>,
    is_named: bool,
}

impl Staged {
    /// Gives it its name; nothing else of it is left then.
    pub(crate) fn publish(&mut self, name: &OsStr) -> std::io::Result<()> {
        self.folder.rename(&self.part, name)?;
        self.is_named = true;
        if let Some(record) = self.record.take() {
            // One that stays speaks of bytes that are gone; it is not believed.
            let _ = self.folder.remove(&record);
        }
        Ok(())
    }

    /// Waits until its name is on the disk.
    pub(crate) fn sync_folder(&self) -> std::io::Result<()> {
        self.folder.sync()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_named && self.record.is_none() {
            // What cannot be removed does no harm.
            let _ = self.folder.remove(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn paths(target: &Path) -> (PathBuf, PathBuf) {
        let (part, record) = names(target);
        (target.with_file_name(part), target.with_file_name(record))
    }

    fn opened(target: &Path) -> Result<Part, Failed> {
        Part::open(target.parent().unwrap(), target)
    }

    fn meta(size: u64) -> ObjectMeta {
        let href = Href::parse("https://h/a.nc?sig=SECRET").unwrap();
        let mut meta = ObjectMeta::new(href, size);
        meta.etag = Some("\"e\"".into());
        meta
    }

    /// A part with two pieces of a mebibyte, dropped.
    fn left_behind(target: &Path) {
        let mut part = opened(target).unwrap();
        part.restart(Some(&meta(4 << 20))).unwrap();
        for (at, byte) in [(0, 1u8), (2 << 20, 2)] {
            let bytes = vec![byte; 1 << 20];
            part.write(at, &bytes).unwrap();
            part.note(&(at..at + (1 << 20)), &blake3::hash(&bytes));
        }
    }

    #[test]
    fn pieces_are_found_again_and_damaged_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.nc");
        let found = |href: &str| {
            let mut seen = 0;
            let mut part = opened(&target).unwrap();
            let good = part.good(&Href::parse(href).unwrap(), |bytes| seen += bytes.len());
            part.recorded = u64::MAX;
            good.map(|(meta, good)| (meta.size, good, seen))
        };
        left_behind(&target);
        let (one, two) = (0..1 << 20, 2 << 20..3 << 20);
        assert_eq!(found("https://h/a.nc?sig=OTHER"), Some((4 << 20, vec![one.clone(), two.clone()], 1 << 20)));
        assert_eq!(found("https://h/b.nc?sig=SECRET"), None);
        let (path, record) = paths(&target);
        assert!(!fs::read_to_string(&record).unwrap().contains("SECRET"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[7] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(found("https://h/a.nc?sig=1"), Some((4 << 20, vec![two], 0)));
        bytes[7] ^= 1;
        fs::write(&path, &bytes[..2 << 20]).unwrap();
        assert_eq!(found("https://h/a.nc?sig=1"), Some((4 << 20, vec![one], 1 << 20)));
    }

    #[test]
    fn no_flip_of_a_bit_makes_a_bad_byte_good() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.nc");
        left_behind(&target);
        let record = paths(&target).1;
        let whole = fs::read(&record).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&record, &changed).unwrap();
            let mut part = opened(&target).unwrap();
            if let Some((meta, good)) = part.good(&meta(0).href, |bytes| assert!(bytes.iter().all(|b| *b == 1))) {
                assert_eq!((meta.size, meta.etag.as_deref()), (4 << 20, Some("\"e\"")));
                assert!(good.iter().all(|range| [0, 2 << 20].contains(&range.start)), "{at}");
            }
            part.recorded = u64::MAX;
        }
    }

    #[test]
    fn little_is_not_kept_and_links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.nc");
        let mut part = opened(&target).unwrap();
        part.restart(Some(&meta(10))).unwrap();
        part.write(0, b"12345").unwrap();
        part.note(&(0..5), &blake3::hash(b"12345"));
        drop(part);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let victim = folder.path().join("victim");
        fs::write(&victim, "x").unwrap();
        std::os::unix::fs::symlink(&victim, paths(&target).0).unwrap();
        assert!(opened(&target).is_err());
        fs::remove_file(paths(&target).0).unwrap();
        fs::hard_link(&victim, paths(&target).0).unwrap();
        assert!(opened(&target).is_err());
        fs::remove_file(paths(&target).0).unwrap();
        // Nor is a record that leads elsewhere gone on with.
        left_behind(&target);
        let record = paths(&target).1;
        fs::rename(&record, &victim).unwrap();
        let before = fs::read(&victim).unwrap();
        std::os::unix::fs::symlink(&victim, &record).unwrap();
        let mut part = opened(&target).unwrap();
        assert!(part.good(&meta(0).href, |_| ()).is_none());
        part.restart(Some(&meta(4 << 20))).unwrap();
        part.write(0, b"1").unwrap();
        part.note(&(0..1), &blake3::hash(b"1"));
        drop(part);
        assert_eq!(fs::read(&victim).unwrap(), before);
        fs::create_dir(&target).unwrap();
        assert!(opened(&target).is_err(), "a folder has the name");
    }
}
