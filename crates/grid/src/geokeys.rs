//! GeoKeys: how GeoTIFF says what its coordinates are (OGC 19-008r4, chapter 7).

use std::collections::BTreeMap;

use crate::crs::{metres, parameter};
use crate::method::{Method, Parameters, Quantity};
use crate::{Crs, Error, Result, wkt_to_proj};

const MODEL_TYPE: u16 = 1024;
const RASTER_TYPE: u16 = 1025;
const CITATION: u16 = 1026;
const GEOGRAPHIC: u16 = 2048;
const GEOGRAPHIC_CITATION: u16 = 2049;
const DATUM: u16 = 2050;
const MERIDIAN: u16 = 2051;
const ANGULAR_UNITS: u16 = 2054;
const ANGULAR_UNIT_SIZE: u16 = 2055;
const ELLIPSOID: u16 = 2056;
const SEMI_MAJOR: u16 = 2057;
const SEMI_MINOR: u16 = 2058;
const INVERSE_FLATTENING: u16 = 2059;
const MERIDIAN_LONGITUDE: u16 = 2061;
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

/// What the coordinates of a cell mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RasterType {
    /// Cells are areas: a tie point is the outer corner of one.
    #[default]
    Area,
    /// Cells are points: a tie point is the centre of one.
    Point,
}

/// The values of the tags 34735, 34736 and 34737.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeoTags {
    /// The directory: a header of four numbers and four for each key.
    pub directory: Vec<u16>,
    /// The doubles that the directory points to.
    pub doubles: Vec<f64>,
    /// The texts that the directory points to, each ended by `|`.
    pub texts: String,
}

impl GeoKeys {
    /// The keys of a CRS: of its EPSG code, else of its projection and ellipsoid.
    ///
    /// # Errors
    /// [`Error::Projection`] for a projection that GeoTIFF has no code for.
    pub fn of_crs(crs: &Crs, epsg: Option<u16>, raster: RasterType) -> Result<Self> {
        let mut keys = Self::default();
        keys.shorts.insert(MODEL_TYPE, if crs.is_lonlat() { 2 } else { 1 });
        keys.shorts.insert(RASTER_TYPE, if raster == RasterType::Point { 2 } else { 1 });
        match (epsg, crs.is_lonlat()) {
            (Some(code), true) => keys.set_geographic(code),
            (Some(code), false) => drop(keys.shorts.insert(PROJECTED, code)),
            (None, true) => keys.set_base(crs),
            (None, false) => {
                keys.set_projection(crs.proj_string())?;
                keys.set_base(crs);
            }
        }
        Ok(keys)
    }

    /// The same with the name that people know the CRS by.
    #[must_use]
    pub fn with_citation(mut self, name: &str) -> Self {
        // `|` ends a text.
        let name: String = name.chars().filter(|c| !matches!(c, '|' | '\0')).collect();
        if self.shorts.get(&PROJECTED) == Some(&USER_DEFINED) {
            self.texts.insert(PROJECTED_CITATION, name.clone());
        }
        self.texts.insert(CITATION, name);
        self
    }

    fn set_geographic(&mut self, code: u16) {
        self.shorts.insert(GEOGRAPHIC, code);
        self.shorts.insert(ANGULAR_UNITS, 9102);
    }

    /// Ellipsoid and prime meridian; the code of WGS 84 where the definition names this datum.
    fn set_base(&mut self, crs: &Crs) {
        let definition = crs.proj_string();
        let meridian = parameter(definition, "pm").and_then(|text| text.parse::<f64>().ok()).filter(|pm| *pm != 0.0);
        if parameter(definition, "datum") == Some("WGS84") && meridian.is_none() {
            return self.set_geographic(4326);
        }
        let (a, b) = crs.ellipsoid();
        self.set_geographic(USER_DEFINED);
        self.shorts.insert(DATUM, USER_DEFINED);
        self.shorts.insert(ELLIPSOID, USER_DEFINED);
        self.texts.insert(GEOGRAPHIC_CITATION, "unknown".to_owned());
        self.doubles.insert(SEMI_MAJOR, a);
        self.doubles.insert(INVERSE_FLATTENING, if a == b { 0.0 } else { a / (a - b) });
        if let Some(meridian) = meridian {
            self.shorts.insert(MERIDIAN, USER_DEFINED);
            self.doubles.insert(MERIDIAN_LONGITUDE, meridian);
        }
    }

    fn set_projection(&mut self, definition: &str) -> Result<()> {
        let no_code = || {
            let why = "GeoTIFF has no code for this projection: give the EPSG code of the CRS, if it has one";
            Error::Projection { definition: definition.to_owned(), why: why.to_owned() }
        };
        let (method, p) = Parameters::of_proj(definition).ok_or_else(no_code)?;
        let metres = metres(definition).ok_or_else(no_code)?;
        let (code, values) = method.geokeys(&p).ok_or_else(no_code)?;
        self.shorts.extend([(PROJECTED, USER_DEFINED), (PROJECTION, USER_DEFINED), (METHOD, code)]);
        self.texts.insert(PROJECTED_CITATION, "unknown".to_owned());
        self.doubles.extend(values.into_iter().map(|(key, value)| {
            // Lengths are in the unit of the coordinates; PROJ has metres.
            let is_length = matches!(key, 3082 | 3083 | 3086 | 3087 | 3090 | 3091);
            (key, if is_length { value / metres } else { value })
        }));
        let unit = [(9001, 1.0), (9002, 0.3048), (9003, 1200.0 / 3937.0), (9036, 1000.0)];
        let unit = unit.into_iter().find(|(_, size)| (size - metres).abs() < 1e-12).map_or(USER_DEFINED, |u| u.0);
        self.shorts.insert(LINEAR_UNITS, unit);
        if unit == USER_DEFINED {
            self.doubles.insert(LINEAR_UNIT_SIZE, metres);
        }
        Ok(())
    }

    /// The values of the tags; keys in ascending order, as the standard wants it.
    pub fn tags(&self) -> GeoTags {
        let mut tags = GeoTags::default();
        let mut keys: BTreeMap<u16, [u16; 3]> = self.shorts.iter().map(|(key, value)| (*key, [0, 1, *value])).collect();
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        for (key, value) in &self.doubles {
            keys.insert(*key, [34736, 1, number(tags.doubles.len())]);
            tags.doubles.push(*value);
        }
        for (key, text) in &self.texts {
            keys.insert(*key, [34737, number(text.len() + 1), number(tags.texts.len())]);
            tags.texts.push_str(text);
            tags.texts.push('|');
        }
        tags.directory = vec![1, 1, 0, number(keys.len())];
        tags.directory.extend(keys.into_iter().flat_map(|(key, [place, len, value])| [key, place, len, value]));
        tags
    }

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
        let code = self.shorts.get(&GEOGRAPHIC).filter(|code| **code != USER_DEFINED);
        // An ellipsoid of the file's own is the one that holds.
        let is_own = |crs: &Crs| own(SEMI_MAJOR).is_some_and(|a| (a - crs.ellipsoid().0).abs() > 1e-3);
        if let Some(crs) = code.map(|code| Crs::from_epsg(*code)).transpose()?.filter(|crs| !is_own(crs)) {
            let of_datum = ["+datum", "+ellps", "+a=", "+b=", "+rf=", "+towgs84", "+pm"];
            let words = crs.proj_string().split_whitespace();
            let kept: Vec<&str> = words.filter(|word| of_datum.iter().any(|start| word.starts_with(start))).collect();
            return Ok(format!(" {}", kept.join(" ")));
        }
        if let Some(a) = own(SEMI_MAJOR) {
            let meridian = own(MERIDIAN_LONGITUDE).filter(|_| self.shorts.get(&MERIDIAN) == Some(&USER_DEFINED));
            let meridian = meridian.map(|longitude| format!(" +pm={longitude}")).unwrap_or_default();
            return Ok(match (own(INVERSE_FLATTENING).filter(|rf| *rf > 0.0), own(SEMI_MINOR)) {
                (Some(rf), _) => format!(" +a={a} +rf={rf}{meridian}"),
                (None, b) => format!(" +a={a} +b={}{meridian}", b.unwrap_or(a)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is read as the same place on Earth.
    #[test]
    fn keys_are_read_back() {
        for definition in [
            "+proj=longlat +datum=WGS84 +no_defs",
            "+proj=longlat +a=6378137 +rf=298.257222101 +no_defs",
            "+proj=utm +zone=31 +south +ellps=GRS80 +units=m +no_defs",
            "+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +x_0=10 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=lcc +lat_1=40 +lat_0=40 +lon_0=-100 +k_0=0.99 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs",
            "+proj=merc +lon_0=100 +k=0.997 +x_0=3900000 +y_0=900000 +ellps=bessel +units=m +no_defs",
            "+proj=merc +lon_0=-80 +lat_ts=20 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=stere +lat_0=90 +k=0.994 +lon_0=0 +x_0=2000000 +y_0=2000000 +ellps=WGS84 +units=m +no_defs",
            "+proj=sterea +lat_0=52.1 +lon_0=5.4 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel +units=m +no_defs",
            "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m +no_defs",
            "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs",
            "+proj=robin +lon_0=11 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=eqc +lat_ts=30 +lat_0=0 +lon_0=5 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=cea +lat_ts=30 +lon_0=0 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs",
            "+proj=tmerc +lat_0=0 +lon_0=-75 +k=0.9996 +x_0=300000 +y_0=0 +ellps=clrk66 +units=us-ft +no_defs",
        ] {
            let crs = Crs::from_proj(definition).unwrap();
            let keys = GeoKeys::of_crs(&crs, None, RasterType::Area).unwrap();
            let GeoTags { directory, doubles, texts } = keys.tags();
            let directory: Vec<u64> = directory.into_iter().map(u64::from).collect();
            let again = GeoKeys::parse(&directory, &doubles, texts.as_bytes()).unwrap();
            assert_eq!(again, keys, "{definition}");
            let read = Crs::from_proj(&again.proj().unwrap()).unwrap();
            let lat = if definition.contains("lat_0=-90") { -75.0 } else { 50.0 };
            let [x, y] = crs.from_lonlat(7.0, lat).unwrap();
            let [rx, ry] = read.from_lonlat(7.0, lat).unwrap();
            assert!((x - rx).abs() < 1e-5 && (y - ry).abs() < 1e-5, "{definition}: {x} {y} {rx} {ry}");
        }
        let mollweide = Crs::from_proj("+proj=moll +lon_0=0 +ellps=WGS84 +units=m +no_defs").unwrap();
        assert!(GeoKeys::of_crs(&mollweide, None, RasterType::Area).unwrap_err().to_string().contains("no code"));
    }

    #[test]
    fn codes_are_written_as_codes() {
        let crs = Crs::from_epsg(32631).unwrap();
        let keys = GeoKeys::of_crs(&crs, Some(32631), RasterType::Point).unwrap();
        assert_eq!((keys.epsg(), keys.is_pixel_point(), keys.is_geographic()), (Some(32631), true, Some(false)));
        assert_eq!(keys.tags().directory, [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 2, 3072, 0, 1, 32631]);
    }
}
