//! NetCDF-4 files that are written here are read here; `tests/python/test_formats.py` has others judge them.

use crate::common::Bench;
use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{AttrValue, Attrs, DType, Format, IntType};

fn spec(name: &str, dims: &[&str], chunk: Option<&[u64]>) -> VariableSpec {
    VariableSpec {
        name: name.into(),
        dims: dims.iter().map(|d| (*d).to_owned()).collect(),
        dtype: DType::Float32,
        chunk: chunk.map(<[u64]>::to_vec),
        deflate: chunk.map(|_| 1),
        fill: Some((-9999f32).to_ne_bytes().to_vec()),
        attrs: Attrs::from_iter([("units".to_owned(), AttrValue::Text("K".into()))]),
    }
}

#[test]
fn what_is_written_from_many_threads_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/a.nc");
    let mut writer =
        Writer::create(&path, &Attrs::from_iter([("title".to_owned(), AttrValue::Text("t".into()))])).unwrap();
    writer.add_unlimited_dim("time", 200).unwrap();
    writer.add_dim("y", 9).unwrap();
    writer.add_dim("x", 11).unwrap();
    writer.add_variable(&spec("v", &["time", "y", "x"], Some(&[1, 2, 4]))).unwrap();
    writer.add_variable(&spec("flat", &["y", "x"], None)).unwrap();
    writer.add_variable(&spec("x", &["x"], None)).unwrap();
    let value = |t: u64, y: u64, x: u64| f32::from(u16::try_from((t * 99 + y * 11 + x) % 5000).unwrap());
    std::thread::scope(|scope| {
        for part in 0..4u64 {
            let writer = &writer;
            scope.spawn(move || {
                for t in (0..200).filter(|t| t % 4 == part) {
                    for (j, i) in (0..5).flat_map(|j| (0..3).map(move |i| (j, i))) {
                        let cells = (0..8u64).map(|cell| (j * 2 + cell / 4, i * 4 + cell % 4));
                        let raw: Vec<u8> = cells.flat_map(|(y, x)| value(t, y, x).to_ne_bytes()).collect();
                        writer.write_chunk("v", &[t, j, i], &raw).unwrap();
                    }
                }
            });
        }
    });
    let flat: Vec<u8> = (0..99u8).flat_map(|i| f32::from(i).to_ne_bytes()).collect();
    writer.write("flat", &flat).unwrap();
    assert!(!path.exists(), "it appears when it is finished");
    writer.finish().unwrap();

    let bench = Bench::new();
    let (meta, header) = bench.open(&path);
    assert_eq!(header.format, Format::NetCdf4);
    assert!(header.dims["time"].unlimited);
    let v = header.find("v").unwrap();
    assert_eq!(v.dims, ["time", "y", "x"]);
    assert_eq!(v.attrs["_FillValue"], AttrValue::Float32(vec![-9999.0]));
    let raw = bench.all(&meta, v);
    let got: Vec<f32> = raw.as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b)).collect();
    let want: Vec<f32> =
        (0..200).flat_map(|t| (0..9).flat_map(move |y| (0..11).map(move |x| value(t, y, x)))).collect();
    assert!(got == want);
    assert_eq!(bench.all(&meta, header.find("flat").unwrap()), flat);
    let x = bench.all(&meta, header.find("x").unwrap());
    assert_eq!(x, (-9999f32).to_ne_bytes().repeat(11), "what is never written is fill value");
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&dir.path().join("a.nc"), &Attrs::new()).unwrap();
    writer.add_dim("x", 3).unwrap();
    assert!(writer.add_dim("x", 4).is_err());
    assert!(writer.add_dim("a/b", 4).is_err());
    assert!(writer.add_variable(&spec("v", &["y"], None)).is_err());
    assert!(writer.add_variable(&spec("v", &["x"], Some(&[0]))).is_err());
    writer.add_variable(&spec("v", &["x"], Some(&[2]))).unwrap();
    assert!(writer.write_chunk("v", &[2], &[0; 8]).is_err());
    assert!(writer.write_chunk("v", &[0], &[0; 7]).is_err());
    writer.write_chunk("v", &[0], &[0; 8]).unwrap();
    writer.write_chunk("v", &[0], &[0; 8]).unwrap();
    assert!(writer.finish().unwrap_err().to_string().contains("written twice"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn attributes_keep_their_types() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    let ints = [IntType::Int8, IntType::UInt8, IntType::Int16, IntType::UInt16, IntType::UInt32, IntType::Int64];
    let typed = ints.map(|kind| (kind.dtype().name().into_owned(), AttrValue::Typed(kind, vec![7, 9])));
    let others = [
        ("int32", AttrValue::Int(vec![-7])),
        ("uint64", AttrValue::UInt(vec![u64::MAX])),
        ("float32", AttrValue::Float32(vec![0.1])),
        ("float64", AttrValue::Float64(vec![0.1])),
        ("large", AttrValue::Typed(IntType::Int64, vec![i64::MAX])),
    ];
    let attrs: Attrs = typed.into_iter().chain(others.map(|(name, value)| (name.to_owned(), value))).collect();
    let mut writer = Writer::create(&path, &attrs).unwrap();
    writer.add_dim("x", 4).unwrap();
    let (exact, chunk) = ((1i64 << 53) + 1, Some(&[2][..]));
    let own = Attrs::from_iter([
        ("_FillValue".to_owned(), AttrValue::Typed(IntType::Int64, vec![exact])),
        ("valid_max".to_owned(), AttrValue::Float64(vec![0.5])),
        ("missing_value".to_owned(), AttrValue::Int(vec![-5])),
    ]);
    writer
        .add_variable(&VariableSpec { dtype: DType::Int64, fill: None, attrs: own, ..spec("v", &["x"], chunk) })
        .unwrap();
    let wrong = VariableSpec { fill: Some(vec![0]), ..spec("w", &["x"], chunk) };
    assert!(writer.add_variable(&wrong).unwrap_err().to_string().contains("has 1 bytes, not 4"));
    writer.finish().unwrap();

    let bench = Bench::new();
    let (meta, header) = bench.open(&path);
    for (name, value) in &attrs {
        assert_eq!(&header.attrs[name], value, "{name}");
    }
    let v = header.find("v").unwrap();
    assert_eq!(v.attrs["_FillValue"], AttrValue::Typed(IntType::Int64, vec![exact]), "not by way of a float");
    assert_eq!(v.attrs["valid_max"], AttrValue::Float64(vec![0.5]), "what the type does not hold stays as it is");
    assert_eq!(v.attrs["missing_value"], AttrValue::Typed(IntType::Int64, vec![-5]));
    assert_eq!(bench.all(&meta, v), exact.to_ne_bytes().repeat(4));
}
