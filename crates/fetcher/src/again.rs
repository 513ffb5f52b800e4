//! Items that are there already as they would be written: the journal knows of what they were made, and what they are.
//!
//! Then neither the source item nor its document is parsed. The journal's line of a document holds a mark of the bytes of
//! the source item and of what was wanted of it, the digest of the document, and the files that it names.

use std::path::Path;

use outcrop_stac::{Ancestors, Kind, Node, RawItem, document_href};
use outcrop_store::Href;

use crate::book::Book;
use crate::fetch::{FetchOptions, Target};
use crate::item::Done;
use crate::journal::{Entry, noted};
use crate::ledger::{Line, State};
use crate::verify::{Algorithm, Checksum};

/// An item of which assets are wanted: read, or as its bytes, which a second run need not read.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// An item that is read.
    Node(Node),
    /// An item as its bytes, and the catalogs above it.
    Raw(RawItem, Ancestors),
}

impl From<Node> for Wanted {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl From<(RawItem, Ancestors)> for Wanted {
    fn from((item, ancestors): (RawItem, Ancestors)) -> Self {
        Self::Raw(item, ancestors)
    }
}

impl Wanted {
    pub(crate) fn into_node(self) -> outcrop_stac::Result<Node> {
        match self {
            Self::Node(node) => Ok(node),
            Self::Raw(item, ancestors) => Ok(Node { document: item.to_document()?, ancestors }),
        }
    }
}

/// An item whose document stays.
pub(crate) struct Kept {
    pub(crate) ancestors: Ancestors,
    pub(crate) id: String,
    /// Where its document is.
    pub(crate) at: Href,
}

impl Kept {
    /// Ids of the catalogs below the root.
    pub(crate) fn path(&self) -> Vec<String> {
        path_of(&self.ancestors)
    }
}

/// Ids of the catalogs below the root.
pub(crate) fn path_of(ancestors: &Ancestors) -> Vec<String> {
    ancestors.iter().skip(1).map(|above| above.id().to_owned()).collect()
}

/// What tells a source item, and what is wanted of it, from any other; `None` where that cannot be told.
pub(crate) fn mark_of(wanted: &Wanted, options: &FetchOptions) -> Option<String> {
    let Wanted::Raw(item, ancestors) = wanted else { return None };
    let Target::Folder(to) = &options.target else { return None };
    let assets = &options.assets;
    if !to.is_local() || options.cut.is_some() || options.dry_run || options.retry_failed || assets.filter.is_some() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION"));
    add(item.href().as_str());
    ancestors.iter().for_each(|above| add(above.id()));
    for list in [&assets.keys, &assets.roles, &assets.media_types] {
        add(&list.len().to_string());
        for text in list {
            add(text);
        }
    }
    add(&format!("{:?} {:?}", options.checksum, options.on_conflict));
    hasher.update(item.bytes());
    Some(format!("item {}", &hasher.finalize().to_hex()[..32]))
}

/// What becomes of an item whose document and copies are there, as the journal says that they were.
pub(crate) fn kept(book: &Book, wanted: &Wanted, mark: &str) -> Option<Done> {
    let Wanted::Raw(item, ancestors) = wanted else { return None };
    let (root, id) = (&book.site.root, item.id());
    let ids: Vec<&str> = ancestors.iter().skip(1).map(|above| above.id()).chain([&*id]).collect();
    let at = document_href(root, &ids, Kind::Item).ok()?;
    let below = root.absolute();
    let file = at.as_str().strip_prefix(below.as_str())?;
    let entry = noted(&book.journal, file).filter(|entry| entry.href == mark)?;
    let bytes = std::fs::read(at.to_path()?).ok()?;
    let digest = Checksum::parse(entry.checksum.as_deref()?).ok()?;
    if bytes.len() as u64 != entry.size || !digest.is_of(blake3::hash(&bytes).as_bytes()) {
        return None;
    }
    let folder = below.to_path()?;
    let owner = ids.join("/");
    let mut done = Done::default();
    for (key, file) in &entry.assets {
        let entry = untouched(book, &folder, file)?;
        done.lines.push(Line {
            item: owner.clone(),
            asset: key.clone(),
            state: State::Skipped,
            href: entry.href,
            file: entry.file,
            size: Some(entry.size),
            checksum: entry.checksum,
            verified: entry.verified,
            why: String::new(),
        });
    }
    entry.others.iter().all(|file| untouched(book, &folder, file).is_some()).then_some(())?;
    done.kept = Some(Kept { ancestors: ancestors.clone(), id: id.into_owned(), at });
    Some(done)
}

/// The line of a file that is as it was left.
fn untouched(book: &Book, folder: &Path, file: &str) -> Option<Entry> {
    let entry = noted(&book.journal, file)?;
    let meta = std::fs::symlink_metadata(folder.join(file)).ok()?;
    (meta.is_file() && meta.len() == entry.size && entry.is_dated(&meta)).then_some(entry)
}

/// The line of a document that was made of an item, if another run may keep it.
pub(crate) fn line_of(book: &Book, done: &Done, at: &Href, bytes: &[u8]) -> Option<Entry> {
    let mark = done.mark.clone().filter(|_| done.failed.is_empty() && done.warnings.is_empty())?;
    let below = book.site.root.absolute();
    let file_of = |href: &Href| href.absolute().as_str().strip_prefix(below.as_str()).map(str::to_owned);
    let mut entry = Entry::new(file_of(at)?, mark, bytes.len() as u64);
    let digest = blake3::hash(bytes).as_bytes().to_vec();
    entry.checksum = Some(Checksum { algorithm: Algorithm::Blake3, digest }.to_string());
    entry.assets = done.lines.iter().map(|line| (line.asset.clone(), line.file.clone())).collect();
    let others = done.copies.iter().filter(|copy| !entry.assets.iter().any(|(key, _)| *key == copy.key));
    entry.others = others.filter_map(|copy| file_of(&copy.copy)).collect();
    Some(entry)
}
