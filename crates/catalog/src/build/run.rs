//! A build under way: items become documents, and what they have in common is kept for the root.

use std::path::PathBuf;
use std::sync::Arc;

use outcrop_formats::REFERENCES;
use outcrop_stac::{Body, Published, RawItem, TreeWriter, WriteOptions};
use outcrop_store::publish::{Batch, StagedFolder};
use outcrop_store::{Href, safe_name};
use serde_json::{Map, Value};

use super::files::Made;
use super::gone::Gone;
use super::index::Index;
use super::known::{Found, Known, Numbers};
use super::root::{Common, root};
use super::state::{self, Entry, Log, Start, mark};
use super::{BuildOptions, BuildReport, Failed, Renewal, clear, digest, what};
use crate::item::{self, Opened};
use crate::recipe::{ItemPlan, Recipe};
use crate::{Error, Result, extent};

/// The plan of an item, its files and its fingerprint.
type Planned<'a> = (&'a ItemPlan, &'a [Opened], u64);

pub(super) struct Run {
    writer: TreeWriter,
    log: Log,
    common: Common,
    /// Items of the last build, and those of them that were met.
    known: Arc<Known>,
    met: Numbers,
    /// Those that were left as they are.
    kept: Numbers,
    /// Files of references, flushed before the catalog is published.
    references: Batch,
    index: Option<Index>,
    folder: PathBuf,
    /// What is to be removed when the catalog is published.
    gone: Gone,
    flat: bool,
    /// Nobody has seen the folder yet.
    is_new: bool,
    pub(super) report: BuildReport,
}

impl Run {
    pub(super) fn new(recipe: &Recipe, to: &Href, (folder, options): (&StagedFolder, &BuildOptions)) -> Result<Self> {
        let mut write = WriteOptions::new(Href::from_path(folder.path()));
        write.layout = recipe.layout.clone();
        write.published = recipe.published;
        write.flat = recipe.flat;
        write.staged = folder.is_new();
        write.root_href = Some(match &recipe.root_href {
            Some(href) => Href::parse(href).map_err(|source| Error::Source { source_text: href.clone(), source })?,
            None => to.absolute(),
        });
        let updates = options.renewal != Renewal::All;
        let digest = digest(recipe, options);
        if folder.is_new() && !state::is_of(folder.path(), digest) {
            clear(folder);
        }
        let mut fields = root(recipe);
        let has_index = options.index || (!folder.is_new() && Index::is_in(folder.path()));
        let mut index = None;
        if has_index {
            Index::name_in(&mut fields);
            let base = write.root_href.clone().unwrap_or_else(|| to.absolute());
            index = Some(Index::start(folder.path(), &base, (&fields, updates && !folder.is_new()))?);
        }
        let writer = TreeWriter::new(fields, write.clone())?;
        let goes_on = updates || folder.is_new();
        // Where the process was killed a document may be cut; where nobody knows it may be missing.
        let is_there = |entry: &Entry| {
            let path = write.document_path(&entry.path, &entry.id);
            path.is_ok_and(|path| if folder.is_new() { entry.is_whole(&path) } else { path.is_file() })
        };
        let known = if goes_on { Known::open(folder.path(), is_there)? } else { Known::default() };
        let known = Arc::new(known);
        let batch = if folder.is_new() { Batch::in_staged_folder() } else { Batch::default() };
        Ok(Self {
            log: Log::open(folder.path(), if goes_on { Start::GoOn } else { Start::Anew }, digest)?,
            common: Common::new(recipe),
            index,
            folder: folder.path().to_owned(),
            gone: Gone::new(known.clone(), write),
            met: Numbers::below(known.len()),
            kept: Numbers::below(known.len()),
            known,
            references: batch,
            flat: recipe.flat,
            is_new: folder.is_new(),
            report: BuildReport::default(),
            writer,
        })
    }

    /// Items of the last build.
    pub(super) fn known(&self) -> Arc<Known> {
        self.known.clone()
    }

    pub(super) fn take(&mut self, recipe: &Recipe, made: Result<Made>) -> Result<()> {
        match made {
            Err(error) if ends_the_build(&error) => return Err(error),
            Err(why) => self.report.failed.push(Failed { what: what(&why, &recipe.id), why }),
            Ok(Made::Known(known)) => self.keep(&known)?,
            Ok(Made::Opened { plan, assets, failed, print }) => {
                let is_whole = failed.is_empty();
                self.report.failed.extend(failed);
                let known = self.known.get(&plan.id)?;
                let left = known.as_ref().filter(|known| !self.met.contains(known.at));
                // An item that was whole does not lose a file that cannot be read this time.
                if let Some(known) = left.filter(|known| !is_whole && known.entry.print != 0) {
                    return self.keep(known);
                }
                match self.add(recipe, (&plan, &assets, print), known.as_ref()) {
                    Ok(()) => {}
                    // A disk that is full ends the build, an item that cannot be placed does not.
                    Err(error) if ends_the_build(&error) => return Err(error),
                    Err(why) => {
                        self.report.failed.push(Failed { what: plan.id.clone(), why });
                        // What was there stays.
                        if let Some(known) = known.filter(|known| !self.met.contains(known.at)) {
                            self.keep(&known)?;
                        }
                    }
                }
            }
        }
        if self.writer.is_settled() { self.log.settle() } else { Ok(()) }
    }

    fn add(&mut self, recipe: &Recipe, (plan, assets, print): Planned<'_>, known: Option<&Found>) -> Result<()> {
        if assets.is_empty() {
            return Err(Error::Item { item: plan.id.clone(), why: "none of its files could be read".into() });
        }
        let mut body = item::body(recipe, plan, assets)?;
        let path = recipe.layout.values(&body)?;
        self.keep_references(&path, &mut body, assets)?;
        if recipe.published != Published::Absolute {
            self.relate(&path, &mut body)?;
        }
        let (bbox, interval) = (extent::bbox_of(&body), extent::interval_of(&body));
        if self.common.needs_items() {
            self.common.add(&body);
        }
        let bytes = self.writer.add_at(&path, body)?;
        self.common.span(bbox, interval);
        if let Some(known) = known {
            self.met.insert(known.at);
            if known.entry.path != path {
                // It has moved to another catalog.
                self.gone.push(known.at);
            }
        }
        if let Some(index) = &mut self.index {
            let item = RawItem::parse(self.writer.document_href(&path, &plan.id)?, bytes.clone())?;
            index.add(&item, &mut self.report)?;
        }
        let micros = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|time| time.timestamp_micros());
        self.log.add(&Entry {
            id: plan.id.clone(),
            path,
            print,
            assets: assets.len() as u64,
            bbox: bbox.map(outcrop_grid::BBox::to_array),
            time: interval.map(|interval| [micros(interval.start), micros(interval.end)]),
            document: mark(&bytes),
        })?;
        self.report.assets += assets.len() as u64;
        Ok(())
    }

    /// An item stays as it is.
    fn keep(&mut self, Found { at, entry }: &Found) -> Result<()> {
        let id = entry.id.as_str();
        self.writer.add_existing(&entry.path, id)?;
        self.met.insert(*at);
        self.common.span(entry.bbox(), entry.interval());
        let wants_body = self.common.needs_items() || self.index.as_ref().is_some_and(Index::needs_all);
        if wants_body {
            let path = self.writer.document_path(&entry.path, id)?;
            let place = Href::from_path(&path);
            let failed = |e: std::io::Error| outcrop_stac::Error::Read {
                href: place.clone(),
                source: outcrop_store::Error::Io { action: "read", href: place.clone(), source: e },
            };
            let bytes = std::fs::read(&path).map_err(failed)?;
            let item = RawItem::parse(self.writer.document_href(&entry.path, id)?, bytes.into())?;
            if let Value::Object(body) = item.to_value()? {
                self.common.add(&body);
            }
            if let Some(index) = self.index.as_mut().filter(|index| index.needs_all()) {
                index.add(&item, &mut self.report)?;
            }
        }
        self.kept.insert(*at);
        self.report.kept += 1;
        self.report.assets += entry.assets;
        Ok(())
    }

    /// Files in the folder of the catalog are seen from their item, so that both can be moved together.
    fn relate(&self, path: &[String], body: &mut Body) -> Result<()> {
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        let document = self.writer.document_path(path, id)?;
        // The folder may be staged under another name; then nothing lies in it yet.
        let (own, root) = (Href::from_path(&document).absolute(), Href::from_path(&self.folder).absolute().as_folder());
        for asset in body.get_mut("assets").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            let href = asset.get("href").and_then(Value::as_str).filter(|href| href.starts_with(root.as_str()));
            if let Some(href) = href.and_then(|href| Href::parse(href).ok()) {
                asset["href"] = href.relative_to(&own).into();
            }
        }
        Ok(())
    }

    /// Writes the references of an item's files beside its document, and their names into its assets.
    fn keep_references(&mut self, path: &[String], body: &mut Body, assets: &[Opened]) -> Result<()> {
        let with = |(asset, header): &Opened| Some((asset.key.clone(), header.as_ref()?.references()?.to_vec()));
        let kept: Vec<(String, Vec<u8>)> = assets.iter().filter_map(with).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let document = self.writer.document_path(path, &id)?;
        for (key, bytes) in kept {
            let name = if self.flat { format!("{id}.{key}.refs") } else { format!("{key}.refs") };
            let failed = |source| Error::References { what: format!("asset `{key}` of item `{id}`"), source };
            safe_name(&name).map_err(failed)?;
            self.references.write(&document.with_file_name(&name), &bytes).map_err(failed)?;
            if let Some(asset) = body.get_mut("assets").and_then(|assets| assets.get_mut(&key)) {
                asset[REFERENCES] = name.into();
            }
        }
        Ok(())
    }

    /// Writes the catalogs. The items that are gone are to be removed when the catalog is published.
    pub(super) fn finish(mut self, recipe: &Recipe, options: &BuildOptions) -> Result<(BuildReport, Gone)> {
        let known = self.known.clone();
        for at in known.in_order(|at| !self.met.contains(at)) {
            let Some(entry) = known.entry(at)? else { continue };
            // What an interrupted build made and the recipe makes no more was never published.
            if options.renewal == Renewal::Changed && !self.is_new {
                self.keep(&Found { at, entry })?;
                continue;
            }
            self.gone.push(at);
            if let Some(index) = &mut self.index {
                index.remove(&entry.id);
            }
            self.log.gone(&entry.id)?;
            self.report.removed += u64::from(options.renewal == Renewal::ChangedAndGone);
        }
        let failed = |source| Error::References { what: "the catalog".to_owned(), source };
        self.references.flush().map_err(failed)?;
        if let Some(collection) = &recipe.collection {
            self.common.put(collection, self.writer.root_mut());
        }
        let written = self.writer.finish()?;
        let kept = known.in_order(|at| self.kept.contains(at));
        self.log.finish(kept.into_iter().map(|at| known.bytes(at)))?;
        self.report.items = written.items;
        self.report.documents = written.documents;
        self.report.unchanged = written.unchanged;
        if let Some(index) = self.index {
            index.finish(&written.root)?;
        }
        Ok((self.report, self.gone))
    }
}

fn ends_the_build(error: &Error) -> bool {
    matches!(
        error,
        Error::Stac(outcrop_stac::Error::Write { .. } | outcrop_stac::Error::Table { .. })
            | Error::References { source: outcrop_store::Error::Io { .. }, .. }
            | Error::State { .. }
    )
}
