//! HDF5 filter 3: a Fletcher checksum in the last four bytes.

use crate::{Error, Result};

/// Checks the last four bytes and takes them off.
pub(crate) fn strip(bytes: &[u8]) -> Result<&[u8]> {
    let Some((data, stored)) = bytes.split_last_chunk::<4>() else {
        return Err(Error::ChunkLength { step: "fetching", expected: 4, actual: bytes.len() });
    };
    let expected = u32::from_le_bytes(*stored);
    let actual = sum(data);
    // Before HDF5 1.6.3 big-endian machines stored each half with its bytes swapped; libhdf5 takes both.
    let swapped = ((actual & 0x00ff_00ff) << 8) | ((actual >> 8) & 0x00ff_00ff);
    if actual == expected || swapped == expected {
        return Ok(data);
    }
    Err(Error::Checksum { codec: "fletcher32", expected, actual })
}

/// The sum over big-endian words of 16 bits.
fn sum(data: &[u8]) -> u32 {
    let (mut low, mut high) = (0u32, 0u32);
    let fold = |n: u32| (n & 0xffff) + (n >> 16);
    // 360 words are the most that cannot overflow.
    for block in data.chunks(720) {
        let (words, odd) = block.as_chunks::<2>();
        for word in words {
            low += u32::from(u16::from_be_bytes(*word));
            high += low;
        }
        if let Some(byte) = odd.first() {
            low += u32::from(*byte) << 8;
            high += low;
        }
        (low, high) = (fold(low), fold(high));
    }
    (low, high) = (fold(low), fold(high));
    (high << 16) | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums_and_odd_tail() {
        assert_eq!(sum(&[0, 1, 0, 2]), 0x0004_0003);
        assert_eq!(sum(&[1, 2, 3]), 0x0504_0402);
        assert!(strip(&[0, 1, 0, 2, 3, 0, 4, 0]).is_ok());
        assert!(strip(&[0, 1, 0, 2, 3, 0, 4, 1]).is_err());
        assert!(strip(&[0]).is_err());
    }
}
