//! Reads a document of references.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use outcrop_store::{Href, Store};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::template::Templates;
use crate::array::{ChunkRef, FileMeta};
use crate::json::{Bounded, Budget};
use crate::{Error, zarr};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Most bytes of all hrefs of a document.
const MAX_HREFS: usize = 256 << 20;

/// References by key.
#[derive(Debug)]
pub(crate) struct References {
    hrefs: Vec<Href>,
    targets: HashMap<Box<str>, Target>,
}

/// Where a reference leads.
#[derive(Debug)]
pub(crate) enum Target {
    Inline(Bytes),
    /// Place in a list of hrefs, and the range; `None` for the whole object.
    Object(usize, Option<Range<u64>>),
}

/// True if a file begins like a document of references: an object that names `refs`, or keys of Zarr.
pub fn looks_like(head: &[u8]) -> bool {
    if !head.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    let text = String::from_utf8_lossy(head);
    [".zgroup\"", ".zarray\"", "zarr.json\"", "\"refs\"", "\"templates\"", "\"gen\""]
        .iter()
        .any(|key| text.contains(key))
}

/// Reads the document at `href`. Chunks are found later, by key.
///
/// # Errors
/// [`Error::Malformed`] if it is no document of references, [`Error::Unsupported`] for what is not read of them, or if
/// a remote document names local files.
pub(crate) fn open(store: &Store, href: &Href, bytes: &[u8]) -> Result<FileMeta> {
    let broken = |why: String| Error::malformed(format!("the document of references `{href}`"), why);
    let Around { refs, templates, generated } = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
    let Templated { texts, lists } = Templated::of(templates, generated).map_err(broken)?;
    let templates = Templates::new(&texts).map_err(broken)?;
    let generated = templates.generate(&lists).map_err(broken)?;
    let reader = Reader { base: href, templates, known: HashMap::new(), hrefs: Vec::new(), bytes: 0 };
    let mut all = Gather { reader, documents: Map::new(), targets: HashMap::new(), budget: Budget::default() };
    // The references are by far the most of the document: they never become a tree.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = if refs.is_some() { Within(&mut all).deserialize(&mut json) } else { (&mut all).deserialize(&mut json) };
    read.map_err(|e| broken(e.to_string()))?;
    let Gather { mut reader, documents, mut targets, .. } = all;
    for (key, url, range) in generated {
        let target = reader.object(&url, range).map_err(|why| broken(format!("`{key}`: {why}")))?;
        targets.insert(key.into(), target);
    }
    if documents.is_empty() {
        return Err(broken("it holds no metadata of Zarr".to_owned()));
    }
    let references = Arc::new(References { hrefs: reader.hrefs, targets });
    let zarr = zarr::of_documents(store, href, &Value::Object(documents))?;
    Ok(zarr.into_meta(&zarr::Shelf::Mapped(references)))
}

/// What a document has beside its references; those of version 0 are the document itself.
#[derive(Deserialize)]
struct Around {
    refs: Option<IgnoredAny>,
    templates: Option<Bounded>,
    #[serde(rename = "gen")]
    generated: Option<Bounded>,
}

/// Templates, and what makes references of them.
struct Templated {
    texts: Map<String, Value>,
    lists: Vec<Value>,
}

impl Templated {
    fn of(templates: Option<Bounded>, generated: Option<Bounded>) -> Result<Self, String> {
        let texts = match templates {
            Some(Bounded(Value::Object(texts))) => texts,
            None | Some(Bounded(Value::Null)) => Map::new(),
            Some(_) => return Err("`templates` is no object".to_owned()),
        };
        let lists = match generated {
            Some(Bounded(Value::Array(lists))) => lists,
            None | Some(Bounded(Value::Null)) => Vec::new(),
            Some(_) => return Err("`gen` is no list".to_owned()),
        };
        Ok(Self { texts, lists })
    }
}

/// Gathers references while they are read.
struct Gather<'a> {
    reader: Reader<'a>,
    documents: Map<String, Value>,
    targets: HashMap<Box<str>, Target>,
    /// Of all documents together.
    budget: Budget,
}

/// The references of a document, under `refs`.
struct Within<'g, 'a>(&'g mut Gather<'a>);

impl<'de> DeserializeSeed<'de> for Within<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Within<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a document of references")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if name == "refs" {
                members.next_value_seed(&mut *self.0)?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Gather<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("references by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<String>()? {
            let failed = |why: String| A::Error::custom(format!("`{key}`: {why}"));
            let name = key.rsplit('/').next().unwrap_or(&key);
            if matches!(name, ".zgroup" | ".zarray" | ".zattrs" | ".zmetadata" | "zarr.json") {
                let value = members.next_value_seed(&mut self.budget)?;
                let document = metadata(value, &mut self.budget).map_err(failed)?;
                self.documents.insert(key, document);
                continue;
            }
            // A reference has three parts; what has more is refused below.
            let value = members.next_value::<Bounded>()?.0;
            let target = self.reader.target(&value).map_err(failed)?;
            self.targets.insert(key.into(), target);
        }
        Ok(())
    }
}

/// A metadata document, as JSON or as text that holds JSON.
fn metadata(value: Value, budget: &mut Budget) -> Result<Value, String> {
    let parsed = match value {
        Value::String(text) => match text.strip_prefix("base64:") {
            Some(coded) => budget.tree(&decoded(coded).ok_or("no JSON: bad base64")?),
            None => budget.tree(text.as_bytes()),
        },
        Value::Object(_) => return Ok(value),
        _ => return Err("no JSON".to_owned()),
    };
    parsed.map_err(|e| format!("no JSON: {e}"))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

struct Reader<'a> {
    base: &'a Href,
    templates: Templates,
    known: HashMap<String, usize>,
    hrefs: Vec<Href>,
    /// Bytes of the hrefs.
    bytes: usize,
}

impl Reader<'_> {
    fn target(&mut self, value: &Value) -> Result<Target, String> {
        match value {
            Value::String(text) => match text.strip_prefix("base64:") {
                Some(coded) => decoded(coded).map(|b| Target::Inline(b.into())).ok_or("bad base64".to_owned()),
                None => Ok(Target::Inline(Bytes::copy_from_slice(text.as_bytes()))),
            },
            Value::Array(parts) => match &parts[..] {
                [Value::String(url)] => Ok(Target::Object(self.template(url)?, None)),
                [Value::String(url), offset, length] => {
                    let (offset, length) = offset.as_u64().zip(length.as_u64()).ok_or("offset and length")?;
                    let end = offset.checked_add(length).ok_or("its end is beyond 64 bits")?;
                    Ok(Target::Object(self.template(url)?, Some(offset..end)))
                }
                _ => Err("neither [url] nor [url, offset, length]".to_owned()),
            },
            _ => Err("neither text nor list".to_owned()),
        }
    }

    fn object(&mut self, url: &str, range: Option<(u64, u64)>) -> Result<Target, String> {
        let end = |(offset, length): (u64, u64)| {
            offset.checked_add(length).map(|end| offset..end).ok_or("its end is beyond 64 bits")
        };
        Ok(Target::Object(self.href(url, url)?, range.map(end).transpose()?))
    }

    /// The place of an href in the list; templates (`{{u}}`) are filled in.
    fn template(&mut self, url: &str) -> Result<usize, String> {
        match self.known.get(url) {
            Some(place) => Ok(*place),
            None if url.contains("{{") => self.href(url, &self.templates.render(url)?),
            None => self.href(url, url),
        }
    }

    /// The place of an href, which is known by another text too.
    fn href(&mut self, known: &str, text: &str) -> Result<usize, String> {
        if let Some(place) = self.known.get(known) {
            return Ok(*place);
        }
        let href = resolve(self.base, text)?;
        self.bytes = self.bytes.saturating_add(known.len() + href.as_str().len());
        if self.bytes > MAX_HREFS {
            return Err(format!("the hrefs of the document have more than {MAX_HREFS} bytes"));
        }
        let place = self.hrefs.len();
        self.hrefs.push(href);
        self.known.insert(known.to_owned(), place);
        Ok(place)
    }
}

/// An href that references name, relative to where they are.
pub(super) fn resolve(base: &Href, text: &str) -> Result<Href, String> {
    let href = base.join(text).map_err(|e| e.to_string())?;
    if href.is_local() && !base.is_local() {
        return Err(format!("a remote document may not name the local file `{href}`"));
    }
    Ok(href)
}

impl Target {
    /// The chunk, whose href is in a list.
    pub(super) fn chunk(&self, hrefs: &[Href]) -> ChunkRef {
        match self {
            Self::Inline(bytes) => ChunkRef::Inline(bytes.clone()),
            Self::Object(place, range) => match hrefs.get(*place) {
                Some(href) => ChunkRef::Object { href: href.clone(), range: range.clone(), filter_mask: 0 },
                None => ChunkRef::Fill,
            },
        }
    }
}

impl References {
    /// The chunk of this key; [`ChunkRef::Fill`] if there is none.
    pub(crate) fn chunk(&self, key: &str) -> ChunkRef {
        self.targets.get(key).map_or(ChunkRef::Fill, |target| target.chunk(&self.hrefs))
    }
}
