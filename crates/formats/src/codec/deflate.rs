//! HDF5 filter 1 and Zarr's `zlib` and `gzip`: streams of RFC 1950 and 1952, decoded by libdeflate.

use libdeflater::{DecompressionError, Decompressor};

use crate::{Error, Result};

/// Decodes a zlib stream into the start of `out`; the answer is how many bytes came out.
pub(crate) fn decode(decompressor: &mut Decompressor, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let fail = |why: String| Error::Codec { codec: "deflate", why };
    let got = decompressor.zlib_decompress(bytes, out).map_err(|e| match e {
        DecompressionError::BadData => fail(format!("the {} bytes are damaged or cut", bytes.len())),
        DecompressionError::InsufficientSpace => fail(format!("more than {} bytes come out", out.len())),
    })?;
    // libdeflate does not say where the stream ends; the checksum of the output must be the last four bytes.
    let sum = libdeflater::adler32(&out[..got]).to_be_bytes();
    if !bytes.ends_with(&sum) {
        return Err(fail(format!("{} bytes were given, but the stream ends before", bytes.len())));
    }
    Ok(got)
}

/// Decodes a gzip member into the start of `out`; the answer is how many bytes came out.
pub(crate) fn gunzip(decompressor: &mut Decompressor, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let fail = |why: String| Error::Codec { codec: "gzip", why };
    decompressor.gzip_decompress(bytes, out).map_err(|e| match e {
        DecompressionError::BadData => fail(format!("the {} bytes are damaged or cut", bytes.len())),
        DecompressionError::InsufficientSpace => fail(format!("more than {} bytes come out", out.len())),
    })
}
