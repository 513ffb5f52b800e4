//! Whether the chunks of an array are all there: asked when an object is not, or when the objects are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use outcrop_store::{EntryKind, Href, Store};
use serde_json::Value;

use super::lower::Keys;
use super::marker::{MARKER, Marker};
use super::read::ArrayInfo;
use crate::layout::product;
use crate::{Error, Result};

/// Most folders of an array that are listed in an object store, each by a request of its own.
const MAX_REMOTE: usize = 16;
/// Most arrays of a store in an object store whose objects are counted.
const MAX_ARRAYS: usize = 32;
/// Most objects of an array that are counted.
const MAX_OBJECTS: usize = 1 << 20;

/// How many objects of an array there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObjects {
    /// Objects that are there: chunks, or shards of them.
    pub found: u64,
    /// Objects of an array without a chunk of fill value alone.
    pub all: u64,
    /// True if an object is a shard of several chunks.
    pub sharded: bool,
    /// Objects that were there when the array was complete, by its marker; or why the marker cannot be read.
    pub written: Option<Result<u64, String>>,
}

/// The arrays of a store whose chunks are objects.
#[derive(Debug)]
pub(crate) struct Complete {
    /// By the folder of each.
    arrays: BTreeMap<String, Watched>,
}

#[derive(Debug)]
struct Watched {
    keys: Keys,
    /// Objects along each dimension.
    counts: Vec<u64>,
    document: Arc<Value>,
    /// Whether the consolidated metadata say that there is a marker; `None` where there are no such metadata.
    hinted: Option<bool>,
    said: Mutex<Option<Said>>,
}

/// What there is to know of an array.
#[derive(Debug, Clone)]
enum Said {
    /// There is no marker, or it is of an array that has been changed since.
    Nothing,
    Marker(Arc<Marker>),
    /// There should be one that can be read.
    Unknown(String),
}

impl Complete {
    pub(super) fn of(root: &Href, arrays: &[ArrayInfo], hinted: Option<&BTreeSet<String>>) -> Self {
        let watched = |array: &ArrayInfo| {
            let keys = Keys::of(array, root).ok()?;
            let counts = array.shape.iter().zip(&array.chunk).map(|(len, chunk)| len.div_ceil(*chunk)).collect();
            let (document, hinted) = (array.document.clone(), hinted.map(|names| names.contains(&array.path)));
            Some((keys.folder.as_str().to_owned(), Watched { keys, counts, document, hinted, said: Mutex::default() }))
        };
        Self { arrays: arrays.iter().filter_map(watched).collect() }
    }

    /// Refuses that an object is not there, if it was written; nothing where it is of fill value.
    ///
    /// # Errors
    /// [`Error::MissingChunk`]; the store's, where the marker cannot be had.
    pub(crate) async fn missing(&self, store: &Store, href: &Href) -> Result<()> {
        let before = self.arrays.range::<str, _>((Bound::Unbounded, Bound::Included(href.as_str()))).next_back();
        let Some((folder, watched)) = before.filter(|(folder, _)| href.as_str().starts_with(folder.as_str())) else {
            return Ok(());
        };
        let missing = |why: String| Err(Error::MissingChunk { href: href.clone(), why });
        match watched.said(store).await? {
            Said::Nothing => Ok(()),
            Said::Unknown(why) => missing(format!("whether it was ever written cannot be told: {why}")),
            Said::Marker(marker) => {
                let name = href.as_str().get(folder.len()..).unwrap_or_default();
                let written = watched.keys.names.linear(name, &watched.counts).and_then(|at| marker.has(at));
                if written != Some(true) {
                    return Ok(());
                }
                let next = match watched.hinted {
                    Some(_) => "consolidate its metadata anew".to_owned(),
                    None => format!("remove `{folder}{MARKER}`"),
                };
                missing(format!(
                    "it was there when the array was complete; copy the store again, or {next} to read what is missing as \
                     fill value"
                ))
            }
        }
    }

    /// Counts the objects of an array, where its folders can be listed; `None` where that is not known or takes many
    /// requests.
    pub(crate) async fn count(&self, store: &Store, (keys, sharded): (&Keys, bool)) -> Result<Option<StoredObjects>> {
        let Some(watched) = self.arrays.get(keys.folder.as_str()) else { return Ok(None) };
        let all = product(&watched.counts, "the grid of chunks")?;
        if !keys.folder.is_local() && self.arrays.len() > MAX_ARRAYS {
            return Ok(None);
        }
        let Some(found) = watched.list(store).await? else { return Ok(None) };
        let written = match watched.said(store).await? {
            Said::Nothing => None,
            Said::Marker(marker) => Some(Ok(marker.stored)),
            Said::Unknown(why) => Some(Err(why)),
        };
        Ok(Some(StoredObjects { found, all, sharded, written }))
    }
}

impl Watched {
    /// What the marker says. It is asked for once, and not at all of stores of others over a network.
    ///
    /// Another program that has written to the store has consolidated its metadata too, and names no marker: it may have
    /// removed chunks that are fill value alone now.
    async fn said(&self, store: &Store) -> Result<Said> {
        if let Some(said) = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(said);
        }
        let said = self.ask(store).await?;
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said.clone());
        Ok(said)
    }

    async fn ask(&self, store: &Store) -> Result<Said> {
        let folder = &self.keys.folder;
        if self.hinted == Some(false) || (self.hinted.is_none() && !folder.is_local()) {
            return Ok(Said::Nothing);
        }
        let href = folder.as_folder().join(MARKER)?;
        let bytes = match store.get(&href).await {
            Ok(bytes) => bytes,
            Err(e) if e.is_not_found() && self.hinted == Some(true) => {
                let why =
                    "is not there; copy it too, or consolidate the metadata anew to read what is missing as fill value";
                return Ok(Said::Unknown(format!("the marker `{href}` {why}")));
            }
            Err(e) if e.is_not_found() => return Ok(Said::Nothing),
            Err(e) => return Err(e.into()),
        };
        Ok(match Marker::parse(&bytes) {
            Err(why) => Said::Unknown(format!("the marker `{href}` cannot be read, {why}")),
            Ok(marker) if marker.is_of(&self.document) => Said::Marker(Arc::new(marker)),
            Ok(_) => Said::Nothing,
        })
    }

    /// Objects in the folders of the array that are chunks.
    async fn list(&self, store: &Store) -> Result<Option<u64>> {
        let most = match &self.keys.folder {
            local if local.is_local() => MAX_OBJECTS,
            bucket if bucket.to_url().is_none() => MAX_REMOTE,
            _ => return Ok(None),
        };
        let (mut folders, mut listed, mut found) = (vec![(self.keys.folder.clone(), String::new())], 0, 0u64);
        while let Some((folder, prefix)) = folders.pop() {
            listed += 1;
            if listed > most || found > MAX_OBJECTS as u64 {
                return Ok(None);
            }
            let entries = match store.list(&folder).await {
                Err(e) if e.is_not_found() => continue,
                entries => entries?,
            };
            for entry in entries {
                let name = format!("{prefix}{}", entry.name.trim_end_matches('/'));
                match entry.kind {
                    EntryKind::File => found += u64::from(self.keys.names.linear(&name, &self.counts).is_some()),
                    EntryKind::Folder => folders.push((entry.href, format!("{name}/"))),
                }
            }
        }
        Ok(Some(found))
    }
}
