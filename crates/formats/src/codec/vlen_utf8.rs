//! Zarr's `vlen-utf8`: the number of texts, then the length of each in bytes and its UTF-8; numbers are of 32 bits,
//! little-endian.
//!
//! Specification: <https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/vlen-utf8>.

use crate::{Error, Result};

/// The texts of a chunk that is to have `count` of them.
///
/// # Errors
/// [`Error::Codec`] for another number of texts, for a length beyond the end, for what is not UTF-8, and for bytes behind
/// the last text.
pub(crate) fn decode(bytes: &[u8], count: usize) -> Result<Vec<&str>> {
    let damaged = |why: String| Error::Codec { codec: "vlen-utf8", why };
    let (said, mut rest) = number(bytes).ok_or_else(|| damaged("the number of texts is cut".to_owned()))?;
    if said != count {
        return Err(damaged(format!("it says that it holds {said} texts; the chunk has {count}")));
    }
    // Each text takes four bytes at least: what is allocated is bounded by what is there.
    if rest.len() / 4 < count {
        return Err(damaged(format!("{} bytes are too few for {count} texts", rest.len())));
    }
    let mut texts = Vec::with_capacity(count);
    for at in 0..count {
        let cut = || damaged(format!("text {at} of {count} ends behind the chunk"));
        let (length, behind) = number(rest).ok_or_else(cut)?;
        let (text, behind) = behind.split_at_checked(length).ok_or_else(cut)?;
        texts.push(std::str::from_utf8(text).map_err(|e| damaged(format!("text {at} of {count} is no UTF-8: {e}")))?);
        rest = behind;
    }
    if rest.is_empty() { Ok(texts) } else { Err(damaged(format!("{} bytes are behind the last text", rest.len()))) }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(count: u32, texts: &[&[u8]]) -> Vec<u8> {
        let length = |text: &&[u8]| u32::try_from(text.len()).unwrap().to_le_bytes();
        let each = texts.iter().flat_map(|text| [&length(text)[..], text].concat());
        count.to_le_bytes().into_iter().chain(each).collect()
    }

    #[test]
    fn texts_come_back_and_lies_are_told() {
        let sound = encoded(3, &["größe".as_bytes(), b"", b"a\0"]);
        assert_eq!(decode(&sound, 3).unwrap(), ["größe", "", "a\0"]);
        assert_eq!(decode(&encoded(0, &[]), 0).unwrap(), Vec::<&str>::new());
        let why = |bytes: &[u8], count| decode(bytes, count).unwrap_err().to_string();
        for (bytes, want) in [
            (&sound[..2], "the number of texts is cut"),
            (&encoded(4, &[b"a"]), "it says that it holds 4 texts; the chunk has 3"),
            (&encoded(3, &[b"a"]), "5 bytes are too few for 3 texts"),
            (&sound[..sound.len() - 1], "text 2 of 3 ends behind the chunk"),
            (&encoded(3, &[b"a", b"\xff", b""]), "text 1 of 3 is no UTF-8"),
            (&encoded(3, &[b"a", b"b", b"", b""]), "4 bytes are behind the last text"),
        ] {
            assert!(why(bytes, 3).contains(want), "{}", why(bytes, 3));
        }
        assert!(why(&[0xff; 64], usize::try_from(u32::MAX).unwrap()).contains("too few"));
    }
}
