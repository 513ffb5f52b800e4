//! The `query` extension of STAC APIs as CQL2: `{"eo:cloud_cover": {"lt": 10}}`.
//! <https://github.com/stac-api-extensions/query>.

use serde_json::{Map, Value, json};

use super::cql::Cql;
use crate::{Error, Result};

/// The same in CQL2.
///
/// # Errors
/// [`Error::Query`] for an operator that the extension has not, and for operands of another kind than it takes.
pub(super) fn to_cql(query: &Map<String, Value>) -> Result<Option<Cql>> {
    let mut all = Vec::new();
    for (name, tests) in query {
        let Value::Object(tests) = tests else {
            return Err(wrong(name, "write an object of operators, like {\"lt\": 10}"));
        };
        for (operator, operand) in tests {
            all.push(test(name, operator, operand)?);
        }
    }
    let whole = match all.len() {
        0 => return Ok(None),
        1 => all.remove(0),
        _ => json!({"op": "and", "args": all}),
    };
    let expr = serde_json::from_value(whole).map_err(|e| wrong("query", &e.to_string()))?;
    Ok(Some(Cql::of(expr)))
}

fn wrong(name: &str, why: &str) -> Error {
    Error::Query { name: name.to_owned(), why: why.to_owned() }
}

fn test(name: &str, operator: &str, operand: &Value) -> Result<Value> {
    let property = json!({"property": name});
    let comparison = |op: &str| Ok(json!({"op": op, "args": [property.clone(), operand]}));
    let like = |before: &str, after: &str| {
        let text = operand.as_str().ok_or_else(|| wrong(name, &format!("`{operator}` takes a text")))?;
        let mut pattern = before.to_owned();
        for c in text.chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push_str(after);
        Ok(json!({"op": "like", "args": [property.clone(), pattern]}))
    };
    match operator {
        "eq" => comparison("="),
        "neq" => comparison("<>"),
        "lt" => comparison("<"),
        "lte" => comparison("<="),
        "gt" => comparison(">"),
        "gte" => comparison(">="),
        "in" if operand.is_array() => comparison("in"),
        "startsWith" => like("", "%"),
        "endsWith" => like("%", ""),
        "contains" => like("%", "%"),
        _ => {
            let known = "eq, neq, lt, lte, gt, gte, startsWith, endsWith, contains, in (with a list)";
            Err(wrong(name, &format!("`{operator}` is not an operator; write one of {known}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use outcrop_stac::RawItem;
    use outcrop_store::Href;

    use super::*;

    fn fits(query: Value) -> bool {
        let json = r#"{"type":"Feature","id":"i","properties":{"cloud":7,"name":"a_b%c"}}"#;
        let item = RawItem::parse(Href::parse("/i.json").unwrap(), json.into()).unwrap();
        let Value::Object(query) = query else { return false };
        to_cql(&query).unwrap().is_none_or(|cql| cql.fits(&item).unwrap())
    }

    #[test]
    fn operators_are_those_of_the_extension() {
        assert!(fits(json!({"cloud": {"lt": 8, "gte": 7, "neq": 6}, "name": {"startsWith": "a_", "contains": "b%"}})));
        assert!(fits(json!({"cloud": {"in": [1, 7]}, "name": {"endsWith": "%c"}})) && fits(json!({})));
        assert!(!fits(json!({"name": {"startsWith": "aX"}})) && !fits(json!({"name": {"contains": "bXc"}})));
        assert!(!fits(json!({"cloud": {"eq": 8}})) && !fits(json!({"missing": {"neq": 8}})));
    }

    #[test]
    fn what_it_has_not_is_refused() {
        for bad in [json!({"cloud": 7}), json!({"cloud": {"like": "x"}}), json!({"cloud": {"startsWith": 7}})] {
            let Value::Object(query) = bad else { continue };
            assert!(to_cql(&query).is_err());
        }
    }
}
