//! Bands of images: each with its own name, units, scale and offset, and with holes where a mask has them.

use outcrop_formats::cf::Policy;
use outcrop_formats::{AttrValue, Attrs, FileMeta, Variable};

use crate::{DataArray, Result};

/// The variable that holds the bands of an image.
pub(super) const IMAGE: &str = "band_data";
/// The variable that says which cells have data.
pub(super) const MASK: &str = "mask";
/// The dimension of bands.
pub(super) const BAND: &str = "band";
/// Attributes by band, and what they are called of one.
const OF_BANDS: [(&str, &str); 2] = [("scales", "scale_factor"), ("offsets", "add_offset")];
/// Part of a cell by which coordinates of two files may differ and are the same still.
const SLACK: f64 = 1e-3;

impl DataArray {
    /// One band of an image (position from 0): its first dimension goes, and lists by band become the band's own attributes.
    ///
    /// # Errors
    /// [`crate::Error::OutOfRange`].
    pub fn band(&self, at: u64) -> Result<Self> {
        let dim = self.dims.first().cloned().unwrap_or_default();
        let mut array = self.index(&dim, at)?;
        array.attrs = attrs_of_band(&array.attrs, at);
        Ok(array)
    }

    /// Values where the mask of an image is set; NaN elsewhere.
    pub(super) fn masked(&self, mask: &Self) -> Result<Self> {
        self.where_(mask)
    }
}

/// Lists by band become the values of one.
fn attrs_of_band(attrs: &Attrs, band: u64) -> Attrs {
    let at = usize::try_from(band).unwrap_or(usize::MAX);
    let mut own = attrs.clone();
    for (list, name) in OF_BANDS {
        if let Some(value) = own.shift_remove(list).and_then(|list| list.numbers().get(at).copied()) {
            own.insert(name.into(), AttrValue::Float64(vec![value]));
        }
    }
    for (list, name) in [("units_of_bands", "units"), ("long_name", "long_name")] {
        let Some(AttrValue::Texts(all)) = attrs.get(list) else { continue };
        own.shift_remove(list);
        own.insert(name.into(), AttrValue::Text(all.get(at).cloned().unwrap_or_default()));
    }
    own
}

/// The variables to open in place of an image whose bands are scaled each in its own way: one a band.
pub(super) fn apart(variable: &Variable, policy: Policy) -> Option<Vec<Variable>> {
    let is_apart = policy == Policy::Scaled && OF_BANDS.iter().any(|(list, _)| variable.attrs.contains_key(*list));
    let is_image = variable.dims.first().is_some_and(|dim| dim == BAND);
    let bands = variable.grid.shape.first().filter(|_| is_apart && is_image)?;
    let of_band = |at| {
        let mut band = variable.clone();
        band.attrs = attrs_of_band(&variable.attrs, at);
        band
    };
    Some((0..*bands).map(of_band).collect())
}

/// Which variables of a file are opened where none is named.
pub(super) fn is_usual(meta: &FileMeta, variable: &Variable) -> bool {
    !meta.format.is_image() || variable.name == IMAGE
}

/// Why two arrays do not lie on the same cells of the same plane: lengths, labels (by more than a thousandth of a cell) or CRS.
pub fn grid_difference(first: &DataArray, other: &DataArray) -> Option<String> {
    if first.shape() != other.shape() {
        let lengths = |array: &DataArray| array.shape().iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
        return Some(match (&first.shape()[..], &other.shape()[..]) {
            ([rows, columns], [own_rows, own_columns]) => {
                format!("{own_rows} rows and {own_columns} columns, not {rows} and {columns}")
            }
            _ => format!("it has {} cells, not {}", lengths(other), lengths(first)),
        });
    }
    for dim in &first.dims {
        let (Some(a), Some(b)) = (first.coords.get(dim), other.coords.get(dim)) else { continue };
        if a.texts != b.texts {
            return Some(format!("`{dim}` has other labels"));
        }
        let cell = match a.values[..] {
            [one, two, ..] => (two - one).abs(),
            _ => a.values.first().map_or(1.0, |value| value.abs() * 1e-6),
        };
        let is_far = |(a, b): &(&f64, &f64)| (*a - *b).abs() > SLACK * cell || a.is_nan() != b.is_nan();
        if let Some((a, b)) = a.values.iter().zip(&b.values).find(is_far) {
            return Some(format!("`{dim}` has {b} where {a} is"));
        }
    }
    let attrs = |array: &DataArray| array.grid_mapping.as_ref().map(|(_, attrs)| attrs.clone()).unwrap_or_default();
    let (a, b) = (attrs(first), attrs(other));
    if first.coords.is_empty() && a.get("GeoTransform") != b.get("GeoTransform") {
        return Some("another transform".into());
    }
    let (a, b) = (crs(&a), crs(&b));
    (a != b).then(|| format!("its CRS is {b}, not {a}"))
}

/// What tells a CRS from others.
fn crs(place: &Attrs) -> String {
    for name in ["epsg", "proj4", "crs_wkt", "crs_name", "crs_error"] {
        match place.get(name) {
            Some(AttrValue::Text(text)) => return format!("`{text}`"),
            Some(value) => return value.number().map(|code| format!("EPSG:{code}")).unwrap_or_default(),
            None => {}
        }
    }
    "unknown".into()
}
