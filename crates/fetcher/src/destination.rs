//! The catalog of the copies: a new one, one that is extended, or the source changed in place.
//!
//! Of a destination that is not local it is made here and sent at the end.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use outcrop_stac::{Ancestor, Ancestors, Body, Kind, Node, TreeWriter, WalkOptions, WriteOptions, document_href, walk};
use outcrop_store::publish::Batch;
use outcrop_store::{Href, Store};
use serde_json::{Value, json};

use crate::again::{Kept, path_of};
use crate::book::Book;
use crate::fetch::Target;
use crate::item::locked;
use crate::journal::Entry;
use crate::lease::Lease;
use crate::rewrite::{Copied, catalog_elsewhere, rewritten};
use crate::site::Site;
use crate::{Error, Result};

/// Id of the catalog of items that came without one.
const ALONE: &str = "items";

/// Takes items and writes them where they belong.
pub(crate) struct Destination {
    target: Target,
    writer: Option<TreeWriter>,
    /// Id of its root.
    root: String,
    /// Documents that were written, by the hash of their href.
    seen: HashSet<[u8; 16]>,
    /// Lines of the journal for documents that are not written yet; a group of them at most.
    pending: Vec<(Arc<Book>, Entry)>,
}

fn mark(href: &Href) -> [u8; 16] {
    let hash = blake3::hash(href.absolute().as_str().as_bytes());
    let mut mark = [0; 16];
    mark.copy_from_slice(&hash.as_bytes()[..16]);
    mark
}

impl Destination {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, writer: None, root: String::new(), seen: HashSet::new(), pending: Vec::new() }
    }

    /// Writes an item with the hrefs of its copies. Where its new document is, and its bytes.
    pub(crate) async fn add(&mut self, store: &Store, node: &Node, copies: &[Copied]) -> Result<Option<(Href, Bytes)>> {
        let Target::Folder(to) = self.target.clone() else {
            if !copies.is_empty() {
                write_in_place(store, node, copies).await?;
            }
            return Ok(None);
        };
        let path = path_of(&node.ancestors);
        let writer = self.writer(store, &to, &node.ancestors).await?;
        let own = [&path[..], &[node.document.id().to_owned()]].concat();
        let ids: Vec<&str> = own.iter().map(String::as_str).collect();
        let at = document_href(&to, &ids, Kind::Item)?;
        let bytes = writer.add_at(&path, rewritten(&node.document, &at, copies)?)?;
        self.seen.insert(mark(&at));
        Ok(Some((at, bytes)))
    }

    /// Notes a document in the journal when it is written.
    pub(crate) fn note(&mut self, book: Arc<Book>, entry: Entry) -> Result<()> {
        self.pending.push((book, entry));
        let is_settled = self.writer.as_ref().is_none_or(TreeWriter::is_settled);
        if is_settled { self.note_written() } else { Ok(()) }
    }

    fn note_written(&mut self) -> Result<()> {
        self.pending.drain(..).try_for_each(|(book, entry)| locked(&book.journal).add(&entry))
    }

    /// Names an item whose document is there and stays.
    pub(crate) async fn keep(&mut self, store: &Store, kept: &Kept) -> Result<()> {
        let Target::Folder(to) = self.target.clone() else { return Ok(()) };
        let writer = self.writer(store, &to, &kept.ancestors).await?;
        writer.add_existing(&kept.path(), &kept.id)?;
        self.seen.insert(mark(&kept.at));
        Ok(())
    }

    /// The writer, with the catalogs above an item.
    async fn writer(&mut self, store: &Store, to: &Href, ancestors: &Ancestors) -> Result<&mut TreeWriter> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.start(store, to, ancestors).await?,
        };
        let added = add_catalogs(&mut writer, ancestors, catalog_elsewhere);
        let writer = self.writer.insert(writer);
        added.map(|()| writer)
    }

    async fn start(&mut self, store: &Store, to: &Href, ancestors: &Ancestors) -> Result<TreeWriter> {
        let root = ancestors.first().map_or_else(alone, |root| catalog_elsewhere(root));
        root.get("id").and_then(Value::as_str).unwrap_or_default().clone_into(&mut self.root);
        if let Some(href) = root_of(store, to).await? {
            same_root(store, href, &self.root).await?;
        }
        Ok(TreeWriter::new(root, WriteOptions::new(Site::of(store, to).documents()))?)
    }

    /// Adds what the destination held before, then publishes the catalogs, each with its members by name. Of a bucket nobody else
    /// publishes to it before the answer is dropped.
    pub(crate) async fn finish(mut self, store: &Store) -> Result<Option<Lease>> {
        let (Some(mut writer), Target::Folder(to)) = (self.writer.take(), self.target.clone()) else { return Ok(None) };
        let site = Site::of(store, &to);
        let lease = Lease::take(store, &site).await?;
        // Another run may have made its root meanwhile.
        let root = match root_of(store, &to).await? {
            Some(href) if lease.is_some() => Some(same_root(store, href, &self.root).await?),
            other => other,
        };
        if root.is_some() && holds_others(store, &to, &self.seen).await {
            let mut old = pin!(walk(store, &to, WalkOptions::default()));
            while let Some(node) = old.next().await {
                let node = match node {
                    Ok(node) => node,
                    // What cannot be read now must not be forgotten; what is gone, or no document, is not named again.
                    Err(outcrop_stac::Error::Read { href, source }) if !source.is_not_found() => {
                        return Err(outcrop_stac::Error::Read { href, source }.into());
                    }
                    Err(_) => continue,
                };
                if node.document.kind() != Kind::Item || self.seen.contains(&mark(node.document.href())) {
                    continue;
                }
                add_catalogs(&mut writer, &node.ancestors, Ancestor::to_portable)?;
                writer.add_at(&path_of(&node.ancestors), node.document.into_body())?;
            }
        }
        writer.sort();
        writer.finish()?;
        self.note_written()?;
        site.publish_documents(store, lease.as_ref()).await?;
        Ok(lease)
    }
}

/// True if the catalog that is there may name items that were not written now.
async fn holds_others(store: &Store, to: &Href, seen: &HashSet<[u8; 16]>) -> bool {
    let mut catalogs = pin!(walk(store, to, WalkOptions { items: false, ..WalkOptions::default() }));
    while let Some(node) = catalogs.next().await {
        // That it names others must be ruled out.
        let Ok(node) = node else { return true };
        if node.document.item_hrefs().any(|href| href.is_ok_and(|href| !seen.contains(&mark(&href)))) {
            return true;
        }
    }
    false
}

/// The root document of a folder, if there is one.
async fn root_of(store: &Store, to: &Href) -> Result<Option<Href>> {
    for kind in [Kind::Catalog, Kind::Collection] {
        let href = document_href(to, &[], kind)?;
        let is_there = match href.to_path() {
            Some(path) => path.try_exists().map_err(|source| Error::Write { href: href.clone(), source })?,
            None => match store.head(&href, 1).await {
                Err(error) if error.is_not_found() => false,
                other => other.map(|_| true)?,
            },
        };
        if is_there {
            return Ok(Some(href));
        }
    }
    Ok(None)
}

/// Adds the catalogs above an item that are not there yet.
fn add_catalogs(writer: &mut TreeWriter, ancestors: &Ancestors, body: fn(&Ancestor) -> Body) -> Result<()> {
    let path = path_of(ancestors);
    for (depth, above) in ancestors.iter().enumerate().skip(1) {
        if writer.catalog_mut(&path[..depth]).is_none() {
            writer.add_catalog(&path[..depth], body(above))?;
        }
    }
    Ok(())
}

/// The root document, if it is of this id. A large one is read without the trees of its links.
///
/// # Errors
/// [`Error::OtherCatalog`] if it is not.
async fn same_root(store: &Store, href: Href, wanted: &str) -> Result<Href> {
    let found = outcrop_stac::load(store, &href).await?.into_document()?.id().to_owned();
    let wanted = wanted.to_owned();
    if found == wanted { Ok(href) } else { Err(Error::OtherCatalog { href, found, wanted }) }
}

fn alone() -> Body {
    let mut root = Body::new();
    root.insert("type".into(), "Catalog".into());
    root.insert("id".into(), ALONE.into());
    root.insert("stac_version".into(), "1.1.0".into());
    root.insert("description".into(), "Items that were fetched one by one".into());
    root.insert("links".into(), json!([]));
    root
}

async fn write_in_place(store: &Store, node: &Node, copies: &[Copied]) -> Result<()> {
    let href = node.document.href();
    let body = rewritten(&node.document, href, copies)?;
    if body == *node.document.body() {
        return Ok(());
    }
    let write = |source| Error::from(outcrop_stac::Error::Write { href: href.clone(), source });
    let io = |e: serde_json::Error| outcrop_store::Error::Io { action: "write", href: href.clone(), source: e.into() };
    let bytes = serde_json::to_vec_pretty(&body).map_err(|e| write(io(e)))?;
    let root = node.ancestors.first().map_or_else(|| href.folder(), |root| root.href.folder());
    let (Some(root), Some(path)) = (root.to_path(), href.to_path()) else {
        return store.put(href, bytes.into()).await.map_err(write);
    };
    // Below the catalog no link is followed, also if it is planted meanwhile.
    let work = move || {
        let mut batch = Batch::below(&root);
        batch.write(&path, &bytes)?;
        batch.flush()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?.map_err(write)
}
