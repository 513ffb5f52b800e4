//! HDF5 filter 1: a zlib stream (RFC 1950), decoded by libdeflate.

use libdeflater::{DecompressionError, Decompressor};

use crate::{Error, Result};

/// Decodes a stream into `out`, which it must fill exactly.
pub(crate) fn decode(decompressor: &mut Decompressor, bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let fail = |why: String| Error::Codec { codec: "deflate", why };
    let got = decompressor.zlib_decompress(bytes, out).map_err(|e| match e {
        DecompressionError::BadData => fail(format!("the {} bytes are damaged or cut", bytes.len())),
        DecompressionError::InsufficientSpace => fail(format!("more than {} bytes come out", out.len())),
    })?;
    if got != out.len() {
        return Err(Error::ChunkLength { step: "deflate", expected: out.len(), actual: got });
    }
    // libdeflate does not say where the stream ends; the checksum of the output must be the last four bytes.
    let sum = libdeflater::adler32(out).to_be_bytes();
    if !bytes.ends_with(&sum) {
        return Err(fail(format!("{} bytes were given, but the stream ends before", bytes.len())));
    }
    Ok(())
}
