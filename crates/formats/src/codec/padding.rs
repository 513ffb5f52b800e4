//! Texts of fixed size that do not end with zeros alone, made to do so.

use crate::array::Padding;

/// Puts zeros behind each text of `size` bytes.
pub(crate) fn to_zeros(texts: &mut [u8], size: usize, padding: Padding) {
    for text in texts.chunks_exact_mut(size.max(1)) {
        let end = match padding {
            Padding::Null => None,
            Padding::NullTerminated => text.iter().position(|byte| *byte == 0),
            Padding::Space => text.iter().rposition(|byte| *byte != b' ').map_or(Some(0), |at| Some(at + 1)),
        };
        if let Some(rest) = end.and_then(|end| text.get_mut(end..)) {
            rest.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_text_becomes_zeros() {
        for (padding, want) in [
            (Padding::Null, *b"a\0b a  b    "),
            (Padding::NullTerminated, *b"a\0\0\0a  b    "),
            (Padding::Space, *b"a\0b\0a  b\0\0\0\0"),
        ] {
            let mut texts = *b"a\0b a  b    ";
            to_zeros(&mut texts, 4, padding);
            assert_eq!(texts, want);
        }
    }
}
