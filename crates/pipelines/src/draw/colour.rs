//! Colours and limits.

use image::Rgb;

/// A colour map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMap {
    /// matplotlib's viridis, dark to bright.
    Viridis,
    /// ColorBrewer's RdBu reversed: blue below zero, red above.
    RedBlueReversed,
    /// Black to white.
    Gray,
}

/// The range of values that the colours span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Value of the first colour.
    pub low: f64,
    /// Value of the last colour.
    pub high: f64,
    /// The colours.
    pub map: ColourMap,
}

const MISSING: Rgb<u8> = Rgb([224, 224, 224]);

impl Limits {
    /// Limits by xarray's rule; `None` without a finite value.
    pub fn of(values: &[f64]) -> Option<Self> {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let low = finite().reduce(f64::min)?;
        let high = finite().reduce(f64::max)?;
        if low < 0.0 && high > 0.0 {
            let far = high.max(-low);
            return Some(Self { low: -far, high: far, map: ColourMap::RedBlueReversed });
        }
        Some(Self { low, high, map: ColourMap::Viridis })
    }

    /// Limits that are named: of both sides of zero alike with the colours for that, else viridis.
    pub fn between(low: f64, high: f64) -> Self {
        let is_even = low < 0.0 && (low + high).abs() <= high * 1e-9;
        Self { low, high, map: if is_even { ColourMap::RedBlueReversed } else { ColourMap::Viridis } }
    }

    /// Gray from `-clip` to `clip`.
    pub fn gray(clip: f64) -> Self {
        Self { low: -clip, high: clip, map: ColourMap::Gray }
    }

    /// Number of the colour, 0 to 255; `None` for a missing value. The highest value has the last colour.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255")]
    pub fn level(&self, value: f64) -> Option<u8> {
        if value.is_nan() {
            return None;
        }
        let share = if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.0 };
        Some((share * 256.0).floor().clamp(0.0, 255.0) as u8)
    }

    pub(super) fn colour(&self, value: f64) -> Rgb<u8> {
        let Some(level) = self.level(value) else { return MISSING };
        if self.map == ColourMap::Gray {
            return Rgb([level; 3]);
        }
        let share = f64::from(level) / 255.0;
        let colour = match self.map {
            ColourMap::Viridis => colorous::VIRIDIS.eval_continuous(share),
            ColourMap::RedBlueReversed | ColourMap::Gray => colorous::RED_BLUE.eval_continuous(1.0 - share),
        };
        Rgb([colour.r, colour.g, colour.b])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outcrop_testkit::{npz, shared_data};

    #[test]
    fn golden_levels_agree_with_matplotlib() {
        let Some(path) = shared_data("golden/e_spring/slice_plot.npz") else { return };
        let values: Vec<f64> = npz::<f64>(&path, "values").iter().copied().collect();
        let limits = Limits::of(&values).unwrap();
        assert_eq!((limits.low, limits.high, limits.map), (-4.125, 4.125, ColourMap::RedBlueReversed));
        let want: Vec<i64> = npz::<i16>(&path, "index").iter().map(|v| i64::from(*v)).collect();
        let got: Vec<i64> = values.iter().map(|v| limits.level(*v).map_or(-1, i64::from)).collect();
        let off = got.iter().zip(&want).filter(|(g, w)| g != w).count();
        assert!(off * 100 <= want.len(), "{off} of {} differ", want.len());
        assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() <= 1 && (*g < 0) == (*w < 0)));
    }
}
