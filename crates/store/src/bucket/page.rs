//! Pages of listings in XML: ListObjectsV2 of S3, which Google Cloud Storage speaks too, and List Blobs of Azure.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>,
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/list-blobs>

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use quick_xml::events::Event;

use super::QUERY;
use crate::listing::webdav::resolved;
use crate::listing::{Entry, EntryKind};
use crate::{Error, Href, Result};

/// Most members of a folder.
const MOST: usize = 1_000_000;

/// How a store is asked for a page.
#[derive(Clone, Copy)]
pub(super) enum Dialect {
    /// ListObjectsV2.
    Objects,
    /// List Blobs.
    Blobs,
}

/// The members of a folder, page by page.
pub(crate) struct Pages {
    folder: Href,
    dialect: Dialect,
    entries: Vec<Entry>,
    /// Where the next page begins; `None` after the last.
    next: Option<String>,
}

impl Pages {
    pub(super) fn new(href: &Href, dialect: Dialect) -> Self {
        Self { folder: href.as_folder(), dialect, entries: Vec::new(), next: Some(String::new()) }
    }

    fn prefix(&self) -> &str {
        self.folder.bucket_and_key().map_or("", |(_, key)| key)
    }

    /// The query for the next page; `None` after the last.
    pub(crate) fn query(&self) -> Option<String> {
        let token = self.next.as_deref()?;
        let (head, tail) = match self.dialect {
            Dialect::Objects => ("list-type=2", "continuation-token"),
            Dialect::Blobs => ("restype=container&comp=list", "marker"),
        };
        let prefix = utf8_percent_encode(self.prefix(), QUERY);
        let mut query = format!("{head}&delimiter=%2F&prefix={prefix}");
        if !token.is_empty() {
            query = format!("{query}&{tail}={}", utf8_percent_encode(token, QUERY));
        }
        Some(query)
    }

    /// Takes a page.
    ///
    /// # Errors
    /// [`Error::Listing`] if it is not one, names what cannot be an href, or the listing does not end.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let bad = |why: String| Error::Listing { href: self.folder.clone(), why };
        let text = std::str::from_utf8(bytes).map_err(|_| bad("the page is not UTF-8".into()))?;
        let page = Page::parse(text).map_err(&bad)?;
        let mut entries = Vec::with_capacity(page.members.len());
        for member in &page.members {
            entries.extend(self.entry(member).map_err(&bad)?);
        }
        if self.entries.len() + entries.len() > MOST {
            return Err(bad(format!("it has more than {MOST} members")));
        }
        if page.next.is_some() && page.next == self.next {
            return Err(bad("the next page is this page again".into()));
        }
        self.entries.extend(entries);
        self.next = page.next;
        Ok(())
    }

    fn entry(&self, member: &Member) -> std::result::Result<Option<Entry>, String> {
        let key = &member.key;
        let rest = key.strip_prefix(self.prefix()).ok_or_else(|| format!("`{key}` is not below it"))?;
        // The folder's own marker.
        if rest.is_empty() && member.kind == EntryKind::File || member.is_folder_object {
            return Ok(None);
        }
        let name = if member.kind == EntryKind::Folder { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        if name.is_empty() || name.contains('/') {
            return Err(format!("the key `{key}` has a component without a name"));
        }
        let root = self.folder.bucket_and_key().map_or("", |(root, _)| root);
        let href = Href::parse(&format!("{root}{key}")).map_err(|e| e.to_string())?;
        let (kind, version) = (member.kind, member.etag.clone().or_else(|| member.modified.clone()));
        Ok(Some(Entry { href, name: name.to_owned(), kind, size: member.size, version }))
    }

    /// The members.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no key below the folder, unless it is the whole bucket.
    pub(crate) fn finish(self) -> Result<Vec<Entry>> {
        if self.entries.is_empty() && !self.prefix().is_empty() {
            return Err(Error::NotFound { href: self.folder });
        }
        Ok(self.entries)
    }
}

struct Member {
    key: String,
    kind: EntryKind,
    size: Option<u64>,
    etag: Option<String>,
    modified: Option<String>,
    /// The object that stands for a folder in accounts with a hierarchy.
    is_folder_object: bool,
}

impl Member {
    fn new(kind: EntryKind) -> Self {
        Self { key: String::new(), kind, size: None, etag: None, modified: None, is_folder_object: false }
    }
}

#[derive(Default)]
struct Page {
    members: Vec<Member>,
    next: Option<String>,
    truncated: bool,
}

impl Page {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut page = Self::default();
        let mut path: Vec<String> = Vec::new();
        let mut value = String::new();
        let mut encoded = false;
        let mut is_listing = false;
        loop {
            match reader.read_event().map_err(|e| format!("malformed XML: {e}"))? {
                Event::Start(tag) => {
                    let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                    is_listing |= path.is_empty() && matches!(name.as_str(), "ListBucketResult" | "EnumerationResults");
                    let attribute = tag.try_get_attribute("Encoded").ok().flatten();
                    encoded = attribute.is_some_and(|attribute| attribute.value.as_ref() == b"true");
                    page.begin(&name);
                    path.push(name);
                    if path.len() > 16 {
                        return Err("the page is nested too deep".into());
                    }
                    value.clear();
                }
                Event::Text(text) => value.push_str(&text.decode().map_err(|e| e.to_string())?),
                Event::CData(text) => value.push_str(&text.decode().map_err(|e| e.to_string())?),
                Event::GeneralRef(entity) => value.push_str(&resolved(&entity).ok_or("an entity that is not known")?),
                Event::End(_) => {
                    let plain = if encoded { decoded(&value)? } else { std::mem::take(&mut value) };
                    page.end(&path, plain)?;
                    path.pop();
                    value.clear();
                    encoded = false;
                }
                Event::Eof => break,
                _ => {}
            }
        }
        if !is_listing || !path.is_empty() {
            return Err("the answer is not a whole page of a listing".into());
        }
        if page.truncated && page.next.is_none() {
            return Err("more members follow, but not where".into());
        }
        Ok(page)
    }

    fn begin(&mut self, name: &str) {
        match name {
            "Contents" | "Blob" => self.members.push(Member::new(EntryKind::File)),
            "CommonPrefixes" | "BlobPrefix" => self.members.push(Member::new(EntryKind::Folder)),
            _ => {}
        }
    }

    fn end(&mut self, path: &[String], value: String) -> std::result::Result<(), String> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            [_, "IsTruncated"] => self.truncated = value == "true",
            [_, "NextContinuationToken" | "NextMarker"] if !value.is_empty() => self.next = Some(value),
            [.., "Contents", "Key"] | [.., "CommonPrefixes", "Prefix"] | [.., "Blob" | "BlobPrefix", "Name"] => {
                self.last()?.key = value;
            }
            [.., "Contents", "Size"] | [.., "Blob", "Properties", "Content-Length"] => {
                let size = value.parse().map_err(|_| format!("`{value}` is not a size"))?;
                self.last()?.size = Some(size);
            }
            [.., "Contents", "ETag"] | [.., "Blob", "Properties", "Etag"] => self.last()?.etag = Some(value),
            [.., "Contents", "LastModified"] | [.., "Blob", "Properties", "Last-Modified"] => {
                self.last()?.modified = Some(value);
            }
            [.., "Blob", "Properties", "ResourceType"] => self.last()?.is_folder_object = value == "directory",
            _ => {}
        }
        Ok(())
    }

    fn last(&mut self) -> std::result::Result<&mut Member, String> {
        self.members.last_mut().ok_or_else(|| "a member without a beginning".to_owned())
    }
}

fn decoded(value: &str) -> std::result::Result<String, String> {
    percent_decode_str(value).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|e| e.to_string())
}

/// The text of an element that stands once in a small document, like `<Code>` in an error.
pub(super) fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(href: &str) -> Pages {
        let dialect = if href.starts_with("az:") { Dialect::Blobs } else { Dialect::Objects };
        Pages::new(&Href::parse(href).unwrap(), dialect)
    }

    #[test]
    fn pages_of_s3_are_read_with_their_entities() {
        let mut pages = pages("s3://b/d");
        assert_eq!(pages.query().unwrap(), "list-type=2&delimiter=%2F&prefix=d%2F");
        let page = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Prefix>d/</Prefix><IsTruncated>true</IsTruncated>\
            <Contents><Key>d/</Key><Size>0</Size></Contents>\
            <Contents><Key>d/a &amp; b&#x2B;.nc</Key><ETag>&quot;e1&quot;</ETag><Size>12</Size><Owner><ID>7</ID></Owner></Contents>\
            <CommonPrefixes><Prefix>d/e/</Prefix></CommonPrefixes>\
            <NextContinuationToken>t/=+</NextContinuationToken></ListBucketResult>";
        pages.add(page.as_bytes()).unwrap();
        assert_eq!(pages.query().unwrap(), "list-type=2&delimiter=%2F&prefix=d%2F&continuation-token=t%2F%3D%2B");
        assert!(pages.add(page.as_bytes()).is_err(), "it does not end");
        pages.add(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap();
        assert_eq!(pages.query(), None);
        let entries = pages.finish().unwrap();
        let rows: Vec<_> = entries.iter().map(|e| (e.href.as_str(), e.name.as_str(), e.size)).collect();
        assert_eq!(rows, [("s3://b/d/a & b+.nc", "a & b+.nc", Some(12)), ("s3://b/d/e/", "e", None)]);
        assert_eq!(entries[1].kind, EntryKind::Folder);
        assert_eq!((entries[0].version.as_deref(), &entries[1].version), (Some("\"e1\""), &None));
    }

    #[test]
    fn pages_of_azure_are_read() {
        let mut pages = pages("az://c/");
        assert_eq!(pages.query().unwrap(), "restype=container&comp=list&delimiter=%2F&prefix=");
        let page = "\u{feff}<EnumerationResults><Blobs>\
            <Blob><Name Encoded=\"true\">a%20b.nc</Name><Properties><Content-Length>3</Content-Length></Properties></Blob>\
            <Blob><Name>e</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>\
            <BlobPrefix><Name>e/</Name></BlobPrefix></Blobs><NextMarker/></EnumerationResults>";
        pages.add(page.as_bytes()).unwrap();
        assert_eq!(pages.query(), None);
        let rows: Vec<_> = pages.finish().unwrap().into_iter().map(|e| (e.name, e.kind, e.size)).collect();
        let want = [("a b.nc", EntryKind::File, Some(3)), ("e", EntryKind::Folder, None)];
        assert_eq!(rows, want.map(|(name, kind, size)| (name.to_owned(), kind, size)));
    }

    #[test]
    fn damaged_pages_are_refused_or_read_and_cut_ones_refused() {
        let page = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>d/a&amp;b</Key>\
            <Size>12</Size></Contents><CommonPrefixes><Prefix>d/e/</Prefix></CommonPrefixes></ListBucketResult>";
        for at in 0..page.len() {
            assert!(pages("s3://b/d").add(&page.as_bytes()[..at]).is_err(), "cut at {at}");
            for flip in [1, 0x20, 0x80] {
                let mut bytes = page.as_bytes().to_vec();
                bytes[at] ^= flip;
                // An error or entries; it does not panic.
                let _ = pages("s3://b/d").add(&bytes);
            }
        }
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let member = |key: &str| format!("<ListBucketResult><Contents><Key>{key}</Key></Contents></ListBucketResult>");
        let cut = "<ListBucketResult><Contents>".to_owned();
        let lost = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>".to_owned();
        for bad in ["<html/>".to_owned(), cut, lost, member("x/a"), member("d/.."), member("d/&e;"), member("d//a")] {
            assert!(matches!(pages("s3://b/d").add(bad.as_bytes()), Err(Error::Listing { .. })), "{bad}");
        }
        assert!(matches!(pages("s3://b/d").finish(), Err(Error::NotFound { .. })));
        assert_eq!(pages("s3://b").finish().unwrap(), []);
    }
}
