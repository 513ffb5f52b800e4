//! How a plan is run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use outcrop_store::progress::Sink as Progress;

/// Which threads run a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Executor {
    /// Worker threads.
    #[default]
    Threads,
    /// One after the other.
    Serial,
}

/// When a column of a fold may end before the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyEnd {
    /// When every cell that has data is settled. Cells without data so far are checked at a few later steps; if one
    /// has data there the column goes on.
    #[default]
    Settled,
    /// Never: every step is read.
    Never,
}

/// One of so many parts of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Which part, from 0.
    pub part: u64,
    /// Number of parts, at least 1.
    pub of: u64,
}

impl Partition {
    /// The part that has these of so many tasks: neighbours together.
    pub fn tasks(self, count: u64) -> std::ops::Range<u64> {
        let of = u128::from(self.of.max(1));
        let edge = |part: u64| u64::try_from(u128::from(count) * u128::from(part) / of).unwrap_or(count);
        edge(self.part)..edge(self.part + 1)
    }
}

/// How to run a plan.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Worker threads; 0 for one per core.
    pub threads: usize,
    /// Largest memory of the plan in bytes; 0 for half of what is free.
    pub memory: u64,
    /// Which threads.
    pub executor: Executor,
    /// When a column of a fold may end early.
    pub early_end: EarlyEnd,
    /// Folder for what is stored between stages and does not fit in memory; by default that of temporary files.
    pub scratch: Option<PathBuf>,
    /// Only some of the tasks that write the result.
    pub partition: Option<Partition>,
    /// Where progress goes.
    pub progress: Progress,
    /// Set to true to stop the run.
    pub interrupt: Arc<AtomicBool>,
}

impl RunOptions {
    /// Worker threads that are asked for.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            n => n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_tasks_once() {
        for (count, of) in [(10, 3), (2, 5), (0, 2), (7, 1)] {
            let parts: Vec<u64> = (0..of).flat_map(|part| Partition { part, of }.tasks(count)).collect();
            assert_eq!(parts, (0..count).collect::<Vec<_>>());
        }
    }
}
