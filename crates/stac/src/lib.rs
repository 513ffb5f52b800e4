//! STAC documents: layouts, reading, walking and writing static catalogs.
//!
//! Documents keep their JSON as it was ([`Document`]); at the edge of an API they become the types of the published
//! `stac` crate ([`model`]). Not here: search (crate catalog) and copies of assets (crate fetcher).
//! Specification: <https://github.com/radiantearth/stac-spec/tree/v1.1.0>.

pub mod api;
mod document;
mod error;
mod features;
mod geometry;
pub mod geoparquet;
mod item;
mod layout;
mod links;
mod migrate;
mod portrait;
mod published;
mod read;
mod tokens;
mod unsigned;
pub mod validate;
mod walk;
mod write;

pub use stac as model;

pub use document::{Body, Document, Kind, LinkRef, portable};
pub use error::{Error, Result};
pub use features::{SplitError, Splitter};
pub use geometry::{Heights, Position, Shape, ShapeKind};
pub use item::{Numbers, RawItem};
pub use layout::Layout;
pub use links::parse_catalog;
pub use migrate::{VERSION, migrate};
pub use portrait::Portrait;
pub use published::{Published, document_href};
pub use read::{Loaded, load, loaded, parse, read};
pub use unsigned::unsigned;
pub use walk::{Ancestor, Ancestors, Enter, Node, RawNode, WalkOptions, walk, walk_from, walk_into};
pub use write::{TreeWriter, WriteOptions, Written};
