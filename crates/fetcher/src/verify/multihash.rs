//! Multihashes: code of the algorithm, length and digest, as `file:checksum` has them in lower-case hex.
//!
//! <https://github.com/multiformats/multihash>, codes of the multicodec table.

use std::fmt;

use super::Algorithm;

/// Fewest bytes of a digest that vouch for anything: a shorter one is met by chance.
const LEAST: usize = 8;

/// A digest and how it was made; perhaps only its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The digest.
    pub digest: Vec<u8>,
}

impl Checksum {
    /// Reads a multihash in hex, in either case.
    ///
    /// # Errors
    /// Why it cannot be used: it is malformed, its algorithm is not known here, or it is too short to vouch for anything.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = hex(text.trim()).ok_or("it is not hexadecimal")?;
        let (code, rest) = varint(&bytes).ok_or("it has no code of an algorithm")?;
        let (length, digest) = varint(rest).ok_or("it has no length")?;
        if length != digest.len() as u64 {
            return Err(format!("it says {length} bytes and has {}", digest.len()));
        }
        let algorithm =
            algorithm_of(code).ok_or_else(|| format!("its algorithm (code {code:#x}) is not known here"))?;
        let is_cut = digest.len() < algorithm.size();
        let is_variable = matches!(algorithm, Algorithm::Blake2b(_) | Algorithm::Blake2s(_));
        if digest.len() > algorithm.size() || is_cut && is_variable {
            return Err(format!("{algorithm} has {} bytes, it has {}", algorithm.size(), digest.len()));
        }
        if digest.len() < LEAST {
            return Err(format!("its {} bytes are too few to vouch for anything", digest.len()));
        }
        Ok(Self { algorithm, digest: digest.to_vec() })
    }

    /// The digest alone, in hex.
    pub fn hex(&self) -> String {
        hex_of(&self.digest)
    }

    /// True if this is the digest, or its beginning.
    pub(crate) fn is_of(&self, digest: &[u8]) -> bool {
        !self.digest.is_empty() && digest.starts_with(&self.digest)
    }
}

/// The multihash in lower-case hex; of an algorithm without a code the digest alone.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        if let Some(code) = code_of(self.algorithm) {
            push_varint(&mut bytes, code);
            push_varint(&mut bytes, self.digest.len() as u64);
        }
        bytes.extend_from_slice(&self.digest);
        f.write_str(&hex_of(&bytes))
    }
}

const FIXED: [(u64, Algorithm); 11] = [
    (0x11, Algorithm::Sha1),
    (0x12, Algorithm::Sha2(256)),
    (0x13, Algorithm::Sha2(512)),
    (0x14, Algorithm::Sha3(512)),
    (0x15, Algorithm::Sha3(384)),
    (0x16, Algorithm::Sha3(256)),
    (0x17, Algorithm::Sha3(224)),
    (0x1e, Algorithm::Blake3),
    (0x20, Algorithm::Sha2(384)),
    (0xd5, Algorithm::Md5),
    (0x1013, Algorithm::Sha2(224)),
];

/// The code of BLAKE2b of one byte; those of more bytes follow, then those of BLAKE2s.
const BLAKE2B: u64 = 0xb201;
const BLAKE2S: u64 = 0xb241;

fn algorithm_of(code: u64) -> Option<Algorithm> {
    match code {
        BLAKE2B..BLAKE2S => u8::try_from(code - BLAKE2B + 1).ok().map(Algorithm::Blake2b),
        BLAKE2S..0xb261 => u8::try_from(code - BLAKE2S + 1).ok().map(Algorithm::Blake2s),
        _ => FIXED.iter().find(|(known, _)| *known == code).map(|(_, algorithm)| *algorithm),
    }
}

pub(super) fn code_of(algorithm: Algorithm) -> Option<u64> {
    match algorithm {
        Algorithm::Blake2b(bytes) => Some(BLAKE2B + u64::from(bytes) - 1),
        Algorithm::Blake2s(bytes) => Some(BLAKE2S + u64::from(bytes) - 1),
        other => FIXED.iter().find(|(_, known)| *known == other).map(|(code, _)| *code),
    }
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.bytes().map(|b| char::from(b).to_digit(16)?.try_into().ok()).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn hex_of(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// An unsigned number in groups of seven bits, the lowest first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the extension file, for the text `test`; the third with as many bytes as it says.
    #[test]
    fn the_examples_of_the_extension_hold() {
        for text in [
            "1114a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
            "12209f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "12149f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "90e4021044a8995dd50b6657a037a7839304535b",
        ] {
            let checksum = Checksum::parse(text).unwrap();
            let mut hasher = checksum.algorithm.hasher();
            hasher.update(b"test");
            assert!(checksum.is_of(&hasher.finish()), "{text}");
            assert_eq!(checksum.to_string(), text);
            assert_eq!(Checksum::parse(&text.to_uppercase()).unwrap(), checksum);
        }
    }

    #[test]
    fn what_vouches_for_nothing_is_refused() {
        for (text, part) in [
            ("", "no code"),
            ("12", "no length"),
            ("1220ab", "says 32 bytes"),
            ("12z0", "hexadecimal"),
            ("1200", "too few"),
            ("1204aabbccdd", "too few"),
            ("ff7f0100", "not known"),
            ("90e4020844a8995dd50b6657", "has 16 bytes"),
            ("ffffffffffffffffffffff01", "no code"),
        ] {
            let why = Checksum::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
