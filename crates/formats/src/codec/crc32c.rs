//! Zarr 3 codec `crc32c`: a checksum in the last four bytes, little-endian (RFC 3720, section 12.1).

use crate::{Error, Result};

/// Checks the last four bytes and takes them off.
pub(crate) fn strip(bytes: &[u8]) -> Result<&[u8]> {
    let Some((data, stored)) = bytes.split_last_chunk::<4>() else {
        return Err(Error::ChunkLength { step: "fetching", expected: 4, actual: bytes.len() });
    };
    let (expected, actual) = (u32::from_le_bytes(*stored), crc32c::crc32c(data));
    if actual == expected { Ok(data) } else { Err(Error::Checksum { codec: "crc32c", expected, actual }) }
}
