//! Digests, computed while the bytes pass.

use std::fmt;
use std::str::FromStr;

use digest::Digest;

/// A way to digest bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// MD5, 16 bytes.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-2 of 224, 256, 384 or 512 bits.
    Sha2(u16),
    /// SHA-3 of 224, 256, 384 or 512 bits.
    Sha3(u16),
    /// BLAKE2b of 1 to 64 bytes.
    Blake2b(u8),
    /// BLAKE2s of 1 to 32 bytes.
    Blake2s(u8),
    /// BLAKE3, 32 bytes.
    Blake3,
    /// Adler-32 (RFC 1950), as dCache and grid storage tell it.
    Adler32,
    /// CRC-32 of IEEE 802.3.
    Crc32,
    /// CRC-32C (Castagnoli), as Google Cloud Storage tells it.
    Crc32c,
    /// CRC-64/NVME, as S3 tells it.
    Crc64Nvme,
}

impl Algorithm {
    /// Bytes of a whole digest.
    pub fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha2(bits) | Self::Sha3(bits) => usize::from(bits) / 8,
            Self::Blake2b(bytes) | Self::Blake2s(bytes) => usize::from(bytes),
            Self::Blake3 => 32,
            Self::Crc64Nvme => 8,
            Self::Adler32 | Self::Crc32 | Self::Crc32c => 4,
        }
    }

    /// True if a catalog can tell its digests (`file:checksum`).
    pub(crate) fn is_multihash(self) -> bool {
        super::multihash::code_of(self).is_some()
    }

    /// How much a digest is worth against chance and malice; of several the highest is taken.
    pub(crate) fn strength(self) -> usize {
        match self {
            Self::Md5 => 12,
            Self::Sha1 => 13,
            Self::Crc32c => 5,
            other => other.size(),
        }
    }

    pub(crate) fn hasher(self) -> Hasher {
        let inner: Box<dyn Inner> = match self {
            Self::Md5 => of::<md5::Md5>(),
            Self::Sha1 => of::<sha1::Sha1>(),
            Self::Sha2(224) => of::<sha2::Sha224>(),
            Self::Sha2(384) => of::<sha2::Sha384>(),
            Self::Sha2(512) => of::<sha2::Sha512>(),
            Self::Sha2(_) => of::<sha2::Sha256>(),
            Self::Sha3(224) => of::<sha3::Sha3_224>(),
            Self::Sha3(384) => of::<sha3::Sha3_384>(),
            Self::Sha3(512) => of::<sha3::Sha3_512>(),
            Self::Sha3(_) => of::<sha3::Sha3_256>(),
            Self::Blake2b(bytes) => {
                Box::new(blake2b_simd::Params::new().hash_length(bytes.clamp(1, 64).into()).to_state())
            }
            Self::Blake2s(bytes) => {
                Box::new(blake2s_simd::Params::new().hash_length(bytes.clamp(1, 32).into()).to_state())
            }
            Self::Blake3 => Box::new(blake3::Hasher::new()),
            Self::Adler32 => Box::new(simd_adler32::Adler32::new()),
            Self::Crc32 => crc(crc_fast::CrcAlgorithm::Crc32IsoHdlc, 4),
            Self::Crc32c => crc(crc_fast::CrcAlgorithm::Crc32Iscsi, 4),
            Self::Crc64Nvme => crc(crc_fast::CrcAlgorithm::Crc64Nvme, 8),
        };
        Hasher { algorithm: self, inner }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5 => f.write_str("md5"),
            Self::Sha1 => f.write_str("sha1"),
            Self::Sha2(bits) => write!(f, "sha2-{bits}"),
            Self::Sha3(bits) => write!(f, "sha3-{bits}"),
            Self::Blake2b(bytes) => write!(f, "blake2b-{}", u16::from(*bytes) * 8),
            Self::Blake2s(bytes) => write!(f, "blake2s-{}", u16::from(*bytes) * 8),
            Self::Blake3 => f.write_str("blake3"),
            Self::Adler32 => f.write_str("adler32"),
            Self::Crc32 => f.write_str("crc32"),
            Self::Crc32c => f.write_str("crc32c"),
            Self::Crc64Nvme => f.write_str("crc64nvme"),
        }
    }
}

impl FromStr for Algorithm {
    type Err = String;

    /// By the name of the multicodec table, as it is shown.
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [
            Self::Blake3,
            Self::Sha2(256),
            Self::Sha2(512),
            Self::Sha2(384),
            Self::Sha2(224),
            Self::Sha3(256),
            Self::Sha3(512),
            Self::Sha3(384),
            Self::Sha3(224),
            Self::Blake2b(64),
            Self::Blake2b(32),
            Self::Blake2s(32),
            Self::Sha1,
            Self::Md5,
        ];
        let known = || all.map(|known| known.to_string()).join(", ");
        all.into_iter().find(|known| known.to_string() == text).ok_or_else(|| format!("there is {}", known()))
    }
}

/// A digest in the making.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    inner: Box<dyn Inner>,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm)
    }
}

impl Hasher {
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.inner.finish()
    }
}

trait Inner: Send + Sync {
    fn update(&mut self, bytes: &[u8]);
    fn finish(self: Box<Self>) -> Vec<u8>;
}

struct Fixed<D>(D);

fn of<D: Digest + Send + Sync + 'static>() -> Box<dyn Inner> {
    Box::new(Fixed(D::new()))
}

impl<D: Digest + Send + Sync> Inner for Fixed<D> {
    fn update(&mut self, bytes: &[u8]) {
        Digest::update(&mut self.0, bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

impl Inner for blake2b_simd::State {
    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.finalize().as_bytes().to_vec()
    }
}

impl Inner for blake2s_simd::State {
    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.finalize().as_bytes().to_vec()
    }
}

impl Inner for blake3::Hasher {
    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.finalize().as_bytes().to_vec()
    }
}

impl Inner for simd_adler32::Adler32 {
    fn update(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        Self::finish(&self).to_be_bytes().to_vec()
    }
}

struct Crc(crc_fast::Digest, usize);

fn crc(algorithm: crc_fast::CrcAlgorithm, size: usize) -> Box<dyn Inner> {
    Box::new(Crc(crc_fast::Digest::new(algorithm), size))
}

impl Inner for Crc {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_be_bytes()[8 - self.1..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checksum;

    fn hex(algorithm: Algorithm, text: &str) -> String {
        let mut hasher = algorithm.hasher();
        for byte in text.as_bytes() {
            hasher.update(std::slice::from_ref(byte));
        }
        Checksum { algorithm, digest: hasher.finish() }.hex()
    }

    /// Values of md5sum, sha1sum, sha256sum, b2sum, b3sum, Python's zlib, and the check values of the CRC catalogue.
    #[test]
    fn digests_are_those_of_other_programs() {
        for (algorithm, text, want) in [
            (Algorithm::Md5, "test", "098f6bcd4621d373cade4e832627b4f6"),
            (Algorithm::Sha1, "test", "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"),
            (Algorithm::Sha2(256), "test", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            (Algorithm::Sha3(256), "test", "36f028580bb02cc8272a9a020f4200e346e276ae664e45ee80745574e2f5ab80"),
            (Algorithm::Blake2b(16), "test", "44a8995dd50b6657a037a7839304535b"),
            (Algorithm::Blake3, "", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (Algorithm::Adler32, "Wikipedia", "11e60398"),
            (Algorithm::Crc32, "123456789", "cbf43926"),
            (Algorithm::Crc32c, "123456789", "e3069283"),
            (Algorithm::Crc64Nvme, "123456789", "ae8b14860a799888"),
        ] {
            assert_eq!(hex(algorithm, text), want, "{algorithm}");
            assert_eq!(want.len(), 2 * algorithm.size());
        }
    }

    #[test]
    fn names_are_read_as_they_are_shown() {
        assert_eq!("sha2-256".parse::<Algorithm>().unwrap(), Algorithm::Sha2(256));
        assert!("sha256".parse::<Algorithm>().unwrap_err().contains("sha2-256"));
    }
}
