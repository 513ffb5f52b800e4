//! Files held against their digests, after they were copied.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use futures::stream::{Stream, StreamExt};
use outcrop_stac::{Document, Node};
use outcrop_store::progress::{Sink, Unit};
use outcrop_store::{Href, Store};
use serde_json::Value;

use crate::cut::bytes_of;
use crate::fetch::Failure;
use crate::verify::{Algorithm, Checksum};
use crate::{Error, Result};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// The digest of a file.
pub(crate) fn digest(path: &Path, algorithm: Algorithm) -> std::io::Result<Checksum> {
    let mut file = File::open(path)?;
    let mut hasher = algorithm.hasher();
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(BUFFER);
    let mut buffer = vec![0; length.clamp(1, BUFFER)];
    loop {
        let got = file.read(&mut buffer)?;
        if got == 0 {
            return Ok(Checksum { algorithm, digest: hasher.finish() });
        }
        hasher.update(&buffer[..got]);
    }
}

/// True if a file has this digest.
pub(crate) fn is_of(path: &Path, checksum: &Checksum) -> bool {
    digest(path, checksum.algorithm).is_ok_and(|made| checksum.is_of(&made.digest))
}

/// What a check of finished copies found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Items looked at.
    pub items: u64,
    /// Local files that have the digest that their item tells.
    pub right: u64,
    /// Local files of which the item tells only the size, which is right, or nothing.
    pub unverified: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Files that are damaged or missing, and items that could not be read.
    pub failed: Vec<Failure>,
    /// Wall clock.
    pub seconds: f64,
}

/// Holds the files of items against `file:checksum` and `file:size`: local ones, and those that lie below a catalog that is
/// not local; assets elsewhere are passed over.
///
/// One file at a time for each core; memory does not grow.
pub async fn check<E>(
    store: &Store,
    items: impl Stream<Item = std::result::Result<Node, E>>,
    progress: &Sink,
) -> Checked
where
    E: std::error::Error + Send + Sync + 'static,
{
    let start = Instant::now();
    let mut checked = Checked::default();
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let work = |node: std::result::Result<Node, E>| {
        let progress = progress.clone();
        async move {
            match node {
                Ok(node) if node.document.href().is_local() => {
                    let checking = tokio::task::spawn_blocking(move || check_item(&node.document, &progress));
                    checking.await.map_err(|_| Error::Interrupted)
                }
                Ok(node) => Ok(check_remote(store, &node, &progress).await),
                Err(error) => Err(Error::Item(Box::new(error))),
            }
        }
    };
    let mut done = std::pin::pin!(items.map(work).buffered(threads));
    while let Some(one) = done.next().await {
        match one {
            Ok(one) => {
                checked.items += one.items;
                checked.right += one.right;
                checked.unverified += one.unverified;
                checked.bytes += one.bytes;
                checked.failed.extend(one.failed);
            }
            Err(why) => {
                let (item, asset, href) = Default::default();
                checked.failed.push(Failure { item, asset, href, why });
            }
        }
    }
    checked.seconds = start.elapsed().as_secs_f64();
    checked
}

fn check_item(item: &Document, progress: &Sink) -> Checked {
    let mut checked = Checked { items: 1, ..Checked::default() };
    for (key, asset) in item.assets() {
        let href = asset.get("href").and_then(Value::as_str).unwrap_or_default();
        let Some(path) = item.resolve(href).ok().and_then(|href| href.absolute().to_path()) else { continue };
        let size = asset.get("file:size").and_then(Value::as_u64);
        let checksum = asset.get("file:checksum").and_then(Value::as_str);
        let work = progress.begin(format!("{} {key}", item.id()), size, Unit::Bytes);
        let result = check_file((item.id(), key), &path, size, checksum);
        match result {
            Ok((true, size)) => (checked.right, checked.bytes) = (checked.right + 1, checked.bytes + size),
            Ok((false, _)) => checked.unverified += 1,
            Err(why) => {
                let (item, asset) = (item.id().to_owned(), key.to_owned());
                checked.failed.push(Failure { item, asset, href: path.display().to_string(), why });
            }
        }
        work.advance(size.unwrap_or(0));
    }
    checked
}

/// The same for an item that is not local: its assets that lie below the root of its catalog are read.
async fn check_remote(store: &Store, node: &Node, progress: &Sink) -> Checked {
    let mut checked = Checked { items: 1, ..Checked::default() };
    let item = &node.document;
    let root = node.ancestors.first().map_or_else(|| item.href().folder(), |root| root.href.folder());
    for (key, asset) in item.assets() {
        let href = asset.get("href").and_then(Value::as_str).unwrap_or_default();
        let Ok(href) = item.resolve(href) else { continue };
        if href.is_local() || !href.as_str().starts_with(root.as_str()) {
            continue;
        }
        let size = asset.get("file:size").and_then(Value::as_u64);
        let checksum = asset.get("file:checksum").and_then(Value::as_str);
        let work = progress.begin(format!("{} {key}", item.id()), size, Unit::Bytes);
        match check_object((item.id(), key), store, &href, (size, checksum)).await {
            Ok((true, size)) => (checked.right, checked.bytes) = (checked.right + 1, checked.bytes + size),
            Ok((false, _)) => checked.unverified += 1,
            Err(why) => {
                let (item, asset) = (item.id().to_owned(), key.to_owned());
                checked.failed.push(Failure { item, asset, href: href.to_string(), why });
            }
        }
        work.advance(size.unwrap_or(0));
    }
    checked
}

/// Whether a digest vouches for an object, and its size; without a digest only its size is asked for.
async fn check_object(
    (item, asset): (&str, &str),
    store: &Store,
    href: &Href,
    (size, checksum): (Option<u64>, Option<&str>),
) -> Result<(bool, u64)> {
    let broken = |source| Error::Transfer { item: item.to_owned(), asset: asset.to_owned(), source };
    let want = checksum.and_then(|text| Checksum::parse(text).ok());
    let mut got = 0;
    let Some(want) = want else {
        // A store of many objects is no object.
        let Some(want) = size.filter(|_| !href.as_str().trim_end_matches('/').ends_with(".zarr")) else {
            return Ok((false, 0));
        };
        got = store.head(href, 1).await.map_err(broken)?.0.size;
        let other = outcrop_store::Error::Truncated { href: href.clone(), got, want };
        return if got == want { Ok((false, got)) } else { Err(broken(other)) };
    };
    let mut hasher = want.algorithm.hasher();
    let mut stream = store.stream(href).await.map_err(broken)?;
    while let Some(bytes) = stream.next().await.map_err(broken)? {
        hasher.update(&bytes);
        got += bytes.len() as u64;
    }
    if let Some(want) = size.filter(|want| *want != got) {
        return Err(broken(outcrop_store::Error::Truncated { href: href.clone(), got, want }));
    }
    let made = Checksum { algorithm: want.algorithm, digest: hasher.finish() };
    if want.is_of(&made.digest) {
        return Ok((true, got));
    }
    let (item, asset) = (item.to_owned(), asset.to_owned());
    let (algorithm, got, want) = (made.algorithm, made.hex(), want.hex());
    Err(Error::Digest { item, asset, algorithm, got, want, who: "the catalog" })
}

/// Whether a digest vouches for a file, and its size.
fn check_file(
    (item, asset): (&str, &str),
    path: &Path,
    size: Option<u64>,
    checksum: Option<&str>,
) -> Result<(bool, u64)> {
    let (item, asset) = (item.to_owned(), asset.to_owned());
    let href = Href::from_path(path);
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => outcrop_store::Error::NotFound { href: href.clone() },
        _ => outcrop_store::Error::Io { action: "read", href: href.clone(), source },
    };
    let broken = |source| Error::Transfer { item: item.clone(), asset: asset.clone(), source };
    let meta = std::fs::metadata(path).map_err(|e| broken(failed(e)))?;
    let got = if meta.is_dir() { bytes_of(path) } else { meta.len() };
    if let Some(want) = size.filter(|want| *want != got) {
        return Err(broken(outcrop_store::Error::Truncated { href, got, want }));
    }
    let Some(want) = checksum.filter(|_| meta.is_file()).and_then(|text| Checksum::parse(text).ok()) else {
        return Ok((false, got));
    };
    let made = digest(path, want.algorithm).map_err(|e| broken(failed(e)))?;
    if want.is_of(&made.digest) {
        return Ok((true, got));
    }
    let (algorithm, got, want) = (made.algorithm, made.hex(), want.hex());
    Err(Error::Digest { item, asset, algorithm, got, want, who: "the catalog" })
}
