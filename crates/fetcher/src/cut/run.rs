//! One part of one asset, from its source to a file that appears whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outcrop_formats::cf::Policy;
use outcrop_formats::convert::{ConvertOptions, Target, convert};
use outcrop_formats::zarr::{ZarrCompression, ZarrFormat};
use outcrop_formats::{Format, GeoTiffOptions, Opened};
use outcrop_store::progress::Sink;
use outcrop_store::{Href, Store};

use super::window::{Refusal, part};
use super::{Cut, Kind, bytes_of, samples};
use crate::verify::{Algorithm, Checksum};
use crate::{Error, check};

/// Memory for values of all parts together: of one it is large enough that windows that begin within chunks are read in one piece.
const MEMORY: u64 = 1 << 30;
/// Most of it, and least, for one part.
const SHARE: [u64; 2] = [256 << 20, 32 << 20];

/// Threads for a part of a local file.
const LOCAL: usize = 2;

/// What is to be cut.
pub(crate) struct Task<'a> {
    pub(crate) source: &'a Href,
    pub(crate) to: PathBuf,
    pub(crate) kind: Kind,
    /// Names of bands that the item tells.
    pub(crate) bands: Vec<Vec<String>>,
    pub(crate) algorithm: Option<Algorithm>,
    /// Parts that are made at once.
    pub(crate) jobs: usize,
    pub(crate) progress: Sink,
}

/// A part that was made.
pub(crate) struct Made {
    pub(crate) size: u64,
    pub(crate) checksum: Option<Checksum>,
}

/// Ends the work of a thread when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Cuts one asset. Nothing of it is seen under its name before all of it is on the disk.
pub(crate) async fn cut(store: &Store, cut: &Cut, task: Task<'_>) -> Result<Made, Failed> {
    let opened = Opened::open(store, task.source).await?;
    let part = match (opened.meta.format, task.kind) {
        (Format::MiniSeed, Kind::MiniSeed) => samples::part(&opened.meta, cut)?,
        (Format::MiniSeed, _) | (_, Kind::MiniSeed) => {
            let why = "its name and its contents disagree on whether it is miniSEED; fetch it whole (without --cut)";
            return Err(Refusal::Said(why.into()).into());
        }
        _ => part(&opened, cut, task.bands).await?,
    };
    let options = ConvertOptions {
        target: target(task.kind, &opened),
        policy: Policy::Raw,
        chunks: Vec::new(),
        // A remote file has four for each that is asked for, which wait most of the time; and there are --jobs of them.
        threads: if task.source.is_local() { LOCAL } else { 1 },
        memory: (MEMORY / task.jobs.max(1) as u64).clamp(SHARE[1], SHARE[0]),
        progress: task.progress,
    };
    let stop = Stop(Arc::default());
    let (stopped, to, algorithm) = (stop.0.clone(), task.to, task.algorithm);
    let kind = task.kind;
    let work = move || -> Result<Option<Made>, Failed> {
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        remove_other_kind(&to, kind)?;
        let done = convert(&opened, &part, &to, &options, &|| stopped.load(Ordering::Relaxed))?;
        if done.stopped {
            return Ok(None);
        }
        let checksum = algorithm.filter(|_| to.is_file()).map(|algorithm| check::digest(&to, algorithm)).transpose()?;
        Ok(Some(Made { size: bytes_of(&to), checksum }))
    };
    let made = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)??;
    drop(stop);
    Ok(made.ok_or(Error::Interrupted)?)
}

/// A file where a folder is to be, or the other way round, cannot be replaced by renaming.
fn remove_other_kind(to: &Path, kind: Kind) -> std::io::Result<()> {
    let is_folder = kind == Kind::Zarr;
    match std::fs::symlink_metadata(to) {
        Ok(meta) if meta.is_dir() && !is_folder => std::fs::remove_dir_all(to),
        Ok(meta) if meta.is_file() && is_folder => std::fs::remove_file(to),
        _ => Ok(()),
    }
}

fn target(kind: Kind, opened: &Opened) -> Target {
    match kind {
        Kind::MiniSeed => Target::MiniSeed(samples::options(&opened.meta)),
        Kind::NetCdf => Target::NetCdf4 { deflate: Some(4) },
        Kind::Zarr => {
            Target::Zarr { format: ZarrFormat::V3, compression: ZarrCompression::Default, shards: Vec::new() }
        }
        Kind::Cog => {
            let image = opened.meta.variable("band_data").filter(|_| opened.meta.format == Format::GeoTiff);
            Target::GeoTiff(image.map(GeoTiffOptions::like).unwrap_or_default())
        }
    }
}
