//! A year of tmin, tmax and dayl from a formula, as three NetCDF-4 files.

use std::path::{Path, PathBuf};

use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{AttrValue, Attrs, DType};

/// How the variable is stored.
#[derive(Clone, Copy)]
pub(crate) enum Plane {
    /// Double precision, one chunk a day.
    F64,
    /// Single precision, chunks of days, rows and columns.
    Chunks(u64, u64, u64),
}

/// Writes the files; `value` is asked for (variable, day from 0, cell in C order) and NaN becomes the fill value.
pub(crate) fn write_year(
    folder: &Path,
    (rows, columns): (u64, u64),
    plane: Plane,
    value: impl Fn(&str, usize, usize) -> f64,
) -> [PathBuf; 3] {
    let cells = usize::try_from(rows * columns).unwrap();
    ["tmin", "tmax", "dayl"].map(|name| {
        let path = folder.join(format!("{name}.nc"));
        let mut file = Writer::create(&path, &Attrs::new()).unwrap();
        file.add_unlimited_dim("time", 365).unwrap();
        file.add_dim("y", rows).unwrap();
        file.add_dim("x", columns).unwrap();
        for (dim, len) in [("time", 365), ("y", rows), ("x", columns)] {
            let chunk = (dim == "time").then(|| vec![365]);
            let spec = VariableSpec { chunk, ..spec(dim, &[dim], DType::Float64) };
            file.add_variable(&spec).unwrap();
            let raw: Vec<u8> = (0..len).flat_map(|i| (i as f64).to_ne_bytes()).collect();
            file.write(dim, &raw).unwrap();
        }
        let (chunk, dtype) = match plane {
            Plane::F64 => (vec![1, rows, columns], DType::Float64),
            Plane::Chunks(t, y, x) => (vec![t, y, x], DType::Float32),
        };
        let units = if name == "dayl" { "s" } else { "degrees C" };
        let attrs = Attrs::from_iter([("units".to_owned(), AttrValue::Text(units.into()))]);
        let fill = match plane {
            Plane::F64 => (-9999f64).to_ne_bytes().to_vec(),
            Plane::Chunks(..) => (-9999f32).to_ne_bytes().to_vec(),
        };
        let spec = VariableSpec {
            chunk: Some(chunk),
            deflate: Some(1),
            fill: Some(fill),
            attrs,
            ..spec(name, &["time", "y", "x"], dtype)
        };
        file.add_variable(&spec).unwrap();
        let values = (0..365 * cells).map(|i| value(name, i / cells, i % cells));
        let values = values.map(|v| if v.is_nan() { -9999.0 } else { v });
        #[expect(clippy::cast_possible_truncation, reason = "stored in single precision")]
        let raw: Vec<u8> = match plane {
            Plane::F64 => values.flat_map(f64::to_ne_bytes).collect(),
            Plane::Chunks(..) => values.flat_map(|v| (v as f32).to_ne_bytes()).collect(),
        };
        file.write(name, &raw).unwrap();
        file.finish().unwrap();
        path
    })
}

fn spec(name: &str, dims: &[&str], dtype: DType) -> VariableSpec {
    let dims = dims.iter().map(|dim| (*dim).to_owned()).collect();
    VariableSpec { name: name.into(), dims, dtype, chunk: None, deflate: None, fill: None, attrs: Attrs::new() }
}
