//! Where the cells of an image are: affine transform, control points and coordinate reference system.

use outcrop_grid::{Crs, GeoKeys, wkt_to_epsg};

use super::image::{Tags, tag};
use crate::array::{AttrValue, Attrs};
use crate::raster::describe_crs;

/// What a directory says about place.
#[derive(Debug, Default)]
pub(super) struct Geo {
    /// In GDAL's order: x of the outer corner, x per column, x per row, y of the corner, y per column, y per row.
    pub(super) transform: Option<[f64; 6]>,
    /// Column, row, x and y of control points.
    points: Vec<f64>,
    keys: Option<GeoKeys>,
    is_point: bool,
}

impl Geo {
    pub(super) fn parse(tags: &Tags<'_>) -> Self {
        let directory = tags.all(tag::GEO_KEYS);
        let texts = tags.values(tag::GEO_TEXTS).map(|values| values.bytes()).unwrap_or_default();
        let keys = GeoKeys::parse(&directory, &tags.numbers(tag::GEO_DOUBLES), &texts);
        let is_point = keys.as_ref().is_some_and(GeoKeys::is_pixel_point);
        let ties = tags.numbers(tag::TIEPOINTS);
        let transform = scaled(&tags.numbers(tag::PIXEL_SCALE), &ties)
            .or_else(|| full(&tags.numbers(tag::TRANSFORMATION)))
            .map(|transform| if is_point { half_a_cell_back(transform) } else { transform })
            .filter(|transform| transform.iter().all(|n| n.is_finite()));
        let points = if transform.is_none() && ties.len() >= 12 {
            ties.as_chunks::<6>().0.iter().flat_map(|tie| [tie[0], tie[1], tie[3], tie[4]]).collect()
        } else {
            Vec::new()
        };
        Self { transform, points, keys, is_point }
    }

    /// True if a file says anything about place.
    pub(super) fn is_there(&self) -> bool {
        self.transform.is_some() || self.keys.is_some() || !self.points.is_empty()
    }

    /// `Point` or `Area`, where the file says so.
    pub(super) fn area_or_point(&self) -> Option<&'static str> {
        self.keys.as_ref()?;
        Some(if self.is_point { "Point" } else { "Area" })
    }

    /// The outer corner and step of x and of y, if columns and rows follow them.
    pub(super) fn axes(&self) -> Option<[(f64, f64); 2]> {
        let [x, dx, rx, y, ry, dy] = self.transform?;
        (rx == 0.0 && ry == 0.0 && dx != 0.0 && dy != 0.0).then_some([(x, dx), (y, dy)])
    }

    /// Attributes of the variable `spatial_ref`.
    pub(super) fn spatial_ref(&self) -> Attrs {
        let mut attrs = Attrs::new();
        if let Some(keys) = &self.keys {
            crs_attrs(keys, &mut attrs);
        }
        if let Some(transform) = self.transform {
            let text: Vec<String> = transform.iter().map(f64::to_string).collect();
            attrs.insert("GeoTransform".into(), AttrValue::Text(text.join(" ")));
        }
        if !self.points.is_empty() {
            attrs.insert("control_points".into(), AttrValue::Float64(self.points.clone()));
        }
        attrs
    }

    /// True for longitude and latitude, false for plane coordinates, `None` if it is not known.
    pub(super) fn is_geographic(&self) -> Option<bool> {
        self.keys.as_ref()?.is_geographic()
    }
}

/// What the keys say about the CRS.
fn crs_attrs(keys: &GeoKeys, attrs: &mut Attrs) {
    let crs = keys.proj().and_then(|proj| Crs::from_proj(&proj));
    let code = keys.epsg().or_else(|| wkt_to_epsg(keys.wkt()?));
    describe_crs(&crs, (code, keys.citation(), keys.wkt()), attrs);
}

/// From pixel scale and the first tie point. The second scale is that of rows going down, whatever its sign.
fn scaled(scale: &[f64], ties: &[f64]) -> Option<[f64; 6]> {
    let (dx, dy) = (*scale.first()?, -scale.get(1)?.abs());
    let [i, j, _, x, y, _] = *ties.first_chunk::<6>()?;
    (dx != 0.0 && dy != 0.0).then_some([x - i * dx, dx, 0.0, y - j * dy, 0.0, dy])
}

fn full(matrix: &[f64]) -> Option<[f64; 6]> {
    let m = matrix.first_chunk::<16>()?;
    Some([m[3], m[0], m[1], m[7], m[4], m[5]])
}

/// A transform of cell centres becomes one of their outer corners.
fn half_a_cell_back([x, dx, rx, y, ry, dy]: [f64; 6]) -> [f64; 6] {
    [x - 0.5 * dx - 0.5 * rx, dx, rx, y - 0.5 * ry - 0.5 * dy, ry, dy]
}
