//! GeoTIFF and BigTIFF, cloud-optimised or not.
//!
//! Directories are walked with a set of those seen; values are ranges of the file until they are wanted, so that the
//! arrays of tile offsets are read only when an image is. Formats: TIFF 6.0, BigTIFF, OGC GeoTIFF 1.1
//! (<https://docs.ogc.org/is/19-008r4/19-008r4.html>), GDAL's metadata and COG layout
//! (<https://gdal.org/en/stable/drivers/raster/cog.html>).

mod chunk;
mod codec;
mod directory;
mod geo;
mod image;
mod index;
mod lower;
mod metadata;
mod nodata;
mod open;
mod write;

pub(crate) use chunk::ChunkDecoder;
pub use codec::{LercPacking, TiffCodec};
pub(crate) use index::{IndexWalk, TileIndex};
#[cfg(feature = "gdal")]
pub(crate) use metadata::{Item, band_attrs};
pub(crate) use nodata::element;
#[cfg(feature = "gdal")]
pub(crate) use nodata::fill as nodata_value;
pub(crate) use open::{OpenWalk, is_tiff};
pub use write::{GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, Resampling, TiffCompression};
