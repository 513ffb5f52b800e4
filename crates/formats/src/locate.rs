//! The chunk index of one variable.

use std::sync::Arc;

use outcrop_store::{Demand, Sparse, Step};

use crate::array::Variable;
use crate::das;
use crate::hdf5;
use crate::layout::{Layout, product};
use crate::refs::{ChunkRefs, Table, stored};
use crate::tiff;
use crate::zarr::Place;
use crate::{Error, Result};

/// Finds the chunks of one variable. Contiguous data needs no further bytes; an HDF5 index is read level by level.
#[derive(Debug)]
pub struct Locate {
    variable: Variable,
    walk: Option<Walk>,
    /// Of an array that is cut out of blocks, those.
    blocks: Option<Box<Locate>>,
}

/// A walk through the chunk index of a format.
#[derive(Debug)]
enum Walk {
    Hdf5(hdf5::IndexWalk),
    Tiff(tiff::IndexWalk),
}

impl Locate {
    /// Starts to find the chunks of a variable.
    pub fn new(variable: &Variable) -> Self {
        let walk = match &variable.layout {
            Layout::Hdf5(index) => Some(Walk::Hdf5(hdf5::IndexWalk::new(index.clone()))),
            Layout::Tiff(index) => Some(Walk::Tiff(tiff::IndexWalk::new(index.clone()))),
            _ => None,
        };
        let blocks = match &variable.layout {
            Layout::Blocks(blocks) => Some(Box::new(Self::new(blocks))),
            _ => None,
        };
        Self { variable: variable.clone(), walk, blocks }
    }

    fn table(&self, have: &Sparse) -> Result<Table> {
        let variable = &self.variable;
        match &variable.layout {
            Layout::Refused(why) => Err(Error::unsupported(&variable.name, why)),
            Layout::Inline(bytes) => Ok(Table::Inline(bytes.clone())),
            Layout::Linear(linear) => Ok(Table::Linear(linear.clone())),
            Layout::Rows { base, stride } => {
                let end = rows_end(variable, *base, *stride)?;
                if end > have.len() {
                    let what = format!("variable `{}`", variable.name);
                    return Err(Error::Truncated { what, need: end, have: have.len() });
                }
                Ok(Table::Rows { base: *base, stride: *stride })
            }
            Layout::Records(segment) if segment.end() > have.len() => {
                let what = format!("variable `{}`", variable.name);
                Err(Error::Truncated { what, need: segment.end(), have: have.len() })
            }
            Layout::Records(segment) => Ok(Table::Records(Arc::clone(segment))),
            Layout::Opaque(array) => Ok(Table::Opaque(array.clone())),
            Layout::Found(table) => Ok((**table).clone()),
            Layout::Zarr(Place::Mapped(mapped)) => Ok(Table::Mapped(mapped.clone())),
            Layout::Zarr(Place::Objects(keys)) => Ok(Table::Objects(keys.clone())),
            Layout::Zarr(Place::Lazy(_)) => {
                let what = "tables of references, which are files of their own (open the folder as a whole)";
                Err(Error::unsupported(&variable.name, what))
            }
            Layout::Zarr(Place::Shards(_)) => {
                let what = "shards, whose indexes are in objects of their own (open the store as a whole)";
                Err(Error::unsupported(&variable.name, what))
            }
            Layout::Hdf5(_) | Layout::Tiff(_) | Layout::Blocks(_) | Layout::Empty => Ok(Table::Empty),
        }
    }
}

/// Where the last row of a variable ends, in bytes of the file.
fn rows_end(variable: &Variable, base: u64, stride: u64) -> Result<u64> {
    let beyond = || Error::malformed(format!("variable `{}`", variable.name), "its end is beyond 64 bits");
    let (rows, row) = match variable.grid.shape.split_first() {
        None => (1, 1),
        Some((rows, rest)) => (*rows, product(rest, &variable.name)?),
    };
    let row_bytes = row.checked_mul(variable.dtype.size() as u64).ok_or_else(beyond)?;
    // A variable whose only dimensions are those of its member is one row.
    let (rows, row_bytes) = match stored(&variable.codecs, row_bytes) {
        0 if row_bytes > 0 => (1, stored(&variable.codecs, rows.saturating_mul(row_bytes))),
        bytes => (rows, bytes),
    };
    match rows.checked_sub(1) {
        // What has no values may begin behind the end: a variable of no records behind another.
        None => Ok(0),
        Some(_) if row_bytes == 0 => Ok(0),
        Some(last) => {
            let start = last.checked_mul(stride).and_then(|n| n.checked_add(base)).ok_or_else(beyond)?;
            start.checked_add(row_bytes).ok_or_else(beyond)
        }
    }
}

impl Demand for Locate {
    type Output = ChunkRefs;
    type Error = Error;

    fn step(&mut self, have: &Sparse) -> Result<Step<ChunkRefs>> {
        if let Some(blocks) = &mut self.blocks {
            return Ok(match blocks.step(have)? {
                Step::Need(ranges) => Step::Need(ranges),
                Step::Done(refs) => Step::Done(ChunkRefs::new(&self.variable, das::cut_table(refs))),
            });
        }
        let step = match &mut self.walk {
            Some(Walk::Hdf5(walk)) => walk.step(&self.variable, have)?,
            Some(Walk::Tiff(walk)) => walk.step(&self.variable, have)?,
            None => return Ok(Step::Done(ChunkRefs::new(&self.variable, self.table(have)?))),
        };
        Ok(match step {
            Step::Need(ranges) => Step::Need(ranges),
            Step::Done(entries) => Step::Done(ChunkRefs::new(&self.variable, Table::Listed(entries))),
        })
    }
}
