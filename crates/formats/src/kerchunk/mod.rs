//! References in the formats of kerchunk: a Zarr store whose chunks are byte ranges of other files.
//!
//! JSON of version 0 and 1 is read, with templates and `gen`, and tables of references in Parquet; both are written, as
//! Zarr 2. Format: <https://fsspec.github.io/kerchunk/spec.html>.

mod export;
mod import;
mod lazy;
mod parquet;
mod template;
mod thrift;

pub use export::{LeftOut, Located, export, write_parquet};
pub use import::looks_like;
pub(crate) use import::{References, open};
pub(crate) use lazy::{Lazy, Referenced};
