//! What images have, whichever format they come in: coordinates of rows and columns, and a grid mapping.

use bytes::Bytes;
use outcrop_grid::Crs;

use crate::array::{AttrValue, Attrs, ByteOrder, ChunkGrid, DType, Variable};
use crate::layout::{Layout, Linear, linear_grid};

fn text(text: &str) -> AttrValue {
    AttrValue::Text(text.to_owned())
}

pub(crate) fn native() -> ByteOrder {
    if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big }
}

/// Equally spaced coordinates of one dimension, which has their name.
pub(crate) fn linear(name: String, len: u64, dtype: DType, (values, attrs): (Linear, Attrs)) -> Variable {
    Variable {
        dims: vec![name.clone()],
        name,
        dtype,
        byte_order: native(),
        grid: linear_grid(len),
        codecs: Vec::new(),
        fill: vec![0; dtype.size()],
        attrs,
        layout: Layout::Linear(values),
    }
}

/// A variable of no dimensions that is there for its attributes.
pub(crate) fn scalar(name: String, attrs: Attrs) -> Variable {
    Variable {
        name,
        dims: Vec::new(),
        dtype: DType::Int64,
        byte_order: native(),
        grid: ChunkGrid { shape: Vec::new(), chunk: Vec::new() },
        codecs: Vec::new(),
        fill: vec![0; 8],
        attrs,
        layout: Layout::Inline(Bytes::from_static(&[0; 8])),
    }
}

/// CF attributes of a coordinate, as rioxarray writes them.
pub(crate) fn axis_attrs(name: &str, is_geographic: Option<bool>) -> Attrs {
    let is_x = name == "x";
    let mut attrs = Attrs::from([("axis".to_owned(), text(if is_x { "X" } else { "Y" }))]);
    let (standard, long, units) = match (is_geographic, is_x) {
        (None, _) => return attrs,
        (Some(true), true) => ("longitude", "longitude", "degrees_east"),
        (Some(true), false) => ("latitude", "latitude", "degrees_north"),
        (Some(false), true) => ("projection_x_coordinate", "x coordinate of projection", "metre"),
        (Some(false), false) => ("projection_y_coordinate", "y coordinate of projection", "metre"),
    };
    attrs
        .extend([("long_name", long), ("standard_name", standard), ("units", units)].map(|(k, v)| (k.into(), text(v))));
    attrs
}

/// Attributes of a CRS: its code, PROJ string, WKT, and the numbers of a CF grid mapping. One that is not understood
/// leaves the name and the text that the file gives, and why.
pub(crate) fn describe_crs(
    crs: &Result<Crs, outcrop_grid::Error>,
    (code, name, wkt): (Option<u16>, Option<&str>, Option<&str>),
    attrs: &mut Attrs,
) {
    let mut put = |name: &str, value: AttrValue| drop(attrs.insert(name.to_owned(), value));
    if let Some(code) = code {
        put("epsg", AttrValue::Int(vec![i64::from(code)]));
    }
    if let Some(name) = name {
        put("crs_name", text(name));
    }
    let own = code.and_then(Crs::wkt_of_epsg).or(wkt).map(str::to_owned);
    if let Some(wkt) = own.or_else(|| crs.as_ref().ok().and_then(Crs::wkt2)) {
        put("crs_wkt", text(&wkt));
    }
    match crs {
        Ok(crs) => {
            put("proj4", text(crs.proj_string()));
            let (name, numbers) = crs.cf().unzip();
            if let Some(name) = name {
                put("grid_mapping_name", text(name));
            }
            for (name, numbers) in numbers.into_iter().flatten() {
                put(name, AttrValue::Float64(numbers));
            }
        }
        Err(error) => put("crs_error", AttrValue::Text(error.to_string())),
    }
}
