//! HDF5 filter 32001 and Zarr's `blosc`: a container of Blosc 1, decoded by c-blosc through `zarrs`.

use std::borrow::Cow;

use zarrs::array::codec::{BloscCodec, BloscCompressor, BloscShuffleMode};
use zarrs::array::{BytesRepresentation, BytesToBytesCodecTraits, CodecOptions};

use crate::{Error, Result};

/// Decodes a container into the start of `out`; the answer is how many bytes came out.
///
/// The header says its decoded size; it is compared before anything is allocated.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let damaged = |why: String| Error::Codec { codec: "blosc", why };
    let size = |at: usize| {
        let field = bytes.get(at..at + 4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*field)).ok()
    };
    let (decoded, stored) = size(4).zip(size(12)).ok_or_else(|| damaged("the header is cut".to_owned()))?;
    let expected = out.len();
    let out = out.get_mut(..decoded).ok_or(Error::ChunkLength { step: "blosc", expected, actual: decoded })?;
    if stored != bytes.len() {
        return Err(damaged(format!("the header says {stored} bytes, {} are there", bytes.len())));
    }
    if out.is_empty() {
        return Ok(0);
    }
    let level = 1.try_into().map_err(|_| damaged("level".to_owned()))?;
    // What is decoded is in the container; these parameters are of encoding only.
    let codec = BloscCodec::new(BloscCompressor::LZ4, level, None, BloscShuffleMode::NoShuffle, None)
        .map_err(|e| damaged(e.to_string()))?;
    let size = BytesRepresentation::FixedSize(out.len() as u64);
    let got =
        codec.decode(Cow::Borrowed(bytes), &size, &CodecOptions::default()).map_err(|e| damaged(e.to_string()))?;
    if got.len() != out.len() {
        return Err(Error::ChunkLength { step: "blosc", expected: out.len(), actual: got.len() });
    }
    out.copy_from_slice(&got);
    Ok(decoded)
}
