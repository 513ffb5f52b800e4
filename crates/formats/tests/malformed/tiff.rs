//! TIFF: directories and strips that lie.

use super::{Case, zeros};

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

fn many_entries(count: u16) -> Vec<u8> {
    let mut file = File::new();
    for tag in 0..count - 9 {
        file.entries.push((60_000 + tag % 100, 1, 1, 0));
    }
    let end = 8 + 2 + 12 * u32::from(count) + 4;
    file = file.set(273, LONG, 1, end);
    file.bytes()
}

pub(super) fn cases() -> Vec<Case> {
    built().into_iter().chain(long_strips()).map(|(name, bytes, want)| Case::file(name, bytes, want)).collect()
}

/// Strips of more rows than can be.
fn long_strips() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        (
            "a strip of 672 million rows of half a gigabyte",
            File::new()
                .set(256, LONG, 1, 4_294_901_779)
                .set(257, LONG, 1, 672_137_229)
                .set(258, SHORT, 1, 1)
                .set(278, LONG, 1, 672_137_229)
                .bytes(),
            "limit",
        ),
        (
            "a strip of 15 million rows of a megabyte",
            File::new()
                .set(256, LONG, 1, 1 << 20)
                .set(257, LONG, 1, 15 << 20)
                .set(278, LONG, 1, 15 << 20)
                .set(279, LONG, 1, u32::MAX)
                .bytes(),
            "truncated",
        ),
    ]
}

fn built() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let stored = zeros(100 << 20);
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
