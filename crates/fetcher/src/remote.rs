//! Copies that are not local: whether one is there, and parts of files that were made here and go there.

use std::path::{Path, PathBuf};

use outcrop_store::{Href, Store};

use crate::cut::Kind;
use crate::journal::Entry;
use crate::site::send_file;
use crate::{Error, Result};

/// The last object of a Zarr hierarchy that is written.
const LAST: &str = "zarr.json";

/// The object that tells whether a copy is there: itself, or the last one of a Zarr hierarchy.
pub(crate) fn probe(copy: &Href, kind: Option<Kind>) -> Result<Href> {
    if kind == Some(Kind::Zarr) { Ok(copy.as_folder().join(LAST)?) } else { Ok(copy.clone()) }
}

/// True if a copy is there as its line says: its ETag is the same, or where none is told its size.
pub(crate) async fn is_there(store: &Store, probe: &Href, entry: &Entry) -> bool {
    let Ok((meta, _)) = store.head(probe, 1).await else { return false };
    let is_file = probe.as_str().ends_with(&entry.file);
    let same_size = !is_file || meta.size == entry.size;
    let etag = meta.etag.unwrap_or_default();
    same_size && (entry.etag == etag || (is_file && (entry.etag.is_empty() || etag.is_empty())))
}

/// Sends a part that was made here, a file or a Zarr hierarchy, and removes it here. The ETag of what tells that it is
/// there.
pub(crate) async fn send_part(store: &Store, from: &Path, to: &Href, kind: Kind) -> Result<String> {
    let broken = |source| Error::Write { href: Href::from_path(from), source };
    let probe = probe(to, Some(kind))?;
    if kind == Kind::Zarr {
        let mut files = files_of(from).map_err(broken)?;
        // The root last: a reader finds nothing before.
        files.sort_by_key(|path| (path.parent() == Some(from) && path.ends_with(LAST), path.clone()));
        for path in files {
            let below = path.strip_prefix(from).unwrap_or(&path).to_string_lossy().into_owned();
            send_file(store, &path, &to.as_folder().join(&below)?).await?;
        }
        std::fs::remove_dir_all(from).map_err(broken)?;
    } else {
        send_file(store, from, to).await?;
        std::fs::remove_file(from).map_err(broken)?;
    }
    Ok(store.tell(&probe).await?.0.etag.unwrap_or_default())
}

fn files_of(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
