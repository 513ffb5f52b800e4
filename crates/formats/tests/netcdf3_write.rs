//! NetCDF-3 files that are written here are read here; `tests/python/test_formats.py` has others judge them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::Bench;
use outcrop_formats::netcdf3::{VariableSpec, Version, Writer};
use outcrop_formats::{AttrValue, Attrs, DType, Format, IntType};
use outcrop_testkit::Random;

const OLD: [DType; 6] = [DType::Int8, DType::Char, DType::Int16, DType::Int32, DType::Float32, DType::Float64];
const NEW: [DType; 5] = [DType::UInt8, DType::UInt16, DType::UInt32, DType::Int64, DType::UInt64];

fn spec(name: &str, dims: &[&str], dtype: DType, chunk: &[u64]) -> VariableSpec {
    VariableSpec {
        name: name.into(),
        dims: dims.iter().map(|d| (*d).to_owned()).collect(),
        dtype,
        chunk: chunk.to_vec(),
        fill: None,
        attrs: Attrs::new(),
    }
}

fn place(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

/// Copies between a whole array and one of its chunks what lies within both.
fn exchange(shape: &[u64], chunk: &[u64], index: &[u64], size: usize, mut copy: impl FnMut(usize, usize)) {
    for at in 0..chunk.iter().product::<u64>() {
        let (mut rest, mut whole, mut stride, mut inside) = (at, 0, 1, true);
        for axis in (0..shape.len()).rev() {
            let position = index[axis] * chunk[axis] + rest % chunk[axis];
            rest /= chunk[axis];
            inside &= position < shape[axis];
            whole += position * stride;
            stride *= shape[axis];
        }
        if inside {
            copy(place(whole) * size, place(at) * size);
        }
    }
}

/// A variable with what it must read as.
struct Made {
    spec: VariableSpec,
    shape: Vec<u64>,
    want: Vec<u8>,
}

fn random_variable(random: &mut Random, number: u64, dims: &[(String, u64)], types: &[DType]) -> Made {
    let rank = random.below(dims.len() as u64 + 1);
    // The unlimited dimension comes first or not at all.
    let first = random.below(2);
    let chosen: Vec<&(String, u64)> = dims.iter().skip(place(first)).take(place(rank)).collect();
    let shape: Vec<u64> = chosen.iter().map(|(_, len)| *len).collect();
    let chunk: Vec<u64> = shape.iter().map(|len| 1 + random.below(len + 2)).collect();
    let dtype = random.of(types);
    let names: Vec<&str> = chosen.iter().map(|(name, _)| name.as_str()).collect();
    let mut spec = spec(&format!("v{number}"), &names, dtype, &chunk);
    spec.fill = (random.below(2) == 0).then(|| random.bytes(dtype.size()));
    if dtype == DType::Char {
        spec.fill = spec.fill.map(|_| vec![b'x']);
    }
    Made { spec, shape, want: Vec::new() }
}

fn write(random: &mut Random, writer: &Writer, made: &mut Made, default: &[u8]) {
    let Made { spec, shape, want } = made;
    let (size, fill) = (spec.dtype.size(), spec.fill.clone().unwrap_or(default.to_vec()));
    *want = fill.repeat(place(shape.iter().product()));
    let counts: Vec<u64> = shape.iter().zip(&spec.chunk).map(|(n, c)| n.div_ceil(*c)).collect();
    for linear in (0..counts.iter().product::<u64>()).rev() {
        let mut index = vec![0; counts.len()];
        let mut rest = linear;
        for (at, count) in index.iter_mut().zip(&counts).rev() {
            *at = rest % count;
            rest /= count;
        }
        if random.below(4) > 0 {
            let raw = random.bytes(place(spec.chunk.iter().product()) * size);
            exchange(shape, &spec.chunk, &index, size, |whole, part| {
                want[whole..whole + size].copy_from_slice(&raw[part..part + size]);
            });
            writer.write_chunk(&spec.name, &index, &raw).unwrap();
        }
    }
}

#[test]
fn whatever_is_written_is_read() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..300u64 {
        let mut random = Random::new(seed);
        let path = dir.path().join("a.nc");
        let version = random.of(&[Some(Version::Classic), Some(Version::Offset64), Some(Version::Data64), None]);
        let types: Vec<DType> = match version {
            Some(Version::Data64) | None => OLD.iter().chain(&NEW).copied().collect(),
            _ => OLD.to_vec(),
        };
        let mut writer = Writer::create(&path, &Attrs::new(), version).unwrap();
        let records = random.below(5);
        let dims: Vec<(String, u64)> = [records, 1 + random.below(4), 1 + random.below(5), 1 + random.below(3)]
            .into_iter()
            .enumerate()
            .map(|(i, n)| (format!("d{i}"), n))
            .collect();
        writer.add_unlimited_dim("d0", records).unwrap();
        dims[1..].iter().for_each(|(name, len)| writer.add_dim(name, *len).unwrap());
        let mut made: Vec<Made> =
            (0..random.below(6)).map(|n| random_variable(&mut random, n, &dims, &types)).collect();
        for made in &made {
            writer.add_variable(&made.spec).unwrap();
        }
        for made in &mut made {
            write(&mut random, &writer, made, &default(made.spec.dtype));
        }
        writer.finish().unwrap();
        let (meta, header) = bench.open(&path);
        assert_eq!(header.dims["d0"].len, records);
        for Made { spec, shape, want } in &made {
            let variable = header.find(&spec.name).unwrap();
            assert_eq!((variable.dtype, &variable.grid.shape), (spec.dtype, shape), "seed {seed}");
            assert!(bench.all(&meta, variable) == *want, "seed {seed}: {spec:?}");
            if let Some(fill) = &spec.fill {
                assert!(variable.dtype == DType::Char || variable.fill == *fill || fill_is_nan(fill), "seed {seed}");
            }
        }
    }
}

/// The payload of a NaN may get lost on the way through an attribute.
fn fill_is_nan(fill: &[u8]) -> bool {
    match fill.len() {
        4 => f32::from_ne_bytes(*fill.first_chunk().unwrap()).is_nan(),
        8 => f64::from_ne_bytes(*fill.first_chunk().unwrap()).is_nan(),
        _ => false,
    }
}

/// netcdf.h, `NC_FILL_*`.
fn default(dtype: DType) -> Vec<u8> {
    match dtype {
        DType::Int8 => (-127i8).to_ne_bytes().to_vec(),
        DType::UInt8 => vec![255],
        DType::Int16 => (-32767i16).to_ne_bytes().to_vec(),
        DType::UInt16 => 65535u16.to_ne_bytes().to_vec(),
        DType::Int32 => (-2_147_483_647i32).to_ne_bytes().to_vec(),
        DType::UInt32 => 4_294_967_295u32.to_ne_bytes().to_vec(),
        DType::Int64 => (-9_223_372_036_854_775_806i64).to_ne_bytes().to_vec(),
        DType::UInt64 => 18_446_744_073_709_551_614u64.to_ne_bytes().to_vec(),
        DType::Float32 => 9.969_21e36f32.to_ne_bytes().to_vec(),
        DType::Float64 => 9.969_209_968_386_869e36f64.to_ne_bytes().to_vec(),
        _ => vec![0],
    }
}

fn version_of(path: &std::path::Path) -> u8 {
    use std::io::Read;
    let mut head = [0; 4];
    std::fs::File::open(path).unwrap().read_exact(&mut head).unwrap();
    head[3]
}

#[test]
fn the_oldest_version_that_fits_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    let attr = |value| Attrs::from_iter([("a".to_owned(), value)]);
    for (attrs, dtype, want) in [
        (Attrs::new(), DType::Int16, 1),
        (attr(AttrValue::Int(vec![7])), DType::Float64, 1),
        (attr(AttrValue::Int(vec![1 << 40])), DType::Float64, 5),
        (attr(AttrValue::UInt(vec![7])), DType::Float64, 5),
        (attr(AttrValue::Typed(IntType::Int64, vec![7])), DType::Float64, 1),
        (attr(AttrValue::Typed(IntType::Int64, vec![1 << 40])), DType::Float64, 5),
        (Attrs::new(), DType::UInt8, 5),
    ] {
        let mut writer = Writer::create(&path, &attrs, None).unwrap();
        writer.add_variable(&spec("v", &[], dtype, &[])).unwrap();
        writer.finish().unwrap();
        assert_eq!(version_of(&path), want, "{attrs:?} {dtype:?}");
    }
}

#[test]
fn large_files_get_versions_that_count_so_far() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    let bench = Bench::new();
    for (len, want) in [(1_200_000_000, 2), (4_400_000_000, 5)] {
        let make = |version| {
            let mut writer = Writer::create(&path, &Attrs::new(), version).unwrap();
            writer.add_dim("x", len).unwrap();
            // Text that is never written is zeros, of which the file has no blocks.
            writer.add_variable(&spec("a", &["x"], DType::Char, &[1 << 24])).unwrap();
            writer.add_variable(&spec("b", &["x"], DType::Char, &[1 << 24])).unwrap();
            writer.add_variable(&spec("c", &[], DType::Int32, &[])).unwrap();
            writer
        };
        let error = make(Some(Version::Classic)).finish().unwrap_err().to_string();
        assert!(error.contains("CDF-1") && error.contains("choose"), "{error}");
        let writer = make(None);
        writer.write_chunk("c", &[], &(-5i32).to_ne_bytes()).unwrap();
        writer.finish().unwrap();
        assert_eq!(version_of(&path), want);
        let (meta, header) = bench.open(&path);
        assert_eq!(bench.all(&meta, header.find("c").unwrap()), (-5i32).to_ne_bytes());
    }
}

#[test]
fn threads_write_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/a.nc");
    let mut writer = Writer::create(&path, &Attrs::new(), None).unwrap();
    writer.add_unlimited_dim("time", 200).unwrap();
    writer.add_dim("x", 11).unwrap();
    writer.add_variable(&spec("v", &["time", "x"], DType::Int16, &[1, 4])).unwrap();
    writer.add_variable(&spec("w", &["time", "x"], DType::Int16, &[8, 11])).unwrap();
    let value = |t: u64, x: u64| i16::try_from(t * 11 + x).unwrap().to_ne_bytes();
    std::thread::scope(|scope| {
        for part in 0..4u64 {
            let writer = &writer;
            scope.spawn(move || {
                for (t, i) in (0..200).filter(|t| t % 4 == part).flat_map(|t| (0..3).map(move |i| (t, i))) {
                    let raw: Vec<u8> = (i * 4..i * 4 + 4).flat_map(|x| value(t, x)).collect();
                    writer.write_chunk("v", &[t, i], &raw).unwrap();
                }
            });
        }
    });
    assert!(!path.exists(), "it appears when it is finished");
    writer.finish().unwrap();
    let bench = Bench::new();
    let (meta, header) = bench.open(&path);
    assert_eq!(header.format, Format::NetCdf3);
    assert!(header.dims["time"].unlimited);
    let want: Vec<u8> = (0..200).flat_map(|t| (0..11).flat_map(move |x| value(t, x))).collect();
    assert!(bench.all(&meta, header.find("v").unwrap()) == want);
    assert!(bench.all(&meta, header.find("w").unwrap()) == (-32767i16).to_ne_bytes().repeat(2200));
}

#[test]
fn attributes_have_the_type_that_they_must_have() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    let text = |text: &str| AttrValue::Text(text.to_owned());
    let file = Attrs::from_iter([("title".to_owned(), text("größe")), ("empty".to_owned(), text(""))]);
    let mut writer = Writer::create(&path, &file, None).unwrap();
    let mut packed = spec("v", &[], DType::Int16, &[]);
    packed.attrs = Attrs::from_iter([
        ("_FillValue".to_owned(), AttrValue::Float64(vec![-9.0])),
        ("valid_range".to_owned(), AttrValue::Int(vec![-5, 5])),
        ("valid_max".to_owned(), AttrValue::Float64(vec![2.5])),
        ("scale_factor".to_owned(), AttrValue::Float32(vec![0.5])),
    ]);
    writer.add_variable(&packed).unwrap();
    packed.name = "w".to_owned();
    packed.attrs["_FillValue"] = AttrValue::Float64(vec![-9.5]);
    let error = writer.add_variable(&packed).unwrap_err().to_string();
    assert!(error.contains("w:_FillValue"), "{error}");
    writer.finish().unwrap();
    let (_, header) = Bench::new().open(&path);
    assert_eq!(header.attrs, file);
    let v = header.find("v").unwrap();
    assert_eq!(v.fill, (-9i16).to_ne_bytes());
    assert_eq!(v.attrs["valid_range"], AttrValue::Typed(IntType::Int16, vec![-5, 5]));
    assert_eq!(v.attrs["valid_max"], AttrValue::Float64(vec![2.5]), "what the type does not hold stays as it is");
    assert_eq!(v.attrs["scale_factor"], AttrValue::Float32(vec![0.5]));
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    std::fs::write(&path, "old").unwrap();
    let mut writer = Writer::create(&path, &Attrs::new(), Some(Version::Offset64)).unwrap();
    writer.add_dim("x", 3).unwrap();
    writer.add_unlimited_dim("t", 3).unwrap();
    let says = |result: outcrop_formats::Result<()>, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    says(writer.add_unlimited_dim("u", 3), "unlimited already");
    says(writer.add_dim("x", 4), "taken");
    says(writer.add_dim("y", 0), "length 0");
    for name in ["a/b", "", "-a", "a ", "a\n"] {
        says(writer.add_dim(name, 4), "a name is");
    }
    says(writer.add_variable(&spec("v", &["y"], DType::Int8, &[1])), "no such dimension");
    says(writer.add_variable(&spec("v", &["x", "t"], DType::Int8, &[1, 1])), "not its first");
    says(writer.add_variable(&spec("v", &["x"], DType::Int8, &[0])), "does not fit");
    says(writer.add_variable(&spec("v", &["x"], DType::Float16, &[1])), "no type float16");
    let long = VariableSpec { fill: Some(vec![0; 2]), ..spec("v", &["x"], DType::Int8, &[1]) };
    says(writer.add_variable(&long), "one element");
    writer.add_variable(&spec("v", &["x"], DType::Float32, &[2])).unwrap();
    says(writer.write_chunk("w", &[0], &[0; 8]), "no such variable");
    says(writer.write_chunk("v", &[2], &[0; 8]), "not one of");
    says(writer.write_chunk("v", &[0], &[0; 7]), "are wanted");
    writer.write_chunk("v", &[0], &[0; 8]).unwrap();
    says(writer.add_variable(&spec("w", &["x"], DType::Int8, &[1])), "add it before");
    says(writer.write_chunk("v", &[0], &[0; 8]), "written twice");
    says(writer.finish(), "could not be written before");
    for (attrs, dtype, what) in [
        (Attrs::new(), DType::UInt16, "no type uint16; choose CDF-5"),
        (Attrs::from_iter([("a".to_owned(), AttrValue::Texts(vec!["b".into(), "c".into()]))]), DType::Int8, "file:a"),
    ] {
        let mut writer = Writer::create(&path, &attrs, Some(Version::Classic)).unwrap();
        writer.add_variable(&spec("v", &[], dtype, &[])).unwrap();
        says(writer.finish(), what);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn attributes_keep_their_types_where_the_version_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    let attr = |kind| (format!("{kind:?}"), AttrValue::Typed(kind, vec![7, 9]));
    let ints = [IntType::Int8, IntType::Int16, IntType::UInt8, IntType::UInt16, IntType::UInt32, IntType::Int64];
    let attrs: Attrs = ints.into_iter().map(attr).collect();
    for version in [Version::Classic, Version::Data64] {
        let mut writer = Writer::create(&path, &attrs, Some(version)).unwrap();
        writer.add_variable(&spec("v", &[], DType::Int16, &[])).unwrap();
        writer.finish().unwrap();
        let (_, header) = Bench::new().open(&path);
        for (at, (name, value)) in attrs.iter().enumerate() {
            let narrowed = AttrValue::Int(vec![7, 9]);
            let want = if version == Version::Classic && at > 1 { &narrowed } else { value };
            assert_eq!(&header.attrs[name], want, "{version}: {name}");
        }
    }
}
