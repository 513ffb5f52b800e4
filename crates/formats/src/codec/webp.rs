//! WebP: lossy or lossless, RGB or RGBA.

use std::io::Cursor;

use crate::{Error, Result};

/// Decodes a picture of `samples` bands into `out`, and says how many bytes came out.
pub(crate) fn decode(bytes: &[u8], (columns, rows, samples): (usize, usize, usize), out: &mut [u8]) -> Result<usize> {
    let fail = |why: String| Error::Codec { codec: "webp", why };
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(|e| fail(e.to_string()))?;
    decoder.set_memory_limit(out.len().saturating_mul(4).saturating_add(1 << 20));
    let (width, height) = decoder.dimensions();
    let fits = usize::try_from(width).is_ok_and(|n| n == columns) && usize::try_from(height).is_ok_and(|n| n <= rows);
    let stored = if decoder.has_alpha() { 4 } else { 3 };
    let size = decoder.output_buffer_size().unwrap_or(usize::MAX);
    let cells = size / stored;
    let widened = stored == 3 && samples == 4;
    if !fits || !(stored == samples || widened) || cells.saturating_mul(samples) > out.len() {
        let want = format!("{columns} by {rows} of {samples} were expected");
        return Err(fail(format!("it is {width} by {height} cells of {stored} bytes, {want}")));
    }
    if !widened {
        decoder.read_image(&mut out[..size]).map_err(|e| fail(e.to_string()))?;
        return Ok(size);
    }
    // A tile without any transparent cell may be stored without its alpha.
    let mut held = vec![0; size];
    decoder.read_image(&mut held).map_err(|e| fail(e.to_string()))?;
    for (cell, colour) in out.as_chunks_mut::<4>().0.iter_mut().zip(held.as_chunks::<3>().0) {
        *cell = [colour[0], colour[1], colour[2], 255];
    }
    Ok(cells * 4)
}
