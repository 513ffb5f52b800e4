//! The walk over all objects of a file.

use std::collections::{HashMap, HashSet, VecDeque};

use hdf5_reader::error::Error as LibraryError;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::LinkTarget;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::storage::Storage;
use hdf5_reader::superblock::Superblock;
use outcrop_store::{Sparse, Step};

use super::attrs::{self, Value};
use super::dataset;
use super::dims;
use super::object::Objects;
use super::storage::{Pacer, SparseStorage};
use crate::array::{AttrValue, Attrs, FileMeta, Variable};
use crate::{Error, Result};

/// Most objects of a file.
const MAX_OBJECTS: usize = 1_000_000;
/// Most memory that variables and attributes of a file may take, about, in bytes.
const MAX_HELD: usize = 128 << 20;
/// Longest path of an object, in bytes.
const MAX_PATH: usize = 4096;
/// What a variable takes beside its name and attributes, in bytes.
const VARIABLE: usize = 1024;

/// Reads the header of an HDF5 file whose superblock is at `base`.
#[derive(Debug)]
pub(crate) struct OpenWalk {
    base: u64,
    pacer: Pacer,
    groups: HashMap<String, Attrs>,
}

/// Most soft links from one to the next.
const MAX_LINKS: usize = 16;

/// A dataset as it is found, before dimensions have names.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) address: u64,
    /// Path of the dataset; the variable of a member has that of the member behind it.
    path: String,
    pub(super) variable: Variable,
    pub(super) unlimited: Vec<bool>,
    pub(super) attrs: Vec<(String, Value)>,
}

/// What the walk finds.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) datasets: Vec<Found>,
    pub(super) root: Vec<(String, Value)>,
    /// Attributes of the other groups by path.
    pub(super) groups: Vec<(String, Vec<(String, Value)>)>,
    pub(super) refused: Vec<(String, String)>,
}

impl OpenWalk {
    pub(crate) fn new(base: u64) -> Self {
        Self { base, pacer: Pacer::default(), groups: HashMap::new() }
    }

    /// Parses with the bytes at hand. What is missing is noted by the storage and asked for; then it starts again:
    /// headers are small, and a parser that can be stopped anywhere would have to be written twice.
    pub(crate) fn step(&mut self, have: &Sparse) -> Result<Step<FileMeta>> {
        let storage = SparseStorage::new(have, self.base);
        let result = walk(&storage, self.base);
        let missed = storage.into_missed();
        if !missed.is_empty() {
            return Ok(Step::Need(self.pacer.ask(&missed, have.len())?));
        }
        let mut tree = result?;
        let groups = std::mem::take(&mut tree.groups);
        self.groups = groups.into_iter().map(|(path, attrs)| (path, dims::plain(attrs))).collect();
        Ok(Step::Done(dims::name(tree)))
    }

    /// The attributes of groups by path, once the walk is done.
    pub(crate) fn take_groups(&mut self) -> HashMap<String, Attrs> {
        std::mem::take(&mut self.groups)
    }
}

fn library(object: &str, source: LibraryError) -> Error {
    Error::Hdf5 { object: object.to_owned(), source: Box::new(source) }
}

fn walk(storage: &SparseStorage<'_>, base: u64) -> Result<Tree> {
    let superblock = Superblock::parse_from_storage(storage).map_err(|e| library("the superblock", e))?;
    let len = storage.len().saturating_add(base);
    let (offset_size, length_size) = (superblock.offset_size, superblock.length_size);
    if !matches!(offset_size, 2 | 4 | 8) || !matches!(length_size, 2 | 4 | 8) {
        return Err(Error::malformed("the superblock", "sizes of offsets and lengths must be 2, 4 or 8"));
    }
    let end = superblock.eof_address;
    if end > len && !hdf5_reader::io::Cursor::is_undefined_offset(end, offset_size) {
        return Err(Error::Truncated { what: "the data".into(), need: end, have: len });
    }
    let root = superblock.root_object_header_address().map_err(|e| library("the superblock", e))?;
    let mut objects = Objects::new(storage, offset_size, length_size);
    let header = objects.header(root).map_err(|e| library("the root group", e))?;
    let mut walk = Walk {
        base,
        tree: Tree::default(),
        queue: VecDeque::new(),
        visited: HashSet::from([root]),
        seen: 0,
        held: 0,
        soft: Vec::new(),
    };
    walk.tree.root = attrs::read(&mut objects, &header).map_err(|e| library("the attributes of the file", e))?;
    walk.group(&objects, "", &header).map_err(|e| library("the root group", e))?;
    walk.all(&mut objects)?;
    walk.soft_links()?;
    Ok(walk.tree)
}

struct Walk {
    base: u64,
    tree: Tree,
    queue: VecDeque<(String, u64)>,
    visited: HashSet<u64>,
    seen: usize,
    /// Bytes of variables and attributes.
    held: usize,
    /// Links by path, each with the path of what it names.
    soft: Vec<(String, String)>,
}

impl Walk {
    /// Visits queued objects until there are none. One that fails is noted; the others go on.
    fn all(&mut self, objects: &mut Objects<'_>) -> Result<()> {
        while let Some((path, address)) = self.queue.pop_front() {
            self.seen += 1;
            if self.seen > MAX_OBJECTS {
                let what = "number of objects".to_owned();
                return Err(Error::Limit { what, value: self.seen as u64, limit: MAX_OBJECTS as u64 });
            }
            if let Err(why) = self.visit(objects, &path, address) {
                self.held = self.held.saturating_add(path.len() + why.len() + 64);
                self.tree.refused.push((path, why));
            }
            self.limit()?;
        }
        Ok(())
    }

    fn limit(&self) -> Result<()> {
        if self.held <= MAX_HELD {
            return Ok(());
        }
        let what = "memory for variables and attributes in bytes".to_owned();
        Err(Error::Limit { what, value: self.held as u64, limit: MAX_HELD as u64 })
    }

    /// Takes a variable; none where there is no more room, which [`Walk::limit`] reports.
    fn push(&mut self, found: Found) {
        self.held = self.held.saturating_add(VARIABLE + found.variable.name.len() + weight(&found.attrs));
        if self.held <= MAX_HELD {
            self.tree.datasets.push(found);
        }
    }

    /// Gives a dataset that a soft link names its second name; the rest is refused by name.
    fn soft_links(&mut self) -> Result<()> {
        let targets: HashMap<String, String> = self.soft.iter().cloned().collect();
        let mut by_path: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, found) in self.tree.datasets.iter().enumerate() {
            by_path.entry(found.path.clone()).or_default().push(at);
        }
        for (link, first) in std::mem::take(&mut self.soft) {
            // A link may name a link: as many steps as there are links end every chain.
            let mut target = &first;
            for _ in 0..targets.len().min(MAX_LINKS) {
                let Some(next) = targets.get(target) else { break };
                target = next;
            }
            let named: Vec<usize> = by_path.get(target).cloned().unwrap_or_default();
            if named.is_empty() {
                self.tree.refused.push((link, format!("a soft link to `/{target}`, which is no dataset")));
                continue;
            }
            for at in named {
                let Some(mut alias) = self.tree.datasets.get(at).cloned() else { continue };
                let member = alias.variable.name.get(alias.path.len()..).unwrap_or_default();
                alias.variable.name = format!("{link}{member}");
                alias.path.clone_from(&link);
                self.push(alias);
            }
            self.limit()?;
        }
        Ok(())
    }

    fn visit(&mut self, objects: &mut Objects<'_>, path: &str, address: u64) -> Result<(), String> {
        let header = objects.header(address).map_err(|e| reason(&e))?;
        if header.messages.iter().any(|m| matches!(m, HdfMessage::DataLayout(_))) {
            let attrs = attrs::read(objects, &header).map_err(|e| reason(&e))?;
            let lowered = dataset::lower(objects, self.base, path, (address, &header)).map_err(|e| e.to_string())?;
            if let Some(damage) = attrs::damage(&attrs) {
                return Err(damage);
            }
            for variable in lowered.variables {
                let (path, unlimited) = (path.to_owned(), lowered.unlimited.clone());
                // Counted before it is copied.
                let held = self.held.saturating_add(weight(&attrs));
                if held > MAX_HELD {
                    self.held = held;
                    break;
                }
                self.push(Found { address, path, variable, unlimited, attrs: attrs.clone() });
            }
            self.tree.refused.extend(lowered.refused);
            return Ok(());
        }
        // A group that links to itself or to a parent is visited once.
        if self.visited.insert(address) {
            self.group(objects, path, &header).map_err(|e| reason(&e))?;
            // A group is there whatever its attributes are, and is named where they are damaged.
            let attrs = attrs::read(objects, &header).map_err(|e| format!("the attributes of the group ({e})"))?;
            let damaged = |(name, value): &(String, Value)| match value {
                Value::Damaged(why) => Some(format!("the attribute `{name}` of the group ({why})")),
                _ => None,
            };
            let damaged: Vec<(String, String)> =
                attrs.iter().filter_map(damaged).map(|why| (path.to_owned(), why)).collect();
            self.held = self.held.saturating_add(if attrs.is_empty() { 0 } else { path.len() + weight(&attrs) });
            self.tree.refused.extend(damaged);
            if !attrs.is_empty() {
                self.tree.groups.push((path.to_owned(), attrs));
            }
        }
        Ok(())
    }

    fn group(&mut self, objects: &Objects<'_>, path: &str, header: &ObjectHeader) -> Result<(), LibraryError> {
        for link in objects.links(header)? {
            let child = if path.is_empty() { link.name } else { format!("{path}/{}", link.name) };
            if child.len() > MAX_PATH {
                let cut = child.chars().take(64).collect::<String>();
                self.tree.refused.push((format!("{cut}…"), format!("its path is longer than {MAX_PATH} bytes")));
                continue;
            }
            // Paths of many links may be long.
            self.held = self.held.saturating_add(child.len());
            if self.held > MAX_HELD {
                break;
            }
            match link.target {
                LinkTarget::Hard { address } => self.queue.push_back((child, address)),
                LinkTarget::Soft { path: target } => self.soft.push((child, resolved(path, &target))),
                LinkTarget::External { filename, path } => {
                    self.tree.refused.push((child, format!("an external link to `{path}` in file `{filename}`")));
                }
            }
        }
        Ok(())
    }
}

/// Bytes that attributes take, about.
fn weight(attrs: &[(String, Value)]) -> usize {
    let text = |text: &String| text.len() + 24;
    let value = |value: &Value| match value {
        Value::Plain(AttrValue::Text(one)) => text(one),
        Value::Plain(AttrValue::Texts(texts)) => texts.iter().map(text).sum(),
        Value::Plain(AttrValue::Int(values) | AttrValue::Typed(_, values)) => 8 * values.len(),
        Value::Plain(AttrValue::UInt(values)) => 8 * values.len(),
        Value::Plain(AttrValue::Float32(values)) => 4 * values.len(),
        Value::Plain(AttrValue::Float64(values)) => 8 * values.len(),
        Value::Damaged(why) => text(why),
        Value::References(lists) => lists.iter().map(|list| 8 * list.len() + 24).sum(),
    };
    attrs.iter().map(|(name, one)| name.len() + value(one) + 64).sum()
}

/// The path that a soft link in `group` names, from the root and without `.`.
fn resolved(group: &str, target: &str) -> String {
    let from = if target.starts_with('/') { "" } else { group };
    let parts = from.split('/').chain(target.split('/')).filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

fn reason(error: &LibraryError) -> String {
    match error {
        LibraryError::UnsupportedLayoutClass(3) => "a virtual dataset (its data is in other datasets)".to_owned(),
        other => format!("its header ({other})"),
    }
}
