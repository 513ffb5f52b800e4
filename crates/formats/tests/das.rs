//! Layouts of DAS vendors: names of dimensions, coordinates, and what the attributes say (`tests/fixtures/make_das.py`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use crate::common::Bench;
use outcrop_formats::{AttrValue, DType, FileMeta};
use outcrop_store::ObjectMeta;

const START_S: f64 = 1_704_164_645.5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/das_{name}.h5"))
}

fn numbers(bench: &Bench, meta: &ObjectMeta, header: &FileMeta, name: &str) -> Vec<f64> {
    let variable = header.find(name).unwrap();
    let raw = bench.all(meta, variable);
    let eight = raw.as_chunks::<8>().0;
    match variable.dtype {
        DType::Int64 | DType::UInt64 => eight.iter().map(|b| i64::from_ne_bytes(*b) as f64).collect(),
        DType::Float64 => eight.iter().map(|b| f64::from_ne_bytes(*b)).collect(),
        DType::Float32 => raw.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_ne_bytes(*b))).collect(),
        other => panic!("{name} has type {other:?}"),
    }
}

/// Seconds since 1970 by the unit of a coordinate.
fn seconds(bench: &Bench, meta: &ObjectMeta, header: &FileMeta, name: &str) -> Vec<f64> {
    let units = header.find(name).unwrap().attrs["units"].text().unwrap().to_owned();
    let per_second = match units.split_whitespace().next().unwrap() {
        "nanoseconds" => 1e9,
        "microseconds" => 1e6,
        "seconds" => 1.0,
        other => panic!("{other}"),
    };
    assert!(units.ends_with(" since 1970-01-01"), "{units}");
    numbers(bench, meta, header, name).iter().map(|value| value / per_second).collect()
}

fn close(got: &[f64], want: impl Iterator<Item = f64>) {
    let want: Vec<f64> = want.collect();
    assert_eq!(outcrop_testkit::difference(got, &want, 0.0, 1e-6), None, "{got:?}");
}

#[test]
fn vendors_name_their_axes() {
    let bench = Bench::new();
    for (file, data, dims) in [
        ("prodml", "Acquisition/Raw[0]/RawData", ["distance", "time"]),
        ("prodml_text", "Acquisition/Raw[0]/RawData", ["time", "distance"]),
        ("prodml_lengths", "Acquisition/Raw[0]/RawData", ["distance", "time"]),
        ("prodml_no_times", "Acquisition/Raw[0]/RawData", ["distance", "time"]),
        ("terra15", "data_product/data", ["time", "distance"]),
        ("optodas", "data", ["time", "distance"]),
        ("silixa", "Acoustic", ["time", "distance"]),
        ("neubrex", "Acoustic", ["time", "distance"]),
        ("ap_sensing", "DAS", ["time", "distance"]),
        ("plain", "raw", ["distance", "time"]),
    ] {
        let (meta, header) = bench.open(&fixture(file));
        let variable = header.find(data).unwrap();
        assert_eq!(variable.dims, dims, "{file}");
        close(&seconds(&bench, &meta, &header, "time"), (0..6).map(|i| START_S + 0.005 * f64::from(i)));
        close(&numbers(&bench, &meta, &header, "distance"), (0..4).map(|i| 10.0 + 2.0 * f64::from(i)));
        assert_eq!(variable.attrs["starttime"].text(), Some("2024-01-02T03:04:05.500000000Z"), "{file}");
        // Float seconds hold a moment to less than a microsecond.
        let end = variable.attrs["endtime"].text().unwrap();
        assert!(end.contains("03:04:05.525000000") || end.contains("03:04:05.5249999"), "{file}: {end}");
        if file != "plain" {
            assert_eq!(variable.attrs["gauge_length"].number(), Some(8.0), "{file}");
        }
    }
}

#[test]
fn other_arrays_of_a_file_have_dimensions_of_their_group() {
    let bench = Bench::new();
    let (meta, header) = bench.open(&fixture("prodml"));
    let second = header.find("Acquisition/Raw[1]/RawData").unwrap();
    assert_eq!(second.dims, ["Acquisition/Raw[1]/distance", "Acquisition/Raw[1]/time"]);
    close(&numbers(&bench, &meta, &header, "Acquisition/Raw[1]/distance"), [12.0, 14.0, 16.0, 18.0].into_iter());
    assert!(!header.dims.keys().any(|name| name.starts_with("phony")), "{:?}", header.dims);
}

#[test]
fn a_square_array_without_names_is_left_undecided() {
    let bench = Bench::new();
    let (_, header) = bench.open(&fixture("prodml_square"));
    let variable = header.find("Acquisition/Raw[0]/RawData").unwrap();
    assert!(variable.dims.iter().all(|dim| dim.starts_with("phony_dim")), "{:?}", variable.dims);
    let why = variable.attrs["das_axes_unknown"].text().unwrap();
    assert!(why.contains("there is no attribute `Dimensions`"), "{why}");
}

#[test]
fn a_gap_in_time_is_reported() {
    let bench = Bench::new();
    let (_, header) = bench.open(&fixture("prodml_gap"));
    let attrs = &header.find("time").unwrap().attrs;
    assert_eq!(attrs["irregular_steps"], AttrValue::Int(vec![1]));
    assert_eq!(attrs["first_irregular_step_after_position"], AttrValue::Int(vec![2]));
    let (_, header) = bench.open(&fixture("prodml"));
    assert!(!header.find("time").unwrap().attrs.contains_key("irregular_steps"));
}

const FEBUS: &str = "fa1-1/Source1/Zone1/StrainRate";

#[test]
fn blocks_of_febus_say_what_overlaps() {
    let bench = Bench::new();
    let (meta, header) = bench.open(&fixture("febus"));
    let variable = header.find(&format!("{FEBUS}.blocks")).unwrap();
    let group = |name: &str| format!("fa1-1/Source1/Zone1/{name}");
    assert_eq!(variable.dims, [group("block"), group("time_in_block"), "distance".to_owned()]);
    close(&numbers(&bench, &meta, &header, &group("time_in_block")), (0..6).map(|i| -0.015 + 0.005 * f64::from(i)));
    close(&numbers(&bench, &meta, &header, "distance"), (0..4).map(|i| 10.0 + 2.0 * f64::from(i)));
    assert_eq!(variable.attrs["overlap_samples_before"].number(), Some(1.0));
    assert_eq!(variable.attrs["overlap_samples_after"].number(), Some(1.0));
    assert_eq!(variable.attrs["blocks_of"].text(), Some(FEBUS));
}

/// Steps since the start of the samples `100 * step + place` that an array must have.
fn is_stitched(name: &str, steps: &[i32]) {
    let bench = Bench::new();
    let (meta, header) = bench.open(&fixture(name));
    let variable = header.find(FEBUS).unwrap();
    assert_eq!(variable.dims, ["time", "distance"]);
    let want = steps.iter().flat_map(|step| (0..4).map(move |place| f64::from(100 * step + place)));
    assert_eq!(numbers(&bench, &meta, &header, FEBUS), want.collect::<Vec<_>>());
    close(&seconds(&bench, &meta, &header, "time"), steps.iter().map(|step| START_S + 0.005 * f64::from(*step)));
    close(&numbers(&bench, &meta, &header, "distance"), (0..4).map(|i| 10.0 + 2.0 * f64::from(i)));
    assert_eq!(variable.attrs["starttime"].text(), Some("2024-01-02T03:04:05.500000000Z"));
    assert_eq!(variable.attrs["blocks"].text(), Some("fa1-1/Source1/Zone1/StrainRate.blocks"));
    let blocks = header.find("fa1-1/Source1/Zone1/StrainRate.blocks").unwrap();
    assert_eq!(numbers(&bench, &meta, &header, &blocks.name).len() as u64, blocks.elements().unwrap());
}

#[test]
fn blocks_of_febus_are_one_array_along_time() {
    is_stitched("febus_chunks", &(0..20).collect::<Vec<_>>());
    let (_, header) = Bench::new().open(&fixture("febus_chunks"));
    assert!(!header.find("time").unwrap().attrs.contains_key("irregular_steps"));
    assert_eq!(header.find(FEBUS).unwrap().grid.chunk, [8, 3]);
}

#[test]
fn a_gap_between_blocks_of_febus_is_told() {
    is_stitched("febus_gap", &[0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19]);
    let (_, header) = Bench::new().open(&fixture("febus_gap"));
    let attrs = &header.find("time").unwrap().attrs;
    assert_eq!(attrs["irregular_steps"].number(), Some(1.0));
    assert_eq!(attrs["first_irregular_step_after_position"].number(), Some(7.0));
    let end = header.find(FEBUS).unwrap().attrs["endtime"].text();
    assert_eq!(end, Some("2024-01-02T03:04:05.595000000Z"));
}

#[test]
fn blocks_of_febus_that_cannot_be_cut_say_why() {
    for (name, why) in [
        ("febus_split", "its chunks hold 5 of the 7 samples of a block"),
        ("febus_apart", "blocks of 7 samples are 0.05 s from each other, 10 samples"),
    ] {
        let (_, header) = Bench::new().open(&fixture(name));
        let variable = header.find(FEBUS).unwrap();
        assert_eq!(variable.dims, ["block", "time_in_block", "distance"]);
        assert_eq!(variable.attrs["das_not_stitched"].text(), Some(why));
    }
}

#[test]
fn real_files_have_their_axes() {
    let bench = Bench::new();
    let group = "waveforms/DAS________2022_06_04T15_27_44_800325476__2022_06_04T15_27_45_249830870/data";
    for (file, data, dims, start, end) in [
        (
            "real/das/gdr_1.h5",
            "DasRawData/RawData",
            ["time", "distance"],
            "2016-03-08T17:40:30.195",
            "2016-03-08T17:40:40.194",
        ),
        (
            "real/das/iDAS005_hdf5_example.626.h5",
            "Acquisition/Raw[0]/RawData",
            ["time", "distance"],
            "2019-05-31T08:38:50.626928",
            "2019-05-31T08:38:51.625928",
        ),
        (
            "real/das/deformation_rate_event_1.hdf5",
            group,
            ["time", "distance"],
            "2022-06-04T15:27:44.800325476",
            "2022-06-04T15:27:45.249830870",
        ),
        (
            "golden/a_das/chain_0.h5",
            "Acquisition/Raw[0]/RawData",
            ["distance", "time"],
            "2022-10-25T18:37:56",
            "2022-10-25T18:38:03.495",
        ),
    ] {
        let Some(path) = outcrop_testkit::shared_data(file) else { return };
        let (_, header) = bench.open(&path);
        let variable = header.find(data).unwrap();
        assert_eq!(variable.dims, dims, "{file}");
        assert!(variable.attrs["starttime"].text().unwrap().starts_with(start), "{file}: {:?}", variable.attrs);
        assert!(variable.attrs["endtime"].text().unwrap().starts_with(end), "{file}: {:?}", variable.attrs);
        assert!(!header.find("time").unwrap().attrs.contains_key("irregular_steps"), "{file}");
    }
    let Some(path) = outcrop_testkit::shared_data("real/das/iDAS005_hdf5_example.626.h5") else { return };
    let (meta, header) = bench.open(&path);
    let distance = numbers(&bench, &meta, &header, "distance");
    close(&distance[..1], std::iter::once(-118.0 * 1.020_951_986_313_266_2));
}

#[test]
fn blocks_of_febus_are_converted_as_one_array() {
    use outcrop_formats::convert::{ConvertOptions, Part, Target, convert};
    use outcrop_formats::{Opened, kerchunk};
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let href = outcrop_store::Href::from_path(&fixture("febus_gap"));
    let opened = bench.store.wait(Opened::open(&bench.store, &href)).unwrap();
    let options = ConvertOptions {
        target: Target::NetCdf4 { deflate: None },
        policy: outcrop_formats::cf::Policy::Raw,
        chunks: Vec::new(),
        threads: 1,
        memory: 1 << 20,
        progress: outcrop_store::progress::Sink::default(),
    };
    let path = dir.path().join("a.nc");
    let part = Part { variables: Vec::new(), windows: vec![("time".into(), 6..16)], turns: Vec::new() };
    let done = convert(&opened, &part, &path, &options, &|| false).unwrap();
    assert_eq!((done.variables.join(" ").as_str(), done.left_out), ("StrainRate time distance", vec![]));
    let (meta, header) = bench.open(&path);
    let steps = [6, 7, 12, 13, 14, 15, 16, 17, 18, 19];
    close(&seconds(&bench, &meta, &header, "time"), steps.iter().map(|step| START_S + 0.005 * f64::from(*step)));
    let want = steps.iter().flat_map(|step| (0..4).map(move |place| f64::from(100 * step + place)));
    assert_eq!(numbers(&bench, &meta, &header, "StrainRate"), want.collect::<Vec<_>>());
    // Zarr has no codec that keeps some rows, so that kerchunk gets the blocks.
    let refs = ["", ".blocks"].map(|end| opened.meta.find(&format!("{FEBUS}{end}")).unwrap());
    let located = refs.map(|variable| (variable, bench.store.wait(opened.locate(variable)).unwrap()));
    let located = located.each_ref().map(|(variable, refs)| (*variable, refs));
    let (_, left_out) = kerchunk::export(&opened.meta, &located, &href);
    assert_eq!(left_out.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [FEBUS]);
}
