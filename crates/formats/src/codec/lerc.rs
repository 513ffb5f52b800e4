//! LERC blobs of versions 1 and 2, decoded by `lerc-reader`, with the conventions of libtiff.

use lerc_core::PixelData;

use crate::array::DType;
use crate::{Error, Result};

/// The cells that a blob must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) columns: usize,
    /// Most rows.
    pub(crate) rows: usize,
    pub(crate) samples: usize,
    pub(crate) dtype: DType,
}

/// Decodes a blob into the start of `out`, in native byte order; the answer is how many bytes came out.
///
/// - Cells without data become NaN where a cell has one float; elsewhere they are refused.
pub(crate) fn decode(bytes: &[u8], shape: Shape, out: &mut [u8]) -> Result<usize> {
    let fail = |why: String| Error::Codec { codec: "lerc", why };
    // The header is looked at before memory is taken for what it says.
    let info = lerc_reader::inspect_first(bytes).map_err(|e| fail(e.to_string()))?;
    let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let (columns, rows, samples) = (number(info.width), number(info.height), number(info.depth));
    if columns != shape.columns || rows > shape.rows || samples != shape.samples {
        let want = (shape.columns, shape.rows, shape.samples);
        return Err(fail(format!("a blob of {:?} in place of {want:?}", (columns, rows, samples))));
    }
    let decoded = lerc_reader::decode_first(bytes).map_err(|e| fail(e.to_string()))?;
    let (dtype, got) = put(&decoded.pixels, out).ok_or_else(|| fail("more cells than declared".to_owned()))?;
    if dtype != shape.dtype {
        return Err(fail(format!("{} in place of {}", dtype.name(), shape.dtype.name())));
    }
    let Some(mask) = decoded.mask.filter(|mask| mask.contains(&0)) else { return Ok(got) };
    if samples != 1 {
        return Err(Error::unsupported("a chunk", "a LERC mask of cells with several samples"));
    }
    let nan: &[u8] = match dtype {
        DType::Float32 => &f32::NAN.to_ne_bytes(),
        DType::Float64 => &f64::NAN.to_ne_bytes(),
        _ => return Err(Error::unsupported("a chunk", "a LERC mask of integers")),
    };
    for (cell, _) in out.chunks_exact_mut(nan.len()).zip(&mask).filter(|(_, valid)| **valid == 0) {
        cell.copy_from_slice(nan);
    }
    Ok(got)
}

/// The type of the samples, and how many bytes they have; `None` if there is no room for them.
fn put(pixels: &PixelData, out: &mut [u8]) -> Option<(DType, usize)> {
    fn all<T: Copy, const N: usize>(values: &[T], out: &mut [u8], bytes: impl Fn(T) -> [u8; N]) -> Option<usize> {
        let size = values.len().checked_mul(N)?;
        for (value, place) in values.iter().zip(out.get_mut(..size)?.chunks_exact_mut(N)) {
            place.copy_from_slice(&bytes(*value));
        }
        Some(size)
    }
    Some(match pixels {
        PixelData::I8(values) => (DType::Int8, all(values, out, i8::to_ne_bytes)?),
        PixelData::U8(values) => (DType::UInt8, all(values, out, u8::to_ne_bytes)?),
        PixelData::I16(values) => (DType::Int16, all(values, out, i16::to_ne_bytes)?),
        PixelData::U16(values) => (DType::UInt16, all(values, out, u16::to_ne_bytes)?),
        PixelData::I32(values) => (DType::Int32, all(values, out, i32::to_ne_bytes)?),
        PixelData::U32(values) => (DType::UInt32, all(values, out, u32::to_ne_bytes)?),
        PixelData::F32(values) => (DType::Float32, all(values, out, f32::to_ne_bytes)?),
        PixelData::F64(values) => (DType::Float64, all(values, out, f64::to_ne_bytes)?),
    })
}
