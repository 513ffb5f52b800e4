//! TIFF files that lie: errors, quickly and in little memory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use outcrop_formats::{ChunkRef, Decoder, Locate, Open};
use outcrop_store::{Demand, Sparse, Step};

const LONG: u16 = 4;
const SHORT: u16 = 3;

/// A little-endian file of one directory at byte 8, with `data` behind it.
struct File {
    entries: Vec<(u16, u16, u32, u32)>,
    next: u32,
    data: Vec<u8>,
}

impl File {
    /// An uncompressed image of 16 by 16 bytes.
    fn new() -> Self {
        let entries = vec![
            (256, LONG, 1, 16),
            (257, LONG, 1, 16),
            (258, SHORT, 1, 8),
            (259, SHORT, 1, 1),
            (262, SHORT, 1, 1),
            (273, LONG, 1, 1000),
            (277, SHORT, 1, 1),
            (278, LONG, 1, 16),
            (279, LONG, 1, 256),
        ];
        Self { entries, next: 0, data: vec![7; 2000] }
    }

    fn set(mut self, tag: u16, kind: u16, count: u32, value: u32) -> Self {
        self.entries.retain(|entry| entry.0 != tag);
        self.entries.push((tag, kind, count, value));
        self.entries.sort_unstable();
        self
    }

    fn tiled(mut self, side: u32) -> Self {
        self.entries.retain(|entry| ![273, 278, 279].contains(&entry.0));
        self.set(322, LONG, 1, side).set(323, LONG, 1, side).set(324, LONG, 1, 1000).set(325, LONG, 1, 256)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"II*\0\x08\0\0\0".to_vec();
        out.extend(u16::try_from(self.entries.len()).unwrap().to_le_bytes());
        for (tag, kind, count, value) in &self.entries {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        out.extend(self.next.to_le_bytes());
        out.extend(&self.data);
        out
    }
}

/// Opens, locates and decodes everything; the first error.
fn read(bytes: Vec<u8>) -> Result<usize, String> {
    let have = Sparse::whole(&Bytes::from(bytes));
    let header = match Open::new().step(&have).map_err(|e| e.to_string())? {
        Step::Done(header) => header,
        Step::Need(ranges) => panic!("all of the file is there, {ranges:?} is not"),
    };
    let mut chunks = 0;
    for variable in header.variables.iter().filter(|v| v.dims.len() > 1) {
        let refs = match Locate::new(variable).step(&have).map_err(|e| e.to_string())? {
            Step::Done(refs) => refs,
            Step::Need(ranges) => panic!("all of the file is there, {ranges:?} is not"),
        };
        let mut decoder = Decoder::new(&refs).map_err(|e| e.to_string())?;
        let mut out = vec![0; decoder.chunk_bytes()];
        for (_, chunk) in refs.iter().take(100) {
            let range = match &chunk {
                ChunkRef::Range { offset, length, .. } => *offset..offset + length,
                _ => 0..0,
            };
            let bytes = have.get(&range).unwrap_or_else(|| panic!("a chunk past the end was let through"));
            decoder.decode(&chunk, &bytes, &mut out).map_err(|e| e.to_string())?;
            chunks += 1;
        }
    }
    header.refused.first().map_or(Ok(chunks), |(what, why)| Err(format!("{what}: {why}")))
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0) / 1024
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

fn many_entries(count: u16) -> Vec<u8> {
    let mut file = File::new();
    for tag in 0..count - 9 {
        file.entries.push((60_000 + tag % 100, 1, 1, 0));
    }
    let end = 8 + 2 + 12 * u32::from(count) + 4;
    file = file.set(273, LONG, 1, end);
    file.bytes()
}

/// Name, bytes, and what the error says; nothing where there is none.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let stored = bomb(100 << 20);
    let bombed = |size: u32| {
        let mut file =
            File::new().set(256, LONG, 1, 1024).set(257, LONG, 1, size / 1024).set(278, LONG, 1, size / 1024);
        file = file.set(259, SHORT, 1, 8).set(279, LONG, 1, u32::try_from(stored.len()).unwrap());
        file.data = [vec![0; 1000 - 122], stored.clone()].concat();
        file.bytes()
    };
    vec![
        ("plain", File::new().bytes(), ""),
        (
            "2^32-1 by 2^32-1",
            File::new().set(256, LONG, 1, u32::MAX).set(257, LONG, 1, u32::MAX).bytes(),
            "256 MiB|truncated|limit|lists",
        ),
        (
            "2e9 by 2e9",
            File::new().set(256, LONG, 1, 2_000_000_000).set(257, LONG, 1, 2_000_000_000).set(259, SHORT, 1, 8).bytes(),
            "limit",
        ),
        ("offset outside", File::new().set(273, LONG, 1, 4_000_000_000).bytes(), "truncated"),
        ("a count of 1e9", File::new().set(273, LONG, 1_000_000_000, 100).bytes(), "truncated"),
        ("a count of 1e9 of a tag", File::new().set(33922, 12, 1_000_000_000, 100).bytes(), "truncated"),
        ("tile of 0", File::new().tiled(0).bytes(), "no cells"),
        ("tile of 2^31", File::new().tiled(1 << 31).set(259, SHORT, 1, 8).bytes(), "limit"),
        ("a circle", File { next: 8, ..File::new() }.bytes(), "circle"),
        ("truncated", File::new().bytes()[..40].to_vec(), "truncated"),
        ("65535 samples", File::new().set(277, SHORT, 1, 65535).bytes(), "bytes|limit|truncated"),
        (
            "65535 samples in planes",
            File::new().set(277, SHORT, 1, 65535).set(284, SHORT, 1, 2).bytes(),
            "lists 1 chunks",
        ),
        (
            "a directory past the end",
            {
                let mut b = File::new().bytes();
                b[4..8].copy_from_slice(&900_000u32.to_le_bytes());
                b
            },
            "truncated",
        ),
        ("65535 entries", many_entries(65535), ""),
        ("a bomb", bombed(512 << 20), "limit"),
        ("a lesser bomb", bombed(200 << 20), "limit|one of 200 MiB"),
        ("a stream longer than its strip", bombed(1 << 20), "more than"),
        ("bits of 0", File::new().set(258, SHORT, 1, 0).bytes(), "0 bits"),
        ("bits of 65535", File::new().set(258, SHORT, 1, 65535).bytes(), "65535 bits"),
        (
            "no width",
            {
                let mut f = File::new();
                f.entries.remove(0);
                f.bytes()
            },
            "no width",
        ),
        ("offsets as floats", File::new().set(273, 11, 1, 1000).bytes(), "no whole numbers"),
    ]
}

#[test]
fn every_lie_is_an_error_in_little_time_and_memory() {
    for (name, bytes, want) in cases() {
        let started = Instant::now();
        let got = read(bytes);
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
        match got {
            Ok(chunks) => {
                assert!(want.is_empty() && chunks > 0 || want.ends_with('|'), "{name}: no error, {chunks} chunks");
            }
            Err(error) => {
                assert!(!want.is_empty() && want.split('|').any(|part| error.contains(part)), "{name}: {error}");
            }
        }
    }
    // The bomb itself is made of 100 MiB.
    assert!(peak_memory() < 300, "{} MiB", peak_memory());
}
