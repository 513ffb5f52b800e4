//! Lazy arrays as data: what to do to the chunks of some files, so that a plan can be inspected before it runs.

pub(crate) mod build;
pub(crate) mod cuts;
pub(crate) mod select;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::kernel::{Kernel, Reach};
use crate::ops::{BinaryOp, UnaryOp};
use crate::plan::stored::Stored;
use crate::reduce::Reduce;
use crate::source::Source;
use crate::{Block, DType};
use cuts::Cuts;
use select::{Pick, Span, SpanRun};

/// Is shown a source and a window of it.
pub(crate) type Visitor<'a> = dyn FnMut(&Arc<Source>, &[Range<u64>]) + 'a;

/// A lazy array without labels.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) shape: Vec<u64>,
    pub(crate) dtype: DType,
    pub(crate) node: Node,
}

/// How a lazy array is made.
#[derive(Debug)]
pub(crate) enum Node {
    /// The values of a variable.
    Source(Arc<Source>),
    /// Values in memory, in C order.
    Values(Arc<Block>),
    /// One value in all cells.
    Full(Block),
    Cast(Arc<Expr>),
    Unary(UnaryOp, Arc<Expr>),
    /// Of inputs that have the shape, or are `Full`.
    Binary(BinaryOp, [Arc<Expr>; 2]),
    /// The second where the first is true, else the third.
    Where([Arc<Expr>; 3]),
    /// A pick for each dimension of the input.
    Select(Arc<Expr>, Vec<Pick>),
    /// For each dimension of the result that of the input.
    Transpose(Arc<Expr>, Vec<usize>),
    /// For each dimension of the result that of the input, in its order; others repeat.
    Broadcast(Arc<Expr>, Vec<Option<usize>>),
    Concat(Vec<Arc<Expr>>, usize),
    /// Means over windows of the last two dimensions.
    Coarsen(Arc<Expr>, Vec<u64>),
    Reduce(Arc<Expr>, Reduce),
    Kernel(Vec<Arc<Expr>>, Arc<dyn Kernel>),
    /// The matrix product of two arrays of two dimensions.
    Dot([Arc<Expr>; 2]),
    /// The same values, cut elsewhere.
    Chunked(Arc<Expr>, Vec<u64>),
    /// Computed by an earlier stage of the plan.
    Stored(Arc<Stored>),
}

impl Expr {
    /// The arrays that this one is made of.
    pub(crate) fn inputs(&self) -> &[Arc<Self>] {
        match &self.node {
            Node::Source(_) | Node::Values(_) | Node::Full(_) => &[],
            Node::Cast(input)
            | Node::Unary(_, input)
            | Node::Select(input, _)
            | Node::Transpose(input, _)
            | Node::Broadcast(input, _)
            | Node::Coarsen(input, _)
            | Node::Chunked(input, _)
            | Node::Reduce(input, _) => std::slice::from_ref(input),
            Node::Binary(_, inputs) | Node::Dot(inputs) => inputs,
            Node::Where(inputs) => inputs,
            Node::Concat(inputs, _) | Node::Kernel(inputs, _) => inputs,
            Node::Stored(stored) => std::slice::from_ref(&stored.input),
        }
    }

    /// Where the array may be cut, per dimension.
    pub(crate) fn cuts(&self) -> Vec<Cuts> {
        match &self.node {
            Node::Source(source) => source.refs.grid.chunk.iter().map(|chunk| Cuts::of_chunk(*chunk)).collect(),
            Node::Values(_) | Node::Full(_) => self.shape.iter().map(|_| Cuts::of_chunk(1)).collect(),
            Node::Cast(input) | Node::Unary(_, input) => input.cuts(),
            Node::Binary(_, inputs) => self.common_cuts(inputs),
            Node::Where(inputs) => self.common_cuts(inputs),
            Node::Select(input, picks) => {
                let cuts = input.cuts();
                let all = picks.iter().zip(cuts.iter().zip(&input.shape));
                all.filter(|(pick, _)| pick.len().is_some()).map(|(pick, (cuts, len))| pick.cuts(cuts, *len)).collect()
            }
            Node::Transpose(input, order) => {
                let cuts = input.cuts();
                order.iter().map(|d| cuts[*d].clone()).collect()
            }
            Node::Broadcast(input, dims) => {
                let cuts = input.cuts();
                dims.iter().map(|d| d.map_or(Cuts::of_chunk(1), |d| cuts[d].clone())).collect()
            }
            Node::Concat(inputs, axis) => self.concat_cuts(inputs, *axis),
            Node::Coarsen(input, windows) => {
                let cuts = input.cuts();
                cuts.iter().zip(windows.iter().zip(&input.shape)).map(|(c, (w, len))| c.coarsened(*w, *len)).collect()
            }
            Node::Reduce(input, reduce) => reduce.cuts(&input.cuts()),
            Node::Kernel(inputs, kernel) => kernel_cuts(inputs, kernel.as_ref()),
            Node::Dot([left, right]) => vec![left.cuts()[0].clone(), right.cuts()[1].clone()],
            Node::Chunked(_, chunk) => chunk.iter().map(|chunk| Cuts::of_chunk(*chunk)).collect(),
            Node::Stored(stored) => stored.cuts(),
        }
    }

    fn common_cuts(&self, inputs: &[Arc<Self>]) -> Vec<Cuts> {
        let mut all: Option<Vec<Cuts>> = None;
        for input in inputs.iter().filter(|input| !matches!(input.node, Node::Full(_))) {
            let cuts = input.cuts();
            all = Some(match all {
                None => cuts,
                Some(have) => have.iter().zip(&cuts).zip(&self.shape).map(|((a, b), len)| a.and(b, *len)).collect(),
            });
        }
        all.unwrap_or_else(|| self.shape.iter().map(|_| Cuts::of_chunk(1)).collect())
    }

    fn concat_cuts(&self, inputs: &[Arc<Self>], axis: usize) -> Vec<Cuts> {
        let each: Vec<Vec<Cuts>> = inputs.iter().map(|input| input.cuts()).collect();
        let along: Vec<(u64, Cuts)> =
            inputs.iter().zip(&each).map(|(input, cuts)| (input.shape[axis], cuts[axis].clone())).collect();
        let across = |d: usize| {
            let mut cuts = each.iter().map(|cuts| &cuts[d]);
            let first = cuts.next().cloned().unwrap_or(Cuts::Whole);
            cuts.fold(first, |all, cuts| if all == *cuts { all } else { all.and(cuts, self.shape[d]) })
        };
        (0..self.shape.len()).map(|d| if d == axis { Cuts::joined(&along) } else { across(d) }).collect()
    }

    /// Shows the sources, with the windows of them, whose bytes the evaluation of a window needs at once. What is reduced or
    /// multiplied reads its inputs piece by piece later, and is left out.
    pub(crate) fn visit(&self, window: &[Range<u64>], f: &mut Visitor<'_>) {
        match &self.node {
            Node::Source(source) => f(source, window),
            Node::Values(_) | Node::Full(_) | Node::Reduce(..) | Node::Dot(_) | Node::Stored(_) => {}
            Node::Cast(input) | Node::Unary(_, input) | Node::Chunked(input, _) => input.visit(window, f),
            Node::Binary(_, inputs) => {
                for input in inputs {
                    input.visit_unless_full(window, f);
                }
            }
            Node::Where(inputs) => {
                for input in inputs {
                    input.visit_unless_full(window, f);
                }
            }
            Node::Select(input, picks) => {
                for spans in products(&spans_of(picks, window)) {
                    let from: Vec<Range<u64>> = spans.iter().map(|span| span.from.clone()).collect();
                    input.visit(&from, f);
                }
            }
            Node::Transpose(input, order) => input.visit(&turned_back(window, order), f),
            Node::Broadcast(input, dims) => input.visit(&narrowed(window, dims), f),
            Node::Concat(inputs, axis) => {
                for (input, from, _) in parts(inputs, *axis, window) {
                    input.visit(&from, f);
                }
            }
            Node::Coarsen(input, windows) => input.visit(&scaled(window, windows), f),
            Node::Kernel(inputs, kernel) => {
                let needed = needed(kernel.as_ref(), &inputs[0].shape, window);
                for input in inputs {
                    input.visit(&needed, f);
                }
            }
        }
    }

    fn visit_unless_full(&self, window: &[Range<u64>], f: &mut Visitor<'_>) {
        if !matches!(self.node, Node::Full(_)) {
            self.visit(window, f);
        }
    }

    /// The variables of files that the array is made of, each once.
    pub(crate) fn sources(self: &Arc<Self>) -> Vec<Arc<Source>> {
        fn collect(expr: &Arc<Expr>, seen: &mut HashSet<*const Expr>, all: &mut Vec<Arc<Source>>) {
            if !seen.insert(Arc::as_ptr(expr)) {
                return;
            }
            if let Node::Source(source) = &expr.node {
                all.push(source.clone());
            }
            for input in expr.inputs() {
                collect(input, seen, all);
            }
        }
        let mut all = Vec::new();
        collect(self, &mut HashSet::new(), &mut all);
        let mut ids = HashSet::new();
        all.retain(|source| ids.insert(source.id));
        all
    }
}

fn kernel_cuts(inputs: &[Arc<Expr>], kernel: &dyn Kernel) -> Vec<Cuts> {
    let first = &inputs[0];
    let cuts = first.common_cuts(inputs);
    let all = kernel.reach().into_iter().zip(cuts.iter().zip(&first.shape));
    all.filter_map(|(reach, (cuts, len))| match reach {
        Reach::Same | Reach::Halo { .. } => Some(cuts.clone()),
        Reach::Window(window) => Some(cuts.coarsened(window, *len)),
        Reach::Whole(_) => Some(Cuts::Whole),
        Reach::Gone => None,
    })
    .collect()
}

/// What a kernel makes where a window of its result is wanted: dimensions that it needs whole, it makes whole.
pub(crate) fn made(kernel: &dyn Kernel, window: &[Range<u64>]) -> Vec<Range<u64>> {
    let kept = kernel.reach().into_iter().filter(|reach| *reach != Reach::Gone);
    let of = |(range, reach): (&Range<u64>, Reach)| if let Reach::Whole(len) = reach { 0..len } else { range.clone() };
    window.iter().zip(kept).map(of).collect()
}

/// The window of the inputs that a kernel needs for a window of its result.
pub(crate) fn needed(kernel: &dyn Kernel, shape: &[u64], window: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut window = window.iter();
    let mut next = || window.next().cloned().unwrap_or(0..0);
    let one = |(reach, len): (Reach, &u64)| match reach {
        Reach::Same => next(),
        Reach::Halo { before, after } => {
            let range = next();
            range.start.saturating_sub(before)..range.end.saturating_add(after).min(*len)
        }
        Reach::Window(factor) => {
            let range = next();
            range.start * factor..range.end * factor
        }
        Reach::Whole(_) => {
            next();
            0..*len
        }
        Reach::Gone => 0..*len,
    };
    kernel.reach().into_iter().zip(shape).map(one).collect()
}

/// What is read along each dimension of an input for a window of what is selected of it.
pub(crate) fn spans_of(picks: &[Pick], window: &[Range<u64>]) -> Vec<Vec<Span>> {
    let mut window = window.iter();
    let spans = |pick: &Pick| match pick.len() {
        Some(_) => pick.spans(window.next().unwrap_or(&(0..0))),
        None => pick.spans(&(0..1)),
    };
    picks.iter().map(spans).collect()
}

/// All combinations of one member of each, the last varying fastest.
pub(crate) fn products<T>(each: &[Vec<T>]) -> Vec<Vec<&T>> {
    let mut all: Vec<Vec<&T>> = vec![Vec::with_capacity(each.len())];
    for members in each {
        all = all.into_iter().flat_map(|have| members.iter().map(move |m| [have.clone(), vec![m]].concat())).collect();
    }
    all
}

/// The window of an input whose dimensions were put in another order.
pub(crate) fn turned_back(window: &[Range<u64>], order: &[usize]) -> Vec<Range<u64>> {
    let mut back = vec![0..0; window.len()];
    for (range, d) in window.iter().zip(order) {
        back[*d] = range.clone();
    }
    back
}

/// The window of an input that is repeated along other dimensions.
pub(crate) fn narrowed(window: &[Range<u64>], dims: &[Option<usize>]) -> Vec<Range<u64>> {
    dims.iter().zip(window).filter(|(d, _)| d.is_some()).map(|(_, range)| range.clone()).collect()
}

/// An input, a window of it, and where that begins.
pub(crate) type Part<'a> = (&'a Arc<Expr>, Vec<Range<u64>>, u64);

/// Of inputs laid end to end those that a window touches: each with its own window, and where that begins in the window.
pub(crate) fn parts<'a>(inputs: &'a [Arc<Expr>], axis: usize, window: &[Range<u64>]) -> Vec<Part<'a>> {
    let wanted = &window[axis];
    let (mut start, mut found) = (0, Vec::new());
    for input in inputs {
        let end = start + input.shape[axis];
        let (from, to) = (wanted.start.max(start), wanted.end.min(end));
        if from < to {
            let mut own = window.to_vec();
            own[axis] = from - start..to - start;
            found.push((input, own, from - wanted.start));
        }
        start = end;
        if start >= wanted.end {
            break;
        }
    }
    found
}

/// The window of the input that a window of a selection is, if all that is read of it is taken as it lies.
pub(crate) fn moved(picks: &[Pick], window: &[Range<u64>]) -> Option<Vec<Range<u64>>> {
    let as_read = |spans: Vec<Span>| match &spans[..] {
        [Span { from, runs }] => match runs[..] {
            [SpanRun { first: 0, step: 1, len, .. }] if len == from.end - from.start => Some(from.clone()),
            _ => None,
        },
        _ => None,
    };
    spans_of(picks, window).into_iter().map(as_read).collect()
}

/// The cells that a window of coarse cells is made of.
pub(crate) fn scaled(window: &[Range<u64>], factors: &[u64]) -> Vec<Range<u64>> {
    window.iter().zip(factors).map(|(r, f)| r.start * f..r.end * f).collect()
}

/// Number of cells of a window.
pub(crate) fn cells(window: &[Range<u64>]) -> u64 {
    window.iter().fold(1, |n, r| n.saturating_mul(r.end.saturating_sub(r.start)))
}

/// Lengths of a window.
pub(crate) fn lengths(window: &[Range<u64>]) -> Vec<usize> {
    window.iter().map(|r| size(r.end.saturating_sub(r.start))).collect()
}

/// A length as an index; one that does not fit fails where memory is taken.
pub(crate) fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
