//! What all requests to one host share: how many there are at once, and the pause that it asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::store::StoreOptions;
use crate::{Error, Href, Result, retry};

/// Hosts that are remembered; a catalog may name any number.
const MOST: usize = 1000;

/// The hosts of requests so far.
#[derive(Debug)]
pub(crate) struct Hosts {
    per_host: usize,
    known: Mutex<HashMap<String, Arc<Host>>>,
}

impl Hosts {
    pub(crate) fn new(per_host: usize) -> Self {
        Self { per_host: per_host.max(1), known: Mutex::default() }
    }

    pub(crate) fn of(&self, href: &Href) -> Arc<Host> {
        let text = href.as_str();
        let end = text.find("://").and_then(|at| text[at + 3..].find('/').map(|slash| at + 3 + slash));
        let origin = &text[..end.unwrap_or(text.len())];
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = known.get(origin) {
            return host.clone();
        }
        if known.len() >= MOST {
            known.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let host = Arc::new(Host::new(self.per_host));
        known.insert(origin.to_owned(), host.clone());
        host
    }
}

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    slots: Arc<Semaphore>,
    resumes: Mutex<Option<Instant>>,
    probe: Arc<AsyncMutex<()>>,
}

/// The right to send a request; of a host that pauses only one has it at a time.
#[derive(Debug)]
pub(crate) struct Pass(Option<OwnedMutexGuard<()>>);

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The wait that the host asked for.
    pub(crate) told: Option<Duration>,
    /// Another try may end otherwise.
    pub(crate) may_pass: bool,
}

impl Host {
    fn new(slots: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), resumes: Mutex::default(), probe: Arc::default() }
    }

    /// One of the requests at once.
    pub(crate) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().acquire_owned().await.ok()
    }

    /// A further one, if it costs no wait.
    pub(crate) fn spare_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().try_acquire_owned().ok()
    }

    fn resumes(&self) -> Option<Instant> {
        *self.resumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Option<Instant>) {
        *self.resumes.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Waits while the host pauses. After a pause one request goes first; the others wait for its answer.
    pub(crate) async fn pass(&self) -> Pass {
        if self.resumes().is_none() {
            return Pass(None);
        }
        let guard = self.probe.clone().lock_owned().await;
        while let Some(until) = self.resumes() {
            let now = Instant::now();
            if now >= until {
                return Pass(Some(guard));
            }
            tokio::time::sleep(until - now).await;
        }
        Pass(None)
    }

    /// The host answered, if this was the first request after a pause: the pause is over.
    pub(crate) fn answered(&self, pass: &Pass) {
        if pass.0.is_some() {
            self.set(None);
        }
    }

    /// Waits until there may be another try after `tries` of them: a busy host is left alone by all.
    ///
    /// # Errors
    /// The failure, if it was the last try.
    pub(crate) async fn before_next(
        &self,
        pass: Pass,
        failed: Failed,
        tries: u32,
        options: &StoreOptions,
    ) -> Result<()> {
        let wait = retry::pause(tries, failed.told, options.retry_wait_cap);
        let is_busy = matches!(failed.error.status(), Some(429 | 503));
        if is_busy {
            self.pause(wait);
        } else {
            self.answered(&pass);
        }
        drop(pass);
        if tries > options.retries || !failed.may_pass {
            return Err(failed.error);
        }
        if !is_busy {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// The host wants to be left alone.
    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        self.set(Some(self.resumes().map_or(until, |known| known.max(until))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_pause_one_request_goes_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = Arc::new(Host::new(4));
            host.pause(Duration::from_millis(50));
            let start = Instant::now();
            let first = host.pass().await;
            assert!(start.elapsed() >= Duration::from_millis(50) && first.0.is_some());
            let other = tokio::spawn({
                let host = host.clone();
                async move { host.pass().await.0.is_some() }
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(!other.is_finished(), "it waits for the answer to the first");
            host.answered(&first);
            drop(first);
            assert!(!other.await.unwrap(), "the pause is over");
        });
    }

    #[test]
    fn hosts_are_told_apart_by_origin_and_forgotten() {
        let hosts = Hosts::new(2);
        let of = |text: &str| hosts.of(&Href::parse(text).unwrap());
        assert!(Arc::ptr_eq(&of("https://h/a"), &of("https://h/b/c?d")));
        assert!(!Arc::ptr_eq(&of("https://h/a"), &of("https://h:444/a")));
        for n in 0..3 * MOST {
            of(&format!("https://h{n}/"));
        }
        assert!(hosts.known.lock().unwrap().len() <= MOST);
    }
}
