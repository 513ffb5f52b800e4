//! Pure rules: what the hrefs of an item become when some of its assets are copied.

use outcrop_stac::{Ancestor, Body, Document, unsigned};
use outcrop_store::Href;
use serde_json::{Value, json};

use crate::{Error, Result};

/// The field of an asset that names the file of its chunk references.
const REFERENCES: &str = "outcrop:references";
/// The field of an asset of whose bytes nothing is known that they could be held against.
const UNVERIFIED: &str = "outcrop:unverified";
const FILE: &str = "https://stac-extensions.github.io/file/v2.1.0/schema.json";
const ALTERNATE: &str = "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json";

/// The href of a copy in its item: the bare file name if it lies beside the item's document, else the absolute href.
///
/// ```
/// use outcrop_fetcher::href_of_copy;
/// use outcrop_store::Href;
/// let item = Href::parse("/data/na/na-1980/na-1980.json")?;
/// assert_eq!(href_of_copy(&item, &Href::parse("/data/na/na-1980/tmin.nc")?), "tmin.nc");
/// assert_eq!(href_of_copy(&item, &Href::parse("/copies/na-1980/tmin.nc")?), "/copies/na-1980/tmin.nc");
/// # Ok::<(), outcrop_store::Error>(())
/// ```
pub fn href_of_copy(item: &Href, copy: &Href) -> String {
    let (item, copy) = (item.absolute(), copy.absolute());
    match copy.file_name().filter(|_| item.folder() == copy.folder()) {
        Some(name) => name.to_owned(),
        None => copy.as_str().to_owned(),
    }
}

/// Where an asset can be fetched from, in the order to try: its href, then those of its alternates. Its href is left out
/// if it is the copy itself.
///
/// # Errors
/// [`Error::Stac`] if a reference is not an href; [`Error::NoSource`] if it is the copy and has no alternate.
pub(crate) fn sources_of(item: &Document, key: &str, copy_of: impl Fn(&Href) -> Option<Href>) -> Result<Vec<Href>> {
    let asset = item.asset(key);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let href = item.resolve(&text(asset.and_then(|asset| asset.get("href"))))?;
    let is_copy = |href: &Href| copy_of(href).is_some_and(|copy| copy.absolute() == href.absolute());
    let alternates = asset.and_then(|asset| asset.get("alternate")).and_then(Value::as_object);
    let mut found = vec![href.clone()];
    // Where it was copied from comes first.
    let mut others: Vec<(&String, &Value)> = alternates.into_iter().flatten().collect();
    others.sort_by_key(|(name, _)| *name != "remote");
    for (_, alternate) in others {
        if let Some(other) = alternate.get("href").and_then(Value::as_str) {
            found.push(item.resolve(other)?);
        }
    }
    found.retain(|href| !is_copy(href));
    found.dedup();
    if found.is_empty() {
        return Err(Error::NoSource { item: item.id().to_owned(), asset: key.to_owned(), href });
    }
    Ok(found)
}

/// An asset that has a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) key: String,
    pub(crate) source: Href,
    pub(crate) copy: Href,
    /// What is known of the copy.
    pub(crate) size: Option<u64>,
    pub(crate) checksum: Option<String>,
    /// Nothing vouches for it.
    pub(crate) is_unverified: bool,
}

/// The item as it is at `at`: copies by their new href with the old one as alternate `remote`, all other references
/// absolute.
///
/// # Errors
/// [`Error::Stac`] if a reference is not an href.
pub(crate) fn rewritten(item: &Document, at: &Href, copies: &[Copied]) -> Result<Body> {
    let mut body = item.body().clone();
    let moved = item.href().absolute() != at.absolute();
    let assets = body.get_mut("assets").and_then(Value::as_object_mut);
    for (key, asset) in assets.into_iter().flatten() {
        let Some(asset) = asset.as_object_mut() else { continue };
        let alternates = asset.get_mut("alternate").and_then(Value::as_object_mut).filter(|_| moved);
        for alternate in alternates.into_iter().flatten().filter_map(|(_, fields)| fields.as_object_mut()) {
            // What is no href is no reason to lose the item.
            let _ = make_absolute(item, alternate);
        }
        if let Some(copy) = copies.iter().find(|copy| copy.key == *key) {
            asset.insert("href".into(), href_of_copy(at, &copy.copy).into());
            // References are of the old file, by its href.
            asset.shift_remove(REFERENCES);
            asset.shift_remove(UNVERIFIED);
            if let Some(size) = copy.size {
                asset.insert("file:size".into(), size.into());
            }
            if let Some(checksum) = &copy.checksum {
                asset.insert("file:checksum".into(), checksum.as_str().into());
            }
            if copy.is_unverified {
                asset.insert(UNVERIFIED.into(), true.into());
            }
            let alternate = asset.entry("alternate").or_insert_with(|| json!({}));
            if let Some(alternate) = alternate.as_object_mut() {
                alternate.entry("remote").or_insert_with(|| json!({"href": unsigned(&copy.source)}));
            }
        } else if moved {
            make_absolute(item, asset)?;
            if let Some(Value::String(href)) = asset.get(REFERENCES) {
                let href = item.resolve(href)?.absolute();
                asset.insert(REFERENCES.into(), href.as_str().into());
            }
        }
    }
    if !copies.is_empty() {
        add_extension(&mut body, "/alternate-assets/", ALTERNATE);
    }
    if copies.iter().any(|copy| copy.size.is_some() || copy.checksum.is_some()) {
        add_extension(&mut body, "/file/", FILE);
    }
    if moved {
        links(item, &mut body)?;
    }
    Ok(body)
}

fn make_absolute(item: &Document, fields: &mut Body) -> Result<()> {
    if let Some(Value::String(href)) = fields.get("href") {
        match item.resolve(href) {
            Ok(href) => drop(fields.insert("href".into(), unsigned(&href.absolute()).into())),
            // A file of this machine that an item from elsewhere names stays what it is: a name.
            Err(outcrop_stac::Error::LocalFromRemote { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn add_extension(body: &mut Body, part: &str, schema: &str) {
    let extensions = body.entry("stac_extensions").or_insert_with(|| json!([]));
    if let Some(extensions) = extensions.as_array_mut()
        && !extensions.iter().any(|known| known.as_str().is_some_and(|known| known.contains(part)))
    {
        extensions.push(schema.into());
    }
}

/// What tells a source from any other, without its secrets and whatever its signature is at the moment.
pub(crate) fn identity(href: &Href) -> String {
    let text = unsigned(href);
    let shown = href.to_string();
    if text == shown { shown } else { format!("{shown} {}", &blake3::hash(text.as_bytes()).to_hex()[..16]) }
}

/// Links that are kept become absolute; a copy of a remote item points to it as `canonical`.
fn links(item: &Document, body: &mut Body) -> Result<()> {
    let links = body.entry("links").or_insert_with(|| json!([]));
    let Some(links) = links.as_array_mut() else { return Ok(()) };
    for link in links.iter_mut().filter_map(Value::as_object_mut) {
        make_absolute(item, link)?;
    }
    let has_origin = links.iter().any(|link| link.get("rel").is_some_and(|rel| rel == "canonical"));
    if !item.href().is_local() && !has_origin {
        links.push(json!({"rel": "canonical", "href": unsigned(item.href()), "type": "application/geo+json"}));
    }
    Ok(())
}

/// A catalog above items as it is in another place: all its references absolute and without signatures; that of a remote one
/// points to it as `canonical`.
pub(crate) fn catalog_elsewhere(above: &Ancestor) -> Body {
    let mut body = above.to_portable();
    if let Some(links) = body.get_mut("links").and_then(Value::as_array_mut) {
        let has_origin = links.iter().any(|link| link.get("rel").is_some_and(|rel| rel == "canonical"));
        if !above.href.is_local() && !has_origin {
            links.push(json!({"rel": "canonical", "href": unsigned(&above.href), "type": above.kind.media_type()}));
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(href: &str) -> Document {
        let item = json!({"type": "Feature", "id": "i", "stac_extensions": [], "geometry": null, "properties": {},
            "links": [{"rel": "license", "href": "../license.txt"}], "x:unknown": 1.5,
            "assets": {"tmin": {"href": "./data/tmin.nc", "title": "T"}, "dayl": {"href": "../dayl.nc"}}});
        Document::from_value(Href::parse(href).unwrap(), item).unwrap()
    }

    fn copy_of(source: Href) -> Copied {
        let (key, copy) = ("tmin".into(), Href::parse("/d/i/tmin.nc").unwrap());
        Copied { key, source, copy, size: None, checksum: None, is_unverified: false }
    }

    #[test]
    fn hrefs_follow_the_rule_of_the_reference() {
        let item = item("https://h/c/i/i.json");
        let at = Href::parse("/d/i/i.json").unwrap();
        let source = Href::parse("https://h/c/i/data/tmin.nc").unwrap();
        let copy = copy_of(source);
        let body = rewritten(&item, &at, std::slice::from_ref(&copy)).unwrap();
        let want =
            json!({"href": "tmin.nc", "title": "T", "alternate": {"remote": {"href": "https://h/c/i/data/tmin.nc"}}});
        assert_eq!(body["assets"]["tmin"], want);
        assert_eq!(body["assets"]["dayl"], json!({"href": "https://h/c/dayl.nc"}));
        assert_eq!(body["stac_extensions"], json!([ALTERNATE]));
        assert_eq!(body["x:unknown"], 1.5);
        assert_eq!(body["links"][0]["href"], "https://h/c/license.txt");
        assert_eq!(body["links"][1]["rel"], "canonical");
        let elsewhere = Copied { copy: Href::parse("/copies/tmin.nc").unwrap(), ..copy };
        assert_eq!(rewritten(&item, &at, &[elsewhere]).unwrap()["assets"]["tmin"]["href"], "/copies/tmin.nc");
    }

    #[test]
    fn rewriting_in_place_touches_only_the_copied_asset() {
        let item = item("/d/i/i.json");
        let source = Href::parse("/d/i/data/tmin.nc").unwrap();
        let copy = copy_of(source);
        let body = rewritten(&item, item.href(), &[copy]).unwrap();
        assert_eq!(body["assets"]["dayl"], item.body()["assets"]["dayl"]);
        assert_eq!(body["links"], item.body()["links"]);
        let again = Document::from_value(item.href().clone(), Value::Object(body.clone())).unwrap();
        let beside = |href: &Href| Href::parse(&format!("/d/i/{}", href.file_name()?)).ok();
        assert_eq!(sources_of(&again, "tmin", beside).unwrap()[0].as_str(), "/d/i/data/tmin.nc");
        assert!(matches!(sources_of(&again, "dayl", |href| Some(href.clone())), Err(Error::NoSource { .. })));
    }

    #[test]
    fn what_is_not_copied_is_saved_unsigned_and_absolute_too() {
        let signed = "https://me:pw@h/x.nc?sv=1&sig=S";
        let item = json!({"type": "Feature", "id": "i", "geometry": null, "properties": {},
            "links": [{"rel": "derived_from", "href": signed}],
            "assets": {"tmin": {"href": signed, "alternate": {"near": {"href": "../tmin.nc"}, "far": {"href": signed}}},
                "dayl": {"href": signed, "alternate": {"far": {"href": signed}}}}});
        let item = Document::from_value(Href::parse("https://h/c/i/i.json").unwrap(), item).unwrap();
        let at = Href::parse("/d/i/i.json").unwrap();
        let body = rewritten(&item, &at, &[copy_of(Href::parse(signed).unwrap())]).unwrap();
        let (near, bare) = ("https://h/c/tmin.nc", "https://h/x.nc");
        let tmin = json!({"near": {"href": near}, "far": {"href": bare}, "remote": {"href": bare}});
        assert_eq!(body["assets"]["tmin"]["alternate"], tmin);
        assert_eq!(body["assets"]["dayl"], json!({"href": bare, "alternate": {"far": {"href": bare}}}));
        assert_eq!(body["links"][0]["href"], bare);
    }

    #[test]
    fn catalogs_keep_what_they_refer_to() {
        let signed = "https://h/x.png?sv=1&sig=S";
        let body = json!({"type": "Collection", "id": "c", "license": "other",
            "links": [{"rel": "license", "href": "../LICENSE"}, {"rel": "via", "href": signed}, {"rel": "self", "href": "https://h/c/collection.json"}],
            "assets": {"thumbnail": {"href": "./t.png", "alternate": {"a": {"href": signed}}}, "other": {"href": signed}}});
        let Value::Object(body) = body else { unreachable!() };
        let href = Href::parse("https://h/c/collection.json").unwrap();
        let body = catalog_elsewhere(&Ancestor { href, kind: outcrop_stac::Kind::Collection, body });
        let link = |rel: &str, href: &str| json!({"rel": rel, "href": href});
        let own = json!({"rel": "canonical", "href": "https://h/c/collection.json", "type": "application/json"});
        assert_eq!(body["links"], json!([link("license", "https://h/LICENSE"), link("via", "https://h/x.png"), own]));
        assert_eq!(
            body["assets"],
            json!({"thumbnail": {"href": "https://h/c/t.png", "alternate": {"a": {"href": "https://h/x.png"}}},
                "other": {"href": "https://h/x.png"}})
        );
    }
}
