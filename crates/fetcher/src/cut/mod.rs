//! Parts of assets: only what a box, an interval, variables and bands touch, written as new files.
//!
//! The work on bytes is in crate formats (`convert`). Not here: what a header says of an item (crate catalog), which
//! comes as a [`Describe`].

mod bands;
mod narrow;
mod run;
mod samples;
mod window;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::Portrait;
use outcrop_store::{Href, Store};

use crate::{Error, Result};
pub(crate) use narrow::{names, narrow};
pub(crate) use run::{Task, cut};

/// What vouches for a part: it was made here.
pub(crate) const VERIFIED: &str = "cut";

/// What is kept of each asset; all of what is not named.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Cells whose centres lie in this box.
    pub bbox: Option<BBox>,
    /// Positions in time within this interval, inclusive.
    pub interval: Option<Interval>,
    /// Names of variables; coordinates and grid mappings come with them. Images have none to choose.
    pub variables: Vec<String>,
    /// Numbers (from 1) or names of bands of images, which must be neighbours.
    pub bands: Vec<String>,
    /// Tells what the headers of the new files say of their item.
    pub describe: Describe,
}

/// A failure of who describes.
type Failed = Box<dyn std::error::Error + Send + Sync>;
/// Who describes: the files in, what they say out.
type Ask = dyn Fn(Store, Vec<Href>) -> BoxFuture<'static, std::result::Result<Portrait, Failed>> + Send + Sync;

/// Who is asked what the headers of new files say of their item.
#[derive(Clone)]
pub struct Describe(Arc<Ask>);

impl fmt::Debug for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Describe")
    }
}

impl Describe {
    /// Asks `f`, which is given the files in the order of their assets.
    pub fn new(
        f: impl Fn(Store, Vec<Href>) -> BoxFuture<'static, std::result::Result<Portrait, Failed>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(f))
    }

    pub(crate) async fn ask(&self, store: &Store, item: &str, files: Vec<Href>) -> Result<Portrait> {
        let failed = |source| Error::Portrait { item: item.to_owned(), source };
        (self.0)(store.clone(), files).await.map_err(failed)
    }
}

impl Cut {
    /// True if nothing is chosen.
    pub fn is_whole(&self) -> bool {
        self.bbox.is_none() && self.interval.is_none() && self.variables.is_empty() && self.bands.is_empty()
    }

    /// What tells it from any other cut.
    pub(crate) fn identity(&self) -> String {
        let mut parts = vec![VERIFIED.to_owned()];
        parts.extend(self.bbox.map(|bbox| format!("bbox={:?}", bbox.to_array())));
        let side = |time: Option<_>| time.as_ref().map_or("..".to_owned(), outcrop_grid::time::rfc3339);
        parts.extend(self.interval.map(|interval| format!("datetime={}/{}", side(interval.start), side(interval.end))));
        let lists = [("variables", &self.variables), ("bands", &self.bands)];
        parts.extend(lists.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| format!("{name}={list:?}")));
        parts.join(" ")
    }
}

/// A format that parts are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cog,
    NetCdf,
    Zarr,
    MiniSeed,
}

impl Kind {
    /// The format for parts of a file, by its name, else by its media type.
    pub(crate) fn of(name: &str, media_type: &str) -> std::result::Result<Self, String> {
        let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
        let media = media_type.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| media.contains(word));
        match end.as_str() {
            "tif" | "tiff" | "gtiff" | "cog" => Ok(Self::Cog),
            "nc" | "nc3" | "nc4" | "cdf" | "h5" | "hdf5" | "he5" => Ok(Self::NetCdf),
            "zarr" => Ok(Self::Zarr),
            "mseed" | "miniseed" | "msd" | "ms" | "mseed3" | "ms3" => Ok(Self::MiniSeed),
            _ if says(&["mseed", "miniseed"]) => Ok(Self::MiniSeed),
            _ if says(&["tiff"]) => Ok(Self::Cog),
            _ if says(&["netcdf", "hdf"]) => Ok(Self::NetCdf),
            _ if says(&["zarr"]) => Ok(Self::Zarr),
            _ => Err(format!(
                "neither its name `{name}` nor its media type tells one of GeoTIFF, NetCDF, HDF5, Zarr and miniSEED; fetch it whole (without --cut)"
            )),
        }
    }

    /// The name of a part of a file: its stem, and the end of the format.
    pub(crate) fn rename(self, name: &str) -> String {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
        let end = match self {
            Self::Cog => "tif",
            Self::NetCdf => "nc",
            Self::Zarr => "zarr",
            // Its names end in many ways, or in none.
            Self::MiniSeed => return name.to_owned(),
        };
        format!("{stem}.{end}")
    }
}

/// Bytes of a file, or of all files of a folder; 0 where they cannot be looked at.
pub(crate) fn bytes_of(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| bytes_of(&entry.path())).sum(),
        Err(_) => std::fs::metadata(path).map(|meta| meta.len()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_after_the_format_that_is_written() {
        let name = |name: &str, media: &str| Kind::of(name, media).map(|kind| kind.rename(name));
        for (from, media, to) in [
            ("a.TIFF", "", "a.tif"),
            ("a.b.h5", "", "a.b.nc"),
            ("a.zarr", "", "a.zarr"),
            ("a", "application/x-netcdf", "a.nc"),
            (".tif", "", ".tif.tif"),
        ] {
            assert_eq!(name(from, media).unwrap(), to);
        }
        assert_eq!(name("NL.HGN..BHZ.D.2020.001", "application/vnd.fdsn.mseed").unwrap(), "NL.HGN..BHZ.D.2020.001");
        assert!(name("a.pdf", "application/pdf").unwrap_err().contains("without --cut"));
    }
}
