//! From the JSON of items to the types of columns, without a tree.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::kind::{Fields, Kind, MOST_EXACT, MOST_FIELDS, moment};
use super::{OWN, TIMES};
use crate::Shape;
use crate::item::Numbers;

/// Deepest structure that has columns; what is deeper is JSON text.
const DEEPEST: usize = 12;

/// Types of the columns of items: of their fields, and of their properties.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Columns {
    pub fields: Fields,
    pub properties: Fields,
}

/// What is wrong with an item.
#[derive(Debug)]
pub(super) enum Refused {
    /// A member of an object stands twice; of a tree the last one counts.
    Twice,
    Why(String),
}

impl Columns {
    /// Widens the types so that they hold what an item has.
    ///
    /// The types may have been widened by an item that is refused, which does no harm.
    pub(super) fn observe(&mut self, item: &str) -> Result<(), Refused> {
        let twice = Cell::new(false);
        let mut input = serde_json::Deserializer::from_str(item);
        let observed = input.deserialize_map(Item { columns: self, twice: &twice });
        match observed {
            Ok(()) => Ok(()),
            Err(_) if twice.get() => Err(Refused::Twice),
            Err(error) => Err(Refused::Why(error.to_string())),
        }
    }

    /// A name that is a field of some items and a property of others.
    pub(super) fn clash(&self) -> Option<&str> {
        self.properties.keys().map(String::as_str).find(|name| self.fields.contains_key(*name))
    }

    /// Makes of every type one that a file can have.
    pub(super) fn settle(&mut self) {
        // They are columns themselves; and items without assets need none of them.
        self.fields.retain(|name, kind| match name.as_str() {
            "properties" => false,
            "assets" => *kind != Kind::Struct(Fields::new()),
            _ => true,
        });
        self.fields.values_mut().chain(self.properties.values_mut()).for_each(Kind::settle);
    }
}

/// Which members of an object were met.
#[derive(Debug, Default)]
pub(super) struct Seen {
    first: u64,
    more: Vec<u64>,
}

impl Seen {
    /// Marks a member; false if it was met before.
    pub(super) fn add(&mut self, at: usize) -> bool {
        let bit = 1u64 << (at % 64);
        let word = match (at / 64).checked_sub(1) {
            None => &mut self.first,
            Some(word) => {
                if self.more.len() <= word {
                    self.more.resize(word + 1, 0);
                }
                &mut self.more[word]
            }
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn has(&self, at: usize) -> bool {
        let word = match (at / 64).checked_sub(1) {
            None => self.first,
            Some(word) => self.more.get(word).copied().unwrap_or(0),
        };
        word >> (at % 64) & 1 == 1
    }
}

struct Item<'a> {
    columns: &'a mut Columns,
    twice: &'a Cell<bool>,
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Columns { fields, properties } = self.columns;
        let (mut seen, mut next) = (Seen::default(), 0);
        while let Some(at) = map.next_key_seed(Name { fields, next })? {
            next = at + 1;
            if !seen.add(at) {
                self.twice.set(true);
                return Err(A::Error::custom("twice"));
            }
            let Some((name, kind)) = fields.get_index_mut(at) else { continue };
            match name.as_str() {
                "properties" => map.next_value_seed(Properties { fields: properties, twice: self.twice })?,
                "bbox" => map.next_value_seed(Ends { kind })?,
                "geometry" => {
                    let json = map.next_value::<&RawValue>()?.get();
                    if json != "null" && Shape::parse(json).is_none() {
                        return Err(A::Error::custom("its geometry is none of GeoJSON"));
                    }
                    *kind = Kind::Wkb;
                }
                _ => map.next_value_seed(Observe { kind, is_time: false, depth: 0, twice: self.twice })?,
            }
        }
        Ok(())
    }
}

/// The properties; `null` is none.
struct Properties<'a> {
    fields: &'a mut Fields,
    twice: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Properties<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Properties<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("properties")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let known = self.fields.len();
        members(self.fields, map, (0, self.twice))?;
        let clash = |name: &&String| OWN.contains(&name.as_str()) || *name == "properties";
        let Some(name) = self.fields.keys().skip(known).find(clash).cloned() else { return Ok(()) };
        self.fields.truncate(known);
        Err(A::Error::custom(format_args!("it has a property `{name}`, which has no place among the columns")))
    }
}

/// The place of a name among fields, which get it if they have it not.
struct Name<'a> {
    fields: &'a mut Fields,
    /// Where it most likely is.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        if self.fields.get_index(self.next).is_some_and(|(known, _)| known == name) {
            return Ok(self.next);
        }
        Ok(self.fields.get_index_of(name).unwrap_or_else(|| self.fields.insert_full(name.to_owned(), Kind::Null).0))
    }
}

/// Widens fields by the members of an object.
fn members<'de, A: MapAccess<'de>>(
    fields: &mut Fields,
    mut map: A,
    (depth, twice): (usize, &Cell<bool>),
) -> Result<(), A::Error> {
    let (mut seen, mut next) = (Seen::default(), 0);
    while let Some(at) = map.next_key_seed(Name { fields, next })? {
        next = at + 1;
        if !seen.add(at) {
            twice.set(true);
            return Err(A::Error::custom("twice"));
        }
        let Some((name, kind)) = fields.get_index_mut(at) else { continue };
        if name == "geometry" || name.ends_with(":geometry") {
            let json = map.next_value::<&RawValue>()?.get();
            if json != "null" {
                kind.meet(if Shape::parse(json).is_some() { Kind::Wkb } else { Kind::Json });
            }
            continue;
        }
        let is_time = depth == 0 && TIMES.contains(&name.as_str());
        map.next_value_seed(Observe { kind, is_time, depth, twice })?;
    }
    Ok(())
}

/// The ends of a box as fields.
struct Ends<'a> {
    kind: &'a mut Kind,
}

/// Names of the ends of a box, in the order of its numbers.
pub(super) const ENDS: [&[&str]; 2] =
    [&["xmin", "ymin", "xmax", "ymax"], &["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"]];

impl<'de> DeserializeSeed<'de> for Ends<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let numbers: Option<Numbers> = serde::Deserialize::deserialize(deserializer)?;
        let ends = match numbers.as_ref().map(|numbers| numbers.as_slice().len()) {
            None => return Ok(()),
            Some(4) => ENDS[0],
            Some(6) => ENDS[1],
            Some(_) => return Err(D::Error::custom("its bbox has neither four numbers nor six")),
        };
        match self.kind {
            Kind::Struct(fields) if fields.len() >= ends.len() => {}
            kind => *kind = Kind::Struct(ends.iter().map(|end| ((*end).to_owned(), Kind::Float)).collect()),
        }
        Ok(())
    }
}

/// Widens a type by a value.
struct Observe<'a> {
    kind: &'a mut Kind,
    is_time: bool,
    depth: usize,
    twice: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Observe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if *self.kind == Kind::Json {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Observe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.kind.meet(Kind::Bool);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.kind.meet(if value.unsigned_abs() <= MOST_EXACT { Kind::Int } else { Kind::Long });
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.kind.meet(match i64::try_from(value) {
            Ok(_) if value <= MOST_EXACT => Kind::Int,
            Ok(_) => Kind::Long,
            Err(_) => Kind::Json,
        });
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.kind.meet(Kind::Float);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if *self.kind != Kind::Text {
            self.kind.meet(if self.is_time && moment(text).is_some() { Kind::Time } else { Kind::Text });
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if *self.kind == Kind::Null && self.depth < DEEPEST {
            *self.kind = Kind::List(Box::new(Kind::Null));
        }
        if let Kind::List(element) = self.kind {
            let (depth, twice) = (self.depth + 1, self.twice);
            while seq.next_element_seed(Observe { kind: &mut *element, is_time: false, depth, twice })?.is_some() {}
            return Ok(());
        }
        *self.kind = Kind::Json;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if *self.kind == Kind::Null && self.depth < DEEPEST {
            *self.kind = Kind::Struct(Fields::new());
        }
        if let Kind::Struct(fields) = self.kind {
            members(fields, map, (self.depth + 1, self.twice))?;
            if fields.len() > MOST_FIELDS {
                *self.kind = Kind::Json;
            }
            return Ok(());
        }
        *self.kind = Kind::Json;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(values: &[Value]) -> Kind {
        let mut columns = Columns::default();
        for value in values {
            columns.observe(&json!({"properties": {"x": value}}).to_string()).unwrap();
        }
        columns.properties["x"].clone()
    }

    #[test]
    fn types_are_joined_so_that_all_values_fit() {
        assert_eq!(of(&[json!(1), json!(null), json!(2.5)]), Kind::Float);
        assert_eq!(of(&[json!(1), json!("a")]), Kind::Json);
        assert_eq!(of(&[json!([1]), json!([]), json!([2.0])]), Kind::List(Box::new(Kind::Float)));
        assert_eq!(of(&[json!(9_007_199_254_740_993u64), json!(1)]), Kind::Long);
        assert_eq!(of(&[json!(9_007_199_254_740_993u64), json!(1.5)]), Kind::Json);
        assert_eq!(of(&[json!(u64::MAX)]), Kind::Json);
        let both = of(&[json!({"a": 1}), json!({"b": [true], "a": null})]);
        let mut again = both.clone();
        again.meet(of(&[json!({"a": 7})]));
        assert_eq!(again, both);
        again.meet(of(&[json!({"c": 7})]));
        assert_ne!(again, both);
        assert_eq!(
            of(&[json!({"geometry": {"type": "Point", "coordinates": [1, 2]}})]).column("x").map(drop),
            Some(())
        );
        let mut deep = json!(1);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        assert!(matches!(of(&[deep]), Kind::List(_)));
    }

    #[test]
    fn times_are_those_of_names_that_mean_times() {
        let mut columns = Columns::default();
        let item = json!({"id": "a", "properties": {"datetime": "2020-01-01T00:00:00Z", "created": "soon",
            "other": "2020-01-01T00:00:00Z"}});
        columns.observe(&item.to_string()).unwrap();
        assert_eq!(columns.properties["datetime"], Kind::Time);
        assert_eq!((&columns.properties["created"], &columns.properties["other"]), (&Kind::Text, &Kind::Text));
        columns.settle();
        assert!(!columns.fields.contains_key("properties"));
    }

    #[test]
    fn what_stands_twice_or_has_no_column_is_told() {
        let mut columns = Columns::default();
        assert!(matches!(columns.observe(r#"{"id": "a", "id": "b"}"#), Err(Refused::Twice)));
        assert!(matches!(columns.observe(r#"{"properties": {"a": {"b": 1, "b": 2}}}"#), Err(Refused::Twice)));
        for bad in [r#"{"properties": {"links": 1}}"#, r#"{"bbox": [1, 2, 3]}"#, r#"{"geometry": {"type": "Point"}}"#] {
            assert!(matches!(columns.observe(bad), Err(Refused::Why(_))), "{bad}");
        }
    }
}
