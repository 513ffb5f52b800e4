//! HDF5 filter 32004 and blocks of LZ4, decoded by `lz4_flex`.

use crate::{Error, Result};

/// Decodes one block into `out`, which it must fill exactly.
pub(crate) fn block(bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let got =
        lz4_flex::block::decompress_into(bytes, out).map_err(|e| Error::Codec { codec: "lz4", why: e.to_string() })?;
    if got != out.len() {
        return Err(Error::ChunkLength { step: "lz4", expected: out.len(), actual: got });
    }
    Ok(())
}

/// Decodes a chunk of numcodecs into the start of `out`: its decoded size (4 bytes, little-endian) and one block.
pub(crate) fn sized(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let cut = || Error::Codec { codec: "lz4", why: "the header is cut".to_owned() };
    let (size, packed) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
    let expected = out.len();
    let place = out.get_mut(..size).ok_or(Error::ChunkLength { step: "lz4", expected, actual: size })?;
    block(packed, place)?;
    Ok(size)
}

/// Decodes a chunk of the HDF5 filter into the start of `out`; the answer is how many bytes came out.
///
/// A chunk begins with its decoded size (8 bytes) and that of a block (4 bytes), big-endian; each block with its
/// compressed size (4 bytes, big-endian). A block that is as long as it would be decoded is stored as it is.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let damaged = |why: &str| Error::Codec { codec: "lz4", why: why.to_owned() };
    let (size, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| damaged("the header is cut"))?;
    let (step, mut input) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("the header is cut"))?;
    let (size, expected) = (usize::try_from(u64::from_be_bytes(*size)).unwrap_or(usize::MAX), out.len());
    let out = out.get_mut(..size).ok_or(Error::ChunkLength { step: "lz4", expected, actual: size })?;
    let step = usize::try_from(u32::from_be_bytes(*step)).unwrap_or(0);
    if step == 0 {
        return Err(damaged("the size of a block is 0"));
    }
    for place in out.chunks_mut(step) {
        let cut = || damaged("a block is cut");
        let (size, rest) = input.split_first_chunk::<4>().ok_or_else(cut)?;
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let (packed, rest) = rest.split_at_checked(size).ok_or_else(cut)?;
        if packed.len() == place.len() {
            place.copy_from_slice(packed);
        } else {
            block(packed, place)?;
        }
        input = rest;
    }
    if input.is_empty() { Ok(size) } else { Err(damaged("bytes are left over")) }
}
