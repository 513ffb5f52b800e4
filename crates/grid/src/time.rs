//! CF time: units like `days since 1950-01-01` in the calendars of CF conventions 1.11, section 4.4.1.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeZone, Timelike, Utc};

use crate::{Error, Result};

/// A CF calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calendar {
    /// Gregorian since 1582-10-15, the day after Julian 1582-10-04 (`standard`, `gregorian`).
    Standard,
    /// Gregorian at all times.
    ProlepticGregorian,
    /// Every fourth year has 366 days, at all times (`julian`).
    Julian,
    /// Years of 365 days (`noleap`, `365_day`).
    NoLeap,
    /// Years of 366 days (`all_leap`, `366_day`).
    AllLeap,
    /// Months of 30 days.
    Day360,
}

impl FromStr for Calendar {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "standard" | "gregorian" => Ok(Self::Standard),
            "proleptic_gregorian" => Ok(Self::ProlepticGregorian),
            "julian" => Ok(Self::Julian),
            "noleap" | "365_day" => Ok(Self::NoLeap),
            "all_leap" | "366_day" => Ok(Self::AllLeap),
            "360_day" => Ok(Self::Day360),
            _ => Err(Error::Calendar { name: name.into() }),
        }
    }
}

/// A date and time in some CF calendar.
///
/// - `month` 1..=12, `day` 1..=31, `second` in seconds of the day, below 86400.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stamp {
    /// Year.
    pub year: i64,
    /// Month of the year, from 1.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
    /// Seconds since midnight.
    pub second: f64,
    /// Day of the year in this calendar, from 1.
    pub yearday: u32,
}

impl Stamp {
    /// The moment in UTC, if the date exists in the Gregorian calendar.
    #[expect(clippy::cast_possible_truncation, reason = "nanoseconds of a day fit 64 bits")]
    pub fn to_utc(&self) -> Option<DateTime<Utc>> {
        let date = NaiveDate::from_ymd_opt(i32::try_from(self.year).ok()?, self.month, self.day)?;
        let midnight = Utc.from_utc_datetime(&date.and_time(NaiveTime::MIN));
        midnight.checked_add_signed(chrono::Duration::nanoseconds((self.second * 1e9).round() as i64))
    }
}

/// Units and calendar of a time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct CfTime {
    /// Seconds per unit.
    unit_s: f64,
    /// Days from the calendar's year 0 to the reference date, and seconds of that day.
    epoch_day: i64,
    epoch_s: f64,
    calendar: Calendar,
}

/// Days before each month of a common year.
const BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

impl CfTime {
    /// Parses a `units` attribute (`days since 1950-01-01 00:00:00`) with the `calendar` attribute (empty: standard).
    ///
    /// # Errors
    /// [`Error::TimeUnits`], [`Error::Calendar`].
    pub fn parse(units: &str, calendar: &str) -> Result<Self> {
        let bad = || Error::TimeUnits { text: units.into() };
        let calendar = if calendar.is_empty() { Calendar::Standard } else { calendar.parse()? };
        let mut words = units.split_whitespace();
        let unit_s = seconds_per(words.next().ok_or_else(bad)?).ok_or_else(bad)?;
        if words.next() != Some("since") {
            return Err(bad());
        }
        let rest: Vec<&str> = words.collect();
        let (year, month, day, second) = reference(&rest.join(" ")).ok_or_else(bad)?;
        let epoch_day = day_number(calendar, year, month, day).ok_or_else(bad)?;
        Ok(Self { unit_s, epoch_day, epoch_s: second, calendar })
    }

    /// The calendar.
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// Seconds of one unit.
    pub fn unit_seconds(&self) -> f64 {
        self.unit_s
    }

    /// Factor and summand that turn values of this axis into values of another; `None` if their calendars differ. `standard` and
    /// `proleptic_gregorian` are one calendar where both axes begin after 1582-10-15.
    pub fn to_axis(&self, other: &Self) -> Option<(f64, f64)> {
        let is_late = |axis: &Self| {
            matches!(axis.calendar, Calendar::Standard | Calendar::ProlepticGregorian)
                && axis.epoch_day >= FIRST_GREGORIAN
        };
        if self.calendar != other.calendar && !(is_late(self) && is_late(other)) {
            return None;
        }
        let seconds = (self.epoch_day - other.epoch_day) as f64 * 86_400.0 + (self.epoch_s - other.epoch_s);
        Some((self.unit_s / other.unit_s, seconds / other.unit_s))
    }

    /// The date of a value of the axis; `None` for NaN and values beyond ten million years.
    #[expect(clippy::cast_possible_truncation, reason = "bounded before")]
    pub fn decode(&self, value: f64) -> Option<Stamp> {
        // Whole days and the rest apart, so that microseconds survive far from the epoch.
        let per_day = 86_400.0 / self.unit_s;
        let days = (value / per_day).floor();
        if !days.is_finite() || days.abs() > 3.65e9 {
            return None;
        }
        let seconds = (value - days * per_day) * self.unit_s + self.epoch_s;
        let seconds = (seconds * 1e6).round() / 1e6;
        let carry = (seconds / 86_400.0).floor();
        let day = self.epoch_day + days as i64 + carry as i64;
        let (year, month, dom, yearday) = date_of(self.calendar, day)?;
        Some(Stamp { year, month, day: dom, second: seconds - carry * 86_400.0, yearday })
    }
}

fn seconds_per(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    Some(match unit.as_str() {
        "nanoseconds" | "nanosecond" | "ns" => 1e-9,
        "microseconds" | "microsecond" | "us" => 1e-6,
        "milliseconds" | "millisecond" | "msec" | "ms" => 1e-3,
        "seconds" | "second" | "secs" | "sec" | "s" => 1.0,
        "minutes" | "minute" | "mins" | "min" => 60.0,
        "hours" | "hour" | "hrs" | "hr" | "h" => 3600.0,
        "days" | "day" | "d" => 86_400.0,
        _ => return None,
    })
}

/// Reads `1950-1-1`, `1950-01-01 00:00:00.0`, with `T`, `Z`, `UTC` or an offset.
fn reference(text: &str) -> Option<(i64, u32, u32, f64)> {
    let text = text.trim().trim_end_matches("UTC").trim_end_matches('Z').trim();
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let negative = date.starts_with('-');
    let mut parts = date.trim_start_matches('-').split('-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month = parts.next().map_or(Some(1), |m| m.parse().ok())?;
    let day = parts.next().map_or(Some(1), |d| d.parse().ok())?;
    let clock = clock.trim();
    let split = clock.rfind(['+', '-', ' ']);
    let (clock, offset) = split.map_or((clock, ""), |at| clock.split_at(at));
    let second = clock_seconds(clock)? - offset_seconds(offset.trim())?;
    Some((if negative { -year } else { year }, month, day, second))
}

fn clock_seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    for (part, unit) in text.split(':').filter(|p| !p.is_empty()).zip([3600.0, 60.0, 1.0]) {
        total += part.trim().parse::<f64>().ok()? * unit;
    }
    Some(total)
}

fn offset_seconds(text: &str) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    Some(sign * clock_seconds(text.trim_start_matches(['+', '-']))?)
}

/// 1582-10-15 in days since the day before 0001-01-01 of the proleptic Gregorian calendar.
const FIRST_GREGORIAN: i64 = 577_736;

/// Days since the day before 0001-01-01 of the proleptic Gregorian calendar.
fn gregorian_number(year: i64, month: u32, day: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(i64::from(date.num_days_from_ce()))
}

/// The same of a date of the Julian calendar. The year begins in March, so that the leap day is its last.
fn julian_number(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year.rem_euclid(4) == 0;
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return None;
    }
    let (from_march, late) = if month > 2 { (i64::from(month) - 3, 0) } else { (i64::from(month) + 9, 1) };
    let year = year - late;
    Some(year * 365 + year.div_euclid(4) + (153 * from_march + 2) / 5 + i64::from(day) - 308)
}

/// The date of the Julian calendar of a day number, and the day of its year.
fn julian_date(number: i64) -> Option<(i64, u32, u32, u32)> {
    // Days since 0000-03-01.
    let days = number + 307;
    let year = (4 * days + 3).div_euclid(1461);
    let rest = days - (1461 * year).div_euclid(4);
    let from_march = (5 * rest + 2) / 153;
    let day = rest - (153 * from_march + 2) / 5 + 1;
    let (month, late) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    let year = year + late;
    let first = julian_number(year, 1, 1)?;
    let narrow = |n: i64| u32::try_from(n).ok();
    Some((year, narrow(month)?, narrow(day)?, narrow(number - first + 1)?))
}

/// Days since the first of January of year 0 in the calendar; of calendars with leap years as they were kept, since the
/// day before 0001-01-01 of the proleptic Gregorian calendar.
fn day_number(calendar: Calendar, year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > 10_000_000 {
        return None;
    }
    let m = usize::try_from(month).ok()?;
    let dom = i64::from(day) - 1;
    Some(match calendar {
        Calendar::ProlepticGregorian => gregorian_number(year, month, day)?,
        Calendar::Julian => julian_number(year, month, day)?,
        Calendar::Standard => match (year, month, day) {
            (1582, 10, 5..=14) => return None,
            date if date < (1582, 10, 15) => julian_number(year, month, day)?,
            _ => gregorian_number(year, month, day)?,
        },
        Calendar::NoLeap => year * 365 + BEFORE[m - 1] + dom,
        Calendar::AllLeap => year * 366 + BEFORE[m - 1] + i64::from(month > 2) + dom,
        Calendar::Day360 => year * 360 + (i64::from(month) - 1) * 30 + dom,
    })
}

/// Year, month, day and day of the year of a day number.
fn date_of(calendar: Calendar, number: i64) -> Option<(i64, u32, u32, u32)> {
    let fixed = |length: i64, leap: i64| {
        let (year, doy) = (number.div_euclid(length), number.rem_euclid(length));
        let before = |m: usize| BEFORE[m] + if m >= 2 { leap } else { 0 };
        let month = (1..=12).rfind(|m| before(m - 1) <= doy)?;
        Some((
            year,
            u32::try_from(month).ok()?,
            u32::try_from(doy - before(month - 1) + 1).ok()?,
            u32::try_from(doy + 1).ok()?,
        ))
    };
    match calendar {
        Calendar::Standard if number < FIRST_GREGORIAN => julian_date(number),
        Calendar::Julian => julian_date(number),
        Calendar::Standard | Calendar::ProlepticGregorian => {
            let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(number).ok()?)?;
            let year = i64::from(date.year());
            // In 1582 the standard calendar left out ten days.
            let first = day_number(calendar, year, 1, 1)?;
            Some((year, date.month(), date.day(), u32::try_from(number - first + 1).ok()?))
        }
        Calendar::NoLeap => fixed(365, 0),
        Calendar::AllLeap => fixed(366, 1),
        Calendar::Day360 => {
            let (year, doy) = (number.div_euclid(360), u32::try_from(number.rem_euclid(360)).ok()?);
            Some((year, doy / 30 + 1, doy % 30 + 1, doy + 1))
        }
    }
}

/// RFC 3339 with `Z`, without a fraction where there is none: how STAC documents write times.
pub fn rfc3339(time: &DateTime<Utc>) -> String {
    let format = if time.nanosecond() == 0 { chrono::SecondsFormat::Secs } else { chrono::SecondsFormat::AutoSi };
    time.to_rfc3339_opts(format, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(units: &str, calendar: &str, value: f64) -> String {
        let stamp = CfTime::parse(units, calendar).unwrap().decode(value).unwrap();
        format!("{:04}-{:02}-{:02} {} doy {}", stamp.year, stamp.month, stamp.day, stamp.second, stamp.yearday)
    }

    #[test]
    fn daymet_days_are_noon_and_leap_years_end_on_30_december() {
        // 1980 is a leap year: 365 steps from 1 January reach 30 December.
        let first = 10_957.5;
        assert_eq!(decode("days since 1950-01-01 00:00:00", "standard", first), "1980-01-01 43200 doy 1");
        assert_eq!(decode("days since 1950-01-01 00:00:00", "standard", first + 364.0), "1980-12-30 43200 doy 365");
    }

    #[test]
    fn odd_calendars_count_their_own_days() {
        assert_eq!(decode("days since 2000-02-28", "noleap", 1.0), "2000-03-01 0 doy 60");
        assert_eq!(decode("days since 2001-02-28", "366_day", 1.0), "2001-02-29 0 doy 60");
        assert_eq!(decode("days since 2001-02-30", "360_day", 1.0), "2001-03-01 0 doy 61");
        assert_eq!(decode("hours since 1900-01-01 00:00:0.0", "gregorian", 24.5), "1900-01-02 1800 doy 2");
        assert_eq!(decode("seconds since 1970-01-01T00:00:00Z", "", -1.0), "1969-12-31 86399 doy 365");
        assert_eq!(decode("days since 2000-1-1 00:00:00 +02:00", "", 0.0), "1999-12-31 79200 doy 365");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in
            ["days", "fortnights since 2000-01-01", "days since x", "days until 2000-01-01", "days since 2000-13-01"]
        {
            assert!(CfTime::parse(bad, "standard").is_err(), "{bad}");
        }
        assert!(CfTime::parse("days since 2000-01-01", "mayan").is_err());
        assert!(CfTime::parse("days since 2000-01-01", "").unwrap().decode(f64::NAN).is_none());
        assert!(CfTime::parse("days since 2000-01-01", "").unwrap().decode(1e300).is_none());
    }
}
