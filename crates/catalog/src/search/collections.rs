//! The collections of a source: those of a catalog by a walk that reads no items, those of a server by its own list.

use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use outcrop_grid::{BBox, Interval};
use outcrop_stac::api::{Ability, Api, CollectionQuery, Pages, PagesOptions};
use outcrop_stac::geoparquet::Table;
use outcrop_stac::{Document, Kind, Loaded, WalkOptions, load, walk_from};
use outcrop_store::Store;
use serde_json::Value;

use super::sources::{interval, server};
use super::{Filter, SearchOptions, Source};
use crate::Result;

/// Which collections are wanted; what is empty or `None` allows all.
#[derive(Debug, Clone, Default)]
pub struct CollectionSearch {
    /// Their ids.
    pub ids: Vec<String>,
    /// Those whose extent meets this box.
    pub bbox: Option<BBox>,
    /// Those whose extent meets this interval.
    pub datetime: Option<Interval>,
    /// Those whose id, title, description or keywords have one of these words or phrases, in any case.
    pub words: Vec<String>,
}

/// Streams the collections of a source that fit, as they are found; a document that cannot be read is an error in its place.
pub fn collections(
    store: &Store,
    source: &Source,
    wanted: &CollectionSearch,
) -> impl Stream<Item = Result<Document>> + Send + use<> {
    let (store, source, wanted) = (store.clone(), source.clone(), wanted.clone());
    stream::once(async move {
        match open(&store, &source, wanted).await {
            Ok(found) => found,
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    })
    .flatten()
}

type Found = BoxStream<'static, Result<Document>>;

async fn open(store: &Store, source: &Source, wanted: CollectionSearch) -> Result<Found> {
    let fits = Fits::new(wanted)?;
    if source.href.file_name().is_some_and(|name| name.ends_with("parquet")) {
        let table = Table::open(store, &source.href).await?;
        let own = table
            .collections()
            .values()
            .filter_map(|body| Document::from_value(source.href.clone(), body.clone()).ok());
        return Ok(stream::iter(own.filter(|document| fits.all(document)).map(Ok).collect::<Vec<_>>()).boxed());
    }
    let first = load(store, &source.href).await?;
    if let Some((api, None)) = server::of(store, &first).await? {
        return of_api(store, &api, fits);
    }
    if !matches!(&first, Loaded::Other(_)) {
        let why = "it has items alone, and they do not describe their collections".to_owned();
        return Err(outcrop_stac::Error::NotStac { href: source.href.clone(), why }.into());
    }
    let options = WalkOptions { items: false, ..WalkOptions::default() };
    let nodes = walk_from(store, first, options, Arc::new(|_| true));
    let found = nodes.filter_map(move |node| {
        let found = match node.map(|node| node.loaded) {
            Ok(Loaded::Other(document)) => fits.all(&document).then_some(Ok(document)),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        };
        std::future::ready(found)
    });
    Ok(found.boxed())
}

/// Every collection that comes is tested here as well, but for words: servers look for them in ways of their own.
fn of_api(store: &Store, api: &Api, mut fits: Fits) -> Result<Found> {
    let query = CollectionQuery {
        bbox: fits.wanted.bbox.filter(|bbox| !bbox.crosses_antimeridian()),
        datetime: fits.wanted.datetime.as_ref().map(interval),
        words: fits.wanted.words.clone(),
    };
    let Some(request) = api.collections_request(&query)? else {
        let why = "it has no list of collections".to_owned();
        return Err(outcrop_stac::Error::Api { href: api.root().clone(), why }.into());
    };
    if api.can(Ability::Words) {
        fits.wanted.words.clear();
    }
    let pages = Pages::new(store, request, PagesOptions::default())?;
    let found = pages.items().filter_map(move |item| {
        let found = match item.and_then(|item| item.to_document()) {
            Ok(document) => fits.all(&document).then_some(Ok(document)),
            Err(error) => Some(Err(error.into())),
        };
        std::future::ready(found)
    });
    Ok(found.boxed())
}

struct Fits {
    wanted: CollectionSearch,
    extents: Filter,
}

impl Fits {
    fn new(mut wanted: CollectionSearch) -> Result<Self> {
        let extents = SearchOptions { bbox: wanted.bbox, datetime: wanted.datetime, ..SearchOptions::default() };
        wanted.words = wanted.words.iter().map(|word| word.to_lowercase()).collect();
        Ok(Self { extents: Filter::new(&extents)?, wanted })
    }

    fn all(&self, document: &Document) -> bool {
        document.kind() == Kind::Collection
            && (self.wanted.ids.is_empty() || self.wanted.ids.iter().any(|id| id == document.id()))
            && self.extents.excludes(document).is_none()
            && self.tells(document)
    }

    fn tells(&self, document: &Document) -> bool {
        if self.wanted.words.is_empty() {
            return true;
        }
        let field = |name: &str| document.body().get(name);
        let text = |name: &str| field(name).and_then(Value::as_str);
        let keywords = field("keywords").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let texts: Vec<String> = ["id", "title", "description"]
            .into_iter()
            .filter_map(text)
            .chain(keywords)
            .map(str::to_lowercase)
            .collect();
        self.wanted.words.iter().any(|word| texts.iter().any(|text| text.contains(word)))
    }
}
