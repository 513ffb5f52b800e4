//! miniSEED 2 and 3: seismic samples in records that each say whose they are and when.
//!
//! The file is walked from record to record (`scan`); records that continue each other become segments (`segment`),
//! and each segment a variable (`lower`). Samples are decoded when they are wanted (`decode`). Formats:
//! <https://docs.fdsn.org/projects/miniseed3> and the SEED manual 2.4, chapter 8 and appendix B.

mod decode;
mod lower;
mod record;
mod scan;
mod segment;
mod steim;
mod version2;
mod version3;
mod write;

pub(crate) use record::{Rate, is_record};
pub(crate) use scan::Scan;
pub(crate) use segment::Segment;
pub use write::{Encoding, Samples, SegmentSpec, Version, WriteOptions, Writer};
