//! Times of samples: what the labels of a time axis mean.

use chrono::{DateTime, TimeDelta, Utc};
use outcrop_compute::{Coord, DataArray};
use outcrop_formats::AttrValue;
use outcrop_grid::time::{Calendar, CfTime, rfc3339};

use crate::{Error, Result};

/// The units of a time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    /// As the file has them: `microseconds since 1970-01-01`.
    pub units: String,
    /// Seconds of one unit.
    pub unit_s: f64,
    epoch: DateTime<Utc>,
}

impl Clock {
    /// The clock of a dimension `time`.
    ///
    /// # Errors
    /// [`Error::Axis`] without labels or units, and for a calendar that is not that of our days.
    pub(super) fn of(array: &DataArray) -> Result<Self> {
        let refuse = |why: &str| Error::Axis { variable: array.name.clone(), why: why.into() };
        let coord =
            array.coords.get("time").ok_or_else(|| refuse("its file does not say when its samples were taken"))?;
        let text = |name: &str| coord.attrs.get(name).and_then(AttrValue::text).unwrap_or_default();
        let units = text("units");
        let axis = CfTime::parse(units, text("calendar")).map_err(|e| refuse(&format!("its times: {e}")))?;
        if !matches!(axis.calendar(), Calendar::Standard | Calendar::ProlepticGregorian) {
            return Err(refuse("its times are in a calendar of a model, not of a recording"));
        }
        let epoch = axis.decode(0.0).and_then(|stamp| stamp.to_utc());
        let epoch = epoch.ok_or_else(|| refuse("its times begin at a date that does not exist"))?;
        Ok(Self { units: units.to_owned(), unit_s: axis.unit_seconds(), epoch })
    }

    /// The moment of a label, to the nanosecond where labels are whole numbers; `None` for NaN and beyond the calendar.
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond the calendar is refused")]
    pub fn moment(&self, coord: &Coord, at: usize) -> Option<DateTime<Utc>> {
        let unit_ns = self.unit_s * 1e9;
        let ns = if let Some(whole) = coord.whole.get(at) {
            i128::from(*whole) * unit_ns.round() as i128
        } else {
            let value = coord.values.get(at).copied().filter(|value| value.is_finite())?;
            // Whole units and the rest apart, so that fractions of seconds survive.
            let units = value.floor();
            (units as i128) * (unit_ns.round() as i128) + ((value - units) * unit_ns).round() as i128
        };
        self.epoch.checked_add_signed(TimeDelta::nanoseconds(i64::try_from(ns).ok()?))
    }

    /// The moment of a label as text; the label itself where it is none.
    pub fn text(&self, coord: &Coord, at: usize) -> String {
        match self.moment(coord, at) {
            Some(moment) => rfc3339(&moment),
            None => coord.values.get(at).map_or_else(|| "nothing".to_owned(), f64::to_string),
        }
    }

    /// Seconds from one label to another.
    pub(super) fn seconds(&self, coord: &Coord, from: usize, to: usize) -> f64 {
        let units = match (coord.whole.get(from), coord.whole.get(to)) {
            (Some(from), Some(to)) => (i128::from(*to) - i128::from(*from)) as f64,
            _ => {
                coord.values.get(to).copied().unwrap_or(f64::NAN) - coord.values.get(from).copied().unwrap_or(f64::NAN)
            }
        };
        units * self.unit_s
    }

    /// The step between samples in seconds: the median. Where labels are rounded (3333, 3334 µs), the mean of the steps beside it, which is
    /// the step that was rounded; `None` for fewer than two samples.
    pub(super) fn step(&self, coord: &Coord) -> Option<f64> {
        let mut steps: Vec<f64> = (1..coord.len()).map(|at| self.seconds(coord, at - 1, at)).collect();
        steps.retain(|step| !step.is_nan());
        if steps.is_empty() {
            return None;
        }
        let middle = steps.len() / 2;
        let (_, median, _) = steps.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        let beside = |step: &&f64| (**step - median).abs() <= (median.abs() * 1e-3).max(self.rounding(coord, median));
        let (sum, count) =
            steps.iter().filter(beside).fold((0.0, 0u32), |(sum, count), step| (sum + (step - median), count + 1));
        Some(median + sum / f64::from(count.max(1)))
    }

    /// How far rounding moves a step: a unit of whole numbers, if that is little.
    fn rounding(&self, coord: &Coord, median: f64) -> f64 {
        let is_whole = !coord.whole.is_empty();
        if is_whole && self.unit_s * 1.001 < median.abs() * 0.1 { self.unit_s * 1.001 } else { 0.0 }
    }
}
