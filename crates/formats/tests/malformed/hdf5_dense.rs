//! HDF5 as version 1.8 and later write it: B-trees of version 2, fractal heaps and arrays of chunks that lie.

use hdf5_reader::checksum::jenkins_lookup3;

use super::hdf5_file::*;

type Built = (&'static str, Vec<u8>, &'static str);

/// Bytes of a node, and of a record of the hash of a name.
const NODE: u32 = 65_536;
const RECORD: u16 = 11;

pub(super) fn cases() -> Vec<Built> {
    vec![
        ("a million links in a B-tree", links(&many_records(170)), "B-tree of links or attributes of more than"),
        ("4000 links that are one object", links(&same_object(4000)), "links or attributes of more than"),
        (
            "records of no bytes",
            links(&Dense { kind: 0, record: 0, ..Dense::default() }),
            "records of kind and size (0, 0)",
        ),
        ("a node of a B-tree in itself", links(&Dense { depth: 2, ..many_records(2) }), "revisits"),
        ("a B-tree of 65535 levels", links(&Dense { depth: 65_535, ..Dense::default() }), "depth"),
        ("a heap of blocks of 2^40 bytes", links(&Dense { block: 1 << 40, ..same_object(1) }), "are the most"),
        ("a heap whose block is an indirect one in itself", links(&Dense { rows: 64, ..same_object(2) }), "!"),
        ("huge objects in a tree of nothing", links(&huge()), "huge objects with records of kind 0"),
        ("chunks in a tree of nothing", chunks_in_a_tree(), "records of kind and size (0, 0)"),
        ("an array of 2^60 chunks", array(b"FAHD", 3, &[10]), "!"),
        ("an array of 2^60 chunks that may grow", array(b"EAHD", 4, &[32, 4, 4, 16, 10]), "!"),
        ("2^60 chunks side by side", array(b"none", 2, &[]), "!"),
        ("lengths of 2^256 in an old layout", old_lengths(), "*"),
        ("a header that goes on in itself", endless_header(), "*"),
        ("a datatype that is its own", own_datatype(), "!"),
    ]
}

fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = jenkins_lookup3(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// A group whose links are in a heap, which a B-tree lists.
struct Dense {
    /// Of the records, and the bytes of one.
    kind: u8,
    record: u16,
    depth: u16,
    /// Records of each leaf below the root, or of the root.
    leaves: Vec<Vec<u8>>,
    /// Blocks of the heap.
    block: u64,
    /// Rows of an indirect block; 0 is a direct one.
    rows: u16,
    /// The kind of the tree of huge objects.
    huge_kind: u8,
}

impl Default for Dense {
    fn default() -> Self {
        let leaves = vec![vec![0; usize::from(RECORD)]];
        Self { kind: 5, record: RECORD, depth: 0, leaves, block: 65_536, rows: 0, huge_kind: 0 }
    }
}

fn tree_header(kind: u8, (record, depth): (u16, u16), root: u64, count: u16) -> Vec<u8> {
    let head = [b"BTHD\0".to_vec(), vec![kind], NODE.to_le_bytes().to_vec(), record.to_le_bytes().to_vec()].concat();
    let places = [depth.to_le_bytes().to_vec(), vec![100, 40], root.to_le_bytes().to_vec()].concat();
    summed([head, places, count.to_le_bytes().to_vec(), 1_000_000u64.to_le_bytes().to_vec()].concat())
}

fn node(name: &[u8], kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = summed([name, &[0, kind], body].concat());
    bytes.resize(bytes.len().max(NODE as usize), 0);
    bytes
}

fn count(records: &[u8]) -> u16 {
    u16::try_from(records.len() / usize::from(RECORD)).unwrap()
}

/// The root node behind its leaves: its address, and how many records it has.
fn nodes(file: &mut File, dense: &Dense) -> (u64, u16) {
    let leaves: Vec<u64> = dense.leaves.iter().map(|records| file.raw(&node(b"BTLF", dense.kind, records))).collect();
    if dense.depth == 0 && leaves.len() == 1 {
        return (leaves[0], if dense.record == 0 { u16::MAX } else { count(&dense.leaves[0]) });
    }
    // Between two children there is one record.
    let separators = vec![0; (leaves.len() - 1) * usize::from(RECORD)];
    let own = file.end();
    let child = |(address, records): (&u64, &Vec<u8>)| {
        let address = if dense.depth > 1 { own } else { *address };
        // Above the leaves, with the number of records below.
        let below = if dense.depth > 1 { &[0u8; 4][..] } else { &[] };
        [&address.to_le_bytes()[..], &count(records).to_le_bytes(), below].concat()
    };
    let children: Vec<u8> = leaves.iter().zip(&dense.leaves).flat_map(child).collect();
    let root = file.raw(&node(b"BTIN", dense.kind, &[separators.as_slice(), &children].concat()));
    (root, u16::try_from(leaves.len() - 1).unwrap().max(u16::from(dense.depth > 1)))
}

fn links(dense: &Dense) -> Vec<u8> {
    let mut file = File::new();
    let info =
        |heap: u64, tree: u64| (2, [vec![0, 0], heap.to_le_bytes().to_vec(), tree.to_le_bytes().to_vec()].concat());
    let root = file.end();
    file.object(&[info(0, 0)]);
    let (top, records) = nodes(&mut file, dense);
    let tree = file.raw(&tree_header(dense.kind, (dense.record, dense.depth), top, records));
    let huge = file.raw(&tree_header(dense.huge_kind, (0, 0), top, 1));
    let block = [b"FHDB\0".to_vec(), vec![0; 12], vec![1; 65_519]].concat();
    let block = if dense.rows > 0 { [b"FHIB".to_vec(), block[4..].to_vec()].concat() } else { block };
    let block = file.raw(&block);
    let heap = file.raw(&heap_header(dense, block, huge));
    // The group is where it was, with addresses that are known now.
    let mut again = File::new();
    again.object(&[info(heap, tree)]);
    let group = again.bytes[usize::try_from(root).unwrap()..].to_vec();
    file.bytes[usize::try_from(root).unwrap()..][..group.len()].copy_from_slice(&group);
    file.finish()
}

/// Identifiers are of 7 bytes: a flag, 4 bytes of an offset, 2 of a length.
fn heap_header(dense: &Dense, root: u64, huge: u64) -> Vec<u8> {
    let mut bytes = [b"FRHP\0".to_vec(), vec![7, 0, 0, 0, 0], 65_535u32.to_le_bytes().to_vec()].concat();
    let numbers = [0, huge, 0, UNDEFINED, 65_536, 65_536, 0, 1, 0, 0, 0, 0];
    bytes.extend(numbers.iter().flat_map(|n: &u64| n.to_le_bytes()));
    bytes.extend(4u16.to_le_bytes());
    bytes.extend([dense.block, dense.block].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend([32u16, 0].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(root.to_le_bytes());
    bytes.extend(dense.rows.to_le_bytes());
    summed(bytes)
}

/// Full leaves below one root.
fn many_records(leaves: usize) -> Dense {
    let full = vec![0; 5900 * usize::from(RECORD)];
    Dense { depth: 1, leaves: vec![full; leaves], ..Dense::default() }
}

/// So many times the whole block.
fn same_object(records: usize) -> Dense {
    let record = [&[0u8; 4][..], &[0], &0u32.to_le_bytes(), &65_535u16.to_le_bytes()].concat();
    Dense { leaves: vec![record.repeat(records)], ..Dense::default() }
}

fn huge() -> Dense {
    let record = [&[0u8; 4][..], &[0x10, 1, 0, 0, 0, 0, 0]].concat();
    Dense { leaves: vec![record], ..Dense::default() }
}

/// A layout of version 4 with an index of this kind and its parameters.
fn layout(chunk: u32, kind: u8, parameters: &[u8]) -> Message {
    let lengths: Vec<u8> = [chunk, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
    (8, [&[4, 2, 0, 2, 4][..], &lengths, &[kind], parameters, &(DATA as u64).to_le_bytes()].concat())
}

fn chunks_in_a_tree() -> Vec<u8> {
    let header = tree_header(0, (0, 0), DATA as u64 + 64, u16::MAX);
    let mut data = header;
    data.resize(64, 0);
    data.extend(node(b"BTLF", 0, &[]));
    File::with_dataset(&[space(&[1 << 20]), (3, float()), layout(1, 5, &[0; 6])], &data)
}

fn array(name: &[u8], kind: u8, parameters: &[u8]) -> Vec<u8> {
    let place = (DATA as u64 + 256).to_le_bytes();
    let mut data = match kind {
        3 => summed([name, &[0, 0, 8, 10], &(1u64 << 60).to_le_bytes(), &place].concat()),
        _ => summed([name, &[0, 0, 8, 32, 4, 4, 16, 10], &(1u64 << 60).to_le_bytes().repeat(6), &place].concat()),
    };
    data.resize(1024, 0);
    File::with_dataset(&[space(&[1 << 60]), (3, float()), layout(1, kind, parameters)], &data)
}

/// Version 1 of a layout multiplies its lengths.
fn old_lengths() -> Vec<u8> {
    let lengths = u32::MAX.to_le_bytes().repeat(8);
    let layout = (8, [&[1, 8, 1, 0, 0, 0, 0, 0][..], &(DATA as u64).to_le_bytes(), &lengths].concat());
    File::with_dataset(&[space(&[4]), (3, float()), layout], &[0; 256])
}

fn endless_header() -> Vec<u8> {
    let mut file = File::new();
    let start = file.end() + 16;
    file.object(&[(16, [start.to_le_bytes(), 24u64.to_le_bytes()].concat())]);
    file.finish()
}

/// A datatype message that is shared with the object that it is in.
fn own_datatype() -> Vec<u8> {
    let mut probe = File::new();
    probe.object(&[link("x", 0)]);
    let object = probe.end();
    let shared = [&[3, 2][..], &object.to_le_bytes(), &[0; 14]].concat();
    let mut bytes = File::with_dataset(&[space(&[4]), (3, shared), contiguous(DATA as u64, 16)], &[0; 256]);
    // Behind the head of the object and the shape, the message has its flags: 2 is shared.
    bytes[usize::try_from(object).unwrap() + 16 + 24 + 4] = 2;
    bytes
}
