//! A shape as well-known binary, as GeoParquet has it (ISO, heights as kinds from 1001 on), and as GeoJSON again.

use serde_json::{Value, json};

use super::{DEEPEST, Position, Shape, ShapeKind};

const KINDS: [ShapeKind; 7] = [
    ShapeKind::Point,
    ShapeKind::LineString,
    ShapeKind::Polygon,
    ShapeKind::MultiPoint,
    ShapeKind::MultiLineString,
    ShapeKind::MultiPolygon,
    ShapeKind::GeometryCollection,
];
/// Flags of EWKB, which some writers use in place of ISO's kinds.
const EWKB_HEIGHTS: u32 = 0x8000_0000;
const EWKB_MEASURES: u32 = 0x4000_0000;
const EWKB_SRID: u32 = 0x2000_0000;

impl Shape {
    /// Appends the shape as little-endian WKB.
    pub fn write_wkb(&self, out: &mut Vec<u8>) {
        let z = if self.has_heights { 3 } else { 2 };
        head(out, self.kind, z);
        match self.kind {
            ShapeKind::Point => self.positions.iter().for_each(|p| position(out, p, z)),
            ShapeKind::LineString => line(out, &self.positions, z),
            ShapeKind::Polygon => self.polygons().for_each(|rings| polygon(out, rings, z)),
            ShapeKind::MultiPoint => {
                count(out, self.positions.len());
                for p in &self.positions {
                    head(out, ShapeKind::Point, z);
                    position(out, p, z);
                }
            }
            ShapeKind::MultiLineString => {
                count(out, self.lines.len());
                for part in self.lines() {
                    head(out, ShapeKind::LineString, z);
                    line(out, part, z);
                }
            }
            ShapeKind::MultiPolygon => {
                count(out, self.polygons.len());
                for rings in self.polygons() {
                    head(out, ShapeKind::Polygon, z);
                    polygon(out, rings, z);
                }
            }
            ShapeKind::GeometryCollection => {
                count(out, self.members.len());
                self.members.iter().for_each(|member| member.write_wkb(out));
            }
        }
    }

    /// Reads WKB, ISO or extended, of either byte order; what is not WKB is `None`.
    pub fn from_wkb(bytes: &[u8]) -> Option<Self> {
        let mut input = Input { bytes, little: true };
        let shape = input.shape(DEEPEST)?;
        input.bytes.is_empty().then_some(shape)
    }

    /// The GeoJSON.
    pub fn to_json(&self) -> Value {
        let kind = format!("{:?}", self.kind);
        if self.kind == ShapeKind::GeometryCollection {
            let members: Vec<Value> = self.members.iter().map(Self::to_json).collect();
            return json!({"type": kind, "geometries": members});
        }
        let point = |p: &Position| if self.has_heights { json!(p) } else { json!([p[0], p[1]]) };
        let points = |line: &[Position]| line.iter().map(point).collect::<Value>();
        let coordinates = match self.kind {
            ShapeKind::Point => self.positions.first().map_or(Value::Null, point),
            ShapeKind::MultiPoint | ShapeKind::LineString => points(&self.positions),
            ShapeKind::Polygon | ShapeKind::MultiLineString => self.lines().map(points).collect(),
            _ => self.polygons().map(|rings| rings.map(points).collect::<Value>()).collect(),
        };
        json!({"type": kind, "coordinates": coordinates})
    }

    /// The number of its kind in WKB, with heights or without.
    pub fn wkb_kind(&self) -> u32 {
        number(self.kind, if self.has_heights { 3 } else { 2 })
    }
}

/// The number of a kind whose positions have so many numbers.
fn number(kind: ShapeKind, z: usize) -> u32 {
    let at = KINDS.iter().position(|known| *known == kind).unwrap_or_default();
    u32::try_from(at).unwrap_or_default() + if z == 3 { 1001 } else { 1 }
}

fn head(out: &mut Vec<u8>, kind: ShapeKind, z: usize) {
    out.push(1);
    out.extend_from_slice(&number(kind, z).to_le_bytes());
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

fn position(out: &mut Vec<u8>, p: &Position, z: usize) {
    p.iter().take(z).for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn line(out: &mut Vec<u8>, positions: &[Position], z: usize) {
    count(out, positions.len());
    for p in positions {
        position(out, p, z);
    }
}

fn polygon<'a>(out: &mut Vec<u8>, rings: impl Iterator<Item = &'a [Position]> + Clone, z: usize) {
    count(out, rings.clone().count());
    for ring in rings {
        line(out, ring, z);
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    little: bool,
}

/// What a kind of WKB says of the numbers of a position.
#[derive(Clone, Copy)]
struct Form {
    kind: ShapeKind,
    z: bool,
    numbers: usize,
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take::<4>()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn f64(&mut self) -> Option<f64> {
        let bytes = self.take::<8>()?;
        Some(if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    fn form(&mut self) -> Option<Form> {
        self.little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let code = self.u32()?;
        if code & EWKB_SRID != 0 {
            self.u32()?;
        }
        let (plain, iso) = (code & 0x0fff_ffff, (code & 0x0fff_ffff) / 1000);
        let z = code & EWKB_HEIGHTS != 0 || matches!(iso, 1 | 3);
        let m = code & EWKB_MEASURES != 0 || matches!(iso, 2 | 3);
        let kind = *KINDS.get(usize::try_from(plain % 1000).ok()?.checked_sub(1)?)?;
        Some(Form { kind, z, numbers: 2 + usize::from(z) + usize::from(m) })
    }

    fn position(&mut self, form: Form) -> Option<Position> {
        let mut all = [0.0; 4];
        for place in all.iter_mut().take(form.numbers) {
            *place = self.f64()?;
        }
        Some([all[0], all[1], if form.z { all[2] } else { 0.0 }])
    }

    /// A count of things of at least `least` bytes each, which must be there.
    fn count(&mut self, least: usize) -> Option<usize> {
        let n = usize::try_from(self.u32()?).ok()?;
        (n.checked_mul(least)? <= self.bytes.len()).then_some(n)
    }

    fn line(&mut self, form: Form, shape: &mut Shape) -> Option<()> {
        for _ in 0..self.count(8 * form.numbers)? {
            let position = self.position(form)?;
            shape.positions.push(position);
        }
        Some(())
    }

    fn rings(&mut self, form: Form, shape: &mut Shape) -> Option<()> {
        for _ in 0..self.count(4)? {
            self.line(form, shape)?;
            shape.lines.push(shape.positions.len());
        }
        shape.polygons.push(shape.lines.len());
        Some(())
    }

    fn shape(&mut self, depth: usize) -> Option<Shape> {
        let form = self.form()?;
        let (kind, has_heights) = (form.kind, form.z);
        let (positions, lines, polygons, members) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut shape = Shape { kind, positions, lines, polygons, members, has_heights };
        match kind {
            ShapeKind::Point => shape.positions.push(self.position(form)?),
            ShapeKind::LineString => {
                self.line(form, &mut shape)?;
                shape.lines.push(shape.positions.len());
            }
            ShapeKind::Polygon => self.rings(form, &mut shape)?,
            _ => {
                for _ in 0..self.count(5)? {
                    self.member(kind, &mut shape, depth)?;
                }
            }
        }
        Some(shape)
    }

    fn member(&mut self, of: ShapeKind, shape: &mut Shape, depth: usize) -> Option<()> {
        if of == ShapeKind::GeometryCollection {
            let member = self.shape(depth.checked_sub(1)?)?;
            shape.has_heights |= member.has_heights;
            shape.members.push(member);
            return Some(());
        }
        let form = self.form()?;
        match (of, form.kind) {
            (ShapeKind::MultiPoint, ShapeKind::Point) => shape.positions.push(self.position(form)?),
            (ShapeKind::MultiLineString, ShapeKind::LineString) => {
                self.line(form, shape)?;
                shape.lines.push(shape.positions.len());
            }
            (ShapeKind::MultiPolygon, ShapeKind::Polygon) => self.rings(form, shape)?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 9] = [
        r#"{"type":"Point","coordinates":[1.5,-2.0]}"#,
        r#"{"type":"Point","coordinates":[1.5,-2.0,30.0]}"#,
        r#"{"type":"MultiPoint","coordinates":[[1.0,2.0],[3.0,4.0]]}"#,
        r#"{"type":"LineString","coordinates":[[1.0,2.0],[3.0,4.0]]}"#,
        r#"{"type":"MultiLineString","coordinates":[[[1.0,2.0],[3.0,4.0]],[[5.0,6.0],[7.0,8.0]]]}"#,
        r#"{"type":"Polygon","coordinates":[[[0.0,0.0],[9.0,0.0],[9.0,9.0],[0.0,0.0]],[[1.0,1.0],[2.0,1.0],[2.0,2.0],[1.0,1.0]]]}"#,
        r#"{"type":"MultiPolygon","coordinates":[[[[0.0,0.0],[9.0,0.0],[9.0,9.0],[0.0,0.0]]],[[[1.0,1.0],[2.0,1.0],[2.0,2.0],[1.0,1.0]]]]}"#,
        r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1.0,2.0]}]}"#,
        r#"{"type":"Polygon","coordinates":[]}"#,
    ];

    #[test]
    fn every_kind_comes_back() {
        for json in ALL {
            let shape = Shape::parse(json).unwrap();
            let mut wkb = Vec::new();
            shape.write_wkb(&mut wkb);
            assert_eq!(Shape::from_wkb(&wkb).unwrap(), shape, "{json}");
            assert_eq!(shape.to_json().to_string(), json);
        }
    }

    #[test]
    fn damaged_bytes_are_none() {
        for json in ALL {
            let mut wkb = Vec::new();
            Shape::parse(json).unwrap().write_wkb(&mut wkb);
            assert!((0..wkb.len()).all(|cut| Shape::from_wkb(&wkb[..cut]).is_none()));
            for at in 0..wkb.len() {
                let mut changed = wkb.clone();
                changed[at] ^= 0xff;
                let _ = Shape::from_wkb(&changed);
            }
        }
        // PostGIS: SRID 4326, little endian.
        let ewkb = [&[1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0][..], &1f64.to_le_bytes(), &2f64.to_le_bytes()].concat();
        assert_eq!(Shape::from_wkb(&ewkb).unwrap().bounds(), Some([1.0, 2.0, 1.0, 2.0]));
    }
}
