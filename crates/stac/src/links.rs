//! Catalogs with very many links: the links that lead down are kept as their hrefs alone, the rest as a document.
//!
//! A catalog of a million items has 100 MB of links; as a tree they would take ten times that.

use std::borrow::Cow;

use outcrop_store::{Href, Store};
use serde::Deserialize;
use serde_json::Value;

use crate::{Document, Error, Result};

/// Most links that lead down.
const MOST_LINKS: usize = 2_000_000;
/// Most bytes of the rest of a document.
const MOST_REST: usize = 64 << 20;
/// Most bytes of a document that is read as it comes.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes that are read at once.
const PIECE: u64 = 4 << 20;
/// Bytes of a key that are compared.
const MOST_KEY: usize = 16;

/// Marks the end of a link to an item.
const ITEM: u32 = 1 << 31;

/// What a link leads down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    Child,
    Item,
}

impl Down {
    /// By the rel of a link; `None` where it leads elsewhere.
    pub(crate) fn of(rel: &str) -> Option<Self> {
        match rel {
            "child" => Some(Self::Child),
            "item" => Some(Self::Item),
            _ => None,
        }
    }
}

/// Hrefs of links that lead down, in order: their text, and 4 bytes for each.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Links {
    text: String,
    /// Where each ends; the highest bit tells items.
    ends: Vec<u32>,
}

impl Links {
    /// Documents of 2 GiB and more are not read.
    pub(crate) fn push(&mut self, down: Down, href: &str) {
        self.text.push_str(href);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX) & !ITEM;
        self.ends.push(if down == Down::Item { end | ITEM } else { end });
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<(Down, &str)> {
        let place = |end: u32| (end & !ITEM) as usize;
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| place(self.ends[before]));
        Some((if end & ITEM == 0 { Down::Child } else { Down::Item }, self.text.get(start..place(end))?))
    }
}

/// Something, or why it cannot be had.
type Parsed<T> = std::result::Result<T, String>;

/// What was left out of the tree of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cut {
    pub(crate) links: Links,
    /// Length and CRC-32C of the whole document without white space.
    pub(crate) mark: (u64, u32),
}

/// The catalog in these bytes, without its links to children and items ([`Document::cut_links`]).
///
/// # Errors
/// [`Error::NotStac`] with what is wrong.
pub fn parse_catalog(href: &Href, bytes: &[u8]) -> Result<Document> {
    let mut cutter = Cutter::default();
    cutter.push(bytes).and_then(|()| cutter.finish()).map_or_else(
        |why| Err(Error::NotStac { href: href.clone(), why }),
        |(body, cut)| Document::with_cut(href.clone(), body, cut),
    )
}

/// The document at an href, which is read piece by piece.
pub(crate) async fn of_file(store: &Store, href: &Href) -> Result<Document> {
    let failed = |source| Error::Read { href: href.clone(), source };
    let wrong = |why| Error::NotStac { href: href.clone(), why };
    let (meta, first) = store.head(href, PIECE).await.map_err(failed)?;
    if meta.size > MOST_BYTES {
        return Err(failed(outcrop_store::Error::TooLarge { href: href.clone(), limit: MOST_BYTES }));
    }
    let mut cutter = Cutter::default();
    cutter.push(&first).map_err(wrong)?;
    let mut at = first.len() as u64;
    while at < meta.size {
        let range = at..(at + PIECE).min(meta.size);
        for part in store.ranges(&meta, std::slice::from_ref(&range)).await.map_err(failed)? {
            cutter.push(&part).map_err(wrong)?;
        }
        at = range.end;
    }
    let (body, cut) = cutter.finish().map_err(wrong)?;
    Document::with_cut(href.clone(), body, cut)
}

/// Takes the links that lead down out of a document as its bytes come.
#[derive(Debug, Default)]
struct Cutter {
    /// The document without these links and without white space.
    rest: Vec<u8>,
    link: Vec<u8>,
    links: Links,
    /// Further links are in the rest.
    has_others: bool,
    state: State,
    /// What was not yet taken up into the mark.
    fresh: Vec<u8>,
    mark: (u64, u32),
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of the place in the text")]
struct State {
    depth: usize,
    in_text: bool,
    escaped: bool,
    in_links: bool,
    after_link: bool,
    /// The text at depth 1 that was read last.
    key: Vec<u8>,
    after_colon: bool,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow)]
    rel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    href: Option<Cow<'a, str>>,
}

impl Cutter {
    fn push(&mut self, bytes: &[u8]) -> Parsed<()> {
        for byte in bytes {
            self.byte(*byte)?;
        }
        if self.rest.len().max(self.link.len()) > MOST_REST {
            return Err(format!("beside its links it has more than {MOST_REST} bytes"));
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Parsed<()> {
        let is_blank = !self.state.in_text && matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let is_order_mark = self.state.depth == 0 && matches!(byte, 0xef | 0xbb | 0xbf);
        if is_blank || is_order_mark {
            return Ok(());
        }
        self.fresh.push(byte);
        if self.fresh.len() >= 1 << 16 {
            self.take_up();
        }
        if self.state.in_links && self.state.depth == 2 {
            return self.between_links(byte);
        }
        let part = if self.state.in_links { &mut self.link } else { &mut self.rest };
        part.push(byte);
        let begins = self.state.step(byte)?;
        if begins {
            // Of a field that stands twice the last counts.
            (self.links, self.has_others) = (Links::default(), false);
        }
        if self.state.in_links && self.state.depth == 2 && !begins {
            self.end_link()?;
        }
        Ok(())
    }

    /// A byte of the array of links outside any of them.
    fn between_links(&mut self, byte: u8) -> Parsed<()> {
        let state = &mut self.state;
        match byte {
            b'{' if !state.after_link => {
                self.link.clear();
                self.link.push(byte);
                state.depth += 1;
            }
            b',' if state.after_link => state.after_link = false,
            b']' => {
                (state.in_links, state.after_link, state.after_colon) = (false, false, false);
                state.depth -= 1;
                self.rest.push(byte);
            }
            _ => return Err("its `links` are not a list of objects".to_owned()),
        }
        Ok(())
    }

    fn end_link(&mut self) -> Parsed<()> {
        self.state.after_link = true;
        let link: Link<'_> =
            serde_json::from_slice(&self.link).map_err(|e| format!("one of its links is malformed: {e}"))?;
        match (link.rel.as_deref().and_then(Down::of), link.href) {
            (Some(_), Some(_)) if self.links.len() >= MOST_LINKS => {
                Err(format!("it has more than {MOST_LINKS} links to children and items"))
            }
            (Some(down), Some(href)) => {
                self.links.push(down, &href);
                Ok(())
            }
            _ => {
                if std::mem::replace(&mut self.has_others, true) {
                    self.rest.push(b',');
                }
                self.rest.extend_from_slice(&self.link);
                if self.rest.len() > MOST_REST {
                    return Err(format!("beside its links it has more than {MOST_REST} bytes"));
                }
                Ok(())
            }
        }
    }

    fn take_up(&mut self) {
        self.mark = (self.mark.0 + self.fresh.len() as u64, crc32c::crc32c_append(self.mark.1, &self.fresh));
        self.fresh.clear();
    }

    fn finish(&mut self) -> Parsed<(Value, Cut)> {
        self.take_up();
        let body =
            serde_json::from_slice(&self.rest).map_err(|e| format!("without its links it is not valid JSON: {e}"))?;
        Ok((body, Cut { links: std::mem::take(&mut self.links), mark: self.mark }))
    }
}

impl State {
    /// Follows the structure; true where the array of links begins.
    fn step(&mut self, byte: u8) -> Parsed<bool> {
        if self.in_text {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_text = false;
                return Ok(false);
            }
            if self.depth == 1 && self.key.len() < MOST_KEY {
                self.key.push(byte);
            }
            return Ok(false);
        }
        match byte {
            b'"' => {
                self.in_text = true;
                if !self.after_colon {
                    self.key.clear();
                }
            }
            b'{' | b'[' => {
                self.depth += 1;
                if byte == b'[' && self.depth == 2 && self.after_colon && self.key == b"links" {
                    (self.in_links, self.after_link) = (true, false);
                    return Ok(true);
                }
            }
            b'}' | b']' => self.depth = self.depth.checked_sub(1).ok_or("it is not valid JSON: a bracket too many")?,
            b':' if self.depth == 1 => self.after_colon = true,
            b',' if self.depth == 1 => self.after_colon = false,
            _ => {}
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut(text: &str, piece: usize) -> Parsed<(Value, Vec<String>, (u64, u32))> {
        let mut cutter = Cutter::default();
        for part in text.as_bytes().chunks(piece) {
            cutter.push(part)?;
        }
        let (body, Cut { links, mark }) = cutter.finish()?;
        Ok((body, (0..links.len()).map(|at| links.get(at).unwrap().1.to_owned()).collect(), mark))
    }

    #[test]
    fn links_that_lead_down_are_taken_out_and_the_rest_stays() {
        let body = json!({"type": "Catalog", "id": "a \"links\": [", "x": {"links": [{"rel": "item", "href": "no"}]},
            "links": [{"rel": "root", "href": "./a]}"}, {"rel": "item", "href": "./1.json", "title": "}]\\"},
                {"rel": "child", "href": "\u{e9}/catalog.json"}, {"rel": "item"}, {"rel": "self", "href": "s"}],
            "description": "links", "last": [1.0, [2]]});
        for text in [body.to_string(), format!("\u{feff}{}", serde_json::to_string_pretty(&body).unwrap())] {
            for piece in [1, 7, 10_000] {
                let (rest, links, mark) = cut(&text, piece).unwrap();
                assert_eq!(links, ["./1.json", "\u{e9}/catalog.json"]);
                let mut want = body.clone();
                want["links"] =
                    json!([{"rel": "root", "href": "./a]}"}, {"rel": "item"}, {"rel": "self", "href": "s"}]);
                assert_eq!(rest, want);
                let line = body.to_string();
                assert_eq!(mark, (line.len() as u64, crc32c::crc32c(line.as_bytes())));
            }
        }
        let twice = r#"{"links":[{"rel":"item","href":"a"},{"rel":"x"}],"links":[{"rel":"item","href":"b"}]}"#;
        assert_eq!(cut(twice, 5).unwrap().1, ["b"]);
        let (rest, links, _) = cut(r#"{"links":null,"id":"a"}"#, 5).unwrap();
        assert_eq!((rest, links.len()), (json!({"links": null, "id": "a"}), 0));
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let text = r#"{"id":"a","links":[{"rel":"item","href":"a"},{"rel":"x","href":"b"}],"type":"Catalog"}"#;
        assert!(cut(text, 9).is_ok());
        for at in 0..text.len() {
            assert!(cut(&text[..at], 9).is_err(), "cut at {at}");
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 0x11;
            let mut cutter = Cutter::default();
            // An error or a document; it does not panic.
            let _ = cutter.push(&bytes).and_then(|()| cutter.finish().map(drop));
        }
        for bad in [r#"{"links":[7]}"#, r#"{"links":[{}{}]}"#, r#"{"links":[{"rel":7}]}"#, r#"{"links":[{}]}}"#, "}"] {
            assert!(cut(bad, 4).is_err(), "{bad}");
        }
    }
}
