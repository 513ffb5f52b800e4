//! One file a command.

pub(crate) mod build;
pub(crate) mod collections;
pub(crate) mod convert;
pub(crate) mod describe;
pub(crate) mod doctor;
pub(crate) mod fetch;
pub(crate) mod harvest;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod migrate;
pub(crate) mod plot;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod validate;

use std::fmt::Display;
use std::str::FromStr;

use outcrop_catalog::{Cql, SearchOptions, Source};
use outcrop_store::Href;
use serde_json::{Map, Value};

use crate::args::Selection;
use crate::failure::Failure;

/// The selection options as a search.
pub(crate) fn search_options(selection: &Selection) -> Result<SearchOptions, Failure> {
    let bbox = "--bbox=-68,16,-64,20";
    Ok(SearchOptions {
        ids: selection.ids.clone(),
        collections: selection.collections.clone(),
        bbox: parsed("--bbox", selection.bbox.as_deref(), bbox)?,
        heights: selection.bbox.as_deref().and_then(heights),
        intersects: selection.intersects.as_deref().map(geometry).transpose()?,
        datetime: parsed("--datetime", selection.datetime.as_deref(), "--datetime 2000-01-31/2000-06")?,
        filter: selection.filter.as_deref().map(Cql::parse).transpose()?,
        query: query(&selection.query)?,
        max_items: selection.max_items,
        ..SearchOptions::default()
    })
}

fn parsed<T: FromStr<Err: Display>>(flag: &str, text: Option<&str>, example: &str) -> Result<Option<T>, Failure> {
    let wrong = |error| Failure::usage(format!("{flag}: {error}"), format!("write it like {example}"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// The heights of a box of six numbers.
fn heights(bbox: &str) -> Option<[f64; 2]> {
    let numbers: Vec<f64> = bbox.split([',', ' ']).filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [_, _, lowest, _, _, highest] => Some([lowest, highest]),
        _ => None,
    }
}

/// A geometry as it stands, or out of a file.
fn geometry(text: &str) -> Result<Value, Failure> {
    let wrong =
        |why: String| Failure::usage(format!("--intersects: {why}"), "give a geometry of GeoJSON, or a file of it");
    let json = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|e| wrong(format!("cannot read `{text}`: {e}")))?
    };
    serde_json::from_str(&json).map_err(|e| wrong(e.to_string()))
}

/// Tests of properties as the `query` extension writes them.
fn query(tests: &[String]) -> Result<Option<Map<String, Value>>, Failure> {
    const OPERATORS: [(&str, &str); 6] =
        [("<=", "lte"), (">=", "gte"), ("!=", "neq"), ("=", "eq"), ("<", "lt"), (">", "gt")];
    let wrong = |test: &str| {
        let hint = "write it like eo:cloud_cover<10, platform=sentinel-2a or {\"eo:cloud_cover\": {\"lt\": 10}}";
        Failure::usage(format!("--query: `{test}` is not a test of a property"), hint)
    };
    let mut all = Map::new();
    for test in tests {
        if test.trim_start().starts_with('{') {
            let object: Map<String, Value> = serde_json::from_str(test).map_err(|_| wrong(test))?;
            all.extend(object);
            continue;
        }
        let first = test.find(['<', '>', '=', '!']).ok_or_else(|| wrong(test))?;
        let (name, rest) = test.split_at(first);
        let found = OPERATORS.iter().find_map(|(sign, name)| Some((name, rest.strip_prefix(sign)?)));
        let (operator, operand) = found.filter(|_| !name.trim().is_empty()).ok_or_else(|| wrong(test))?;
        let operand = operand.trim();
        let value = serde_json::from_str(operand).unwrap_or_else(|_| Value::String(operand.to_owned()));
        let tests = all.entry(name.trim()).or_insert_with(|| Value::Object(Map::new()));
        tests[*operator] = value;
    }
    Ok((!all.is_empty()).then_some(all))
}

/// A source as the user names it: absolute, a folder as a folder.
pub(crate) fn source(text: &str) -> Result<Source, Failure> {
    let mut source = Source::parse(text)?;
    if !source.is_standard_input() {
        source.href = located(&source.href);
    }
    Ok(source)
}

/// An href as the user names it: absolute, a local folder with a slash at the end, and so what is taken for one in a
/// bucket, where nothing tells: a name without a dot.
pub(crate) fn located(href: &Href) -> Href {
    let href = href.absolute();
    let is_bare = href.is_of_bucket() && !href.file_name().unwrap_or_default().contains('.');
    if is_bare || href.to_path().is_some_and(|path| path.is_dir()) { href.as_folder() } else { href }
}

/// A folder that is to be written, absolute.
pub(crate) fn folder(text: &str) -> Result<Href, Failure> {
    let href = Href::parse(text)?;
    if !href.is_local() {
        return Err(Failure::usage(format!("cannot write to `{href}`"), "name a local folder"));
    }
    Ok(href.absolute().as_folder())
}
