//! Writing a static catalog as a stream of items: each document atomically, children before parents, the root last.
//!
//! Of each item only its link stays in memory; items are written in groups on a few threads.

use std::collections::HashMap;
use std::path::PathBuf;

use outcrop_store::publish::Batch;
use outcrop_store::{Href, safe_name};
use serde_json::{Value, json};

use crate::published::{Linker, document_href};
use crate::{Body, Error, Kind, Layout, Published, Result};

const GROUP: usize = 256;
const THREADS: usize = 4;
const STRUCTURE: [&str; 6] = ["root", "parent", "self", "child", "item", "items"];

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
}

impl WriteOptions {
    /// A self-contained catalog in a folder.
    pub fn new(to: Href) -> Self {
        Self { to, root_href: None, published: Published::default(), layout: Layout::default() }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Items of the catalog.
    pub items: u64,
    /// All documents of the catalog.
    pub documents: u64,
    /// Those that were there already with the same bytes.
    pub unchanged: u64,
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
}

/// Writes a catalog.
///
/// - An item is readable as soon as its group is written; no catalog names it before [`TreeWriter::finish`].
/// - Dropped before that, it leaves items that no catalog names; running again repairs it.
#[derive(Debug)]
pub struct TreeWriter {
    options: WriteOptions,
    base: Href,
    folders: Vec<Folder>,
    places: HashMap<Vec<String>, usize>,
    files: HashMap<String, String>,
    pending: Vec<(PathBuf, Vec<u8>)>,
    batches: Vec<Batch>,
    written: Written,
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
        let root = Folder { path: Vec::new(), kind: kind_of(&root), body: root, parent: None, members: Vec::new() };
        Ok(Self {
            options,
            base,
            folders: vec![root],
            places: HashMap::from([(Vec::new(), 0)]),
            files: HashMap::new(),
            pending: Vec::with_capacity(GROUP),
            batches: (0..THREADS).map(|_| Batch::default()).collect(),
            written: Written::default(),
        })
    }

    /// The fields of the root, which is written last.
    pub fn root_mut(&mut self) -> &mut Body {
        &mut self.folders[0].body
    }

    /// Adds an item where the layout puts it. Its structural links are made here, its other links are kept.
    ///
    /// # Errors
    /// [`Error::MissingVariable`], [`Error::Name`], [`Error::Duplicate`] (the catalog stays as it was), [`Error::Write`].
    pub fn add(&mut self, item: Body) -> Result<()> {
        let path = self.options.layout.values(&item)?;
        self.add_at(&path, item)
    }

    /// Adds an item below sub-catalogs, which are made where they do not exist yet.
    ///
    /// # Errors
    /// As [`TreeWriter::add`].
    pub fn add_at(&mut self, path: &[String], item: Body) -> Result<()> {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let what = || format!("the item of id `{}`", id.escape_debug());
        safe_name(&id).map_err(|source| Error::Name { what: what(), source })?;
        let folder = self.folder(path)?;
        self.claim(&[path, std::slice::from_ref(&id)].concat(), Kind::Item)?;
        let item = self.linked_item(folder, &id, item)?;
        self.folders[folder].members.push(Member::Item(id.clone()));
        self.written.items += 1;
        self.push(&[path, &[id]].concat(), Kind::Item, &item)
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

    fn folder(&mut self, path: &[String]) -> Result<usize> {
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
        let kind = kind_of(&body);
        self.claim(path, kind)?;
        let at = self.folders.len();
        self.folders.push(Folder { path: path.to_vec(), kind, body, parent: Some(parent), members: Vec::new() });
        self.folders[parent].members.push(Member::Catalog(at));
        self.places.insert(path.to_vec(), at);
        Ok(at)
    }

    /// A file belongs to one document, also where file names know no case.
    fn claim(&mut self, path: &[String], kind: Kind) -> Result<()> {
        let ids: Vec<&str> = path.iter().map(String::as_str).collect();
        let file = document_href(&self.options.to, &ids, kind)?.relative_to(&self.options.to.as_folder());
        let name = ids.join("/");
        match self.files.insert(file.to_lowercase(), name.clone()) {
            None => Ok(()),
            Some(first) => {
                self.files.insert(file.to_lowercase(), first.clone());
                Err(Error::Duplicate { path: file, first, second: name })
            }
        }
    }

    fn href(&self, path: &[String], kind: Kind) -> Result<Href> {
        let ids: Vec<&str> = path.iter().map(String::as_str).collect();
        document_href(&self.base, &ids, kind)
    }

    fn folder_href(&self, at: usize) -> Result<Href> {
        self.href(&self.folders[at].path, self.folders[at].kind)
    }

    fn linked_item(&self, folder: usize, id: &str, mut item: Body) -> Result<Body> {
        let own = self.href(&[&self.folders[folder].path[..], &[id.to_owned()]].concat(), Kind::Item)?;
        let linker = Linker { published: self.options.published, own: &own };
        let root = self.folder_href(0)?;
        let mut links = vec![linker.link("root", &root, self.folders[0].kind)];
        links.push(linker.link("parent", &self.folder_href(folder)?, self.folders[folder].kind));
        if let Some(collection) = self.collection_above(folder) {
            links.push(linker.link("collection", &self.folder_href(collection)?, Kind::Collection));
            let id = self.folders[collection].body.get("id").cloned().unwrap_or_default();
            item.insert("collection".into(), id);
        } else if !kept_links(&item).iter().any(|link| link["rel"] == "collection") {
            item.remove("collection");
        }
        let above = self.collection_above(folder).is_some();
        links.extend(kept_links(&item).into_iter().filter(|link| !above || link["rel"] != "collection"));
        links.extend(linker.own_link(&root));
        item.insert("links".into(), Value::Array(links));
        Ok(item)
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

    fn linked_folder(&self, at: usize) -> Result<Body> {
        let (own, root) = (self.folder_href(at)?, self.folder_href(0)?);
        let folder = &self.folders[at];
        let linker = Linker { published: self.options.published, own: &own };
        let mut links = vec![linker.link("root", &root, self.folders[0].kind)];
        for member in &folder.members {
            links.push(match member {
                Member::Catalog(child) => linker.link("child", &self.folder_href(*child)?, self.folders[*child].kind),
                Member::Item(id) => {
                    let item = self.href(&[&folder.path[..], std::slice::from_ref(id)].concat(), Kind::Item)?;
                    linker.link("item", &item, Kind::Item)
                }
            });
        }
        if let Some(parent) = folder.parent {
            links.push(linker.link("parent", &self.folder_href(parent)?, self.folders[parent].kind));
        }
        links.extend(kept_links(&folder.body));
        links.extend(linker.own_link(&root));
        let mut body = folder.body.clone();
        body.insert("links".into(), Value::Array(links));
        Ok(body)
    }

    fn push(&mut self, path: &[String], kind: Kind, body: &Body) -> Result<()> {
        let ids: Vec<&str> = path.iter().map(String::as_str).collect();
        let href = document_href(&self.options.to, &ids, kind)?;
        let bytes = serde_json::to_vec_pretty(body).map_err(|e| Error::Write {
            href: href.clone(),
            source: outcrop_store::Error::Io { action: "write", href: href.clone(), source: e.into() },
        })?;
        self.written.documents += 1;
        self.pending.push((href.to_path().unwrap_or_default(), bytes));
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
            self.written.unchanged += unchanged?;
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
    /// # Errors
    /// [`Error::Write`]; an old root then still stands.
    pub fn finish(mut self) -> Result<Written> {
        let deepest = self.folders.iter().map(|folder| folder.path.len()).max().unwrap_or(0);
        for depth in (0..=deepest).rev() {
            self.flush()?;
            for at in 0..self.folders.len() {
                if self.folders[at].path.len() == depth {
                    let (path, kind) = (self.folders[at].path.clone(), self.folders[at].kind);
                    let body = self.linked_folder(at)?;
                    self.push(&path, kind, &body)?;
                }
            }
        }
        self.flush()?;
        Ok(self.written)
    }
}

/// Writes documents and counts those that were there already with the same bytes.
fn write_part(part: &[(PathBuf, Vec<u8>)], batch: &mut Batch) -> Result<u64> {
    let mut unchanged = 0;
    for (path, bytes) in part {
        if std::fs::read(path).is_ok_and(|old| old == *bytes) {
            unchanged += 1;
            continue;
        }
        batch.write(path, bytes).map_err(|source| Error::Write { href: Href::from_path(path), source })?;
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
