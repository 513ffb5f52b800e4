//! Arrays beside and behind one another: broadcasting, alignment, concatenation.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{DataArray, whole};
use crate::expr::Expr;
use crate::expr::select::Pick;
use crate::{Block, Coord, Error, Result};

/// What becomes of labels that only one of two arrays has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// There may be none: labels that differ are an error.
    #[default]
    Exact,
    /// Only labels that both have are kept, in the order of the left one.
    Inner,
    /// All labels, rising; where an array has none its values are missing.
    Outer,
    /// Those of the left array.
    Left,
    /// Those of the right array.
    Right,
}

impl DataArray {
    /// The dimensions of the array in another order; those that are not named follow in theirs.
    ///
    /// # Errors
    /// [`Error::NoDim`].
    pub fn transpose(&self, dims: &[&str]) -> Result<Self> {
        let mut order: Vec<usize> = dims.iter().map(|dim| self.dim(dim)).collect::<Result<_>>()?;
        order.extend((0..self.dims.len()).filter(|d| !dims.contains(&self.dims[*d].as_str())));
        let mut each = order.clone();
        each.sort_unstable();
        if !each.into_iter().eq(0..self.dims.len()) {
            return Err(self.refuse("transpose", "a dimension is named twice"));
        }
        let mut array = self.with_expr(Expr::transpose(self.expr.clone(), order.clone()));
        array.dims = order.iter().map(|d| self.dims[*d].clone()).collect();
        Ok(array)
    }

    /// The array with a new first dimension of one position.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is a dimension of the name.
    pub fn expand_dims(&self, dim: &str) -> Result<Self> {
        if self.dims.iter().any(|d| d == dim) {
            return Err(self.refuse("expand", format!("it has a dimension `{dim}` already")));
        }
        let dims = std::iter::once(Err(1)).chain((0..self.dims.len()).map(Ok)).collect();
        let mut array = self.with_expr(Expr::broadcast(self.expr.clone(), dims));
        array.dims.insert(0, dim.to_owned());
        Ok(array)
    }

    /// The array with a dimension of one position repeated to a length; it has no labels then.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] if it has more than one position.
    pub fn repeated(&self, dim: &str, len: u64) -> Result<Self> {
        let at = self.dim(dim)?;
        if self.expr.shape[at] != 1 {
            return Err(self.refuse("repeat", format!("`{dim}` has {} positions, not one", self.expr.shape[at])));
        }
        let one = self.index(dim, 0)?;
        let dims: Vec<(String, u64)> = self
            .dims
            .iter()
            .cloned()
            .zip(self.shape())
            .map(|(d, n)| if d == dim { (d, len) } else { (d, n) })
            .collect();
        one.broadcast_to(&dims)
    }

    /// The array computed in pieces of these lengths; other dimensions are not cut. Nothing is stored, unlike by [`DataArray::rechunk`]: for
    /// arrays that may be cut anywhere.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] for a length of 0.
    pub fn with_chunks(&self, chunks: &[(&str, u64)]) -> Result<Self> {
        let mut chunk = self.shape();
        for (dim, len) in chunks {
            let at = self.dim(dim)?;
            if *len == 0 {
                return Err(self.refuse("cut", format!("a chunk of `{dim}` has at least one position")));
            }
            chunk[at] = (*len).min(chunk[at]).max(1);
        }
        Ok(self.with_expr(Expr::chunked(self.expr.clone(), chunk)))
    }

    /// The array with these dimensions, in their order and of these lengths: those that it has not repeat its values.
    fn broadcast_to(&self, dims: &[(String, u64)]) -> Result<Self> {
        let own: Vec<&str> =
            dims.iter().map(|(dim, _)| dim.as_str()).filter(|dim| self.dims.iter().any(|d| d == dim)).collect();
        let turned = self.transpose(&own)?;
        let mut next = 0;
        let places = dims.iter().map(|(dim, len)| {
            if turned.dims.get(next) == Some(dim) {
                next += 1;
                Ok(next - 1)
            } else {
                Err(*len)
            }
        });
        let mut array = turned.with_expr(Expr::broadcast(turned.expr.clone(), places.collect()));
        array.dims = dims.iter().map(|(dim, _)| dim.clone()).collect();
        Ok(array)
    }

    /// Both with the dimensions of both: first those of the left one.
    pub(crate) fn broadcast_with(&self, other: &Self) -> Result<(Self, Self)> {
        let mut dims: Vec<(String, u64)> = self.dims.iter().cloned().zip(self.shape()).collect();
        for (dim, len) in other.dims.iter().zip(other.shape()) {
            match dims.iter().find(|(have, _)| have == dim) {
                Some((_, own)) if *own != len => {
                    return Err(self.misaligned(other, format!("`{dim}` has lengths {own} and {len}")));
                }
                Some(_) => self.check_labels(other, dim)?,
                None => dims.push((dim.clone(), len)),
            }
        }
        let (mut left, right) = (self.broadcast_to(&dims)?, other.broadcast_to(&dims)?);
        for (dim, coord) in &right.coords {
            left.coords.entry(dim.clone()).or_insert_with(|| coord.clone());
        }
        Ok((left, right))
    }

    /// Both on the labels that the join keeps, of the dimensions that both have; values of labels that an array has not are missing (NaN;
    /// integers become floats).
    ///
    /// # Errors
    /// [`Error::Misaligned`] with [`Join::Exact`] if labels differ, and for labels that repeat or have other units.
    pub fn align(&self, other: &Self, join: Join) -> Result<(Self, Self)> {
        let (mut left, mut right) = (self.clone(), other.clone());
        let shared: Vec<String> = self.dims.iter().filter(|dim| other.dims.contains(dim)).cloned().collect();
        for dim in shared {
            if join == Join::Exact {
                self.check_labels(other, &dim)?;
                continue;
            }
            let (Some(own), Some(theirs)) = (self.coords.get(&dim), other.coords.get(&dim)) else { continue };
            let theirs = self.in_units(other, (theirs, own), &dim)?;
            if own.difference(&theirs).is_none() {
                continue;
            }
            let (coord, of_left, of_right) = self.joined(other, (own, &theirs), (&dim, join))?;
            left = left.reindexed(&dim, &of_left)?.with_coord(&dim, coord.clone())?;
            right = right.reindexed(&dim, &of_right)?.with_coord(&dim, coord)?;
        }
        Ok((left, right))
    }

    /// The labels that a join keeps, and where each array has them.
    fn joined(
        &self,
        other: &Self,
        (own, theirs): (&Coord, &Coord),
        (dim, join): (&str, Join),
    ) -> Result<(Coord, Places, Places)> {
        let repeat = || self.misaligned(other, format!("labels of `{dim}` repeat"));
        let (left, right) = (labels(own), labels(theirs));
        let (in_left, in_right) = (places(&left).ok_or_else(repeat)?, places(&right).ok_or_else(repeat)?);
        let place = |of: &HashMap<&String, u64>, label: &String| of.get(label).copied();
        let all = Coord::joined(&[own, theirs]);
        // Positions in the labels of both, one behind the other.
        let of_left = 0..left.len();
        let of_right = left.len()..left.len() + right.len();
        let only_right = of_right.clone().filter(|at| !in_left.contains_key(&right[at - left.len()]));
        let mut kept: Vec<usize> = match join {
            Join::Exact | Join::Inner => of_left.filter(|at| in_right.contains_key(&left[*at])).collect(),
            Join::Outer => of_left.chain(only_right).collect(),
            Join::Left => of_left.collect(),
            Join::Right => of_right.collect(),
        };
        if join == Join::Outer {
            kept.sort_by(|a, b| match (all.texts.get(*a), all.texts.get(*b)) {
                (Some(a), Some(b)) => a.cmp(b),
                _ => all.values[*a].total_cmp(&all.values[*b]),
            });
        }
        let label = |at: &usize| left.get(*at).unwrap_or_else(|| &right[at - left.len()]);
        let of_left = kept.iter().map(|at| place(&in_left, label(at))).collect();
        let of_right = kept.iter().map(|at| place(&in_right, label(at))).collect();
        let positions: Vec<u64> = kept.iter().map(|at| *at as u64).collect();
        Ok((all.picked(&Pick::Take(positions.into())), of_left, of_right))
    }

    /// These positions of a dimension; values of those that it has not are missing.
    fn reindexed(&self, dim: &str, positions: &[Option<u64>]) -> Result<Self> {
        if let Some(all) = positions.iter().copied().collect::<Option<Vec<u64>>>() {
            return self.take(dim, &all);
        }
        let at = self.dim(dim)?;
        let len = self.expr.shape[at];
        let dtype = self.dtype();
        let can_miss = dtype.is_float() || dtype.is_complex();
        let mut own = if can_miss { self.clone() } else { self.astype(dtype.promote(dtype.to_inexact())) };
        own.coords.shift_remove(dim);
        let mut shape = own.shape();
        shape[at] = 1;
        let one = own.with_expr(Expr::full(Block::from(vec![f64::NAN]).into_dtype(own.dtype()), shape));
        Self::concat(&[own, one], dim)?.take(dim, &positions.iter().map(|at| at.unwrap_or(len)).collect::<Vec<_>>())
    }

    /// Arrays one behind the other along a dimension that each has; the others must agree in length and labels.
    ///
    /// # Errors
    /// [`Error::Misaligned`]; [`Error::NoDim`]; [`Error::Unsupported`] without arrays.
    pub fn concat(arrays: &[Self], dim: &str) -> Result<Self> {
        let none =
            || Error::Unsupported { action: "concatenate", array: "nothing".into(), why: "there is no array".into() };
        let first = arrays.first().ok_or_else(none)?;
        let at = first.dim(dim)?;
        let mut exprs = Vec::with_capacity(arrays.len());
        for array in arrays {
            let order: Vec<&str> = first.dims.iter().map(String::as_str).collect();
            let array = if array.dims == first.dims { array.clone() } else { array.transpose(&order)? };
            if array.dims != first.dims {
                return Err(first.misaligned(&array, format!("dimensions {:?} and {:?}", first.dims, array.dims)));
            }
            for (d, name) in first.dims.iter().enumerate().filter(|(d, _)| *d != at) {
                if first.expr.shape[d] != array.expr.shape[d] {
                    let (a, b) = (first.expr.shape[d], array.expr.shape[d]);
                    return Err(first.misaligned(&array, format!("`{name}` has lengths {a} and {b}")));
                }
                first.check_labels(&array, name)?;
            }
            exprs.push(array.expr);
        }
        let mut all = first.with_expr(Expr::concat(exprs, at).ok_or_else(none)?);
        let coords: Option<Vec<&Coord>> = arrays.iter().map(|array| array.coords.get(dim)).collect();
        all.coords.shift_remove(dim);
        if let Some(coords) = coords {
            let mut turned = Vec::with_capacity(coords.len());
            for (coord, array) in coords.iter().zip(arrays) {
                let own = first.in_units(array, (coord, coords[0]), dim)?;
                turned.push(own);
            }
            let turned: Vec<&Coord> = turned.iter().map(AsRef::as_ref).collect();
            all.coords.insert(dim.to_owned(), Coord::joined(&turned));
        }
        Ok(all)
    }

    /// Labels in the units of those of the first array: times of one calendar are turned into them.
    fn in_units<'a>(&self, other: &Self, (own, first): (&'a Coord, &Coord), dim: &str) -> Result<Cow<'a, Coord>> {
        let differs = |key: &str| own.attrs.get(key) != first.attrs.get(key);
        if !differs("units") && !differs("calendar") {
            return Ok(Cow::Borrowed(own));
        }
        let why = || format!("`{dim}` has other units, and they are no times of one calendar");
        own.in_units_of(first).map(Cow::Owned).ok_or_else(|| self.misaligned(other, why()))
    }

    /// Arrays on the same cells one behind the other along a new first dimension.
    ///
    /// # Errors
    /// As [`DataArray::concat`].
    pub fn stack(arrays: &[Self], dim: &str) -> Result<Self> {
        let expanded: Vec<Self> = arrays.iter().map(|array| array.expand_dims(dim)).collect::<Result<_>>()?;
        Self::concat(&expanded, dim)
    }

    /// The array in other pieces: it is computed once, kept in memory or, where it does not fit, in a scratch file, and read from there in
    /// pieces of these lengths. Other dimensions are not cut.
    ///
    /// # Errors
    /// [`Error::NoDim`]; [`Error::Unsupported`] for a length of 0.
    pub fn rechunk(&self, chunks: &[(&str, u64)]) -> Result<Self> {
        let mut chunk = self.shape();
        for (dim, len) in chunks {
            let at = self.dim(dim)?;
            if *len == 0 {
                return Err(self.refuse("rechunk", format!("a chunk of `{dim}` has at least one position")));
            }
            chunk[at] = (*len).min(chunk[at]).max(1);
        }
        Ok(self.with_expr(Expr::stored(self.expr.clone(), chunk)))
    }

    /// The matrix product over a dimension that both have; each has one other.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other dimensions or complex numbers; [`Error::Misaligned`].
    pub fn dot(&self, other: &Self, dim: &str) -> Result<Self> {
        let (left, right) = (self.dim(dim)?, other.dim(dim)?);
        if self.dims.len() != 2 || other.dims.len() != 2 || self.dims[1 - left] == other.dims[1 - right] {
            return Err(self.refuse("multiply", format!("each needs `{dim}` and one other dimension, of unlike names")));
        }
        self.check_labels(other, dim)?;
        if self.expr.shape[left] != other.expr.shape[right] {
            return Err(self.misaligned(other, format!("`{dim}` has other lengths")));
        }
        let a = Expr::transpose(self.expr.clone(), if left == 1 { vec![0, 1] } else { vec![1, 0] });
        let b = Expr::transpose(other.expr.clone(), if right == 0 { vec![0, 1] } else { vec![1, 0] });
        let mut array = self.with_expr(Expr::dot(a, b).map_err(|why| self.refuse("multiply", why))?);
        array.dims = vec![self.dims[1 - left].clone(), other.dims[1 - right].clone()];
        array.coords.retain(|name, _| array.dims[0] == *name);
        if let Some(coord) = other.coords.get(&array.dims[1]) {
            array.coords.insert(array.dims[1].clone(), coord.clone());
        }
        Ok(array)
    }

    /// The array under another name of a dimension.
    ///
    /// # Errors
    /// [`Error::NoDim`].
    pub fn rename_dim(&self, dim: &str, name: &str) -> Result<Self> {
        let at = self.dim(dim)?;
        if name != dim && self.dims.iter().any(|have| have == name) {
            return Err(self.refuse("rename", format!("it has a dimension `{name}` already")));
        }
        let mut array = self.clone();
        name.clone_into(&mut array.dims[at]);
        if let Some(coord) = array.coords.shift_remove(dim) {
            array.coords.insert(name.to_owned(), coord);
        }
        Ok(array)
    }

    /// Bytes of all values.
    pub fn nbytes(&self) -> u64 {
        crate::expr::cells(&whole(&self.expr.shape)).saturating_mul(self.dtype().size() as u64)
    }
}

/// Where an array has a label, if it has it.
type Places = Vec<Option<u64>>;

/// Positions by label; `None` if one repeats.
fn places(labels: &[String]) -> Option<HashMap<&String, u64>> {
    let all: HashMap<&String, u64> = labels.iter().zip(0..).collect();
    (all.len() == labels.len()).then_some(all)
}

fn labels(coord: &Coord) -> Vec<String> {
    if !coord.texts.is_empty() {
        return coord.texts.clone();
    }
    if !coord.whole.is_empty() {
        return coord.whole.iter().map(i64::to_string).collect();
    }
    coord.values.iter().map(f64::to_string).collect()
}
