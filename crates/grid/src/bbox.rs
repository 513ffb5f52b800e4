//! Bounding boxes in longitude and latitude, also across the antimeridian (RFC 7946, 5.2).

use std::str::FromStr;

use crate::{Error, Result};

/// A box in degrees.
///
/// - `south <= north`; `west > east` means that the box crosses the antimeridian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    /// Western edge, degrees east.
    pub west: f64,
    /// Southern edge, degrees north.
    pub south: f64,
    /// Eastern edge, degrees east.
    pub east: f64,
    /// Northern edge, degrees north.
    pub north: f64,
}

impl BBox {
    /// From 4 numbers, or 6 with heights, which are left out (a 2-D geometry has none).
    ///
    /// # Errors
    /// [`Error::BBox`] for another count, numbers that are not finite, or south above north.
    pub fn from_slice(numbers: &[f64]) -> Result<Self> {
        let bad = |why| Error::BBox { text: format!("{numbers:?}"), why };
        let ([west, south, east, north] | [west, south, _, east, north, _]) = *numbers else {
            return Err(bad("it needs 4 or 6 numbers"));
        };
        if !numbers.iter().all(|n| n.is_finite()) {
            return Err(bad("its numbers must be finite"));
        }
        if south > north {
            return Err(bad("south is above north"));
        }
        Ok(Self { west, south, east, north })
    }

    /// `[west, south, east, north]`.
    pub fn to_array(self) -> [f64; 4] {
        [self.west, self.south, self.east, self.north]
    }

    /// True if west is east of east.
    pub fn crosses_antimeridian(&self) -> bool {
        self.west > self.east
    }

    /// One box, or two where it crosses the antimeridian.
    pub fn parts(&self) -> Vec<Self> {
        if self.crosses_antimeridian() {
            vec![Self { east: 180.0, ..*self }, Self { west: -180.0, ..*self }]
        } else {
            vec![*self]
        }
    }

    /// True if the boxes share a point; edges count.
    pub fn intersects(&self, other: &Self) -> bool {
        let overlap =
            |a: &Self, b: &Self| a.west <= b.east && b.west <= a.east && a.south <= b.north && b.south <= a.north;
        self.parts().iter().any(|a| other.parts().iter().any(|b| overlap(a, b)))
    }

    /// The smallest box around both that does not go the long way round.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (south, north) = (self.south.min(other.south), self.north.max(other.north));
        let plain = Self { west: self.west.min(other.west), south, east: self.east.max(other.east), north };
        if !self.crosses_antimeridian() && !other.crosses_antimeridian() {
            return plain;
        }
        // Unroll so that east is never smaller than west, and bring the second box beside the first.
        let unroll = |b: &Self| (b.west, if b.crosses_antimeridian() { b.east + 360.0 } else { b.east });
        let (west, east) = unroll(self);
        let candidates = [-360.0, 0.0, 360.0].map(|shift| {
            let (w, e) = unroll(other);
            (west.min(w + shift), east.max(e + shift))
        });
        let best = candidates.iter().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        match best {
            Some((w, e)) if e - w < 360.0 => Self { west: wrap(*w), south, east: wrap(*e), north },
            _ => Self { west: -180.0, south, east: 180.0, north },
        }
    }
}

fn wrap(lon: f64) -> f64 {
    if (-180.0..=180.0).contains(&lon) { lon } else { (lon + 180.0).rem_euclid(360.0) - 180.0 }
}

impl FromStr for BBox {
    type Err = Error;

    /// Numbers separated by commas or blanks.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        let numbers: std::result::Result<Vec<f64>, _> = parts.map(str::parse).collect();
        let numbers = numbers.map_err(|_| Error::BBox { text: text.into(), why: "it needs 4 or 6 numbers" })?;
        Self::from_slice(&numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bbox(text: &str) -> BBox {
        text.parse().unwrap()
    }

    #[test]
    fn boxes_meet_across_the_antimeridian() {
        let pacific = bbox("170,-20,-170,-10");
        assert!(pacific.intersects(&bbox("175,-15,176,-12")));
        assert!(pacific.intersects(&bbox("-179 -15 -175 -12")));
        assert!(!pacific.intersects(&bbox("0,-15,10,-12")));
        assert!(bbox("0,0,10,10").intersects(&bbox("10,10,20,20")));
        assert_eq!(pacific.union(&bbox("175,-5,179,5")), bbox("170,-20,-170,5"));
        assert_eq!(bbox("0,0,1,1").union(&bbox("2,2,3,3")), bbox("0,0,3,3"));
    }

    #[test]
    fn heights_are_left_out_and_nonsense_is_refused() {
        assert_eq!(bbox("1,2,100,3,4,900"), bbox("1,2,3,4"));
        for bad in ["1,2,3", "a,b,c,d", "0,5,1,1", "nan,0,1,1"] {
            assert!(bad.parse::<BBox>().is_err(), "{bad}");
        }
    }
}
