//! HDF5 filter 32000: LZF, as liblzf writes it.
//!
//! A control byte below 32 is followed by that many literals and one more; else its upper three bits are the length of a
//! match less two (7: a byte more), and its lower five with the next byte the distance back less one.

use crate::{Error, Result};

/// Decodes a stream into the start of `out`; the answer is how many bytes came out.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let damaged = |why: &str| Error::Codec { codec: "lzf", why: why.to_owned() };
    let mut input = bytes;
    let mut end = 0;
    while let Some((control, rest)) = input.split_first() {
        let control = usize::from(*control);
        input = rest;
        if control < 32 {
            let (literals, rest) = input.split_at_checked(control + 1).ok_or_else(|| damaged("the bytes are cut"))?;
            let place =
                out.get_mut(end..end + literals.len()).ok_or_else(|| damaged("more comes out than declared"))?;
            place.copy_from_slice(literals);
            (input, end) = (rest, end + literals.len());
            continue;
        }
        let mut byte = || {
            let (byte, rest) = input.split_first().ok_or_else(|| damaged("the bytes are cut"))?;
            input = rest;
            Ok::<usize, Error>(usize::from(*byte))
        };
        let length = 2 + if control >> 5 == 7 { 7 + byte()? } else { control >> 5 };
        let distance = 1 + ((control & 31) << 8) + byte()?;
        if distance > end {
            return Err(damaged("a match begins before the first byte"));
        }
        if length > out.len() - end {
            return Err(damaged("more comes out than declared"));
        }
        if distance >= length {
            out.copy_within(end - distance..end - distance + length, end);
        } else {
            for at in end..end + length {
                out[at] = out[at - distance];
            }
        }
        end += length;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_matches_and_overlaps() {
        let mut out = [0; 9];
        // "abc", then five bytes from three back, then "z".
        decode(&[2, b'a', b'b', b'c', 3 << 5, 2, 0, b'z'], &mut out).unwrap();
        assert_eq!(&out, b"abcabcabz");
        let mut long = [0; 21];
        // "x", then 2 + 7 + 11 bytes from one back.
        decode(&[0, b'x', 7 << 5, 11, 0], &mut long).unwrap();
        assert_eq!(long, [b'x'; 21]);
    }

    #[test]
    fn damaged_streams_are_errors() {
        let mut out = [0; 4];
        for bytes in [&[5u8, 1][..], &[1 << 5, 0], &[0, 1, 7 << 5], &[0, 1, 7 << 5, 200, 0], &[31; 40]] {
            assert!(decode(bytes, &mut out).is_err(), "{bytes:?}");
        }
    }
}
