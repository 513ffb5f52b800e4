//! References in Parquet: a folder with `.zmetadata` and, for each array, `ARRAY/refs.N.parq` of `record_size` rows each.
//!
//! The layout is that of fsspec's `LazyReferenceMapper`, which kerchunk writes. A file is read when its array is located.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use outcrop_store::Href;

use super::import::Target;
use super::parquet::{self, Rows};
use crate::array::{ChunkRef, Variable};
use crate::layout::product;
use crate::opened::Origin;
use crate::refs::Table;
use crate::{Error, Result};

/// Most files of an array.
const MAX_FILES: u64 = 1 << 16;
/// Most references of an array.
const MAX_ENTRIES: usize = 1 << 22;

/// The folder of an array, and the rows of its files.
#[derive(Debug, Clone)]
pub(crate) struct Lazy {
    /// The folder of all references.
    pub(crate) root: Href,
    /// The folder of the array.
    pub(crate) folder: Href,
    pub(crate) record_size: u64,
}

/// References of an array, by the positions of its chunks in C order.
#[derive(Debug)]
pub(crate) struct Referenced {
    hrefs: Vec<Href>,
    /// Sorted.
    entries: Vec<(u64, Target)>,
}

impl Lazy {
    /// Reads the references of a variable, several files at once. A file that is not there names no chunk.
    pub(crate) async fn locate(&self, origin: &Origin, variable: &Variable) -> Result<Table> {
        let chunks = product(&variable.grid.counts(), &variable.name)?;
        let files = chunks.div_ceil(self.record_size.max(1));
        if files > MAX_FILES {
            let what = format!("number of files of references of `{}`", variable.name);
            return Err(Error::Limit { what, value: files, limit: MAX_FILES });
        }
        let each: Vec<_> = (0..files).map(|number| self.file(origin, number)).collect();
        let mut found = futures::stream::iter(each).buffered(origin.store().options().concurrency.max(1));
        let (mut reader, mut number) = (Reader { base: &self.root, hrefs: Vec::new(), known: HashMap::new() }, 0u64);
        let mut entries = Vec::new();
        while let Some(rows) = found.try_next().await? {
            let first = number.saturating_mul(self.record_size);
            number += 1;
            let Some((href, rows)) = rows else { continue };
            let broken = |why: String| Error::malformed(format!("the file of references `{href}`"), why);
            if rows.path.len() as u64 > self.record_size {
                return Err(broken(format!("it has more than {} rows", self.record_size)));
            }
            let rows = reader.rows(&rows).map_err(broken)?;
            let inside = rows.into_iter().map(|(row, target)| (first.saturating_add(row), target));
            entries.extend(inside.filter(|(linear, _)| *linear < chunks));
            if entries.len() > MAX_ENTRIES {
                let what = format!("number of references of `{}`", variable.name);
                return Err(Error::Limit { what, value: entries.len() as u64, limit: MAX_ENTRIES as u64 });
            }
        }
        Ok(Table::Referenced(Referenced { hrefs: reader.hrefs, entries }.into()))
    }

    async fn file(&self, origin: &Origin, number: u64) -> Result<Option<(Href, Rows)>> {
        let href = self.folder.as_folder().join(&format!("refs.{number}.parq"))?;
        let bytes = match origin.store().get(&href).await {
            Ok(bytes) => bytes,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let rows =
            parquet::read(&bytes).map_err(|why| Error::malformed(format!("the file of references `{href}`"), why))?;
        Ok(Some((href, rows)))
    }
}

struct Reader<'a> {
    base: &'a Href,
    hrefs: Vec<Href>,
    known: HashMap<Bytes, usize>,
}

impl Reader<'_> {
    /// The rows that are references. One without a path and without bytes is a chunk that was never written.
    fn rows(&mut self, rows: &Rows) -> std::result::Result<Vec<(u64, Target)>, String> {
        let mut found = Vec::new();
        let columns = rows.path.iter().zip(&rows.raw).zip(rows.offset.iter().zip(&rows.size));
        for (row, ((path, raw), (offset, size))) in (0u64..).zip(columns) {
            let target = match (raw, path) {
                // A slice would keep the whole page.
                (Some(raw), _) => Target::Inline(Bytes::copy_from_slice(raw)),
                (None, None) => continue,
                (None, Some(path)) => {
                    let end = offset.checked_add(*size).ok_or("the end of a chunk is beyond 64 bits")?;
                    let whole = (*offset, *size) == (0, 0);
                    Target::Object(self.href(path)?, (!whole).then_some(*offset..end))
                }
            };
            found.push((row, target));
        }
        Ok(found)
    }

    fn href(&mut self, path: &Bytes) -> std::result::Result<usize, String> {
        if let Some(place) = self.known.get(path) {
            return Ok(*place);
        }
        let text = std::str::from_utf8(path).map_err(|_| "a path that is no text")?;
        let place = self.hrefs.len();
        self.hrefs.push(super::import::resolve(self.base, text)?);
        self.known.insert(Bytes::copy_from_slice(path), place);
        Ok(place)
    }
}

impl Referenced {
    /// The chunk at this position; [`ChunkRef::Fill`] if there is none.
    pub(crate) fn chunk(&self, linear: u64) -> ChunkRef {
        let at = self.entries.binary_search_by_key(&linear, |(linear, _)| *linear).ok();
        at.and_then(|at| self.entries.get(at)).map_or(ChunkRef::Fill, |(_, target)| target.chunk(&self.hrefs))
    }

    /// Positions of all chunks that there are.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|(linear, _)| *linear)
    }
}
