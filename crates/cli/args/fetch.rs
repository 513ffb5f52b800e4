//! Arguments of `fetch`.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use outcrop_fetcher::Algorithm;

use super::Selection;

/// What happens when two files of an item have one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Conflict {
    /// The second is an error; nothing of it is read.
    #[default]
    Error,
    /// The second has the key of its asset in its name.
    Suffix,
}

#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  \
    outcrop fetch daymet --asset tmin,tmax --ids pr-1980 --to local\n  \
    outcrop fetch https://host/stac --collections s2 --datetime 2024-06 --asset 'B0*' --to s2\n  \
    outcrop fetch daymet --role data --datetime 1980/1981 --to local --dry-run\n  \
    outcrop fetch daymet --asset tmin,tmax --ids pr-1980 --to local --retry-failed\n  \
    outcrop fetch daymet --asset tmin --bbox=-67,18,-66,19 --datetime 1980-01/1980-03 --to part --cut\n  \
    outcrop fetch s2 --asset-filter 'gsd <= 20' --to local --limit-rate 10MB\n  \
    outcrop fetch daymet --asset tmin --to s3://bucket/daymet\n  \
    outcrop fetch local --verify")]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of a command line")]
pub(crate) struct FetchArgs {
    /// Catalog, collection, item, file of items or STAC API; CATALOG#ID names one item.
    pub(crate) source: String,
    /// Keys of the assets to copy; * stands for any characters, ? for one.
    #[arg(long = "asset", value_name = "KEY", value_delimiter = ',')]
    pub(crate) assets: Vec<String>,
    /// Only assets with one of these roles: data, thumbnail, metadata ...
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// Only assets of one of these media types: image/tiff, 'image/*' ...
    #[arg(long = "media-type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) media_types: Vec<String>,
    /// Only assets that this CQL2 text holds for: its own fields, then the properties of its item, and `key`.
    #[arg(long, value_name = "CQL2")]
    pub(crate) asset_filter: Option<String>,
    /// Where the copies and the new catalog go: a folder, or a URL of s3, gs, az or a WebDAV server.
    #[arg(long, value_name = "HREF", required_unless_present_any = ["in_place", "verify"])]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Keep only the part of each asset that --bbox and --datetime touch, as a new COG, NetCDF-4, Zarr or miniSEED file.
    #[arg(long, conflicts_with_all = ["in_place", "verify"])]
    pub(crate) cut: bool,
    /// With --cut: variables to keep, with their coordinates; images have none.
    #[arg(long = "variable", value_name = "NAME", value_delimiter = ',', requires = "cut")]
    pub(crate) variables: Vec<String>,
    /// With --cut: bands of images to keep, by number (from 1) or name; they must be neighbours.
    #[arg(long = "band", value_name = "N|NAME", value_delimiter = ',', requires = "cut")]
    pub(crate) bands: Vec<String>,
    /// Rewrite the hrefs of the source catalog instead of writing a new one.
    #[arg(long)]
    pub(crate) in_place: bool,
    /// Files copied at once.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) jobs: usize,
    /// Most bytes in a second of all transfers together, like 500kB or 10MB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) limit_rate: Option<String>,
    /// Say what would be copied, copy nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Try again only what the ledger in the folder calls failed.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) retry_failed: bool,
    /// Hold the local files of the source against the sizes and digests of their items; copy nothing.
    #[arg(long, conflicts_with_all = ["to", "in_place", "assets", "roles", "media_types", "asset_filter", "dry_run", "retry_failed"])]
    pub(crate) verify: bool,
    /// Digest of copies whose catalog tells none, for `file:checksum`: blake3, sha2-256, sha2-512, sha3-256, md5 ... or none.
    #[arg(long, value_name = "NAME", default_value = "blake3")]
    pub(crate) checksum: Digest,
    /// What to do when two files of an item have one name.
    #[arg(long, value_enum, default_value = "error")]
    pub(crate) on_conflict: Conflict,
    /// Begin although the sizes that the items tell are more than the disk has free.
    #[arg(long)]
    pub(crate) ignore_space: bool,
    /// Let a catalog of the internet lead to addresses that are not public.
    #[arg(long)]
    pub(crate) allow_private: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop doctor https://host/archive/file.nc\n  \
    outcrop doctor s3://bucket/key.tif --json")]
pub(crate) struct DoctorArgs {
    /// An object of the host: a URL of http(s), s3, gs, az or abfs(s), or an alias of the config file.
    pub(crate) href: String,
}

/// A digest, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) Option<Algorithm>);

impl Default for Digest {
    fn default() -> Self {
        Self(Some(Algorithm::Blake3))
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|algorithm| Self(Some(algorithm))) }
    }
}
