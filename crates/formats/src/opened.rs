//! Opens whatever an href names: a file by its header, a Zarr store by its metadata, a document of references.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use outcrop_store::{Demand, DriveError, Href, ObjectMeta, Sparse, Step, Store, coalesce};

use crate::array::{ChunkRef, DType, FileMeta, Variable};
use crate::gdal::{self, Scope};
use crate::hdf5::Texts;
use crate::kerchunk;
use crate::layout::Layout;
use crate::locate::Locate;
use crate::open::{HEAD, Open};
use crate::raw::RawSpec;
use crate::read;
use crate::refs::ChunkRefs;
use crate::saved::{self, Fresh, Saved};
use crate::texts;
use crate::zarr::{self, Complete, Place, Shards, StoredObjects};
use crate::{Error, Result};

/// Largest joined request, in bytes.
const MAX_REQUEST: u64 = 16 << 20;

/// An opened file or store: what its header says, and where its bytes are.
#[derive(Debug)]
pub struct Opened {
    /// What the header says.
    pub meta: FileMeta,
    /// Where the bytes are.
    pub origin: Arc<Origin>,
    /// Whether the references come from the file or were saved before.
    pub fresh: Fresh,
    /// Bytes of the file that came with the header.
    have: Sparse,
}

/// Where the bytes of an opened file or store are.
#[derive(Debug)]
pub struct Origin {
    store: Store,
    href: Href,
    file: Option<ObjectMeta>,
    gdal: Option<Arc<gdal::Source>>,
    /// A chunk that has no object was never written (Zarr); behind references it is an error.
    sparse: bool,
    /// Which chunks of a Zarr store have to be there.
    complete: Option<Arc<Complete>>,
    /// Objects that references name, once their sizes are known.
    others: Mutex<HashMap<Href, ObjectMeta>>,
}

impl Opened {
    /// Opens a file by its header, a folder or `*.zarr` as a Zarr store, references of kerchunk (a JSON document, or a
    /// folder of tables in Parquet), or references that [`save`](crate::save) wrote.
    ///
    /// # Errors
    /// [`Error::NotRecognised`] and the errors of the formats; [`Error::Store`] where bytes cannot be had.
    pub async fn open(store: &Store, href: &Href) -> Result<Self> {
        if is_folder(href) {
            let zarr = zarr::load(store, href).await?;
            let (sparse, complete) = (zarr.record_size.is_none(), zarr.complete());
            let meta = zarr.into_meta(&zarr::Shelf::Objects);
            let origin = Arc::new(Origin { sparse, complete, ..Origin::new(store, href, None) });
            return Ok(Self { meta, origin, have: Sparse::new(0), fresh: Fresh::Read });
        }
        let (object, head) = store.head(href, HEAD).await?;
        if object.is_html() {
            return Err(outcrop_store::Error::HtmlPage { href: href.clone() }.into());
        }
        if saved::looks_like(&head) {
            return saved::open(store, href, &store.get(href).await?).await;
        }
        if kerchunk::looks_like(&head) {
            let meta = kerchunk::open(store, href, &store.get(href).await?)?;
            return Ok(Self {
                meta,
                origin: Origin::new(store, href, None).into(),
                have: Sparse::new(0),
                fresh: Fresh::Read,
            });
        }
        Self::of_file(store, href, (object, &head)).await
    }

    /// Opens a file of which the first bytes are at hand.
    async fn of_file(store: &Store, href: &Href, (object, head): (ObjectMeta, &Bytes)) -> Result<Self> {
        let mut have = Sparse::new(object.size);
        have.insert(0, head);
        let meta = match store.drive_with(&object, &mut have, &mut Open::new()).await.map_err(driven) {
            Err(Error::NotRecognised { looks }) if cfg!(feature = "gdal") && object.size > 0 => {
                return Self::of_gdal(store, Some(object), (href, Scope::Contained))
                    .await
                    .map_err(|e| foreign(&looks, e));
            }
            meta => meta?,
        };
        Ok(Self { meta, origin: Origin::new(store, href, Some(object)).into(), have, fresh: Fresh::Read })
    }

    /// Opens a file or folder with GDAL, also one that this crate reads itself, or (a local one) that names other files
    /// as a VRT does.
    ///
    /// # Errors
    /// [`Error::WithoutGdal`] in a program without the feature `gdal`; [`Error::Gdal`]; [`Error::Store`].
    pub async fn open_gdal(store: &Store, href: &Href) -> Result<Self> {
        let object = if href.to_path().is_some_and(|path| path.is_dir()) {
            None
        } else {
            let (object, _) = store.head(href, 1).await?;
            if object.is_html() {
                return Err(outcrop_store::Error::HtmlPage { href: href.clone() }.into());
            }
            Some(object)
        };
        Self::of_gdal(store, object, (href, Scope::All)).await
    }

    async fn of_gdal(store: &Store, object: Option<ObjectMeta>, (href, scope): (&Href, Scope)) -> Result<Self> {
        let size = object.as_ref().map(|object| object.size);
        let (meta, source) = gdal::Source::open(store, (href, size), scope).await?;
        let have = Sparse::new(size.unwrap_or(0));
        let origin = Origin { gdal: Some(source), ..Origin::new(store, href, object) };
        Ok(Self { meta, origin: origin.into(), have, fresh: Fresh::Read })
    }

    /// Of references that were saved, if the file is still the one they were made of; else the file is read again.
    pub(crate) async fn of_saved(store: &Store, href: &Href, saved: Saved) -> Result<Self> {
        let (object, head) = store.head(href, 1).await?;
        if saved.is_fresh(&object) {
            let have = Sparse::new(object.size);
            let origin = Origin::new(store, href, Some(object)).into();
            return Ok(Self { meta: saved.meta, origin, have, fresh: Fresh::Saved });
        }
        let opened = Self::of_file(store, href, (object, &head)).await?;
        Ok(Self { fresh: Fresh::Outdated, ..opened })
    }

    /// Opens a file without a header as the array that it is declared to be.
    ///
    /// # Errors
    /// Those of [`RawSpec::meta`], where the length of the file does not fit; [`Error::Store`].
    pub async fn open_raw(store: &Store, href: &Href, raw: &RawSpec) -> Result<Self> {
        let (object, _) = store.head(href, 1).await?;
        let (meta, have) = (raw.meta(object.size)?, Sparse::new(object.size));
        Ok(Self { meta, origin: Origin::new(store, href, Some(object)).into(), have, fresh: Fresh::Read })
    }

    /// Finds the chunks of a variable: reads its chunk index, or the indexes of its shards.
    ///
    /// # Errors
    /// Those of [`Locate`], and the store's.
    pub async fn locate(&self, variable: &Variable) -> Result<ChunkRefs> {
        match &variable.layout {
            Layout::Zarr(Place::Shards(sharding)) => {
                Ok(ChunkRefs::new(variable, sharding.locate(&self.origin, variable).await?))
            }
            Layout::Zarr(Place::Lazy(lazy)) => Ok(ChunkRefs::new(variable, lazy.locate(&self.origin, variable).await?)),
            _ => self.locate_with(variable, &mut self.have.clone()).await,
        }
    }

    /// As [`Opened::locate`] for all variables, one after the other: what was read for one is there for the next.
    pub(crate) async fn locate_all(&self) -> Vec<(&Variable, Result<ChunkRefs>)> {
        let mut have = self.have.clone();
        let mut located = Vec::new();
        for variable in &self.meta.variables {
            let refs = self.locate_with(variable, &mut have).await;
            located.push((variable, refs));
        }
        located
    }

    async fn locate_with(&self, variable: &Variable, have: &mut Sparse) -> Result<ChunkRefs> {
        let mut locate = Locate::new(variable);
        if let Some(object) = &self.origin.file {
            return self.origin.store.drive_with(object, have, &mut locate).await.map_err(driven);
        }
        match locate.step(&self.have)? {
            Step::Done(refs) => Ok(refs),
            Step::Need(_) => Err(Error::malformed(&variable.name, "it lies in a file, but there is none")),
        }
    }

    /// Reads a window of a variable of texts, in C order. A reference to nothing is an empty text.
    ///
    /// The texts of a window take at most 128 MiB of memory, 64 bytes for each and what is in it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a variable of something else, [`Error::Malformed`] for a text that is not Unicode or
    /// not where its reference says, [`Error::Limit`]; those of [`Opened::locate`] and [`Opened::read`].
    pub async fn read_texts(&self, variable: &Variable, window: &[Range<u64>]) -> Result<Vec<String>> {
        if !variable.dtype.is_text() {
            let what = format!("reading texts of type {}", variable.dtype.name());
            return Err(Error::unsupported(&variable.name, what));
        }
        let refs = self.locate(variable).await?;
        if variable.dtype == DType::VlenUtf8 {
            return zarr::read_texts(&self.origin, (&refs, &variable.name), window).await;
        }
        let elements = self.read(&refs, window).await?;
        if let Some(texts) = texts::fixed(variable.dtype, &elements, &variable.name) {
            return texts;
        }
        let DType::VlenText(place) = variable.dtype else { return Ok(Vec::new()) };
        let Some(object) = &self.origin.file else {
            return Err(Error::unsupported(&variable.name, "texts of any length outside of their file"));
        };
        let mut have = self.have.clone();
        let mut texts = Texts::new(place, &elements)?;
        self.origin.store.drive_with(object, &mut have, &mut texts).await.map_err(driven)
    }

    /// How many of its objects a Zarr array has; `None` for another variable, and where they cannot be listed with few
    /// requests.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored_objects(&self, variable: &Variable) -> Result<Option<StoredObjects>> {
        let keys = match &variable.layout {
            Layout::Zarr(Place::Objects(keys)) => (keys, false),
            Layout::Zarr(Place::Shards(sharding)) => match &sharding.shards {
                Shards::Objects(keys) => (keys, true),
                Shards::Mapped(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        match &self.origin.complete {
            Some(complete) => complete.count(&self.origin.store, keys).await,
            None => Ok(None),
        }
    }

    /// Reads a window of a variable as one array in C order and native byte order.
    ///
    /// # Errors
    /// [`Error::Window`] if it does not lie within the shape, those of [`crate::Decoder`], and the store's.
    pub async fn read(&self, refs: &ChunkRefs, window: &[Range<u64>]) -> Result<Vec<u8>> {
        read::read(&self.origin, refs, window).await
    }
}

impl Origin {
    fn new(store: &Store, href: &Href, file: Option<ObjectMeta>) -> Self {
        let (store, href) = (store.clone(), href.clone());
        Self { store, href, file, gdal: None, sparse: false, complete: None, others: Mutex::default() }
    }

    /// Of an object whose size is known.
    pub fn file(store: &Store, object: &ObjectMeta) -> Self {
        Self::new(store, &object.href, Some(object.clone()))
    }

    /// What was opened.
    pub fn href(&self) -> &Href {
        &self.href
    }

    /// The file; `None` for a store of many objects.
    pub fn object(&self) -> Option<&ObjectMeta> {
        self.file.as_ref()
    }

    /// The store that brings the bytes.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Brings the stored bytes of chunks, in the order asked for. An object that was never written becomes
    /// [`ChunkRef::Fill`].
    ///
    /// - `decoded` is the size of a decoded chunk in bytes; an object is at most twice as large, and 1 MiB.
    /// - Ranges of one object at most `gap` bytes apart become one request of at most 16 MiB.
    ///
    /// # Errors
    /// [`Error::Limit`] for an object that is too large, and the store's.
    pub async fn fetch(&self, chunks: &[ChunkRef], decoded: u64, gap: u64) -> Result<Vec<(ChunkRef, Bytes)>> {
        let parts = self.parts(chunks, gap).await?;
        // What needs no request of its own is not waited for; an image may have a chunk for each of its rows.
        let is_part = |chunk: &&ChunkRef| range_of(chunk).is_some();
        // Collected first: the futures of a lazy iterator are not known to be `Send`.
        let others: Vec<_> =
            chunks.iter().filter(|chunk| !is_part(chunk)).map(|chunk| self.one(chunk, decoded)).collect();
        let others: Vec<(ChunkRef, Bytes)> =
            futures::stream::iter(others).buffered(self.store.options().concurrency.max(1)).try_collect().await?;
        let mut others = others.into_iter();
        let mut found = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            match range_of(chunk) {
                Some((href, range)) => {
                    let bytes = parts.get(&href).map_or_else(|| Parts::default().take(&range), |p| p.take(&range))?;
                    found.push((chunk.clone(), bytes));
                }
                None => found.extend(others.next()),
            }
        }
        Ok(found)
    }

    /// As [`Origin::fetch`], for a thread that has nothing else to do meanwhile: it reads the chunks of a local file itself.
    ///
    /// # Errors
    /// Those of [`Origin::fetch`].
    pub fn wait_fetch(&self, chunks: &[ChunkRef], decoded: u64, gap: u64) -> Result<Vec<(ChunkRef, Bytes)>> {
        let is_near = |chunk: &ChunkRef| matches!(chunk, ChunkRef::Range { .. } | ChunkRef::Inline(_) | ChunkRef::Fill);
        let Some(object) = self.file.as_ref().filter(|_| self.href.is_local() && chunks.iter().all(is_near)) else {
            return self.store.wait(self.fetch(chunks, decoded, gap));
        };
        let ranges = joined(chunks.iter().filter_map(range_of).map(|(_, range)| range).collect(), gap);
        let bytes = self.store.wait_ranges(object, &ranges)?;
        let parts = Parts::new(ranges, bytes, object.size);
        let of = |chunk: &ChunkRef| {
            let bytes = range_of(chunk).map_or_else(|| Ok(Bytes::new()), |(_, range)| parts.take(&range))?;
            Ok((chunk.clone(), bytes))
        };
        chunks.iter().map(of).collect()
    }

    /// The ranges that chunks are, object by object; of no href are those of the file itself.
    async fn parts<'a>(&self, chunks: &'a [ChunkRef], gap: u64) -> Result<HashMap<Option<&'a Href>, Parts>> {
        let mut ranges: HashMap<Option<&Href>, Vec<Range<u64>>> = HashMap::new();
        for (href, range) in chunks.iter().filter_map(range_of) {
            ranges.entry(href).or_default().push(range);
        }
        let each: Vec<_> = ranges
            .into_iter()
            .map(|(href, ranges)| async move {
                let object = match href {
                    Some(href) => Some(self.other(href).await?),
                    None => self.file.clone(),
                };
                let parts = match object {
                    Some(object) => Parts::of(&self.store, &object, ranges, gap).await?,
                    None => Parts::default(),
                };
                Ok::<_, Error>((href, parts))
            })
            .collect();
        futures::stream::iter(each).buffer_unordered(self.store.options().concurrency.max(1)).try_collect().await
    }

    /// A chunk that is a whole object, or needs no bytes.
    async fn one(&self, chunk: &ChunkRef, decoded: u64) -> Result<(ChunkRef, Bytes)> {
        match chunk {
            ChunkRef::Object { href, range: None, .. } => self.whole(chunk, href, decoded).await,
            ChunkRef::Opaque { driver, array, window } => {
                let without = || Error::unsupported(self.href.to_string(), format!("a chunk of GDAL's {driver}"));
                let source = self.gdal.as_ref().ok_or_else(without)?;
                Ok((chunk.clone(), source.read(&self.store, (*array, window)).await?))
            }
            _ => Ok((chunk.clone(), Bytes::new())),
        }
    }

    async fn whole(&self, chunk: &ChunkRef, href: &Href, decoded: u64) -> Result<(ChunkRef, Bytes)> {
        let first = decoded.saturating_add(4096);
        let (object, head) = match self.store.head(href, first).await {
            Ok(found) => found,
            Err(e) if e.is_not_found() && self.sparse => {
                self.missing(href).await?;
                return Ok((ChunkRef::Fill, Bytes::new()));
            }
            Err(e) => return Err(e.into()),
        };
        if object.is_html() {
            return Err(outcrop_store::Error::HtmlPage { href: href.clone() }.into());
        }
        let limit = decoded.saturating_mul(2).saturating_add(1 << 20);
        if object.size > limit {
            return Err(Error::Limit { what: format!("size of `{href}` in bytes"), value: object.size, limit });
        }
        let at = head.len() as u64;
        if at >= object.size {
            return Ok((chunk.clone(), head));
        }
        let mut whole = head.to_vec();
        for part in self.store.ranges(&object, std::slice::from_ref(&(at..object.size))).await? {
            whole.extend_from_slice(&part);
        }
        Ok((chunk.clone(), whole.into()))
    }

    /// Refuses that an object of a Zarr store is not there, if its array was complete with it.
    pub(crate) async fn missing(&self, href: &Href) -> Result<()> {
        match &self.complete {
            Some(complete) => complete.missing(&self.store, href).await,
            None => Ok(()),
        }
    }

    /// An object that references name; its size is asked for once.
    pub(crate) async fn other(&self, href: &Href) -> Result<ObjectMeta> {
        let known = self.others.lock().unwrap_or_else(PoisonError::into_inner).get(href).cloned();
        if let Some(object) = known {
            return Ok(object);
        }
        let (object, _) = self.store.head(href, 1).await?;
        if object.is_html() {
            return Err(outcrop_store::Error::HtmlPage { href: href.clone() }.into());
        }
        self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(href.clone(), object.clone());
        Ok(object)
    }
}

/// Joined ranges of an object with their bytes, in its order.
#[derive(Default)]
struct Parts {
    parts: Vec<(Range<u64>, Bytes)>,
    size: u64,
}

impl Parts {
    async fn of(store: &Store, object: &ObjectMeta, ranges: Vec<Range<u64>>, gap: u64) -> Result<Self> {
        let ranges = joined(ranges, gap);
        let bytes = store.ranges(object, &ranges).await?;
        Ok(Self::new(ranges, bytes, object.size))
    }

    fn new(ranges: Vec<Range<u64>>, bytes: Vec<Bytes>, size: u64) -> Self {
        let mut parts: Vec<(Range<u64>, Bytes)> = ranges.into_iter().zip(bytes).collect();
        parts.sort_by_key(|(range, _)| range.start);
        Self { parts, size }
    }

    fn take(&self, range: &Range<u64>) -> Result<Bytes> {
        let missing = || Error::Truncated { what: "a chunk".into(), need: range.end, have: self.size };
        let at = self.parts.partition_point(|(joined, _)| joined.start <= range.start).checked_sub(1);
        // Of ranges that begin at one place, the longest covers all.
        let covers = |(joined, _): &&(Range<u64>, Bytes)| joined.start <= range.start && range.end <= joined.end;
        let candidates = at.map_or(&[][..], |at| &self.parts[..=at]);
        let (joined, bytes) = candidates.iter().rev().take(64).find(covers).ok_or_else(missing)?;
        let place = |n: u64| usize::try_from(n - joined.start).unwrap_or(usize::MAX);
        let (from, to) = (place(range.start), place(range.end));
        if to <= bytes.len() { Ok(bytes.slice(from..to)) } else { Err(missing()) }
    }
}

fn joined(ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    if gap > 0 { coalesce(&ranges, gap, MAX_REQUEST) } else { ranges }
}

/// The object that a chunk is a range of (`None` for the file itself), and the range.
fn range_of(chunk: &ChunkRef) -> Option<(Option<&Href>, Range<u64>)> {
    match chunk {
        ChunkRef::Range { offset, length, .. } => Some((None, *offset..offset.saturating_add(*length))),
        ChunkRef::Object { href, range: Some(range), .. } => Some((Some(href), range.clone())),
        _ => None,
    }
}

/// What neither this crate nor GDAL knows.
fn foreign(looks: &str, error: Error) -> Error {
    match error {
        Error::Gdal { action: "open", why, .. } => Error::NotRecognised { looks: format!("{looks} (GDAL: {why})") },
        other => other,
    }
}

fn is_folder(href: &Href) -> bool {
    if href.as_str().ends_with('/') {
        return true;
    }
    if let Some(path) = href.to_path() {
        return path.is_dir();
    }
    let path = href.as_str().split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    // A store or a group within it, or tables of references.
    path.split('/').any(|part| part.ends_with(".zarr")) || path.ends_with(".parq") || path.ends_with(".parquet")
}

fn driven(error: DriveError<Error>) -> Error {
    match error {
        DriveError::Store(error) => error.into(),
        DriveError::Parse(error) => error,
    }
}
