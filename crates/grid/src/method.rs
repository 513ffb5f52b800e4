//! Map projections by the names that WKT, GeoTIFF and PROJ have for them.
//!
//! Parameters have few meanings and many names, so they are kept by the meaning they have in PROJ
//! (<https://proj.org/en/stable/operations/projections/>); method names are those of EPSG (WKT2), OGC 01-009 (WKT1), Esri
//! and OGC 19-008r4, annex C.

use std::fmt::Write;

/// A projection method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    TransverseMercator,
    LambertConic1,
    LambertConic2,
    Albers,
    Mercator1,
    Mercator2,
    WebMercator,
    PolarStereographic,
    Stereographic,
    ObliqueStereographic,
    LambertAzimuthal,
    Sinusoidal,
    Equirectangular,
    CylindricalEqualArea,
    ObliqueMercatorA,
    ObliqueMercatorB,
    AzimuthalEquidistant,
    EquidistantConic,
    Gnomonic,
    Orthographic,
    Polyconic,
    Robinson,
    Miller,
    Cassini,
    Mollweide,
    EqualEarth,
}

/// Parameters by their meaning: degrees and metres.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) lat_0: Option<f64>,
    pub(crate) lon_0: Option<f64>,
    pub(crate) lat_1: Option<f64>,
    pub(crate) lat_2: Option<f64>,
    pub(crate) k_0: Option<f64>,
    pub(crate) x_0: Option<f64>,
    pub(crate) y_0: Option<f64>,
    pub(crate) azimuth: Option<f64>,
    pub(crate) skew: Option<f64>,
}

/// What a number of a parameter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    Angle,
    Length,
    Ratio,
}

/// Name without case, blanks and signs: WKT1 has `Transverse_Mercator`, WKT2 `Transverse Mercator`.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl Method {
    /// The method of a name in WKT.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match plain(name).as_str() {
            "transversemercator" | "gausskruger" => Self::TransverseMercator,
            "lambertconformalconic1sp" | "lambertconicconformal1sp" => Self::LambertConic1,
            "lambertconformalconic2sp" | "lambertconicconformal2sp" | "lambertconformalconic" => Self::LambertConic2,
            "albersconicequalarea" | "albersequalarea" | "albers" => Self::Albers,
            "mercator1sp" | "mercatorvarianta" => Self::Mercator1,
            "mercator2sp" | "mercatorvariantb" | "mercator" => Self::Mercator2,
            "popularvisualisationpseudomercator" | "mercatorauxiliarysphere" => Self::WebMercator,
            "polarstereographic"
            | "polarstereographicvarianta"
            | "polarstereographicvariantb"
            | "stereographicnorthpole"
            | "stereographicsouthpole" => Self::PolarStereographic,
            "stereographic" => Self::Stereographic,
            "obliquestereographic" | "doublestereographic" => Self::ObliqueStereographic,
            "lambertazimuthalequalarea" => Self::LambertAzimuthal,
            "sinusoidal" => Self::Sinusoidal,
            "equirectangular" | "equidistantcylindrical" | "platecarree" => Self::Equirectangular,
            "cylindricalequalarea" | "lambertcylindricalequalarea" | "behrmann" => Self::CylindricalEqualArea,
            "hotineobliquemercator" | "hotineobliquemercatorvarianta" | "rectifiedskeworthomorphicnaturalorigin" => {
                Self::ObliqueMercatorA
            }
            "hotineobliquemercatorazimuthcenter"
            | "hotineobliquemercatorvariantb"
            | "obliquemercator"
            | "rectifiedskeworthomorphiccenter" => Self::ObliqueMercatorB,
            "azimuthalequidistant" | "modifiedazimuthalequidistant" => Self::AzimuthalEquidistant,
            "equidistantconic" => Self::EquidistantConic,
            "gnomonic" => Self::Gnomonic,
            "orthographic" => Self::Orthographic,
            "polyconic" | "americanpolyconic" => Self::Polyconic,
            "robinson" => Self::Robinson,
            "miller" | "millercylindrical" => Self::Miller,
            "cassini" | "cassinisoldner" => Self::Cassini,
            "mollweide" => Self::Mollweide,
            "equalearth" => Self::EqualEarth,
            _ => return None,
        })
    }

    /// The method of a code of GeoTIFF's key 3075.
    pub(crate) fn of_geokey(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::TransverseMercator,
            3 => Self::ObliqueMercatorA,
            7 => Self::Mercator1,
            8 => Self::LambertConic2,
            9 => Self::LambertConic1,
            10 => Self::LambertAzimuthal,
            11 => Self::Albers,
            12 => Self::AzimuthalEquidistant,
            13 => Self::EquidistantConic,
            14 => Self::Stereographic,
            15 => Self::PolarStereographic,
            16 => Self::ObliqueStereographic,
            17 => Self::Equirectangular,
            18 => Self::Cassini,
            19 => Self::Gnomonic,
            20 => Self::Miller,
            21 => Self::Orthographic,
            22 => Self::Polyconic,
            23 => Self::Robinson,
            24 => Self::Sinusoidal,
            28 => Self::CylindricalEqualArea,
            _ => return None,
        })
    }

    /// The method of a PROJ name, where its parameters tell which.
    fn of_proj(name: &str, p: &Parameters) -> Option<Self> {
        Some(match name {
            "tmerc" | "etmerc" | "utm" => Self::TransverseMercator,
            "lcc" if p.lat_2.is_none() || p.lat_1 == p.lat_2 && p.lat_0 == p.lat_1 => Self::LambertConic1,
            "lcc" => Self::LambertConic2,
            "aea" => Self::Albers,
            "merc" if p.lat_1.is_some_and(|lat| lat != 0.0) => Self::Mercator2,
            "merc" => Self::Mercator1,
            "webmerc" => Self::WebMercator,
            "stere" if p.lat_0.is_some_and(|lat| lat.abs() == 90.0) => Self::PolarStereographic,
            "stere" => Self::Stereographic,
            "sterea" => Self::ObliqueStereographic,
            "laea" => Self::LambertAzimuthal,
            "sinu" => Self::Sinusoidal,
            "eqc" => Self::Equirectangular,
            "cea" => Self::CylindricalEqualArea,
            "aeqd" => Self::AzimuthalEquidistant,
            "robin" => Self::Robinson,
            _ => return None,
        })
    }

    /// The name of EPSG, for WKT2; `None` where a CRS cannot be written as such.
    pub(crate) fn wkt2(self) -> Option<&'static str> {
        Some(match self {
            Self::TransverseMercator => "Transverse Mercator",
            Self::LambertConic1 => "Lambert Conic Conformal (1SP)",
            Self::LambertConic2 => "Lambert Conic Conformal (2SP)",
            Self::Albers => "Albers Equal Area",
            Self::Mercator1 => "Mercator (variant A)",
            Self::Mercator2 => "Mercator (variant B)",
            Self::WebMercator => "Popular Visualisation Pseudo Mercator",
            Self::PolarStereographic => "Polar Stereographic (variant B)",
            Self::ObliqueStereographic => "Oblique Stereographic",
            Self::LambertAzimuthal => "Lambert Azimuthal Equal Area",
            Self::Sinusoidal => "Sinusoidal",
            Self::Equirectangular => "Equidistant Cylindrical",
            Self::CylindricalEqualArea => "Lambert Cylindrical Equal Area",
            _ => return None,
        })
    }

    /// The value of CF's `grid_mapping_name`.
    pub(crate) fn cf(self) -> Option<&'static str> {
        Some(match self {
            Self::TransverseMercator => "transverse_mercator",
            Self::LambertConic1 | Self::LambertConic2 => "lambert_conformal_conic",
            Self::Albers => "albers_conical_equal_area",
            Self::Mercator1 | Self::Mercator2 => "mercator",
            Self::PolarStereographic => "polar_stereographic",
            Self::LambertAzimuthal => "lambert_azimuthal_equal_area",
            Self::Sinusoidal => "sinusoidal",
            _ => return None,
        })
    }

    /// The code of GeoTIFF's key 3075, and the keys of the parameters with their values in degrees and metres, as GDAL
    /// chooses them; `None` for a method without a code.
    pub(crate) fn geokeys(self, p: &Parameters) -> Option<(u16, Vec<(u16, f64)>)> {
        let or = |value: Option<f64>, default: f64| value.unwrap_or(default);
        let (lat_0, lon_0, k_0) = (or(p.lat_0, 0.0), or(p.lon_0, 0.0), or(p.k_0, 1.0));
        let (x_0, y_0) = (or(p.x_0, 0.0), or(p.y_0, 0.0));
        let lat_1 = or(p.lat_1, 0.0);
        let (first, second) = ((3078, lat_1), (3079, or(p.lat_2, lat_1)));
        let natural = [(3081, lat_0), (3080, lon_0)];
        let centre = [(3089, lat_0), (3088, lon_0)];
        let scale = (3092, k_0);
        let mut keys = match self {
            Self::TransverseMercator | Self::LambertConic1 | Self::Mercator1 | Self::ObliqueStereographic => {
                // With one parallel its latitude is that of the origin.
                let lat = if self == Self::LambertConic1 { or(p.lat_0.or(p.lat_1), 0.0) } else { lat_0 };
                vec![(3081, lat), natural[1], scale]
            }
            Self::LambertConic2 => vec![first, second, (3085, lat_0), (3084, lon_0)],
            Self::Albers => vec![first, second, natural[0], natural[1]],
            Self::Mercator2 | Self::CylindricalEqualArea => vec![first, natural[1]],
            // The latitude is that of true scale, unless it is the pole.
            Self::PolarStereographic => vec![(3081, p.lat_1.unwrap_or(lat_0)), (3095, lon_0), scale],
            Self::Stereographic => vec![centre[0], centre[1], scale],
            Self::LambertAzimuthal | Self::AzimuthalEquidistant => centre.to_vec(),
            Self::Sinusoidal | Self::Robinson => vec![centre[1]],
            Self::Equirectangular => vec![first, centre[0], centre[1]],
            _ => return None,
        };
        let origin = if self == Self::LambertConic2 { [3086, 3087] } else { [3082, 3083] };
        keys.extend(origin.into_iter().zip([x_0, y_0]));
        let code = match self {
            Self::Mercator2 => 7,
            other => (1..=28).find(|code| Self::of_geokey(*code) == Some(other))?,
        };
        Some((code, keys))
    }

    /// A PROJ string without ellipsoid and units.
    pub(crate) fn proj(self, p: &Parameters) -> String {
        let lat_0 = p.lat_0.unwrap_or(0.0);
        let (lat_1, k_0) = (p.lat_1.unwrap_or(0.0), p.k_0.unwrap_or(1.0));
        let pole = |lat: f64| if lat < 0.0 { -90 } else { 90 };
        let mut text = match self {
            Self::TransverseMercator => format!("+proj=tmerc +lat_0={lat_0} +k={k_0}"),
            // With one parallel its latitude is that of the origin.
            Self::LambertConic1 => format!("+proj=lcc +lat_1={lat_0} +lat_0={lat_0} +k_0={k_0}"),
            Self::LambertConic2 => conic("lcc", p),
            Self::Albers => conic("aea", p),
            Self::EquidistantConic => conic("eqdc", p),
            Self::Mercator1 => format!("+proj=merc +k={k_0}"),
            Self::Mercator2 => format!("+proj=merc +lat_ts={lat_1}"),
            Self::WebMercator => "+proj=webmerc +lat_ts=0".to_owned(),
            Self::PolarStereographic => polar(p, pole),
            Self::Stereographic => format!("+proj=stere +lat_0={lat_0} +k={k_0}"),
            Self::ObliqueStereographic => format!("+proj=sterea +lat_0={lat_0} +k={k_0}"),
            Self::LambertAzimuthal => format!("+proj=laea +lat_0={lat_0}"),
            Self::Sinusoidal => "+proj=sinu".to_owned(),
            Self::Equirectangular => format!("+proj=eqc +lat_ts={lat_1} +lat_0={lat_0}"),
            Self::CylindricalEqualArea => format!("+proj=cea +lat_ts={lat_1}"),
            Self::ObliqueMercatorA => format!("{} +no_uoff", oblique(p)),
            // The Swiss grids: PROJ has a method of its own for a line of no inclination.
            Self::ObliqueMercatorB if p.azimuth == Some(90.0) && p.skew.is_none_or(|skew| skew == 90.0) => {
                format!("+proj=somerc +lat_0={lat_0} +k_0={k_0}")
            }
            Self::ObliqueMercatorB => oblique(p),
            Self::AzimuthalEquidistant => format!("+proj=aeqd +lat_0={lat_0}"),
            Self::Gnomonic => format!("+proj=gnom +lat_0={lat_0}"),
            Self::Orthographic => format!("+proj=ortho +lat_0={lat_0}"),
            Self::Polyconic => format!("+proj=poly +lat_0={lat_0}"),
            Self::Robinson => "+proj=robin".to_owned(),
            Self::Miller => "+proj=mill".to_owned(),
            Self::Cassini => format!("+proj=cass +lat_0={lat_0}"),
            Self::Mollweide => "+proj=moll".to_owned(),
            Self::EqualEarth => "+proj=eqearth".to_owned(),
        };
        let centre = if text.starts_with("+proj=omerc") { "lonc" } else { "lon_0" };
        let (lon_0, x_0, y_0) = (p.lon_0.unwrap_or(0.0), p.x_0.unwrap_or(0.0), p.y_0.unwrap_or(0.0));
        // Writing to a string cannot fail.
        let _ = write!(text, " +{centre}={lon_0} +x_0={x_0} +y_0={y_0}");
        text
    }
}

fn conic(name: &str, p: &Parameters) -> String {
    let (lat_0, lat_1) = (p.lat_0.unwrap_or(0.0), p.lat_1.unwrap_or(0.0));
    format!("+proj={name} +lat_1={lat_1} +lat_2={} +lat_0={lat_0}", p.lat_2.unwrap_or(lat_1))
}

fn oblique(p: &Parameters) -> String {
    let (azimuth, k_0) = (p.azimuth.unwrap_or(90.0), p.k_0.unwrap_or(1.0));
    let skew = p.skew.unwrap_or(azimuth);
    format!("+proj=omerc +lat_0={} +alpha={azimuth} +gamma={skew} +k={k_0}", p.lat_0.unwrap_or(0.0))
}

/// The latitude given is that of true scale, unless it is the pole.
fn polar(p: &Parameters, pole: impl Fn(f64) -> i32) -> String {
    let given = p.lat_1.or(p.lat_0).unwrap_or(90.0);
    if given.abs() == 90.0 {
        return format!("+proj=stere +lat_0={given} +k={}", p.k_0.unwrap_or(1.0));
    }
    format!("+proj=stere +lat_0={} +lat_ts={given}", pole(given))
}

impl Parameters {
    /// The place of a parameter by its name in WKT, and what it counts.
    pub(crate) fn by_name(&mut self, name: &str) -> Option<(&mut Option<f64>, Quantity)> {
        use Quantity::{Angle, Length, Ratio};
        Some(match plain(name).as_str() {
            "latitudeoforigin"
            | "latitudeofnaturalorigin"
            | "latitudeoffalseorigin"
            | "latitudeofcenter"
            | "latitudeofcentre"
            | "latitudeofprojectioncentre" => (&mut self.lat_0, Angle),
            "centralmeridian"
            | "longitudeoforigin"
            | "longitudeofnaturalorigin"
            | "longitudeoffalseorigin"
            | "longitudeofcenter"
            | "longitudeofcentre"
            | "longitudeofprojectioncentre" => (&mut self.lon_0, Angle),
            "standardparallel1" | "latitudeof1ststandardparallel" | "latitudeofstandardparallel" => {
                (&mut self.lat_1, Angle)
            }
            "standardparallel2" | "latitudeof2ndstandardparallel" => (&mut self.lat_2, Angle),
            "scalefactor"
            | "scalefactoratnaturalorigin"
            | "scalefactoroninitialline"
            | "scalefactoratprojectioncentre" => (&mut self.k_0, Ratio),
            "falseeasting" | "eastingatfalseorigin" | "eastingatprojectioncentre" => (&mut self.x_0, Length),
            "falsenorthing" | "northingatfalseorigin" | "northingatprojectioncentre" => (&mut self.y_0, Length),
            "azimuth" | "azimuthofinitialline" | "azimuthatprojectioncentre" => (&mut self.azimuth, Angle),
            "rectifiedgridangle" | "anglefromrectifiedtoskewgrid" => (&mut self.skew, Angle),
            _ => return None,
        })
    }

    /// The place of a parameter by its GeoKey, and what it counts.
    pub(crate) fn by_geokey(&mut self, key: u16) -> Option<(&mut Option<f64>, Quantity)> {
        use Quantity::{Angle, Length, Ratio};
        Some(match key {
            3078 => (&mut self.lat_1, Angle),
            3079 => (&mut self.lat_2, Angle),
            3080 | 3084 | 3088 | 3095 => (&mut self.lon_0, Angle),
            3081 | 3085 | 3089 => (&mut self.lat_0, Angle),
            3082 | 3086 | 3090 => (&mut self.x_0, Length),
            3083 | 3087 | 3091 => (&mut self.y_0, Length),
            3092 | 3093 => (&mut self.k_0, Ratio),
            3094 => (&mut self.azimuth, Angle),
            3096 => (&mut self.skew, Angle),
            _ => return None,
        })
    }

    /// Method and parameters of a PROJ string, for methods that WKT2 or CF have a name for.
    pub(crate) fn of_proj(definition: &str) -> Option<(Method, Self)> {
        let get = |key: &str| crate::crs::parameter(definition, key);
        let number = |key: &str| get(key).and_then(|text| text.parse::<f64>().ok());
        let mut p = Self {
            lat_0: number("lat_0"),
            lon_0: number("lon_0"),
            lat_1: number("lat_1").or_else(|| number("lat_ts")),
            lat_2: number("lat_2"),
            k_0: number("k_0").or_else(|| number("k")),
            x_0: number("x_0"),
            y_0: number("y_0"),
            ..Self::default()
        };
        let name = get("proj")?;
        if name == "utm" {
            let zone = number("zone")?;
            let south = definition.split_whitespace().any(|word| word == "+south");
            p.lon_0 = Some(zone * 6.0 - 183.0);
            (p.lat_0, p.k_0, p.x_0) = (Some(0.0), Some(0.9996), Some(500_000.0));
            p.y_0 = Some(if south { 10_000_000.0 } else { 0.0 });
        }
        Some((Method::of_proj(name, &p)?, p))
    }
}
