//! Shards: objects that hold several chunks and an index of where each of them is.
//!
//! Zarr 3, codec `sharding_indexed`: the index has two little-endian numbers of 64 bits for each chunk (offset and
//! length; all bits set where there is none), in C order, usually followed by a checksum.

use outcrop_store::{Demand, DriveError, Sparse, Step};
use serde_json::Value;

use super::codecs::Chain;
use super::lower::Shards;
use crate::array::{ChunkRef, DType, Variable};
use crate::codec::crc32c;
use crate::layout::{position, product};
use crate::opened::Origin;
use crate::refs::{Entry, Table};
use crate::{Error, Result};

/// Most shards whose indexes are read.
const MAX_SHARDS: u64 = 1 << 20;
/// Largest index, in bytes.
const MAX_INDEX: u64 = 16 << 20;

/// How the chunks of a sharded array are found.
#[derive(Debug)]
pub(crate) struct Sharding {
    pub(crate) shards: Shards,
    /// Lengths of a chunk.
    pub(crate) chunk: Vec<u64>,
    /// Chunks of a shard along each axis.
    pub(crate) per_shard: Vec<u64>,
    at_start: bool,
    checksum: bool,
}

impl Sharding {
    /// Reads the configuration; the codecs of the chunks go to `chain`.
    pub(super) fn new(
        path: &str,
        shards: Shards,
        shard: &[u64],
        configuration: &Value,
        (chain, dtype): (&mut Chain, DType),
    ) -> Result<Self> {
        let refuse = |why: &str| Err(Error::unsupported(path, why));
        if !chain.codecs.is_empty() {
            return refuse("a shard that is encoded as a whole");
        }
        let lengths = configuration["chunk_shape"].as_array().map(|axes| axes.iter().map(Value::as_u64).collect());
        let Some(Some(chunk)) = lengths else { return refuse("a shard without the shape of its chunks") };
        let chunk: Vec<u64> = chunk;
        let fits = chunk.len() == shard.len() && chunk.iter().zip(shard).all(|(c, s)| *c > 0 && s % c == 0);
        if !fits {
            return Err(Error::malformed(path, format!("chunks {chunk:?} do not fill shards {shard:?}")));
        }
        chain.read_v3(&configuration["codecs"], &chunk, dtype);
        if chain.sharding.is_some() {
            return refuse("a shard of shards");
        }
        let index: Vec<&str> = match &configuration["index_codecs"] {
            Value::Array(codecs) => codecs.iter().map(|c| c["name"].as_str().or(c.as_str()).unwrap_or("?")).collect(),
            _ => vec!["bytes", "crc32c"],
        };
        let checksum = match index[..] {
            ["bytes"] => false,
            ["bytes", "crc32c"] => true,
            _ => return refuse(&format!("an index of shards with the codecs {index:?}")),
        };
        let at_start = configuration["index_location"] == "start";
        let per_shard = chunk.iter().zip(shard).map(|(c, s)| s / c).collect();
        Ok(Self { shards, chunk, per_shard, at_start, checksum })
    }

    fn index_bytes(&self, path: &str) -> Result<u64> {
        let chunks = product(&self.per_shard, path)?;
        let value = chunks.saturating_mul(16).saturating_add(if self.checksum { 4 } else { 0 });
        let what = || format!("the index of a shard of `{path}` in bytes");
        if value > MAX_INDEX { Err(Error::Limit { what: what(), value, limit: MAX_INDEX }) } else { Ok(value) }
    }

    /// Reads the indexes of all shards, several at once. A shard that is not there holds no chunks.
    pub(crate) async fn locate(&self, origin: &Origin, variable: &Variable) -> Result<Table> {
        use futures::{StreamExt, TryStreamExt};
        let counts: Vec<u64> = variable.grid.counts();
        product(&counts, &variable.name)?;
        let shards: Vec<u64> = counts.iter().zip(&self.per_shard).map(|(n, per)| n.div_ceil(*per)).collect();
        let total = product(&shards, &variable.name)?;
        if total > MAX_SHARDS {
            let what = format!("number of shards of `{}`", variable.name);
            return Err(Error::Limit { what, value: total, limit: MAX_SHARDS });
        }
        let bytes = self.index_bytes(&variable.name)?;
        let read = |linear: u64| {
            let at = position(linear, &shards);
            let counts = &counts;
            async move { self.shard(origin, (&at, counts), (bytes, variable)).await }
        };
        let found: Vec<Vec<Entry>> = futures::stream::iter(0..total)
            .map(read)
            .buffered(origin.store().options().concurrency.max(1))
            .try_collect()
            .await?;
        let mut entries: Vec<Entry> = found.into_iter().flatten().collect();
        entries.sort_by_key(|entry: &Entry| entry.linear);
        Ok(Table::Shards { shards: self.shards.clone(), per_shard: self.per_shard.clone(), entries })
    }

    async fn shard(
        &self,
        origin: &Origin,
        (at, counts): (&[u64], &[u64]),
        (bytes, variable): (u64, &Variable),
    ) -> Result<Vec<Entry>> {
        let place = self.shards.get(at.iter().copied());
        let Some((size, index)) = self.index(origin, &place, bytes).await? else { return Ok(Vec::new()) };
        let index = if self.checksum { crc32c::strip(&index)? } else { &index[..] };
        let mut entries = Vec::new();
        for (i, pair) in index.as_chunks::<16>().0.iter().enumerate() {
            let number = |from: usize| pair[from..].first_chunk().map_or(u64::MAX, |b| u64::from_le_bytes(*b));
            let (offset, length) = (number(0), number(8));
            if offset == u64::MAX && length == u64::MAX {
                continue;
            }
            let end = offset.checked_add(length).filter(|end| *end <= size);
            if end.is_none() {
                let what = format!("chunk {i} of the shard {at:?} of `{}`", variable.name);
                return Err(Error::Truncated { what, need: offset.saturating_add(length), have: size });
            }
            let inner = position(i as u64, &self.per_shard);
            let index = at.iter().zip(&self.per_shard).zip(inner).map(|((s, per), i)| s * per + i);
            // A chunk beyond the shape belongs to a shard at the edge.
            let linear = index.zip(counts).try_fold(0u64, |sum, (i, n)| (i < *n).then(|| sum * n + i));
            entries.extend(linear.map(|linear| Entry { linear, offset, length, filter_mask: 0 }));
        }
        Ok(entries)
    }
}

impl Sharding {
    /// The size of a shard and its index; `None` if there is no such shard.
    async fn index(&self, origin: &Origin, shard: &ChunkRef, bytes: u64) -> Result<Option<(u64, bytes::Bytes)>> {
        let mut index = Index { bytes, at_start: self.at_start };
        match shard {
            ChunkRef::Object { href, range: None, .. } => {
                let first = if self.at_start { bytes } else { 0 };
                match origin.store().drive(href, first, &mut index).await {
                    Ok((object, index)) => Ok(Some((object.size, index))),
                    // One that references name has to be there.
                    Err(DriveError::Store(e)) if e.is_not_found() && matches!(self.shards, Shards::Objects(_)) => {
                        origin.missing(href).await.map(|()| None)
                    }
                    Err(DriveError::Store(e)) => Err(e.into()),
                    Err(DriveError::Parse(e)) => Err(e),
                }
            }
            ChunkRef::Object { href, range: Some(range), .. } => {
                let size = range.end.saturating_sub(range.start);
                let within = index.range(size)?;
                let place = range.start.saturating_add(within.start)..range.start.saturating_add(within.end);
                let object = origin.other(href).await?;
                let found = origin.store().ranges(&object, std::slice::from_ref(&place)).await?.pop();
                Ok(Some((size, found.unwrap_or_default())))
            }
            ChunkRef::Inline(held) => match index.step(&Sparse::whole(held))? {
                Step::Done(found) => Ok(Some((held.len() as u64, found))),
                Step::Need(_) => Ok(None),
            },
            ChunkRef::Range { .. } | ChunkRef::Opaque { .. } | ChunkRef::Fill => Ok(None),
        }
    }
}

/// The bytes of an index, once the size of its shard is known.
struct Index {
    bytes: u64,
    at_start: bool,
}

impl Index {
    /// Its place in a shard of this size.
    fn range(&self, size: u64) -> Result<std::ops::Range<u64>> {
        let start = size.checked_sub(self.bytes).ok_or_else(|| {
            let what = "the index of a shard".to_owned();
            Error::Truncated { what, need: self.bytes, have: size }
        })?;
        let start = if self.at_start { 0 } else { start };
        Ok(start..start + self.bytes)
    }
}

impl Demand for Index {
    type Output = bytes::Bytes;
    type Error = Error;

    fn step(&mut self, have: &Sparse) -> Result<Step<bytes::Bytes>> {
        let range = self.range(have.len())?;
        match have.get(&range) {
            Some(bytes) => Ok(Step::Done(bytes)),
            None => Ok(Step::Need(vec![range])),
        }
    }
}
