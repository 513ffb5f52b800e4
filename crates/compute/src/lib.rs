//! Lazy labelled chunked arrays, the plans that compute them, and the executors that run the plans.
//!
//! Opening reads headers and coordinates only. Operations build an expression; a [`fold::FoldPlan`] or
//! [`DataArray::compute`] cuts it into blocks that follow the chunks of the files, and states its memory before it runs.

mod align;
mod block;
mod coarsen;
mod dataset;
mod error;
mod eval;
mod expr;
pub mod fold;
mod memory;
mod open;
pub mod signal;
mod source;

pub use block::Block;
pub use coarsen::coarsen_mean;
pub use dataset::{Coord, DataArray, Dataset};
pub use error::{Error, Result};
pub use expr::{BinaryOp, ScalarOp};
pub use fold::{Fold, FoldBytes, FoldPlan, RunOptions, Step};
pub use memory::{available, default_allowance, human, parse_bytes, peak};
pub use open::{OpenOptions, open_dataset};
pub use source::Source;
