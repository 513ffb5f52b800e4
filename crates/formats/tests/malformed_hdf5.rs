//! HDF5 and NetCDF files that lie: errors or right data, within 5 s and 300 MiB each.
//!
//! The generator is kept, not the files: a builder of small HDF5 files whose every number can be a lie, and the
//! fixtures with their structures cut and overwritten, checksums made right again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdf5_reader::checksum::jenkins_lookup3;
use outcrop_formats::{ChunkRef, Decoder, Locate, Open, Opened};
use outcrop_store::{Demand, Href, Sparse, Step, Store, StoreOptions};

const UNDEFINED: u64 = u64::MAX;

/// Little-endian bytes.
macro_rules! le {
    ($($value:expr),* $(,)?) => {{
        let mut out: Vec<u8> = Vec::new();
        $(out.extend_from_slice(&$value.to_le_bytes());)*
        out
    }};
}

/// A message of a header of version 1: its kind and its data.
type Message = (u16, Vec<u8>);

/// A file of version 0 whose objects have headers of version 1.
struct File {
    bytes: Vec<u8>,
}

impl File {
    /// The root group will be at byte 96.
    fn new() -> Self {
        let mut bytes = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
        bytes.extend(le![0u64, UNDEFINED, 0u64, UNDEFINED, 0u64, 96u64, 0u32, 0u32, 0u64, 0u64]);
        Self { bytes }
    }

    /// Where the next object will be.
    fn end(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn raw(&mut self, bytes: &[u8]) -> u64 {
        let at = self.end();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        at
    }

    fn object(&mut self, messages: &[Message]) -> u64 {
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
    fn with_dataset(messages: &[Message], data: &[u8]) -> Vec<u8> {
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

    fn finish(mut self) -> Vec<u8> {
        let end = self.end();
        self.bytes[40..48].copy_from_slice(&end.to_le_bytes());
        self.bytes
    }
}

/// Where the data of [`File::with_dataset`] begins.
const DATA: usize = 8192;

fn link(name: &str, to: u64) -> Message {
    (6, [&[1, 0, u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &to.to_le_bytes()].concat())
}

fn soft(name: &str, to: &str) -> Message {
    let len = u16::try_from(to.len()).unwrap();
    let head = [1, 8, 1, u8::try_from(name.len()).unwrap()];
    (6, [&head[..], name.as_bytes(), &len.to_le_bytes(), to.as_bytes()].concat())
}

fn space(shape: &[u64]) -> Message {
    let head = [1, u8::try_from(shape.len()).unwrap(), 0, 0, 0, 0, 0, 0];
    (1, [&head[..], &shape.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>()].concat())
}

fn float() -> Vec<u8> {
    vec![0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]
}

fn byte() -> Vec<u8> {
    vec![0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]
}

/// Text of any length.
fn text() -> Vec<u8> {
    [&[0x19, 1, 1, 0, 16, 0, 0, 0][..], &[0x13, 0, 0, 0, 1, 0, 0, 0]].concat()
}

fn contiguous(address: u64, size: u64) -> Message {
    (8, [vec![3, 1], le![address, size]].concat())
}

fn chunked(address: u64, chunk: &[u32], element: u32) -> Message {
    let rank = u8::try_from(chunk.len() + 1).unwrap();
    let lengths: Vec<u8> = chunk.iter().chain([&element]).flat_map(|n| n.to_le_bytes()).collect();
    (8, [vec![3, 2, rank], le![address], lengths].concat())
}

fn filters(ids: &[u16]) -> Message {
    let mut out = vec![2, u8::try_from(ids.len()).unwrap()];
    for id in ids {
        out.extend(if *id < 256 { le![*id, 0u16, 1u16, 4u32] } else { le![*id, 0u16, 0u16, 1u16, 4u32] });
    }
    (11, out)
}

/// A node of a chunk index: (size, offsets, address) of each chunk.
fn tree(level: u8, count: u16, rank: usize, entries: &[(u32, Vec<u64>, u64)]) -> Vec<u8> {
    let mut out = [b"TREE\x01".to_vec(), vec![level], le![count, UNDEFINED, UNDEFINED]].concat();
    for (size, offsets, address) in entries {
        out.extend(le![*size, 0u32]);
        out.extend(offsets.iter().chain([&0]).flat_map(|n| n.to_le_bytes()));
        out.extend(le![*address]);
    }
    out.resize(out.len() + 8 + 8 * (rank + 1), 0);
    out
}

fn heap(size: u64, objects: &[(u16, u64, &[u8])]) -> Vec<u8> {
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

fn attribute(name: &str, datatype: &[u8], data: &[u8]) -> Message {
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

/// Zeros as a zlib stream, a thousand times smaller.
fn bomb(size: usize) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let data = vec![0; size];
    let mut out = vec![0; compressor.zlib_compress_bound(size)];
    let len = compressor.zlib_compress(&data, &mut out).unwrap();
    out.truncate(len);
    out
}

/// One chunk, compressed, of a variable of bytes that says it has `len` of them.
fn compressed(stream: &[u8], len: u32, ids: &[u16]) -> Vec<u8> {
    let at = DATA as u64 + 128;
    let mut data = tree(0, 1, 1, &[(u32::try_from(stream.len()).unwrap(), vec![0], at)]);
    data.resize(128, 0);
    data.extend_from_slice(stream);
    let messages = [space(&[len.into()]), (3, byte()), chunked(DATA as u64, &[len], 1), filters(ids)];
    File::with_dataset(&messages, &data)
}

fn plain(shape: &[u64], layout: Message) -> Vec<u8> {
    File::with_dataset(&[space(shape), (3, float()), layout], &[0; 256])
}

fn indexed(chunk: &[u32], node: &[u8]) -> Vec<u8> {
    File::with_dataset(&[space(&[8, 8]), (3, float()), chunked(DATA as u64, chunk, 4)], node)
}

/// A sound index of chunks that are too large.
fn large(shape: &[u64], chunk: &[u32]) -> Vec<u8> {
    let node = tree(0, 1, shape.len(), &[(64, vec![0; shape.len()], DATA as u64)]);
    File::with_dataset(&[space(shape), (3, float()), chunked(DATA as u64, chunk, 4)], &node)
}

fn texts(count: u64, elements: &[u8], heap: &[u8]) -> Vec<u8> {
    let messages = [space(&[count]), (3, text()), contiguous(DATA as u64, elements.len() as u64)];
    File::with_dataset(&messages, &[elements, heap].concat())
}

fn reference(len: u32, address: u64, index: u32) -> Vec<u8> {
    le![len, address, index]
}

/// Groups, each in the one before.
fn nested(depth: u64) -> Vec<u8> {
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
fn wide(count: usize, attrs: &[Message]) -> Vec<u8> {
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
fn many_members() -> Vec<u8> {
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
fn overlapping_heaps() -> Vec<u8> {
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

fn soft_links(count: usize) -> Vec<u8> {
    let mut file = File::new();
    file.object(
        &(0..count).map(|i| soft(&format!("s{i:05}"), &format!("s{:05}", (i + 1) % count))).collect::<Vec<_>>(),
    );
    file.finish()
}

/// A group of the old kind, whose names are a B-tree that is its own child.
fn circular_names() -> Vec<u8> {
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

/// Name, bytes, and what the error says; nothing where there is none, `*` where either will do.
type Case = (&'static str, Vec<u8>, &'static str);

fn built() -> Vec<Case> {
    [objects(), layouts(), chunks(), heaps()].concat()
}

fn objects() -> Vec<Case> {
    let at = DATA as u64;
    vec![
        ("sound", plain(&[4], contiguous(at, 16)), ""),
        ("a group in itself", nested(1), "*"),
        ("groups in a circle", nested(50), "*"),
        ("20000 groups, each in the one before", nested(20_000), "*"),
        ("20000 soft links in a circle", soft_links(20_000), "soft link"),
        ("a tree of names that is its own child", circular_names(), "*"),
        ("65535 links to one dataset", wide(65_535, &[]), "*"),
        (
            "30000 links to one dataset of large attributes",
            wide(30_000, &[attribute("a", &[0x13, 0, 0, 0, 0, 0xf0, 0, 0], &vec![b'x'; 0xf000])]),
            "limit",
        ),
        ("4000 members of large attributes", many_members(), "limit"),
    ]
}

fn layouts() -> Vec<Case> {
    let at = DATA as u64;
    vec![
        ("shape of 2^63 by 4", plain(&[1 << 63, 4], contiguous(at, 16)), "beyond 64 bits"),
        ("shape of 2^62", plain(&[1 << 62], contiguous(at, 16)), "beyond 64 bits"),
        ("shape of 2^60", plain(&[1 << 60], contiguous(at, 16)), "truncated"),
        ("shape of 33 dimensions", plain(&[1; 33], contiguous(at, 16)), "dimension"),
        ("255 dimensions", plain(&[1; 255], contiguous(at, 16)), "dimension"),
        ("data past the end", plain(&[4], contiguous(1 << 40, 16)), "truncated"),
        ("data at the end of 64 bits", plain(&[4], contiguous(UNDEFINED - 8, 16)), "*"),
        ("chunks of nothing", plain(&[8, 8], chunked(at, &[0, 4], 4)), "chunk"),
        ("chunks of 2^96", large(&[8; 3], &[u32::MAX; 3]), "64 bits"),
        ("chunks of 2^34", large(&[8], &[u32::MAX]), "truncated"),
        ("chunks of another rank", plain(&[8, 8], chunked(at, &[4], 4)), "chunk"),
        ("as many chunks as 2^64", plain(&[1 << 40, 1 << 20], chunked(at, &[1, 1], 4)), "*"),
    ]
}

fn chunks() -> Vec<Case> {
    let at = DATA as u64;
    let chunk = |size: u32, offsets: [u64; 2], address: u64| (size, offsets.to_vec(), address);
    vec![
        ("an index that is its own child", indexed(&[4, 4], &tree(1, 1, 2, &[chunk(64, [0, 0], at)])), "descendant"),
        ("an index of level 255", indexed(&[4, 4], &tree(255, 1, 2, &[chunk(64, [0, 0], at)])), "levels"),
        ("an index of 65535 children", indexed(&[4, 4], &tree(0, 65_535, 2, &[chunk(64, [0, 0], at)])), "*"),
        ("an index of another kind", indexed(&[4, 4], &[b"FREE", &[0u8; 200][..]].concat()), "cannot read"),
        ("a chunk past the end", indexed(&[4, 4], &tree(0, 1, 2, &[chunk(64, [0, 0], 1 << 50)])), "truncated"),
        ("a chunk between chunks", indexed(&[4, 4], &tree(0, 1, 2, &[chunk(64, [1, 0], at)])), "multiple"),
        ("a chunk outside", indexed(&[4, 4], &tree(0, 1, 2, &[chunk(64, [800, 0], at)])), ""),
        ("a chunk twice", indexed(&[4, 4], &tree(0, 2, 2, &[chunk(64, [0, 0], at), chunk(64, [0, 0], at)])), "twice"),
        ("zeros as they are declared", compressed(&bomb(100 << 20), 100 << 20, &[1]), ""),
        ("zeros behind shuffle", compressed(&bomb(100 << 20), 100 << 20, &[2, 1]), ""),
        ("a bomb larger than its chunk", compressed(&bomb(100 << 20), 60 << 20, &[1]), "cannot be decoded"),
        ("a stream longer than its chunk", compressed(&bomb(1 << 20), 1 << 10, &[1]), "cannot be decoded"),
        ("a stream shorter than its chunk", compressed(&bomb(1 << 10), 1 << 20, &[1]), "1048576"),
        ("32 deflates", compressed(&bomb(1 << 20), 1 << 20, &[1; 32]), "compressors"),
        ("an unknown filter", compressed(&bomb(1 << 10), 1 << 10, &[4242]), "unknown"),
    ]
}

fn heaps() -> Vec<Case> {
    let at = DATA as u64;
    let one_heap = heap(4096, &[(1, 4, b"text")]);
    let here = |elements: u64| at + elements * 16;
    vec![
        ("a text past the end", texts(1, &reference(4, 1 << 40, 1), &[]), "truncated"),
        ("a text in no heap", texts(1, &reference(4, 96, 1), &[]), "heap"),
        ("a text in itself", texts(1, &reference(4, at, 1), &[]), "heap"),
        ("a text of 4 GiB", texts(1, &reference(u32::MAX, here(1), 1), &one_heap), "4 bytes, not"),
        ("a heap of 2^50 bytes", texts(1, &reference(4, here(1), 1), &heap(1 << 50, &[])), "truncated"),
        (
            "an object of 2^64 - 1 bytes",
            texts(1, &reference(4, here(1), 1), &heap(64, &[(1, UNDEFINED, &[0; 40])])),
            "outside",
        ),
        ("2^58 texts", texts(1 << 58, &reference(4, here(1), 1), &one_heap), "truncated"),
        (
            "a million texts of one MiB",
            texts(
                1 << 20,
                &reference(1 << 20, at + (16 << 20), 1).repeat(1 << 20),
                &heap((1 << 20) + 64, &[(1, 1 << 20, &vec![b'x'; 1 << 20])]),
            ),
            "limit",
        ),
        ("attributes in heaps that overlap", overlapping_heaps(), "*"),
        ("no file behind the superblock", File::new().finish(), "*"),
    ]
}

/// A store, and what runs it.
struct Bench {
    runtime: tokio::runtime::Runtime,
    store: Store,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Opens, locates and reads everything that is not large; the first error.
    fn read(&self, bytes: &[u8]) -> Result<usize, String> {
        let path = self.folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        self.runtime.block_on(self.all(&Href::from_path(&path)))
    }

    async fn all(&self, href: &Href) -> Result<usize, String> {
        let opened = Opened::open(&self.store, href).await.map_err(|e| chain(&e))?;
        let mut read = 0;
        for variable in opened.meta.variables.iter().take(50) {
            let refs = opened.locate(variable).await.map_err(|e| chain(&e))?;
            let mut decoder = Decoder::new(&refs).map_err(|e| chain(&e))?;
            let mut out = vec![0; decoder.chunk_bytes()];
            for (_, chunk) in refs.iter().take(20) {
                let fetched = opened.origin.fetch(&[chunk], out.len() as u64, 0).await.map_err(|e| chain(&e))?;
                for (chunk, bytes) in fetched {
                    decoder.decode(&chunk, &bytes, &mut out).map_err(|e| chain(&e))?;
                }
            }
            if variable.dtype.is_text() {
                let window: Vec<_> = variable.grid.shape.iter().map(|n| 0..*n).collect();
                opened.read_texts(variable, &window).await.map_err(|e| chain(&e))?;
            }
            read += 1;
        }
        opened.meta.refused.first().map_or(Ok(read), |(path, why)| Err(format!("{path}: {why}")))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Peak of the resident memory since the last time, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0) / 1024
}

/// Runs in a process of its own: the memory of the others is not of this case.
#[test]
#[ignore = "run by the other tests"]
fn one_built_case() {
    let Ok(name) = std::env::var("OUTCROP_CASE") else { return };
    let (_, bytes, want) = built().into_iter().find(|case| case.0 == name).unwrap();
    // What it took to build the cases is not counted.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = peak_memory();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let bench = Bench { runtime, store, folder: tempfile::tempdir().unwrap() };
    let started = Instant::now();
    let got = bench.read(&bytes);
    let (elapsed, peak) = (started.elapsed(), peak_memory());
    println!("{name}: {got:?} in {elapsed:?}, {peak} MiB ({before} before)");
    match got {
        Ok(read) => assert!(want.is_empty() && read > 0 || want == "*", "{name}: no error"),
        Err(error) => assert!(want == "*" || !want.is_empty() && error.contains(want), "{name}: {error}"),
    }
    assert!(peak <= 300, "{name}: {peak} MiB");
}

#[test]
fn every_lie_is_an_error_in_little_time_and_memory() {
    let program = std::env::current_exe().unwrap();
    let mut failed = Vec::new();
    for (name, _, _) in built() {
        let mut child = std::process::Command::new(&program)
            .args(["--exact", "one_built_case", "--ignored", "--nocapture"])
            .env("OUTCROP_CASE", name)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Building the cases is in it, too.
        let deadline = Instant::now() + Duration::from_secs(5 + 5);
        while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            failed.push(format!("{name}: no end within 10 s"));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{}", said.lines().find(|line| line.starts_with(name)).unwrap_or(name));
        if !output.status.success() {
            failed.push(format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

const MARKS: [&[u8; 4]; 16] = [
    b"TREE", b"HEAP", b"SNOD", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"FAHD",
    b"FADB", b"EAHD", b"EAIB", b"GCOL",
];

/// Where structures begin.
fn structures(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len().saturating_sub(4))
        .filter(|at| MARKS.iter().any(|mark| bytes[*at..].starts_with(&mark[..])))
        .collect()
}

/// Bytes of a structure of version 2 before its checksum; `None` where it has none, or its length is not fixed.
fn checked(bytes: &[u8], at: usize) -> Option<usize> {
    let head = bytes.get(at..at + 16)?;
    Some(match &head[..4] {
        b"FAHD" => 24,
        b"BTHD" => 34,
        b"EAHD" => 68,
        b"FRHP" => 142,
        b"OHDR" => {
            let flags = head[5];
            let skip = 6 + if flags & 0x20 == 0 { 0 } else { 16 } + if flags & 0x10 == 0 { 0 } else { 4 };
            let width = 1usize << (flags & 3);
            let size =
                bytes.get(at + skip..at + skip + width)?.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
            skip + width + size
        }
        _ => return None,
    })
}

/// Opens, locates and decodes what is not large; what comes out does not matter, only that it comes.
fn exercise(bytes: &Bytes) {
    let have = Sparse::whole(bytes);
    let Ok(Step::Done(header)) = Open::new().step(&have) else { return };
    for variable in header.variables.iter().take(100) {
        let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { continue };
        let Ok(mut decoder) = Decoder::new(&refs) else { continue };
        if decoder.chunk_bytes() > 1 << 20 {
            continue;
        }
        let mut out = vec![0; decoder.chunk_bytes()];
        for (_, chunk) in refs.iter().take(10) {
            let range = match &chunk {
                ChunkRef::Range { offset, length, .. } => *offset..offset + length,
                _ => 0..0,
            };
            let Some(bytes) = have.get(&range) else { panic!("a chunk past the end was let through") };
            let _ = decoder.decode(&chunk, &bytes, &mut out);
        }
    }
}

/// Runs cases in a thread, so that one that hangs is named.
fn run(cases: impl Iterator<Item = (String, Vec<u8>)> + Send + 'static) -> usize {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for (name, bytes) in cases {
            if sender.send(Some(name)).is_err() {
                return;
            }
            exercise(&bytes.into());
        }
        let _ = sender.send(None);
    });
    let (mut count, mut name) = (0, String::new());
    loop {
        match receiver.recv_timeout(Duration::from_secs(5)) {
            Ok(Some(next)) => name = next,
            Ok(None) => return count,
            Err(error) => panic!("{name}: {error}"),
        }
        count += 1;
    }
}

const FILES: [&str; 8] = [
    "earliest.h5",
    "latest.h5",
    "netcdf4.nc",
    "texts_earliest.h5",
    "texts_latest.h5",
    "types_earliest.h5",
    "types_latest.h5",
    "texts.nc",
];

#[test]
fn files_that_are_cut_at_any_structure_are_errors() {
    let cut = |file: &'static str| {
        let whole = fixture(file);
        let places = structures(&whole);
        let step = (places.len() / 60).max(1);
        let ends: Vec<usize> = places.into_iter().step_by(step).flat_map(|at| [at, at + 4, at + 12, at + 24]).collect();
        ends.into_iter().map(move |end| (format!("{file} cut at {end}"), whole[..end.min(whole.len())].to_vec()))
    };
    let classic = ["classic.nc", "cdf5.nc"].into_iter().flat_map(|file| {
        let whole = fixture(file);
        (0..whole.len()).map(move |end| (format!("{file} cut at {end}"), whole[..end].to_vec()))
    });
    println!("{} cases", run(FILES.into_iter().flat_map(cut).chain(classic)));
    assert!(peak_memory() <= 300, "{} MiB", peak_memory());
}

#[test]
fn structures_that_lie_are_errors_or_harmless() {
    let lies = |file: &'static str| {
        let whole = fixture(file);
        let places = structures(&whole);
        let step = (places.len() / 24).max(1);
        let spots: Vec<(usize, usize, u64)> = places
            .into_iter()
            .step_by(step)
            .flat_map(|at| (4..60).step_by(4).map(move |skip| (at, skip)))
            .flat_map(|(at, skip)| [u64::MAX, 0, at as u64, 1 << 31].map(|lie| (at, skip, lie)))
            .collect();
        spots.into_iter().filter_map(move |(at, skip, lie)| {
            let mut bytes = whole.clone();
            bytes.get_mut(at + skip..at + skip + 8)?.copy_from_slice(&lie.to_le_bytes());
            if let Some(len) = checked(&whole, at) {
                let sum = jenkins_lookup3(bytes.get(at..at + len)?);
                bytes.get_mut(at + len..at + len + 4)?.copy_from_slice(&sum.to_le_bytes());
            }
            Some((format!("{file}: {lie:#x} at {at} + {skip}"), bytes))
        })
    };
    let classic = ["classic.nc", "cdf5.nc"].into_iter().flat_map(|file| {
        let whole = fixture(file);
        (4..whole.len() - 8).step_by(4).flat_map(move |at| {
            let whole = whole.clone();
            [u64::MAX, 0, 0x7fff_ffff, 0xffff_ff7f].map(move |lie| {
                let mut bytes = whole.clone();
                bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                (format!("{file}: {lie:#x} at {at}"), bytes)
            })
        })
    });
    println!("{} cases", run(FILES.into_iter().flat_map(lies).chain(classic)));
    assert!(peak_memory() <= 300, "{} MiB", peak_memory());
}
