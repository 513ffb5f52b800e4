//! The run: items in, concurrent transfers, items with new hrefs out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{Stream, StreamExt};
use outcrop_store::progress::Sink;
use outcrop_store::{Href, Store};
use tokio::task::JoinSet;

use crate::again::{self, Wanted};
use crate::cut::Cut;
use crate::destination::Destination;
use crate::item::{Done, Run, line_of_failure, locked, owner_of};
use crate::ledger::{Line, State};
use crate::place::OnConflict;
use crate::{Algorithm, Error, Result, Selection};

/// Fewest items that are on their way at once: so many small copies are flushed together.
const WIDTH: usize = 256;
/// Failures that a report holds; the ledger has all.
const TOLD: usize = 1000;
/// How often a journal is put to a place that is not local.
const NOW_AND_THEN: Duration = Duration::from_mins(5);

/// Where copies and their catalog go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A catalog in this folder, with each copy beside its item: a local one, or one of a bucket or WebDAV server. A catalog
    /// that is there already is extended.
    Folder(Href),
    /// Beside the items of the source catalog, which are rewritten.
    InPlace,
}

/// What is fetched and how.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Which assets.
    pub assets: Selection,
    /// Where they go.
    pub target: Target,
    /// Which part of each; `None` is all of it.
    pub cut: Option<Arc<Cut>>,
    /// Transfers at once (default 8, at least 1).
    pub jobs: usize,
    /// Only says what would be copied.
    pub dry_run: bool,
    /// Tries only what the ledger of the destination calls failed.
    pub retry_failed: bool,
    /// The digest that is made of copies whose catalog tells none (default BLAKE3); it is written into their items.
    pub checksum: Option<Algorithm>,
    /// What happens when two files of an item have one name.
    pub on_conflict: OnConflict,
    /// Where progress goes: one piece of work per file, in bytes.
    pub progress: Sink,
    /// Each line of the ledger, as it is written.
    pub told: Told,
}

impl FetchOptions {
    /// Options to fetch these assets to a target.
    pub fn new(assets: Selection, target: Target) -> Self {
        Self {
            assets,
            target,
            cut: None,
            jobs: 8,
            dry_run: false,
            retry_failed: false,
            checksum: Some(Algorithm::Blake3),
            on_conflict: OnConflict::default(),
            progress: Sink::default(),
            told: Told::default(),
        }
    }
}

/// Who is told each line of the ledger. The default is nobody.
#[derive(Clone, Default)]
pub struct Told(Option<Arc<Tell>>);

type Tell = dyn Fn(&Line) + Send + Sync;

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Told(on)" } else { "Told(off)" })
    }
}

impl Told {
    /// Calls `f` for each line.
    pub fn new(f: impl Fn(&Line) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
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
    /// Those of the copied of which nothing is known that they could be held against.
    pub unverified: u64,
    /// Bytes copied (of a dry run: those of assets whose size is known).
    pub bytes: u64,
    /// Number of failures.
    pub failures: u64,
    /// The first thousand of them; the ledger has all.
    pub failed: Vec<Failure>,
    /// What people should know although nothing failed; at most a thousand.
    pub warnings: Vec<String>,
    /// Wall clock.
    pub seconds: f64,
}

/// Copies the selected assets of items, and writes the items with the hrefs of the copies.
///
/// Each copy appears under its final name only when it is whole, checked and on the disk; a second run copies nothing. An
/// item without the asset, a transfer that fails, an item that could not be read: each is reported and the rest goes on.
/// What is unfinished when the future is dropped stays as a part that the next run goes on with.
///
/// Memory grows with the ids of the items (some 100 bytes each), not with the size or number of files.
///
/// # Errors
/// [`Error::NoAssets`], [`Error::OtherCatalog`], [`Error::Busy`] and [`Error::NoLedger`] for the destination,
/// [`Error::Journal`] and [`Error::Stac`] if it cannot be written.
pub async fn fetch<N, E>(
    store: &Store,
    items: impl Stream<Item = std::result::Result<N, E>>,
    options: &FetchOptions,
) -> Result<FetchReport>
where
    N: Into<Wanted>,
    E: std::error::Error + Send + Sync + 'static,
{
    let start = Instant::now();
    options.assets.check()?;
    let run = Arc::new(Run::new(store, options).await?);
    let mut destination = Destination::new(options.target.clone());
    let mut report = FetchReport::default();
    let width = WIDTH.max(4 * options.jobs);
    let mut items = std::pin::pin!(items);
    let (mut working, mut has_more) = (JoinSet::new(), true);
    let mut due = tokio::time::interval_at(tokio::time::Instant::now() + NOW_AND_THEN, NOW_AND_THEN);
    loop {
        tokio::select! {
            next = items.next(), if has_more && working.len() < width => match next {
                Some(Ok(item)) => drop(working.spawn(run.clone().item(item.into()))),
                Some(Err(error)) => report.unreadable(&run, Error::Item(Box::new(error))).await?,
                None => has_more = false,
            },
            Some(done) = working.join_next(), if !working.is_empty() => {
                let done = done.map_err(|_| Error::Interrupted)?;
                settle(&run, &mut destination, &mut report, done).await?;
            }
            _ = due.tick(), if has_more || !working.is_empty() => publish_journals(&run).await,
            else => break,
        }
    }
    for book in run.books().await {
        book.check_place()?;
    }
    let lease = destination.finish(store).await?;
    for book in run.books().await {
        book.check_place()?;
        let ledger = locked(&book.ledger).take();
        if let Some(ledger) = ledger {
            ledger.finish()?;
            // Another run may have noted its copies there meanwhile.
            if let Some(lease) = &lease
                && let Some(there) = book.site.journal_there(store).await?
            {
                lease.check()?;
                locked(&book.journal).merge(&there)?;
            }
            book.site.publish_books(store).await?;
        }
    }
    if let Some(lease) = lease {
        lease.release().await;
    }
    // They came as they ended.
    report.failed.sort_by(|a, b| (&a.item, &a.asset).cmp(&(&b.item, &b.asset)));
    report.warnings.sort_unstable();
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Puts the journals of places that are not local there, so that another machine could go on. One that cannot be put now
/// is put at the end.
async fn publish_journals(run: &Run) {
    for book in run.books().await.iter().filter(|book| book.site.is_remote() && !run.options.dry_run) {
        let _ = book.site.publish_book(&run.store, crate::journal::NAME).await;
    }
}

/// Takes up what became of an item.
async fn settle(run: &Run, destination: &mut Destination, report: &mut FetchReport, done: Done) -> Result<()> {
    report.items += u64::from(done.kept.is_some() || (done.node.is_some() && !done.is_left_out));
    report.bytes += done.bytes;
    for line in &done.lines {
        report.copied += u64::from(matches!(line.state, State::Done | State::Unverified));
        report.skipped += u64::from(line.state == State::Skipped);
        report.unverified += u64::from(line.state == State::Unverified);
        if let Some(tell) = &run.options.told.0 {
            tell(line);
        }
        done.book.as_ref().map_or(Ok(()), |book| book.note(line))?;
    }
    let is_written = !run.options.dry_run && !done.is_left_out;
    let added = match (&done.kept, done.node.as_ref().filter(|_| is_written)) {
        (Some(kept), _) => destination.keep(&run.store, kept).await.map(|()| None),
        (None, Some(node)) => destination.add(&run.store, node, &done.copies).await,
        (None, None) => Ok(None),
    };
    match added {
        Ok(Some((at, bytes))) => {
            if let Some(book) = &done.book
                && let Some(entry) = again::line_of(book, &done, &at, &bytes)
            {
                destination.note(book.clone(), entry)?;
            }
        }
        Ok(None) => {}
        Err(error @ (Error::OtherCatalog { .. } | Error::Stac(outcrop_stac::Error::Write { .. }))) => {
            return Err(error);
        }
        Err(why) => report.not_written(&done, why)?,
    }
    let Done { failed, warnings, .. } = done;
    report.failures += failed.len() as u64;
    report.failed.extend(failed.into_iter().take(TOLD.saturating_sub(report.failed.len())));
    report.warnings.extend(warnings.into_iter().take(TOLD.saturating_sub(report.warnings.len())));
    Ok(())
}

impl FetchReport {
    /// An item whose document could not be written.
    fn not_written(&mut self, done: &Done, why: Error) -> Result<()> {
        let node = done.node.as_ref();
        let owner = node.map_or_else(String::new, owner_of);
        let id = node.map_or_else(String::new, |node| node.document.id().to_owned());
        let href = node.map_or_else(String::new, |node| node.document.href().to_string());
        let line = line_of_failure(&owner, "", &href, &why);
        done.book.as_ref().map_or(Ok(()), |book| book.note(&line))?;
        self.failures += 1;
        self.failed.push(Failure { item: id, asset: String::new(), href, why });
        Ok(())
    }

    /// An item that could not be read.
    async fn unreadable(&mut self, run: &Run, why: Error) -> Result<()> {
        let line = line_of_failure("", "", "", &why);
        run.books().await.first().map_or(Ok(()), |book| book.note(&line))?;
        self.failures += 1;
        if self.failed.len() < TOLD {
            self.failed.push(Failure { item: String::new(), asset: String::new(), href: String::new(), why });
        }
        Ok(())
    }
}
