//! PackBits (TIFF 6.0, section 9): runs of one byte, and bytes as they are.

use crate::{Error, Result};

/// Decodes into `out` and says how many bytes came out; bytes beyond `out` are an error.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let len = out.len();
    let long = || Error::Codec { codec: "packbits", why: format!("more than {len} bytes come out") };
    let (mut rest, mut at) = (bytes, 0);
    while let Some((count, data)) = rest.split_first() {
        if at == len {
            break;
        }
        match usize::from(*count) {
            n @ 0..128 => {
                // The last run of a cut stream gives what there is.
                let (raw, left) = data.split_at((n + 1).min(data.len()));
                out.get_mut(at..at + raw.len()).ok_or_else(long)?.copy_from_slice(raw);
                (rest, at) = (left, at + raw.len());
            }
            128 => rest = data,
            n => {
                let Some((byte, left)) = data.split_first() else { break };
                out.get_mut(at..at + 257 - n).ok_or_else(long)?.fill(*byte);
                (rest, at) = (left, at + 257 - n);
            }
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let packed = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let mut out = [0; 24];
        assert_eq!(decode(&packed, &mut out).unwrap(), 24);
        assert_eq!(&out[..8], [0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa]);
        assert!(decode(&packed, &mut out[..20]).is_err());
    }
}
