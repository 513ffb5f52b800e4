//! Reads rows of a stac-geoparquet file as items: of groups that may hold some, and of them those that may fit.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures::stream::Stream;
use outcrop_store::{Href, ObjectMeta, Store};
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::serialized_reader::SerializedRowGroupReader;

use super::footer::{Known, MOST_FOOTER, check_depth, check_places};
use super::group::Group;
use super::held::Held;
use super::layout::Layout;
use super::outline::{NAMES, Outline, Outlined, PLACE_AND_TIME, outlines};
use super::rows::Rows;
use serde_json::{Map, Value};

use crate::{Error, RawItem, Result};

/// Bytes at the end of a file that are read first.
const TAIL: u64 = 1 << 16;
/// Rows that become items at once.
const BATCH: usize = 512;

/// A stac-geoparquet file, local or remote, of which the footer was read.
#[derive(Debug, Clone)]
pub struct Table {
    store: Store,
    meta: ObjectMeta,
    footer: Arc<ParquetMetaData>,
    known: Arc<Known>,
    layout: Arc<Layout>,
}

impl Table {
    /// Reads the footer.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Table`] if it is no Parquet file or has no column `id`.
    pub async fn open(store: &Store, href: &Href) -> Result<Self> {
        let failed = |source| Error::Read { href: href.clone(), source };
        let (meta, _) = store.head(href, 4).await.map_err(failed)?;
        let wrong = |why: String| Error::Table { path: href.as_str().into(), why };
        let mut held = Held::new(meta.size);
        let mut from = meta.size.saturating_sub(TAIL);
        let footer = loop {
            held.bring(store, &meta, std::slice::from_ref(&(from..meta.size))).await.map_err(failed)?;
            let tail = held.get(from..meta.size).ok_or_else(|| wrong("it is cut".to_owned()))?;
            check_depth(metadata_of(&tail)).map_err(|e| wrong(e.to_string()))?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&tail, meta.size) {
                Ok(()) => break reader.finish().map_err(|e| wrong(e.to_string()))?,
                Err(ParquetError::NeedMoreData(more)) if more as u64 <= MOST_FOOTER && from > 0 => {
                    from = meta.size.saturating_sub(more as u64);
                }
                Err(e) => return Err(wrong(e.to_string())),
            }
        };
        check_places(&footer).map_err(|e| wrong(e.to_string()))?;
        let known = Known::of(&footer).map_err(|e| wrong(e.to_string()))?;
        let layout = Layout::of(footer.file_metadata().schema_descr(), &known.foreign);
        let layout = Arc::new(layout.map_err(|e| wrong(e.to_string()))?);
        Ok(Self { store: store.clone(), meta, footer: Arc::new(footer), known: Arc::new(known), layout })
    }

    /// Where the file is.
    pub fn href(&self) -> &Href {
        &self.meta.href
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.footer.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Groups of rows.
    pub fn groups(&self) -> usize {
        self.footer.num_row_groups()
    }

    /// What is known of a group; `None` where the file does not say.
    pub fn group(&self, at: usize) -> Option<&Group> {
        self.known.groups.as_ref()?.get(at)
    }

    /// A value of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let pairs = self.footer.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// The collections that the file keeps, by id.
    pub fn collections(&self) -> &Map<String, Value> {
        &self.known.collections
    }

    /// The rows of a group that may fit: by box (not geometry) and time, and if asked for by id and collection, as
    /// `keep` decides.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Table`].
    pub async fn select(
        &self,
        group: usize,
        by: Outlined,
        keep: impl Fn(&Outline) -> bool + Send + 'static,
    ) -> Result<Selection> {
        let has = |path: &&str| {
            let mut columns = self.footer.row_group(group).columns().iter();
            columns.any(|column| column.column_path().string() == *path)
        };
        let mut some: Vec<&'static str> = PLACE_AND_TIME.iter().copied().filter(has).collect();
        if by == Outlined::Names || some.is_empty() {
            some.extend(NAMES);
        }
        let held = self.columns(group, Some(&some)).await?;
        let table = self.clone();
        let find = move || {
            let all = outlines(&table.reader(&held, group)?, &some)?;
            Ok(all.iter().enumerate().filter(|(_, row)| keep(row)).map(|(at, _)| at).collect::<Vec<_>>())
        };
        let wanted = blocking(self.href(), find).await?;
        if wanted.is_empty() {
            return Ok(Selection { href: self.href().clone(), rows: None, first: Vec::new(), wanted, at: 0 });
        }
        let all = self.columns(group, None).await?;
        let (table, batch) = (self.clone(), wanted.iter().take(BATCH).copied().collect::<Vec<_>>());
        let at = batch.len();
        // The first items are made here, so that groups that are selected at once are decoded at once.
        let open = move || {
            let mut rows = Rows::new(&table.reader(&all, group)?, table.layout.clone())?;
            let first = items_of(&mut rows, &batch, table.href())?;
            Ok((rows, first))
        };
        let (rows, first) = blocking(self.href(), open).await?;
        Ok(Selection { href: self.href().clone(), rows: Some(rows), first, wanted, at })
    }

    /// The bytes of columns of a group; `None` are all.
    async fn columns(&self, at: usize, names: Option<&[&str]>) -> Result<Held> {
        let group = self.footer.row_group(at);
        let wanted = |path: &str| names.is_none_or(|names| names.contains(&path));
        let ranges: Vec<Range<u64>> = group
            .columns()
            .iter()
            .filter(|column| wanted(column.column_path().string().as_str()))
            .map(ColumnChunkMetaData::byte_range)
            .map(|(start, len)| start..start.saturating_add(len))
            .collect();
        let mut held = Held::new(self.meta.size);
        let failed = |source| Error::Read { href: self.href().clone(), source };
        held.bring(&self.store, &self.meta, &ranges).await.map_err(failed)?;
        Ok(held)
    }

    fn reader<'a>(&'a self, held: &Held, at: usize) -> parquet::errors::Result<SerializedRowGroupReader<'a, Held>> {
        let properties = Arc::new(ReaderProperties::builder().build());
        SerializedRowGroupReader::new(Arc::new(held.clone()), self.footer.row_group(at), None, properties)
    }
}

/// Rows of a group that were chosen; they become items some at a time.
pub struct Selection {
    href: Href,
    rows: Option<Rows>,
    /// Items that were made already.
    first: Vec<RawItem>,
    wanted: Vec<usize>,
    at: usize,
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection").field("href", &self.href).field("rows", &self.wanted.len()).finish_non_exhaustive()
    }
}

impl Selection {
    /// The items, some at a time; after an error there are no more.
    pub fn items(self) -> impl Stream<Item = Result<Vec<RawItem>>> + Send {
        futures::stream::unfold(Some(self), |state| async move {
            let mut state = state?;
            if !state.first.is_empty() {
                return Some((Ok(std::mem::take(&mut state.first)), Some(state)));
            }
            let mut rows = state.rows.take()?;
            let batch: Vec<usize> = state.wanted.iter().skip(state.at).take(BATCH).copied().collect();
            if batch.is_empty() {
                return None;
            }
            state.at += batch.len();
            let href = state.href.clone();
            let take = move || Ok((items_of(&mut rows, &batch, &href)?, rows));
            match blocking(&state.href, take).await {
                Ok((items, rows)) => {
                    state.rows = Some(rows);
                    Some((Ok(items), Some(state)))
                }
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

fn items_of(rows: &mut Rows, batch: &[usize], href: &Href) -> parquet::errors::Result<Vec<RawItem>> {
    let items = rows.take(batch)?.into_iter().map(|json| {
        let item = RawItem::parse(href.clone(), json.into()).and_then(RawItem::at_self);
        item.map_err(|e| ParquetError::General(e.to_string()))
    });
    items.collect()
}

/// The metadata among the last bytes of a file, as far as it is there.
fn metadata_of(tail: &[u8]) -> &[u8] {
    let Some((before, end)) = tail.split_last_chunk::<FOOTER_SIZE>() else { return &[] };
    let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]);
    let start = usize::try_from(length).ok().and_then(|length| before.len().checked_sub(length));
    start.and_then(|start| before.get(start..)).unwrap_or_default()
}

async fn blocking<T: Send + 'static>(
    href: &Href,
    work: impl FnOnce() -> parquet::errors::Result<T> + Send + 'static,
) -> Result<T> {
    let wrong = |why: String| Error::Table { path: Path::new(href.as_str()).to_owned(), why };
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| wrong(e.to_string()))?;
    done.map_err(|e| wrong(e.to_string()))
}
