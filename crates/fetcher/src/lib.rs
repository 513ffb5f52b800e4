//! Copies of selected assets: concurrent, verified, with rewritten hrefs.
//!
//! [`fetch`] takes a stream of items and writes copies of some of their assets with a catalog that knows them. Which
//! items, is for others to say. Not here: search (crate catalog), retries and ranges (crate store).

mod destination;
mod error;
mod fetch;
mod journal;
mod rewrite;

pub use error::{Error, Result};
pub use fetch::{Failure, FetchOptions, FetchReport, Target, fetch};
pub use rewrite::{href_of_copy, name_of_copy};
