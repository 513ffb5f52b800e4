//! One copy to a bucket or server: bytes pass through memory, a few parts at a time, and appear there when they are
//! checked. Where both places are of one service, and it vouches for the bytes, they do not pass through here at all.

use outcrop_store::progress::Progress;
use outcrop_store::{Error, Href, Store, Upload};

use super::{Digests, Known, Patience, Reason, SMALL, judge, part::PIECE, told};
use crate::verify::{Algorithm, Checksum, Promise, Verified, promises};

/// A copy that is there.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) size: u64,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) verified: Verified,
    /// Its ETag where it is now.
    pub(crate) etag: String,
}

/// A transfer in its course.
struct Sending<'a> {
    store: &'a Store,
    source: &'a Href,
    target: &'a Href,
    known: &'a Known,
    progress: &'a Progress,
    digests: Digests,
    promises: Vec<Promise>,
    is_sized: bool,
}

/// Copies an object to a place that is not local.
pub(crate) async fn send(
    store: &Store,
    (source, target): (&Href, &Href),
    known: &Known,
    algorithm: Option<Algorithm>,
    progress: &Progress,
) -> Result<Sent, Reason> {
    if let Some(sent) = within(store, (source, target), known, progress).await? {
        return Ok(sent);
    }
    let mut patience = Patience { tries: 0, most: store.options().retries };
    loop {
        let mut digests = Digests::new(known.checksum.as_ref().map(|checksum| checksum.algorithm).or(algorithm));
        if !target.is_of_bucket() {
            // What dCache tells of a file that it took.
            digests.add(Algorithm::Adler32);
        }
        let (promises, is_sized) = (Vec::new(), false);
        let sending = Sending { store, source, target, known, progress, digests, promises, is_sized };
        match sending.run(&mut patience).await {
            Err(Reason::Store(Error::Changed { .. } | Error::NoRanges { .. } | Error::Transport { tries: 0, .. }))
                if patience.again(store).await =>
            {
                progress.restart();
            }
            Err(Reason::Store(Error::Transport { tries: 0, href, source })) => {
                return Err(Error::Transport { href, tries: patience.tries, source }.into());
            }
            other => return other,
        }
    }
}

impl Sending<'_> {
    async fn run(mut self, patience: &mut Patience) -> Result<Sent, Reason> {
        let mut stream = self.store.stream(self.source).await?;
        self.known.check_size(self.source, stream.size)?;
        self.is_sized = stream.size.is_some();
        if let Some(size) = stream.size {
            self.progress.set_total(size);
        }
        self.promises = self.digests.promised(self.source, &stream.digests);
        let meta = stream.meta().filter(|meta| meta.size >= SMALL && meta.strong_etag().is_some());
        let mut upload = self.store.upload(self.target, stream.size)?;
        let mut renewed = 0;
        loop {
            match stream.next().await {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    self.digests.update_next(&bytes);
                    self.progress.advance(bytes.len() as u64);
                    upload.write(bytes).await?;
                    if upload.length() >= renewed + PIECE {
                        renewed = upload.length();
                        patience.renew();
                    }
                    self.known.check_size(self.source, self.known.size.map(|want| upload.length().max(want)))?;
                }
                Err(error @ Error::Transport { tries: 0, .. }) => {
                    let Some(meta) = &meta else { return Err(error.into()) };
                    if !patience.again(self.store).await {
                        return Err(error.into());
                    }
                    drop(stream);
                    stream = self.store.stream_range(meta, upload.length()..meta.size).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(want) = self.known.size.filter(|want| upload.length() < *want) {
            return Err(stream.ended_early(want).into());
        }
        drop(stream);
        self.finish(upload).await
    }

    /// Judges the bytes, lets them appear, and asks the target what it has.
    async fn finish(self, upload: Upload) -> Result<Sent, Reason> {
        let size = upload.length();
        let made = self.digests.finish();
        let (checksum, verified) = judge(self.known, &self.promises, self.is_sized.then_some(size), made.clone())?;
        if let Err(error) = upload.finish().await
            && !is_there(self.store, self.target, size, made.first()).await
        {
            return Err(error.into());
        }
        let (meta, headers) = self.store.tell(self.target).await?;
        if meta.size != size {
            return Err(Error::Truncated { href: self.target.clone(), got: meta.size, want: size }.into());
        }
        for promise in promises(&headers).into_iter().filter(|promise| promise.is_binding) {
            let got = made.iter().find(|made| made.algorithm == promise.checksum.algorithm);
            if let Some(got) = got.filter(|got| !promise.checksum.is_of(&got.digest)) {
                return Err(Reason::Digest { want: promise.checksum, got: got.clone(), who: "the destination" });
            }
        }
        Ok(Sent { size, checksum, verified, etag: meta.etag.unwrap_or_default() })
    }
}

/// True if an object has these bytes: it was put there, and the answer that said so was lost.
async fn is_there(store: &Store, target: &Href, size: u64, made: Option<&Checksum>) -> bool {
    let Some(made) = made else { return false };
    let Ok(mut stream) = store.stream(target).await else { return false };
    if stream.size.is_some_and(|there| there != size) {
        return false;
    }
    let mut hasher = made.algorithm.hasher();
    while let Ok(next) = stream.next().await {
        match next {
            Some(bytes) => hasher.update(&bytes),
            None => return made.is_of(&hasher.finish()),
        }
    }
    false
}

/// A copy within one service, if it can vouch for what the catalog knows; `None` if there is no such copy.
async fn within(
    store: &Store,
    (source, target): (&Href, &Href),
    known: &Known,
    progress: &Progress,
) -> Result<Option<Sent>, Reason> {
    if source.is_local() || !store.is_one_service(source, target)? {
        return Ok(None);
    }
    let (meta, headers) = store.tell(source).await?;
    known.check_size(source, Some(meta.size))?;
    let mut told: Vec<Checksum> = told(source, &headers).into_iter().map(|promise| promise.checksum).collect();
    if let Some(want) = &known.checksum {
        // Only the bytes themselves can tell what the server does not.
        told.retain(|told| told.algorithm == want.algorithm && want.is_of(&told.digest));
        if told.is_empty() {
            return Ok(None);
        }
    }
    progress.set_total(meta.size);
    if !store.copy_within(&meta, target).await? {
        return Ok(None);
    }
    progress.advance(meta.size);
    let there = store.tell(target).await?.0;
    if there.size != meta.size {
        return Err(Error::Truncated { href: target.clone(), got: there.size, want: meta.size }.into());
    }
    let vouches = known.checksum.clone().or_else(|| told.into_iter().find(|told| told.algorithm.is_multihash()));
    let verified = known.checksum.as_ref().map_or(Verified::BySize, |want| Verified::ByDigest(want.algorithm));
    Ok(Some(Sent { size: meta.size, checksum: vouches, verified, etag: there.etag.unwrap_or_default() }))
}
