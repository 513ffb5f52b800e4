//! HDF5 filter 32008, bitshuffle: bits of equal significance side by side, then none, LZ4 or zstd, block by block.
//!
//! A block holds a multiple of eight elements. In it, bit `k` of byte `b` of all elements is one row of bits; rows are
//! in the order of `8 * b + k`, the first element is the lowest bit of a row. The last elements that do not fill eight
//! are stored as they are. Compressed chunks begin with their decoded size (8 bytes) and the bytes of a block (4 bytes),
//! both big-endian; each block begins with its compressed size (4 bytes, big-endian).

use crate::{Error, Result};

/// How a shuffled block is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4 block format.
    Lz4,
    /// A zstd frame.
    Zstd,
}

/// Elements of a block whose size the file leaves open: 8 KiB, at least 128 elements.
fn default_block(element: usize) -> usize {
    (8192 / element / 8 * 8).max(128)
}

/// Decodes a chunk of elements of `element` bytes into `out`, which it must fill exactly; `block` is in elements, 0 for the default.
pub(crate) fn decode(
    bytes: &[u8],
    out: &mut [u8],
    element: usize,
    block: usize,
    compression: Compression,
) -> Result<()> {
    let damaged = |why: &str| Error::Codec { codec: "bitshuffle", why: why.to_owned() };
    let element = element.max(1);
    let mut input = bytes;
    let mut block_bytes = if block == 0 { default_block(element) } else { block }.saturating_mul(element);
    if compression != Compression::None {
        let cut = || damaged("the header is cut");
        let (size, rest) = input.split_first_chunk::<8>().ok_or_else(cut)?;
        let (stored, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if u64::from_be_bytes(*size) != out.len() as u64 {
            let actual = usize::try_from(u64::from_be_bytes(*size)).unwrap_or(usize::MAX);
            return Err(Error::ChunkLength { step: "bitshuffle", expected: out.len(), actual });
        }
        block_bytes = usize::try_from(u32::from_be_bytes(*stored)).unwrap_or(0);
        input = rest;
    }
    if block_bytes == 0 || !block_bytes.is_multiple_of(8 * element) {
        return Err(damaged("the size of a block is not a multiple of eight elements"));
    }
    let whole = out.len() / (8 * element) * (8 * element);
    let (body, tail) = out.split_at_mut(whole);
    let mut scratch = Vec::new();
    for place in body.chunks_mut(block_bytes) {
        let cut = || damaged("a block is cut");
        if compression == Compression::None {
            let (rows, rest) = input.split_at_checked(place.len()).ok_or_else(cut)?;
            unshuffle(rows, place, element);
            input = rest;
            continue;
        }
        let (size, rest) = input.split_first_chunk::<4>().ok_or_else(cut)?;
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let (packed, rest) = rest.split_at_checked(size).ok_or_else(cut)?;
        scratch.resize(place.len(), 0);
        if compression == Compression::Lz4 {
            super::lz4::block(packed, &mut scratch)?;
        } else {
            let got = super::zstd::decode(packed, &mut scratch)?;
            if got != scratch.len() {
                return Err(Error::ChunkLength { step: "bitshuffle", expected: scratch.len(), actual: got });
            }
        }
        unshuffle(&scratch, place, element);
        input = rest;
    }
    if input.len() != tail.len() {
        return Err(Error::ChunkLength { step: "bitshuffle", expected: tail.len(), actual: input.len() });
    }
    tail.copy_from_slice(input);
    Ok(())
}

/// Puts the bits of elements together again. `rows` and `out` have the same length, a multiple of eight elements.
fn unshuffle(rows: &[u8], out: &mut [u8], element: usize) {
    let row = rows.len() / (8 * element);
    for byte in 0..element {
        let planes = &rows[8 * byte * row..8 * (byte + 1) * row];
        for eight in 0..row {
            let bits = std::array::from_fn(|k| planes[k * row + eight]);
            let turned = transpose(u64::from_le_bytes(bits)).to_le_bytes();
            for (i, value) in turned.into_iter().enumerate() {
                out[(8 * eight + i) * element + byte] = value;
            }
        }
    }
}

/// Transposes a matrix of 8 × 8 bits: bit `j` of byte `i` becomes bit `i` of byte `j` (Hacker's Delight, 7-3).
fn transpose(mut x: u64) -> u64 {
    for (mask, shift) in [(0x00aa_00aa_00aa_00aa_u64, 7), (0x0000_cccc_0000_cccc, 14), (0x0000_0000_f0f0_f0f0, 28)] {
        let turned = (x ^ (x >> shift)) & mask;
        x ^= turned ^ (turned << shift);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_by_eight() {
        for (i, j) in [(0, 0), (1, 0), (0, 7), (3, 5), (7, 7)] {
            assert_eq!(transpose(1 << (8 * i + j)), 1 << (8 * j + i));
        }
    }

    #[test]
    fn damaged_chunks_are_errors() {
        let mut out = [0; 64];
        let zstd = [0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 32, 0, 0, 0, 9];
        for bytes in [&[][..], &[0; 12], &zstd, &[0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 1], &[255; 64]] {
            for compression in [Compression::Lz4, Compression::Zstd] {
                assert!(decode(bytes, &mut out, 2, 0, compression).is_err(), "{bytes:?}");
            }
        }
        assert!(decode(&[0; 63], &mut out, 2, 0, Compression::None).is_err());
        assert!(decode(&[0; 64], &mut out, 2, 3, Compression::None).is_err());
        assert!(decode(&[0; 64], &mut out, 2, 8, Compression::None).is_ok());
    }
}
