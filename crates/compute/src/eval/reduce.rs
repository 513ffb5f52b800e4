//! Reductions: the input is evaluated slab by slab along the outermost reduced dimension, and put into the state.

use std::ops::Range;
use std::sync::Arc;

use crate::expr::{Expr, Node, cells, lengths, size};
use crate::reduce::accumulate::{LanesOrNot, Rows, Slab, State};
use crate::reduce::{NO_GROUP, Reduce};
use crate::strided::Layout;
use crate::{Block, Error, Result};

use super::Context;
use super::context::{Order, Pending};

/// Values of a slab up to which small chunks are joined.
const SLAB_VALUES: u64 = 1 << 16;

/// The slabs of a window along a dimension: whole chunks, so many together that a slab is worth its while.
pub(crate) fn slabs(input: &Expr, window: &[Range<u64>], axis: usize) -> Vec<Vec<Range<u64>>> {
    let wanted = &window[axis];
    let len = wanted.end - wanted.start;
    let cuts = input.cuts()[axis].shifted(wanted.start);
    let each = cells(window).checked_div(len.max(1)).unwrap_or(0).max(1);
    let longest = cuts.longest(len).max(1);
    let join = (SLAB_VALUES / each.saturating_mul(longest).max(1)).max(1);
    let slab = |piece: Range<u64>| {
        let mut slab = window.to_vec();
        slab[axis] = wanted.start + piece.start..wanted.start + piece.end;
        slab
    };
    cuts.pieces(len, join).into_iter().map(slab).collect()
}

/// The values of a window of the result.
pub(super) fn eval(
    input: &Arc<Expr>,
    reduce: &Reduce,
    window: &[Range<u64>],
    context: &mut Context<'_>,
) -> Result<Block> {
    let full = reduce.needed(&input.shape, window);
    let groups = reduce.groups.as_ref().map(|groups| {
        let axis = reduce.axes[0];
        let out = axis - reduce.axes.iter().filter(|a| **a < axis).count();
        (groups, window[out].clone())
    });
    let state = partial(input, (reduce, &reduce.axes, groups), &full, context)?;
    state.finish(reduce).map_err(|why| Error::Unsupported { action: reduce.name(), array: "an array".into(), why })
}

type Wanted<'a> = (&'a Reduce, &'a [usize], Option<(&'a crate::reduce::Groups, Range<u64>)>);

/// The state of a window over these dimensions, the first of which is the outermost.
fn partial(
    input: &Arc<Expr>,
    (reduce, axes, groups): Wanted<'_>,
    window: &[Range<u64>],
    context: &mut Context<'_>,
) -> Result<State> {
    let Some((axis, inner)) = axes.split_first() else { return Err(Error::Worker) };
    let is_last = *axis + 1 == window.len();
    let lanes = if is_last && groups.is_none() { LanesOrNot::Lanes } else { LanesOrNot::Not };
    let per = groups.as_ref().map_or(1, |(_, wanted)| size(wanted.end - wanted.start));
    let (pre, post) = around(window, *axis, inner);
    let mut state = State::new(reduce, input.dtype, pre * per * post, lanes);
    let slabs = slabs(input, window, *axis);
    let geometry = |at: usize| {
        let range = &slabs[at][*axis];
        Slab { pre, n: size(range.end - range.start), post, first: range.start }
    };
    if let (Node::Values(block), None, []) = (&input.node, &groups, inner)
        && let Some(rows) = rows_of(&input.shape, window, *axis)
    {
        let slab = Slab { pre, n: size(window[*axis].end - window[*axis].start), post, first: window[*axis].start };
        state.add_rows(block, &rows, slab, None);
        return Ok(state.without_lanes());
    }
    if inner.is_empty() {
        context.each(
            (slabs.len(), Order::InOrder),
            |own, at| own.start(&[(input, slabs[at].as_slice())]),
            |own, at| super::eval(input, &slabs[at], own),
            |at, block: Result<Block>| {
                let block = block?;
                let codes = groups.as_ref().map(|(groups, wanted)| codes(groups, wanted, &slabs[at][*axis]));
                state.add(&block, geometry(at), codes.as_ref().map(|codes| (codes.as_slice(), per)));
                Ok::<_, Error>(())
            },
        )?;
    } else {
        context.each(
            (slabs.len(), Order::InOrder),
            |_, _| Pending::Nothing,
            |own, at| partial(input, (reduce, inner, None), &slabs[at], own),
            |at, inner: Result<State>| {
                state.merge(&inner?, geometry(at));
                Ok::<_, Error>(())
            },
        )?;
    }
    Ok(state.without_lanes())
}

/// Where the values of a window lie in an array in memory, if those behind the dimension lie side by side.
fn rows_of(shape: &[u64], window: &[Range<u64>], axis: usize) -> Option<Rows> {
    let layout = Layout::of(&super::lengths_of(shape));
    let whole = |d: usize| window[d] == (0..shape[d]);
    if !(axis + 2..shape.len()).all(whole) {
        return None;
    }
    let begin = |d: usize| usize::try_from(layout.strides[d]).ok()?.checked_mul(size(window[d].start));
    let mut starts = vec![(axis..shape.len()).map(begin).sum::<Option<usize>>()?];
    for (range, stride) in window.iter().zip(&layout.strides).take(axis) {
        let stride = usize::try_from(*stride).ok()?;
        let positions = size(range.start)..size(range.end);
        starts = starts.iter().flat_map(|start| positions.clone().map(move |at| start + at * stride)).collect();
    }
    Some(Rows { starts, step: usize::try_from(layout.strides[axis]).ok()? })
}

/// Cells before and behind a dimension, where others are reduced already.
fn around(window: &[Range<u64>], axis: usize, reduced: &[usize]) -> (usize, usize) {
    let lengths = lengths(window);
    let pre = lengths[..axis].iter().product();
    let post = (axis + 1..lengths.len()).filter(|d| !reduced.contains(d)).map(|d| lengths[d]).product();
    (pre, post)
}

/// The group of each position, counted from the first that is wanted.
fn codes(groups: &crate::reduce::Groups, wanted: &Range<u64>, positions: &Range<u64>) -> Vec<Option<usize>> {
    let codes = groups.codes.get(size(positions.start)..size(positions.end)).unwrap_or_default();
    let group = |code: &u32| {
        let code = u64::from(*code);
        (code != u64::from(NO_GROUP) && wanted.contains(&code)).then(|| size(code - wanted.start))
    };
    codes.iter().map(group).collect()
}
