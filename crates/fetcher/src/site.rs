//! A destination: where its copies and documents go, and the local folder where the books of the run are kept.
//!
//! Of a local folder both are one. Elsewhere nothing can be appended or locked, so journal, ledger and the new documents
//! are made in a folder of this machine (`~/.local/state/outcrop`), and published: documents when they are whole, children
//! before parents, the books at the beginning, now and then, and at the end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use outcrop_store::{Href, Store};

use crate::journal::{self, Journal};
use crate::lease::Lease;
use crate::ledger::LEDGER;
use crate::rewrite::identity;
use crate::{Error, Result};

/// Documents that are sent at once.
const AT_ONCE: usize = 16;

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Where copies and documents are, as a folder.
    pub(crate) root: Href,
    /// Where journal and ledger are kept.
    pub(crate) books: Href,
}

impl Site {
    /// The site of a folder or URL.
    pub(crate) fn of(store: &Store, root: &Href) -> Self {
        let root = root.as_folder();
        if root.is_local() {
            return Self { books: root.clone(), root };
        }
        let mark = &blake3::hash(identity(&root).as_bytes()).to_hex()[..32];
        let books = store.options().environment.state_folder().join("fetch").join(mark);
        Self { books: Href::from_path(&books).as_folder(), root }
    }

    pub(crate) fn is_remote(&self) -> bool {
        !self.root.is_local()
    }

    /// Where the new documents are made.
    pub(crate) fn documents(&self) -> Href {
        if self.is_remote() { Href::from_path(&self.book("documents")).as_folder() } else { self.root.clone() }
    }

    /// Where parts of files are made.
    pub(crate) fn workshop(&self) -> PathBuf {
        self.book("parts")
    }

    /// What tells the folder of the books from what may take its place: its device and number.
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        let meta = fs::metadata(self.books.to_path()?).ok()?;
        Some((meta.dev(), meta.ino()))
    }

    fn book(&self, name: &str) -> PathBuf {
        self.books.to_path().unwrap_or_default().join(name)
    }

    fn remote_book(&self, name: &str) -> Result<Href> {
        Ok(self.root.join(name)?)
    }

    /// Takes over what the site itself keeps of earlier runs, from whatever machine.
    pub(crate) async fn take_over(&self, store: &Store, journal: &mut Journal) -> Result<()> {
        if let Some(there) = self.journal_there(store).await? {
            journal.merge(&there)?;
        }
        self.download(store, LEDGER, &self.book(LEDGER)).await.map(|_| ())
    }

    /// The journal that the site itself keeps.
    pub(crate) async fn journal_there(&self, store: &Store) -> Result<Option<Journal>> {
        let copy = self.book("journal.there");
        let is_there = self.download(store, journal::NAME, &copy).await?;
        let journal = is_there.then(|| Journal::read(&copy));
        // It stays open as long as it is read.
        let _ = fs::remove_file(&copy);
        Ok(journal)
    }

    /// Brings a book, a line at a time as it comes; false if there is none.
    async fn download(&self, store: &Store, name: &str, to: &Path) -> Result<bool> {
        let href = self.remote_book(name)?;
        let mut stream = match store.stream(&href).await {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
        let failed = |source| Error::Journal { href: Href::from_path(to), source };
        let mut file = fs::File::create(to).map_err(failed)?;
        while let Some(bytes) = stream.next().await? {
            std::io::Write::write_all(&mut file, &bytes).map_err(failed)?;
        }
        Ok(true)
    }

    /// Puts a book beside the copies.
    pub(crate) async fn publish_book(&self, store: &Store, name: &str) -> Result<()> {
        let path = self.book(name);
        if path.exists() { send_file(store, &path, &self.remote_book(name)?).await } else { Ok(()) }
    }

    /// Journal and ledger, as they are now.
    pub(crate) async fn publish_books(&self, store: &Store) -> Result<()> {
        if !self.is_remote() {
            return Ok(());
        }
        self.publish_book(store, journal::NAME).await?;
        self.publish_book(store, LEDGER).await
    }

    /// Forgets documents of a run that did not end.
    pub(crate) fn clear_documents(&self) {
        if self.is_remote() {
            // What cannot be removed is written over.
            let _ = fs::remove_dir_all(self.book("documents"));
        }
    }

    /// Sends the documents that were made: items, then catalogs from the deepest up, the root last.
    pub(crate) async fn publish_documents(&self, store: &Store, lease: Option<&Lease>) -> Result<()> {
        let may_go_on = || lease.map_or(Ok(()), Lease::check);
        if !self.is_remote() {
            return Ok(());
        }
        let from = self.book("documents");
        let mut catalogs = Vec::new();
        let mut folders = vec![from.clone()];
        while let Some(folder) = folders.pop() {
            let failed = |source| Error::Journal { href: Href::from_path(&folder), source };
            let mut items = Vec::new();
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let name = path.file_name().unwrap_or_default();
                if path.is_dir() {
                    folders.push(path);
                } else if name == "catalog.json" || name == "collection.json" {
                    catalogs.push(path);
                } else {
                    items.push(path);
                }
            }
            may_go_on()?;
            self.send_documents(store, &from, items).await?;
        }
        let depth = |path: &PathBuf| path.components().count();
        catalogs.sort_by_key(|path| std::cmp::Reverse(depth(path)));
        while let Some(deepest) = catalogs.first().map(depth) {
            let higher = catalogs.split_off(catalogs.partition_point(|path| depth(path) == deepest));
            may_go_on()?;
            self.send_documents(store, &from, std::mem::replace(&mut catalogs, higher)).await?;
        }
        may_go_on()?;
        self.clear_documents();
        Ok(())
    }

    async fn send_documents(&self, store: &Store, from: &Path, paths: Vec<PathBuf>) -> Result<()> {
        let send = |path: PathBuf| async move {
            let below = path.strip_prefix(from).unwrap_or(&path).to_string_lossy().into_owned();
            // As `document_href` makes it: ids are parts of the href as they are.
            send_file(store, &path, &Href::parse(&format!("{}{below}", self.root.as_str()))?).await
        };
        stream::iter(paths.into_iter().map(send)).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await
    }
}

pub(crate) async fn send_file(store: &Store, path: &Path, to: &Href) -> Result<()> {
    const READ: usize = 1 << 20;
    let failed = |source| Error::Journal { href: Href::from_path(path), source };
    let mut file = fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut upload = store.upload(to, Some(size))?;
    let mut left = size;
    while left > 0 {
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(READ).min(READ)];
        std::io::Read::read_exact(&mut file, &mut bytes).map_err(failed)?;
        left -= bytes.len() as u64;
        upload.write(Bytes::from(bytes)).await?;
    }
    upload.finish().await?;
    Ok(())
}
