//! Href arithmetic: parse, join, relate, redact.
//!
//! An href is a local path or an absolute URL. Joining follows RFC 3986 for both, so a trailing slash counts
//! (STAC best practices, "Use of links": `/folder` + `item.json` is `/item.json`).

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

    /// Resolves a reference found in the document at `self`.
    ///
    /// # Errors
    /// [`Error::InvalidHref`] if the result is not an href.
    pub fn join(&self, reference: &str) -> Result<Self> {
        if scheme(reference).is_some() {
            return Self::parse(reference);
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
        let end = self.text.split(['?', '#']).next().map_or(0, str::len);
        let text = match self.text[..end].rfind('/') {
            Some(slash) => self.text[..=slash].to_owned(),
            None => "./".to_owned(),
        };
        Self { text }
    }

    /// The last component of the path, without query; `None` for a folder.
    pub fn file_name(&self) -> Option<&str> {
        let path = self.text.split(['?', '#']).next()?;
        let path = if self.is_local() { self.text.as_str() } else { path };
        path.rsplit('/').next().filter(|name| !name.is_empty())
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

/// Removes `.` and `..` from a path (RFC 3986, 5.2.4); leading `..` of a relative path stay.
fn normalise(path: &str) -> String {
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
    fn secrets_stay_out_of_messages() {
        let href = Href::parse("https://me:pw@h.org/a.nc?sig=abc&st=1").unwrap();
        assert_eq!(href.to_string(), "https://***@h.org/a.nc?sig=***&st=***");
        assert_eq!(format!("{href:?}"), "Href(https://***@h.org/a.nc?sig=***&st=***)");
        assert_eq!(href.file_name(), Some("a.nc"));
    }
}
