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
                    // What is stored between stages is needed whole.
                    let write = |window: &[Range<u64>], block| tiles.write(window, &block);
                    report.tasks += stage.run(options, &all, &write, &mut |_, error| Err(error))?;
                    stored.fill(tiles.clone());
                }
                None => {
                    let windows = stage.tasks(options.partition.zip(sink.unit()));
                    let mut open = Vec::with_capacity(windows.len());
                    for task in windows {
                        report.skipped += stage.missing(task, sink, &mut open);
                    }
                    report.tasks += stage.finish(options, &open, sink)?;
                }
            }
        }
        Ok(report)
    }
}

/// Takes a window and its values.
type Write<'a> = dyn Fn(&[Range<u64>], Block) -> Result<()> + Sync + 'a;

/// Takes a window that failed; what it gives back ends the run.
type Fails<'a> = dyn FnMut(&[Range<u64>], Error) -> Result<()> + 'a;

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

    /// Adds what is to be done of a task: nothing of one that an earlier run has done, of one that it had begun only the chunks that are
    /// missing. The number of those that are done.
    fn missing(&self, task: Task, sink: &dyn Sink, open: &mut Vec<Task>) -> u64 {
        let window = self.window(&task);
        if sink.has(&window) {
            return 1;
        }
        let chunks = sink.unit().map(|unit| units(&window, &unit)).unwrap_or_default();
        let missing: Vec<_> = chunks.iter().filter(|chunk| !sink.has(chunk)).cloned().collect();
        if missing.len() == chunks.len() {
            open.push(task);
            return 0;
        }
        let done = chunks.len() - missing.len();
        open.extend(missing.into_iter().map(|chunk| Task::Part(chunk.into())));
        done as u64
    }

    fn window(&self, task: &Task) -> Vec<Range<u64>> {
        match task {
            Task::Whole(at) => self.tiling.window(*at),
            Task::Part(window) => window.to_vec(),
        }
    }

    /// Runs the tasks of the sink. With a ledger, one of several chunks whose input cannot be decoded is run again chunk by chunk, so that only
    /// those are missing that need it.
    fn finish(&self, options: &RunOptions, tasks: &[Task], sink: &dyn Sink) -> Result<u64> {
        let write = |window: &[Range<u64>], block| sink.write(window, block);
        let Some(ledger) = options.ledger.as_deref() else {
            return self.run(options, tasks, &write, &mut |_, error| Err(error));
        };
        let mut split = 0;
        let mut again: Vec<Task> = Vec::new();
        let done = self.run(options, tasks, &write, &mut |window, error| {
            let parts = sink.unit().filter(|_| matches!(error, Error::Chunk { .. })).map(|unit| units(window, &unit));
            match parts {
                Some(parts) if parts.len() > 1 => {
                    split += 1;
                    again.extend(parts.into_iter().map(|part| Task::Part(part.into())));
                    Ok(())
                }
                _ => ledger.note(window, error),
            }
        })?;
        let more = self.run(options, &again, &write, &mut |window, error| ledger.note(window, error))?;
        Ok(done - split + more)
    }

    fn run(&self, options: &RunOptions, tasks: &[Task], write: &Write<'_>, fails: &mut Fails<'_>) -> Result<u64> {
        let window = |at: usize| self.window(&tasks[at]);
        let values: u64 = tasks.iter().map(|task| cells(&self.window(task))).sum();
        let bytes = self.expr.dtype.size() as u64;
        let what = if self.into.is_some() { "store" } else { "compute" };
        let progress = options.progress.begin(what, Some(values * bytes), Unit::Bytes);
        let exprs = std::slice::from_ref(&self.expr);
        let mut context = Context::new(exprs, self.workers, &options.interrupt);
        let inner = self.threads;
        context.each(
            (tasks.len(), Order::Any),
            |own, at| own.start(&[(&self.expr, &window(at))]),
            |own, at| {
                let window = window(at);
                let outer = std::mem::replace(&mut own.threads, inner);
                let block = eval(&self.expr, &window, own);
                own.threads = outer;
                // What fails while it is written is another matter than what cannot be had.
                let block = block?;
                Ok(write(&window, block).map(|()| cells(&window)))
            },
            |at, made: Result<Result<u64>>| {
                match made {
                    Ok(written) => progress.advance(written? * bytes),
                    Err(error) => fails(&window(at), error)?,
                }
                Ok::<_, Error>(())
            },
        )?;
        Ok(tasks.len() as u64)
    }
}

/// The chunks of a window, which begins at one.
fn units(window: &[Range<u64>], unit: &[u64]) -> Vec<Vec<Range<u64>>> {
    let along = |(range, unit): (&Range<u64>, &u64)| -> Vec<Range<u64>> {
        let step = usize::try_from(*unit).unwrap_or(usize::MAX).max(1);
        range.clone().step_by(step).map(|start| start..(start + unit).min(range.end)).collect()
    };
    let each: Vec<Vec<Range<u64>>> = window.iter().zip(unit).map(along).collect();
    crate::expr::products(&each).into_iter().map(|part| part.into_iter().cloned().collect()).collect()
}
