//! How long to wait before a request is sent again.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Statuses that may pass: 408, 429 and server errors.
pub(crate) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// The wait that an answer asks for.
pub(crate) fn told(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    retry_after(text(RETRY_AFTER)?, text(DATE))
}

/// How many seconds the clock here is ahead of that of a server; negative if it is behind.
pub(crate) fn skew(headers: &HeaderMap) -> Option<i64> {
    let there = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?.trim()).ok()?;
    let seconds = |of: Duration| i64::try_from(of.as_secs()).unwrap_or(i64::MAX);
    Some(SystemTime::now().duration_since(there).map_or_else(|behind| -seconds(behind.duration()), seconds))
}

/// What to say of a clock that a server does not accept.
pub(crate) fn of_clock(skew: Option<i64>) -> String {
    match skew {
        Some(ahead @ 1..) => format!("the clock of this machine is {ahead} s ahead of the server's; set it"),
        Some(behind @ ..=-1) => format!("the clock of this machine is {} s behind the server's; set it", -behind),
        _ => "the clock of this machine is wrong; set it".to_owned(),
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), as a wait from now: by the clock of the server, where it tells
/// that, since ours may be wrong.
fn retry_after(value: &str, now: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    let now = now.and_then(|now| httpdate::parse_http_date(now.trim()).ok()).unwrap_or_else(SystemTime::now);
    Some(date.duration_since(now).unwrap_or_default())
}

/// The wait before try number `tries + 1`: as told by the server, else doubling from 200 ms with jitter; capped.
pub(crate) fn pause(tries: u32, told: Option<Duration>, cap: Duration) -> Duration {
    if let Some(told) = told {
        return told.min(cap);
    }
    let base = 200u64.saturating_mul(1 << tries.saturating_sub(1).min(8));
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let jitter = base * u64::from(nanos % 1000) / 2000;
    Duration::from_millis(base + jitter).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_as_told_and_capped() {
        let cap = Duration::from_mins(2);
        assert_eq!(pause(1, retry_after("3", None), cap), Duration::from_secs(3));
        assert_eq!(pause(1, retry_after("86400", None), cap), cap);
        assert_eq!(retry_after("soon", None), None);
        assert_eq!(retry_after("-1", None), None);
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", None), Some(Duration::ZERO));
        // A clock that is years ahead or behind makes no wait longer or shorter.
        let (now, then) = ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:05 GMT");
        assert_eq!(retry_after(then, Some(now)), Some(Duration::from_secs(5)));
        assert!(pause(1, None, cap) >= Duration::from_millis(200));
        assert!(pause(40, None, cap) <= cap);
    }
}
