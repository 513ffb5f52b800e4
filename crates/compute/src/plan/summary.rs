//! A plan as data, before it runs.

use serde::Serialize;

use super::{Plan, stored_bytes};
use crate::expr::{Expr, Node};

/// What a plan would do.
#[derive(Debug, Clone, Serialize)]
pub struct PlanSummary {
    /// Passes, in order; the last writes the result.
    pub stages: Vec<PlanStage>,
    /// Number of tasks.
    pub tasks: u64,
    /// Bytes of chunks as they are stored.
    pub read_bytes: u64,
    /// Chunks that are read: requests, where none are joined.
    pub chunks: u64,
    /// Upper bound of the memory for arrays.
    pub memory_bytes: u64,
    /// Disk for what is stored between stages.
    pub scratch_bytes: u64,
    /// What would make it faster.
    pub advice: Vec<String>,
}

/// One pass.
#[derive(Debug, Clone, Serialize)]
pub struct PlanStage {
    /// Shape of what it computes.
    pub shape: Vec<u64>,
    /// Type of its values.
    pub dtype: &'static str,
    /// Shape of the largest window of a task.
    pub window: Vec<u64>,
    /// Number of tasks.
    pub tasks: u64,
    /// Tasks at once.
    pub workers: usize,
    /// Threads of a task.
    pub threads: usize,
    /// Upper bound of the memory of its tasks.
    pub memory_bytes: u64,
}

impl Plan {
    /// The plan as data.
    pub fn summary(&self) -> PlanSummary {
        let stages: Vec<PlanStage> = self.stages.iter().map(super::Stage::summary).collect();
        let (mut read_bytes, mut chunks, mut advice) = (0u64, 0u64, Vec::new());
        for stage in &self.stages {
            let mut own = Reads::default();
            own.of(stage);
            read_bytes += own.bytes;
            chunks += own.chunks;
            if own.chunks > 2 * own.distinct.max(1) {
                let times = own.chunks as f64 / own.distinct.max(1) as f64;
                advice.push(format!(
                    "each chunk is decoded {times:.1} times, because a task holds only a part of it; more memory or other chunks help"
                ));
            }
        }
        PlanSummary {
            tasks: self.tasks(),
            read_bytes,
            chunks,
            memory_bytes: self.memory_bytes(),
            scratch_bytes: self.scratch,
            stages,
            advice,
        }
    }
}

impl super::Stage {
    fn summary(&self) -> PlanStage {
        let longest = |pieces: &Vec<std::ops::Range<u64>>| pieces.iter().map(|p| p.end - p.start).max().unwrap_or(0);
        PlanStage {
            shape: self.expr.shape.clone(),
            dtype: self.expr.dtype.name(),
            window: self.tiling.pieces.iter().map(longest).collect(),
            tasks: self.tiling.count(),
            workers: self.workers,
            threads: self.threads,
            memory_bytes: self.memory,
        }
    }
}

/// What a stage reads.
#[derive(Debug, Default)]
struct Reads {
    bytes: u64,
    chunks: u64,
    /// Chunks there are in the windows of sources that are read.
    distinct: u64,
}

/// Tasks whose reads are counted; of more, the first ones stand for all.
const COUNTED: u64 = 4096;

impl Reads {
    fn of(&mut self, stage: &super::Stage) {
        let count = stage.tiling.count();
        let counted = count.min(COUNTED);
        for task in 0..counted {
            self.window(&stage.expr, &stage.tiling.window(task));
        }
        if counted > 0 && counted < count {
            self.bytes = scaled(self.bytes, count, counted);
            self.chunks = scaled(self.chunks, count, counted);
        }
        for source in stage.expr.sources() {
            self.distinct += source.refs.grid.counts().iter().product::<u64>();
        }
    }

    fn window(&mut self, expr: &Expr, window: &[std::ops::Range<u64>]) {
        self.bytes += stored_bytes(expr, window);
        expr.visit(window, &mut |source, window| {
            let chunk = &source.refs.grid.chunk;
            let along = window.iter().zip(chunk).map(|(range, chunk)| {
                if range.is_empty() { 0 } else { (range.end - 1) / chunk.max(&1) - range.start / chunk.max(&1) + 1 }
            });
            self.chunks += along.product::<u64>();
        });
        self.later(expr, window);
    }

    /// What is read while a window is computed, slab by slab.
    fn later(&mut self, expr: &Expr, window: &[std::ops::Range<u64>]) {
        match &expr.node {
            Node::Reduce(input, reduce) => self.window(input, &reduce.needed(&input.shape, window)),
            Node::Dot([left, right]) => {
                let [rows, columns] = window else { return };
                self.window(left, &[rows.clone(), 0..left.shape[1]]);
                self.window(right, &[0..right.shape[0], columns.clone()]);
            }
            Node::Stored(_) | Node::Source(_) | Node::Values(_) | Node::Full(_) => {}
            Node::Cast(input) | Node::Unary(_, input) | Node::Chunked(input, _) => self.later(input, window),
            Node::Binary(_, inputs) => {
                for input in inputs {
                    self.later(input, window);
                }
            }
            Node::Where(inputs) => {
                for input in inputs {
                    self.later(input, window);
                }
            }
            Node::Select(input, picks) => {
                for spans in crate::expr::products(&crate::expr::spans_of(picks, window)) {
                    let from: Vec<_> = spans.iter().map(|span| span.from.clone()).collect();
                    self.later(input, &from);
                }
            }
            Node::Transpose(input, order) => self.later(input, &crate::expr::turned_back(window, order)),
            Node::Broadcast(input, dims) => self.later(input, &crate::expr::narrowed(window, dims)),
            Node::Concat(inputs, axis) => {
                for (input, from, _) in crate::expr::parts(inputs, *axis, window) {
                    self.later(input, &from);
                }
            }
            Node::Coarsen(input, windows) => self.later(input, &crate::expr::scaled(window, windows)),
            Node::Kernel(inputs, kernel) => {
                let from = crate::expr::needed(kernel.as_ref(), &inputs[0].shape, window);
                for input in inputs {
                    self.later(input, &from);
                }
            }
        }
    }
}

fn scaled(value: u64, by: u64, of: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(by) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}
