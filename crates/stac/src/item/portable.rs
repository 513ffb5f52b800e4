//! An item for another place: its hrefs, or its links, are others, all else stays to the byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use outcrop_store::Href;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::RawItem;
use crate::Result;
use crate::document::resolve;
use crate::tokens::push_compact;

impl RawItem {
    /// The JSON on one line with absolute hrefs of assets and links, so that it can stand elsewhere; all else stays.
    ///
    /// # Errors
    /// As [`RawItem::at_self`].
    pub fn to_portable(&self) -> Result<Vec<u8>> {
        self.to_portable_in(None)
    }

    /// As [`RawItem::to_portable`], but hrefs of what lies in a folder are relative to it.
    ///
    /// # Errors
    /// As [`RawItem::at_self`].
    pub fn to_portable_in(&self, folder: Option<&Href>) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        for (span, json) in self.other_hrefs(folder)? {
            push_compact(&mut out, &self.bytes[at..span.start]);
            out.extend_from_slice(json.as_bytes());
            at = span.end;
        }
        push_compact(&mut out, &self.bytes[at..]);
        Ok(out)
    }

    /// As [`RawItem::to_portable_in`], of `json`, its own JSON, with the white space that it has; borrowed where no href changes.
    ///
    /// # Errors
    /// As [`RawItem::at_self`].
    pub(crate) fn portable_text<'a>(&self, json: &'a str, folder: Option<&Href>) -> Result<Cow<'a, str>> {
        let hrefs = self.other_hrefs(folder)?;
        if hrefs.is_empty() {
            return Ok(Cow::Borrowed(json));
        }
        let (mut out, mut at) = (String::with_capacity(json.len()), 0);
        for (span, href) in hrefs {
            out.push_str(json.get(at..span.start).unwrap_or_default());
            out.push_str(&href);
            at = span.end;
        }
        out.push_str(json.get(at..).unwrap_or_default());
        Ok(Cow::Owned(out))
    }

    /// The hrefs that are others elsewhere: where they stand, in that order, and their JSON there.
    fn other_hrefs(&self, folder: Option<&Href>) -> Result<Vec<(Range<usize>, String)>> {
        let mut places = Vec::new();
        if let Some(Ok(assets)) = self.assets().map(serde_json::from_str::<HrefsOfMap<'_>>) {
            places.extend(assets.0);
        }
        if let Some(Ok(links)) = self.links().map(serde_json::from_str::<Vec<HrefOf<'_>>>) {
            places.extend(links.into_iter().filter_map(|link| link.href));
        }
        let start = self.bytes.as_ptr() as usize;
        let mut others = Vec::new();
        for raw in places {
            let from = (raw.get().as_ptr() as usize).saturating_sub(start);
            let span = from..from + raw.get().len();
            let Some(href) = self.text(&span).filter(|href| !is_absolute(href)) else { continue };
            let absolute = resolve(&self.href, &href)?;
            let below = folder.and_then(|folder| absolute.as_str().strip_prefix(folder.as_str()));
            let text = below.map_or_else(|| absolute.as_str().to_owned(), |below| format!("./{below}"));
            if text != href {
                others.push((span, Value::from(text).to_string()));
            }
        }
        others.sort_by_key(|(span, _)| span.start);
        Ok(others)
    }

    /// The JSON with other links, and with this collection where one is given; all else stays to the byte. `None` where a
    /// field that is null would have to be replaced.
    pub(crate) fn with_links(&self, links: &str, collection: Option<&str>) -> Option<Vec<u8>> {
        let collection = collection.map(|id| Value::from(id).to_string());
        let mut parts = vec![("links", &self.spans.links, links)];
        parts.extend(collection.as_deref().map(|id| ("collection", &self.spans.collection, id)));
        let is_null = |name: &str| memchr::memmem::find(&self.bytes, format!("\"{name}\"").as_bytes()).is_some();
        let mut fresh = String::new();
        for (name, span, json) in &parts {
            if span.is_empty() {
                // It may also be the key of something deeper; then a tree decides.
                if is_null(name) {
                    return None;
                }
                fresh.extend([",\"", name, "\":", json]);
            }
        }
        parts.retain(|(_, span, _)| !span.is_empty());
        parts.sort_by_key(|(_, span, _)| span.start);
        let end = self.bytes.iter().rposition(|byte| *byte == b'}')?;
        let (mut out, mut at) = (Vec::with_capacity(self.bytes.len() + links.len()), 0);
        for (_, span, json) in parts {
            out.extend_from_slice(self.bytes.get(at..span.start)?);
            out.extend_from_slice(json.as_bytes());
            at = span.end;
        }
        out.extend_from_slice(self.bytes.get(at..end)?);
        out.extend_from_slice(fresh.as_bytes());
        out.extend_from_slice(&self.bytes[end..]);
        Some(out)
    }
}

/// The href of an asset or a link, as it is written.
#[derive(Deserialize)]
struct HrefOf<'a> {
    #[serde(borrow, default)]
    href: Option<&'a RawValue>,
}

/// The hrefs of assets.
struct HrefsOfMap<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for HrefsOfMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Map<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Map<'a> {
            type Value = HrefsOfMap<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of assets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut hrefs = Vec::new();
                while let Some((_, asset)) = map.next_entry::<IgnoredAny, HrefOf<'de>>()? {
                    hrefs.extend(asset.href);
                }
                Ok(HrefsOfMap(hrefs))
            }
        }
        deserializer.deserialize_map(Map(std::marker::PhantomData))
    }
}

/// True for an href that begins with a scheme and an authority, wherever the document stands. Not for files of this machine,
/// which a remote document must not name.
fn is_absolute(href: &str) -> bool {
    let Some((scheme, _)) = href.split_once("://") else { return false };
    scheme.len() > 1
        && !scheme.eq_ignore_ascii_case("file")
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}
