//! HTTP(S): requests with retries, ranges with checks, whole bodies with limits.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, RANGE, RETRY_AFTER};
use reqwest::{Client, Method, Response};

use crate::store::{ObjectMeta, StoreOptions};
use crate::{Error, Href, Result, retry};

/// Largest body that is read past the wanted range when a server ignores `Range`.
const WHOLE_BODY_LIMIT: u64 = 64 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    options: StoreOptions,
}

/// A body, where it came from and what the server said of it.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) size: Option<u64>,
    pub(crate) etag: Option<String>,
    pub(crate) is_html: bool,
}

impl Http {
    pub(crate) fn new(options: &StoreOptions) -> Result<Self> {
        // A second installation in the same process is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = reqwest::redirect::Policy::custom(|attempt| {
            let downgrade =
                attempt.url().scheme() == "http" && attempt.previous().iter().any(|url| url.scheme() == "https");
            let strange = !matches!(attempt.url().scheme(), "http" | "https");
            if downgrade || strange {
                attempt.error("redirect to another scheme refused")
            } else if attempt.previous().len() > 10 {
                attempt.error("more than 10 redirects")
            } else {
                attempt.follow()
            }
        });
        let client = Client::builder()
            .user_agent(concat!("outcrop/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .redirect(policy)
            .build()
            .map_err(|e| Error::Transport {
                href: Href::from_path("https:".as_ref()),
                tries: 0,
                source: Box::new(e),
            })?;
        Ok(Self { client, options: options.clone() })
    }

    /// Sends a request until it is answered, with the retries of the options.
    pub(crate) async fn send(&self, href: &Href, range: Option<&Range<u64>>, etag: Option<&str>) -> Result<Answer> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, told) = match self.send_once(href, range, etag).await {
                Ok(response) => match classify(href, response, range) {
                    Ok(answer) => return Ok(answer),
                    Err((error, told)) => (error, told),
                },
                Err(source) if is_final(&source) => {
                    return Err(Error::Transport { href: href.clone(), tries, source: Box::new(source.without_url()) });
                }
                Err(source) => {
                    (Error::Transport { href: href.clone(), tries, source: Box::new(source.without_url()) }, None)
                }
            };
            if tries > self.options.retries || !may_retry(&error) {
                return Err(error);
            }
            tokio::time::sleep(retry::pause(tries, told, self.options.retry_wait_cap)).await;
        }
    }

    async fn send_once(
        &self,
        href: &Href,
        range: Option<&Range<u64>>,
        etag: Option<&str>,
    ) -> reqwest::Result<Response> {
        let mut request = self.client.request(Method::GET, href.as_str()).header(ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
            if let Some(etag) = etag {
                request = request.header(IF_MATCH, etag);
            }
        }
        request.send().await
    }

    /// One range of an object, checked against what was asked for.
    pub(crate) async fn range(&self, meta: &ObjectMeta, range: &Range<u64>) -> Result<Bytes> {
        let mut tries = 0;
        loop {
            match self.range_once(meta, range).await {
                Err(error) => self.before_next(&mut tries, &meta.href, error).await?,
                done => return done,
            }
        }
    }

    async fn range_once(&self, meta: &ObjectMeta, range: &Range<u64>) -> Result<Bytes> {
        let answer = self.send(&meta.href, Some(range), meta.strong_etag()).await?;
        if answer.etag.is_some() && meta.etag.is_some() && answer.etag != meta.etag {
            return Err(Error::Changed { href: meta.href.clone() });
        }
        body_of_range(&meta.href, answer, range).await
    }

    /// The first bytes of an object (up to `len`) and what the server says of it.
    pub(crate) async fn head(&self, href: &Href, len: u64) -> Result<(ObjectMeta, Bytes)> {
        let mut tries = 0;
        loop {
            match self.head_once(href, len).await {
                Err(error) => self.before_next(&mut tries, href, error).await?,
                done => return done,
            }
        }
    }

    async fn head_once(&self, href: &Href, len: u64) -> Result<(ObjectMeta, Bytes)> {
        let range = 0..len.max(1);
        let answer = match self.send(href, Some(&range), None).await {
            // An empty object has no satisfiable range.
            Err(Error::Status { status: 416, .. }) => return Ok((ObjectMeta::new(href.clone(), 0), Bytes::new())),
            other => other?,
        };
        let size = answer.size.ok_or_else(|| Error::NoRanges { href: href.clone() })?;
        let mut meta = ObjectMeta::new(href.clone(), size);
        meta.etag.clone_from(&answer.etag);
        meta.is_html = answer.is_html;
        let bytes = body_of_range(href, answer, &(0..len.min(size))).await?;
        Ok((meta, bytes))
    }

    /// A whole body of at most `limit` bytes, and its media type.
    pub(crate) async fn get(&self, href: &Href, limit: u64) -> Result<(Bytes, String)> {
        let mut tries = 0;
        loop {
            match self.get_once(href, limit).await {
                Err(error) => self.before_next(&mut tries, href, error).await?,
                done => return done,
            }
        }
    }

    async fn get_once(&self, href: &Href, limit: u64) -> Result<(Bytes, String)> {
        let answer = self.send(href, None, None).await?;
        let media = answer.response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media = media.unwrap_or_default().to_owned();
        let want = answer.size;
        let bytes = read_body(href, answer.response, limit).await?;
        match want {
            Some(want) if want != bytes.len() as u64 => {
                Err(Error::Truncated { href: href.clone(), got: bytes.len() as u64, want })
            }
            _ => Ok((bytes, media)),
        }
    }

    /// Waits before a request whose body broke off is repeated; other failures, and the last one, are given back.
    async fn before_next(&self, tries: &mut u32, href: &Href, error: Error) -> Result<()> {
        *tries += 1;
        match error {
            // `send` has used up its own tries for failures before the body.
            Error::Transport { tries: 0, .. } if *tries <= self.options.retries => {
                tokio::time::sleep(retry::pause(*tries, None, self.options.retry_wait_cap)).await;
                Ok(())
            }
            Error::Transport { tries: 0, source, .. } => {
                Err(Error::Transport { href: href.clone(), tries: *tries, source })
            }
            other => Err(other),
        }
    }
}

/// An error with the wait the server asks for.
type Refusal = (Error, Option<Duration>);

/// Sorts an answer into usable or not.
fn classify(href: &Href, response: Response, range: Option<&Range<u64>>) -> std::result::Result<Answer, Refusal> {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|v: &reqwest::header::HeaderValue| v.to_str().ok());
    match status {
        404 | 410 => return Err((Error::NotFound { href: href.clone() }, None)),
        412 if range.is_some() => return Err((Error::Changed { href: href.clone() }, None)),
        200..=299 => {}
        _ => {
            return Err((
                Error::Status { href: href.clone(), status },
                header(RETRY_AFTER).and_then(retry::retry_after),
            ));
        }
    }
    let total = header(CONTENT_RANGE).and_then(|value| value.rsplit('/').next()).and_then(|total| total.parse().ok());
    let size = if status == 206 { total } else { header(reqwest::header::CONTENT_LENGTH).and_then(|v| v.parse().ok()) };
    let etag = header(ETAG).map(str::to_owned);
    let is_html = header(CONTENT_TYPE).is_some_and(|v| v.starts_with("text/html"));
    Ok(Answer { response, size, etag, is_html })
}

fn may_retry(error: &Error) -> bool {
    match error {
        Error::Status { status, .. } => retry::may_pass(*status),
        Error::Transport { .. } => true,
        _ => false,
    }
}

/// Failures that another try cannot mend: bad certificates, refused redirects, malformed requests.
fn is_final(error: &reqwest::Error) -> bool {
    let mut text = format!("{error:?}");
    text.make_ascii_lowercase();
    error.is_redirect() || error.is_builder() || text.contains("certificate")
}

async fn body_of_range(href: &Href, answer: Answer, range: &Range<u64>) -> Result<Bytes> {
    let want = range.end - range.start;
    if answer.response.status().as_u16() == 206 {
        check_content_range(href, &answer.response, range)?;
        let bytes = read_body(href, answer.response, want).await?;
        return match bytes.len() as u64 {
            got if got == want => Ok(bytes),
            got => Err(Error::Truncated { href: href.clone(), got, want }),
        };
    }
    // The server ignored the range and sends the whole object: take the part if that is cheap.
    if range.end > WHOLE_BODY_LIMIT {
        return Err(Error::NoRanges { href: href.clone() });
    }
    let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
    let (Ok(start), Ok(end)) = (start, end) else { return Err(Error::NoRanges { href: href.clone() }) };
    let bytes = read_prefix(href, answer.response, end).await?;
    if bytes.len() < end {
        return Err(Error::Truncated { href: href.clone(), got: bytes.len().saturating_sub(start) as u64, want });
    }
    Ok(bytes.slice(start..end))
}

fn check_content_range(href: &Href, response: &Response, range: &Range<u64>) -> Result<()> {
    let value = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let start =
        value.strip_prefix("bytes ").and_then(|v| v.split('-').next()).and_then(|v| v.trim().parse::<u64>().ok());
    if start == Some(range.start) { Ok(()) } else { Err(Error::Changed { href: href.clone() }) }
}

async fn read_body(href: &Href, response: Response, limit: u64) -> Result<Bytes> {
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|e| broken_body(href, e))?;
        if body.len() as u64 + part.len() as u64 > limit {
            return Err(Error::TooLarge { href: href.clone(), limit });
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

async fn read_prefix(href: &Href, response: Response, len: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while body.len() < len {
        let Some(part) = stream.next().await else { break };
        body.extend_from_slice(&part.map_err(|e| broken_body(href, e))?);
    }
    Ok(body.freeze())
}

/// `tries: 0` marks a failure after the headers, which [`Http::before_next`] may repeat.
pub(crate) fn broken_body(href: &Href, error: reqwest::Error) -> Error {
    Error::Transport { href: href.clone(), tries: 0, source: Box::new(error.without_url()) }
}
