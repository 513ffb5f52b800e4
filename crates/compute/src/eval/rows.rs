//! Chains along the last dimension: a few rows at a time go through all kernels while they are near.

use std::ops::Range;
use std::sync::Arc;

use crate::expr::select::Pick;
use crate::expr::{Expr, Node, lengths, size};
use crate::kernel::{Place, Reach};
use crate::ops::Piece;
use crate::strided::{Layout, copy_block};
use crate::{Block, Error, Result};

use super::{Context, kernel_error};

/// Rows that go through a chain together: the lanes of the filters.
pub(crate) const ROWS: usize = 16;

/// A chain of steps along the last dimension, and the array that it begins with.
pub(crate) struct Chain<'a> {
    pub(crate) base: &'a Arc<Expr>,
    /// In the order in which they are done.
    pub(crate) steps: Vec<&'a Arc<Expr>>,
}

/// The chain that an array ends, if there is a kernel in it.
pub(crate) fn chain(expr: &Arc<Expr>) -> Option<Chain<'_>> {
    let (mut at, mut steps, mut kernels) = (expr, Vec::new(), 0);
    // What stands before the first kernel is better fused with what it is made of.
    let mut first = (expr, 0);
    loop {
        let next = match &at.node {
            Node::Kernel(inputs, kernel) if inputs.len() == 1 && is_row_wise(&kernel.reach()) => {
                kernels += 1;
                &inputs[0]
            }
            Node::Cast(input) | Node::Unary(_, input) => input,
            Node::Binary(_, [input, other]) if matches!(other.node, Node::Full(_)) => input,
            Node::Binary(_, [other, input]) if matches!(other.node, Node::Full(_)) => input,
            Node::Select(input, picks) if is_of_rows(picks, &input.shape) => input,
            _ => break,
        };
        steps.push(at);
        if matches!(at.node, Node::Kernel(..))
            || (matches!(at.node, Node::Cast(_)) && first.1 + 1 == steps.len() && kernels > 0)
        {
            first = (next, steps.len());
        }
        at = next;
    }
    if kernels == 0 {
        return None;
    }
    steps.truncate(first.1);
    steps.reverse();
    Some(Chain { base: first.0, steps })
}

fn is_row_wise(reach: &[Reach]) -> bool {
    let Some((last, others)) = reach.split_last() else { return false };
    matches!(last, Reach::Whole(_)) && others.iter().all(|reach| *reach == Reach::Same)
}

fn is_of_rows(picks: &[Pick], shape: &[u64]) -> bool {
    let Some((last, others)) = picks.split_last() else { return false };
    matches!(last, Pick::Range { .. }) && others.iter().zip(shape).all(|(pick, len)| *pick == Pick::all(*len))
}

/// The window of the base that a window of the result is made of: whole rows.
pub(crate) fn base_window(chain: &Chain<'_>, window: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut from = window.to_vec();
    if let (Some(last), Some(len)) = (from.last_mut(), chain.base.shape.last()) {
        *last = 0..*len;
    }
    from
}

pub(super) fn eval(chain: &Chain<'_>, window: &[Range<u64>], context: &mut Context<'_>) -> Result<Block> {
    let from = base_window(chain, window);
    let mut block = super::eval(chain.base, &from, context)?;
    let Some(result) = chain.steps.last() else { return Ok(block) };
    let width = size(chain.base.shape.last().copied().unwrap_or(1));
    let rows: usize = lengths(window).iter().rev().skip(1).product();
    let wanted = window.last().cloned().unwrap_or(0..1);
    let (full, part) = (size(result.shape.last().copied().unwrap_or(1)), size(wanted.end - wanted.start));
    let first = first_row(window);
    let mut out = Block::with_capacity(result.dtype, if rows > ROWS { rows * part } else { 0 });
    for start in (0..rows).step_by(ROWS) {
        context.check()?;
        let count = ROWS.min(rows - start);
        let mut values = if count == rows {
            std::mem::take(&mut block)
        } else {
            block.slice(start * width..(start + count) * width)
        };
        let place = first + start as u64;
        for step in &chain.steps {
            values = apply(step, values, place..place + count as u64)?;
        }
        if part == full && count == rows {
            out = values;
        } else if part == full {
            out.extend(&values);
        } else {
            let mut cut = Block::zeros(result.dtype, count * part);
            let layout = Layout::of(&[count, full]).at([0, size(wanted.start)]);
            copy_block(&values, &layout, &mut cut, &Layout::of(&[count, part]), &[count, part]);
            out.extend(&cut);
        }
    }
    Ok(out)
}

/// The number of the first row of a window, counted along the dimension before the last; 0 where rows of several dimensions follow one
/// another.
fn first_row(window: &[Range<u64>]) -> u64 {
    match window {
        [outer @ .., rows, _] if outer.iter().all(|range| range.end - range.start == 1) => rows.start,
        _ => 0,
    }
}

/// One step of some whole rows.
fn apply(step: &Arc<Expr>, values: Block, at_rows: Range<u64>) -> Result<Block> {
    let rows = size(at_rows.end - at_rows.start);
    match &step.node {
        Node::Cast(_) => Ok(values.into_dtype(step.dtype)),
        Node::Unary(op, _) => Ok(op.apply(&Piece::Own(values))),
        Node::Binary(op, [left, right]) => {
            let values = Piece::Own(values);
            Ok(match (&left.node, &right.node) {
                (_, Node::Full(one)) => op.apply(&values, &Piece::Own(one.clone())),
                (Node::Full(one), _) => op.apply(&Piece::Own(one.clone()), &values),
                _ => return Err(Error::Worker),
            })
        }
        Node::Select(input, picks) => {
            let Some(Pick::Range { start, step: by, len }) = picks.last() else { return Err(Error::Worker) };
            let (width, len) = (size(input.shape.last().copied().unwrap_or(1)), size(*len));
            let mut from = Layout::of(&[rows, width]).at([0, size(*start)]);
            from.strides[1] = isize::try_from(*by).unwrap_or(isize::MAX);
            let mut out = Block::zeros(step.dtype, rows * len);
            copy_block(&values, &from, &mut out, &Layout::of(&[rows, len]), &[rows, len]);
            Ok(out)
        }
        Node::Kernel(inputs, kernel) => {
            let shape = &inputs[0].shape;
            let window = |len: u64| -> Vec<Range<u64>> {
                let mut lengths = vec![0..1; shape.len()];
                if let Some(at) = shape.len().checked_sub(2) {
                    lengths[at] = at_rows.clone();
                }
                if let Some(last) = lengths.last_mut() {
                    *last = 0..len;
                }
                lengths
            };
            let from = window(shape.last().copied().unwrap_or(1));
            let to = window(step.shape.last().copied().unwrap_or(1));
            let place = Place { shape, window: &from, out: &to };
            kernel.apply(vec![values], &place).map_err(|why| kernel_error(kernel.as_ref(), why))
        }
        _ => Err(Error::Worker),
    }
}
