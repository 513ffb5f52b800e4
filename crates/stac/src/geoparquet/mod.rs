//! stac-geoparquet 1.1: items as the rows of a Parquet file, written in one pass with flat memory, searched by groups of
//! rows. <https://github.com/radiantearth/stac-geoparquet-spec>.
//!
//! Properties are columns; geometry is WKB; boxes, links and assets are structures; times are timestamps. What columns cannot
//! tell apart is lost: a null of a property is a property that is absent (`datetime` is always given out), and a number that
//! is whole in one item and not in another is a float in both. Pages are read and written by the crate `parquet`.

mod base;
mod column;
mod footer;
mod group;
mod held;
mod kind;
mod layout;
mod leaves;
mod observe;
mod outline;
mod plain;
mod read;
mod rows;
mod shred;
mod write;

pub use group::Group;
pub use outline::{Outline, Outlined};
pub use plain::{Cell, plain_rows};
pub use read::{Selection, Table};
pub use write::{TableWriter, Written};

/// Fields of an item that have a column of their own.
const OWN: [&str; 9] =
    ["type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"];
/// Properties that are timestamps.
const TIMES: [&str; 8] =
    ["datetime", "start_datetime", "end_datetime", "created", "updated", "published", "expires", "unpublished"];
/// Key of the file's metadata: what is known of each group of rows.
const GROUPS: &str = "outcrop:groups";
/// Key of the file's metadata: columns that are fields of the item, not properties.
const FOREIGN: &str = "outcrop:fields";
