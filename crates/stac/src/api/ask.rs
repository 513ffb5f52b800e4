//! A search as a server takes it: as JSON, or as the query of a URL.

use outcrop_store::Href;
use stac::api::{GetSearch, Search};

use crate::{Error, Result};

/// The body of a POST.
pub(super) fn body(search: &Search) -> String {
    serde_json::to_string(search).unwrap_or_default()
}

/// The URL of a GET.
pub(super) fn with_query(href: &Href, search: &Search) -> Result<Href> {
    let wrong = |why: String| Error::Api { href: href.clone(), why };
    let get = GetSearch::try_from(search.clone()).map_err(|e| wrong(e.to_string()))?;
    let value = serde_json::to_value(&get).map_err(|e| wrong(e.to_string()))?;
    let mut url = href.to_url().ok_or_else(|| wrong("it is not a URL of http(s)".to_owned()))?;
    // The items of one collection need not be told which.
    let of_collection = url.path().ends_with("/items");
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_told = of_collection && name == "collections";
        if !is_told && !value.is_null() {
            url.query_pairs_mut().append_pair(name, &text);
        }
    }
    Href::parse(url.as_str()).map_err(|source| Error::Reference { document: href.clone(), source })
}

/// The items of a collection below the list of collections.
pub(super) fn items_of(collections: &Href, id: &str) -> Result<Href> {
    let wrong = |why: &str| Error::Api { href: collections.clone(), why: why.to_owned() };
    let mut url = collections.to_url().ok_or_else(|| wrong("it is not a URL of http(s)"))?;
    match url.path_segments_mut() {
        Ok(mut path) => drop(path.pop_if_empty().extend([id, "items"])),
        Err(()) => return Err(wrong("it has no path")),
    }
    Href::parse(url.as_str()).map_err(|source| Error::Reference { document: collections.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_the_query_of_a_url() {
        let search = Search {
            ids: vec!["a".into(), "b".into()],
            items: stac::api::Items {
                limit: Some(10),
                datetime: Some("2020-01-01T00:00:00Z/..".into()),
                bbox: Some(vec![-10.0, 40.0, 30.0, 60.0].try_into().unwrap()),
                ..Default::default()
            },
            ..Default::default()
        };
        let href = with_query(&Href::parse("https://h/search?token=x").unwrap(), &search).unwrap();
        let query: Vec<(String, String)> = href.to_url().unwrap().query_pairs().into_owned().collect();
        let has = |name: &str, value: &str| assert!(query.contains(&(name.into(), value.into())), "{query:?}");
        has("token", "x");
        has("ids", "a,b");
        has("limit", "10");
        has("datetime", "2020-01-01T00:00:00Z/..");
        assert!(query.iter().any(|(name, value)| name == "bbox" && value.starts_with("-10")));
    }
}
