//! The client that fetches tokens for `object_store`.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::Client;

/// Our HTTP client as `object_store` wants it.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Client);

impl Connector {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
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

async fn call(client: Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let unknown = |error: url::ParseError| HttpError::new(HttpErrorKind::Unknown, error);
    let mut request = reqwest::Request::new(parts.method, parts.uri.to_string().parse().map_err(unknown)?);
    *request.headers_mut() = parts.headers;
    *request.body_mut() = body.as_bytes().map(|bytes| bytes.clone().into());
    let failed = |error: reqwest::Error| {
        let kind = if error.is_timeout() { HttpErrorKind::Timeout } else { HttpErrorKind::Connect };
        HttpError::new(kind, error.without_url())
    };
    let response = client.execute(request).await.map_err(failed)?;
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
        Box::pin(call(self.0.clone(), request))
    }
}
