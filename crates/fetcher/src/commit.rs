//! Whole copies get their final names: flushed to the disk before, noted in the journal after.
//!
//! Copies that are ready while others are being flushed are flushed together, so that many small files cost few flushes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use outcrop_store::Href;
use rustix::io::retry_on_intr;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use crate::journal::{Entry, Journal};
use crate::transfer::Staged;
use crate::{Error, Result};

/// More files than this are flushed with all of their file system.
const FEW: usize = 3;
/// Copies that are on their way or wait for their names: each keeps a file open.
const MOST: usize = 128;

/// A copy that waits for its name.
struct Pending {
    staged: Staged,
    target: PathBuf,
    entry: Entry,
    journal: Arc<Mutex<Journal>>,
    told: oneshot::Sender<Result<()>>,
}

/// Gives names, to those that are ready at the same time together.
pub(crate) struct Committer {
    waiting: Mutex<Vec<Pending>>,
    turn: tokio::sync::Mutex<()>,
    room: Semaphore,
}

impl Default for Committer {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default(), room: Semaphore::new(MOST) }
    }
}

impl Committer {
    /// The right to begin a copy and to commit it; a slow disk thus ends in waiting, not in too many open files.
    pub(crate) async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.room.acquire().await.ok()
    }

    /// Gives a copy its name and notes it in the journal.
    ///
    /// # Errors
    /// [`Error::Write`] or [`Error::Journal`].
    pub(crate) async fn commit(
        &self,
        staged: Staged,
        target: PathBuf,
        entry: Entry,
        journal: Arc<Mutex<Journal>>,
    ) -> Result<()> {
        let (told, mut answer) = oneshot::channel();
        self.waiting().push(Pending { staged, target, entry, journal, told });
        let turn = self.turn.lock().await;
        // The one before may have taken it along.
        if let Ok(result) = answer.try_recv() {
            return result;
        }
        let batch = std::mem::take(&mut *self.waiting());
        // It ends also if nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || publish(batch)).await;
        drop(turn);
        match (done, answer.try_recv()) {
            (_, Ok(result)) => result,
            _ => Err(Error::Interrupted),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Pending>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn publish(batch: Vec<Pending>) {
    let flushed = flush(&batch);
    let mut named = Vec::with_capacity(batch.len());
    for (mut pending, flushed) in batch.into_iter().zip(flushed) {
        let failed = |source| Error::Write { href: Href::from_path(&pending.target), source };
        let named_now = flushed.and_then(|()| pending.staged.publish(pending.target.file_name().unwrap_or_default()));
        let dated = named_now.and_then(|()| pending.staged.file.metadata());
        match dated {
            Ok(meta) => {
                let entry = pending.entry.clone().dated(&meta);
                named.push((Pending { entry, ..pending }, Ok(())));
            }
            Err(source) => {
                let error = failed(source);
                named.push((pending, Err(error)));
            }
        }
    }
    let folders = sync_folders(&named);
    let mut journals: Vec<Arc<Mutex<Journal>>> = Vec::new();
    let mut noted = Vec::with_capacity(named.len());
    for (pending, result) in named {
        let Pending { target, entry, journal, told, .. } = pending;
        let result = result.and_then(|()| match &folders {
            Ok(()) => journal.lock().unwrap_or_else(PoisonError::into_inner).add(&entry),
            Err(kind) => Err(Error::Write { href: Href::from_path(&target), source: (*kind).into() }),
        });
        if !journals.iter().any(|known| Arc::ptr_eq(known, &journal)) {
            journals.push(journal);
        }
        noted.push((told, result));
    }
    // Who is told first is told of a journal that fails; the copies are whole all the same.
    let mut kept = journals.iter().map(|journal| journal.lock().unwrap_or_else(PoisonError::into_inner).flush());
    let mut broken = kept.find_map(Result::err);
    for (told, result) in noted {
        // Who does not listen any more finds it in the journal.
        let _ = told.send(result.and_then(|()| broken.take().map_or(Ok(()), Err)));
    }
}

/// The bytes of each copy go to the disk.
fn flush(batch: &[Pending]) -> Vec<std::io::Result<()>> {
    if let Some(first) = batch.first().filter(|_| batch.len() > FEW) {
        let all = retry_on_intr(|| rustix::fs::syncfs(&first.staged.file));
        // Of one that failed, each file says for itself.
        if all.is_ok() {
            return batch.iter().map(|_| Ok(())).collect();
        }
    }
    batch.iter().map(|pending| pending.staged.file.sync_all()).collect()
}

/// The names go to the disk.
fn sync_folders(named: &[(Pending, Result<()>)]) -> std::result::Result<(), std::io::ErrorKind> {
    let kind = |e: std::io::Error| e.kind();
    if let Some((first, _)) = named.first().filter(|_| named.len() > FEW) {
        return retry_on_intr(|| rustix::fs::syncfs(&first.staged.file)).map_err(|e| kind(e.into()));
    }
    for (pending, result) in named {
        if result.is_ok() {
            pending.staged.sync_folder().map_err(kind)?;
        }
    }
    Ok(())
}
