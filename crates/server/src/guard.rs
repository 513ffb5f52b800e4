//! What every request passes: the host it names, and headers that keep a page from doing more than it shows.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses foreign hosts on a loopback address (a web page elsewhere could reach it by DNS rebinding) and all methods
/// that write.
pub(crate) async fn check(State(loopback): State<bool>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, "this server is read-only\n").into_response();
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if loopback && !is_local(host) {
        return (StatusCode::MISDIRECTED_REQUEST, "this host name is not served here\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn is_local(host: &str) -> bool {
    let name = if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() };
    matches!(name, Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_machine_is_local() {
        for good in ["localhost", "localhost:80", "127.0.0.1:8080", "[::1]:1"] {
            assert!(is_local(good), "{good}");
        }
        for bad in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]"] {
            assert!(!is_local(bad), "{bad}");
        }
    }
}
