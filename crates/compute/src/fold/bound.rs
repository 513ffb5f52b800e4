//! The memory of a fold, computed before it runs.

use serde::Serialize;

use super::{Fold, FoldPlan, RunOptions};
use crate::memory::{default_allowance, human};
use crate::plan::{eval_bytes, stored_bytes};
use crate::{Error, Result};

/// Upper bound of the memory that a run takes for arrays, in bytes.
///
/// It grows with the cells of a column and the size of its chunks, not with the number of steps or columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// State and output of one column.
    pub column: u64,
    /// One slab in flight: its chunks as stored and its mapped values.
    pub slab: u64,
    /// Slabs in flight.
    pub in_flight: u64,
    /// Decoded inputs of one worker.
    pub worker: u64,
    /// Workers.
    pub workers: u64,
}

/// Bytes of slabs.
#[derive(Debug, Default)]
pub(super) struct SlabBytes {
    /// Most of one, as stored.
    stored: u64,
    /// Most of one while it is decoded.
    decoded: u64,
    /// Of all, as stored.
    all_stored: u64,
}

impl Bound {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.column + self.slab * self.in_flight + self.worker * self.workers
    }
}

impl<F: Fold> FoldPlan<F> {
    /// The bound of a run with these options: as many workers and slabs in flight as the allowance holds.
    ///
    /// # Errors
    /// [`Error::Memory`] if one worker with one slab is too much.
    pub fn bound(&self, options: &RunOptions) -> Result<Bound> {
        let allowed = if options.memory == 0 { default_allowance() } else { options.memory };
        let mut bound = self.smallest_bound();
        if self.keeps_states(options) {
            // A state as bytes, beside the state, and once more when it is taken up.
            let cells = (0..self.columns.len()).map(|column| self.cells(column) as u64).max().unwrap_or(0);
            bound.column += 2 * cells * self.fold.bytes().state;
        }
        if bound.total() > allowed {
            let hint = ", or use --coarsen";
            return Err(Error::Memory { need: human(bound.total()), allowed: human(allowed), hint });
        }
        let threads = options.thread_count() as u64;
        let ahead = if self.is_remote() { (threads * 2).max(8) } else { threads * 2 };
        let mut grow = |set: fn(&mut Bound), limit: fn(&Bound) -> u64, most: u64| {
            while limit(&bound) < most {
                let mut larger = bound;
                set(&mut larger);
                if larger.total() > allowed {
                    break;
                }
                bound = larger;
            }
        };
        grow(
            |b| {
                b.workers += 1;
                b.in_flight += 1;
            },
            |b| b.workers,
            threads,
        );
        grow(|b| b.in_flight += 1, |b| b.in_flight, ahead);
        Ok(bound)
    }

    fn smallest_bound(&self) -> Bound {
        let bytes = self.fold.bytes();
        let cells = (0..self.columns.len()).map(|c| self.cells(c) as u64).max().unwrap_or(0);
        let steps = self.slabs.iter().map(|s| s.end - s.start).max().unwrap_or(0);
        let SlabBytes { stored, decoded, .. } = *self.slab_bytes();
        Bound {
            column: cells * (bytes.state + bytes.output),
            slab: stored + cells * steps * bytes.mapped,
            in_flight: 1,
            worker: decoded,
            workers: 1,
        }
    }

    fn slab_bytes(&self) -> &SlabBytes {
        self.bytes.get_or_init(|| {
            let mut bytes = SlabBytes::default();
            for column in 0..self.columns.len() {
                for slab in 0..self.slabs.len() {
                    let window = self.window(column, slab);
                    let stored = self.inputs.iter().map(|input| stored_bytes(&input.expr, &window)).sum();
                    let decoded = self.inputs.iter().map(|input| eval_bytes(&input.expr, &window, 1)).sum();
                    bytes.stored = bytes.stored.max(stored);
                    bytes.decoded = bytes.decoded.max(decoded);
                    bytes.all_stored += stored;
                }
            }
            bytes
        })
    }

    /// Bytes of all chunks of the plan as stored: what a run without early end reads.
    pub fn stored_bytes(&self) -> u64 {
        self.slab_bytes().all_stored
    }
}
