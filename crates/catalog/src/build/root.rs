//! The root of a catalog: its fields, and as a collection what its items span and have in common.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::Body;
use serde_json::{Map, Value, json};

use crate::extent;
use crate::recipe::{CollectionRecipe, Link, Recipe, Template};

/// Most values of a summary that are listed; a property with more has none.
const MOST_VALUES: usize = 100;
/// Fields of an asset that are of the item, not of what its key means.
const OF_ITEM: [&str; 6] = ["href", "outcrop:references", "alternate", "created", "updated", "description"];

/// The fields of the root document.
pub(super) fn root(recipe: &Recipe) -> Body {
    let mut root = Body::new();
    let kind = if recipe.collection.is_some() { "Collection" } else { "Catalog" };
    root.insert("type".into(), kind.into());
    root.insert("id".into(), recipe.id.as_str().into());
    root.insert("stac_version".into(), "1.1.0".into());
    root.insert("description".into(), recipe.description.as_str().into());
    let link = |link: &Link| {
        let mut body = json!({"rel": link.rel, "href": link.href.as_str()});
        let more = [("type", link.media_type.as_deref()), ("title", link.title.as_ref().map(Template::as_str))];
        for (key, text) in more {
            if let Some(text) = text {
                body[key] = text.into();
            }
        }
        body
    };
    root.insert("links".into(), recipe.links.iter().map(link).collect());
    if let Some(title) = &recipe.title {
        root.insert("title".into(), title.as_str().into());
    }
    if let Some(collection) = &recipe.collection {
        root.insert("license".into(), collection.license.as_str().into());
        if !collection.keywords.is_empty() {
            root.insert("keywords".into(), json!(collection.keywords));
        }
        if !collection.providers.is_empty() {
            root.insert("providers".into(), json!(collection.providers));
        }
    }
    root
}

/// What the items of a collection span and have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    bbox: Option<BBox>,
    interval: Option<Interval>,
    summaries: IndexMap<String, Summary>,
    /// Fields of the assets by key; those that differ from item to item are null.
    assets: Option<IndexMap<String, Map<String, Value>>>,
}

/// What is known of the values of a property.
#[derive(Debug, Default)]
struct Summary {
    texts: BTreeSet<String>,
    range: Option<[f64; 2]>,
    /// All numbers are whole.
    is_whole: bool,
    others: Vec<Value>,
    is_too_much: bool,
}

impl Common {
    pub(super) fn new(recipe: &Recipe) -> Self {
        let collection = recipe.collection.as_ref();
        let names = collection.map(|collection| collection.summaries.as_slice()).unwrap_or_default();
        let summaries =
            names.iter().map(|name| (name.clone(), Summary { is_whole: true, ..Summary::default() })).collect();
        let assets = collection.filter(|collection| collection.item_assets).map(|_| IndexMap::new());
        Self { bbox: None, interval: None, summaries, assets }
    }

    /// True if more is wanted of items than their place and time.
    pub(super) fn needs_items(&self) -> bool {
        !self.summaries.is_empty() || self.assets.is_some()
    }

    pub(super) fn span(&mut self, bbox: Option<BBox>, interval: Option<Interval>) {
        self.bbox = extent::union(self.bbox, bbox);
        self.interval = extent::hull(self.interval, interval);
    }

    pub(super) fn add(&mut self, item: &Body) {
        for (name, summary) in &mut self.summaries {
            if let Some(value) = item.get("properties").and_then(|properties| properties.get(name)) {
                summary.add(value);
            }
        }
        let (Some(known), Some(assets)) = (&mut self.assets, item.get("assets").and_then(Value::as_object)) else {
            return;
        };
        for (key, asset) in assets {
            let fields = asset.as_object().into_iter().flatten();
            let fields = fields.filter(|(name, _)| !OF_ITEM.contains(&name.as_str()) && !name.contains(':'));
            match known.get_mut(key) {
                None => {
                    known.insert(key.clone(), fields.map(|(name, value)| (name.clone(), value.clone())).collect());
                }
                Some(known) => {
                    let differs = |(name, value): &(&String, &mut Value)| asset.get(*name) != Some(&**value);
                    for (_, value) in known.iter_mut().filter(differs) {
                        *value = Value::Null;
                    }
                }
            }
        }
    }

    /// Puts the extent, the summaries and the assets of items into the root.
    pub(super) fn put(self, recipe: &CollectionRecipe, root: &mut Body) {
        root.insert("extent".into(), self.extent(recipe));
        let summaries = self.summaries.into_iter();
        let summaries: Map<String, Value> =
            summaries.filter_map(|(name, summary)| Some((name, summary.value()?))).collect();
        if !summaries.is_empty() {
            root.insert("summaries".into(), Value::Object(summaries));
        }
        if let Some(assets) = self.assets.filter(|assets| !assets.is_empty()) {
            let plain = |fields: Map<String, Value>| fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
            let assets = assets.into_iter().map(|(key, fields)| (key, Value::Object(plain(fields))));
            root.insert("item_assets".into(), Value::Object(assets.collect()));
        }
    }

    /// One box around all items, or where the recipe gives some: theirs; two or more stand behind the box around them.
    fn extent(&self, collection: &CollectionRecipe) -> Value {
        let of_items = || self.bbox.map_or_else(|| vec![-180.0, -90.0, 180.0, 90.0], |bbox| bbox.to_array().to_vec());
        let given = collection.bbox.as_ref().map(|boxes| boxes.0.clone()).unwrap_or_default();
        let boxes = match given.as_slice() {
            [] => vec![of_items()],
            [one] => vec![one.clone()],
            many => std::iter::once(around(many).unwrap_or_else(of_items)).chain(many.iter().cloned()).collect(),
        };
        let text = |time: Option<_>| time.map(|time| outcrop_grid::time::rfc3339(&time));
        let interval = match (&collection.interval, &self.interval) {
            (Some(given), _) => given.clone().map(|end| Some(end).filter(|end| !end.is_empty() && end != "..")),
            (None, Some(interval)) => [text(interval.start), text(interval.end)],
            (None, None) => [None, None],
        };
        json!({"spatial": {"bbox": boxes}, "temporal": {"interval": [interval]}})
    }
}

/// The box around boxes, with heights where all have them.
fn around(boxes: &[Vec<f64>]) -> Option<Vec<f64>> {
    let plain = boxes.iter().filter_map(|numbers| BBox::from_slice(numbers).ok());
    let [west, south, east, north] = plain.reduce(|a, b| a.union(&b))?.to_array();
    let heights = |at: usize| boxes.iter().map(|numbers| numbers.get(at).copied()).collect::<Option<Vec<f64>>>();
    Some(match (heights(2), heights(5)) {
        (Some(low), Some(high)) => {
            let (low, high) = (low.into_iter().reduce(f64::min)?, high.into_iter().reduce(f64::max)?);
            vec![west, south, low, east, north, high]
        }
        _ => vec![west, south, east, north],
    })
}

impl Summary {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => drop(self.texts.insert(text.clone())),
            Value::Number(number) => {
                let Some(n) = number.as_f64() else { return };
                self.is_whole &= !number.is_f64();
                let [least, most] = self.range.unwrap_or([n, n]);
                self.range = Some([least.min(n), most.max(n)]);
            }
            // The values of a list are summed up one by one.
            Value::Array(values) => {
                for value in values {
                    self.add(value);
                }
            }
            other if self.others.contains(other) => {}
            other => self.others.push(other.clone()),
        }
        self.is_too_much |= self.texts.len() + self.others.len() > MOST_VALUES;
        if self.is_too_much {
            (self.texts, self.others) = (BTreeSet::new(), Vec::new());
        }
    }

    /// Texts and truths as a list, numbers as their range; of both kinds, or too many, nothing.
    fn value(self) -> Option<Value> {
        #[expect(clippy::cast_possible_truncation, reason = "they are whole numbers of the items")]
        let number = |n: f64| if self.is_whole { json!(n as i64) } else { json!(n) };
        match (self.range, self.texts.is_empty() && self.others.is_empty()) {
            _ if self.is_too_much => None,
            (Some([least, most]), true) => Some(json!({"minimum": number(least), "maximum": number(most)})),
            (None, false) => Some(self.texts.into_iter().map(Value::from).chain(self.others).collect()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: &[Value]) -> Option<Value> {
        let mut summary = Summary { is_whole: true, ..Summary::default() };
        for value in values {
            summary.add(value);
        }
        summary.value()
    }

    #[test]
    fn summaries_are_lists_and_ranges() {
        assert_eq!(summary(&[json!("b"), json!("a"), json!(null), json!("b")]), Some(json!(["a", "b"])));
        assert_eq!(summary(&[json!(3), json!(-1)]), Some(json!({"minimum": -1, "maximum": 3})));
        assert_eq!(summary(&[json!(3), json!(0.5)]), Some(json!({"minimum": 0.5, "maximum": 3.0})));
        assert_eq!(summary(&[json!(["x", "y"]), json!(["x"])]), Some(json!(["x", "y"])));
        assert_eq!(summary(&[json!(true)]), Some(json!([true])));
        assert_eq!(summary(&[json!(1), json!("x")]), None);
        assert_eq!(summary(&[]), None);
        let many: Vec<Value> = (0..200).map(|i| json!(i.to_string())).collect();
        assert_eq!(summary(&many), None);
    }
}
