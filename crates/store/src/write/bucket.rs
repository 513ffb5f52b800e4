//! Objects of buckets: one request, or the parts of a multipart upload.

use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::Open;
use crate::bucket::{Bucket, BucketClient, not_written};
use crate::{Error, Href, Result, Store};

/// Parts of one object that are on their way at once.
const AT_ONCE: usize = 3;

/// The parts of an object.
pub(super) struct Parts {
    store: Store,
    href: Href,
    client: Arc<dyn BucketClient>,
    path: Path,
    id: Option<MultipartId>,
    done: Vec<Option<PartId>>,
    going: JoinSet<Result<(usize, PartId)>>,
    _open: Open,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({}, {})", self.href, self.done.len())
    }
}

pub(super) fn path_of(href: &Href) -> Result<Path> {
    let key = href.bucket_and_key().map_or("", |(_, key)| key);
    let refused = || Error::NotWritten { href: href.clone(), why: "its key is no path of names".to_owned() };
    if key.is_empty() || key.ends_with('/') {
        return Err(refused());
    }
    Path::parse(key).map_err(|_| refused())
}

/// The client after a failure that may come from another region, if the bucket is there.
async fn elsewhere(store: &Store, bucket: &Bucket, href: &Href) -> Option<Arc<dyn BucketClient>> {
    let before = bucket.region();
    // Whether the object is there does not matter, only where its bucket is.
    let _ = store.head(href, 1).await;
    if bucket.region() == before { None } else { store.http.bucket_client(bucket, href).ok() }
}

/// Writes an object by one request.
pub(super) async fn put(store: &Store, bucket: &Bucket, href: &Href, bytes: Bytes) -> Result<Option<String>> {
    let path = path_of(href)?;
    let mut client = store.http.bucket_client(bucket, href)?;
    let mut done = client.put(&path, PutPayload::from_bytes(bytes.clone())).await;
    if done.is_err()
        && let Some(other) = elsewhere(store, bucket, href).await
    {
        client = other;
        done = client.put(&path, PutPayload::from_bytes(bytes)).await;
    }
    done.map(|put| put.e_tag).map_err(|error| not_written(href, &error))
}

pub(super) async fn delete(store: &Store, bucket: &Bucket, href: &Href) -> Result<()> {
    let client = store.http.bucket_client(bucket, href)?;
    match client.delete(&path_of(href)?).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(not_written(href, &error)),
    }
}

impl Parts {
    pub(super) async fn begin(store: &Store, bucket: &Bucket, href: &Href) -> Result<Self> {
        let path = path_of(href)?;
        let mut client = store.http.bucket_client(bucket, href)?;
        let mut id = client.create_multipart(&path).await;
        if id.is_err()
            && let Some(other) = elsewhere(store, bucket, href).await
        {
            client = other;
            id = client.create_multipart(&path).await;
        }
        let id = Some(id.map_err(|error| not_written(href, &error))?);
        let (store, href, open) = (store.clone(), href.clone(), store.writing.open());
        Ok(Self { store, href, client, path, id, done: Vec::new(), going: JoinSet::new(), _open: open })
    }

    /// Sends the next part, after it has waited for one of those on their way if they are many.
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<()> {
        while self.going.len() >= AT_ONCE {
            self.settle().await?;
        }
        let Some(id) = self.id.clone() else { return Ok(()) };
        let (store, client, path, href) =
            (self.store.clone(), self.client.clone(), self.path.clone(), self.href.clone());
        let at = self.done.len();
        self.done.push(None);
        self.going.spawn(async move {
            let _turn = store.writing.turn().await;
            let sent = client.put_part(&path, &id, at, PutPayload::from_bytes(bytes)).await;
            sent.map(|part| (at, part)).map_err(|error| not_written(&href, &error))
        });
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        let ended = |_| Error::NotWritten { href: self.href.clone(), why: "the program is ending".to_owned() };
        if let Some(done) = self.going.join_next().await {
            let (at, part) = done.map_err(ended)??;
            self.done[at] = Some(part);
        }
        Ok(())
    }

    pub(super) async fn finish(&mut self) -> Result<Option<String>> {
        while !self.going.is_empty() {
            self.settle().await?;
        }
        let parts: Vec<PartId> = self.done.iter_mut().filter_map(Option::take).collect();
        let Some(id) = self.id.clone() else { return Ok(None) };
        let done = self.client.complete_multipart(&self.path, &id, parts).await;
        let put = done.map_err(|error| not_written(&self.href, &error))?;
        self.id = None;
        Ok(put.e_tag)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.going.abort_all();
        let Some(id) = self.id.take() else { return };
        let (client, path) = (self.client.clone(), self.path.clone());
        // The parts would be paid for until somebody removes them.
        let give_up = async move { drop(client.abort_multipart(&path, &id).await) };
        self.store.writing.clean(self.store.runtime(), give_up);
    }
}
