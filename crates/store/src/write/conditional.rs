//! Small objects of buckets that are written only in the place of the object that is expected there.

use std::future::Future;

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion};

use super::bucket::path_of;
use crate::bucket::not_written;
use crate::{Href, Result, Store};

/// What tells an object of a bucket from what others may write in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(UpdateVersion);

impl From<PutResult> for Tag {
    fn from(put: PutResult) -> Self {
        Self(put.into())
    }
}

impl Store {
    /// True for a place of which a write can be made to depend on what is there: a bucket.
    ///
    /// # Errors
    /// [`crate::Error::Settings`] if the settings of the bucket cannot be used.
    pub fn has_conditions(&self, href: &Href) -> Result<bool> {
        Ok(self.http.bucket(href)?.is_some())
    }

    /// Writes an object of a bucket by one request if there is none (`tag` is `None`), or if it is still the one of the tag.
    /// The tag of the new one; `None` if another is there. It is sent once: after an error it may be there or not.
    ///
    /// # Errors
    /// [`crate::Error::NotWritten`], also for a place without conditions.
    pub async fn put_if(&self, href: &Href, bytes: Bytes, tag: Option<&Tag>) -> Result<Option<Tag>> {
        let Some(bucket) = self.http.bucket(href)? else {
            let why = "the place has no conditional writes".to_owned();
            return Err(crate::Error::NotWritten { href: href.clone(), why });
        };
        let client = self.http.bucket_client(&bucket, href)?;
        let mode = tag.map_or(PutMode::Create, |tag| PutMode::Update(tag.0.clone()));
        match client.put_opts(&path_of(href)?, PutPayload::from_bytes(bytes), PutOptions::from(mode)).await {
            Ok(put) => Ok(Some(put.into())),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(not_written(href, &error)),
        }
    }

    /// The tag of an object of a bucket; `None` if there is none.
    ///
    /// # Errors
    /// As [`Store::put_if`].
    pub async fn tag(&self, href: &Href) -> Result<Option<Tag>> {
        let Some(bucket) = self.http.bucket(href)? else { return Ok(None) };
        let client = self.http.bucket_client(&bucket, href)?;
        match client.head(&path_of(href)?).await {
            Ok(meta) => Ok(Some(Tag(UpdateVersion { e_tag: meta.e_tag, version: meta.version }))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(not_written(href, &error)),
        }
    }

    /// Does work in the background, for which [`Store::settle`] waits.
    pub fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.writing.clean(self.runtime(), work);
    }
}
