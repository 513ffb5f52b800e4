//! Index pages of web servers.

use std::collections::HashSet;

use scraper::{Html, Selector};

use super::{Entry, decoded};
use crate::{Error, Href, Result};

/// Links of an index page to direct children of the folder; sorting links, parents and other hosts are left out.
pub(super) fn read(href: &Href, html: &str) -> Result<Vec<Entry>> {
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
        let (href, name) = (target.clone(), decoded(name));
        entries.push(if rest.ends_with('/') {
            Entry::folder(href, name)
        } else {
            Entry::file(href, name, size_after(link))
        });
    }
    Ok(entries)
}

/// nginx writes `<a>name</a>   date   bytes`; a size with a unit (Apache's `1.2M`) is rounded and therefore not used.
fn size_after(link: scraper::ElementRef<'_>) -> Option<u64> {
    let text = link.next_sibling()?.value().as_text()?.text.to_string();
    text.lines().next()?.split_whitespace().last()?.parse().ok()
}
