//! Requests that change something at a server: retries, pauses and credentials as for those that read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Client, Method, Response};
use url::Url;

use super::answer::{is_final, not_public, plain};
use super::hosts::Failed;
use super::{Http, builder, built};
use crate::{Error, Href, Result, redirect, retry};

/// Bytes of a body that are handed on at once.
const SLICE: usize = 64 << 10;
/// Redirects of one request.
const HOPS: usize = 10;

/// A request that changes something.
#[derive(Debug, Clone)]
pub(crate) struct Change<'a> {
    pub(crate) href: &'a Href,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// How far a body has gone; who watches it sees whether it moves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone(Arc<AtomicU64>);

impl Gone {
    fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Ends when nothing has moved for so long.
    async fn stalls(&self, patience: Duration) {
        loop {
            let before = self.0.load(Ordering::Relaxed);
            tokio::time::sleep(patience).await;
            if self.0.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

/// A body in small parts, so that it is seen whether it moves.
pub(crate) fn watched(bytes: Bytes) -> (Body, Gone) {
    let parts = stream::unfold(bytes, |mut rest| async move {
        let part = rest.split_to(rest.len().min(SLICE));
        (!part.is_empty()).then_some((Ok::<_, std::io::Error>(part), rest))
    });
    counted(parts)
}

/// A body of which it is seen whether it moves.
pub(crate) fn counted(parts: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> (Body, Gone) {
    use futures::StreamExt;
    let gone = Gone::default();
    let seen = gone.clone();
    let parts = parts.inspect(move |part| seen.add(part.as_ref().map_or(0, Bytes::len)));
    (Body::wrap_stream(parts), gone)
}

/// Sends a request and waits for the headers of its answer, as long as its body moves.
pub(crate) async fn execute(
    client: &Client,
    request: reqwest::Request,
    gone: &Gone,
    patience: Duration,
) -> std::result::Result<reqwest::Result<Response>, std::io::Error> {
    tokio::select! {
        done = client.execute(request) => Ok(done),
        () = gone.stalls(patience) => {
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("nothing moved for {patience:?}")))
        }
    }
}

/// What became of one try.
enum Tried {
    Answer(Response),
    /// A failure, the wait that was asked for, and whether another try may end otherwise.
    Failed(Box<dyn std::error::Error + Send + Sync>, bool),
}

impl Http {
    /// The client for bodies that go out: silence is judged by whether they move.
    pub(crate) fn writer(&self) -> Result<Client> {
        if let Some(client) = self.writer.get() {
            return Ok(client.clone());
        }
        let mut begun = builder(&self.options);
        if let Some(guard) = &self.guard {
            begun = begun.dns_resolver(Arc::new(guard.clone()));
        }
        let client = built(begun.read_timeout(Duration::from_hours(24)))?;
        Ok(self.writer.get_or_init(|| client).clone())
    }

    /// Sends a change until it is answered with success or with a status that `is_answer` takes.
    pub(crate) async fn change(&self, change: &Change<'_>, is_answer: impl Fn(u16) -> bool) -> Result<Response> {
        let host = self.hosts.of(change.href);
        let mut tries = 0;
        loop {
            tries += 1;
            let pass = host.pass().await;
            let failed = match self.change_once(change).await? {
                Tried::Answer(response) => {
                    let status = response.status().as_u16();
                    if response.status().is_success() || is_answer(status) {
                        host.answered(&pass);
                        return Ok(response);
                    }
                    let (error, told) = (refused(change.href, status), retry::told(response.headers()));
                    Failed { error, told, may_pass: retry::may_pass(status) }
                }
                Tried::Failed(source, may_pass) => {
                    let error = Error::Transport { href: change.href.clone(), tries, source };
                    Failed { error, told: None, may_pass }
                }
            };
            host.before_next(pass, failed, tries, &self.options).await?;
        }
    }

    async fn change_once(&self, change: &Change<'_>) -> Result<Tried> {
        let mut url = self.url_of(change.href)?;
        let mut visited = vec![url.clone()];
        loop {
            let (body, gone) = watched(change.body.clone().unwrap_or_default());
            let body = change.body.as_ref().map(|bytes| (body, bytes.len() as u64));
            let response = match self.hop_of_change(change, &url, body, &gone).await? {
                Tried::Answer(response) => response,
                failed @ Tried::Failed(..) => return Ok(failed),
            };
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| matches!(response.status().as_u16(), 307 | 308)) else {
                return Ok(Tried::Answer(response));
            };
            let Ok(next) = url.join(location) else {
                return Ok(Tried::Failed("it redirects to a place that is no URL".into(), false));
            };
            if visited.len() > HOPS {
                return Ok(Tried::Failed("it redirects without end".into(), false));
            }
            if let Some(why) = redirect::refusal(&next, &visited) {
                return Ok(Tried::Failed(why.into(), false));
            }
            visited.push(next.clone());
            url = next;
        }
    }

    /// The URL that an href is written to.
    pub(crate) fn url_of(&self, href: &Href) -> Result<Url> {
        const WHY: &str = "its scheme is not supported, name a path or a URL of s3, gs, az, abfs(s) or a WebDAV server";
        let written = || Error::NotWritten { href: href.clone(), why: WHY.to_owned() };
        self.credentials.locate(href)?.to_url().ok_or_else(written)
    }

    /// One request to one place.
    async fn hop_of_change(
        &self,
        change: &Change<'_>,
        url: &Url,
        body: Option<(Body, u64)>,
        gone: &Gone,
    ) -> Result<Tried> {
        if let Some(Err(why)) = self.guard.as_ref().map(|guard| guard.check(url)) {
            return Ok(Tried::Failed(Box::new(why), false));
        }
        let request = self.request_of_change(change, url, body).await?;
        let sent = execute(&self.writer()?, request, gone, self.options.read_timeout).await;
        Ok(match sent {
            Ok(Ok(response)) => Tried::Answer(response),
            Ok(Err(error)) => {
                let private = not_public(&error);
                let may_pass = private.is_none() && !is_final(&error);
                let source = plain(&error.without_url(), self.options.connect_timeout, self.options.read_timeout);
                Tried::Failed(private.map_or_else(|| source.into(), Into::into), may_pass)
            }
            Err(stalled) => Tried::Failed(stalled.into(), true),
        })
    }

    async fn request_of_change(
        &self,
        change: &Change<'_>,
        url: &Url,
        body: Option<(Body, u64)>,
    ) -> Result<reqwest::Request> {
        let mut headers = change.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((name, value)) = self.credentials.header(change.href, url, &self.client).await? {
            headers.insert(name, value);
        }
        let mut request = self.writer()?.request(change.method.clone(), url.clone()).headers(headers);
        if let Some((body, length)) = body {
            request = request.header(CONTENT_LENGTH, length).body(body);
        }
        let broken = |e: reqwest::Error| Error::answer(change.href, format!("no request: {}", e.without_url()));
        request.build().map_err(broken)
    }

    /// Sends a body once as it comes; there is no second try, for it is gone.
    pub(crate) async fn send_stream(
        &self,
        href: &Href,
        size: Option<u64>,
        parts: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        let url = self.url_of(href)?;
        let change = Change { href, method: Method::PUT, headers: HeaderMap::new(), body: None };
        let (body, gone) = counted(parts);
        let mut request = self.request_of_change(&change, &url, None).await?;
        if let Some(size) = size {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        }
        *request.body_mut() = Some(body);
        if let Some(Err(why)) = self.guard.as_ref().map(|guard| guard.check(&url)) {
            return Err(Error::Transport { href: href.clone(), tries: 1, source: Box::new(why) });
        }
        let transport = |source| Error::Transport { href: href.clone(), tries: 0, source };
        match execute(&self.writer()?, request, &gone, self.options.read_timeout).await {
            Ok(Ok(response)) if response.status().is_success() => Ok(()),
            Ok(Ok(response)) if retry::may_pass(response.status().as_u16()) => {
                Err(transport(format!("HTTP status {}", response.status().as_u16()).into()))
            }
            Ok(Ok(response)) => Err(refused(href, response.status().as_u16())),
            Ok(Err(error)) => {
                let (connect, read) = (self.options.connect_timeout, self.options.read_timeout);
                Err(transport(plain(&error.without_url(), connect, read).into()))
            }
            Err(stalled) => Err(transport(stalled.into())),
        }
    }
}

/// What a status says of a change that was not made.
fn refused(href: &Href, status: u16) -> Error {
    let why = match status {
        401 | 403 => "these credentials may not write there",
        404 | 409 => "its folder does not exist",
        405 | 501 => "the server does not take files (no WebDAV)",
        307 | 308 => "the server sends large files to another place, and says so only when they are on their way",
        413 => "the server takes no file of this size",
        423 => "it is locked",
        507 => "the server has no room",
        _ => return Error::Status { href: href.clone(), status },
    };
    Error::NotWritten { href: href.clone(), why: format!("{why} (HTTP status {status})") }
}
