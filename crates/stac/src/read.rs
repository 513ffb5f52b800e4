//! Reading one document from a file or URL.

use bytes::Bytes;
use outcrop_store::{Href, Store};
use serde_json::Value;

use crate::{Document, Error, Kind, RawItem, Result, links};

/// A document that was read: of an item only its bytes are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    /// An item.
    Item(RawItem),
    /// A collection of items, or items a line each.
    Items(Href, Bytes),
    /// A catalog or a collection.
    Other(Document),
}

impl Loaded {
    /// Where the document lives.
    pub fn href(&self) -> &Href {
        match self {
            Self::Item(item) => item.href(),
            Self::Items(href, _) => href,
            Self::Other(document) => document.href(),
        }
    }

    /// The document, with the tree of its JSON.
    ///
    /// # Errors
    /// [`Error::Json`] for an item that is nested too deep.
    pub fn into_document(self) -> Result<Document> {
        match self {
            Self::Item(item) => item.to_document(),
            Self::Items(href, bytes) => parse(href, &bytes),
            Self::Other(document) => Ok(document),
        }
    }
}

/// Reads a STAC document of any kind and any version from 0.9 to 1.1.
///
/// A folder stands for its `catalog.json`, or its `collection.json` if it only has that; lines of JSON (`.ndjson`, `.jsonl`) are read as an item collection.
///
/// # Errors
/// [`Error::Read`], [`Error::WebPage`], [`Error::Json`] with line and column, [`Error::NotStac`].
pub async fn read(store: &Store, href: &Href) -> Result<Document> {
    let (place, bytes) = bytes_of(store, href).await?;
    parse(place, &bytes)
}

/// Catalogs longer than this are read without a tree of their links.
const LARGE: usize = 4 << 20;

/// As [`read`], without the tree of an item, and without those of the links of a catalog of more than 4 MiB.
///
/// # Errors
/// As [`read`].
pub async fn load(store: &Store, href: &Href) -> Result<Loaded> {
    let (place, bytes) = match bytes_of(store, href).await {
        Err(Error::Read { href, source: outcrop_store::Error::TooLarge { .. } }) => {
            return links::of_file(store, &href).await.map(Loaded::Other);
        }
        other => other?,
    };
    loaded(place, bytes)
}

/// As [`load`], for the bytes of a document found at `place`.
///
/// # Errors
/// As [`read`].
pub fn loaded(place: Href, bytes: Bytes) -> Result<Loaded> {
    if is_lines(&place) {
        return Ok(Loaded::Items(place, bytes));
    }
    // What is wrong with the JSON is said by the parser of documents.
    match RawItem::of_any_kind(place.clone(), bytes.clone()) {
        Ok((item, Some(Kind::Item))) => Ok(Loaded::Item(item)),
        Ok((_, Some(Kind::ItemCollection))) => Ok(Loaded::Items(place, bytes)),
        Ok(_) if bytes.len() > LARGE => links::parse_catalog(&place, &bytes).map(Loaded::Other),
        Ok(_) | Err(Error::Json { .. }) => parse(place, &bytes).map(Loaded::Other),
        Err(error) => Err(error),
    }
}

async fn bytes_of(store: &Store, href: &Href) -> Result<(Href, Bytes)> {
    if let Some(landing) = landing_page(store, href).await {
        return Ok((href.clone(), landing));
    }
    let mut place = document_of(href)?;
    let mut read = store.get(&place).await;
    if matches!(&read, Err(error) if error.is_not_found()) && !href.is_local() && href.as_str().ends_with('/') {
        let collection = href.join(Kind::Collection.file_name());
        let collection = collection.map_err(|source| Error::Reference { document: href.clone(), source })?;
        match store.get(&collection).await {
            // Of two that are not there the catalog is the one that is looked for.
            Err(error) if error.is_not_found() => {}
            other => (place, read) = (collection, other),
        }
    }
    match read {
        Ok(bytes) => Ok((place, bytes)),
        Err(outcrop_store::Error::HtmlPage { .. }) => Err(Error::WebPage { href: place }),
        Err(source) => Err(Error::Read { href: place, source }),
    }
}

/// What a URL that ends with a slash answers, if it is JSON: the landing page of an API. An index page is none.
async fn landing_page(store: &Store, href: &Href) -> Option<Bytes> {
    if href.to_url().is_none() || !href.as_str().ends_with('/') {
        return None;
    }
    let bytes = store.get(href).await.ok()?;
    bytes.trim_ascii_start().starts_with(b"{").then_some(bytes)
}

/// The document that an href stands for: that of a folder is its catalog, or its collection if it only has that.
fn document_of(href: &Href) -> Result<Href> {
    let is_folder = href.to_path().is_some_and(|path| path.is_dir());
    if !is_folder && !href.as_str().ends_with('/') {
        return Ok(href.clone());
    }
    let folder = href.as_folder();
    let member = |name| folder.join(name).map_err(|source| Error::Reference { document: href.clone(), source });
    let (catalog, collection) = (member("catalog.json")?, member("collection.json")?);
    let exists = |href: &Href| href.to_path().is_some_and(|path| path.exists());
    Ok(if exists(&collection) && !exists(&catalog) { collection } else { catalog })
}

/// Parses the bytes of a document found at `href`.
///
/// # Errors
/// As [`read`].
pub fn parse(href: Href, bytes: &Bytes) -> Result<Document> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(bytes);
    if bytes.trim_ascii_start().starts_with(b"<") {
        return Err(Error::WebPage { href });
    }
    if is_lines(&href) {
        return lines(href, bytes);
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => Document::from_value(href, value),
        Err(source) => {
            let (line, column) = (source.line(), source.column());
            Err(Error::Json { href, line, column, source })
        }
    }
}

/// True for files of items with one a line.
fn is_lines(href: &Href) -> bool {
    let ending = href.file_name().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("ndjson" | "jsonl" | "geojsonl" | "geojsons"))
}

fn lines(href: Href, bytes: &[u8]) -> Result<Document> {
    let mut features = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(value) => features.push(value),
            Err(source) => {
                let column = source.column();
                return Err(Error::Json { href, line: number + 1, column, source });
            }
        }
    }
    let mut body = serde_json::Map::new();
    body.insert("type".into(), "FeatureCollection".into());
    body.insert("features".into(), Value::Array(features));
    Document::from_value(href, Value::Object(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn parsed(name: &str, text: &str) -> Result<Document> {
        parse(Href::parse(name).unwrap(), &Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn bad_documents_are_named_with_what_is_wrong() {
        let message = |text: &str| parsed("/d/catalog.json", text).unwrap_err().to_string();
        assert_eq!(message("{\n \"id\": }"), "`/d/catalog.json` is not valid JSON at line 2, column 8");
        assert!(message("<!doctype html>").starts_with("`/d/catalog.json` is a web page"));
        assert!(message("").contains("line 1, column 0"));
        assert!(message(&"[".repeat(100_000)).contains("not valid JSON"));
        assert!(message("[]").contains("not a JSON object"));
        assert!(message("{\"type\":\"Catalog\",\"id\":\"\\ud800\"}").contains("not valid JSON"));
    }

    #[test]
    fn lines_and_marks_are_read() {
        let item = r#"{"type":"Feature","id":"a","geometry":null,"properties":{},"links":[],"assets":{}}"#;
        let all = parsed("/d/x.ndjson", &format!("{item}\n\n{item}\n")).unwrap();
        assert_eq!(all.kind(), Kind::ItemCollection);
        assert_eq!(all.into_items().count(), 2);
        assert!(parsed("/d/x.ndjson", &format!("{item}\n{{")).unwrap_err().to_string().contains("line 2"));
        assert_eq!(parsed("/d/c.json", "\u{feff}{\"type\":\"Catalog\",\"id\":\"a\"}").unwrap().id(), "a");
    }
}
