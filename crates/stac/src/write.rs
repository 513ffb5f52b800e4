//! Writing a static catalog as a stream of items: each document atomically, children before parents, the root last.
//!
//! Of each item only its link stays in memory; items are written in groups on a few threads.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

use bytes::Bytes;
use outcrop_store::publish::Batch;
use outcrop_store::{Href, safe_name};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::item::in_lines;
use crate::published::{Linker, document_href};
use crate::{Body, Document, Error, Kind, Layout, Loaded, Published, RawItem, Result, loaded};

const GROUP: usize = 256;
const THREADS: usize = 4;
const STRUCTURE: [&str; 6] = ["root", "parent", "self", "child", "item", "items"];

/// No links, in a document in lines: a line break with two spaces stands only before its own fields.
const NO_LINKS: &[u8] = b"\n  \"links\": []";

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
enum Member {
    Catalog(usize),
    Item(String),
}

#[derive(Debug)]
struct Folder {
    path: Vec<String>,
    kind: Kind,
    body: Body,
    parent: Option<usize>,
    members: Vec<Member>,
    /// What all items of the folder have alike.
    common: Option<Common>,
}

/// The links that lead from the items of a folder to what is above them, and where their files lie.
#[derive(Debug, Clone)]
struct Common {
    links: Vec<Value>,
    /// Id of the collection above.
    collection: Option<Value>,
    files: PathBuf,
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
        let batch = || if options.staged { Batch::in_staged_folder() } else { Batch::default() };
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
        self.folders[folder].members.push(Member::Item(id.clone()));
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
        self.folders[folder].members.push(Member::Item(id.clone()));
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
        self.folders[folder].members.push(Member::Item(id.to_owned()));
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
        let href = item_href(&self.options.to, (path, id), &self.options)?;
        Ok(href.to_path().unwrap_or_default())
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
        self.folders[parent].members.push(Member::Catalog(at));
        self.places.insert(path.to_vec(), at);
        Ok(at)
    }

    /// A file belongs to one document, also where file names know no case.
    fn claim(&mut self, folder: usize, id: &str, kind: Kind) -> Result<()> {
        let lower = id.to_lowercase();
        let hash = |hasher: &RandomState| u128::from(hasher.hash_one((folder, kind == Kind::Item, &lower)));
        if self.claimed.insert(hash(&self.hashers[0]) << 64 | hash(&self.hashers[1])) {
            return Ok(());
        }
        let here = &self.folders[folder];
        let first = here.members.iter().find_map(|member| {
            match member {
                Member::Item(other) if kind == Kind::Item => Some(other.as_str()),
                Member::Catalog(at) if kind != Kind::Item => self.folders[*at].path.last().map(String::as_str),
                _ => None,
            }
            .filter(|other| other.to_lowercase() == lower)
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

    /// What the items of a folder have alike; made with the first of them.
    fn common(&mut self, folder: usize) -> Result<Common> {
        if let Some(common) = &self.folders[folder].common {
            return Ok(common.clone());
        }
        let here = &self.folders[folder];
        // Relative links are the same for every id.
        let own = item_href(&self.base, (&here.path, "x"), &self.options)?;
        let linker = Linker { published: self.options.published, own: &own };
        let mut links = vec![linker.link("root", &self.folder_href(0)?, self.folders[0].kind)];
        links.push(linker.link("parent", &self.folder_href(folder)?, here.kind));
        let above = self.collection_above(folder);
        if let Some(collection) = above {
            links.push(linker.link("collection", &self.folder_href(collection)?, Kind::Collection));
        }
        let collection = above.map(|at| self.folders[at].body.get("id").cloned().unwrap_or_default());
        let ids: Vec<&str> = here.path.iter().map(String::as_str).collect();
        let document = document_href(&self.options.to, &ids, Kind::Catalog)?.to_path().unwrap_or_default();
        let files = document.parent().map(PathBuf::from).unwrap_or_default();
        let common = Common { links, collection, files };
        self.folders[folder].common = Some(common.clone());
        Ok(common)
    }

    fn linked_item(&mut self, folder: usize, id: &str, mut item: Body) -> Result<Body> {
        let Common { mut links, collection, .. } = self.common(folder)?;
        let kept = kept_links(&item);
        let above = collection.is_some();
        if let Some(id) = collection {
            item.insert("collection".into(), id);
        } else if !kept.iter().any(|link| link["rel"] == "collection") {
            item.remove("collection");
        }
        links.extend(kept.into_iter().filter(|link| !above || link["rel"] != "collection"));
        if self.options.published == Published::Absolute {
            let own = item_href(&self.base, (&self.folders[folder].path, id), &self.options)?;
            links.extend(Linker { published: self.options.published, own: &own }.own_link(&self.folder_href(0)?));
        }
        item.insert("links".into(), Value::Array(links));
        Ok(item)
    }

    /// The JSON of an item with its new links; `None` where a tree has to be made for it.
    fn linked_json(&mut self, folder: usize, id: &str, item: &RawItem) -> Result<Option<Vec<u8>>> {
        let Common { links, collection, .. } = self.common(folder)?;
        let Ok(old) = item.links().map(serde_json::from_str::<Vec<&RawValue>>).transpose() else { return Ok(None) };
        let rel_of = |link: &RawValue| {
            serde_json::from_str::<Value>(link.get()).ok().and_then(|link| Some(link.get("rel")?.as_str()?.to_owned()))
        };
        let mut all: Vec<String> = links.iter().map(Value::to_string).collect();
        let mut names_collection = false;
        for link in old.unwrap_or_default() {
            let rel = rel_of(link).unwrap_or_default();
            names_collection |= rel == "collection";
            if !(STRUCTURE.contains(&rel.as_str()) || collection.is_some() && rel == "collection") {
                all.push(link.get().to_owned());
            }
        }
        if collection.is_none() && item.collection().is_some() && !names_collection {
            return Ok(None);
        }
        if self.options.published == Published::Absolute {
            let own = item_href(&self.base, (&self.folders[folder].path, id), &self.options)?;
            let link = Linker { published: self.options.published, own: &own }.own_link(&self.folder_href(0)?);
            all.extend(link.map(|link| link.to_string()));
        }
        let links = format!("[{}]", all.join(","));
        let collection = collection.as_ref().and_then(Value::as_str);
        Ok(item.with_links(&links, collection).map(|json| in_lines(&json, 0)))
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

    /// The document of a folder. No tree is made of its links, of which there may be a million.
    fn folder_json(&self, at: usize) -> Result<Vec<u8>> {
        let (own, root) = (self.folder_href(at)?, self.folder_href(0)?);
        let folder = &self.folders[at];
        let linker = Linker { published: self.options.published, own: &own };
        let mut body = folder.body.clone();
        let others = kept_links(&body);
        body.insert("links".into(), Value::Array(Vec::new()));
        let json = self.json(&body)?;
        let split = memchr::memmem::find(&json, NO_LINKS).map_or(json.len(), |at| at + NO_LINKS.len() - 1);
        let (head, tail) = json.split_at(split);
        let mut out = Vec::with_capacity(json.len() + 128 * folder.members.len());
        out.extend_from_slice(head);
        let mut is_first = true;
        let mut push = |link: &[u8]| {
            out.extend_from_slice(if std::mem::take(&mut is_first) { b"\n    " } else { b",\n    " });
            out.extend_from_slice(link);
        };
        push(&in_lines(linker.link("root", &root, self.folders[0].kind).to_string().as_bytes(), 2));
        for member in &folder.members {
            push(&in_lines(self.member_link(at, member, &linker)?.to_string().as_bytes(), 2));
        }
        let parent = folder.parent.map(|parent| Ok::<_, Error>((self.folder_href(parent)?, self.folders[parent].kind)));
        if let Some((parent, kind)) = parent.transpose()? {
            push(&in_lines(linker.link("parent", &parent, kind).to_string().as_bytes(), 2));
        }
        for link in others.iter().chain(&linker.own_link(&root)) {
            push(&in_lines(link.to_string().as_bytes(), 2));
        }
        out.extend_from_slice(b"\n  ");
        out.extend_from_slice(tail);
        Ok(out)
    }

    fn member_link(&self, at: usize, member: &Member, linker: &Linker<'_>) -> Result<Value> {
        let folder = &self.folders[at];
        Ok(match member {
            Member::Catalog(child) => linker.link("child", &self.folder_href(*child)?, self.folders[*child].kind),
            Member::Item(id) if is_plain(id) && self.options.published != Published::Absolute => {
                let place = if self.options.flat { String::new() } else { format!("{id}/") };
                json!({"rel": "item", "href": format!("./{place}{id}.json"), "type": Kind::Item.media_type()})
            }
            Member::Item(id) => {
                linker.link("item", &item_href(&self.base, (&folder.path, id), &self.options)?, Kind::Item)
            }
        })
    }

    fn json(&self, body: &Body) -> Result<Vec<u8>> {
        let href = &self.options.to;
        serde_json::to_vec_pretty(body).map_err(|e| Error::Write {
            href: href.clone(),
            source: outcrop_store::Error::Io { action: "write", href: href.clone(), source: e.into() },
        })
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
        let deepest = self.folders.iter().map(|folder| folder.path.len()).max().unwrap_or(0);
        for depth in (0..=deepest).rev() {
            if !self.options.staged {
                self.flush()?;
            }
            for at in 0..self.folders.len() {
                if self.folders[at].path.len() == depth {
                    let bytes = Bytes::from(self.folder_json(at)?);
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
        Self { path, kind: kind_of(&body), body, parent, members: Vec::new(), common: None }
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

/// Links that are not made here; that to a collection is, where one is above.
fn kept_links(body: &Body) -> Vec<Value> {
    let links = body.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let structural =
        |link: &&Value| link.get("rel").and_then(Value::as_str).is_some_and(|rel| STRUCTURE.contains(&rel));
    links.iter().filter(|link| !structural(link)).cloned().collect()
}
