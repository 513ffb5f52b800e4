//! Our HTTP client as `object_store` wants it: it fetches tokens, and sends what is written.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::Client;
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};

use crate::http::{execute, watched};

/// Longest time for all tries of one request that writes.
const LONGEST: Duration = Duration::from_mins(30);

/// Our HTTP client as `object_store` wants it.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    client: Client,
    /// Headers of each request.
    headers: Vec<(HeaderName, HeaderValue)>,
    retries: u32,
    /// Longest time in which nothing moves.
    patience: Duration,
}

impl Connector {
    /// For tokens.
    pub(crate) fn new(client: Client) -> Self {
        Self { client, headers: Vec::new(), retries: 2, patience: Duration::from_mins(1) }
    }

    /// For what is written.
    pub(crate) fn for_bodies(client: Client, retries: u32, patience: Duration) -> Self {
        Self { client, headers: Vec::new(), retries, patience }
    }

    /// With these headers in each request.
    #[must_use]
    pub(crate) fn with_headers(self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { headers, ..self }
    }

    /// How often a request that writes is sent again.
    pub(crate) fn retry(&self) -> RetryConfig {
        let max_retries = usize::try_from(self.retries).unwrap_or(usize::MAX);
        RetryConfig { backoff: BackoffConfig::default(), max_retries, retry_timeout: LONGEST }
    }

    /// How often a token is asked for.
    pub(crate) fn retries() -> RetryConfig {
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
        RetryConfig { backoff, max_retries: 2, retry_timeout: Duration::from_secs(30) }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

async fn call(connector: Connector, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let unknown = |error: url::ParseError| HttpError::new(HttpErrorKind::Unknown, error);
    let mut request = reqwest::Request::new(parts.method, parts.uri.to_string().parse().map_err(unknown)?);
    *request.headers_mut() = parts.headers;
    request.headers_mut().extend(connector.headers);
    let bytes = body.collect().await?.to_bytes();
    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let (body, gone) = watched(bytes);
    *request.body_mut() = Some(body);
    let failed = |error: reqwest::Error| {
        let kind = if error.is_timeout() { HttpErrorKind::Timeout } else { HttpErrorKind::Connect };
        HttpError::new(kind, error.without_url())
    };
    let stalled = |error: std::io::Error| HttpError::new(HttpErrorKind::Timeout, error);
    let sent = execute(&connector.client, request, &gone, connector.patience).await;
    let response = sent.map_err(stalled)?.map_err(failed)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut answer = HttpResponse::new(HttpResponseBody::from(response.bytes().await.map_err(failed)?));
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}

impl HttpService for Connector {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(call(self.clone(), request))
    }
}
