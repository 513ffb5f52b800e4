//! Which positions of a dimension are taken, and in which spans they are read.

use std::ops::Range;
use std::sync::Arc;

use super::cuts::Cuts;

/// The positions that are taken of one dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pick {
    /// `start`, `start + step` and so on, `len` of them; `step` is not 0.
    Range { start: u64, step: i64, len: u64 },
    /// One position; the dimension goes.
    At(u64),
    /// These positions, in this order.
    Take(Arc<[u64]>),
}

/// Positions that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// What is read.
    pub(crate) from: Range<u64>,
    /// What is taken of it.
    pub(crate) runs: Vec<SpanRun>,
}

/// Positions at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanRun {
    /// The first one, counted from the start of the span.
    pub(crate) first: u64,
    pub(crate) step: i64,
    pub(crate) len: u64,
    /// Where the first one goes, counted from the start of the window.
    pub(crate) to: u64,
}

/// Positions between two runs that are read in vain rather than apart, as a share of what is taken.
const WASTE: u64 = 4;

impl Pick {
    /// All positions of a dimension.
    pub(crate) fn all(len: u64) -> Self {
        Self::Range { start: 0, step: 1, len }
    }

    /// Number of positions; `None` if the dimension goes.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Range { len, .. } => Some(*len),
            Self::At(_) => None,
            Self::Take(all) => Some(all.len() as u64),
        }
    }

    fn position(&self, at: u64) -> u64 {
        match self {
            Self::Range { start, step, .. } => start.saturating_add_signed(step.saturating_mul(at.cast_signed())),
            Self::At(position) => *position,
            Self::Take(all) => usize::try_from(at).ok().and_then(|at| all.get(at)).copied().unwrap_or(0),
        }
    }

    /// What is read for the positions `window` of what is taken; of a dimension that goes, its one position.
    pub(crate) fn spans(&self, window: &Range<u64>) -> Vec<Span> {
        match self {
            Self::At(at) => {
                vec![Span { from: *at..at + 1, runs: vec![SpanRun { first: 0, step: 1, len: 1, to: 0 }] }]
            }
            _ if window.is_empty() => vec![Span { from: 0..0, runs: Vec::new() }],
            Self::Range { step, .. } => {
                let (first, last) = (self.position(window.start), self.position(window.end - 1));
                let from = first.min(last)..first.max(last) + 1;
                let run = SpanRun { first: first - from.start, step: *step, len: window.end - window.start, to: 0 };
                vec![Span { from, runs: vec![run] }]
            }
            Self::Take(_) => self.taken(window),
        }
    }

    fn taken(&self, window: &Range<u64>) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut useful = 0;
        for at in window.clone() {
            let (position, to) = (self.position(at), at - window.start);
            if let Some(span) = spans.last_mut()
                && position >= span.from.end
                && position + 1 - span.from.start <= WASTE * (useful + 1)
            {
                if position == span.from.end
                    && let Some(run) = span.runs.last_mut()
                {
                    run.len += 1;
                } else {
                    span.runs.push(SpanRun { first: position - span.from.start, step: 1, len: 1, to });
                }
                span.from.end = position + 1;
                useful += 1;
            } else {
                spans
                    .push(Span { from: position..position + 1, runs: vec![SpanRun { first: 0, step: 1, len: 1, to }] });
                useful = 1;
            }
        }
        spans
    }

    /// Where what is taken may be cut; `len` is that of the dimension it is taken from.
    pub(crate) fn cuts(&self, input: &Cuts, len: u64) -> Cuts {
        match self {
            Self::Range { start, step: 1, .. } => input.shifted(*start),
            Self::Range { start, step, .. } if *step > 1 => input.shifted(*start).strided(step.unsigned_abs(), len),
            Self::Range { .. } => match input {
                Cuts::Whole => Cuts::Whole,
                cuts => Cuts::of_chunk((cuts.longest(len) / self.stride()).max(1)),
            },
            Self::At(_) => Cuts::of_chunk(1),
            Self::Take(all) => match input {
                Cuts::Whole => Cuts::Whole,
                cuts => Cuts::of_chunk(cuts.longest(len).min(all.len() as u64)),
            },
        }
    }

    fn stride(&self) -> u64 {
        if let Self::Range { step, .. } = self { step.unsigned_abs().max(1) } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_positions_are_read_in_few_spans() {
        let take = Pick::Take(vec![3, 4, 6, 40, 41, 2].into());
        let spans = take.spans(&(0..6));
        let from: Vec<_> = spans.iter().map(|span| span.from.clone()).collect();
        assert_eq!(from, [3..7, 40..42, 2..3]);
        assert_eq!(
            spans[0].runs,
            [SpanRun { first: 0, step: 1, len: 2, to: 0 }, SpanRun { first: 3, step: 1, len: 1, to: 2 }]
        );
        let back = Pick::Range { start: 9, step: -2, len: 5 };
        assert_eq!(
            back.spans(&(1..3)),
            [Span { from: 5..8, runs: vec![SpanRun { first: 2, step: -2, len: 2, to: 0 }] }]
        );
        assert_eq!(Pick::all(4).spans(&(2..2))[0].from, 0..0);
    }
}
