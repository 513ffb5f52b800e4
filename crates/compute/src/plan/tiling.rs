//! How an array is cut into the windows of tasks.

use std::ops::Range;
use std::sync::Arc;

use super::cost::Meter;
use crate::expr::Expr;
use crate::expr::cuts::Cuts;

/// Values of a window up to which small chunks are joined, so that they do not make a task each.
const WINDOW_VALUES: u64 = 1 << 17;
/// Pieces of one dimension that are listed.
const MOST_PIECES: u64 = 1 << 16;
/// Memory of a task up to which they are joined.
const WINDOW_BYTES: u64 = 16 << 20;

/// Windows that cover an array: each piece of a dimension with each of the others.
#[derive(Debug, Clone)]
pub(crate) struct Tiling {
    pub(crate) pieces: Vec<Vec<Range<u64>>>,
}

/// How one dimension is cut.
#[derive(Debug, Clone)]
enum Along {
    /// At these cuts, so many of their pieces together.
    Joined(Cuts, u64),
    /// Every so many positions.
    Every(u64),
}

impl Along {
    fn pieces(&self, len: u64) -> Vec<Range<u64>> {
        match self {
            Self::Joined(cuts, join) => cuts.pieces(len, *join),
            Self::Every(step) => Cuts::of_chunk(*step).pieces(len, 1),
        }
    }

    fn longest(&self, len: u64) -> u64 {
        match self {
            Self::Joined(Cuts::At(_), join) if *join > 1 => {
                self.pieces(len).iter().map(|piece| piece.end - piece.start).max().unwrap_or(0)
            }
            Self::Joined(cuts, join) => cuts.longest(len).saturating_mul(*join).min(len),
            Self::Every(step) => (*step).min(len),
        }
    }
}

impl Tiling {
    /// Windows of which as many as the meter has workers fit in so many bytes; `unit` is what is written at once.
    ///
    /// # Errors
    /// The bytes of the smallest windows, if they do not fit.
    pub(crate) fn of(expr: &Arc<Expr>, unit: Option<&[u64]>, room: u64, meter: &Meter<'_>) -> Result<Self, u64> {
        let shape = &expr.shape;
        let cuts = expr.cuts();
        let mut along: Vec<Along> =
            (0..shape.len()).map(|d| begin(&cuts[d], unit.map(|unit| unit[d]), shape[d])).collect();
        let cost = |along: &[Along]| meter.total(expr, &Self::from(along, shape));
        let enough = room.min(WINDOW_BYTES * meter.workers as u64);
        grow(&mut along, shape, |grown| cost(grown) <= enough);
        if crate::eval::rows::chain(expr).is_some() {
            fill_lanes(&mut along, shape, |grown| cost(grown) <= room);
        }
        loop {
            let need = cost(&along);
            if need <= room {
                return Ok(Self::from(&along, shape));
            }
            if !shrink(&mut along, &cuts, shape, unit) {
                return Err(need);
            }
        }
    }

    fn from(along: &[Along], shape: &[u64]) -> Self {
        Self { pieces: along.iter().zip(shape).map(|(along, len)| along.pieces(*len)).collect() }
    }

    /// Number of windows.
    pub(crate) fn count(&self) -> u64 {
        self.pieces.iter().fold(1u64, |n, pieces| n.saturating_mul(pieces.len() as u64))
    }

    /// A window; the last dimension varies fastest.
    pub(crate) fn window(&self, mut at: u64) -> Vec<Range<u64>> {
        let mut window = vec![0..0; self.pieces.len()];
        for (range, pieces) in window.iter_mut().zip(&self.pieces).rev() {
            let count = (pieces.len() as u64).max(1);
            range.clone_from(pieces.get(crate::expr::size(at % count)).unwrap_or(&(0..0)));
            at /= count;
        }
        window
    }

    /// The first, the last, and the one of the longest pieces: among them are those that take most.
    pub(crate) fn samples(&self) -> Vec<Vec<Range<u64>>> {
        let count = self.count();
        if count == 0 {
            return Vec::new();
        }
        let longest = |pieces: &Vec<Range<u64>>| {
            pieces.iter().rev().max_by_key(|piece| piece.end - piece.start).cloned().unwrap_or(0..0)
        };
        let mut all = vec![self.pieces.iter().map(longest).collect(), self.window(0), self.window(count - 1)];
        all.extend((1..8).map(|at| self.window(count / 8 * at)));
        all.dedup();
        all
    }
}

/// The cuts of the array where windows may be any, else multiples of what is written at once that are near them.
fn begin(cuts: &Cuts, unit: Option<u64>, len: u64) -> Along {
    match (cuts, unit) {
        (Cuts::Whole, _) => Along::Every(u64::MAX),
        (cuts @ Cuts::Every { period, .. }, None) => Along::Joined(cuts.clone(), (len / period / MOST_PIECES).max(1)),
        (cuts, None) => Along::Joined(cuts.clone(), 1),
        (Cuts::Every { period, .. }, Some(unit)) => {
            let unit = unit.max(1);
            Along::Every((period / unit).max(len / unit / MOST_PIECES).max(1).saturating_mul(unit))
        }
        (Cuts::At(_), Some(unit)) => Along::Every(unit.max(1)),
    }
}

/// Joins small windows, along the last dimensions first.
fn grow(along: &mut [Along], shape: &[u64], fits: impl Fn(&[Along]) -> bool) {
    for d in (0..along.len()).rev() {
        loop {
            let values: u64 =
                along.iter().zip(shape).fold(1, |n: u64, (along, len)| n.saturating_mul(along.longest(*len).max(1)));
            if values >= WINDOW_VALUES || along[d].longest(shape[d]) >= shape[d] {
                break;
            }
            let more = (WINDOW_VALUES / values.max(1)).clamp(2, 1 << 20);
            let mut grown = along.to_vec();
            match &mut grown[d] {
                Along::Joined(_, join) => *join = join.saturating_mul(more),
                Along::Every(step) => *step = step.saturating_mul(more),
            }
            if !fits(&grown) {
                break;
            }
            along.clone_from_slice(&grown);
        }
    }
}

/// Joins windows of fewer rows than go through a chain together.
fn fill_lanes(along: &mut [Along], shape: &[u64], fits: impl Fn(&[Along]) -> bool) {
    let Some(d) = along.len().checked_sub(2) else { return };
    let rows = (crate::eval::rows::ROWS as u64).min(shape[d]);
    while along[d].longest(shape[d]) < rows {
        let mut grown = along.to_vec();
        match &mut grown[d] {
            Along::Joined(_, join) => *join = join.saturating_mul(2),
            Along::Every(step) => *step = step.saturating_mul(2),
        }
        if !fits(&grown) {
            break;
        }
        along.clone_from_slice(&grown);
    }
}

/// Makes windows smaller: along the longest dimension that may be cut, to half. Whole chunks as long as that is possible.
fn shrink(along: &mut [Along], cuts: &[Cuts], shape: &[u64], unit: Option<&[u64]>) -> bool {
    let least = |d: usize| unit.map_or(1, |unit| unit[d].max(1));
    let can = |d: usize| cuts[d] != Cuts::Whole && along[d].longest(shape[d]) > least(d);
    // First what was joined, then chunks.
    let joined = |d: &usize| match &along[*d] {
        Along::Joined(_, join) => *join > 1,
        Along::Every(step) => *step > cuts[*d].longest(shape[*d]),
    };
    let candidates: Vec<usize> = (0..along.len()).filter(|d| can(*d)).collect();
    let of_longest =
        |all: &mut dyn Iterator<Item = &usize>| all.max_by_key(|d| along[**d].longest(shape[**d])).copied();
    let chosen =
        of_longest(&mut candidates.iter().filter(|d| joined(d))).or_else(|| of_longest(&mut candidates.iter()));
    let Some(d) = chosen else { return false };
    let longest = along[d].longest(shape[d]);
    along[d] = match &along[d] {
        Along::Joined(cuts, join) if *join > 1 => Along::Joined(cuts.clone(), join / 2),
        _ => Along::Every((longest / 2 / least(d)).max(1) * least(d)),
    };
    true
}
