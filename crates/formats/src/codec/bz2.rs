//! bzip2, as numcodecs writes it: one stream or several.

use bzip2::{Decompress, Status};

use crate::{Error, Result};

/// Decodes into the start of `out`; the answer is how many bytes came out.
pub(crate) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let fail = |why: String| Error::Codec { codec: "bz2", why };
    let (mut input, mut at) = (bytes, 0usize);
    while !input.is_empty() {
        let mut stream = Decompress::new(false);
        loop {
            let (before, room) = (stream.total_in(), out.get_mut(at..).unwrap_or_default());
            let start = stream.total_out();
            let status = stream.decompress(input, room).map_err(|e| fail(e.to_string()))?;
            let taken = usize::try_from(stream.total_in() - before).unwrap_or(usize::MAX);
            let made = usize::try_from(stream.total_out() - start).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();
            at = at.saturating_add(made);
            if status == Status::StreamEnd {
                break;
            }
            if taken == 0 && made == 0 {
                let why = if input.is_empty() {
                    "the stream is cut".to_owned()
                } else {
                    format!("more than {at} bytes come out")
                };
                return Err(fail(why));
            }
        }
    }
    Ok(at)
}
