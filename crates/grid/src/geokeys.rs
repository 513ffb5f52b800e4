//! GeoKeys: how GeoTIFF says what its coordinates are (OGC 19-008r4, chapter 7).

use std::collections::BTreeMap;

const MODEL_TYPE: u16 = 1024;
const RASTER_TYPE: u16 = 1025;
const CITATION: u16 = 1026;
const GEOGRAPHIC: u16 = 2048;
const GEOGRAPHIC_CITATION: u16 = 2049;
const PROJECTED: u16 = 3072;
const PROJECTED_CITATION: u16 = 3073;
/// A code that means: other keys describe it.
const USER_DEFINED: u16 = 32767;
/// Most keys of a file.
const MAX_KEYS: usize = 4096;

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

    /// The name that the file gives.
    pub fn citation(&self) -> Option<&str> {
        let keys = [PROJECTED_CITATION, CITATION, GEOGRAPHIC_CITATION];
        keys.iter().find_map(|key| self.texts.get(key)).map(String::as_str)
    }
}
