//! Items from a table of files: a row for each file, whose cells are variables.

use indexmap::IndexMap;
use outcrop_store::{Href, Store};

use super::plan::{Listed, no_value};
use super::{AssetPlan, ItemPlan, Recipe, Template, Vars};
use crate::{Error, Result};

/// Reads the table of a recipe and groups its rows by the ids of items.
///
/// A cell that is empty is a variable without value; an asset that asks for it is not made of that row.
pub(crate) async fn from_table(store: &Store, recipe: &Recipe) -> Result<Listed> {
    let Some(table) = &recipe.table else { return Ok(Listed::default()) };
    let place = Href::parse(&table.href).map_err(|source| Error::Source { source_text: table.href.clone(), source })?;
    let bytes = store.get(&place).await.map_err(|source| Error::List { href: place.clone(), source })?;
    let separator = u8::try_from(table.separator).unwrap_or(b',');
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(bytes);
    let wrong = |e: &csv::Error| Error::Rows { href: place.clone(), why: e.to_string() };
    let names: Vec<String> = reader.headers().map_err(|e| wrong(&e))?.iter().map(str::to_owned).collect();
    let mut items: IndexMap<String, ItemPlan> = IndexMap::new();
    let mut failed = Vec::new();
    for (number, row) in reader.records().enumerate() {
        let row = row.map_err(|e| wrong(&e))?;
        let cells = names.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
        let vars: Vars = cells.map(|(name, cell)| (name.clone(), cell.to_owned())).collect();
        if let Err(error) = add(recipe, &mut items, &place, &vars) {
            // The first line has the names.
            let why = format!("line {}: {}", number + 2, crate::error::chain(&error));
            failed.push(Error::Rows { href: place.clone(), why });
        }
    }
    if items.is_empty() {
        let first = failed.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let why = format!("it makes no items{first}; its columns are {}", names.join(", "));
        return Err(Error::Rows { href: place, why });
    }
    Ok(Listed { items: items.into_values().collect(), failed })
}

/// Adds the assets of a row to its item.
fn add(recipe: &Recipe, items: &mut IndexMap<String, ItemPlan>, place: &Href, vars: &Vars) -> Result<()> {
    let id = recipe.item.id.fill(vars).map_err(|name| no_value("", &name))?;
    let item =
        items.entry(id.clone()).or_insert_with(|| ItemPlan { id: id.clone(), vars: vars.clone(), assets: vec![] });
    for (entry, (key, asset)) in recipe.assets.iter().enumerate() {
        let Some(href) = &asset.href else { continue };
        let key = Template::parse(key).and_then(|key| key.fill(vars));
        let (Ok(key), Ok(text)) = (key, href.fill(vars)) else { continue };
        let href = place.join(&text).map_err(|e| Error::Item { item: id.clone(), why: e.to_string() })?;
        match item.assets.iter().find(|known| known.key == key) {
            Some(known) if known.href == href => {}
            Some(known) => {
                let why = format!("`{}` and `{href}` would both be its asset `{key}`", known.href);
                return Err(Error::Item { item: id, why });
            }
            None => item.assets.push(AssetPlan { entry, key, vars: vars.clone(), href, size: None }),
        }
    }
    Ok(())
}
