//! NetCDF classic, read and written: CDF-1, CDF-2 (64-bit offset) and CDF-5 (64-bit data).
//!
//! There is no index and no compression: where a value is follows from the header. Format:
//! <https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html>.

mod encode;
mod header;
mod write;

pub(crate) use header::{Header, default_fill};
pub use write::{VariableSpec, Version, Writer};
