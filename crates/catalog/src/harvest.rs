//! From the items of any source to a static catalog: a snapshot of an API, a part of a catalog, a file of items as documents.

use std::collections::HashMap;
use std::pin::pin;

use futures::StreamExt;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::api::Api;
use outcrop_stac::{Ancestor, Body, Document, Kind, Layout, Loaded, RawItem, TreeWriter, WriteOptions, load, portable};
use outcrop_store::progress::{Sink, Unit};
use outcrop_store::publish::StagedFolder;
use outcrop_store::{Href, Store};
use serde_json::{Value, json};

use crate::search::{Found, SearchOptions, Source, search_raw};
use crate::{Error, Result, extent};

/// What is harvested, and how it is written.
#[derive(Debug, Clone, Default)]
pub struct HarvestOptions {
    /// Which items.
    pub items: SearchOptions,
    /// Sub-catalogs below those that the items are in, or below their collection.
    pub layout: Layout,
    /// Id of the new catalog; by default that of the source, or `catalog`.
    pub id: Option<String>,
    /// Items lie beside the catalog that lists them, not each in a folder of its own.
    pub flat: bool,
    /// Where progress goes.
    pub progress: Sink,
}

/// What was harvested.
#[derive(Debug, Default)]
pub struct HarvestReport {
    /// Items.
    pub items: u64,
    /// All documents.
    pub documents: u64,
    /// What could not be read or written.
    pub failed: Vec<Error>,
}

/// Writes the items of a source that fit as a static catalog into a new local folder. Hrefs of assets become absolute; items
/// of a catalog stay below its sub-catalogs, items of anything else come below their collection, whose fields an API is asked
/// for. Extents of collections are those of the items that were taken.
///
/// # Errors
/// [`Error::Busy`] for a folder that another process writes, [`Error::Occupied`] for one that holds something; a source that
/// cannot be read at all; [`Error::Stac`] if documents cannot be written.
pub async fn harvest(store: &Store, source: &Source, to: &Href, options: &HarvestOptions) -> Result<HarvestReport> {
    let failed = |source| Error::State { href: to.clone(), source };
    let read_only = || failed(outcrop_store::Error::ReadOnly { href: to.clone() });
    let path = to.to_path().ok_or_else(read_only)?;
    if path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::Occupied { href: to.clone() });
    }
    let folder = StagedFolder::open(&path).map_err(failed)?.ok_or_else(|| Error::Busy { href: to.clone() })?;
    crate::build::clear(&folder);
    let origin = Origin::of(store, source).await?;
    let mut write = WriteOptions::new(Href::from_path(folder.path()));
    (write.root_href, write.flat, write.staged) = (Some(to.absolute()), options.flat, folder.is_new());
    let mut harvest = Harvest {
        store,
        writer: TreeWriter::new(origin.root(options.id.as_deref()), write)?,
        origin,
        layout: &options.layout,
        spans: HashMap::new(),
    };
    let mut report = HarvestReport::default();
    let progress = options.progress.begin("items", None, Unit::Count);
    let mut wanted = options.items.clone();
    wanted.use_index = false;
    let mut items = pin!(search_raw(store, source, &wanted));
    while let Some(found) = items.next().await {
        match harvest.take(found).await {
            Err(error @ Error::Stac(outcrop_stac::Error::Write { .. })) => return Err(error),
            Err(error) => report.failed.push(error),
            Ok(()) => progress.advance(1),
        }
    }
    if harvest.spans.is_empty()
        && let Some(first) = report.failed.pop()
    {
        return Err(first);
    }
    let written = harvest.finish()?;
    folder.finish().map_err(failed)?;
    (report.items, report.documents) = (written.items, written.documents);
    Ok(report)
}

/// What the source itself says.
struct Origin {
    root: Option<Document>,
    api: Option<Api>,
}

impl Origin {
    async fn of(store: &Store, source: &Source) -> Result<Self> {
        let name = source.href.file_name().unwrap_or_default();
        // Files of items say nothing of themselves.
        let is_file = name.contains('.') && !name.ends_with(".json");
        if source.is_standard_input() || is_file {
            return Ok(Self { root: None, api: None });
        }
        match load(store, &source.href).await? {
            Loaded::Other(root) if matches!(root.kind(), Kind::Catalog | Kind::Collection) => {
                let api = Api::of(&root)?;
                Ok(Self { root: Some(root), api })
            }
            _ => Ok(Self { root: None, api: None }),
        }
    }

    /// The root of the new catalog.
    fn root(&self, id: Option<&str>) -> Body {
        let mut body = match &self.root {
            Some(root) if self.api.is_none() => portable(root.href(), root.body()),
            _ => Body::new(),
        };
        let text = |name: &str| self.root.as_ref().and_then(|root| root.body().get(name)).cloned();
        body.entry("type").or_insert("Catalog".into());
        body.insert("stac_version".into(), "1.1.0".into());
        let own = id.map(Value::from).or_else(|| text("id")).unwrap_or_else(|| "catalog".into());
        body.insert("id".into(), own);
        let description = text("description").unwrap_or_else(|| "Items that were harvested".into());
        body.entry("description").or_insert(description);
        body
    }
}

struct Harvest<'a> {
    store: &'a Store,
    writer: TreeWriter,
    origin: Origin,
    layout: &'a Layout,
    /// What the items below each catalog span; also which catalogs are there.
    spans: HashMap<Vec<String>, (Option<BBox>, Option<Interval>)>,
}

impl Harvest<'_> {
    async fn take(&mut self, found: Result<Found>) -> Result<()> {
        let found = found?;
        let item = RawItem::parse(found.item.href().clone(), found.item.to_portable()?.into())?;
        let Value::Object(body) = item.to_value()? else { return Ok(()) };
        let parents = if found.ancestors.is_empty() {
            self.of_collection(found.item.collection().as_deref()).await?
        } else {
            self.of_ancestors(&found.ancestors)?
        };
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        let path = self.layout.place(&parents, &body)?;
        let (bbox, interval) = (extent::bbox_of(&body), extent::interval_of(&body));
        self.writer.add_item(&path, &item)?;
        for depth in 0..=path.len() {
            let span = self.spans.entry(path[..depth].to_vec()).or_default();
            *span = (extent::union(span.0, bbox), extent::hull(span.1, interval));
        }
        Ok(())
    }

    /// The sub-catalogs of an item of a catalog, which are made with their fields; the root is that of the new one.
    fn of_ancestors(&mut self, ancestors: &[std::sync::Arc<Ancestor>]) -> Result<Vec<String>> {
        let mut path = Vec::new();
        for ancestor in ancestors.iter().skip(1) {
            path.push(ancestor.id().to_owned());
            if !self.spans.contains_key(&path) {
                self.writer.add_catalog(&path, ancestor.to_portable())?;
            }
        }
        Ok(path)
    }

    /// The collection that an item names, with the fields that the API gives.
    async fn of_collection(&mut self, id: Option<&str>) -> Result<Vec<String>> {
        let is_root =
            self.origin.root.as_ref().is_some_and(|root| {
                root.kind() == Kind::Collection && self.origin.api.is_none() && Some(root.id()) == id
            });
        let Some(id) = id.filter(|_| !is_root) else { return Ok(Vec::new()) };
        let path = vec![id.to_owned()];
        if !self.spans.contains_key(&path)
            && let Some(href) = self.origin.api.as_ref().and_then(|api| api.collection(id))
            && let Ok(Loaded::Other(document)) = load(self.store, &href).await
            && document.kind() == Kind::Collection
        {
            self.writer.add_catalog(&path, portable(document.href(), document.body()))?;
        }
        Ok(path)
    }

    fn finish(mut self) -> Result<outcrop_stac::Written> {
        for (path, (bbox, interval)) in &self.spans {
            let Some(body) =
                self.writer.catalog_mut(path).filter(|body| body.get("type") == Some(&json!("Collection")))
            else {
                continue;
            };
            let bbox = bbox.map_or([-180.0, -90.0, 180.0, 90.0], BBox::to_array);
            let text = |time: Option<_>| time.map(|time| outcrop_grid::time::rfc3339(&time));
            let interval = interval.map_or([None, None], |interval| [text(interval.start), text(interval.end)]);
            let extent = json!({"spatial": {"bbox": [bbox]}, "temporal": {"interval": [interval]}});
            body.insert("extent".into(), extent);
        }
        Ok(self.writer.finish()?)
    }
}
