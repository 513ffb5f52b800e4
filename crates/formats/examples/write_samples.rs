//! Writes sample files of every writer into a folder, for other programs to judge: `write_samples <folder>`.

use std::error::Error;
use std::path::Path;

use outcrop_formats::miniseed::{self, Encoding, Samples, SegmentSpec, Version, WriteOptions};
use outcrop_formats::netcdf3;
use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, TiffCompression};
use outcrop_grid::{Crs, GeoKeys, RasterType};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let folder = Path::new(&folder);
    zarr(&folder.join("v2.zarr"), ZarrFormat::V2)?;
    zarr(&folder.join("v3.zarr"), ZarrFormat::V3)?;
    all_types(&folder.join("types_v2.zarr"), ZarrFormat::V2)?;
    all_types(&folder.join("types_v3.zarr"), ZarrFormat::V3)?;
    seismic(folder)?;
    for (version, name) in
        [(netcdf3::Version::Classic, "cdf1"), (netcdf3::Version::Offset64, "cdf2"), (netcdf3::Version::Data64, "cdf5")]
    {
        classic(&folder.join(format!("{name}.nc")), version)?;
        single_record(&folder.join(format!("{name}_single.nc")), version)?;
    }
    images(&folder.join("tiff"))?;
    netcdf(&folder.join("sample.nc"))
}

fn texts(pairs: &[(&str, &str)]) -> Attrs {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), AttrValue::Text((*text).to_owned()))).collect()
}

fn spec(name: &str, dims: &[&str], shape: &[u64], chunk: &[u64], dtype: Element) -> ArraySpec {
    ArraySpec {
        name: name.to_owned(),
        dims: dims.iter().map(|dim| (*dim).to_owned()).collect(),
        shape: shape.to_vec(),
        chunk: chunk.to_vec(),
        shard: None,
        dtype,
        compression: ZarrCompression::Default,
        fill: None,
        attrs: texts(&[("units", "1")]),
    }
}

/// Groups 1980 and 1981 with an array of (2, 3, 5) in chunks of (1, 2, 3): the flat index, the last chunk left out.
fn zarr(root: &Path, format: ZarrFormat) -> Result<(), Box<dyn Error>> {
    for group in ["1980", "1981"] {
        let mut writer = GroupWriter::create(root, group, format, &texts(&[("title", group)]))?;
        let number = Element::Number;
        writer.add_array(&spec("leaf", &["plant", "y", "x"], &[2, 3, 5], &[1, 2, 3], number(DType::Float64)))?;
        writer.add_array(&spec("plant", &["plant"], &[2], &[2], Element::Text { chars: 12 }))?;
        writer.add_array(&spec("x", &["x"], &[5], &[5], number(DType::Float32)))?;
        writer.add_array(&spec("y", &["y"], &[3], &[3], number(DType::Int32)))?;
        writer.add_array(&spec("note", &["plant", "y"], &[2, 3], &[1, 2], Element::VlenText))?;
        writer.write_text("plant", &["lilac".to_owned(), "arnold red".to_owned()])?;
        let notes = ["", "größe", "日本", " ", "x", &"long ".repeat(100)];
        writer.write_text("note", &notes.map(str::to_owned))?;
        writer.write_chunk("x", &[0], &[0f32, 1.0, 2.0, 3.0, 4.0])?;
        writer.write_chunk("y", &[0], &[10i32, 20, 30])?;
        for plant in 0..2u32 {
            for (row, rows) in [(0, 0..2u32), (1, 2..3)] {
                for (column, columns) in [(0, 0..3u32), (1, 3..5)] {
                    let cell = |r: u32| columns.clone().map(move |c| f64::from(plant * 15 + r * 5 + c));
                    let values: Vec<f64> = rows.clone().flat_map(cell).collect();
                    if (plant, row, column) != (1, 1, 1) {
                        writer.write_chunk("leaf", &[plant.into(), row, column], &values)?;
                    }
                }
            }
        }
        writer.finish()?;
    }
    Ok(())
}

fn variable(name: &str, dims: &[&str], dtype: DType) -> VariableSpec {
    VariableSpec {
        name: name.to_owned(),
        dims: dims.iter().map(|dim| (*dim).to_owned()).collect(),
        dtype,
        chunk: None,
        deflate: None,
        fill: None,
        attrs: Attrs::new(),
    }
}

/// `v(time, y, x)` is the flat index modulo 1000 in many small chunks; one chunk is left out.
fn netcdf(path: &Path) -> Result<(), Box<dyn Error>> {
    let attrs: Attrs = [
        ("title".to_owned(), AttrValue::Text("größe".to_owned())),
        ("names".to_owned(), AttrValue::Texts(vec!["a".to_owned(), "bcd".to_owned()])),
        ("number".to_owned(), AttrValue::Int(vec![7])),
        ("long".to_owned(), AttrValue::Int(vec![1 << 40])),
        ("half".to_owned(), AttrValue::Float32(vec![0.5])),
        ("range".to_owned(), AttrValue::Float64(vec![-1.0, 2.5])),
        ("empty".to_owned(), AttrValue::Text(String::new())),
    ]
    .into_iter()
    .collect();
    let mut writer = Writer::create(path, &attrs)?;
    writer.add_unlimited_dim("time", 30)?;
    writer.add_dim("y", 40)?;
    writer.add_dim("x", 50)?;
    writer.add_dim("nv", 2)?;
    let chunked =
        |spec: VariableSpec, chunk: &[u64]| VariableSpec { chunk: Some(chunk.to_vec()), deflate: Some(4), ..spec };
    let v = VariableSpec {
        fill: Some((-9999f32).to_ne_bytes().to_vec()),
        attrs: texts(&[("units", "degrees C")]),
        ..variable("v", &["time", "y", "x"], DType::Float32)
    };
    let mut v = chunked(v, &[1, 7, 8]);
    v.attrs.insert("missing_value".to_owned(), AttrValue::Int(vec![-9999]));
    writer.add_variable(&v)?;
    let mut time = chunked(variable("time", &["time"], DType::Float64), &[16]);
    time.attrs = texts(&[("units", "days since 1980-01-01"), ("calendar", "standard")]);
    writer.add_variable(&time)?;
    writer.add_variable(&chunked(variable("time_bnds", &["time", "nv"], DType::Float64), &[16, 2]))?;
    writer.add_variable(&variable("x", &["x"], DType::Float64))?;
    writer.add_variable(&variable("lat", &["y", "x"], DType::Int16))?;
    writer.add_variable(&variable("crs", &[], DType::Int16))?;
    writer.add_variable(&variable("y", &["x"], DType::Int32))?;
    let raw: Vec<u8> = (0..60_000u16).flat_map(|i| f32::from(i % 1000).to_ne_bytes()).collect();
    writer.write("v", &raw)?;
    let floats = |range: std::ops::Range<u16>| range.flat_map(|i| f64::from(i).to_ne_bytes()).collect::<Vec<u8>>();
    writer.write("time", &floats(0..30))?;
    writer.write_chunk("time_bnds", &[1, 0], &floats(0..32))?;
    writer.write("x", &floats(0..50))?;
    writer.write("lat", &(0..2000i16).flat_map(i16::to_ne_bytes).collect::<Vec<u8>>())?;
    writer.write("crs", &(-7i16).to_ne_bytes())?;
    writer.write("y", &(0..50i32).flat_map(i32::to_ne_bytes).collect::<Vec<u8>>())?;
    writer.finish()?;
    Ok(())
}

/// At the root, for each type `TYPE(y, x)` of 5 times 7 in chunks of 2 times 3, in Zarr 3 also `TYPE_sharded` in shards of
/// 4 times 6: the flat index, with fill value 9 where `y` is 4.
fn all_types(root: &Path, format: ZarrFormat) -> Result<(), Box<dyn Error>> {
    let mut writer = GroupWriter::create(root, "", format, &texts(&[("title", "types")]))?;
    let others = [DType::Float16, DType::Complex64, DType::Complex128];
    let half =
        |value: u8| [0u16, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800, 0x4880][usize::from(value)];
    let value = |dtype: DType, value: u8| match dtype {
        DType::Float16 => half(value % 10).to_ne_bytes().to_vec(),
        DType::Complex64 => [element(DType::Float32, value), element(DType::Float32, 1)].concat(),
        DType::Complex128 => [element(DType::Float64, value), element(DType::Float64, 1)].concat(),
        _ => element(dtype, value),
    };
    let types = OLD_TYPES.iter().chain(&NEW_TYPES).chain(&others).filter(|dtype| **dtype != DType::Char);
    let ways = if format == ZarrFormat::V3 { &[("", [2, 3]), ("_sharded", [4, 6])][..] } else { &[("", [2, 3])] };
    for (dtype, (suffix, unit)) in types.flat_map(|dtype| ways.iter().map(move |way| (*dtype, *way))) {
        let name = format!("{}{suffix}", dtype.name());
        writer.add_array(&ArraySpec {
            shard: (!suffix.is_empty()).then(|| unit.to_vec()),
            fill: Some(value(dtype, 9)),
            ..spec(&name, &["y", "x"], &[5, 7], &[2, 3], Element::Number(dtype))
        })?;
        for (y, x) in (0..4 / unit[0]).flat_map(|y| (0..7u64.div_ceil(unit[1])).map(move |x| (y, x))) {
            let cells =
                (0..unit[0]).flat_map(|row| (0..unit[1]).map(move |column| (y * unit[0] + row, x * unit[1] + column)));
            let flat = |(y, x): (u64, u64)| u8::try_from(y * 7 + x).map(|flat| value(dtype, flat));
            let raw = cells.map(flat).collect::<Result<Vec<_>, _>>()?.concat();
            writer.write_chunk_bytes(&name, &[y, x], &raw)?;
        }
    }
    writer.finish()?;
    Ok(())
}

const OLD_TYPES: [DType; 6] = [DType::Int8, DType::Char, DType::Int16, DType::Int32, DType::Float32, DType::Float64];
const NEW_TYPES: [DType; 5] = [DType::UInt8, DType::UInt16, DType::UInt32, DType::Int64, DType::UInt64];

/// An element of a type that has this value, in native byte order.
fn element(dtype: DType, value: u8) -> Vec<u8> {
    match dtype {
        DType::Int16 => i16::from(value).to_ne_bytes().to_vec(),
        DType::Int32 => i32::from(value).to_ne_bytes().to_vec(),
        DType::Int64 => i64::from(value).to_ne_bytes().to_vec(),
        DType::UInt16 => u16::from(value).to_ne_bytes().to_vec(),
        DType::UInt32 => u32::from(value).to_ne_bytes().to_vec(),
        DType::UInt64 => u64::from(value).to_ne_bytes().to_vec(),
        DType::Float32 => f32::from(value).to_ne_bytes().to_vec(),
        DType::Float64 => f64::from(value).to_ne_bytes().to_vec(),
        _ => vec![value],
    }
}

/// For each type `TYPE(y, x)` and `TYPE_t(time, x)`, 4 times 5 and 3 times 5, chunks of 2 times 3: 65 plus the flat index
/// of the chunk in its array; the last chunk is never written. `filled(x)` has a fill value and is never written.
fn classic(path: &Path, version: netcdf3::Version) -> Result<(), Box<dyn Error>> {
    let attrs = Attrs::from_iter([
        ("title".to_owned(), AttrValue::Text("größe".to_owned())),
        ("numbers".to_owned(), AttrValue::Int(vec![7, -8])),
        ("half".to_owned(), AttrValue::Float32(vec![0.5])),
        ("range".to_owned(), AttrValue::Float64(vec![-1.0, 2.5])),
        ("empty".to_owned(), AttrValue::Text(String::new())),
    ]);
    let mut writer = netcdf3::Writer::create(path, &attrs, Some(version))?;
    writer.add_dim("y", 4)?;
    writer.add_unlimited_dim("time", 3)?;
    writer.add_dim("x", 5)?;
    let new: &[DType] = if version == netcdf3::Version::Data64 { &NEW_TYPES } else { &[] };
    let types: Vec<DType> = OLD_TYPES.iter().chain(new).copied().collect();
    let spec = |name: &str, dims: &[&str], dtype: DType, chunk: &[u64]| netcdf3::VariableSpec {
        name: name.to_owned(),
        dims: dims.iter().map(|dim| (*dim).to_owned()).collect(),
        dtype,
        chunk: chunk.to_vec(),
        fill: None,
        attrs: Attrs::from_iter([("valid_max".to_owned(), AttrValue::Int(vec![120]))]),
    };
    for dtype in &types {
        writer.add_variable(&spec(&dtype.name(), &["y", "x"], *dtype, &[2, 3]))?;
        writer.add_variable(&spec(&format!("{}_t", dtype.name()), &["time", "x"], *dtype, &[2, 3]))?;
    }
    let filled = spec("filled", &["x"], DType::Float32, &[5]);
    writer.add_variable(&netcdf3::VariableSpec { fill: Some(element(DType::Float32, 9)), ..filled })?;
    writer.add_variable(&spec("scalar", &[], DType::Int16, &[]))?;
    writer.write_chunk("scalar", &[], &element(DType::Int16, 77))?;
    for dtype in &types {
        for (name, index) in [("", [1, 0]), ("", [0, 1]), ("", [0, 0]), ("_t", [0, 1]), ("_t", [1, 0]), ("_t", [0, 0])]
        {
            let cells = (0..2u8).flat_map(|row| (0..3u8).map(move |column| (row, column)));
            let value = |(row, column): (u8, u8)| {
                let (y, x) = (row + 2 * u8::from(index[0] == 1), column + 3 * u8::from(index[1] == 1));
                element(*dtype, 65 + 5 * y + x)
            };
            let raw: Vec<u8> = cells.flat_map(value).collect();
            writer.write_chunk(&format!("{}{name}", dtype.name()), &index, &raw)?;
        }
    }
    writer.finish()?;
    Ok(())
}

/// One variable with records, `v(time, x)` of 5 times 3 bytes 0 to 14: its records are not padded.
fn single_record(path: &Path, version: netcdf3::Version) -> Result<(), Box<dyn Error>> {
    let mut writer = netcdf3::Writer::create(path, &Attrs::new(), Some(version))?;
    writer.add_unlimited_dim("time", 5)?;
    writer.add_dim("x", 3)?;
    writer.add_variable(&netcdf3::VariableSpec {
        name: "v".to_owned(),
        dims: vec!["time".to_owned(), "x".to_owned()],
        dtype: DType::Int8,
        chunk: vec![5, 3],
        fill: None,
        attrs: Attrs::new(),
    })?;
    writer.write_chunk("v", &[0, 0], &(0..15).collect::<Vec<u8>>())?;
    writer.finish()?;
    Ok(())
}

/// Each version and encoding: 9000 samples of `(i * i) % 4001 - 2000` at 40 Hz, then after a gap of 10 s 300 of them at
/// 19.9975 Hz.
fn seismic(folder: &Path) -> Result<(), Box<dyn Error>> {
    let int32: Vec<i32> = (0..9000i32).map(|i| (i * i) % 4001 - 2000).collect();
    let int16 = int32.iter().map(|v| i16::try_from(*v)).collect::<Result<Vec<i16>, _>>()?;
    let float32: Vec<f32> = int16.iter().map(|v| f32::from(*v)).collect();
    let float64: Vec<f64> = int32.iter().map(|v| f64::from(*v)).collect();
    for (version, number) in [(Version::Two, 2), (Version::Three, 3)] {
        for (encoding, name) in [
            (Encoding::Int16, "int16"),
            (Encoding::Int32, "int32"),
            (Encoding::Float32, "float32"),
            (Encoding::Float64, "float64"),
            (Encoding::Steim1, "steim1"),
            (Encoding::Steim2, "steim2"),
        ] {
            let options =
                WriteOptions { version, encoding: Some(encoding), record_length: 512, publication_version: 4 };
            let path = folder.join(format!("{name}_v{number}.mseed"));
            let mut writer = miniseed::Writer::create(&path, options)?;
            let source = "XX.ABC.00.BHZ".to_owned();
            let part = |n: usize| match encoding {
                Encoding::Int16 => Samples::Int16(&int16[..n]),
                Encoding::Float32 => Samples::Float32(&float32[..n]),
                Encoding::Float64 => Samples::Float64(&float64[..n]),
                _ => Samples::Int32(&int32[..n]),
            };
            let start_ns = 1_614_834_367_891_234_000;
            writer.write(&SegmentSpec { source: source.clone(), start_ns, rate_hz: 40.0, samples: part(9000) })?;
            let start_ns = start_ns + 235_000_000_000;
            writer.write(&SegmentSpec { source, start_ns, rate_hz: 19.9975, samples: part(300) })?;
            writer.finish()?;
        }
    }
    Ok(())
}

/// An image of 150 by 130 cells of which band `b`, row `y` and column `x` is `(37 b + 7 y + x) % 101`, half of it for
/// floats, with -0.5 as imaginary part; 100 is no data.
fn image(
    path: &Path,
    bands: u64,
    dtype: DType,
    keys: Option<GeoKeys>,
    options: GeoTiffOptions,
) -> Result<(), Box<dyn Error>> {
    let (width, height) = (150, 130);
    let spec = GeoTiffSpec {
        width,
        height,
        bands,
        dtype,
        nodata: Some(cell(dtype, 100)),
        transform: Some([500_000.0, 30.0, 0.0, 4_600_000.0, 0.0, -30.0]),
        control_points: Vec::new(),
        keys,
        attrs: Attrs::from([
            ("long_name".to_owned(), AttrValue::Texts((0..bands).map(|b| format!("band <{b}> & more")).collect())),
            ("scale_factor".to_owned(), AttrValue::Float64(vec![0.5])),
            ("add_offset".to_owned(), AttrValue::Float64(vec![-3.0])),
            ("units".to_owned(), AttrValue::Text("K".to_owned())),
        ]),
        file_attrs: texts(&[("title", "samples")]),
    };
    let writer = GeoTiffWriter::create(path, &spec, options)?;
    let [samples, rows, columns] = writer.chunk();
    for plane in 0..bands / samples {
        for row in 0..height.div_ceil(rows) {
            for column in 0..width.div_ceil(columns) {
                let mut raw = Vec::new();
                for band in plane * samples..(plane + 1) * samples {
                    for y in row * rows..(row + 1) * rows {
                        for x in column * columns..(column + 1) * columns {
                            raw.extend(cell(dtype, u8::try_from((37 * band + 7 * y + x) % 101)?));
                        }
                    }
                }
                writer.write_chunk([plane, row, column], &raw)?;
            }
        }
    }
    Ok(writer.finish(2)?)
}

/// One band of `y + x` modulo 200, with 255 and no data where `x` is 64 to 95 or `y + x` is a multiple of 3.
fn masked(path: &Path) -> Result<(), Box<dyn Error>> {
    let (width, height, tile) = (150, 130, 32);
    let spec = GeoTiffSpec {
        width,
        height,
        bands: 1,
        dtype: DType::UInt8,
        nodata: None,
        transform: Some([500_000.0, 30.0, 0.0, 4_600_000.0, 0.0, -30.0]),
        control_points: Vec::new(),
        keys: None,
        attrs: Attrs::new(),
        file_attrs: Attrs::new(),
    };
    let resampling = Some(outcrop_formats::Resampling::Average);
    let options = GeoTiffOptions { tile, resampling, ..GeoTiffOptions::default() };
    let writer = GeoTiffWriter::create(path, &spec, options)?.with_mask()?;
    let has_data = |y: u64, x: u64| !(64..96).contains(&x) && !(y + x).is_multiple_of(3);
    for (row, column) in (0..height.div_ceil(tile)).flat_map(|row| (0..width.div_ceil(tile)).map(move |c| (row, c))) {
        let cells = || (0..tile * tile).map(|i| (row * tile + i / tile, column * tile + i % tile));
        let value = |(y, x)| if has_data(y, x) { u8::try_from((y + x) % 200) } else { Ok(255) };
        writer.write_chunk([0, row, column], &cells().map(value).collect::<Result<Vec<_>, _>>()?)?;
        let mask: Vec<u8> = cells().map(|(y, x)| u8::from(has_data(y, x))).collect();
        writer.write_mask([row, column], &mask)?;
    }
    Ok(writer.finish(2)?)
}

fn cell(dtype: DType, value: u8) -> Vec<u8> {
    let half = f32::from(value) * 0.5;
    match dtype {
        DType::Float32 => half.to_ne_bytes().to_vec(),
        DType::Float64 => f64::from(half).to_ne_bytes().to_vec(),
        DType::Complex64 => [half, -0.5].iter().flat_map(|part| part.to_ne_bytes()).collect(),
        DType::Complex128 => [f64::from(half), -0.5].iter().flat_map(|part| part.to_ne_bytes()).collect(),
        integer => {
            let mut bytes = vec![0; integer.size()];
            let at = if cfg!(target_endian = "little") { 0 } else { bytes.len() - 1 };
            bytes[at] = value;
            bytes
        }
    }
}

const CRS: [&str; 11] = [
    "+proj=longlat +a=6378137 +rf=298.257222101 +no_defs",
    "+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
    "+proj=lcc +lat_1=40 +lat_0=40 +lon_0=-100 +k_0=0.99 +x_0=5 +y_0=0 +ellps=WGS84 +units=m +no_defs",
    "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs",
    "+proj=merc +lon_0=-80 +lat_ts=20 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
    "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
    "+proj=sterea +lat_0=52.1 +lon_0=5.4 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel +units=m +no_defs",
    "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m +no_defs",
    "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs",
    "+proj=tmerc +lat_0=0 +lon_0=-75 +k=0.9996 +x_0=300000 +y_0=0 +ellps=clrk66 +units=us-ft +no_defs",
    "+proj=eqc +lat_ts=30 +lat_0=0 +lon_0=5 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
];

/// Images of every type, compression and interleave, and of many coordinate reference systems.
fn images(folder: &Path) -> Result<(), Box<dyn Error>> {
    let types = [
        DType::Int8,
        DType::UInt8,
        DType::Int16,
        DType::UInt16,
        DType::Int32,
        DType::UInt32,
        DType::Int64,
        DType::UInt64,
        DType::Float32,
        DType::Float64,
        DType::Complex64,
        DType::Complex128,
    ];
    let compressions = [
        ("none", TiffCompression::None),
        ("deflate", TiffCompression::Deflate { level: 6 }),
        ("zstd", TiffCompression::Zstd { level: 9 }),
        ("lzw", TiffCompression::Lzw),
    ];
    let utm = GeoKeys::of_crs(&Crs::from_epsg(32631)?, Some(32631), RasterType::Area)?;
    for dtype in types {
        for (name, compression) in compressions {
            for (bands, pixel_interleave, how) in [(1, None, "one"), (3, Some(true), "pixel"), (3, Some(false), "band")]
            {
                let options = GeoTiffOptions { tile: 64, compression, pixel_interleave, ..GeoTiffOptions::default() };
                let file = format!("{}_{name}_{how}.tif", dtype.name());
                image(&folder.join(file), bands, dtype, Some(utm.clone()), options)?;
            }
        }
    }
    masked(&folder.join("masked.tif"))?;
    for (i, definition) in CRS.into_iter().enumerate() {
        let keys = GeoKeys::of_crs(&Crs::from_proj(definition)?, None, RasterType::Area)?;
        image(&folder.join(format!("crs_{i}.tif")), 1, DType::UInt8, Some(keys), GeoTiffOptions::default())?;
        std::fs::write(folder.join(format!("crs_{i}.txt")), definition)?;
    }
    Ok(())
}
