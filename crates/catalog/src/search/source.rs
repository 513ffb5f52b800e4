//! Where items come from.

use outcrop_store::Href;

use crate::{Error, Result};

/// Where items come from: a catalog, a collection, an item, a file of items, an API, or one item of any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The document or folder; `-` is the standard input.
    pub href: Href,
    /// The item that is meant, of `CATALOG#ID`.
    pub id: Option<String>,
}

impl Source {
    /// Parses an href, `CATALOG#ID`, or `-` for the standard input.
    ///
    /// # Errors
    /// [`Error::Source`] if the text is no href.
    pub fn parse(text: &str) -> Result<Self> {
        let (place, id) = match text.rsplit_once('#') {
            Some((place, id)) if !id.is_empty() => (place, Some(id.to_owned())),
            _ => (text, None),
        };
        let shown = || text.split('?').next().unwrap_or_default().to_owned();
        let href = Href::parse(place).map_err(|source| Error::Source { source_text: shown(), source })?;
        Ok(Self { href, id })
    }

    /// True for the standard input.
    pub fn is_standard_input(&self) -> bool {
        self.href.as_str() == "-"
    }
}
