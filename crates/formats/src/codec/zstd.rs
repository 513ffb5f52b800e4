//! HDF5 filter 32015 and Zarr's `zstd`: a frame of RFC 8878, decoded by libzstd.

use crate::{Error, Result};

/// Decodes one frame or several into the start of `out`; the answer is how many bytes came out.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    zstd::bulk::decompress_to_buffer(bytes, out)
        .map_err(|e| Error::Codec { codec: "zstd", why: format!("{e} ({} bytes)", bytes.len()) })
}
