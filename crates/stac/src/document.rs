//! A STAC document as it was read: its JSON with unknown fields, order and numbers kept, and where it lives.
//!
//! Not a typed model: [`Document::to_model`] makes that of the published `stac` crate where it is wanted.

use outcrop_store::Href;
use serde_json::{Map, Value};

use crate::links::{Cut, Down, Links};
use crate::{Error, Result, unsigned};

/// JSON object of a document.
pub type Body = Map<String, Value>;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A group of documents.
    Catalog,
    /// A catalog with extents.
    Collection,
    /// A feature with assets.
    Item,
    /// Many items in one document.
    ItemCollection,
}

impl Kind {
    /// The file name of a catalog or collection; an item's is `<id>.json`.
    pub fn file_name(self) -> &'static str {
        if self == Self::Collection { "collection.json" } else { "catalog.json" }
    }

    /// The media type of the document.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Catalog | Self::Collection => "application/json",
            Self::Item | Self::ItemCollection => "application/geo+json",
        }
    }
}

/// A reference from one document to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRef<'a> {
    /// What the target is to the document.
    pub rel: &'a str,
    /// The reference as written.
    pub href: &'a str,
}

/// A STAC document of any version from 0.9 to 1.1, and its place.
///
/// - The body is an object with an `id` that is a text, except for an item collection, which needs none.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    href: Href,
    kind: Kind,
    body: Body,
    /// What is not in the body, of a document with very many links.
    cut: Option<Cut>,
}

impl Document {
    /// Takes a JSON value found at `href`.
    ///
    /// # Errors
    /// [`Error::NotStac`] if it is not an object, has no known `type` or shape, or has no id.
    pub fn from_value(href: Href, value: Value) -> Result<Self> {
        let Value::Object(body) = value else {
            return Err(not_stac(&href, "it is not a JSON object"));
        };
        let kind = kind_of(&href, &body)?;
        if kind != Kind::ItemCollection && body.get("id").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(not_stac(&href, "it has no `id`"));
        }
        Ok(Self { href, kind, body, cut: None })
    }

    /// A document whose links to children and items are not in its JSON.
    pub(crate) fn with_cut(href: Href, value: Value, cut: Cut) -> Result<Self> {
        Ok(Self { cut: Some(cut), ..Self::from_value(href, value)? })
    }

    /// How many links to children and items are not in [`Document::body`]: of a catalog that was read by
    /// [`load`](crate::load) and has so many that only their hrefs are kept. Such a document must not be written.
    pub fn cut_links(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.links.len())
    }

    /// Length and CRC-32C of the JSON on one line.
    pub fn mark(&self) -> (u64, u32) {
        if let Some(cut) = &self.cut {
            return cut.mark;
        }
        let json = Value::Object(self.body.clone()).to_string();
        (json.len() as u64, crc32c::crc32c(json.as_bytes()))
    }

    /// The hrefs of links to children and items.
    pub(crate) fn links_down(&self) -> Links {
        if let Some(cut) = &self.cut {
            return cut.links.clone();
        }
        let mut links = Links::default();
        for link in self.links() {
            if let Some(down) = Down::of(link.rel) {
                links.push(down, link.href);
            }
        }
        links
    }

    /// Where the items are that it links to, also by links that are not in [`Document::body`].
    ///
    /// # Errors
    /// [`Error::Reference`] and [`Error::LocalFromRemote`] for a link that leads nowhere.
    pub fn item_hrefs(&self) -> impl Iterator<Item = Result<Href>> {
        let links = self.links_down();
        (0..links.len()).filter_map(move |at| match links.get(at)? {
            (Down::Item, link) => Some(self.resolve(link)),
            (Down::Child, _) => None,
        })
    }

    /// Where the document lives.
    pub fn href(&self) -> &Href {
        &self.href
    }

    /// What the document is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id; empty for an item collection without one.
    pub fn id(&self) -> &str {
        self.body.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The JSON.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The JSON, to change it.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The JSON alone.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The links that have an href and a rel, in order.
    pub fn links(&self) -> impl Iterator<Item = LinkRef<'_>> {
        let links = self.body.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        links.iter().filter_map(|link| {
            let text = |key| link.get(key).and_then(Value::as_str);
            Some(LinkRef { rel: text("rel")?, href: text("href")? })
        })
    }

    /// The assets by key, in order.
    pub fn assets(&self) -> impl Iterator<Item = (&str, &Body)> {
        let assets = self.body.get("assets").and_then(Value::as_object);
        assets.into_iter().flatten().filter_map(|(key, asset)| Some((key.as_str(), asset.as_object()?)))
    }

    /// The asset of a key.
    pub fn asset(&self, key: &str) -> Option<&Body> {
        self.body.get("assets")?.get(key)?.as_object()
    }

    /// A property of an item.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.body.get("properties")?.get(name)
    }

    /// Id of the collection that the item names.
    pub fn collection(&self) -> Option<&str> {
        self.body.get("collection").and_then(Value::as_str)
    }

    /// Resolves a reference found in this document.
    ///
    /// # Errors
    /// [`Error::Reference`] if it is not an href, [`Error::LocalFromRemote`] if the document is remote and it is not.
    pub fn resolve(&self, reference: &str) -> Result<Href> {
        resolve(&self.href, reference)
    }

    /// The items of an item collection, each at its own `self` link or else at the collection; another document alone.
    pub fn into_items(mut self) -> impl Iterator<Item = Result<Self>> {
        let features = match self.kind {
            Kind::ItemCollection => self.body.remove("features"),
            _ => None,
        };
        let alone = (self.kind == Kind::Item).then(|| Ok(self.clone()));
        let features = match features {
            Some(Value::Array(features)) => features,
            _ => Vec::new(),
        };
        let at = self.href;
        features.into_iter().map(move |feature| Self::member(&at, feature)).chain(alone)
    }

    fn member(at: &Href, feature: Value) -> Result<Self> {
        let mut item = Self::from_value(at.clone(), feature)?;
        if item.kind != Kind::Item {
            return Err(not_stac(at, "a member of its `features` is not an item"));
        }
        let own = item.links().find(|link| link.rel == "self").map(|link| item.resolve(link.href)).transpose()?;
        if let Some(own) = own {
            item.href = own;
        }
        Ok(item)
    }

    /// The document as the published model, brought to STAC 1.1 where the model knows how.
    ///
    /// # Errors
    /// [`Error::Model`] if a field is not what the specification says.
    pub fn to_model(&self) -> Result<stac::Value> {
        let value = Value::Object(self.body.clone());
        let wrong = |source| Error::Model { href: self.href.clone(), source };
        Ok(match self.kind {
            Kind::Catalog => stac::Value::Catalog(serde_json::from_value(value).map_err(wrong)?),
            Kind::Collection => stac::Value::Collection(serde_json::from_value(value).map_err(wrong)?),
            Kind::Item => stac::Value::Item(serde_json::from_value(value).map_err(wrong)?),
            Kind::ItemCollection => stac::Value::ItemCollection(serde_json::from_value(value).map_err(wrong)?),
        })
    }
}

/// Links that belong to where a document stands.
pub(crate) const STRUCTURE: [&str; 6] = ["root", "parent", "self", "child", "item", "items"];

/// The fields of a catalog or collection for another place: its assets, their alternates and its links at absolute hrefs without
/// signatures, and without the links that belong to where it stands. What is no href stays as it is, and so does a local one in a
/// remote document.
pub fn portable(at: &Href, body: &Body) -> Body {
    let mut body = body.clone();
    let at = at.absolute();
    let make_absolute = |fields: &mut Value| {
        let href = fields.get("href").and_then(Value::as_str).and_then(|href| resolve(&at, href).ok());
        if let Some(href) = href {
            fields["href"] = unsigned(&href).into();
        }
    };
    let assets = body.get_mut("assets").and_then(Value::as_object_mut);
    for asset in assets.into_iter().flat_map(|assets| assets.values_mut()) {
        make_absolute(asset);
        let alternates = asset.get_mut("alternate").and_then(Value::as_object_mut);
        alternates.into_iter().flat_map(|alternates| alternates.values_mut()).for_each(make_absolute);
    }
    let mut links = kept_links(&body);
    links.iter_mut().for_each(make_absolute);
    body.insert("links".into(), Value::Array(links));
    body
}

/// The links of a body that do not belong to where it stands, also one to a collection.
pub(crate) fn kept_links(body: &Body) -> Vec<Value> {
    let links = body.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let structural =
        |link: &&Value| link.get("rel").and_then(Value::as_str).is_some_and(|rel| STRUCTURE.contains(&rel));
    links.iter().filter(|link| !structural(link)).cloned().collect()
}

/// Resolves a reference found in the document at `document`.
pub(crate) fn resolve(document: &Href, reference: &str) -> Result<Href> {
    let target = document.join(reference).map_err(|source| Error::Reference { document: document.clone(), source })?;
    if target.is_local() && !document.is_local() {
        return Err(Error::LocalFromRemote { document: document.clone(), href: target });
    }
    Ok(target)
}

/// `type` decides; a document from before `type` was required is known by its shape.
fn kind_of(href: &Href, body: &Body) -> Result<Kind> {
    match body.get("type").and_then(Value::as_str) {
        Some("Catalog") => Ok(Kind::Catalog),
        Some("Collection") => Ok(Kind::Collection),
        Some("Feature") => Ok(Kind::Item),
        Some("FeatureCollection") => Ok(Kind::ItemCollection),
        Some(other) => {
            let known = "Catalog, Collection, Feature or FeatureCollection";
            Err(not_stac(href, &format!("its `type` is `{}`, expected {known}", other.escape_debug())))
        }
        None if !body.contains_key("stac_version") => Err(not_stac(href, "it has neither `type` nor `stac_version`")),
        None if body.contains_key("geometry") && body.contains_key("properties") => Ok(Kind::Item),
        None if body.contains_key("extent") => Ok(Kind::Collection),
        None if body.contains_key("links") => Ok(Kind::Catalog),
        None => Err(not_stac(href, "it has no `type`, and its fields are those of no STAC document")),
    }
}

fn not_stac(href: &Href, why: &str) -> Error {
    Error::NotStac { href: href.clone(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(href: &str, value: Value) -> Result<Document> {
        Document::from_value(Href::parse(href).unwrap(), value)
    }

    #[test]
    fn kinds_are_known_by_type_and_before_it_by_shape() {
        let kind = |value| document("/c.json", value).map(|d| d.kind());
        assert_eq!(kind(json!({"type": "Catalog", "id": "a"})).unwrap(), Kind::Catalog);
        assert_eq!(kind(json!({"stac_version": "0.9.0", "id": "a", "links": []})).unwrap(), Kind::Catalog);
        assert_eq!(kind(json!({"stac_version": "0.9.0", "id": "a", "extent": {}})).unwrap(), Kind::Collection);
        assert_eq!(kind(json!({"type": "FeatureCollection", "features": []})).unwrap(), Kind::ItemCollection);
        let wrong = kind(json!({"type": "Topology", "id": "a"})).unwrap_err().to_string();
        assert!(wrong.contains("its `type` is `Topology`"), "{wrong}");
        assert!(kind(json!([1])).unwrap_err().to_string().contains("not a JSON object"));
    }

    #[test]
    fn hostile_fields_are_not_a_panic() {
        let odd = document("/c.json", json!({"type": "Catalog", "id": "a", "links": null, "assets": [1]})).unwrap();
        assert_eq!(odd.links().count() + odd.assets().count(), 0);
        assert!(document("/c.json", json!({"type": "Catalog", "id": 7})).is_err());
    }

    #[test]
    fn a_remote_document_does_not_name_local_files() {
        let remote = document("https://h/c.json", json!({"type": "Catalog", "id": "a"})).unwrap();
        assert!(matches!(remote.resolve("file:///etc/passwd"), Err(Error::LocalFromRemote { .. })));
        assert_eq!(remote.resolve("/etc/passwd").unwrap().as_str(), "https://h/etc/passwd");
    }

    #[test]
    fn items_of_a_collection_live_at_their_self_link() {
        let item =
            |links: Value| json!({"type": "Feature", "id": "i", "geometry": null, "properties": {}, "links": links});
        let all = json!({"type": "FeatureCollection", "features": [
            item(json!([])), item(json!([{"rel": "self", "href": "https://h/x/i.json"}])), json!(3)]});
        let items: Vec<_> = document("https://h/all.json", all).unwrap().into_items().collect();
        assert_eq!(items[0].as_ref().unwrap().href().as_str(), "https://h/all.json");
        assert_eq!(items[1].as_ref().unwrap().href().as_str(), "https://h/x/i.json");
        assert!(items[2].is_err());
    }
}
