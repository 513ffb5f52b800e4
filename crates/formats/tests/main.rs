//! Tests of the formats: contract, golden values, what foreign programs wrote; one program, since each costs its linking.

mod common;

mod cf;
mod contract;
mod das;
mod filters;
mod fixtures;
mod geotiff;
mod geotiff_write;
mod masks;
mod miniseed;
mod miniseed_write;
mod netcdf3_write;
mod netcdf4;
mod real;
mod references;
mod saved;
mod support;
mod types;
mod zarr;
mod zarr_filters;
mod zarr_marker;
mod zarr_read;
mod zarr_texts;
mod zarr_write;
