//! The executor with threads: slabs are fetched ahead on the I/O runtime, or by the workers where files are local
//! ([`local`]), decoded and mapped by workers, and applied in order by the calling thread.
//!
//! One permit stands for one slab between the start of its fetch and the end of its application, so the number of
//! slabs in memory is bounded whatever the speeds of the network and the cores are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::local::{self, Contexts, Places};
use super::run::{Column, Next, Run, map_slab};
use super::{Fold, FoldPlan};
use crate::eval::Context;
use crate::expr::Expr;
use crate::source::{Fetched, Source, fetch, wanted};
use crate::{Block, Error, Result};

/// Share of unsettled cells below which fewer slabs are fetched ahead: what is fetched past an early end is wasted.
const NEARLY_SETTLED: f32 = 0.1;
/// Share below which remote slabs are fetched one at a time, so that nothing is fetched in vain.
const LAST_CELLS: f32 = 0.01;

/// Position in the order of application: column, slab.
pub(super) type Place = (usize, usize);

struct Job {
    place: Place,
    fetched: Result<Fetched>,
    permit: OwnedSemaphorePermit,
}

pub(super) struct Mapped<T> {
    pub(super) place: Place,
    pub(super) values: Result<T>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// What all threads of a run share.
pub(super) struct Shared<'a, F> {
    pub(super) plan: &'a FoldPlan<F>,
    pub(super) exprs: &'a [Arc<Expr>],
    /// Columns before this one are finished: their slabs are not needed any more.
    current: Arc<AtomicUsize>,
    /// Memory of slabs that were applied, which takes part in those in flight.
    spare: Mutex<Vec<Block>>,
}

impl<F: Fold> Shared<'_, F> {
    pub(super) fn map(&self, place: Place, fetched: Fetched, own: &mut Context<'_>) -> Result<F::Mapped> {
        own.reuse(self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop());
        map_slab(self.plan, self.exprs, place, (fetched, own))
    }

    fn reuse(&self, applied: F::Mapped) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).extend(self.plan.fold.reuse(applied));
    }
}

/// The part of a slab that the fetching task needs.
struct Feed {
    /// The first slab.
    begin: Place,
    windows: Vec<(Place, Vec<std::ops::Range<u64>>)>,
    exprs: Vec<Arc<Expr>>,
    permits: Arc<Semaphore>,
    current: Arc<AtomicUsize>,
}

pub(super) fn run<F: Fold, E: From<Error>>(
    run: &mut Run<'_, F>,
    sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let plan = run.plan;
    let Some(runtime) =
        plan.inputs.iter().find_map(|i| i.sources().first().map(|s| s.origin.store().runtime().clone()))
    else {
        return Ok(());
    };
    let bound = run.report.bound;
    let full = size(bound.in_flight);
    let (permits, current) = (Arc::new(Semaphore::new(full)), Arc::new(AtomicUsize::new(0)));
    let remote = plan.is_remote();
    let window = Window {
        permits: permits.clone(),
        current: current.clone(),
        full,
        now: full,
        workers: size(bound.workers),
        remote,
    };
    let exprs = run.exprs.clone();
    let own = Context::new(&exprs, 1, &run.options.interrupt);
    let shared = Shared { plan, exprs: &exprs, current, spare: Mutex::default() };
    if remote {
        return run_ahead(run, (&shared, &own), (&runtime, window), sink);
    }
    let next = Mutex::new(run.begin);
    let count = (plan.columns.len(), plan.slabs.len());
    let places = Places { runtime, permits: permits.clone(), current: shared.current.clone(), count, next };
    let contexts = Contexts::new((0..bound.workers).map(|_| own.fork()).collect());
    std::thread::scope(|scope| {
        let (done, results) = channel();
        for _ in 0..full {
            let (done, shared, places, contexts) = (done.clone(), &shared, &places, &contexts);
            scope.spawn(move || local::work(shared, places, contexts, &done));
        }
        drop(done);
        let result = collect(run, &shared, (&results, window), sink);
        // Nobody waits for a slab any more.
        permits.close();
        result
    })
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(1)
}

/// Slabs are fetched on the I/O runtime.
fn run_ahead<F: Fold, E: From<Error>>(
    run: &mut Run<'_, F>,
    (shared, own): (&Shared<'_, F>, &Context<'_>),
    (runtime, window): (&Handle, Window),
    sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let feed = Feed {
        begin: run.begin,
        windows: Vec::new(),
        exprs: shared.exprs.to_vec(),
        permits: window.permits.clone(),
        current: shared.current.clone(),
    };
    std::thread::scope(|scope| {
        let (jobs, queue) = channel::<Job>();
        let (done, results) = channel::<Mapped<F::Mapped>>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..window.workers {
            let (queue, done, context) = (queue.clone(), done.clone(), own.fork());
            scope.spawn(move || work(shared, context, &queue, &done));
        }
        drop(done);
        let feeder = start_feed(runtime, shared.plan, feed, jobs);
        let result = collect(run, shared, (&results, window), sink);
        feeder.abort();
        result
    })
}

fn start_feed<F: Fold>(runtime: &Handle, plan: &FoldPlan<F>, mut feed: Feed, jobs: Sender<Job>) -> JoinHandle<()> {
    let slabs = plan.slabs.clone();
    let planes = plan.columns.clone();
    runtime.spawn(async move {
        for (column, plane) in planes.iter().enumerate().skip(feed.begin.0) {
            let first = if column == feed.begin.0 { feed.begin.1 } else { 0 };
            feed.windows = slabs
                .iter()
                .enumerate()
                .skip(first)
                .map(|(slab, steps)| ((column, slab), std::iter::once(steps.clone()).chain(plane.clone()).collect()))
                .collect();
            if !feed_column(&feed, &jobs).await {
                return;
            }
        }
    })
}

/// Fetches the slabs of a column in order, as permits come free; false when nobody listens any more.
async fn feed_column(feed: &Feed, jobs: &Sender<Job>) -> bool {
    for (place, window) in &feed.windows {
        let Ok(permit) = feed.permits.clone().acquire_owned().await else { return false };
        if feed.current.load(Ordering::Acquire) > place.0 {
            return true;
        }
        let (jobs, exprs, window, place) = (jobs.clone(), feed.exprs.clone(), window.clone(), *place);
        tokio::spawn(async move {
            let fetched = fetch(sources_in(&exprs, &window)).await;
            // The receiver is gone when the run has ended.
            let _ = jobs.send(Job { place, fetched, permit });
        });
    }
    true
}

pub(super) fn sources_in(exprs: &[Arc<Expr>], window: &[std::ops::Range<u64>]) -> Vec<(Arc<Source>, Vec<Vec<u64>>)> {
    wanted(&exprs.iter().map(|expr| (expr, window)).collect::<Vec<_>>())
}

fn work<F: Fold>(
    shared: &Shared<'_, F>,
    mut context: Context<'_>,
    queue: &Mutex<Receiver<Job>>,
    done: &Sender<Mapped<F::Mapped>>,
) {
    loop {
        let job = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some(Job { place, fetched, permit }) = job else { return };
        if shared.current.load(Ordering::Acquire) > place.0 {
            continue;
        }
        let values = fetched.and_then(|fetched| shared.map(place, fetched, &mut context));
        if done.send(Mapped { place, values, permit }).is_err() {
            return;
        }
    }
}

/// How many slabs may be in flight.
struct Window {
    permits: Arc<Semaphore>,
    current: Arc<AtomicUsize>,
    full: usize,
    now: usize,
    workers: usize,
    remote: bool,
}

impl Window {
    /// Gives a permit back, or keeps it out of use while the column is nearly settled.
    fn release(&mut self, permit: OwnedSemaphorePermit, unsettled: f32) {
        let least = if self.remote && unsettled < LAST_CELLS { 1 } else { self.workers };
        if unsettled < NEARLY_SETTLED && self.now > least {
            self.now -= 1;
            permit.forget();
        }
    }

    /// All permits are in use again for the next column.
    fn next_column(&mut self, column: usize) {
        self.current.store(column, Ordering::Release);
        self.permits.add_permits(self.full - self.now);
        self.now = self.full;
    }
}

fn collect<F: Fold, E: From<Error>>(
    run: &mut Run<'_, F>,
    shared: &Shared<'_, F>,
    (results, mut window): (&Receiver<Mapped<F::Mapped>>, Window),
    sink: &mut impl FnMut(Column<'_, F::Output>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let columns = run.plan.columns.len();
    let mut waiting: BTreeMap<Place, Mapped<F::Mapped>> = BTreeMap::new();
    let mut next: Place = run.begin;
    while next.0 < columns {
        run.check_interrupt()?;
        match results.recv_timeout(Duration::from_millis(100)) {
            Ok(result) if result.place.0 < next.0 => {}
            Ok(result) => {
                waiting.insert(result.place, result);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Worker.into()),
        }
        while let Some(Mapped { values, permit, .. }) = waiting.remove(&next) {
            let values = values?;
            let then = run.apply(next.0, next.1, &values)?;
            // Before its permit is free, so that no more memory is taken than there are permits.
            shared.reuse(values);
            match then {
                Next::Slab(unsettled) => {
                    window.release(permit, unsettled);
                    next.1 += 1;
                }
                Next::Column => {
                    drop(permit);
                    run.finish(next.0, sink)?;
                    next = (next.0 + 1, 0);
                    waiting.retain(|place, _| place.0 >= next.0);
                    window.next_column(next.0);
                }
            }
        }
    }
    Ok(())
}
