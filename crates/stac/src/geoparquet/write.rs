//! Writes items as rows: first to a temporary file, with what their types are; then, in an order in which near items
//! stand together, as groups of rows.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;
use outcrop_store::{Href, publish};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};
use serde_json::{Map, Value, json};

use super::base::{Base, Rest};
use super::group::{Group, place};
use super::kind::Kind;
use super::leaves::{Plan, Shredded, Values};
use super::observe::{Columns, ENDS, Refused};
use super::{FOREIGN, GROUPS, OWN};
use crate::{Error, RawItem, Result};

/// Rows of a group.
pub(super) const ROWS: usize = 5000;

/// Rows of a page.
const PAGE: usize = 500;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows.
    pub items: u64,
    /// Of these, rows that were copied from the file before without being read.
    pub kept: u64,
    /// Rows of the file before that are there no more, replaced ones not counted.
    pub removed: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// Writes a stac-geoparquet file.
///
/// - The file appears whole, by [`TableWriter::finish`]; dropped before, it leaves nothing.
/// - Items stand on disk until then; memory grows by 24 bytes an item.
pub struct TableWriter {
    pub(super) path: PathBuf,
    part: PathBuf,
    pub(super) columns: Columns,
    spool: BufWriter<File>,
    spooled: u64,
    entries: Vec<Entry>,
    names: IndexSet<String>,
    collections: Map<String, Value>,
    metadata: Vec<(String, String)>,
    /// Where the file will stand, for hrefs of what lies below.
    folder: Option<Href>,
    /// The file that is updated, and what of it goes.
    base: Option<Base>,
}

/// An item of the temporary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    collection: u32,
    length: u32,
    place: u64,
    offset: u64,
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let items = self.entries.len();
        f.debug_struct("TableWriter").field("path", &self.path).field("items", &items).finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// [`Error::Table`] if the folder cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        Self::start(path, None)
    }

    /// Starts a new version of a file, in which added items replace those of the same collection and id.
    ///
    /// Groups of rows of which nothing changes are copied as they are. A file of other programs, or one whose columns cannot
    /// hold what is added, is written anew.
    ///
    /// # Errors
    /// [`Error::Table`] if there is no such file or it is no table of items.
    pub fn update(path: &Path) -> Result<Self> {
        Self::start(path, Some(Base::open(path)?))
    }

    fn start(path: &Path, base: Option<Base>) -> Result<Self> {
        let failed = |e: std::io::Error| Error::table(path, &e);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        publish::remove_abandoned(path);
        let part = publish::part_path(path);
        File::create_new(&part).map_err(failed)?;
        let spool = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder).map_err(failed)?);
        Ok(Self {
            path: path.to_owned(),
            part,
            columns: Columns::default(),
            spool,
            spooled: 0,
            entries: Vec::new(),
            names: IndexSet::new(),
            collections: base.as_ref().map(Base::collections).unwrap_or_default(),
            metadata: Vec::new(),
            folder: None,
            base,
        })
    }

    /// A collection whose items are among the rows; it is kept in the file.
    pub fn add_collection(&mut self, id: &str, body: Value) {
        self.collections.insert(id.to_owned(), body);
    }

    /// Where the file will stand: hrefs of what lies in this folder are written as seen from there, so that both can be moved.
    pub fn stands_in(&mut self, folder: &Href) {
        self.folder = Some(folder.as_folder());
    }

    /// An entry of the metadata of the file that is updated.
    pub fn metadata_before(&self, key: &str) -> Option<&str> {
        self.base.as_ref()?.metadata(key)
    }

    /// Adds an entry to the metadata of the file; it is no more there when the file is updated.
    pub fn add_metadata(&mut self, (key, value): (&str, String)) {
        self.metadata.push((key.to_owned(), value));
    }

    /// Adds an item; its hrefs become absolute, so that the file can stand anywhere.
    ///
    /// # Errors
    /// [`Error::Row`] for an item that cannot be a row, others can follow; [`Error::Table`] where the disk fails.
    pub fn add(&mut self, item: &RawItem) -> Result<()> {
        let row = |why| Error::Row { item: item.id().into_owned(), why };
        let json = std::str::from_utf8(item.bytes()).map_err(|e| row(e.to_string()))?;
        let mut json = item.portable_text(json, self.folder.as_ref())?;
        let mut observed = self.columns.observe(&json);
        if matches!(observed, Err(Refused::Twice)) {
            let value: Value = serde_json::from_str(&json).map_err(|e| row(e.to_string()))?;
            json = value.to_string().into();
            observed = self.columns.observe(&json);
        }
        match observed {
            Ok(()) => {}
            Err(Refused::Why(why)) => return Err(row(why)),
            Err(Refused::Twice) => return Err(row("a field stands twice".to_owned())),
        }
        if let Some(base) = &mut self.base {
            base.replace(item.collection().as_deref(), &item.id());
        }
        self.spool(item, json.as_bytes())
    }

    /// The item of this collection and id goes from the file that is updated.
    pub fn remove(&mut self, collection: Option<&str>, id: &str) {
        if let Some(base) = &mut self.base {
            base.remove(collection, id);
        }
    }

    fn spool(&mut self, item: &RawItem, bytes: &[u8]) -> Result<()> {
        let center = item.bbox().map(|bbox| match *bbox.as_slice() {
            [w, s, e, n] | [w, s, _, e, n, _] => [if w > e { 180.0 } else { f64::midpoint(w, e) }, f64::midpoint(s, n)],
            _ => [0.0, 0.0],
        });
        let start = item.interval().and_then(|interval| interval.start);
        let seconds = start.map_or(0.0, |start| start.timestamp() as f64);
        let collection = item.collection().unwrap_or_default();
        let number = match self.names.get_index_of(collection.as_ref()) {
            Some(number) => number,
            None => self.names.insert_full(collection.into_owned()).0,
        };
        let too_many = || Error::Row { item: item.id().into_owned(), why: "it is too large".to_owned() };
        let entry = Entry {
            collection: u32::try_from(number).map_err(|_| too_many())?,
            length: u32::try_from(bytes.len()).map_err(|_| too_many())?,
            place: place(center.unwrap_or([0.0, 0.0]), seconds),
            offset: self.spooled,
        };
        self.spool.write_all(bytes).map_err(|e| Error::table(&self.path, &e))?;
        self.spooled += bytes.len() as u64;
        self.entries.push(entry);
        Ok(())
    }

    /// Writes what is held and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Table`]; an old file then stays.
    pub fn finish(mut self) -> Result<Written> {
        let base = self.base.take();
        let (base, copied, removed) = match base {
            Some(base) => self.take_up(base)?,
            None => (None, Vec::new(), 0),
        };
        self.columns.settle();
        if let Some(name) = self.columns.clash() {
            let why = format!("`{name}` is a property of some items and a field of others, which is one column");
            return Err(Error::Table { path: self.path.clone(), why });
        }
        let mut output = Output::open(&self.part, &self.path, &self.columns)?;
        if let Some(base) = &base {
            copied.iter().try_for_each(|at| output.copy(base, *at))?;
        }
        let kept = output.rows();
        self.write_groups(&mut output)?;
        let (items, bytes) = (output.rows(), output.finish(&self.collections, std::mem::take(&mut self.metadata))?);
        std::fs::rename(&self.part, &self.path).map_err(|e| Error::table(&self.path, &e))?;
        Ok(Written { items, kept, removed, bytes })
    }

    /// Takes up the file that is updated: rows of groups that change as items; of the others the groups' numbers, with how
    /// many rows are removed.
    fn take_up(&mut self, base: Base) -> Result<(Option<Base>, Vec<usize>, u64)> {
        let mut settled = self.columns.clone();
        settled.settle();
        let fits = base.can_hold(&settled);
        let (mut copied, mut removed) = (Vec::new(), 0);
        let href = Href::from_path(&self.path);
        for at in 0..base.groups() {
            let rows = match base.rest(at)? {
                Rest::All if fits => {
                    copied.push(at);
                    continue;
                }
                Rest::All => (0..base.group(at).rows).collect(),
                Rest::Rows(rows, gone) => {
                    removed += gone;
                    rows
                }
            };
            base.items(at, &rows, |bytes| {
                let item = RawItem::parse(href.clone(), bytes.into())?;
                if fits { self.spool(&item, item.bytes()) } else { self.add(&item) }
            })?;
        }
        if fits {
            self.columns = base.columns();
        }
        Ok((fits.then_some(base), copied, removed))
    }

    fn write_groups(&mut self, output: &mut Output) -> Result<()> {
        let failed = |e: std::io::Error| Error::table(&self.path, &e);
        self.spool.flush().map_err(failed)?;
        // Collections stand in the order of their ids.
        let mut ids: Vec<usize> = (0..self.names.len()).collect();
        ids.sort_by_key(|at| self.names.get_index(*at));
        let mut rank = vec![0; ids.len()];
        for (place, at) in (0u32..).zip(&ids) {
            rank[*at] = place;
        }
        self.entries.sort_unstable_by_key(|entry| (rank[entry.collection as usize], entry.place, entry.offset));
        let plan = Plan::of(&self.columns);
        let mut item = Vec::new();
        for entries in self.entries.chunks(ROWS) {
            let mut rows = plan.empty();
            for entry in entries {
                item.resize(entry.length as usize, 0);
                self.spool.get_ref().read_exact_at(&mut item, entry.offset).map_err(failed)?;
                let wrong = |why: String| Error::Table { path: self.path.clone(), why };
                let json = std::str::from_utf8(&item).map_err(|e| wrong(e.to_string()))?;
                plan.add(json, &mut rows).map_err(|e| wrong(e.to_string()))?;
            }
            output.write(rows)?;
        }
        Ok(())
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        // After finish there is nothing to remove.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// True for a column whose values are different in nearly every row, so that a dictionary is all of them once more.
fn is_unique(column: &ColumnPath) -> bool {
    let (first, last) = (column.parts().first(), column.parts().last());
    let is = |part: Option<&String>, name: &str| part.is_some_and(|part| part == name);
    (is(first, "assets") && is(last, "href")) || (column.parts().len() == 1 && (is(last, "id") || is(last, "geometry")))
}

/// The file that is written.
struct Output {
    path: PathBuf,
    file: SerializedFileWriter<BufWriter<File>>,
    groups: Vec<Group>,
    shapes: BTreeSet<u32>,
    foreign: Vec<String>,
    has: [bool; 2],
}

impl Output {
    fn open(part: &Path, path: &Path, columns: &Columns) -> Result<Self> {
        let failed = |e: ParquetError| Error::Table { path: path.to_owned(), why: e.to_string() };
        let fields: Vec<TypePtr> =
            columns.fields.iter().chain(&columns.properties).filter_map(|(name, kind)| kind.column(name)).collect();
        let schema = Type::group_type_builder("schema").with_fields(fields).build().map_err(failed)?;
        let schema = Arc::new(schema);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .set_created_by(format!("outcrop {}", env!("CARGO_PKG_VERSION")))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            // Small pages, so that few are unpacked for few rows.
            .set_data_page_row_count_limit(PAGE)
            .set_write_batch_size(PAGE);
        for column in SchemaDescriptor::new(schema.clone()).columns().iter().filter(|column| is_unique(column.path())) {
            properties = properties.set_column_dictionary_enabled(column.path().clone(), false);
        }
        let file = File::create(part).map_err(|e| Error::table(path, &e))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        let file = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).map_err(failed)?;
        let foreign = columns.fields.keys().filter(|name| !OWN.contains(&name.as_str())).cloned().collect();
        let bbox = columns.fields.get("bbox");
        let has_z = matches!(bbox, Some(Kind::Struct(fields)) if fields.contains_key("zmin"));
        let has = [bbox.is_some_and(|kind| *kind != Kind::Null), has_z];
        Ok(Self { path: path.to_owned(), file, groups: Vec::new(), shapes: BTreeSet::new(), foreign, has })
    }

    fn rows(&self) -> u64 {
        self.groups.iter().map(|group| group.rows as u64).sum()
    }

    fn write(&mut self, rows: Shredded) -> Result<()> {
        let path = &self.path;
        let failed = |e: ParquetError| Error::Table { path: path.clone(), why: e.to_string() };
        let Shredded { leaves, group: known, shapes } = rows;
        let mut group = self.file.next_row_group().map_err(failed)?;
        for leaf in leaves {
            let Some(mut column) = group.next_column().map_err(failed)? else { break };
            let (def, rep) = (Some(leaf.def.as_slice()), Some(leaf.rep.as_slice()));
            match leaf.values {
                Values::Bool(values) => column.typed::<BoolType>().write_batch(&values, def, rep),
                Values::Int(values) => column.typed::<Int64Type>().write_batch(&values, def, rep),
                Values::Float(values) => column.typed::<DoubleType>().write_batch(&values, def, rep),
                Values::Bytes(bytes, ends) => {
                    column.typed::<ByteArrayType>().write_batch(&Values::byte_arrays(bytes, &ends), def, rep)
                }
            }
            .map_err(failed)?;
            column.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.groups.push(known);
        self.shapes.extend(shapes);
        Ok(())
    }

    /// Copies a group as it is.
    fn copy(&mut self, base: &Base, at: usize) -> Result<()> {
        let path = &self.path;
        let failed = |e: ParquetError| Error::Table { path: path.clone(), why: e.to_string() };
        let mut group = self.file.next_row_group().map_err(failed)?;
        base.copy(at, &mut group).map_err(failed)?;
        group.close().map_err(failed)?;
        self.groups.push(base.group(at));
        self.shapes.extend(base.shapes());
        Ok(())
    }

    /// Ends the file; its size.
    fn finish(mut self, collections: &Map<String, Value>, more: Vec<(String, String)>) -> Result<u64> {
        let path = &self.path;
        let failed = |e: ParquetError| Error::Table { path: path.clone(), why: e.to_string() };
        let own = self.metadata(collections).map(|(key, value)| (key.to_owned(), value.to_string()));
        for (key, value) in own.into_iter().chain(more) {
            self.file.append_key_value_metadata(KeyValue::new(key, value));
        }
        let file = self.file.into_inner().map_err(failed)?;
        let file = file.into_inner().map_err(|e| Error::table(path, e.error()))?;
        file.sync_all().and_then(|()| file.metadata()).map(|meta| meta.len()).map_err(|e| Error::table(path, &e))
    }

    fn metadata(&self, collections: &Map<String, Value>) -> [(&'static str, Value); 4] {
        let name = |code: &u32| {
            let at = usize::try_from(code % 1000).unwrap_or_default().saturating_sub(1);
            format!("{}{}", SHAPES.get(at).unwrap_or(&""), if *code > 1000 { " Z" } else { "" })
        };
        let ends = ENDS[usize::from(self.has[1])];
        let covering: Map<String, Value> = ends.iter().map(|end| ((*end).to_owned(), json!(["bbox", end]))).collect();
        let mut column = json!({"encoding": "WKB", "geometry_types": self.shapes.iter().map(name).collect::<Vec<_>>()});
        if self.has[0] {
            column["covering"] = json!({"bbox": covering});
        }
        let geo = json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}});
        let stac = json!({"version": "1.1.0", "collections": collections});
        [("geo", geo), ("stac-geoparquet", stac), (GROUPS, json!(self.groups)), (FOREIGN, json!(self.foreign))]
    }
}

/// Kinds of geometries by their numbers in WKB, from 1 on.
pub(super) const SHAPES: [&str; 7] =
    ["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"];
