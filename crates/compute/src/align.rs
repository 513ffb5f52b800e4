//! Where an array may be cut so that no chunk of a file is read twice.

/// Cuts along one axis: at every position `p` with `(p + phase) % period == 0`.
///
/// - `period >= 1`, `phase < period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cuts {
    pub(crate) period: u64,
    pub(crate) phase: u64,
}

/// No cut at all.
pub(crate) const UNCUT: Cuts = Cuts { period: u64::MAX, phase: 0 };

impl Cuts {
    /// Cuts at the edges of chunks of this length.
    pub(crate) fn of_chunk(chunk: u64) -> Self {
        Self { period: chunk.max(1), phase: 0 }
    }

    /// The same cuts seen from an array that starts at `start`.
    pub(crate) fn shifted(self, start: u64) -> Self {
        if self == UNCUT { self } else { Self { phase: (self.phase + start % self.period) % self.period, ..self } }
    }

    /// The cuts that remain when every `window` cells become one.
    pub(crate) fn coarsened(self, window: u64) -> Self {
        let both = self.and(Self::of_chunk(window));
        if both == UNCUT {
            return UNCUT;
        }
        // The first common cut is a multiple of the window; so is the distance to the next.
        let first = (both.period - both.phase) % both.period;
        let period = both.period / window;
        Self { period, phase: (period - first / window % period) % period }
    }

    /// The cuts that both allow.
    pub(crate) fn and(self, other: Self) -> Self {
        let Some(period) = lcm(self.period, other.period) else { return UNCUT };
        let mut at = (self.period - self.phase) % self.period;
        for _ in 0..(period / self.period) {
            if (at + other.phase).is_multiple_of(other.period) {
                return Self { period, phase: (period - at) % period };
            }
            at += self.period;
        }
        UNCUT
    }

    /// The pieces of `0..len` between the cuts, `join` of them at a time.
    pub(crate) fn pieces(self, len: u64, join: u64) -> Vec<std::ops::Range<u64>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < len {
            let step = self.period.saturating_mul(join.max(1)).saturating_sub(if start == 0 { self.phase } else { 0 });
            let end = start.saturating_add(step).min(len);
            pieces.push(start..end);
            start = end;
        }
        pieces
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Least common multiple below 2^40; beyond it there is no useful cut.
fn lcm(a: u64, b: u64) -> Option<u64> {
    (a / gcd(a, b)).checked_mul(b).filter(|m| *m < 1 << 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_divide_the_chunk_keep_its_edges() {
        let cuts = Cuts::of_chunk(1000).coarsened(20);
        assert_eq!(cuts, Cuts { period: 50, phase: 0 });
        assert_eq!(cuts.pieces(403, 1).len(), 9);
        assert_eq!(Cuts::of_chunk(100).coarsened(7), Cuts { period: 100, phase: 0 });
    }

    #[test]
    fn a_selection_moves_the_edges() {
        let cuts = Cuts::of_chunk(5).shifted(3);
        assert_eq!(cuts.pieces(10, 1), vec![0..2, 2..7, 7..10]);
        assert_eq!(cuts.pieces(10, 2), vec![0..7, 7..10]);
        assert_eq!(Cuts::of_chunk(4).and(Cuts::of_chunk(6)), Cuts { period: 12, phase: 0 });
        assert_eq!(Cuts::of_chunk(4).shifted(1).and(Cuts::of_chunk(4)), UNCUT);
        assert_eq!(UNCUT.pieces(10, 1), vec![0..10]);
    }
}
