//! Reads a window of a variable: fetches the chunks that it touches and puts them together.

use std::ops::Range;

use outcrop_store::{ObjectMeta, Store};

use crate::array::{ChunkGrid, ChunkRef};
use crate::decode::Decoder;
use crate::opened::Origin;
use crate::refs::ChunkRefs;
use crate::{Error, Result};

/// Ranges at most this many bytes apart become one request: records of NetCDF-3 lie between those of other variables.
pub(crate) const GAP: u64 = 64 << 10;
/// Stored bytes that are held at once, if more than one chunk is.
const MAX_HELD: u64 = 64 << 20;
/// Largest window, in bytes.
const MAX_WINDOW: u64 = 1 << 36;

/// Reads a window of a variable of a file as one array in C order and native byte order.
///
/// # Errors
/// [`Error::Window`] if it does not lie within the shape, those of [`Decoder`], and the store's.
pub async fn read_variable(
    store: &Store,
    meta: &ObjectMeta,
    refs: &ChunkRefs,
    window: &[Range<u64>],
) -> Result<Vec<u8>> {
    read(&Origin::file(store, meta), refs, window).await
}

pub(crate) async fn read(origin: &Origin, refs: &ChunkRefs, window: &[Range<u64>]) -> Result<Vec<u8>> {
    let mut out = allocate(refs, window)?;
    let mut decoder = Decoder::new(refs)?;
    let size = decoder.chunk_bytes();
    let mut chunk = vec![0; size];
    for batch in batches(&touched(refs, window), size as u64) {
        let chunks: Vec<ChunkRef> = batch.iter().map(|(_, reference)| reference.clone()).collect();
        let fetched = origin.fetch(&chunks, size as u64, GAP).await?;
        for ((index, _), (reference, bytes)) in batch.iter().zip(fetched) {
            decoder.decode(&reference, &bytes, &mut chunk)?;
            copy_overlap(refs, index, &chunk, window, &mut out);
        }
    }
    Ok(out)
}

/// Puts a decoded chunk into the array of a window: the part that lies in both.
///
/// # Errors
/// [`Error::Window`] if the window does not lie within the shape; [`Error::ChunkLength`] if `chunk` or `out` has
/// another size than declared.
pub fn fill_window(refs: &ChunkRefs, index: &[u64], chunk: &[u8], window: &[Range<u64>], out: &mut [u8]) -> Result<()> {
    let elements = |lengths: &mut dyn Iterator<Item = u64>| lengths.fold(refs.dtype.size() as u64, u64::saturating_mul);
    check_window(refs, window)?;
    let want = elements(&mut refs.grid.chunk.iter().copied());
    if chunk.len() as u64 != want || index.len() != window.len() {
        let expected = usize::try_from(want).unwrap_or(usize::MAX);
        return Err(Error::ChunkLength { step: "decoding", expected, actual: chunk.len() });
    }
    let want = elements(&mut window.iter().map(|r| r.end - r.start));
    if out.len() as u64 != want {
        let expected = usize::try_from(want).unwrap_or(usize::MAX);
        return Err(Error::ChunkLength { step: "allocation", expected, actual: out.len() });
    }
    copy_overlap(refs, index, chunk, window, out);
    Ok(())
}

pub(crate) fn check_window(refs: &ChunkRefs, window: &[Range<u64>]) -> Result<()> {
    let shape = &refs.grid.shape;
    let fits = window.len() == shape.len() && window.iter().zip(shape).all(|(w, n)| w.start <= w.end && w.end <= *n);
    if fits {
        return Ok(());
    }
    Err(Error::Window { window: format!("{window:?}"), shape: format!("{shape:?}") })
}

fn allocate(refs: &ChunkRefs, window: &[Range<u64>]) -> Result<Vec<u8>> {
    check_window(refs, window)?;
    let bytes = window.iter().try_fold(refs.dtype.size() as u64, |n, w| n.checked_mul(w.end - w.start));
    let value = bytes.unwrap_or(u64::MAX);
    let limit = || Error::Limit { what: "size of a window in bytes".into(), value, limit: MAX_WINDOW };
    let size = usize::try_from(value).ok().filter(|_| value <= MAX_WINDOW).ok_or_else(limit)?;
    let mut out = Vec::new();
    out.try_reserve_exact(size).map_err(|_| limit())?;
    out.resize(size, 0);
    Ok(out)
}

/// The chunks that a window touches, in C order.
pub(crate) fn touched(refs: &ChunkRefs, window: &[Range<u64>]) -> Vec<(Vec<u64>, ChunkRef)> {
    if window.iter().any(Range::is_empty) {
        return Vec::new();
    }
    let spans: Vec<Range<u64>> =
        window.iter().zip(&refs.grid.chunk).map(|(w, c)| w.start / c..w.end.div_ceil(*c)).collect();
    let mut index: Vec<u64> = spans.iter().map(|span| span.start).collect();
    let mut found = Vec::new();
    loop {
        found.push((index.clone(), refs.get(&index)));
        let mut axis = spans.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return found };
            axis = next;
            index[axis] += 1;
            if index[axis] < spans[axis].end {
                break;
            }
            index[axis] = spans[axis].start;
        }
    }
}

/// Cuts a list of chunks into parts whose stored bytes are few.
pub(crate) fn batches(chunks: &[(Vec<u64>, ChunkRef)], decoded: u64) -> Vec<&[(Vec<u64>, ChunkRef)]> {
    let mut held = 0u64;
    let mut starts = vec![0];
    for (i, (_, reference)) in chunks.iter().enumerate() {
        let bytes = match reference {
            ChunkRef::Range { length, .. } => *length,
            ChunkRef::Object { range: Some(range), .. } => range.end.saturating_sub(range.start),
            ChunkRef::Object { range: None, .. } | ChunkRef::Opaque { .. } => decoded,
            ChunkRef::Inline(_) | ChunkRef::Fill => 0,
        };
        if held > 0 && held.saturating_add(bytes) > MAX_HELD {
            starts.push(i);
            held = 0;
        }
        held = held.saturating_add(bytes);
    }
    starts.push(chunks.len());
    starts.windows(2).filter_map(|pair| chunks.get(pair[0]..pair[1])).collect()
}

/// Copies what lies in a chunk and a window. Lengths were checked by the callers.
fn copy_overlap(refs: &ChunkRefs, index: &[u64], chunk: &[u8], window: &[Range<u64>], out: &mut [u8]) {
    let size = refs.dtype.size();
    runs(&refs.grid, (index, window), |from, to, run| {
        let (from, to, run) = (from * size, to * size, run * size);
        out[to..to + run].copy_from_slice(&chunk[from..from + run]);
    });
}

/// Runs along the innermost axis that lie in a chunk and a window: first element in the chunk, first in the window, and
/// their number.
pub(crate) fn runs(
    grid: &ChunkGrid,
    (index, window): (&[u64], &[Range<u64>]),
    mut each: impl FnMut(usize, usize, usize),
) {
    let starts: Vec<u64> = index.iter().zip(&grid.chunk).map(|(i, c)| i.saturating_mul(*c)).collect();
    let overlap: Vec<Range<u64>> = (0..window.len())
        .map(|a| window[a].start.max(starts[a])..window[a].end.min(starts[a].saturating_add(grid.chunk[a])))
        .collect();
    if overlap.iter().any(Range::is_empty) && !overlap.is_empty() {
        return;
    }
    let Some((last, outer)) = overlap.split_last() else {
        each(0, 0, 1);
        return;
    };
    let run = to_usize(last.end - last.start);
    let mut at: Vec<u64> = overlap.iter().map(|o| o.start).collect();
    loop {
        let mut from = 0u64;
        let mut to = 0u64;
        for axis in 0..at.len() {
            from = from * grid.chunk[axis] + (at[axis] - starts[axis]);
            to = to * (window[axis].end - window[axis].start) + (at[axis] - window[axis].start);
        }
        each(to_usize(from), to_usize(to), run);
        let mut axis = outer.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return };
            axis = next;
            at[axis] += 1;
            if at[axis] < outer[axis].end {
                break;
            }
            at[axis] = outer[axis].start;
        }
    }
}

/// Positions within allocated arrays always fit.
fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
