//! Zarr arrays of all types, shards and codecs that are written here are read here; `tests/python/test_formats.py` has
//! others judge them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use outcrop_formats::zarr::{ArraySpec, BloscCodec, BloscShuffle, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{Attrs, DType, Opened};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::Random;

const TYPES: [DType; 13] = [
    DType::Int8,
    DType::Int16,
    DType::Int32,
    DType::Int64,
    DType::UInt8,
    DType::UInt16,
    DType::UInt32,
    DType::UInt64,
    DType::Float16,
    DType::Float32,
    DType::Float64,
    DType::Complex64,
    DType::Complex128,
];

fn compression(random: &mut Random) -> ZarrCompression {
    let codec = random.of(&[BloscCodec::Lz4, BloscCodec::Lz4Hc, BloscCodec::Zlib, BloscCodec::Zstd]);
    let shuffle = random.of(&[BloscShuffle::None, BloscShuffle::Byte, BloscShuffle::Bit]);
    random.of(&[
        ZarrCompression::Default,
        ZarrCompression::None,
        ZarrCompression::Zstd { level: 3 },
        ZarrCompression::Gzip { level: 4 },
        ZarrCompression::Blosc { codec, level: 5, shuffle },
    ])
}

fn random_spec(random: &mut Random, name: String, format: ZarrFormat) -> ArraySpec {
    let rank = random.below(4);
    let shape: Vec<u64> = (0..rank).map(|_| 1 + random.below(6)).collect();
    let chunk: Vec<u64> = shape.iter().map(|n| 1 + random.below(n + 1)).collect();
    let sharded = format == ZarrFormat::V3 && rank > 0 && random.below(2) == 0;
    let shard = sharded.then(|| chunk.iter().map(|n| n * (1 + random.below(3))).collect());
    let dtype = random.of(&TYPES);
    let integer = !dtype.name().starts_with("float") && !dtype.name().starts_with("complex");
    let fill = match random.below(2) {
        0 if integer => Some(random.bytes(dtype.size())),
        0 if dtype == DType::Float32 => Some((-9999.9f32).to_ne_bytes().to_vec()),
        0 if dtype == DType::Complex128 => Some([1.5f64, f64::INFINITY].iter().flat_map(|v| v.to_ne_bytes()).collect()),
        _ => None,
    };
    ArraySpec {
        name,
        dims: (0..rank).map(|axis| format!("d{axis}")).collect(),
        shape,
        chunk,
        shard,
        dtype: Element::Number(dtype),
        compression: compression(random),
        fill,
        attrs: Attrs::new(),
    }
}

fn default_fill(dtype: DType) -> Vec<u8> {
    match dtype {
        DType::Float16 => 0x7e00u16.to_ne_bytes().to_vec(),
        DType::Float32 => f32::NAN.to_ne_bytes().to_vec(),
        DType::Float64 => f64::NAN.to_ne_bytes().to_vec(),
        other => vec![0; other.size()],
    }
}

/// Writes random units, leaves some out and gives some fill value; the answer is what must be read.
fn write(random: &mut Random, writer: &GroupWriter, spec: &ArraySpec) -> Vec<u8> {
    let place = |n: u64| usize::try_from(n).unwrap();
    let Element::Number(dtype) = spec.dtype else { return Vec::new() };
    let fill = spec.fill.clone().unwrap_or(default_fill(dtype));
    let (size, unit) = (fill.len(), writer.unit(&spec.name).unwrap());
    let mut want = fill.repeat(place(spec.shape.iter().product()));
    let counts: Vec<u64> = spec.shape.iter().zip(unit).map(|(n, c)| n.div_ceil(*c)).collect();
    for linear in 0..counts.iter().product::<u64>() {
        let mut rest = linear;
        let mut index = vec![0; counts.len()];
        for axis in (0..counts.len()).rev() {
            index[axis] = rest % counts[axis];
            rest /= counts[axis];
        }
        let elements = place(unit.iter().product());
        let raw = match random.below(4) {
            0 => continue,
            1 => fill.repeat(elements),
            _ => random.bytes(elements * size),
        };
        for at in 0..elements as u64 {
            let (mut rest, mut whole, mut stride, mut inside) = (at, 0, 1, true);
            for axis in (0..counts.len()).rev() {
                let position = index[axis] * unit[axis] + rest % unit[axis];
                rest /= unit[axis];
                inside &= position < spec.shape[axis];
                whole += position * stride;
                stride *= spec.shape[axis];
            }
            if inside {
                let (to, from) = (place(whole) * size, place(at) * size);
                want[to..to + size].copy_from_slice(&raw[from..from + size]);
            }
        }
        writer.write_chunk_bytes(&spec.name, &index, &raw).unwrap();
    }
    want
}

#[test]
fn whatever_is_written_is_read() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    for seed in 0..60u64 {
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a.zarr");
        let format = random.of(&[ZarrFormat::V2, ZarrFormat::V3]);
        let group = random.of(&["", "a/b"]);
        let mut writer = GroupWriter::create(&root, group, format, &Attrs::new()).unwrap();
        let specs: Vec<ArraySpec> = (0..6).map(|n| random_spec(&mut random, format!("v{n}"), format)).collect();
        for spec in &specs {
            writer.add_array(spec).unwrap();
        }
        let wants: Vec<Vec<u8>> = specs.iter().map(|spec| write(&mut random, &writer, spec)).collect();
        writer.finish().unwrap();
        let opened = runtime.block_on(Opened::open(&store, &Href::from_path(&root.join(group)))).unwrap();
        for (spec, want) in specs.iter().zip(&wants) {
            let variable = opened.meta.find(&spec.name).unwrap();
            let refs = runtime.block_on(opened.locate(variable)).unwrap();
            let window: Vec<_> = spec.shape.iter().map(|n| 0..*n).collect();
            let got = runtime.block_on(opened.read(&refs, &window)).unwrap();
            assert!(got == *want, "seed {seed} {format}: {spec:?}");
        }
    }
}

fn plain(name: &str) -> ArraySpec {
    ArraySpec {
        name: name.to_owned(),
        dims: vec!["x".to_owned()],
        shape: vec![5],
        chunk: vec![2],
        shard: None,
        dtype: Element::Number(DType::UInt8),
        compression: ZarrCompression::Default,
        fill: None,
        attrs: Attrs::new(),
    }
}

#[test]
fn chunks_of_fill_value_are_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a.zarr");
    let mut writer = GroupWriter::create(&root, "", ZarrFormat::V3, &Attrs::new()).unwrap();
    writer.add_array(&plain("v")).unwrap();
    writer.write_chunk("v", &[0], &[0u8, 0]).unwrap();
    writer.write_chunk("v", &[1], &[0u8, 1]).unwrap();
    // The byte beyond the shape is not looked at.
    writer.write_chunk_bytes("v", &[2], &[0, 9]).unwrap();
    writer.finish().unwrap();
    let stored = |name: &str| root.join("v/c").join(name).exists();
    assert_eq!([stored("0"), stored("1"), stored("2")], [false, true, false]);
}

#[test]
fn a_store_takes_the_place_of_a_store_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a.zarr");
    let make = |root: &Path, name: &str| {
        let mut writer = GroupWriter::create(root, "", ZarrFormat::V2, &Attrs::new()).unwrap();
        writer.add_array(&plain(name)).unwrap();
        writer.write_chunk(name, &[0], &[7u8, 8]).unwrap();
        writer
    };
    drop(make(&root, "old"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a dropped writer leaves nothing");
    make(&root, "old").finish().unwrap();
    drop(make(&root, "new"));
    assert!(root.join("old/0").exists());
    make(&root, "new").finish().unwrap();
    assert!(root.join("new/0").exists() && !root.join("old").exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let other = dir.path().join("photos");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("a.jpg"), "").unwrap();
    let error = GroupWriter::create(&other, "", ZarrFormat::V3, &Attrs::new()).unwrap_err().to_string();
    assert!(error.contains("no Zarr store"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (format, spec, what) in [
        (ZarrFormat::V2, ArraySpec { shard: Some(vec![4]), ..plain("v") }, "no shards"),
        (ZarrFormat::V3, ArraySpec { shard: Some(vec![3]), ..plain("v") }, "no multiple"),
        (ZarrFormat::V3, ArraySpec { fill: Some(vec![0; 2]), ..plain("v") }, "2 bytes"),
        (ZarrFormat::V3, ArraySpec { compression: ZarrCompression::Gzip { level: 10 }, ..plain("v") }, "no level"),
        (ZarrFormat::V3, ArraySpec { dtype: Element::Number(DType::Char), ..plain("v") }, "cannot be written"),
        (
            ZarrFormat::V2,
            ArraySpec {
                dtype: Element::Number(DType::Float32),
                fill: Some(0x7fc0_0001u32.to_ne_bytes().to_vec()),
                ..plain("v")
            },
            "exactly",
        ),
    ] {
        let mut writer = GroupWriter::create(&dir.path().join("a.zarr"), "g", format, &Attrs::new()).unwrap();
        let error = writer.add_array(&spec).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
