//! Labels along a dimension.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use outcrop_formats::{AttrValue, Attrs};
use outcrop_grid::time::{CfTime, Stamp};

use crate::expr::select::Pick;
use crate::expr::size;

/// Labels along one dimension.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coord {
    /// The labels, decoded but not turned into dates; NaN for texts.
    pub values: Vec<f64>,
    /// The labels of a coordinate of whole numbers to the last digit; none for others.
    pub whole: Vec<i64>,
    /// The labels of a coordinate of texts; none for numbers.
    pub texts: Vec<String>,
    /// Attributes, such as `units`.
    pub attrs: Attrs,
}

impl Coord {
    /// Labels that are numbers.
    pub fn numbers(values: Vec<f64>, attrs: Attrs) -> Self {
        Self { values, attrs, ..Self::default() }
    }

    /// Labels that are whole numbers.
    pub fn integers(whole: Vec<i64>, attrs: Attrs) -> Self {
        Self { values: whole.iter().map(|value| *value as f64).collect(), whole, texts: Vec::new(), attrs }
    }

    /// Labels that are days, counted from 1970-01-01.
    pub fn days(days: impl IntoIterator<Item = NaiveDate>) -> Self {
        Self::integers(days.into_iter().map(since_1970).collect(), times("days since 1970-01-01"))
    }

    /// Labels that are times, counted in seconds or, where one has a fraction, microseconds from 1970-01-01.
    pub(crate) fn moments(all: &[DateTime<Utc>]) -> Self {
        let is_whole = all.iter().all(|time| time.timestamp_subsec_nanos() == 0);
        let (unit, count): (_, fn(&DateTime<Utc>) -> i64) =
            if is_whole { ("seconds", DateTime::timestamp) } else { ("microseconds", DateTime::timestamp_micros) };
        Self::integers(all.iter().map(count).collect(), times(&format!("{unit} since 1970-01-01")))
    }

    /// Labels that are texts.
    pub fn texts(texts: Vec<String>, attrs: Attrs) -> Self {
        Self { values: vec![f64::NAN; texts.len()], whole: Vec::new(), texts, attrs }
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without labels.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The labels of what is taken of the dimension.
    pub(crate) fn picked(&self, pick: &Pick) -> Self {
        fn of<T: Clone>(values: &[T], positions: &[usize]) -> Vec<T> {
            if values.is_empty() {
                Vec::new()
            } else {
                positions.iter().filter_map(|at| values.get(*at).cloned()).collect()
            }
        }
        let positions: Vec<usize> = match pick {
            Pick::Range { start, step, len } => {
                (0..*len).map(|i| size(start.saturating_add_signed(step * i.cast_signed()))).collect()
            }
            Pick::At(at) => vec![size(*at)],
            Pick::Take(all) => all.iter().map(|at| size(*at)).collect(),
        };
        Self {
            values: of(&self.values, &positions),
            whole: of(&self.whole, &positions),
            texts: of(&self.texts, &positions),
            attrs: self.attrs.clone(),
        }
    }

    /// Labels one behind the other.
    pub(crate) fn joined(parts: &[&Self]) -> Self {
        let all_whole = parts.iter().all(|part| part.whole.len() == part.len());
        let mut all =
            Self { attrs: parts.first().map(|part| part.attrs.clone()).unwrap_or_default(), ..Self::default() };
        for part in parts {
            all.values.extend_from_slice(&part.values);
            all.texts.extend_from_slice(&part.texts);
            if all_whole {
                all.whole.extend_from_slice(&part.whole);
            }
        }
        all
    }

    fn text(&self, name: &str) -> &str {
        self.attrs.get(name).and_then(AttrValue::text).unwrap_or_default()
    }

    /// The labels as dates, in their calendar; `None` if they are not, or one is missing.
    pub fn dates(&self) -> Option<Vec<Stamp>> {
        let calendar = self.text("calendar");
        let axis = CfTime::parse(self.text("units"), if calendar.is_empty() { "standard" } else { calendar }).ok()?;
        self.values.iter().map(|value| axis.decode(*value)).collect()
    }

    /// The labels in the units of another axis of times; `None` if both are no times of one calendar.
    pub(crate) fn in_units_of(&self, other: &Self) -> Option<Self> {
        let axis = |coord: &Self| CfTime::parse(coord.text("units"), coord.text("calendar")).ok();
        let (own, theirs) = (axis(self)?, axis(other)?);
        let (factor, summand) = own.to_axis(&theirs)?;
        if factor == 1.0 && summand == 0.0 {
            return Some(Self { attrs: other.attrs.clone(), ..self.clone() });
        }
        // In whole nanoseconds, so that no digit is lost.
        let unit = |axis: &CfTime| whole_number((axis.unit_seconds() * 1e9).round()).map(i128::from);
        let more = whole_number((summand * theirs.unit_seconds() * 1e6).round()).map(|us| i128::from(us) * 1000);
        let turned = |whole: &i64| {
            let (nanoseconds, by) = (i128::from(*whole) * unit(&own)? + more?, unit(&theirs)?);
            if nanoseconds % by == 0 { i64::try_from(nanoseconds / by).ok() } else { None }
        };
        let whole = self.whole.iter().map(turned).collect::<Option<Vec<i64>>>().unwrap_or_default();
        let values = if whole.is_empty() {
            self.values.iter().map(|value| value * factor + summand).collect()
        } else {
            whole.iter().map(|value| *value as f64).collect()
        };
        Some(Self { values, whole, texts: Vec::new(), attrs: other.attrs.clone() })
    }

    /// A label for people: a date where it is one.
    pub(crate) fn text_at(&self, at: usize) -> String {
        if let (Some(text), _) | (None, Some(text)) =
            (self.texts.get(at).cloned(), self.dates().and_then(|dates| Some(date_text(dates.get(at)?))))
        {
            return text;
        }
        let whole = self.whole.get(at).map(i64::to_string);
        whole.or_else(|| self.values.get(at).map(f64::to_string)).unwrap_or_default()
    }

    /// The first place where labels differ, and both.
    pub(crate) fn difference(&self, other: &Self) -> Option<(usize, String, String)> {
        let text = |coord: &Self, at: usize| match (coord.texts.get(at), coord.whole.get(at)) {
            (Some(text), _) => format!("`{text}`"),
            (None, Some(whole)) => whole.to_string(),
            (None, None) => coord.values.get(at).map_or_else(|| "nothing".to_owned(), f64::to_string),
        };
        let differ = |at: &usize| {
            self.texts.get(*at) != other.texts.get(*at)
                || (!self.whole.is_empty() && !other.whole.is_empty() && self.whole.get(*at) != other.whole.get(*at))
                || self.values.get(*at).map(|v| v.to_bits()) != other.values.get(*at).map(|v| v.to_bits())
        };
        let at = (0..self.len().max(other.len())).find(differ)?;
        Some((at, text(self, at), text(other, at)))
    }
}

/// Days since 1970-01-01.
pub fn since_1970(day: NaiveDate) -> i64 {
    i64::from(day.num_days_from_ce()) - 719_163
}

/// Attributes of times of these units.
fn times(units: &str) -> Attrs {
    let named = [("units", units), ("calendar", "proleptic_gregorian"), ("standard_name", "time")];
    named.map(|(name, text)| (name.to_owned(), AttrValue::Text(text.to_owned()))).into_iter().collect()
}

/// A date, with its time of day if it has one.
fn date_text(stamp: &Stamp) -> String {
    let day = format!("{:04}-{:02}-{:02}", stamp.year, stamp.month, stamp.day);
    if stamp.second == 0.0 {
        return day;
    }
    let minutes = (stamp.second / 60.0).floor();
    let (hour, minute) = ((minutes / 60.0).floor(), minutes % 60.0);
    format!("{day} {hour:02.0}:{minute:02.0}:{:02.0}", (stamp.second % 60.0).floor())
}

/// A float as the whole number that it is.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^53")]
fn whole_number(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(units: &str, calendar: &str, whole: Vec<i64>) -> Coord {
        let text = |text: &str| AttrValue::Text(text.to_owned());
        let attrs = Attrs::from([("units".to_owned(), text(units)), ("calendar".to_owned(), text(calendar))]);
        Coord::integers(whole, attrs)
    }

    #[test]
    fn days_are_counted_from_1970() {
        let days = Coord::days(["1970-01-02", "2000-03-01"].map(|day| day.parse().unwrap()));
        assert_eq!(days.whole, [1, 11_017]);
        assert_eq!(days.text_at(1), "2000-03-01");
    }

    #[test]
    fn momentskeep_all_digits_in_other_units() {
        let first = axis("nanoseconds since 1970-01-01", "", vec![0]);
        let own = axis("milliseconds since 2020-01-01", "proleptic_gregorian", vec![1, 86_400_003]);
        let turned = own.in_units_of(&first).unwrap();
        assert_eq!(turned.whole, [1_577_836_800_001_000_000, 1_577_923_200_003_000_000]);
        assert_eq!(turned.attrs, first.attrs);
        let days = axis("days since 1970-01-01", "standard", vec![3]);
        assert_eq!(axis("hours since 1970-01-02", "gregorian", vec![24, 48]).in_units_of(&days).unwrap().whole, [2, 3]);
        // Half a day is no whole day.
        let half = axis("hours since 1970-01-01", "standard", vec![12]).in_units_of(&days).unwrap();
        assert_eq!((half.whole.len(), &half.values[..]), (0, &[0.5][..]));
        assert!(axis("days since 1970-01-01", "noleap", vec![1]).in_units_of(&days).is_none());
        assert!(axis("metres", "", vec![1]).in_units_of(&days).is_none());
    }
}
