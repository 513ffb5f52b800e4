//! GeoKeys: how GeoTIFF says what its coordinates are (OGC 19-008r4, chapter 7).

use std::collections::BTreeMap;

use crate::method::{Method, Parameters, Quantity};
use crate::{Crs, Error, Result, wkt_to_proj};

const MODEL_TYPE: u16 = 1024;
const RASTER_TYPE: u16 = 1025;
const CITATION: u16 = 1026;
const GEOGRAPHIC: u16 = 2048;
const GEOGRAPHIC_CITATION: u16 = 2049;
const DATUM: u16 = 2050;
const ANGULAR_UNITS: u16 = 2054;
const ANGULAR_UNIT_SIZE: u16 = 2055;
const ELLIPSOID: u16 = 2056;
const SEMI_MAJOR: u16 = 2057;
const SEMI_MINOR: u16 = 2058;
const INVERSE_FLATTENING: u16 = 2059;
const PROJECTED: u16 = 3072;
const PROJECTED_CITATION: u16 = 3073;
const PROJECTION: u16 = 3074;
const METHOD: u16 = 3075;
const LINEAR_UNITS: u16 = 3076;
const LINEAR_UNIT_SIZE: u16 = 3077;
/// A code that means: other keys describe it.
const USER_DEFINED: u16 = 32767;
/// Most keys of a file.
const MAX_KEYS: usize = 4096;

fn fail(why: impl Into<String>) -> Error {
    Error::Projection { definition: "the GeoKeys".into(), why: why.into() }
}

/// The keys of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeoKeys {
    shorts: BTreeMap<u16, u16>,
    doubles: BTreeMap<u16, f64>,
    texts: BTreeMap<u16, String>,
}

impl GeoKeys {
    /// From the values of the tags 34735, 34736 and 34737; `None` if there is no directory.
    ///
    /// A key whose value is not there is left out.
    pub fn parse(directory: &[u64], doubles: &[f64], texts: &[u8]) -> Option<Self> {
        let count = usize::try_from(*directory.get(3)?).unwrap_or(usize::MAX).min(MAX_KEYS);
        let mut keys = Self::default();
        for entry in directory.as_chunks::<4>().0.iter().skip(1).take(count) {
            let [id, place, len, value] = entry.map(|n| u16::try_from(n).unwrap_or(u16::MAX));
            let at = usize::from(value);
            match place {
                0 => drop(keys.shorts.insert(id, value)),
                34735 => drop(directory.get(at).and_then(|n| keys.shorts.insert(id, u16::try_from(*n).ok()?))),
                34736 => drop(doubles.get(at).and_then(|n| keys.doubles.insert(id, *n))),
                34737 => {
                    let text = texts.get(at..at.saturating_add(usize::from(len))).unwrap_or_default();
                    let text = String::from_utf8_lossy(text).trim_end_matches(['|', '\0']).to_owned();
                    keys.texts.insert(id, text);
                }
                _ => {}
            }
        }
        Some(keys)
    }

    /// True if a tie point is the centre of a cell, not its outer corner.
    pub fn is_pixel_point(&self) -> bool {
        self.shorts.get(&RASTER_TYPE) == Some(&2)
    }

    /// True for longitude and latitude, false for plane coordinates, `None` for others.
    pub fn is_geographic(&self) -> Option<bool> {
        match self.shorts.get(&MODEL_TYPE) {
            Some(1) => Some(false),
            Some(2) => Some(true),
            _ if self.shorts.contains_key(&PROJECTED) => Some(false),
            _ => None,
        }
    }

    /// The EPSG code, if the keys are those of one.
    pub fn epsg(&self) -> Option<u16> {
        let key = if self.is_geographic()? { GEOGRAPHIC } else { PROJECTED };
        self.shorts.get(&key).copied().filter(|code| (1024..USER_DEFINED).contains(code))
    }

    /// The WKT that the file has itself: Esri writes it as a citation.
    pub fn wkt(&self) -> Option<&str> {
        let text = self.texts.values().find_map(|text| text.trim().strip_prefix("ESRI PE String = "))?;
        Some(text.trim())
    }

    /// The PROJ string that the keys mean: of a code, of Esri's WKT, or of a projection that they describe.
    ///
    /// # Errors
    /// [`Error::Projection`] that says which key is not understood.
    pub fn proj(&self) -> Result<String> {
        if let Some(code) = self.epsg() {
            return Crs::from_epsg(code).map(|crs| crs.proj_string().to_owned());
        }
        if let Some(wkt) = self.wkt() {
            return wkt_to_proj(wkt);
        }
        let angular = self.angular()?;
        let base = self.base()?;
        match self.is_geographic() {
            Some(true) => Ok(format!("+proj=longlat{base} +no_defs")),
            Some(false) => self.projected(&base, angular),
            None => Err(fail("the model type is none of projected and geographic")),
        }
    }

    fn projected(&self, base: &str, angular: f64) -> Result<String> {
        let metres = self.linear()?;
        let units = if (metres - 1.0).abs() < 1e-12 { " +units=m".to_owned() } else { format!(" +to_meter={metres}") };
        if let Some(code) = self.shorts.get(&PROJECTION).filter(|code| **code != USER_DEFINED) {
            let (zone, south) = match code {
                16001..=16060 => (code - 16000, ""),
                16101..=16160 => (code - 16100, " +south"),
                code => return Err(fail(format!("projection {code} of EPSG is not known"))),
            };
            return Ok(format!("+proj=utm +zone={zone}{south}{base}{units} +no_defs"));
        }
        let code = self.shorts.get(&METHOD).copied().ok_or_else(|| fail("there is no projection method"))?;
        let method = Method::of_geokey(code).ok_or_else(|| fail(format!("projection method {code} is not known")))?;
        let mut parameters = Parameters::default();
        for (key, value) in &self.doubles {
            if let Some((place, quantity)) = parameters.by_geokey(*key) {
                *place = Some(match quantity {
                    Quantity::Angle => value * angular,
                    Quantity::Length => value * metres,
                    Quantity::Ratio => *value,
                });
            }
        }
        // One code for both ways to say the scale.
        let scaled = method == Method::Mercator1 && parameters.lat_1.is_some();
        let method = if scaled { Method::Mercator2 } else { method };
        Ok(format!("{}{base}{units} +no_defs", method.proj(&parameters)))
    }

    /// Ellipsoid and datum.
    fn base(&self) -> Result<String> {
        let own = |key: u16| self.doubles.get(&key).copied();
        if let Some(code) = self.shorts.get(&GEOGRAPHIC).filter(|code| **code != USER_DEFINED) {
            let crs = Crs::from_epsg(*code)?;
            let of_datum = ["+datum", "+ellps", "+a=", "+b=", "+rf=", "+towgs84", "+pm"];
            let words = crs.proj_string().split_whitespace();
            let kept: Vec<&str> = words.filter(|word| of_datum.iter().any(|start| word.starts_with(start))).collect();
            return Ok(format!(" {}", kept.join(" ")));
        }
        if let Some(a) = own(SEMI_MAJOR) {
            return Ok(match (own(INVERSE_FLATTENING).filter(|rf| *rf > 0.0), own(SEMI_MINOR)) {
                (Some(rf), _) => format!(" +a={a} +rf={rf}"),
                (None, b) => format!(" +a={a} +b={}", b.unwrap_or(a)),
            });
        }
        let ellipsoid = match (self.shorts.get(&ELLIPSOID), self.shorts.get(&DATUM)) {
            (Some(7030), _) | (None, Some(6326)) => "WGS84",
            (Some(7019), _) | (None, Some(6269 | 6258)) => "GRS80",
            (Some(7004), _) => "bessel",
            (Some(7008), _) | (None, Some(6267)) => "clrk66",
            (Some(7012), _) => "clrk80",
            (Some(7022), _) => "intl",
            (Some(7024), _) => "krass",
            (Some(7001), _) => "airy",
            (ellipsoid, _) => return Err(fail(format!("ellipsoid {ellipsoid:?} is not known"))),
        };
        Ok(format!(" +ellps={ellipsoid}"))
    }

    /// Degrees of the unit of angles.
    fn angular(&self) -> Result<f64> {
        match self.shorts.get(&ANGULAR_UNITS) {
            None | Some(9102 | 9122) => Ok(1.0),
            Some(9101) => Ok(1f64.to_degrees()),
            Some(9105) => Ok(0.9),
            Some(code) => {
                let size = self.doubles.get(&ANGULAR_UNIT_SIZE).filter(|_| *code == USER_DEFINED);
                size.map(|radians| radians.to_degrees())
                    .ok_or_else(|| fail(format!("unit {code} of angles is not known")))
            }
        }
    }

    /// Metres of the unit of plane coordinates.
    fn linear(&self) -> Result<f64> {
        match self.shorts.get(&LINEAR_UNITS) {
            None | Some(9001) => Ok(1.0),
            Some(9002) => Ok(0.3048),
            Some(9003) => Ok(1200.0 / 3937.0),
            Some(9036) => Ok(1000.0),
            Some(code) => {
                let size = self.doubles.get(&LINEAR_UNIT_SIZE).filter(|_| *code == USER_DEFINED);
                size.copied().ok_or_else(|| fail(format!("unit {code} of lengths is not known")))
            }
        }
    }

    /// The name that the file gives.
    pub fn citation(&self) -> Option<&str> {
        let keys = [PROJECTED_CITATION, CITATION, GEOGRAPHIC_CITATION];
        keys.iter().find_map(|key| self.texts.get(key)).map(String::as_str)
    }
}
