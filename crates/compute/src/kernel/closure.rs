//! A function of the user as a kernel. It is not data: a plan with it runs here only, and is not saved.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Kernel, Place, Reach, Sizes};
use crate::{Block, DType};

type Function = dyn Fn(Vec<Block>, &Place<'_>) -> Result<Block, String> + Send + Sync;

/// A function of pieces of arrays.
#[derive(Clone)]
pub struct MapBlocks {
    name: String,
    reach: Vec<Reach>,
    dtype: DType,
    function: Arc<Function>,
}

impl fmt::Debug for MapBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBlocks").field("name", &self.name).field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl MapBlocks {
    /// A function that makes values of this type. It takes a piece of each input, in C order, and gives the piece of the result
    /// that [`Place::out`] names.
    pub fn new(
        name: &str,
        reach: Vec<Reach>,
        dtype: DType,
        function: impl Fn(Vec<Block>, &Place<'_>) -> Result<Block, String> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_owned(), reach, dtype, function: Arc::new(function) }
    }
}

impl Kernel for MapBlocks {
    fn spec(&self) -> Value {
        json!({"kernel": self.name, "local": true})
    }

    fn reach(&self) -> Vec<Reach> {
        self.reach.clone()
    }

    fn dtype(&self, _: &[DType]) -> Result<DType, String> {
        Ok(self.dtype)
    }

    fn work_bytes(&self, sizes: Sizes) -> u64 {
        sizes.result
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = (self.function)(inputs, place)?;
        let wanted: usize = super::lengths(place.out).iter().product();
        if block.dtype() != self.dtype || block.len() != wanted {
            let (dtype, len) = (block.dtype(), block.len());
            return Err(format!("it gave {len} values of {dtype} where {wanted} of {} are wanted", self.dtype));
        }
        Ok(block)
    }
}
