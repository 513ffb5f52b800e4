//! What a server said: usable, refused for now, refused for good.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED,
};

use super::guard::NotPublic;
use crate::bucket::Ask;
use crate::{Error, Href, retry};

/// A body, where it came from and what the server said of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that a server says of its own")]
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// Of the whole object.
    pub(crate) size: Option<u64>,
    pub(crate) etag: Option<String>,
    pub(crate) modified: Option<String>,
    pub(crate) is_html: bool,
    /// The body is packed, as a service was told that it may be.
    pub(super) is_gzip: bool,
    /// Status 206.
    pub(crate) is_partial: bool,
    /// What the headers say of digests of the bytes: names in lower case.
    pub(crate) digests: Vec<(String, String)>,
    /// A range was asked of an object of no bytes.
    pub(crate) is_empty: bool,
}

/// An answer that cannot be used.
pub(super) struct Refusal {
    pub(super) error: Error,
    /// The wait the server asks for.
    pub(super) told: Option<Duration>,
    /// Whether another try may have another answer.
    pub(super) may_pass: bool,
}

impl Refusal {
    /// The status of a bucket in another region.
    const MOVED: u16 = 301;

    /// The bucket is in another region, which is known now.
    pub(super) fn moved(href: &Href) -> Self {
        Self { error: Error::Status { href: href.clone(), status: Self::MOVED }, told: None, may_pass: true }
    }

    pub(super) fn is_moved(&self) -> bool {
        self.may_pass && matches!(self.error, Error::Status { status: Self::MOVED, .. })
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Sorts an answer into usable or not.
pub(super) fn classify(ask: &Ask<'_>, response: Response) -> Result<Answer, Box<Refusal>> {
    let (href, range) = (ask.href, ask.range);
    let (status, headers) = (response.status().as_u16(), response.headers());
    let final_error = |error| Err(Box::new(Refusal { error, told: None, may_pass: false }));
    let range_of = content_range(headers);
    let is_empty = status == 416 && text(headers, CONTENT_RANGE).is_some_and(|v| v.trim() == "bytes */0");
    match status {
        404 | 410 => return final_error(Error::NotFound { href: href.clone() }),
        412 if range.is_some() => return final_error(Error::Changed { href: href.clone() }),
        200 | 203 => {}
        206 if range.is_some() => {}
        207 if ask.members => {}
        416 if is_empty && range.is_some() => {}
        _ => {
            let told = retry::told(headers);
            let error = Error::Status { href: href.clone(), status };
            return Err(Box::new(Refusal { error, told, may_pass: retry::may_pass(status) }));
        }
    }
    let is_gzip = ask.request.is_some() && text(headers, CONTENT_ENCODING).is_some_and(is_gzip);
    if let Some(encoding) = foreign_encoding(href, headers).filter(|_| !is_gzip) {
        let why = format!("it is encoded as `{encoding}` although the plain bytes were asked for");
        return final_error(Error::answer(href, why));
    }
    let size = match (status, range_of) {
        (206, range) => range.and_then(|(_, _, total)| total),
        // The length is that of the packed bytes.
        _ if is_gzip => None,
        _ => text(headers, CONTENT_LENGTH).and_then(|value| value.parse().ok()),
    };
    let etag = text(headers, ETAG).map(str::to_owned);
    let modified = text(headers, LAST_MODIFIED).map(str::to_owned);
    let media = text(headers, CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let is_html = media.starts_with("text/html") || media.starts_with("application/xhtml");
    let digests = if ask.digests { digests(headers) } else { Vec::new() };
    Ok(Answer { response, size, etag, modified, is_html, is_gzip, is_partial: status == 206, digests, is_empty })
}

/// The headers that tell a digest of the whole object, or whether its ETag is one.
fn digests(headers: &HeaderMap) -> Vec<(String, String)> {
    const NAMES: [&str; 6] =
        ["content-md5", "digest", "repr-digest", "content-digest", "x-goog-hash", "x-amz-server-side-encryption"];
    let is_known = |name: &str| NAMES.contains(&name) || name.starts_with("x-amz-checksum-") || name == "etag";
    let known = headers.iter().filter(|(name, _)| is_known(name.as_str()));
    known.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

/// First byte, end and, where it is said, total of `Content-Range: bytes 0-9/20` (RFC 9110, 14.4).
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text(headers, CONTENT_RANGE)?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
    Some((first.trim().parse().ok()?, end, total.trim().parse().ok()))
}

fn is_gzip(encoding: &str) -> bool {
    matches!(encoding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip")
}

/// A content encoding that is not the file's own: some servers give `gzip` for files that are named `.gz`.
fn foreign_encoding<'a>(href: &Href, headers: &'a HeaderMap) -> Option<&'a str> {
    let encoding = text(headers, CONTENT_ENCODING)?.trim();
    let name = href.file_name().unwrap_or_default().to_ascii_lowercase();
    let own = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => true,
        "gzip" | "x-gzip" => [".gz", ".tgz"].iter().any(|end| name.ends_with(end)),
        "zstd" => name.ends_with(".zst"),
        _ => false,
    };
    (!own).then_some(encoding)
}

/// Failures that another try cannot mend: bad certificates, refused redirects, malformed requests.
pub(super) fn is_final(error: &reqwest::Error) -> bool {
    // The outermost text holds the URL, which may hold any word.
    let mut cause = error.source();
    let mut certificate = false;
    while let Some(inner) = cause {
        certificate |= inner.to_string().to_ascii_lowercase().contains("certificate");
        cause = inner.source();
    }
    error.is_redirect() || error.is_builder() || certificate
}

/// The words of a guard that refused the address of a host.
pub(super) fn not_public(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<NotPublic>() {
            return Some(refusal.to_string());
        }
        cause = inner.source();
    }
    None
}

/// The one thing that went wrong, without the layers above it, which only say that a request failed.
pub(crate) fn plain(error: &reqwest::Error, connect_timeout: Duration, read_timeout: Duration) -> std::io::Error {
    let mut kind = ErrorKind::Other;
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        kind = inner.downcast_ref::<std::io::Error>().map_or(kind, std::io::Error::kind);
        text = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() && error.is_connect() {
        let text = format!("no connection within {connect_timeout:?}");
        return std::io::Error::new(ErrorKind::TimedOut, text);
    }
    if error.is_timeout() {
        return std::io::Error::new(ErrorKind::TimedOut, format!("nothing came for {read_timeout:?}"));
    }
    if text.is_empty() {
        text = error.to_string();
    }
    let broken = ["before message completed", "end of file before message length", "unexpected EOF", "unexpected end"];
    if broken.iter().any(|part| text.contains(part)) {
        return std::io::Error::new(ErrorKind::UnexpectedEof, "the connection ended before the answer was complete");
    }
    std::io::Error::new(kind, text)
}
