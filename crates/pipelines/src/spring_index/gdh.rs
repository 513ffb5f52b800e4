//! Growing degree hours of a day (Linvill 1990, HortScience 25(1), 14-16).
//!
//! The temperature rises as a sine from sunrise and falls as a logarithm after sunset; GDH is the sum over the hours
//! h = 0..=23 of what lies above 31 °F. With `d` the day length in hours, `dt = tmax - tmin` (°F) and
//! `S = sin(pi d / (d + 4)) dt`:
//! - day, h <= floor(d): `T = sin(pi h / (d + 4)) dt + tmin`;
//! - night, h > floor(d): `T = (1 - ln(h - floor(d)) / ln(24 - d)) S + tmin`.
//!
//! The reference evaluates both for every hour and takes the night where it is finite; for 0 <= d <= 24 that is the
//! rule above (also for d = 0, 23 <= d < 24 and d = 24). Here the sines of the hours come from the Chebyshev
//! recurrence `sin((h+1)x) = 2 cos(x) sin(hx) - sin((h-1)x)`, the logarithms of whole hours from a table, and
//! `sin(pi d / (d + 4)) = sin(4 pi / (d + 4))`, so that a cell and day costs one sine, one cosine and one logarithm.

use multiversion::multiversion;

/// GDH base temperature in degrees Fahrenheit.
pub const BASE_F: f64 = 31.0;

/// Cells that are worked on together.
const LANES: usize = 32;

/// `LN[j]` = ln(j) for 1 <= j <= 24.
static LN: [f64; 25] = [
    f64::NEG_INFINITY,
    0.0,
    std::f64::consts::LN_2,
    1.098_612_288_668_109_8,
    1.386_294_361_119_890_6,
    1.609_437_912_434_100_3,
    1.791_759_469_228_055,
    1.945_910_149_055_313_2,
    2.079_441_541_679_835_7,
    2.197_224_577_336_219_6,
    std::f64::consts::LN_10,
    2.397_895_272_798_370_7,
    2.484_906_649_788_000_4,
    2.564_949_357_461_536_7,
    2.639_057_329_615_258_4,
    2.708_050_201_102_210_3,
    2.772_588_722_239_781,
    2.833_213_344_056_216,
    2.890_371_757_896_165,
    2.944_438_979_166_440_3,
    2.995_732_273_553_991,
    3.044_522_437_723_423,
    3.091_042_453_358_316,
    3.135_494_215_929_149_7,
    3.178_053_830_347_946,
];

/// Temperatures and day lengths of a day, in degrees Fahrenheit and hours.
#[derive(Debug, Clone, Copy)]
pub struct Day<'a, T> {
    /// Daily minimum temperature, °F.
    pub tmin_f: &'a [T],
    /// Daily maximum temperature, °F.
    pub tmax_f: &'a [T],
    /// Time between sunrise and sunset, hours.
    pub dayl_h: &'a [T],
}

/// GDH of each cell in °F hours; NaN where an input is NaN. All slices have the length of `out`.
///
/// Differences are taken in the precision of the input, the rest in double precision, as in the reference; the result
/// has the same bits on every machine.
pub fn gdh<T: Temperature>(day: Day<'_, T>, out: &mut [f64]) {
    T::gdh(day, out);
}

/// A precision that GDH can be computed from.
pub trait Temperature: Copy {
    /// See [`gdh`].
    fn gdh(day: Day<'_, Self>, out: &mut [f64]);
}

impl Temperature for f32 {
    fn gdh(day: Day<'_, Self>, out: &mut [f64]) {
        gdh_f32(day.tmin_f, day.tmax_f, day.dayl_h, out);
    }
}

impl Temperature for f64 {
    fn gdh(day: Day<'_, Self>, out: &mut [f64]) {
        gdh_f64(day.tmin_f, day.tmax_f, day.dayl_h, out);
    }
}

macro_rules! kernel {
    ($name:ident, $precision:ty) => {
        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2", "x86_64+sse4.1"))]
        fn $name(tmin: &[$precision], tmax: &[$precision], dayl: &[$precision], out: &mut [f64]) {
            let mut lanes = Lanes::default();
            let inputs = tmin.chunks(LANES).zip(tmax.chunks(LANES)).zip(dayl.chunks(LANES));
            for (((tmin, tmax), dayl), out) in inputs.zip(out.chunks_mut(LANES)) {
                // Cells that fill a short last group are worked on and thrown away.
                lanes.dt = [0.0; LANES];
                lanes.low = [0.0; LANES];
                lanes.d = [12.0; LANES];
                for i in 0..tmin.len() {
                    lanes.dt[i] = f64::from(tmax[i] - tmin[i]);
                    lanes.low[i] = f64::from(tmin[i]) - BASE_F;
                    lanes.d[i] = f64::from(dayl[i]);
                }
                lanes.sum_hours();
                out.copy_from_slice(&lanes.sum[..tmin.len()]);
            }
        }
    };
}

kernel!(gdh_f32, f32);
kernel!(gdh_f64, f64);

/// A group of cells.
struct Lanes {
    /// tmax - tmin.
    dt: [f64; LANES],
    /// tmin - 31.
    low: [f64; LANES],
    /// Day length in hours.
    d: [f64; LANES],
    sum: [f64; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        Self { dt: [0.0; LANES], low: [0.0; LANES], d: [0.0; LANES], sum: [0.0; LANES] }
    }
}

impl Lanes {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the kernel is compiled for each instruction set")]
    fn sum_hours(&mut self) {
        let mut floor = [0.0; LANES];
        let (mut longest, mut shortest) = (0.0f64, 24.0f64);
        let mut odd = false;
        for (d, floor) in self.d.iter().zip(&mut floor) {
            *floor = d.floor();
            // NaN compares false: it takes part as an ordinary day and is put in at the end.
            odd |= *d < 0.0 || *d > 24.0;
            longest = if *floor > longest { *floor } else { longest };
            shortest = if *floor < shortest { *floor } else { shortest };
        }
        if odd {
            self.sum_slowly();
            return;
        }
        let night_scale = self.day_hours(&floor, hours(longest).min(23));
        self.night_hours(&floor, 23usize.saturating_sub(hours(shortest)), &night_scale);
        for i in 0..LANES {
            let missing = self.dt[i].is_nan() || self.d[i].is_nan();
            self.sum[i] = if missing { f64::NAN } else { self.sum[i] };
        }
    }

    /// Adds the hours up to sunset; gives S.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the kernel is compiled for each instruction set")]
    fn day_hours(&mut self, floor: &[f64; LANES], last: usize) -> [f64; LANES] {
        let (mut before, mut now, mut twice_cos, mut scale) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let (sin, cos) = sin_cos(std::f64::consts::PI / (self.d[i] + 4.0));
            let (sin2, cos2) = (2.0 * sin * cos, 1.0 - 2.0 * sin * sin);
            scale[i] = 2.0 * sin2 * cos2 * self.dt[i];
            twice_cos[i] = 2.0 * cos;
            // sin(-x) and sin(0): the recurrence gives sin(x) next.
            before[i] = -sin;
            now[i] = 0.0;
            self.sum[i] = 0.0;
        }
        for hour in 0..=last {
            let h = hour as f64;
            for i in 0..LANES {
                let t = now[i] * self.dt[i] + self.low[i];
                self.sum[i] += if h <= floor[i] && t > 0.0 { t } else { 0.0 };
                let next = twice_cos[i] * now[i] - before[i];
                before[i] = now[i];
                now[i] = next;
            }
        }
        scale
    }

    /// Adds the hours after sunset, counted from it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the kernel is compiled for each instruction set")]
    fn night_hours(&mut self, floor: &[f64; LANES], last: usize, scale: &[f64; LANES]) {
        let mut inverse = [0.0; LANES];
        for (d, inverse) in self.d.iter().zip(&mut inverse) {
            // Without night hours (d >= 23) the value is not used; 2 keeps it finite.
            let rest = 24.0 - d;
            *inverse = 1.0 / ln(if rest > 1.0 { rest } else { 2.0 });
        }
        for (j, ln_j) in LN.iter().enumerate().take(last + 1).skip(1) {
            let after = j as f64;
            for i in 0..LANES {
                let t = (1.0 - ln_j * inverse[i]) * scale[i] + self.low[i];
                self.sum[i] += if after + floor[i] <= 23.0 && t > 0.0 { t } else { 0.0 };
            }
        }
    }

    /// The reference's rule, hour by hour, for day lengths outside 0..=24.
    #[cold]
    fn sum_slowly(&mut self) {
        for i in 0..LANES {
            self.sum[i] = by_definition(self.dt[i], self.low[i], self.d[i]);
        }
    }
}

/// GDH as the reference writes it: `dt` = tmax - tmin, `low` = tmin - 31 (°F), `d` in hours.
fn by_definition(dt: f64, low: f64, d: f64) -> f64 {
    let scale = (std::f64::consts::PI / (d + 4.0) * d).sin() * dt;
    let mut sum = 0.0;
    for hour in 0..24u8 {
        let h = f64::from(hour);
        let night = (1.0 - (h - d.floor()).ln() / (24.0 - d).ln()) * scale;
        let day = (h * std::f64::consts::PI / (d + 4.0)).sin() * dt;
        let t = if night.is_finite() { night } else { day } + low;
        sum += if t.is_nan() { t } else { t.max(0.0) };
    }
    sum
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 24")]
fn hours(value: f64) -> usize {
    value as usize
}

/// Sine and cosine for 0 <= x <= pi / 4 (Taylor series; the first term left out is below 1e-17).
#[inline(always)]
fn sin_cos(x: f64) -> (f64, f64) {
    const SIN: [f64; 8] = [
        -1.0 / 6.0,
        1.0 / 120.0,
        -1.0 / 5040.0,
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 1_307_674_368_000.0,
        1.0 / 355_687_428_096_000.0,
    ];
    const COS: [f64; 8] = [
        -0.5,
        1.0 / 24.0,
        -1.0 / 720.0,
        1.0 / 40_320.0,
        -1.0 / 3_628_800.0,
        1.0 / 479_001_600.0,
        -1.0 / 87_178_291_200.0,
        1.0 / 20_922_789_888_000.0,
    ];
    let x2 = x * x;
    let (mut s, mut c) = (0.0, 0.0);
    for k in (0..8).rev() {
        s = (s + SIN[k]) * x2;
        c = (c + COS[k]) * x2;
    }
    (x + x * s, 1.0 + c)
}

/// Natural logarithm for normal x > 0: x = 2^e m with m in [1/sqrt 2, sqrt 2), ln m = 2 artanh((m - 1) / (m + 1)).
#[inline(always)]
fn ln(x: f64) -> f64 {
    const SQRT_HALF_BITS: u64 = 0x3FE6_A09E_667F_3BCD;
    const ODD_INVERSES: [f64; 10] = [
        1.0 / 21.0,
        1.0 / 19.0,
        1.0 / 17.0,
        1.0 / 15.0,
        1.0 / 13.0,
        1.0 / 11.0,
        1.0 / 9.0,
        1.0 / 7.0,
        1.0 / 5.0,
        1.0 / 3.0,
    ];
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    // Exponent as a number, without a conversion of 64-bit integers: 2^52 + e, minus 2^52.
    let biased = f64::from_bits(0x4330_0000_0000_0000 | (shifted.wrapping_add(1 << 62) >> 52));
    let exponent = biased - (4_503_599_627_370_496.0 + 1024.0);
    let m = f64::from_bits((shifted & 0x000F_FFFF_FFFF_FFFF).wrapping_add(SQRT_HALF_BITS));
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let mut series = 0.0;
    for term in ODD_INVERSES {
        series = (series + term) * s2;
    }
    exponent * std::f64::consts::LN_2 + 2.0 * (s + s * series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outcrop_testkit::{difference, npz, shared_data};

    #[test]
    fn elementary_functions_are_good_to_the_last_digits() {
        for i in 0..=10_000 {
            let x = std::f64::consts::FRAC_PI_4 * f64::from(i) / 10_000.0;
            let (s, c) = sin_cos(x);
            assert!((s - x.sin()).abs() < 3e-16 && (c - x.cos()).abs() < 3e-16, "{x}");
            let y = 1.0 + 23.0 * f64::from(i) / 10_000.0;
            assert!((ln(y) - y.ln()).abs() < 1e-15 * (1.0 + y.ln()), "{y}: {} {}", ln(y), y.ln());
        }
        for (j, want) in LN.iter().enumerate().skip(1) {
            assert!((want - (j as f64).ln()).abs() < 1e-15);
        }
    }

    #[test]
    fn groups_agree_with_the_definition_for_every_day_length() {
        let d: Vec<f64> = (0..=2500).map(|i| f64::from(i) / 100.0 - 0.5).collect();
        let tmin: Vec<f64> = d.iter().enumerate().map(|(i, _)| 10.0 + (i % 37) as f64).collect();
        let tmax: Vec<f64> = tmin.iter().enumerate().map(|(i, t)| t + (i % 23) as f64).collect();
        let mut got = vec![0.0; d.len()];
        gdh(Day { tmin_f: &tmin, tmax_f: &tmax, dayl_h: &d }, &mut got);
        let want: Vec<f64> = (0..d.len()).map(|i| by_definition(tmax[i] - tmin[i], tmin[i] - BASE_F, d[i])).collect();
        assert_eq!(difference(&got, &want, 1e-12, 1e-9), None);
    }

    #[test]
    fn a_missing_input_makes_a_missing_result() {
        let (x, nan) = (50.0f32, f32::NAN);
        let mut out = [0.0; 4];
        gdh(Day { tmin_f: &[nan, x, x, x], tmax_f: &[x, nan, x, x], dayl_h: &[12.0, 12.0, nan, 12.0] }, &mut out);
        assert!(out[..3].iter().all(|v| v.is_nan()) && out[3] > 0.0);
    }

    #[test]
    fn golden_gdh_agrees_with_numpy() {
        let Some(folder) = shared_data("golden/e_spring") else { return };
        let path = folder.join("gdh_f64.npz");
        let [d, low, high, want] =
            ["dayl_s", "tmin_c", "tmax_c", "want"].map(|k| npz::<f64>(&path, k).into_raw_vec_and_offset().0);
        let f = |c: &[f64]| c.iter().map(|c| c * 1.8 + 32.0).collect::<Vec<_>>();
        let hours: Vec<f64> = d.iter().map(|s| s / 3600.0).collect();
        let mut got = vec![0.0; want.len()];
        gdh(Day { tmin_f: &f(&low), tmax_f: &f(&high), dayl_h: &hours }, &mut got);
        assert_eq!(difference(&got, &want, 1e-12, 1e-9), None);

        let path = folder.join("gdh_f32.npz");
        let [d, low, high] = ["dayl_s", "tmin_c", "tmax_c"].map(|k| npz::<f32>(&path, k).into_raw_vec_and_offset().0);
        let want = npz::<f64>(&path, "want").into_raw_vec_and_offset().0;
        let f = |c: &[f32]| c.iter().map(|c| c * 1.8 + 32.0).collect::<Vec<_>>();
        let hours: Vec<f32> = d.iter().map(|s| s / 3600.0).collect();
        let mut got = vec![0.0; want.len()];
        gdh(Day { tmin_f: &f(&low), tmax_f: &f(&high), dayl_h: &hours }, &mut got);
        assert_eq!(difference(&got, &want, 2e-6, 1e-3), None);
    }
}
