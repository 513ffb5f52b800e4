//! Arithmetic, comparisons and functions of single values.

use super::{DataArray, Other};
use crate::expr::Expr;
use crate::expr::build::Operand;
use crate::ops::{BinaryOp, UnaryOp};
use crate::{DType, Result, Scalar};

impl DataArray {
    /// A function of each value.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] if there is none of values of this type.
    pub fn unary(&self, op: UnaryOp) -> Result<Self> {
        let expr = Expr::unary(op, self.expr.clone()).map_err(|why| self.refuse("compute with", why))?;
        Ok(self.with_expr(expr))
    }

    /// A function of the values of two arrays, or of an array and a number. Dimensions are found by name; those that one array has not
    /// repeat its values. Labels must be equal where both have some: see [`crate::Join`] for others. Attributes are the left one's.
    ///
    /// # Errors
    /// [`crate::Error::Misaligned`] if lengths or labels differ; [`crate::Error::Unsupported`] if there is no such function of values of these
    /// types, or the number does not fit the type of the array.
    pub fn binary<'a>(&self, op: BinaryOp, other: impl Into<Other<'a>>) -> Result<Self> {
        let (left, right) = self.beside(other.into())?;
        let expr = Expr::binary(op, Self::operand(&left), right).map_err(|why| self.refuse("compute with", why))?;
        Ok(left.with_expr(expr))
    }

    /// As [`DataArray::binary`], with a number on the left.
    ///
    /// # Errors
    /// As there.
    pub fn binary_from(&self, scalar: impl Into<Scalar>, op: BinaryOp) -> Result<Self> {
        let expr = Expr::binary(op, Operand::Scalar(scalar.into()), Self::operand(self));
        Ok(self.with_expr(expr.map_err(|why| self.refuse("compute with", why))?))
    }

    /// Both with the dimensions of both.
    fn beside(&self, other: Other<'_>) -> Result<(Self, Operand)> {
        match other {
            Other::Scalar(scalar) => Ok((self.clone(), Operand::Scalar(scalar))),
            Other::Array(other) => {
                let (left, right) = self.broadcast_with(other)?;
                Ok((left, Operand::Array(right.expr)))
            }
        }
    }

    /// Values where a condition is true, NaN elsewhere; integers become floats.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn where_(&self, condition: &Self) -> Result<Self> {
        self.where_else(condition, f64::NAN)
    }

    /// Values where a condition is true, others elsewhere.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn where_else<'a>(&self, condition: &Self, other: impl Into<Other<'a>>) -> Result<Self> {
        let (own, condition) = self.broadcast_with(condition)?;
        let (own, other) = own.beside(other.into())?;
        let (own, condition) = own.broadcast_with(&condition)?;
        // NaN has no place among integers.
        let own_expr = match other {
            Operand::Scalar(Scalar::Float(_)) if !own.dtype().is_float() && !own.dtype().is_complex() => {
                Expr::cast(own.expr.clone(), own.dtype().promote(own.dtype().to_inexact()))
            }
            _ => own.expr.clone(),
        };
        let expr = Expr::choose(condition.expr, Operand::Array(own_expr), other)
            .map_err(|why| self.refuse("choose from", why))?;
        Ok(own.with_expr(expr))
    }

    /// Values that are missing, replaced.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn fillna<'a>(&self, other: impl Into<Other<'a>>) -> Result<Self> {
        let valid = self.unary(UnaryOp::Isnan)?.unary(UnaryOp::LogicalNot)?;
        self.where_else(&valid, other)
    }

    /// Values below `low` become it, those above `high` that; NaN stays.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn clip(&self, low: Option<Scalar>, high: Option<Scalar>) -> Result<Self> {
        let raised = low.map_or_else(|| Ok(self.clone()), |low| self.binary(BinaryOp::Maximum, Other::Scalar(low)))?;
        high.map_or_else(|| Ok(raised.clone()), |high| raised.binary(BinaryOp::Minimum, Other::Scalar(high)))
    }

    /// The values as another type.
    #[must_use]
    pub fn astype(&self, dtype: DType) -> Self {
        self.with_expr(Expr::cast(self.expr.clone(), dtype))
    }
}
