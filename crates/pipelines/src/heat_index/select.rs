//! Parts of the days and cells, as xarray selects them.

use chrono::{Datelike, NaiveDate};
use outcrop_grid::positions;

use super::series::Series;
use crate::{Error, Result};

/// What is selected of a dimension (`time`, `y` or `x`).
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Positions as Python slices them: half-open, from the end if negative, cut to what there is.
    Positions(Option<i64>, Option<i64>),
    /// Labels, both included, in the direction of the axis.
    Labels(Option<f64>, Option<f64>),
    /// Days, both included.
    Days(Option<NaiveDate>, Option<NaiveDate>),
}

/// What is selected; everything by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// Months of the year, 1 to 12; none for all.
    pub months: Vec<u32>,
    /// Parts by dimension, one after the other.
    pub parts: Vec<(String, Part)>,
}

/// The name of a dimension, also in other words.
fn dim_of(name: &str) -> Option<&'static str> {
    Some(match name.trim() {
        "time" => "time",
        "y" | "lat" | "latitude" => "y",
        "x" | "lon" | "longitude" => "x",
        _ => return None,
    })
}

/// A Python slice of so many positions.
fn slice(len: u64, from: Option<i64>, to: Option<i64>) -> std::ops::Range<u64> {
    let place = |at: i64| if at < 0 { len.saturating_sub(at.unsigned_abs()) } else { at.unsigned_abs().min(len) };
    let (from, to) = (from.map_or(0, place), to.map_or(len, place));
    from..to.max(from)
}

impl Series {
    /// The selected days and cells. What is empty is no error: the array then has no cells, or no days.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a dimension that is not there, labels where there are none, or a month that does not exist.
    pub fn select(mut self, selection: &Selection) -> Result<Self> {
        if let Some(month) = selection.months.iter().find(|month| !(1..=12).contains(*month)) {
            return Err(refuse("months", &month.to_string(), "months are 1 to 12"));
        }
        if !selection.months.is_empty() {
            let wanted = |day: &NaiveDate| selection.months.contains(&day.month());
            let keep: Vec<u64> =
                (0u64..).zip(&self.files).filter(|(_, file)| wanted(&file.day)).map(|(at, _)| at).collect();
            self = self.days(&keep)?;
        }
        for (name, part) in &selection.parts {
            self = self.part(name, part)?;
        }
        Ok(self)
    }

    fn part(mut self, name: &str, part: &Part) -> Result<Self> {
        let unknown = || refuse("sel", name, "the dimensions are time, y and x");
        let dim = dim_of(name).ok_or_else(unknown)?;
        let at = self.array.dims.iter().position(|own| own == dim).ok_or_else(unknown)?;
        let len = self.array.shape()[at];
        let range = match part {
            Part::Positions(from, to) => slice(len, *from, *to),
            Part::Days(from, to) if dim == "time" => {
                let days = || (0u64..).zip(self.files.iter().map(|file| file.day));
                let start = days().find(|(_, day)| from.is_none_or(|from| *day >= from)).map_or(len, |(at, _)| at);
                let end = days().filter(|(_, day)| to.is_none_or(|to| *day <= to)).count() as u64;
                start..end.max(start)
            }
            Part::Labels(from, to) if dim != "time" => {
                let labels = self.array.coords.get(dim).map(|coord| coord.values.as_slice());
                let labels = labels.ok_or_else(|| refuse("sel", name, "the image is turned: use --isel"))?;
                let (first, last) = (labels.first().copied(), labels.last().copied());
                let found = positions(labels, from.or(first).unwrap_or_default(), to.or(last).unwrap_or_default());
                found.start as u64..found.end as u64
            }
            Part::Days(..) | Part::Labels(..) => {
                return Err(refuse("sel", name, "time is selected by days, y and x by numbers"));
            }
        };
        if dim == "time" {
            return self.days(&range.collect::<Vec<_>>());
        }
        self.origin[at - 1] += range.start;
        self.array = self.array.isel(dim, range)?;
        Ok(self)
    }

    /// These days.
    fn days(mut self, keep: &[u64]) -> Result<Self> {
        if keep.len() == self.files.len() {
            return Ok(self);
        }
        let at = || keep.iter().filter_map(|at| usize::try_from(*at).ok());
        self.array = match (keep.first(), keep.last()) {
            // Days that follow one another are a part of the array, whose chunks stay what they are.
            (Some(first), Some(last)) if last - first + 1 == keep.len() as u64 => {
                self.array.isel("time", *first..last + 1)?
            }
            _ => self.array.take("time", keep)?,
        };
        self.rules = at().filter_map(|at| self.rules.get(at).copied()).collect();
        self.files = at().filter_map(|at| self.files.get(at).cloned()).collect();
        Ok(self)
    }

    /// Why a selection has nothing, if so.
    pub fn emptiness(&self) -> Option<String> {
        let empty = self.array.dims.iter().zip(self.array.shape()).find(|(_, len)| *len == 0);
        empty.map(|(dim, _)| format!("the selection has nothing along {dim}"))
    }
}

fn refuse(name: &'static str, value: &str, why: &str) -> Error {
    Error::Parameter { name, value: format!("`{value}`"), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_python() {
        assert_eq!(slice(26, Some(5), Some(12)), 5..12);
        assert_eq!(slice(26, Some(-3), None), 23..26);
        assert_eq!(slice(26, None, Some(-20)), 0..6);
        assert_eq!(slice(26, Some(20), Some(99)), 20..26);
        assert_eq!(slice(26, Some(9), Some(3)), 9..9);
        assert_eq!(slice(3, Some(-9), None), 0..3);
    }
}
