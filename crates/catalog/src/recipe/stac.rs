//! Items from the items of an API, a catalog or a file: each asset is a row, whose variables are what its item says.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use outcrop_stac::Body;
use outcrop_store::Store;
use serde_json::Value;

use super::plan::Listed;
use super::rows::{Row, Rows};
use super::{Recipe, StacSource, Vars};
use crate::search::{Cql, Order, SearchOptions, Source, search_raw};
use crate::{Error, Result};

/// Searches the source of a recipe and makes rows of what it gives.
pub(crate) async fn from_stac(store: &Store, recipe: &Recipe) -> Result<Listed> {
    let Some(stac) = &recipe.stac else { return Ok(Listed::default()) };
    let source = Source::parse(&stac.href)?;
    let options = stac.options()?;
    let mut rows = Rows::new(recipe, source.href.clone());
    let mut found = pin!(search_raw(store, &source, &options));
    while let Some(item) = found.next().await {
        let json = item.and_then(|found| Ok(found.item.to_portable()?));
        match json.map(|json| serde_json::from_slice(&json)) {
            Ok(Ok(Value::Object(item))) => add(&mut rows, item),
            Ok(_) => {}
            Err(error) => rows.lacks(error),
        }
    }
    rows.finish("look at what it has with `outcrop search`")
}

impl StacSource {
    /// The search that it asks for.
    pub(super) fn options(&self) -> Result<SearchOptions> {
        let item = |why: String| Error::Geometry { why };
        let bbox = self.bbox.as_ref().map(|numbers| outcrop_grid::BBox::from_slice(numbers)).transpose();
        let datetime = self.datetime.as_deref().map(str::parse).transpose();
        Ok(SearchOptions {
            ids: self.ids.clone(),
            collections: self.collections.clone(),
            bbox: bbox.map_err(|e| item(e.to_string()))?,
            datetime: datetime.map_err(|e: outcrop_grid::Error| item(e.to_string()))?,
            filter: self.filter.as_deref().map(Cql::parse).transpose()?,
            order: Order::By(Vec::new()),
            use_index: true,
            ..SearchOptions::default()
        })
    }
}

fn add(rows: &mut Rows<'_>, mut item: Body) {
    let assets = item.remove("assets");
    item.remove("links");
    let mut vars = Vars::new();
    for (name, value) in item.get("properties").and_then(Value::as_object).into_iter().flatten() {
        put(&mut vars, &variable(name), value);
    }
    for name in ["id", "collection"] {
        vars.remove(name);
        put(&mut vars, name, item.get(name).unwrap_or(&Value::Null));
    }
    let (item, id) = (Arc::new(item), vars.get("id").cloned().unwrap_or_default());
    for (key, asset) in assets.iter().filter_map(Value::as_object).flatten() {
        let Some(asset) = asset.as_object() else { continue };
        let mut vars = vars.clone();
        for name in ["href", "type", "title"] {
            vars.remove(name);
            put(&mut vars, name, asset.get(name).unwrap_or(&Value::Null));
        }
        vars.insert("asset".to_owned(), key.clone());
        let mut fields = asset.clone();
        fields.remove("href");
        rows.add(&Row { vars, name: format!("asset `{key}` of item `{id}`"), origin: Some((item.clone(), fields)) });
    }
}

/// A name of a property as that of a variable: letters, digits and `_`.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

fn put(vars: &mut Vars, name: &str, value: &Value) {
    let text = match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return,
    };
    vars.insert(name.to_owned(), text);
}
