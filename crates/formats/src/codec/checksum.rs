//! Checksums of numcodecs: four bytes, little-endian, before the data or behind.

use crate::{Error, Result};

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Sum {
    /// RFC 1950.
    Adler32,
    /// RFC 1952.
    Crc32,
    /// RFC 3720.
    Crc32c,
}

/// Where a checksum stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SumPlace {
    /// Before the data.
    Start,
    /// Behind the data.
    End,
}

impl Sum {
    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adler32 => "adler32",
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
        }
    }

    /// Checks the sum; the answer is the data.
    pub(crate) fn strip(self, place: SumPlace, bytes: &[u8]) -> Result<&[u8]> {
        let parts = match place {
            SumPlace::Start => bytes.split_first_chunk::<4>(),
            SumPlace::End => bytes.split_last_chunk::<4>().map(|(data, stored)| (stored, data)),
        };
        let (stored, data) = parts.ok_or(Error::ChunkLength { step: "fetching", expected: 4, actual: bytes.len() })?;
        let actual = match self {
            Self::Adler32 => libdeflater::adler32(data),
            Self::Crc32 => libdeflater::crc32(data),
            Self::Crc32c => crc32c::crc32c(data),
        };
        let expected = u32::from_le_bytes(*stored);
        if actual == expected { Ok(data) } else { Err(Error::Checksum { codec: self.name(), expected, actual }) }
    }
}
