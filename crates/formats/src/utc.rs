//! Moments as nanoseconds since 1970-01-01 UTC, without leap seconds, and their ISO 8601 form.

const DAY_NS: i128 = 86_400_000_000_000;
/// Units of the coordinates of time that are made here.
pub(crate) const UNITS: &str = "nanoseconds since 1970-01-01";

/// Days from 1970-01-01 to the first of January of a year of the Gregorian calendar.
fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Midnight of the `yearday`-th day of a year, the first being 1.
pub(crate) fn from_yearday(year: i64, yearday: i64) -> i128 {
    i128::from(days_before_year(year) + yearday - 1) * DAY_NS
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
    let (days, rest) = (i128::from(ns).div_euclid(DAY_NS), i128::from(ns).rem_euclid(DAY_NS));
    let days = i64::try_from(days).unwrap_or(0);
    // Not above the year that is looked for.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let yearday = days - days_before_year(year);
    let month = (0..12).rev().find(|month| days_before_month(year, *month) <= yearday).unwrap_or(0);
    let day = yearday - days_before_month(year, month) + 1;
    let (seconds, fraction) = (rest / 1_000_000_000, rest % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z", month + 1)
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
        }
        assert_eq!(from_yearday(2000, 60), 951_782_400_000_000_000);
    }
}
