//! Filters in CQL2, text or JSON, decided for one item: <https://docs.ogc.org/is/21-065r2/21-065r2.html>.
//!
//! The crate `cql2` parses and evaluates. Here is what makes its answers those of a server over the same items: names are
//! looked up as STAC has them, times are compared as times, and what is no value of CQL2 is never taken for an expression.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use cql2::Expr;
use outcrop_grid::interval::parse_time;
use outcrop_grid::time::rfc3339;
use outcrop_stac::RawItem;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Fields of an item beside its properties.
const TOP: [&str; 5] = ["id", "collection", "geometry", "bbox", "stac_version"];
/// Deepest expression.
const DEEPEST: usize = 200;
/// Most rules that are tried for a text, and for each of its bytes: a long list or geometry needs about 100.
const MOST_CALLS: usize = 2_000_000;
const CALLS_A_BYTE: usize = 1000;

/// An expression that is decided for items.
#[derive(Debug, Clone)]
pub struct Cql {
    /// As it was given, for a server.
    given: Expr,
    /// With times as times.
    ready: Expr,
    names: BTreeSet<String>,
}

impl Cql {
    /// Parses CQL2: JSON if it begins with a brace, else text.
    ///
    /// # Errors
    /// [`Error::Filter`] that shows where the text is wrong.
    ///
    /// # Examples
    /// ```
    /// let filter = outcrop_catalog::Cql::parse("eo:cloud_cover < 10 AND platform = 'sentinel-2a'")?;
    /// assert!(filter.to_json()["op"] == "and");
    /// # Ok::<(), outcrop_catalog::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: String| Error::Filter { filter: text.to_owned(), why };
        let deep = text.bytes().fold((0usize, 0usize), |(depth, most), byte| match byte {
            b'(' | b'[' | b'{' => (depth + 1, most.max(depth + 1)),
            b')' | b']' | b'}' => (depth.saturating_sub(1), most),
            _ => (depth, most),
        });
        if deep.1 > DEEPEST {
            return Err(wrong(format!("it is nested more than {DEEPEST} deep")));
        }
        // The grammar goes back and forth: what is not closed would take a second more for each bracket, then two, then four.
        pest::set_call_limit(NonZeroUsize::new(MOST_CALLS + CALLS_A_BYTE * text.len()));
        let expr: Expr = if text.trim_start().starts_with('{') {
            cql2::parse_json(text).map_err(|e| wrong(e.to_string()))?
        } else {
            cql2::parse_text(text).map_err(|e| wrong(e.to_string()))?
        };
        check(&expr).map_err(wrong)?;
        Ok(Self::of(expr))
    }

    pub(crate) fn of(expr: Expr) -> Self {
        let mut names = BTreeSet::new();
        collect(&expr, &mut names);
        Self { ready: ready(expr.clone()), given: expr, names }
    }

    /// True if the item fits; what is unknown (a property that is not there) does not.
    ///
    /// # Errors
    /// [`Error::Filter`] for operands that the operator cannot take.
    pub fn fits(&self, item: &RawItem) -> Result<bool> {
        let record = self.record(item)?;
        let reduced = self.ready.clone().reduce(Some(&record));
        let wrong =
            |e: cql2::Error| Error::Filter { filter: self.to_text(), why: format!("item `{}`: {e}", item.id()) };
        Ok(reduced.map_err(wrong)?.is_true())
    }

    /// What the expression names, as `cql2` looks it up: dots lead into objects, so a name with dots is put there.
    fn record(&self, item: &RawItem) -> Result<Value> {
        let all = item.to_value()?;
        let mut record = Map::new();
        for name in &self.names {
            put(&mut record, name, plain(name, lookup(&all, name)));
        }
        Ok(Value::Object(record))
    }

    /// As CQL2 JSON.
    pub fn to_json(&self) -> Value {
        self.given.to_value().unwrap_or_default()
    }

    /// As CQL2 text.
    pub fn to_text(&self) -> String {
        self.given.to_text().unwrap_or_default()
    }
}

/// A property by its whole name first, then by its path; else a field of the item.
fn lookup<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    let short = name.strip_prefix("properties.").unwrap_or(name);
    let properties = item.get("properties");
    let by_path = |from: &'a Value| short.split('.').try_fold(from, |value, step| value.get(step));
    if TOP.contains(&name) {
        return item.get(name);
    }
    properties.and_then(|all| all.get(short).or_else(|| by_path(all))).or_else(|| by_path(item))
}

/// The value as one of CQL2: an object that is no geometry is a text, so that it cannot be an expression.
fn plain(name: &str, value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => Value::Null,
        Some(geometry @ Value::Object(_)) if name == "geometry" || name.ends_with(":geometry") => geometry.clone(),
        Some(object @ Value::Object(_)) => Value::String(object.to_string()),
        Some(Value::Array(values)) => values.iter().map(|value| plain("", Some(value))).collect(),
        Some(other) => other.clone(),
    }
}

fn put(record: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => drop(record.insert(name.to_owned(), value)),
        Some((first, rest)) => {
            let inner = record.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn collect(expr: &Expr, names: &mut BTreeSet<String>) {
    match expr {
        Expr::Property { property } => drop(names.insert(property.clone())),
        Expr::Operation { args, .. }
        | Expr::Array(args)
        | Expr::Interval { interval: args }
        | Expr::BBox { bbox: args } => {
            for arg in args {
                collect(arg, names);
            }
        }
        Expr::Timestamp { timestamp: inner } | Expr::Date { date: inner } => collect(inner, names),
        _ => {}
    }
}

/// Operators that are true or false, and their operands: at least and at most.
const TRUE_OR_FALSE: [(&str, usize, usize); 40] = [
    ("and", 2, usize::MAX),
    ("or", 2, usize::MAX),
    ("not", 1, 1),
    ("=", 2, 2),
    ("<>", 2, 2),
    ("<", 2, 2),
    (">", 2, 2),
    ("<=", 2, 2),
    (">=", 2, 2),
    ("like", 2, 2),
    ("between", 3, 3),
    ("in", 2, usize::MAX),
    ("isNull", 1, 1),
    ("s_contains", 2, 2),
    ("s_crosses", 2, 2),
    ("s_disjoint", 2, 2),
    ("s_equals", 2, 2),
    ("s_intersects", 2, 2),
    ("s_overlaps", 2, 2),
    ("s_touches", 2, 2),
    ("s_within", 2, 2),
    ("t_after", 2, 2),
    ("t_before", 2, 2),
    ("t_contains", 2, 2),
    ("t_disjoint", 2, 2),
    ("t_during", 2, 2),
    ("t_equals", 2, 2),
    ("t_finishedBy", 2, 2),
    ("t_finishes", 2, 2),
    ("t_intersects", 2, 2),
    ("t_meets", 2, 2),
    ("t_metBy", 2, 2),
    ("t_overlappedBy", 2, 2),
    ("t_overlaps", 2, 2),
    ("t_startedBy", 2, 2),
    ("t_starts", 2, 2),
    ("a_containedBy", 2, 2),
    ("a_contains", 2, 2),
    ("a_equals", 2, 2),
    ("a_overlaps", 2, 2),
];
/// Operators that give a value.
const VALUES: [&str; 9] = ["+", "-", "*", "/", "%", "div", "^", "casei", "accenti"];

/// Refuses what can never be true or false. Operators that are not of CQL2 are functions, which the evaluation decides.
fn check(expr: &Expr) -> std::result::Result<(), String> {
    let no_truth = || "it is no expression of CQL2 that is true or false".to_owned();
    let Expr::Operation { op, args } = expr else {
        return if matches!(expr, Expr::Bool(_)) { Ok(()) } else { Err(no_truth()) };
    };
    if VALUES.iter().any(|value| value.eq_ignore_ascii_case(op)) {
        return Err(no_truth());
    }
    let Some((name, least, most)) = TRUE_OR_FALSE.iter().find(|(name, ..)| name.eq_ignore_ascii_case(op)) else {
        return Ok(());
    };
    if !(*least..=*most).contains(&args.len()) {
        return Err(format!("`{op}` cannot take {} operands", args.len()));
    }
    if matches!(*name, "and" | "or" | "not") { args.iter().try_for_each(|arg| check(arg)) } else { Ok(()) }
}

/// The expression with times as times: texts of times become timestamps where a property of time stands beside them, and
/// `BETWEEN`, which `cql2` decides by the order of texts, becomes two comparisons.
fn ready(expr: Expr) -> Expr {
    let (op, args) = match expr {
        Expr::Operation { op, args } => (op, args),
        Expr::Interval { mut interval } => {
            whole_days(&mut interval);
            return Expr::Interval { interval };
        }
        other => return other,
    };
    let args: Vec<Box<Expr>> = args.into_iter().map(|arg| Box::new(ready(*arg))).collect();
    if op == "between" && args.len() == 3 {
        let mut args = args.into_iter();
        let (Some(value), Some(low), Some(high)) = (args.next(), args.next(), args.next()) else {
            return Expr::Null;
        };
        let side = |op: &str, bound| ready(Expr::Operation { op: op.to_owned(), args: vec![value.clone(), bound] });
        let sides = vec![Box::new(side(">=", low)), Box::new(side("<=", high))];
        return Expr::Operation { op: "and".to_owned(), args: sides };
    }
    let is_comparison = matches!(op.as_str(), "=" | "<>" | "<" | "<=" | ">" | ">=");
    let args = match (is_comparison, args.as_slice()) {
        (true, [left, right]) => {
            let (left, right) = (timed(left, right), timed(right, left));
            vec![Box::new(left), Box::new(right)]
        }
        _ => args,
    };
    Expr::Operation { op, args }
}

/// The bounds of an interval; one that ends with a day ends with the last moment of it.
fn whole_days(bounds: &mut [Box<Expr>]) {
    let text = |bound: &Expr| match bound {
        Expr::Literal(text) => Some(text.clone()),
        Expr::Date { date } => match date.as_ref() {
            Expr::Literal(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    if let [_, end] = bounds
        && let Some(day) = text(end).filter(|text| text.len() == 10)
    {
        **end = Expr::Literal(format!("{day}T23:59:59.999999999Z"));
    }
}

/// True for the name of a property whose texts are times.
pub(super) fn is_time(name: &str) -> bool {
    let last = name.rsplit(['.', ':']).next().unwrap_or(name);
    last.ends_with("datetime") || matches!(last, "created" | "updated" | "published" | "expires" | "unpublished")
}

/// The operand, as a time where the other one is a property of time.
fn timed(operand: &Expr, beside: &Expr) -> Expr {
    match (operand, beside) {
        (Expr::Literal(text), Expr::Property { property }) if is_time(property) => match parse_time(text) {
            // The schema wants timestamps in UTC.
            Some(time) => Expr::Timestamp { timestamp: Box::new(Expr::Literal(rfc3339(&time))) },
            None => operand.clone(),
        },
        _ => operand.clone(),
    }
}

#[cfg(test)]
mod tests {
    use outcrop_store::Href;

    use super::*;

    fn item() -> RawItem {
        let json = r#"{"type":"Feature","id":"i","collection":"c","bbox":[0,0,1,1],
            "geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]},
            "properties":{"datetime":"2020-06-01T00:00:00.000Z","eo:cloud_cover":7.5,"a.b":1,"n":{"m":2},"none":null,
            "tags":["x","y"],"evil":{"op":"=","args":[1,1]},"name":"Großer Ort","yes":true}}"#;
        RawItem::parse(Href::parse("/i.json").unwrap(), json.into()).unwrap()
    }

    fn fits(text: &str) -> bool {
        Cql::parse(text).unwrap().fits(&item()).unwrap()
    }

    #[test]
    fn names_are_those_of_stac() {
        for yes in [
            "eo:cloud_cover < 10",
            "\"eo:cloud_cover\" = 7.5",
            "id = 'i' AND collection = 'c'",
            "\"a.b\" = 1",
            "n.m = 2",
            "properties.n.m = 2",
            "yes = true",
            "name LIKE 'Gro%'",
            "CASEI(name) = CASEI('GROßER ORT')",
            "collection IN ('c', 'd')",
            "a_contains(tags, ('x'))",
            "evil IS NOT NULL",
            "none IS NULL",
            "missing IS NULL",
        ] {
            assert!(fits(yes), "{yes}");
        }
        for no in [
            "eo:cloud_cover > 10",
            "missing = 1",
            "NOT missing = 1",
            "missing <> 1",
            "none < 1",
            "name = 'x'",
            "id = 7",
        ] {
            assert!(!fits(no), "{no}");
        }
    }

    #[test]
    fn times_are_compared_as_times() {
        for yes in [
            "datetime = TIMESTAMP('2020-06-01T00:00:00Z')",
            "datetime = '2020-06-01T02:00:00+02:00'",
            "datetime BETWEEN TIMESTAMP('2020-01-01T00:00:00Z') AND TIMESTAMP('2021-01-01T00:00:00Z')",
            "datetime >= DATE('2020-06-01')",
            "eo:cloud_cover BETWEEN 7 AND 8",
            "T_AFTER(datetime, TIMESTAMP('2020-05-31T00:00:00Z'))",
            "T_INTERSECTS(datetime, INTERVAL('2020-05-01', '2020-06-01'))",
            "T_INTERSECTS(datetime, INTERVAL('2020-06-01', '..'))",
        ] {
            assert!(fits(yes), "{yes}");
        }
        assert!(!fits("datetime BETWEEN TIMESTAMP('2021-01-01T00:00:00Z') AND TIMESTAMP('2022-01-01T00:00:00Z')"));
    }

    #[test]
    fn geometries_and_json() {
        assert!(fits("S_INTERSECTS(geometry, POLYGON((0.5 0.5, 2 0.5, 2 2, 0.5 2, 0.5 0.5)))"));
        assert!(!fits("S_INTERSECTS(geometry, POINT(5 5))"));
        assert!(fits("S_INTERSECTS(geometry, BBOX(0.5, 0.5, 2, 2))"));
        assert!(fits(r#"{"op": "<=", "args": [{"property": "eo:cloud_cover"}, 8]}"#));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for bad in [
            "eo:cloud_cover <",
            "",
            "{\"op\": 1}",
            "'a'",
            "eo:cloud_cover",
            "1 + 2",
            "a = 1 AND 'b'",
            "NOT CASEI(name)",
            r#"{"op": "=", "args": [1]}"#,
            r#"{"op": "between", "args": [{"property": "a"}, 1]}"#,
            r#"{"op": "and", "args": [{"op": "+", "args": [1, 2]}, true]}"#,
        ] {
            assert!(Cql::parse(bad).is_err(), "{bad}");
        }
        assert!(Cql::parse(&format!("{}a = 1{}", "(".repeat(5000), ")".repeat(5000))).is_err());
        // Found by the fuzzer: it would take longer than the age of the Earth.
        assert!(Cql::parse(&format!("{}a = 1", "(".repeat(100))).is_err());
        let many: Vec<String> = (0..20_000).map(|n| format!("'item-{n}'")).collect();
        assert!(Cql::parse(&format!("id IN ({})", many.join(", "))).is_ok());
        let points: Vec<String> = (0..20_000).map(|n| format!("{} {}", f64::from(n) / 200.0, n % 80)).collect();
        assert!(Cql::parse(&format!("S_INTERSECTS(geometry, LINESTRING({}))", points.join(", "))).is_ok());
    }
}
