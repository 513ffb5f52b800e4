//! Listings of HTTP archives: index pages of web servers and THREDDS catalogs.

use std::collections::HashSet;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use scraper::{Html, Selector};

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
}

/// Reads the listing at `href` by its media type, or by its first bytes where that says nothing.
///
/// # Errors
/// [`Error::Listing`] if it is neither an HTML index page nor a THREDDS catalog, or malformed XML.
pub fn parse(href: &Href, bytes: &[u8], media: &str) -> Result<Vec<Entry>> {
    let text = String::from_utf8_lossy(bytes);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let xml =
        media.contains("xml") && !media.contains("html") || start.starts_with("<?xml") && start.contains("<catalog");
    if xml || start.starts_with("<catalog") {
        return thredds(href, start);
    }
    let looks_html = start.get(..200.min(start.len())).unwrap_or(start).to_ascii_lowercase().contains('<');
    if media.contains("html") || looks_html {
        return index_page(href, &text);
    }
    Err(Error::Listing { href: href.clone(), why: "it is neither an HTML index page nor a THREDDS catalog".into() })
}

/// Links of an index page to direct children of the folder; sorting links, parents and other hosts are left out.
fn index_page(href: &Href, html: &str) -> Result<Vec<Entry>> {
    let base = href.as_folder();
    let selector = Selector::parse("a[href]").map_err(|e| Error::Listing { href: href.clone(), why: e.to_string() })?;
    let page = Html::parse_document(html);
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = HashSet::new();
    for link in page.select(&selector) {
        let Some(target) = link.value().attr("href").and_then(|target| base.join(target).ok()) else { continue };
        let Some(rest) = target.as_str().strip_prefix(base.as_str()) else { continue };
        let name = rest.strip_suffix('/').unwrap_or(rest);
        if name.is_empty() || name.contains(['/', '?', '#', ';']) {
            continue;
        }
        if !seen.insert(target.as_str().to_owned()) {
            continue;
        }
        let kind = if rest.ends_with('/') { EntryKind::Folder } else { EntryKind::File };
        let size = if kind == EntryKind::File { size_after(link) } else { None };
        entries.push(Entry { href: target.clone(), name: decoded(name), kind, size });
    }
    Ok(entries)
}

/// nginx writes `<a>name</a>   date   bytes`; a size with a unit (Apache's `1.2M`) is rounded and therefore not used.
fn size_after(link: scraper::ElementRef<'_>) -> Option<u64> {
    let text = link.next_sibling()?.value().as_text()?.text.to_string();
    text.lines().next()?.split_whitespace().last()?.parse().ok()
}

fn decoded(name: &str) -> String {
    let url = url::Url::parse(&format!("http://h/?{}", name.replace('+', "%2B"))).ok();
    let text = url.and_then(|url| url.query_pairs().next().map(|(key, _)| key.into_owned()));
    text.unwrap_or_else(|| name.to_owned())
}

/// Path below the service, name and exact size of a dataset.
type Dataset = (String, String, Option<u64>);

/// Datasets with a `urlPath` become files below the HTTPServer service, `catalogRef`s become folders.
fn thredds(href: &Href, xml: &str) -> Result<Vec<Entry>> {
    let bad = |why: String| Error::Listing { href: href.clone(), why };
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut base: Option<String> = None;
    let mut entries: Vec<Dataset> = Vec::new();
    let mut folders = Vec::new();
    let mut unit: Option<f64> = None;
    loop {
        let event = reader.read_event().map_err(|e| bad(format!("malformed XML: {e}")))?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                b"service" if attr(tag, "serviceType").is_some_and(|kind| kind.eq_ignore_ascii_case("HTTPServer")) => {
                    base = base.or(attr(tag, "base"));
                }
                b"dataset" => {
                    if let Some(path) = attr(tag, "urlPath") {
                        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                        entries.push((path, name, None));
                    }
                }
                b"catalogRef" => {
                    folders.extend(attr(tag, "href").map(|to| (to, attr(tag, "title").or(attr(tag, "name")))));
                }
                b"dataSize" => unit = attr(tag, "units").and_then(|units| bytes_per(&units)),
                _ => {}
            },
            Event::Text(text) => {
                if let (Some(unit), Some(last)) = (unit.take(), entries.last_mut()) {
                    let number = text.decode().ok().and_then(|text| text.trim().parse::<f64>().ok());
                    // Only whole bytes are exact; `1.3 Gbytes` is rounded.
                    last.2 = number
                        .filter(|n| (unit - 1.0).abs() < f64::EPSILON && n.fract() == 0.0 && *n >= 0.0)
                        .map(whole);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let base = base.unwrap_or_else(|| "/thredds/fileServer/".to_owned());
    let mut out = Vec::with_capacity(entries.len() + folders.len());
    for (path, name, size) in entries {
        let target = href.join(&format!("{}/{path}", base.trim_end_matches('/')))?;
        out.push(Entry { href: target, name, kind: EntryKind::File, size });
    }
    for (to, title) in folders {
        let name = title.unwrap_or_else(|| to.clone());
        out.push(Entry { href: href.join(&to)?, name, kind: EntryKind::Folder, size: None });
    }
    Ok(out)
}

fn attr(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|a| a.key.local_name().as_ref() == name.as_bytes())?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

fn bytes_per(units: &str) -> Option<f64> {
    match units.to_ascii_lowercase().as_str() {
        "bytes" => Some(1.0),
        "kbytes" => Some(1e3),
        "mbytes" => Some(1e6),
        "gbytes" => Some(1e9),
        "tbytes" => Some(1e12),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and not negative")]
fn whole(number: f64) -> u64 {
    number as u64
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
