//! Builds a catalog from a recipe, or brings it up to date.
//!
//! Plans become items ([`files`]); items become documents ([`run`]); what was made is kept beside them ([`state`]). The root
//! and what it says of all items is made at the end ([`root`]).

mod files;
mod gone;
mod index;
mod known;
mod root;
mod run;
mod state;

use std::time::Instant;

use futures::stream::{self, StreamExt};
use outcrop_stac::{Kind, Loaded, document_href};
use outcrop_store::progress::{Sink, Unit};
use outcrop_store::publish::StagedFolder;
use outcrop_store::{Href, Store};

use crate::header::Wanted;
use crate::recipe::{ItemPlan, Recipe, count, from_listing, from_stac, from_table, from_templates, item_variables};
use crate::{Error, Result};
use files::Files;
use run::Run;
use state::fingerprint;

/// How a catalog is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Where progress goes.
    pub progress: Sink,
    /// Items whose headers are read at once (default 16, at least 1).
    pub concurrency: usize,
    /// Chunk references of every file are kept beside its item (`KEY.refs`), so that opening it later needs one request.
    pub references: bool,
    /// What becomes of the items of the last build.
    pub renewal: Renewal,
    /// The catalog has an index (`items.parquet`), which its searches use.
    pub index: bool,
}

/// What becomes of the items that the last build of a catalog made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renewal {
    /// All are made again.
    #[default]
    All,
    /// Those of which nothing has changed are left as they are; those whose files have another size, `ETag` or time are made
    /// again; those that the recipe makes no more stay.
    Changed,
    /// As [`Renewal::Changed`], but items that the recipe makes no more are removed, with their files.
    ChangedAndGone,
}

impl Default for BuildOptions {
    fn default() -> Self {
        let progress = Sink::default();
        Self { progress, concurrency: 16, references: false, renewal: Renewal::default(), index: false }
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
    /// Of the items, those that were left as they are without reading their files.
    pub kept: u64,
    /// Items that were removed.
    pub removed: u64,
    /// What was left out.
    pub failed: Vec<Failed>,
    /// Wall clock.
    pub seconds: f64,
    /// Bytes read of the archive: listings and headers.
    pub bytes_read: u64,
}

/// Builds the catalog of a recipe in the local folder `to`. Running it again gives the same bytes.
///
/// A file that cannot be read is left out and reported, an item without any file too; the rest goes on. A folder that is
/// not there yet appears when all of it is; what a build that was killed has made of it is not made again.
///
/// # Errors
/// [`Error::List`] and [`Error::NothingFits`] for the archive, [`Error::OtherCatalog`] and [`Error::Busy`] for the
/// destination, [`Error::Stac`] if documents cannot be written.
pub async fn build(store: &Store, recipe: &Recipe, to: &Href, options: &BuildOptions) -> Result<BuildReport> {
    let (start, before) = (Instant::now(), store.stats());
    let path = to.to_path().ok_or_else(|| {
        let source = outcrop_store::Error::ReadOnly { href: to.clone() };
        Error::State { href: to.clone(), source }
    })?;
    let failed = |source| Error::State { href: to.clone(), source };
    let folder = StagedFolder::open(&path).map_err(failed)?.ok_or_else(|| Error::Busy { href: to.clone() })?;
    check_destination(store, recipe, to).await?;
    let mut run = Run::new(recipe, to, (&folder, options))?;
    let headers = &recipe.headers;
    let wanted = Wanted { fields: &headers.fields, references: options.references, properties: &headers.properties };
    let names = item_variables(recipe);
    let (total, plans) = plans(store, recipe, &names, &mut run.report).await?;
    let progress = options.progress.begin("items", Some(total), Unit::Count);
    let files = Files { store, wanted, known: run.known(), digest: digest(recipe, options) };
    let mut made = stream::iter(plans)
        .map(|plan| {
            let files = &files;
            async move {
                match plan {
                    Ok(plan) => files.make(plan).await,
                    Err(error) => Err(error),
                }
            }
        })
        .buffered(options.concurrency.max(1));
    while let Some(item) = made.next().await {
        run.take(recipe, item)?;
        progress.advance(1);
    }
    drop(made);
    let (mut report, gone) = run.finish(recipe, options)?;
    // A catalog that was seen names its items until it is published; what is gone of a new one must not come with it.
    if folder.is_new() {
        gone.remove()?;
        folder.finish().map_err(failed)?;
    } else {
        folder.finish().map_err(failed)?;
        gone.remove()?;
    }
    let after = store.stats();
    report.bytes_read = (after.remote_bytes - before.remote_bytes) + (after.local_bytes - before.local_bytes);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// A number for a recipe and what is asked for with it; it differs where any of it does.
fn digest(recipe: &Recipe, options: &BuildOptions) -> u64 {
    fingerprint(&(format!("{recipe:?}"), options.references))
}

/// Removes what an earlier process left in a folder that nobody has seen.
pub(crate) fn clear(folder: &StagedFolder) {
    let entries = if folder.is_new() { std::fs::read_dir(folder.path()).ok() } else { None };
    for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
        // What cannot be removed fails where it is written.
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
}

async fn check_destination(store: &Store, recipe: &Recipe, to: &Href) -> Result<()> {
    for kind in [Kind::Catalog, Kind::Collection] {
        let href = document_href(to, &[], kind)?;
        if href.to_path().is_none_or(|path| !path.exists()) {
            continue;
        }
        let found = match outcrop_stac::load(store, &href).await? {
            Loaded::Other(document) => document.id().to_owned(),
            other => other.into_document()?.id().to_owned(),
        };
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
    let listed = if recipe.table.is_some() {
        from_table(store, recipe).await?
    } else if recipe.stac.is_some() {
        from_stac(store, recipe).await?
    } else if recipe.listing.is_some() {
        from_listing(store, recipe).await?
    } else {
        return Ok((count(recipe, names), Box::new(from_templates(recipe, names))));
    };
    report.failed.extend(listed.failed.into_iter().map(|why| Failed { what: what(&why, &recipe.id), why }));
    Ok((listed.items.len() as u64, Box::new(listed.items.into_iter().map(Ok))))
}

fn what(error: &Error, otherwise: &str) -> String {
    match error {
        Error::Header { href, .. } | Error::NoField { href, .. } | Error::List { href, .. } => href.to_string(),
        Error::Item { item, .. } => item.clone(),
        _ => otherwise.to_owned(),
    }
}
