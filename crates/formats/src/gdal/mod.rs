//! What only GDAL reads: JPEG 2000, GRIB, HDF4, ENVI, PNG with a world file and more (feature `gdal`, the system's
//! libgdal).
//!
//! Its chunks are no byte ranges: [`ChunkRef::Opaque`] is a window of whole blocks that GDAL reads on the blocking pool,
//! so they are neither saved as references nor cut by bytes. GDAL is asked last, for what no reader of this crate knows,
//! or first where the caller says so. Drivers: <https://gdal.org/en/stable/drivers/raster/>.

#[cfg(not(feature = "gdal"))]
mod absent;
#[cfg(feature = "gdal")]
mod drivers;
#[cfg(feature = "gdal")]
mod element;
#[cfg(feature = "gdal")]
mod facts;
#[cfg(feature = "gdal")]
mod library;
#[cfg(feature = "gdal")]
mod lower;
#[cfg(feature = "gdal")]
mod source;

use std::sync::Arc;

use crate::array::{ChunkGrid, ChunkRef, Format};
use crate::{Error, Opened, Result};

#[cfg(not(feature = "gdal"))]
pub(crate) use absent::Source;
#[cfg(feature = "gdal")]
pub(crate) use source::Source;

/// What is said of a format that GDAL reads where this program cannot.
pub(crate) const HINT: &str =
    if cfg!(feature = "gdal") { "" } else { " (GDAL reads it: build with `--features gdal`)" };

/// The same of what no signature tells.
pub(crate) const MAYBE: &str =
    if cfg!(feature = "gdal") { "" } else { " (GDAL may read it: build with `--features gdal`)" };

/// A name for the first bytes of what GDAL reads.
pub(crate) fn looks_like(head: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 16] = [
        (b"GRIB", "a GRIB message"),
        (b"\x0e\x03\x13\x01", "an HDF4 file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"NITF0", "a NITF image"),
        (b"EHFA_HEADER_TAG", "an Erdas Imagine image"),
        (b"SIMPLE  =", "a FITS image"),
        (b"ncols", "an Arc/Info ASCII grid"),
        (b"NCOLS", "an Arc/Info ASCII grid"),
        (b"DSAA", "a Surfer grid"),
        (b"DSBB", "a Surfer grid"),
        (b"DSRB", "a Surfer grid"),
        (b"<VRTDataset", "a VRT, which names other files: it takes `--gdal`"),
    ];
    KNOWN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}

/// Which drivers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those whose data lie in the file itself or in files beside it that have its name.
    Contained,
    /// All that need no network, also those whose files name others; of a remote file as [`Scope::Contained`].
    All,
}

/// An array of a file that GDAL opened.
#[derive(Debug, Clone)]
pub(crate) struct OpaqueArray {
    pub(crate) driver: Arc<str>,
    /// Which of [`Source`]'s arrays.
    pub(crate) array: usize,
}

impl OpaqueArray {
    /// The chunk at this position of the grid, without what lies beyond the shape.
    pub(crate) fn chunk(&self, grid: &ChunkGrid, index: &[u64]) -> ChunkRef {
        let window = index.iter().zip(&grid.chunk).zip(&grid.shape).map(|((i, chunk), len)| {
            let start = i.saturating_mul(*chunk).min(*len);
            start..start.saturating_add(*chunk).min(*len)
        });
        ChunkRef::Opaque { driver: Arc::clone(&self.driver), array: self.array, window: window.collect() }
    }
}

/// Refuses references to what only GDAL reads.
///
/// # Errors
/// [`Error::Unsupported`] for a file that GDAL opened.
pub fn check_references(opened: &Opened) -> Result<()> {
    if opened.meta.format == Format::Gdal {
        let what = "saving references of what only GDAL reads, because its chunks are no ranges of bytes (convert it),";
        return Err(Error::unsupported(opened.origin.href().to_string(), what));
    }
    Ok(())
}

/// Puts the elements of a window at the start of each row of a whole chunk; what lies beyond the shape becomes 0.
pub(crate) fn spread((window, chunk): (&[u64], &[u64]), size: usize, values: &[u8], out: &mut [u8]) {
    let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (Some((run, outer)), Some((row, rows))) = (window.split_last(), chunk.split_last()) else {
        out.copy_from_slice(values);
        return;
    };
    let (run, row) = (place(*run).saturating_mul(size), place(*row).saturating_mul(size));
    if run == 0 || row == 0 {
        out.fill(0);
        return;
    }
    let mut values = values.chunks_exact(run);
    for (at, out) in out.chunks_exact_mut(row).enumerate() {
        let position = crate::layout::position(at as u64, rows);
        let inside = position.iter().zip(outer).all(|(at, len)| at < len);
        match inside.then(|| values.next()).flatten() {
            Some(values) => {
                out[..run].copy_from_slice(values);
                out[run..].fill(0);
            }
            None => out.fill(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_at_the_edge_is_cut_and_spread() {
        let grid = ChunkGrid { shape: vec![1, 3, 5], chunk: vec![1, 2, 4] };
        let array = OpaqueArray { driver: "PNG".into(), array: 0 };
        let ChunkRef::Opaque { window, .. } = array.chunk(&grid, &[0, 1, 1]) else { panic!("it is opaque") };
        assert_eq!(window, [0..1, 2..3, 4..5]);
        let mut out = [9; 8];
        spread((&[1, 1, 1], &[1, 2, 4]), 1, &[7], &mut out);
        assert_eq!(out, [7, 0, 0, 0, 0, 0, 0, 0]);
        let mut out = [9; 8];
        spread((&[1, 2, 3], &[1, 2, 4]), 1, &[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [1, 2, 3, 0, 4, 5, 6, 0]);
        let mut out = [9; 12];
        spread((&[2, 1, 2], &[2, 2, 3]), 1, &[1, 2, 3, 4], &mut out);
        assert_eq!(out, [1, 2, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0]);
    }
}
