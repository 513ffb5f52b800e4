//! Listings as object stores give them: ListObjectsV2 of S3 and Google Cloud Storage, List Blobs of Azure.
//!
//! Two members are on a page, so that clients must ask for the next.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::archive::Object;

/// Members of a page.
const PAGE: usize = 2;

/// A request for a listing.
pub(crate) struct Listing {
    bucket: String,
    query: HashMap<String, String>,
}

impl Listing {
    /// The listing that a target asks for; `None` if it asks for something else.
    pub(crate) fn of(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?')?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: HashMap<String, String> = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        let is_listing = query.contains_key("list-type") || query.get("comp").is_some_and(|comp| comp == "list");
        is_listing.then(|| Self { bucket: format!("{path}/"), query })
    }

    fn get(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A page in XML.
    pub(crate) fn page<'a>(&self, objects: impl Iterator<Item = (&'a String, &'a Object)>) -> Vec<u8> {
        let mut members: BTreeMap<String, Option<usize>> = BTreeMap::new();
        for (path, object) in objects {
            let Some(key) = path.strip_prefix(&self.bucket).map(decoded) else { continue };
            let Some(rest) = key.strip_prefix(self.get("prefix")) else { continue };
            match rest.find('/').filter(|_| self.get("delimiter") == "/") {
                Some(slash) => {
                    members.insert(key[..=key.len() - rest.len() + slash].to_owned(), None);
                }
                None => {
                    members.insert(key, Some(object.bytes.len()));
                }
            }
        }
        let azure = self.query.contains_key("comp");
        let token = self.get(if azure { "marker" } else { "continuation-token" });
        let rest: Vec<_> = members.iter().filter(|(key, _)| token.is_empty() || key.as_str() >= token).collect();
        let next = rest.get(PAGE).map(|(key, _)| key.as_str());
        let page = &rest[..rest.len().min(PAGE)];
        if azure { blobs(page, next) } else { contents(page, next) }.into_bytes()
    }
}

fn contents(page: &[(&String, &Option<usize>)], next: Option<&str>) -> String {
    let mut text = format!("<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>{}</IsTruncated>", next.is_some());
    for (key, size) in page {
        // Writing to a string cannot fail.
        let _ = match size {
            Some(size) => write!(text, "<Contents><Key>{}</Key><Size>{size}</Size></Contents>", escaped(key)),
            None => write!(text, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(key)),
        };
    }
    let next = next.map(|next| format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(next)));
    format!("{text}{}</ListBucketResult>", next.unwrap_or_default())
}

fn blobs(page: &[(&String, &Option<usize>)], next: Option<&str>) -> String {
    let mut text = "\u{feff}<?xml version=\"1.0\"?><EnumerationResults><Blobs>".to_owned();
    for (key, size) in page {
        let name = escaped(key);
        // Writing to a string cannot fail.
        let _ = match size {
            Some(size) => write!(
                text,
                "<Blob><Name>{name}</Name><Properties><Content-Length>{size}</Content-Length></Properties></Blob>"
            ),
            None => write!(text, "<BlobPrefix><Name>{name}</Name></BlobPrefix>"),
        };
    }
    format!("{text}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>", escaped(next.unwrap_or_default()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
