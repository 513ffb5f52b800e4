//! HDF5 and NetCDF-4: header and chunk indexes, as pure parsers over the bytes at hand.
//!
//! Messages, heaps and trees are parsed by the crate `hdf5-reader`; the walk over the objects of a file, its limits,
//! the lowering to variables and the chunk index of version 1 are here. External files are never opened.
//! Format: <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.

mod attrs;
mod btree1;
mod dataset;
mod datatype;
mod dims;
mod heap;
mod index;
mod member;
mod messages;
mod object;
mod storage;
mod walk;

pub(crate) use heap::Texts;
pub(crate) use index::{ChunkIndex, IndexWalk};
pub(crate) use walk::OpenWalk;
