//! Copies parts of arrays between layouts.

use crate::Block;
use crate::block::{Element, each};

/// Where the cells of a part lie: the first one, and how far the next one along each dimension is.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) offset: isize,
    pub(crate) strides: Vec<isize>,
}

impl Layout {
    /// Cells of an array in C order, from its first on.
    pub(crate) fn of(shape: &[usize]) -> Self {
        let mut strides = vec![1isize; shape.len()];
        for d in (1..shape.len()).rev() {
            strides[d - 1] = strides[d].saturating_mul(signed(shape[d]));
        }
        Self { offset: 0, strides }
    }

    /// The same from another position on.
    pub(crate) fn at(mut self, position: impl IntoIterator<Item = usize>) -> Self {
        self.offset += position.into_iter().zip(&self.strides).map(|(p, s)| signed(p) * s).sum::<isize>();
        self
    }
}

pub(crate) fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

fn unsigned(n: isize) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A run of cells: where it begins in both layouts, its length, and the distance of its cells in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    from: isize,
    to: isize,
    len: usize,
    from_step: isize,
    to_step: isize,
}

/// Goes through the cells of a part in C order, in runs as long as both layouts allow.
fn walk(part: &[usize], from: &Layout, to: &Layout, mut f: impl FnMut(Run)) {
    if part.contains(&0) {
        return;
    }
    let Some(last) = part.len().checked_sub(1) else {
        f(Run { from: from.offset, to: to.offset, len: 1, from_step: 1, to_step: 1 });
        return;
    };
    let (from_step, to_step) = (from.strides[last], to.strides[last]);
    let (mut len, mut outer) = (part[last], last);
    while outer > 0 {
        let d = outer - 1;
        let joins = |layout: &Layout, step: isize| layout.strides[d] == step.saturating_mul(signed(len));
        if part[d] != 1 && !(joins(from, from_step) && joins(to, to_step)) {
            break;
        }
        len *= part[d];
        outer = d;
    }
    let mut at = vec![0usize; outer];
    let (mut source, mut target) = (from.offset, to.offset);
    loop {
        f(Run { from: source, to: target, len, from_step, to_step });
        let mut d = outer;
        loop {
            let Some(next) = d.checked_sub(1) else { return };
            d = next;
            at[d] += 1;
            source += from.strides[d];
            target += to.strides[d];
            if at[d] < part[d] {
                break;
            }
            source -= from.strides[d] * signed(at[d]);
            target -= to.strides[d] * signed(at[d]);
            at[d] = 0;
        }
    }
}

/// Copies a part of one array into another.
pub(crate) fn copy<T: Copy>(values: &[T], from: &Layout, out: &mut [T], to: &Layout, part: &[usize]) {
    walk(part, from, to, |run| {
        let (source, target) = (unsigned(run.from), unsigned(run.to));
        match (run.from_step, run.to_step) {
            (1, 1) => out[target..target + run.len].copy_from_slice(&values[source..source + run.len]),
            (0, 1) => out[target..target + run.len].fill(values[source]),
            (from_step, to_step) => {
                let (mut source, mut target) = (run.from, run.to);
                for _ in 0..run.len {
                    out[unsigned(target)] = values[unsigned(source)];
                    source += from_step;
                    target += to_step;
                }
            }
        }
    });
}

/// As [`copy`], of blocks; `values` that have another type become that of `out`.
pub(crate) fn copy_block(values: &Block, from: &Layout, out: &mut Block, to: &Layout, part: &[usize]) {
    fn of<T: Element>(values: &Block, from: &Layout, out: &mut [T], to: &Layout, part: &[usize]) {
        let cast;
        let values = if values.dtype() == T::DTYPE {
            values
        } else {
            cast = values.cast_part(0..values.len(), T::DTYPE);
            &cast
        };
        if let Some(values) = T::of(values) {
            copy(values, from, out, to, part);
        }
    }
    each!(out, out => of(values, from, out, to, part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_copied_turned_and_reversed() {
        let values: Vec<i32> = (0..12).collect();
        let from = Layout::of(&[3, 4]);
        let mut out = vec![0; 12];
        let turned = Layout { offset: 0, strides: vec![1, 3] };
        copy(&values, &from, &mut out, &turned, &[3, 4]);
        assert_eq!(out, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        let mut out = vec![0; 4];
        copy(&values, &Layout { offset: 11, strides: vec![-4, -2] }, &mut out, &Layout::of(&[2, 2]), &[2, 2]);
        assert_eq!(out, [11, 9, 7, 5]);
        let mut out = vec![0; 3];
        copy(&values, &from.clone().at([1, 1]), &mut out, &Layout::of(&[1, 3]), &[1, 3]);
        assert_eq!(out, [5, 6, 7]);
        let mut out = vec![0; 6];
        copy(&values, &Layout { offset: 2, strides: vec![1, 0] }, &mut out, &Layout::of(&[2, 3]), &[2, 3]);
        assert_eq!(out, [2, 2, 2, 3, 3, 3]);
        let mut one = [0];
        copy(&values, &Layout::of(&[]), &mut one, &Layout::of(&[]), &[]);
        copy(&values, &from, &mut [], &Layout::of(&[0]), &[0]);
        assert_eq!(one, [0]);
    }
}
