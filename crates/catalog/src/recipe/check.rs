//! Parsing a recipe and checking what the types cannot: every message has file, line and key.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{AssetRecipe, Field, Recipe, Template};
use crate::{Error, Result};

pub(super) fn parse(file: &str, text: &str) -> Result<Recipe> {
    let places = Places { file, text };
    let recipe: Recipe = toml::from_str(text).map_err(|e| places.syntax(&e))?;
    check(&recipe).map_err(|(path, why)| places.error(&path, why))?;
    Ok(recipe)
}

type Wrong = (Vec<String>, String);

fn wrong<T>(path: &[&str], why: impl Into<String>) -> std::result::Result<T, Wrong> {
    Err((path.iter().map(|key| (*key).to_owned()).collect(), why.into()))
}

fn check(recipe: &Recipe) -> std::result::Result<(), Wrong> {
    if recipe.assets.is_empty() {
        return wrong(&["assets"], "an item needs assets; write a table like [assets.data] with an `href`");
    }
    check_variables(recipe)?;
    for (key, asset) in &recipe.assets {
        check_asset(recipe, key, asset)?;
    }
    check_item(recipe)?;
    check_links(recipe)?;
    let listed = recipe.assets.values().any(AssetRecipe::is_listed);
    let sources = [recipe.listing.is_some() || listed, recipe.table.is_some(), recipe.stac.is_some()];
    if sources.iter().filter(|is_there| **is_there).count() > 1 {
        let key = if recipe.table.is_some() { "table" } else { "stac" };
        return wrong(&[key], "files come from a [listing], a [table] or from [stac], not from several of them");
    }
    if let Some(Err(error)) = recipe.stac.as_ref().map(super::StacSource::options) {
        return wrong(&["stac"], error.to_string());
    }
    match &recipe.listing {
        None if listed => {
            wrong(&["assets"], "an asset with a `pattern` or `regex` needs a [listing] with the archive's `href`")
        }
        Some(_) if !listed => {
            wrong(&["listing"], "a listing needs an asset with a `pattern` or a `regex` for its file names")
        }
        _ => Ok(()),
    }
}

fn check_variables(recipe: &Recipe) -> std::result::Result<(), Wrong> {
    for (at, (name, values)) in recipe.variables.iter().enumerate() {
        let path = ["variables", name.as_str()];
        if Template::parse(&format!("{{{name}}}")).is_err() {
            return wrong(&path, "a variable is letters, digits and `_`");
        }
        let super::Choice::By { variable, values } = &values.0 else { continue };
        let earlier = recipe.variables.get_index_of(variable).filter(|index| *index < at);
        let Some(index) = earlier else {
            return wrong(&path, format!("it depends on `{variable}`, which must be a variable above it"));
        };
        let known = match &recipe.variables[index].0 {
            super::Choice::Plain(known) => known.clone(),
            super::Choice::By { values, .. } => values.values().flatten().cloned().collect(),
        };
        if let Some(missing) = known.iter().find(|value| !values.contains_key(*value)) {
            return wrong(&path, format!("it has no values for {variable} = `{missing}`"));
        }
        if let Some(extra) = values.keys().find(|key| !known.contains(key)) {
            return wrong(&path, format!("it has values for {variable} = `{extra}`, which is not one of them"));
        }
    }
    Ok(())
}

/// Stands among the names where rows give more of them.
const OF_ROWS: &str = "";

/// Names that have a value when an asset is made: those with values, and those that patterns yield.
fn known<'a>(recipe: &'a Recipe, asset: &'a AssetRecipe) -> Vec<&'a str> {
    let mut names: Vec<&str> = recipe.variables.keys().map(String::as_str).collect();
    names.extend(asset.yields());
    names.extend(recipe.has_rows().then_some(OF_ROWS));
    names
}

fn check_names(names: &[&str], template: &Template, path: &[&str]) -> std::result::Result<(), Wrong> {
    // The columns of a table are known when it is read.
    if names.contains(&OF_ROWS) {
        return Ok(());
    }
    match template.variables().into_iter().find(|name| !names.contains(name)) {
        None => Ok(()),
        Some(name) => wrong(path, format!("variable `{name}` has no values; add it to [variables] or to the pattern")),
    }
}

fn check_asset(recipe: &Recipe, key: &str, asset: &AssetRecipe) -> std::result::Result<(), Wrong> {
    let path = ["assets", key];
    let names = known(recipe, asset);
    let parsed = match Template::parse(key) {
        Ok(parsed) => parsed,
        Err(why) => return wrong(&path, why),
    };
    check_names(&names, &parsed, &path)?;
    match (&asset.href, &asset.pattern, &asset.regex) {
        (Some(href), None, None) => check_names(&names, href, &["assets", key, "href"])?,
        (None, Some(_), None) | (None, None, Some(_)) => {}
        _ => return wrong(&path, "an asset has either an `href`, a `pattern` or a `regex`"),
    }
    if recipe.has_rows() {
        return Ok(());
    }
    let item = recipe.item.id.variables();
    let own = asset.href.iter().flat_map(Template::variables).chain(asset.yields());
    for name in own {
        if !item.contains(&name) && !parsed.variables().contains(&name) {
            let why =
                format!("it varies with `{name}`, so either the key (\"{{{name}}}\") or the item's id must name it");
            return wrong(&path, why);
        }
    }
    for text in [&asset.title, &asset.description].into_iter().flatten() {
        check_names(&names, text, &path)?;
    }
    Ok(())
}

fn check_item(recipe: &Recipe) -> std::result::Result<(), Wrong> {
    let item = &recipe.item;
    let mut names: Vec<&str> = recipe.variables.keys().map(String::as_str).collect();
    names.extend(recipe.assets.values().flat_map(AssetRecipe::yields));
    names.extend(recipe.has_rows().then_some(OF_ROWS));
    check_names(&names, &item.id, &["item", "id"])?;
    let mut of_item = item.id.variables();
    of_item.extend(recipe.has_rows().then_some(OF_ROWS));
    let times = [("datetime", &item.datetime), ("start", &item.start), ("end", &item.end), ("length", &item.length)];
    for (key, template) in times {
        if let Some(template) = template {
            check_names(&of_item, template, &["item", key])?;
        }
    }
    check_span(recipe)?;
    if item.datetime.is_none() && item.start.is_none() && !recipe.wants(Field::Datetime) && recipe.stac.is_none() {
        let why = "an item needs a time: `datetime`, or `start` and `end`, or \"datetime\" in [headers] fields";
        return wrong(&["item"], why);
    }
    if let Some(by) = item.bbox.as_ref().and_then(|boxes| boxes.0.by())
        && !of_item.contains(&by)
        && !recipe.has_rows()
    {
        return wrong(&["item", "bbox"], format!("it depends on `{by}`, which the item's id does not name"));
    }
    for name in &of_item {
        if let Some(by) = recipe.variables.get(*name).and_then(|values| values.0.by())
            && !of_item.contains(&by)
        {
            return wrong(&["item", "id"], format!("`{name}` depends on `{by}`, so the id must name `{by}` too"));
        }
    }
    Ok(())
}

/// Properties that are the time of an item.
const TIMES: [&str; 3] = ["datetime", "start_datetime", "end_datetime"];

fn check_span(recipe: &Recipe) -> std::result::Result<(), Wrong> {
    let item = &recipe.item;
    if item.end.is_some() && item.length.is_some() {
        return wrong(&["item", "length"], "a span has an `end` or a `length`, not both");
    }
    if item.start.is_some() != (item.end.is_some() || item.length.is_some()) {
        return wrong(&["item"], "`start` and `end`, or `start` and `length`, come together");
    }
    let fixed = item.length.as_ref().filter(|length| length.variables().is_empty());
    if let Some(length) =
        fixed.filter(|length| crate::length::later(chrono::DateTime::UNIX_EPOCH, length.as_str()).is_none())
    {
        return wrong(&["item", "length"], format!("`{length}` is not a duration; write it like P1M, P1D or PT30S"));
    }
    match recipe.headers.properties.keys().find(|name| TIMES.contains(&name.as_str())) {
        Some(name) => {
            let why =
                "a time comes from \"datetime\" in [headers] fields, or from the item's `datetime`, `start` and `end`";
            wrong(&["headers", "properties", name], why)
        }
        None => Ok(()),
    }
}

fn check_links(recipe: &Recipe) -> std::result::Result<(), Wrong> {
    const OWN: [&str; 7] = ["root", "parent", "self", "child", "item", "items", "collection"];
    for link in recipe.links.iter().chain(&recipe.item.links) {
        if OWN.contains(&link.rel.as_str()) {
            return wrong(&["links"], format!("links of the rel `{}` are made by the program", link.rel));
        }
    }
    let mut of_item = recipe.item.id.variables();
    of_item.extend(recipe.has_rows().then_some(OF_ROWS));
    for link in &recipe.item.links {
        for template in std::iter::once(&link.href).chain(&link.title) {
            check_names(&of_item, template, &["item", "links"])?;
        }
    }
    Ok(())
}

/// Lines and keys of a recipe's text.
struct Places<'a> {
    file: &'a str,
    text: &'a str,
}

impl Places<'_> {
    fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        self.text.char_indices().take_while(|(at, _)| *at < end).filter(|(_, c)| *c == '\n').count() + 1
    }

    fn syntax(&self, error: &toml::de::Error) -> Error {
        let offset = error.span().map_or(0, |span| span.start);
        let (key, why) = (self.key_at(offset), error.message().to_owned());
        Error::Recipe { file: self.file.to_owned(), line: self.line(offset), key, why }
    }

    fn error(&self, path: &[String], why: String) -> Error {
        let offset = self.offset(path).unwrap_or(0);
        Error::Recipe { file: self.file.to_owned(), line: self.line(offset), key: path.join("."), why }
    }

    /// Where the key of a path stands, or the nearest table above it that is there.
    fn offset(&self, path: &[String]) -> Option<usize> {
        let root = DeTable::parse(self.text).ok()?;
        let mut table = root.get_ref();
        let mut found = None;
        for step in path {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == step) else { break };
            found = Some(key.span().start);
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        found
    }

    /// The path of the innermost key whose name or value holds an offset.
    fn key_at(&self, offset: usize) -> String {
        let Ok(root) = DeTable::parse(self.text) else {
            let line = self.text.lines().nth(self.line(offset) - 1).unwrap_or_default();
            return line.split('=').next().unwrap_or_default().trim().to_owned();
        };
        let mut path: Vec<String> = Vec::new();
        let mut table = root.get_ref();
        let holds = |key: std::ops::Range<usize>, value: &Spanned<DeValue<'_>>| {
            key.contains(&offset) || value.span().contains(&offset) || inside(value.get_ref(), offset)
        };
        while let Some((key, value)) = table.iter().rfind(|(key, value)| holds(key.span(), value)) {
            path.push(key.get_ref().to_string());
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        path.join(".")
    }
}

/// True if a key of the table, or of a table in it, holds the offset.
fn inside(value: &DeValue<'_>, offset: usize) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let DeValue::Table(table) = value else { continue };
        for (key, value) in table {
            if key.span().contains(&offset) || value.span().contains(&offset) {
                return true;
            }
            open.push(value.get_ref());
        }
    }
    false
}
