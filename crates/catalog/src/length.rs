//! Lengths of time as recipes write them: durations of ISO 8601, by the calendar.

use chrono::{DateTime, Months, TimeDelta, Utc};

/// The moment that is so much later: `P1Y`, `P3M`, `P2W`, `P1D`, `PT6H`, `PT0.5S`, or several in this order. `None` for anything else,
/// and beyond the calendar.
pub(crate) fn later(start: DateTime<Utc>, length: &str) -> Option<DateTime<Utc>> {
    let all = length.strip_prefix('P')?;
    let (days, clock) = all.split_once('T').map_or((all, None), |(days, clock)| (days, Some(clock)));
    if (days.is_empty() && clock.is_none()) || clock == Some("") {
        return None;
    }
    let mut end = start;
    let mut rest = days;
    for (unit, months, days) in [('Y', 12, 0), ('M', 1, 0), ('W', 0, 7), ('D', 0, 1)] {
        let Some((number, behind)) = rest.split_once(unit) else { continue };
        let number: u32 = whole(number)?;
        end = end.checked_add_months(Months::new(number.checked_mul(months)?))?;
        end = end.checked_add_signed(TimeDelta::try_days(i64::from(number) * days)?)?;
        rest = behind;
    }
    let mut clock_rest = clock.unwrap_or_default();
    for (unit, seconds) in [('H', 3600), ('M', 60)] {
        let Some((number, behind)) = clock_rest.split_once(unit) else { continue };
        end = end.checked_add_signed(TimeDelta::try_seconds(i64::from(whole(number)?) * seconds)?)?;
        clock_rest = behind;
    }
    if let Some(number) = clock_rest.strip_suffix('S') {
        end = end.checked_add_signed(seconds(number)?)?;
        clock_rest = "";
    }
    (rest.is_empty() && clock_rest.is_empty()).then_some(end)
}

fn whole(number: &str) -> Option<u32> {
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// Seconds with at most nine digits behind the point.
fn seconds(number: &str) -> Option<TimeDelta> {
    let (seconds, part) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    let is_fraction = !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = is_fraction.then(|| format!("{part:0<9}").parse::<i64>().ok())??;
    TimeDelta::try_seconds(i64::from(whole(seconds)?))?.checked_add(&TimeDelta::nanoseconds(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_later_by_the_calendar() {
        let start = outcrop_grid::interval::parse_time("2000-01-31T12:00:00Z").unwrap();
        let of = |length: &str| later(start, length).map(|end| outcrop_grid::time::rfc3339(&end));
        for (length, end) in [
            ("P1Y", "2001-01-31T12:00:00Z"),
            ("P1M", "2000-02-29T12:00:00Z"),
            ("P1Y2M3W4D", "2001-04-25T12:00:00Z"),
            ("P1DT12H", "2000-02-02T00:00:00Z"),
            ("PT90M", "2000-01-31T13:30:00Z"),
            ("PT30S", "2000-01-31T12:00:30Z"),
            ("PT0.25S", "2000-01-31T12:00:00.250Z"),
            ("P0D", "2000-01-31T12:00:00Z"),
        ] {
            assert_eq!(of(length).as_deref(), Some(end), "{length}");
        }
        for wrong in [
            "",
            "P",
            "PT",
            "1D",
            "P1",
            "PD",
            "P-1D",
            "P1.5D",
            "P1DT",
            "PT1D",
            "P1D1Y",
            "PT1S1M",
            "PT0.S",
            "P9999999999D",
            "P900000Y",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
