//! Domain formulas, each a function from datasets to datasets.

pub mod das;
pub mod draw;
mod error;
pub mod heat_index;
pub mod items;
pub mod plot;
pub mod program;
pub mod register;
pub mod report;
pub mod spring_index;

pub use error::{Error, Result};
