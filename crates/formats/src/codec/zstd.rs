//! HDF5 filter 32015 and Zarr's `zstd`: a frame of RFC 8878, decoded by libzstd.

use crate::{Error, Result};

/// Decodes one frame or several into `out`, which they must fill exactly.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let got = zstd::bulk::decompress_to_buffer(bytes, out)
        .map_err(|e| Error::Codec { codec: "zstd", why: format!("{e} ({} bytes)", bytes.len()) })?;
    if got != out.len() {
        return Err(Error::ChunkLength { step: "zstd", expected: out.len(), actual: got });
    }
    Ok(())
}
