//! What writes to a bucket: the clients of `object_store`, and what they say when they do not.

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;

use super::page::element;
use super::refusal::SKEWED;
use crate::{Error, Href, retry};

/// A client of one bucket.
pub(crate) trait Client: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Client for T {}

/// Why an object was not written. The words of the client may hold signatures; only status and code are taken of them.
pub(crate) fn not_written(href: &Href, error: &object_store::Error) -> Error {
    let mut texts = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            texts.insert(0, io.to_string());
        }
        texts.push(inner.to_string());
        cause = inner.source();
    }
    let code = texts.iter().find_map(|text| element(text, "Code"));
    let code = code.filter(|code| code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric()));
    let status = texts.iter().find_map(|text| {
        let (_, rest) = text.split_once("status code: ")?;
        rest.get(..3)?.parse::<u16>().ok()
    });
    let known = match (&code, status) {
        (Some(code), Some(status)) => format!(" ({code}, HTTP status {status})"),
        (Some(code), None) => format!(" ({code})"),
        (None, Some(status)) => format!(" (HTTP status {status})"),
        (None, None) => String::new(),
    };
    let why = match error {
        object_store::Error::NotFound { .. } => "the bucket does not exist".to_owned(),
        _ if code.as_deref() == Some(SKEWED) => retry::of_clock(None),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "these credentials may not write there".to_owned()
        }
        _ if status.is_some_and(|status| matches!(status, 401 | 403)) => {
            "these credentials may not write there".to_owned()
        }
        _ if known.is_empty() => "the store cannot be reached".to_owned(),
        _ => "the store refuses it".to_owned(),
    };
    Error::NotWritten { href: href.clone(), why: format!("{why}{known}") }
}
