//! Where the values of a plan go.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::expr::{Expr, lengths};
use crate::strided::{Layout, copy_block};
use crate::{Block, DType, Result};

/// Takes windows of an array, from several threads, in any order, each once.
pub trait Sink: Sync {
    /// Shape of the pieces that are written at once: windows begin at multiples of it. `None` takes any.
    fn unit(&self) -> Option<Vec<u64>>;
    /// Bytes that writing takes beside a window of so many bytes.
    fn work_bytes(&self, window: u64) -> u64;
    /// Bytes that it holds for the whole of an array.
    fn held(&self, bytes: u64) -> u64;
    /// True if the window was written by an earlier run, and is not wanted again.
    fn has(&self, window: &[Range<u64>]) -> bool;
    /// Takes a window: its values in C order.
    ///
    /// # Errors
    /// [`crate::Error::Write`].
    fn write(&self, window: &[Range<u64>], values: Block) -> Result<()>;
}

impl dyn Sink + '_ {
    pub(super) fn held_bytes(&self, expr: &Arc<Expr>) -> u64 {
        self.held(super::cells_of(&expr.shape).saturating_mul(expr.dtype.size() as u64))
    }
}

/// The whole array in memory.
#[derive(Debug)]
pub struct MemorySink {
    shape: Vec<usize>,
    values: Mutex<Block>,
}

impl MemorySink {
    /// For an array of this type and shape.
    pub fn new(dtype: DType, shape: &[u64]) -> Self {
        let shape = crate::eval::lengths_of(shape);
        let values = Mutex::new(Block::zeros(dtype, shape.iter().product()));
        Self { shape, values }
    }

    /// The values, in C order.
    pub fn into_block(self) -> Block {
        self.values.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemorySink {
    fn unit(&self) -> Option<Vec<u64>> {
        None
    }

    fn work_bytes(&self, _: u64) -> u64 {
        0
    }

    fn held(&self, bytes: u64) -> u64 {
        bytes
    }

    fn has(&self, _: &[Range<u64>]) -> bool {
        false
    }

    fn write(&self, window: &[Range<u64>], values: Block) -> Result<()> {
        let part = lengths(window);
        let mut all = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if part == self.shape && values.dtype() == all.dtype() {
            *all = values;
            return Ok(());
        }
        let to = Layout::of(&self.shape).at(window.iter().map(|range| crate::expr::size(range.start)));
        copy_block(&values, &Layout::of(&part), &mut all, &to, &part);
        Ok(())
    }
}
