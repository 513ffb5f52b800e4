//! One search over catalogs, files of items and STAC APIs: the same tests, the same items, in the same order.
//!
//! A source is opened by what it is ([`Source`]); its items stream through the tests of [`SearchOptions`]; an order holds
//! their keys, not the items. Not here: what is done with the items.

mod collections;
mod cql;
mod fields;
mod filter;
mod query;
mod sort;
mod source;
mod sources;
mod tally;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt};
use outcrop_grid::{BBox, Interval};
use outcrop_stac::{Ancestors, Heights, Node, RawItem};
use outcrop_store::Store;
use serde_json::{Map, Value};

use crate::{Error, Result};

pub use collections::{CollectionSearch, collections};
pub use cql::Cql;
pub use fields::Fields;
pub(crate) use filter::Filter;
use sort::Sorter;
pub use sort::{Direction, Order, SortKey};
pub use source::Source;
pub(crate) use sources::{FILE_NAME, Mark};
pub use tally::{Tally, Told};

/// Which items are wanted; what is empty or `None` allows all.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Ids of items; one that is nowhere is an error at the end.
    pub ids: Vec<String>,
    /// Ids of collections, as the items name them.
    pub collections: Vec<String>,
    /// Items whose geometry meets this box.
    pub bbox: Option<BBox>,
    /// Items whose heights meet these; those of a geometry without heights are 0. Only with a box.
    pub heights: Option<Heights>,
    /// Items whose geometry meets this one of GeoJSON (or of a feature); not with a box.
    pub intersects: Option<Value>,
    /// Items whose time meets this interval.
    pub datetime: Option<Interval>,
    /// Items for which this holds.
    pub filter: Option<Cql>,
    /// Items for which this holds, as the `query` extension writes it.
    pub query: Option<Map<String, Value>>,
    /// In which order items come.
    pub order: Order,
    /// Items of a page, where a server is asked.
    pub limit: Option<u64>,
    /// A server is asked for so many parts of the time at once (0 and 1: for all of it).
    pub split: usize,
    /// The fields that will be given out, so that a server need not send others; the items are given as they come.
    pub fields: Option<Fields>,
    /// Pages of a server are kept in a file of this name while the search runs, so that a broken one goes on.
    pub keep_pages: Option<PathBuf>,
    /// Most items.
    pub max_items: Option<usize>,
    /// The index of a catalog is used in place of a walk, where it has one. Its items are equal but not to the byte, and
    /// without the catalogs above them.
    pub use_index: bool,
    /// What was done to find them is told here.
    pub tally: Tally,
}

impl SearchOptions {
    /// True if every item is wanted.
    pub(crate) fn takes_all(&self) -> bool {
        let Self { ids, collections, bbox, intersects, datetime, filter, query, max_items, .. } = self;
        let no_names = ids.is_empty() && collections.is_empty();
        let no_place = bbox.is_none() && intersects.is_none() && datetime.is_none();
        no_names && no_place && filter.is_none() && query.is_none() && max_items.is_none()
    }
}

/// An item that was found, and the catalogs above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The item.
    pub item: RawItem,
    /// The catalogs above it, the root first; none where the source is a file or a server.
    pub ancestors: Ancestors,
}

impl Found {
    /// With the tree of its JSON.
    ///
    /// # Errors
    /// [`Error::Stac`] for an item that is nested too deep.
    pub fn into_node(self) -> Result<Node> {
        Ok(Node { document: self.item.to_document()?, ancestors: self.ancestors })
    }
}

/// Streams the items of a source that fit; a document that cannot be read is an error in its place.
///
/// Collections whose extent excludes every wanted item are not entered.
pub fn search(
    store: &Store,
    source: &Source,
    options: &SearchOptions,
) -> impl Stream<Item = Result<Node>> + Send + use<> {
    search_raw(store, source, options).map(|found| found?.into_node())
}

/// As [`search`], without the trees of the items.
pub fn search_raw(
    store: &Store,
    source: &Source,
    options: &SearchOptions,
) -> impl Stream<Item = Result<Found>> + Send + use<> {
    let mut options = options.clone();
    options.ids.extend(source.id.clone());
    let search = Search { store: store.clone(), source: source.clone(), options };
    futures::stream::once(search.run()).flatten()
}

struct Search {
    store: Store,
    source: Source,
    options: SearchOptions,
}

impl Search {
    /// Boxed, since a search may ask another one.
    fn run(self) -> BoxFuture<'static, BoxStream<'static, Result<Found>>> {
        let items = self.open().map(|opened| match opened {
            Ok(items) => items,
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        });
        items.boxed()
    }

    /// The search without its other tests, where these may hide that an item is there.
    fn by_ids_alone(&self) -> Option<Box<Self>> {
        let ids = self.options.ids.clone();
        let alone = SearchOptions { ids, use_index: self.options.use_index, ..SearchOptions::default() };
        let is_alone = SearchOptions { ids: Vec::new(), max_items: None, ..self.options.clone() }.takes_all();
        let (store, source) = (self.store.clone(), self.source.clone());
        let can_repeat = !source.is_standard_input() && !self.options.ids.is_empty();
        (can_repeat && !is_alone).then(|| Box::new(Self { store, source, options: alone }))
    }

    /// The items that fit, in their order.
    async fn open(self) -> Result<BoxStream<'static, Result<Found>>> {
        let filter = Arc::new(Filter::new(&self.options)?);
        let items = sources::open(&self.store, &self.source, (&filter, &self.options)).await?.fuse().boxed();
        let wanted = self.options.ids.iter().cloned().collect();
        let tally = self.options.tally.clone();
        let state = Testing { items, filter, wanted, tally, whole: self.by_ids_alone() };
        let fitting =
            futures::stream::unfold(state, |mut state| async move { state.next().await.map(|item| (item, state)) });
        let most = self.options.max_items.unwrap_or(usize::MAX);
        Ok(match self.options.order {
            Order::AsFound => limited(fitting.boxed(), most).boxed(),
            Order::By(keys) => limited(sorted(fitting.boxed(), keys).boxed(), most).boxed(),
        })
    }
}

/// Ends after so many items, wherever errors stand between them.
fn limited(items: BoxStream<'static, Result<Found>>, most: usize) -> impl Stream<Item = Result<Found>> + Send + use<> {
    futures::stream::unfold((items, most), |(mut items, left)| async move {
        if left == 0 {
            return None;
        }
        let item = items.next().await?;
        let left = left - usize::from(item.is_ok());
        Some((item, (items, left)))
    })
}

/// Errors come first, as they come; then the items in order.
fn sorted(
    items: BoxStream<'static, Result<Found>>,
    keys: Vec<SortKey>,
) -> impl Stream<Item = Result<Found>> + Send + use<> {
    enum State {
        Taking(BoxStream<'static, Result<Found>>, Sorter),
        Giving(Box<dyn Iterator<Item = Result<Found>> + Send>),
    }
    let start = State::Taking(items, Sorter::new(keys));
    futures::stream::unfold(start, |state| async move {
        let mut giving = match state {
            State::Giving(giving) => giving,
            State::Taking(mut items, mut sorter) => {
                loop {
                    let error = match items.next().await {
                        Some(Ok(found)) => sorter.add(found).err(),
                        Some(Err(error)) => Some(error),
                        None => break,
                    };
                    if let Some(error) = error {
                        return Some((Err(error), State::Taking(items, sorter)));
                    }
                }
                Box::new(sorter.finish())
            }
        };
        giving.next().map(|item| (item, State::Giving(giving)))
    })
}

struct Testing {
    items: BoxStream<'static, Result<Found>>,
    filter: Arc<Filter>,
    /// Ids that were not met yet.
    wanted: BTreeSet<String>,
    tally: Tally,
    /// What is asked before an id is said to be nowhere, where other tests may have hidden it.
    whole: Option<Box<Search>>,
}

impl Testing {
    async fn next(&mut self) -> Option<Result<Found>> {
        while let Some(found) = self.items.next().await {
            let found = match found {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            self.tally.tested();
            if !self.wanted.is_empty() {
                self.wanted.remove(found.item.id().as_ref());
            }
            match self.filter.fits(&found.item) {
                Ok(true) => {
                    self.tally.found();
                    return Some(Ok(found));
                }
                Ok(false) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        if let Some(mut search) = self.whole.take().filter(|_| !self.wanted.is_empty()) {
            search.options.ids = self.wanted.iter().cloned().collect();
            let mut there = search.run().await;
            while let Some(found) = there.next().await {
                if let Ok(found) = found {
                    self.wanted.remove(found.item.id().as_ref());
                }
            }
        }
        let ids: Vec<String> = std::mem::take(&mut self.wanted).into_iter().collect();
        (!ids.is_empty()).then_some(Err(Error::UnknownIds { ids }))
    }
}
