//! JPEG in TIFF (TIFF Technical Note 2): a stream for each chunk, its tables perhaps in a stream that all share.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::{Error, Result};

/// What the stream of a chunk must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) samples: usize,
    /// Luminance and chrominance that become red, green and blue.
    pub(crate) ycbcr: bool,
}

fn fail(why: impl Into<String>) -> Error {
    Error::Codec { codec: "jpeg", why: why.into() }
}

/// Decodes a stream of rows of whole cells into `out` and says how many bytes came out.
pub(crate) fn decode(tables: &[u8], bytes: &[u8], shape: Shape, out: &mut [u8]) -> Result<usize> {
    let joined = join(tables, bytes);
    let options = DecoderOptions::default()
        .set_max_width(shape.columns)
        .set_max_height(shape.rows)
        .set_strict_mode(false)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&joined[..]), options);
    decoder.decode_headers().map_err(|e| fail(e.to_string()))?;
    let stored = decoder.input_colorspace().ok_or_else(|| fail("it has no components"))?;
    let wanted = match (shape.samples, stored) {
        (3, ColorSpace::YCbCr) if shape.ycbcr => ColorSpace::RGB,
        // Without conversion: what comes out is what is stored.
        (_, stored) => stored,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let (columns, rows) = decoder.dimensions().ok_or_else(|| fail("it has no size"))?;
    let size = decoder.output_buffer_size().ok_or_else(|| fail("it has no size"))?;
    let whole = columns * rows * shape.samples;
    if columns != shape.columns || rows > shape.rows || size != whole || size > out.len() {
        let why = format!(
            "it is {columns} by {rows} cells of {} bytes, {} by {} of {} were expected",
            size / (columns * rows).max(1),
            shape.columns,
            shape.rows,
            shape.samples
        );
        return Err(fail(why));
    }
    decoder.decode_into(&mut out[..size]).map_err(|e| fail(e.to_string()))?;
    Ok(size)
}

/// The stream with the shared tables in front.
fn join(tables: &[u8], bytes: &[u8]) -> Vec<u8> {
    let tables = tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(tables);
    let image = if tables.is_empty() { bytes } else { bytes.strip_prefix(&[0xff, 0xd8]).unwrap_or(bytes) };
    [tables, image].concat()
}
