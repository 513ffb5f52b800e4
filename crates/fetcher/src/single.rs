//! One object to one local path.

use std::path::Path;

use outcrop_store::progress::{Sink, Unit};
use outcrop_store::{Href, Store};

use crate::transfer::{self, Known, Reason};
use crate::verify::{Algorithm, Checksum, Verified};
use crate::{Error, Result};

/// What is known of an object, and what is wanted of its copy.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Its size in bytes, where it is known; another is an error.
    pub size: Option<u64>,
    /// Its digest, where it is known; another is an error.
    pub checksum: Option<Checksum>,
    /// A digest to make where none is known.
    pub algorithm: Option<Algorithm>,
    /// Where progress goes.
    pub progress: Sink,
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedObject {
    /// Bytes of it.
    pub size: u64,
    /// A digest of it: the one that vouches for it, or the one that was wanted.
    pub checksum: Option<Checksum>,
    /// What vouches for it.
    pub verified: Verified,
}

/// Copies an object to a local path, where it appears whole and on the disk, or not at all.
///
/// What a broken copy left (at least a mebibyte) is gone on with by the next one of the same source.
///
/// # Errors
/// [`Error::Object`] with what the store says, [`Error::Digest`] if the bytes are others, [`Error::Write`].
pub async fn copy(store: &Store, source: &Href, to: &Path, options: &CopyOptions) -> Result<CopiedObject> {
    let known = Known { size: options.size, checksum: options.checksum.clone() };
    let progress = options.progress.begin(source.file_name().unwrap_or_default(), options.size, Unit::Bytes);
    let root = to.parent().unwrap_or(Path::new(""));
    let copied = transfer::copy(store, (source, root, to), &known, options.algorithm, &progress).await;
    let copied = copied.map_err(|reason| match reason {
        Reason::Store(error) => Error::Object(error),
        Reason::Digest { want, got, who } => {
            let (item, asset) = (String::new(), source.to_string());
            Error::Digest { item, asset, algorithm: got.algorithm, got: got.hex(), want: want.hex(), who }
        }
    })?;
    let (target, mut staged) = (to.to_owned(), copied.staged);
    let named = tokio::task::spawn_blocking(move || {
        staged.file.sync_all()?;
        staged.publish(target.file_name().unwrap_or_default())?;
        staged.sync_folder()
    });
    let write = |source| Error::Write { href: Href::from_path(to), source };
    named.await.map_err(|_| Error::Interrupted)?.map_err(write)?;
    Ok(CopiedObject { size: copied.size, checksum: copied.checksum, verified: copied.verified })
}
