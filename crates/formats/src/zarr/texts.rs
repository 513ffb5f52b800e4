//! Texts of any length (`vlen-utf8`): the chunks that a window touches, and what of them lies in it.
//!
//! Not here: the form of a chunk ([`crate::codec::vlen_utf8`]), texts of fixed size ([`crate::texts`]).

use std::ops::Range;

use bytes::Bytes;

use crate::array::{ChunkRef, Codec};
use crate::codec::{transpose, vlen_utf8};
use crate::decode::unpack;
use crate::layout::product;
use crate::opened::Origin;
use crate::read::{GAP, batches, check_window, runs, touched};
use crate::refs::ChunkRefs;
use crate::{Error, Result};

/// Most memory of the texts of a window, in bytes.
const MAX_TEXTS: u64 = 128 << 20;
/// What a text takes besides what is in it, in bytes.
const EACH: u64 = 64;
/// Largest decoded chunk, in bytes.
const MAX_CHUNK: usize = 64 << 20;
/// What a chunk is taken to have in bytes: it takes one request if it has no more, and several are fetched at once.
const USUAL: u64 = 1 << 20;

/// Reads a window of an array of texts, in C order.
///
/// # Errors
/// [`Error::Window`] if it does not lie within the shape; [`Error::Limit`] for more than 128 MiB of texts, 64 bytes for
/// each and what is in it, and for chunks of more than 64 MiB; [`Error::Codec`] for damaged chunks; the store's.
pub(crate) async fn read(
    origin: &Origin,
    (refs, name): (&ChunkRefs, &str),
    window: &[Range<u64>],
) -> Result<Vec<String>> {
    check_window(refs, window)?;
    let decoder = TextDecoder::new(refs, name)?;
    let mut gathered = Gathered::new(window, name)?;
    for batch in batches(&touched(refs, window), USUAL) {
        let fetched = fetch(origin, batch).await?;
        for ((index, _), (chunk, bytes)) in batch.iter().zip(fetched) {
            let named = |error: Error| match error {
                Error::Codec { .. } | Error::Checksum { .. } => error.of_variable(&format!("{name}, chunk {index:?}")),
                other => other,
            };
            let stored = match &chunk {
                ChunkRef::Inline(held) => held,
                _ => &bytes,
            };
            let filled = matches!(chunk, ChunkRef::Fill);
            let packed = if filled { None } else { Some(decoder.unpack(stored).map_err(named)?) };
            let texts =
                packed.as_deref().map(|bytes| vlen_utf8::decode(bytes, decoder.count)).transpose().map_err(named)?;
            gathered.take(refs, (index, window), |at| match &texts {
                Some(texts) => texts[decoder.place(at)],
                None => decoder.fill,
            })?;
        }
    }
    Ok(gathered.texts)
}

/// Stored chunks; those of unusual size one after the other.
async fn fetch(origin: &Origin, batch: &[(Vec<u64>, ChunkRef)]) -> Result<Vec<(ChunkRef, Bytes)>> {
    let chunks: Vec<ChunkRef> = batch.iter().map(|(_, chunk)| chunk.clone()).collect();
    for chunk in &chunks {
        let (ChunkRef::Object { range: Some(range), .. }, limit) = (chunk, MAX_CHUNK as u64) else { continue };
        let value = range.end.saturating_sub(range.start);
        if value > limit {
            return Err(Error::Limit { what: "stored size of a chunk of texts in bytes".into(), value, limit });
        }
    }
    match origin.fetch(&chunks, USUAL, GAP).await {
        Err(Error::Limit { .. }) => {}
        fetched => return fetched,
    }
    let mut fetched = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        fetched.extend(origin.fetch(&[chunk], MAX_CHUNK as u64 / 2, GAP).await?);
    }
    Ok(fetched)
}

/// How chunks of texts are decoded.
struct TextDecoder<'a> {
    /// Those behind `vlen-utf8`.
    codecs: &'a [Codec],
    /// Texts of a chunk.
    count: usize,
    /// The place of each text in its chunk as stored; empty where it is that of C order.
    places: Vec<u64>,
    fill: &'a str,
}

impl<'a> TextDecoder<'a> {
    fn new(refs: &'a ChunkRefs, name: &str) -> Result<Self> {
        let value = product(&refs.grid.chunk, name)?;
        let limit = MAX_TEXTS / EACH;
        let many = || Error::Limit { what: format!("number of texts of a chunk of `{name}`"), value, limit };
        let count = usize::try_from(value).ok().filter(|_| value <= limit).ok_or_else(many)?;
        let lost = || Error::malformed(name, "its codecs make no bytes of texts");
        let at = refs.codecs.iter().position(|codec| *codec == Codec::VlenUtf8).ok_or_else(lost)?;
        let (before, codecs) = refs.codecs.split_at(at);
        let places = match before {
            [] => Vec::new(),
            [Codec::Transpose { order, shape }] => places(count, (shape, order))?,
            _ => return Err(Error::unsupported(name, "a filter of texts of any length")),
        };
        let fill = std::str::from_utf8(&refs.fill).unwrap_or_default();
        Ok(Self { codecs: codecs.get(1..).unwrap_or_default(), count, places, fill })
    }

    fn unpack<'b>(&self, stored: &'b [u8]) -> Result<std::borrow::Cow<'b, [u8]>> {
        unpack(self.codecs, stored, MAX_CHUNK)
    }

    /// Where the text at this place in C order is stored.
    fn place(&self, at: usize) -> usize {
        self.places.get(at).map_or(at, |place| usize::try_from(*place).unwrap_or(usize::MAX))
    }
}

/// Where a transposed chunk has each of its elements.
fn places(count: usize, (shape, order): (&[usize], &[usize])) -> Result<Vec<u64>> {
    let stored: Vec<u8> = (0..count as u64).flat_map(u64::to_ne_bytes).collect();
    let mut out = vec![0; stored.len()];
    transpose::decode(&stored, &mut out, shape, order)?;
    Ok(out.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect())
}

/// The texts of a window, and the memory that they take.
struct Gathered<'a> {
    name: &'a str,
    texts: Vec<String>,
    memory: u64,
}

impl<'a> Gathered<'a> {
    fn new(window: &[Range<u64>], name: &'a str) -> Result<Self> {
        let count = window.iter().fold(1u64, |n, range| n.saturating_mul(range.end - range.start));
        let mut gathered = Self { name, texts: Vec::new(), memory: 0 };
        gathered.grow(count.saturating_mul(EACH))?;
        gathered.texts = vec![String::new(); usize::try_from(count).unwrap_or(usize::MAX)];
        Ok(gathered)
    }

    fn grow(&mut self, bytes: u64) -> Result<()> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory <= MAX_TEXTS {
            return Ok(());
        }
        let what = format!("memory for the texts of `{}` in bytes", self.name);
        Err(Error::Limit { what, value: self.memory, limit: MAX_TEXTS })
    }

    /// Takes what lies in the window of a chunk, whose texts are given by their place in C order.
    fn take<'t>(
        &mut self,
        refs: &ChunkRefs,
        (index, window): (&[u64], &[Range<u64>]),
        text: impl Fn(usize) -> &'t str,
    ) -> Result<()> {
        let mut found = Vec::new();
        runs(&refs.grid, (index, window), |from, to, run| found.push((from, to, run)));
        for (from, to, run) in found {
            for (slot, at) in self.texts.iter_mut().skip(to).take(run).zip(from..) {
                let text = text(at);
                self.memory = self.memory.saturating_add(text.len() as u64);
                if self.memory <= MAX_TEXTS {
                    text.clone_into(slot);
                }
            }
            self.grow(0)?;
        }
        Ok(())
    }
}
