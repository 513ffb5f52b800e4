//! From a recipe to items to a catalog; search over catalogs.
//!
//! [`build`] makes the catalog of an archive as a [`Recipe`] says, [`describe`] tells what a catalog holds, [`search`]
//! streams the items that are wanted. Not here: copies of assets (crate fetcher).

mod build;
mod describe;
mod error;
mod extent;
mod harvest;
mod header;
mod index;
mod item;
mod length;
mod portrait;
pub mod recipe;
mod search;
mod validate;

pub use build::{BuildOptions, BuildReport, Failed, Renewal, build};
pub use describe::{AssetCount, Branch, Description, describe};
pub use error::{Error, Result};
pub use harvest::{HarvestOptions, HarvestReport, harvest};
pub use header::{Survey, survey};
pub use index::{IndexOptions, IndexReport, index, index_path};
pub use portrait::portrait;
pub use recipe::Recipe;
pub use search::{
    CollectionSearch, Cql, Direction, Fields, Found, Order, SearchOptions, SortKey, Source, Tally, Told, collections,
    search, search_raw,
};
pub use validate::{MigrateReport, Part, Schemas, Validity, migrate_in_place, migrate_items, parts, validate};
