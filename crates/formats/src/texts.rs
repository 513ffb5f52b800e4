//! Texts from the elements of a variable.

use crate::array::DType;
use crate::{Error, Result};

/// Texts of fixed size, in native byte order and with zeros behind them; `None` for another type.
pub(crate) fn fixed(dtype: DType, elements: &[u8], name: &str) -> Option<Result<Vec<String>>> {
    let size = dtype.size().max(1);
    let broken = |at: usize, what: &str| Error::malformed(format!("text {at} of `{name}`"), format!("it is no {what}"));
    match dtype {
        DType::Char | DType::Text(_) => {
            let text = |(at, element): (usize, &[u8])| {
                let end = element.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                std::str::from_utf8(&element[..end]).map(str::to_owned).map_err(|_| broken(at, "UTF-8"))
            };
            Some(elements.chunks_exact(size).enumerate().map(text).collect())
        }
        DType::Unicode(_) => {
            let text = |(at, element): (usize, &[u8])| {
                let codes = element.as_chunks::<4>().0;
                let end = codes.iter().rposition(|code| *code != [0; 4]).map_or(0, |last| last + 1);
                let chars = codes[..end].iter().map(|code| char::from_u32(u32::from_ne_bytes(*code)));
                chars.collect::<Option<String>>().ok_or_else(|| broken(at, "UTF-32"))
            };
            Some(elements.chunks_exact(size).enumerate().map(text).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_before_their_zeros() {
        let texts = |dtype, bytes: &[u8]| fixed(dtype, bytes, "v").unwrap().map_err(|e| e.to_string());
        assert_eq!(texts(DType::Text(3), b"ab\0\0\0\0a\0b"), Ok(["ab", "", "a\0b"].map(String::from).to_vec()));
        let utf32: Vec<u8> = [0x47u32, 0xdf, 0, 0x1f331].iter().flat_map(|c| c.to_ne_bytes()).collect();
        assert_eq!(texts(DType::Unicode(2), &utf32), Ok(["G\u{df}", "\0\u{1f331}"].map(String::from).to_vec()));
        assert!(texts(DType::Text(1), b"\xff").unwrap_err().contains("text 0 of `v` is malformed: it is no UTF-8"));
        assert!(texts(DType::Unicode(1), &0xd800u32.to_ne_bytes()).unwrap_err().contains("UTF-32"));
        assert!(fixed(DType::Int8, b"", "v").is_none());
    }
}
