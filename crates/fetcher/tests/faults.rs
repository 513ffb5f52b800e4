//! A server that misbehaves: whole and right bytes or a named error, never short or mixed ones.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use outcrop_fetcher::{CopyOptions, copy};
use outcrop_store::{Error, Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Fault, Object, Times};
use tempfile::TempDir;

const SIZE: usize = 100_000;

fn content(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| u8::try_from(i % 251).unwrap() ^ seed).collect()
}

struct Bench {
    archive: Archive,
    store: Store,
    folder: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        Self::with(&StoreOptions::default())
    }

    /// With short waits, so that retries cost little.
    fn with(options: &StoreOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = StoreOptions {
            retries: 2,
            retry_wait_cap: options.retry_wait_cap.min(Duration::from_secs(3)),
            read_timeout: Duration::from_millis(1500),
            ..options.clone()
        };
        let store = Store::new(options, runtime.handle().clone()).unwrap();
        Self { archive: Archive::start(), store, folder: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn put(&self, path: &str, faults: &[(Fault, Times)]) -> Href {
        let add = |object: Object, (fault, times): &(Fault, Times)| object.with_fault(fault.clone(), *times);
        self.archive.put(path, faults.iter().fold(Object::new(content(0)), add));
        self.href(path)
    }

    fn href(&self, path: &str) -> Href {
        Href::parse(&self.archive.url(path)).unwrap()
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("to/a.nc")
    }

    fn download(&self, href: &Href, want: Option<u64>) -> outcrop_store::Result<u64> {
        let known = CopyOptions { size: want, ..CopyOptions::default() };
        match self.store.wait(copy(&self.store, href, &self.target(), &known)) {
            Ok(copied) => Ok(copied.size),
            Err(outcrop_fetcher::Error::Object(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    /// A download that must fail: nothing is left, and an old file stays as it was.
    fn refused(&self, href: &Href, want: Option<u64>) -> Error {
        let _ = std::fs::remove_dir_all(self.folder.path().join("to"));
        let error = self.download(href, want).unwrap_err();
        assert_eq!(names(self.target().parent().unwrap()), Vec::<String>::new(), "{error}");
        error
    }

    /// The bytes by each way of reading, which all must agree.
    fn whole_by_all_ways(&self, href: &Href) {
        let want = content(0);
        assert_eq!(self.download(href, None).unwrap(), SIZE as u64);
        assert_eq!(std::fs::read(self.target()).unwrap(), want);
        assert_eq!(self.store.wait(self.store.get(href)).unwrap(), want);
        let (meta, head) = self.store.wait(self.store.head(href, 100)).unwrap();
        assert_eq!((meta.size, &head[..]), (SIZE as u64, &want[..100]));
        let parts = self.store.wait(self.store.ranges(&meta, &[50_000..50_100, 99_999..100_000])).unwrap();
        assert_eq!((&parts[0][..], &parts[1][..]), (&want[50_000..50_100], &want[99_999..]));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn header(name: &'static str, value: &str) -> Fault {
    Fault::Header(name, Some(value.to_owned()))
}

/// The error and the causes below it.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[test]
fn bodies_come_whole_whatever_the_framing() {
    let bench = Bench::new();
    bench.whole_by_all_ways(&bench.put("good.nc", &[]));
    bench.whole_by_all_ways(&bench.put("no-ranges.nc", &[(Fault::NoRanges, Times::Always)]));
    bench.whole_by_all_ways(&bench.put("chunked.nc", &[(Fault::Chunked, Times::Always)]));
    bench.whole_by_all_ways(&bench.put("no-length.nc", &[(Fault::NoLength, Times::Always)]));
    bench.whole_by_all_ways(&bench.put("long.nc", &[(Fault::Long(500), Times::Always)]));
    for tag in [None, Some("W/\"weak\"")] {
        bench.archive.put("tag.nc", Object::new(content(0)).with_etag(tag));
        bench.whole_by_all_ways(&bench.href("tag.nc"));
    }
    assert!(bench.archive.log().iter().all(|request| request.header("accept-encoding") == Some("identity")));
}

#[test]
fn a_body_that_breaks_off_is_read_again_and_named_when_it_stays_broken() {
    let bench = Bench::new();
    for at in [0, 1, SIZE / 2, SIZE - 1] {
        let once = bench.put("once.nc", &[(Fault::Cut(at), Times::First(2))]);
        assert_eq!(bench.download(&once, None).unwrap(), SIZE as u64);
        assert_eq!(std::fs::read(bench.target()).unwrap(), content(0), "never mixed or doubled");
    }
    for (path, framing) in [("length.nc", None), ("chunked.nc", Some(Fault::ChunkedWithoutEnd))] {
        let cut = || framing.iter().cloned().chain([Fault::Cut(5_000)]).map(|f| (f, Times::Always)).collect::<Vec<_>>();
        let href = bench.put(path, &cut());
        let error = bench.refused(&href, None);
        let text = format!("cannot read `{href}` after 3 tries: the connection ended before the answer was complete");
        assert_eq!(chain(&error), text);
        assert_eq!(bench.archive.requests(path), 3);
        assert!(matches!(bench.store.wait(bench.store.get(&href)), Err(Error::Transport { tries: 3, .. })));
        bench.put(path, &[]);
        let (meta, _) = bench.store.wait(bench.store.head(&href, 10)).unwrap();
        bench.put(path, &cut());
        let parts = bench.store.wait(bench.store.ranges(&meta, std::slice::from_ref(&(0..6_000))));
        assert!(matches!(parts, Err(Error::Transport { tries: 3, .. })), "{parts:?}");
    }
}

#[test]
fn the_declared_size_decides() {
    let bench = Bench::new();
    let good = bench.put("good.nc", &[]);
    let error = bench.refused(&good, Some(7));
    assert!(matches!(error, Error::Truncated { got: 100_000, want: 7, .. }), "{error}");
    assert_eq!(bench.archive.requests("good.nc"), 1, "a wrong length is no reason to try again");
    let unknown = bench.put("unknown.nc", &[(Fault::NoLength, Times::Always), (Fault::Cut(10), Times::Always)]);
    assert_eq!(bench.download(&unknown, None).unwrap(), 10, "nothing is known against it");
    let error = bench.refused(&unknown, Some(SIZE as u64));
    assert!(chain(&error).ends_with("the body ended after 10 of 100000 bytes"), "{}", chain(&error));
    let endless = bench.put("endless.nc", &[(Fault::Chunked, Times::Always), (Fault::Long(5_000), Times::Always)]);
    assert!(matches!(bench.refused(&endless, Some(SIZE as u64)), Error::Truncated { want: 100_000, .. }));
}

#[test]
fn a_failure_leaves_the_old_file() {
    let bench = Bench::new();
    let good = bench.put("a.nc", &[]);
    bench.download(&good, None).unwrap();
    bench.put("a.nc", &[(Fault::Body(content(1)), Times::Always), (Fault::Cut(50_000), Times::Always)]);
    bench.download(&good, None).unwrap_err();
    assert_eq!(std::fs::read(bench.target()).unwrap(), content(0));
    assert_eq!(names(bench.target().parent().unwrap()), ["a.nc"]);
}

#[test]
fn permanent_refusals_are_not_tried_again() {
    let bench = Bench::new();
    let start = Instant::now();
    for status in [204, 202, 206, 400, 401, 403, 404, 410, 501] {
        let path = format!("{status}.nc");
        let error = bench.refused(&bench.put(&path, &[(Fault::Status(status), Times::Always)]), None);
        match status {
            404 | 410 => assert!(error.is_not_found()),
            _ => assert!(matches!(error, Error::Status { status: got, .. } if got == status), "{status}: {error}"),
        }
        assert_eq!(bench.archive.requests(&path), 1, "{status}");
    }
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn busy_servers_are_asked_again_after_the_wait_they_ask_for() {
    let bench = Bench::new();
    let busy = |after: &str, times| Fault::busy(after).map(|fault| (fault, times));
    let timed = |href: &Href| {
        let start = Instant::now();
        (bench.download(href, None), start.elapsed())
    };
    let (size, took) = timed(&bench.put("seconds.nc", &busy("1", Times::First(2))));
    assert_eq!(size.unwrap(), SIZE as u64);
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    let date = httpdate(SystemTime::now() + Duration::from_secs(2));
    let (size, took) = timed(&bench.put("date.nc", &busy(&date, Times::First(1))));
    assert_eq!(size.unwrap(), SIZE as u64);
    assert!(took >= Duration::from_millis(900) && took < Duration::from_millis(2600), "{took:?}");
    let (size, took) = timed(&bench.put("garbage.nc", &busy("soon", Times::First(1))));
    assert_eq!(size.unwrap(), SIZE as u64);
    assert!(took < Duration::from_millis(900), "{took:?}");
    let error = bench.refused(&bench.put("always.nc", &busy("0", Times::Always)), None);
    assert!(matches!(error, Error::Status { status: 503, .. }));
    assert_eq!(bench.archive.requests("always.nc"), 3);
}

/// `Retry-After` as a date, by the formatter of the crate under test's own dependency.
fn httpdate(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let date = chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap();
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[test]
fn a_cap_holds_against_a_server_that_asks_for_a_day() {
    let bench = Bench::with(&StoreOptions { retry_wait_cap: Duration::from_millis(300), ..StoreOptions::default() });
    let day = Fault::busy("86400").map(|fault| (fault, Times::First(1)));
    let start = Instant::now();
    bench.download(&bench.put("day.nc", &day), None).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn connections_that_end_or_fall_silent_are_tried_again() {
    let bench = Bench::new();
    let once = bench.put("once.nc", &[(Fault::Reset, Times::First(2))]);
    assert_eq!(bench.download(&once, None).unwrap(), SIZE as u64);
    let error = bench.refused(&bench.put("reset.nc", &[(Fault::Reset, Times::Always)]), None);
    assert!(matches!(error, Error::Transport { tries: 3, .. }), "{}", chain(&error));
    let stalls = [(Fault::Stall, Times::First(1)), (Fault::Cut(40_000), Times::First(1))];
    assert_eq!(bench.download(&bench.put("stalls.nc", &stalls), None).unwrap(), SIZE as u64);
    assert_eq!(std::fs::read(bench.target()).unwrap(), content(0));
    let dead = [(Fault::Stall, Times::Always), (Fault::Cut(40_000), Times::Always)];
    let start = Instant::now();
    let error = bench.refused(&bench.put("dead.nc", &dead), None);
    assert!(chain(&error).ends_with("after 3 tries: nothing came for 1.5s"), "{}", chain(&error));
    assert!(start.elapsed() < Duration::from_secs(10));
    let nobody = Href::parse("http://127.0.0.1:9/a.nc").unwrap();
    let error = bench.refused(&nobody, None);
    assert!(chain(&error).starts_with("cannot read `http://127.0.0.1:9/a.nc` after 3 tries: Connection refused"));
}

#[test]
fn a_steady_slow_body_is_kept_and_a_dripping_one_is_given_up() {
    let options = StoreOptions { speed_window: Duration::from_millis(300), ..StoreOptions::default() };
    let bench = Bench::with(&options);
    let drip = |piece| Fault::Drip { piece, every: Duration::from_millis(100) };
    let steady = bench.put("steady.nc", &[(drip(5_000), Times::Always)]);
    assert_eq!(bench.download(&steady, None).unwrap(), SIZE as u64, "2 s, longer than the read timeout");
    let error = bench.refused(&bench.put("drip.nc", &[(drip(10), Times::Always)]), None);
    assert!(chain(&error).ends_with("fewer than 1024 bytes a second came for 300ms"), "{}", chain(&error));
}

#[test]
fn a_replaced_object_is_never_mixed_with_the_old_one() {
    let bench = Bench::new();
    // Each under a name of its own: a request that was given up may come after the next object is put.
    for (name, etag) in [("a.nc", Some("\"two\"")), ("b.nc", Some("W/\"two\""))] {
        let replaced = Fault::Replaced(content(1), etag.map(str::to_owned));
        let href = bench.put(name, &[(replaced, Times::After(1))]);
        let (meta, _) = bench.store.wait(bench.store.head(&href, 10)).unwrap();
        let parts = bench.store.wait(bench.store.ranges(&meta, &[10..20, 30..40]));
        assert!(matches!(parts, Err(Error::Changed { .. })), "{parts:?}");
    }
    // Without any tag the size still tells.
    let shorter = Fault::Replaced(content(1)[..SIZE - 1].to_vec(), None);
    let object = Object::new(content(0)).with_etag(None).with_fault(shorter, Times::After(1));
    bench.archive.put("c.nc", object);
    let href = bench.href("c.nc");
    let (meta, _) = bench.store.wait(bench.store.head(&href, 10)).unwrap();
    let parts = bench.store.wait(bench.store.ranges(&meta, std::slice::from_ref(&(10..20))));
    assert!(matches!(parts, Err(Error::Changed { .. })), "{parts:?}");
}

#[test]
fn answers_to_ranges_must_be_the_range() {
    let bench = Bench::new();
    let whole_range = |value: Option<&str>| Fault::Header("Content-Range", value.map(str::to_owned));
    let cases = [
        (whole_range(None), "status 206 without a `Content-Range`"),
        (whole_range(Some("bytes 11-20/100000")), "bytes 11 to 21 came where 10 to 20 were asked for"),
        (whole_range(Some("bytes 10-29/100000")), "bytes 10 to 30 came where 10 to 20 were asked for"),
        (whole_range(Some("bytes */100000")), "status 206 without a `Content-Range`"),
        (Fault::Body(vec![1; 11]), "more than the 10 bytes"),
        (Fault::Body(vec![1; 9]), "sent 9 bytes where 10 were expected"),
        (header("Content-Encoding", "gzip"), "it is encoded as `gzip`"),
        (Fault::Status(416), "HTTP status 416"),
    ];
    for (fault, want) in cases {
        let href = bench.put("a.nc", &[(fault, Times::After(1))]);
        let (meta, _) = bench.store.wait(bench.store.head(&href, 10)).unwrap();
        let before = bench.archive.requests("a.nc");
        let error = bench.store.wait(bench.store.ranges(&meta, std::slice::from_ref(&(10..20)))).unwrap_err();
        assert!(chain(&error).contains(want), "{want}: {}", chain(&error));
        assert_eq!(bench.archive.requests("a.nc") - before, 1, "{want}: not tried again");
    }
    let unknown = whole_range(Some("bytes 0-9/*"));
    let error = bench.store.wait(bench.store.head(&bench.put("b.nc", &[(unknown, Times::Always)]), 10)).unwrap_err();
    assert!(chain(&error).contains("does not say the size"), "{}", chain(&error));
    let parts = header("Content-Type", "multipart/byteranges; boundary=x");
    let multipart = [(whole_range(None), Times::Always), (parts, Times::Always)];
    let error = bench.store.wait(bench.store.head(&bench.put("c.nc", &multipart), 10)).unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{}", chain(&error));
}

#[test]
fn an_empty_object_is_one_only_if_the_server_says_so() {
    let bench = Bench::new();
    bench.archive.put("empty.nc", Object::new(""));
    let (meta, bytes) = bench.store.wait(bench.store.head(&bench.href("empty.nc"), 10)).unwrap();
    assert_eq!((meta.size, bytes.len()), (0, 0));
    let denied = bench.put("denied.nc", &[(Fault::Status(416), Times::Always)]);
    let error = bench.store.wait(bench.store.head(&denied, 10)).unwrap_err();
    assert!(matches!(error, Error::Status { status: 416, .. }), "{error}");
}

#[test]
fn a_large_object_without_ranges_is_not_read_again_for_each_part() {
    let bench = Bench::new();
    let large = Object::new(vec![7; 5 << 20]).with_fault(Fault::NoRanges, Times::Always);
    bench.archive.put("large.nc", large);
    let (meta, head) = bench.store.wait(bench.store.head(&bench.href("large.nc"), 10)).unwrap();
    assert_eq!((meta.size, head.len()), (5 << 20, 10));
    let error = bench.store.wait(bench.store.ranges(&meta, std::slice::from_ref(&(10..20)))).unwrap_err();
    assert!(matches!(error, Error::NoRanges { .. }), "{error}");
}

#[test]
fn pages_and_encodings_are_not_taken_for_data() {
    let bench = Bench::new();
    let page = || Fault::Body(b"<!DOCTYPE html><html>log in</html>".to_vec());
    bench.archive.put("login.nc", Object::new(content(0)).with_media("Text/HTML").with_fault(page(), Times::Always));
    assert!(matches!(bench.refused(&bench.href("login.nc"), None), Error::HtmlPage { .. }));
    let sniffed = bench.put("sniffed.nc", &[(page(), Times::Always)]);
    assert!(matches!(bench.refused(&sniffed, None), Error::HtmlPage { .. }));
    let xml = Fault::Body(b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".to_vec());
    assert!(matches!(bench.refused(&bench.put("error.nc", &[(xml, Times::Always)]), None), Error::HtmlPage { .. }));
    let gzip = || (header("Content-Encoding", "gzip"), Times::Always);
    let error = bench.refused(&bench.put("gzip.nc", &[gzip()]), None);
    assert!(error.to_string().contains("encoded as `gzip`"), "{error}");
    assert!(bench.store.wait(bench.store.get(&bench.href("gzip.nc"))).is_err());
    assert_eq!(bench.download(&bench.put("own.nc.gz", &[gzip()]), None).unwrap(), SIZE as u64, "its own encoding");
}

#[test]
fn redirects_are_followed_within_limits_and_carry_nothing_along() {
    let bench = Bench::new();
    let other = Archive::start();
    other.put("good.nc", Object::new(content(0)));
    let to = |href: String| [(Fault::Redirect(href), Times::Always)];
    for hop in 1..=11 {
        bench.put(&format!("hop{hop}.nc"), &to(bench.archive.url(&format!("hop{}.nc", hop - 1))));
    }
    bench.put("hop0.nc", &[]);
    bench.download(&bench.href("hop10.nc"), None).unwrap();
    let start = Instant::now();
    let error = bench.refused(&bench.href("hop11.nc"), None);
    assert!(chain(&error).contains("more than 10 redirects"), "{}", chain(&error));
    bench.put("loop.nc", &to(bench.archive.url("loop.nc")));
    bench.refused(&bench.href("loop.nc"), None);
    assert!(bench.archive.requests("loop.nc") <= 11);
    for odd in ["file:///etc/passwd", "gopher://h/a", "data:,x", "ftp://127.0.0.1/a"] {
        let path = format!("{}.nc", &odd[..4]);
        let error = bench.refused(&bench.put(&path, &to(odd.to_owned())), None);
        assert!(chain(&error).contains(&path), "{}", chain(&error));
        assert_eq!(bench.archive.requests(&path), 1, "{odd}: {}", chain(&error));
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    bench.put("away.nc", &to(other.url("good.nc")));
    let signed = bench.archive.url("away.nc?sig=SECRET").replace("http://", "http://me:SECRET@");
    bench.download(&Href::parse(&signed).unwrap(), None).unwrap();
    let log = format!("{:?}", other.log());
    assert!(!log.contains("SECRET") && !log.contains("authorization") && !log.contains("cookie"), "{log}");
}

#[test]
fn errors_hide_secrets() {
    let bench = Bench::new();
    bench.put("a.nc", &[(Fault::Reset, Times::Always)]);
    let signed = bench.archive.url("a.nc?sig=SECRET").replace("http://", "http://me:SECRET@");
    let error = bench.refused(&Href::parse(&signed).unwrap(), None);
    let text = format!("{} {error:?}", chain(&error));
    assert!(!text.contains("SECRET") && text.contains("sig=***"), "{text}");
}
