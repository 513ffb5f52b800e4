//! The one handle: whole objects, ranges, listings.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bucket::Ask;
use crate::demand::{Demand, DriveError, Sparse, Step};
use crate::http::{Guard, Http, Whole, is_public};
use crate::listing::{self, Entry, webdav};
use crate::rate::Rate;
use crate::write::Writing;
use crate::{Environment, Error, Href, Request, Result, Voice, coalesce, local, publish};

/// Limits and habits of a [`Store`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Further tries of a request that may pass (default 4).
    pub retries: u32,
    /// Longest wait between tries, also where `Retry-After` asks for more (default 120 s).
    pub retry_wait_cap: Duration,
    /// Longest wait for a connection (default 10 s).
    pub connect_timeout: Duration,
    /// Longest silence of a server (default 60 s).
    pub read_timeout: Duration,
    /// Fewest bytes of a body in each second of the speed window (default 1 KiB).
    pub min_speed: u64,
    /// Time over which the speed of a body is judged (default 30 s); there is no limit on the whole.
    pub speed_window: Duration,
    /// Largest document in bytes (default 64 MiB).
    pub max_document: u64,
    /// Ranges at most this many bytes apart become one request (default 0: no gap is bridged).
    pub gap: u64,
    /// Largest joined request in bytes (default 16 MiB).
    pub max_request: u64,
    /// Requests in flight (default 16).
    pub concurrency: usize,
    /// Of these to one host (default 8).
    pub per_host: usize,
    /// Most bytes in a second of all transfers together (default no limit).
    pub rate: Option<u64>,
    /// Who is told what a person has to do, to log in for example.
    pub voice: Voice,
    /// Settings and credentials of object stores (default those of the process).
    pub environment: Environment,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retries: 4,
            retry_wait_cap: Duration::from_mins(2),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_mins(1),
            min_speed: 1 << 10,
            speed_window: Duration::from_secs(30),
            max_document: 64 << 20,
            gap: 0,
            max_request: 16 << 20,
            concurrency: 16,
            per_host: 8,
            rate: None,
            voice: Voice::default(),
            environment: Environment::of_process(),
        }
    }
}

/// An object whose size is known.
///
/// - Ranges of an object with a strong ETag are only read while it is the same object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Where it is.
    pub href: Href,
    /// Its size in bytes.
    pub size: u64,
    /// Its ETag, where the server gives one.
    pub etag: Option<String>,
    /// When it was last changed, as the server writes it; of a local file nanoseconds since 1970.
    pub modified: Option<String>,
    pub(crate) is_html: bool,
}

impl ObjectMeta {
    /// An object of which only this is known.
    pub fn new(href: Href, size: u64) -> Self {
        Self { href, size, etag: None, modified: None, is_html: false }
    }

    /// True if the server calls the object a web page.
    pub fn is_html(&self) -> bool {
        self.is_html
    }

    /// The ETag, if it tells two versions apart to the byte (RFC 9110, 8.8.1).
    pub fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/"))
    }
}

/// What has been read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests answered by HTTP servers and object stores.
    pub requests: u64,
    /// Bytes of bodies from them.
    pub remote_bytes: u64,
    /// Bytes read from local files.
    pub local_bytes: u64,
    /// Time of all requests from their beginning to the headers of their answers.
    pub waited: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) remote: AtomicU64,
    pub(crate) local: AtomicU64,
}

/// The right to a request; dropped, another has it.
#[derive(Debug)]
pub(crate) struct Permit {
    _host: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

/// A task that ends when it is dropped.
struct Ending<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads and writes objects by href. Cheap to clone; clones share connections, limits and counters.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) http: Http,
    options: StoreOptions,
    pub(crate) counters: Arc<Counters>,
    in_flight: Arc<Semaphore>,
    pub(crate) writing: Writing,
    pub(crate) rate: Rate,
    runtime: Handle,
}

impl Store {
    /// A store whose I/O runs on the given runtime.
    ///
    /// # Errors
    /// [`Error::Transport`] if no HTTP client can be made (broken proxy or certificate settings).
    pub fn new(options: StoreOptions, runtime: Handle) -> Result<Self> {
        let _guard = runtime.enter();
        let http = Http::new(&options)?;
        let in_flight = Arc::new(Semaphore::new(options.concurrency.max(1)));
        let (writing, rate) = (Writing::new(options.concurrency), Rate::new(options.rate));
        Ok(Self { http, options, counters: Arc::default(), in_flight, writing, rate, runtime })
    }

    /// The options the store was made with.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Waits for I/O from a thread outside the runtime.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The runtime that does the I/O.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Counters since the store was made.
    pub fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: get(&self.counters.requests),
            remote_bytes: get(&self.counters.remote),
            local_bytes: get(&self.counters.local),
            waited: Duration::from_micros(get(&self.http.waited)),
        }
    }

    /// The same store for the hrefs of a catalog of strangers: it reaches no address that is not public, but for the hosts
    /// of these hrefs. Where a proxy is set, the proxy resolves names, and only addresses in hrefs are checked.
    ///
    /// # Errors
    /// [`Error::Transport`] if no HTTP client can be made.
    pub fn guarded(&self, trusted: &[Href]) -> Result<Self> {
        let _guard = self.runtime.enter();
        let host = |href: &Href| self.located(href).ok()?.to_url()?.host_str().map(str::to_owned);
        // Endpoints are what the user set.
        let set = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", "AZURE_STORAGE_ENDPOINT"];
        let set = set.iter().filter_map(|name| Href::parse(self.options.environment.get(&[name])?).ok());
        let trusted: Vec<Href> = trusted.iter().cloned().chain(set).collect();
        let http = self.http.guarded(Guard::new(trusted.iter().filter_map(host)))?;
        Ok(Self { http, ..self.clone() })
    }

    /// True if the host of an href is public: on this machine or in a network of its own it is not. A name that leads
    /// nowhere counts as public.
    pub async fn is_public(&self, href: &Href) -> bool {
        let Some(url) = href.to_url() else { return !href.is_local() };
        let (Some(host), port) = (url.host_str(), url.port_or_known_default().unwrap_or(443)) else { return true };
        let host = host.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((host, port)).await;
        found.map_or(true, |mut all| all.all(|address| is_public(address.ip())))
    }

    /// The place that an href means: of an alias of the config file its URL, else itself.
    ///
    /// # Errors
    /// [`Error::InvalidHref`] if the alias makes no URL of it.
    pub fn located(&self, href: &Href) -> Result<Href> {
        self.http.credentials.locate(href)
    }

    /// True for http(s), object stores and aliases of URLs, false for a path; other schemes have no transport here.
    pub(crate) fn is_remote(&self, href: &Href) -> Result<bool> {
        match href.scheme() {
            None => Ok(false),
            Some(scheme) if scheme == "http" || scheme == "https" => Ok(true),
            Some(_) if href.bucket_and_key().is_some() => Ok(true),
            Some(_) if self.located(href)?.to_url().is_some() => Ok(true),
            Some(scheme) => Err(Error::Scheme { href: href.clone(), scheme }),
        }
    }

    /// The right to one request, of its host and of all.
    pub(crate) async fn permit(&self, href: &Href) -> Permit {
        let host = if href.is_local() { None } else { self.http.host(href).slot().await };
        Permit { _host: host, _all: self.in_flight.clone().acquire_owned().await.ok() }
    }

    /// The right to a further request, if it costs no wait.
    pub(crate) fn spare_permit(&self, href: &Href) -> Option<Permit> {
        let all = self.in_flight.clone().try_acquire_owned().ok()?;
        let host = if href.is_local() { None } else { Some(self.http.host(href).spare_slot()?) };
        Some(Permit { _host: host, _all: Some(all) })
    }

    fn count_remote(&self, bytes: u64) {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters.remote.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Reads a whole document, of at most [`StoreOptions::max_document`] bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`], [`Error::Truncated`] and the transport's.
    pub async fn get(&self, href: &Href) -> Result<Bytes> {
        Ok(self.get_with_media(href).await?.0)
    }

    /// Asks a service over HTTP; the answer is a document of at most [`StoreOptions::max_document`] bytes.
    ///
    /// # Errors
    /// [`Error::Refused`] where the service says why, [`Error::Scheme`] for what is not HTTP, and those of [`Store::get`].
    pub async fn ask(&self, request: &Request) -> Result<Bytes> {
        let href = Href::parse(&request.href)?;
        if href.to_url().is_none() {
            let scheme = href.scheme().unwrap_or_else(|| "file".to_owned());
            return Err(Error::Scheme { href, scheme });
        }
        let (store, request, place) = (self.clone(), request.clone(), href.clone());
        let asking = async move {
            let _permit = store.permit(&place).await;
            let whole = store.http.get(&Ask::service(&place, &request), store.options.max_document).await?;
            store.count_remote(whole.came);
            Ok(whole)
        };
        let Whole { bytes, media, .. } = self.apart(&href, asking).await?;
        if media.to_ascii_lowercase().starts_with("text/html") {
            return Err(Error::HtmlPage { href });
        }
        Ok(bytes)
    }

    async fn get_with_media(&self, href: &Href) -> Result<(Bytes, String)> {
        if self.is_remote(href)? {
            let (store, place) = (self.clone(), href.clone());
            let reading = async move {
                let _permit = store.permit(&place).await;
                let whole = store.http.get(&Ask::whole(&place), store.options.max_document).await?;
                store.count_remote(whole.came);
                Ok((whole.bytes, whole.media))
            };
            return self.apart(href, reading).await;
        }
        let limit = self.options.max_document;
        let bytes = local::blocking(href, move |href, path| {
            let size = local::size(href, path)?;
            if size > limit {
                return Err(Error::TooLarge { href: href.clone(), limit });
            }
            Ok(local::ranges(href, path, std::slice::from_ref(&(0..size)))?.remove(0))
        })
        .await?;
        self.counters.local.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok((bytes, String::new()))
    }

    /// Reads the first bytes of an object (at most `len`) and learns its size: one request.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoRanges`] and the transport's.
    pub async fn head(&self, href: &Href, len: u64) -> Result<(ObjectMeta, Bytes)> {
        if self.is_remote(href)? {
            let (store, place) = (self.clone(), href.clone());
            let reading = async move {
                let _permit = store.permit(&place).await;
                let found = store.http.head(&place, len).await?;
                store.count_remote(found.1.len() as u64);
                Ok(found)
            };
            return self.apart(href, reading).await;
        }
        let (meta, bytes) = local::blocking(href, move |href, path| {
            let mut meta = ObjectMeta::new(href.clone(), local::size(href, path)?);
            meta.modified = local::modified(path);
            let bytes = local::ranges(href, path, std::slice::from_ref(&(0..len.min(meta.size))))?.remove(0);
            Ok((meta, bytes))
        })
        .await?;
        self.counters.local.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok((meta, bytes))
    }

    /// Reads ranges of an object: coalesced by [`StoreOptions::gap`], concurrent, in the order asked for.
    ///
    /// # Errors
    /// [`Error::Truncated`] for a range past the end, [`Error::Changed`], and the transport's.
    pub async fn ranges(&self, meta: &ObjectMeta, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        local::check_within(meta, ranges)?;
        if !self.is_remote(&meta.href)? {
            let wanted = ranges.to_vec();
            let parts = local::blocking(&meta.href, move |href, path| local::ranges(href, path, &wanted)).await?;
            self.count_local(&parts);
            return Ok(parts);
        }
        let requests = coalesce(ranges, self.options.gap, self.options.max_request);
        let mut have = Sparse::new(meta.size);
        let mut answers = futures::stream::iter(requests)
            .map(|range| async move { Ok::<_, Error>((range.start, self.remote_range(meta, range).await?)) })
            .buffer_unordered(self.options.concurrency.max(1));
        while let Some((offset, bytes)) = answers.try_next().await? {
            have.insert(offset, &bytes);
        }
        let whole = |range: &Range<u64>| have.get(range).ok_or_else(|| Error::Changed { href: meta.href.clone() });
        ranges.iter().map(whole).collect()
    }

    /// As [`Store::ranges`], for a thread that has nothing else to do meanwhile: it reads local files itself.
    ///
    /// # Errors
    /// Those of [`Store::ranges`].
    pub fn wait_ranges(&self, meta: &ObjectMeta, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(path) = meta.href.to_path() else { return self.wait(self.ranges(meta, ranges)) };
        local::check_within(meta, ranges)?;
        let parts = local::ranges(&meta.href, &path, ranges)?;
        self.count_local(&parts);
        Ok(parts)
    }

    fn count_local(&self, parts: &[Bytes]) {
        self.counters.local.fetch_add(parts.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
    }

    async fn remote_range(&self, meta: &ObjectMeta, range: Range<u64>) -> Result<Bytes> {
        let (store, of) = (self.clone(), meta.clone());
        let reading = async move {
            let _permit = store.permit(&of.href).await;
            store.rate.ready().await;
            let bytes = store.http.range(&of, &range).await?;
            store.rate.spend(bytes.len());
            store.count_remote(bytes.len() as u64);
            Ok(bytes)
        };
        self.apart(&meta.href, reading).await
    }

    /// Runs a request to its end, also while nobody polls the one who waits for it: the right to a request must not be held
    /// by a stream that waits for others who want one. It ends with the one who waits.
    async fn apart<T: Send + 'static>(
        &self,
        href: &Href,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut task = Ending(self.runtime.spawn(work));
        (&mut task.0).await.map_err(|e| joined(href, e))?
    }

    /// Runs a parser to its end: brings the bytes it needs, round by round. The first `head` bytes come with the size.
    ///
    /// # Errors
    /// [`DriveError::Store`] where bytes cannot be had (also where the parser asks for bytes past the end, so that a
    /// truncated file is named as such), [`DriveError::Parse`] where the parser gives up.
    pub async fn drive<D: Demand>(
        &self,
        href: &Href,
        head: u64,
        parser: &mut D,
    ) -> std::result::Result<(ObjectMeta, D::Output), DriveError<D::Error>> {
        let (meta, bytes) = self.head(href, head).await?;
        if meta.is_html() {
            return Err(Error::HtmlPage { href: href.clone() }.into());
        }
        let mut have = Sparse::new(meta.size);
        have.insert(0, &bytes);
        let output = self.drive_with(&meta, &mut have, parser).await?;
        Ok((meta, output))
    }

    /// Like [`Store::drive`], for an object of which some bytes are at hand.
    ///
    /// # Errors
    /// As [`Store::drive`].
    pub async fn drive_with<D: Demand>(
        &self,
        meta: &ObjectMeta,
        have: &mut Sparse,
        parser: &mut D,
    ) -> std::result::Result<D::Output, DriveError<D::Error>> {
        loop {
            let needed = match parser.step(have).map_err(DriveError::Parse)? {
                Step::Done(output) => return Ok(output),
                Step::Need(ranges) => ranges,
            };
            have.forget(parser.done_before());
            let missing: Vec<Range<u64>> = needed.iter().flat_map(|range| have.missing(range)).collect();
            let parts = self.ranges(meta, &missing).await?;
            for (range, bytes) in missing.iter().zip(parts) {
                have.insert(range.start, &bytes);
            }
        }
    }

    pub(crate) async fn put_local(&self, href: &Href, bytes: Bytes) -> Result<()> {
        local::blocking(href, move |_, path| publish::write(path, &bytes)).await
    }

    /// The members of a folder: local, or below a prefix of an object store (all pages), or of an index page (Apache,
    /// nginx and alike), a THREDDS `catalog.xml` or a folder of WebDAV.
    ///
    /// # Errors
    /// [`Error::Listing`] if the page is none of these, [`Error::NotFound`], and the transport's.
    pub async fn list(&self, href: &Href) -> Result<Vec<Entry>> {
        if !self.is_remote(href)? {
            return local::blocking(href, local::list).await;
        }
        if let Some(bucket) = self.http.bucket(href)? {
            let mut pages = bucket.pages(href);
            while let Some(query) = pages.query() {
                let _permit = self.permit(href).await;
                let page = self.http.get(&Ask::page(href, &query), self.options.max_document).await?;
                self.count_remote(page.came);
                pages.add(&page.bytes)?;
            }
            return pages.finish();
        }
        let page = self.get_with_media(href).await.and_then(|(bytes, media)| listing::parse(href, &bytes, &media));
        match page {
            Ok(entries) if !entries.is_empty() => Ok(entries),
            // Folders of WebDAV may have a page that lists nothing, or none.
            Ok(_) | Err(Error::Listing { .. } | Error::NotFound { .. } | Error::Status { status: 400..=499, .. }) => {
                match self.members(href).await {
                    Ok(entries) => Ok(entries),
                    Err(error @ Error::Listing { .. }) => Err(error),
                    Err(_) => page,
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The members of a folder of WebDAV.
    async fn members(&self, href: &Href) -> Result<Vec<Entry>> {
        let folder = href.as_folder();
        let _permit = self.permit(&folder).await;
        let whole = self.http.get(&Ask::members(&folder), self.options.max_document).await?;
        self.count_remote(whole.came);
        webdav::read(&folder, &whole.bytes)
    }
}

pub(crate) fn joined(href: &Href, error: tokio::task::JoinError) -> Error {
    Error::Io { action: "read", href: href.clone(), source: std::io::Error::other(error) }
}
