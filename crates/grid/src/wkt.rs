//! Well-known text of coordinate reference systems: WKT1 (OGC 01-009), Esri's, and WKT2 (ISO 19162), for plane and
//! geographic CRS. What is not understood is an error, never a guess.

use crate::method::{Method, Parameters, Quantity, plain};
use crate::{Error, Result};

/// Longest text, in bytes.
const MAX_LEN: usize = 1 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// `KEYWORD["text", 1.5, OTHER[...]]`.
#[derive(Debug, Default, PartialEq)]
struct Node {
    keyword: String,
    texts: Vec<String>,
    numbers: Vec<f64>,
    nodes: Vec<Node>,
}

fn fail(text: &str, why: impl Into<String>) -> Error {
    Error::Projection { definition: text.chars().take(80).collect(), why: why.into() }
}

/// The PROJ string that a text means.
///
/// # Errors
/// [`Error::Projection`] for what is no WKT of a geographic or projected CRS, and for projections that are not known.
pub fn wkt_to_proj(text: &str) -> Result<String> {
    let root = parse(text)?;
    let crs = horizontal(&root).ok_or_else(|| fail(text, "it has no geographic or projected CRS"))?;
    // GDAL writes what WKT 1 cannot say, such as web Mercator, as a PROJ string beside it.
    if let Some([kind, proj]) = crs.child(&["EXTENSION"]).map(|node| node.texts.as_slice())
        && kind == "PROJ4"
    {
        return Ok(proj.clone());
    }
    let base = datum(crs).ok_or_else(|| fail(text, "it has no ellipsoid"))?;
    if is_geographic(crs) {
        return Ok(format!("+proj=longlat{base} +no_defs"));
    }
    let conversion = crs.child(&["CONVERSION"]).unwrap_or(crs);
    let method = conversion.child(&["PROJECTION", "METHOD"]).and_then(|node| node.texts.first());
    let method = method.ok_or_else(|| fail(text, "it has no projection method"))?;
    let known = Method::of_name(method).ok_or_else(|| fail(text, format!("projection `{method}` is not known")))?;
    let metres = unit(crs, &["UNIT", "LENGTHUNIT"])
        .or_else(|| crs.child(&["AXIS"]).and_then(|axis| unit(axis, &["LENGTHUNIT", "UNIT"])))
        .unwrap_or(1.0);
    let degrees =
        crs.deep(&["GEOGCS", "BASEGEOGCRS", "BASEGEODCRS"]).and_then(|base| unit(base, &["UNIT", "ANGLEUNIT"]));
    let degrees = degrees.map_or(1.0, in_degrees);
    let mut parameters = Parameters::default();
    for node in conversion.nodes.iter().filter(|node| node.keyword == "PARAMETER") {
        let (Some(name), Some(value)) = (node.texts.first(), node.numbers.first()) else { continue };
        let Some((place, quantity)) = parameters.by_name(name) else {
            if *value == 0.0 || is_harmless(name) {
                continue;
            }
            return Err(fail(text, format!("parameter `{name}` is not known")));
        };
        let own = unit(node, &["ANGLEUNIT", "LENGTHUNIT", "UNIT"]);
        *place = Some(match quantity {
            Quantity::Angle => value * own.map_or(degrees, in_degrees),
            Quantity::Length => value * own.unwrap_or(metres),
            Quantity::Ratio => *value,
        });
    }
    let units = if (metres - 1.0).abs() < 1e-12 { " +units=m".to_owned() } else { format!(" +to_meter={metres}") };
    Ok(format!("{}{base}{units} +no_defs", known.proj(&parameters)))
}

/// A unit of angles in degrees; that of degrees is written with few digits.
fn in_degrees(radians: f64) -> f64 {
    let degrees = radians.to_degrees();
    if (degrees - 1.0).abs() < 1e-9 { 1.0 } else { degrees }
}

/// Parameters that say nothing new.
fn is_harmless(name: &str) -> bool {
    matches!(plain(name).as_str(), "auxiliaryspheretype" | "xyplanerotation" | "xscale" | "yscale")
}

/// The EPSG code that a text says it has.
pub fn wkt_to_epsg(text: &str) -> Option<u16> {
    let root = parse(text).ok()?;
    let crs = horizontal(&root)?;
    let id = crs.child(&["AUTHORITY", "ID"])?;
    let is_epsg = id.texts.first().is_some_and(|name| name.eq_ignore_ascii_case("EPSG"));
    let code = id.texts.get(1).and_then(|code| code.parse().ok());
    let number = || id.numbers.first().and_then(|code| format!("{code}").parse().ok());
    code.or_else(number).filter(|_| is_epsg)
}

fn horizontal(root: &Node) -> Option<&Node> {
    let of = ["PROJCS", "PROJCRS", "PROJECTEDCRS", "GEOGCS", "GEOGCRS", "GEODCRS", "GEODETICCRS", "GEOGRAPHICCRS"];
    if of.contains(&root.keyword.as_str()) { Some(root) } else { root.deep(&of) }
}

fn is_geographic(crs: &Node) -> bool {
    crs.keyword.starts_with("GEO")
}

/// Ellipsoid, shift to WGS 84 and prime meridian as PROJ has them.
fn datum(crs: &Node) -> Option<String> {
    let ellipsoid = crs.deep(&["SPHEROID", "ELLIPSOID"])?;
    let a = *ellipsoid.numbers.first()? * unit(ellipsoid, &["LENGTHUNIT", "UNIT"]).unwrap_or(1.0);
    let rf = ellipsoid.numbers.get(1).copied().unwrap_or(0.0);
    let mut text = if rf > 0.0 { format!(" +a={a} +rf={rf}") } else { format!(" +a={a} +b={a}") };
    if let Some(shift) = crs.deep(&["TOWGS84"]).filter(|node| matches!(node.numbers.len(), 3 | 7)) {
        let numbers: Vec<String> = shift.numbers.iter().map(f64::to_string).collect();
        text = format!("{text} +towgs84={}", numbers.join(","));
    }
    let meridian = crs.deep(&["PRIMEM", "PRIMEMERIDIAN"]).and_then(|node| node.numbers.first().copied());
    if let Some(meridian) = meridian.filter(|meridian| *meridian != 0.0) {
        text = format!("{text} +pm={meridian}");
    }
    Some(text)
}

/// The factor of a unit: to metres, to radians.
fn unit(node: &Node, keywords: &[&str]) -> Option<f64> {
    node.child(keywords).and_then(|unit| unit.numbers.first().copied()).filter(|factor| *factor > 0.0)
}

impl Node {
    fn child(&self, keywords: &[&str]) -> Option<&Node> {
        self.nodes.iter().find(|node| keywords.contains(&node.keyword.as_str()))
    }

    /// The first below in reading order; depth was bounded when it was parsed.
    fn deep(&self, keywords: &[&str]) -> Option<&Node> {
        let mut open: Vec<&Node> = vec![self];
        while let Some(node) = open.pop() {
            if keywords.contains(&node.keyword.as_str()) {
                return Some(node);
            }
            open.extend(node.nodes.iter().rev());
        }
        None
    }
}

fn parse(text: &str) -> Result<Node> {
    if text.len() > MAX_LEN {
        return Err(fail(text, format!("{} bytes of WKT are too many", text.len())));
    }
    let mut open: Vec<Node> = vec![Node::default()];
    let (mut rest, mut word) = (text, String::new());
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '"' => {
                let (quoted, after) = quoted(rest).ok_or_else(|| fail(text, "a quotation does not end"))?;
                top(&mut open).texts.push(quoted);
                rest = after;
            }
            '[' | '(' => {
                if open.len() > MAX_DEPTH {
                    return Err(fail(text, "it is nested too deep"));
                }
                open.push(Node { keyword: std::mem::take(&mut word).to_ascii_uppercase(), ..Node::default() });
            }
            ']' | ')' | ',' => {
                finish(top(&mut open), &mut word);
                if letter != ',' {
                    let node =
                        open.pop().filter(|_| !open.is_empty()).ok_or_else(|| fail(text, "a bracket too many"))?;
                    top(&mut open).nodes.push(node);
                }
            }
            letter if letter.is_whitespace() => {}
            letter => word.push(letter),
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut root), true) if !root.nodes.is_empty() => Ok(root.nodes.remove(0)),
        _ => Err(fail(text, "it is no WKT, or ends early")),
    }
}

fn top(open: &mut Vec<Node>) -> &mut Node {
    if open.is_empty() {
        open.push(Node::default());
    }
    let last = open.len() - 1;
    &mut open[last]
}

/// A word between commas: a number, or a name like `east`.
fn finish(node: &mut Node, word: &mut String) {
    if let Ok(number) = word.parse() {
        node.numbers.push(number);
    }
    word.clear();
}

/// A text up to its closing quotation mark; two of them are one in the text.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut at = 0;
    loop {
        let end = rest.get(at..)?.find('"')? + at;
        text.push_str(rest.get(at..end)?);
        if !rest[end + 1..].starts_with('"') {
            return Some((text, &rest[end + 1..]));
        }
        text.push('"');
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Crs;

    const ESRI: &str = r#"PROJCS["Albers_x",GEOGCS["GCS_North_American_1983",DATUM["D_North_American_1983",
        SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],
        PROJECTION["Albers"],PARAMETER["False_Easting",0.0],PARAMETER["False_Northing",0.0],
        PARAMETER["Central_Meridian",-96.0],PARAMETER["Standard_Parallel_1",29.5],PARAMETER["Standard_Parallel_2",45.5],
        PARAMETER["Latitude_Of_Origin",23.0],UNIT["Meter",1.0]]"#;

    #[test]
    fn esri_and_feet_and_wkt2() {
        let want = "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +x_0=0 +y_0=0 +a=6378137 +rf=298.257222101 \
                    +units=m +no_defs";
        assert_eq!(wkt_to_proj(ESRI).unwrap(), want);
        let feet = ESRI.replace("UNIT[\"Meter\",1.0]", "UNIT[\"Foot_US\",0.3048006096012192]");
        let feet = feet.replace("\"False_Easting\",0.0", "\"False_Easting\",1000.0");
        let proj = wkt_to_proj(&feet).unwrap();
        assert!(proj.contains("+x_0=304.8006096012192") && proj.contains("+to_meter=0.3048006096012192"), "{proj}");
        for code in [32631u16, 3035, 2154, 3031, 28992, 3395, 4326, 32733, 5070, 6933] {
            let crs = Crs::from_epsg(code).unwrap();
            let again = Crs::from_wkt(&crs.wkt2().unwrap_or_else(|| panic!("{code}"))).unwrap();
            let lonlat = if code == 3031 { [12.0, -75.0] } else { [5.3, 51.0] };
            let [x, y] = crs.from_lonlat(lonlat[0], lonlat[1]).unwrap();
            let [x2, y2] = again.from_lonlat(lonlat[0], lonlat[1]).unwrap();
            assert!((x - x2).abs() < 1e-6 && (y - y2).abs() < 1e-6, "{code}: {x} {y} {x2} {y2} {again:?}");
        }
    }

    #[test]
    fn the_wkt_of_a_code_means_its_proj_string() {
        let (mut seen, mut known) = (0, 0);
        for code in
            [3857u16, 32631, 32733, 3035, 2154, 3031, 3395, 4326, 5070, 2263, 27700, 6933, 3413, 2056, 31370, 4258]
        {
            let Some(text) = Crs::wkt_of_epsg(code) else { continue };
            assert_eq!(wkt_to_epsg(text), Some(code));
            let (crs, again) = (Crs::from_epsg(code).unwrap(), Crs::from_wkt(text).unwrap_or_else(|e| panic!("{e}")));
            seen += 1;
            let place = if code == 3413 {
                [-45.0, 80.0]
            } else if code == 3031 {
                [0.0, -80.0]
            } else {
                [4.0, 52.0]
            };
            let (Ok([x, y]), Ok([x2, y2])) =
                (crs.from_lonlat(place[0], place[1]), again.from_lonlat(place[0], place[1]))
            else {
                continue;
            };
            known += 1;
            assert!((x - x2).abs() < 1e-3 && (y - y2).abs() < 1e-3, "{code}: {x} {y}, {x2} {y2}\n{crs:?}\n{again:?}");
        }
        assert!(seen >= 14 && known >= 12, "{seen} {known}");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let cases = [
            ("", "no WKT"),
            ("PROJCS[\"a", "does not end"),
            ("PROJCS[\"a\"]", "no ellipsoid"),
            ("]]]]", "bracket"),
            (&"A[".repeat(100), "deep"),
            (&ESRI.replace("\"Albers\"", "\"Bonne\""), "`Bonne` is not known"),
            (&ESRI.replace("Latitude_Of_Origin", "Strange"), "`Strange` is not known"),
        ];
        for (text, want) in cases {
            let error = wkt_to_proj(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn codes_are_read() {
        assert_eq!(wkt_to_epsg("GEOGCS[\"WGS 84\",AUTHORITY[\"EPSG\",\"4326\"]]"), Some(4326));
        assert_eq!(wkt_to_epsg("PROJCRS[\"x\",ID[\"EPSG\",32631]]"), Some(32631));
        assert_eq!(wkt_to_epsg(ESRI), None);
    }
}
