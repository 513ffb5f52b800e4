//! What is known of the bytes of an asset, and whether they are those.
//!
//! Digests of a catalog are multihashes (`file:checksum` of the STAC extension file 2.1.0); those of servers come in
//! headers (`server`). Not here: lengths, which the transfer counts.

mod algorithm;
mod multihash;
mod server;

pub use algorithm::Algorithm;
pub(crate) use algorithm::Hasher;
pub use multihash::Checksum;
pub(crate) use server::{Promise, promises};

/// What vouches for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Its digest is the one that the catalog or the server tells.
    ByDigest(Algorithm),
    /// Its size is the one that the catalog or the server tells; of its contents nothing is known.
    BySize,
    /// Nothing is known.
    Unverified,
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByDigest(algorithm) => write!(f, "{algorithm}"),
            Self::BySize => f.write_str("size"),
            Self::Unverified => f.write_str("unverified"),
        }
    }
}
