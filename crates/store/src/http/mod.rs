//! HTTP(S): requests with retries, ranges with checks, whole bodies with limits.

mod answer;
mod body;

use std::ops::Range;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, IF_MATCH, RANGE};
use reqwest::{Client, Method, Response};

use crate::store::{ObjectMeta, StoreOptions};
use crate::{Error, Href, Result, redirect, retry};

use answer::{Answer, Refusal, classify, content_range, plain};
pub(crate) use body::Body;

/// Largest object of which a part is taken from a whole body, where a server ignores `Range`.
const WHOLE_BODY_LIMIT: u64 = 4 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    options: StoreOptions,
}

impl Http {
    pub(crate) fn new(options: &StoreOptions) -> Result<Self> {
        // A second installation in the same process is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("outcrop/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .redirect(redirect::policy())
            // A signed URL would reach the next host as `Referer`.
            .referer(false)
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
            let Refusal { error, told, may_pass } = match self.send_once(href, range, etag).await {
                Ok(response) => match classify(href, response, range) {
                    Ok(answer) => return Ok(answer),
                    Err(refusal) => *refusal,
                },
                Err(source) => {
                    let may_pass = !answer::is_final(&source);
                    let source = Box::new(plain(&source, &self.options));
                    Refusal { error: Error::Transport { href: href.clone(), tries, source }, told: None, may_pass }
                }
            };
            if tries > self.options.retries || !may_pass {
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
        let other_tag = answer.etag.is_some() && meta.etag.is_some() && answer.etag != meta.etag;
        if other_tag || answer.size.is_some_and(|size| size != meta.size) {
            return Err(Error::Changed { href: meta.href.clone() });
        }
        if !answer.is_partial && meta.size > WHOLE_BODY_LIMIT {
            return Err(Error::NoRanges { href: meta.href.clone() });
        }
        self.body_of_range(&meta.href, answer, range).await
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
        let answer = self.send(href, Some(&range), None).await?;
        if answer.is_empty {
            return Ok((ObjectMeta::new(href.clone(), 0), Bytes::new()));
        }
        let size = answer.size.ok_or_else(|| Error::answer(href, "it does not say the size of the file"))?;
        let mut meta = ObjectMeta::new(href.clone(), size);
        meta.etag.clone_from(&answer.etag);
        meta.is_html = answer.is_html;
        let sent = range.end.min(size);
        let bytes = self.body_of_range(href, answer, &(0..sent)).await?;
        let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
        Ok((meta, bytes.slice(..wanted)))
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
        let too_large = || Error::TooLarge { href: href.clone(), limit };
        if answer.size.is_some_and(|size| size > limit) {
            return Err(too_large());
        }
        let bytes = Body::new(href, answer.response, &self.options).read(limit).await?;
        bytes.map(|bytes| (bytes, media)).ok_or_else(too_large)
    }

    async fn body_of_range(&self, href: &Href, answer: Answer, range: &Range<u64>) -> Result<Bytes> {
        let want = range.end - range.start;
        if answer.is_partial {
            check_content_range(href, &answer.response, range)?;
            let bytes = Body::new(href, answer.response, &self.options).read(want).await?;
            return match bytes {
                Some(bytes) if bytes.len() as u64 == want => Ok(bytes),
                Some(bytes) => Err(Error::Truncated { href: href.clone(), got: bytes.len() as u64, want }),
                None => Err(Error::answer(href, format!("more than the {want} bytes that were asked for"))),
            };
        }
        // The server ignored the range and sends the whole object, of which the start is taken.
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        let (Ok(start), Ok(end)) = (start, end) else { return Err(Error::NoRanges { href: href.clone() }) };
        let bytes = Body::new(href, answer.response, &self.options).read_prefix(end).await?;
        if bytes.len() < end {
            return Err(Error::Truncated { href: href.clone(), got: bytes.len().saturating_sub(start) as u64, want });
        }
        Ok(bytes.slice(start..end))
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

fn check_content_range(href: &Href, response: &Response, range: &Range<u64>) -> Result<()> {
    match content_range(response.headers()) {
        None => Err(Error::answer(href, "status 206 without a `Content-Range` that says which bytes these are")),
        Some((start, end, _)) if start == range.start && end >= range.start && end <= range.end => Ok(()),
        Some((start, end, _)) => Err(Error::answer(
            href,
            format!("bytes {start} to {end} came where {} to {} were asked for", range.start, range.end),
        )),
    }
}
