//! Servers that are slow, silent, or only seem to be alive: given up after the time that is set, gone on with where they
//! ended. What is slow but steady is left alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use outcrop_fetcher::{CopyOptions, Error, copy};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Fault, Object, Times};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const WINDOW: Duration = Duration::from_millis(600);

struct Bench {
    archive: Archive,
    store: Store,
    folder: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(retries: u32, read_timeout: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = StoreOptions {
            retries,
            read_timeout,
            speed_window: WINDOW,
            retry_wait_cap: Duration::from_millis(50),
            ..StoreOptions::default()
        };
        let store = Store::new(options, runtime.handle().clone()).unwrap();
        Self { archive: Archive::start(), store, folder: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("a.nc")
    }

    /// A copy of an object, and how long it took.
    fn copy(&self, object: Object) -> (Result<u64, String>, Duration) {
        self.archive.put("a.nc", object);
        let href = Href::parse(&self.archive.url("a.nc")).unwrap();
        let start = Instant::now();
        let copied = self.store.wait(copy(&self.store, &href, &self.target(), &CopyOptions::default()));
        (copied.map(|copied| copied.size).map_err(|error| chain(&error)), start.elapsed())
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from((i / 7) % 251).unwrap()).collect()
}

fn drip(piece: usize) -> Fault {
    Fault::Drip { piece, every: Duration::from_millis(100) }
}

/// What a server does, how, and what is said of it at the end.
type Case = (&'static str, Vec<(Fault, Times)>, &'static str);

#[test]
fn a_server_that_never_ends_is_given_up_in_each_phase() {
    let silence = Duration::from_millis(700);
    let (always, first, after) = (Times::Always, Times::First(1), Times::After(1));
    let headers = Fault::DripHeaders(Duration::from_millis(100));
    let cases: [Case; 5] = [
        ("nothing at all", vec![(Fault::Silent, always)], "nothing came for 700ms"),
        ("headers byte by byte", vec![(headers, always)], "nothing came for 700ms"),
        (
            "half and then nothing",
            vec![(Fault::Stall, always), (Fault::Cut(MIB), first), (Fault::Cut(0), after)],
            "nothing came for 700ms",
        ),
        ("headers and then nothing", vec![(Fault::Stall, always), (Fault::Cut(0), always)], "nothing came for 700ms"),
        ("ten bytes a second", vec![(drip(1), always)], "fewer than 1024 bytes a second came for 600ms"),
    ];
    for (case, faults, want) in cases {
        let bench = Bench::new(1, silence);
        let add = |object: Object, (fault, times)| object.with_fault(fault, times);
        let object = faults.into_iter().fold(Object::new(content(2 * MIB)), add);
        let (copied, took) = bench.copy(object);
        let error = copied.unwrap_err();
        assert!(error.ends_with(want), "{case}: {error}");
        // Two tries; what brings something new may have one more.
        assert!(took >= silence && took < Duration::from_secs(5), "{case}: {took:?}");
        assert!(bench.archive.requests("a.nc") <= 4 && !bench.target().exists(), "{case}");
    }
}

#[test]
fn what_fell_silent_is_gone_on_with_where_it_ended() {
    const SIZE: usize = 12 * MIB;
    let bench = Bench::new(2, Duration::from_millis(700));
    let object = Object::new(content(SIZE));
    let half = [(Fault::Stall, Times::First(1)), (Fault::Cut(SIZE / 2), Times::First(1))];
    let (copied, _) = bench.copy(half.into_iter().fold(object, |o, (fault, times)| o.with_fault(fault, times)));
    assert_eq!(copied.unwrap(), SIZE as u64);
    assert!(std::fs::read(bench.target()).unwrap() == content(SIZE), "the copy differs");
    let ranges: Vec<_> =
        bench.archive.log().iter().map(|request| request.range().map_or(0, |(from, _)| from)).collect();
    assert_eq!(ranges, [0, SIZE / 2], "no byte twice");
}

#[test]
fn a_silent_start_is_asked_again() {
    for fault in [Fault::Silent, Fault::DripHeaders(Duration::from_millis(100))] {
        let bench = Bench::new(2, Duration::from_millis(500));
        let (copied, took) = bench.copy(Object::new(content(MIB)).with_fault(fault, Times::First(2)));
        assert_eq!(copied.unwrap(), MIB as u64);
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
        assert_eq!(bench.archive.requests("a.nc"), 3);
    }
}

#[test]
fn slow_but_steady_is_no_failure() {
    // Eleven pieces of 256 bytes in a second are more than the least, over many windows.
    let bench = Bench::new(0, Duration::from_millis(500));
    let (copied, took) = bench.copy(Object::new(content(10_000)).with_fault(drip(256), Times::Always));
    assert_eq!(copied.unwrap(), 10_000);
    assert!(took > 5 * WINDOW, "{took:?}");
    assert_eq!(bench.archive.requests("a.nc"), 1);
}
