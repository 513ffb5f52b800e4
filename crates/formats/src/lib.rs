//! Readers and writers of array files, all lowered to chunk references.
//!
//! [`Open`] reads the header of a NetCDF classic, NetCDF-4, HDF5, TIFF or miniSEED file, [`Locate`] the chunk index of a
//! variable, [`Decoder`] the bytes of a chunk. None of them does I/O: [`outcrop_store::Store::drive`] brings the bytes. [`Opened`] joins
//! them, for files, Zarr stores and documents of references alike.

mod array;
mod attr;
pub mod cf;
mod codec;
pub mod convert;
mod das;
mod decode;
mod dtype;
mod error;
mod gdal;
mod hdf5;
mod json;
pub mod kerchunk;
mod layout;
mod locate;
pub mod miniseed;
pub mod netcdf3;
pub mod netcdf4;
mod open;
mod opened;
mod part_file;
pub mod place;
mod raster;
mod raw;
mod read;
mod refs;
mod saved;
pub mod support;
mod texts;
mod tiff;
mod utc;
pub mod zarr;

pub use array::{AttrValue, Attrs, ByteOrder, ChunkGrid, ChunkRef, Codec, Compression, DType, Dim};
pub use array::{
    FileMeta, Format, HeapPlace, IntType, LzmaFormat, NumberFilter, Packing, Padding, Sum, SumPlace, Variable,
};
pub use decode::Decoder;
pub use error::{Error, Result};
pub use gdal::check_references;
pub use locate::Locate;
pub use open::{HEAD, Open};
pub use opened::{Opened, Origin};
pub use raw::RawSpec;
pub use read::{fill_window, read_variable};
pub use refs::ChunkRefs;
pub use saved::{Fresh, REFERENCES, save};
pub use tiff::{GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, LercPacking, Resampling, TiffCodec, TiffCompression};
