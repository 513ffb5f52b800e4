//! Builds a catalog from a recipe.

use std::time::Instant;

use futures::stream::{self, StreamExt};
use outcrop_formats::REFERENCES;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::{Body, Kind, TreeWriter, WriteOptions, document_href};
use outcrop_store::progress::{Sink, Unit};
use outcrop_store::{Href, Store, publish, safe_name};
use serde_json::{Value, json};

use crate::extent;
use crate::header::{self, Wanted};
use crate::item::{self, Opened};
use crate::recipe::{CollectionRecipe, ItemPlan, Recipe, count, from_listing, from_templates, item_variables};
use crate::{Error, Result};

/// How a catalog is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Where progress goes.
    pub progress: Sink,
    /// Items whose headers are read at once (default 16, at least 1).
    pub concurrency: usize,
    /// Chunk references of every file are kept beside its item (`KEY.refs`), so that opening it later needs one request.
    pub references: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { progress: Sink::default(), concurrency: 16, references: false }
    }
}

/// Something that was left out, and why.
#[derive(Debug)]
pub struct Failed {
    /// Href of the file, or id of the item.
    pub what: String,
    /// The reason; its `source` holds the causes.
    pub why: Error,
}

/// What a build did.
#[derive(Debug, Default)]
pub struct BuildReport {
    /// Items written.
    pub items: u64,
    /// Their assets.
    pub assets: u64,
    /// Documents of the catalog.
    pub documents: u64,
    /// Documents that were there already with the same bytes.
    pub unchanged: u64,
    /// What was left out.
    pub failed: Vec<Failed>,
    /// Wall clock.
    pub seconds: f64,
    /// Bytes read of the archive: listings and headers.
    pub bytes_read: u64,
}

/// Builds the catalog of a recipe in the local folder `to`. Running it again gives the same bytes.
///
/// A file that cannot be read is left out and reported, an item without any file too; the rest goes on.
///
/// # Errors
/// [`Error::List`] and [`Error::NothingFits`] for the archive, [`Error::OtherCatalog`] for the destination,
/// [`Error::Stac`] if documents cannot be written.
pub async fn build(store: &Store, recipe: &Recipe, to: &Href, options: &BuildOptions) -> Result<BuildReport> {
    let (start, before) = (Instant::now(), store.stats());
    check_destination(store, recipe, to).await?;
    let mut run = Run::new(recipe, to)?;
    let wanted = Wanted { fields: &recipe.headers.fields, references: options.references };
    let names = item_variables(recipe);
    let (total, plans) = plans(store, recipe, &names, &mut run.report).await?;
    let progress = options.progress.begin("items", Some(total), Unit::Count);
    let mut opened = stream::iter(plans)
        .map(|plan| async move {
            match plan {
                Ok(plan) => Ok(open(store, plan, wanted).await),
                Err(error) => Err(error),
            }
        })
        .buffered(options.concurrency.max(1));
    while let Some(item) = opened.next().await {
        run.add(recipe, item)?;
        progress.advance(1);
    }
    let mut report = run.finish(recipe)?;
    let after = store.stats();
    report.bytes_read = (after.remote_bytes - before.remote_bytes) + (after.local_bytes - before.local_bytes);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

async fn check_destination(store: &Store, recipe: &Recipe, to: &Href) -> Result<()> {
    for kind in [Kind::Catalog, Kind::Collection] {
        let href = document_href(to, &[], kind)?;
        if href.to_path().is_none_or(|path| !path.exists()) {
            continue;
        }
        let found = outcrop_stac::read(store, &href).await?.id().to_owned();
        if found != recipe.id {
            return Err(Error::OtherCatalog { href, found, wanted: recipe.id.clone() });
        }
    }
    Ok(())
}

/// The items to make, one at a time, and how many.
type Plans<'a> = (u64, Box<dyn Iterator<Item = Result<ItemPlan>> + Send + 'a>);

async fn plans<'a>(
    store: &Store,
    recipe: &'a Recipe,
    names: &'a [String],
    report: &mut BuildReport,
) -> Result<Plans<'a>> {
    if recipe.listing.is_none() {
        return Ok((count(recipe, names), Box::new(from_templates(recipe, names))));
    }
    let listed = from_listing(store, recipe).await?;
    report.failed.extend(listed.failed.into_iter().map(|why| Failed { what: what(&why, &recipe.id), why }));
    Ok((listed.items.len() as u64, Box::new(listed.items.into_iter().map(Ok))))
}

/// An item whose files were opened, and those that could not be.
type OpenedItem = (ItemPlan, Vec<Opened>, Vec<Failed>);

async fn open(store: &Store, plan: ItemPlan, wanted: Wanted<'_>) -> OpenedItem {
    if wanted.fields.is_empty() && !wanted.references {
        let assets = plan.assets.iter().map(|asset| (asset.clone(), None)).collect();
        return (plan, assets, Vec::new());
    }
    let reads = plan.assets.iter().map(|asset| header::read(store, &asset.href, wanted));
    let headers = futures::future::join_all(reads).await;
    let (mut assets, mut failed) = (Vec::new(), Vec::new());
    for (asset, header) in plan.assets.iter().zip(headers) {
        match header {
            Ok(header) => assets.push((asset.clone(), Some(header))),
            Err(why) => failed.push(Failed { what: asset.href.to_string(), why }),
        }
    }
    (plan, assets, failed)
}

fn what(error: &Error, otherwise: &str) -> String {
    match error {
        Error::Header { href, .. } | Error::NoField { href, .. } | Error::List { href, .. } => href.to_string(),
        Error::Item { item, .. } => item.clone(),
        _ => otherwise.to_owned(),
    }
}

/// A build under way: the writer, the extents so far, the report.
struct Run {
    writer: TreeWriter,
    report: BuildReport,
    bbox: Option<BBox>,
    interval: Option<Interval>,
    to: Href,
    /// Files of references, flushed before the catalog is published.
    references: publish::Batch,
}

impl Run {
    fn new(recipe: &Recipe, to: &Href) -> Result<Self> {
        let mut write = WriteOptions::new(to.clone());
        write.layout = recipe.layout.clone();
        write.published = recipe.published;
        write.root_href = match &recipe.root_href {
            Some(href) => {
                Some(Href::parse(href).map_err(|source| Error::Source { source_text: href.clone(), source })?)
            }
            None => None,
        };
        let writer = TreeWriter::new(root(recipe), write)?;
        Ok(Self {
            writer,
            report: BuildReport::default(),
            bbox: None,
            interval: None,
            to: to.clone(),
            references: publish::Batch::default(),
        })
    }

    fn add(&mut self, recipe: &Recipe, item: Result<OpenedItem>) -> Result<()> {
        let (plan, assets, failed) = match item {
            Ok(opened) => opened,
            Err(why) => {
                self.report.failed.push(Failed { what: what(&why, &recipe.id), why });
                return Ok(());
            }
        };
        self.report.failed.extend(failed);
        if assets.is_empty() {
            let why = Error::Item { item: plan.id.clone(), why: "none of its files could be read".into() };
            self.report.failed.push(Failed { what: plan.id, why });
            return Ok(());
        }
        let mut body = match item::body(recipe, &plan, &assets) {
            Ok(body) => body,
            Err(why) => {
                self.report.failed.push(Failed { what: plan.id, why });
                return Ok(());
            }
        };
        match self.keep_references(recipe, &mut body, &assets) {
            Ok(()) => {}
            Err(error @ Error::References { source: outcrop_store::Error::Io { .. }, .. }) => return Err(error),
            Err(why) => {
                self.report.failed.push(Failed { what: plan.id, why });
                return Ok(());
            }
        }
        self.extend(&body);
        match self.writer.add(body) {
            Ok(()) => self.report.assets += assets.len() as u64,
            // A disk that is full ends the build, an item that cannot be placed does not.
            Err(error @ outcrop_stac::Error::Write { .. }) => return Err(error.into()),
            Err(error) => self.report.failed.push(Failed { what: plan.id, why: error.into() }),
        }
        Ok(())
    }

    /// Writes the references of an item's files beside its document, and their names into its assets.
    fn keep_references(&mut self, recipe: &Recipe, body: &mut Body, assets: &[Opened]) -> Result<()> {
        let with = |(asset, header): &Opened| Some((asset.key.clone(), header.as_ref()?.references()?.to_vec()));
        let kept: Vec<(String, Vec<u8>)> = assets.iter().filter_map(with).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let values = recipe.layout.values(body)?;
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let path: Vec<&str> = values.iter().map(String::as_str).chain([id.as_str()]).collect();
        let document = document_href(&self.to, &path, Kind::Item)?;
        for (key, bytes) in kept {
            let name = format!("{key}.refs");
            let failed = |source| Error::References { what: format!("asset `{key}` of item `{id}`"), source };
            let href = safe_name(&name).and_then(|name| document.join(name)).map_err(failed)?;
            let path = href.to_path().ok_or_else(|| failed(outcrop_store::Error::ReadOnly { href: href.clone() }))?;
            self.references.write(&path, &bytes).map_err(failed)?;
            if let Some(asset) = body.get_mut("assets").and_then(|assets| assets.get_mut(&key)) {
                asset[REFERENCES] = name.into();
            }
        }
        Ok(())
    }

    fn extend(&mut self, item: &Body) {
        self.bbox = extent::union(self.bbox, extent::bbox_of(item));
        self.interval = extent::hull(self.interval, extent::interval_of(item));
    }

    fn finish(mut self, recipe: &Recipe) -> Result<BuildReport> {
        let failed = |source| Error::References { what: "the catalog".to_owned(), source };
        self.references.flush().map_err(failed)?;
        if let Some(collection) = &recipe.collection {
            let extent = self.collection_extent(collection);
            self.writer.root_mut().insert("extent".into(), extent);
        }
        let written = self.writer.finish()?;
        self.report.items = written.items;
        self.report.documents = written.documents;
        self.report.unchanged = written.unchanged;
        Ok(self.report)
    }

    fn collection_extent(&self, collection: &CollectionRecipe) -> Value {
        let given = collection.bbox.as_ref().and_then(|boxes| boxes.0.get(|_| None).cloned());
        let of_items = self.bbox.map_or_else(|| vec![-180.0, -90.0, 180.0, 90.0], |bbox| bbox.to_array().to_vec());
        let text = |time: Option<_>| time.map(|time| outcrop_grid::time::rfc3339(&time));
        let interval = match (&collection.interval, &self.interval) {
            (Some(given), _) => given.clone().map(|end| Some(end).filter(|end| !end.is_empty() && end != "..")),
            (None, Some(interval)) => [text(interval.start), text(interval.end)],
            (None, None) => [None, None],
        };
        json!({"spatial": {"bbox": [given.unwrap_or(of_items)]}, "temporal": {"interval": [interval]}})
    }
}

/// The fields of the root document.
fn root(recipe: &Recipe) -> Body {
    let mut root = Body::new();
    let kind = if recipe.collection.is_some() { "Collection" } else { "Catalog" };
    root.insert("type".into(), kind.into());
    root.insert("id".into(), recipe.id.as_str().into());
    root.insert("stac_version".into(), "1.1.0".into());
    root.insert("description".into(), recipe.description.as_str().into());
    root.insert("links".into(), json!([]));
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
