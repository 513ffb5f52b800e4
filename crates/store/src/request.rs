//! A question to a service that answers in JSON: its address, and what is posted to it.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::{Error, Href, Result};

/// A request whose answer is a JSON document. It changes nothing at the service, so that it may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// The address.
    pub href: String,
    /// JSON that is posted; without it the request is a GET.
    pub body: Option<String>,
    /// Further headers, such as a service wants them for its next page.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// A GET.
    pub fn get(href: &Href) -> Self {
        Self { href: href.as_str().to_owned(), body: None, headers: Vec::new() }
    }

    /// A POST of JSON.
    pub fn post(href: &Href, body: String) -> Self {
        Self { body: Some(body), ..Self::get(href) }
    }

    /// The headers; those that set the connection are the transport's own.
    pub(crate) fn header_map(&self) -> Result<HeaderMap> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let wrong =
                || Error::answer(&Href::from_path(self.href.as_ref()), format!("the header `{name}` is malformed"));
            let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?;
            let is_own = ["host", "content-length", "transfer-encoding", "connection"].contains(&name.as_str());
            if !is_own {
                map.insert(name, value);
            }
        }
        map.entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/geo+json, application/json;q=0.9, */*;q=0.1"));
        if self.body.is_some() {
            map.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        Ok(map)
    }

    pub(crate) fn bytes(&self) -> Option<Bytes> {
        self.body.as_ref().map(|body| Bytes::copy_from_slice(body.as_bytes()))
    }
}

/// What a service says of a request that it refuses, in the fields that services use for it.
pub(crate) fn reason(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = ["description", "detail", "message", "errorMessage", "title", "code"]
        .iter()
        .find_map(|name| value.get(*name).filter(|found| !found.is_null()))?;
    let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    // It is shown on a terminal.
    let shown: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_service_are_taken_but_not_those_of_the_connection() {
        let mut request = Request::post(&Href::parse("https://h/search").unwrap(), "{}".to_owned());
        request.headers = vec![("X-Token".into(), "a".into()), ("Host".into(), "evil".into())];
        let map = request.header_map().unwrap();
        assert_eq!(map.get("x-token").unwrap(), "a");
        assert!(map.get("host").is_none() && map.get(CONTENT_TYPE).unwrap() == "application/json");
        request.headers = vec![("bad name".into(), "a".into())];
        assert!(request.header_map().is_err());
    }

    #[test]
    fn reasons_are_found_and_made_safe() {
        assert_eq!(
            reason(br#"{"code":"BadRequest","description":"no \u001b[31msuch field"}"#).unwrap(),
            "no [31msuch field"
        );
        assert_eq!(reason(br#"{"detail":[{"loc":["bbox"]}]}"#).unwrap(), r#"[{"loc":["bbox"]}]"#);
        assert_eq!(reason(b"<html>"), None);
    }
}
