//! How a plan is run.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use outcrop_store::progress::Sink as Progress;

use super::Ledger;
use crate::fold::Checkpoints;

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
    /// The part that has these of so many chunks: neighbours together.
    fn chunks(self, count: u64) -> Range<u64> {
        let of = u128::from(self.of.max(1));
        let edge = |part: u64| u64::try_from(u128::from(count) * u128::from(part) / of).unwrap_or(count);
        edge(self.part)..edge(self.part + 1)
    }

    /// The part of an array of so many chunks of this shape, as windows: whole chunks, the same ones whatever memory and threads there are.
    pub fn windows(self, shape: &[u64], chunk: &[u64]) -> Vec<Vec<Range<u64>>> {
        let counts: Vec<u64> = shape.iter().zip(chunk).map(|(len, chunk)| len.div_ceil((*chunk).max(1))).collect();
        let mine = self.chunks(counts.iter().product());
        let cells = |(range, (chunk, len)): (&Range<u64>, (&u64, &u64))| {
            range.start * (*chunk).max(1)..(range.end * (*chunk).max(1)).min(*len)
        };
        let to_cells = |at: Vec<Range<u64>>| at.iter().zip(chunk.iter().zip(shape)).map(cells).collect();
        boxes(&counts, mine).into_iter().map(to_cells).collect()
    }
}

/// A range of positions of a grid in C order as boxes of it.
fn boxes(counts: &[u64], range: Range<u64>) -> Vec<Vec<Range<u64>>> {
    if range.is_empty() {
        return Vec::new();
    }
    let Some((_, inner)) = counts.split_first() else { return vec![Vec::new()] };
    let row: u64 = inner.iter().product();
    let within = |at: u64, part: Range<u64>| {
        let rest = boxes(inner, part).into_iter();
        rest.map(move |inside| std::iter::once(at..at + 1).chain(inside).collect::<Vec<_>>())
    };
    let (first, last) = (range.start / row, range.end / row);
    if first == last {
        return within(first, range.start % row..range.end % row).collect();
    }
    let mut all = Vec::new();
    let whole = range.start.div_ceil(row)..last;
    if !range.start.is_multiple_of(row) {
        all.extend(within(first, range.start % row..row));
    }
    if !whole.is_empty() {
        all.push(std::iter::once(whole).chain(inner.iter().map(|count| 0..*count)).collect());
    }
    all.extend(within(last, 0..range.end % row));
    all
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
    /// Only some of the chunks of the result, of a sink that writes chunks.
    pub partition: Option<Partition>,
    /// Where tasks are noted that fail because of what they read, while the others go on; without it the first failure ends the run.
    pub ledger: Option<Arc<Ledger>>,
    /// Where a fold keeps its states, to go on after it was killed.
    pub checkpoints: Option<Checkpoints>,
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
    fn parts_cover_all_chunks_once() {
        for (shape, chunk, of) in [
            (vec![10, 7, 5], vec![3, 2, 5], 3),
            (vec![1, 9], vec![1, 2], 4),
            (vec![40], vec![7], 9),
            (vec![3, 0], vec![2, 2], 2),
            (vec![], vec![], 2),
            (vec![9, 9, 9], vec![2, 2, 2], 7),
        ] {
            let cells: u64 = shape.iter().product();
            let mut seen = vec![0; usize::try_from(cells).unwrap()];
            for part in 0..of {
                for window in (Partition { part, of }).windows(&shape, &chunk) {
                    for (range, (chunk, len)) in window.iter().zip(chunk.iter().zip(&shape)) {
                        assert!(range.start % chunk == 0 && (range.end % chunk == 0 || range.end == *len));
                    }
                    let along: Vec<Vec<u64>> = window.iter().cloned().map(Iterator::collect).collect();
                    for at in crate::expr::products(&along) {
                        let at = at.into_iter().zip(&shape).fold(0, |sum, (i, len)| sum * len + i);
                        seen[usize::try_from(at).unwrap()] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{shape:?} {chunk:?} {of}: {seen:?}");
        }
    }
}
