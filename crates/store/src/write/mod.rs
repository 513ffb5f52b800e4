//! Objects that are written elsewhere than on this machine's disk: whole or not at all.
//!
//! A large object of a bucket is a multipart upload that appears when it is completed; on a WebDAV server it is a hidden
//! file that is renamed. What fits into one part is one request.

mod bucket;
mod conditional;
mod webdav;

use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::bucket::Ask;
use crate::http::Change;
use crate::{Error, Href, ObjectMeta, Result, Store};

use bucket::Parts;
pub use conditional::Tag;
use webdav::Flow;

/// Bytes of a part, as long as the object needs no more than [`MOST_PARTS`] of them.
pub(crate) const PART: usize = 8 << 20;
/// Parts that all object stores allow.
const MOST_PARTS: u64 = 9_000;
/// Largest object that is copied by one request (S3).
const LARGEST_COPY: u64 = 5 << 30;

/// An object on its way. Dropped before it is finished, it leaves nothing under its name.
#[derive(Debug)]
pub struct Upload {
    store: Store,
    href: Href,
    buffer: BytesMut,
    part: usize,
    /// Bytes so far.
    length: u64,
    size: Option<u64>,
    way: Option<Way>,
}

/// How an object goes that is larger than a part.
#[derive(Debug)]
enum Way {
    Bucket(Parts),
    WebDav(Flow),
}

/// Requests that write, at once, each with at most a part in memory; and those that take back what was given up.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    turns: Arc<Semaphore>,
    /// Uploads that are neither finished nor given up.
    open: Arc<AtomicUsize>,
    cleaning: Arc<Mutex<JoinSet<()>>>,
}

/// An upload that is neither finished nor given up.
#[derive(Debug)]
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Writing {
    pub(crate) fn new(most: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(most.max(1))), open: Arc::default(), cleaning: Arc::default() }
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }

    /// Counts an upload until the answer is dropped.
    fn open(&self) -> Open {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(self.open.clone())
    }

    /// Takes back, in the background, what an upload left.
    fn clean(&self, runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
        let mut cleaning = self.cleaning.lock().unwrap_or_else(PoisonError::into_inner);
        while cleaning.try_join_next().is_some() {}
        cleaning.spawn_on(work, runtime);
    }
}

impl Store {
    /// Writes an object whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] of a local path, [`Error::NotWritten`], [`Error::Settings`] and the transport's of a URL.
    pub async fn put(&self, href: &Href, bytes: Bytes) -> Result<()> {
        if !self.is_remote(href)? {
            return self.put_local(href, bytes).await;
        }
        let mut upload = self.upload(href, Some(bytes.len() as u64))?;
        upload.write(bytes).await?;
        upload.finish().await.map(|_| ())
    }

    /// Begins an object elsewhere; its size makes the parts large enough, where it is known.
    ///
    /// Memory: a part (8 MiB, of objects beyond 70 GiB more) that fills, and at most four that are on their way.
    ///
    /// # Errors
    /// [`Error::NotWritten`] if there is no way to write there.
    pub fn upload(&self, href: &Href, size: Option<u64>) -> Result<Upload> {
        if self.http.bucket(href)?.is_none() {
            self.http.url_of(href)?;
        }
        let least = size.map_or(0, |size| size.div_ceil(MOST_PARTS));
        let part = usize::try_from(least).unwrap_or(usize::MAX).max(PART);
        Ok(Upload {
            store: self.clone(),
            href: href.clone(),
            buffer: BytesMut::new(),
            part,
            length: 0,
            size,
            way: None,
        })
    }

    /// True if two objects are of one service, so that [`Store::copy_within`] may copy one to the other.
    ///
    /// # Errors
    /// [`Error::Settings`] if the settings of a bucket cannot be used.
    pub fn is_one_service(&self, from: &Href, to: &Href) -> Result<bool> {
        match (self.http.bucket(from)?, self.http.bucket(to)?) {
            (Some(source), Some(target)) => Ok(target.copy_headers(&source, from, None).is_some()),
            (None, None) => webdav::is_same_origin(self, from, to),
            _ => Ok(false),
        }
    }

    /// Copies an object within one service, so that its bytes do not come here: by the service of a bucket, or by WebDAV
    /// within one origin. False if that cannot be had; then nothing was written.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the source, [`Error::Changed`] if it is not the one that `meta` tells.
    pub async fn copy_within(&self, meta: &ObjectMeta, to: &Href) -> Result<bool> {
        let from = &meta.href;
        match (self.http.bucket(from)?, self.http.bucket(to)?) {
            (Some(source), Some(target)) if meta.size <= LARGEST_COPY => {
                let headers = target.copy_headers(&source, from, meta.strong_etag());
                let Some(headers) = headers else { return Ok(false) };
                let _turn = self.writing.turn().await;
                match self.http.get(&Ask::copy(to, &headers), 1 << 20).await {
                    // A failure may come in the body of a success.
                    Ok(whole) => Ok(String::from_utf8_lossy(&whole.bytes).contains("<CopyObjectResult")),
                    Err(Error::Status { .. } | Error::Forbidden { .. } | Error::NotFound { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            (None, None) if webdav::is_same_origin(self, from, to)? => webdav::copy(self, from, to).await,
            _ => Ok(false),
        }
    }

    /// What a server tells of an object and of its digests, by one request for its first byte.
    ///
    /// # Errors
    /// [`Error::NotFound`] and the transport's.
    pub async fn tell(&self, href: &Href) -> Result<(ObjectMeta, Vec<(String, String)>)> {
        if !self.is_remote(href)? {
            return Ok((self.head(href, 0).await?.0, Vec::new()));
        }
        let _permit = self.permit(href).await;
        let range: Range<u64> = 0..1;
        let answer = match self.http.send(&Ask::range(href, &range, None).with_digests()).await {
            Err(Error::Status { status: 416, .. }) => self.http.send(&Ask::whole(href).with_digests()).await?,
            other => other?,
        };
        let size = if answer.is_empty { Some(0) } else { answer.size };
        let size = size.ok_or_else(|| Error::answer(href, "it does not say the size of the file"))?;
        let meta = ObjectMeta { etag: answer.etag, modified: answer.modified, ..ObjectMeta::new(href.clone(), size) };
        Ok((meta, answer.digests))
    }

    /// Waits until what was given up is taken back, at most so long: before a program ends.
    pub async fn settle(&self, patience: Duration) {
        let all = async {
            // Tasks that were ended drop what they held a little later.
            while self.writing.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut cleaning = {
                let mut cleaning = self.writing.cleaning.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *cleaning)
            };
            while cleaning.join_next().await.is_some() {}
        };
        // What is not taken back then, the rules of the bucket remove, or the next upload.
        let _ = tokio::time::timeout(patience, all).await;
    }

    /// Removes an object elsewhere, if it is there.
    ///
    /// # Errors
    /// [`Error::NotWritten`] and the transport's.
    pub async fn delete(&self, href: &Href) -> Result<()> {
        if let Some(bucket) = self.http.bucket(href)? {
            return bucket::delete(self, &bucket, href).await;
        }
        let change = Change { href, method: Method::DELETE, headers: HeaderMap::new(), body: None };
        self.http.change(&change, |status| matches!(status, 404 | 410)).await.map(|_| ())
    }
}

impl Upload {
    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes; it waits while as many parts are on their way as may be.
    ///
    /// # Errors
    /// Those of the request that failed; the upload cannot be finished then.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            // What is one part alone goes without being copied.
            let room = self.part - self.buffer.len();
            let now = bytes.split_to(bytes.len().min(room));
            if self.buffer.is_empty() && self.size == Some(now.len() as u64) {
                self.buffer = BytesMut::from(now);
            } else {
                self.buffer.extend_from_slice(&now);
            }
            let is_all = self.size.is_some_and(|size| size <= self.part as u64) && bytes.is_empty();
            if self.buffer.len() == self.part && !is_all {
                let full = std::mem::take(&mut self.buffer).freeze();
                self.send(full).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        if self.way.is_none() {
            self.way = Some(match self.store.http.bucket(&self.href)? {
                Some(bucket) => Way::Bucket(Parts::begin(&self.store, &bucket, &self.href).await?),
                None => Way::WebDav(Flow::begin(&self.store, &self.href, self.size).await?),
            });
        }
        match &mut self.way {
            None => Ok(()),
            Some(Way::Bucket(parts)) => parts.send(part).await,
            Some(Way::WebDav(flow)) => flow.send(part).await,
        }
    }

    /// Ends it: the object is there under its name when this returns. Its ETag, where one is told.
    ///
    /// # Errors
    /// [`Error::NotWritten`] and the transport's; nothing is under the name then, or what was there before.
    pub async fn finish(mut self) -> Result<Option<String>> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        let Some(mut way) = self.way.take() else {
            let _turn = self.store.writing.turn().await;
            return match self.store.http.bucket(&self.href)? {
                Some(bucket) => bucket::put(&self.store, &bucket, &self.href, rest).await,
                None => webdav::put(&self.store, &self.href, rest).await.map(|()| None),
            };
        };
        match &mut way {
            Way::Bucket(parts) => {
                if !rest.is_empty() {
                    parts.send(rest).await?;
                }
                parts.finish().await
            }
            Way::WebDav(flow) => {
                if !rest.is_empty() {
                    flow.send(rest).await?;
                }
                flow.finish().await.map(|()| None)
            }
        }
    }
}
