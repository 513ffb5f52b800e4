//! Items from rows: each row is a file, its cells are variables; rows of one item are its assets.

use std::sync::Arc;

use indexmap::IndexMap;
use outcrop_stac::Body;
use outcrop_store::Href;

use super::plan::{Listed, no_value};
use super::{AssetPlan, ItemPlan, Recipe, Template, Vars};
use crate::{Error, Result};

/// A file of a table, or an asset of an item.
pub(super) struct Row {
    /// A cell that is empty is a variable without value.
    pub(super) vars: Vars,
    /// What it is called in messages.
    pub(super) name: String,
    /// The item it is of, without links and assets, and the fields of the asset.
    pub(super) origin: Option<(Arc<Body>, Body)>,
}

/// Items that are being made of the rows of a source.
pub(super) struct Rows<'a> {
    recipe: &'a Recipe,
    /// Relative hrefs are seen from there.
    place: Href,
    items: IndexMap<String, ItemPlan>,
    failed: Vec<Error>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(recipe: &'a Recipe, place: Href) -> Self {
        Self { recipe, place, items: IndexMap::new(), failed: Vec::new() }
    }

    /// Adds the assets that a row makes to its item; what it lacks is named, the rest goes on.
    pub(super) fn add(&mut self, row: &Row) {
        if let Err(error) = self.try_add(row) {
            let why = format!("{}: {}", row.name, crate::error::chain(&error));
            self.failed.push(Error::Rows { href: self.place.clone(), why });
        }
    }

    /// Something of the source that could not be read.
    pub(super) fn lacks(&mut self, error: Error) {
        self.failed.push(error);
    }

    fn try_add(&mut self, row: &Row) -> Result<()> {
        let vars = &row.vars;
        let id = self.recipe.item.id.fill(vars).map_err(|name| no_value("", &name))?;
        let item = self.items.entry(id.clone()).or_insert_with(|| ItemPlan {
            id: id.clone(),
            vars: vars.clone(),
            assets: Vec::new(),
            origin: row.origin.as_ref().map(|(item, _)| item.clone()),
        });
        for (entry, (key, asset)) in self.recipe.assets.iter().enumerate() {
            let Some(href) = &asset.href else { continue };
            let key = Template::parse(key).and_then(|key| key.fill(vars));
            // An asset that asks for a variable without value is not made of this row.
            let (Ok(key), Ok(text)) = (key, href.fill(vars)) else { continue };
            let href = self.place.join(&text).map_err(|e| Error::Item { item: id.clone(), why: e.to_string() })?;
            match item.assets.iter().find(|known| known.key == key) {
                Some(known) if known.href == href => {}
                Some(known) => {
                    let why = format!("`{}` and `{href}` would both be its asset `{key}`", known.href);
                    return Err(Error::Item { item: id, why });
                }
                None => {
                    let fields = row.origin.as_ref().map(|(_, fields)| fields.clone());
                    item.assets.push(AssetPlan { fields, ..AssetPlan::new(entry, key, vars.clone(), href) });
                }
            }
        }
        Ok(())
    }

    /// The items; `what` tells of the source where it makes none.
    pub(super) fn finish(self, what: &str) -> Result<Listed> {
        if self.items.is_empty() {
            let first = self.failed.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(Error::Rows { href: self.place, why: format!("it makes no items{first}; {what}") });
        }
        Ok(Listed { items: self.items.into_values().collect(), failed: self.failed })
    }
}
