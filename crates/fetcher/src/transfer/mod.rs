//! One copy: bytes from where they are to a file that appears whole and checked, or not at all.
//!
//! A body that breaks off is gone on with where it ended, if the server's ETag (or a digest that is known) says that it is
//! still the same object; so is what an earlier run left. Large files use what other requests leave free, in ranges.

mod part;
mod segments;
mod send;

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use outcrop_store::progress::Progress;
use outcrop_store::{Error, Href, ObjectMeta, Result, Store, Streamed};

use crate::verify::{Algorithm, Checksum, Hasher, Promise, Verified, promises};
pub(crate) use part::Staged;
use part::{Failed, Part};
use segments::Segments;
pub(crate) use send::send;

/// Smaller objects are not gone on with, but read again: it costs less than to keep a record.
const SMALL: u64 = 1 << 20;

/// What the catalog says of an asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) size: Option<u64>,
    pub(crate) checksum: Option<Checksum>,
}

/// A whole copy under its hidden name.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) staged: Staged,
    pub(crate) size: u64,
    /// A digest of it: the one that vouches for it, or one that was made for later.
    pub(crate) checksum: Option<Checksum>,
    pub(crate) verified: Verified,
}

impl Known {
    /// Holds a size against the one that the catalog tells, as far as both are known.
    fn check_size(&self, source: &Href, got: Option<u64>) -> Result<()> {
        match (self.size, got) {
            (Some(want), Some(got)) if got != want => Err(Error::Truncated { href: source.clone(), got, want }),
            _ => Ok(()),
        }
    }
}

/// The digests in the headers of a server that can be believed: the ETag of S3 may be one.
fn told(source: &Href, headers: &[(String, String)]) -> Vec<Promise> {
    let mut promises = promises(headers);
    if source.scheme().as_deref() != Some("s3") {
        promises.retain(|promise| promise.is_binding);
    }
    promises
}

/// Why there is no copy.
#[derive(Debug)]
pub(crate) enum Reason {
    Store(Error),
    /// The bytes are not those that the catalog or the server speaks of.
    Digest {
        want: Checksum,
        got: Checksum,
        who: &'static str,
    },
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// A transfer in its course.
struct Transfer<'a> {
    store: &'a Store,
    source: &'a Href,
    target: &'a Path,
    known: &'a Known,
    progress: &'a Progress,
    part: Part,
    digests: Digests,
    promises: Vec<Promise>,
    /// The server said how long the object is.
    is_sized: bool,
    /// A part was asked for without an ETag.
    is_blind: bool,
}

/// How often, and how long after another, a transfer is tried again that brings nothing new.
#[derive(Debug, Clone, Copy)]
struct Patience {
    tries: u32,
    most: u32,
}

/// Copies an object to the hidden name of `target`, which is below `root`.
pub(crate) async fn copy(
    store: &Store,
    (source, root, target): (&Href, &Path, &Path),
    known: &Known,
    algorithm: Option<Algorithm>,
    progress: &Progress,
) -> std::result::Result<Copy, Reason> {
    // What was gone on with without an ETag, and proves to be of another version, is read once from the start.
    let mut may_repeat = true;
    loop {
        let part = Part::open(root, target).map_err(|failed| io(target, failed))?;
        let digests = Digests::new(known.checksum.as_ref().map(|checksum| checksum.algorithm).or(algorithm));
        let mut is_blind = false;
        let transfer = Transfer {
            store,
            source,
            target,
            known,
            progress,
            part,
            digests,
            promises: Vec::new(),
            is_sized: false,
            is_blind: false,
        };
        match transfer.run(&mut is_blind).await {
            Err(Reason::Digest { .. }) if is_blind && std::mem::take(&mut may_repeat) => progress.restart(),
            other => return other,
        }
    }
}

impl Transfer<'_> {
    async fn run(mut self, is_blind: &mut bool) -> std::result::Result<Copy, Reason> {
        let mut patience = Patience { tries: 0, most: self.store.options().retries };
        let mut begun = self.earlier();
        let size = loop {
            let result = match begun.take() {
                Some((meta, good)) => self.rest(&meta, good, &mut patience).await,
                None => self.whole(&mut patience).await,
            };
            match result {
                Ok(size) => break size,
                // It is another version, or the server gives no parts: from the start, once for each try.
                Err(Error::Changed { .. } | Error::NoRanges { .. } | Error::Transport { tries: 0, .. })
                    if patience.again(self.store).await => {}
                Err(Error::Transport { tries: 0, href, source }) => {
                    return Err(Error::Transport { href, tries: patience.tries, source }.into());
                }
                Err(error) => return Err(error.into()),
            }
            self.progress.restart();
        };
        *is_blind = self.is_blind;
        self.finish(size)
    }

    /// What an earlier run left, if it can be gone on with.
    fn earlier(&mut self) -> Option<(ObjectMeta, Vec<Range<u64>>)> {
        let digests = &mut self.digests;
        let (meta, good) = self.part.good(self.source, |bytes| digests.update_next(bytes))?;
        let same_size = self.known.size.is_none_or(|size| size == meta.size);
        if same_size && (meta.strong_etag().is_some() || self.known.checksum.is_some()) {
            self.progress.advance(good.iter().map(|range| range.end - range.start).sum());
            return Some((meta, good));
        }
        None
    }

    /// The object from its first byte on.
    async fn whole(&mut self, patience: &mut Patience) -> Result<u64> {
        self.digests.restart();
        let mut stream = self.store.stream(self.source).await?;
        self.known.check_size(self.source, stream.size)?;
        (self.is_sized, self.is_blind) = (stream.size.is_some(), false);
        if let Some(size) = stream.size {
            self.progress.set_total(size);
            self.part.room(size).map_err(|failed| io(self.target, failed))?;
        }
        self.promises = self.digests.promised(self.source, &stream.digests);
        let meta = stream.meta().filter(|meta| meta.size >= SMALL);
        let goes_on = meta.as_ref().filter(|meta| meta.strong_etag().is_some() || self.known.checksum.is_some());
        self.part.restart(goes_on).map_err(|failed| io(self.target, failed))?;
        match goes_on.cloned() {
            Some(meta) => self.in_segments(Segments::new(meta.size, Vec::new(), Some(stream)), &meta, patience).await,
            None => self.stream_on(&mut stream).await,
        }
    }

    /// What is missing of an object of which some pieces are there.
    async fn rest(&mut self, meta: &ObjectMeta, good: Vec<Range<u64>>, patience: &mut Patience) -> Result<u64> {
        self.is_sized = true;
        self.progress.set_total(meta.size);
        self.in_segments(Segments::new(meta.size, good, None), meta, patience).await
    }

    /// One body to its end; nothing can be gone on with.
    async fn stream_on(&mut self, stream: &mut Streamed) -> Result<u64> {
        let mut at = 0;
        while let Some(bytes) = stream.next().await? {
            self.part.write(at, &bytes).map_err(|failed| io(self.target, failed))?;
            self.digests.update_next(&bytes);
            at += bytes.len() as u64;
            self.progress.advance(bytes.len() as u64);
            self.check_size_so_far(at)?;
        }
        match self.known.size.filter(|want| at < *want) {
            // The connection ended before its time, which another request may mend.
            Some(want) => Err(stream.ended_early(want)),
            None => Ok(at),
        }
    }

    fn check_size_so_far(&self, got: u64) -> Result<()> {
        self.known.check_size(self.source, Some(got).filter(|got| self.known.size.is_some_and(|want| *got > want)))
    }

    fn finish(mut self, size: u64) -> std::result::Result<Copy, Reason> {
        let digests = &mut self.digests;
        let missing = digests.at..size;
        self.part.read(missing, |bytes| digests.update_next(bytes)).map_err(|failed| io(self.target, failed))?;
        let made = std::mem::take(&mut self.digests).finish();
        match judge(self.known, &self.promises, self.is_sized.then_some(size), made) {
            Ok((checksum, verified)) => {
                let staged = self.part.finish(size).map_err(|failed| io(self.target, failed))?;
                Ok(Copy { staged, size, checksum, verified })
            }
            Err(reason) => {
                self.part.discard();
                Err(reason)
            }
        }
    }
}

/// Holds what was made of the bytes against what is known of them.
fn judge(
    known: &Known,
    promises: &[Promise],
    size: Option<u64>,
    made: Vec<Checksum>,
) -> std::result::Result<(Option<Checksum>, Verified), Reason> {
    let of = |algorithm: Algorithm| made.iter().find(|made| made.algorithm == algorithm);
    let mut verified = None;
    if let Some(want) = &known.checksum
        && let Some(got) = of(want.algorithm)
    {
        if !want.is_of(&got.digest) {
            return Err(Reason::Digest { want: want.clone(), got: got.clone(), who: "the catalog" });
        }
        verified = Some(want.clone());
    }
    for promise in promises {
        let Some(got) = of(promise.checksum.algorithm) else { continue };
        if promise.checksum.is_of(&got.digest) {
            verified = verified.or_else(|| Some(got.clone()));
        } else if promise.is_binding {
            return Err(Reason::Digest { want: promise.checksum.clone(), got: got.clone(), who: "the server" });
        }
    }
    let by = match &verified {
        Some(checksum) => Verified::ByDigest(checksum.algorithm),
        // A transfer that ended where its length said is of this size.
        None if known.size.is_some() || size.is_some() => Verified::BySize,
        None => Verified::Unverified,
    };
    let strongest = made.into_iter().filter(|made| made.algorithm.is_multihash()).max_by_key(|made| made.digest.len());
    let kept = known.checksum.clone().or_else(|| verified.filter(|made| made.algorithm.is_multihash())).or(strongest);
    Ok((kept, by))
}

impl Patience {
    /// Waits before another try; false if there were enough.
    async fn again(&mut self, store: &Store) -> bool {
        self.tries += 1;
        if self.tries > self.most {
            return false;
        }
        let wait = Duration::from_millis(200 << (self.tries - 1).min(8)).min(store.options().retry_wait_cap);
        tokio::time::sleep(wait).await;
        true
    }

    /// Something new came: what failed before is forgotten.
    fn renew(&mut self) {
        self.tries = 0;
    }
}

/// The digests that are made of a copy, from its first byte on.
#[derive(Debug, Default)]
struct Digests {
    algorithms: Vec<Algorithm>,
    hashers: Vec<Hasher>,
    at: u64,
}

impl Digests {
    fn new(algorithm: Option<Algorithm>) -> Self {
        let mut digests = Self { algorithms: algorithm.into_iter().collect(), ..Self::default() };
        digests.restart();
        digests
    }

    fn restart(&mut self) {
        self.hashers = self.algorithms.iter().map(|algorithm| algorithm.hasher()).collect();
        self.at = 0;
    }

    /// One more; what has passed is read again at the end.
    fn add(&mut self, algorithm: Algorithm) {
        if !self.algorithms.contains(&algorithm) {
            self.algorithms.push(algorithm);
            self.restart();
        }
    }

    /// Digests that a server tells; the strongest is made of the bytes too.
    fn promised(&mut self, source: &Href, headers: &[(String, String)]) -> Vec<Promise> {
        let promises = told(source, headers);
        if let Some(strongest) = promises.first() {
            self.add(strongest.checksum.algorithm);
        }
        promises
    }

    /// The bytes that follow those so far.
    fn update_next(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
        self.at += bytes.len() as u64;
    }

    fn finish(self) -> Vec<Checksum> {
        let made = |hasher: Hasher| Checksum { algorithm: hasher.algorithm(), digest: hasher.finish() };
        self.hashers.into_iter().map(made).collect()
    }
}

fn io(target: &Path, Failed(action, source): Failed) -> Error {
    Error::Io { action, href: Href::from_path(target), source }
}
