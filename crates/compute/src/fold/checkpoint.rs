//! States of a fold on disk, so that a run that was killed goes on where it was.
//!
//! A file for each column: whole once the column is finished, of the column at hand renewed every so often. A file appears whole or not at
//! all, and tells by its key whether it is of the same inputs and fold, and by its digest whether its bytes are those that were written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outcrop_store::publish;

/// Bytes before the state: key, slabs that are applied (all bits set: the column is finished), digest.
const HEAD: usize = 32 + 8 + 32;

/// Where states are kept, and how often that of the column at hand is.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// A folder of its own, which is made, and removed when the run has come to its end.
    pub folder: PathBuf,
    /// Time between two states of a column.
    pub every: Duration,
    /// Bytes of the values of a plan from which on states are kept: a smaller one is sooner done anew.
    pub least_bytes: u64,
}

impl Checkpoints {
    /// Of runs that take minutes; every ten seconds.
    pub fn of(folder: PathBuf) -> Self {
        Self { folder, every: Duration::from_secs(10), least_bytes: 16 << 30 }
    }
}

/// When a state is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Between two slabs of its column.
    Between,
    /// After the last one.
    Finished,
}

/// The states of a run.
#[derive(Debug)]
pub(super) struct Saved {
    folder: PathBuf,
    key: [u8; 32],
    every: Duration,
    last: Instant,
}

/// A state as it was saved.
pub(super) struct State {
    /// Slabs that are applied; `None` if the column is finished.
    pub(super) slabs: Option<usize>,
    pub(super) bytes: Vec<u8>,
}

impl Saved {
    pub(super) fn new(options: &Checkpoints, key: [u8; 32]) -> Self {
        Self { folder: options.folder.clone(), key, every: options.every, last: Instant::now() }
    }

    fn path(&self, column: usize) -> PathBuf {
        self.folder.join(format!("column-{column}"))
    }

    /// The state of a column, if there is one of this run.
    pub(super) fn read(&self, column: usize) -> Option<State> {
        let mut bytes = fs::read(self.path(column)).ok()?;
        let head = bytes.get(..HEAD)?;
        let (key, slabs, digest) = (&head[..32], head[32..40].try_into().ok()?, &head[40..]);
        let slabs = u64::from_le_bytes(slabs);
        if key != self.key || digest != blake3::hash(&bytes[HEAD..]).as_bytes() {
            return None;
        }
        let slabs = if slabs == u64::MAX { None } else { Some(usize::try_from(slabs).ok()?) };
        Some(State { slabs, bytes: bytes.split_off(HEAD) })
    }

    /// True if it is time for the next state of the column at hand.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    pub(super) fn write(&mut self, column: usize, state: &State) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let slabs = state.slabs.map_or(u64::MAX, |slabs| slabs as u64);
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(&self.key);
        head.extend_from_slice(&slabs.to_le_bytes());
        head.extend_from_slice(blake3::hash(&state.bytes).as_bytes());
        let whole = |path: &Path| -> outcrop_store::Result<()> {
            let mut file = publish::Staged::create(path)?;
            file.write(&head)?;
            file.write(&state.bytes)?;
            file.finish()
        };
        whole(&self.path(column)).map_err(io::Error::other)?;
        self.last = Instant::now();
        Ok(())
    }

    pub(super) fn remove(&self) {
        // What stays is of no use, and does no harm: the next run tells it from its own by the key.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
