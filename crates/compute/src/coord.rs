//! Labels along a dimension.

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
        let (factor, summand) = axis(self)?.to_axis(&axis(other)?)?;
        if factor == 1.0 && summand == 0.0 {
            return Some(Self { attrs: other.attrs.clone(), ..self.clone() });
        }
        let (by, more) = (whole_number(factor), whole_number(summand));
        let turned = |whole: &i64| whole.checked_mul(by?)?.checked_add(more?);
        let whole = self.whole.iter().map(turned).collect::<Option<Vec<i64>>>().unwrap_or_default();
        let values = self.values.iter().map(|value| value * factor + summand).collect();
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
