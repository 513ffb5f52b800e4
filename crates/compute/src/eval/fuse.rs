//! Chains of operations on single values: the arrays that they begin with are evaluated, then piece after piece goes through
//! the whole chain while it is in the cache.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::expr::{Expr, Node, lengths, narrowed};
use crate::ops::{Piece, choose};
use crate::source::Source;
use crate::strided::{Layout, copy_block};
use crate::{Block, Error, Result};

use super::{Context, eval as eval_any, spread};

/// Values that go through a chain together.
pub(crate) const PIECE: usize = 8192;

/// An array that a chain begins with.
enum Leaf {
    Values(Block),
    /// As stored; converted piece by piece.
    Raw(Vec<u8>, Arc<Source>),
    /// Repeated along dimensions.
    Spread(Block, Layout),
}

type Leaves = HashMap<*const Expr, Leaf>;

/// The values of a window of an array that a chain ends with.
pub(super) fn eval(expr: &Arc<Expr>, window: &[Range<u64>], context: &mut Context<'_>) -> Result<Block> {
    let mut leaves = Leaves::new();
    collect(expr, window, context, &mut leaves)?;
    let shape = lengths(window);
    let cells = shape.iter().product();
    let mut out = Block::with_capacity(expr.dtype, cells);
    for start in (0..cells).step_by(PIECE) {
        let range = start..(start + PIECE).min(cells);
        let piece = compute(expr, &leaves, &shape, &range)?;
        match piece {
            Piece::Own(block) if block.len() == range.len() => out.extend(&block),
            piece => out.extend(&piece.into_block(range.len())),
        }
    }
    Ok(out)
}

fn collect(expr: &Arc<Expr>, window: &[Range<u64>], context: &mut Context<'_>, leaves: &mut Leaves) -> Result<()> {
    if leaves.contains_key(&Arc::as_ptr(expr)) {
        return Ok(());
    }
    let leaf = match &expr.node {
        Node::Full(_) => return Ok(()),
        Node::Cast(input) | Node::Unary(_, input) if super::rows::chain(expr).is_none() => {
            return collect(input, window, context, leaves);
        }
        Node::Binary(_, inputs) if super::rows::chain(expr).is_none() => {
            return inputs.iter().try_for_each(|input| collect(input, window, context, leaves));
        }
        Node::Where(inputs) => {
            return inputs.iter().try_for_each(|input| collect(input, window, context, leaves));
        }
        Node::Source(source) => Leaf::Raw(context.decode(source, window)?, source.clone()),
        Node::Broadcast(input, dims) => {
            let from = narrowed(window, dims);
            let block = eval_any(input, &from, context)?;
            Leaf::Spread(block, spread(&lengths(&from), dims))
        }
        _ => Leaf::Values(eval_any(expr, window, context)?),
    };
    leaves.insert(Arc::as_ptr(expr), leaf);
    Ok(())
}

fn compute<'a>(expr: &'a Arc<Expr>, leaves: &'a Leaves, shape: &[usize], range: &Range<usize>) -> Result<Piece<'a>> {
    if let Some(leaf) = leaves.get(&Arc::as_ptr(expr)) {
        return Ok(match leaf {
            Leaf::Values(block) => Piece::Part(block, range.clone()),
            Leaf::Raw(raw, source) => {
                let bytes = source.variable.dtype.size();
                Piece::Own(source.values(&raw[range.start * bytes..range.end * bytes]))
            }
            Leaf::Spread(block, layout) => Piece::Own(spread_part(block, layout, shape, range)),
        });
    }
    let input = |input: &'a Arc<Expr>| compute(input, leaves, shape, range);
    match &expr.node {
        Node::Full(one) => Ok(Piece::Own(one.clone())),
        Node::Cast(from) => Ok(input(from)?.cast(expr.dtype)),
        Node::Unary(op, from) => Ok(Piece::Own(op.apply(&input(from)?))),
        Node::Binary(op, [left, right]) => Ok(Piece::Own(op.apply(&input(left)?, &input(right)?))),
        Node::Where([condition, yes, no]) => {
            let (condition, yes, no) = (input(condition)?, input(yes)?, input(no)?);
            let condition = if condition.len() == 1 && range.len() > 1 {
                Piece::Own(condition.into_block(range.len()))
            } else {
                condition
            };
            Ok(Piece::Own(choose(&condition, &yes, &no)))
        }
        _ => Err(Error::Worker),
    }
}

/// Some cells, in C order, of an array that is repeated along dimensions.
fn spread_part(block: &Block, layout: &Layout, shape: &[usize], range: &Range<usize>) -> Block {
    let mut out = Block::zeros(block.dtype(), range.len());
    let Some(last) = shape.len().checked_sub(1) else { return block.slice(0..range.len().min(block.len())) };
    let width = shape[last].max(1);
    let mut at = range.start;
    while at < range.end {
        let (row, column) = (at / width, at % width);
        let len = (width - column).min(range.end - at);
        let mut position = vec![0; shape.len()];
        position[last] = column;
        let mut rest = row;
        for d in (0..last).rev() {
            position[d] = rest % shape[d].max(1);
            rest /= shape[d].max(1);
        }
        let from = layout.clone().at(position);
        let from = Layout { offset: from.offset, strides: vec![from.strides[last]] };
        let to = Layout { offset: crate::strided::signed(at - range.start), strides: vec![1] };
        copy_block(block, &from, &mut out, &to, &[len]);
        at += len;
    }
    out
}
