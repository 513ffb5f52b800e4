//! Checks and migrates the documents of a source one after the other.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};
use outcrop_stac::validate::{Fault, Validator};
use outcrop_stac::{Loaded, WalkOptions, migrate, walk_from};
use outcrop_store::{Href, Store, publish};
use serde_json::Value;

use crate::search::{SearchOptions, Source, search_raw};
use crate::{Error, Result};

/// A document of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Where it lives; of an item in a file of items with its id behind `#`.
    pub name: String,
    /// The place of a document of its own; `None` for an item in a file of items.
    pub href: Option<Href>,
    /// Its JSON.
    pub json: Value,
}

/// Where schemas come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schemas {
    /// Out of the program alone.
    #[default]
    AtHand,
    /// Those that are not in the program from their address.
    Online,
}

/// What a check of a whole source found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validity {
    /// Documents that were checked.
    pub documents: u64,
    /// Documents with faults.
    pub invalid: u64,
    /// Documents of which nothing is known: the schema of their kind and version is not at hand.
    pub unchecked: u64,
    /// Schemas that were named and are not at hand, and how many documents name them.
    pub unknown: BTreeMap<String, u64>,
}

/// Streams the documents of a source: catalogs, collections and items of a catalog, the items of anything else.
pub fn parts(store: &Store, source: &Source) -> BoxStream<'static, Result<Part>> {
    let (store, source) = (store.clone(), source.clone());
    futures::stream::once(async move { open(&store, &source).await }).flatten().boxed()
}

async fn open(store: &Store, source: &Source) -> BoxStream<'static, Result<Part>> {
    let name = source.href.file_name().unwrap_or_default().to_ascii_lowercase();
    let is_document = !source.is_standard_input()
        && source.id.is_none()
        && (!name.contains('.') || name.ends_with(".json") || name.ends_with(".geojson"));
    if is_document
        && let Ok(first) = outcrop_stac::load(store, &source.href).await
        && is_of_catalog(&first)
    {
        let nodes = walk_from(store, first, WalkOptions::default(), Arc::new(|_| true));
        return nodes.map(|node| part(node?.loaded)).boxed();
    }
    let items = search_raw(store, source, &SearchOptions::default());
    let of_file = |found: Result<crate::Found>| {
        let item = found?.item;
        Ok(Part { name: format!("{}#{}", item.href(), item.id()), href: None, json: item.to_value()? })
    };
    items.map(of_file).boxed()
}

/// True for an item or a static catalog, whose documents live each at a place of its own.
fn is_of_catalog(first: &Loaded) -> bool {
    match first {
        Loaded::Item(_) => true,
        Loaded::Items(..) => false,
        Loaded::Other(document) => document.body().get("conformsTo").is_none(),
    }
}

fn part(loaded: Loaded) -> Result<Part> {
    let href = loaded.href().clone();
    let json = match loaded {
        Loaded::Item(item) => item.to_value()?,
        Loaded::Other(document) if document.cut_links() > 0 => {
            let why = format!("it has {} links, too many to be checked or rewritten", document.cut_links());
            return Err(outcrop_stac::Error::NotStac { href, why }.into());
        }
        other => Value::Object(other.into_document()?.body().clone()),
    };
    Ok(Part { name: href.to_string(), href: Some(href), json })
}

/// Checks every document of a source against the schemas of its version and extensions; `told` is given each that has
/// faults, and each that cannot be read.
///
/// Schemas that are not in the program are fetched if so wanted, else counted.
///
/// # Errors
/// A source that cannot be read at all.
pub async fn validate(
    store: &Store,
    source: &Source,
    schemas: Schemas,
    mut told: impl FnMut(&str, std::result::Result<&[Fault], &Error>),
) -> Result<Validity> {
    let mut validator = Validator::new();
    let (mut validity, mut first) = (Validity::default(), None);
    let mut asked = std::collections::BTreeSet::new();
    let mut parts = pin!(parts(store, source));
    while let Some(part) = parts.next().await {
        let part = match part {
            Ok(part) => part,
            Err(error) if validity.documents == 0 && first.is_none() => {
                first = Some(error);
                continue;
            }
            Err(error) => {
                validity.invalid += 1;
                told(&source.href.to_string(), Err(&error));
                continue;
            }
        };
        validity.documents += 1;
        let mut checked = validator.check(&part.json);
        if schemas == Schemas::Online && checked.unknown.iter().any(|address| asked.insert(address.clone())) {
            for address in &checked.unknown {
                let Ok(href) = Href::parse(address) else { continue };
                let Ok(bytes) = store.get(&href).await else { continue };
                if let Ok(schema) = serde_json::from_slice(&bytes) {
                    validator.add(address, schema);
                }
            }
            checked = validator.check(&part.json);
        }
        for address in checked.unknown {
            *validity.unknown.entry(address).or_default() += 1;
        }
        if !checked.faults.is_empty() {
            validity.invalid += 1;
            told(&part.name, Ok(&checked.faults));
        } else if checked.is_unchecked {
            validity.unchecked += 1;
        }
    }
    match first {
        Some(error) if validity.documents == 0 => Err(error),
        Some(error) => {
            validity.invalid += 1;
            told(&source.href.to_string(), Err(&error));
            Ok(validity)
        }
        None => Ok(validity),
    }
}

/// What a migration did.
#[derive(Debug, Default)]
pub struct MigrateReport {
    /// Documents that were read.
    pub documents: u64,
    /// Of these, documents that were changed.
    pub changed: u64,
    /// What stayed as it was, and why: the document and the reason.
    pub told: Vec<(String, String)>,
    /// Documents that could not be read.
    pub failed: Vec<Error>,
}

/// Rewrites the documents of a local catalog in STAC 1.1 where they lie, each atomically; what is of 1.1 already is not
/// touched.
///
/// # Errors
/// [`Error::Stac`] if the catalog is not of this machine, cannot be read at all, or a document cannot be written.
pub async fn migrate_in_place(store: &Store, source: &Source) -> Result<MigrateReport> {
    if !source.href.is_local() || source.is_standard_input() {
        let href = source.href.clone();
        let read_only = outcrop_store::Error::ReadOnly { href: href.clone() };
        return Err(outcrop_stac::Error::Write { href, source: read_only }.into());
    }
    let mut report = MigrateReport::default();
    let mut parts = pin!(parts(store, source));
    while let Some(part) = parts.next().await {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                report.failed.push(error);
                continue;
            }
        };
        report.documents += 1;
        let (Some(href), Value::Object(body)) = (&part.href, &part.json) else {
            let why = "it is an item of a file of items; write those to a new file with -o".to_owned();
            report.told.push((part.name, why));
            continue;
        };
        let (new, told) = migrate(body.clone());
        report.told.extend(told.into_iter().map(|why| (part.name.clone(), why)));
        if new == *body {
            continue;
        }
        report.changed += 1;
        let failed = |source| outcrop_stac::Error::Write { href: href.clone(), source };
        let bytes = serde_json::to_vec_pretty(&new).unwrap_or_default();
        publish::write(&href.to_path().unwrap_or_default(), &bytes).map_err(failed)?;
    }
    if report.documents == 0
        && let Some(first) = report.failed.pop()
    {
        return Err(first);
    }
    Ok(report)
}

/// The items of a source in STAC 1.1, one JSON text each, given to `take`; catalogs and collections are left out.
///
/// # Errors
/// A source that cannot be read at all, and those of `take`.
pub async fn migrate_items<E: From<Error>>(
    store: &Store,
    source: &Source,
    mut take: impl FnMut(String) -> std::result::Result<(), E>,
) -> std::result::Result<MigrateReport, E> {
    let mut report = MigrateReport::default();
    let mut items = pin!(search_raw(store, source, &SearchOptions::default()));
    while let Some(found) = items.next().await {
        let portable = found.and_then(|found| Ok((found.item.id().into_owned(), found.item.to_portable()?)));
        let (id, bytes) = match portable {
            Ok(portable) => portable,
            Err(error) => {
                report.failed.push(error);
                continue;
            }
        };
        report.documents += 1;
        let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let (new, told) = migrate(body.clone());
        report.told.extend(told.into_iter().map(|why| (id.clone(), why)));
        report.changed += u64::from(new != body);
        take(Value::Object(new).to_string())?;
    }
    match report.failed.pop() {
        Some(first) if report.documents == 0 => Err(first.into()),
        Some(first) => {
            report.failed.push(first);
            Ok(report)
        }
        None => Ok(report),
    }
}

#[cfg(test)]
mod tests {
    use outcrop_stac::Kind;

    use super::*;

    #[test]
    fn an_api_is_no_catalog_of_documents() {
        let of = |json: &str| {
            let href = Href::parse("https://h/c.json").unwrap();
            let document = outcrop_stac::parse(href, &bytes::Bytes::copy_from_slice(json.as_bytes())).unwrap();
            assert_eq!(document.kind(), Kind::Catalog);
            is_of_catalog(&Loaded::Other(document))
        };
        assert!(of(r#"{"type":"Catalog","id":"a","stac_version":"1.0.0","links":[]}"#));
        assert!(!of(r#"{"type":"Catalog","id":"a","stac_version":"1.0.0","links":[],"conformsTo":[]}"#));
    }
}
