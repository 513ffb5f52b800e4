//! Texts of any form as the new file holds them: characters along one more dimension in NetCDF (CF, section 2.2); in Zarr,
//! UTF-32 of fixed length while all are short, else UTF-8 of any length.

use std::ops::Range;

use super::plan::Values;
use super::{NewVariable, Target};
use crate::array::{AttrValue, DType, Variable};
use crate::layout::virtual_elements;
use crate::{Error, Opened, Result, texts};

/// Longest text of an array, in bytes or characters: all others take as much.
const LONGEST: usize = 1 << 16;
/// Most bytes of the texts of a variable.
const MOST: u64 = 256 << 20;
/// Longest text, in characters, that others are made as long as in Zarr.
const SHORT: usize = 64;
/// Longest text of any length, and most bytes of a chunk of them.
const LONGEST_VLEN: u64 = 32 << 20;

/// Makes a variable of texts one of the target's; its values, in C order.
pub(super) fn give(
    opened: &Opened,
    (from, window): (&Variable, &[Range<u64>]),
    new: &mut NewVariable,
    target: &Target,
) -> Result<Values> {
    let runtime = opened.origin.store().runtime().clone();
    let texts = if from.dtype == DType::Char {
        // The last dimension is that of the characters, as in xarray.
        let length = new.shape.pop().unwrap_or(1);
        drop((new.dims.pop(), new.chunk.pop()));
        let whole = DType::Text(usize::try_from(length).unwrap_or(usize::MAX));
        let refs = runtime.block_on(opened.locate(from))?;
        let bytes = runtime.block_on(opened.read(&refs, window))?;
        // Of no characters there are texts too.
        let empty = || vec![String::new(); usize::try_from(new.shape.iter().product::<u64>()).unwrap_or(usize::MAX)];
        match texts::fixed(whole, &bytes, &from.name).filter(|_| length > 0) {
            Some(texts) => texts?,
            None => empty(),
        }
    } else {
        runtime.block_on(opened.read_texts(from, window))?
    };
    new.attrs.retain(|name, _| !matches!(name.as_str(), "_FillValue" | "missing_value" | "_Encoding"));
    let wide = matches!(target, Target::Zarr { .. });
    let length = |text: &String| if wide { text.chars().count() } else { text.len() };
    let longest = texts.iter().map(length).max().unwrap_or_default().max(1);
    if wide && (longest > SHORT || texts.len().saturating_mul(4 * longest) as u64 > MOST) {
        return of_any_length(new, texts).map(Values::Texts);
    }
    spread(new, &texts, (longest, wide)).map(Values::Given)
}

/// Texts as they are, in chunks that are not too large.
fn of_any_length(new: &mut NewVariable, texts: Vec<String>) -> Result<Vec<String>> {
    let longest = texts.iter().map(String::len).max().unwrap_or_default();
    if longest as u64 > LONGEST_VLEN {
        let what = format!("length of a text of `{}` in bytes", new.name);
        return Err(Error::Limit { what, value: longest as u64, limit: LONGEST_VLEN });
    }
    let bytes = new.chunk.iter().fold(longest as u64 + 4, |n, len| n.saturating_mul(*len));
    if bytes > LONGEST_VLEN {
        new.chunk = virtual_elements(&new.shape, longest + 4).chunk;
    }
    (new.dtype, new.fill) = (DType::VlenUtf8, Vec::new());
    Ok(texts)
}

fn spread(new: &mut NewVariable, texts: &[String], (longest, wide): (usize, bool)) -> Result<Vec<u8>> {
    if longest > LONGEST {
        let what = format!("length of a text of `{}`", new.name);
        return Err(Error::Limit { what, value: longest as u64, limit: LONGEST as u64 });
    }
    let size = longest * if wide { 4 } else { 1 };
    if texts.len().saturating_mul(size) as u64 > MOST {
        let (value, limit) = (texts.len().saturating_mul(size) as u64, MOST);
        return Err(Error::Limit { what: format!("size of the texts of `{}` in bytes", new.name), value, limit });
    }
    let mut bytes = Vec::with_capacity(texts.len() * size);
    for text in texts {
        let end = bytes.len() + size;
        if wide {
            bytes.extend(text.chars().flat_map(|c| u32::from(c).to_ne_bytes()));
        } else {
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.resize(end, 0);
    }
    if wide {
        (new.dtype, new.fill) = (DType::Unicode(longest), vec![0; size]);
        return Ok(bytes);
    }
    (new.dtype, new.fill) = (DType::Char, vec![0]);
    new.dims.push(format!("string{longest}"));
    new.shape.push(longest as u64);
    new.chunk.push(longest as u64);
    new.attrs.insert("_Encoding".into(), AttrValue::Text("utf-8".into()));
    Ok(bytes)
}
