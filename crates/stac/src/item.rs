//! An item as it came: the bytes of its JSON, and where in them the fields lie that search, index and copies look at.
//!
//! No tree is made, so unknown fields, their order and numbers survive to the byte, and 100,000 items cost their bytes.
//! Not here: documents of other kinds ([`Document`]). Specification:
//! <https://github.com/radiantearth/stac-spec/blob/v1.1.0/item-spec/item-spec.md>.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use outcrop_grid::Interval;
use outcrop_grid::interval::parse_time;
use outcrop_store::Href;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::document::resolve;
use crate::{Document, Error, Kind, Result};

/// An item whose JSON stays as it came.
///
/// - The bytes are one JSON object in UTF-8 with `type` `Feature` and a text `id` that is not empty.
/// - Of a field that stands twice, the last counts, as in [`Document`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawItem {
    href: Href,
    bytes: Bytes,
    spans: Spans,
}

/// Where the values of fields lie; an empty range is a field that is absent or null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Spans {
    kind: Range<usize>,
    version: Range<usize>,
    id: Range<usize>,
    collection: Range<usize>,
    geometry: Range<usize>,
    bbox: Range<usize>,
    properties: Range<usize>,
    links: Range<usize>,
    assets: Range<usize>,
}

impl RawItem {
    /// Finds the fields of the item in its bytes.
    ///
    /// # Errors
    /// [`Error::Json`] with line and column, [`Error::NotStac`] if it is not an item or has no id.
    pub fn parse(href: Href, bytes: Bytes) -> Result<Self> {
        let (item, kind) = Self::of_any_kind(href, bytes)?;
        match kind {
            Some(Kind::Item) => Ok(item),
            _ => Err(Error::NotStac { href: item.href, why: "its `type` is not `Feature`".to_owned() }),
        }
    }

    /// The fields of a document of any kind, and its kind where it is an item or a collection of items.
    ///
    /// # Errors
    /// As [`RawItem::parse`].
    pub(crate) fn of_any_kind(href: Href, bytes: Bytes) -> Result<(Self, Option<Kind>)> {
        let spans = match spans(&bytes) {
            Ok(spans) => spans,
            Err(source) => {
                let (line, column) = (source.line(), source.column());
                return Err(Error::Json { href, line, column, source });
            }
        };
        let item = Self { href, bytes, spans };
        let kind = match item.text(&item.spans.kind).as_deref() {
            Some("Feature") => Some(Kind::Item),
            Some("FeatureCollection") => Some(Kind::ItemCollection),
            Some(_) => None,
            // Before 1.0 the type was not always there (STAC 0.9: by its shape).
            None => {
                let fields = [&item.spans.version, &item.spans.geometry, &item.spans.properties];
                fields.iter().all(|span| !span.is_empty()).then_some(Kind::Item)
            }
        };
        if kind == Some(Kind::Item) && item.text(&item.spans.id).is_none_or(|id| id.is_empty()) {
            return Err(Error::NotStac { href: item.href, why: "it has no `id`".to_owned() });
        }
        Ok((item, kind))
    }

    /// Where the document lives; that of a member of a collection of items is the collection's.
    pub fn href(&self) -> &Href {
        &self.href
    }

    /// The item at another place.
    #[must_use]
    pub fn with_href(mut self, href: Href) -> Self {
        self.href = href;
        self
    }

    /// The JSON.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The id.
    pub fn id(&self) -> Cow<'_, str> {
        self.text(&self.spans.id).unwrap_or_default()
    }

    /// Id of the collection that the item names.
    pub fn collection(&self) -> Option<Cow<'_, str>> {
        self.text(&self.spans.collection)
    }

    /// The JSON of the geometry; `None` if it is null or absent.
    pub fn geometry(&self) -> Option<&str> {
        self.json(&self.spans.geometry)
    }

    /// The numbers of the box: 4, or 6 with heights; `None` for anything else.
    pub fn bbox(&self) -> Option<Numbers> {
        let numbers: Numbers = serde_json::from_str(self.json(&self.spans.bbox)?).ok()?;
        matches!(numbers.len, 4 | 6).then_some(numbers)
    }

    /// The JSON of the properties.
    pub fn properties(&self) -> Option<&str> {
        self.json(&self.spans.properties)
    }

    /// The JSON of the links.
    pub fn links(&self) -> Option<&str> {
        self.json(&self.spans.links)
    }

    /// The JSON of the assets.
    pub fn assets(&self) -> Option<&str> {
        self.json(&self.spans.assets)
    }

    /// The item at its own `self` link, if it has one: where a member of a file of items lives.
    ///
    /// # Errors
    /// [`Error::Reference`] and [`Error::LocalFromRemote`] for a link that cannot be followed.
    pub fn at_self(self) -> Result<Self> {
        let links: Vec<Link<'_>> = self.links().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let own =
            links.iter().find(|link| link.rel == "self").map(|link| resolve(&self.href, &link.href)).transpose()?;
        Ok(match own {
            Some(own) => self.with_href(own),
            None => self,
        })
    }

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
        let mut places = Vec::new();
        if let Some(Ok(assets)) = self.assets().map(serde_json::from_str::<HrefsOfMap<'_>>) {
            places.extend(assets.0);
        }
        if let Some(Ok(links)) = self.links().map(serde_json::from_str::<Vec<HrefOf<'_>>>) {
            places.extend(links.into_iter().filter_map(|link| link.href));
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        let start = self.bytes.as_ptr() as usize;
        let mut spans: Vec<Range<usize>> = places
            .iter()
            .map(|raw| {
                let from = (raw.get().as_ptr() as usize).saturating_sub(start);
                from..from + raw.get().len()
            })
            .collect();
        spans.sort_by_key(|span| span.start);
        for span in spans {
            let Some(href) = self.text(&span).filter(|href| !is_absolute(href)) else { continue };
            let absolute = resolve(&self.href, &href)?;
            let below = folder.and_then(|folder| absolute.as_str().strip_prefix(folder.as_str()));
            let text = below.map_or_else(|| absolute.as_str().to_owned(), |below| format!("./{below}"));
            if text != href {
                push_compact(&mut out, &self.bytes[at..span.start]);
                out.extend_from_slice(Value::from(text).to_string().as_bytes());
                at = span.end;
            }
        }
        push_compact(&mut out, &self.bytes[at..]);
        Ok(out)
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

    /// The time: start and end where there are both, else `datetime`.
    pub fn interval(&self) -> Option<Interval> {
        let times: Times<'_> = serde_json::from_str(self.properties()?).ok()?;
        let [start, end, moment] = [times.start_datetime, times.end_datetime, times.datetime].map(|text| text.time());
        match (start, end, moment) {
            (Some(start), Some(end), _) => Some(Interval { start: Some(start), end: Some(end) }),
            (_, _, Some(time)) => Some(Interval { start: Some(time), end: Some(time) }),
            _ => None,
        }
    }

    /// The JSON as a tree.
    ///
    /// # Errors
    /// [`Error::Json`], for example where it is nested too deep for a tree.
    pub fn to_value(&self) -> Result<Value> {
        serde_json::from_slice(&self.bytes).map_err(|source| {
            let (line, column) = (source.line(), source.column());
            Error::Json { href: self.href.clone(), line, column, source }
        })
    }

    /// The document.
    ///
    /// # Errors
    /// As [`RawItem::to_value`].
    pub fn to_document(&self) -> Result<Document> {
        Document::from_value(self.href.clone(), self.to_value()?)
    }

    fn json(&self, span: &Range<usize>) -> Option<&str> {
        let text = self.bytes.get(span.clone()).filter(|text| !text.is_empty())?;
        std::str::from_utf8(text).ok()
    }

    fn text(&self, span: &Range<usize>) -> Option<Cow<'_, str>> {
        let json = self.json(span)?;
        match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
            Some(_) => serde_json::from_str(json).ok().map(Cow::Owned),
            None => None,
        }
    }
}

/// At most six numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Numbers {
    values: [f64; 6],
    len: usize,
}

impl Numbers {
    /// The numbers.
    pub fn as_slice(&self) -> &[f64] {
        &self.values[..self.len]
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Seq;
        impl<'de> Visitor<'de> for Seq {
            type Value = Numbers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at most six numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Numbers, A::Error> {
                let mut numbers = Numbers::default();
                while let Some(value) = seq.next_element()? {
                    let too_many = || de::Error::custom("more than six numbers");
                    *numbers.values.get_mut(numbers.len).ok_or_else(too_many)? = value;
                    numbers.len += 1;
                }
                Ok(numbers)
            }
        }
        deserializer.deserialize_seq(Seq)
    }
}

/// What a link says.
#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    rel: Cow<'a, str>,
    #[serde(borrow, default)]
    href: Cow<'a, str>,
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

/// Appends JSON without the white space between its tokens; a piece begins and ends between them.
fn push_compact(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while !rest.is_empty() {
        let (between, text) = rest.split_at(memchr::memchr(b'"', rest).unwrap_or(rest.len()));
        if between.iter().any(u8::is_ascii_whitespace) {
            out.extend(between.iter().filter(|byte| !byte.is_ascii_whitespace()));
        } else {
            out.extend_from_slice(between);
        }
        let (text, behind) = text.split_at(end_of_text(text));
        out.extend_from_slice(text);
        rest = behind;
    }
}

/// JSON in lines, two spaces a level, its tokens as they are: what `serde_json` writes, but for numbers and texts that it would
/// write otherwise. It begins so many levels deep.
pub(crate) fn in_lines(json: &[u8], mut depth: usize) -> Vec<u8> {
    let mut compact = Vec::with_capacity(json.len());
    push_compact(&mut compact, json);
    let mut out = Vec::with_capacity(compact.len() * 2);
    let mut at = 0;
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while let Some(byte) = compact.get(at).copied() {
        let is_empty = matches!((byte, compact.get(at + 1)), (b'{', Some(b'}')) | (b'[', Some(b']')));
        match byte {
            b'"' => {
                let end = at + end_of_text(&compact[at..]);
                out.extend_from_slice(&compact[at..end]);
                at = end;
                continue;
            }
            b'{' | b'[' if is_empty => {
                out.extend_from_slice(&compact[at..at + 2]);
                at += 1;
            }
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            other => out.push(other),
        }
        at += 1;
    }
    out
}

/// Where a text that begins here ends, behind its second quote; all of it where it has none.
fn end_of_text(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

/// True for an href that begins with a scheme and an authority, wherever the document stands. Not for files of this machine,
/// which a remote document must not name.
fn is_absolute(href: &str) -> bool {
    let Some((scheme, _)) = href.split_once("://") else { return false };
    scheme.len() > 1
        && !scheme.eq_ignore_ascii_case("file")
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The times among the properties; a time that is no text is none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Times<'a> {
    #[serde(borrow)]
    datetime: Moment<'a>,
    #[serde(borrow)]
    start_datetime: Moment<'a>,
    #[serde(borrow)]
    end_datetime: Moment<'a>,
}

#[derive(Default)]
struct Moment<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Moment<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let json: &'a RawValue = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(json.get()))
    }
}

impl Moment<'_> {
    fn time(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        parse_time(self.0.strip_prefix('"')?.strip_suffix('"')?)
    }
}

/// Finds the fields. Values are skipped, not looked into, so that depth needs no stack.
fn spans(bytes: &Bytes) -> serde_json::Result<Spans> {
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let found = input.deserialize_any(Fields { start: bytes.as_ptr() as usize })?;
    input.end()?;
    Ok(found)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Type,
    #[serde(rename = "stac_version")]
    Version,
    Id,
    Collection,
    Geometry,
    Bbox,
    Properties,
    Links,
    Assets,
    #[serde(other)]
    Other,
}

struct Fields {
    /// Where the bytes begin; values borrow from them, so that their places are known.
    start: usize,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Spans;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Spans, A::Error> {
        let mut spans = Spans::default();
        while let Some(key) = map.next_key()? {
            let field = match key {
                Key::Type => &mut spans.kind,
                Key::Version => &mut spans.version,
                Key::Id => &mut spans.id,
                Key::Collection => &mut spans.collection,
                Key::Geometry => &mut spans.geometry,
                Key::Bbox => &mut spans.bbox,
                Key::Properties => &mut spans.properties,
                Key::Links => &mut spans.links,
                Key::Assets => &mut spans.assets,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let json = map.next_value::<&RawValue>()?.get();
            let start = (json.as_ptr() as usize).saturating_sub(self.start);
            *field = if json == "null" { 0..0 } else { start..start + json.len() };
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> Result<RawItem> {
        RawItem::parse(Href::parse("/c/i.json").unwrap(), Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn fields_are_found_wherever_they_stand_and_the_bytes_stay() {
        let json = r#" {"assets":{"a":{"href":"x"}}, "x:y": [1.0, 1e400], "properties":{"datetime":null,
            "start_datetime":"2020-01-01T00:00:00Z","end_datetime":"2020-12-31T00:00:00Z"},"bbox":[1,2,3,4.50],
            "geometry":{"type":"Point","coordinates":[1,2]},"id":"\u00e9","type":"Feature","collection":"c","links":[]}"#;
        let item = item(json).unwrap();
        assert_eq!((item.id().as_ref(), item.collection().as_deref()), ("é", Some("c")));
        assert_eq!(item.bbox().unwrap().as_slice(), [1.0, 2.0, 3.0, 4.5]);
        assert_eq!(item.assets(), Some(r#"{"a":{"href":"x"}}"#));
        assert_eq!(item.interval().unwrap(), "2020-01-01T00:00:00Z/2020-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(item.bytes(), json.as_bytes());
    }

    #[test]
    fn a_portable_item_has_absolute_hrefs_and_all_else_as_it_was() {
        let json = r#"{"type": "Feature", "id": "a", "x": [1.0, 1e400, "b \" c"],
            "links": [{"rel": "parent", "href": "../catalog.json"}, {"rel": "via", "href": "https://h/x"}, {"rel": "odd"}],
            "assets": {"a": {"title": "t", "href": "./a b.tif"}, "b": {"href": "s3://b/k"}}}"#;
        let portable = String::from_utf8(item(json).unwrap().to_portable().unwrap()).unwrap();
        let wanted = r#"{"type":"Feature","id":"a","x":[1.0,1e400,"b \" c"],"links":[{"rel":"parent","href":"/catalog.json"},{"rel":"via","href":"https://h/x"},{"rel":"odd"}],"assets":{"a":{"title":"t","href":"/c/a b.tif"},"b":{"href":"s3://b/k"}}}"#;
        assert_eq!(portable, wanted);
    }

    #[test]
    fn a_member_of_a_file_lives_at_its_self_link() {
        let own = r#"{"type":"Feature","id":"a","links":[{"rel":"root","href":"r"},{"rel":"self","href":"https://h/a.json"}]}"#;
        assert_eq!(item(own).unwrap().at_self().unwrap().href().as_str(), "https://h/a.json");
    }

    #[test]
    fn what_is_no_item_is_named() {
        let message = |json: &str| item(json).unwrap_err().to_string();
        assert!(message("[1]").contains("not valid JSON"));
        assert!(message(r#"{"type":"Catalog","id":"a"}"#).contains("not `Feature`"));
        assert!(message(r#"{"type":"Feature","id":7}"#).contains("no `id`"));
        assert!(message(r#"{"type":"Feature","id":"a"} x"#).contains("line 1, column 29"));
        let deep = format!(r#"{{"type":"Feature","id":"a","x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(item(&deep).unwrap().to_value().is_err());
        let odd =
            item(r#"{"type":"Feature","id":"a","bbox":[1,2],"properties":{"datetime":7},"geometry":null}"#).unwrap();
        assert!(odd.bbox().is_none() && odd.interval().is_none() && odd.geometry().is_none());
    }
}
