//! Domain formulas, each a function from datasets to datasets.

mod error;
pub mod spring_index;

pub use error::{Error, Result};
