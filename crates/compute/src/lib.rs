//! Lazy labelled chunked arrays, the plans that compute them, and the executors that run the plans.
//!
//! Opening reads headers and coordinates only. Operations build an expression; a [`fold::FoldPlan`] or
//! [`DataArray::compute`] cuts it into blocks that follow the chunks of the files, and states its memory before it runs.

mod array;
mod block;
mod cast;
mod coarsen;
mod coord;
mod dtype;
mod error;
mod eval;
mod expr;
pub mod fold;
pub mod kernel;
mod memory;
mod open;
mod ops;
pub mod plan;
mod reduce;
pub mod signal;
mod source;
mod strided;

pub use array::{Coarsen, DataArray, Dataset, GroupBy, Join, Rolled};
pub use block::{Block, Element};
pub use coarsen::coarsen_mean;
pub use coord::{Coord, since_1970};
pub use dtype::DType;
pub use error::{Error, Result};
pub use expr::build::Scalar;
pub use fold::{Checkpoints, Fold, FoldBytes, FoldPlan, Step};
pub use kernel::{Kernel, MapBlocks, Reach};
pub use memory::{available, default_allowance, human, parse_bytes, peak};
pub use open::{
    Asset, DatePattern, Item, ItemOptions, Labels, OpenOptions, concat_files, day_of_name, grid_difference, open,
    open_dataset,
};
pub use ops::{BinaryOp, UnaryOp};
pub use plan::{EarlyEnd, Executor, MemorySink, Plan, RunOptions, Sink};
pub use reduce::{Missing, ReduceOptions, Reduction};
pub use source::Source;
