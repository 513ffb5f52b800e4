//! Search over static catalogs and files of items: by id, collection, box and time, streamed.

mod geometry;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{BoxStream, Stream, StreamExt};
use outcrop_grid::{BBox, Interval};
use outcrop_stac::{Document, Kind, Node, WalkOptions, walk_into};
use outcrop_store::{Href, Store};
use serde_json::Value;

use crate::extent;
use crate::{Error, Result};

/// Where items come from: a catalog, a collection, an item, a file of items, or one item of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The document or folder.
    pub href: Href,
    /// The item that is meant, of `CATALOG#ID`.
    pub id: Option<String>,
}

impl Source {
    /// Parses an href or `CATALOG#ID`.
    ///
    /// # Errors
    /// [`Error::Source`] if the text is no href.
    pub fn parse(text: &str) -> Result<Self> {
        let (place, id) = match text.rsplit_once('#') {
            Some((place, id)) if !id.is_empty() => (place, Some(id.to_owned())),
            _ => (text, None),
        };
        let shown = || text.split('?').next().unwrap_or_default().to_owned();
        let href = Href::parse(place).map_err(|source| Error::Source { source_text: shown(), source })?;
        Ok(Self { href, id })
    }
}

/// Which items are wanted; what is empty or `None` allows all.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Ids of items; one that is nowhere is an error at the end.
    pub ids: Vec<String>,
    /// Ids of collections, as the items name them.
    pub collections: Vec<String>,
    /// Items whose geometry meets this box.
    pub bbox: Option<BBox>,
    /// Items whose time meets this interval.
    pub datetime: Option<Interval>,
    /// Most items.
    pub max_items: Option<usize>,
}

/// Streams the items of a source that fit, in catalog order; a document that cannot be read is an error in its place.
///
/// Collections whose extent excludes every wanted item are not entered.
pub fn search(
    store: &Store,
    source: &Source,
    options: &SearchOptions,
) -> impl Stream<Item = Result<Node>> + Send + use<> {
    let mut options = options.clone();
    options.ids.extend(source.id.clone());
    let options = Arc::new(options);
    let enter = {
        let options = options.clone();
        Arc::new(move |document: &Document| may_hold(&options, document))
    };
    let nodes = walk_into(store, &source.href, WalkOptions::default(), enter).flat_map(items_of).fuse().boxed();
    let missing = options.ids.iter().cloned().collect();
    let state = Search { nodes, options, missing, given: 0 };
    futures::stream::unfold(state, |mut state| async move { state.next().await.map(|item| (item, state)) })
}

struct Search {
    nodes: BoxStream<'static, outcrop_stac::Result<Node>>,
    options: Arc<SearchOptions>,
    missing: BTreeSet<String>,
    given: usize,
}

impl Search {
    async fn next(&mut self) -> Option<Result<Node>> {
        if self.options.max_items.is_some_and(|most| self.given >= most) {
            return None;
        }
        while let Some(node) = self.nodes.next().await {
            match node {
                Ok(node) => {
                    self.missing.remove(node.document.id());
                    if fits(&self.options, &node.document) {
                        self.given += 1;
                        return Some(Ok(node));
                    }
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
        let ids: Vec<String> = std::mem::take(&mut self.missing).into_iter().collect();
        (!ids.is_empty()).then_some(Err(Error::UnknownIds { ids }))
    }
}

/// The items of a node: itself, its members, or none for a catalog.
fn items_of(node: outcrop_stac::Result<Node>) -> BoxStream<'static, outcrop_stac::Result<Node>> {
    let one = |node| futures::stream::iter([node]).boxed();
    match node {
        Ok(node) => match node.document.kind() {
            Kind::Item => one(Ok(node)),
            Kind::Catalog | Kind::Collection => futures::stream::empty().boxed(),
            Kind::ItemCollection => {
                let ancestors = node.ancestors.clone();
                let members = node.document.into_items();
                let members =
                    members.map(move |item| item.map(|document| Node { document, ancestors: ancestors.clone() }));
                futures::stream::iter(members).boxed()
            }
        },
        Err(error) => one(Err(error)),
    }
}

fn fits(options: &SearchOptions, item: &Document) -> bool {
    let listed = |list: &[String], id: &str| list.is_empty() || list.iter().any(|wanted| wanted == id);
    listed(&options.ids, item.id())
        && listed(&options.collections, item.collection().unwrap_or_default())
        && options
            .datetime
            .is_none_or(|wanted| extent::interval_of(item.body()).is_some_and(|interval| interval.intersects(&wanted)))
        && options
            .bbox
            .is_none_or(|wanted| item.body().get("geometry").is_some_and(|geometry| geometry::meets(geometry, &wanted)))
}

/// False only for a collection whose extent says that nothing below it can fit; ids must all be looked for.
fn may_hold(options: &SearchOptions, document: &Document) -> bool {
    if document.kind() != Kind::Collection || !options.ids.is_empty() {
        return true;
    }
    let Some(extent) = document.body().get("extent") else { return true };
    let first = |path: &str| extent.pointer(path);
    let in_space = match (&options.bbox, first("/spatial/bbox/0").and_then(extent::numbers)) {
        (Some(wanted), Some(bbox)) => bbox.intersects(wanted),
        _ => true,
    };
    let in_time = match (&options.datetime, first("/temporal/interval/0").and_then(interval)) {
        (Some(wanted), Some(interval)) => interval.intersects(wanted),
        _ => true,
    };
    in_space && in_time
}

fn interval(value: &Value) -> Option<Interval> {
    let end = |at: usize| match value.get(at)? {
        Value::Null => Some(None),
        Value::String(text) => outcrop_grid::interval::parse_time(text).map(Some),
        _ => None,
    };
    Some(Interval { start: end(0)?, end: end(1)? })
}
