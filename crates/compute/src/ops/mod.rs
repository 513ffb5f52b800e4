//! Operations on values one by one, with the results and types of NumPy's universal functions.

mod binary;
mod number;
mod unary;

pub use binary::BinaryOp;
pub use unary::UnaryOp;

use std::ops::Range;

use crate::Block;
use crate::block::Element;

/// Some values of a block, or one value that stands for all.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Part(&'a Block, Range<usize>),
    Own(Block),
}

impl Piece<'_> {
    /// The values, of their type; one value stands for all.
    pub(crate) fn values<T: Element>(&self) -> &[T] {
        match self {
            Self::Part(block, range) => T::of(block).and_then(|values| values.get(range.clone())).unwrap_or_default(),
            Self::Own(block) => T::of(block).unwrap_or_default(),
        }
    }

    pub(crate) fn dtype(&self) -> crate::DType {
        match self {
            Self::Part(block, _) => block.dtype(),
            Self::Own(block) => block.dtype(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Part(_, range) => range.len(),
            Self::Own(block) => block.len(),
        }
    }

    /// As another type.
    pub(crate) fn cast(self, dtype: crate::DType) -> Self {
        match self {
            Self::Part(block, range) => Self::Own(block.cast_part(range, dtype)),
            Self::Own(block) => Self::Own(block.into_dtype(dtype)),
        }
    }

    /// As a block of so many values.
    pub(crate) fn into_block(self, len: usize) -> Block {
        match self {
            Self::Part(block, range) if range.len() == len => block.slice(range),
            Self::Own(block) if block.len() == len => block,
            Self::Part(block, range) => Block::repeat(&block.slice(range), len),
            Self::Own(block) => Block::repeat(&block, len),
        }
    }
}

/// Values of two pieces put together; one value stands for all.
fn zip<T: Element, U: Element>(a: &[T], b: &[T], f: impl Fn(T, T) -> U) -> Block {
    U::block(match (a, b) {
        ([a], b) => b.iter().map(|b| f(*a, *b)).collect(),
        (a, [b]) => a.iter().map(|a| f(*a, *b)).collect(),
        (a, b) => a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect(),
    })
}

/// `yes` where `condition` is true, else `no`; all of one type.
pub(crate) fn choose(condition: &Piece<'_>, yes: &Piece<'_>, no: &Piece<'_>) -> Block {
    fn of<T: Element>(condition: &[bool], yes: &[T], no: &[T]) -> Block {
        let at = |values: &[T], i: usize| if let [one] = values { *one } else { values[i] };
        let len = condition.len().max(yes.len()).max(no.len());
        if let [only] = condition {
            let values = if *only { yes } else { no };
            return T::block((0..len).map(|i| at(values, i)).collect());
        }
        T::block(condition.iter().enumerate().map(|(i, c)| if *c { at(yes, i) } else { at(no, i) }).collect())
    }
    crate::block::each_type!(yes.dtype(), T => of::<T>(condition.values(), yes.values(), no.values()))
}
