//! What is done with one item: its plans, its transfers, what became of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use outcrop_stac::{Kind, Node, document_href};
use outcrop_store::progress::{Progress, Unit};
use outcrop_store::{Href, Store, twin_key};
use tokio::sync::Semaphore;

use crate::again::{self, Kept, Wanted, mark_of, path_of};
use crate::book::Book;
use crate::commit::Committer;
use crate::cut::{self, Cut, Kind as FileKind};
use crate::fetch::{Failure, FetchOptions, Target};
use crate::journal::{self, Entry, Journal};
use crate::ledger::{Ledger, Line, State};
use crate::place::{Places, Plan, no_link_below};
use crate::remote;
use crate::rewrite::Copied;
use crate::site::Site;
use crate::transfer::{self, Copy, Reason};
use crate::verify::Verified;
use crate::wants::wants;
use crate::{Error, Result};

/// What all items of a run share.
pub(crate) struct Run {
    pub(crate) store: Store,
    pub(crate) options: FetchOptions,
    slots: Semaphore,
    /// Of the first destination, which most runs have alone.
    first: OnceLock<(Href, Arc<Book>)>,
    books: tokio::sync::Mutex<HashMap<String, Arc<Book>>>,
    committer: Committer,
    /// Folders that are taken, by the hash of what tells their names apart, and by which item, where that is another text.
    folders: Mutex<HashMap<[u8; 16], Option<Box<str>>>>,
}

/// What became of one item.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) node: Option<Node>,
    pub(crate) copies: Vec<Copied>,
    pub(crate) lines: Vec<Line>,
    pub(crate) failed: Vec<Failure>,
    pub(crate) warnings: Vec<String>,
    pub(crate) book: Option<Arc<Book>>,
    pub(crate) bytes: u64,
    /// It is there already, and stays as it is.
    pub(crate) kept: Option<Kept>,
    /// What its document is made of, where a later run may keep it.
    pub(crate) mark: Option<String>,
    /// Nothing of it was to be tried again.
    pub(crate) is_left_out: bool,
}

/// A lock that a panic left is as good as any: what it guards is whole after each call.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    pub(crate) async fn new(store: &Store, options: &FetchOptions) -> Result<Self> {
        let run = Self {
            store: store.clone(),
            options: options.clone(),
            slots: Semaphore::new(options.jobs.max(1)),
            first: OnceLock::new(),
            books: tokio::sync::Mutex::default(),
            committer: Committer::default(),
            folders: Mutex::default(),
        };
        if let Target::Folder(to) = &options.target {
            run.book(to).await?;
        }
        Ok(run)
    }

    /// The books of a destination, opened with the first of its items.
    async fn book(&self, root: &Href) -> Result<Arc<Book>> {
        if let Some((_, book)) = self.first.get().filter(|(known, _)| known == root) {
            return Ok(book.clone());
        }
        let mut books = self.books.lock().await;
        if let Some(book) = books.get(root.as_str()) {
            return Ok(book.clone());
        }
        let site = Site::of(&self.store, root);
        let (mut ledger, mut retry) = (None, None);
        let journal = if self.options.dry_run {
            Journal::peek(&site.books)
        } else {
            let mut journal = Journal::open(&site.books)?;
            if site.is_remote() {
                site.take_over(&self.store, &mut journal).await?;
                site.clear_documents();
                // Whether anything can be written there shows now, before the first byte.
                site.publish_book(&self.store, journal::NAME).await?;
            }
            let mut begun = Ledger::begin(&site.books)?;
            if self.options.retry_failed {
                retry = Some(begun.take_over().map_err(|_| Error::NoLedger { href: root.clone() })?);
            }
            ledger = Some(begun);
            journal
        };
        let place = site.place().filter(|_| !self.options.dry_run);
        let (journal, ledger) = (Arc::new(Mutex::new(journal)), Mutex::new(ledger));
        let book = Arc::new(Book { site, journal, ledger, place, retry });
        books.insert(root.as_str().to_owned(), book.clone());
        let _ = self.first.set((root.clone(), book.clone()));
        Ok(book)
    }

    /// All books, for the end.
    pub(crate) async fn books(&self) -> Vec<Arc<Book>> {
        self.books.lock().await.values().cloned().collect()
    }

    /// Fetches the selected assets of an item, unless it is there as it would be.
    pub(crate) async fn item(self: Arc<Self>, wanted: Wanted) -> Done {
        let mark = mark_of(&wanted, &self.options);
        if let (Some(mark), Target::Folder(to)) = (&mark, &self.options.target)
            && let Ok(book) = self.book(to).await
            && let Some(mut done) = again::kept(&book, &wanted, mark)
            && done.kept.as_ref().is_some_and(|kept| self.claim(&owner(&kept.path(), &kept.id)).is_ok())
        {
            done.book = Some(book);
            return done;
        }
        let mut done = Done { mark, ..Done::default() };
        let mut node = match wanted.into_node() {
            Ok(node) => node,
            Err(error) => {
                done.book = self.books().await.pop();
                let why = Error::from(error);
                done.lines.push(line_of_failure("", "", "", &why));
                let (item, asset, href) = Default::default();
                done.failed.push(Failure { item, asset, href, why });
                return done;
            }
        };
        let owner = owner_of(&node);
        match self.place(&node, &owner).await {
            Ok((book, folder)) => {
                self.assets(&node, &book, &folder, &mut done).await;
                done.book = Some(book);
                if let Err(why) = self.narrow(&mut node, &done.copies).await {
                    fail(&mut done, (&node, &owner), "", why);
                    return done;
                }
            }
            Err(why) => {
                fail(&mut done, (&node, &owner), "", why);
                done.book = self.books().await.pop();
                return done;
            }
        }
        done.node = Some(node);
        done
    }

    /// The destination and the folder of the item's copies.
    async fn place(&self, node: &Node, owner: &str) -> Result<(Arc<Book>, Href)> {
        let item = &node.document;
        if let Target::Folder(to) = &self.options.target {
            let path: Vec<&str> = node.path().into_iter().skip(1).chain([item.id()]).collect();
            let document = document_href(to, &path, Kind::Item)?;
            no_link_below(to, &document)?;
            let book = self.book(to).await?;
            self.claim(owner)?;
            return Ok((book, document.folder()));
        }
        let root = node.ancestors.first().map_or_else(|| item.href().folder(), |root| root.href.folder());
        no_link_below(&root, item.href())?;
        Ok((self.book(&root).await?, item.href().folder()))
    }

    /// Takes the folder of an item, which no other may have.
    fn claim(&self, owner: &str) -> Result<()> {
        let key = twin_key(owner);
        let mut mark = [0; 16];
        mark.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
        let own = (key != owner).then(|| Box::from(owner));
        match locked(&self.folders).insert(mark, own) {
            Some(first) => {
                let first = first.map_or(key, |first: Box<str>| first.into());
                Err(Error::SameFolder { first, second: owner.to_owned() })
            }
            None => Ok(()),
        }
    }

    async fn assets(&self, node: &Node, book: &Book, folder: &Href, done: &mut Done) {
        let owner = owner_of(node);
        let (mut keys, lacking) = self.options.assets.of(&node.document);
        let mut lacking: Vec<(String, Error)> = lacking;
        if let Some(retry) = &book.retry {
            let again = |key: &str| [key, ""].iter().any(|key| retry.contains(&(owner.clone(), (*key).to_owned())));
            keys.retain(|key| again(key));
            lacking.retain(|(key, _)| again(key));
            done.is_left_out = keys.is_empty() && lacking.is_empty();
        }
        for (key, why) in lacking {
            fail(done, (node, &owner), &key, why);
        }
        let mut places = Places::new(node, &book.site.root, folder);
        places.on_conflict = self.options.on_conflict;
        places.cut = self.options.cut.as_deref();
        let mut wanted = Vec::new();
        for key in &keys {
            match places.plan(key) {
                Ok(plan) => wanted.push(plan),
                Err(why) => fail(done, (node, &owner), key, why),
            }
        }
        let outcomes = futures::future::join_all(wanted.iter().map(|plan| self.transfer(node, book, plan))).await;
        for (plan, outcome) in wanted.into_iter().zip(outcomes) {
            if let Some(why) = &plan.doubt {
                done.warnings.push(format!("{owner} {}: its `file:checksum` cannot be used: {why}", plan.copy.key));
            }
            match outcome {
                Ok((state, entry)) => take(done, (&owner, plan), state, &entry),
                Err(why) => {
                    fail(done, (node, &owner), &plan.copy.key, why);
                    let href = plan.copy.source.to_string();
                    if let (Some(failure), Some(line)) = (done.failed.last_mut(), done.lines.last_mut()) {
                        (failure.href, line.href) = (href.clone(), href);
                    }
                }
            }
        }
        // What an earlier run copied stays a copy.
        let others: Vec<String> = node.document.assets().map(|(key, _)| key.to_owned()).collect();
        for key in others.iter().filter(|key| !keys.contains(key)) {
            if let Ok(plan) = places.plan(key)
                && let Some(entry) = book.holds(&self.store, &plan).await
            {
                done.copies.push(copied(plan.copy, &entry));
            }
        }
    }

    async fn transfer(&self, node: &Node, book: &Book, plan: &Plan) -> Result<(State, Entry)> {
        no_link_below(&book.site.root, &plan.copy.copy)?;
        if let Some(entry) = book.holds(&self.store, plan).await {
            return Ok((State::Skipped, entry));
        }
        let _room = self.committer.room().await;
        let slot = self.slots.acquire().await;
        if self.options.dry_run {
            let size = match plan.known.size {
                Some(size) => size,
                // How large a part will be is known when it is there.
                None if plan.part.is_some() => 0,
                None => self.store.head(&plan.copy.source, 1).await.map_or(0, |(meta, _)| meta.size),
            };
            return Ok((State::Done, entry_of(plan, &plan.copy.source, size)));
        }
        if let (Some(cut), Some((_, kind))) = (&self.options.cut, &plan.part) {
            return Ok((State::Done, self.part(node, book, plan, (cut, *kind)).await?));
        }
        if book.site.is_remote() {
            return self.send(node, book, plan).await;
        }
        let mut failure = None;
        let mut copy = None;
        for source in std::iter::once(&plan.copy.source).chain(&plan.mirrors) {
            match self.copy(node, book, plan, source).await {
                Ok(made) => {
                    copy = Some((made, source));
                    break;
                }
                // The first place is the one that people know.
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        let Some((copy, source)) = copy else { return Err(failure.unwrap_or(Error::Interrupted)) };
        drop(slot);
        let state = if copy.verified == Verified::Unverified { State::Unverified } else { State::Done };
        let mut entry = entry_of(plan, source, copy.size);
        entry.checksum = copy.checksum.map(|checksum| checksum.to_string());
        entry.verified = copy.verified.to_string();
        let path = plan.copy.copy.to_path().unwrap_or_default();
        self.committer.commit(copy.staged, path, entry.clone(), book.journal.clone()).await?;
        Ok((state, entry))
    }

    /// Copies an asset to a place that is not local, and notes it.
    async fn send(&self, node: &Node, book: &Book, plan: &Plan) -> Result<(State, Entry)> {
        let mut failure = None;
        for source in std::iter::once(&plan.copy.source).chain(&plan.mirrors) {
            let progress = self.begin(node, plan);
            let (ways, algorithm) = ((source, &plan.copy.copy), self.options.checksum);
            match transfer::send(&self.store, ways, &plan.known, algorithm, &progress).await {
                Ok(sent) => {
                    let state = if sent.verified == Verified::Unverified { State::Unverified } else { State::Done };
                    let mut entry = entry_of(plan, source, sent.size);
                    entry.checksum = sent.checksum.map(|checksum| checksum.to_string());
                    (entry.verified, entry.etag) = (sent.verified.to_string(), sent.etag);
                    let entry = entry.now();
                    locked(&book.journal).add(&entry)?;
                    return Ok((state, entry));
                }
                // The first place is the one that people know.
                Err(reason) => failure = failure.or(Some(of_reason(node, plan, reason))),
            }
        }
        Err(failure.unwrap_or(Error::Interrupted))
    }

    fn begin(&self, node: &Node, plan: &Plan) -> Progress {
        let name = format!("{} {}", node.document.id(), plan.copy.key);
        self.options.progress.begin(name, plan.known.size, Unit::Bytes)
    }

    /// Makes a part of an asset, and notes it.
    async fn part(&self, node: &Node, book: &Book, plan: &Plan, (cut, kind): (&Cut, FileKind)) -> Result<Entry> {
        let (item, asset) = (node.document.id(), plan.copy.key.as_str());
        let is_remote = book.site.is_remote();
        let path = if is_remote { Some(book.site.workshop().join(&plan.file)) } else { plan.copy.copy.to_path() };
        let to = path.unwrap_or_default();
        let mut failure = None;
        for source in std::iter::once(&plan.copy.source).chain(&plan.mirrors) {
            let task = cut::Task {
                source,
                to: to.clone(),
                kind,
                bands: cut::names(node.document.asset(asset)),
                algorithm: self.options.checksum,
                jobs: self.options.jobs,
                progress: self.options.progress.clone(),
            };
            match cut::cut(&self.store, cut, task).await {
                Ok(made) => {
                    let mut entry = entry_of(plan, source, made.size);
                    entry.checksum = made.checksum.map(|checksum| checksum.to_string());
                    cut::VERIFIED.clone_into(&mut entry.verified);
                    if is_remote {
                        entry.etag = remote::send_part(&self.store, &to, &plan.copy.copy, kind).await?;
                        let entry = entry.now();
                        locked(&book.journal).add(&entry)?;
                        return Ok(entry);
                    }
                    let write = |source| Error::Write { href: plan.copy.copy.clone(), source };
                    let entry = entry.dated(&std::fs::metadata(&to).map_err(write)?);
                    let mut journal = locked(&book.journal);
                    journal.add(&entry)?;
                    journal.flush()?;
                    return Ok(entry);
                }
                // The first place is the one that people know.
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        let source = failure.unwrap_or_else(|| Error::Interrupted.into());
        Err(Error::Cut { item: item.to_owned(), asset: asset.to_owned(), source })
    }

    /// Writes into an item what the parts of its assets say of it.
    async fn narrow(&self, node: &mut Node, copies: &[Copied]) -> Result<()> {
        let Some(cut) = self.options.cut.as_deref().filter(|_| !self.options.dry_run && !copies.is_empty()) else {
            return Ok(());
        };
        let files = copies.iter().map(|copy| copy.copy.absolute()).collect();
        let keys: Vec<String> = copies.iter().map(|copy| copy.key.clone()).collect();
        let portrait = cut.describe.ask(&self.store, node.document.id(), files).await?;
        cut::narrow(&mut node.document, &keys, cut, portrait);
        Ok(())
    }

    async fn copy(&self, node: &Node, book: &Book, plan: &Plan, source: &Href) -> Result<Copy> {
        let progress = self.begin(node, plan);
        let path = plan.copy.copy.to_path().unwrap_or_default();
        let root = book.site.root.to_path().unwrap_or_default();
        let ways = (source, root.as_path(), path.as_path());
        let copied = transfer::copy(&self.store, ways, &plan.known, self.options.checksum, &progress).await;
        copied.map_err(|reason| of_reason(node, plan, reason))
    }
}

fn of_reason(node: &Node, plan: &Plan, reason: Reason) -> Error {
    let (item, asset) = (node.document.id().to_owned(), plan.copy.key.clone());
    match reason {
        Reason::Store(source) => match wants(&node.document, &asset).filter(|_| source.may_want_login()) {
            Some(wants) => Error::Refused { item, asset, wants, source },
            None => Error::Transfer { item, asset, source },
        },
        Reason::Digest { want, got, who } => {
            Error::Digest { item, asset, algorithm: got.algorithm, got: got.hex(), want: want.hex(), who }
        }
    }
}

/// Ids of the catalogs below the root and of the item.
pub(crate) fn owner_of(node: &Node) -> String {
    owner(&path_of(&node.ancestors), node.document.id())
}

fn owner(path: &[String], id: &str) -> String {
    path.iter().map(String::as_str).chain([id]).collect::<Vec<_>>().join("/")
}

fn entry_of(plan: &Plan, source: &Href, size: u64) -> Entry {
    Entry::new(plan.file.clone(), plan.identity(source), size)
}

fn copied(copy: Copied, entry: &Entry) -> Copied {
    let is_unverified = entry.verified == Verified::Unverified.to_string();
    Copied { size: Some(entry.size), checksum: entry.checksum.clone(), is_unverified, ..copy }
}

/// Notes a copy that is there.
fn take(done: &mut Done, (owner, plan): (&str, Plan), state: State, entry: &Entry) {
    let verified = entry.verified.clone();
    let is_new = state != State::Skipped;
    done.bytes += if is_new { entry.size } else { 0 };
    let state = if !is_new && verified == Verified::Unverified.to_string() { State::Unverified } else { state };
    if is_new && state == State::Unverified {
        let key = &plan.copy.key;
        done.warnings.push(format!("{owner} {key}: unverified, neither catalog nor server tell its size or a digest"));
    }
    done.lines.push(Line {
        item: owner.to_owned(),
        asset: plan.copy.key.clone(),
        state: if is_new { state } else { State::Skipped },
        href: plan.copy.source.to_string(),
        file: entry.file.clone(),
        size: Some(entry.size),
        checksum: entry.checksum.clone(),
        verified,
        why: String::new(),
    });
    done.copies.push(copied(plan.copy, entry));
}

/// Notes what failed.
fn fail(done: &mut Done, (node, owner): (&Node, &str), asset: &str, why: Error) {
    let href = node.document.href().to_string();
    done.lines.push(line_of_failure(owner, asset, &href, &why));
    done.failed.push(Failure { item: node.document.id().to_owned(), asset: asset.to_owned(), href, why });
}

/// The line of a failure.
pub(crate) fn line_of_failure(owner: &str, asset: &str, href: &str, why: &Error) -> Line {
    let mut texts = vec![why.to_string()];
    let mut cause = std::error::Error::source(why);
    while let Some(inner) = cause {
        texts.push(inner.to_string());
        cause = inner.source();
    }
    Line {
        item: owner.to_owned(),
        asset: asset.to_owned(),
        state: State::Failed,
        href: href.to_owned(),
        file: String::new(),
        size: None,
        checksum: None,
        verified: String::new(),
        why: texts.join(": "),
    }
}
