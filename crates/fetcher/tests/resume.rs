//! Large objects: gone on with after breaks, within a run and between runs; held against digests; never mixed.

use std::path::PathBuf;
use std::time::Duration;

use outcrop_fetcher::{Algorithm, Checksum, CopiedObject, CopyOptions, Error, Verified, copy};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Fault, Object, Times};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const SIZE: usize = 40 * MIB;
const PIECE: usize = 8 * MIB;

fn content(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| u8::try_from((i / 977) % 251).unwrap() ^ seed).collect()
}

struct Bench {
    archive: Archive,
    store: Store,
    folder: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(per_host: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = StoreOptions {
            retries: 2,
            per_host,
            retry_wait_cap: Duration::from_millis(20),
            read_timeout: Duration::from_secs(3),
            ..StoreOptions::default()
        };
        let store = Store::new(options, runtime.handle().clone()).unwrap();
        Self { archive: Archive::start(), store, folder: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn put(&self, object: Object, faults: &[(Fault, Times)]) {
        let add = |object: Object, (fault, times): &(Fault, Times)| object.with_fault(fault.clone(), *times);
        self.archive.put("a.nc", faults.iter().fold(object, add));
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("a.nc")
    }

    fn copy(&self, options: &CopyOptions) -> outcrop_fetcher::Result<CopiedObject> {
        let href = Href::parse(&self.archive.url("a.nc")).unwrap();
        self.store.wait(copy(&self.store, &href, &self.target(), options))
    }

    /// Bytes that the archive was asked for, each request counted to its cut.
    fn ranges(&self) -> Vec<(usize, Option<usize>)> {
        self.archive.log().iter().map(|request| request.range().unwrap_or((0, None))).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn assert_whole(&self, seed: u8) {
        assert!(std::fs::read(self.target()).unwrap() == content(seed), "the copy differs");
        assert_eq!(self.names(), ["a.nc"]);
    }
}

fn blake3_of(bytes: &[u8]) -> Checksum {
    Checksum { algorithm: Algorithm::Blake3, digest: blake3::hash(bytes).as_bytes().to_vec() }
}

fn with_digest() -> CopyOptions {
    CopyOptions { algorithm: Some(Algorithm::Blake3), ..CopyOptions::default() }
}

#[test]
fn a_body_that_breaks_off_is_gone_on_with_where_it_ended() {
    let bench = Bench::new(1);
    let cut = 21 * MIB + 5;
    bench.put(Object::new(content(0)), &[(Fault::Cut(cut), Times::First(1))]);
    let copied = bench.copy(&with_digest()).unwrap();
    bench.assert_whole(0);
    assert_eq!(
        (copied.size, copied.checksum, copied.verified),
        (SIZE as u64, Some(blake3_of(&content(0))), Verified::BySize)
    );
    assert_eq!(bench.ranges(), [(0, None), (cut, Some(SIZE))]);
    let tag = bench.archive.log()[1].header("if-match").map(str::to_owned);
    assert_eq!(tag.as_deref(), Some("\"one\""));
}

#[test]
fn a_link_that_breaks_again_and_again_does_not_stop_a_copy_that_grows() {
    let bench = Bench::new(1);
    // Each answer brings nine mebibytes, then breaks: more often than there are retries without progress.
    bench.put(Object::new(content(0)), &[(Fault::Cut(9 * MIB), Times::Always)]);
    bench.copy(&with_digest()).unwrap();
    bench.assert_whole(0);
    assert_eq!(bench.ranges().len(), 5);
}

#[test]
fn the_next_run_goes_on_with_what_the_last_one_left() {
    let bench = Bench::new(1);
    let cut = 20 * MIB;
    let fails = [(Fault::Cut(cut), Times::First(1)), (Fault::Reset, Times::After(1))];
    bench.put(Object::new(content(0)), &fails);
    bench.copy(&with_digest()).unwrap_err();
    assert_eq!(bench.names(), [".a.nc.outcrop.part", ".a.nc.outcrop.record"]);
    let before = bench.ranges().len();
    bench.put(Object::new(content(0)), &[]);
    let copied = bench.copy(&with_digest()).unwrap();
    bench.assert_whole(0);
    assert_eq!(copied.checksum, Some(blake3_of(&content(0))));
    assert_eq!(bench.ranges()[before..], [(cut, Some(SIZE))], "nothing is fetched twice");
}

#[test]
fn a_bad_piece_of_the_last_run_is_fetched_again_and_only_that() {
    let bench = Bench::new(1);
    bench.put(Object::new(content(0)), &[(Fault::Cut(3 * PIECE), Times::First(1)), (Fault::Reset, Times::After(1))]);
    bench.copy(&with_digest()).unwrap_err();
    let part = bench.folder.path().join(".a.nc.outcrop.part");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[PIECE + 77] ^= 4;
    std::fs::write(&part, bytes).unwrap();
    let before = bench.ranges().len();
    bench.put(Object::new(content(0)), &[]);
    assert_eq!(bench.copy(&with_digest()).unwrap().checksum, Some(blake3_of(&content(0))));
    bench.assert_whole(0);
    assert_eq!(bench.ranges()[before..], [(PIECE, Some(2 * PIECE)), (3 * PIECE, Some(SIZE))]);
}

#[test]
fn another_version_is_never_mixed_with_the_old_one() {
    // Between two runs.
    let bench = Bench::new(1);
    let breaks = [(Fault::Cut(20 * MIB), Times::First(1)), (Fault::Reset, Times::After(1))];
    bench.put(Object::new(content(0)), &breaks);
    bench.copy(&with_digest()).unwrap_err();
    bench.put(Object::new(content(1)).with_etag(Some("\"two\"")), &[]);
    assert_eq!(bench.copy(&with_digest()).unwrap().checksum, Some(blake3_of(&content(1))));
    bench.assert_whole(1);
    // Within one: the request for the rest meets the new version.
    for etag in [Some("\"two\""), Some("W/\"two\""), None] {
        let bench = Bench::new(1);
        let replaced = Fault::Replaced(content(1), etag.map(str::to_owned));
        bench.put(Object::new(content(0)), &[(replaced, Times::After(1)), (Fault::Cut(20 * MIB), Times::First(1))]);
        bench.copy(&with_digest()).unwrap();
        bench.assert_whole(1);
    }
    // What cannot be told apart is read from the start.
    for etag in [Some("W/\"one\""), None] {
        let bench = Bench::new(1);
        bench.put(Object::new(content(0)).with_etag(etag), &[(Fault::Cut(20 * MIB), Times::First(1))]);
        bench.copy(&with_digest()).unwrap();
        bench.assert_whole(0);
        assert_eq!(bench.ranges(), [(0, None), (0, None)]);
    }
}

#[test]
fn a_digest_that_is_known_decides() {
    let bench = Bench::new(1);
    bench.put(Object::new(content(0)).with_etag(None), &[(Fault::Cut(20 * MIB), Times::First(1))]);
    let known = |bytes: &[u8]| CopyOptions { checksum: Some(blake3_of(bytes)), ..CopyOptions::default() };
    let copied = bench.copy(&known(&content(0))).unwrap();
    assert_eq!(copied.verified, Verified::ByDigest(Algorithm::Blake3));
    assert_eq!(bench.ranges(), [(0, None), (20 * MIB, Some(SIZE))], "it vouches for the whole, so no ETag is needed");
    bench.assert_whole(0);
    // Another version came in between, and no ETag told: the digest does, and it is read from the start.
    let other = Fault::Replaced(content(0), None);
    let object = Object::new(content(1)).with_etag(None).with_fault(other, Times::After(1));
    bench.put(object, &[(Fault::Cut(20 * MIB), Times::First(1))]);
    std::fs::remove_file(bench.target()).unwrap();
    assert_eq!(bench.copy(&known(&content(0))).unwrap().verified, Verified::ByDigest(Algorithm::Blake3));
    bench.assert_whole(0);
    // A wrong one: the old file stays, nothing else is left.
    let error = bench.copy(&known(&content(1))).unwrap_err();
    assert!(matches!(error, Error::Digest { who: "the catalog", .. }), "{error}");
    bench.assert_whole(0);
}

#[test]
fn digests_of_servers_are_held_against_the_bytes() {
    let bytes = vec![7u8; 3000];
    let adler = simd_adler32::adler32(&bytes.as_slice());
    let cases = [
        ("Digest", format!("adler32={adler:08x}"), Algorithm::Adler32),
        ("x-goog-hash", format!("crc32c={}", base64_of(&crc32c(&bytes).to_be_bytes())), Algorithm::Crc32c),
    ];
    for (name, value, algorithm) in cases {
        let bench = Bench::new(1);
        let told = |value: String| [(Fault::Header(name, Some(value)), Times::Always)];
        bench.put(Object::new(bytes.clone()), &told(value.clone()));
        let copied = bench.copy(&with_digest()).unwrap();
        assert_eq!(copied.verified, Verified::ByDigest(algorithm), "{name}");
        assert_eq!(copied.checksum, Some(blake3_of(&bytes)), "a multihash is kept all the same");
        let mut damaged = bytes.clone();
        damaged[1234] ^= 1;
        bench.put(Object::new(damaged), &told(value));
        let error = bench.copy(&with_digest()).unwrap_err();
        assert!(matches!(error, Error::Digest { who: "the server", .. }), "{error}");
        assert_eq!(std::fs::read(bench.target()).unwrap(), bytes);
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 })
    })
}

#[test]
fn nothing_known_is_unverified() {
    let bench = Bench::new(1);
    bench.put(Object::new(vec![7; 3000]), &[(Fault::NoLength, Times::Always)]);
    assert_eq!(bench.copy(&CopyOptions::default()).unwrap().verified, Verified::Unverified);
    let known = CopyOptions { size: Some(3000), ..CopyOptions::default() };
    assert_eq!(bench.copy(&known).unwrap().verified, Verified::BySize);
}

#[test]
fn a_large_object_uses_what_other_requests_leave_free() {
    let bench = Bench::new(4);
    // Slow enough that the first request is not done before the others begin.
    let drip = Fault::Drip { piece: 4 * MIB, every: Duration::from_millis(40) };
    bench.put(Object::new(content(0)), &[(drip, Times::Always)]);
    let copied = bench.copy(&with_digest()).unwrap();
    bench.assert_whole(0);
    assert_eq!(copied.checksum, Some(blake3_of(&content(0))));
    let ranges = bench.ranges();
    assert!(ranges.len() > 1 && ranges[1].0 > 0, "{ranges:?}");
    // Parts of it may break, also all at once.
    let bench = Bench::new(4);
    bench.put(Object::new(content(0)), &[(Fault::Cut(9 * MIB), Times::Always)]);
    bench.copy(&with_digest()).unwrap();
    bench.assert_whole(0);
    // A server without ranges gives it all the same.
    let bench = Bench::new(4);
    bench.put(Object::new(content(0)), &[(Fault::NoRanges, Times::Always), (Fault::Cut(20 * MIB), Times::First(1))]);
    bench.copy(&with_digest()).unwrap();
    bench.assert_whole(0);
}

/// Cut at many places, however the body is framed and whatever the ETag: whole and right, or a named error.
#[test]
fn no_cut_makes_a_short_or_mixed_copy() {
    let size = 3 * MIB;
    let want = content(0)[..size].to_vec();
    for framing in [None, Some(Fault::Chunked), Some(Fault::ChunkedWithoutEnd), Some(Fault::NoLength)] {
        for no_ranges in [false, true] {
            for etag in [Some("\"one\""), Some("W/\"one\""), None] {
                for at in [0, 1, size / 4, size / 2, size - 1, size] {
                    let bench = Bench::new(1);
                    let mut faults: Vec<(Fault, Times)> = framing.iter().map(|f| (f.clone(), Times::Always)).collect();
                    faults.extend(no_ranges.then_some((Fault::NoRanges, Times::Always)));
                    faults.push((Fault::Cut(at), Times::First(1)));
                    bench.put(Object::new(want.clone()).with_etag(etag), &faults);
                    let case = format!("{framing:?} {no_ranges} {etag:?} {at}");
                    // Only a size or a digest tells such a body that was cut from a whole one.
                    let is_blind = at == 0 || matches!(framing, Some(Fault::NoLength | Fault::Chunked));
                    let known = CopyOptions { size: is_blind.then_some(size as u64), ..CopyOptions::default() };
                    match bench.copy(&known) {
                        Ok(_) => assert!(std::fs::read(bench.target()).unwrap() == want, "{case}"),
                        Err(Error::Object(outcrop_store::Error::Transport { .. })) => {
                            assert!(matches!(framing, Some(Fault::ChunkedWithoutEnd)), "{case}");
                            assert!(!bench.target().exists(), "{case}");
                        }
                        Err(error) => panic!("{case}: {error}"),
                    }
                }
            }
        }
    }
}
