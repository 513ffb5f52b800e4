//! Reductions: of dimensions, of groups, of windows.

use std::sync::Arc;

use outcrop_formats::Attrs;

use super::DataArray;
use crate::expr::build::Operand;
use crate::expr::{Expr, Node};
use crate::kernel::{CoarsenBy, KeepsPrecision, Quantile, Rolling, RollingOptions};
use crate::ops::{BinaryOp, UnaryOp};
use crate::reduce::{Groups, NO_GROUP, Reduce};
use crate::{Coord, DType, Missing, ReduceOptions, Reduction, Result};

/// By what of their dates positions are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The month, 1 to 12.
    Month,
    /// The season: DJF, JJA, MAM, SON, in this order.
    Season,
    /// The year.
    Year,
    /// The day of the year, from 1.
    DayOfYear,
}

/// Windows that lie side by side, to be reduced.
#[derive(Debug, Clone)]
pub struct Coarsen<'a> {
    array: &'a DataArray,
    windows: Vec<u64>,
}

/// Windows that move along a dimension, to be reduced.
#[derive(Debug, Clone)]
pub struct Rolled<'a> {
    array: &'a DataArray,
    axis: usize,
    options: RollingOptions,
}

/// A dimension of one position, for numbers without dimensions.
const ONE: &str = "\0one";

impl DataArray {
    /// Reduces dimensions, of none all. The sum and the mean of a whole matrix product of finite values ([`Missing::Propagate`]) are computed
    /// without the product.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] of values that cannot be reduced so, of a smallest or largest value of nothing,
    /// and of the position of one along several dimensions.
    pub fn reduce(&self, kind: Reduction, dims: &[&str], options: ReduceOptions) -> Result<Self> {
        let axes = self.axes(dims)?;
        if axes.is_empty() {
            return self.expand_dims(ONE)?.reduce(kind, &[ONE], options);
        }
        let empty = axes.iter().any(|axis| self.expr.shape[*axis] == 0);
        let places = matches!(kind, Reduction::Argmin | Reduction::Argmax);
        if empty && (places || matches!(kind, Reduction::Min | Reduction::Max)) {
            return Err(self.refuse("reduce", "there is no value along the dimension"));
        }
        if places && axes.len() > 1 {
            return Err(self.refuse("reduce", "positions are found along one dimension"));
        }
        if axes.len() == self.dims.len()
            && options.missing == Missing::Propagate
            && let Some(expr) = of_product(&self.expr, kind)
        {
            return Ok(self.without(&axes, expr.map_err(|why| self.refuse("reduce", why))?));
        }
        let reduce = Reduce { kind, axes: axes.clone(), options, groups: None };
        let expr = Expr::reduce(self.expr.clone(), reduce).map_err(|why| self.refuse("reduce", why))?;
        Ok(self.without(&axes, expr))
    }

    fn without(&self, axes: &[usize], expr: Arc<Expr>) -> Self {
        let mut array = self.with_expr(expr);
        for axis in axes.iter().rev() {
            let dim = array.dims.remove(*axis);
            array.coords.shift_remove(&dim);
        }
        array
    }

    /// The mean over dimensions, of none all; NaN is left out.
    ///
    /// # Errors
    /// As [`DataArray::reduce`].
    pub fn mean(&self, dims: &[&str]) -> Result<Self> {
        self.reduce(Reduction::Mean, dims, ReduceOptions::default())
    }

    /// The sum over dimensions, of none all; NaN is left out.
    ///
    /// # Errors
    /// As [`DataArray::reduce`].
    pub fn sum(&self, dims: &[&str]) -> Result<Self> {
        self.reduce(Reduction::Sum, dims, ReduceOptions::default())
    }

    /// The smallest value over dimensions, of none all; NaN is left out.
    ///
    /// # Errors
    /// As [`DataArray::reduce`].
    pub fn min(&self, dims: &[&str]) -> Result<Self> {
        self.reduce(Reduction::Min, dims, ReduceOptions::default())
    }

    /// The largest value over dimensions, of none all; NaN is left out.
    ///
    /// # Errors
    /// As [`DataArray::reduce`].
    pub fn max(&self, dims: &[&str]) -> Result<Self> {
        self.reduce(Reduction::Max, dims, ReduceOptions::default())
    }

    /// The median over dimensions, of none all.
    ///
    /// # Errors
    /// As [`DataArray::reduce`].
    pub fn median(&self, dims: &[&str], missing: Missing) -> Result<Self> {
        self.order(0.5, dims, (missing, KeepsPrecision::Yes))
    }

    /// A quantile over dimensions, of none all, in double precision; `q` is 0 to 1.
    ///
    /// # Errors
    /// As [`DataArray::reduce`].
    pub fn quantile(&self, q: f64, dims: &[&str], missing: Missing) -> Result<Self> {
        self.order(q, dims, (missing, KeepsPrecision::No))
    }

    fn order(&self, q: f64, dims: &[&str], (missing, keeps_precision): (Missing, KeepsPrecision)) -> Result<Self> {
        let axes = self.axes(dims)?;
        if axes.is_empty() {
            return self.expand_dims(ONE)?.order(q, &[ONE], (missing, keeps_precision));
        }
        let kernel = Quantile { q, axes: axes.clone(), missing, shape: self.shape(), keeps_precision };
        let expr = Expr::kernel(vec![self.expr.clone()], Arc::new(kernel)).map_err(|why| self.refuse("reduce", why))?;
        Ok(self.without(&axes, expr))
    }

    /// Reduces the positions of each group of dates; the dimension has the groups then, ascending, those that occur.
    ///
    /// # Errors
    /// As [`DataArray::reduce`], and if the labels of the dimension are no dates.
    pub fn groupby(&self, dim: &str, by: GroupBy, kind: Reduction, options: ReduceOptions) -> Result<Self> {
        let axis = self.dim(dim)?;
        let key = |date: &outcrop_grid::time::Stamp| match by {
            GroupBy::Month => i64::from(date.month),
            // DJF, JJA, MAM, SON: the order of their names.
            GroupBy::Season => [0, 0, 2, 2, 2, 1, 1, 1, 3, 3, 3, 0][(date.month as usize + 11) % 12],
            GroupBy::Year => date.year,
            GroupBy::DayOfYear => i64::from(date.yearday),
        };
        let keys: Vec<i64> = self.dates(dim)?.iter().map(key).collect();
        let mut present = keys.clone();
        present.sort_unstable();
        present.dedup();
        let code =
            |key: &i64| present.binary_search(key).ok().and_then(|at| u32::try_from(at).ok()).unwrap_or(NO_GROUP);
        let groups = Groups { codes: keys.iter().map(code).collect(), count: present.len() as u64 };
        let reduce = Reduce { kind, axes: vec![axis], options, groups: Some(groups) };
        let expr = Expr::reduce(self.expr.clone(), reduce).map_err(|why| self.refuse("reduce", why))?;
        let mut array = self.with_expr(expr);
        array.coords.shift_remove(dim);
        let name = match by {
            GroupBy::Month => "month",
            GroupBy::Season => "season",
            GroupBy::Year => "year",
            GroupBy::DayOfYear => "dayofyear",
        };
        name.clone_into(&mut array.dims[axis]);
        let season =
            |at: &i64| ["DJF", "JJA", "MAM", "SON"].get(usize::try_from(*at).unwrap_or(0)).map_or("", |s| s).to_owned();
        let coord = if by == GroupBy::Season {
            Coord::texts(present.iter().map(season).collect(), Attrs::new())
        } else {
            Coord::integers(present, Attrs::new())
        };
        array.coords.insert(name.to_owned(), coord);
        Ok(array)
    }

    /// Windows along dimensions that lie side by side; cells of an incomplete last one are left out ("trim").
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] for a window of 0, or one longer than its axis.
    pub fn coarsen(&self, windows: &[(&str, u64)]) -> Result<Coarsen<'_>> {
        let mut all = vec![1u64; self.dims.len()];
        for (dim, window) in windows {
            let at = self.dim(dim)?;
            let len = self.expr.shape[at];
            if *window == 0 || *window > len {
                return Err(
                    self.refuse("coarsen", format!("a window of {window} does not fit `{dim}` of length {len}"))
                );
            }
            all[at] = *window;
        }
        Ok(Coarsen { array: self, windows: all })
    }

    /// Windows of so many positions that end at each position of a dimension.
    ///
    /// # Errors
    /// [`crate::Error::NoDim`]; [`crate::Error::Unsupported`] for a window of 0, or one longer than the dimension.
    pub fn rolling(&self, dim: &str, window: u64) -> Result<Rolled<'_>> {
        let axis = self.dim(dim)?;
        let len = self.expr.shape[axis];
        if window == 0 || window > len {
            return Err(self.refuse("roll over", format!("a window of {window} does not fit `{dim}` of length {len}")));
        }
        Ok(Rolled { array: self, axis, options: RollingOptions { window, after: 0, min_periods: window } })
    }

    /// The covariance with another array over dimensions, of none all: of cells where neither is missing, with `n - ddof` in the denominator.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn cov(&self, other: &Self, dims: &[&str], ddof: u32) -> Result<Self> {
        let (a, b) = self.valid_pairs(other)?;
        let (da, db) = (a.deviations(dims)?, b.deviations(dims)?);
        let product = da.binary(BinaryOp::Multiply, &db)?;
        let count = product.reduce(Reduction::Count, dims, ReduceOptions::default())?;
        let sum = product.reduce(Reduction::Sum, dims, ReduceOptions { min_count: 1, ..ReduceOptions::default() })?;
        sum.binary(BinaryOp::Divide, &count.binary(BinaryOp::Subtract, i64::from(ddof))?)
    }

    /// The correlation (Pearson's) with another array over dimensions, of none all, in double precision; NaN where one of both does not vary.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn corr(&self, other: &Self, dims: &[&str]) -> Result<Self> {
        let (a, b) = self.valid_pairs(other)?;
        let std = |array: &Self| array.reduce(Reduction::Std, dims, ReduceOptions::default());
        self.cov(other, dims, 0)?.binary(BinaryOp::Divide, &std(&a)?.binary(BinaryOp::Multiply, &std(&b)?)?)
    }

    /// Both in double precision, NaN where one of both is.
    fn valid_pairs(&self, other: &Self) -> Result<(Self, Self)> {
        let (a, b) = self.astype(DType::Float64).broadcast_with(&other.astype(DType::Float64))?;
        let valid = |array: &Self| array.unary(UnaryOp::Isnan)?.unary(UnaryOp::LogicalNot);
        Ok((a.where_(&valid(&b)?)?, b.where_(&valid(&a)?)?))
    }

    fn deviations(&self, dims: &[&str]) -> Result<Self> {
        self.binary(BinaryOp::Subtract, &self.mean(dims)?)
    }
}

/// The sum or mean of all cells of a matrix product: of `x y` it is the sum over k of the sum of column k of `x` times that of row k of
/// `y`.
fn of_product(expr: &Arc<Expr>, kind: Reduction) -> Option<std::result::Result<Arc<Expr>, String>> {
    let Node::Dot([left, right]) = &expr.node else { return None };
    if !matches!(kind, Reduction::Sum | Reduction::Mean) || expr.dtype != DType::Float64 {
        return None;
    }
    let options = ReduceOptions { missing: Missing::Propagate, ..ReduceOptions::default() };
    let sum = |input: &Arc<Expr>, axis| {
        Expr::reduce(input.clone(), Reduce { kind: Reduction::Sum, axes: vec![axis], options, groups: None })
    };
    let cells = (expr.shape[0] as f64) * (expr.shape[1] as f64);
    let made = || {
        let products = Expr::binary(BinaryOp::Multiply, Operand::Array(sum(left, 0)?), Operand::Array(sum(right, 1)?))?;
        let all = sum(&products, 0)?;
        if kind == Reduction::Sum {
            return Ok(all);
        }
        Expr::binary(BinaryOp::Divide, Operand::Array(all), Operand::Scalar(crate::Scalar::Float(cells)))
    };
    Some(made())
}

impl Coarsen<'_> {
    /// The mean of each window, without NaN. Labels are averaged too.
    ///
    /// # Errors
    /// As [`Coarsen::reduce`].
    pub fn mean(&self) -> Result<DataArray> {
        let rank = self.windows.len();
        let inner = self.windows.iter().take(rank.saturating_sub(2)).all(|window| *window == 1);
        if inner && !self.array.dtype().is_complex() {
            let expr = Expr::coarsen(self.array.expr.clone(), self.windows.clone());
            return Ok(self.labelled(expr));
        }
        self.reduce(Reduction::Mean, ReduceOptions::default())
    }

    /// Any reduction of each window. Labels are averaged.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] of values that cannot be reduced so.
    pub fn reduce(&self, kind: Reduction, options: ReduceOptions) -> Result<DataArray> {
        let kernel = CoarsenBy { kind, options, windows: self.windows.clone() };
        let expr = Expr::kernel(vec![self.array.expr.clone()], Arc::new(kernel));
        Ok(self.labelled(expr.map_err(|why| self.array.refuse("coarsen", why))?))
    }

    fn labelled(&self, expr: Arc<Expr>) -> DataArray {
        let mut array = self.array.with_expr(expr);
        for (dim, window) in array.dims.iter().zip(&self.windows).filter(|(_, window)| **window > 1) {
            if let Some(coord) = array.coords.get_mut(dim) {
                let size = crate::expr::size(*window);
                let mean = |labels: &[f64]| labels.iter().sum::<f64>() / size as f64;
                *coord = Coord::numbers(coord.values.chunks_exact(size).map(mean).collect(), coord.attrs.clone());
            }
        }
        array
    }
}

impl Rolled<'_> {
    /// Windows whose middle is at each position; of an even number the one behind the middle.
    #[must_use]
    pub fn centered(mut self) -> Self {
        self.options.after = (self.options.window - 1) / 2;
        self
    }

    /// The result of windows with fewer values is NaN; by default of all that are not full.
    #[must_use]
    pub fn min_periods(mut self, min_periods: u64) -> Self {
        self.options.min_periods = min_periods.max(1);
        self
    }

    /// Sum, mean, min, max, count, var or std of each window, without NaN.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for other reductions and complex numbers.
    pub fn reduce(&self, kind: Reduction, ddof: u32) -> Result<DataArray> {
        let kernel = Rolling { kind, options: self.options, ddof, axis: self.axis, rank: self.array.dims.len() };
        let expr = Expr::kernel(vec![self.array.expr.clone()], Arc::new(kernel));
        Ok(self.array.with_expr(expr.map_err(|why| self.array.refuse("roll over", why))?))
    }

    /// The mean of each window.
    ///
    /// # Errors
    /// As [`Rolled::reduce`].
    pub fn mean(&self) -> Result<DataArray> {
        self.reduce(Reduction::Mean, 0)
    }
}
