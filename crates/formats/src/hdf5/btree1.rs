//! Chunk index of version 1: a B-tree, walked level by level.
//!
//! The library walks it node by node, which over a network is a request per node. Here every node that is missing is
//! asked for at once. Nodes are visited once, levels only go down.

use std::collections::HashSet;

use hdf5_reader::btree_v1::{BTreeV1Key, BTreeV1Node};
use hdf5_reader::chunk_index::ChunkEntry;
use hdf5_reader::error::{Error, Result};
use hdf5_reader::io::Cursor;
use hdf5_reader::storage::Storage;

use super::index::ChunkIndex;

/// Deepest tree; a node has at least two children in practice, so no file is deeper.
const MAX_LEVEL: u8 = 32;
/// Children of a node as libhdf5 writes it (two times the default K of 32).
const USUAL_CHILDREN: usize = 64;

#[derive(Debug)]
pub(super) struct TreeWalk {
    offset_size: u8,
    length_size: u8,
    pending: Vec<(u64, Option<u8>)>,
    visited: HashSet<u64>,
    chunks: Vec<ChunkEntry>,
}

impl TreeWalk {
    pub(super) fn new(index: &ChunkIndex) -> Self {
        Self {
            offset_size: index.offset_size,
            length_size: index.length_size,
            pending: vec![(index.address, None)],
            visited: HashSet::from([index.address]),
            chunks: Vec::new(),
        }
    }

    pub(super) fn take(&mut self) -> Vec<ChunkEntry> {
        std::mem::take(&mut self.chunks)
    }

    /// Goes as far as the bytes at hand allow; the storage notes what is missing.
    pub(super) fn advance(&mut self, storage: &dyn Storage, rank: usize) -> Result<()> {
        let mut waiting = Vec::new();
        while let Some((address, level)) = self.pending.pop() {
            match self.node(storage, address, rank)? {
                Some(node) => self.enter(&node, level)?,
                None => waiting.push((address, level)),
            }
        }
        self.pending = waiting;
        Ok(())
    }

    /// A node, or `None` if it is not at hand.
    fn node(&self, storage: &dyn Storage, address: u64, rank: usize) -> Result<Option<BTreeV1Node>> {
        let width = usize::from(self.offset_size);
        let (head, key) = (8 + 2 * width, 8 + 8 * (rank + 1));
        let size = |children: usize| head + children * (key + width) + key;
        let room = usize::try_from(storage.len().saturating_sub(address)).unwrap_or(usize::MAX);
        if room < head {
            storage.read_range(address, head)?;
        }
        // Asks for a node of usual size at once, not for its head first.
        let Ok(bytes) = storage.read_range(address, size(USUAL_CHILDREN).min(room)) else { return Ok(None) };
        let children = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        let bytes = if size(children) <= bytes.len() {
            bytes
        } else if size(children) > room {
            storage.read_range(address, size(children))?
        } else {
            let Ok(bytes) = storage.read_range(address, size(children)) else { return Ok(None) };
            bytes
        };
        let rank = u32::try_from(rank).unwrap_or(u32::MAX);
        BTreeV1Node::parse(&mut Cursor::new(&bytes), self.offset_size, self.length_size, Some(rank)).map(Some)
    }

    fn enter(&mut self, node: &BTreeV1Node, expected: Option<u8>) -> Result<()> {
        let broken = |why: &str| Err(Error::InvalidData(format!("B-tree of chunks: {why}")));
        if node.node_type != 1 {
            return broken("a node is not of a chunk index");
        }
        if node.level > MAX_LEVEL || expected.is_some_and(|level| level != node.level) {
            return broken("levels do not count down");
        }
        for (key, child) in node.keys.iter().zip(&node.children) {
            if node.level > 0 {
                if !self.visited.insert(*child) {
                    return broken("a node is its own descendant");
                }
                self.pending.push((*child, Some(node.level - 1)));
            } else if let BTreeV1Key::RawData { chunk_size, filter_mask, offsets } = key {
                let offsets = offsets.get(..offsets.len().saturating_sub(1)).unwrap_or_default().to_vec();
                let (size, filter_mask) = (u64::from(*chunk_size), *filter_mask);
                self.chunks.push(ChunkEntry { address: *child, size, filter_mask, offsets });
            }
        }
        Ok(())
    }
}
