//! Small files that cover what the formats allow, written by h5py and netCDF4 (`tests/fixtures/make.py`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use crate::common::Bench;
use bytes::Bytes;
use outcrop_formats::{AttrValue, Decoder, Format, IntType, Locate, Open, Variable, cf::Decoding};
use outcrop_store::{Demand, Sparse, Step};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expected(want: &Value) -> Vec<f64> {
    let shape: Vec<u64> = want["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    let count: u64 = shape.iter().product();
    let row: u64 = shape.iter().skip(1).product();
    let unwritten = want["unwritten"].as_array().map(|r| (r[0].as_u64().unwrap(), r[1].as_u64().unwrap()));
    (0..count)
        .map(|i| match unwritten {
            Some((from, to)) if (from..to).contains(&(i / row)) => want["fill"].as_f64().unwrap(),
            _ => ((i * 7 + 3) % 101) as f64,
        })
        .collect()
}

#[test]
fn every_case_has_its_values() {
    let want: Value = serde_json::from_slice(&std::fs::read(folder().join("want.json")).unwrap()).unwrap();
    let bench = Bench::new();
    for (file, members) in want.as_object().unwrap() {
        let (meta, header) = bench.open(&folder().join(file));
        for (name, want) in members.as_object().unwrap() {
            let variable = header.find(name).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(variable.dtype.name(), want["dtype"].as_str().unwrap(), "{file}: {name}");
            let mut plain: Variable = variable.clone();
            plain.attrs.clear();
            let got = Decoding::of(&plain).to_f64(&bench.all(&meta, variable));
            assert_eq!(outcrop_testkit::difference(&got, &expected(want), 0.0, 0.0), None, "{file}: {name}");
        }
    }
}

#[test]
fn a_window_is_a_part_of_the_whole() {
    let bench = Bench::new();
    let (meta, header) = bench.open(&folder().join("latest.h5"));
    for name in ["tree", "contiguous", "big", "extensible"] {
        let variable = header.find(name).unwrap();
        let refs = bench.locate(&meta, variable);
        let size = variable.dtype.size();
        let all = bench.all(&meta, variable);
        let columns = usize::try_from(variable.grid.shape[1]).unwrap();
        for (rows, cols) in [(0..7, 0..5), (2..5, 1..2), (6..7, 4..5), (3..3, 0..5)] {
            let got = bench.read(&meta, &refs, &[rows.clone(), cols.clone()]);
            let mut want = Vec::new();
            for row in rows {
                for col in cols.clone() {
                    let at = (usize::try_from(row).unwrap() * columns + usize::try_from(col).unwrap()) * size;
                    want.extend_from_slice(&all[at..at + size]);
                }
            }
            assert_eq!(got, want, "{name}");
        }
        assert!(refs.stored_bytes() > Some(0) && refs.iter().count() > 0);
    }
}

#[test]
fn attributes_of_all_kinds() {
    let bench = Bench::new();
    for file in ["earliest.h5", "latest.h5"] {
        let (_, header) = bench.open(&folder().join(file));
        let attrs = &header.find("contiguous").unwrap().attrs;
        let want = [
            ("text", AttrValue::Text("größe".into())),
            ("fixed", AttrValue::Text("abc".into())),
            ("texts", AttrValue::Texts(vec!["a".into(), "bc".into()])),
            ("int8", AttrValue::Typed(IntType::Int8, vec![-3])),
            ("uint64", AttrValue::UInt(vec![u64::MAX])),
            ("big", AttrValue::Int(vec![1, -2])),
            ("float32", AttrValue::Float32(vec![0.5])),
            ("float64", AttrValue::Float64(vec![0.25, -1.5])),
            ("empty", AttrValue::Text(String::new())),
            ("bool", AttrValue::Typed(IntType::Int8, vec![1])),
        ];
        for (name, value) in want {
            assert_eq!(attrs.get(name), Some(&value), "{file}: {name}");
        }
        let many = &header.find("big").unwrap().attrs;
        assert_eq!(many.len(), 30, "{file}");
        assert_eq!(many["many07"], AttrValue::Typed(IntType::Int64, vec![7]));
    }
}

#[test]
fn damaged_attributes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.h5");
    let mut bytes = std::fs::read(folder().join("earliest.h5")).unwrap();
    let heaps: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"GCOL")).collect();
    for at in heaps {
        bytes[at] = b'X';
    }
    std::fs::write(&path, &bytes).unwrap();
    let (_, header) = Bench::new().open(&path);
    let attrs = &header.find("contiguous").unwrap().attrs;
    let AttrValue::Texts(damaged) = &attrs["damaged_attributes"] else { panic!("{attrs:?}") };
    assert!(damaged[0].starts_with("text: the heap at byte "), "{damaged:?}");
    assert!(!attrs.contains_key("text"));
    assert_eq!(attrs["fixed"], AttrValue::Text("abc".into()));
}

#[test]
fn what_lies_in_other_files_is_refused_by_name() {
    let bench = Bench::new();
    for file in ["earliest.h5", "latest.h5"] {
        let (_, header) = bench.open(&folder().join(file));
        assert_eq!(header.format, Format::Hdf5);
        let why = |name: &str| header.find(name).map(|_| ()).unwrap_err().to_string();
        assert!(why("external").contains("external link to `/x` in file `other.h5`"), "{}", why("external"));
        assert!(why("virtual").contains("virtual dataset"), "{}", why("virtual"));
        assert_eq!(header.find("soft").unwrap().grid, header.find("contiguous").unwrap().grid);
        assert!(why("nothing").contains("there is no variable `nothing`"), "{}", why("nothing"));
        let outside = Locate::new(header.find("outside").unwrap()).step(&Sparse::new(0)).unwrap_err().to_string();
        assert!(outside.contains("external storage"), "{outside}");
        assert!(header.find("members/alias").is_ok());
    }
}

#[test]
fn netcdf4_names_and_hides_as_netcdf_does() {
    let bench = Bench::new();
    let (_, header) = bench.open(&folder().join("netcdf4.nc"));
    assert_eq!(header.format, Format::NetCdf4);
    let dims: Vec<(&str, u64, bool)> = header.dims.iter().map(|(n, d)| (n.as_str(), d.len, d.unlimited)).collect();
    assert_eq!(dims, [("time", 5, true), ("y", 3, false), ("x", 4, false), ("only", 2, false), ("g/z", 2, false)]);
    let v = header.find("v").unwrap();
    assert_eq!(v.dims, ["time", "y", "x"]);
    assert_eq!(v.attrs.keys().collect::<Vec<_>>(), ["_FillValue", "missing_value"]);
    assert_eq!(v.fill, (-9999f32).to_ne_bytes());
    assert_eq!(header.find("y").unwrap().dims, ["x"]);
    assert_eq!(header.find("lat").unwrap().dims, ["y", "x"]);
    assert_eq!(header.find("g/w").unwrap().dims, ["g/z", "x"]);
    assert!(header.find("only").is_err());
    assert_eq!(header.attrs.keys().collect::<Vec<_>>(), ["title"]);
}

/// A parser that is given only what it asks for ends, in few rounds, and asks for little of a large file.
#[test]
fn headers_come_in_few_rounds() {
    for (file, most) in
        [("earliest.h5", 8), ("latest.h5", 8), ("netcdf4.nc", 5), ("classic.nc", 3), ("userblock.h5", 5)]
    {
        let whole = Bytes::from(std::fs::read(folder().join(file)).unwrap());
        let mut have = Sparse::new(whole.len() as u64);
        let mut open = Open::new();
        let mut rounds = 0;
        let header = loop {
            match open.step(&have).unwrap() {
                Step::Done(header) => break header,
                Step::Need(ranges) => give(&mut have, &whole, &ranges),
            }
            rounds += 1;
        };
        assert!(rounds <= most, "{file}: {rounds} rounds");
        for variable in &header.variables {
            let mut locate = Locate::new(variable);
            let mut have = Sparse::new(whole.len() as u64);
            let mut rounds = 0;
            while let Ok(Step::Need(ranges)) = locate.step(&have) {
                give(&mut have, &whole, &ranges);
                rounds += 1;
            }
            assert!(rounds <= 4, "{file}: {} takes {rounds} rounds", variable.name);
        }
    }
}

fn give(have: &mut Sparse, whole: &Bytes, ranges: &[std::ops::Range<u64>]) {
    for range in ranges {
        let at = |n: u64| usize::try_from(n).unwrap();
        have.insert(range.start, &whole.slice(at(range.start)..at(range.end)));
    }
}

/// Opens, locates and decodes everything; what comes out does not matter, only that it comes.
fn exercise(bytes: &Bytes) {
    let have = Sparse::whole(bytes);
    let Ok(Step::Done(header)) = Open::new().step(&have) else { return };
    for variable in &header.variables {
        let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { continue };
        let Ok(mut decoder) = Decoder::new(&refs) else { continue };
        if decoder.chunk_bytes() > 1 << 20 {
            continue;
        }
        let mut out = vec![0; decoder.chunk_bytes()];
        for (_, chunk) in refs.iter().take(50) {
            let range = match &chunk {
                outcrop_formats::ChunkRef::Range { offset, length, .. } => *offset..offset + length,
                _ => 0..0,
            };
            let Some(bytes) = have.get(&range) else { panic!("a chunk past the end was let through") };
            let _ = decoder.decode(&chunk, &bytes, &mut out);
        }
    }
}

#[test]
fn damaged_files_are_errors_not_panics() {
    let started = std::time::Instant::now();
    // Every byte of small files, a sample of large ones.
    let folders = [folder(), folder().join("tiff")];
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        let is_fixture = path.extension().is_some_and(|e| e == "nc" || e == "h5" || e == "mseed" || e == "tif");
        if !is_fixture {
            continue;
        }
        let whole = std::fs::read(&path).unwrap();
        let step = (whole.len() / 700).max(1);
        for at in (0..whole.len()).step_by(step) {
            let one = std::time::Instant::now();
            for flip in [0xffu8, 0x01, 0x80] {
                let mut damaged = whole.clone();
                damaged[at] ^= flip;
                exercise(&damaged.into());
            }
            assert!(one.elapsed().as_secs() < 5, "{}: byte {at} takes {:?}", path.display(), one.elapsed());
        }
        for at in (0..whole.len()).step_by(step * 4) {
            exercise(&Bytes::copy_from_slice(&whole[..at]));
        }
    }
    println!("{:?}", started.elapsed());
}

#[test]
fn a_truncated_file_is_named_as_such() {
    for (file, name) in [("earliest.h5", ""), ("latest.h5", ""), ("netcdf4.nc", ""), ("classic.nc", "record_f8")] {
        let whole = std::fs::read(folder().join(file)).unwrap();
        let cut = Sparse::whole(&Bytes::copy_from_slice(&whole[..whole.len() - 10]));
        let error = match Open::new().step(&cut) {
            Err(error) => error,
            Ok(Step::Done(header)) => Locate::new(header.find(name).unwrap()).step(&cut).unwrap_err(),
            Ok(Step::Need(_)) => panic!("all of the file is there"),
        };
        assert!(error.to_string().contains("truncated"), "{file}: {error}");
    }
}
