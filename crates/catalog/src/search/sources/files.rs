//! The items of documents and of files of items, and of the standard input.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::StreamExt;
use outcrop_stac::{Ancestors, Kind, Loaded, RawItem, RawNode, Splitter};
use outcrop_store::{Href, Store};

use super::Items;
use crate::search::Found;
use crate::{Error, Result};

/// Longest item in bytes.
const MOST_ITEM: usize = 64 << 20;
/// Files of items longer than this are not read at once.
const LARGE: u64 = 8 << 20;
/// Bytes of a file that are read at once.
const PIECE: u64 = 4 << 20;

/// True for a file of items that is read piece by piece.
pub(super) fn is_read_in_a_row(href: &Href, ending: Option<&str>) -> bool {
    let is_large = || href.to_path().and_then(|path| path.metadata().ok()).is_some_and(|meta| meta.len() > LARGE);
    match ending {
        Some("ndjson" | "jsonl" | "geojsonl" | "geojsons") => true,
        Some("json" | "geojson") => is_large(),
        _ => false,
    }
}

/// The items of a document: itself, its members, or none for a catalog.
pub(super) fn members(node: outcrop_stac::Result<RawNode>) -> Items {
    let one = |found| futures::stream::iter([found]).boxed();
    match node {
        Ok(RawNode { loaded: Loaded::Item(item), ancestors }) => one(Ok(Found { item, ancestors })),
        Ok(RawNode { loaded: Loaded::Items(href, bytes), ancestors }) => {
            let mut splitter = Splitter::new(MOST_ITEM);
            splitter.push(&bytes);
            futures::stream::iter(Members { href, ancestors, splitter, ended: true, failed: false }).boxed()
        }
        Ok(RawNode { loaded: Loaded::Other(document), .. }) if document.kind() == Kind::ItemCollection => {
            let why = "it is a collection of items that cannot be cut into items".to_owned();
            one(Err(outcrop_stac::Error::NotStac { href: document.href().clone(), why }.into()))
        }
        Ok(_) => futures::stream::empty().boxed(),
        Err(error) => one(Err(error.into())),
    }
}

/// The items that a splitter has; at the end of the file it must have ended too.
struct Members {
    href: Href,
    ancestors: Ancestors,
    splitter: Splitter,
    ended: bool,
    failed: bool,
}

impl Iterator for Members {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let split = match self.splitter.item() {
            Ok(Some(bytes)) => return Some(self.found(bytes)),
            Ok(None) if self.ended => self.splitter.finish(),
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        let error = split.err()?;
        self.failed = true;
        Some(Err(Error::Items { href: self.href.clone(), why: error.to_string() }))
    }
}

impl Members {
    fn new(href: Href) -> Self {
        Self { href, ancestors: Arc::from([]), splitter: Splitter::new(MOST_ITEM), ended: false, failed: false }
    }

    /// An item lives at its own `self` link, else at the file.
    fn found(&self, bytes: Bytes) -> Result<Found> {
        let item = RawItem::parse(self.href.clone(), bytes)?.at_self()?;
        Ok(Found { item, ancestors: self.ancestors.clone() })
    }
}

/// A file that is read piece by piece.
pub(super) fn of_file(store: Store, href: Href) -> impl futures::Stream<Item = Result<Found>> + Send {
    struct State {
        store: Store,
        meta: Option<outcrop_store::ObjectMeta>,
        at: u64,
        members: Members,
    }
    impl State {
        /// The next piece of the file; false at its end.
        async fn more(&mut self) -> Result<bool> {
            let failed = |source| Error::Stac(outcrop_stac::Error::Read { href: self.members.href.clone(), source });
            let Some(meta) = &self.meta else {
                let (meta, first) = self.store.head(&self.members.href, PIECE).await.map_err(failed)?;
                if meta.is_html() {
                    return Err(outcrop_stac::Error::WebPage { href: self.members.href.clone() }.into());
                }
                self.at = first.len() as u64;
                self.meta = Some(meta);
                self.members.splitter.push(&first);
                return Ok(true);
            };
            if self.at >= meta.size {
                return Ok(false);
            }
            let range = self.at..(self.at + PIECE).min(meta.size);
            for part in self.store.ranges(meta, std::slice::from_ref(&range)).await.map_err(failed)? {
                self.members.splitter.push(&part);
            }
            self.at = range.end;
            Ok(true)
        }
    }
    let start = State { store, meta: None, at: 0, members: Members::new(href) };
    futures::stream::unfold(start, |mut state| async move {
        loop {
            if let Some(found) = state.members.next() {
                return Some((found, state));
            }
            if state.members.ended {
                return None;
            }
            match state.more().await {
                Ok(more) => state.members.ended = !more,
                Err(error) => {
                    (state.members.ended, state.members.failed) = (true, true);
                    return Some((Err(error), state));
                }
            }
        }
    })
}

/// The standard input, read on a thread of its own.
pub(super) fn of_input(href: &Href) -> Items {
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    let mut members = Members::new(href.clone());
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut piece = vec![0; 1 << 16];
        while !members.ended {
            match std::io::Read::read(&mut input, &mut piece) {
                Ok(read) => {
                    members.ended = read == 0;
                    members.splitter.push(&piece[..read]);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let _ = sender.blocking_send(Err(Error::Items { href: members.href.clone(), why: e.to_string() }));
                    return;
                }
            }
            for found in members.by_ref() {
                // Nobody listens any more.
                if sender.blocking_send(found).is_err() {
                    return;
                }
            }
        }
    });
    futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
        .boxed()
}
