//! miniSEED that is written here is read here; `tests/python/test_formats.py` has ObsPy and libmseed judge it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use crate::common::Bench;
use outcrop_formats::miniseed::{Encoding, Samples, SegmentSpec, Version, WriteOptions, Writer};
use outcrop_formats::{DType, Error};

/// Differences of all sizes up to `bits`.
fn walk(n: usize, bits: u32) -> Vec<i32> {
    let mut seed = 12_345u32;
    let mut value = 0i32;
    (0..n)
        .map(|i| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let shift = 32 - (1 + u32::try_from(i / 37).unwrap() % bits);
            value = value.wrapping_add(seed.cast_signed() >> shift);
            value
        })
        .collect()
}

fn spec(samples: Samples<'_>, rate_hz: f64) -> SegmentSpec<'_> {
    SegmentSpec { source: "XX.ABC.00.BHZ".into(), start_ns: 1_614_834_367_891_234_000, rate_hz, samples }
}

fn write(path: &Path, options: WriteOptions, segments: &[SegmentSpec<'_>]) -> Result<u64, Error> {
    let mut writer = Writer::create(path, options)?;
    segments.iter().try_for_each(|segment| writer.write(segment))?;
    writer.finish()
}

#[test]
fn every_version_encoding_and_length_comes_back() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mseed");
    let (int32, wide) = (walk(70_000, 29), walk(5000, 32));
    let int16: Vec<i16> = (0..5000).map(|i| i16::try_from(i % 700 - 350).unwrap()).collect();
    let float32: Vec<f32> = int16.iter().map(|v| f32::from(*v) / 3.0).collect();
    let float64: Vec<f64> = int16.iter().map(|v| f64::from(*v) / 3.0).collect();
    let bytes = |ints: &[i32]| ints.iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>();
    let widened: Vec<i32> = int16.iter().map(|v| i32::from(*v)).collect();
    let cases = [
        (Samples::Int32(&int32), Some(Encoding::Steim1), DType::Int32, bytes(&int32)),
        (Samples::Int32(&int32), Some(Encoding::Steim2), DType::Int32, bytes(&int32)),
        (Samples::Int32(&wide), Some(Encoding::Steim1), DType::Int32, bytes(&wide)),
        (Samples::Int32(&wide), Some(Encoding::Int32), DType::Int32, bytes(&wide)),
        (Samples::Int16(&int16), None, DType::Int32, bytes(&widened)),
        (Samples::Int16(&int16), Some(Encoding::Steim2), DType::Int32, bytes(&widened)),
        (Samples::Float32(&float32), None, DType::Float32, float32.iter().flat_map(|v| v.to_ne_bytes()).collect()),
        (Samples::Float64(&float64), None, DType::Float64, float64.iter().flat_map(|v| v.to_ne_bytes()).collect()),
        (Samples::Text(b"a line of text\r\n"), None, DType::Char, b"a line of text\r\n".to_vec()),
    ];
    for version in [Version::Two, Version::Three] {
        for record_length in [256, 512, 4096, 1 << 20] {
            for (samples, encoding, dtype, want) in &cases {
                let options = WriteOptions { version, encoding: *encoding, record_length, publication_version: 2 };
                let records = write(&path, options, &[spec(*samples, 40.0)]).unwrap();
                let what = format!("{version:?} {record_length} {encoding:?}");
                let (meta, header) = bench.open(&path);
                let variable = header.find("XX.ABC.00.BHZ").unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(variable.dtype, *dtype, "{what}");
                assert!(bench.all(&meta, variable) == *want, "{what}");
                assert_eq!(header.attrs["number_of_records"].number(), Some(records as f64), "{what}");
                assert_eq!(header.attrs["number_of_segments"].number(), Some(1.0), "{what}");
                assert_eq!(header.attrs["starttime"].text(), Some("2021-03-04T05:06:07.891234000Z"), "{what}");
                assert!(!variable.attrs.contains_key("largest_time_error_seconds"), "{what}");
            }
        }
    }
}

#[test]
fn rates_and_moments_come_back() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mseed");
    let samples = walk(3000, 8);
    for (version, tolerance) in [(Version::Two, 1e-7), (Version::Three, 0.0)] {
        for rate in [1.0, 20.0, 0.1, 1.0 / 3.0, 12.5, 19.9975, 4_244.770_442_814_452_5, 100_000.0] {
            let options = WriteOptions { version, record_length: 512, ..WriteOptions::default() };
            write(&path, options, &[spec(Samples::Int32(&samples), rate)]).unwrap();
            let (meta, header) = bench.open(&path);
            let got = header.variables[0].attrs["sampling_rate_hz"].number().unwrap();
            assert!((got / rate - 1.0).abs() <= tolerance, "{version:?} {rate}: {got}");
            assert_eq!(header.variables[0].grid.shape, [3000], "{version:?} {rate}");
            assert_eq!(bench.all(&meta, &header.variables[0]).len(), 12_000);
        }
    }
    let options = WriteOptions { version: Version::Three, ..WriteOptions::default() };
    let early = SegmentSpec { start_ns: -1, source: "FDSN:XX_ABC__L_H_Z".into(), ..spec(Samples::Int32(&[7]), 1.0) };
    write(&path, options, &[early]).unwrap();
    let (_, header) = bench.open(&path);
    assert_eq!(header.find("XX.ABC..LHZ").unwrap().attrs["starttime"].text(), Some("1969-12-31T23:59:59.999999999Z"));
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mseed");
    let fails = |options: WriteOptions, segment: SegmentSpec<'_>, want: &str| {
        let error = write(&path, options, &[segment]).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    };
    let two = WriteOptions::default();
    let wide = [0, i32::MAX, 0];
    fails(two, spec(Samples::Int32(&wide), 1.0), "sample 1 differs from the one before by more than 30 bits");
    fails(two, spec(Samples::Int32(&[1]), f64::NAN), "its rate is NaN");
    fails(two, spec(Samples::Int32(&[1]), -1.0), "its rate is -1");
    fails(two, SegmentSpec { source: "ABC".into(), ..spec(Samples::Int32(&[1]), 1.0) }, "its source is neither");
    fails(two, SegmentSpec { source: "XX.A/B..BHZ".into(), ..spec(Samples::Int32(&[1]), 1.0) }, "other characters");
    fails(two, SegmentSpec { source: "XX.TOOLONG..BHZ".into(), ..spec(Samples::Int32(&[1]), 1.0) }, "more than 5");
    fails(
        two,
        SegmentSpec { start_ns: i64::MAX, ..spec(Samples::Int32(&vec![1; 9000]), 1e-4) },
        "beyond the year 2262",
    );
    let steim = WriteOptions { encoding: Some(Encoding::Steim1), ..two };
    fails(steim, spec(Samples::Float32(&[1.0]), 1.0), "Steim stores whole numbers only");
    let int16 = WriteOptions { encoding: Some(Encoding::Int16), ..two };
    fails(int16, spec(Samples::Int32(&[1]), 1.0), "its samples cannot be stored as int16");
    for record_length in [0, 64, 1000, 1 << 21] {
        fails(WriteOptions { record_length, ..two }, spec(Samples::Int32(&[1]), 1.0), "records cannot have");
    }
}
