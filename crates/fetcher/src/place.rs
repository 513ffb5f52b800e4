//! Where the copies of an item go: their names, which no other has, below folders that are no links.

use outcrop_stac::{Document, Node};
use outcrop_store::{Href, safe_name, twin_key};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::cut::{Cut, Kind};
use crate::rewrite::{Copied, identity, sources_of};
use crate::transfer::Known;
use crate::verify::Checksum;
use crate::{Error, Result};

/// Longest name of a copy in bytes: its hidden names are longer.
const LONGEST: usize = 200;

/// What happens when two files of an item have one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The second is an error.
    #[default]
    Error,
    /// The name of the second has the key of its asset in it.
    Suffix,
}

/// An asset to copy.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) copy: Copied,
    /// Other places of the same bytes.
    pub(crate) mirrors: Vec<Href>,
    /// Path below the destination.
    pub(crate) file: String,
    pub(crate) known: Known,
    /// Why the checksum of the catalog cannot be used.
    pub(crate) doubt: Option<String>,
    /// The part of it that is wanted: what tells it from others, and the format it is written in.
    pub(crate) part: Option<(String, Kind)>,
}

impl Plan {
    /// What tells a copy of one of its sources from any other copy.
    pub(crate) fn identity(&self, source: &Href) -> String {
        let source = identity(source);
        match &self.part {
            Some((cut, _)) => format!("{source} {cut}"),
            None => source,
        }
    }
}

/// Nothing between the destination and a path below it, the path included, is a symbolic link.
pub(crate) fn no_link_below(root: &Href, below: &Href) -> Result<()> {
    let (root, below) = (root.absolute().to_path().unwrap_or_default(), below.absolute().to_path().unwrap_or_default());
    let links =
        below.ancestors().take_while(|path| *path != root && path.starts_with(&root)).filter(|p| p.is_symlink());
    links.last().map_or(Ok(()), |link| Err(Error::Link { href: Href::from_path(link) }))
}

/// The plans for assets of an item, each under a name of its own.
pub(crate) struct Places<'a> {
    pub(crate) node: &'a Node,
    pub(crate) root: &'a Href,
    pub(crate) folder: &'a Href,
    pub(crate) on_conflict: OnConflict,
    pub(crate) cut: Option<&'a Cut>,
    taken: Vec<(String, String)>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(node: &'a Node, root: &'a Href, folder: &'a Href) -> Self {
        // The item's own document is one of the files.
        let document = twin_key(&format!("{}.json", node.document.id()));
        let taken = vec![(document, "the item's document".to_owned())];
        Self { node, root, folder, on_conflict: OnConflict::Error, cut: None, taken }
    }

    /// The plan for an asset; names differ also where file names know no case and no forms of an accent.
    pub(crate) fn plan(&mut self, key: &str) -> Result<Plan> {
        let item = &self.node.document;
        let beside = |href: &Href| self.folder.as_folder().join(href.file_name()?).ok();
        let mut sources = sources_of(item, key, beside)?.into_iter().map(|href| href.absolute());
        let (id, asset) = (item.id().to_owned(), key.to_owned());
        let Some(source) = sources.next() else {
            return Err(Error::NoAsset { item: id, asset, known: String::new() });
        };
        // A store of many objects may be named as a folder.
        let named = Href::parse(source.as_str().trim_end_matches('/')).ok().filter(|_| self.cut.is_some());
        let mut name = name_of_copy(item.id(), key, named.as_ref().unwrap_or(&source))?;
        let kind = self.cut.map(|_| kind_of(item, key, &name)).transpose()?;
        if let Some(kind) = kind {
            name = kind.rename(&name);
        }
        let twin = |name: &str| self.taken.iter().find(|(known, _)| *known == twin_key(name));
        if let Some((_, first)) = twin(&name) {
            let first = first.clone();
            let other = with_key(&name, key);
            if self.on_conflict == OnConflict::Error || safe_name(&other).is_err() || twin(&other).is_some() {
                return Err(Error::SameName { item: id, name: name.to_lowercase(), first, second: asset });
            }
            name = other;
        }
        self.taken.push((twin_key(&name), asset));
        if self.folder.to_url().is_some() {
            name = name.replace('#', "%23");
        }
        let copy = Href::parse(&format!("{}{name}", self.folder.as_folder().as_str()));
        let copy = copy.map_err(|source| Error::Name { item: id, asset: key.to_owned(), source })?;
        let below = self.root.as_folder().absolute();
        let file = copy.absolute().as_str().trim_start_matches(below.as_str()).to_owned();
        let mirrors = sources.collect();
        let (known, doubt) = known_of(item, key);
        let part = self.cut.zip(kind).map(|(cut, kind)| (format!("{}{}", cut.identity(), mark_of(&known)), kind));
        // What the catalog knows is of the whole.
        let (known, doubt) = if part.is_some() { (Known::default(), None) } else { (known, doubt) };
        let copy = Copied { key: key.to_owned(), source, copy, size: None, checksum: None, is_unverified: false };
        Ok(Plan { copy, mirrors, file, known, doubt, part })
    }
}

/// The format that a part of an asset is written in.
fn kind_of(item: &Document, key: &str, name: &str) -> Result<Kind> {
    let media = item.asset(key).and_then(|asset| asset.get("type")).and_then(Value::as_str).unwrap_or_default();
    let failed = |why: String| Error::Cut { item: item.id().to_owned(), asset: key.to_owned(), source: why.into() };
    Kind::of(name, media).map_err(failed)
}

/// Another whole has other parts.
fn mark_of(known: &Known) -> String {
    let size = known.size.map_or(String::new(), |size| format!(" of {size} bytes"));
    known.checksum.as_ref().map_or(size.clone(), |checksum| format!("{size} {checksum}"))
}

/// What the catalog tells of an asset, and why a checksum that it tells cannot be used.
fn known_of(item: &Document, key: &str) -> (Known, Option<String>) {
    let field = |name: &str| item.asset(key).and_then(|asset| asset.get(name));
    let size = field("file:size").and_then(Value::as_u64);
    match field("file:checksum").and_then(Value::as_str).map(Checksum::parse) {
        None => (Known { size, checksum: None }, None),
        Some(Ok(checksum)) => (Known { size, checksum: Some(checksum) }, None),
        Some(Err(why)) => (Known { size, checksum: None }, Some(why)),
    }
}

/// The file name of a copy: the last part of the asset's href, without query.
///
/// What no system's file names may hold is replaced, too long a name is cut; such a name ends with a mark of the whole.
///
/// # Errors
/// [`Error::Name`] if there is no last part, or it leads to another folder.
pub fn name_of_copy(item: &str, asset: &str, source: &Href) -> Result<String> {
    let name = source.file_name().unwrap_or_default();
    let leads_away = |name: &str| name.contains(['/', '\\', '\0']) || matches!(name, "." | "..");
    let decoded = percent_decode_str(name).decode_utf8_lossy();
    let broken = match safe_name(name) {
        Ok(_) if name.len() <= LONGEST => return Ok(name.to_owned()),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    if let Some(source) = broken.filter(|_| name.is_empty() || leads_away(name) || leads_away(&decoded)) {
        return Err(Error::Name { item: item.to_owned(), asset: asset.to_owned(), source });
    }
    let (stem, end) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
    let plain = |text: &str| text.replace(|c: char| c.is_control() || "<>:\"|?*%".contains(c), "_");
    let (mut stem, end) = (plain(stem), plain(end));
    let end: String = end.trim_end_matches([' ', '.']).chars().take(16).collect();
    while stem.len() > LONGEST - 32 {
        stem.pop();
    }
    let mark = &blake3::hash(name.as_bytes()).to_hex()[..8];
    let dot = if end.is_empty() { "" } else { "." };
    let made = format!("{}-{mark}{dot}{end}", stem.trim_end_matches([' ', '.']));
    safe_name(&made).map(|_| ()).map_err(|source| Error::Name {
        item: item.to_owned(),
        asset: asset.to_owned(),
        source,
    })?;
    Ok(made)
}

/// `a.nc` of the asset `tmin` as `a-tmin.nc`.
fn with_key(name: &str, key: &str) -> String {
    let key: String = key.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, end)) => format!("{stem}-{key}.{end}"),
        None => format!("{name}-{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_are_safe() {
        let name = |href: &str| name_of_copy("i", "a", &Href::parse(href).unwrap());
        assert_eq!(name("https://h/x/a.nc?sig=1#f").unwrap(), "a.nc");
        assert_eq!(name("https://h/x/a%20b.nc").unwrap(), "a%20b.nc");
        for bad in ["https://h/x/", "https://h/%2e%2e%2fx", "https://h/x/a%2fb", "https://h/x/..%5cb", "s3://b/x/a\\b"]
        {
            assert!(name(bad).is_err(), "{bad}");
        }
        for (href, start) in [("https://h/con.nc", "con-"), ("https://h/a:b.nc", "a_b-"), ("s3://b/a?b.nc", "a_b-")] {
            let made = name(href).unwrap();
            assert!(made.starts_with(start) && made.ends_with(".nc") && safe_name(&made).is_ok(), "{made}");
        }
        let long = |last: char| name(&format!("https://h/{}{last}.nc", "x".repeat(300))).unwrap();
        assert!(long('a').len() <= LONGEST && long('a') != long('b') && long('a').ends_with(".nc"));
    }
}
