//! Zarr's keys over a folder that is being written, and over a store of ours.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use outcrop_store::{Href, Store, publish};
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{
    MaybeBytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey, StorePrefix,
    WritableStorageTraits,
};

use super::Complete;

/// Largest value of a key (an encoded chunk or shard), in bytes.
const MAX_VALUE: u64 = 4 << 30;

/// A folder that is being written. Keys are written under another name and renamed; the flush comes at the end.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl WritableStorageTraits for Folder {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        let target = self.path.join(key.as_str());
        let mut batch = publish::Batch::default();
        batch.write(&target, &value).map_err(|e| StorageError::Other(with_causes(&e)))
    }

    fn set_partial_many(&self, _: &StoreKey, _: OffsetBytesIterator) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("chunks are written whole".to_owned()))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match std::fs::remove_file(self.path.join(key.as_str())) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }

    fn erase_prefix(&self, _: &StorePrefix) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("groups are replaced whole".to_owned()))
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

/// Keys below an href.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) store: Store,
    pub(super) root: Href,
    /// Which chunks have to be there, once the arrays are known.
    pub(super) complete: Option<Arc<Complete>>,
}

impl Remote {
    /// The value of a key; `None` if there is none.
    pub(super) fn value(&self, key: &str) -> crate::Result<Option<Bytes>> {
        self.store.wait(self.bytes(key))
    }

    /// As [`Remote::value`], without blocking.
    pub(super) async fn bytes(&self, key: &str) -> crate::Result<Option<Bytes>> {
        let href = self.root.as_folder().join(key)?;
        match self.read(&href).await {
            Err(crate::Error::Store(e)) if e.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The value of the key of a chunk; `None` if it was never written.
    fn chunk(&self, key: &str) -> crate::Result<Option<Bytes>> {
        let found = self.value(key)?;
        if let (None, Some(complete)) = (&found, &self.complete) {
            let href = self.root.as_folder().join(key)?;
            self.store.wait(complete.missing(&self.store, &href))?;
        }
        Ok(found)
    }

    async fn read(&self, href: &Href) -> crate::Result<Bytes> {
        const FIRST: u64 = 1 << 20;
        let (meta, head) = self.store.head(href, FIRST).await?;
        if meta.is_html() {
            return Err(outcrop_store::Error::HtmlPage { href: href.clone() }.into());
        }
        if meta.size > MAX_VALUE {
            let what = format!("size of `{href}` in bytes");
            return Err(crate::Error::Limit { what, value: meta.size, limit: MAX_VALUE });
        }
        let at = head.len() as u64;
        if at >= meta.size {
            return Ok(head);
        }
        let rest = std::iter::once(at..meta.size).collect::<Vec<_>>();
        let mut whole = head.to_vec();
        for part in self.store.ranges(&meta, &rest).await? {
            whole.extend_from_slice(&part);
        }
        Ok(whole.into())
    }
}

fn cut(bytes: &Bytes, range: ByteRange) -> Result<Bytes, StorageError> {
    let len = bytes.len() as u64;
    let (start, end) = match range {
        ByteRange::FromStart(offset, None) => (offset, len),
        ByteRange::FromStart(offset, Some(length)) => (offset, offset.saturating_add(length)),
        ByteRange::Suffix(length) => (len.saturating_sub(length), len),
    };
    if start > end || end > len {
        return Err(StorageError::Other(format!("bytes {start}..{end} of a value of {len} bytes")));
    }
    let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(bytes.slice(place(start)..place(end)))
}

impl ReadableStorageTraits for Remote {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        self.chunk(key.as_str()).map_err(|e| StorageError::Other(with_causes(&e)))
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        Ok(Some(Box::new(ranges.map(move |range| cut(&bytes, range)))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.get(key)?.map(|bytes| bytes.len() as u64))
    }

    fn supports_get_partial(&self) -> bool {
        false
    }
}

/// An error and its causes as one text: `zarrs` keeps no more than that.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
