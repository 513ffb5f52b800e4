//! Statistics of windows that lie side by side (xarray's `coarsen(boundary="trim")`), of any dimensions.

use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes, lengths, only, real};
use crate::reduce::accumulate::{LanesOrNot, Slab, State, state_bytes};
use crate::reduce::{Reduce, ReduceOptions, Reduction};
use crate::strided::{Layout, copy_block};
use crate::{Block, DType};

/// A statistic of windows: any reduction.
#[derive(Debug, Clone)]
pub struct CoarsenBy {
    /// Which.
    pub kind: Reduction,
    /// What NaN does, and so on.
    pub options: ReduceOptions,
    /// Length of a window along each dimension.
    pub windows: Vec<u64>,
}

impl CoarsenBy {
    fn reduce(&self) -> Reduce {
        Reduce { kind: self.kind, axes: vec![0], options: self.options, groups: None }
    }
}

impl Kernel for CoarsenBy {
    fn spec(&self) -> Value {
        json!({"kernel": "coarsen", "kind": self.kind, "windows": self.windows, "options": self.options})
    }

    fn reach(&self) -> Vec<Reach> {
        self.windows.iter().map(|window| Reach::Window(*window)).collect()
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        let dtype = real(inputs)?;
        self.reduce().types(dtype).map(|(_, result)| result)
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        // A state and a value for each window; sums and moments are not yet the result.
        let each = sizes.input / sizes.cells.max(1);
        let dtype = if each < 8 { DType::Float32 } else { DType::Float64 };
        let state = state_bytes(&self.reduce(), dtype, LanesOrNot::Not);
        let (truths, finished) = match self.kind {
            Reduction::Sum | Reduction::Prod | Reduction::Mean | Reduction::Var | Reduction::Std => (0, sizes.result),
            Reduction::Any | Reduction::All => (sizes.cells, 0),
            _ => (0, 0),
        };
        truths + finished + (state + each.max(1)) * sizes.cells / self.windows.iter().product::<u64>().max(1)
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = only(inputs)?;
        let reduce = self.reduce();
        let block = {
            let (taken, _) = reduce.types(block.dtype())?;
            block.into_dtype(taken)
        };
        let (given, wanted) = (lengths(place.window), lengths(place.out));
        let cells: usize = wanted.iter().product();
        let own = Layout::of(&given);
        let step = |(stride, window): (&isize, &u64)| stride * isize::try_from(*window).unwrap_or(isize::MAX);
        let strides: Vec<isize> = own.strides.iter().zip(&self.windows).map(step).collect();
        let mut state = State::new(&reduce, block.dtype(), cells, LanesOrNot::Not);
        // One member of all windows after the other, in the order in which they lie in a window.
        let members: Vec<usize> = self.windows.iter().map(|window| crate::expr::size(*window)).collect();
        let count: usize = members.iter().product();
        let mut row = Block::zeros(block.dtype(), cells);
        for member in 0..count {
            let (mut rest, mut offset) = (member, 0);
            for d in (0..members.len()).rev() {
                offset += own.strides[d] * crate::strided::signed(rest % members[d]);
                rest /= members[d];
            }
            let from = Layout { offset, strides: strides.clone() };
            copy_block(&block, &from, &mut row, &Layout::of(&wanted), &wanted);
            state.add(&row, Slab { pre: 1, n: 1, post: cells, first: member as u64 }, None);
        }
        state.finish(&reduce)
    }
}
