//! Copies of selected assets: concurrent, verified, with rewritten hrefs.
//!
//! [`fetch`] takes a stream of items and writes copies of some of their assets with a catalog that knows them. Which
//! items, is for others to say. Not here: search (crate catalog), retries and ranges (crate store).

mod again;
mod book;
mod check;
mod commit;
mod cut;
mod destination;
mod error;
mod fetch;
mod item;
mod journal;
mod lease;
mod ledger;
mod place;
mod remote;
mod rewrite;
mod selection;
mod single;
mod site;
mod survey;
mod transfer;
mod verify;
mod wants;

pub use again::Wanted;
pub use check::{Checked, check};
pub use cut::{Cut, Describe};
pub use error::{Error, Result};
pub use fetch::{Failure, FetchOptions, FetchReport, Target, Told, fetch};
pub use ledger::{LEDGER, Line, State};
pub use place::{OnConflict, name_of_copy};
pub use rewrite::href_of_copy;
pub use selection::{Filter, Selection};
pub use single::{CopiedObject, CopyOptions, copy};
pub use survey::room;
pub use verify::{Algorithm, Checksum, Verified};
