//! Writing a static catalog as a stream of items: each document atomically, children before parents, the root last.
//!
//! Of each item only its link stays in memory; items are written in groups on a few threads.

mod documents;
mod members;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

use bytes::Bytes;
use outcrop_store::publish::Batch;
use outcrop_store::{Href, safe_name, twin_key};
use serde_json::{Value, json};

use documents::Common;
use members::{Member, Members};

use crate::published::document_href;
use crate::{Body, Document, Error, Kind, Layout, Loaded, Published, RawItem, Result, loaded};

const GROUP: usize = 256;
const THREADS: usize = 4;

/// Where and how a catalog is written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Local folder that will hold the root document.
    pub to: Href,
    /// The folder under which the catalog will be found, if it is not `to`.
    pub root_href: Option<Href>,
    /// Form of the links.
    pub published: Published,
    /// Where items go; by default all are below the root.
    pub layout: Layout,
    /// Items lie beside the catalog that lists them, not each in a folder of its own.
    pub flat: bool,
    /// Nobody sees `to` before it is whole: files are written in place.
    pub staged: bool,
}

impl WriteOptions {
    /// A self-contained catalog in a folder.
    pub fn new(to: Href) -> Self {
        let (published, layout) = (Published::default(), Layout::default());
        Self { to, root_href: None, published, layout, flat: false, staged: false }
    }

    /// Where the document of an item is written, below the sub-catalogs `path`.
    ///
    /// # Errors
    /// [`Error::Name`] if an id cannot name a file.
    pub fn document_path(&self, path: &[String], id: &str) -> Result<PathBuf> {
        let href = item_href(&self.to, (path, id), self)?;
        Ok(href.to_path().unwrap_or_default())
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Items of the catalog.
    pub items: u64,
    /// All documents of the catalog.
    pub documents: u64,
    /// Those that were there already with the same bytes.
    pub unchanged: u64,
    /// The root as it was written; of one with very many links as [`load`](crate::load) gives it.
    pub root: Document,
}

#[derive(Debug, Default)]
struct Counts {
    items: u64,
    documents: u64,
    unchanged: u64,
}

#[derive(Debug)]
struct Folder {
    path: Vec<String>,
    kind: Kind,
    body: Body,
    parent: Option<usize>,
    members: Members,
    /// What all items of the folder have alike.
    common: Option<Common>,
}

/// Writes a catalog.
///
/// - An item is readable as soon as its group is written; no catalog names it before [`TreeWriter::finish`].
/// - Dropped before that, it leaves items that no catalog names; running again repairs it.
/// - Memory grows with the ids of the items.
#[derive(Debug)]
pub struct TreeWriter {
    options: WriteOptions,
    base: Href,
    folders: Vec<Folder>,
    places: HashMap<Vec<String>, usize>,
    claimed: HashSet<u128>,
    hashers: [RandomState; 2],
    pending: Vec<(PathBuf, Bytes)>,
    batches: Vec<Batch>,
    counts: Counts,
}

impl TreeWriter {
    /// Starts a catalog whose root has the given fields; its links are made here. A `type` of Collection makes one.
    ///
    /// # Errors
    /// [`Error::Write`] if `to` is not local.
    pub fn new(root: Body, options: WriteOptions) -> Result<Self> {
        if !options.to.is_local() {
            let source = outcrop_store::Error::ReadOnly { href: options.to.clone() };
            return Err(Error::Write { href: options.to, source });
        }
        let base = options.root_href.clone().unwrap_or_else(|| options.to.absolute());
        let folder = options.to.to_path().unwrap_or_default();
        let batch = || if options.staged { Batch::in_staged_folder() } else { Batch::below(&folder) };
        let batches = (0..THREADS).map(|_| batch()).collect();
        Ok(Self {
            base,
            folders: vec![Folder::new(Vec::new(), root, None)],
            places: HashMap::from([(Vec::new(), 0)]),
            claimed: HashSet::new(),
            hashers: [RandomState::new(), RandomState::new()],
            pending: Vec::with_capacity(GROUP),
            batches,
            counts: Counts::default(),
            options,
        })
    }

    /// The fields of the root, which is written last.
    pub fn root_mut(&mut self) -> &mut Body {
        &mut self.folders[0].body
    }

    /// Puts the members of each catalog in the order of their ids, whatever the order in which they came.
    pub fn sort(&mut self) {
        let names: Vec<String> = self.folders.iter().map(|f| f.path.last().cloned().unwrap_or_default()).collect();
        for folder in &mut self.folders {
            folder.members.sort(&names);
        }
    }

    /// The fields of a sub-catalog that was made; they are written with it at the end.
    pub fn catalog_mut(&mut self, path: &[String]) -> Option<&mut Body> {
        let at = *self.places.get(path)?;
        self.folders.get_mut(at).map(|folder| &mut folder.body)
    }

    /// Adds an item where the layout puts it. Its structural links are made here, its other links are kept. The
    /// document as it is written.
    ///
    /// # Errors
    /// [`Error::MissingVariable`], [`Error::Name`], [`Error::Duplicate`] (the catalog stays as it was), [`Error::Write`].
    pub fn add(&mut self, item: Body) -> Result<Bytes> {
        let path = self.options.layout.values(&item)?;
        self.add_at(&path, item)
    }

    /// Adds an item below sub-catalogs, which are made where they do not exist yet.
    ///
    /// # Errors
    /// As [`TreeWriter::add`].
    pub fn add_at(&mut self, path: &[String], item: Body) -> Result<Bytes> {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let folder = self.place(path, &id)?;
        let item = self.linked_item(folder, &id, item)?;
        self.folders[folder].members.push_item(&id);
        self.counts.items += 1;
        let bytes = Bytes::from(self.json(&item)?);
        let file = self.item_file(folder, &id)?;
        self.push(file, bytes.clone())?;
        Ok(bytes)
    }

    /// Adds an item as it is, below sub-catalogs: its fields, their order and its numbers stay as they are written. Its
    /// structural links are made here, its other links are kept.
    ///
    /// # Errors
    /// As [`TreeWriter::add`], and [`Error::Json`] for an item that is nested too deep.
    pub fn add_item(&mut self, path: &[String], item: &RawItem) -> Result<Bytes> {
        let id = item.id().into_owned();
        let folder = self.place(path, &id)?;
        let bytes = if let Some(json) = self.linked_json(folder, &id, item)? {
            json
        } else {
            let Value::Object(body) = item.to_value()? else { return Ok(Bytes::new()) };
            let linked = self.linked_item(folder, &id, body)?;
            self.json(&linked)?
        };
        self.folders[folder].members.push_item(&id);
        self.counts.items += 1;
        let file = self.item_file(folder, &id)?;
        let bytes = Bytes::from(bytes);
        self.push(file, bytes.clone())?;
        Ok(bytes)
    }

    /// Adds an item that is there already: its catalog names it, its document stays as it is.
    ///
    /// # Errors
    /// As [`TreeWriter::add`].
    pub fn add_existing(&mut self, path: &[String], id: &str) -> Result<()> {
        let folder = self.place(path, id)?;
        self.folders[folder].members.push_item(id);
        self.counts.items += 1;
        self.counts.documents += 1;
        self.counts.unchanged += 1;
        Ok(())
    }

    /// Where the document of an item is written.
    ///
    /// # Errors
    /// [`Error::Name`] if an id cannot name a file.
    pub fn document_path(&self, path: &[String], id: &str) -> Result<PathBuf> {
        self.options.document_path(path, id)
    }

    /// Where the document of an item will be found.
    ///
    /// # Errors
    /// As [`TreeWriter::document_path`].
    pub fn document_href(&self, path: &[String], id: &str) -> Result<Href> {
        item_href(&self.base, (path, id), &self.options)
    }

    /// True if all documents that were added so far are written.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds a sub-catalog with the given fields; one that exists stays as it is.
    ///
    /// # Errors
    /// As [`TreeWriter::add`].
    pub fn add_catalog(&mut self, path: &[String], body: Body) -> Result<()> {
        let Some((_, parents)) = path.split_last() else { return Ok(()) };
        let parent = self.folder(parents)?;
        self.make(parent, path, body).map(drop)
    }

    /// The folder of an item, which no other item of it may share a file with.
    fn place(&mut self, path: &[String], id: &str) -> Result<usize> {
        safe_name(id)
            .map_err(|source| Error::Name { what: format!("the item of id `{}`", id.escape_debug()), source })?;
        let folder = self.folder(path)?;
        // A catalog's document lies there too.
        if self.options.flat && ["catalog", "collection"].iter().any(|name| id.eq_ignore_ascii_case(name)) {
            let (path, first) = (format!("{id}.json"), "the catalog itself".to_owned());
            return Err(Error::Duplicate { path, first, second: id.to_owned() });
        }
        self.claim(folder, id, Kind::Item)?;
        Ok(folder)
    }

    fn folder(&mut self, path: &[String]) -> Result<usize> {
        if let Some(at) = self.places.get(path) {
            return Ok(*at);
        }
        let mut at = 0;
        for depth in 1..=path.len() {
            let parent = self.folders[at].body.get("id").and_then(Value::as_str).unwrap_or_default();
            let id = &path[depth - 1];
            let description = format!("Catalog of items from {parent} with id {id}");
            let fields = json!({"type": "Catalog", "id": id, "stac_version": "1.1.0", "description": description});
            let Value::Object(body) = fields else { continue };
            at = self.make(at, &path[..depth], body)?;
        }
        Ok(at)
    }

    fn make(&mut self, parent: usize, path: &[String], body: Body) -> Result<usize> {
        if let Some(at) = self.places.get(path) {
            return Ok(*at);
        }
        let id = path.last().map(String::as_str).unwrap_or_default();
        let what = || format!("the document of id `{}`", id.escape_debug());
        safe_name(id).map_err(|source| Error::Name { what: what(), source })?;
        self.claim(parent, id, Kind::Catalog)?;
        let at = self.folders.len();
        self.folders.push(Folder::new(path.to_vec(), body, Some(parent)));
        self.folders[parent].members.push_catalog(at);
        self.places.insert(path.to_vec(), at);
        Ok(at)
    }

    /// A file belongs to one document, also where file names know no case, or one form of an accent.
    fn claim(&mut self, folder: usize, id: &str, kind: Kind) -> Result<()> {
        let lower = twin_key(id);
        let hash = |hasher: &RandomState| u128::from(hasher.hash_one((folder, kind == Kind::Item, &lower)));
        if self.claimed.insert(hash(&self.hashers[0]) << 64 | hash(&self.hashers[1])) {
            return Ok(());
        }
        let here = &self.folders[folder];
        let first = here.members.iter().find_map(|member| {
            match member {
                Member::Item(other) if kind == Kind::Item => Some(other),
                Member::Catalog(at) if kind != Kind::Item => self.folders[at].path.last().map(String::as_str),
                _ => None,
            }
            .filter(|other| twin_key(other) == lower)
        });
        let name = |id: &str| here.path.iter().map(String::as_str).chain([id]).collect::<Vec<_>>().join("/");
        let path = name(if kind == Kind::Item && !self.options.flat { &lower } else { id });
        let path = match kind {
            Kind::Item if self.options.flat => format!("{path}.json"),
            Kind::Item => format!("{}/{id}.json", name(id)),
            kind => format!("{path}/{}", kind.file_name()),
        };
        Err(Error::Duplicate { path, first: name(first.unwrap_or(id)), second: name(id) })
    }

    fn href(&self, path: &[String], kind: Kind) -> Result<Href> {
        let ids: Vec<&str> = path.iter().map(String::as_str).collect();
        document_href(&self.base, &ids, kind)
    }

    fn folder_href(&self, at: usize) -> Result<Href> {
        self.href(&self.folders[at].path, self.folders[at].kind)
    }

    /// Where the document of an item of a folder is written.
    fn item_file(&mut self, folder: usize, id: &str) -> Result<PathBuf> {
        if !is_plain(id) {
            let path = self.folders[folder].path.clone();
            return self.document_path(&path, id);
        }
        let mut file = self.common(folder)?.files;
        if !self.options.flat {
            file.push(id);
        }
        file.push(format!("{id}.json"));
        Ok(file)
    }

    fn collection_above(&self, folder: usize) -> Option<usize> {
        let mut at = Some(folder);
        while let Some(here) = at {
            if self.folders[here].kind == Kind::Collection {
                return Some(here);
            }
            at = self.folders[here].parent;
        }
        None
    }

    fn push(&mut self, file: PathBuf, bytes: Bytes) -> Result<()> {
        self.counts.documents += 1;
        self.pending.push((file, bytes));
        if self.pending.len() >= GROUP { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.pending);
        let share = group.len().div_ceil(THREADS).max(1);
        let results: Vec<Result<u64>> = std::thread::scope(|scope| {
            let workers: Vec<_> = group
                .chunks(share)
                .zip(&mut self.batches)
                .map(|(part, batch)| scope.spawn(move || write_part(part, batch)))
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(0))).collect()
        });
        for unchanged in results {
            self.counts.unchanged += unchanged?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.write_group()?;
        let href = self.options.to.clone();
        self.batches.iter_mut().try_for_each(Batch::flush).map_err(|source| Error::Write { href, source })
    }

    /// Writes the catalogs, deepest first, each level on the disk before the one that names it; the root last.
    ///
    /// In a staged folder nothing is seen before all of it is there, so that it is flushed once.
    ///
    /// # Errors
    /// [`Error::Write`]; an old root then still stands.
    pub fn finish(mut self) -> Result<Written> {
        let mut root = None;
        // Nothing is added any more; the documents of large catalogs need the memory.
        self.claimed = HashSet::new();
        let deepest = self.folders.iter().map(|folder| folder.path.len()).max().unwrap_or(0);
        for depth in (0..=deepest).rev() {
            if !self.options.staged {
                self.flush()?;
            }
            for at in 0..self.folders.len() {
                if self.folders[at].path.len() == depth {
                    let bytes = Bytes::from(self.folder_json(at)?);
                    self.folders[at].members = Members::default();
                    let ids: Vec<&str> = self.folders[at].path.iter().map(String::as_str).collect();
                    let href = document_href(&self.options.to, &ids, self.folders[at].kind)?;
                    if at == 0
                        && let Loaded::Other(document) = loaded(href.clone(), bytes.clone())?
                    {
                        root = Some(document);
                    }
                    self.push(href.to_path().unwrap_or_default(), bytes)?;
                }
            }
        }
        self.flush()?;
        let Counts { items, documents, unchanged } = self.counts;
        let root = root.ok_or_else(|| Error::NotStac { href: self.base, why: "it was not written".to_owned() })?;
        Ok(Written { items, documents, unchanged, root })
    }
}

impl Folder {
    fn new(path: Vec<String>, body: Body, parent: Option<usize>) -> Self {
        Self { path, kind: kind_of(&body), body, parent, members: Members::default(), common: None }
    }
}

/// An id that stands in hrefs and file names as it is.
fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Where the document of an item is, below the folder `root`.
fn item_href(root: &Href, (path, id): (&[String], &str), options: &WriteOptions) -> Result<Href> {
    let mut ids: Vec<&str> = path.iter().map(String::as_str).collect();
    if options.flat {
        let name = format!("{id}.json");
        let document = document_href(root, &ids, Kind::Catalog)?;
        let what = || format!("the document of id `{}`", id.escape_debug());
        let name = safe_name(&name).map_err(|source| Error::Name { what: what(), source })?;
        // A name of its own, not a reference: a colon or a percent sign means itself.
        let text = document.as_str().strip_suffix(Kind::Catalog.file_name()).unwrap_or_default();
        return Href::parse(&format!("{text}{name}")).map_err(|source| Error::Reference { document, source });
    }
    ids.push(id);
    document_href(root, &ids, Kind::Item)
}

/// Writes documents and counts those that were there already with the same bytes.
fn write_part(part: &[(PathBuf, Bytes)], batch: &mut Batch) -> Result<u64> {
    let mut unchanged = 0;
    for (path, bytes) in part {
        let kept = batch.keep_or_write(path, bytes);
        let kept = kept.map_err(|source| Error::Write { href: Href::from_path(path), source })?;
        unchanged += u64::from(kept);
    }
    Ok(unchanged)
}

fn kind_of(body: &Body) -> Kind {
    match body.get("type").and_then(Value::as_str) {
        Some("Collection") => Kind::Collection,
        _ => Kind::Catalog,
    }
}
