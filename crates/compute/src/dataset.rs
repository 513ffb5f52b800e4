//! Labelled lazy arrays: dims, coords and attrs as in xarray.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use outcrop_formats::{Attrs, DType};
use outcrop_grid::positions;

use crate::eval::{eval, fetch};
use crate::expr::{BinaryOp, Expr, ScalarOp};
use crate::source::{Scratch, Source};
use crate::{Block, Error, Result};

/// Labels along one dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Coord {
    /// The labels, decoded but not turned into dates; NaN for texts.
    pub values: Vec<f64>,
    /// The labels of a coordinate of texts; none for numbers.
    pub texts: Vec<String>,
    /// Attributes, such as `units`.
    pub attrs: Attrs,
}

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
    /// Length of each dimension.
    pub fn shape(&self) -> Vec<u64> {
        self.expr.shape()
    }

    /// Type of the values when computed.
    pub fn dtype(&self) -> DType {
        self.expr.dtype()
    }

    /// The files that the array is made from, each once.
    pub fn sources(&self) -> Vec<Arc<Source>> {
        let mut sources: Vec<Arc<Source>> = Vec::new();
        let whole: Vec<Range<u64>> = self.shape().into_iter().map(|n| 0..n).collect();
        self.expr.visit(&whole, &mut |source, _| {
            if !sources.iter().any(|have| have.id == source.id) {
                sources.push(source.clone());
            }
        });
        sources
    }

    fn dim(&self, dim: &str) -> Result<usize> {
        let have = || self.dims.join(", ");
        let missing = || Error::NoDim { array: self.name.clone(), dim: dim.into(), have: have() };
        self.dims.iter().position(|d| d == dim).ok_or_else(missing)
    }

    /// Positions `range` of a dimension, half-open.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::OutOfRange`] if the range is reversed or ends after the last position.
    pub fn isel(&self, dim: &str, range: Range<u64>) -> Result<Self> {
        let at = self.dim(dim)?;
        let shape = self.shape();
        if range.start > range.end || range.end > shape[at] {
            return Err(Error::OutOfRange { dim: dim.into(), start: range.start, end: range.end, len: shape[at] });
        }
        let mut window: Vec<Range<u64>> = shape.iter().map(|n| 0..*n).collect();
        window[at] = range.clone();
        let mut coords = self.coords.clone();
        if let Some(coord) = coords.get_mut(dim) {
            let span = |v: u64| usize::try_from(v).unwrap_or(usize::MAX);
            let range = span(range.start)..span(range.end);
            coord.texts = coord.texts.get(range.clone()).unwrap_or_default().to_vec();
            coord.values = coord.values[range].to_vec();
        }
        Ok(Self { coords, expr: Arc::new(Expr::Window { input: self.expr.clone(), window }), ..self.clone() })
    }

    /// Labels from `from` to `to`, inclusive, in the direction of the axis (on a descending axis `from` is larger).
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] if the dimension has no labels.
    pub fn sel(&self, dim: &str, from: f64, to: f64) -> Result<Self> {
        let no_labels = || Error::Unsupported {
            action: "select by label in",
            array: self.name.clone(),
            why: format!("`{dim}` has no coordinate"),
        };
        self.dim(dim)?;
        let coord = self.coords.get(dim).ok_or_else(no_labels)?;
        let range = positions(&coord.values, from, to);
        self.isel(dim, range.start as u64..range.end as u64)
    }

    /// Means over windows of the last two dimensions; cells of an incomplete last window are left out ("trim").
    /// Labels are averaged too. NaN is skipped.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] for an outer dimension, a window of 0, or one longer than its axis.
    pub fn coarsen(&self, windows: &[(&str, u64)]) -> Result<Self> {
        let refuse = |why: String| Error::Unsupported { action: "coarsen", array: self.name.clone(), why };
        let shape = self.shape();
        let mut factors = vec![1u64; shape.len()];
        let mut coords = self.coords.clone();
        for (dim, window) in windows {
            let at = self.dim(dim)?;
            if at + 2 < shape.len() {
                return Err(refuse(format!("`{dim}` is not one of its last two dimensions")));
            }
            if *window == 0 || *window > shape[at] {
                return Err(refuse(format!("a window of {window} does not fit `{dim}` of length {}", shape[at])));
            }
            factors[at] = *window;
            if let Some(coord) = coords.get_mut(*dim) {
                let size = usize::try_from(*window).unwrap_or(usize::MAX);
                coord.texts = Vec::new();
                coord.values = coord.values.chunks_exact(size).map(|w| w.iter().sum::<f64>() / size as f64).collect();
            }
        }
        Ok(Self { coords, expr: Arc::new(Expr::Coarsen { input: self.expr.clone(), window: factors }), ..self.clone() })
    }

    /// The array after an operation with a number, in its own precision.
    #[must_use]
    pub fn scalar(&self, op: ScalarOp) -> Self {
        Self { expr: Arc::new(Expr::Scalar { input: self.expr.clone(), op }), ..self.clone() }
    }

    /// The array after an operation with another on the same cells. Attributes are the left one's.
    ///
    /// # Errors
    /// [`Error::Misaligned`] if dims, shapes or labels differ.
    pub fn binary(&self, op: BinaryOp, other: &Self) -> Result<Self> {
        self.check_aligned(other)?;
        let expr = Expr::Binary { left: self.expr.clone(), right: other.expr.clone(), op };
        Ok(Self { expr: Arc::new(expr), ..self.clone() })
    }

    /// Values where `condition` is neither NaN nor zero, NaN elsewhere.
    ///
    /// # Errors
    /// As [`DataArray::binary`].
    pub fn where_(&self, condition: &Self) -> Result<Self> {
        self.binary(BinaryOp::Where, condition)
    }

    /// Checks that two arrays lie on the same cells.
    ///
    /// # Errors
    /// [`Error::Misaligned`] that says what differs.
    pub fn check_aligned(&self, other: &Self) -> Result<()> {
        let differ = |why: String| Error::Misaligned { left: self.name.clone(), right: other.name.clone(), why };
        if self.dims != other.dims {
            return Err(differ(format!("dimensions {:?} and {:?}", self.dims, other.dims)));
        }
        if self.shape() != other.shape() {
            return Err(differ(format!("shapes {:?} and {:?}", self.shape(), other.shape())));
        }
        for (dim, coord) in &self.coords {
            let Some(theirs) = other.coords.get(dim) else { continue };
            if let Some(i) = (0..coord.texts.len()).find(|i| coord.texts.get(*i) != theirs.texts.get(*i)) {
                let theirs = theirs.texts.get(i).map_or("no text", String::as_str);
                return Err(differ(format!("`{dim}` has `{}` and `{theirs}` at position {i}", coord.texts[i])));
            }
            let unlike = coord.values.iter().zip(&theirs.values).position(|(a, b)| a.to_bits() != b.to_bits());
            if let Some(i) = unlike {
                let (a, b) = (coord.values[i], theirs.values[i]);
                return Err(differ(format!("`{dim}` has {a} and {b} at position {i}")));
            }
            if coord.attrs.get("units") != theirs.attrs.get("units") {
                return Err(differ(format!("`{dim}` has other units")));
            }
        }
        Ok(())
    }

    /// All values, in C order. For arrays that fit in memory: the whole result is held.
    ///
    /// # Errors
    /// The store's, and [`Error::Chunk`].
    pub fn compute(&self) -> Result<Block> {
        let window: Vec<Range<u64>> = self.shape().into_iter().map(|n| 0..n).collect();
        let Some(source) = self.sources().first().cloned() else { return Ok(Block::F64(Vec::new())) };
        let fetched = source.origin.store().wait(fetch(std::slice::from_ref(&self.expr), &window))?;
        eval(&self.expr, &window, &fetched, &mut Scratch::default())
    }
}
