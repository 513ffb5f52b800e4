//! A client of STAC APIs: what a server can do, how a search is put to it, and its pages.
//!
//! Parameters are those of the published `stac::api`; requests, retries and limits are the store's. Not here: deciding
//! which items fit where the server cannot (crate catalog). Specification:
//! <https://github.com/radiantearth/stac-api-spec/tree/v1.0.0>.

mod ask;
mod page;
mod pages;

use outcrop_grid::BBox;
use outcrop_store::{Href, Request};
use serde_json::Value;

use crate::{Document, Error, Kind, Result};

pub use page::parse_page;
pub use pages::{Kept, Pages, PagesOptions};

/// A server that says what it conforms to.
#[derive(Debug, Clone)]
pub struct Api {
    root: Href,
    conforms_to: Vec<String>,
    /// Where searches are sent, by GET and by POST.
    get: Option<Href>,
    post: Option<Href>,
    collections: Option<Href>,
}

/// What a server may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Search over all collections.
    Search,
    /// CQL2 expressions.
    Filter,
    /// Tests of the `query` extension.
    Query,
    /// An order.
    Sort,
    /// Parts of items.
    Fields,
    /// Collections by place and time.
    Collections,
    /// Collections by words.
    Words,
}

/// Which collections are wanted; what is `None` allows all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CollectionQuery {
    /// Those whose extent meets this box, in degrees.
    pub bbox: Option<BBox>,
    /// Those whose extent meets this interval of RFC 3339.
    pub datetime: Option<String>,
    /// Those that tell of one of these words.
    pub words: Vec<String>,
}

impl Ability {
    /// What stands in the classes of conformance of it, whatever their version.
    fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Search => &["/item-search"],
            Self::Filter => &["item-search#filter", "/conf/filter", "/conf/features-filter", "#filter:filter"],
            Self::Query => &["item-search#query", "#query"],
            Self::Sort => &["item-search#sort", "#sort"],
            Self::Fields => &["item-search#fields", "#fields"],
            Self::Collections => &["/collection-search", "/simple-query"],
            Self::Words => &["collection-search#free-text", "collection-search#advanced-free-text"],
        }
    }
}

impl Api {
    /// The API whose landing page this is; `None` for a catalog of another kind.
    ///
    /// # Errors
    /// [`Error::Reference`] for links that cannot be followed.
    pub fn of(document: &Document) -> Result<Option<Self>> {
        if !matches!(document.kind(), Kind::Catalog | Kind::Collection) {
            return Ok(None);
        }
        let conforms_to = document.body().get("conformsTo").and_then(Value::as_array);
        let conforms_to: Vec<String> =
            conforms_to.into_iter().flatten().filter_map(|class| class.as_str().map(str::to_owned)).collect();
        let links = document.body().get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let (mut get, mut post, mut collections) = (None, None, None);
        for link in links {
            let text = |name: &str| link.get(name).and_then(Value::as_str);
            let (Some(rel), Some(href)) = (text("rel"), text("href")) else { continue };
            let place = match (rel, text("method").unwrap_or("GET").to_ascii_uppercase().as_str()) {
                ("search", "POST") => &mut post,
                ("search", "GET") => &mut get,
                ("data", _) => &mut collections,
                _ => continue,
            };
            *place = Some(document.resolve(href)?);
        }
        let is_api = get.is_some() || post.is_some() || (!conforms_to.is_empty() && collections.is_some());
        let root = document.href().clone();
        Ok(is_api.then_some(Self { root, conforms_to, get, post, collections }))
    }

    /// The landing page.
    pub fn root(&self) -> &Href {
        &self.root
    }

    /// Where a collection of this id is described; `None` for an id that is no part of a path, or a server without collections.
    pub fn collection(&self, id: &str) -> Option<Href> {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if !is_plain || id.starts_with('.') {
            return None;
        }
        self.collections.as_ref()?.as_folder().join(id).ok()
    }

    /// The first request for the list of collections, by what the server can; `None` for a server without one.
    ///
    /// # Errors
    /// [`Error::Api`] for a list that is not at a URL.
    pub fn collections_request(&self, query: &CollectionQuery) -> Result<Option<Request>> {
        let Some(list) = &self.collections else { return Ok(None) };
        let why = || Error::Api { href: list.clone(), why: "it is not a URL of http(s)".to_owned() };
        let mut url = list.to_url().ok_or_else(why)?;
        if self.can(Ability::Collections) {
            if let Some(bbox) = &query.bbox {
                let numbers = bbox.to_array().map(|number| number.to_string()).join(",");
                url.query_pairs_mut().append_pair("bbox", &numbers);
            }
            if let Some(datetime) = &query.datetime {
                url.query_pairs_mut().append_pair("datetime", datetime);
            }
        }
        if self.can(Ability::Words) && !query.words.is_empty() {
            url.query_pairs_mut().append_pair("q", &query.words.join(","));
        }
        let href = Href::parse(url.as_str()).map_err(|source| Error::Reference { document: list.clone(), source })?;
        Ok(Some(Request::get(&href)))
    }

    /// True if the server says that it can.
    pub fn can(&self, ability: Ability) -> bool {
        match ability {
            Ability::Search => self.get.is_some() || self.post.is_some(),
            _ => self.conforms_to.iter().any(|class| ability.marks().iter().any(|mark| class.contains(mark))),
        }
    }

    /// The first request of a search.
    ///
    /// # Errors
    /// [`Error::Api`] for a server without search where no collection is named.
    pub fn request(&self, search: &stac::api::Search) -> Result<Request> {
        if let Some(post) = &self.post {
            return Ok(Request::post(post, ask::body(search)));
        }
        if let Some(get) = &self.get {
            return Ok(Request::get(&ask::with_query(get, search)?));
        }
        if let (Some(collections), [collection]) = (&self.collections, search.collections.as_slice()) {
            let items = ask::items_of(collections, collection)?;
            return Ok(Request::get(&ask::with_query(&items, search)?));
        }
        let why = "it has no search over all collections; name one with --collections".to_owned();
        Err(Error::Api { href: self.root.clone(), why })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(links: &Value, conforms_to: &Value) -> Option<Api> {
        let body = json!({"type": "Catalog", "id": "a", "links": links, "conformsTo": conforms_to});
        Api::of(&Document::from_value(Href::parse("https://h/v1/").unwrap(), body).unwrap()).unwrap()
    }

    #[test]
    fn abilities_are_known_by_name_whatever_the_version() {
        let links =
            json!([{"rel": "search", "href": "search"}, {"rel": "search", "href": "./search", "method": "post"}]);
        let classes = json!([
            "https://api.stacspec.org/v1.0.0-rc.2/item-search#sort",
            "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
            7
        ]);
        let api = api(&links, &classes).unwrap();
        assert!(api.can(Ability::Sort) && api.can(Ability::Filter) && api.can(Ability::Search));
        assert!(!api.can(Ability::Query) && !api.can(Ability::Fields));
        let request = api.request(&stac::api::Search::default()).unwrap();
        assert_eq!((request.href.as_str(), request.body.as_deref()), ("https://h/v1/search", Some("{}")));
    }

    #[test]
    fn collections_are_asked_for_as_the_server_can() {
        let links = json!([{"rel": "data", "href": "collections"}, {"rel": "search", "href": "search"}]);
        let query = CollectionQuery {
            bbox: Some("-10,40,5.5,60".parse().unwrap()),
            datetime: Some("2020-01-01T00:00:00Z/..".into()),
            words: vec!["sea ice".into(), "snow".into()],
        };
        let asked = |classes: Value| {
            let request = api(&links, &classes).unwrap().collections_request(&query).unwrap().unwrap();
            Href::parse(&request.href).unwrap().to_url().unwrap().query_pairs().into_owned().collect::<Vec<_>>()
        };
        assert!(asked(json!(["https://api.stacspec.org/v1.0.0/collections"])).is_empty());
        let pairs = asked(json!([
            "https://api.stacspec.org/v1.0.0-rc.1/collection-search",
            "https://api.stacspec.org/v1.0.0-rc.1/collection-search#free-text"
        ]));
        let want = [("bbox", "-10,40,5.5,60"), ("datetime", "2020-01-01T00:00:00Z/.."), ("q", "sea ice,snow")];
        assert_eq!(pairs, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(
            api(&json!([{"rel": "search", "href": "s"}]), &json!([]))
                .unwrap()
                .collections_request(&query)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_static_catalog_is_no_api() {
        assert!(api(&json!([{"rel": "child", "href": "a.json"}]), &json!([])).is_none());
    }

    #[test]
    fn without_search_the_items_of_a_collection_are_asked_for() {
        let api = api(&json!([{"rel": "data", "href": "collections"}]), &json!(["x"])).unwrap();
        let one = stac::api::Search { collections: vec!["a/b".into()], ..Default::default() };
        assert_eq!(api.request(&one).unwrap().href, "https://h/v1/collections/a%2Fb/items");
        assert!(api.request(&stac::api::Search::default()).is_err());
    }
}
