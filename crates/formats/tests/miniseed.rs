//! miniSEED files against what ObsPy and libmseed read from them (`tests/fixtures/make_miniseed.py`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use crate::common::Bench;
use bytes::Bytes;
use outcrop_formats::{AttrValue, DType, FileMeta, Format, Locate, Open, Variable};
use outcrop_store::{Demand, ObjectMeta, Sparse, Step};
use serde_json::Value;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn traces(meta: &FileMeta) -> Vec<&Variable> {
    meta.variables.iter().filter(|v| v.attrs.contains_key("sampling_rate_hz")).collect()
}

fn times(bench: &Bench, meta: &ObjectMeta, header: &FileMeta, variable: &Variable) -> Vec<i64> {
    let raw = bench.all(meta, header.find(&variable.dims[0]).unwrap());
    raw.as_chunks::<8>().0.iter().map(|b| i64::from_ne_bytes(*b)).collect()
}

/// Id, first time, rate, number, type and samples of each segment.
fn check(bench: &Bench, path: &Path, want: &Value) {
    let (meta, header) = bench.open(path);
    let place = path.display();
    assert_eq!(header.format, Format::MiniSeed, "{place}");
    assert!(header.refused.is_empty(), "{place}: {:?}", header.refused);
    let want = want.as_array().unwrap();
    let got = traces(&header);
    assert_eq!(got.len(), want.len(), "{place}: {:?}", got.iter().map(|v| &v.name).collect::<Vec<_>>());
    let mut left: Vec<&&Variable> = got.iter().collect();
    for want in want {
        let (id, start) = (want["id"].as_str().unwrap(), want["start_ns"].as_i64().unwrap());
        let name = |v: &Variable| v.name.split('/').next().unwrap().to_owned();
        let times_of = |v: &Variable| times(bench, &meta, &header, v);
        let matches = |v: &&&Variable| {
            name(v) == id && v.grid.shape[0] == want["npts"].as_u64().unwrap() && (times_of(v)[0] - start).abs() <= 500
        };
        let at = left.iter().position(matches).unwrap_or_else(|| panic!("{place}: no {want}"));
        let variable = left.remove(at);
        let rate = variable.attrs["sampling_rate_hz"].number().unwrap();
        assert!((rate - want["rate"].as_f64().unwrap()).abs() <= 1e-9 * rate, "{place}: {want}: {rate}");
        assert_eq!(variable.dtype.name(), want["dtype"].as_str().unwrap(), "{place}: {want}");
        let crc = libdeflater::crc32(&bench.all(&meta, variable));
        assert_eq!(u64::from(crc), want["crc"].as_u64().unwrap(), "{place}: {want}");
        let times = times_of(variable);
        let step = if rate > 0.0 { 1e9 / rate } else { 0.0 };
        let last = start as f64 + step * (times.len() - 1) as f64;
        assert!((times[times.len() - 1] as f64 - last).abs() < 2000.0, "{place}: {want}");
    }
}

#[test]
fn segments_and_samples_are_those_of_obspy_and_libmseed() {
    let want: Value = serde_json::from_slice(&std::fs::read(fixtures().join("want_miniseed.json")).unwrap()).unwrap();
    let bench = Bench::new();
    for (file, want) in want["fixtures"].as_object().unwrap() {
        check(&bench, &fixtures().join(file), want);
    }
    for (file, want) in want["shared"].as_object().unwrap() {
        let Some(path) = outcrop_testkit::shared_data(file) else { return };
        check(&bench, &path, want);
    }
}

#[test]
fn samples_are_those_of_the_golden_arrays() {
    let Some(folder) = outcrop_testkit::shared_data("golden/b_seis") else { return };
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let case = manifest["cases"].as_array().unwrap().iter().find(|case| case["op"] == "read_miniseed").unwrap();
    let bench = Bench::new();
    let mut compared = 0;
    for file in case["expect"]["headers"].as_array().unwrap() {
        let path = outcrop_testkit::shared_data(file["file"].as_str().unwrap()).unwrap();
        let (meta, header) = bench.open(&path);
        for (want, variable) in file["traces"].as_array().unwrap().iter().zip(traces(&header)) {
            let raw = bench.all(&meta, variable);
            let every = usize::try_from(want["every"].as_u64().unwrap()).unwrap();
            let (npz, key) = (folder.join("mseed_want.npz"), want["key"].as_str().unwrap());
            let int = |b: &[u8; 4]| f64::from(i32::from_ne_bytes(*b));
            let got: Vec<f64> = match variable.dtype {
                DType::Int32 => raw.as_chunks::<4>().0.iter().map(int).collect(),
                DType::Float32 => raw.as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b).into()).collect(),
                DType::Float64 => raw.as_chunks::<8>().0.iter().map(|b| f64::from_ne_bytes(*b)).collect(),
                _ => continue,
            };
            if let Some(sum) = want["sum"].as_f64() {
                assert_eq!(got.iter().sum::<f64>(), sum, "{want}");
            }
            let got: Vec<f64> = got.into_iter().step_by(every).collect();
            let want: Vec<f64> = match variable.dtype {
                DType::Int32 => outcrop_testkit::npz::<i32>(&npz, key).iter().map(|v| f64::from(*v)).collect(),
                DType::Float32 => outcrop_testkit::npz::<f32>(&npz, key).iter().map(|v| f64::from(*v)).collect(),
                _ => outcrop_testkit::npz::<f64>(&npz, key).iter().copied().collect(),
            };
            assert_eq!(outcrop_testkit::difference(&got, &want, 0.0, 0.0), None, "{key}");
            compared += got.len();
        }
    }
    assert!(compared > 6000, "{compared}");
}

#[test]
fn a_window_is_a_part_of_the_whole() {
    let Some(path) = outcrop_testkit::shared_data("real/seismic/CH.BALST..LH_two_channels.mseed") else { return };
    let bench = Bench::new();
    let (meta, header) = bench.open(&path);
    let variable = header.find("CH.BALST..LHZ").unwrap();
    let all = bench.all(&meta, variable);
    let refs = bench.locate(&meta, variable);
    assert_eq!(refs.iter().count(), 2);
    for (from, to) in [(0u64, 1u64), (65_535, 65_537), (65_536, 65_536), (1000, 80_000), (86_546, 86_547)] {
        let got = bench.read(&meta, &refs, std::slice::from_ref(&(from..to)));
        let at = |n: u64| usize::try_from(n).unwrap() * 4;
        assert!(got == all[at(from)..at(to)], "{from}..{to}");
    }
}

#[test]
fn attributes_say_whose_and_when() {
    let bench = Bench::new();
    let (_, header) = bench.open(&fixtures().join("gaps.mseed"));
    let text = |value: &str| AttrValue::Text(value.into());
    let first = &header.find("XX.GAP.00.BHZ").unwrap().attrs;
    assert_eq!(first["source_id"], text("FDSN:XX_GAP_00_B_H_Z"));
    assert_eq!(first["starttime"], text("2021-03-04T05:06:07.891234000Z"));
    assert_eq!(first["quality"], text("D"));
    assert_eq!(first["encoding"], text("Steim2"));
    assert_eq!(first["record_length"], AttrValue::Int(vec![256]));
    assert_eq!(first["largest_time_error_seconds"], AttrValue::Float64(vec![0.02]));
    let gaps: Vec<f64> = (1..6)
        .map(|i| header.find(&format!("XX.GAP.00.BHZ/{i}")).unwrap().attrs["gap_before_seconds"].number().unwrap())
        .collect();
    assert_eq!(gaps, [0.03, 2.0, -1.25, -100.0, 0.7]);
    assert_eq!(header.attrs["number_of_gaps"], AttrValue::Int(vec![6]));
    assert_eq!(header.attrs["number_of_overlaps"], AttrValue::Int(vec![4]));
    assert_eq!(header.dims.keys().collect::<Vec<_>>(), ["time_1", "time_2", "time_3", "time_4", "time_5", "time_6"]);
    let (_, header) = bench.open(&fixtures().join("version3.mseed"));
    let v3 = &header.find("XX.V30..BHZ").unwrap().attrs;
    assert_eq!(v3["publication_version"], AttrValue::Int(vec![3]));
    assert_eq!(v3["timing_quality_percent"], AttrValue::Int(vec![90]));
    assert_eq!(v3["extra_headers"], text(r#"{"FDSN":{"Time":{"Quality":90}}}"#));
}

/// A file is brought in parts, and what was walked over is let go.
#[test]
fn a_file_is_read_from_its_start_to_its_end() {
    let whole = Bytes::from(std::fs::read(fixtures().join("encodings.mseed")).unwrap());
    let mut have = Sparse::new(whole.len() as u64);
    let mut open = Open::new();
    let mut rounds = 0;
    while let Step::Need(ranges) = open.step(&have).unwrap() {
        have.forget(open.done_before());
        for range in ranges {
            let at = |n: u64| usize::try_from(n).unwrap();
            have.insert(range.start, &whole.slice(at(range.start)..at(range.end)));
        }
        rounds += 1;
    }
    assert_eq!(rounds, 2);
}

fn error(bytes: Vec<u8>) -> String {
    let have = Sparse::whole(&bytes.into());
    let header = match Open::new().step(&have) {
        Err(error) => return error.to_string(),
        Ok(Step::Done(header)) => header,
        Ok(Step::Need(_)) => panic!("all of the file is there"),
    };
    for variable in traces(&header) {
        let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { panic!("{}", variable.name) };
        let mut decoder = outcrop_formats::Decoder::new(&refs).unwrap();
        let mut out = vec![0; decoder.chunk_bytes()];
        for (_, chunk) in &refs {
            let outcrop_formats::ChunkRef::Range { offset, length, .. } = chunk else { panic!("a chunk is a range") };
            let bytes = have.get(&(offset..offset + length)).unwrap();
            if let Err(error) = decoder.decode(&chunk, &bytes, &mut out) {
                return error.to_string();
            }
        }
    }
    "no error".to_owned()
}

/// One big-endian Steim1 record of 512 bytes and its changes.
fn damaged(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let volume = std::fs::read(fixtures().join("volume.mseed")).unwrap();
    let mut record = volume[4 * 4096..4 * 4096 + 512].to_vec();
    assert_eq!(error(record.clone()), "no error");
    change(&mut record);
    error(record)
}

#[test]
fn malformed_records_are_errors_that_name_them() {
    let put = |at: usize, bytes: &'static [u8]| {
        move |record: &mut Vec<u8>| record[at..at + bytes.len()].copy_from_slice(bytes)
    };
    let blockette = 48;
    let begin = 64;
    for (got, want) in [
        (damaged(|r| r.truncate(500)), "record 1 of `XX.VOL.00.BHZ`, which declares "),
        (damaged(|r| r.truncate(40)), "the file is truncated: record 1 "),
        (damaged(|r| r.extend_from_slice(&[0; 512])), "record 2 at byte 512 is malformed: zero bytes"),
        (damaged(|r| r.extend_from_slice(&[7; 512])), "record 2 at byte 512 is malformed: no record begins here"),
        (damaged(put(30, &[0xff, 0xff])), "declares 65535 samples; its 448 bytes of Steim1 hold 412 at most"),
        (damaged(put(30, &[0x01, 0x90])), "samples, its frames hold "),
        (damaged(put(44, &[0xff, 0x00])), "samples begin at byte 65280 of its 512"),
        (damaged(put(44, &[0, 0])), "samples begin at byte 0 of its 512"),
        (damaged(put(46, &[0, 20])), "its chain of blockettes goes back to byte 20"),
        (damaged(put(46, &[0xff, 0])), "truncated"),
        (damaged(put(begin + 8, &[1, 2, 3, 4])), "(integrity of Steim)"),
    ] {
        assert!(got.contains(want), "{got}");
    }
    let at_1000 = |r: &[u8]| (blockette..64).step_by(8).find(|at| r[*at..*at + 2] == [3, 0xe8]).unwrap();
    for (offset, byte, want) in [
        (6, 30, "its length is 2^30 bytes; 2^7 to 2^20 are possible"),
        (6, 0, "its length is 2^0 bytes"),
        (6, 10, "truncated: record 1 of `XX.VOL.00.BHZ`"),
        (3, 48, "its chain of blockettes goes back to byte 48"),
        (4, 19, "no error"),
        (4, 11, "Steim"),
    ] {
        let got = damaged(|r| {
            let at = at_1000(r);
            r[at + offset] = byte;
        });
        assert!(got.contains(want), "{offset} {byte}: {got}");
    }
}

#[test]
fn absurd_rates_are_no_trouble() {
    for factor in [i16::MIN, -1, 0, 1, i16::MAX] {
        for multiplier in [i16::MIN, -1, 0, 1, i16::MAX] {
            let got = damaged(|r| {
                r[32..34].copy_from_slice(&factor.to_be_bytes());
                r[34..36].copy_from_slice(&multiplier.to_be_bytes());
            });
            assert_eq!(got, "no error", "{factor} {multiplier}");
        }
    }
}

#[test]
fn damage_of_version_3_is_found_by_its_checksum() {
    let whole = std::fs::read(fixtures().join("version3.mseed")).unwrap();
    for at in [4, 20, 33, 41, 60, 100, 400, 520, 7000] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let got = error(damaged);
        assert!(got.contains("CRC-32C") || got.contains("truncated"), "byte {at}: {got}");
    }
}
