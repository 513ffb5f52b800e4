//! Folds: one pass along the first axis, column by column, with the state of one column in memory.
//!
//! A *column* is a spatial block through the whole axis; a *slab* is a run of steps that follows the chunks of the
//! files. Slabs are fetched and decoded ahead in parallel and applied in order, so the result does not depend on the
//! number of threads. Each source chunk is fetched and decoded once; a column may end early.

mod bound;
mod checkpoint;
mod local;
mod run;
mod threads;

use std::ops::Range;
use std::sync::OnceLock;

use crate::expr::cuts::Cuts;
pub use crate::plan::{EarlyEnd, Executor, RunOptions};
use crate::{Block, DataArray, Error, Result};

use bound::SlabBytes;

pub use bound::Bound;
pub use checkpoint::{Checkpoints, Moment};
pub use run::{Column, RunReport};

/// Values of a slab up to which small chunks are joined, so that they do not make a task each.
const SLAB_VALUES: u64 = 1 << 16;

/// What a fold keeps, in bytes per cell: part of the promised memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldBytes {
    /// State of a column.
    pub state: u64,
    /// Mapped values of one step.
    pub mapped: u64,
    /// Output of a column.
    pub output: u64,
}

/// What a fold says after a slab.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It needs more steps; this share of the cells (0 to 1) is not settled.
    Continue(f32),
    /// Later steps cannot change anything.
    Done,
    /// Later steps cannot change anything unless one of these cells, which had no data so far, gets some.
    DoneUnless(Vec<u32>),
}

/// A computation along the first axis of arrays that lie on the same cells.
pub trait Fold: Send + Sync {
    /// What [`Fold::map`] makes of a slab.
    type Mapped: Send;
    /// What is carried from slab to slab.
    type State: Send;
    /// What a column becomes.
    type Output: Send;

    /// Memory per cell.
    fn bytes(&self) -> FoldBytes;
    /// Values of a slab up to which small chunks are joined: more of them are fewer tasks, and more memory.
    fn slab_values(&self) -> u64 {
        SLAB_VALUES
    }
    /// Turns the inputs of a slab (`steps * cells` values each) into what is applied; pure, runs in parallel.
    fn map(&self, inputs: Vec<Block>, cells: usize) -> Self::Mapped;
    /// State before the first step.
    fn start(&self, cells: usize) -> Self::State;
    /// Applies a slab that begins at step `first`; called in order.
    fn apply(&self, state: &mut Self::State, mapped: &Self::Mapped, first: u64) -> Step;
    /// A block in what was applied whose memory the values of a later slab may take.
    fn reuse(&self, _: Self::Mapped) -> Option<Block> {
        None
    }
    /// The result of a column.
    fn finish(&self, state: Self::State) -> Self::Output;
    /// All that decides a state besides the inputs; `None` if states are not kept on disk.
    fn key(&self) -> Option<String> {
        None
    }
    /// A state as bytes: of a column that is finished, only what [`Fold::finish`] needs.
    fn save(&self, _: &Self::State, _: Moment) -> Vec<u8> {
        Vec::new()
    }
    /// The state that was saved; `None` if the bytes are of something else.
    fn restore(&self, _: &[u8], _cells: usize) -> Option<Self::State> {
        None
    }
}

/// A fold over some arrays, cut into columns and slabs.
#[derive(Debug)]
pub struct FoldPlan<F> {
    pub(crate) inputs: Vec<DataArray>,
    pub(crate) fold: F,
    pub(crate) steps: u64,
    pub(crate) plane: Vec<u64>,
    /// Columns as windows of the plane.
    pub(crate) columns: Vec<Vec<Range<u64>>>,
    /// Slabs of the axis, in order.
    pub(crate) slabs: Vec<Range<u64>>,
    /// Computed when it is first asked for: it looks at each chunk.
    bytes: OnceLock<SlabBytes>,
}

impl<F: Fold> FoldPlan<F> {
    /// Plans a fold over arrays that lie on the same cells.
    ///
    /// # Errors
    /// [`Error::Misaligned`] if they do not; [`Error::Unsupported`] without arrays or for arrays of one dimension.
    pub fn new(inputs: Vec<DataArray>, fold: F) -> Result<Self> {
        let refuse =
            |array: &str, why: &str| Error::Unsupported { action: "fold", array: array.into(), why: why.into() };
        let Some(first) = inputs.first() else { return Err(refuse("nothing", "there is no input")) };
        for other in &inputs[1..] {
            first.check_aligned(other)?;
        }
        let shape = first.shape();
        if shape.len() < 2 {
            return Err(refuse(&first.name, "it has fewer than two dimensions"));
        }
        let cuts = common_cuts(&inputs, &shape);
        let slabs = cuts[0].pieces(shape[0], 1);
        let longest = slabs.iter().map(|slab| slab.end - slab.start).max().unwrap_or(1);
        let columns = columns(&cuts[1..], &shape[1..], fold.slab_values().div_ceil(longest.max(1)));
        let (steps, plane) = (shape[0], shape[1..].to_vec());
        Ok(Self { fold, steps, plane, columns, slabs, inputs, bytes: OnceLock::new() })
    }

    /// The arrays.
    pub fn inputs(&self) -> &[DataArray] {
        &self.inputs
    }

    /// The fold itself.
    pub fn fold(&self) -> &F {
        &self.fold
    }

    /// The columns, as windows of the plane.
    pub fn columns(&self) -> &[Vec<Range<u64>>] {
        &self.columns
    }

    /// The slabs of the axis.
    pub fn slabs(&self) -> &[Range<u64>] {
        &self.slabs
    }

    /// Shape of the plane.
    pub fn plane(&self) -> &[u64] {
        &self.plane
    }

    /// Number of steps along the axis.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// True if a file is not on this machine.
    pub(crate) fn is_remote(&self) -> bool {
        self.inputs.iter().any(|input| input.sources().iter().any(|source| !source.href().is_local()))
    }

    /// The window of the arrays that a slab of a column covers.
    pub(crate) fn window(&self, column: usize, slab: usize) -> Vec<Range<u64>> {
        let plane = self.columns[column].iter().cloned();
        std::iter::once(self.slabs[slab].clone()).chain(plane).collect()
    }

    pub(crate) fn cells(&self, column: usize) -> usize {
        let cells: u64 = self.columns[column].iter().map(|r| r.end - r.start).product();
        usize::try_from(cells).unwrap_or(usize::MAX)
    }
}

fn common_cuts(inputs: &[DataArray], shape: &[u64]) -> Vec<Cuts> {
    let mut all: Option<Vec<Cuts>> = None;
    for input in inputs {
        let cuts = input.expr.cuts();
        all = Some(match all {
            None => cuts,
            Some(have) => have.iter().zip(&cuts).zip(shape).map(|((a, b), len)| a.and(b, *len)).collect(),
        });
    }
    all.unwrap_or_default()
}

/// Blocks of the plane: whole chunks, joined along the inner dimensions until they have so many cells.
fn columns(cuts: &[Cuts], shape: &[u64], enough: u64) -> Vec<Vec<Range<u64>>> {
    let mut join = vec![1u64; shape.len()];
    let length = |d: usize, join: u64| cuts[d].longest(shape[d]).saturating_mul(join).min(shape[d]);
    for d in (0..shape.len()).rev() {
        loop {
            let cells: u64 = (0..shape.len()).map(|i| length(i, join[i])).product();
            if cells >= enough || length(d, join[d]) >= shape[d] {
                break;
            }
            join[d] += 1;
        }
    }
    let mut blocks: Vec<Vec<Range<u64>>> = vec![Vec::new()];
    for d in 0..shape.len() {
        let pieces = cuts[d].pieces(shape[d], join[d]);
        blocks = blocks
            .into_iter()
            .flat_map(|block| {
                pieces.iter().map(move |p| block.iter().cloned().chain([p.clone()]).collect()).collect::<Vec<_>>()
            })
            .collect();
    }
    blocks
}
