//! Codecs of chunks, one file each. Each is given the declared size of its output and stops there.

pub(crate) mod deflate;
pub(crate) mod fletcher32;
pub(crate) mod order;
pub(crate) mod shuffle;
