//! What a search did to find its items, for those who want to know why it took so long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most catalogs that are named as not entered.
const MOST_NAMED: usize = 20;

/// Counts what a search does. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    documents: AtomicU64,
    tested: AtomicU64,
    found: AtomicU64,
    excluded: AtomicU64,
    notes: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Told {
    /// Documents (or pages of a server) that were read.
    pub documents: u64,
    /// Items that were tested one by one.
    pub tested: u64,
    /// Items that fit.
    pub found: u64,
    /// Catalogs, or groups of rows of a table, that were not looked into.
    pub excluded: u64,
    /// How the source was read, and what was not looked into and why.
    pub notes: Vec<String>,
    /// What the user should know even without asking.
    pub warnings: Vec<String>,
}

impl Tally {
    pub(crate) fn read(&self) {
        self.0.documents.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tested(&self) {
        self.0.tested.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn found(&self) {
        self.0.found.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was not looked into; the first few are named.
    pub(crate) fn excluded(&self, what: impl FnOnce() -> String) {
        if self.0.excluded.fetch_add(1, Ordering::Relaxed) < MOST_NAMED as u64 {
            self.note(what());
        }
    }

    /// Something the user should know even without asking.
    pub(crate) fn warn(&self, text: String) {
        self.0.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn note(&self, text: String) {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// What was counted so far.
    pub fn told(&self) -> Told {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Told {
            documents: get(&self.0.documents),
            tested: get(&self.0.tested),
            found: get(&self.0.found),
            excluded: get(&self.0.excluded),
            notes: self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            warnings: self.0.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
