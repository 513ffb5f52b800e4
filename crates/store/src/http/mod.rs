//! HTTP(S): requests with retries, ranges with checks, whole bodies with limits.

mod answer;
mod body;
mod change;
mod cookies;
mod guard;
mod hops;
mod hosts;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};

use crate::bucket::{Ask, Bucket, BucketClient, Buckets, Connector, Verdict};
use crate::credentials::Credentials;
use crate::store::{ObjectMeta, StoreOptions};
use crate::{Error, Href, Result, request, retry};

pub(crate) use answer::Answer;
use answer::{Refusal, classify, content_range, plain};
pub(crate) use body::Body;
pub(crate) use change::{Change, execute, watched};
use cookies::Cookies;
pub(crate) use guard::{Guard, is_public};
use hops::Sent;
use hosts::Failed;
pub(crate) use hosts::{Host, Hosts};

/// Largest object of which a part is taken from a whole body, where a server ignores `Range`.
const WHOLE_BODY_LIMIT: u64 = 4 << 20;

/// A whole body.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) media: String,
    /// Bytes that came over the line: fewer than there are where they were packed.
    pub(crate) came: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// It follows no redirect by itself, which would take tokens and signatures to other hosts.
    client: Client,
    buckets: Buckets,
    pub(crate) credentials: Credentials,
    hosts: Arc<Hosts>,
    guard: Option<Guard>,
    /// Microseconds from requests to the headers of their answers.
    pub(crate) waited: Arc<AtomicU64>,
    /// The client for bodies that go out, from the first one on.
    writer: Arc<OnceLock<Client>>,
    options: StoreOptions,
}

impl Http {
    pub(crate) fn new(options: &StoreOptions) -> Result<Self> {
        // A second installation in the same process is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = built(builder(options))?;
        let buckets = Buckets::new(&options.environment);
        let credentials = Credentials::of(&options.environment, &options.voice)?;
        let hosts = Arc::new(Hosts::new(options.per_host));
        let (waited, writer) = Default::default();
        Ok(Self { client, buckets, credentials, hosts, guard: None, waited, writer, options: options.clone() })
    }

    /// The same, but it reaches no address that is not public, except of hosts that are trusted.
    pub(crate) fn guarded(&self, guard: Guard) -> Result<Self> {
        let client = built(builder(&self.options).dns_resolver(Arc::new(guard.clone())))?;
        Ok(Self { client, guard: Some(guard), writer: Arc::default(), ..self.clone() })
    }

    /// The host of an href.
    pub(crate) fn host(&self, href: &Href) -> Arc<Host> {
        self.hosts.of(href)
    }

    /// The bucket of an href of an object store.
    pub(crate) fn bucket(&self, href: &Href) -> Result<Option<Arc<Bucket>>> {
        self.buckets.of(href, || Ok(self.client.clone()))
    }

    /// The client that writes to a bucket.
    pub(crate) fn bucket_client(&self, bucket: &Bucket, href: &Href) -> Result<Arc<dyn BucketClient>> {
        let StoreOptions { retries, read_timeout, .. } = self.options;
        bucket.client(href, || Ok(Connector::for_bodies(self.writer()?, retries, read_timeout)))
    }

    /// Sends a request until it is answered, with the retries of the options and the pauses of its host.
    pub(crate) async fn send(&self, ask: &Ask<'_>) -> Result<Answer> {
        let bucket = self.bucket(ask.href)?;
        let host = self.hosts.of(ask.href);
        let (mut tries, mut moved) = (0, false);
        loop {
            tries += 1;
            let pass = host.pass().await;
            let region = bucket.as_ref().map(|bucket| bucket.region()).unwrap_or_default();
            let place = bucket.as_deref().map(|bucket| (bucket, region.as_str()));
            let Refusal { error, told, may_pass } = match self.once(ask, place, tries).await? {
                Ok(answer) => {
                    host.answered(&pass);
                    return Ok(answer);
                }
                // The region is known now; it cannot move on and on.
                Err(refusal) if refusal.is_moved() && !moved => {
                    moved = true;
                    tries -= 1;
                    continue;
                }
                Err(refusal) => *refusal,
            };
            host.before_next(pass, Failed { error, told, may_pass }, tries, &self.options).await?;
        }
    }

    /// One try.
    async fn once(
        &self,
        ask: &Ask<'_>,
        place: Option<(&Bucket, &str)>,
        tries: u32,
    ) -> Result<std::result::Result<Answer, Box<Refusal>>> {
        let begun = Instant::now();
        let sent = match place {
            Some((bucket, region)) => match self.client.execute(bucket.request(ask, region).await?).await {
                Ok(response) => Sent::Answer(response),
                Err(error) => Sent::Failed(error),
            },
            None => self.follow(ask).await?,
        };
        let waited = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(waited, Ordering::Relaxed);
        let href = ask.href.clone();
        let (source, may_pass): (Box<dyn std::error::Error + Send + Sync>, bool) = match sent {
            Sent::Answer(response) => return Ok(judge(ask, place, response).await),
            Sent::Refused(why) => (why, false),
            Sent::Failed(source) => {
                let StoreOptions { connect_timeout, read_timeout, .. } = self.options;
                let private = answer::not_public(&source);
                let may_pass = private.is_none() && !answer::is_final(&source);
                let plain = || plain(&source.without_url(), connect_timeout, read_timeout).into();
                (private.map_or_else(plain, Into::into), may_pass)
            }
        };
        Ok(Err(Box::new(Refusal { error: Error::Transport { href, tries, source }, told: None, may_pass })))
    }

    /// The body of an object from a byte on, perhaps to its end; what was asked for is what comes, or an error.
    pub(crate) async fn open(&self, meta: Option<&ObjectMeta>, ask: &Ask<'_>) -> Result<Answer> {
        let answer = self.send(ask).await?;
        let (Some(meta), Some(range)) = (meta, ask.range) else { return Ok(answer) };
        let other_tag = answer.etag.is_some() && meta.etag.is_some() && answer.etag != meta.etag;
        if other_tag || answer.size.is_some_and(|size| size != meta.size) {
            return Err(Error::Changed { href: ask.href.clone() });
        }
        if !answer.is_partial {
            return Err(Error::NoRanges { href: ask.href.clone() });
        }
        check_content_range(ask.href, &answer.response, range).map(|()| answer)
    }

    /// True if the first request for an object carries credentials.
    pub(crate) fn has_credentials(&self, href: &Href) -> Result<bool> {
        if let Some(bucket) = self.bucket(href)? {
            return Ok(bucket.is_signed());
        }
        match self.credentials.locate(href)?.to_url() {
            Some(url) => Ok(self.credentials.has(&url)),
            None => Ok(false),
        }
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.options
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
        let answer = self.send(&Ask::range(&meta.href, range, meta.strong_etag())).await?;
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
        let answer = match self.send(&Ask::range(href, &range, None)).await {
            // S3 does not say with this status that the object has no bytes.
            Err(Error::Status { status: 416, .. }) if href.bucket_and_key().is_some() => self.empty(href).await?,
            other => other?,
        };
        if answer.is_empty {
            return Ok((ObjectMeta::new(href.clone(), 0), Bytes::new()));
        }
        let size = answer.size.ok_or_else(|| Error::answer(href, "it does not say the size of the file"))?;
        let mut meta = ObjectMeta::new(href.clone(), size);
        meta.etag.clone_from(&answer.etag);
        meta.modified.clone_from(&answer.modified);
        meta.is_html = answer.is_html;
        let sent = range.end.min(size);
        let bytes = self.body_of_range(href, answer, &(0..sent)).await?;
        let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
        Ok((meta, bytes.slice(..wanted)))
    }

    /// The answer for an object of which no first byte can be had; it must have none.
    async fn empty(&self, href: &Href) -> Result<Answer> {
        let mut answer = self.send(&Ask::whole(href)).await?;
        answer.is_empty = answer.size == Some(0);
        if answer.is_empty { Ok(answer) } else { Err(Error::NoRanges { href: href.clone() }) }
    }

    /// A whole body of at most `limit` bytes.
    pub(crate) async fn get(&self, ask: &Ask<'_>, limit: u64) -> Result<Whole> {
        let mut tries = 0;
        loop {
            match self.get_once(ask, limit).await {
                Err(error) => self.before_next(&mut tries, ask.href, error).await?,
                done => return done,
            }
        }
    }

    async fn get_once(&self, ask: &Ask<'_>, limit: u64) -> Result<Whole> {
        let href = ask.href;
        let answer = self.send(ask).await?;
        let media = answer.response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media = media.unwrap_or_default().to_owned();
        let too_large = || Error::TooLarge { href: href.clone(), limit };
        if answer.size.is_some_and(|size| size > limit) {
            return Err(too_large());
        }
        let body = Body::new(href, answer.response, &self.options);
        let (bytes, came) = if answer.is_gzip {
            body.unpack(limit).await?.ok_or_else(too_large)?
        } else {
            let bytes = body.read(limit).await?.ok_or_else(too_large)?;
            let came = bytes.len() as u64;
            (bytes, came)
        };
        Ok(Whole { bytes, media, came })
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

fn builder(options: &StoreOptions) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("outcrop/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .cookie_provider(Arc::new(Cookies::default()))
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        // A signed URL would reach the next host as `Referer`.
        .referer(false)
}

fn built(builder: ClientBuilder) -> Result<Client> {
    let failed = |e| Error::Transport { href: Href::from_path("https:".as_ref()), tries: 0, source: Box::new(e) };
    builder.build().map_err(failed)
}

/// Sorts an answer into usable or not, as the kind of host wants it.
async fn judge(
    ask: &Ask<'_>,
    place: Option<(&Bucket, &str)>,
    response: Response,
) -> std::result::Result<Answer, Box<Refusal>> {
    if ask.request.is_some() && (response.status().is_client_error() || response.status().is_server_error()) {
        return Err(Box::new(refused(ask.href, response).await));
    }
    let Some((bucket, region)) = place.filter(|_| !response.status().is_success()) else {
        return classify(ask, response);
    };
    match bucket.judge(ask, response, region).await {
        Verdict::Use(response) => classify(ask, response),
        Verdict::Moved => Err(Box::new(Refusal::moved(ask.href))),
        Verdict::Failed(error, told, may_pass) => Err(Box::new(Refusal { error, told, may_pass })),
    }
}

/// What a service says of a request that it refuses.
async fn refused(href: &Href, response: Response) -> Refusal {
    const MOST: usize = 1 << 16;
    let status = response.status().as_u16();
    let told = retry::told(response.headers());
    let mut response = response;
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        body.extend_from_slice(&part);
        if body.len() > MOST {
            break;
        }
    }
    let error = match request::reason(&body) {
        _ if matches!(status, 404 | 410) => Error::NotFound { href: href.clone() },
        Some(why) => Error::Refused { href: href.clone(), status, why },
        None => Error::Status { href: href.clone(), status },
    };
    Refusal { error, told, may_pass: retry::may_pass(status) }
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
