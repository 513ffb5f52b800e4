//! A limit on the bytes in a second of all transfers together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limit that clones share; without one nothing waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rate(Option<Arc<Limit>>);

#[derive(Debug)]
struct Limit {
    bytes_per_second: u64,
    /// When what was read so far is paid for.
    paid_at: Mutex<Instant>,
}

impl Rate {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        let limit = |rate: u64| Limit { bytes_per_second: rate, paid_at: Mutex::new(Instant::now()) };
        Self(bytes_per_second.filter(|rate| *rate > 0).map(|rate| Arc::new(limit(rate))))
    }

    /// Waits until all that was read is paid for; nothing is lost if it is not waited for to its end.
    pub(crate) async fn ready(&self) {
        let Some(limit) = &self.0 else { return };
        loop {
            let wait = limit.paid_at().saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Says that bytes were read.
    pub(crate) fn spend(&self, bytes: usize) {
        let Some(limit) = &self.0 else { return };
        let cost = Duration::from_secs_f64(bytes as f64 / limit.bytes_per_second as f64);
        let mut paid_at = limit.paid_at();
        *paid_at = (*paid_at).max(Instant::now()) + cost;
    }
}

impl Limit {
    fn paid_at(&self) -> MutexGuard<'_, Instant> {
        self.paid_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_together_keep_to_the_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rate = Rate::new(Some(1000));
            let start = Instant::now();
            for _ in 0..4 {
                rate.ready().await;
                rate.spend(50);
            }
            rate.ready().await;
            assert!(start.elapsed() >= Duration::from_millis(200));
            Rate::new(None).ready().await;
        });
    }
}
