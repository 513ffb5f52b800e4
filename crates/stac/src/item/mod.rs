//! An item as it came: the bytes of its JSON, and where in them the fields lie that search, index and copies look at.
//!
//! No tree is made, so unknown fields, their order and numbers survive to the byte, and 100,000 items cost their bytes.
//! Not here: documents of other kinds ([`Document`]). Specification:
//! <https://github.com/radiantearth/stac-spec/blob/v1.1.0/item-spec/item-spec.md>.

mod portable;

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
