//! A file of which a new version is made: rows that change are taken up again, groups without any are copied.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result as TableResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::file::writer::SerializedRowGroupWriter;
use serde_json::{Map, Value};

use super::OWN;
use super::footer::{Known, check_depth_of, check_places};
use super::group::Group;
use super::kind::{Fields, Kind};
use super::layout::Layout;
use super::observe::Columns;
use super::outline::texts;
use super::rows::Rows;
use super::write::{ROWS, SHAPES};
use crate::{Error, Result};

/// Rows that are read at once.
const BATCH: usize = 1024;

/// Ids by collection; a row without one has the empty collection.
type Ids = HashMap<String, HashSet<String>>;

pub(super) struct Base {
    path: PathBuf,
    file: Arc<File>,
    footer: ParquetMetaData,
    known: Known,
    /// The types of the columns, where the file is one of ours.
    columns: Option<Columns>,
    layout: Arc<Layout>,
    replaced: Ids,
    removed: Ids,
}

/// Rows of a group that stay.
pub(super) enum Rest {
    /// All of them, as they are.
    All,
    /// These, which are to be written anew; and how many are removed.
    Rows(Vec<usize>, u64),
}

impl Base {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let wrong = |e: ParquetError| Error::Table { path: path.to_owned(), why: e.to_string() };
        let file = File::open(path).map_err(|e| Error::table(path, &e))?;
        check_depth_of(&file).map_err(wrong)?;
        let footer = guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file)).map_err(wrong)?;
        check_places(&footer).map_err(wrong)?;
        let known = Known::of(&footer).map_err(wrong)?;
        let layout = Layout::of(footer.file_metadata().schema_descr(), &known.foreign).map_err(wrong)?;
        let columns = known.groups.as_ref().and_then(|_| columns_of(&footer, &known.foreign));
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            footer,
            known,
            columns,
            layout: Arc::new(layout),
            replaced: Ids::new(),
            removed: Ids::new(),
        })
    }

    pub(super) fn collections(&self) -> Map<String, Value> {
        self.known.collections.clone()
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        let pairs = self.footer.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    pub(super) fn replace(&mut self, collection: Option<&str>, id: &str) {
        insert(&mut self.replaced, collection, id);
    }

    pub(super) fn remove(&mut self, collection: Option<&str>, id: &str) {
        insert(&mut self.removed, collection, id);
    }

    pub(super) fn groups(&self) -> usize {
        self.footer.num_row_groups()
    }

    pub(super) fn group(&self, at: usize) -> Group {
        self.known.groups.as_ref().and_then(|groups| groups.get(at)).cloned().unwrap_or_default()
    }

    pub(super) fn columns(&self) -> Columns {
        self.columns.clone().unwrap_or_default()
    }

    /// Kinds of geometries, as WKB numbers them.
    pub(super) fn shapes(&self) -> impl Iterator<Item = u32> {
        self.known.shapes.iter().filter_map(|name| {
            let (plain, z) = name.strip_suffix(" Z").map_or((name.as_str(), 0), |plain| (plain, 1000));
            let at = SHAPES.iter().position(|shape| *shape == plain)?;
            u32::try_from(at + 1).ok().map(|code| code + z)
        })
    }

    /// True if columns of these types fit into those of the file.
    pub(super) fn can_hold(&self, new: &Columns) -> bool {
        let holds = |known: &Fields, new: &Fields| {
            new.iter().all(|(name, kind)| {
                known.get(name).is_some_and(|known| {
                    let mut both = known.clone();
                    both.meet(kind.clone());
                    both == *known
                })
            })
        };
        let known = self.columns.as_ref();
        known.is_some_and(|known| holds(&known.fields, &new.fields) && holds(&known.properties, &new.properties))
    }

    /// What of a group stays. Small groups are always written anew, with what is new.
    pub(super) fn rest(&self, at: usize) -> Result<Rest> {
        let rows = usize::try_from(self.footer.row_group(at).num_rows()).unwrap_or(0);
        let known = self.group(at);
        let touched = |ids: &Ids| {
            known.collections.is_empty() || known.collections.iter().any(|collection| ids.contains_key(collection))
        };
        let may_change = [&self.replaced, &self.removed].into_iter().any(|ids| !ids.is_empty() && touched(ids));
        let (mut rest, mut removed) = (Vec::with_capacity(rows), 0);
        if may_change {
            let wrong = |e: ParquetError| Error::Table { path: self.path.clone(), why: e.to_string() };
            let read = || {
                let reader = self.reader(at)?;
                Ok((texts(&reader, "collection", rows)?, texts(&reader, "id", rows)?))
            };
            let (collections, ids) = guarded(read).map_err(wrong)?;
            for (row, id) in ids.iter().enumerate() {
                let collection = collections.get(row).and_then(Option::as_ref).map(texts_str).unwrap_or_default();
                let id = id.as_ref().map(texts_str).unwrap_or_default();
                let is_among = |ids: &Ids| ids.get(collection).is_some_and(|ids| ids.contains(id));
                if is_among(&self.replaced) {
                    continue;
                }
                if is_among(&self.removed) {
                    removed += 1;
                } else {
                    rest.push(row);
                }
            }
        } else {
            rest.extend(0..rows);
        }
        let stays = self.columns.is_some() && rest.len() == rows && rows >= ROWS / 2;
        Ok(if stays { Rest::All } else { Rest::Rows(rest, removed) })
    }

    fn reader(&self, at: usize) -> TableResult<SerializedRowGroupReader<'_, File>> {
        let properties = Arc::new(ReaderProperties::builder().build());
        SerializedRowGroupReader::new(self.file.clone(), self.footer.row_group(at), None, properties)
    }

    /// Gives the items of rows to `take`.
    pub(super) fn items(&self, at: usize, rows: &[usize], mut take: impl FnMut(Vec<u8>) -> Result<()>) -> Result<()> {
        let wrong = |e: ParquetError| Error::Table { path: self.path.clone(), why: e.to_string() };
        let mut reading = guarded(|| Rows::new(&self.reader(at)?, self.layout.clone())).map_err(wrong)?;
        for batch in rows.chunks(BATCH) {
            guarded(|| reading.take(batch)).map_err(wrong)?.into_iter().try_for_each(&mut take)?;
        }
        Ok(())
    }

    /// Copies the bytes of a group.
    pub(super) fn copy<W: Write + Send>(&self, at: usize, to: &mut SerializedRowGroupWriter<'_, W>) -> TableResult<()> {
        let group = self.footer.row_group(at);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        for column in group.columns() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                rows_written: rows,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            to.append_column(&*self.file, close)?;
        }
        Ok(())
    }
}

/// The crate `parquet` has assertions that damaged pages do not keep; they become errors.
pub(super) fn guarded<T>(work: impl FnOnce() -> TableResult<T>) -> TableResult<T> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(ParquetError::General("its pages are damaged".to_owned())))
}

fn insert(ids: &mut Ids, collection: Option<&str>, id: &str) {
    let collection = collection.unwrap_or_default();
    if !ids.contains_key(collection) {
        ids.insert(collection.to_owned(), HashSet::new());
    }
    if let Some(known) = ids.get_mut(collection) {
        known.insert(id.to_owned());
    }
}

fn texts_str(bytes: &parquet::data_type::ByteArray) -> &str {
    std::str::from_utf8(bytes.data()).unwrap_or_default()
}

/// The types of the columns of a file that we wrote.
fn columns_of(footer: &ParquetMetaData, foreign: &[String]) -> Option<Columns> {
    let mut columns = Columns::default();
    for column in footer.file_metadata().schema().get_fields() {
        let (name, kind) = (column.name(), Kind::of_column(column)?);
        let is_field = OWN.contains(&name) || foreign.iter().any(|known| known == name);
        let fields = if is_field { &mut columns.fields } else { &mut columns.properties };
        fields.insert(name.to_owned(), kind);
    }
    Some(columns)
}
