//! Where the cells of an array are: rows and columns, their coordinate reference system, their outline.

use outcrop_compute::{Coord, DataArray};
use outcrop_formats::{AttrValue, Attrs};
use outcrop_grid::{Axis, Crs, Footprint, footprint_of_rectangle};

/// Attributes of a grid mapping that hold for the cells of the file, not for those of another array.
const OF_CELLS: [&str; 2] = ["GeoTransform", "control_points"];

fn text<'a>(attrs: &'a Attrs, name: &str) -> &'a str {
    attrs.get(name).and_then(AttrValue::text).unwrap_or_default()
}

/// True for labels of y or latitude, of x or longitude; CF conventions 1.11, chapter 4.
fn is_axis(dim: &str, coord: Option<&Coord>, (axis, names, standard): (&str, [&str; 3], [&str; 2])) -> bool {
    let named = names.iter().any(|name| dim.eq_ignore_ascii_case(name));
    let of = |name: &str| coord.map(|coord| text(&coord.attrs, name)).unwrap_or_default();
    named || of("axis") == axis || standard.contains(&of("standard_name"))
}

/// The dimensions of rows and columns.
pub(super) fn plane(array: &DataArray) -> Option<(usize, usize)> {
    let find =
        |of: (&str, [&str; 3], [&str; 2])| array.dims.iter().rposition(|dim| is_axis(dim, array.coords.get(dim), of));
    let y = find(("Y", ["y", "lat", "latitude"], ["projection_y_coordinate", "latitude"]))?;
    let x = find(("X", ["x", "lon", "longitude"], ["projection_x_coordinate", "longitude"]))?;
    (x != y).then_some((y, x))
}

/// The evenly spaced rows and columns.
fn axes(array: &DataArray) -> Option<(Axis, Axis)> {
    let (y, x) = plane(array)?;
    let axis = |at: usize| Axis::from_centres(&array.coords.get(&array.dims[at])?.values);
    Some((axis(y)?, axis(x)?))
}

/// The array whose grid mapping says where its own cells are: selecting and coarsening move them.
pub(super) fn placed(array: &DataArray) -> DataArray {
    let mut placed = array.clone();
    let axes = axes(array).filter(|(y, x)| y.step != 0.0 && x.step != 0.0);
    let last = |shape: &[u64]| shape.iter().rev().take(2).copied().collect::<Vec<u64>>();
    let is_whole = array.sources().iter().all(|source| last(&source.variable().grid.shape) == last(&array.shape()));
    let Some((_, attrs)) = &mut placed.grid_mapping else { return placed };
    let had = attrs.contains_key("GeoTransform");
    if axes.is_some() || !is_whole {
        attrs.retain(|name, _| !OF_CELLS.contains(&name.as_str()));
    }
    if let Some((y, x)) = axes.filter(|_| had) {
        let (left, top) = (x.first - x.step / 2.0, y.first - y.step / 2.0);
        let transform = format!("{left} {} 0 {top} 0 {}", x.step, y.step);
        attrs.insert("GeoTransform".into(), AttrValue::Text(transform));
    }
    placed
}

/// The CRS of the grid mapping; without one, longitude and latitude if the axes are such.
fn crs(array: &DataArray) -> Option<Crs> {
    if let Some((_, attrs)) = &array.grid_mapping {
        let numbers = |name: &str| attrs.get(name).map(AttrValue::numbers).filter(|numbers| !numbers.is_empty());
        let of = |name: &str| Some(text(attrs, name)).filter(|text| !text.is_empty());
        let proj = of("proj4").map(Crs::from_proj);
        let wkt = || of("crs_wkt").or_else(|| of("spatial_ref")).map(Crs::from_wkt);
        let cf = || of("grid_mapping_name").map(|name| Crs::from_cf(name, &numbers));
        return proj.or_else(cf).or_else(wkt)?.ok();
    }
    let (_, x) = plane(array)?;
    let (dim, coord) = (&array.dims[x], array.coords.get(&array.dims[x])?);
    let is_longitude = ["lon", "longitude"].iter().any(|name| dim.eq_ignore_ascii_case(name))
        || text(&coord.attrs, "standard_name") == "longitude"
        || text(&coord.attrs, "units").starts_with("degree");
    is_longitude.then(Crs::lonlat)?.ok()
}

/// The outline in longitude and latitude, where it is known.
pub(super) fn footprint(array: &DataArray) -> Option<Footprint> {
    let ((y, x), (of_y, of_x), crs) = (axes(array)?, plane(array)?, crs(array)?);
    // Coordinates of a projection may be in kilometres.
    let factor = |at: usize| {
        let units = array.coords.get(&array.dims[at]).map(|coord| text(&coord.attrs, "units")).unwrap_or_default();
        if !crs.is_lonlat() && ["km", "kilometers", "kilometres"].contains(&units) { 1000.0 } else { 1.0 }
    };
    let bounds = |axis: Axis, at: usize| {
        let (low, high) = axis.bounds();
        (low * factor(at), high * factor(at))
    };
    footprint_of_rectangle(&crs, bounds(x, of_x), bounds(y, of_y)).ok()
}
