//! One page of a server: its items as their bytes, and the request for the next page.

use bytes::Bytes;
use outcrop_store::{Href, Request};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::document::resolve;
use crate::{Error, RawItem, Result};

/// A page of items or of collections.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Result<RawItem>>,
    pub(super) next: Option<Request>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    features: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    collections: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    links: Value,
}

/// The items of a page, or its collections, and the request for the next one.
///
/// # Errors
/// [`Error::Json`], and [`Error::Api`] for what is no page or has no usable link to the next.
pub fn parse_page(request: &Request, bytes: &Bytes) -> Result<(Vec<Result<RawItem>>, Option<Request>)> {
    parse(request, bytes).map(|page| (page.items, page.next))
}

/// Reads the page that was the answer to a request.
pub(super) fn parse(request: &Request, bytes: &Bytes) -> Result<Page> {
    let href = Href::parse(&request.href).map_err(|source| reference(request, source))?;
    let fields: Fields<'_> = serde_json::from_slice(bytes).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => {
            Error::Api { href: href.clone(), why: format!("its answer is not a page of items: {e}") }
        }
        _ => Error::Json { href: href.clone(), line: e.line(), column: e.column(), source: e },
    })?;
    let raw = |member: &RawValue| bytes.slice_ref(member.get().as_bytes());
    let item = |feature: &&RawValue| RawItem::parse(href.clone(), raw(feature))?.at_self();
    let collection = |member: &&RawValue| RawItem::of_any_kind(href.clone(), raw(member))?.0.at_self();
    let items = match (&fields.features, &fields.collections) {
        (Some(features), _) => features.iter().map(item).collect(),
        (None, Some(collections)) => collections.iter().map(collection).collect(),
        (None, None) => {
            let why = "its answer is not a page of items: it has no `features`".to_owned();
            return Err(Error::Api { href, why });
        }
    };
    let next = next(request, &href, &fields.links)?;
    Ok(Page { items, next })
}

fn reference(request: &Request, source: outcrop_store::Error) -> Error {
    Error::Reference { document: Href::from_path(request.href.as_ref()), source }
}

/// The request of the link `next`: its method, headers and body, merged with the first body where it says so.
fn next(request: &Request, href: &Href, links: &Value) -> Result<Option<Request>> {
    let links = links.as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(link) = links.iter().find(|link| link["rel"] == "next") else { return Ok(None) };
    let wrong = |why: &str| Error::Api { href: href.clone(), why: format!("its link to the next page {why}") };
    let target = link.get("href").and_then(Value::as_str).filter(|text| !text.is_empty());
    let target = resolve(href, target.ok_or_else(|| wrong("has no href"))?)?;
    if target.to_url().is_none() {
        return Err(wrong("leads away from HTTP"));
    }
    let method = link.get("method").and_then(Value::as_str).unwrap_or("GET").to_ascii_uppercase();
    let mut next = match method.as_str() {
        "GET" => Request::get(&target),
        "POST" => Request::post(&target, body(request, link).to_string()),
        _ => return Err(wrong("is neither GET nor POST")),
    };
    for (name, value) in link.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let values = value.as_array().map_or_else(|| vec![value], |all| all.iter().collect());
        next.headers.extend(values.iter().filter_map(|value| Some((name.clone(), value.as_str()?.to_owned()))));
    }
    Ok(Some(next))
}

fn body(request: &Request, link: &Value) -> Value {
    let own = link.get("body").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if link.get("merge").and_then(Value::as_bool) != Some(true) {
        return own;
    }
    let first = request.body.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match (first, own) {
        (Some(Value::Object(mut first)), Value::Object(own)) => {
            first.extend(own);
            Value::Object(first)
        }
        (_, own) => own,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(links: &Value) -> Result<Page> {
        let first = Request::post(&Href::parse("https://h/search").unwrap(), r#"{"limit":2,"ids":["a"]}"#.to_owned());
        let body = json!({"type": "FeatureCollection", "features": [{"type": "Feature", "id": "a"}], "links": links});
        parse(&first, &body.to_string().into())
    }

    #[test]
    fn next_pages_are_asked_for_as_the_server_wants_them() {
        let next = |link: Value| page(&json!([{"rel": "self", "href": "x"}, link])).unwrap().next.unwrap();
        let get = next(json!({"rel": "next", "href": "?token=2"}));
        assert_eq!((get.href.as_str(), get.body), ("https://h/search?token=2", None));
        let merged =
            next(json!({"rel": "next", "href": "search", "method": "POST", "body": {"token": "t"}, "merge": true}));
        assert_eq!(merged.body.unwrap(), r#"{"limit":2,"ids":["a"],"token":"t"}"#);
        let own = next(json!({"rel": "next", "href": "search", "method": "POST", "body": {"token": "t"},
            "headers": {"X-A": "1", "X-B": ["2"]}}));
        assert_eq!(own.body.unwrap(), r#"{"token":"t"}"#);
        assert_eq!(own.headers, [("X-A".to_owned(), "1".to_owned()), ("X-B".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn odd_links_are_errors_and_no_link_is_the_end() {
        for bad in [
            json!({"rel": "next"}),
            json!({"rel": "next", "href": ""}),
            json!({"rel": "next", "href": "file:///x"}),
            json!({"rel": "next", "href": "search", "method": "DELETE"}),
        ] {
            assert!(page(&json!([bad])).is_err());
        }
        assert!(page(&json!(null)).unwrap().next.is_none());
        let first = Request::get(&Href::parse("https://h/search").unwrap());
        assert!(
            parse(&first, &r#"{"type":"Catalog"}"#.into()).unwrap_err().to_string().contains("not a page of items")
        );
    }
}
