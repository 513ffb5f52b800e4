//! Moments as nanoseconds since 1970-01-01 UTC, without leap seconds, and their ISO 8601 form.

const DAY_NS: i64 = 86_400_000_000_000;
/// Units of the coordinates of time that are made here.
pub(crate) const UNITS: &str = "nanoseconds since 1970-01-01";

/// Days from 1970-01-01 to the first of January of a year of the Gregorian calendar.
fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Midnight of the `yearday`-th day of a year, the first being 1.
pub(crate) fn from_yearday(year: i64, yearday: i64) -> i128 {
    i128::from(days_before_year(year) + yearday - 1) * i128::from(DAY_NS)
}

/// Days before each month of a common year.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days before a month, from 0, of a year.
fn days_before_month(year: i64, month: usize) -> i64 {
    BEFORE.get(month).map_or(0, |days| days + i64::from(month > 1 && is_leap(year)))
}

/// `2008-01-01T00:00:01.975000000Z`.
pub(crate) fn text(ns: i64) -> String {
    let (year, yearday, rest) = split(ns);
    let yearday = yearday - 1;
    let month = (0..12).rev().find(|month| days_before_month(year, *month) <= yearday).unwrap_or(0);
    let day = yearday - days_before_month(year, month) + 1;
    let (seconds, fraction) = (rest / 1_000_000_000, rest % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z", month + 1)
}

/// Year, day of the year from 1, and nanoseconds of the day.
pub(crate) fn split(ns: i64) -> (i64, i64, i64) {
    let (days, rest) = (ns.div_euclid(DAY_NS), ns.rem_euclid(DAY_NS));
    // Not above the year that is looked for.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let yearday = days - days_before_year(year);
    (year, yearday + 1, rest)
}

/// Reads `2019-05-31T08:38:50.626928+00:00`; a moment without offset is UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1600..=2300).contains(&year) {
        return None;
    }
    let (clock, offset_s) = split_offset(clock)?;
    let month = usize::try_from(month - 1).ok()?;
    let midnight = from_yearday(year, days_before_month(year, month) + day);
    let ns = midnight + clock_ns(clock)? - i128::from(offset_s) * 1_000_000_000;
    i64::try_from(ns).ok()
}

/// The clock and its offset from UTC in seconds.
fn split_offset(clock: &str) -> Option<(&str, i64)> {
    let clock = clock.trim().trim_end_matches("UTC").trim_end();
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = clock.rfind(['+', '-']) else { return Some((clock, 0)) };
    let (clock, offset) = (clock.get(..at)?, clock.get(at..)?);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) =
        (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..4).unwrap_or("0").parse::<i64>().ok()?);
    Some((clock, sign * (hours * 3600 + minutes * 60)))
}

fn clock_ns(clock: &str) -> Option<i128> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = whole.splitn(3, ':');
    let mut next = |most: i128| match parts.next() {
        None => Some(0),
        Some(part) => part.parse::<i128>().ok().filter(|n| (0..=most).contains(n)),
    };
    let (hour, minute, second) = (next(24)?, next(59)?, next(60)?);
    let digits: String = fraction.chars().take(9).collect();
    let fraction = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse::<i128>().ok()? };
    Some((hour * 3600 + minute * 60 + second) * 1_000_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        for (ns, want) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_199_145_599_915_000_000, "2007-12-31T23:59:59.915000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(text(ns), want);
            assert_eq!(parse(want), Some(ns));
        }
        assert_eq!(from_yearday(2000, 60), i128::from(parse("2000-02-29 00:00").unwrap()));
        assert_eq!(parse("2019-05-31T08:38:50.626928+00:00"), Some(1_559_291_930_626_928_000));
        assert_eq!(parse("2019-05-31T08:38:50-0130"), parse("2019-05-31T10:08:50Z"));
        for bad in
            ["", "yesterday", "2019-13-01T00:00", "2019-01-01", "2019-01-01T25:00", "2019-01-01T00:00:0a", "a-b-cTd"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
