//! Reads a document of references.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use outcrop_store::{Href, Store};
use serde_json::{Map, Value};

use crate::array::{ChunkRef, FileMeta};
use crate::{Error, Result, zarr};

/// References by key.
#[derive(Debug)]
pub(crate) struct References {
    hrefs: Vec<Href>,
    targets: HashMap<String, Target>,
}

#[derive(Debug)]
enum Target {
    Inline(Bytes),
    /// Place in `hrefs`, and the range; `None` for the whole object.
    Object(usize, Option<Range<u64>>),
}

/// True if a file begins like a document of references: an object that names `refs`, or keys of Zarr.
pub fn looks_like(head: &[u8]) -> bool {
    if !head.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    let text = String::from_utf8_lossy(head);
    [".zgroup\"", ".zarray\"", "zarr.json\"", "\"refs\"", "\"templates\""].iter().any(|key| text.contains(key))
}

/// Reads the document at `href`. Chunks are found later, by key.
///
/// # Errors
/// [`Error::Malformed`] if it is no document of references, [`Error::Unsupported`] for what is not read of them, or if
/// a remote document names local files.
pub(crate) fn open(store: &Store, href: &Href, bytes: &[u8]) -> Result<FileMeta> {
    let broken = |why: String| Error::malformed(format!("the document of references `{href}`"), why);
    let document: Value = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
    let unsupported = |what: &str| Error::unsupported(href.to_string(), what);
    if document["gen"].as_array().is_some_and(|list| !list.is_empty()) {
        return Err(unsupported("`gen` (write the references out)"));
    }
    let refs = match document.get("refs") {
        Some(refs) => refs,
        None => &document,
    };
    let refs = refs.as_object().ok_or_else(|| broken("`refs` is no object".to_owned()))?;
    let templates = document["templates"].as_object().cloned().unwrap_or_default();
    let mut reader = Reader { base: href, templates, known: HashMap::new(), hrefs: Vec::new() };
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
    if documents.is_empty() {
        return Err(broken("it holds no metadata of Zarr".to_owned()));
    }
    let references = Arc::new(References { hrefs: reader.hrefs, targets });
    let zarr = zarr::of_documents(store, href, &Value::Object(documents))?;
    Ok(zarr.into_meta(Some(&references)))
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
    templates: Map<String, Value>,
    known: HashMap<String, usize>,
    hrefs: Vec<Href>,
}

impl Reader<'_> {
    fn target(&mut self, value: &Value) -> Result<Target, String> {
        match value {
            Value::String(text) => match text.strip_prefix("base64:") {
                Some(coded) => decoded(coded).map(|b| Target::Inline(b.into())).ok_or("bad base64".to_owned()),
                None => Ok(Target::Inline(Bytes::copy_from_slice(text.as_bytes()))),
            },
            Value::Array(parts) => match &parts[..] {
                [Value::String(url)] => Ok(Target::Object(self.href(url)?, None)),
                [Value::String(url), offset, length] => {
                    let (offset, length) = offset.as_u64().zip(length.as_u64()).ok_or("offset and length")?;
                    let end = offset.checked_add(length).ok_or("its end is beyond 64 bits")?;
                    Ok(Target::Object(self.href(url)?, Some(offset..end)))
                }
                _ => Err("neither [url] nor [url, offset, length]".to_owned()),
            },
            _ => Err("neither text nor list".to_owned()),
        }
    }

    /// The place of an href in the list; templates (`{{u}}`) are filled in.
    fn href(&mut self, url: &str) -> Result<usize, String> {
        if let Some(place) = self.known.get(url) {
            return Ok(*place);
        }
        let mut text = url.to_owned();
        for (name, value) in &self.templates {
            let value = value.as_str().ok_or_else(|| format!("template `{name}` is no text"))?;
            for form in [format!("{{{{{name}}}}}"), format!("{{{{ {name} }}}}")] {
                text = text.replace(&form, value);
            }
        }
        if text.contains("{{") {
            return Err(format!("the template in `{text}` is not supported"));
        }
        let href = self.base.join(&text).map_err(|e| e.to_string())?;
        if href.is_local() && !self.base.is_local() {
            return Err(format!("a remote document may not name the local file `{href}`"));
        }
        let place = self.hrefs.len();
        self.hrefs.push(href);
        self.known.insert(url.to_owned(), place);
        Ok(place)
    }
}

impl References {
    /// The chunk of this key; [`ChunkRef::Fill`] if there is none.
    pub(crate) fn chunk(&self, key: &str) -> ChunkRef {
        match self.targets.get(key) {
            None => ChunkRef::Fill,
            Some(Target::Inline(bytes)) => ChunkRef::Inline(bytes.clone()),
            Some(Target::Object(place, range)) => match self.hrefs.get(*place) {
                Some(href) => ChunkRef::Object { href: href.clone(), range: range.clone(), filter_mask: 0 },
                None => ChunkRef::Fill,
            },
        }
    }
}
