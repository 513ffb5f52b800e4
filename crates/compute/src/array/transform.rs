//! Operations along dimensions that keep them: cumulative sums, differences, shifts, filters, stencils, transforms.

use std::sync::Arc;

use super::{DataArray, Other};
use crate::expr::Expr;
use crate::kernel::{
    Condition, Cumulative, CumulativeOp, Detrend, Differences, Fft2, FiltFilt, Kernel, RemoveMedian, Stencil, Trend,
};
use crate::ops::BinaryOp;
use crate::signal::{Removed, Sos};
use crate::{Block, DType, Missing, Result, Scalar};

impl DataArray {
    fn kernel(&self, action: &'static str, kernel: impl Kernel + 'static) -> Result<Self> {
        let expr = Expr::kernel(vec![self.expr.clone()], Arc::new(kernel)).map_err(|why| self.refuse(action, why))?;
        Ok(self.with_expr(expr))
    }

    /// A kernel of this array and others on the same cells; the result keeps the dimensions that the kernel keeps.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] if the kernel does not take them; [`crate::Error::Misaligned`].
    pub fn map_blocks(&self, others: &[&Self], kernel: impl Kernel + 'static) -> Result<Self> {
        for other in others {
            self.check_aligned(other)?;
        }
        let reach = kernel.reach();
        let inputs = std::iter::once(self).chain(others.iter().copied()).map(|array| array.expr.clone()).collect();
        let expr = Expr::kernel(inputs, Arc::new(kernel)).map_err(|why| self.refuse("map", why))?;
        let mut array = self.with_expr(expr);
        let kept = |at: usize| reach.get(at).is_some_and(|reach| *reach != crate::Reach::Gone);
        array.dims = (0..self.dims.len()).filter(|at| kept(*at)).map(|at| self.dims[at].clone()).collect();
        let lengths: Vec<(String, u64)> = array.dims.iter().cloned().zip(array.shape()).collect();
        array.coords.retain(|dim, coord| lengths.iter().any(|(have, len)| have == dim && *len == coord.len() as u64));
        Ok(array)
    }

    /// The sum of all values up to each along a dimension; NaN that is left out counts as 0.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] of complex numbers.
    pub fn cumsum(&self, dim: &str, missing: Missing) -> Result<Self> {
        let axis = self.dim(dim)?;
        self.kernel("add up", Cumulative { op: CumulativeOp::Cumsum, missing, axis, shape: self.shape() })
    }

    /// The product of all values up to each along a dimension; NaN that is left out counts as 1.
    ///
    /// # Errors
    /// As [`DataArray::cumsum`].
    pub fn cumprod(&self, dim: &str, missing: Missing) -> Result<Self> {
        let axis = self.dim(dim)?;
        self.kernel("multiply", Cumulative { op: CumulativeOp::Cumprod, missing, axis, shape: self.shape() })
    }

    /// Differences of neighbours along a dimension, `n` times; labels are those of the later ones.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`].
    pub fn diff(&self, dim: &str, n: u64) -> Result<Self> {
        let axis = self.dim(dim)?;
        let mut array = self.clone();
        for _ in 0..n.min(self.expr.shape[axis]) {
            let differences = array.kernel("take differences of", Differences { axis, rank: self.dims.len() })?;
            let len = differences.expr.shape[axis];
            array = differences.isel(dim, 1.min(len)..len)?;
        }
        Ok(array)
    }

    /// The values moved by so many positions along a dimension, to larger ones if it is positive; what is left free is NaN. Integers become
    /// floats, labels stay.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`].
    pub fn shift(&self, dim: &str, by: i64) -> Result<Self> {
        let axis = self.dim(dim)?;
        let dtype =
            if self.dtype().is_complex() { self.dtype() } else { self.dtype().promote(self.dtype().to_inexact()) };
        let own = self.astype(dtype);
        let len = self.expr.shape[axis];
        let moved = by.unsigned_abs().min(len);
        let mut shape = self.shape();
        shape[axis] = moved;
        let free = Expr::full(Block::from(vec![f64::NAN]).into_dtype(dtype), shape);
        let kept = if by >= 0 { own.isel(dim, 0..len - moved)? } else { own.isel(dim, moved..len)? };
        let parts = if by >= 0 { vec![free, kept.expr] } else { vec![kept.expr, free] };
        let expr = Expr::concat(parts, axis).ok_or_else(|| self.refuse("shift", "it is empty"))?;
        Ok(self.with_expr(expr))
    }

    /// Does something along a dimension as if it were the last.
    fn along(&self, dim: &str, f: impl FnOnce(&Self) -> Result<Self>) -> Result<Self> {
        let axis = self.dim(dim)?;
        if axis + 1 == self.dims.len() {
            return f(self);
        }
        let others: Vec<&str> = self.dims.iter().map(String::as_str).filter(|d| *d != dim).collect();
        let back: Vec<&str> = self.dims.iter().map(String::as_str).collect();
        f(&self.transpose(&others)?)?.transpose(&back)
    }

    /// Subtracts trends along a dimension (`scipy.signal.detrend`), one after the other. `breaks` are positions between which lines are
    /// fitted apart.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] of complex numbers.
    pub fn detrend(&self, dim: &str, trends: &[Trend], breaks: &[usize]) -> Result<Self> {
        self.along(dim, |array| {
            let kernel = Detrend { trends: trends.to_vec(), breaks: breaks.to_vec(), shape: array.shape() };
            array.kernel("detrend", kernel)
        })
    }

    /// Filters along a dimension forward and backward (`scipy.signal.sosfiltfilt`), and keeps each `every`-th sample, from the first. The
    /// result has double precision.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] of complex numbers and of traces that are too short for the filter.
    pub fn sosfiltfilt(&self, dim: &str, sos: &Sos, every: u64) -> Result<Self> {
        let every = every.max(1);
        let filtered = self
            .along(dim, |array| array.kernel("filter", FiltFilt { sos: sos.clone(), every, shape: array.shape() }))?;
        self.with_each_label(filtered, dim, every)
    }

    /// As [`DataArray::detrend`] and [`DataArray::sosfiltfilt`] in one pass over the samples, which is faster; the result has single
    /// precision, to which it is rounded at the end.
    ///
    /// # Errors
    /// As [`DataArray::sosfiltfilt`].
    pub fn condition(&self, dim: &str, removed: Removed, sos: &Sos, every: u64) -> Result<Self> {
        let every = every.max(1);
        let conditioned = self.along(dim, |array| {
            let filter = FiltFilt { sos: sos.clone(), every, shape: array.shape() };
            array.kernel("filter", Condition { removed, filter })
        })?;
        self.with_each_label(conditioned, dim, every)
    }

    /// A result that has each `every`-th position of a dimension of this array, with the labels of those.
    fn with_each_label(&self, mut filtered: Self, dim: &str, every: u64) -> Result<Self> {
        let len = self.expr.shape[self.dim(dim)?];
        if let Some(coord) = filtered.coords.get_mut(dim) {
            let step = i64::try_from(every).unwrap_or(i64::MAX);
            *coord = coord.picked(&crate::expr::select::Pick::Range { start: 0, step, len: len.div_ceil(every) });
        }
        Ok(filtered)
    }

    /// Each `every`-th position of a dimension, from the first.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] for 0.
    pub fn decimate(&self, dim: &str, every: u64) -> Result<Self> {
        let len = self.expr.shape[self.dim(dim)?];
        self.isel_step(dim, 0..len, i64::try_from(every).unwrap_or(i64::MAX))
    }

    /// Subtracts the median along a dimension.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] of complex numbers.
    pub fn remove_median(&self, dim: &str, missing: Missing) -> Result<Self> {
        let axis = self.dim(dim)?;
        self.kernel("subtract the median of", RemoveMedian { axis, missing, shape: self.shape() })
    }

    /// A weighted sum of the neighbours in the last two dimensions.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for weights that are not an odd number of rows and columns.
    pub fn stencil(&self, stencil: Stencil) -> Result<Self> {
        self.kernel("smooth", stencil)
    }

    /// The Fourier transform of the last two dimensions (`numpy.fft.fft2`).
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] of fewer dimensions, or empty ones.
    pub fn fft2(&self) -> Result<Self> {
        let mut array = self.kernel("transform", Fft2 { shape: self.shape() })?;
        for dim in self.dims.iter().rev().take(2) {
            array.coords.shift_remove(dim);
        }
        Ok(array)
    }

    /// The values plus others.
    ///
    /// # Errors
    /// As [`DataArray::binary`]; so do those that follow.
    pub fn add<'a>(&self, other: impl Into<Other<'a>>) -> Result<Self> {
        self.binary(BinaryOp::Add, other)
    }

    /// The values minus others.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn subtract<'a>(&self, other: impl Into<Other<'a>>) -> Result<Self> {
        self.binary(BinaryOp::Subtract, other)
    }

    /// The values times others.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn multiply<'a>(&self, other: impl Into<Other<'a>>) -> Result<Self> {
        self.binary(BinaryOp::Multiply, other)
    }

    /// The values divided by others.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn divide<'a>(&self, other: impl Into<Other<'a>>) -> Result<Self> {
        self.binary(BinaryOp::Divide, other)
    }

    /// An array of the same cells that has one value in all of them.
    #[must_use]
    pub fn full_like(&self, value: impl Into<Scalar>) -> Self {
        let one = Block::from(vec![value.into().to_f64()]).into_dtype(DType::Float64);
        self.with_expr(Expr::full(one.into_dtype(self.dtype()), self.shape()))
    }
}
