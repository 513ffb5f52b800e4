//! The bytes of an object as they come, checked against what is known of them: never short, long or a page of another kind.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};

use crate::bucket::Ask;
use crate::http::Body;
use crate::rate::Rate;
use crate::store::{Counters, Permit, joined};
use crate::{Error, Href, ObjectMeta, Result, Store, local, sniff};

/// Bytes of a local file that are read at once.
const PIECE: u64 = 4 << 20;

/// An object, or the end of one, that is being read.
///
/// - The parts that [`Streamed::next`] gives are those asked for, in order; it ends only after the last of them.
/// - Where the size is not known, the end of the body is taken for the end of the object.
#[derive(Debug)]
pub struct Streamed {
    /// Where it is.
    pub href: Href,
    /// Size of the whole object, where it is known.
    pub size: Option<u64>,
    /// Its ETag, where the server gives one.
    pub etag: Option<String>,
    /// Headers that tell digests of the whole object: names in lower case, and values.
    pub digests: Vec<(String, String)>,
    /// Position of the next byte.
    at: u64,
    /// Position after the last.
    end: Option<u64>,
    source: Source,
    counters: Arc<Counters>,
    rate: Rate,
    _permit: Permit,
}

#[derive(Debug)]
enum Source {
    Remote(Box<Body>),
    Local(Option<File>),
}

impl Store {
    /// Reads a whole object from its first byte on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::HtmlPage`] where a page comes in place of data, and the transport's.
    pub async fn stream(&self, href: &Href) -> Result<Streamed> {
        let permit = self.permit(href).await;
        if !self.is_remote(href)? {
            return self.local_stream(href, 0..u64::MAX, permit).await;
        }
        let answer = self.http.open(None, &Ask::whole(href).with_digests()).await?;
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        if answer.is_html && !sniff::may_be_page(href.file_name().unwrap_or_default()) {
            return Err(Error::HtmlPage { href: href.clone() });
        }
        Ok(Streamed {
            href: href.clone(),
            size: answer.size,
            etag: answer.etag,
            digests: answer.digests,
            at: 0,
            end: answer.size,
            source: Source::Remote(Box::new(Body::new(href, answer.response, self.http.options()))),
            counters: self.counters.clone(),
            rate: self.rate.clone(),
            _permit: permit,
        })
    }

    /// Reads a part of an object that is still the same: its size and strong ETag are those of `meta`.
    ///
    /// # Errors
    /// [`Error::Changed`], [`Error::NoRanges`], and those of [`Store::stream`].
    pub async fn stream_range(&self, meta: &ObjectMeta, range: Range<u64>) -> Result<Streamed> {
        let permit = self.permit(&meta.href).await;
        self.range_with(meta, range, permit).await
    }

    /// Like [`Store::stream_range`], if a further request to the host costs no wait; else `None`.
    ///
    /// # Errors
    /// As [`Store::stream_range`].
    pub async fn spare_stream_range(&self, meta: &ObjectMeta, range: Range<u64>) -> Result<Option<Streamed>> {
        match self.spare_permit(&meta.href) {
            Some(permit) => self.range_with(meta, range, permit).await.map(Some),
            None => Ok(None),
        }
    }

    async fn range_with(&self, meta: &ObjectMeta, range: Range<u64>, permit: Permit) -> Result<Streamed> {
        let href = &meta.href;
        if !self.is_remote(href)? {
            return self.local_stream(href, range, permit).await;
        }
        let answer = self.http.open(Some(meta), &Ask::range(href, &range, meta.strong_etag()).with_digests()).await?;
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        Ok(Streamed {
            href: href.clone(),
            size: Some(meta.size),
            etag: answer.etag,
            digests: answer.digests,
            at: range.start,
            end: Some(range.end),
            source: Source::Remote(Box::new(Body::new(href, answer.response, self.http.options()))),
            counters: self.counters.clone(),
            rate: self.rate.clone(),
            _permit: permit,
        })
    }

    async fn local_stream(&self, href: &Href, range: Range<u64>, permit: Permit) -> Result<Streamed> {
        let (owned, start) = (href.clone(), range.start);
        let opened = tokio::task::spawn_blocking(move || {
            let path = owned.to_path().unwrap_or_default();
            let size = local::size(&owned, &path)?;
            let failed = |e| Error::io("read", &owned, e);
            let mut file = File::open(&path).map_err(failed)?;
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            Ok::<_, Error>((file, size, local::modified(&path)))
        });
        let (file, size, modified) = opened.await.map_err(|e| joined(href, e))??;
        Ok(Streamed {
            href: href.clone(),
            size: Some(size),
            // What a file is, its size and time tell.
            etag: modified.map(|time| format!("\"{size:x}-{time}\"")),
            digests: Vec::new(),
            at: range.start,
            end: Some(size.min(range.end)),
            source: Source::Local(Some(file)),
            counters: self.counters.clone(),
            rate: self.rate.clone(),
            _permit: permit,
        })
    }
}

impl Streamed {
    /// What is known of the object, if its size is.
    pub fn meta(&self) -> Option<ObjectMeta> {
        let size = self.size?;
        Some(ObjectMeta { etag: self.etag.clone(), ..ObjectMeta::new(self.href.clone(), size) })
    }

    /// The failure of a body that ended and is known to be longer.
    pub fn ended_early(&self, want: u64) -> Error {
        match &self.source {
            Source::Remote(body) => body.ended_early(self.at, want),
            Source::Local(_) => Error::Truncated { href: self.href.clone(), got: self.at, want },
        }
    }

    /// The next part; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Transport`] with `tries` 0 where the body broke off, so that another request may bring the rest;
    /// [`Error::Truncated`] if more comes than there is; [`Error::HtmlPage`].
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.rate.ready().await;
        let part = match &mut self.source {
            Source::Remote(body) => body.next().await?,
            Source::Local(file) => read_on(&self.href, file, self.end.unwrap_or(0).saturating_sub(self.at)).await?,
        };
        let Some(part) = part else {
            return match self.end.filter(|end| self.at < *end) {
                None => Ok(None),
                Some(end) => Err(self.ended_early(end)),
            };
        };
        let name = self.href.file_name().unwrap_or_default();
        let counter = match self.source {
            Source::Remote(_) if self.at == 0 && sniff::is_page(name, &part) => {
                return Err(Error::HtmlPage { href: self.href.clone() });
            }
            Source::Remote(_) => &self.counters.remote,
            Source::Local(_) => &self.counters.local,
        };
        counter.fetch_add(part.len() as u64, Ordering::Relaxed);
        self.rate.spend(part.len());
        self.at += part.len() as u64;
        match self.end.filter(|end| self.at > *end) {
            Some(want) => Err(Error::Truncated { href: self.href.clone(), got: self.at, want }),
            None => Ok(Some(part)),
        }
    }
}

/// The next bytes of a local file, of which so many are left.
async fn read_on(href: &Href, file: &mut Option<File>, left: u64) -> Result<Option<Bytes>> {
    let Some(mut open) = file.take().filter(|_| left > 0) else { return Ok(None) };
    let len = usize::try_from(left.min(PIECE)).unwrap_or(usize::MAX);
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = BytesMut::zeroed(len);
        let got = open.read(&mut bytes);
        (open, bytes, got)
    });
    let (open, mut bytes, got) = read.await.map_err(|e| joined(href, e))?;
    *file = Some(open);
    let got = got.map_err(|e| Error::io("read", href, e))?;
    bytes.truncate(got);
    Ok((got > 0).then(|| bytes.freeze()))
}
