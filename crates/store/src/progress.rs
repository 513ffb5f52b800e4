//! Progress events: libraries send them to a sink, only the command line draws.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a total counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a transfer.
    Bytes,
    /// Things: items, files, days.
    Count,
}

/// One step of long work.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A piece of work starts.
    Begin {
        /// Number of the piece, unique in the process.
        task: u64,
        /// What it is, for people.
        label: String,
        /// Its size, where known.
        total: Option<u64>,
        /// What the size counts.
        unit: Unit,
    },
    /// Its size is known now.
    Total {
        /// Number of the piece.
        task: u64,
        /// Its size.
        total: u64,
    },
    /// A part of it is done.
    Advance {
        /// Number of the piece.
        task: u64,
        /// Size of the part.
        by: u64,
    },
    /// What was done of it is lost; it starts again.
    Restart {
        /// Number of the piece.
        task: u64,
    },
    /// It is over.
    End {
        /// Number of the piece.
        task: u64,
    },
}

/// Where events go. The default drops them.
#[derive(Clone, Default)]
pub struct Sink(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Sink(on)" } else { "Sink(off)" })
    }
}

static NEXT_TASK: AtomicU64 = AtomicU64::new(1);

impl Sink {
    /// A sink that calls `f` for each event.
    pub fn new(f: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    /// Announces a piece of work; dropping the answer ends it.
    pub fn begin(&self, label: impl Into<String>, total: Option<u64>, unit: Unit) -> Progress {
        let task = NEXT_TASK.fetch_add(1, Ordering::Relaxed);
        self.send(Event::Begin { task, label: label.into(), total, unit });
        Progress { sink: self.clone(), task }
    }

    fn send(&self, event: Event) {
        if let Some(f) = &self.0 {
            f(event);
        }
    }
}

/// A piece of work in progress.
#[derive(Debug)]
pub struct Progress {
    sink: Sink,
    task: u64,
}

impl Progress {
    /// Says that `by` more is done.
    pub fn advance(&self, by: u64) {
        self.sink.send(Event::Advance { task: self.task, by });
    }

    /// Says how much there is to do.
    pub fn set_total(&self, total: u64) {
        self.sink.send(Event::Total { task: self.task, total });
    }

    /// Says that the work starts again.
    pub fn restart(&self) {
        self.sink.send(Event::Restart { task: self.task });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.sink.send(Event::End { task: self.task });
    }
}
