//! The pages of a search, one after the other: each once, with a bound, and kept so that a broken search goes on.

use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, Stream};
use outcrop_store::{Href, Request, Store};

use super::page::{self, Page};
use crate::{Error, RawItem, Result};

/// What bounds the pages of a search.
#[derive(Debug, Clone)]
pub struct PagesOptions {
    /// Most pages (default 100,000).
    pub max_pages: usize,
    /// Most pages in a row that hold nothing new (default 20).
    pub max_idle: usize,
    /// Pages are kept in this file; one of the same search is gone on with.
    pub keep: Option<PathBuf>,
}

impl Default for PagesOptions {
    fn default() -> Self {
        Self { max_pages: 100_000, max_idle: 20, keep: None }
    }
}

/// The pages of one search.
#[derive(Debug)]
pub struct Pages {
    store: Store,
    options: PagesOptions,
    next: Option<Request>,
    asked: HashSet<u64>,
    /// Items that came, by (collection, id): 16 bytes of each.
    seen: HashSet<u128>,
    hashers: [RandomState; 2],
    ready: VecDeque<Result<RawItem>>,
    kept: Option<Kept>,
    turned: usize,
    idle: usize,
}

impl Pages {
    /// The pages that begin with a request.
    ///
    /// # Errors
    /// [`Error::Keep`] if the file of kept pages cannot be written.
    pub fn new(store: &Store, first: Request, options: PagesOptions) -> Result<Self> {
        let kept = options.keep.as_deref().map(|path| Kept::open(path, &first)).transpose()?;
        Ok(Self {
            store: store.clone(),
            options,
            next: Some(first),
            asked: HashSet::new(),
            seen: HashSet::new(),
            hashers: [RandomState::new(), RandomState::new()],
            ready: VecDeque::new(),
            kept,
            turned: 0,
            idle: 0,
        })
    }

    /// The items, as they come; one that comes twice is given once.
    pub fn items(self) -> impl Stream<Item = Result<RawItem>> + Send {
        stream::unfold(self, |mut pages| async move { pages.item().await.map(|item| (item, pages)) })
    }

    async fn item(&mut self) -> Option<Result<RawItem>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let request = self.next.take()?;
            if let Err(error) = self.turn(request).await {
                self.next = None;
                return Some(Err(error));
            }
        }
    }

    /// Reads the page of a request.
    async fn turn(&mut self, request: Request) -> Result<()> {
        let href = Href::parse(&request.href).unwrap_or_else(|_| Href::from_path(Path::new(&request.href)));
        let wrong = |why: String| Error::Api { href: href.clone(), why };
        if !self.asked.insert(self.hashers[0].hash_one(&request)) {
            return Err(wrong(format!("its link to the next page leads back, after {} pages", self.turned)));
        }
        if self.turned >= self.options.max_pages {
            return Err(wrong(format!("it has more than {} pages", self.options.max_pages)));
        }
        let (bytes, is_new) = if let Some(bytes) = self.kept.as_mut().and_then(Kept::page) {
            (bytes, false)
        } else {
            let bytes = self.store.ask(&request).await;
            (bytes.map_err(|source| Error::Read { href: href.clone(), source })?, true)
        };
        let page = page::parse(&request, &bytes)?;
        if is_new && let Some(kept) = &mut self.kept {
            kept.keep(&bytes)?;
        }
        self.turned += 1;
        self.take(page);
        if self.idle > self.options.max_idle {
            return Err(wrong(format!("its last {} pages hold nothing new: it pages without end", self.idle)));
        }
        if self.next.is_none()
            && let Some(kept) = &mut self.kept
        {
            kept.ended = true;
        }
        Ok(())
    }

    fn take(&mut self, page: Page) {
        let before = self.ready.len();
        for item in page.items {
            if item.as_ref().is_ok_and(|item| !self.first_time(item)) {
                continue;
            }
            self.ready.push_back(item);
        }
        self.idle = if self.ready.len() == before { self.idle + 1 } else { 0 };
        self.next = page.next;
    }

    fn first_time(&mut self, item: &RawItem) -> bool {
        let name = (item.collection(), item.id());
        let [a, b] = [0, 1].map(|i| u128::from(self.hashers[i].hash_one(&name)));
        self.seen.insert(a << 64 | b)
    }
}

/// Pages that were kept: a line for the search, then a line for each page. The file goes when the search has ended.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    old: Option<BufReader<File>>,
    new: Option<File>,
    /// Where the next page is written: behind the last whole one.
    end: u64,
    ended: bool,
}

impl Kept {
    fn open(path: &Path, first: &Request) -> Result<Self> {
        let failed = |source| Error::Keep { path: path.to_owned(), source };
        let head = serde_json::to_string(first).unwrap_or_default() + "\n";
        let mut kept = Self { path: path.to_owned(), old: None, new: None, end: head.len() as u64, ended: false };
        if let Ok(file) = File::open(path) {
            let mut old = BufReader::new(file);
            let mut line = String::new();
            if old.read_line(&mut line).is_ok() && line == head {
                kept.old = Some(old);
                return Ok(kept);
            }
        }
        let mut file = File::create(path).map_err(failed)?;
        file.write_all(head.as_bytes()).map_err(failed)?;
        kept.new = Some(file);
        Ok(kept)
    }

    /// The next page of an earlier run; a line that is cut was not kept.
    fn page(&mut self) -> Option<Bytes> {
        let mut line = Vec::new();
        let read = self.old.as_mut()?.read_until(b'\n', &mut line);
        if read.is_err() || line.pop() != Some(b'\n') || serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_err()
        {
            self.old = None;
            return None;
        }
        self.end += line.len() as u64 + 1;
        Some(line.into())
    }

    fn keep(&mut self, page: &Bytes) -> Result<()> {
        let failed = |source| Error::Keep { path: self.path.clone(), source };
        let file = if let Some(file) = &mut self.new {
            file
        } else {
            let file = OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
            file.set_len(self.end).map_err(failed)?;
            self.new.insert(file)
        };
        // Line breaks stand only between tokens of JSON.
        let mut line: Vec<u8> = page.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
        line.push(b'\n');
        file.write_all(&line).map_err(failed)?;
        self.end += line.len() as u64;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.ended {
            // One that stays is gone on with, and its pages are the same.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
