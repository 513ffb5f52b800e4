//! From the JSON of items to the values of columns, without a tree: the levels of Dremel, as Parquet has them
//! (<https://parquet.apache.org/docs/file-format/nestedencoding/>).

use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::kind::moment;
use super::leaves::{At, Leaf, LeafKind, Node, Plan, Shredded, TOP, Values};
use super::observe::{ENDS, Seen};
use crate::Shape;
use crate::item::Numbers;
use crate::tokens::push_compact;

impl Plan {
    /// Appends an item as a row. Its types must be among those that were observed.
    pub(super) fn add(&self, item: &str, to: &mut Shredded) -> serde_json::Result<()> {
        let mut row = Row { bbox: None, times: [None; 3], collection: false };
        serde_json::Deserializer::from_str(item).deserialize_map(Item { plan: self, to, row: &mut row })?;
        to.group.rows += 1;
        if let Some(bbox) = row.bbox {
            to.group.meet_box(bbox);
        }
        row.times.into_iter().flatten().for_each(|micros| to.group.meet_time(micros));
        if !row.collection {
            to.group.meet_collection("");
        }
        Ok(())
    }
}

/// What the group of a row is told of it.
struct Row {
    bbox: Option<[f64; 4]>,
    times: [Option<i64>; 3],
    collection: bool,
}

struct Item<'a> {
    plan: &'a Plan,
    to: &'a mut Shredded,
    row: &'a mut Row,
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { plan, to, row } = self;
        let (mut seen, mut next, mut had) = (Seen::default(), 0, false);
        while let Some(name) = map.next_key_seed(Name { members: &plan.fields, next })? {
            let Found::At(at) = name else {
                if matches!(name, Found::Properties) {
                    had = true;
                    map.next_value_seed(Properties { members: &plan.properties, to: &mut *to, row: &mut *row })?;
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
                continue;
            };
            next = at + 1;
            seen.add(at);
            let Some((name, node)) = plan.fields.get_index(at) else { continue };
            match name.as_str() {
                "bbox" => bbox(map.next_value()?, node, to, row).map_err(A::Error::custom)?,
                "geometry" => {
                    let shape = map.next_value_seed(Shred { node, leaves: &mut to.leaves, at: TOP })?;
                    if let Some(shape) = shape {
                        to.shapes.insert(shape.wkb_kind());
                        shape.bounds().into_iter().for_each(|bounds| to.group.meet_box(bounds));
                    }
                }
                "collection" => {
                    map.next_value_seed(Shred { node, leaves: &mut to.leaves, at: TOP })?;
                    if let Some(id) = last_text(node, &to.leaves) {
                        row.collection = true;
                        to.group.meet_collection(id);
                    }
                }
                _ => drop(map.next_value_seed(Shred { node, leaves: &mut to.leaves, at: TOP })?),
            }
        }
        absent(&plan.fields, &seen, (&mut to.leaves, TOP));
        if !had {
            absent(&plan.properties, &Seen::default(), (&mut to.leaves, TOP));
        }
        Ok(())
    }
}

/// The text of the row that was added last; `None` where it is null.
fn last_text<'a>(node: &Node, leaves: &'a [Leaf]) -> Option<&'a str> {
    let leaf = leaves.get(node.leaves().start)?;
    let Values::Bytes(bytes, ends) = &leaf.values else { return None };
    if *leaf.def.last()? == 0 {
        return None;
    }
    let from = ends.len().checked_sub(2).and_then(|at| ends.get(at)).copied().unwrap_or(0);
    std::str::from_utf8(bytes.get(from..)?).ok()
}

fn bbox(numbers: Option<Numbers>, node: &Node, to: &mut Shredded, row: &mut Row) -> Result<(), &'static str> {
    let Some(numbers) = numbers else {
        node.absent(&mut to.leaves, TOP);
        return Ok(());
    };
    let numbers = numbers.as_slice();
    row.bbox = match *numbers {
        [w, s, e, n] | [w, s, _, e, n, _] => Some([w, s, e, n]),
        _ => None,
    };
    let Node::Struct { members, .. } = node else { return Err("its bbox is no box") };
    let ends = ENDS[usize::from(numbers.len() == 6)];
    for (name, node) in members {
        let number = ends.iter().position(|end| *end == name.as_str()).and_then(|at| numbers.get(at));
        let leaf = to.leaves.get_mut(node.leaves().start);
        match (number, leaf) {
            (Some(number), Some(Leaf { values: Values::Float(values), def, rep, .. })) => {
                values.push(*number);
                def.push(2);
                rep.push(0);
            }
            _ => node.absent(&mut to.leaves, At { def: 1, ..TOP }),
        }
    }
    Ok(())
}

struct Properties<'a> {
    members: &'a IndexMap<String, Node>,
    to: &'a mut Shredded,
    row: &'a mut Row,
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
        absent(self.members, &Seen::default(), (&mut self.to.leaves, TOP));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(self.members, map, (&mut self.to.leaves, TOP))?;
        for (name, time) in ["datetime", "start_datetime", "end_datetime"].into_iter().zip(&mut self.row.times) {
            let leaf = self.members.get(name).and_then(|node| self.to.leaves.get(node.leaves().start));
            *time = match leaf {
                Some(Leaf { values: Values::Int(values), def, .. }) if def.last() == Some(&1) => values.last().copied(),
                // Texts that are not all times.
                Some(Leaf { values: Values::Bytes(..), .. }) => {
                    self.members.get(name).and_then(|node| last_text(node, &self.to.leaves)).and_then(moment)
                }
                _ => None,
            };
        }
        Ok(())
    }
}

/// What a name of an item or an object is.
enum Found {
    At(usize),
    Properties,
    Unknown,
}

struct Name<'a> {
    members: &'a IndexMap<String, Node>,
    /// Where it most likely is.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Found, E> {
        if self.members.get_index(self.next).is_some_and(|(known, _)| known == name) {
            return Ok(Found::At(self.next));
        }
        Ok(match self.members.get_index_of(name) {
            Some(at) => Found::At(at),
            None if name == "properties" => Found::Properties,
            None => Found::Unknown,
        })
    }
}

fn members<'de, A: MapAccess<'de>>(
    members: &IndexMap<String, Node>,
    mut map: A,
    (leaves, at): (&mut [Leaf], At),
) -> Result<(), A::Error> {
    let (mut seen, mut next) = (Seen::default(), 0);
    while let Some(name) = map.next_key_seed(Name { members, next })? {
        let Found::At(found) = name else { return Err(A::Error::custom("a field that was not observed")) };
        next = found + 1;
        seen.add(found);
        let Some((_, node)) = members.get_index(found) else { continue };
        map.next_value_seed(Shred { node, leaves: &mut *leaves, at })?;
    }
    absent(members, &seen, (leaves, at));
    Ok(())
}

/// Nothing, for all members that were not met.
fn absent(members: &IndexMap<String, Node>, seen: &Seen, (leaves, at): (&mut [Leaf], At)) {
    for (_, node) in members.values().enumerate().filter(|(place, _)| !seen.has(*place)) {
        node.absent(leaves, at);
    }
}

/// Puts a value into the columns of its type. The value is the shape, where it is one.
struct Shred<'a> {
    node: &'a Node,
    leaves: &'a mut [Leaf],
    at: At,
}

impl<'de> DeserializeSeed<'de> for Shred<'_> {
    type Value = Option<Shape>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Shape>, D::Error> {
        let Node::Leaf(place) = self.node else { return deserializer.deserialize_any(self) };
        let Some(leaf) = self.leaves.get_mut(*place) else {
            return Err(D::Error::custom("a column that is not there"));
        };
        if !matches!(leaf.kind, LeafKind::Wkb | LeafKind::Json) {
            return deserializer.deserialize_any(self);
        }
        let json = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        let Values::Bytes(bytes, ends) = &mut leaf.values else { return Err(D::Error::custom("a column of numbers")) };
        if json == "null" {
            leaf.mark(self.at.def, self.at.rep);
            return Ok(None);
        }
        let mut shape = None;
        if leaf.kind == LeafKind::Json {
            push_compact(bytes, json.as_bytes());
        } else {
            let found = Shape::parse(json).ok_or_else(|| D::Error::custom("a geometry that is none of GeoJSON"))?;
            found.write_wkb(bytes);
            shape = Some(found);
        }
        ends.push(bytes.len());
        leaf.mark(self.at.def + 1, self.at.rep);
        Ok(shape)
    }
}

impl Shred<'_> {
    /// Appends a value to the column; false if it is not of its type.
    fn put<E: serde::de::Error>(self, push: impl FnOnce(&mut Values, LeafKind) -> bool) -> Result<Option<Shape>, E> {
        let Node::Leaf(place) = self.node else { return Err(E::custom("a value that was not observed")) };
        let leaf = self.leaves.get_mut(*place).ok_or_else(|| E::custom("a column that is not there"))?;
        if !push(&mut leaf.values, leaf.kind) {
            return Err(E::custom("a value of a type that was not observed"));
        }
        leaf.mark(self.at.def + 1, self.at.rep);
        Ok(None)
    }
}

impl<'de> Visitor<'de> for Shred<'_> {
    type Value = Option<Shape>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the type of its column")
    }

    fn visit_unit<E>(self) -> Result<Option<Shape>, E> {
        self.node.absent(self.leaves, self.at);
        Ok(None)
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Option<Shape>, E> {
        self.put(|values, _| match values {
            Values::Bool(values) => {
                values.push(truth);
                true
            }
            _ => false,
        })
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Option<Shape>, E> {
        self.put(|values, kind| {
            match values {
                Values::Int(values) if kind == LeafKind::Int => values.push(number),
                Values::Float(values) => values.push(number as f64),
                _ => return false,
            }
            true
        })
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Option<Shape>, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::custom("a number of a type that was not observed")),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Option<Shape>, E> {
        self.put(|values, _| match values {
            Values::Float(values) => {
                values.push(number);
                true
            }
            _ => false,
        })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Option<Shape>, E> {
        self.put(|values, kind| match (values, kind) {
            (Values::Int(values), LeafKind::Time) => match moment(text) {
                Some(micros) => {
                    values.push(micros);
                    true
                }
                None => false,
            },
            (Values::Bytes(bytes, ends), LeafKind::Text) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                true
            }
            _ => false,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<Shape>, A::Error> {
        let Self { node, leaves, at } = self;
        let Node::List { element, .. } = node else { return Err(A::Error::custom("a list that was not observed")) };
        let mut inner = At { def: at.def + 2, rep: at.rep, lists: at.lists + 1 };
        let mut is_empty = true;
        while seq.next_element_seed(Shred { node: element, leaves: &mut *leaves, at: inner })?.is_some() {
            (is_empty, inner.rep) = (false, at.lists + 1);
        }
        if is_empty {
            node.absent(leaves, At { def: at.def + 1, ..at });
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Shape>, A::Error> {
        let Node::Struct { members: of, .. } = self.node else {
            return Err(A::Error::custom("an object that was not observed"));
        };
        members(of, map, (self.leaves, At { def: self.at.def + 1, ..self.at }))?;
        Ok(None)
    }
}
