//! Objects of a file: headers, links of groups, global heaps.

use std::collections::HashMap;
use std::sync::Arc;

use hdf5_reader::error::{Error as LibraryError, Result as LibraryResult};
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::global_heap::GlobalHeapCollection;
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::{self, LinkMessage, LinkTarget};
use hdf5_reader::messages::link_info::LinkInfoMessage;
use hdf5_reader::messages::shared::SharedMessage;
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::storage::Storage;
use hdf5_reader::symbol_table::SymbolTableNode;
use hdf5_reader::{btree_v1, btree_v2};

use super::storage::Metered;

/// Largest header of one object, in bytes.
const MAX_HEADER: usize = 16 << 20;

/// Most memory for the heaps of attributes, in bytes.
const MAX_HEAPS: u64 = 64 << 20;

/// Most bytes of a B-tree of links or attributes: some 700,000 of them.
const MAX_TREE: u64 = 8 << 20;
/// Most bytes of the links or attributes of one object.
const MAX_DENSE: u64 = 64 << 20;
/// Largest block of a heap, in bytes.
const MAX_BLOCK: u64 = 16 << 20;

/// Reads the objects of one file.
pub(super) struct Objects<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) offset_size: u8,
    pub(super) length_size: u8,
    heaps: HashMap<u64, Result<Arc<GlobalHeapCollection>, String>>,
    /// Bytes of the heaps that are held.
    held: u64,
}

impl<'a> Objects<'a> {
    pub(super) fn new(storage: &'a dyn Storage, offset_size: u8, length_size: u8) -> Self {
        Self { storage, offset_size, length_size, heaps: HashMap::new(), held: 0 }
    }

    /// The messages of an object, shared ones in place.
    pub(super) fn header(&self, address: u64) -> LibraryResult<ObjectHeader> {
        let mut header = self.parse_header(address)?;
        for message in &mut header.messages {
            let HdfMessage::Shared(shared) = message else { continue };
            let SharedMessage::SharedInOhdr { message_type, address } = shared else {
                return Err(LibraryError::UnsupportedEncoding("a table of shared header messages".to_owned()));
            };
            let wanted = *message_type;
            let target = self.parse_header(*address)?;
            let found = target.messages.into_iter().find(|m| has_type(m, wanted));
            *message = found.ok_or_else(|| LibraryError::InvalidData(format!("no shared message {wanted}")))?;
        }
        Ok(header)
    }

    fn parse_header(&self, address: u64) -> LibraryResult<ObjectHeader> {
        ObjectHeader::parse_at_storage_with_limit(self.storage, address, self.offset_size, self.length_size, MAX_HEADER)
    }

    /// A global heap, parsed once; else why it cannot be.
    fn heap(&mut self, address: u64) -> Result<Arc<GlobalHeapCollection>, String> {
        if let Some(heap) = self.heaps.get(&address) {
            return heap.clone();
        }
        let (storage, offset_size, length_size) = (self.storage, self.offset_size, self.length_size);
        let limit = MAX_HEAPS.min(storage.len());
        // Heaps of a sound file do not overlap, so that all of them are no longer than the file.
        let heap = if self.held > limit {
            Err(format!("heaps of attributes have more than {limit} bytes"))
        } else {
            GlobalHeapCollection::parse_at_storage(storage, address, offset_size, length_size)
                .map_err(|e| format!("the heap at byte {address} cannot be read: {e}"))
        };
        let bytes = heap.iter().flat_map(|heap| &heap.objects).map(|object| object.data.len() as u64 + 64);
        self.held = bytes.fold(self.held, u64::saturating_add);
        let heap = heap.map(Arc::new);
        self.heaps.insert(address, heap.clone());
        heap
    }

    /// One value of variable length: `(number of elements, bytes)`; else why it cannot be had.
    pub(super) fn variable_length(&mut self, reference: &[u8]) -> Result<(usize, Vec<u8>), String> {
        let mut cursor = Cursor::new(reference);
        let mut parts = || {
            Some((cursor.read_u32_le().ok()?, cursor.read_offset(self.offset_size).ok()?, cursor.read_u32_le().ok()?))
        };
        let (count, address, index) = parts().ok_or("its reference is cut")?;
        if index == 0 || Cursor::is_undefined_offset(address, self.offset_size) {
            return Ok((0, Vec::new()));
        }
        let heap = self.heap(address)?;
        let object = u16::try_from(index).ok().and_then(|index| heap.get_object(index));
        let object = object.ok_or_else(|| format!("the heap at byte {address} has no object {index}"))?;
        Ok((usize::try_from(count).unwrap_or(usize::MAX), object.data.clone()))
    }

    /// The links of a group, in creation order where the file keeps it.
    pub(super) fn links(&self, header: &ObjectHeader) -> LibraryResult<Vec<LinkMessage>> {
        let mut links = Vec::new();
        for message in &header.messages {
            match message {
                HdfMessage::SymbolTable(table) => links.extend(self.old_links(table)?),
                HdfMessage::Link(link) => links.push(link.clone()),
                HdfMessage::LinkInfo(info)
                    if !Cursor::is_undefined_offset(info.fractal_heap_address, self.offset_size) =>
                {
                    links.extend(self.dense_links(info)?);
                }
                _ => {}
            }
        }
        if links.iter().all(|link| link.creation_order.is_some()) {
            links.sort_by_key(|link| link.creation_order);
        }
        Ok(links)
    }

    fn old_links(&self, table: &SymbolTableMessage) -> LibraryResult<Vec<LinkMessage>> {
        let (offset_size, length_size) = (self.offset_size, self.length_size);
        let heap = LocalHeap::parse_at_storage(self.storage, table.heap_address, offset_size, length_size)?;
        let leaves = btree_v1::collect_btree_v1_leaves_storage(
            self.storage,
            table.btree_address,
            offset_size,
            length_size,
            None,
            &[],
            None,
        )?;
        let mut links = Vec::new();
        let mut missing = None;
        for (_, address) in &leaves {
            // Asked for all of them before giving up, so that one round brings a whole level.
            match self.symbol_node(*address) {
                Ok(node) => {
                    for entry in &node.entries {
                        links.push(self.old_link(&heap, entry)?);
                    }
                }
                Err(e) => missing = Some(e),
            }
        }
        missing.map_or(Ok(links), Err)
    }

    fn symbol_node(&self, address: u64) -> LibraryResult<SymbolTableNode> {
        let head = self.storage.read_range(address, 8)?;
        let count = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let len = 8 + count * (2 * usize::from(self.offset_size) + 24);
        let bytes = self.storage.read_range(address, len)?;
        SymbolTableNode::parse(&mut Cursor::new(&bytes), self.offset_size, self.length_size)
    }

    fn old_link(
        &self,
        heap: &LocalHeap,
        entry: &hdf5_reader::symbol_table::SymbolTableEntry,
    ) -> LibraryResult<LinkMessage> {
        let name = heap.get_string_storage(entry.link_name_offset, self.storage)?;
        let target = if entry.cache_type == 2 {
            let offset = entry.scratch.iter().take(4).rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
            LinkTarget::Soft { path: heap.get_string_storage(offset, self.storage)? }
        } else {
            LinkTarget::Hard { address: entry.object_header_address }
        };
        Ok(LinkMessage { name, target, creation_order: None })
    }

    fn dense_links(&self, info: &LinkInfoMessage) -> LibraryResult<Vec<LinkMessage>> {
        let ids = self.dense_ids(info.btree_name_index_address)?;
        let objects = self.dense_objects(info.fractal_heap_address, &ids)?;
        objects
            .iter()
            .map(|bytes| link::parse(&mut Cursor::new(bytes), self.offset_size, self.length_size, bytes.len()))
            .collect()
    }

    /// The heap identifiers that a B-tree of version 2 over links or attributes lists.
    pub(super) fn dense_ids(&self, address: u64) -> LibraryResult<Vec<Vec<u8>>> {
        use btree_v2::BTreeV2Record::{AttributeCreationOrder, AttributeNameHash, CreationOrder, LinkNameHash};
        let (offset_size, length_size) = (self.offset_size, self.length_size);
        let header = btree_v2::BTreeV2Header::parse_at_storage(self.storage, address, offset_size, length_size)?;
        // Other records may have no bytes, of which a node holds any number.
        if !matches!(header.btree_type, 5 | 6 | 8 | 9) || header.record_size < 11 {
            let kind = (header.btree_type, header.record_size);
            return Err(LibraryError::InvalidData(format!("a B-tree of links with records of kind and size {kind:?}")));
        }
        let storage = Metered::new(self.storage, "a B-tree of links or attributes", MAX_TREE);
        let records =
            btree_v2::collect_btree_v2_records_storage(&storage, &header, offset_size, length_size, None, &[], None)?;
        let id = |record| match record {
            LinkNameHash { heap_id, .. }
            | CreationOrder { heap_id, .. }
            | AttributeNameHash { heap_id, .. }
            | AttributeCreationOrder { heap_id, .. } => Some(heap_id.clone()),
            _ => None,
        };
        Ok(records.into_iter().filter_map(id).collect())
    }

    /// The objects of a fractal heap.
    pub(super) fn dense_objects(&self, address: u64, ids: &[Vec<u8>]) -> LibraryResult<Vec<Vec<u8>>> {
        let (offset_size, length_size) = (self.offset_size, self.length_size);
        let heap = FractalHeap::parse_at_storage(self.storage, address, offset_size, length_size)?;
        self.check_heap(&heap, ids)?;
        let block = if heap.io_filters_len > 0 { heap.max_direct_block_size.max(heap.starting_block_size) } else { 0 };
        let storage = Metered::new(self.storage, "a heap of links or attributes", MAX_DENSE).of_heap(ids.len(), block);
        let mut blocks = FractalHeapDirectBlockCache::default();
        let (mut objects, mut held) = (Vec::new(), 0u64);
        let mut missing = None;
        for id in ids {
            match heap.get_object_storage_cached(id, &storage, offset_size, length_size, &mut blocks) {
                Ok(bytes) => {
                    held = held.saturating_add(bytes.len() as u64);
                    objects.push(bytes);
                }
                Err(error @ LibraryError::ResourceLimit(_)) => return Err(error),
                Err(error) => missing = Some(error),
            }
            if held > MAX_DENSE {
                let what = format!("links or attributes of more than {MAX_DENSE} bytes");
                return Err(LibraryError::ResourceLimit(what));
            }
        }
        missing.map_or(Ok(objects), Err)
    }

    /// Refuses what the library would decompress or walk without limit.
    fn check_heap(&self, heap: &FractalHeap, ids: &[Vec<u8>]) -> LibraryResult<()> {
        let invalid = |why: String| Err(LibraryError::InvalidData(why));
        let (first, largest) = (heap.starting_block_size, heap.max_direct_block_size);
        if first.max(largest) > MAX_BLOCK {
            return invalid(format!("a heap of blocks of {first} to {largest} bytes; {MAX_BLOCK} are the most"));
        }
        // Bits 4 and 5 of an identifier (III.G, "fractal heap ID"); 1 is a huge object, which a B-tree may list.
        let is_huge = |id: &Vec<u8>| id.first().is_some_and(|byte| byte >> 4 & 3 == 1);
        if !ids.iter().any(is_huge) {
            return Ok(());
        }
        if heap.io_filters_len > 0 {
            return Err(LibraryError::UnsupportedEncoding("compressed huge objects of a heap".to_owned()));
        }
        let address = heap.btree_huge_objects_address;
        if Cursor::is_undefined_offset(address, self.offset_size) {
            return Ok(());
        }
        let tree =
            btree_v2::BTreeV2Header::parse_at_storage(self.storage, address, self.offset_size, self.length_size)?;
        match tree.btree_type {
            1..=4 if tree.record_size > 0 => Ok(()),
            kind => invalid(format!("a B-tree of huge objects with records of kind {kind}")),
        }
    }
}

fn has_type(message: &HdfMessage, wanted: u16) -> bool {
    use hdf5_reader::messages::{
        MSG_ATTRIBUTE, MSG_DATASPACE, MSG_DATATYPE, MSG_FILL_VALUE, MSG_FILL_VALUE_OLD, MSG_FILTER_PIPELINE,
    };
    match message {
        HdfMessage::Dataspace(_) => wanted == MSG_DATASPACE,
        HdfMessage::Datatype(_) => wanted == MSG_DATATYPE,
        HdfMessage::FillValue(_) => wanted == MSG_FILL_VALUE || wanted == MSG_FILL_VALUE_OLD,
        HdfMessage::FilterPipeline(_) => wanted == MSG_FILTER_PIPELINE,
        HdfMessage::Attribute(_) => wanted == MSG_ATTRIBUTE,
        _ => false,
    }
}
