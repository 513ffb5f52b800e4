//! Where an array may be cut so that no chunk of a file is read twice.

use std::ops::Range;
use std::sync::Arc;

/// Most positions that are kept one by one; beyond, fewer cuts are known than there are.
const MOST: usize = 1 << 20;

/// Cuts along one axis.
///
/// - `Every`: at each position `p` with `(p + phase) % period == 0`; `period >= 1`, `phase < period`.
/// - `At`: at these positions, which rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// None: the axis is needed whole.
    Whole,
    Every {
        period: u64,
        phase: u64,
    },
    At(Arc<[u64]>),
}

/// Cuts at regular distances.
#[derive(Debug, Clone, Copy)]
struct Regular {
    period: u64,
    phase: u64,
}

impl Regular {
    /// The first common cut of both, and the distance to the next; beyond `len` none is looked for.
    fn and(self, other: Self, len: u64) -> Option<Self> {
        let period = (self.period / gcd(self.period, other.period)).checked_mul(other.period)?;
        let mut at = (self.period - self.phase) % self.period;
        while at < len.min(period) {
            if (at + other.phase).is_multiple_of(other.period) {
                return Some(Self { period, phase: (period - at) % period });
            }
            at += self.period;
        }
        None
    }
}

impl Cuts {
    /// Cuts at the edges of chunks of this length.
    pub(crate) fn of_chunk(chunk: u64) -> Self {
        Self::Every { period: chunk.max(1), phase: 0 }
    }

    /// One piece that is as long as the axis, which may be cut where memory does not hold it.
    fn one_piece(len: u64) -> Self {
        Self::of_chunk(len)
    }

    fn is_cut(&self, at: u64) -> bool {
        match self {
            Self::Whole => false,
            Self::Every { period, phase } => (at + phase).is_multiple_of(*period),
            Self::At(all) => all.binary_search(&at).is_ok(),
        }
    }

    /// The same cuts seen from an array that starts at `start`.
    pub(crate) fn shifted(&self, start: u64) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Every { period, phase } => Self::Every { period: *period, phase: (phase + start % period) % period },
            Self::At(all) => Self::At(all.iter().filter_map(|at| at.checked_sub(start)).collect()),
        }
    }

    /// The cuts that remain when every `window` cells of an axis of this length become one.
    pub(crate) fn coarsened(&self, window: u64, len: u64) -> Self {
        match self.and(&Self::of_chunk(window), len) {
            Self::Every { period, phase } => {
                // The first common cut is a multiple of the window; so is the distance to the next.
                let first = (period - phase) % period;
                let period = (period / window).max(1);
                Self::Every { period, phase: (period - first / window % period) % period }
            }
            Self::At(all) => Self::At(all.iter().map(|at| at / window).collect()),
            Self::Whole => Self::Whole,
        }
    }

    /// The cuts that remain when of `step` cells the first is taken.
    pub(crate) fn strided(&self, step: u64, len: u64) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Every { period, .. } if *period <= step => Self::of_chunk(1),
            Self::Every { .. } => self.coarsened(step, len),
            Self::At(all) => {
                let mut at: Vec<u64> = all.iter().map(|at| at.div_ceil(step)).collect();
                at.dedup();
                Self::At(at.into())
            }
        }
    }

    /// The cuts that both allow, on an axis of this length.
    pub(crate) fn and(&self, other: &Self, len: u64) -> Self {
        match (self, other) {
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (Self::At(all), other) | (other, Self::At(all)) => {
                Self::At(all.iter().copied().filter(|at| other.is_cut(*at)).collect())
            }
            (Self::Every { period, phase }, Self::Every { period: other_period, phase: other_phase }) => {
                let (a, b) = (
                    Regular { period: *period, phase: *phase },
                    Regular { period: *other_period, phase: *other_phase },
                );
                a.and(b, len)
                    .map_or_else(|| Self::one_piece(len), |both| Self::Every { period: both.period, phase: both.phase })
            }
        }
    }

    /// The cuts of parts of these lengths laid end to end.
    pub(crate) fn joined(parts: &[(u64, Self)]) -> Self {
        let equal = |cuts: &Self, len: u64| match cuts {
            Self::Every { period, phase: 0 } => Some((*period).min(len.max(1))),
            _ => None,
        };
        let common = parts.first().and_then(|(len, cuts)| equal(cuts, *len));
        let last = parts.len().saturating_sub(1);
        let regular = |period: u64| {
            parts.iter().enumerate().all(|(at, (len, cuts))| {
                let own = equal(cuts, *len);
                (own == Some(period) || (at == last && own.is_some_and(|own| own <= period && own >= *len)))
                    && (at == last || len.is_multiple_of(period))
            })
        };
        if let Some(period) = common.filter(|period| regular(*period)) {
            return Self::of_chunk(period);
        }
        let (mut all, mut start) = (Vec::new(), 0u64);
        for (len, cuts) in parts {
            all.push(start);
            if all.len() < MOST {
                all.extend(cuts.pieces(*len, 1).iter().skip(1).map(|piece| start + piece.start));
            }
            start += len;
        }
        all.dedup();
        Self::At(all.into())
    }

    /// The pieces of `0..len` between the cuts, `join` of them at a time.
    pub(crate) fn pieces(&self, len: u64, join: u64) -> Vec<Range<u64>> {
        let join = join.max(1);
        let mut edges: Vec<u64> = Vec::new();
        match self {
            Self::Whole => {}
            Self::Every { period, phase } => {
                let mut at = period.saturating_mul(join).saturating_sub(*phase);
                while at < len {
                    edges.push(at);
                    at = at.saturating_add(period.saturating_mul(join));
                }
            }
            Self::At(all) => {
                let inner = all.iter().copied().filter(|at| *at > 0 && *at < len);
                edges.extend(
                    inner
                        .skip(usize::try_from(join - 1).unwrap_or(usize::MAX))
                        .step_by(usize::try_from(join).unwrap_or(usize::MAX)),
                );
            }
        }
        let starts = std::iter::once(0).chain(edges.iter().copied());
        let ends = edges.iter().copied().chain([len]);
        starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| start..end).collect()
    }

    /// Length of the longest piece.
    pub(crate) fn longest(&self, len: u64) -> u64 {
        match self {
            Self::Whole => len,
            Self::Every { period, .. } => (*period).min(len),
            Self::At(_) => self.pieces(len, 1).iter().map(|piece| piece.end - piece.start).max().unwrap_or(0),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(period: u64, phase: u64) -> Cuts {
        Cuts::Every { period, phase }
    }

    #[test]
    fn windows_that_divide_the_chunk_keep_its_edges() {
        let cuts = Cuts::of_chunk(1000).coarsened(20, 8075);
        assert_eq!(cuts, every(50, 0));
        assert_eq!(cuts.pieces(403, 1).len(), 9);
        assert_eq!(Cuts::of_chunk(100).coarsened(7, 10_000), every(100, 0));
        assert_eq!(Cuts::of_chunk(12).strided(4, 100), every(3, 0));
        assert_eq!(Cuts::of_chunk(2).strided(4, 100), every(1, 0));
    }

    #[test]
    fn a_selection_moves_the_edges() {
        let cuts = Cuts::of_chunk(5).shifted(3);
        assert_eq!(cuts.pieces(10, 1), vec![0..2, 2..7, 7..10]);
        assert_eq!(cuts.pieces(10, 2), vec![0..7, 7..10]);
        assert_eq!(Cuts::of_chunk(4).and(&Cuts::of_chunk(6), 100), every(12, 0));
        assert_eq!(Cuts::of_chunk(4).shifted(1).and(&Cuts::of_chunk(4), 100), every(100, 0));
        assert_eq!(Cuts::Whole.pieces(10, 1), vec![0..10]);
        assert!(Cuts::of_chunk(3).pieces(0, 1).is_empty());
    }

    #[test]
    fn parts_laid_end_to_end_are_cut_where_they_meet() {
        let day = (1, Cuts::of_chunk(1));
        assert_eq!(Cuts::joined(&[day.clone(), day.clone(), day]), every(1, 0));
        let parts = [(12, Cuts::of_chunk(5)), (7, Cuts::Whole), (4, Cuts::of_chunk(2))];
        let joined = Cuts::joined(&parts);
        assert_eq!(joined.pieces(23, 1), vec![0..5, 5..10, 10..12, 12..19, 19..21, 21..23]);
        assert_eq!(joined.pieces(23, 2), vec![0..10, 10..19, 19..23]);
        assert_eq!(joined.longest(23), 7);
        assert_eq!(joined.shifted(11).pieces(12, 1), vec![0..1, 1..8, 8..10, 10..12]);
        assert_eq!(joined.and(&Cuts::of_chunk(5), 23).pieces(23, 1), vec![0..5, 5..10, 10..23]);
        assert_eq!(
            Cuts::joined(&[(10, Cuts::of_chunk(5)), (10, Cuts::of_chunk(5)), (3, Cuts::of_chunk(5))]),
            every(5, 0)
        );
    }
}
