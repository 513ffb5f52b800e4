//! Coordinate reference systems: from CF grid mappings and PROJ strings to longitude and latitude.

use std::fmt;

use proj4rs::Proj;
use proj4rs::transform::transform;

use crate::method::{Method, Parameters, Quantity};
use crate::{Error, Result, wkt};

/// A coordinate reference system of plane or geographic coordinates.
///
/// - Transforms take and give metres (or the CRS' unit) and degrees, never radians.
pub struct Crs {
    definition: String,
    proj: Proj,
    lonlat: Proj,
}

impl fmt::Debug for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crs({})", self.definition)
    }
}

impl Clone for Crs {
    fn clone(&self) -> Self {
        Self { definition: self.definition.clone(), proj: self.proj.clone(), lonlat: self.lonlat.clone() }
    }
}

impl PartialEq for Crs {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

/// An attribute of a CF grid mapping: its name and values.
pub type CfNumbers = (&'static str, Vec<f64>);

/// The numbers of a CF grid mapping by attribute name.
pub trait MappingNumbers {
    /// The values of an attribute, if it is there and numeric.
    fn numbers(&self, name: &str) -> Option<Vec<f64>>;
}

impl<F: Fn(&str) -> Option<Vec<f64>>> MappingNumbers for F {
    fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self(name)
    }
}

impl Crs {
    /// Longitude and latitude on WGS 84.
    ///
    /// # Errors
    /// [`Error::Projection`] if the projection library refuses its own standard definition.
    pub fn lonlat() -> Result<Self> {
        Self::from_proj("+proj=longlat +ellps=WGS84 +datum=WGS84 +no_defs")
    }

    /// From a PROJ string.
    ///
    /// # Errors
    /// [`Error::Projection`] if the projection is not known or misses parameters.
    pub fn from_proj(definition: &str) -> Result<Self> {
        let make = |text: &str| {
            Proj::from_proj_string(text).map_err(|e| Error::Projection { definition: text.into(), why: e.to_string() })
        };
        let proj = make(definition)?;
        // The geographic coordinates of the same ellipsoid: a datum shift is neither known nor wanted here.
        let (a, b) = proj.ellipse_parameters();
        let lonlat = make(&format!("+proj=longlat +a={a} +b={b} +no_defs"))?;
        let shifts = ["+datum", "+towgs84", "+nadgrids"].iter().any(|word| definition.contains(word));
        let proj = if shifts { make(&without_datum(definition, a, b))? } else { proj };
        Ok(Self { definition: definition.into(), proj, lonlat })
    }

    /// From the attributes of a CF grid mapping variable (CF conventions 1.11, appendix F).
    ///
    /// # Errors
    /// [`Error::GridMapping`] for a mapping that is not supported or lacks a parameter.
    pub fn from_cf(name: &str, attrs: &dyn MappingNumbers) -> Result<Self> {
        Self::from_proj(&cf_to_proj(name, attrs)?)
    }

    /// From a code of EPSG's registry.
    ///
    /// # Errors
    /// [`Error::Projection`] for a code that is not known.
    pub fn from_epsg(code: u16) -> Result<Self> {
        let unknown = || Error::Projection { definition: format!("EPSG:{code}"), why: "this code is not known".into() };
        Self::from_proj(crs_definitions::from_code(code).ok_or_else(unknown)?.proj4)
    }

    /// From well-known text: version 1, Esri's, or 2.
    ///
    /// # Errors
    /// [`Error::Projection`] for what is not understood.
    pub fn from_wkt(text: &str) -> Result<Self> {
        Self::from_proj(&wkt::wkt_to_proj(text)?)
    }

    /// The well-known text (version 1) of a code of EPSG's registry.
    pub fn wkt_of_epsg(code: u16) -> Option<&'static str> {
        crs_definitions::from_code(code).map(|definition| definition.wkt).filter(|wkt| !wkt.is_empty())
    }

    /// The PROJ string.
    pub fn proj_string(&self) -> &str {
        &self.definition
    }

    /// True for longitude and latitude.
    pub fn is_lonlat(&self) -> bool {
        self.proj.is_latlong()
    }

    /// Semi-major and semi-minor axis of the ellipsoid, in metres.
    pub(crate) fn ellipsoid(&self) -> (f64, f64) {
        self.proj.ellipse_parameters()
    }

    /// Longitude and latitude in degrees of a point.
    ///
    /// # Errors
    /// [`Error::Projection`] for a point outside the projection.
    pub fn to_lonlat(&self, x: f64, y: f64) -> Result<[f64; 2]> {
        if self.is_lonlat() {
            return Ok([x, y]);
        }
        let mut point = (x, y, 0.0);
        transform(&self.proj, &self.lonlat, &mut point).map_err(|e| self.failed(&e))?;
        Ok([point.0.to_degrees(), point.1.to_degrees()])
    }

    /// Plane coordinates of a point in degrees.
    ///
    /// # Errors
    /// [`Error::Projection`] for a point outside the projection.
    pub fn from_lonlat(&self, lon: f64, lat: f64) -> Result<[f64; 2]> {
        if self.is_lonlat() {
            return Ok([lon, lat]);
        }
        let mut point = (lon.to_radians(), lat.to_radians(), 0.0);
        transform(&self.lonlat, &self.proj, &mut point).map_err(|e| self.failed(&e))?;
        Ok([point.0, point.1])
    }

    fn failed(&self, error: &proj4rs::errors::Error) -> Error {
        Error::Projection { definition: self.definition.clone(), why: error.to_string() }
    }

    /// WKT2 (ISO 19162); `None` for projections that have no name here.
    pub fn wkt2(&self) -> Option<String> {
        let (a, b) = self.proj.ellipse_parameters();
        let flattening = if (a - b).abs() > 0.0 { a / (a - b) } else { 0.0 };
        // It comes from the axes, whose difference has twelve digits left.
        let flattening = (flattening * 1e9).round() / 1e9;
        let degrees = "ANGLEUNIT[\"degree\",0.0174532925199433]";
        let meridian = parameter(&self.definition, "pm").unwrap_or("0");
        let base = format!(
            "DATUM[\"unknown\",ELLIPSOID[\"unknown\",{a},{flattening},LENGTHUNIT[\"metre\",1]]],\
             PRIMEM[\"Greenwich\",{},{degrees}]",
            meridian.parse::<f64>().ok().filter(|meridian| meridian.is_finite())?
        );
        if self.is_lonlat() {
            return Some(format!(
                "GEOGCRS[\"unknown\",{base},CS[ellipsoidal,2],AXIS[\"longitude\",east,ORDER[1],{degrees}],\
                 AXIS[\"latitude\",north,ORDER[2],{degrees}]]"
            ));
        }
        let (method, parameters) = Parameters::of_proj(&self.definition)?;
        let name = method.wkt2()?;
        let metres = metres(&self.definition)?;
        let unit = format!("LENGTHUNIT[\"{}\",{metres}]", if metres == 1.0 { "metre" } else { "unknown" });
        let values: Vec<String> = wkt2_parameters(method, &parameters)
            .into_iter()
            .map(|(name, value, quantity)| match quantity {
                Quantity::Angle => format!("PARAMETER[\"{name}\",{value},{degrees}]"),
                Quantity::Length => format!("PARAMETER[\"{name}\",{value},LENGTHUNIT[\"metre\",1]]"),
                Quantity::Ratio => format!("PARAMETER[\"{name}\",{value},SCALEUNIT[\"unity\",1]]"),
            })
            .collect();
        Some(format!(
            "PROJCRS[\"unknown\",BASEGEOGCRS[\"unknown\",{base}],CONVERSION[\"unknown\",METHOD[\"{name}\"],{}],\
             CS[Cartesian,2],AXIS[\"easting\",east,ORDER[1],{unit}],AXIS[\"northing\",north,ORDER[2],{unit}]]",
            values.join(",")
        ))
    }

    /// `grid_mapping_name` and the numbers of a CF grid mapping; `None` for projections that CF has not.
    pub fn cf(&self) -> Option<(&'static str, Vec<CfNumbers>)> {
        let (a, b) = self.proj.ellipse_parameters();
        let ellipsoid = [("semi_major_axis", vec![a]), ("semi_minor_axis", vec![b])];
        if self.is_lonlat() {
            return Some(("latitude_longitude", ellipsoid.to_vec()));
        }
        let (method, p) = Parameters::of_proj(&self.definition)?;
        let name = method.cf().filter(|_| metres(&self.definition) == Some(1.0))?;
        let mut numbers = cf_numbers(method, &p)?;
        numbers.push(("false_easting", vec![p.x_0.unwrap_or(0.0)]));
        numbers.push(("false_northing", vec![p.y_0.unwrap_or(0.0)]));
        numbers.extend(ellipsoid);
        Some((name, numbers))
    }
}

/// Metres of the unit of plane coordinates.
pub(crate) fn metres(definition: &str) -> Option<f64> {
    if let Some(factor) = parameter(definition, "to_meter") {
        return factor.parse().ok();
    }
    match parameter(definition, "units") {
        None | Some("m") => Some(1.0),
        Some("us-ft") => Some(1200.0 / 3937.0),
        Some("ft") => Some(0.3048),
        Some("km") => Some(1000.0),
        Some(_) => None,
    }
}

/// Names (EPSG) and values of the parameters of a method.
fn wkt2_parameters(method: Method, p: &Parameters) -> Vec<(&'static str, f64, Quantity)> {
    use Quantity::{Angle, Length, Ratio};
    let or = |value: Option<f64>, default: f64| value.unwrap_or(default);
    let lat = ("Latitude of natural origin", or(p.lat_0, 0.0), Angle);
    let lon = ("Longitude of natural origin", or(p.lon_0, 0.0), Angle);
    let scale = ("Scale factor at natural origin", or(p.k_0, 1.0), Ratio);
    let first = ("Latitude of 1st standard parallel", or(p.lat_1, 0.0), Angle);
    let false_origin = matches!(method, Method::LambertConic2 | Method::Albers);
    let mut all = match method {
        Method::LambertConic2 | Method::Albers => vec![
            ("Latitude of false origin", or(p.lat_0, 0.0), Angle),
            ("Longitude of false origin", or(p.lon_0, 0.0), Angle),
            first,
            ("Latitude of 2nd standard parallel", p.lat_2.or(p.lat_1).unwrap_or(0.0), Angle),
        ],
        Method::TransverseMercator | Method::LambertConic1 | Method::Mercator1 | Method::ObliqueStereographic => {
            vec![lat, lon, scale]
        }
        Method::Mercator2 | Method::CylindricalEqualArea => vec![first, lon],
        Method::Equirectangular => vec![first, lat, lon],
        Method::PolarStereographic => vec![
            ("Latitude of standard parallel", p.lat_1.or(p.lat_0).unwrap_or(90.0), Angle),
            ("Longitude of origin", or(p.lon_0, 0.0), Angle),
        ],
        Method::Sinusoidal => vec![lon],
        _ => vec![lat, lon],
    };
    let names = if false_origin {
        ["Easting at false origin", "Northing at false origin"]
    } else {
        ["False easting", "False northing"]
    };
    all.extend(names.into_iter().zip([or(p.x_0, 0.0), or(p.y_0, 0.0)]).map(|(name, value)| (name, value, Length)));
    all
}

/// The numbers of a CF grid mapping but for false origin and ellipsoid; `None` if CF cannot say it.
fn cf_numbers(method: Method, p: &Parameters) -> Option<Vec<CfNumbers>> {
    let one = |value: Option<f64>| vec![value.unwrap_or(0.0)];
    let parallels = || [p.lat_1, p.lat_2.filter(|lat| Some(*lat) != p.lat_1)].into_iter().flatten().collect();
    let lat = ("latitude_of_projection_origin", one(p.lat_0));
    let unscaled = p.k_0.is_none_or(|k| k == 1.0);
    Some(match method {
        Method::TransverseMercator => vec![
            lat,
            ("longitude_of_central_meridian", one(p.lon_0)),
            ("scale_factor_at_central_meridian", vec![p.k_0.unwrap_or(1.0)]),
        ],
        Method::LambertConic1 | Method::LambertConic2 | Method::Albers if unscaled => {
            vec![("standard_parallel", parallels()), lat, ("longitude_of_central_meridian", one(p.lon_0))]
        }
        Method::Mercator1 | Method::Mercator2 if unscaled => {
            vec![("standard_parallel", one(p.lat_1)), ("longitude_of_projection_origin", one(p.lon_0))]
        }
        Method::PolarStereographic if p.lat_1.is_some() => {
            vec![lat, ("straight_vertical_longitude_from_pole", one(p.lon_0)), ("standard_parallel", one(p.lat_1))]
        }
        Method::LambertAzimuthal => vec![lat, ("longitude_of_projection_origin", one(p.lon_0))],
        Method::Sinusoidal => vec![("longitude_of_central_meridian", one(p.lon_0))],
        _ => return None,
    })
}

pub(crate) fn parameter<'a>(definition: &'a str, key: &str) -> Option<&'a str> {
    definition.split_whitespace().find_map(|word| word.strip_prefix('+')?.strip_prefix(key)?.strip_prefix('='))
}

fn without_datum(definition: &str, a: f64, b: f64) -> String {
    let skip = ["+datum", "+ellps", "+towgs84", "+nadgrids", "+a=", "+b=", "+rf"];
    let kept: Vec<&str> = definition.split_whitespace().filter(|w| !skip.iter().any(|s| w.starts_with(s))).collect();
    format!("{} +a={a} +b={b}", kept.join(" "))
}

/// CF attribute names and the PROJ parameters they mean.
fn cf_to_proj(name: &str, attrs: &dyn MappingNumbers) -> Result<String> {
    let missing = |key: &str| Error::GridMapping { name: name.into(), why: format!("attribute `{key}` is missing") };
    let first = |key: &str| attrs.numbers(key).and_then(|v| v.first().copied());
    let need = |key: &str| first(key).ok_or_else(|| missing(key));
    let or = |key: &str, default: f64| first(key).unwrap_or(default);
    let parallels =
        || attrs.numbers("standard_parallel").filter(|p| !p.is_empty()).ok_or_else(|| missing("standard_parallel"));
    let conic = |proj: &str| -> Result<String> {
        let p = parallels()?;
        let (lat_0, lon_0) = (need("latitude_of_projection_origin")?, need("longitude_of_central_meridian")?);
        Ok(format!("+proj={proj} +lat_1={} +lat_2={} +lat_0={lat_0} +lon_0={lon_0}", p[0], p.get(1).unwrap_or(&p[0])))
    };
    let body = match name {
        "latitude_longitude" => "+proj=longlat".to_owned(),
        "lambert_conformal_conic" => conic("lcc")?,
        "albers_conical_equal_area" => conic("aea")?,
        "transverse_mercator" => format!(
            "+proj=tmerc +lat_0={} +lon_0={} +k_0={}",
            need("latitude_of_projection_origin")?,
            need("longitude_of_central_meridian")?,
            or("scale_factor_at_central_meridian", 1.0)
        ),
        "mercator" => format!(
            "+proj=merc +lon_0={} +lat_ts={}",
            or("longitude_of_projection_origin", 0.0),
            or("standard_parallel", 0.0)
        ),
        "sinusoidal" => format!(
            "+proj=sinu +lon_0={}",
            or("longitude_of_central_meridian", or("longitude_of_projection_origin", 0.0))
        ),
        "lambert_azimuthal_equal_area" => format!(
            "+proj=laea +lat_0={} +lon_0={}",
            need("latitude_of_projection_origin")?,
            need("longitude_of_projection_origin")?
        ),
        "polar_stereographic" => {
            let lat_0 = need("latitude_of_projection_origin")?;
            let lon = first("straight_vertical_longitude_from_pole").or(first("longitude_of_projection_origin"));
            let lon = lon.ok_or_else(|| missing("straight_vertical_longitude_from_pole"))?;
            format!("+proj=stere +lat_0={lat_0} +lon_0={lon} +lat_ts={}", or("standard_parallel", lat_0))
        }
        other => {
            return Err(Error::GridMapping { name: other.into(), why: "this mapping is not supported".into() });
        }
    };
    let origin = if name == "latitude_longitude" {
        String::new()
    } else {
        format!(" +x_0={} +y_0={} +units=m", or("false_easting", 0.0), or("false_northing", 0.0))
    };
    Ok(format!("{body}{origin}{} +no_defs", ellipsoid(&first)))
}

fn ellipsoid(first: &dyn Fn(&str) -> Option<f64>) -> String {
    let axis = first("semi_major_axis").or(first("earth_radius"));
    match (axis, first("inverse_flattening"), first("semi_minor_axis")) {
        (Some(a), Some(rf), _) if rf > 0.0 => format!(" +a={a} +rf={rf}"),
        (Some(a), _, Some(b)) => format!(" +a={a} +b={b}"),
        (Some(a), _, None) => format!(" +a={a} +b={a}"),
        (None, ..) => " +ellps=WGS84".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daymet() -> Crs {
        let attrs = |name: &str| -> Option<Vec<f64>> {
            Some(match name {
                "standard_parallel" => vec![25.0, 60.0],
                "latitude_of_projection_origin" => vec![42.5],
                "longitude_of_central_meridian" => vec![-100.0],
                "semi_major_axis" => vec![6_378_137.0],
                "inverse_flattening" => vec![298.257_223_563],
                _ => return None,
            })
        };
        Crs::from_cf("lambert_conformal_conic", &attrs).unwrap()
    }

    #[test]
    fn daymet_prints_these_coordinates_for_a_point() {
        let [x, y] = daymet().from_lonlat(-85.0, 40.0).unwrap();
        assert!((x - 1_216_781.39).abs() < 0.01 && (y + 155_222.78).abs() < 0.01, "{x} {y}");
        let [lon, lat] = daymet().to_lonlat(x, y).unwrap();
        assert!((lon + 85.0).abs() < 1e-9 && (lat - 40.0).abs() < 1e-9);
    }

    #[test]
    fn golden_points_agree_with_proj() {
        let Some(path) = outcrop_testkit::shared_data("golden/e_spring/lcc.npz") else { return };
        let [lon, lat, x, y] = ["lon", "lat", "x", "y"].map(|k| outcrop_testkit::npz::<f64>(&path, k));
        let crs = daymet();
        for (((lon, lat), x), y) in lon.iter().zip(&lat).zip(&x).zip(&y) {
            let [gx, gy] = crs.from_lonlat(*lon, *lat).unwrap();
            assert!((gx - x).abs() < 1e-3 && (gy - y).abs() < 1e-3, "{lon} {lat}: {gx} {gy} want {x} {y}");
            let [glon, glat] = crs.to_lonlat(*x, *y).unwrap();
            assert!((glon - lon).abs() < 1e-9 && (glat - lat).abs() < 1e-9, "{lon} {lat} -> {glon} {glat}");
        }
    }

    #[test]
    fn wkt2_names_the_method_and_unknown_mappings_are_refused() {
        assert!(daymet().wkt2().unwrap().contains("Lambert Conic Conformal (2SP)"));
        let none = |_: &str| -> Option<Vec<f64>> { None };
        assert!(Crs::from_cf("rotated_latitude_longitude", &none).is_err());
        assert!(Crs::from_cf("lambert_conformal_conic", &none).is_err());
    }
}
