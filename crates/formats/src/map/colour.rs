//! Colours, limits and ticks.

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

/// About `count` round numbers between two values.
pub(super) fn ticks(low: f64, high: f64, count: u32) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![low];
    }
    let rough = span / f64::from(count);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    let values = (0..=2 * count).map(|i| (first + f64::from(i)) * step);
    values.take_while(|v| *v <= high + step * 1e-9).map(|v| if v.abs() < step * 1e-9 { 0.0 } else { v }).collect()
}

/// A number without needless digits.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 1e9 || (value != 0.0 && value.abs() < 1e-4) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(55.0, 101.0, 5), vec![60.0, 70.0, 80.0, 90.0, 100.0]);
        assert_eq!(ticks(-0.4, 0.4, 4), vec![-0.4, -0.2, 0.0, 0.2, 0.4]);
        assert_eq!(ticks(3.0, 3.0, 5), vec![3.0]);
        assert_eq!([number(0.30000), number(-2_500_000.0), number(1e12)], ["0.3", "-2500000", "1.00e12"]);
    }
}
