//! Turns an href into bytes and bytes into an object, wherever they live.
//!
//! One handle, [`Store`], reads whole objects, byte ranges and listings of local files, HTTP(S) archives and object
//! stores (S3, Google Cloud Storage, Azure Blob Storage), and writes objects there, on WebDAV servers and on the disk, whole
//! or not at all. It knows nothing of file formats: a parser says which bytes it needs ([`Demand`]) and [`Store::drive`]
//! brings them.

mod bucket;
mod coalesce;
mod credentials;
mod demand;
mod doctor;
mod environment;
mod error;
mod folder;
mod href;
mod http;
mod listing;
mod local;
mod name;
pub mod progress;
pub mod publish;
mod rate;
mod redirect;
mod request;
mod retry;
mod sniff;
mod store;
mod stream;
#[cfg(test)]
mod testing;
mod voice;
mod write;

pub use coalesce::coalesce;
pub use demand::{Demand, DriveError, Sparse, Step};
pub use doctor::Diagnosis;
pub use environment::Environment;
pub use error::{Error, Result};
pub use folder::{OpenFolder, Opening};
pub use href::Href;
pub use listing::{Entry, EntryKind, parse as parse_listing};
pub use name::{safe_name, twin_key};
pub use request::Request;
pub use store::{ObjectMeta, Stats, Store, StoreOptions};
pub use stream::Streamed;
pub use voice::Voice;
pub use write::{Tag, Upload};
