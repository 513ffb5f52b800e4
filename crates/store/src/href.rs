//! Href arithmetic: parse, join, relate, redact.
//!
//! An href is a local path or an absolute URL. Joining follows RFC 3986 for both, so a trailing slash counts
//! (STAC best practices, "Use of links": `/folder` + `item.json` is `/item.json`).
//!
//! What follows the bucket in an href of an object store (`s3://bucket/a b%20c?d`) is the key as it is, as for the AWS
//! command line and fsspec: nothing in it is percent-decoded, and `?` and `#` have no meaning.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::{Error, Result};

/// The place of an object: a local path or a URL.
///
/// - `Display` and `Debug` hide query values and user information; only [`Href::as_str`] reveals them.
/// - A `file://` URL is turned into a path when parsed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Href {
    text: String,
}

/// The scheme of a URL, if the text is one: a letter followed by letters, digits, `+`, `-` or `.`, then `://`.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let valid = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    valid.then_some(scheme)
}

/// Schemes of object stores.
const OBJECT_STORES: [&str; 5] = ["s3", "gs", "az", "abfs", "abfss"];

/// True for an href of an object store.
fn names_object(text: &str) -> bool {
    scheme(text).is_some_and(|scheme| OBJECT_STORES.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// An href of an object store with its scheme in lower case and a slash after the bucket; `None` if it is malformed.
fn object(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
    let scheme = scheme.to_ascii_lowercase();
    let is_name = |name: &str| {
        (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c))
    };
    let valid = match authority.split_once('@').filter(|_| scheme.starts_with("abfs")) {
        Some((container, host)) => is_name(container) && is_name(host),
        None => is_name(authority),
    };
    // A URL cannot carry these components to a server.
    let dots = key.split('/').any(|part| matches!(part, "." | ".."));
    (valid && !dots).then(|| format!("{scheme}://{authority}/{key}"))
}

impl Href {
    /// Parses a path or URL.
    ///
    /// # Errors
    /// [`Error::InvalidHref`] if the text is empty, holds NUL or is a malformed URL.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidHref { href: redact(text) };
        if text.is_empty() || text.contains('\0') {
            return Err(invalid());
        }
        // The name of a scheme may be written in any case.
        let text = match scheme(text).map(str::to_ascii_lowercase).as_deref() {
            Some("file") => {
                let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok()).ok_or_else(invalid)?;
                path.to_str().ok_or_else(invalid)?.to_owned()
            }
            Some("http" | "https") => Url::parse(text).map_err(|_| invalid())?.to_string(),
            _ if names_object(text) => object(text).ok_or_else(invalid)?,
            _ => text.to_owned(),
        };
        Ok(Self { text })
    }

    /// The href of a local path.
    pub fn from_path(path: &Path) -> Self {
        Self { text: path.to_string_lossy().into_owned() }
    }

    /// The whole text with its secrets: for requests and saved documents, never for messages.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme of a URL in lower case; `None` for a path.
    pub fn scheme(&self) -> Option<String> {
        scheme(&self.text).map(str::to_ascii_lowercase)
    }

    /// True for a path of this machine.
    pub fn is_local(&self) -> bool {
        scheme(&self.text).is_none()
    }

    /// The local path, if it is one.
    pub fn to_path(&self) -> Option<PathBuf> {
        self.is_local().then(|| PathBuf::from(&self.text))
    }

    /// The URL, if it is one for http or https.
    pub fn to_url(&self) -> Option<Url> {
        Url::parse(&self.text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    }

    /// True for an object of a bucket (S3, Google Cloud Storage, Azure Blob Storage).
    pub fn is_of_bucket(&self) -> bool {
        self.bucket_and_key().is_some()
    }

    /// Bucket with its scheme (`s3://bucket/`) and key, if it is an href of an object store.
    pub(crate) fn bucket_and_key(&self) -> Option<(&str, &str)> {
        split_root(&self.text).filter(|_| names_object(&self.text))
    }

    /// Where the path ends: a query or fragment follows in URLs, not in paths and keys.
    fn path_end(&self) -> usize {
        let whole = self.is_local() || names_object(&self.text);
        if whole { self.text.len() } else { self.text.find(['?', '#']).unwrap_or(self.text.len()) }
    }

    /// Resolves a reference found in the document at `self`.
    ///
    /// # Errors
    /// [`Error::InvalidHref`] if the result is not an href.
    pub fn join(&self, reference: &str) -> Result<Self> {
        if scheme(reference).is_some() {
            return Self::parse(reference);
        }
        if let Some((root, key)) = self.bucket_and_key() {
            return Self::parse(&format!("{root}{}", joined_key(key, reference)));
        }
        if !self.is_local() {
            let base = Url::parse(&self.text).map_err(|_| Error::InvalidHref { href: redact(&self.text) })?;
            let joined = base.join(reference).map_err(|_| Error::InvalidHref { href: redact(reference) })?;
            return Self::parse(joined.as_str());
        }
        if reference.starts_with('/') {
            return Self::parse(&normalise(reference));
        }
        let folder = self.text.rfind('/').map_or("", |slash| &self.text[..=slash]);
        Self::parse(&normalise(&format!("{folder}{reference}")))
    }

    /// The same place as a folder: with one slash at the end.
    #[must_use]
    pub fn as_folder(&self) -> Self {
        if self.text.ends_with('/') { self.clone() } else { Self { text: format!("{}/", self.text) } }
    }

    /// The folder that holds the object, with a slash at the end (`./` for a bare name).
    #[must_use]
    pub fn folder(&self) -> Self {
        let text = match self.text[..self.path_end()].rfind('/') {
            Some(slash) => self.text[..=slash].to_owned(),
            None => "./".to_owned(),
        };
        Self { text }
    }

    /// The last component of the path, without query; `None` for a folder.
    pub fn file_name(&self) -> Option<&str> {
        self.text[..self.path_end()].rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// `self` as a reference from the document `base`: `./a.json`, `../b/c.json`, or whole if they share no root.
    pub fn relative_to(&self, base: &Self) -> String {
        let (Some((root, path)), Some((base_root, base_path))) = (split_root(&self.text), split_root(&base.text))
        else {
            return self.text.clone();
        };
        if root != base_root {
            return self.text.clone();
        }
        let from: Vec<&str> = base_path.split('/').collect();
        let to: Vec<&str> = path.split('/').collect();
        let folders = from.len().min(to.len()).saturating_sub(1);
        let shared = from.iter().zip(&to).take(folders).take_while(|(a, b)| a == b).count();
        let up = from.len() - 1 - shared;
        let prefix = if up == 0 { "./".to_owned() } else { "../".repeat(up) };
        format!("{prefix}{}", to[shared..].join("/"))
    }

    /// The absolute form of a local path (against the working directory), a URL unchanged.
    #[must_use]
    pub fn absolute(&self) -> Self {
        if !self.is_local() || self.text.starts_with('/') {
            return if self.is_local() { Self { text: normalise(&self.text) } } else { self.clone() };
        }
        let here = std::env::current_dir().unwrap_or_default();
        Self { text: normalise(&format!("{}/{}", here.to_string_lossy(), self.text)) }
    }
}

/// Splits into what must be equal for a relative reference to exist (scheme and host, or `/`, or nothing) and the path.
fn split_root(text: &str) -> Option<(&str, &str)> {
    if let Some(scheme) = scheme(text) {
        let host = scheme.len() + 3;
        let slash = text[host..].find('/')?;
        return Some((&text[..=host + slash], &text[host + slash + 1..]));
    }
    match text.strip_prefix('/') {
        Some(rest) => Some((&text[..1], rest)),
        None => Some(("", text.strip_prefix("./").unwrap_or(text))),
    }
}

/// A reference against a key: `.` and `..` are resolved as in URLs (RFC 3986, 5.2.4), empty components stay.
fn joined_key(key: &str, reference: &str) -> String {
    let path = match reference.strip_prefix('/') {
        Some(rest) => rest.to_owned(),
        None => format!("{}{reference}", key.rfind('/').map_or("", |slash| &key[..=slash])),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") || matches!(path.as_str(), "." | "..") {
        parts.push("");
    }
    parts.join("/")
}

/// Removes `.` and `..` from a path (RFC 3986, 5.2.4); leading `..` of a relative path stay.
fn normalise(path: &str) -> String {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if !inner.is_empty() && inner.strip_suffix('/').unwrap_or(inner).split('/').all(is_plain) {
        return path.to_owned();
    }
    let rooted = path.starts_with('/');
    let folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    let body = parts.join("/");
    let start = if rooted { "/" } else { "" };
    let end = if folder && !body.is_empty() { "/" } else { "" };
    format!("{start}{body}{end}")
}

/// Hides user information and the values of query parameters.
fn redact(text: &str) -> String {
    // Nothing else can hold a secret.
    if !text.contains(['?', '@', '#']) {
        return text.to_owned();
    }
    if names_object(text) {
        return redact_object(text);
    }
    let Ok(mut url) = Url::parse(text) else {
        return text.split('?').next().unwrap_or_default().to_owned();
    };
    if scheme(text).is_none() {
        return text.to_owned();
    }
    let keys: Vec<String> = url.query_pairs().map(|(key, _)| key.into_owned()).collect();
    if !keys.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(keys.iter().map(|key| (key.as_str(), "***")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Cannot fail for URLs that carry user information.
        let _ = url.set_password(None);
        let _ = url.set_username("***");
    }
    url.to_string()
}

/// Keys have no queries, but a signature may have been pasted with one, or a key and secret before the bucket.
fn redact_object(text: &str) -> String {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let shown = match path.split_once("://") {
        Some((scheme, rest)) if rest.split('/').next().is_some_and(|authority| authority.contains([':', '@'])) => {
            let (user, host) = rest.split_once('@').unwrap_or(("", rest));
            let secret = !scheme.to_ascii_lowercase().starts_with("abfs") || user.contains(':');
            if secret { format!("{scheme}://***@{host}") } else { path.to_owned() }
        }
        _ => path.to_owned(),
    };
    match (text.len() > path.len(), query.contains('=')) {
        (true, true) => format!("{shown}?***"),
        (true, false) => format!("{shown}?{query}"),
        _ => shown,
    }
}

impl fmt::Display for Href {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_local() { f.write_str(&self.text) } else { f.write_str(&redact(&self.text)) }
    }
}

impl fmt::Debug for Href {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Href({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STAC best practices, the table of base, relative href and result.
    const NINE_ROWS: [(&str, &str, &str); 9] = [
        ("/folder/catalog.json", "item.json", "/folder/item.json"),
        ("/folder", "item.json", "/item.json"),
        ("/folder/", "item.json", "/folder/item.json"),
        ("/folder", "folder/item.json", "/folder/item.json"),
        ("/folder/", "folder/item.json", "/folder/folder/item.json"),
        ("/another/folder", "../item.json", "/item.json"),
        ("/another/folder/", "../item.json", "/another/item.json"),
        ("", "folder/item.json", "/folder/item.json"),
        ("/", "folder/item.json", "/folder/item.json"),
    ];

    /// Found by fuzzing: a scheme in capitals was taken for one that is not known.
    #[test]
    fn schemes_may_have_capitals() {
        assert_eq!(Href::parse("FiLe:///a/b.nc").unwrap().as_str(), "/a/b.nc");
        assert_eq!(Href::parse("HTTP://host/a").unwrap().as_str(), "http://host/a");
        let base = Href::parse("fiLe:/,/e:///e:").unwrap();
        assert!(base.is_local() && base.join("..").unwrap().is_local());
    }

    #[test]
    fn joining_follows_the_nine_rows_for_urls_and_paths() {
        for (base, relative, want) in NINE_ROWS {
            let url = Href::parse(&format!("https://example.com{base}")).unwrap();
            assert_eq!(url.join(relative).unwrap().as_str(), format!("https://example.com{want}"));
            if !base.is_empty() {
                assert_eq!(Href::parse(base).unwrap().join(relative).unwrap().as_str(), want, "{base} + {relative}");
            }
        }
    }

    #[test]
    fn relative_hrefs_resolve_back() {
        let cases = [
            ("/d/na/catalog.json", "/d/catalog.json", "./na/catalog.json"),
            ("/d/catalog.json", "/d/na/na-1/na-1.json", "../../catalog.json"),
            ("https://h/d/catalog.json", "https://h/d/na/catalog.json", "../catalog.json"),
            ("https://h/d.nc", "/d/catalog.json", "https://h/d.nc"),
            ("a/b.json", "a/c/d.json", "../b.json"),
            ("/d/catalog.json", "/d/catalog.json", "./catalog.json"),
        ];
        for (target, base, want) in cases {
            let (target, base) = (Href::parse(target).unwrap(), Href::parse(base).unwrap());
            assert_eq!(target.relative_to(&base), want);
            assert_eq!(base.join(want).unwrap(), target);
        }
    }

    #[test]
    fn keys_are_taken_as_they_are() {
        let parse = |text: &str| Href::parse(text).unwrap();
        let key = "s3://b/a b%20c+d//e?f#g.nc";
        assert_eq!(parse(key).as_str(), key);
        assert_eq!(parse(key).file_name(), Some("e?f#g.nc"));
        assert_eq!(parse(key).folder().as_str(), "s3://b/a b%20c+d//");
        assert_eq!(parse("S3://Bucket").as_str(), "s3://Bucket/");
        assert_eq!(parse("s3://b/x").folder().as_str(), "s3://b/");
        assert_eq!(parse("s3://b").file_name(), None);
        assert_eq!(parse("s3://b/d/x").as_folder().as_str(), "s3://b/d/x/");
        assert_eq!(parse(key).bucket_and_key(), Some(("s3://b/", "a b%20c+d//e?f#g.nc")));
        let rows = [
            ("s3://b/d/cat.json", "./a%20b.nc", "s3://b/d/a%20b.nc"),
            ("s3://b/d/cat.json", "../e f/g", "s3://b/e f/g"),
            ("s3://b/d/cat.json", "../../../g", "s3://b/g"),
            ("s3://b/d/cat.json", "/g", "s3://b/g"),
            ("s3://b/d/cat.json", "..", "s3://b/"),
            ("s3://b/d//cat.json", "x//y", "s3://b/d//x//y"),
            ("s3://b/d/cat.json", "gs://c/g", "gs://c/g"),
            ("abfss://c@a.dfs.core.windows.net/d/cat.json", "g", "abfss://c@a.dfs.core.windows.net/d/g"),
            ("https://h/cat.json", "s3://b/a?b", "s3://b/a?b"),
        ];
        for (base, reference, want) in rows {
            assert_eq!(parse(base).join(reference).unwrap().as_str(), want, "{base} + {reference}");
        }
        assert_eq!(parse("s3://b/d/e/a b.nc").relative_to(&parse("s3://b/d/cat.json")), "./e/a b.nc");
        assert_eq!(parse("s3://c/a.nc").relative_to(&parse("s3://b/cat.json")), "s3://c/a.nc");
    }

    #[test]
    fn malformed_buckets_are_refused_without_their_secrets() {
        for bad in ["s3:///a", "s3://b c/a", "s3://b/../a", "s3://b/a/./c", "s3://arn:aws:s3:::b/a", "gs://a@b/c"] {
            assert!(Href::parse(bad).is_err(), "{bad}");
        }
        let error = Href::parse("s3://AKIA:hush@b/a.nc").unwrap_err().to_string();
        assert!(!error.contains("hush") && error.contains("s3://***@b/a.nc"), "{error}");
        assert_eq!(Href::parse("az://c/a.nc?sv=1&sig=hush").unwrap().to_string(), "az://c/a.nc?***");
        assert_eq!(Href::parse("s3://b/a b?c").unwrap().to_string(), "s3://b/a b?c");
    }

    #[test]
    fn secrets_stay_out_of_messages() {
        let href = Href::parse("https://me:pw@h.org/a.nc?sig=abc&st=1").unwrap();
        assert_eq!(href.to_string(), "https://***@h.org/a.nc?sig=***&st=***");
        assert_eq!(format!("{href:?}"), "Href(https://***@h.org/a.nc?sig=***&st=***)");
        assert_eq!(href.file_name(), Some("a.nc"));
    }
}
