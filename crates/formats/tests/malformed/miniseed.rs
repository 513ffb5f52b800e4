//! miniSEED: headers and frames that lie.

use super::{Case, fixture};

/// Bytes of a fixture with some of them changed.
fn changed(name: &str, changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = fixture(name);
    for (at, new) in changes {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

/// A record of version 3 without extra headers: samples, encoding, payload.
fn third(samples: u32, encoding: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let id = b"FDSN:XX_ABC__B_H_Z";
    let mut out = b"MS\x03\0".to_vec();
    out.extend(0u32.to_le_bytes());
    out.extend(2020u16.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend([0, 0, 0, encoding]);
    out.extend(20f64.to_le_bytes());
    out.extend(samples.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend([1, u8::try_from(id.len()).unwrap()]);
    out.extend(0u16.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(payload);
    let sum = crc32c::crc32c(&out);
    out[28..32].copy_from_slice(&sum.to_le_bytes());
    out
}

pub(super) fn cases() -> Vec<Case> {
    // Where the first blockette 1000 is: encoding and length of the record follow its kind and what comes next.
    let kind = fixture("gaps.mseed")[48..200].windows(2).position(|pair| pair == [0x03, 0xe8]).unwrap() + 48;
    let two = |name, changes: &[(usize, &[u8])], want| Case::file(name, changed("gaps.mseed", changes), want);
    let length = u32::try_from(fixture("gaps.mseed").len()).unwrap();
    let alone = |bytes: Vec<u8>| bytes[..256].to_vec();
    vec![
        two("plain", &[], ""),
        two("65535 samples", &[(30, &[255, 255])], "!"),
        two("no samples", &[(30, &[0, 0])], "*"),
        two("data past the record", &[(44, &[255, 255])], "!"),
        two("data in the header", &[(44, &[0, 1])], "!"),
        two("blockettes past the record", &[(46, &[255, 255])], "!"),
        two("blockettes in a circle", &[(50, &[0, 48])], "!"),
        two("a blockette before the first", &[(50, &[0, 1])], "!"),
        two("255 blockettes", &[(39, &[255])], "*"),
        two("a record of 2^255 bytes", &[(kind + 6, &[255])], "!"),
        two("a record of one byte", &[(kind + 6, &[0])], "!"),
        two("an unknown encoding", &[(kind + 4, &[77])], "!"),
        two("a rate of zero", &[(32, &[0, 0, 0, 0])], "*"),
        two("the lowest factors", &[(32, &[0x80, 0, 0x80, 0])], "*"),
        two("day 65535", &[(22, &[255, 255])], "!"),
        two("year 65535", &[(20, &[255, 255])], "!"),
        two("frames of ones", &[(64, &[255; 64])], "!"),
        Case::file("a record that is cut", changed("gaps.mseed", &[])[..length as usize - 100].to_vec(), "truncated"),
        Case::file("half a header", alone(fixture("gaps.mseed"))[..30].to_vec(), "!"),
        Case::file("version 3", third(4, 3, 16, &[1; 16]), ""),
        Case::file("version 3 of 2^32 - 1 samples", third(u32::MAX, 3, 16, &[1; 16]), "!"),
        Case::file("version 3 of 2^32 - 1 bytes", third(4, 3, u32::MAX, &[1; 16]), "!"),
        Case::file("version 3 with few bytes", third(4, 3, 3, &[1; 3]), "!"),
        Case::file("Steim of no frames", third(4, 11, 0, &[]), "!"),
        Case::file("Steim of half a frame", third(4, 11, 32, &[0; 32]), "!"),
        Case::file("Steim with more samples than bits", third(1_000_000, 11, 64, &[0; 64]), "!"),
        Case::file("a million records without samples", third(0, 3, 0, &[]).repeat(1_000_000), "*"),
        Case::file("200,000 segments", many(200_000), "limit"),
    ]
}

/// Records a year apart from each other, or so: none continues another.
fn many(count: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for at in 0..count {
        let mut record = third(1, 3, 4, &[0; 4]);
        record[8..10].copy_from_slice(&u16::try_from(1900 + at % 300).unwrap().to_le_bytes());
        record[28..32].copy_from_slice(&[0; 4]);
        let sum = crc32c::crc32c(&record);
        record[28..32].copy_from_slice(&sum.to_le_bytes());
        out.extend(record);
    }
    out
}
