//! The three forms of a static catalog, and the links that each writes.

use outcrop_store::{Href, safe_name};
use serde_json::{Value, json};

use crate::{Error, Kind, Result};

/// How links of a static catalog are written (STAC best practices, "Use of links").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Published {
    /// Relative links, no `self`: the catalog works wherever it is copied.
    #[default]
    SelfContained,
    /// Relative links, `self` at the root only.
    Relative,
    /// Absolute links, `self` everywhere.
    Absolute,
}

/// Where the document of a catalog or item is, below the folder `root`.
///
/// `path` holds the ids from the first sub-catalog to the document itself; an empty path is the root.
///
/// # Errors
/// [`Error::Name`] if an id cannot name a file.
pub fn document_href(root: &Href, path: &[&str], kind: Kind) -> Result<Href> {
    let mut text = root.as_folder().as_str().to_owned();
    for id in path {
        let what = || format!("the document of id `{}`", id.escape_debug());
        text.push_str(safe_name(id).map_err(|source| Error::Name { what: what(), source })?);
        text.push('/');
    }
    match (kind, path.last()) {
        (Kind::Item, Some(id)) => text.extend([id, ".json"]),
        _ => text.push_str(kind.file_name()),
    }
    Href::parse(&text).map_err(|source| Error::Reference { document: root.clone(), source })
}

/// Writes links of one document.
#[derive(Debug)]
pub(crate) struct Linker<'a> {
    pub(crate) published: Published,
    pub(crate) own: &'a Href,
}

impl Linker<'_> {
    pub(crate) fn link(&self, rel: &str, target: &Href, kind: Kind) -> Value {
        let href = match self.published {
            Published::Absolute => target.as_str().to_owned(),
            Published::SelfContained | Published::Relative => target.relative_to(self.own),
        };
        json!({"rel": rel, "href": href, "type": kind.media_type()})
    }

    /// The `self` link where the form wants one; the reference gives all of them the type of a catalog.
    pub(crate) fn own_link(&self, root: &Href) -> Option<Value> {
        let wanted = match self.published {
            Published::SelfContained => false,
            Published::Relative => self.own == root,
            Published::Absolute => true,
        };
        wanted.then(|| json!({"rel": "self", "href": self.own.as_str(), "type": "application/json"}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lie_in_folders_named_by_their_ids() {
        let root = Href::parse("/d").unwrap();
        let at = |path: &[&str], kind| document_href(&root, path, kind).map(|href| href.as_str().to_owned());
        assert_eq!(at(&[], Kind::Catalog).unwrap(), "/d/catalog.json");
        assert_eq!(at(&[], Kind::Collection).unwrap(), "/d/collection.json");
        assert_eq!(at(&["na"], Kind::Catalog).unwrap(), "/d/na/catalog.json");
        assert_eq!(at(&["na", "na-1"], Kind::Item).unwrap(), "/d/na/na-1/na-1.json");
        for id in ["../x", "a/b", "..", "%2e%2e", "con", ""] {
            assert!(matches!(at(&[id], Kind::Item), Err(Error::Name { .. })), "{id}");
        }
    }
}
