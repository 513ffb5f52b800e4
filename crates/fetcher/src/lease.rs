//! Who publishes to a bucket: one run at a time, on whatever machine it is.
//!
//! An object that is written only in the place of the one that was seen. Its holder writes it anew now and then; who waits sees that it
//! changes. One that does not change for a minute is of a run that died, and is taken over. No clocks are compared. An answer that was
//! lost is recognised by the id in the object.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use outcrop_store::{Href, Store, Tag};
use tokio::task::JoinHandle;

use crate::item::locked;
use crate::site::Site;
use crate::{Error, Result};

/// Name of the object in the folder of the destination.
pub(crate) const NAME: &str = ".outcrop-fetch.lease";
/// What is in it when nobody has it. It is not removed: no store can make that depend on whose it is.
const FREE: &str = "free\n";

/// How often a lease is written anew, and after which time without that its run is dead.
#[derive(Debug, Clone, Copy)]
struct Pace {
    renew: Duration,
    dead: Duration,
}

const PACE: Pace = Pace { renew: Duration::from_secs(15), dead: Duration::from_mins(1) };

impl Pace {
    /// How long after a write was sent nobody can take it over.
    fn safe(self) -> Duration {
        self.dead.saturating_sub(self.renew)
    }
}

/// Further tries of a conditional write that fails.
const TRIES: u32 = 3;

/// The right to publish; dropped, another run has it.
#[derive(Debug)]
pub(crate) struct Lease {
    store: Store,
    href: Href,
    held: Arc<Held>,
    renewing: JoinHandle<()>,
}

/// What is ours, and whether it still is.
#[derive(Debug)]
struct Held {
    tag: Mutex<Tag>,
    /// Until when nobody else can have taken it over.
    until: Mutex<Instant>,
    pace: Pace,
    id: String,
    is_lost: AtomicBool,
}

/// What a run writes into the object: its id, and how often it did.
#[derive(Debug, Clone)]
struct Mark {
    id: String,
    serial: u64,
}

impl Mark {
    fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let random = || RandomState::new().hash_one(std::process::id());
        Self { id: format!("{:016x}{:016x}", random(), random()), serial: 0 }
    }

    fn next(&mut self) -> Bytes {
        self.serial += 1;
        format!("{} {}\n", self.id, self.serial).into()
    }

    /// True for what was written with this id.
    fn is_in(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(self.id.as_bytes())
    }
}

impl Lease {
    /// Waits for the right to publish to a bucket. `None` for places that know no conditions, which is told of a bucket.
    ///
    /// # Errors
    /// The transport's, and those of a bucket that may not be written.
    pub(crate) async fn take(store: &Store, site: &Site) -> Result<Option<Self>> {
        if !site.is_remote() || !store.has_conditions(&site.root)? {
            return Ok(None);
        }
        let href = site.root.join(NAME)?;
        let lease = Self::take_at(store, &href, PACE).await?;
        // Who ignores conditions gives it to everybody.
        if lease.is_some() && matches!(store.put_if(&href, FREE.into(), None).await, Ok(Some(_))) {
            return Self::without_conditions(store, &href).await;
        }
        Ok(lease)
    }

    async fn take_at(store: &Store, href: &Href, pace: Pace) -> Result<Option<Self>> {
        let (mut mark, mut failures, mut is_told) = (Mark::new(), 0, false);
        // What is there, since when, and whether nobody has it.
        let mut seen: Option<(Tag, Instant, bool)> = None;
        loop {
            let may_try = seen.as_ref().is_none_or(|(_, since, is_free)| *is_free || since.elapsed() >= pace.dead);
            let begun = Instant::now();
            let is_refused = if may_try {
                match store.put_if(href, mark.next(), seen.as_ref().map(|(tag, ..)| tag)).await {
                    Ok(Some(tag)) => return Ok(Some(Self::hold(store, href, (mark, tag), (begun, pace)))),
                    other => other.is_err(),
                }
            } else {
                false
            };
            let (before, found) = (seen.take(), look(store, href).await);
            let is_unseen = found.is_err();
            let is_same = matches!((&found, &before), (Ok(Some((tag, _))), Some((known, ..))) if tag == known);
            match found {
                // An answer was lost.
                Ok(Some((tag, bytes))) if mark.is_in(&bytes) => {
                    return Ok(Some(Self::hold(store, href, (mark, tag), (begun, pace))));
                }
                Ok(Some(_)) if is_same => seen = before,
                Err(_) => seen = before,
                Ok(Some((tag, bytes))) => seen = Some((tag, Instant::now(), bytes == FREE.as_bytes())),
                Ok(None) => {}
            }
            let is_held = seen.as_ref().is_some_and(|(.., is_free)| !is_free);
            if is_held && !std::mem::replace(&mut is_told, true) {
                let (place, dead) = (href.folder(), pace.dead.as_secs());
                let wait = format!("this one waits until it has ended, or {dead} s after it died");
                store.options().voice.tell(&format!("another run publishes to {place}; {wait}"));
            }
            // What may be tried and is not had, although nobody else took it, will not be had.
            failures += u32::from(may_try && (is_refused || is_same || is_unseen));
            if failures > TRIES {
                return Self::without_conditions(store, href).await;
            }
            tokio::time::sleep(pace.renew / 8).await;
        }
    }

    /// Sees whether a bucket takes what it does not take under a condition.
    async fn without_conditions(store: &Store, href: &Href) -> Result<Option<Self>> {
        store.put(href, FREE.into()).await?;
        store.options().voice.tell(&format!(
            "{} takes no conditional writes: see to it that no other run publishes there at the same time",
            href.folder()
        ));
        Ok(None)
    }

    /// `begun` is when its last write was sent.
    fn hold(store: &Store, href: &Href, (mut mark, tag): (Mark, Tag), (begun, pace): (Instant, Pace)) -> Self {
        let (id, until) = (mark.id.clone(), Mutex::new(begun + pace.safe()));
        let held = Arc::new(Held { tag: Mutex::new(tag), until, pace, id, is_lost: AtomicBool::new(false) });
        let (own, place, shared) = (store.clone(), href.clone(), held.clone());
        let renewing = store.runtime().spawn(async move {
            loop {
                tokio::time::sleep(pace.renew).await;
                // One that gets no answer is tried again.
                let written = tokio::time::timeout(pace.renew, shared.write(&own, &place, mark.next())).await;
                if matches!(written, Ok(Ok(false))) {
                    break;
                }
            }
            shared.is_lost.store(true, Ordering::Relaxed);
        });
        Self { store: store.clone(), href: href.clone(), held, renewing }
    }

    /// Sees whether the right still stands.
    ///
    /// # Errors
    /// [`Error::Overtaken`] if another run has it, or may have it.
    pub(crate) fn check(&self) -> Result<()> {
        let is_lost = self.held.is_lost.load(Ordering::Relaxed) || Instant::now() >= *locked(&self.held.until);
        if is_lost { Err(Error::Overtaken { href: self.href.folder() }) } else { Ok(()) }
    }

    /// Lets another run have it.
    pub(crate) async fn release(self) {
        self.renewing.abort();
        self.held.clone().free(self.store.clone(), self.href.clone()).await;
        self.held.is_lost.store(true, Ordering::Relaxed);
    }
}

/// What is there, and its bytes. They are read after the tag: of what changed in between the next write is refused.
async fn look(store: &Store, href: &Href) -> outcrop_store::Result<Option<(Tag, Bytes)>> {
    let Some(tag) = store.tag(href).await? else { return Ok(None) };
    Ok(Some((tag, store.get(href).await?)))
}

impl Held {
    /// Writes the object anew; false if it is another's.
    async fn write(&self, store: &Store, href: &Href, bytes: Bytes) -> outcrop_store::Result<bool> {
        let (tag, begun) = (locked(&self.tag).clone(), Instant::now());
        let written = store.put_if(href, bytes.clone(), Some(&tag)).await;
        let new = match written {
            Ok(Some(new)) => new,
            // An answer may have been lost: then what is there is ours.
            written => {
                let Some((found, there)) = look(store, href).await? else { return Ok(false) };
                if !there.starts_with(self.id.as_bytes()) {
                    return if written.is_ok() { Ok(false) } else { written.map(|_| false) };
                }
                found
            }
        };
        *locked(&self.tag) = new;
        *locked(&self.until) = begun + self.pace.safe();
        Ok(true)
    }

    /// Lets another have it, as far as that can be.
    async fn free(self: Arc<Self>, store: Store, href: Href) {
        // The first try tells of an answer that was lost.
        for _ in 0..2 {
            if self.is_lost.load(Ordering::Relaxed) {
                return;
            }
            let tag = locked(&self.tag).clone();
            if let Ok(Some(_)) = store.put_if(&href, FREE.into(), Some(&tag)).await {
                return;
            }
            if let Ok(Some((found, there))) = look(&store, &href).await
                && there.starts_with(self.id.as_bytes())
            {
                *locked(&self.tag) = found;
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        self.store.later(self.held.clone().free(self.store.clone(), self.href.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use outcrop_store::{Environment, StoreOptions};
    use outcrop_testkit::{Deed, Depot, Trouble};

    use super::*;

    const FAST: Pace = Pace { renew: Duration::from_millis(150), dead: Duration::from_millis(1500) };

    fn with(
        work: &impl AsyncFn(&Store, &Href, &Depot),
        trouble: impl Fn(&Deed, usize) -> Option<Trouble> + Send + Sync + 'static,
    ) {
        let depot = Depot::with_trouble(trouble);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let pairs = [
            ("AWS_ENDPOINT_URL", depot.url("")),
            ("AWS_ACCESS_KEY_ID", "a".into()),
            ("AWS_SECRET_ACCESS_KEY", "b".into()),
        ];
        let environment = pairs.into_iter().collect::<Environment>();
        let options = StoreOptions { retries: 1, environment, ..StoreOptions::default() };
        let store = Store::new(options, runtime.handle().clone()).unwrap();
        let href = Href::parse("s3://bucket/to/.outcrop-fetch.lease").unwrap();
        runtime.block_on(work(&store, &href, &depot));
    }

    #[test]
    fn one_has_it_and_the_next_when_it_ends() {
        with(
            &async |store, href, depot| {
                let first = Lease::take_at(store, href, FAST).await.unwrap().unwrap();
                let second = tokio::spawn({
                    let (store, href) = (store.clone(), href.clone());
                    async move { Lease::take_at(&store, &href, FAST).await }
                });
                tokio::time::sleep(2 * FAST.dead).await;
                assert!(!second.is_finished() && first.check().is_ok(), "it is renewed");
                drop(first);
                let second = second.await.unwrap().unwrap().unwrap();
                assert!(second.check().is_ok());
                drop(second);
                store.settle(Duration::from_secs(5)).await;
                assert_eq!(depot.get("bucket/to/.outcrop-fetch.lease").unwrap(), FREE.as_bytes());
                let start = Instant::now();
                Lease::take_at(store, href, FAST).await.unwrap().unwrap();
                assert!(start.elapsed() < FAST.dead, "what is free is not waited for");
            },
            |_, _| None,
        );
    }

    #[test]
    fn that_of_a_run_that_died_is_taken_over_and_the_dead_one_notices() {
        with(
            &async |store, href, depot| {
                let first = Lease::take_at(store, href, FAST).await.unwrap().unwrap();
                first.renewing.abort();
                let start = Instant::now();
                let second = Lease::take_at(store, href, FAST).await.unwrap().unwrap();
                assert!(start.elapsed() >= FAST.dead && second.check().is_ok());
                std::mem::forget(first);
                // Whoever writes over it has it.
                depot.put("bucket/to/.outcrop-fetch.lease", "somebody else");
                tokio::time::sleep(4 * FAST.renew).await;
                assert!(matches!(second.check(), Err(Error::Overtaken { .. })));
            },
            |_, _| None,
        );
    }

    #[test]
    fn an_answer_that_was_lost_is_recognised_as_its_own() {
        let puts = AtomicUsize::new(0);
        with(
            &async |store, href, _| {
                let start = Instant::now();
                let lease = Lease::take_at(store, href, FAST).await.unwrap().unwrap();
                assert!(start.elapsed() < FAST.dead, "it does not wait for itself");
                tokio::time::sleep(4 * FAST.renew).await;
                assert!(lease.check().is_ok(), "nor does it lose it to itself");
            },
            move |deed, _| {
                let is_put = deed.method == "PUT" && puts.fetch_add(1, Ordering::Relaxed) < 2;
                is_put.then_some(Trouble::LostAnswer)
            },
        );
    }

    #[test]
    fn one_request_that_fails_is_no_bucket_without_conditions() {
        let puts = AtomicUsize::new(0);
        with(
            &async |store, href, _| assert!(Lease::take_at(store, href, FAST).await.unwrap().is_some()),
            move |deed, _| {
                let is_first = deed.method == "PUT" && puts.fetch_add(1, Ordering::Relaxed) == 0;
                is_first.then_some(Trouble::Reset)
            },
        );
    }

    #[test]
    fn a_bucket_that_only_knows_whether_there_is_an_object_is_published_to() {
        with(
            &async |store, href, depot| {
                depot.put("bucket/to/.outcrop-fetch.lease", FREE);
                assert!(Lease::take_at(store, href, FAST).await.unwrap().is_none());
            },
            |deed, _| deed.headers.iter().any(|(name, _)| name == "if-match").then_some(Trouble::Status(412)),
        );
    }

    #[test]
    fn a_bucket_without_conditions_is_published_to_all_the_same() {
        with(&async |store, href, _| assert!(Lease::take_at(store, href, FAST).await.unwrap().is_none()), |deed, _| {
            deed.headers.iter().any(|(name, _)| name == "if-none-match").then_some(Trouble::Status(501))
        });
    }

    #[test]
    fn a_bucket_that_may_not_be_written_is_an_error() {
        with(&async |store, href, _| assert!(Lease::take_at(store, href, FAST).await.is_err()), |deed, _| {
            (deed.method == "PUT").then_some(Trouble::Status(403))
        });
    }
}
