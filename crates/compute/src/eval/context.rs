//! What a thread has at hand while it evaluates: chunks that were fetched, decoders, threads that it may use.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use outcrop_store::Store;
use tokio::task::JoinHandle;

use crate::coarsen::Means;
use crate::expr::Expr;
use crate::source::{Fetched, Scratch, Source, fetch, wanted as wanted_of};
use crate::strided::Layout;
use crate::{Block, Error, Result};

/// Slabs of remote files that are fetched ahead of the one at hand.
const REMOTE_AHEAD: usize = 8;

/// A thread's own.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    store: Option<Store>,
    pub(crate) fetched: Fetched,
    scratch: Scratch,
    /// Threads that may work on what is at hand.
    pub(crate) threads: usize,
    /// Slabs that are fetched ahead of the one at hand.
    pub(crate) ahead: usize,
    interrupt: &'a AtomicBool,
}

/// Chunks that are on their way.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Nothing is to be fetched.
    Nothing,
    Coming(JoinHandle<Result<Fetched>>),
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Self::Coming(handle) = self {
            handle.abort();
        }
    }
}

/// In which order results are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they come.
    Any,
    /// In the order of their numbers.
    InOrder,
}

impl<'a> Context<'a> {
    pub(crate) fn new(exprs: &[Arc<Expr>], threads: usize, interrupt: &'a AtomicBool) -> Self {
        let sources: Vec<Arc<Source>> = exprs.iter().flat_map(Expr::sources).collect();
        let ahead = if sources.iter().any(|source| !source.href().is_local()) { REMOTE_AHEAD } else { 1 };
        let store = sources.first().map(|source| source.origin.store().clone());
        Self { store, fetched: Fetched::default(), scratch: Scratch::default(), threads, ahead, interrupt }
    }

    /// For another thread.
    pub(crate) fn fork(&self) -> Self {
        Self {
            store: self.store.clone(),
            fetched: Fetched::default(),
            scratch: Scratch::default(),
            threads: 1,
            ahead: self.ahead,
            interrupt: self.interrupt,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.interrupt.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    pub(crate) fn decode(&mut self, source: &Source, window: &[Range<u64>]) -> Result<Vec<u8>> {
        source.decode(window, &self.fetched, &mut self.scratch)
    }

    /// As [`Source::copy_plain`].
    pub(crate) fn copy_plain(
        &self,
        source: &Source,
        window: &[Range<u64>],
        out: &mut Block,
        to: &Layout,
    ) -> Result<bool> {
        source.copy_plain(window, &self.fetched, out, to)
    }

    pub(crate) fn decode_values(&mut self, source: &Source, window: &[Range<u64>]) -> Result<Block> {
        source.decode_values(window, &self.fetched, &mut self.scratch)
    }

    /// Coarsens a source while it is decoded: its values are never in memory together.
    pub(crate) fn coarsen_rows(
        &mut self,
        source: &Source,
        fine: &[Range<u64>],
        plane: (usize, usize),
        window: (usize, usize),
    ) -> Result<Block> {
        let mut means = Means::new(plane, window);
        source.decode_rows(fine, (&self.fetched, &mut self.scratch), plane.1, &mut |row| means.push(row))?;
        Ok(Block::Float32(means.out))
    }

    /// Starts to fetch the chunks that windows of some arrays need, each chunk once.
    pub(crate) fn start(&self, wanted: &[(&Arc<Expr>, &[Range<u64>])]) -> Pending {
        let sources = wanted_of(wanted);
        let Some(store) = self.store.as_ref().filter(|_| !sources.is_empty()) else { return Pending::Nothing };
        Pending::Coming(store.runtime().spawn(fetch(sources)))
    }

    pub(crate) fn wait(&self, mut pending: Pending) -> Result<Fetched> {
        let (Pending::Coming(handle), Some(store)) = (&mut pending, &self.store) else { return Ok(Fetched::default()) };
        store.wait(handle).unwrap_or(Err(Error::Worker))
    }

    /// Memory that the next values of a source may take; of other size or type it is given back.
    pub(crate) fn reuse(&mut self, spare: Option<Block>) {
        self.scratch.spare = spare;
    }

    /// Does some work with the chunks that it needs, and puts back what was there before.
    pub(crate) fn with<T>(&mut self, fetched: Fetched, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::replace(&mut self.fetched, fetched);
        let done = work(self);
        self.fetched = outer;
        done
    }

    /// Makes `count` results, on as many threads as there are for it, and hands them on, or why one could not be made. Their chunks are fetched ahead: `start` begins
    /// that. At most [`Context::in_flight`] results are begun and not handed on.
    pub(crate) fn each<T: Send, E: From<Error>>(
        &mut self,
        (count, order): (usize, Order),
        start: impl Fn(&Self, usize) -> Pending,
        make: impl Fn(&mut Self, usize) -> Result<T> + Sync,
        mut take: impl FnMut(usize, Result<T>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if self.threads.min(count) > 1 {
            return self.each_in_threads((count, order), start, make, take);
        }
        let mut coming: VecDeque<Pending> = VecDeque::new();
        let mut next = 0;
        for at in 0..count {
            self.check()?;
            while next < count && coming.len() <= self.ahead {
                coming.push_back(start(self, next));
                next += 1;
            }
            let pending = coming.pop_front().unwrap_or(Pending::Nothing);
            let made = match self.wait(pending) {
                Ok(fetched) => self.with(fetched, |own| make(own, at)),
                Err(error) => Err(error),
            };
            take(at, made)?;
        }
        Ok(())
    }

    /// Results that are begun at once where there are so many threads.
    pub(crate) fn in_flight(&self) -> usize {
        in_flight(self.threads, self.ahead)
    }

    fn each_in_threads<T: Send, E: From<Error>>(
        &mut self,
        (count, order): (usize, Order),
        start: impl Fn(&Self, usize) -> Pending,
        make: impl Fn(&mut Self, usize) -> Result<T> + Sync,
        mut take: impl FnMut(usize, Result<T>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (make, most) = (&make, self.in_flight().min(count));
        std::thread::scope(|scope| {
            let (jobs, queue) = channel::<(usize, Pending)>();
            let (done, results) = channel();
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..self.threads.min(count) {
                let (mut own, queue, done) = (self.fork(), queue.clone(), done.clone());
                scope.spawn(move || work(&mut own, &queue, &done, make));
            }
            drop(done);
            let mut begun = 0;
            let mut begin = |own: &Self, upto: usize| {
                while begun < upto.min(count) {
                    // Nobody listens only after a failure, which is on its way.
                    let _ = jobs.send((begun, start(own, begun)));
                    begun += 1;
                }
            };
            begin(self, most);
            let mut waiting: BTreeMap<usize, Result<T>> = BTreeMap::new();
            for taken in 0..count {
                let made = loop {
                    let first = waiting.first_key_value().map(|(at, _)| *at);
                    if let Some(at) = first.filter(|at| order == Order::Any || *at == taken)
                        && let Some(made) = waiting.remove(&at)
                    {
                        break (at, made);
                    }
                    let (at, made) = results.recv().map_err(|_| Error::Worker)?;
                    waiting.insert(at, made);
                };
                self.check()?;
                take(made.0, made.1)?;
                begin(self, taken + 1 + most);
            }
            Ok(())
        })
    }
}

/// Results that are begun at once: enough to keep all threads at work while one is taken, and what is fetched ahead.
pub(crate) fn in_flight(threads: usize, ahead: usize) -> usize {
    if threads > 1 { threads + ahead } else { 1 + ahead }
}

fn work<'a, T>(
    own: &mut Context<'a>,
    queue: &Mutex<Receiver<(usize, Pending)>>,
    done: &Sender<(usize, Result<T>)>,
    make: &(impl Fn(&mut Context<'a>, usize) -> Result<T> + Sync),
) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((at, pending)) = job else { return };
        // One that ends without a result would be waited for for ever.
        let made = catch_unwind(AssertUnwindSafe(|| {
            own.check()?;
            let fetched = own.wait(pending)?;
            own.with(fetched, |own| make(own, at))
        }))
        .unwrap_or(Err(Error::Worker));
        if done.send((at, made)).is_err() {
            return;
        }
    }
}
