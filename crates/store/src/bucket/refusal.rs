//! What a store says when it does not give an object.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_RANGE;

use super::page::element;
use super::{Ask, Bucket, Service};
use crate::Error;
use crate::retry;

/// Longest body of an error that is read.
const MOST: usize = 16 << 10;

/// What to do after an answer that is a failure.
pub(crate) enum Verdict {
    /// The answer is not a failure after all: a range of an object of no bytes.
    Use(Response),
    /// The bucket is in another region, which is known now.
    Moved,
    /// A failure, the wait that the store asks for, and whether another try may have another answer.
    Failed(Error, Option<Duration>, bool),
}

/// Codes of credentials that are refused with status 400.
const BAD_TOKENS: [&str; 5] =
    ["ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId", "InvalidAuthenticationInfo"];

/// The code of a request whose time is not the server's.
pub(super) const SKEWED: &str = "RequestTimeTooSkewed";

impl Bucket {
    /// Judges an answer that is no success, to a request that was sent to a region.
    pub(crate) async fn judge(&self, ask: &Ask<'_>, response: Response, sent: &str) -> Verdict {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status == 416 && header(CONTENT_RANGE.as_str()).is_some_and(|value| value.trim() == "bytes */0") {
            return Verdict::Use(response);
        }
        let (told, skew) = (retry::told(response.headers()), retry::skew(response.headers()));
        let (region, code) = (header("x-amz-bucket-region"), header("x-ms-error-code"));
        let body = start(response).await;
        let region = region.or_else(|| element(&body, "Region"));
        if let (301 | 302 | 307 | 400 | 403, Service::Aws(aws), Some(region)) = (status, &self.service, region)
            && aws.is_moved(&region, sent)
        {
            return Verdict::Moved;
        }
        let code = code.or_else(|| element(&body, "Code")).filter(|code| is_code(code));
        let code = code.map(|code| if code == SKEWED { format!("{code}, {}", retry::of_clock(skew)) } else { code });
        let error = self.error(ask, status, code);
        let may_pass = matches!(error, Error::Status { .. }) && retry::may_pass(status);
        Verdict::Failed(error, told, may_pass)
    }

    fn error(&self, ask: &Ask<'_>, status: u16, code: Option<String>) -> Error {
        let href = ask.href.clone();
        let signed = self.is_signed();
        let forbidden = |code: Option<String>| {
            let code = code.unwrap_or_else(|| format!("HTTP status {status}"));
            Error::Forbidden { href: href.clone(), code, signed }
        };
        match (status, code.as_deref()) {
            // Azure says so of private containers.
            (404, Some("ResourceNotFound" | "PublicAccessNotPermitted")) | (409, Some("PublicAccessNotPermitted"))
                if !signed =>
            {
                forbidden(code)
            }
            (404 | 410, _) => Error::NotFound { href },
            (412, _) if ask.range.is_some() => Error::Changed { href },
            (401 | 403, _) => forbidden(code),
            (400, Some(known)) if BAD_TOKENS.contains(&known) => forbidden(code),
            _ => Error::Status { href, status },
        }
    }
}

/// Codes are one word; what is not, is not shown.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

/// The start of the body, as far as it comes.
async fn start(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        bytes.extend_from_slice(&part);
        if bytes.len() >= MOST {
            break;
        }
    }
    bytes.truncate(MOST);
    String::from_utf8_lossy(&bytes).into_owned()
}
