//! From GeoJSON to a shape, in one pass; coordinates may stand before the type.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::{Position, Shape, ShapeKind};

#[derive(Deserialize)]
struct Fields<'a> {
    r#type: ShapeKind,
    #[serde(default)]
    coordinates: Nested,
    #[serde(borrow, default)]
    geometries: Vec<&'a RawValue>,
}

pub(super) fn parse(json: &str, depth: usize) -> Option<Shape> {
    let fields: Fields<'_> = serde_json::from_str(json).ok()?;
    let Nested { positions, lines, polygons, depth: found, has_heights } = fields.coordinates;
    let wanted = match fields.r#type {
        ShapeKind::Point => 1,
        ShapeKind::MultiPoint | ShapeKind::LineString => 2,
        ShapeKind::Polygon | ShapeKind::MultiLineString => 3,
        ShapeKind::MultiPolygon => 4,
        ShapeKind::GeometryCollection => 0,
    };
    // An empty array has no depth to tell.
    if found != wanted && !positions.is_empty() || (positions.is_empty() && wanted == 1) {
        return None;
    }
    let members = match fields.r#type {
        ShapeKind::GeometryCollection if depth == 0 => return None,
        ShapeKind::GeometryCollection => {
            fields.geometries.iter().map(|member| parse(member.get(), depth - 1)).collect::<Option<Vec<_>>>()?
        }
        _ => Vec::new(),
    };
    let (lines, polygons) = match fields.r#type {
        ShapeKind::LineString => (vec![positions.len()], Vec::new()),
        ShapeKind::Polygon => {
            let rings = lines.len();
            (lines, vec![rings])
        }
        ShapeKind::MultiLineString => (lines, Vec::new()),
        ShapeKind::MultiPolygon => (lines, polygons),
        _ => (Vec::new(), Vec::new()),
    };
    let has_heights = has_heights || members.iter().any(|member| member.has_heights);
    Some(Shape { kind: fields.r#type, positions, lines, polygons, members, has_heights })
}

/// Nested arrays of positions, flat.
#[derive(Default)]
struct Nested {
    positions: Vec<Position>,
    lines: Vec<usize>,
    polygons: Vec<usize>,
    /// Arrays around a number.
    depth: usize,
    has_heights: bool,
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut nested = Self::default();
        nested.depth = deserializer.deserialize_any(Level { into: &mut nested, above: 0 })?;
        Ok(nested)
    }
}

/// One array: of numbers, or of arrays. Its value is the arrays around a number below it, itself counted.
struct Level<'a> {
    into: &'a mut Nested,
    above: usize,
}

impl<'de> de::DeserializeSeed<'de> for Level<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A member of an array: a number, or an array of this depth.
enum Member {
    Number(f64),
    Array(usize),
}

struct MemberOf<'a>(Level<'a>);

impl<'de> de::DeserializeSeed<'de> for MemberOf<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MemberOf<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an array of positions")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Member, E> {
        Ok(Member::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Member, E> {
        Ok(Member::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Member, E> {
        Ok(Member::Number(value as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Member, A::Error> {
        self.0.visit_seq(seq).map(Member::Array)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of positions")
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(de::Error::custom("coordinates are an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        if self.above > 3 {
            return Err(de::Error::custom("coordinates are nested too deep"));
        }
        let mut position: Position = [0.0; 3];
        let (mut numbers, mut depth) = (0, 0);
        loop {
            let below = MemberOf(Level { into: &mut *self.into, above: self.above + 1 });
            match seq.next_element_seed(below)? {
                Some(Member::Number(number)) if depth == 0 => {
                    if let Some(place) = position.get_mut(numbers) {
                        *place = number;
                    }
                    numbers += 1;
                }
                Some(Member::Array(found)) if numbers == 0 && (depth == 0 || depth == found) => depth = found,
                Some(_) => return Err(de::Error::custom("numbers and arrays are mixed")),
                None => break,
            }
        }
        let into = self.into;
        match (numbers, depth) {
            (0, 1) => into.lines.push(into.positions.len()),
            (0, 2) => into.polygons.push(into.lines.len()),
            (0, _) => {}
            (1, _) => return Err(de::Error::custom("a position has one number")),
            (numbers, _) => {
                if !position.iter().all(|number| number.is_finite()) {
                    return Err(de::Error::custom("a position is not finite"));
                }
                into.has_heights |= numbers > 2;
                into.positions.push(position);
            }
        }
        Ok(depth + 1)
    }
}
