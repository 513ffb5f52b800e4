//! Reads a document of references.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use outcrop_store::{Href, Store};
use serde_json::{Map, Value};

use super::template::Templates;
use crate::array::{ChunkRef, FileMeta};
use crate::{Error, Result, zarr};

/// Most bytes of all hrefs of a document.
const MAX_HREFS: usize = 256 << 20;

/// References by key.
#[derive(Debug)]
pub(crate) struct References {
    hrefs: Vec<Href>,
    targets: HashMap<String, Target>,
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
    let document: Value = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
    let refs = match document.get("refs") {
        Some(refs) => refs,
        None => &document,
    };
    let refs = refs.as_object().ok_or_else(|| broken("`refs` is no object".to_owned()))?;
    let templates = document["templates"].as_object().cloned().unwrap_or_default();
    let templates = Templates::new(&templates).map_err(broken)?;
    let generated = document["gen"].as_array().map(Vec::as_slice).unwrap_or_default();
    let generated = templates.generate(generated).map_err(broken)?;
    let mut reader = Reader { base: href, templates, known: HashMap::new(), hrefs: Vec::new(), bytes: 0 };
    let mut documents = Map::new();
    let mut targets = HashMap::new();
    for (key, value) in refs {
        let name = key.rsplit('/').next().unwrap_or(key);
        if matches!(name, ".zgroup" | ".zarray" | ".zattrs" | ".zmetadata" | "zarr.json") {
            documents.insert(key.clone(), metadata(value).ok_or_else(|| broken(format!("`{key}` is no JSON")))?);
            continue;
        }
        let target = reader.target(value).map_err(|why| broken(format!("`{key}`: {why}")))?;
        targets.insert(key.clone(), target);
    }
    for (key, url, range) in generated {
        let target = reader.object(&url, range).map_err(|why| broken(format!("`{key}`: {why}")))?;
        targets.insert(key, target);
    }
    if documents.is_empty() {
        return Err(broken("it holds no metadata of Zarr".to_owned()));
    }
    let references = Arc::new(References { hrefs: reader.hrefs, targets });
    let zarr = zarr::of_documents(store, href, &Value::Object(documents))?;
    Ok(zarr.into_meta(&zarr::Shelf::Mapped(references)))
}

/// A metadata document, as JSON or as text that holds JSON.
fn metadata(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => match text.strip_prefix("base64:") {
            Some(coded) => serde_json::from_slice(&decoded(coded)?).ok(),
            None => serde_json::from_str(text).ok(),
        },
        Value::Object(_) => Some(value.clone()),
        _ => None,
    }
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
