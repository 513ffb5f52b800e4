//! Looks at samples on their way.

use std::ops::Range;
use std::sync::Arc;

use outcrop_compute::kernel::Place;
use outcrop_compute::{Block, DType, Kernel, Reach};
use serde_json::{Value, json};

use super::Picture;

/// Shows whole channels to a picture and hands them on as they are.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) picture: Arc<Picture>,
    /// Samples of a channel.
    pub(super) samples: u64,
}

impl Kernel for Watch {
    fn spec(&self) -> Value {
        json!({"kernel": "watch"})
    }

    fn reach(&self) -> Vec<Reach> {
        vec![Reach::Same, Reach::Whole(self.samples)]
    }

    fn dtype(&self, inputs: &[DType]) -> Result<DType, String> {
        inputs.first().copied().ok_or_else(|| "it takes one input".to_owned())
    }

    fn work_bytes(&self, _: outcrop_compute::kernel::Sizes) -> u64 {
        0
    }

    fn apply(&self, inputs: Vec<Block>, place: &Place<'_>) -> Result<Block, String> {
        let block = inputs.into_iter().next().ok_or("it takes one input")?;
        let length = |range: &Range<u64>| usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        if let [rows, columns] = place.window {
            self.picture.show(&block, (rows.start, columns.start), length(columns));
        }
        Ok(block)
    }
}
