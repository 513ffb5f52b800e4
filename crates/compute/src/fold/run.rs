//! Runs a plan: the order of columns and slabs, early end, and the executor without threads.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use outcrop_store::progress::{Progress, Unit};

use super::checkpoint::{self, Moment, Saved};
use super::{Bound, EarlyEnd, Executor, Fold, FoldPlan, RunOptions, Step, threads};
use crate::eval::context::Pending;
use crate::eval::{Context, eval};
use crate::expr::Expr;
use crate::source::Fetched;
use crate::{Block, DataArray, Error, Result};

/// Later steps at which cells without data are checked before a column ends early.
const PROBES: u64 = 3;

/// A finished column.
#[derive(Debug)]
pub struct Column<'a, T> {
    /// Its number.
    pub index: usize,
    /// Its window of the plane.
    pub window: &'a [Range<u64>],
    /// What the fold made of it.
    pub output: T,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Columns that were computed.
    pub columns: usize,
    /// Columns that ended before the last step.
    pub ended_early: usize,
    /// Steps applied, over all columns.
    pub steps: u64,
    /// Steps that a run before had applied, which was killed.
    pub resumed: u64,
    /// Steps there are, over all columns.
    pub of_steps: u64,
    /// The memory bound that was kept.
    pub bound: Bound,
}

/// The state of a run: the column at hand and what has been done.
pub(super) struct Run<'a, F: Fold> {
    pub(super) plan: &'a FoldPlan<F>,
    pub(super) options: &'a RunOptions,
    pub(super) exprs: Vec<Arc<Expr>>,
    state: Option<F::State>,
    probe_failed: bool,
    saved: Option<Saved>,
    /// Column and slab that are the first to be computed.
    pub(super) begin: (usize, usize),
    progress: Progress,
    pub(super) report: RunReport,
}

/// What to do after a slab.
pub(super) enum Next {
    /// The next slab; this share of the cells is not settled.
    Slab(f32),
    /// The column is finished.
    Column,
}

impl<F: Fold> FoldPlan<F> {
    /// Runs the plan and hands each finished column to `sink`, in order.
    ///
    /// # Errors
    /// [`Error::Memory`] before anything is read; [`Error::Chunk`], the store's and those of `sink` end the run;
    /// [`Error::Interrupted`] after the flag in the options was set.
    pub fn run<E: From<Error>>(
        &self,
        options: &RunOptions,
        mut sink: impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
    ) -> std::result::Result<RunReport, E> {
        let bound = self.bound(options)?;
        let of_steps = self.steps * self.columns.len() as u64;
        let mut run = Run {
            plan: self,
            options,
            exprs: self.inputs.iter().map(|input| input.expr.clone()).collect(),
            state: None,
            probe_failed: false,
            saved: self.saved(options),
            begin: (0, 0),
            progress: options.progress.begin("compute", Some(of_steps), Unit::Count),
            report: RunReport { columns: 0, ended_early: 0, steps: 0, resumed: 0, of_steps, bound },
        };
        run.resume(&mut sink)?;
        match options.executor {
            _ if run.begin.0 >= self.columns.len() => {}
            Executor::Threads if self.inputs.iter().any(|input| !input.sources().is_empty()) => {
                threads::run(&mut run, &mut sink)?;
            }
            _ => run.serial(&mut sink)?,
        }
        if let Some(saved) = run.saved {
            saved.remove();
        }
        Ok(run.report)
    }

    /// True if states are kept on disk: where they are worth it.
    pub(super) fn keeps_states(&self, options: &RunOptions) -> bool {
        let least = options.checkpoints.as_ref().map(|checkpoints| checkpoints.least_bytes);
        let bytes: u64 = self.inputs.iter().map(DataArray::nbytes).sum();
        self.fold.key().is_some() && least.is_some_and(|least| bytes >= least)
    }

    /// The states on disk, where they are worth it.
    fn saved(&self, options: &RunOptions) -> Option<Saved> {
        let (checkpoints, fold) = (options.checkpoints.as_ref()?, self.fold.key()?);
        if !self.keeps_states(options) {
            return None;
        }
        let inputs: Vec<String> = self.inputs.iter().map(DataArray::fingerprint).collect();
        let told = format!("{fold} {inputs:?} {:?} {:?} {:?}", self.columns, self.slabs, options.early_end);
        Some(Saved::new(checkpoints, *blake3::hash(told.as_bytes()).as_bytes()))
    }
}

impl<F: Fold> Run<'_, F> {
    /// Hands on the columns that a run before had finished, and takes the state of the one that it was at.
    fn resume<E: From<Error>>(
        &mut self,
        sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for column in 0..self.plan.columns.len() {
            let saved = self.saved.as_ref().and_then(|saved| saved.read(column));
            let Some(saved) = saved else { break };
            let Some(state) = self.plan.fold.restore(&saved.bytes, self.plan.cells(column)) else { break };
            let steps = match saved.slabs {
                None => self.plan.steps,
                Some(slabs) => self.plan.slabs.get(slabs).map_or(self.plan.steps, |slab| slab.start),
            };
            self.report.resumed += steps;
            self.progress.advance(steps);
            self.state = Some(state);
            if let Some(slabs) = saved.slabs {
                self.begin = (column, slabs);
                break;
            }
            self.hand_on(column, sink)?;
            self.begin = (column + 1, 0);
        }
        Ok(())
    }

    /// Keeps the state of a column; where that fails no more are kept, as a run does not need them.
    fn save(&mut self, column: usize, slabs: Option<usize>) {
        let (Some(saved), Some(state)) = (&mut self.saved, &self.state) else { return };
        let moment = if slabs.is_some() { Moment::Between } else { Moment::Finished };
        let state = checkpoint::State { slabs, bytes: self.plan.fold.save(state, moment) };
        if saved.write(column, &state).is_err() {
            saved.remove();
            self.saved = None;
        }
    }

    fn serial<E: From<Error>>(
        &mut self,
        sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut context = Context::new(&self.exprs, 1, &self.options.interrupt);
        for column in self.begin.0..self.plan.columns.len() {
            let first = if column == self.begin.0 { self.begin.1 } else { 0 };
            for slab in first..self.plan.slabs.len() {
                self.check_interrupt()?;
                let window = self.plan.window(column, slab);
                let fetched = self.wait_fetch(&self.exprs, &window)?;
                let mapped = map_slab(self.plan, &self.exprs, (column, slab), (fetched, &mut context))?;
                let next = self.apply(column, slab, &mapped)?;
                context.reuse(self.plan.fold.reuse(mapped));
                if matches!(next, Next::Column) {
                    break;
                }
            }
            self.finish(column, sink)?;
        }
        Ok(())
    }

    pub(super) fn check_interrupt(&self) -> Result<()> {
        if self.options.interrupt.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn wait_fetch(&self, exprs: &[Arc<Expr>], window: &[Range<u64>]) -> Result<Fetched> {
        let context = Context::new(exprs, 1, &self.options.interrupt);
        context.wait(start(&context, exprs, window))
    }

    /// Applies a slab in order.
    pub(super) fn apply(&mut self, column: usize, slab: usize, mapped: &F::Mapped) -> Result<Next> {
        let steps = self.plan.slabs[slab].clone();
        let cells = self.plan.cells(column);
        let fold = &self.plan.fold;
        let state = self.state.get_or_insert_with(|| fold.start(cells));
        let step = fold.apply(state, mapped, steps.start);
        self.report.steps += steps.end - steps.start;
        self.progress.advance(steps.end - steps.start);
        let left = self.plan.steps - steps.end;
        let ends = match step {
            Step::Continue(share) if left > 0 => {
                if self.saved.as_ref().is_some_and(Saved::is_due) {
                    self.save(column, Some(slab + 1));
                }
                return Ok(Next::Slab(share));
            }
            Step::Continue(_) => false,
            _ if self.options.early_end == EarlyEnd::Never => left == 0,
            Step::Done => true,
            Step::DoneUnless(cells) => left == 0 || self.stay_missing(column, steps.end, &cells)?,
        };
        if left > 0 && !ends {
            return Ok(Next::Slab(0.0));
        }
        if left > 0 {
            self.report.ended_early += 1;
            self.progress.advance(left);
        }
        Ok(Next::Column)
    }

    /// Checks at a few later steps that cells have no data in the first input. A failed check is not repeated.
    fn stay_missing(&mut self, column: usize, from: u64, cells: &[u32]) -> Result<bool> {
        if self.probe_failed {
            return Ok(false);
        }
        let last = self.plan.steps - 1;
        for probe in 1..=PROBES {
            let step = from + (last - from) * probe / PROBES;
            let plane = self.plan.columns[column].iter().cloned();
            let window: Vec<Range<u64>> = std::iter::once(step..step + 1).chain(plane).collect();
            let fetched = self.wait_fetch(&self.exprs[..1], &window)?;
            let mut context = Context::new(&self.exprs[..1], 1, &self.options.interrupt);
            let values = context.with(fetched, |own| eval(&self.exprs[0], &window, own))?.into_f64();
            let has_data = |cell: &u32| values.get(*cell as usize).is_some_and(|value| !value.is_nan());
            if cells.iter().any(has_data) {
                self.probe_failed = true;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands the finished column on.
    pub(super) fn finish<E: From<Error>>(
        &mut self,
        column: usize,
        sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.save(column, None);
        self.hand_on(column, sink)
    }

    fn hand_on<E: From<Error>>(
        &mut self,
        column: usize,
        sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let cells = self.plan.cells(column);
        let state = self.state.take().unwrap_or_else(|| self.plan.fold.start(cells));
        self.probe_failed = false;
        self.report.columns += 1;
        let output = self.plan.fold.finish(state);
        sink(Column { index: column, window: &self.plan.columns[column], output })
    }
}

/// Starts to fetch what a window of some arrays needs.
pub(super) fn start(context: &Context<'_>, exprs: &[Arc<Expr>], window: &[Range<u64>]) -> Pending {
    let wanted: Vec<(&Arc<Expr>, &[Range<u64>])> = exprs.iter().map(|expr| (expr, window)).collect();
    context.start(&wanted)
}

/// Decodes the inputs of a slab and maps them.
pub(super) fn map_slab<F: Fold>(
    plan: &FoldPlan<F>,
    exprs: &[Arc<Expr>],
    (column, slab): (usize, usize),
    (fetched, context): (Fetched, &mut Context<'_>),
) -> Result<F::Mapped> {
    let window = plan.window(column, slab);
    let inputs: Result<Vec<Block>> =
        context.with(fetched, |own| exprs.iter().map(|expr| eval(expr, &window, own)).collect());
    // What did not fit is not counted among the slabs in flight.
    context.reuse(None);
    Ok(plan.fold.map(inputs?, plan.cells(column)))
}
