//! Items that are gone: their documents, and the references of their files, are removed when no catalog names them.

use std::path::Path;
use std::sync::Arc;

use outcrop_formats::REFERENCES;
use outcrop_stac::WriteOptions;
use outcrop_store::safe_name;
use serde_json::Value;

use super::known::{Known, Numbers};
use crate::Result;

/// Items of the last build that are to be removed.
#[derive(Debug)]
pub(super) struct Gone {
    known: Arc<Known>,
    /// Where documents lie.
    places: WriteOptions,
    items: Numbers,
}

impl Gone {
    pub(super) fn new(known: Arc<Known>, places: WriteOptions) -> Self {
        let items = Numbers::below(known.len());
        Self { known, places, items }
    }

    pub(super) fn push(&mut self, at: usize) {
        self.items.insert(at);
    }

    pub(super) fn remove(&self) -> Result<()> {
        for at in self.known.in_order(|at| self.items.contains(at)) {
            if let Some(entry) = self.known.entry(at)? {
                remove_item(&self.places.document_path(&entry.path, &entry.id)?);
            }
        }
        Ok(())
    }
}

/// Removes the document of an item and the references that it names; its folder, if nothing else is in it.
fn remove_item(document: &Path) {
    let json = std::fs::read(document).ok();
    let item: Value = json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let assets = item.get("assets").and_then(Value::as_object).into_iter().flat_map(|assets| assets.values());
    let names = assets.filter_map(|asset| asset.get(REFERENCES)?.as_str()).filter(|name| safe_name(name).is_ok());
    // What cannot be removed is named by no catalog.
    for name in names {
        let _ = std::fs::remove_file(document.with_file_name(name));
    }
    let _ = std::fs::remove_file(document);
    let _ = document.parent().map(std::fs::remove_dir);
}
