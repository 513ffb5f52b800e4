//! NetCDF-3: counts, offsets and shapes that lie.

use super::Case;

/// Big-endian words of 4 bytes.
fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// A name of at most four letters, padded.
fn name(text: &str) -> Vec<u8> {
    let mut out = words(&[u32::try_from(text.len()).unwrap()]);
    out.extend_from_slice(text.as_bytes());
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

const DIMENSION: u32 = 10;
const VARIABLE: u32 = 11;
const ATTRIBUTE: u32 = 12;

/// A file of the version: number of records, dimensions, attributes of the file, variables, data.
fn file(version: u8, records: u32, lists: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![b'C', b'D', b'F', version];
    out.extend(words(&[records]));
    for list in lists {
        out.extend_from_slice(list);
    }
    out.resize(out.len().max(4096), 7);
    out
}

fn dims(lengths: &[u32]) -> Vec<u8> {
    let mut out = words(&[DIMENSION, u32::try_from(lengths.len()).unwrap()]);
    for (at, length) in lengths.iter().enumerate() {
        out.extend(name(&format!("d{at}")));
        out.extend(words(&[*length]));
    }
    out
}

fn none() -> Vec<u8> {
    words(&[0, 0])
}

/// One variable `v`: its dimensions, type, size and beginning.
fn variable(ids: &[u32], kind: u32, size: u32, begin: u32) -> Vec<u8> {
    let mut out = [words(&[VARIABLE, 1]), name("v"), words(&[u32::try_from(ids.len()).unwrap()])].concat();
    out.extend(words(ids));
    out.extend(none());
    out.extend(words(&[kind, size, begin]));
    out
}

pub(super) fn cases() -> Vec<Case> {
    let one = |name, lengths: &[u32], ids: &[u32], kind, begin, want| {
        Case::file(name, file(1, 0, &[dims(lengths), none(), variable(ids, kind, 4, begin)]), want)
    };
    let attribute = |kind: u32, count: u32| [words(&[ATTRIBUTE, 1]), name("a"), words(&[kind, count, 0])].concat();
    let attributes = |list: Vec<u8>| file(1, 0, &[dims(&[4]), list, variable(&[0], 4, 16, 512)]);
    let records = |count: u32, lengths: &[u32]| {
        let ids: Vec<u32> = (0..).take(lengths.len()).collect();
        file(1, count, &[dims(lengths), none(), variable(&ids, 4, 4, 512)])
    };
    let many = |count: u32| {
        let mut list = words(&[VARIABLE, count]);
        for at in 0..count {
            list.extend([name(&format!("v{at}")), words(&[1, 0]), none(), words(&[4, 16, 512])].concat());
        }
        file(1, 0, &[dims(&[4]), none(), list])
    };
    vec![
        one("plain", &[4], &[0], 4, 512, ""),
        one("2^31 - 1 cells", &[0x7fff_ffff], &[0], 4, 512, "!"),
        one("2^31 - 1 to the fourth", &[0x7fff_ffff; 4], &[0, 1, 2, 3], 4, 512, "!"),
        one("a length beyond 2^31", &[u32::MAX], &[0], 4, 512, "!"),
        one("a dimension that is not there", &[4], &[7], 4, 512, "!"),
        one("a dimension of number 2^32 - 1", &[4], &[u32::MAX], 4, 512, "!"),
        one("a type that is not there", &[4], &[0], 99, 512, "!"),
        one("a type of number 0", &[4], &[0], 0, 512, "!"),
        one("data past the end", &[4], &[0], 4, 4092, "truncated"),
        one("data far past the end", &[4], &[0], 4, u32::MAX, "!"),
        one("data in the header", &[4], &[0], 4, 0, "*"),
        one("1024 dimensions", &[1; 1024], &(0..1024).collect::<Vec<_>>(), 4, 512, "!"),
        one("records in the middle", &[4, 0], &[0, 1], 4, 512, "!"),
        Case::file("2^31 - 1 records", records(0x7fff_ffff, &[0]), "!"),
        Case::file("2^31 - 1 records of 2^31 - 1", records(0x7fff_ffff, &[0, 0x7fff_ffff]), "!"),
        Case::file("records that are counted by the size", records(u32::MAX, &[0]), ""),
        Case::file("records without cells", records(0x7fff_ffff, &[0, 0]), "*"),
        Case::file("an attribute of 2^31 doubles", attributes(attribute(6, 1 << 31)), "!"),
        Case::file("an attribute of 2^32 - 1 letters", attributes(attribute(2, u32::MAX)), "!"),
        Case::file("an attribute of an unknown type", attributes(attribute(77, 1)), "!"),
        Case::file("2^31 attributes", attributes(words(&[ATTRIBUTE, 1 << 31])), "!"),
        Case::file("2^31 dimensions", file(1, 0, &[words(&[DIMENSION, 1 << 31])]), "!"),
        Case::file("2^31 variables", file(1, 0, &[none(), none(), words(&[VARIABLE, 1 << 31])]), "!"),
        Case::file("a name of 2^31 letters", file(1, 0, &[words(&[DIMENSION, 1, 1 << 31])]), "!"),
        Case::file("no dimensions but some", file(1, 0, &[words(&[0, 5]), none(), none()]), "!"),
        Case::file("a list of another kind", file(1, 0, &[words(&[VARIABLE, 1]), none(), none()]), "!"),
        Case::file("100,000 variables", many(100_000), ""),
        Case::file("only a magic number", b"CDF\x01".to_vec(), "!"),
        Case::file("an unknown version", file(9, 0, &[none(), none(), none()]), "!"),
        Case::file("2^63 cells of CDF-5", wide(1 << 63), "!"),
        Case::file("2^62 cells of CDF-5", wide(1 << 62), "!"),
        Case::file("2^64 - 1 dimensions of CDF-5", wide_list(u64::MAX), "!"),
    ]
}

/// A dimension and a variable of CDF-5, whose numbers have 8 bytes.
fn wide(length: u64) -> Vec<u8> {
    let long = |value: u64| value.to_be_bytes().to_vec();
    let text = |letter: u8| [long(1), vec![letter, 0, 0, 0]].concat();
    let none = || [words(&[0]), long(0)].concat();
    let mut out = [b"CDF\x05".to_vec(), long(0)].concat();
    out.extend([words(&[DIMENSION]), long(1), text(b'd'), long(length), none()].concat());
    out.extend([words(&[VARIABLE]), long(1), text(b'v'), long(1), long(0), none()].concat());
    out.extend([words(&[4]), long(length), long(512)].concat());
    out.resize(4096, 0);
    out
}

fn wide_list(count: u64) -> Vec<u8> {
    let head = [b"CDF\x05".to_vec(), 0u64.to_be_bytes().to_vec(), words(&[DIMENSION])].concat();
    let mut out = [head, count.to_be_bytes().to_vec()].concat();
    out.resize(4096, 0);
    out
}
