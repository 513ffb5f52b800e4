//! Which assets of an item are wanted.

use std::sync::Arc;

use outcrop_stac::Document;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A choice among the assets of each item: all tests that are given must hold.
///
/// - A key or media type may have `*` for any characters and `?` for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Keys, of which one must fit.
    pub keys: Vec<String>,
    /// Roles, of which the asset must have one.
    pub roles: Vec<String>,
    /// Media types, of which one must fit; parameters count only where they are given.
    pub media_types: Vec<String>,
    /// A test of item and asset.
    pub filter: Option<Filter>,
}

type Fits = dyn Fn(&Document, &str, &Map<String, Value>) -> std::result::Result<bool, Cause> + Send + Sync;
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A test of an asset, by its item, its key and its fields.
#[derive(Clone)]
pub struct Filter(Arc<Fits>);

impl Filter {
    /// The assets for which `fits` is true.
    pub fn new(
        fits: impl Fn(&Document, &str, &Map<String, Value>) -> std::result::Result<bool, Cause> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(fits))
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

/// One is equal to its clones only.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Filter {}

impl Selection {
    /// The assets of these keys.
    pub fn of_keys(keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { keys: keys.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// True if nothing is chosen.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.roles.is_empty() && self.media_types.is_empty() && self.filter.is_none()
    }

    /// The keys that are wanted of an item, in its order, and an error for each key that it lacks or that cannot be judged.
    pub(crate) fn of(&self, item: &Document) -> (Vec<String>, Vec<(String, Error)>) {
        let mut failed = Vec::new();
        let mut fits = |key: &str, asset: &Map<String, Value>| match self.filter.as_ref().map(|f| f.0(item, key, asset))
        {
            None => true,
            Some(Ok(fits)) => fits,
            Some(Err(source)) => {
                let (item, asset) = (item.id().to_owned(), key.to_owned());
                failed.push((key.to_owned(), Error::Filter { item, asset, source }));
                false
            }
        };
        let wanted = item.assets().filter(|(key, asset)| self.wants(key, asset) && fits(key, asset));
        let wanted: Vec<String> = wanted.map(|(key, _)| key.to_owned()).collect();
        let has = |key: &str| item.asset(key).is_some();
        let lacking = self.keys.iter().filter(|key| !key.contains(['*', '?']) && !has(key));
        let lacking = lacking.map(|key| {
            let known = item.assets().map(|(key, _)| key).collect::<Vec<_>>().join(", ");
            (key.clone(), Error::NoAsset { item: item.id().to_owned(), asset: key.clone(), known })
        });
        (wanted, failed.into_iter().chain(lacking).collect())
    }

    fn wants(&self, key: &str, asset: &Map<String, Value>) -> bool {
        let any = |patterns: &[String], text: &str| patterns.iter().any(|pattern| fits(pattern, text));
        let roles = asset.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let media = asset.get("type").and_then(Value::as_str).unwrap_or_default();
        let bare = media.split(';').next().unwrap_or_default().trim();
        (self.keys.is_empty() || any(&self.keys, key))
            && (self.roles.is_empty() || roles.iter().filter_map(Value::as_str).any(|role| any(&self.roles, role)))
            && (self.media_types.is_empty() || any(&self.media_types, media) || any(&self.media_types, bare))
    }

    /// # Errors
    /// [`Error::NoAssets`] if nothing is chosen.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_empty() { Err(Error::NoAssets) } else { Ok(()) }
    }
}

/// True if a text fits a pattern of `*` and `?`; in linear time for each star.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => (p, t, star) = (at + 1, from + 1, Some((at, from + 1))),
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use outcrop_store::Href;
    use serde_json::json;

    #[test]
    fn assets_are_chosen_by_key_role_and_type() {
        let assets = json!({
            "B01": {"href": "a", "type": "image/tiff; application=geotiff", "roles": ["data"]},
            "B02": {"href": "b", "type": "image/jp2", "roles": ["data", "reflectance"]},
            "thumbnail": {"href": "c", "roles": ["thumbnail"]}});
        let item =
            json!({"type": "Feature", "id": "i", "geometry": null, "properties": {}, "links": [], "assets": assets});
        let item = Document::from_value(Href::parse("/i.json").unwrap(), item).unwrap();
        let of = |keys: &[&str], roles: &[&str], types: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            let selection =
                Selection { keys: texts(keys), roles: texts(roles), media_types: texts(types), filter: None };
            let (wanted, lacking) = selection.of(&item);
            (wanted.join(" "), lacking.len())
        };
        assert_eq!(of(&["B0*"], &[], &[]), ("B01 B02".into(), 0));
        assert_eq!(of(&["B0?", "B09"], &[], &[]), ("B01 B02".into(), 1));
        assert_eq!(of(&[], &["data"], &["image/tiff"]), ("B01".into(), 0));
        assert_eq!(of(&[], &[], &["image/*"]), ("B01 B02".into(), 0));
        assert_eq!(of(&["*"], &["thumbnail"], &[]), ("thumbnail".into(), 0));
        assert_eq!(of(&["C*"], &[], &[]), (String::new(), 0));
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text) in [("*", ""), ("a*b*c", "aXbbYc"), ("a?c", "abc"), ("é*", "é1"), ("**", "x")] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", "ab"), ("a*b", "ac"), ("?", ""), ("B0*", "b01")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
        assert!(!fits(&"*a".repeat(20), &"b".repeat(5000)));
    }
}
