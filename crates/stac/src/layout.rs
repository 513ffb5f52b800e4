//! Layout templates: in which sub-catalogs an item belongs.
//!
//! `${region}/${year}` as pystac's `LayoutTemplate` and `generate_subcatalogs`: each part between slashes is static
//! text and variables, its value the id of a sub-catalog. Variables are `year`, `month`, `day`, `date` of the item's
//! time, `collection`, and any property or field by name or dotted path.

use std::collections::BTreeMap;

use chrono::Datelike;
use outcrop_grid::interval::parse_time;
use outcrop_store::safe_name;
use serde_json::Value;

use crate::{Body, Error, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

/// A parsed layout template.
///
/// - It has no empty part; the empty template has no parts and puts every item below the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    parts: Vec<Vec<Piece>>,
    defaults: BTreeMap<String, String>,
}

impl Layout {
    /// Parses a template such as `${region}/${year}`.
    ///
    /// # Errors
    /// [`Error::Template`] for a part without text, a brace that is not closed, a variable without name.
    ///
    /// # Examples
    /// ```
    /// use outcrop_stac::Layout;
    /// let item = serde_json::json!({"id": "na-1980", "properties": {"region": "na", "datetime": "1980-01-01T00:00:00Z"}});
    /// let layout = Layout::parse("${region}/y${year}")?;
    /// assert_eq!(layout.values(item.as_object().unwrap())?, ["na", "y1980"]);
    /// # Ok::<(), outcrop_stac::Error>(())
    /// ```
    pub fn parse(template: &str) -> Result<Self> {
        let bad = |why| Error::Template { template: template.to_owned(), why };
        let trimmed = template.trim_matches('/');
        let mut parts = Vec::new();
        for part in trimmed.split('/').filter(|_| !trimmed.is_empty()) {
            let pieces = pieces(part).map_err(bad)?;
            if pieces.is_empty() {
                return Err(bad("has an empty part"));
            }
            parts.push(pieces);
        }
        Ok(Self { parts, defaults: BTreeMap::new() })
    }

    /// The value of a variable for items that lack it.
    #[must_use]
    pub fn with_default(mut self, variable: &str, value: &str) -> Self {
        self.defaults.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// The sub-catalog ids for an item, outermost first.
    ///
    /// # Errors
    /// [`Error::MissingVariable`]; [`Error::Name`] for a value that cannot name a folder.
    pub fn values(&self, item: &Body) -> Result<Vec<String>> {
        self.parts.iter().map(|part| self.value(part, item)).collect()
    }

    /// The path of an item that is below `parents` (without the root): the same if they end in its values, else
    /// they and its values. Applying a layout twice is applying it once.
    ///
    /// # Errors
    /// As [`Layout::values`].
    pub fn place(&self, parents: &[&str], item: &Body) -> Result<Vec<String>> {
        let values = self.values(item)?;
        let mut path: Vec<String> = parents.iter().map(|id| (*id).to_owned()).collect();
        if !path.ends_with(&values) {
            path.extend(values);
        }
        Ok(path)
    }

    fn value(&self, part: &[Piece], item: &Body) -> Result<String> {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
        let mut text = String::new();
        for piece in part {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Variable(name) => {
                    let found = variable(name, item).or_else(|| self.defaults.get(name).cloned());
                    let missing = || Error::MissingVariable { item: id.to_owned(), variable: name.clone() };
                    text.push_str(&found.ok_or_else(missing)?);
                }
            }
        }
        let what = || format!("sub-catalog of item `{id}`");
        safe_name(&text).map_err(|source| Error::Name { what: what(), source })?;
        Ok(text)
    }
}

fn pieces(part: &str) -> std::result::Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some(start) = rest.find("${") {
        let end = rest[start..].find('}').ok_or("has a `${` without `}`")? + start;
        let name = &rest[start + 2..end];
        if name.is_empty() {
            return Err("has a variable without name");
        }
        if start > 0 {
            pieces.push(Piece::Text(rest[..start].to_owned()));
        }
        pieces.push(Piece::Variable(name.to_owned()));
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn variable(name: &str, item: &Body) -> Option<String> {
    match name {
        "year" | "month" | "day" | "date" => time_part(name, item),
        path => {
            let mut steps = path.split('.');
            let first = steps.next()?;
            let found = item.get(first).or_else(|| item.get("properties")?.get(first))?;
            text(steps.try_fold(found, |value, step| value.get(step))?)
        }
    }
}

fn time_part(name: &str, item: &Body) -> Option<String> {
    let properties = item.get("properties")?;
    let field = |key: &str| properties.get(key).and_then(Value::as_str).and_then(parse_time);
    let time = field("datetime").or_else(|| field("start_datetime"))?;
    Some(match name {
        "year" => time.year().to_string(),
        "month" => time.month().to_string(),
        "day" => time.day().to_string(),
        _ => time.format("%Y-%m-%d").to_string(),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item() -> Body {
        let item = json!({"id": "i", "collection": "c", "properties": {"datetime": null, "region": "na",
            "start_datetime": "2020-03-04T05:06:07Z", "a": {"b": 7}, "eo": "x/y"}});
        item.as_object().unwrap().clone()
    }

    #[test]
    fn variables_are_those_of_pystac() {
        let path = |template: &str| Layout::parse(template).unwrap().values(&item()).unwrap().join("|");
        assert_eq!(path("${year}/${month}/${day}/${date}"), "2020|3|4|2020-03-04");
        assert_eq!(path("${collection}/r-${region}${a.b}/fixed"), "c|r-na7|fixed");
        assert_eq!(path(""), "");
        assert_eq!(Layout::parse("${x}").unwrap().with_default("x", "d").values(&item()).unwrap(), ["d"]);
    }

    #[test]
    fn what_is_missing_or_unsafe_is_named() {
        let message = |template: &str| match Layout::parse(template).and_then(|l| l.values(&item())) {
            Err(error) => error.to_string(),
            Ok(path) => path.join("/"),
        };
        assert!(message("${nope}").starts_with("item `i` has no `nope`"));
        assert!(message("${eo}").starts_with("sub-catalog of item `i` cannot be written"));
        assert!(message("a//b").contains("empty part"));
        assert!(message("${a").contains("without `}`"));
    }

    #[test]
    fn placing_twice_is_placing_once() {
        let layout = Layout::parse("${region}/${year}").unwrap();
        let once = layout.place(&[], &item()).unwrap();
        assert_eq!(once, ["na", "2020"]);
        let again: Vec<&str> = once.iter().map(String::as_str).collect();
        assert_eq!(layout.place(&again, &item()).unwrap(), once);
        assert_eq!(layout.place(&["x"], &item()).unwrap(), ["x", "na", "2020"]);
    }
}
