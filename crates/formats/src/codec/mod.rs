//! Codecs of chunks, one file each. Each is given a buffer of the declared size of its output and stops there.

pub(crate) mod bits;
pub(crate) mod bitshuffle;
pub(crate) mod blosc;
pub(crate) mod bz2;
pub(crate) mod checksum;
pub(crate) mod crc32c;
pub(crate) mod deflate;
pub(crate) mod fletcher32;
pub(crate) mod hdf5;
pub(crate) mod jpeg;
pub(crate) mod lerc;
pub(crate) mod lz4;
pub(crate) mod lzf;
pub(crate) mod lzma;
pub(crate) mod lzw;
pub(crate) mod numbers;
pub(crate) mod order;
pub(crate) mod packbits;
pub(crate) mod padding;
pub(crate) mod predictor;
pub(crate) mod samples;
pub(crate) mod shuffle;
pub(crate) mod transpose;
pub(crate) mod vlen_utf8;
pub(crate) mod webp;
pub(crate) mod zstd;
