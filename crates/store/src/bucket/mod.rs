//! Buckets of object stores: where their objects are over HTTP, and how requests to them are signed.
//!
//! Signatures and tokens are those of the crate `object_store`; requests that read are sent by `http`, so that retries,
//! checks of ranges and limits are the same as for any other host. What is written goes through its clients.

mod aws;
mod azure;
mod client;
mod connector;
mod gcs;
mod page;
mod profile;
mod refusal;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::client::{HttpRequest, HttpRequestBody};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, IF_MATCH, RANGE};
use reqwest::{Client, Method, Request};
use url::Url;

use crate::environment::Environment;
use crate::request::Request as ServiceRequest;
use crate::{Error, Href, Result};

pub(crate) use client::{Client as BucketClient, not_written};
pub(crate) use connector::Connector;
use page::Dialect;
pub(crate) use page::Pages;
pub(crate) use refusal::Verdict;

/// All but the unreserved characters of RFC 3986, which every store's signature wants encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What is asked of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) href: &'a Href,
    /// Of a bucket: a query to the bucket in place of the object.
    pub(crate) query: Option<&'a str>,
    pub(crate) range: Option<&'a Range<u64>>,
    pub(crate) etag: Option<&'a str>,
    /// Of a service: what is posted, and further headers.
    pub(crate) request: Option<&'a ServiceRequest>,
    /// Not the object but its members, by WebDAV.
    pub(crate) members: bool,
    /// Digests of the object are welcome.
    pub(crate) digests: bool,
    /// Of a bucket: the object is to be written from another one, which these headers name.
    pub(crate) copy: Option<&'a HeaderMap>,
}

impl<'a> Ask<'a> {
    /// The whole object.
    pub(crate) fn whole(href: &'a Href) -> Self {
        Self { href, query: None, range: None, etag: None, request: None, members: false, digests: false, copy: None }
    }

    /// The object written from another one of its service.
    pub(crate) fn copy(href: &'a Href, headers: &'a HeaderMap) -> Self {
        Self { copy: Some(headers), ..Self::whole(href) }
    }

    /// A page of the listing of a folder.
    pub(crate) fn page(href: &'a Href, query: &'a str) -> Self {
        Self { query: Some(query), ..Self::whole(href) }
    }

    /// The members of a folder of WebDAV.
    pub(crate) fn members(href: &'a Href) -> Self {
        Self { members: true, ..Self::whole(href) }
    }

    /// A range, of the object that has this ETag.
    pub(crate) fn range(href: &'a Href, range: &'a Range<u64>, etag: Option<&'a str>) -> Self {
        Self { range: Some(range), etag, ..Self::whole(href) }
    }

    /// A question to a service.
    pub(crate) fn service(href: &'a Href, request: &'a ServiceRequest) -> Self {
        Self { request: Some(request), ..Self::whole(href) }
    }

    /// With the digests that the server knows.
    #[must_use]
    pub(crate) fn with_digests(self) -> Self {
        Self { digests: true, ..self }
    }

    /// The headers of the range, and the question for digests (RFC 3230, RFC 9530).
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.digests && self.href.scheme().as_deref() == Some("s3") {
            headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        } else if self.digests {
            headers.insert("want-digest", HeaderValue::from_static("adler32, md5;q=0.5, sha-256;q=0.3"));
            headers.insert("want-repr-digest", HeaderValue::from_static("sha-256=5, md5=3, adler=1"));
        }
        if let Some(range) = self.range {
            let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            headers.extend(HeaderValue::try_from(bytes).ok().map(|value| (RANGE, value)));
            headers.extend(self.etag.and_then(|etag| HeaderValue::try_from(etag).ok()).map(|value| (IF_MATCH, value)));
        }
        headers
    }
}

/// The kinds of stores, with the settings of one bucket.
enum Service {
    Aws(aws::Aws),
    Gcs(gcs::Gcs),
    Azure(azure::Azure),
}

/// One bucket or container.
pub(crate) struct Bucket {
    service: Service,
    /// What writes to it, and the region that it was made for.
    client: Mutex<Option<(String, Arc<dyn BucketClient>)>>,
}

/// Credentials of `object_store` show themselves in `Debug`, therefore none of them is shown.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}, signed: {})", self.base(&self.region()), self.is_signed())
    }
}

impl Bucket {
    fn new(href: &Href, root: &str, environment: &Environment, connector: &Connector) -> Result<Self> {
        let (scheme, authority) = root.split_once("://").unwrap_or_default();
        let name = authority.trim_end_matches('/');
        let service = match scheme {
            "s3" => Service::Aws(aws::Aws::new(href, name, environment, connector)?),
            "gs" => Service::Gcs(gcs::Gcs::new(href, name, environment, connector)?),
            _ => Service::Azure(azure::Azure::new(href, name, environment, connector)?),
        };
        Ok(Self { service, client: Mutex::default() })
    }

    /// The URL of the bucket, without a slash at the end.
    fn base(&self, region: &str) -> String {
        match &self.service {
            Service::Aws(aws) => aws.base(region),
            Service::Gcs(gcs) => gcs.base(),
            Service::Azure(azure) => azure.base(),
        }
    }

    /// True if requests carry credentials.
    pub(crate) fn is_signed(&self) -> bool {
        match &self.service {
            Service::Aws(aws) => aws.is_signed(),
            Service::Gcs(gcs) => gcs.is_signed(),
            Service::Azure(azure) => azure.is_signed(),
        }
    }

    /// The region that the next request goes to, of S3.
    pub(crate) fn region(&self) -> String {
        match &self.service {
            Service::Aws(aws) => aws.region(),
            _ => String::new(),
        }
    }

    /// The signed request. It may hold secrets, in its URL too.
    pub(crate) async fn request(&self, ask: &Ask<'_>, region: &str) -> Result<Request> {
        let key = ask.href.bucket_and_key().map_or("", |(_, key)| key);
        let base = self.base(region);
        let url = match ask.query {
            Some(query) => format!("{base}?{query}"),
            None => format!("{base}/{}", utf8_percent_encode(key, PATH)),
        };
        let broken = || Error::settings(ask.href, "the endpoint and the bucket do not make a URL");
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.parse().map_err(|_| broken())?;
        *request.headers_mut() = ask.headers();
        if let Some(headers) = ask.copy {
            *request.method_mut() = Method::PUT;
            request.headers_mut().extend(headers.clone());
        }
        match &self.service {
            Service::Aws(aws) => aws.sign(ask.href, region, &mut request).await?,
            Service::Gcs(gcs) => gcs.sign(ask.href, &mut request).await?,
            Service::Azure(azure) => azure.sign(ask.href, &mut request).await?,
        }
        let (parts, _) = request.into_parts();
        let mut request = Request::new(parts.method, Url::parse(&parts.uri.to_string()).map_err(|_| broken())?);
        *request.headers_mut() = parts.headers;
        // After the signature: proxies change it.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(request)
    }

    /// The client that writes to it.
    ///
    /// # Errors
    /// [`Error::Settings`] if the settings for it cannot be used.
    pub(crate) fn client(
        &self,
        href: &Href,
        connector: impl FnOnce() -> Result<Connector>,
    ) -> Result<Arc<dyn BucketClient>> {
        let region = self.region();
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = known.as_ref().filter(|(of, _)| *of == region) {
            return Ok(client.clone());
        }
        let connector = connector()?;
        let made: object_store::Result<Arc<dyn BucketClient>> = match &self.service {
            Service::Aws(aws) => aws.client(&connector, &region),
            Service::Gcs(gcs) => gcs.client(&connector),
            Service::Azure(azure) => azure.client(&connector),
        };
        let client = made.map_err(|_| Error::settings(href, "the settings do not make a client that writes"))?;
        *known = Some((region, client.clone()));
        Ok(client)
    }

    /// Headers of a request that writes an object from another one of this service, if that has this ETag; `None` if it
    /// has no such request for a copy that is whole when it is answered.
    pub(crate) fn copy_headers(&self, from: &Self, source: &Href, etag: Option<&str>) -> Option<HeaderMap> {
        let (_, key) = source.bucket_and_key()?;
        let key = utf8_percent_encode(key, PATH);
        let (prefix, name) = match (&self.service, &from.service) {
            (Service::Aws(to), Service::Aws(from)) if to.is_beside(from) => ("x-amz", from.name()),
            (Service::Gcs(to), Service::Gcs(from)) if to.is_beside(from) => ("x-goog", from.name()),
            _ => return None,
        };
        let header = |end: &str, value: &str| {
            let name = HeaderName::try_from(format!("{prefix}-copy-source{end}")).ok()?;
            Some((name, HeaderValue::try_from(value).ok()?))
        };
        let mut headers: HeaderMap = std::iter::once(header("", &format!("/{name}/{key}"))?).collect();
        headers.extend(etag.and_then(|etag| header("-if-match", etag)));
        Some(headers)
    }

    /// The pages of a listing of the folder.
    pub(crate) fn pages(&self, href: &Href) -> Pages {
        let dialect = match self.service {
            Service::Azure(_) => Dialect::Blobs,
            Service::Aws(_) | Service::Gcs(_) => Dialect::Objects,
        };
        Pages::new(href, dialect)
    }
}

/// The buckets that have been used, each set up once.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    environment: Environment,
    known: Arc<Mutex<HashMap<String, Arc<Bucket>>>>,
}

impl Buckets {
    pub(crate) fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone(), known: Arc::default() }
    }

    /// The bucket of an href; `None` if it is of no object store.
    ///
    /// # Errors
    /// [`Error::Settings`] if the settings for it cannot be used.
    pub(crate) fn of(&self, href: &Href, client: impl FnOnce() -> Result<Client>) -> Result<Option<Arc<Bucket>>> {
        let Some((root, _)) = href.bucket_and_key() else { return Ok(None) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = known.get(root) {
            return Ok(Some(bucket.clone()));
        }
        let bucket = Arc::new(Bucket::new(href, root, &self.environment, &Connector::new(client()?))?);
        known.insert(root.to_owned(), bucket.clone());
        Ok(Some(bucket))
    }
}

/// An endpoint that was set: http or https, without secrets, query and slash at the end.
fn endpoint(href: &Href, variable: &str, text: &str) -> Result<String> {
    let valid = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    });
    match valid.filter(|url| url.query().is_none() && url.fragment().is_none()) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => Err(Error::settings(href, format!("{variable} is not an http(s) URL"))),
    }
}

/// Why credentials cannot be had, in words that hold none.
fn no_credentials(href: &Href, from: &str, error: &object_store::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut why = match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "the service of tokens refuses".to_owned()
        }
        _ => "they cannot be used".to_owned(),
    };
    while let Some(inner) = cause {
        if inner.downcast_ref::<object_store::client::HttpError>().is_some() {
            "the service of tokens does not answer".clone_into(&mut why);
        } else if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            why = io.to_string();
        }
        cause = inner.source();
    }
    Error::settings(href, format!("no credentials from {from}: {why}"))
}
