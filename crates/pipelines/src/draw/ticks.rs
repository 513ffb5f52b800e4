//! Where ticks are along an axis, and what is written at them.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use outcrop_compute::Coord;
use outcrop_formats::AttrValue;

const DAY: f64 = 86400.0;
/// Steps in seconds, up to half a month.
const STEPS: [f64; 20] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    10800.0,
    21600.0,
    43200.0,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
];
/// Steps in months.
const MONTHS: [i64; 13] = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000];

/// A place on an axis and what is written there.
pub type Tick = (f64, String);

/// About `count` round numbers between two values.
pub(super) fn numbers(low: f64, high: f64, count: u32) -> Vec<Tick> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![(low, number(low))];
    }
    let rough = span / f64::from(count.max(1));
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    let values = (0..=2 * count).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= high + step * 1e-9);
    let values: Vec<f64> = values.map(|v| if v.abs() < step * 1e-9 { 0.0 } else { v }).collect();
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let write = |v: &f64| (*v, written(*v, step, largest));
    values.iter().map(write).collect()
}

/// With as many digits as the step has.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "powers of ten of doubles")]
fn written(value: f64, step: f64, largest: f64) -> String {
    let power = |v: f64| (v.log10() + 1e-9).floor();
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e7).contains(&largest) {
        let digits = (power(value.abs()) - power(step)).clamp(0.0, 12.0) as usize;
        return format!("{value:.digits$e}");
    }
    let digits = (-power(step)).clamp(0.0, 12.0) as usize;
    format!("{value:.digits$}")
}

/// A number without needless digits.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 1e9 || (value != 0.0 && value.abs() < 1e-4) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// About `count` round moments between two, which are seconds since 1970.
pub(crate) fn moments(from: f64, to: f64, count: u32) -> Vec<Tick> {
    let rough = (to - from) / f64::from(count.max(1));
    if rough <= 0.5 || !rough.is_finite() {
        let at = |(value, _): Tick| Some((value, moment(value)?.format("%H:%M:%S%.3f").to_string()));
        return numbers(from, to, count).into_iter().filter_map(at).collect();
    }
    let Some(step) = STEPS.into_iter().find(|step| *step >= rough) else { return months(from, to, rough) };
    let form = match step {
        step if step >= DAY => "%Y-%m-%d",
        step if step < 60.0 => "%H:%M:%S",
        _ if to - from > DAY => "%m-%d %H:%M",
        _ => "%H:%M",
    };
    let first = (from / step).ceil();
    let values = (0..=2 * count).map(|i| (first + f64::from(i)) * step).take_while(|value| *value <= to);
    values.filter_map(|value| Some((value, moment(value)?.format(form).to_string()))).collect()
}

fn months(from: f64, to: f64, rough: f64) -> Vec<Tick> {
    let step = MONTHS.into_iter().find(|step| *step as f64 * 30.44 * DAY >= rough).unwrap_or(12000);
    let Some(start) = moment(from) else { return Vec::new() };
    let first = i64::from(start.year()) * 12 + i64::from(start.month0());
    let begin = |at: i64| {
        let month = u32::try_from(at.rem_euclid(12)).ok()? + 1;
        let day = NaiveDate::from_ymd_opt(i32::try_from(at.div_euclid(12)).ok()?, month, 1)?;
        Some((seconds(day.and_time(chrono::NaiveTime::MIN).and_utc()), day))
    };
    let text = |day: NaiveDate| day.format(if step >= 12 { "%Y" } else { "%Y-%m" }).to_string();
    let all = (first.div_euclid(step)..).map(|at| begin(at * step));
    let all = all.map_while(|found| found.filter(|(value, _)| *value <= to));
    all.filter(|(value, _)| *value >= from).map(|(value, day)| (value, text(day))).collect()
}

fn seconds(moment: DateTime<Utc>) -> f64 {
    moment.timestamp() as f64 + f64::from(moment.timestamp_subsec_nanos()) / 1e9
}

/// Rounded to the millisecond.
#[expect(clippy::cast_possible_truncation, reason = "chrono refuses what is too large")]
fn moment(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis((seconds * 1e3).round() as i64)
}

/// What lies along a dimension.
#[derive(Debug, Clone)]
pub(crate) struct Along {
    /// Its name, with units.
    pub(crate) label: String,
    /// A number for each position, rising or falling.
    pub(crate) positions: Vec<f64>,
    scale: Scale,
}

#[derive(Debug, Clone)]
enum Scale {
    Numbers,
    /// Seconds since 1970.
    Moments,
    /// Positions are counted.
    Texts(Vec<String>),
}

impl Along {
    /// Labels where there are any, else the positions.
    pub(crate) fn of(dim: &str, coord: Option<&Coord>, len: usize) -> Self {
        let counted = || (0..len).map(|at| at as f64).collect::<Vec<f64>>();
        let Some(coord) = coord.filter(|coord| coord.len() == len) else {
            return Self { label: dim.to_owned(), positions: counted(), scale: Scale::Numbers };
        };
        if let Some(dates) = coord.dates().filter(|dates| !dates.is_empty()) {
            let moments: Option<Vec<DateTime<Utc>>> = dates.iter().map(outcrop_grid::time::Stamp::to_utc).collect();
            let positions: Vec<f64> = moments.iter().flatten().map(|moment| seconds(*moment)).collect();
            // Of less than a day, ticks do not tell the date.
            let day = moments.iter().flatten().next().filter(|first| {
                let last = moments.iter().flatten().last().unwrap_or(first);
                (*last - **first).num_hours().abs() < 24
            });
            let label = day.map_or_else(|| dim.to_owned(), |day| format!("{dim} ({})", day.format("%Y-%m-%d")));
            if positions.len() == len && is_monotonic(&positions) {
                return Self { label, positions, scale: Scale::Moments };
            }
        }
        if coord.texts.len() == len || !is_monotonic(&coord.values) {
            let texts = (0..len).map(|at| name(dim, Some(coord), at)).collect();
            return Self { label: dim.to_owned(), positions: counted(), scale: Scale::Texts(texts) };
        }
        let units = coord.attrs.get("units").and_then(AttrValue::text).filter(|units| !["", "1"].contains(units));
        let label = units.map_or_else(|| dim.to_owned(), |units| format!("{dim} ({units})"));
        Self { label, positions: coord.values.clone(), scale: Scale::Numbers }
    }

    /// About so many ticks between two positions.
    pub(crate) fn ticks(&self, from: f64, to: f64, count: u32) -> Vec<Tick> {
        let (low, high) = (from.min(to), from.max(to));
        match &self.scale {
            Scale::Numbers => numbers(low, high, count),
            Scale::Moments => moments(low, high, count),
            Scale::Texts(texts) => texts.iter().enumerate().map(|(at, text)| (at as f64, text.clone())).collect(),
        }
    }
}

fn is_monotonic(values: &[f64]) -> bool {
    let each = |before: fn(&f64, &f64) -> bool| values.windows(2).all(|pair| before(&pair[0], &pair[1]));
    values.iter().all(|value| value.is_finite()) && (each(|a, b| a < b) || each(|a, b| a > b))
}

/// What a position is called: its text, its date, or its dimension with a number.
pub(crate) fn name(dim: &str, coord: Option<&Coord>, at: usize) -> String {
    let Some(coord) = coord else { return format!("{dim} {at}") };
    if let Some(text) = coord.texts.get(at) {
        return text.clone();
    }
    if let Some(stamp) = coord.dates().and_then(|dates| dates.get(at).copied()) {
        let day = format!("{:04}-{:02}-{:02}", stamp.year, stamp.month, stamp.day);
        let minutes = (stamp.second / 60.0).floor();
        let clock = format!("{:02}:{:02}", (minutes / 60.0).floor(), minutes % 60.0);
        let second = stamp.second - minutes * 60.0;
        return match (stamp.second, second) {
            (0.0, _) => day,
            (_, 0.0) => format!("{day} {clock}"),
            _ => format!("{day} {clock}:{second:06.3}"),
        };
    }
    coord.values.get(at).map_or_else(String::new, |value| format!("{dim} {}", number(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let values = |ticks: Vec<Tick>| ticks.into_iter().map(|(value, _)| value).collect::<Vec<f64>>();
        assert_eq!(values(numbers(55.0, 101.0, 5)), vec![60.0, 70.0, 80.0, 90.0, 100.0]);
        assert_eq!(values(numbers(-0.4, 0.4, 4)), vec![-0.4, -0.2, 0.0, 0.2, 0.4]);
        assert_eq!(values(numbers(3.0, 3.0, 5)), vec![3.0]);
        assert_eq!(texts(&numbers(0.0, 1.0, 4)), ["0", "0.5", "1.0"]);
        assert_eq!(texts(&numbers(0.000_11, 0.000_15, 4)), ["1.1e-4", "1.2e-4", "1.3e-4", "1.4e-4", "1.5e-4"]);
        assert_eq!([number(0.30000), number(-2_500_000.0), number(1e12)], ["0.3", "-2500000", "1.00e12"]);
    }

    #[test]
    fn moments_are_round_and_said_in_their_step() {
        assert_eq!(
            texts(&moments(0.0, 4.0 * DAY, 5)),
            ["1970-01-01", "1970-01-02", "1970-01-03", "1970-01-04", "1970-01-05"]
        );
        assert_eq!(texts(&moments(10.0, 3600.0 * 3.0, 4)), ["01:00", "02:00", "03:00"]);
        assert_eq!(texts(&moments(DAY, 800.0 * DAY, 5)), ["1970-07", "1971-01", "1971-07", "1972-01"]);
        assert_eq!(texts(&moments(0.0, 20.0 * 365.25 * DAY, 5)), ["1970", "1975", "1980", "1985", "1990"]);
        assert_eq!(texts(&moments(0.0, 1.0, 2)), ["00:00:00.000", "00:00:00.500", "00:00:01.000"]);
    }
}
