//! What a catalog holds: its tree with counts, extents and asset keys. Items are streamed, none is kept.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::pin::pin;

use futures::StreamExt;
use indexmap::IndexMap;
use outcrop_grid::time::rfc3339;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::{Document, Kind, Node, WalkOptions, walk};
use outcrop_store::{Href, Store};
use serde_json::Value;

use crate::extent;
use crate::{Error, Result};

/// Asset keys that are told apart; further ones are counted together under `…`.
const MOST_KEYS: usize = 1000;
/// Sub-catalogs of one catalog that are written out.
const MOST_LINES: usize = 40;

/// A catalog or collection of a tree.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Its id.
    pub id: String,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// What it says of itself.
    pub description: String,
    /// What it is.
    pub kind: Kind,
    /// Items directly below it.
    pub items: u64,
    /// Box of the items directly below it.
    pub bbox: Option<BBox>,
    /// Time of the items directly below it.
    pub interval: Option<Interval>,
    /// Positions of its children in [`Description::branches`].
    pub children: Vec<usize>,
}

/// Assets of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetCount {
    /// How many items have it.
    pub count: u64,
    /// Its media types.
    pub media_types: BTreeSet<String>,
    /// Sum of `file:size` in bytes, of those that have it.
    pub size_bytes: u64,
}

/// What a catalog holds.
#[derive(Debug, Default)]
pub struct Description {
    /// Catalogs and collections; the first is the root.
    pub branches: Vec<Branch>,
    /// Number of items.
    pub items: u64,
    /// Assets by key.
    pub assets: IndexMap<String, AssetCount>,
    /// Box of all items.
    pub bbox: Option<BBox>,
    /// Time of all items.
    pub interval: Option<Interval>,
    /// Documents that could not be read.
    pub failed: Vec<Error>,
}

/// Walks a catalog and counts.
///
/// # Errors
/// [`Error::Stac`] if the first document cannot be read; documents below it that cannot are in
/// [`Description::failed`].
pub async fn describe(store: &Store, href: &Href) -> Result<Description> {
    let mut description = Description::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut nodes = pin!(walk(store, href, WalkOptions::default()));
    let mut is_first = true;
    while let Some(node) = nodes.next().await {
        match node {
            Ok(node) => description.add(&mut places, node),
            Err(error) if is_first => return Err(error.into()),
            Err(error) => description.failed.push(error.into()),
        }
        is_first = false;
    }
    Ok(description)
}

impl Description {
    fn add(&mut self, places: &mut HashMap<String, usize>, node: Node) {
        let parent = node.ancestors.last().and_then(|above| places.get(above.href.as_str()).copied());
        match node.document.kind() {
            Kind::Item => self.add_item(parent, &node.document),
            Kind::Catalog | Kind::Collection => {
                places.insert(node.document.href().as_str().to_owned(), self.branches.len());
                self.add_branch(parent, &node.document);
            }
            Kind::ItemCollection => {
                self.add_branch(parent, &node.document);
                let at = self.branches.len() - 1;
                for item in node.document.into_items() {
                    match item {
                        Ok(item) => self.add_item(Some(at), &item),
                        Err(error) => self.failed.push(error.into()),
                    }
                }
            }
        }
    }

    fn add_branch(&mut self, parent: Option<usize>, document: &Document) {
        let text = |key: &str| document.body().get(key).and_then(Value::as_str).map(str::to_owned);
        let at = self.branches.len();
        self.branches.push(Branch {
            id: document.id().to_owned(),
            title: text("title"),
            description: text("description").unwrap_or_default(),
            kind: document.kind(),
            items: 0,
            bbox: None,
            interval: None,
            children: Vec::new(),
        });
        if let Some(parent) = parent {
            self.branches[parent].children.push(at);
        }
    }

    fn add_item(&mut self, parent: Option<usize>, item: &Document) {
        self.items += 1;
        let (bbox, interval) = (extent::bbox_of(item.body()), extent::interval_of(item.body()));
        self.bbox = extent::union(self.bbox, bbox);
        self.interval = extent::hull(self.interval, interval);
        if let Some(branch) = parent.and_then(|at| self.branches.get_mut(at)) {
            branch.items += 1;
            branch.bbox = extent::union(branch.bbox, bbox);
            branch.interval = extent::hull(branch.interval, interval);
        }
        for (key, asset) in item.assets() {
            let room = self.assets.len() < MOST_KEYS || self.assets.contains_key(key);
            let count = self.assets.entry(if room { key } else { "…" }.to_owned()).or_default();
            count.count += 1;
            count.size_bytes += asset.get("file:size").and_then(Value::as_u64).unwrap_or(0);
            if let Some(media) = asset.get("type").and_then(Value::as_str)
                && count.media_types.len() < MOST_LINES
                && !count.media_types.contains(media)
            {
                count.media_types.insert(media.to_owned());
            }
        }
    }

    /// Items below a branch, at any depth.
    pub fn items_below(&self, branch: usize) -> u64 {
        let mut open = vec![branch];
        let mut items = 0;
        while let Some(branch) = open.pop().and_then(|at| self.branches.get(at)) {
            items += branch.items;
            open.extend(&branch.children);
        }
        items
    }

    /// The description as text: a tree, counts, extents, assets. Control characters of the catalog are shown, not sent.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a text cannot fail.
        let _ = self.write_tree(&mut out).and_then(|()| self.write_summary(&mut out));
        out
    }

    fn write_tree(&self, out: &mut String) -> std::fmt::Result {
        let Some(root) = self.branches.first() else { return Ok(()) };
        let about = root.title.as_deref().unwrap_or(&root.description);
        writeln!(out, "{}  {:?}  {}", plain(&root.id), root.kind, plain(about))?;
        let mut open: Vec<(usize, String, usize)> = vec![(0, String::new(), 0)];
        while let Some((at, indent, next)) = open.pop() {
            let children = &self.branches[at].children;
            let Some(child) = children.get(next) else { continue };
            if next == MOST_LINES {
                writeln!(out, "{indent}└── and {} more", children.len() - next)?;
                continue;
            }
            let is_last = next + 1 == children.len();
            open.push((at, indent.clone(), next + 1));
            let branch = &self.branches[*child];
            let corner = if is_last { "└──" } else { "├──" };
            writeln!(
                out,
                "{indent}{corner} {}  {}{}",
                plain(&branch.id),
                counted(self.items_below(*child), "item"),
                span(branch)
            )?;
            open.push((*child, format!("{indent}{}", if is_last { "    " } else { "│   " }), 0));
        }
        Ok(())
    }

    fn write_summary(&self, out: &mut String) -> std::fmt::Result {
        let assets = self.assets.values().map(|asset| asset.count).sum();
        let catalogs = counted(self.branches.len() as u64, "catalog");
        writeln!(out, "\n{}, {}, {catalogs}", counted(self.items, "item"), counted(assets, "asset"))?;
        if let Some(bbox) = &self.bbox {
            writeln!(out, "bbox    {} {} {} {}", bbox.west, bbox.south, bbox.east, bbox.north)?;
        }
        if let Some(interval) = &self.interval {
            let end = |time: Option<_>| time.map_or("..".to_owned(), |time| rfc3339(&time));
            writeln!(out, "time    {} to {}", end(interval.start), end(interval.end))?;
        }
        let width = self.assets.keys().map(|key| key.chars().count()).max().unwrap_or(0).min(40);
        for (at, (key, asset)) in self.assets.iter().enumerate() {
            let head = if at == 0 { "assets" } else { "" };
            let media: Vec<String> = asset.media_types.iter().map(|media| plain(media)).collect();
            let size = if asset.size_bytes > 0 { format!("  {} bytes", asset.size_bytes) } else { String::new() };
            let line = format!("{head:<6}  {:<width$}  {:>7}  {}{size}", plain(key), asset.count, media.join(", "));
            writeln!(out, "{}", line.trim_end())?;
        }
        for error in &self.failed {
            writeln!(out, "failed  {}", plain(&error.to_string()))?;
        }
        Ok(())
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn span(branch: &Branch) -> String {
    let day = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(|time| rfc3339(&time)[..10].to_owned());
    match branch.interval.map(|interval| (day(interval.start), day(interval.end))) {
        Some((Some(start), Some(end))) => format!("  {start} to {end}"),
        _ => String::new(),
    }
}

/// Text of a catalog without control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
