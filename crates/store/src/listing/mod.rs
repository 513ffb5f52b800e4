//! Listings of HTTP archives: index pages of web servers, THREDDS catalogs, folders of WebDAV.

mod page;
mod thredds;
pub(crate) mod webdav;

use crate::{Error, Href, Result};

/// What a member of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// An object with bytes.
    File,
    /// A folder or a nested catalog that can be listed.
    Folder,
}

/// A member of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is: of a file, its bytes; of a folder, its listing.
    pub href: Href,
    /// Its name, percent-decoded.
    pub name: String,
    /// File or folder.
    pub kind: EntryKind,
    /// Its size in bytes, where the listing says it exactly.
    pub size: Option<u64>,
    /// What changes when the object does, where the listing says it exactly: its ETag, or the time of its last change.
    pub version: Option<String>,
}

impl Entry {
    pub(crate) fn file(href: Href, name: String, size: Option<u64>) -> Self {
        Self { href, name, kind: EntryKind::File, size, version: None }
    }

    pub(crate) fn folder(href: Href, name: String) -> Self {
        Self { href, name, kind: EntryKind::Folder, size: None, version: None }
    }
}

/// Reads the listing at `href` by its media type, or by its first bytes where that says nothing.
///
/// # Errors
/// [`Error::Listing`] if it is neither an HTML index page, a THREDDS catalog nor an answer to PROPFIND, or malformed XML.
pub fn parse(href: &Href, bytes: &[u8], media: &str) -> Result<Vec<Entry>> {
    let text = String::from_utf8_lossy(bytes);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let xml =
        media.contains("xml") && !media.contains("html") || start.starts_with("<?xml") && start.contains("<catalog");
    // RFC 4918 names the root of the answer; its prefix is anyone's.
    let head = start.get(..400.min(start.len())).unwrap_or_default();
    if head.contains("multistatus") && (xml || head.starts_with("<?xml")) {
        return webdav::read(href, bytes);
    }
    if xml || start.starts_with("<catalog") {
        return thredds::read(href, start);
    }
    let looks_html = start.get(..200.min(start.len())).unwrap_or(start).to_ascii_lowercase().contains('<');
    if media.contains("html") || looks_html {
        return page::read(href, &text);
    }
    Err(Error::Listing { href: href.clone(), why: "it is neither an HTML index page nor a THREDDS catalog".into() })
}

/// A name in a URL as it is meant.
fn decoded(name: &str) -> String {
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[Entry]) -> Vec<(&str, EntryKind, Option<u64>)> {
        entries.iter().map(|e| (e.name.as_str(), e.kind, e.size)).collect()
    }

    #[test]
    fn nginx_page_gives_children_with_exact_sizes() {
        let page = "<html><head><title>Index of /d/</title></head><body><h1>Index of /d/</h1><hr><pre><a href=\"../\">../</a>\n\
            <a href=\"sub/\">sub/</a>       01-Jan-2024 00:00       -\n\
            <a href=\"a%20b.nc\">a b.nc</a>  01-Jan-2024 00:00     1234\n</pre></body></html>";
        let base = Href::parse("http://h/d/").unwrap();
        let entries = parse(&base, page.as_bytes(), "text/html").unwrap();
        assert_eq!(names(&entries), vec![("sub", EntryKind::Folder, None), ("a b.nc", EntryKind::File, Some(1234))]);
        assert_eq!(entries[1].href.as_str(), "http://h/d/a%20b.nc");
    }

    #[test]
    fn apache_page_skips_sorting_links_and_rounded_sizes() {
        let page = "<!DOCTYPE HTML><html><body><table><tr><th><a href=\"?C=N;O=D\">Name</a></th></tr>\
            <tr><td><a href=\"/\">Parent Directory</a></td></tr>\
            <tr><td><a href=\"t.nc\">t.nc</a></td><td align=\"right\">1.2M</td></tr></table></body></html>";
        let base = Href::parse("https://h/x").unwrap();
        let entries = parse(&base, page.as_bytes(), "text/html;charset=UTF-8").unwrap();
        assert_eq!(names(&entries), vec![("t.nc", EntryKind::File, None)]);
    }

    #[test]
    fn thredds_catalog_gives_file_server_hrefs_and_nested_catalogs() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<catalog xmlns="http://www.unidata.ucar.edu/namespaces/thredds/InvCatalog/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink">
  <service name="all" serviceType="Compound" base=""><service name="odap" serviceType="OpenDAP" base="/thredds/dodsC/"/>
  <service name="http" serviceType="HTTPServer" base="/thredds/fileServer/"/></service>
  <dataset name="2129" ID="x">
    <dataset name="a.nc" urlPath="ornldaac/2129/a.nc"><dataSize units="bytes">77</dataSize></dataset>
    <dataset name="b.nc" urlPath="ornldaac/2129/b.nc"><dataSize units="Gbytes">1.3</dataSize></dataset>
    <catalogRef xlink:href="sub/catalog.xml" xlink:title="sub"/>
  </dataset></catalog>"#;
        let base = Href::parse("https://h/thredds/catalog/2129/catalog.xml").unwrap();
        let entries = parse(&base, xml.as_bytes(), "application/xml").unwrap();
        assert_eq!(entries[0].href.as_str(), "https://h/thredds/fileServer/ornldaac/2129/a.nc");
        assert_eq!(names(&entries)[0].2, Some(77));
        assert_eq!(names(&entries)[1].2, None);
        assert_eq!(entries[2].href.as_str(), "https://h/thredds/catalog/2129/sub/catalog.xml");
        assert_eq!(entries[2].kind, EntryKind::Folder);
    }

    #[test]
    fn data_is_not_a_listing() {
        let base = Href::parse("https://h/x").unwrap();
        assert!(matches!(parse(&base, b"\x89HDF", "application/x-netcdf"), Err(Error::Listing { .. })));
    }
}
