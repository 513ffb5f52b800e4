//! The `fields` extension: which fields of an item are given out. <https://github.com/stac-api-extensions/fields>.
//!
//! The longest path that names a field decides; of two equally long ones the one that includes.

use serde_json::{Map, Value, json};

/// What stands for no fields at all: what makes an item one.
const LEAST: [&str; 10] = [
    "type",
    "stac_version",
    "id",
    "geometry",
    "bbox",
    "properties.datetime",
    "properties.start_datetime",
    "properties.end_datetime",
    "links",
    "assets",
];

/// Paths of fields that are given out and that are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Paths with dots; what is not named is left out, where there are any.
    pub include: Vec<String>,
    /// Paths that are left out.
    pub exclude: Vec<String>,
}

impl Fields {
    /// Reads `id,properties.datetime,-assets`: names with a minus are left out.
    pub fn parse(text: &str) -> Self {
        let mut fields = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.strip_prefix('-') {
                Some(name) => fields.exclude.push(name.to_owned()),
                None => fields.include.push(name.strip_prefix('+').unwrap_or(name).to_owned()),
            }
        }
        fields
    }

    /// As a server takes it in the body of a search.
    pub fn to_json(&self) -> Value {
        json!({"include": self.include, "exclude": self.exclude})
    }

    /// As a server takes it in the query of a search.
    pub fn to_text(&self) -> String {
        let minus = self.exclude.iter().map(|name| format!("-{name}"));
        self.include.iter().cloned().chain(minus).collect::<Vec<_>>().join(",")
    }

    /// The item with the fields that are given out.
    #[must_use]
    pub fn apply(&self, item: Value) -> Value {
        let least = self.include.is_empty() && self.exclude.is_empty();
        let include: Vec<&str> = if least { LEAST.to_vec() } else { self.include.iter().map(String::as_str).collect() };
        let exclude: Vec<&str> = self.exclude.iter().map(String::as_str).collect();
        // Without includes all is in that is not left out.
        let rules = Rules {
            include: &include,
            exclude: &exclude,
            default: if include.is_empty() { Shown::Yes } else { Shown::No },
        };
        match item {
            Value::Object(fields) => Value::Object(rules.object(fields, "", rules.default)),
            other => other,
        }
    }
}

/// Whether what no rule names is given out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

struct Rules<'a> {
    include: &'a [&'a str],
    exclude: &'a [&'a str],
    default: Shown,
}

impl Rules<'_> {
    fn object(&self, fields: Map<String, Value>, above: &str, inherited: Shown) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in fields {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let own = match (self.include.contains(&path.as_str()), self.exclude.contains(&path.as_str())) {
                (true, _) => Shown::Yes,
                (false, true) => Shown::No,
                (false, false) => inherited,
            };
            let deeper = format!("{path}.");
            let is_named = |paths: &[&str]| paths.iter().any(|named| named.starts_with(&deeper));
            match value {
                Value::Object(inner) if is_named(self.include) || is_named(self.exclude) => {
                    let inner = self.object(inner, &path, own);
                    if own == Shown::Yes || !inner.is_empty() {
                        kept.insert(name, Value::Object(inner));
                    }
                }
                value if own == Shown::Yes => drop(kept.insert(name, value)),
                _ => {}
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(fields: &str) -> Value {
        let item = json!({"type": "Feature", "id": "i", "geometry": null, "links": [], "assets": {"a": {"href": "x"}},
            "properties": {"datetime": "t", "eo:cloud_cover": 7, "view": {"off": 1, "sun": 2}}, "x": 1});
        Fields::parse(fields).apply(item)
    }

    #[test]
    fn the_longest_path_decides() {
        assert_eq!(apply("id,properties.datetime"), json!({"id": "i", "properties": {"datetime": "t"}}));
        assert_eq!(
            apply("id,properties,-properties.view.sun,-properties.datetime"),
            json!({"id": "i", "properties": {"eo:cloud_cover": 7, "view": {"off": 1}}})
        );
        assert_eq!(apply("properties.view.sun,-properties.view"), json!({"properties": {"view": {"sun": 2}}}));
        assert_eq!(apply("id,-id"), json!({"id": "i"}));
        let without = apply("-assets,-properties.view");
        assert!(without.get("assets").is_none() && without["properties"].get("view").is_none() && without["x"] == 1);
        let least = apply("");
        assert!(
            least.get("x").is_none()
                && least["properties"] == json!({"datetime": "t"})
                && least.get("assets").is_some()
        );
    }
}
