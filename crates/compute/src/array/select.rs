//! Selections by position and by label.

use std::ops::Range;

use outcrop_grid::positions;

use super::DataArray;
use crate::expr::Expr;
use crate::expr::select::Pick;
use crate::{Error, Result};

impl DataArray {
    fn picked(&self, at: usize, pick: Pick) -> Self {
        let mut picks: Vec<Pick> = self.expr.shape.iter().map(|len| Pick::all(*len)).collect();
        let mut array = self.clone();
        let dim = self.dims[at].clone();
        if pick.len().is_none() {
            array.dims.remove(at);
            array.coords.shift_remove(&dim);
        } else if let Some(coord) = array.coords.get_mut(&dim) {
            *coord = coord.picked(&pick);
        }
        picks[at] = pick;
        array.expr = Expr::select(self.expr.clone(), picks);
        array
    }

    fn check_range(&self, dim: &str, range: &Range<u64>) -> Result<usize> {
        let at = self.dim(dim)?;
        let len = self.expr.shape[at];
        if range.start > range.end || range.end > len {
            return Err(Error::OutOfRange { dim: dim.into(), start: range.start, end: range.end, len });
        }
        Ok(at)
    }

    /// Positions `range` of a dimension, half-open.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::OutOfRange`] if the range is reversed or ends after the last position.
    pub fn isel(&self, dim: &str, range: Range<u64>) -> Result<Self> {
        let at = self.check_range(dim, &range)?;
        Ok(self.picked(at, Pick::Range { start: range.start, step: 1, len: range.end - range.start }))
    }

    /// Each `step`-th position of a range, from the first; with a negative step backwards from the last.
    ///
    /// # Errors
    /// As [`DataArray::isel`]; [`Error::Unsupported`] for a step of 0.
    pub fn isel_step(&self, dim: &str, range: Range<u64>, step: i64) -> Result<Self> {
        let at = self.check_range(dim, &range)?;
        if step == 0 {
            return Err(self.refuse("select from", "a step of 0 goes nowhere"));
        }
        let len = (range.end - range.start).div_ceil(step.unsigned_abs());
        let start = if step > 0 { range.start } else { range.end.saturating_sub(1) };
        Ok(self.picked(at, Pick::Range { start, step, len }))
    }

    /// One position of a dimension, which goes.
    ///
    /// # Errors
    /// As [`DataArray::isel`].
    pub fn index(&self, dim: &str, position: u64) -> Result<Self> {
        let at = self.check_range(dim, &(position..position.saturating_add(1)))?;
        Ok(self.picked(at, Pick::At(position)))
    }

    /// These positions of a dimension, in this order.
    ///
    /// # Errors
    /// As [`DataArray::isel`].
    pub fn take(&self, dim: &str, positions: &[u64]) -> Result<Self> {
        let at = self.dim(dim)?;
        for position in positions {
            self.check_range(dim, &(*position..position.saturating_add(1)))?;
        }
        Ok(self.picked(at, Pick::Take(positions.into())))
    }

    fn labels(&self, dim: &str) -> Result<&[f64]> {
        self.dim(dim)?;
        let none = || self.refuse("select by label in", format!("`{dim}` has no coordinate"));
        self.coords.get(dim).map(|coord| coord.values.as_slice()).ok_or_else(none)
    }

    /// Labels from `from` to `to`, inclusive, in the direction of the axis (on a descending axis `from` is larger).
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] if the dimension has no labels.
    pub fn sel(&self, dim: &str, from: f64, to: f64) -> Result<Self> {
        let range = positions(self.labels(dim)?, from, to);
        self.isel(dim, range.start as u64..range.end as u64)
    }

    /// The position whose label is nearest, the first of two that are as near; the dimension goes.
    ///
    /// # Errors
    /// As [`DataArray::sel`]; [`Error::OutOfRange`] of an empty dimension.
    pub fn sel_nearest(&self, dim: &str, label: f64) -> Result<Self> {
        let labels = self.labels(dim)?;
        let distance = |at: &usize| (labels[*at] - label).abs();
        let nearest =
            (0..labels.len()).filter(|at| !labels[*at].is_nan()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        self.index(dim, nearest.map_or(u64::MAX, |at| at as u64))
    }

    /// The positions of a dimension whose dates fulfil a condition, in the calendar of the axis.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] if the labels are no dates.
    pub fn take_dates(&self, dim: &str, wanted: impl Fn(&outcrop_grid::time::Stamp) -> bool) -> Result<Self> {
        let dates = self.dates(dim)?;
        let positions: Vec<u64> = (0u64..).zip(&dates).filter(|(_, date)| wanted(date)).map(|(at, _)| at).collect();
        self.take(dim, &positions)
    }

    /// The dates of a dimension.
    ///
    /// # Errors
    /// As [`DataArray::take_dates`].
    pub fn dates(&self, dim: &str) -> Result<Vec<outcrop_grid::time::Stamp>> {
        self.dim(dim)?;
        let dates = self.coords.get(dim).and_then(crate::Coord::dates);
        dates.ok_or_else(|| self.refuse("take dates of", format!("the labels of `{dim}` are no times with units")))
    }
}
