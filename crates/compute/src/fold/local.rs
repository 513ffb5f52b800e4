//! The executor for local files: threads that read a slab themselves, decode and map it.
//!
//! There are as many threads as slabs in flight, so that some read while others compute, and no more of them compute at once than there
//! are workers. What one thread reads, no other frees: memory that goes from thread to thread costs more than the reading.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Fold;
use super::threads::{Mapped, Place, Shared, sources_in};
use crate::eval::Context;
use crate::source::wait_fetch;
use crate::{Error, Result};

/// Slabs in their order, handed out as permits come free.
pub(super) struct Places {
    pub(super) runtime: Handle,
    pub(super) permits: Arc<Semaphore>,
    pub(super) current: Arc<AtomicUsize>,
    /// Columns, and slabs of each.
    pub(super) count: (usize, usize),
    pub(super) next: Mutex<Place>,
}

impl Places {
    /// The next slab; `None` behind the last, and when the run has ended.
    fn take(&self) -> Option<(Place, OwnedSemaphorePermit)> {
        // Held while there is no permit: slabs of which a later one is in flight and an earlier one not would wait for each other.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (columns, slabs) = self.count;
        if next.0 >= columns || slabs == 0 {
            return None;
        }
        let permit = self.runtime.block_on(self.permits.clone().acquire_owned()).ok()?;
        let current = self.current.load(Ordering::Acquire);
        if current > next.0 {
            *next = (current, 0);
        }
        let place = *next;
        *next = if place.1 + 1 < slabs { (place.0, place.1 + 1) } else { (place.0 + 1, 0) };
        (place.0 < columns).then_some((place, permit))
    }
}

/// What workers have at hand: the right to compute.
pub(super) struct Contexts<'a> {
    free: Mutex<Vec<Context<'a>>>,
    ready: Condvar,
}

impl<'a> Contexts<'a> {
    pub(super) fn new(of_workers: Vec<Context<'a>>) -> Self {
        Self { free: Mutex::new(of_workers), ready: Condvar::new() }
    }

    /// Computes something once there is a context for it.
    fn with<T>(&self, work: impl FnOnce(&mut Context<'a>) -> Result<T>) -> Result<T> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.ready.wait_while(free, |free| free.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let Some(mut own) = free.pop() else { return Err(Error::Worker) };
        drop(free);
        // A context that does not come back would be waited for for ever.
        let made = catch_unwind(AssertUnwindSafe(|| work(&mut own))).unwrap_or(Err(Error::Worker));
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(own);
        self.ready.notify_one();
        made
    }
}

pub(super) fn work<F: Fold>(
    shared: &Shared<'_, F>,
    places: &Places,
    contexts: &Contexts<'_>,
    done: &Sender<Mapped<F::Mapped>>,
) {
    while let Some((place, permit)) = places.take() {
        let fetched = catch_unwind(AssertUnwindSafe(|| {
            wait_fetch(sources_in(shared.exprs, &shared.plan.window(place.0, place.1)))
        }));
        let fetched = fetched.unwrap_or(Err(Error::Worker));
        let values = fetched.and_then(|fetched| contexts.with(|own| shared.map(place, fetched, own)));
        if done.send(Mapped { place, values, permit }).is_err() {
            return;
        }
    }
}
