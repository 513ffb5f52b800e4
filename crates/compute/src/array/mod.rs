//! Labelled lazy arrays: dims, coords and attrs as in xarray. One file for each kind of operation.

mod arithmetic;
mod join;
mod reduce;
mod select;
mod transform;

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use outcrop_formats::Attrs;

use crate::expr::Expr;
use crate::expr::build::Operand;
use crate::plan::{MemorySink, Plan, RunOptions};
use crate::source::Source;
use crate::{Block, Coord, DType, Error, Result, Scalar};

pub use join::Join;
pub use reduce::{Coarsen, GroupBy, Rolled};

/// A lazy array with named dimensions.
///
/// - A coordinate is kept for each dimension that has one; its length is that of the dimension.
#[derive(Debug, Clone)]
pub struct DataArray {
    /// Name of the variable.
    pub name: String,
    /// Names of the dimensions, outermost first.
    pub dims: Vec<String>,
    /// Labels by dimension.
    pub coords: IndexMap<String, Coord>,
    /// Attributes.
    pub attrs: Attrs,
    /// Name and attributes of the grid mapping that [`DataArray::attrs`] names, if the file has it.
    pub grid_mapping: Option<(String, Attrs)>,
    pub(crate) expr: Arc<Expr>,
}

/// Arrays that share dimensions.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Arrays by name.
    pub arrays: IndexMap<String, DataArray>,
    /// Attributes of the whole.
    pub attrs: Attrs,
    /// Names of variables that the files have but that were not asked for, such as the mask of an image.
    pub others: Vec<String>,
}

/// An array or a number beside an array.
#[derive(Debug, Clone, Copy)]
pub enum Other<'a> {
    /// An array; its dimensions are found by name.
    Array(&'a DataArray),
    /// A number, which takes the type of the array.
    Scalar(Scalar),
}

impl<'a> From<&'a DataArray> for Other<'a> {
    fn from(array: &'a DataArray) -> Self {
        Self::Array(array)
    }
}

impl<T: Into<Scalar>> From<T> for Other<'_> {
    fn from(scalar: T) -> Self {
        Self::Scalar(scalar.into())
    }
}

impl Dataset {
    /// The array of this name.
    ///
    /// # Errors
    /// [`Error::NoVariable`], which names those there are.
    pub fn array(&self, name: &str) -> Result<&DataArray> {
        let have = || self.arrays.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        self.arrays.get(name).ok_or_else(|| Error::NoVariable { name: name.into(), have: have() })
    }
}

impl DataArray {
    /// An array of values in memory, in C order.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if their number is not that of the cells.
    pub fn from_values(name: &str, dims: &[(&str, u64)], values: impl Into<Block>) -> Result<Self> {
        let values = values.into();
        let shape: Vec<u64> = dims.iter().map(|(_, len)| *len).collect();
        if shape.iter().product::<u64>() != values.len() as u64 {
            let why = format!("{} values do not fill shape {shape:?}", values.len());
            return Err(Error::Unsupported { action: "make", array: name.into(), why });
        }
        Ok(Self {
            name: name.to_owned(),
            dims: dims.iter().map(|(dim, _)| (*dim).to_owned()).collect(),
            coords: IndexMap::new(),
            attrs: Attrs::new(),
            grid_mapping: None,
            expr: Expr::values(values, shape),
        })
    }

    /// The array with labels along a dimension.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] if their number is not the length of the dimension.
    pub fn with_coord(mut self, dim: &str, coord: Coord) -> Result<Self> {
        let at = self.dim(dim)?;
        if coord.len() as u64 != self.shape()[at] {
            return Err(
                self.refuse("label", format!("`{dim}` has {} positions, not {}", self.shape()[at], coord.len()))
            );
        }
        self.coords.insert(dim.to_owned(), coord);
        Ok(self)
    }

    /// Length of each dimension.
    pub fn shape(&self) -> Vec<u64> {
        self.expr.shape.clone()
    }

    /// Type of the values when computed.
    pub fn dtype(&self) -> DType {
        self.expr.dtype
    }

    /// The files that the array is made from, each once.
    pub fn sources(&self) -> Vec<Arc<Source>> {
        self.expr.sources()
    }

    /// The array under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    pub(crate) fn refuse(&self, action: &'static str, why: impl Into<String>) -> Error {
        Error::Unsupported { action, array: self.name.clone(), why: why.into() }
    }

    pub(crate) fn dim(&self, dim: &str) -> Result<usize> {
        let have = || self.dims.join(", ");
        let missing = || Error::NoDim { array: self.name.clone(), dim: dim.into(), have: have() };
        self.dims.iter().position(|d| d == dim).ok_or_else(missing)
    }

    /// The positions of dimensions, rising; of none all of them.
    pub(crate) fn axes(&self, dims: &[&str]) -> Result<Vec<usize>> {
        if dims.is_empty() {
            return Ok((0..self.dims.len()).collect());
        }
        let mut axes: Vec<usize> = dims.iter().map(|dim| self.dim(dim)).collect::<Result<_>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    /// The same labels and attributes around other values; dimensions that are gone lose theirs.
    pub(crate) fn with_expr(&self, expr: Arc<Expr>) -> Self {
        Self { expr, ..self.clone() }
    }

    pub(crate) fn operand(other: &Self) -> Operand {
        Operand::Array(other.expr.clone())
    }

    /// All values, in C order. For arrays that fit in memory: the whole result is held.
    ///
    /// # Errors
    /// Those of [`Plan::new`] and [`Plan::run`].
    pub fn compute(&self) -> Result<Block> {
        self.compute_with(&RunOptions::default())
    }

    /// As [`DataArray::compute`], within limits.
    ///
    /// # Errors
    /// As there.
    pub fn compute_with(&self, options: &RunOptions) -> Result<Block> {
        let sink = MemorySink::new(self.dtype(), &self.shape());
        Plan::new(self, &sink, options)?.run(options, &sink)?;
        Ok(sink.into_block())
    }

    /// Shape of the pieces in which the array is read from its files, as far as they follow one.
    pub fn chunks(&self) -> Vec<u64> {
        self.expr.cuts().iter().zip(&self.expr.shape).map(|(cuts, len)| cuts.longest(*len)).collect()
    }

    /// Bytes of the chunks that the array is made of, as stored and each once.
    pub fn stored_bytes(&self) -> u64 {
        crate::plan::stored_bytes(&self.expr, &whole(&self.expr.shape))
    }

    /// Checks that two arrays lie on the same cells.
    ///
    /// # Errors
    /// [`Error::Misaligned`] that says what differs.
    pub fn check_aligned(&self, other: &Self) -> Result<()> {
        if self.dims != other.dims {
            return Err(self.misaligned(other, format!("dimensions {:?} and {:?}", self.dims, other.dims)));
        }
        if self.shape() != other.shape() {
            return Err(self.misaligned(other, format!("shapes {:?} and {:?}", self.shape(), other.shape())));
        }
        self.dims.iter().try_for_each(|dim| self.check_labels(other, dim))
    }

    pub(crate) fn misaligned(&self, other: &Self, why: String) -> Error {
        Error::Misaligned { left: self.name.clone(), right: other.name.clone(), why }
    }

    /// Checks that the labels of a dimension are the same, where both have some.
    pub(crate) fn check_labels(&self, other: &Self, dim: &str) -> Result<()> {
        let (Some(own), Some(theirs)) = (self.coords.get(dim), other.coords.get(dim)) else { return Ok(()) };
        if let Some((at, a, b)) = own.difference(theirs) {
            return Err(self.misaligned(other, format!("`{dim}` has {a} and {b} at position {at}")));
        }
        if own.attrs.get("units") != theirs.attrs.get("units") {
            return Err(self.misaligned(other, format!("`{dim}` has other units")));
        }
        Ok(())
    }
}

/// All positions of a shape.
pub(crate) fn whole(shape: &[u64]) -> Vec<Range<u64>> {
    shape.iter().map(|len| 0..*len).collect()
}
