//! The index of a catalog that is built: its rows are added as its items are, not read again.

use std::path::Path;

use outcrop_stac::geoparquet::TableWriter;
use outcrop_stac::{Body, Document, Kind, Loaded, RawItem, document_href};
use outcrop_store::Href;
use serde_json::{Value, json};

use super::{BuildReport, Failed};
use crate::Result;
use crate::search::{FILE_NAME, Mark};

/// Key of the index among the assets of a collection.
const KEY: &str = "items";

pub(super) struct Index {
    writer: TableWriter,
    /// The rows of items that stay as they are must be added too.
    needs_all: bool,
    /// An item has no row, so that the table must not stand for the catalog.
    is_partial: bool,
    collection: Option<String>,
}

impl Index {
    /// Names the index in the root of a collection, as its mirror.
    pub(super) fn name_in(root: &mut Body) {
        if root.get("type").and_then(Value::as_str) == Some("Collection") {
            let asset = json!({"href": format!("./{FILE_NAME}"), "type": "application/vnd.apache.parquet",
                "title": "All items (stac-geoparquet)", "roles": ["collection-mirror"]});
            root.insert("assets".to_owned(), json!({KEY: asset}));
        }
    }

    /// True if the folder has one, which then goes on with its catalog.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(FILE_NAME).is_file()
    }

    /// Starts the index of the catalog in `folder`, which will be found at `base`; with `update` that of its last state goes
    /// on.
    pub(super) fn start(folder: &Path, base: &Href, (root, update): (&Body, bool)) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let old = if update { TableWriter::update(&path).ok().filter(|old| is_of(folder, old)) } else { None };
        let needs_all = old.is_none();
        let mut writer = match old {
            Some(writer) => writer,
            None => TableWriter::create(&path)?,
        };
        writer.stands_in(base);
        let is_collection = root.get("type").and_then(Value::as_str) == Some("Collection");
        let id = root.get("id").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { writer, needs_all, is_partial: false, collection: id.filter(|_| is_collection) })
    }

    /// True if the rows of items that stay as they are must be added too.
    pub(super) fn needs_all(&self) -> bool {
        self.needs_all
    }

    pub(super) fn add(&mut self, item: &RawItem, report: &mut BuildReport) -> Result<()> {
        match self.writer.add(item) {
            Err(error @ outcrop_stac::Error::Row { .. }) => {
                self.is_partial = true;
                report.failed.push(Failed { what: item.id().into_owned(), why: error.into() });
                Ok(())
            }
            added => Ok(added?),
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.writer.remove(self.collection.as_deref(), id);
    }

    /// Writes the index of a catalog whose root was written.
    pub(super) fn finish(mut self, root: &Document) -> Result<()> {
        if root.kind() == Kind::Collection {
            self.writer.add_collection(root.id(), Value::Object(root.body().clone()));
        }
        if !self.is_partial {
            self.writer.add_metadata(Mark::of(root).entry());
        }
        self.writer.finish()?;
        Ok(())
    }
}

/// True if a table is the index of the catalog in a folder as it is now.
fn is_of(folder: &Path, table: &TableWriter) -> bool {
    let at = Href::from_path(folder);
    let documents = [Kind::Catalog, Kind::Collection].into_iter().filter_map(|kind| document_href(&at, &[], kind).ok());
    let root = documents.filter_map(|href| {
        let bytes = std::fs::read(href.to_path()?).ok()?;
        match outcrop_stac::loaded(href, bytes.into()) {
            Ok(Loaded::Other(root)) => Some(root),
            _ => None,
        }
    });
    let (key, mark) = Mark::entry_of(table);
    root.into_iter().next().is_some_and(|root| mark.is_some_and(|mark| Mark::of(&root).entry() == (key, mark)))
}
