//! Runs a plan.

use std::ops::Range;

use outcrop_store::progress::Unit;

use super::{Partition, Plan, RunOptions, Sink, Stage};
use crate::eval::context::Order;
use crate::eval::{Context, eval};
use crate::expr::cells;
use crate::{Block, Error, Result};

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanReport {
    /// Tasks that were run, those that failed among them.
    pub tasks: u64,
    /// Tasks that an earlier run had done.
    pub skipped: u64,
    /// The memory bound that was kept, in bytes.
    pub memory_bytes: u64,
}

impl Plan {
    /// Runs the plan: each window of the array goes to the sink.
    ///
    /// # Errors
    /// Those of reading and computing, [`Error::Chunk`] among them, and of the sink; [`Error::Interrupted`] after the flag in the options
    /// was set.
    pub fn run(&self, options: &RunOptions, sink: &dyn Sink) -> Result<PlanReport> {
        let mut report = PlanReport { tasks: 0, skipped: 0, memory_bytes: self.memory_bytes() };
        for stage in &self.stages {
            match &stage.into {
                Some((stored, _)) if stored.is_filled() => {}
                Some((stored, tiles)) => {
                    tiles.prepare(options.scratch.as_deref())?;
                    let all = stage.tasks(None);
                    report.tasks += stage.run(options, &all, &|window, block| tiles.write(window, &block))?;
                    stored.fill(tiles.clone());
                }
                None => {
                    let windows = stage.tasks(options.partition.zip(sink.unit()));
                    let all = windows.len() as u64;
                    let open: Vec<Task> = windows.into_iter().filter(|task| !sink.has(&stage.window(task))).collect();
                    report.skipped = all - open.len() as u64;
                    report.tasks += stage.run(options, &open, &|window, block| sink.write(window, block))?;
                }
            }
        }
        Ok(report)
    }
}

/// Takes a window and its values.
type Write<'a> = dyn Fn(&[Range<u64>], Block) -> Result<()> + Sync + 'a;

/// A window of the tiling, or what of it lies in a part.
#[derive(Debug, Clone)]
enum Task {
    Whole(u64),
    Part(Box<[Range<u64>]>),
}

impl Stage {
    /// The tasks, or those of a part of the chunks that are written.
    fn tasks(&self, part: Option<(Partition, Vec<u64>)>) -> Vec<Task> {
        let all = 0..self.tiling.count();
        let Some((partition, unit)) = part else { return all.map(Task::Whole).collect() };
        let mine = partition.windows(&self.expr.shape, &unit);
        let mut tasks = Vec::new();
        for task in all {
            let window = self.tiling.window(task);
            for part in &mine {
                let meet = |(a, b): (&Range<u64>, &Range<u64>)| a.start.max(b.start)..a.end.min(b.end);
                let both: Vec<Range<u64>> = window.iter().zip(part).map(meet).collect();
                if both == window {
                    tasks.push(Task::Whole(task));
                } else if both.iter().all(|range| range.start < range.end) {
                    tasks.push(Task::Part(both.into()));
                }
            }
        }
        tasks
    }

    fn window(&self, task: &Task) -> Vec<Range<u64>> {
        match task {
            Task::Whole(at) => self.tiling.window(*at),
            Task::Part(window) => window.to_vec(),
        }
    }

    fn run(&self, options: &RunOptions, tasks: &[Task], write: &Write<'_>) -> Result<u64> {
        let window = |at: usize| self.window(&tasks[at]);
        let values: u64 = tasks.iter().map(|task| cells(&self.window(task))).sum();
        let bytes = self.expr.dtype.size() as u64;
        let what = if self.into.is_some() { "store" } else { "compute" };
        let progress = options.progress.begin(what, Some(values * bytes), Unit::Bytes);
        let exprs = std::slice::from_ref(&self.expr);
        let mut context = Context::new(exprs, self.workers, &options.interrupt);
        // What is stored between stages is needed whole.
        let ledger = options.ledger.as_deref().filter(|_| self.into.is_none());
        let inner = self.threads;
        context.each(
            (tasks.len(), Order::Any),
            |own, at| own.start(&[(&self.expr, &window(at))]),
            |own, at| {
                let window = window(at);
                let outer = std::mem::replace(&mut own.threads, inner);
                let block = eval(&self.expr, &window, own);
                own.threads = outer;
                write(&window, block?)?;
                Ok(cells(&window))
            },
            |at, made: Result<u64>| {
                match (made, ledger) {
                    (Ok(cells), _) => progress.advance(cells * bytes),
                    (Err(error), Some(ledger)) => ledger.note(&window(at), error)?,
                    (Err(error), None) => return Err(error),
                }
                Ok::<_, Error>(())
            },
        )?;
        Ok(tasks.len() as u64)
    }
}
