//! A lazy, concurrent walk over the documents below a catalog, in document order, without recursion.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, Stream, StreamExt};
use outcrop_store::{Href, Store};

use crate::document::{kept_links, portable, resolve};
use crate::links::{Down, Links};
use crate::read::{Loaded, load};
use crate::{Body, Document, Error, Kind, Result};

/// What bounds a walk.
#[derive(Debug, Clone, Copy)]
pub struct WalkOptions {
    /// Documents being read at once (default 16, at least 1).
    pub concurrency: usize,
    /// Deepest document below the first (default 1,000).
    pub max_depth: usize,
    /// Most documents (default 2,000,000).
    pub max_documents: usize,
    /// Items are read too (default), not only catalogs.
    pub items: bool,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { concurrency: 16, max_depth: 1000, max_documents: 2_000_000, items: true }
    }
}

/// A catalog or collection above a document: its fields without the links that belong to where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Ancestor {
    /// Where it lives.
    pub href: Href,
    /// What it is.
    pub kind: Kind,
    /// Its fields; of its `links` those to its licence and the like, as they stand there.
    pub body: Body,
}

impl Ancestor {
    /// Its id.
    pub fn id(&self) -> &str {
        self.body.get("id").and_then(serde_json::Value::as_str).unwrap_or_default()
    }

    /// Its fields for another place ([`portable`]).
    pub fn to_portable(&self) -> Body {
        portable(&self.href, &self.body)
    }
}

/// The catalogs above a document, the root first.
pub type Ancestors = Arc<[Arc<Ancestor>]>;

/// A document met on a walk.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The document.
    pub document: Document,
    /// The catalogs above it, the root first; empty for the first document.
    pub ancestors: Ancestors,
}

impl Node {
    /// A document that stands alone.
    pub fn alone(document: Document) -> Self {
        Self { document, ancestors: Arc::from([]) }
    }

    /// Ids of the catalogs above the document, the root first.
    pub fn path(&self) -> Vec<&str> {
        self.ancestors.iter().map(|ancestor| ancestor.id()).collect()
    }
}

/// A document met on a walk, without the tree of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct RawNode {
    /// The document.
    pub loaded: Loaded,
    /// The catalogs above it, the root first; empty for the first document.
    pub ancestors: Ancestors,
}

impl RawNode {
    /// The document, with the tree of its JSON.
    ///
    /// # Errors
    /// [`Error::Json`] for an item that is nested too deep.
    pub fn into_node(self) -> Result<Node> {
        Ok(Node { document: self.loaded.into_document()?, ancestors: self.ancestors })
    }
}

/// Decides for each catalog or collection whether the walk goes into it; it is given out either way.
pub type Enter = Arc<dyn Fn(&Document) -> bool + Send + Sync>;

/// Streams the document at `href` and all below it: each catalog before its children, children in link order.
///
/// A document that cannot be read is an error in its place and the walk goes on; one that is linked twice comes once.
/// At most twice [`WalkOptions::concurrency`] documents per level are held, and the hrefs of the links of each level.
pub fn walk(store: &Store, href: &Href, options: WalkOptions) -> impl Stream<Item = Result<Node>> + Send + use<> {
    walk_into(store, href, options, Arc::new(|_| true))
}

/// Like [`walk`], going only into the catalogs that `enter` says yes to.
pub fn walk_into(
    store: &Store,
    href: &Href,
    options: WalkOptions,
    enter: Enter,
) -> impl Stream<Item = Result<Node>> + Send + use<> {
    walk_raw(store, href, options, enter).map(|node| node?.into_node())
}

fn walk_raw(
    store: &Store,
    href: &Href,
    options: WalkOptions,
    enter: Enter,
) -> impl Stream<Item = Result<RawNode>> + Send + use<> {
    let walker = Walker::new(store.clone(), href.clone(), options, enter);
    futures::stream::unfold(walker, |mut walker| async move { walker.next().await.map(|node| (node, walker)) }).fuse()
}

/// Like [`walk_into`], from a document that was read already, and without the trees of items.
pub fn walk_from(
    store: &Store,
    first: Loaded,
    options: WalkOptions,
    enter: Enter,
) -> impl Stream<Item = Result<RawNode>> + Send + use<> {
    let mut walker = Walker::new(store.clone(), first.href().clone(), options, enter);
    walker.started.insert(0);
    walker.done.insert(0, Ok(first));
    futures::stream::unfold(walker, |mut walker| async move { walker.next().await.map(|node| (node, walker)) }).fuse()
}

struct Visit {
    serial: u64,
    href: Result<Href>,
    ancestors: Ancestors,
}

fn visit_document(store: Store, href: Href, serial: u64) -> BoxFuture<'static, (u64, Result<Loaded>)> {
    Box::pin(async move { (serial, load(&store, &href).await) })
}

/// Where documents are still to come from.
enum Frame {
    /// The links of a catalog, from the one at `at` on.
    Links { document: Href, links: Links, at: usize, ancestors: Ancestors },
    /// Documents behind a catalog that was entered.
    Behind(VecDeque<Visit>),
}

struct Walker {
    store: Store,
    options: WalkOptions,
    enter: Enter,
    /// The next documents, few enough to be read at once.
    queue: VecDeque<Visit>,
    /// Where those after them come from, the nearest last.
    frames: Vec<Frame>,
    running: FuturesUnordered<BoxFuture<'static, (u64, Result<Loaded>)>>,
    started: HashSet<u64>,
    done: HashMap<u64, Result<Loaded>>,
    seen: HashSet<u128>,
    hashers: [RandomState; 2],
    serial: u64,
    given: usize,
}

impl Walker {
    fn new(store: Store, href: Href, options: WalkOptions, enter: Enter) -> Self {
        let mut walker = Self {
            store,
            options,
            enter,
            queue: VecDeque::new(),
            frames: Vec::new(),
            running: FuturesUnordered::new(),
            started: HashSet::new(),
            done: HashMap::new(),
            seen: HashSet::new(),
            hashers: [RandomState::new(), RandomState::new()],
            serial: 0,
            given: 0,
        };
        walker.first_visit(&href);
        walker.queue.push_back(Visit { serial: 0, href: Ok(href), ancestors: Arc::from([]) });
        walker
    }

    async fn next(&mut self) -> Option<Result<RawNode>> {
        self.fill();
        let front = self.queue.front()?.serial;
        if let Some(Err(_)) = self.queue.front().map(|visit| &visit.href) {
            return self.queue.pop_front()?.href.err().map(Err);
        }
        while !self.done.contains_key(&front) {
            self.start();
            let (serial, document) = self.running.next().await?;
            self.done.insert(serial, document);
        }
        let visit = self.queue.pop_front()?;
        self.started.remove(&front);
        let loaded = match self.done.remove(&front)? {
            Ok(loaded) => loaded,
            Err(error) => return Some(Err(error)),
        };
        if self.given == 0 {
            // A folder stands for its catalog, which may be linked by its own name.
            self.first_visit(loaded.href());
        }
        self.given += 1;
        if self.given > self.options.max_documents {
            self.queue.clear();
            self.frames.clear();
            let (href, limit) = (loaded.href().clone(), self.options.max_documents);
            return Some(Err(Error::Limit { href, what: "documents", limit }));
        }
        if let Loaded::Other(document) = &loaded
            && matches!(document.kind(), Kind::Catalog | Kind::Collection)
            && (self.enter)(document)
        {
            self.expand(document, &visit.ancestors);
        }
        Some(Ok(RawNode { loaded, ancestors: visit.ancestors }))
    }

    /// Keeps the first documents of the queue coming; the very first may always start.
    fn start(&mut self) {
        let room = self.options.concurrency.max(1);
        for visit in &self.queue {
            if self.running.len() >= room && !self.running.is_empty() {
                break;
            }
            let Ok(href) = &visit.href else { continue };
            if !self.started.insert(visit.serial) {
                continue;
            }
            let (store, href, serial) = (self.store.clone(), href.clone(), visit.serial);
            self.running.push(visit_document(store, href, serial));
        }
    }

    fn expand(&mut self, document: &Document, above: &Ancestors) {
        let kept = serde_json::Value::Array(kept_links(document.body()));
        // The others, of which there may be a million, are not copied.
        let field = |(name, value): (&String, &serde_json::Value)| {
            (name.clone(), if name == "links" { kept.clone() } else { value.clone() })
        };
        let mut body: Body = document.body().iter().map(field).collect();
        body.entry("links").or_insert(kept);
        let own = Arc::new(Ancestor { href: document.href().clone(), kind: document.kind(), body });
        let ancestors: Ancestors = above.iter().cloned().chain([own]).collect();
        let links = document.links_down();
        if links.len() == 0 {
            return;
        }
        let behind = std::mem::take(&mut self.queue);
        if !behind.is_empty() {
            self.frames.push(Frame::Behind(behind));
        }
        if ancestors.len() > self.options.max_depth {
            let (at, limit) = (document.href().clone(), self.options.max_depth);
            self.serial += 1;
            let href = Err(Error::Limit { href: at, what: "levels", limit });
            self.queue.push_back(Visit { serial: self.serial, href, ancestors });
        } else {
            self.frames.push(Frame::Links { document: document.href().clone(), links, at: 0, ancestors });
        }
    }

    /// Takes the next documents up.
    fn fill(&mut self) {
        while self.queue.len() < 2 * self.options.concurrency.max(1) {
            let next = match self.frames.last_mut() {
                None => break,
                Some(Frame::Behind(visits)) => visits.pop_front(),
                Some(Frame::Links { document, links, at, ancestors }) => {
                    let link = links.get(*at);
                    *at += 1;
                    if link.is_some_and(|(down, _)| down == Down::Item && !self.options.items) {
                        continue;
                    }
                    self.serial += 1;
                    let serial = self.serial;
                    link.map(|(_, link)| Visit { serial, href: resolve(document, link), ancestors: ancestors.clone() })
                }
            };
            let Some(visit) = next else {
                self.frames.pop();
                continue;
            };
            let is_behind = matches!(self.frames.last(), Some(Frame::Behind(_)));
            if is_behind || visit.href.as_ref().map_or(true, |href| self.first_visit(href)) {
                self.queue.push_back(visit);
            }
        }
    }

    /// True if the href was not met before; 16 bytes are kept of each.
    fn first_visit(&mut self, href: &Href) -> bool {
        let absolute = href.absolute();
        let place = absolute.as_str().split('#').next().unwrap_or_default();
        let [a, b] = [0, 1].map(|i| u128::from(self.hashers[i].hash_one(place)));
        self.seen.insert(a << 64 | b)
    }
}
