//! The memory of a task, computed from its window before it runs. Follows [`crate::eval`] step by step.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::tiling::Tiling;
use crate::eval::{PIECE, context::in_flight, dot_slabs, reduce_slabs, rows};
use crate::expr::{
    Expr, Node, cells, lengths, made, moved, narrowed, needed, parts, products, scaled, spans_of, turned_back,
};
use crate::kernel::Sizes;
use crate::reduce::Reduce;
use crate::reduce::accumulate::{LanesOrNot, state_bytes};
use crate::source::Source;

/// Most pieces of a selection or concatenation whose memory is computed one by one.
const MOST_PIECES: usize = 64;

/// Bytes of a slab that is begun beside its chunks and values: its task, the names and places of its chunks, its place in queues.
const BESIDE: u64 = 16 << 10;

/// Counts the bytes of tasks.
#[derive(Clone, Copy)]
pub(crate) struct Meter<'a> {
    /// Threads that a task may use.
    pub(crate) threads: usize,
    /// What is fetched ahead.
    pub(crate) ahead: usize,
    /// Tasks at once.
    pub(crate) workers: usize,
    /// Bytes that writing a window of so many bytes takes.
    pub(crate) write: &'a dyn Fn(u64) -> u64,
}

/// Bytes of the chunks as stored that the evaluation of a window needs at once.
pub(crate) fn stored_bytes(expr: &Expr, window: &[Range<u64>]) -> u64 {
    stored_of(&[(expr, window)])
}

/// As [`stored_bytes`], of windows of several arrays; each chunk once.
fn stored_of(arrays: &[(&Expr, &[Range<u64>])]) -> u64 {
    let mut chunks: HashMap<usize, (Arc<Source>, Vec<Vec<u64>>)> = HashMap::new();
    for (expr, window) in arrays {
        expr.visit(window, &mut |source, window| {
            let of_source = chunks.entry(source.id).or_insert_with(|| (source.clone(), Vec::new()));
            of_source.1.append(&mut source.chunks_in(window));
        });
    }
    let each = |(source, mut indices): (Arc<Source>, Vec<Vec<u64>>)| -> u64 {
        indices.sort_unstable();
        indices.dedup();
        indices.iter().map(|index| source.stored_length(index)).sum()
    };
    chunks.into_values().map(each).sum()
}

/// Bytes that the evaluation of a window takes at most on one thread, with its result, without stored chunks.
pub(crate) fn eval_bytes(expr: &Arc<Expr>, window: &[Range<u64>], ahead: usize) -> u64 {
    Meter { threads: 1, ahead, workers: 1, write: &|_| 0 }.peak(expr, window)
}

impl Meter<'_> {
    /// Bytes of all tasks that run at once.
    pub(crate) fn total(&self, expr: &Arc<Expr>, tiling: &Tiling) -> u64 {
        let (mut stored, mut peak) = (0, 0);
        for window in tiling.samples() {
            stored = stored.max(stored_bytes(expr, &window));
            let result = bytes(expr, &window);
            peak = peak.max(self.peak(expr, &window).max(result + (self.write)(result)));
        }
        let workers = self.workers as u64;
        let coming = (in_flight(self.workers, self.ahead) as u64).min(tiling.count());
        peak.saturating_mul(workers).saturating_add(stored.saturating_mul(coming))
    }

    /// Bytes that the evaluation of a window takes at most, with its result.
    fn peak(&self, expr: &Arc<Expr>, window: &[Range<u64>]) -> u64 {
        let result = bytes(expr, window);
        if let Some(chain) = rows::chain(expr) {
            return self.chain(&chain, window);
        }
        match &expr.node {
            Node::Source(source) => {
                // What is stored as it is, is decoded in its place.
                let raw = if source.is_decoded() { cells(window) * source.variable.dtype.size() as u64 } else { 0 };
                raw + source.decode_bytes() + result
            }
            Node::Values(_) | Node::Full(_) => result,
            Node::Cast(_) | Node::Unary(..) | Node::Binary(..) | Node::Where(_) => self.fused(expr, window),
            Node::Select(input, picks) => {
                let spans = spans_of(picks, window);
                let moved = moved(picks, window).is_some();
                let most = products(&spans).into_iter().take(MOST_PIECES).map(|spans| {
                    let from: Vec<Range<u64>> = spans.iter().map(|span| span.from.clone()).collect();
                    self.peak(input, &from)
                });
                most.max().unwrap_or(0) + if moved { 0 } else { result }
            }
            Node::Transpose(input, order) => self.turned(input, &turned_back(window, order), result),
            Node::Broadcast(input, dims) => self.turned(input, &narrowed(window, dims), result),
            Node::Concat(inputs, axis) => {
                let parts = parts(inputs, *axis, window);
                let most = parts.iter().take(MOST_PIECES).map(|(input, from, _)| self.peak(input, from)).max();
                result + most.unwrap_or(0)
            }
            Node::Coarsen(input, windows) => self.coarsened(input, &scaled(window, windows), result),
            Node::Reduce(input, reduce) => {
                let full = reduce.needed(&input.shape, window);
                let groups = reduce.groups.as_ref().map_or(1, |groups| groups.count);
                self.partial(input, (reduce, &reduce.axes, groups), &full) + 2 * result
            }
            Node::Kernel(inputs, kernel) => {
                let made = made(kernel.as_ref(), window);
                let from = needed(kernel.as_ref(), &inputs[0].shape, &made);
                let (mut held, mut most) = (0, 0);
                for input in inputs {
                    most = most.max(held + self.peak(input, &from));
                    held += bytes(input, &from);
                }
                let sizes = Sizes { cells: cells(&from), input: held, result: bytes(expr, &made) };
                most.max(held + kernel.work_bytes(sizes) + if made == window { 0 } else { result })
            }
            Node::Dot([left, right]) => self.product(left, right, window),
            Node::Chunked(input, _) => self.peak(input, window),
            Node::Stored(stored) => result + 2 * stored.tile_bytes(),
        }
    }

    fn turned(&self, input: &Arc<Expr>, from: &[Range<u64>], result: u64) -> u64 {
        self.peak(input, from).max(bytes(input, from) + result)
    }

    fn coarsened(&self, input: &Arc<Expr>, fine: &[Range<u64>], result: u64) -> u64 {
        let width = fine.last().map_or(1, |range| range.end - range.start);
        match &input.node {
            Node::Source(source) if source.dtype() == crate::DType::Float32 => {
                let raw = cells(fine) * source.variable.dtype.size() as u64 + source.decode_bytes();
                raw + 20 * width + 2 * result
            }
            _ => self.turned(input, fine, result + 16 * width),
        }
    }

    /// Leaves of a chain are held together.
    fn fused(&self, expr: &Arc<Expr>, window: &[Range<u64>]) -> u64 {
        let mut leaves = Leaves { held: 0, peak: 0, nodes: 0, seen: HashSet::new() };
        self.leaves(expr, window, &mut leaves);
        let piece = (PIECE as u64).min(cells(window)) * 8;
        leaves.peak.max(leaves.held + bytes(expr, window) + piece * leaves.nodes.min(6))
    }

    fn leaves(&self, expr: &Arc<Expr>, window: &[Range<u64>], leaves: &mut Leaves) {
        if !leaves.seen.insert(Arc::as_ptr(expr)) {
            return;
        }
        leaves.nodes += 1;
        match &expr.node {
            Node::Full(_) => {}
            Node::Cast(input) | Node::Unary(_, input) if rows::chain(expr).is_none() => {
                self.leaves(input, window, leaves);
            }
            Node::Binary(_, inputs) if rows::chain(expr).is_none() => {
                for input in inputs {
                    self.leaves(input, window, leaves);
                }
            }
            Node::Where(inputs) => {
                for input in inputs {
                    self.leaves(input, window, leaves);
                }
            }
            Node::Source(source) => {
                let raw = cells(window) * source.variable.dtype.size() as u64;
                leaves.add(raw + source.decode_bytes(), raw);
            }
            Node::Broadcast(input, dims) => {
                let from = narrowed(window, dims);
                leaves.add(self.peak(input, &from), bytes(input, &from));
            }
            _ => leaves.add(self.peak(expr, window), bytes(expr, window)),
        }
    }

    fn chain(&self, chain: &rows::Chain<'_>, window: &[Range<u64>]) -> u64 {
        let from = rows::base_window(chain, window);
        let count: u64 = lengths(window).iter().rev().skip(1).map(|n| *n as u64).product();
        let together = (rows::ROWS as u64).min(count);
        let of = |expr: &Arc<Expr>| together * expr.shape.last().copied().unwrap_or(1) * expr.dtype.size() as u64;
        let (mut input, mut most) = (of(chain.base), 0);
        for step in &chain.steps {
            let result = of(step);
            let work = match &step.node {
                Node::Kernel(inputs, kernel) => {
                    let cells = together * inputs[0].shape.last().copied().unwrap_or(1);
                    kernel.work_bytes(Sizes { cells, input, result })
                }
                _ => result,
            };
            most = most.max(input + work);
            input = result;
        }
        let base = self.peak(chain.base, &from);
        let result = chain.steps.last().map_or(0, |step| bytes(step, window));
        base.max(bytes(chain.base, &from) + result + most)
    }

    fn partial(
        &self,
        input: &Arc<Expr>,
        (reduce, axes, groups): (&Reduce, &[usize], u64),
        window: &[Range<u64>],
    ) -> u64 {
        let Some((axis, inner)) = axes.split_first() else { return 0 };
        let is_last = *axis + 1 == window.len() && reduce.groups.is_none();
        let lanes = if is_last { LanesOrNot::Lanes } else { LanesOrNot::Not };
        let kept = |window: &[Range<u64>], gone: &[usize]| -> u64 {
            (0..window.len()).filter(|d| !gone.contains(d)).map(|d| window[d].end - window[d].start).product()
        };
        let joined = if is_last { kept(window, axes) * state_bytes(reduce, input.dtype, LanesOrNot::Not) } else { 0 };
        let state = kept(window, axes) * groups * state_bytes(reduce, input.dtype, lanes) + joined;
        let slabs = reduce_slabs(input, window, *axis);
        let longest = slabs.iter().max_by_key(|slab| cells(slab));
        let Some(slab) = longest else { return state };
        let at_once = self.threads.min(slabs.len()) as u64;
        let each = if inner.is_empty() {
            let stored = stored_bytes(input, slab);
            at_once * (stored + self.peak(input, slab)) + self.beyond(slabs.len(), (stored, bytes(input, slab)))
        } else {
            let alone = Self { threads: 1, ..*self };
            let inner_state = kept(slab, inner) * state_bytes(reduce, input.dtype, LanesOrNot::Not);
            let waiting = if at_once > 1 { inner_state * self.ahead as u64 } else { 0 };
            at_once * alone.partial(input, (reduce, inner, 1), slab) + waiting
        };
        state + each
    }

    fn product(&self, left: &Arc<Expr>, right: &Arc<Expr>, window: &[Range<u64>]) -> u64 {
        let result = cells(window) * 8;
        let [rows, columns] = window else { return result };
        let slabs = dot_slabs(left, right, rows.end - rows.start, columns.end - columns.start);
        let Some(slab) = slabs.iter().max_by_key(|slab| slab.end - slab.start) else { return result };
        let (a, b) = ([rows.clone(), slab.clone()], [slab.clone(), columns.clone()]);
        let stored = stored_of(&[(left, &a), (right, &b)]);
        let values = bytes(left, &a) + bytes(right, &b);
        let peak = self.peak(left, &a).max(bytes(left, &a) + self.peak(right, &b));
        let at_once = self.threads.min(slabs.len()) as u64;
        result + at_once * (stored + peak) + self.beyond(slabs.len(), (stored, values))
    }

    /// Bytes of what goes with slabs that are begun, and of those beside the ones that are evaluated: each is on its way as stored, or done and not taken.
    fn beyond(&self, slabs: usize, (stored, done): (u64, u64)) -> u64 {
        let begun = in_flight(self.threads, self.ahead).min(slabs);
        let beyond = (begun - self.threads.min(begun)) as u64;
        begun as u64 * BESIDE + beyond * if self.threads > 1 { stored.max(done) } else { stored }
    }
}

struct Leaves {
    held: u64,
    peak: u64,
    nodes: u64,
    seen: HashSet<*const Expr>,
}

impl Leaves {
    fn add(&mut self, peak: u64, held: u64) {
        self.peak = self.peak.max(self.held + peak);
        self.held += held;
    }
}

/// Bytes of the values of a window.
fn bytes(expr: &Expr, window: &[Range<u64>]) -> u64 {
    cells(window).saturating_mul(expr.dtype.size() as u64)
}
