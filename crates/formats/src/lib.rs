//! Readers and writers of array files, all lowered to chunk references.

pub mod array;
