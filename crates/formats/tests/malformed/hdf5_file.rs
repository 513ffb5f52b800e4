//! Builds small HDF5 files whose every number can be a lie.

pub(super) const UNDEFINED: u64 = u64::MAX;

/// Little-endian bytes.
macro_rules! le {
    ($($value:expr),* $(,)?) => {{
        let mut out: Vec<u8> = Vec::new();
        $(out.extend_from_slice(&$value.to_le_bytes());)*
        out
    }};
}

/// A message of a header of version 1: its kind and its data.
pub(super) type Message = (u16, Vec<u8>);

/// A file of version 0 whose objects have headers of version 1.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// The root group will be at byte 96.
    pub(super) fn new() -> Self {
        let mut bytes = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
        bytes.extend(le![0u64, UNDEFINED, 0u64, UNDEFINED, 0u64, 96u64, 0u32, 0u32, 0u64, 0u64]);
        Self { bytes }
    }

    /// Where the next object will be.
    pub(super) fn end(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> u64 {
        let at = self.end();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        at
    }

    pub(super) fn object(&mut self, messages: &[Message]) -> u64 {
        let mut body = Vec::new();
        for (kind, data) in messages {
            let size = data.len().next_multiple_of(8);
            body.extend(le![*kind, u16::try_from(size).unwrap(), 0u32]);
            body.extend_from_slice(data);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        let count = u16::try_from(messages.len()).unwrap_or(u16::MAX);
        let size = u32::try_from(body.len()).unwrap();
        let head = [vec![1, 0], le![count, 1u32, size, 0u32]].concat();
        self.raw(&[head, body].concat())
    }

    /// The root group with one dataset behind it.
    pub(super) fn with_dataset(messages: &[Message], data: &[u8]) -> Vec<u8> {
        let mut file = Self::new();
        // The size of a group of one link does not depend on where it leads.
        let mut probe = Self::new();
        probe.object(&[link("x", 0)]);
        let at = probe.end();
        file.object(&[link("x", at)]);
        file.object(messages);
        file.bytes.resize(DATA, 0);
        file.raw(data);
        file.finish()
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let end = self.end();
        self.bytes[40..48].copy_from_slice(&end.to_le_bytes());
        self.bytes
    }
}

/// Where the data of [`File::with_dataset`] begins.
pub(super) const DATA: usize = 8192;

pub(super) fn link(name: &str, to: u64) -> Message {
    (6, [&[1, 0, u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &to.to_le_bytes()].concat())
}

pub(super) fn soft(name: &str, to: &str) -> Message {
    let len = u16::try_from(to.len()).unwrap();
    let head = [1, 8, 1, u8::try_from(name.len()).unwrap()];
    (6, [&head[..], name.as_bytes(), &len.to_le_bytes(), to.as_bytes()].concat())
}

pub(super) fn space(shape: &[u64]) -> Message {
    let head = [1, u8::try_from(shape.len()).unwrap(), 0, 0, 0, 0, 0, 0];
    (1, [&head[..], &shape.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>()].concat())
}

pub(super) fn float() -> Vec<u8> {
    vec![0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]
}

pub(super) fn byte() -> Vec<u8> {
    vec![0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]
}

/// Text of any length.
pub(super) fn text() -> Vec<u8> {
    [&[0x19, 1, 1, 0, 16, 0, 0, 0][..], &[0x13, 0, 0, 0, 1, 0, 0, 0]].concat()
}

pub(super) fn contiguous(address: u64, size: u64) -> Message {
    (8, [vec![3, 1], le![address, size]].concat())
}

pub(super) fn chunked(address: u64, chunk: &[u32], element: u32) -> Message {
    let rank = u8::try_from(chunk.len() + 1).unwrap();
    let lengths: Vec<u8> = chunk.iter().chain([&element]).flat_map(|n| n.to_le_bytes()).collect();
    (8, [vec![3, 2, rank], le![address], lengths].concat())
}

pub(super) fn filters(ids: &[u16]) -> Message {
    let mut out = vec![2, u8::try_from(ids.len()).unwrap()];
    for id in ids {
        out.extend(if *id < 256 { le![*id, 0u16, 1u16, 4u32] } else { le![*id, 0u16, 0u16, 1u16, 4u32] });
    }
    (11, out)
}

/// A node of a chunk index: (size, offsets, address) of each chunk.
pub(super) fn tree(level: u8, count: u16, rank: usize, entries: &[(u32, Vec<u64>, u64)]) -> Vec<u8> {
    let mut out = [b"TREE\x01".to_vec(), vec![level], le![count, UNDEFINED, UNDEFINED]].concat();
    for (size, offsets, address) in entries {
        out.extend(le![*size, 0u32]);
        out.extend(offsets.iter().chain([&0]).flat_map(|n| n.to_le_bytes()));
        out.extend(le![*address]);
    }
    out.resize(out.len() + 8 + 8 * (rank + 1), 0);
    out
}

pub(super) fn heap(size: u64, objects: &[(u16, u64, &[u8])]) -> Vec<u8> {
    let mut out = [b"GCOL\x01\0\0\0".to_vec(), le![size]].concat();
    for (index, len, data) in objects {
        out.extend(le![*index, 1u16, 0u32, *len]);
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    // A size that is a lie is not made true.
    out.resize(out.len().max(usize::try_from(size).unwrap().min(1 << 22)), 0);
    out
}

pub(super) fn attribute(name: &str, datatype: &[u8], data: &[u8]) -> Message {
    let (space, pad) = ([1u8, 0, 0, 0, 0, 0, 0, 0], |bytes: &[u8]| {
        let mut out = bytes.to_vec();
        out.resize(out.len().next_multiple_of(8), 0);
        out
    });
    let name = [name.as_bytes(), &[0]].concat();
    let sizes = [name.len(), datatype.len(), space.len()].map(|n| u16::try_from(n).unwrap());
    let head = [vec![1, 0], le![sizes[0], sizes[1], sizes[2]]].concat();
    (12, [head, pad(&name), pad(datatype), space.to_vec(), data.to_vec()].concat())
}

/// A variable with an attribute of text of any length.
pub(super) fn with_attribute(name: &str, reference: &[u8]) -> Vec<u8> {
    let messages = [space(&[4]), (3, float()), contiguous(DATA as u64, 16), attribute(name, &text(), reference)];
    File::with_dataset(&messages, &[0; 256])
}

/// One chunk, compressed, of a variable of bytes that says it has `len` of them.
pub(super) fn compressed(stream: &[u8], len: u32, ids: &[u16]) -> Vec<u8> {
    let at = DATA as u64 + 128;
    let mut data = tree(0, 1, 1, &[(u32::try_from(stream.len()).unwrap(), vec![0], at)]);
    data.resize(128, 0);
    data.extend_from_slice(stream);
    let messages = [space(&[len.into()]), (3, byte()), chunked(DATA as u64, &[len], 1), filters(ids)];
    File::with_dataset(&messages, &data)
}

pub(super) fn plain(shape: &[u64], layout: Message) -> Vec<u8> {
    File::with_dataset(&[space(shape), (3, float()), layout], &[0; 256])
}

pub(super) fn indexed(chunk: &[u32], node: &[u8]) -> Vec<u8> {
    File::with_dataset(&[space(&[8, 8]), (3, float()), chunked(DATA as u64, chunk, 4)], node)
}

/// A sound index of chunks that are too large.
pub(super) fn large(shape: &[u64], chunk: &[u32]) -> Vec<u8> {
    let node = tree(0, 1, shape.len(), &[(64, vec![0; shape.len()], DATA as u64)]);
    File::with_dataset(&[space(shape), (3, float()), chunked(DATA as u64, chunk, 4)], &node)
}

pub(super) fn texts(count: u64, elements: &[u8], heap: &[u8]) -> Vec<u8> {
    let messages = [space(&[count]), (3, text()), contiguous(DATA as u64, elements.len() as u64)];
    File::with_dataset(&messages, &[elements, heap].concat())
}

pub(super) fn reference(len: u32, address: u64, index: u32) -> Vec<u8> {
    le![len, address, index]
}

/// Groups, each in the one before.
pub(super) fn nested(depth: u64) -> Vec<u8> {
    let mut file = File::new();
    let mut probe = File::new();
    probe.object(&[link("g", 0)]);
    let size = probe.end() - 96;
    for level in 1..=depth {
        file.object(&[link("g", if level == depth { 96 } else { 96 + size * level })]);
    }
    file.finish()
}

/// As many links as a header holds, all to one dataset.
pub(super) fn wide(count: usize, attrs: &[Message]) -> Vec<u8> {
    let mut file = File::new();
    let target = DATA as u64;
    let mut messages: Vec<Message> = (0..count).map(|i| link(&format!("{i:06}"), target)).collect();
    let mut probe = File::new();
    probe.object(&messages);
    let target = probe.end();
    messages.iter_mut().enumerate().for_each(|(i, message)| *message = link(&format!("{i:06}"), target));
    file.object(&messages);
    let dataset = [space(&[1]), (3, float()), contiguous(0, 4)];
    file.object(&[&dataset[..], attrs].concat());
    file.finish()
}

/// A compound of many members with many attributes: each member would have all of them.
pub(super) fn many_members() -> Vec<u8> {
    let mut compound = vec![0x36, 0, 0, 0, 1, 0, 0, 0];
    compound[1..3].copy_from_slice(&4000u16.to_le_bytes());
    for _ in 0..4000 {
        compound.extend([b'm', 0, 0]);
        compound.extend(byte());
    }
    let mut messages = vec![space(&[1]), (3, compound), contiguous(0, 1)];
    messages.extend((0..60).map(|i| attribute(&format!("a{i}"), &[0x13, 0, 0, 0, 0, 0xf0, 0, 0], &vec![b'x'; 0xf000])));
    let mut file = File::new();
    let mut probe = File::new();
    probe.object(&[link("x", 0)]);
    file.object(&[link("x", probe.end())]);
    file.object(&messages);
    file.finish()
}

/// Attributes whose texts lie in heaps that overlap.
pub(super) fn overlapping_heaps() -> Vec<u8> {
    let size = 8u64 << 20;
    let messages: Vec<Message> = (0..400u64)
        .map(|i| attribute(&format!("a{i}"), &text(), &reference(4, DATA as u64 * 16 + 32 * i, 1)))
        .collect();
    let mut file = File::new();
    file.object(&messages);
    file.bytes.resize(DATA * 16, 0);
    for i in 0..400u64 {
        // Each is the first object of the one before.
        file.raw(&[b"GCOL\x01\0\0\0".to_vec(), le![size, 1u16, 0u16, 0u32, size - 64 - 32 * i]].concat());
    }
    file.bytes.resize(DATA * 16 + usize::try_from(size).unwrap() + 32 * 400, 0);
    file.finish()
}

pub(super) fn soft_links(count: usize) -> Vec<u8> {
    let mut file = File::new();
    file.object(
        &(0..count).map(|i| soft(&format!("s{i:05}"), &format!("s{:05}", (i + 1) % count))).collect::<Vec<_>>(),
    );
    file.finish()
}

/// A group of the old kind, whose names are a B-tree that is its own child.
pub(super) fn circular_names() -> Vec<u8> {
    let mut file = File::new();
    let (node, names) = (1024u64, 2048u64);
    file.object(&[(0x11, le![node, names])]);
    file.bytes.resize(1024, 0);
    file.raw(&[b"TREE\0\x01".to_vec(), le![2u16, UNDEFINED, UNDEFINED, 0u64, node, 0u64, node, 0u64]].concat());
    file.bytes.resize(2048, 0);
    file.raw(&[b"HEAP\0\0\0\0".to_vec(), le![64u64, UNDEFINED, 3072u64]].concat());
    file.bytes.resize(4096, 0);
    file.finish()
}
