//! Pure rules: what the hrefs of an item become when some of its assets are copied.

use outcrop_stac::{Body, Document};
use outcrop_store::{Href, safe_name};
use serde_json::{Value, json};

use crate::{Error, Result};

/// The field of an asset that names the file of its chunk references.
const REFERENCES: &str = "outcrop:references";
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

/// The file name of a copy: the last part of the asset's href, without query.
///
/// # Errors
/// [`Error::Name`] if that is no portable file name.
pub fn name_of_copy(item: &str, asset: &str, source: &Href) -> Result<String> {
    let name = source.file_name().unwrap_or_default();
    match safe_name(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(source) => Err(Error::Name { item: item.to_owned(), asset: asset.to_owned(), source }),
    }
}

/// Where an asset can be fetched from: its href, or its remote alternate if the href is the copy itself.
///
/// # Errors
/// [`Error::Stac`] if a reference is not an href; [`Error::NoSource`] if it is the copy and has no alternate.
pub(crate) fn source_of(item: &Document, key: &str, copy_of: impl Fn(&Href) -> Option<Href>) -> Result<Href> {
    let asset = item.asset(key);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let href = item.resolve(&text(asset.and_then(|asset| asset.get("href"))))?;
    if copy_of(&href).is_none_or(|copy| copy.absolute() != href.absolute()) {
        return Ok(href);
    }
    match asset.and_then(|asset| asset.get("alternate")?.get("remote")?.get("href")) {
        Some(remote) => Ok(item.resolve(&text(Some(remote)))?),
        None => Err(Error::NoSource { item: item.id().to_owned(), asset: key.to_owned(), href }),
    }
}

/// An asset that has a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) key: String,
    pub(crate) source: Href,
    pub(crate) copy: Href,
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
        if let Some(copy) = copies.iter().find(|copy| copy.key == *key) {
            asset.insert("href".into(), href_of_copy(at, &copy.copy).into());
            // References are of the old file, by its href.
            asset.shift_remove(REFERENCES);
            let alternate = asset.entry("alternate").or_insert_with(|| json!({}));
            if let Some(alternate) = alternate.as_object_mut() {
                alternate.entry("remote").or_insert_with(|| json!({"href": copy.source.as_str()}));
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
        add_extension(&mut body);
    }
    if moved {
        links(item, &mut body)?;
    }
    Ok(body)
}

fn make_absolute(item: &Document, fields: &mut Body) -> Result<()> {
    if let Some(Value::String(href)) = fields.get("href") {
        let href = item.resolve(href)?.absolute();
        fields.insert("href".into(), href.as_str().into());
    }
    Ok(())
}

fn add_extension(body: &mut Body) {
    let extensions = body.entry("stac_extensions").or_insert_with(|| json!([]));
    if let Some(extensions) = extensions.as_array_mut()
        && !extensions.iter().any(|known| known.as_str().is_some_and(|known| known.contains("/alternate-assets/")))
    {
        extensions.push(ALTERNATE.into());
    }
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
        links.push(json!({"rel": "canonical", "href": item.href().as_str(), "type": "application/geo+json"}));
    }
    Ok(())
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

    #[test]
    fn hrefs_follow_the_rule_of_the_reference() {
        let item = item("https://h/c/i/i.json");
        let at = Href::parse("/d/i/i.json").unwrap();
        let source = Href::parse("https://h/c/i/data/tmin.nc").unwrap();
        let copy = Copied { key: "tmin".into(), source, copy: Href::parse("/d/i/tmin.nc").unwrap() };
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
        let copy = Copied { key: "tmin".into(), source, copy: Href::parse("/d/i/tmin.nc").unwrap() };
        let body = rewritten(&item, item.href(), &[copy]).unwrap();
        assert_eq!(body["assets"]["dayl"], item.body()["assets"]["dayl"]);
        assert_eq!(body["links"], item.body()["links"]);
        let again = Document::from_value(item.href().clone(), Value::Object(body.clone())).unwrap();
        let beside = |href: &Href| Href::parse(&format!("/d/i/{}", href.file_name()?)).ok();
        assert_eq!(source_of(&again, "tmin", beside).unwrap().as_str(), "/d/i/data/tmin.nc");
        assert!(matches!(source_of(&again, "dayl", |href| Some(href.clone())), Err(Error::NoSource { .. })));
    }

    #[test]
    fn names_of_copies_are_safe() {
        let name = |href: &str| name_of_copy("i", "a", &Href::parse(href).unwrap());
        assert_eq!(name("https://h/x/a.nc?sig=1#f").unwrap(), "a.nc");
        for bad in ["https://h/x/", "https://h/%2e%2e%2fx", "https://h/x/a%2fb", "https://h/con", "https://h/a:b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
