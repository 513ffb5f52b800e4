//! The same for all types of real numbers.

use super::lanes::Summand;
use crate::Block;

/// Something that is done to values of a real type.
pub(super) trait OnReal {
    fn run<T: Summand>(self, values: &[T]);
    fn count_complex(self, block: &Block);
}

pub(super) fn each_real(block: &Block, work: impl OnReal) {
    match block {
        Block::Bool(v) => work.run(v),
        Block::Int8(v) => work.run(v),
        Block::Int16(v) => work.run(v),
        Block::Int32(v) => work.run(v),
        Block::Int64(v) => work.run(v),
        Block::UInt8(v) => work.run(v),
        Block::UInt16(v) => work.run(v),
        Block::UInt32(v) => work.run(v),
        Block::UInt64(v) => work.run(v),
        Block::Float32(v) => work.run(v),
        Block::Float64(v) => work.run(v),
        Block::Complex64(_) | Block::Complex128(_) => work.count_complex(block),
    }
}
