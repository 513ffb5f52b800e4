//! HDF5 filters 4, 5 and 6 (szip, nbit, scale-offset), decoded by `hdf5-reader`.

use hdf5_reader::filters::{nbit, scaleoffset, szip};

use crate::{Error, Result};

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Packing {
    /// Filter 4: extended Rice coding (CCSDS 121.0-B).
    Szip,
    /// Filter 5: only the significant bits of an element.
    Nbit,
    /// Filter 6: differences to the least value in as few bits as they need.
    ScaleOffset,
}

impl Packing {
    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Szip => "szip",
            Self::Nbit => "nbit",
            Self::ScaleOffset => "scale-offset",
        }
    }
}

/// Decodes a chunk into the start of `out`; the answer is how many bytes came out. `parameters` are those of the filter in the file.
pub(crate) fn decode(packing: Packing, parameters: &[u32], bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let decoded = match packing {
        Packing::Szip => szip::decompress_with_limit(bytes, parameters, out.len()),
        Packing::Nbit => nbit::decompress_with_limit(bytes, parameters, out.len()),
        Packing::ScaleOffset => scaleoffset::decompress_with_limit(bytes, parameters, out.len()),
    };
    let decoded = decoded.map_err(|e| Error::Codec { codec: packing.name(), why: e.to_string() })?;
    let (expected, actual) = (out.len(), decoded.len());
    let place = out.get_mut(..actual).ok_or(Error::ChunkLength { step: packing.name(), expected, actual })?;
    place.copy_from_slice(&decoded);
    Ok(actual)
}
