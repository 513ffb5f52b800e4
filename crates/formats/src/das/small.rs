//! The values of a small dataset, read from the bytes at hand.

use std::ops::Range;

use outcrop_store::{Demand, Sparse, Step};

use super::view::Values;
use crate::array::{ChunkRef, DType, Variable};
use crate::decode::Decoder;
use crate::hdf5::Texts;
use crate::locate::Locate;
use crate::read::fill_window;
use crate::refs::ChunkRefs;
use crate::{Error, Result};

/// Largest dataset that is read, and its largest chunk, in bytes.
const LARGEST: u64 = 4 << 20;

/// Reads one dataset.
#[derive(Debug)]
pub(super) struct Small {
    dtype: DType,
    bytes: usize,
    locate: Locate,
    refs: Option<ChunkRefs>,
    texts: Option<Texts>,
}

impl Small {
    /// `None` for a dataset that is not small.
    pub(super) fn new(variable: &Variable) -> Option<Self> {
        let size = variable.dtype.size() as u64;
        let bytes = variable.elements()?.checked_mul(size).filter(|bytes| *bytes <= LARGEST)?;
        let chunk = variable.grid.chunk.iter().try_fold(size, |n, len| n.checked_mul(*len))?;
        if chunk > LARGEST.max(2 * bytes) {
            return None;
        }
        let bytes = usize::try_from(bytes).ok()?;
        Some(Self { dtype: variable.dtype, bytes, locate: Locate::new(variable), refs: None, texts: None })
    }

    pub(super) fn step(&mut self, have: &Sparse) -> Result<Step<Values>> {
        if let Some(texts) = &mut self.texts {
            return Ok(resolved(texts.step(have)?));
        }
        let refs = match self.refs.take() {
            Some(refs) => refs,
            None => match self.locate.step(have)? {
                Step::Need(ranges) => return Ok(Step::Need(ranges)),
                Step::Done(refs) => refs,
            },
        };
        let step = self.decode(&refs, have)?;
        self.refs = Some(refs);
        match (step, self.dtype) {
            (Step::Need(ranges), _) => Ok(Step::Need(ranges)),
            (Step::Done(elements), DType::VlenText(place)) => {
                let mut texts = Texts::new(place, &elements)?;
                let step = resolved(texts.step(have)?);
                self.texts = Some(texts);
                Ok(step)
            }
            (Step::Done(elements), dtype) => Ok(Step::Done(Values::of(dtype, &elements))),
        }
    }

    fn decode(&self, refs: &ChunkRefs, have: &Sparse) -> Result<Step<Vec<u8>>> {
        let chunks: Vec<(Vec<u64>, ChunkRef)> = refs.iter().collect();
        let missing: Vec<Range<u64>> =
            chunks.iter().filter_map(|(_, chunk)| range(chunk)).filter(|range| have.get(range).is_none()).collect();
        if missing.iter().any(|range| range.end > have.len()) {
            return Err(Error::malformed("a chunk", "it lies past the end of the file"));
        }
        if !missing.is_empty() {
            return Ok(Step::Need(missing));
        }
        let mut decoder = Decoder::new(refs)?;
        let mut chunk = vec![0; decoder.chunk_bytes()];
        let mut out = vec![0; self.bytes];
        let window: Vec<Range<u64>> = refs.grid.shape.iter().map(|len| 0..*len).collect();
        for (index, reference) in &chunks {
            let bytes = range(reference).and_then(|range| have.get(&range)).unwrap_or_default();
            decoder.decode(reference, &bytes, &mut chunk)?;
            fill_window(refs, index, &chunk, &window, &mut out)?;
        }
        Ok(Step::Done(out))
    }
}

fn resolved(step: Step<Vec<String>>) -> Step<Values> {
    match step {
        Step::Need(ranges) => Step::Need(ranges),
        Step::Done(texts) => Step::Done(Values::Texts(texts)),
    }
}

fn range(chunk: &ChunkRef) -> Option<Range<u64>> {
    match chunk {
        ChunkRef::Range { offset, length, .. } => Some(*offset..offset.saturating_add(*length)),
        ChunkRef::Object { .. } | ChunkRef::Opaque { .. } | ChunkRef::Inline(_) | ChunkRef::Fill => None,
    }
}
