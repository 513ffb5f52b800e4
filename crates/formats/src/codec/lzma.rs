//! LZMA, as numcodecs and TIFF write it: streams of xz, or of the older format "alone".

use std::io::Read;

use lzma_rust2::{LzmaReader, XzReader};

use crate::{Error, Result};

/// Most memory of a decoder, in KiB: dictionaries of the highest level are 64 MiB.
const MAX_MEMORY: u32 = 160 << 10;

/// The container of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum LzmaFormat {
    /// xz: LZMA2 with checksums.
    Xz,
    /// "alone": LZMA 1.
    Alone,
}

/// Decodes into the start of `out`; the answer is how many bytes came out.
pub(crate) fn decode(format: LzmaFormat, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let fail = |e: std::io::Error| Error::Codec { codec: "lzma", why: e.to_string() };
    match format {
        LzmaFormat::Xz => fill(&mut XzReader::new_mem_limit(bytes, true, MAX_MEMORY), out),
        LzmaFormat::Alone => fill(&mut LzmaReader::new_mem_limit(bytes, MAX_MEMORY, None).map_err(fail)?, out),
    }
}

fn fill(reader: &mut impl Read, out: &mut [u8]) -> Result<usize> {
    let fail = |why: String| Error::Codec { codec: "lzma", why };
    let mut at = 0;
    while let Some(room) = out.get_mut(at..).filter(|room| !room.is_empty()) {
        match reader.read(room).map_err(|e| fail(e.to_string()))? {
            0 => return Ok(at),
            got => at += got,
        }
    }
    // The end of the stream has its checksum.
    match reader.read(&mut [0]).map_err(|e| fail(e.to_string()))? {
        0 => Ok(at),
        _ => Err(fail(format!("more than {at} bytes come out"))),
    }
}
