//! How long to wait before a request is sent again.

use std::time::{Duration, SystemTime};

/// Statuses that may pass: 408, 429 and server errors.
pub(crate) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), as a wait from now.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
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
        assert_eq!(pause(1, retry_after("3"), cap), Duration::from_secs(3));
        assert_eq!(pause(1, retry_after("86400"), cap), cap);
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(pause(1, None, cap) >= Duration::from_millis(200));
        assert!(pause(40, None, cap) <= cap);
    }
}
