//! Items of a STAC API: the search is put to the server as far as it can, and every item is tested here too.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use futures::StreamExt;
use outcrop_grid::time::rfc3339;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::api::{Ability, Api, Pages, PagesOptions};
use outcrop_stac::model::api::{Fields, Filter, Items, Search, Sortby};
use outcrop_stac::{Document, Kind, Loaded, load};
use outcrop_store::{Href, Store};

use super::split;
use crate::search::query;
use crate::search::{Direction, Found, Order, SearchOptions, SortKey};
use crate::{Error, Result};

/// Items of a page where nothing else is wanted.
const PAGE: u64 = 250;

/// The API that a remote document is the landing page of, or a collection of.
pub(crate) async fn of(store: &Store, first: &Loaded) -> Result<Option<(Api, Option<String>)>> {
    let Loaded::Other(document) = first else { return Ok(None) };
    if document.href().to_url().is_none() {
        return Ok(None);
    }
    if let Some(api) = Api::of(document)? {
        return Ok(Some((api, None)));
    }
    let Some(root) = root_of_collection(document)? else { return Ok(None) };
    let Loaded::Other(landing) = load(store, &root).await? else { return Ok(None) };
    Ok(Api::of(&landing)?.map(|api| (api, Some(document.id().to_owned()))))
}

/// The root of a collection that lists its items in pages.
fn root_of_collection(document: &Document) -> Result<Option<Href>> {
    let link = |rel: &str| document.links().find(|link| link.rel == rel);
    if document.kind() != Kind::Collection || link("items").is_none() {
        return Ok(None);
    }
    Ok(link("root").map(|root| document.resolve(root.href)).transpose()?.filter(|root| root != document.href()))
}

/// The items of an API, before they are tested here.
pub(super) async fn items(
    store: &Store,
    api: &Api,
    collection: Option<String>,
    options: &SearchOptions,
) -> Result<super::Items> {
    let mut wanted = options.clone();
    if let Some(collection) = collection.filter(|_| wanted.collections.is_empty()) {
        wanted.collections.push(collection);
    }
    told(api, options);
    // Servers differ in what they make of a box across the antimeridian: they are asked for its two sides.
    let boxes: Vec<Option<BBox>> = match &wanted.bbox {
        Some(bbox) => bbox.parts().into_iter().map(Some).collect(),
        None => vec![None],
    };
    let times = split::parts(store, api, &wanted).await?;
    let mut all = Vec::new();
    for (datetime, bbox) in times.iter().flat_map(|time| boxes.iter().map(move |bbox| (*time, *bbox))) {
        let part = SearchOptions { bbox, datetime, ..wanted.clone() };
        let request = api.request(&search(api, &part)?)?;
        let keep = options.keep_pages.as_ref().map(|path| path.with_added_extension(all.len().to_string()));
        let pages = Pages::new(store, request, PagesOptions { keep, ..PagesOptions::default() })?;
        all.push(pages.items().boxed());
    }
    let found = move |item: outcrop_stac::Result<_>| Ok(Found { item: item?, ancestors: Arc::from([]) });
    let are_several = all.len() > 1;
    let (mut seen, hashers) = (HashSet::new(), [RandomState::new(), RandomState::new()]);
    let mut is_new = move |found: &Result<Found>| match found {
        Ok(Found { item, .. }) if are_several => {
            let name = (item.collection(), item.id());
            let [a, b] = [0, 1].map(|i| u128::from(hashers[i].hash_one(&name)));
            seen.insert(a << 64 | b)
        }
        _ => true,
    };
    // Parts of the time come at once, sides of a box one after the other.
    let items = futures::stream::iter(all).flatten_unordered(options.split.max(1)).map(found);
    Ok(items.filter(move |found| std::future::ready(is_new(found))).boxed())
}

fn told(api: &Api, options: &SearchOptions) {
    let abilities =
        [("filter", Ability::Filter), ("query", Ability::Query), ("sort", Ability::Sort), ("fields", Ability::Fields)];
    let able: Vec<&str> = abilities.iter().filter(|(_, ability)| api.can(*ability)).map(|(name, _)| *name).collect();
    let able = if able.is_empty() { "none of filter, query, sort and fields".to_owned() } else { able.join(", ") };
    options.tally.note(format!("`{}`: a STAC API that can do {able}", api.root()));
}

/// What the server is asked for. What it cannot do is done here, with the items that come.
fn search(api: &Api, options: &SearchOptions) -> Result<Search> {
    let (filter, query) = match (&options.filter, &options.query) {
        (None, Some(query)) if api.can(Ability::Query) && (is_plain(query) || !api.can(Ability::Filter)) => {
            (None, Some(query.clone()))
        }
        // Of the rest of its operators servers know some.
        (None, Some(query)) if api.can(Ability::Filter) => (query::to_cql(query)?.map(|cql| cql.to_json()), None),
        (Some(filter), _) if api.can(Ability::Filter) => (Some(filter.to_json()), None),
        _ => (None, None),
    };
    let filter = match filter {
        Some(serde_json::Value::Object(filter)) => Some(Filter::Cql2Json(filter)),
        _ => None,
    };
    let intersects = options.intersects.clone().map(|value| {
        let geometry = if value["type"] == "Feature" { value["geometry"].clone() } else { value };
        serde_json::from_value(geometry).map_err(|e| Error::Geometry { why: e.to_string() })
    });
    let most = options.max_items.and_then(|most| u64::try_from(most).ok()).unwrap_or(u64::MAX);
    Ok(Search {
        ids: options.ids.clone(),
        collections: options.collections.clone(),
        intersects: intersects.transpose()?,
        items: Items {
            limit: Some(options.limit.unwrap_or(PAGE.min(most.max(1)))),
            bbox: options.bbox.and_then(|bbox| bbox.to_array().to_vec().try_into().ok()),
            datetime: options.datetime.as_ref().map(interval),
            sortby: sortby(api, &options.order),
            fields: fields(api, options),
            filter,
            query,
            ..Items::default()
        },
    })
}

/// True if a query has only operators that all servers know which know any.
fn is_plain(query: &serde_json::Map<String, serde_json::Value>) -> bool {
    let tests = query.values().filter_map(serde_json::Value::as_object);
    tests
        .flat_map(|tests| tests.keys())
        .all(|operator| matches!(operator.as_str(), "eq" | "neq" | "lt" | "lte" | "gt" | "gte"))
}

/// An interval as servers take it.
pub(crate) fn interval(interval: &Interval) -> String {
    let end = |time: Option<_>| time.map_or_else(|| "..".to_owned(), |time| rfc3339(&time));
    match (interval.start, interval.end) {
        (Some(start), Some(last)) if start == last => rfc3339(&start),
        (start, last) => format!("{}/{}", end(start), end(last)),
    }
}

fn sortby(api: &Api, order: &Order) -> Vec<Sortby> {
    match order {
        Order::By(keys) if api.can(Ability::Sort) => {
            let by = |key: &SortKey| match key.direction {
                Direction::Ascending => Sortby::asc(&key.field),
                Direction::Descending => Sortby::desc(&key.field),
            };
            keys.iter().map(by).collect()
        }
        _ => Vec::new(),
    }
}

/// The fields to ask for: those that are wanted and those that the tests here look at.
fn fields(api: &Api, options: &SearchOptions) -> Option<Fields> {
    const NEEDED: [&str; 9] = [
        "type",
        "id",
        "collection",
        "geometry",
        "bbox",
        "properties.datetime",
        "properties.start_datetime",
        "properties.end_datetime",
        "links",
    ];
    let wanted = options.fields.as_ref().filter(|_| api.can(Ability::Fields))?;
    // A filter may name anything.
    if wanted.include.is_empty() || options.filter.is_some() || options.query.is_some() {
        return None;
    }
    let sorted = match &options.order {
        Order::By(keys) => keys.iter().map(|key| key.field.clone()).collect(),
        Order::AsFound => Vec::new(),
    };
    let needed = NEEDED.iter().map(|name| (*name).to_owned());
    let include = wanted.include.iter().cloned().chain(needed).chain(sorted).collect();
    Some(Fields { include, exclude: Vec::new() })
}
