//! Documents of references in the format of kerchunk: a Zarr store whose chunks are byte ranges of other files.
//!
//! Version 1 with plain templates is read, without `gen`; version 1 is written, as Zarr 2. Format:
//! <https://fsspec.github.io/kerchunk/spec.html>.

mod export;
mod import;

pub use export::{Located, export};
pub use import::looks_like;
pub(crate) use import::{References, open};
