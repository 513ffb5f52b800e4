//! One request over all its redirects. Each hop is made anew: what is sent depends on the origin it goes to.

use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response};
use url::Url;

use super::Http;
use crate::bucket::Ask;
use crate::listing::webdav;
use crate::{Error, Result, redirect};

/// What became of a request.
pub(super) enum Sent {
    Answer(Response),
    Failed(reqwest::Error),
    /// It was not sent, or not on, for a reason that stays.
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

impl Http {
    /// Sends a request to a host that is no object store, and follows where that leads.
    pub(super) async fn follow(&self, ask: &Ask<'_>) -> Result<Sent> {
        let place = self.credentials.locate(ask.href)?;
        let Some(first) = place.to_url() else {
            let scheme = place.scheme().unwrap_or_default();
            return Err(Error::Scheme { href: ask.href.clone(), scheme });
        };
        let mut method = method_of(ask);
        let mut visited = vec![first.clone()];
        loop {
            let url = visited.last().cloned().unwrap_or_else(|| first.clone());
            if let Some(Err(why)) = self.guard.as_ref().map(|guard| guard.check(&url)) {
                return Ok(Sent::Refused(Box::new(why)));
            }
            let request = self.hop(ask, &method, &url, &first).await?;
            let response = match self.client.execute(request).await {
                Ok(response) => response,
                Err(error) => return Ok(Sent::Failed(error)),
            };
            let status = response.status().as_u16();
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
                return Ok(Sent::Answer(response));
            };
            let Ok(mut next) = url.join(location) else {
                return Ok(Sent::Refused("it redirects to a place that is no URL".into()));
            };
            if let Some(why) = redirect::refusal(&next, &visited) {
                return Ok(Sent::Refused(why.into()));
            }
            next.set_fragment(None);
            if method == Method::POST && status < 307 {
                method = Method::GET;
            }
            visited.push(next);
        }
    }

    async fn hop(&self, ask: &Ask<'_>, method: &Method, url: &Url, first: &Url) -> Result<reqwest::Request> {
        let target = self.credentials.signed(ask.href, url.clone(), &self.client).await?;
        let mut headers = HeaderMap::new();
        let mut encoding = "identity";
        let mut body = None;
        match ask.request {
            // Headers of a service are for its own origin.
            Some(service) => {
                encoding = "gzip";
                if url.origin() == first.origin() {
                    headers.extend(service.header_map()?);
                }
                body = service.bytes().filter(|_| *method == Method::POST);
                if body.is_some() {
                    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                }
            }
            None if ask.members => {
                headers.insert("Depth", HeaderValue::from_static("1"));
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                body = Some(webdav::QUESTION.into());
            }
            None => headers.extend(ask.headers()),
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        if let Some((name, value)) = self.credentials.header(ask.href, url, &self.client).await? {
            headers.insert(name, value);
        }
        let mut request = self.client.request(method.clone(), target).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        request.build().map_err(|e| Error::answer(ask.href, format!("no request can be made: {}", e.without_url())))
    }
}

fn method_of(ask: &Ask<'_>) -> Method {
    match ask.request {
        Some(service) if service.body.is_some() => Method::POST,
        None if ask.members => Method::from_bytes(b"PROPFIND").unwrap_or_default(),
        _ => Method::GET,
    }
}
