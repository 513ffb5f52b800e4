//! Times and intervals as STAC writes them: RFC 3339, inclusive at both ends, `..` or nothing for an open end.

use std::str::FromStr;

use chrono::{DateTime, Datelike, Duration, NaiveDate, TimeZone, Utc};

use crate::{Error, Result};

/// A span of time, inclusive; `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First moment.
    pub start: Option<DateTime<Utc>>,
    /// Last moment.
    pub end: Option<DateTime<Utc>>,
}

impl Interval {
    /// True if the spans share a moment.
    pub fn intersects(&self, other: &Self) -> bool {
        let before = |end: Option<DateTime<Utc>>, start: Option<DateTime<Utc>>| matches!((end, start), (Some(end), Some(start)) if end < start);
        !before(self.end, other.start) && !before(other.end, self.start)
    }
}

impl FromStr for Interval {
    type Err = Error;

    /// A time (`2000-01-01T00:00:00Z`), a year, month or day (`2000`, `2000-02`, `2000-02-29`: the whole of it),
    /// or two of them around `/`.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why| Error::Time { text: text.into(), why };
        let Some((start, end)) = text.split_once('/') else {
            let (start, end) = span(text).ok_or_else(|| bad("write it like 2000-01-31T00:00:00Z or 2000-01-31"))?;
            return Ok(Self { start: Some(start), end: Some(end) });
        };
        let side = |part: &str| match part.trim() {
            "" | ".." => Ok(None),
            part => span(part).map(Some).ok_or_else(|| bad("one end is not a time")),
        };
        let (start, end) = (side(start)?.map(|s| s.0), side(end)?.map(|s| s.1));
        match (start, end) {
            (None, None) => Err(bad("both ends are open")),
            (Some(start), Some(end)) if start > end => Err(bad("it ends before it starts")),
            (start, end) => Ok(Self { start, end }),
        }
    }
}

/// First and last moment of a time, day, month or year.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if let Some(time) = parse_time(text) {
        return Some((time, time));
    }
    let mut parts = text.splitn(3, '-');
    let year = parts.next().filter(|y| y.len() == 4)?.parse().ok()?;
    let month = parts.next().map(str::parse::<u32>).transpose().ok()?;
    let day = parts.next().map(str::parse::<u32>).transpose().ok()?;
    let first = NaiveDate::from_ymd_opt(year, month.unwrap_or(1), day.unwrap_or(1))?;
    let next = match (month, day) {
        (Some(_), Some(_)) => first.succ_opt()?,
        (Some(12), None) | (None, _) => NaiveDate::from_ymd_opt(first.year() + 1, 1, 1)?,
        (Some(month), None) => NaiveDate::from_ymd_opt(first.year(), month + 1, 1)?,
    };
    let midnight = |date: NaiveDate| Some(Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0)?));
    Some((midnight(first)?, midnight(next)? - Duration::nanoseconds(1)))
}

/// An RFC 3339 time; a time without offset is read as UTC.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let with_offset = DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc));
    with_offset.or_else(|| text.parse::<chrono::NaiveDateTime>().ok().map(|time| Utc.from_utc_datetime(&time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(text: &str) -> Interval {
        text.parse().unwrap()
    }

    #[test]
    fn ends_are_inclusive_and_may_be_open() {
        let year = interval("2000");
        assert!(year.intersects(&interval("2000-12-31T23:59:59Z")));
        assert!(!year.intersects(&interval("2001-01-01T00:00:00Z")));
        assert!(interval("../1999-12-31").intersects(&interval("1950/1960")));
        assert!(interval("2000-02/..").intersects(&interval("2000-02-29")));
        assert!(!interval("2000-03/").intersects(&interval("2000-02-29")));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "..", "../..", "soon", "2001/2000", "2000-13", "2000-02-30", "20000"] {
            assert!(bad.parse::<Interval>().is_err(), "{bad}");
        }
    }
}
