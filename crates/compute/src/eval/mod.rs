//! Values of a window of a lazy array: from the array back to the chunks it is made of.
//!
//! Chains of operations on single values are done piece by piece ([`fuse`]), chains along the last dimension a few rows at a time
//! ([`rows`]); what is reduced or multiplied reads its input slab by slab ([`reduce`], [`dot`]).

pub(crate) mod context;
mod dot;
mod fuse;
mod reduce;
pub(crate) mod rows;

use std::ops::Range;
use std::sync::Arc;

use crate::expr::{
    Expr, Node, lengths, made, moved, narrowed, needed, parts, products, scaled, size, spans_of, turned_back,
};
use crate::kernel::Place;
use crate::strided::{Layout, copy_block};
use crate::{Block, DType, Error, Result};
pub(crate) use context::Context;
pub(crate) use dot::slabs as dot_slabs;
pub(crate) use fuse::PIECE;
pub(crate) use reduce::slabs as reduce_slabs;

/// The values of a window; the chunks that [`Expr::visit`] names must be there.
pub(crate) fn eval(expr: &Arc<Expr>, window: &[Range<u64>], context: &mut Context<'_>) -> Result<Block> {
    if let Some(chain) = rows::chain(expr) {
        return rows::eval(&chain, window, context);
    }
    match &expr.node {
        Node::Source(source) => context.decode_values(source, window),
        Node::Values(block) => {
            Ok(copied(block, &Layout::of(&lengths_of(&expr.shape)).at(window.iter().map(|r| size(r.start))), window))
        }
        Node::Full(one) => Ok(Block::repeat(one, lengths(window).iter().product())),
        Node::Cast(_) | Node::Unary(..) | Node::Binary(..) | Node::Where(_) => fuse::eval(expr, window, context),
        Node::Select(input, _) => select(expr, input, window, context),
        Node::Transpose(input, order) => transpose(input, order, window, context),
        Node::Broadcast(input, dims) => {
            let from = narrowed(window, dims);
            let block = eval(input, &from, context)?;
            // What is not repeated is there already, in its order.
            if block.len() == lengths(window).iter().product::<usize>() && dims.iter().flatten().is_sorted() {
                return Ok(block);
            }
            Ok(copied(&block, &spread(&lengths(&from), dims), window))
        }
        Node::Concat(inputs, axis) => {
            let all = parts(inputs, *axis, window);
            if let [(input, from, _)] = &all[..]
                && input.dtype == expr.dtype
            {
                return eval(input, from, context);
            }
            let shape = lengths(window);
            let mut out = Block::zeros(expr.dtype, shape.iter().product());
            for (input, from, to) in all {
                let place = (0..shape.len()).map(|d| if d == *axis { size(to) } else { 0 });
                let to = Layout::of(&shape).at(place);
                if let Node::Source(source) = &input.node
                    && context.copy_plain(source, &from, &mut out, &to)?
                {
                    continue;
                }
                let block = eval(input, &from, context)?;
                let part = lengths(&from);
                copy_block(&block, &Layout::of(&part), &mut out, &to, &part);
            }
            Ok(out)
        }
        Node::Coarsen(input, windows) => coarsen(input, windows, window, context),
        Node::Reduce(input, reduce) => reduce::eval(input, reduce, window, context),
        Node::Kernel(inputs, kernel) => apply(inputs, kernel.as_ref(), window, context),
        Node::Dot([left, right]) => dot::eval(left, right, window, context),
        Node::Chunked(input, _) => eval(input, window, context),
        Node::Stored(stored) => stored.read(window),
    }
}

/// A window of what a kernel makes of its inputs.
fn apply(
    inputs: &[Arc<Expr>],
    kernel: &dyn crate::kernel::Kernel,
    window: &[Range<u64>],
    context: &mut Context<'_>,
) -> Result<Block> {
    let made = made(kernel, window);
    let from = needed(kernel, &inputs[0].shape, &made);
    let blocks: Result<Vec<Block>> = inputs.iter().map(|input| eval(input, &from, context)).collect();
    let place = Place { shape: &inputs[0].shape, window: &from, out: &made };
    let block = kernel.apply(blocks?, &place).map_err(|why| kernel_error(kernel, why))?;
    if made == window {
        return Ok(block);
    }
    let at = window.iter().zip(&made).map(|(wanted, made)| size(wanted.start - made.start));
    Ok(copied(&block, &Layout::of(&lengths(&made)).at(at), window))
}

pub(crate) fn kernel_error(kernel: &dyn crate::kernel::Kernel, why: String) -> Error {
    let name = kernel.spec().get("kernel").and_then(serde_json::Value::as_str).unwrap_or("kernel").to_owned();
    Error::Unsupported { action: "compute", array: name, why }
}

pub(crate) fn lengths_of(shape: &[u64]) -> Vec<usize> {
    shape.iter().map(|len| size(*len)).collect()
}

/// Cells that lie in a layout of a block, as a block of a window in C order.
fn copied(block: &Block, from: &Layout, window: &[Range<u64>]) -> Block {
    let shape = lengths(window);
    let mut out = Block::zeros(block.dtype(), shape.iter().product());
    copy_block(block, from, &mut out, &Layout::of(&shape), &shape);
    out
}

/// The layout of an array that is repeated along the dimensions that it has not.
pub(super) fn spread(shape: &[usize], dims: &[Option<usize>]) -> Layout {
    let own = Layout::of(shape);
    let mut own = own.strides.iter().zip(shape);
    let stride = |d: &Option<usize>| match d.and_then(|_| own.next()) {
        Some((stride, _)) => *stride,
        None => 0,
    };
    Layout { offset: 0, strides: dims.iter().map(stride).collect() }
}

fn select(expr: &Expr, input: &Arc<Expr>, window: &[Range<u64>], context: &mut Context<'_>) -> Result<Block> {
    let Node::Select(_, picks) = &expr.node else { return Err(Error::Worker) };
    if let Some(from) = moved(picks, window) {
        return eval(input, &from, context);
    }
    let kept: Vec<bool> = picks.iter().map(|pick| pick.len().is_some()).collect();
    let shape = lengths(window);
    let target = Layout::of(&shape);
    let mut out = Block::zeros(expr.dtype, shape.iter().product());
    for spans in products(&spans_of(picks, window)) {
        let from: Vec<Range<u64>> = spans.iter().map(|span| span.from.clone()).collect();
        if from.iter().any(Range::is_empty) {
            continue;
        }
        let block = eval(input, &from, context)?;
        let source = Layout::of(&lengths(&from));
        let runs: Vec<Vec<_>> = spans.iter().map(|span| span.runs.clone()).collect();
        for runs in products(&runs) {
            let mut layout = source.clone().at(runs.iter().map(|run| size(run.first)));
            for (stride, run) in layout.strides.iter_mut().zip(&runs) {
                *stride *= isize::try_from(run.step).unwrap_or(isize::MAX);
            }
            let part = of_kept(runs.iter().map(|run| size(run.len)), &kept);
            let place = of_kept(runs.iter().map(|run| size(run.to)), &kept);
            layout.strides = of_kept(layout.strides.iter().copied(), &kept);
            copy_block(&block, &layout, &mut out, &target.clone().at(place), &part);
        }
    }
    Ok(out)
}

/// What belongs to dimensions that stay.
fn of_kept<T>(values: impl Iterator<Item = T>, kept: &[bool]) -> Vec<T> {
    values.zip(kept).filter(|(_, kept)| **kept).map(|(value, _)| value).collect()
}

fn transpose(input: &Arc<Expr>, order: &[usize], window: &[Range<u64>], context: &mut Context<'_>) -> Result<Block> {
    let from = turned_back(window, order);
    let block = eval(input, &from, context)?;
    let own = Layout::of(&lengths(&from));
    let layout = Layout { offset: 0, strides: order.iter().map(|d| own.strides[*d]).collect() };
    Ok(copied(&block, &layout, window))
}

/// Coarsens the last two dimensions; other dimensions have windows of 1 ([`crate::DataArray::coarsen`]).
fn coarsen(input: &Arc<Expr>, windows: &[u64], window: &[Range<u64>], context: &mut Context<'_>) -> Result<Block> {
    let fine = scaled(window, windows);
    let shape = lengths(&fine);
    let size_of = |d: usize| size(windows[d]);
    let (plane, of) = match shape.len() {
        0 => ((1, 1), (1, 1)),
        1 => ((1, shape[0]), (1, size_of(0))),
        rank => ((shape[rank - 2], shape[rank - 1]), (size_of(rank - 2), size_of(rank - 1))),
    };
    if let Node::Source(source) = &input.node
        && source.dtype() == DType::Float32
    {
        return context.coarsen_rows(source, &fine, plane, of);
    }
    let cells = (plane.0 * plane.1).max(1);
    Ok(match eval(input, &fine, context)?.into_dtype(input.dtype) {
        Block::Float32(v) => {
            Block::Float32(v.chunks_exact(cells).flat_map(|p| crate::coarsen_mean(p, plane, of)).collect())
        }
        block => {
            let values = block.into_f64();
            Block::Float64(values.chunks_exact(cells).flat_map(|p| crate::coarsen_mean(p, plane, of)).collect())
        }
    })
}
