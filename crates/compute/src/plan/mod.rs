//! Plans: an array cut into tasks that are independent, with the memory that they take stated before the first byte is read.
//!
//! A task evaluates one window of the array and writes it. What must be stored in between ([`crate::DataArray::rechunk`]) is a stage of
//! its own before.

mod cost;
mod graph;
mod ledger;
mod options;
mod run;
mod sink;
pub(crate) mod stored;
mod summary;
mod tiling;
mod zarr;

use std::collections::HashSet;
use std::sync::Arc;

use crate::expr::{Expr, Node, cells};
use crate::memory::{default_allowance, human};
use crate::{DataArray, Error, Result};
use cost::Meter;
pub use graph::{Graph, GraphNode};
pub use ledger::{FailedWindow, Ledger};
pub use options::{EarlyEnd, Executor, Partition, RunOptions};
pub use run::PlanReport;
pub use sink::{MemorySink, Sink};
use stored::{Place, Stored, Tiles};
pub use summary::{PlanStage, PlanSummary};
use tiling::Tiling;
pub use zarr::{ZarrSink, ZarrTarget};

pub(crate) use cost::{eval_bytes, stored_bytes};

/// One pass over an array.
#[derive(Debug)]
struct Stage {
    /// What is evaluated.
    expr: Arc<Expr>,
    tiling: Tiling,
    /// Where it goes; `None` is the sink of the plan.
    into: Option<(Arc<Stored>, Arc<Tiles>)>,
    /// Tasks at once.
    workers: usize,
    /// Threads that one task may use.
    threads: usize,
    /// Upper bound of the memory of the tasks, in bytes.
    memory: u64,
}

/// An array that is cut into tasks.
#[derive(Debug)]
pub struct Plan {
    stages: Vec<Stage>,
    /// Memory for what is stored between stages, in bytes.
    kept: u64,
    /// Disk for what is stored between stages, in bytes.
    scratch: u64,
    ahead: usize,
    allowed: u64,
}

impl Plan {
    /// Plans an array for a sink, within the memory that the options allow.
    ///
    /// # Errors
    /// [`Error::Memory`] if one task with one thread is too much.
    pub fn new(array: &DataArray, sink: &dyn Sink, options: &RunOptions) -> Result<Self> {
        Self::of(&array.expr, sink, options)
    }

    pub(crate) fn of(expr: &Arc<Expr>, sink: &dyn Sink, options: &RunOptions) -> Result<Self> {
        let allowed = if options.memory == 0 { default_allowance() } else { options.memory };
        let remote = expr.sources().iter().any(|source| !source.href().is_local());
        let ahead = if remote { 8 } else { 1 };
        let mut plan = Self { stages: Vec::new(), kept: 0, scratch: 0, ahead, allowed };
        let fixed = sink.held_bytes(expr);
        let room = |kept: u64| allowed.saturating_sub(fixed).saturating_sub(kept);
        for stored in stored_in(expr) {
            if stored.is_filled() {
                plan.kept += stored.held_bytes();
                continue;
            }
            let bytes = cells_of(&stored.input.shape) * stored.input.dtype.size() as u64;
            let place = if bytes <= room(plan.kept) / 2 { Place::Memory } else { Place::Disk };
            match place {
                Place::Memory => plan.kept += bytes,
                Place::Disk => plan.scratch += bytes,
            }
            let stage = plan.stage(&stored.input, None, (room(plan.kept), options), &|_| 0)?;
            let tiles = stored.lay_out(&stage.tiling, place);
            plan.stages.push(Stage { into: Some((stored.clone(), tiles)), ..stage });
        }
        let unit = sink.unit();
        let write = |bytes: u64| sink.work_bytes(bytes);
        let last = plan.stage(expr, unit.as_deref(), (room(plan.kept), options), &write)?;
        plan.stages.push(last);
        plan.kept += fixed;
        Ok(plan)
    }

    /// As many tasks at once as fit; where there are few tasks, more threads for each.
    fn stage(
        &self,
        expr: &Arc<Expr>,
        unit: Option<&[u64]>,
        (room, options): (u64, &RunOptions),
        write: &dyn Fn(u64) -> u64,
    ) -> Result<Stage> {
        let most = if options.executor == Executor::Serial { 1 } else { options.thread_count() };
        let mut need = u64::MAX;
        for workers in (1..=most).rev() {
            let meter = Meter { threads: 1, ahead: self.ahead, workers, write };
            let tiling = match Tiling::of(expr, unit, room, &meter) {
                Ok(tiling) => tiling,
                Err(least) => {
                    need = need.min(least);
                    continue;
                }
            };
            let count = tiling.count();
            let stage = |workers: usize, threads: usize, memory: u64, tiling: Tiling| Stage {
                expr: expr.clone(),
                tiling,
                into: None,
                workers,
                threads,
                memory,
            };
            if count < workers as u64 * 2 && workers > 1 {
                // Few tasks: one after the other, each with all threads where memory allows it.
                let few = Meter { threads: workers, ahead: self.ahead, workers: 1, write };
                let memory = few.total(expr, &tiling);
                if memory <= room && count < workers as u64 {
                    return Ok(stage(1, workers, memory, tiling));
                }
            }
            let at_once = workers.min(crate::expr::size(count).max(1));
            let memory = Meter { workers: at_once, ..meter }.total(expr, &tiling);
            return Ok(stage(at_once, 1, memory, tiling));
        }
        let hint = ", or select less";
        Err(Error::Memory { need: human(need.saturating_add(self.kept)), allowed: human(self.allowed), hint })
    }

    /// Upper bound of the memory of a run for arrays, in bytes.
    ///
    /// It grows with the chunks that one task needs and the number of threads, not with the number of tasks.
    pub fn memory_bytes(&self) -> u64 {
        self.kept + self.stages.iter().map(|stage| stage.memory).max().unwrap_or(0)
    }

    /// Disk that a run takes for what is stored between stages, in bytes.
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch
    }

    /// Number of tasks.
    pub fn tasks(&self) -> u64 {
        self.stages.iter().map(|stage| stage.tiling.count()).sum()
    }
}

/// What is stored between stages, in the order in which it can be made.
fn stored_in(expr: &Arc<Expr>) -> Vec<Arc<Stored>> {
    fn collect(expr: &Arc<Expr>, seen: &mut HashSet<*const Expr>, all: &mut Vec<Arc<Stored>>) {
        if !seen.insert(Arc::as_ptr(expr)) {
            return;
        }
        for input in expr.inputs() {
            collect(input, seen, all);
        }
        if let Node::Stored(stored) = &expr.node
            && !all.iter().any(|have| Arc::ptr_eq(have, stored))
        {
            all.push(stored.clone());
        }
    }
    let mut all = Vec::new();
    collect(expr, &mut HashSet::new(), &mut all);
    all
}

fn cells_of(shape: &[u64]) -> u64 {
    cells(&shape.iter().map(|len| 0..*len).collect::<Vec<_>>())
}
