//! The run: items in, concurrent transfers, items with new hrefs out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::stream::{Stream, StreamExt};
use outcrop_stac::{Kind, Node, document_href};
use outcrop_store::progress::{Sink, Unit};
use outcrop_store::{Href, Store, publish};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::destination::Destination;
use crate::journal::{self, Entry, Journal};
use crate::rewrite::{Copied, name_of_copy, source_of};
use crate::{Error, Result};

/// Where copies and their catalog go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A catalog in this local folder, with each copy beside its item. One that is there already is extended.
    Folder(Href),
    /// Beside the items of the source catalog, which are rewritten.
    InPlace,
}

/// What is fetched and how.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Keys of the assets.
    pub assets: Vec<String>,
    /// Where they go.
    pub target: Target,
    /// Transfers at once (default 8, at least 1).
    pub jobs: usize,
    /// Only says what would be copied.
    pub dry_run: bool,
    /// Where progress goes: one piece of work per file, in bytes.
    pub progress: Sink,
}

impl FetchOptions {
    /// Options to fetch these assets to a target.
    pub fn new(assets: Vec<String>, target: Target) -> Self {
        Self { assets, target, jobs: 8, dry_run: false, progress: Sink::default() }
    }
}

/// An asset that was not copied, or an item that could not be had.
#[derive(Debug)]
pub struct Failure {
    /// Id of the item; empty if it could not be read.
    pub item: String,
    /// Key of the asset; empty if it is about the item.
    pub asset: String,
    /// What should have been read, without secrets.
    pub href: String,
    /// The reason; its `source` holds the causes.
    pub why: Error,
}

/// What a fetch did.
#[derive(Debug, Default)]
pub struct FetchReport {
    /// Items of the selection.
    pub items: u64,
    /// Assets copied (of a dry run: that would be).
    pub copied: u64,
    /// Assets that were there already, whole.
    pub skipped: u64,
    /// Bytes copied (of a dry run: those of assets whose size is known).
    pub bytes: u64,
    /// What failed.
    pub failed: Vec<Failure>,
    /// Wall clock.
    pub seconds: f64,
}

/// Copies the selected assets of items, and writes the items with the hrefs of the copies.
///
/// Each copy appears under its final name only when it is whole and on the disk; a second run copies nothing. An item
/// without the asset, a transfer that fails, an item that could not be read: each is reported and the rest goes on.
///
/// # Errors
/// [`Error::NoAssets`], [`Error::OtherCatalog`] and [`Error::Busy`] for the destination, [`Error::Journal`] and
/// [`Error::Stac`] if it cannot be written.
pub async fn fetch<E>(
    store: &Store,
    items: impl Stream<Item = std::result::Result<Node, E>>,
    options: &FetchOptions,
) -> Result<FetchReport>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let start = Instant::now();
    if options.assets.is_empty() {
        return Err(Error::NoAssets);
    }
    let run = Run::new(store, options)?;
    let mut destination = Destination::new(options.target.clone());
    let mut report = FetchReport::default();
    let jobs = options.jobs.max(1);
    let mut done = std::pin::pin!(items.map(|node| run.item(node)).buffered(2 * jobs));
    while let Some(done) = done.next().await {
        report.items += u64::from(done.node.is_some());
        report.copied += done.copied;
        report.skipped += done.skipped;
        report.bytes += done.bytes;
        report.failed.extend(done.failed);
        if let Some(node) = done.node.filter(|_| !options.dry_run) {
            match destination.add(store, &node, &done.copies).await {
                Ok(()) => {}
                Err(error @ (Error::OtherCatalog { .. } | Error::Stac(outcrop_stac::Error::Write { .. }))) => {
                    return Err(error);
                }
                Err(why) => report.failed.push(failure(&node, "", why)),
            }
        }
    }
    destination.finish(store).await?;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

fn failure(node: &Node, asset: &str, why: Error) -> Failure {
    let href = node.document.href().to_string();
    Failure { item: node.document.id().to_owned(), asset: asset.to_owned(), href, why }
}

/// What became of one item.
#[derive(Default)]
struct Done {
    node: Option<Node>,
    copies: Vec<Copied>,
    copied: u64,
    skipped: u64,
    bytes: u64,
    failed: Vec<Failure>,
}

/// An asset to copy.
struct Transfer {
    copy: Copied,
    path: PathBuf,
    /// Path below the destination.
    file: String,
    want: Option<u64>,
}

enum Outcome {
    Copied(u64),
    Skipped,
}

struct Run<'a> {
    store: &'a Store,
    options: &'a FetchOptions,
    slots: Semaphore,
    /// One journal per destination: of the folder, or of the catalog that is changed in place.
    journals: Mutex<HashMap<String, Journal>>,
}

impl<'a> Run<'a> {
    fn new(store: &'a Store, options: &'a FetchOptions) -> Result<Self> {
        let run = Self { store, options, slots: Semaphore::new(options.jobs.max(1)), journals: Mutex::default() };
        if let Target::Folder(to) = &options.target {
            if !to.is_local() {
                let source = outcrop_store::Error::ReadOnly { href: to.clone() };
                return Err(outcrop_stac::Error::Write { href: to.clone(), source }.into());
            }
            run.open_journal(to)?;
        }
        Ok(run)
    }

    /// A journal is whole after each call, so one left by a panic can be used.
    fn journals(&self) -> MutexGuard<'_, HashMap<String, Journal>> {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_journal(&self, root: &Href) -> Result<()> {
        let mut journals = self.journals();
        if !self.options.dry_run && !journals.contains_key(root.as_str()) {
            journals.insert(root.as_str().to_owned(), Journal::open(root)?);
        }
        Ok(())
    }

    /// True if the copy is there and whole, as the journal of the destination says.
    fn is_there(&self, root: &Href, transfer: &Transfer) -> bool {
        let file = (transfer.path.as_path(), transfer.file.as_str());
        match self.journals().get(root.as_str()) {
            Some(journal) => journal::holds(journal.entries(), file, &transfer.copy.source, transfer.want),
            None => journal::holds(&Journal::peek(root), file, &transfer.copy.source, transfer.want),
        }
    }

    /// Fetches the selected assets of an item.
    async fn item<E>(&self, node: std::result::Result<Node, E>) -> Done
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let node = match node {
            Ok(node) => node,
            Err(error) => {
                let why = Error::Item(Box::new(error));
                let failure = Failure { item: String::new(), asset: String::new(), href: String::new(), why };
                return Done { failed: vec![failure], ..Done::default() };
            }
        };
        let mut done = Done::default();
        match self.place(&node) {
            Ok((root, folder)) => self.assets(&node, &root, &folder, &mut done).await,
            Err(why) => {
                done.failed.push(failure(&node, "", why));
                return done;
            }
        }
        done.node = Some(node);
        done
    }

    /// The destination and the folder of the item's copies.
    fn place(&self, node: &Node) -> Result<(Href, Href)> {
        let item = &node.document;
        if let Target::Folder(to) = &self.options.target {
            let path: Vec<&str> = node.path().into_iter().skip(1).chain([item.id()]).collect();
            let document = document_href(to, &path, Kind::Item)?;
            no_link_below(to, &document)?;
            return Ok((to.clone(), document.folder()));
        }
        if !item.href().is_local() {
            return Err(Error::NotLocal { item: item.id().to_owned(), href: item.href().clone() });
        }
        let root = node.ancestors.first().map_or_else(|| item.href().folder(), |root| root.href.folder());
        no_link_below(&root, item.href())?;
        self.open_journal(&root)?;
        Ok((root, item.href().folder()))
    }

    async fn assets(&self, node: &Node, root: &Href, folder: &Href, done: &mut Done) {
        let mut wanted: Vec<Transfer> = Vec::new();
        let keys: Vec<String> = node.document.assets().map(|(key, _)| key.to_owned()).collect();
        for key in &self.options.assets {
            if !keys.contains(key) {
                let (item, known) = (node.document.id().to_owned(), keys.join(", "));
                done.failed.push(failure(node, key, Error::NoAsset { item, asset: key.clone(), known }));
                continue;
            }
            match transfer(node, key, root, folder).and_then(|next| check_name(node, &wanted, next)) {
                Ok(transfer) => wanted.push(transfer),
                Err(why) => done.failed.push(failure(node, key, why)),
            }
        }
        let outcomes = futures::future::join_all(wanted.iter().map(|next| self.transfer(node, root, next))).await;
        for (transfer, outcome) in wanted.into_iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Copied(bytes)) => (done.copied, done.bytes) = (done.copied + 1, done.bytes + bytes),
                Ok(Outcome::Skipped) => done.skipped += 1,
                Err(why) => {
                    let mut failed = failure(node, &transfer.copy.key, why);
                    failed.href = transfer.copy.source.to_string();
                    done.failed.push(failed);
                    continue;
                }
            }
            done.copies.push(transfer.copy);
        }
        // What an earlier run copied stays a copy.
        for key in keys.iter().filter(|key| !self.options.assets.contains(key)) {
            if let Ok(transfer) = transfer(node, key, root, folder)
                && self.is_there(root, &transfer)
            {
                done.copies.push(transfer.copy);
            }
        }
    }

    async fn transfer(&self, node: &Node, root: &Href, transfer: &Transfer) -> Result<Outcome> {
        no_link_below(root, &transfer.copy.copy)?;
        if self.is_there(root, transfer) {
            return Ok(Outcome::Skipped);
        }
        let _slot = self.slots.acquire().await;
        let (store, source) = (self.store, &transfer.copy.source);
        let size = match transfer.want {
            Some(size) => Some(size),
            None => store.head(source, 1).await.ok().map(|(meta, _)| meta.size),
        };
        if self.options.dry_run {
            return Ok(Outcome::Copied(size.unwrap_or(0)));
        }
        let label = format!("{} {}", node.document.id(), transfer.copy.key);
        let progress = self.options.progress.begin(label, size, Unit::Bytes);
        // The journal is locked, so what is there of an earlier run has nobody who would finish it.
        publish::remove_parts(&transfer.path);
        let copied = store.download(source, &transfer.path, transfer.want, &progress).await;
        let (item, asset) = (node.document.id().to_owned(), transfer.copy.key.clone());
        let size = copied.map_err(|source| Error::Transfer { item, asset, source })?;
        self.note(root, transfer, size)?;
        Ok(Outcome::Copied(size))
    }

    fn note(&self, root: &Href, transfer: &Transfer, size: u64) -> Result<()> {
        let entry = Entry { file: transfer.file.clone(), href: transfer.copy.source.to_string(), size };
        match self.journals().get_mut(root.as_str()) {
            Some(journal) => journal.add(entry),
            None => Ok(()),
        }
    }
}

/// Nothing between the destination and a path below it, the path included, is a symbolic link.
fn no_link_below(root: &Href, below: &Href) -> Result<()> {
    let (root, below) = (root.absolute().to_path().unwrap_or_default(), below.absolute().to_path().unwrap_or_default());
    let links =
        below.ancestors().take_while(|path| *path != root && path.starts_with(&root)).filter(|p| p.is_symlink());
    links.last().map_or(Ok(()), |link| Err(Error::Link { href: Href::from_path(link) }))
}

fn transfer(node: &Node, key: &str, root: &Href, folder: &Href) -> Result<Transfer> {
    let item = &node.document;
    let beside = |href: &Href| folder.as_folder().join(href.file_name()?).ok();
    let source = source_of(item, key, beside)?.absolute();
    let name = name_of_copy(item.id(), key, &source)?;
    let copy = Href::parse(&format!("{}{name}", folder.as_folder().as_str()));
    let copy = copy.map_err(|source| Error::Name { item: item.id().to_owned(), asset: key.to_owned(), source })?;
    let below = root.as_folder();
    let file = copy.absolute().as_str().trim_start_matches(below.absolute().as_str()).to_owned();
    let want = item.asset(key).and_then(|asset| asset.get("file:size")).and_then(Value::as_u64);
    let path = copy.to_path().unwrap_or_default();
    Ok(Transfer { copy: Copied { key: key.to_owned(), source, copy }, path, file, want })
}

/// Names within a folder differ, also where file names know no case; the item's own document is one of them.
fn check_name(node: &Node, before: &[Transfer], next: Transfer) -> Result<Transfer> {
    let name = |href: &Href| href.file_name().unwrap_or_default().to_lowercase();
    let document = format!("{}.json", node.document.id().to_lowercase());
    let own = name(&next.copy.copy);
    let twin = before.iter().find(|other| name(&other.copy.copy) == own).map(|other| other.copy.key.clone());
    let twin = twin.or_else(|| (own == document).then(|| "the item's document".to_owned()));
    match twin {
        None => Ok(next),
        Some(first) => {
            let (item, second) = (node.document.id().to_owned(), next.copy.key);
            Err(Error::SameName { item, name: own, first, second })
        }
    }
}
