//! One suite for every store: what can be read from one can be read from all, in the same words.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use outcrop_store::{EntryKind, Environment, Error, Href, Store, StoreOptions};
use outcrop_testkit::{Archive, Fault, Object, Request, Times};
use tempfile::TempDir;

const SIZE: usize = 50_000;

fn content() -> Vec<u8> {
    (0..SIZE).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// Keys with what is easily lost: spaces, signs, percent signs, letters beyond ASCII.
const NAMES: [&str; 5] = ["a.nc", "b c+d.nc", "e%20f.nc", "g&h=i.nc", "\u{e9}.nc"];

struct Place {
    name: &'static str,
    /// The folder with [`NAMES`] and a folder `sub`.
    folder: Href,
    archive: Option<Archive>,
    store: Store,
    _files: TempDir,
    _runtime: tokio::runtime::Runtime,
}

fn store_with(settings: &[(&str, &str)]) -> (Store, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let environment: Environment = settings.iter().copied().collect();
    let options =
        StoreOptions { retries: 2, retry_wait_cap: Duration::from_millis(50), environment, ..Default::default() };
    (Store::new(options, runtime.handle().clone()).unwrap(), runtime)
}

fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl Place {
    fn new(name: &'static str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let archive = Archive::start();
        let base = archive.url("").trim_end_matches('/').to_owned();
        let azure = format!("{base}/acct");
        let settings: Vec<(&str, &str)> = match name {
            "s3" => vec![("AWS_ENDPOINT_URL", &base)],
            "s3 signed" => vec![
                ("AWS_ENDPOINT_URL_S3", &base),
                ("AWS_ACCESS_KEY_ID", "AKIA"),
                ("AWS_SECRET_ACCESS_KEY", "hush"),
                ("AWS_SESSION_TOKEN", "hushhush"),
            ],
            "gs" => vec![("STORAGE_EMULATOR_HOST", &base)],
            "az" => vec![("AZURE_STORAGE_ACCOUNT", "acct"), ("AZURE_STORAGE_ENDPOINT", &azure)],
            "az key" => vec![
                ("AZURE_STORAGE_ACCOUNT", "acct"),
                ("AZURE_STORAGE_ENDPOINT", &azure),
                ("AZURE_STORAGE_KEY", "aHVzaA=="),
            ],
            "abfss sas" => vec![
                ("AZURE_STORAGE_ACCOUNT", "acct"),
                ("AZURE_STORAGE_ENDPOINT", &azure),
                ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=hush%2B"),
            ],
            _ => vec![],
        };
        let root = match name {
            "local" => format!("{}/", files.path().display()),
            "http" => format!("{base}/"),
            "s3" | "s3 signed" => "s3://bucket/".to_owned(),
            "gs" => "gs://bucket/".to_owned(),
            "az" | "az key" => "az://bucket/".to_owned(),
            _ => "abfss://bucket@acct.dfs.core.windows.net/".to_owned(),
        };
        let (store, runtime) = store_with(&settings);
        let folder = Href::parse(&format!("{root}d/")).unwrap();
        let archive = (name != "local").then_some(archive);
        let place = Self { name, folder, archive, store, _files: files, _runtime: runtime };
        for file in NAMES.iter().copied().chain(["sub/x.nc"]) {
            place.put(file, content(), &[]);
        }
        place.put("empty.nc", Vec::new(), &[]);
        place
    }

    fn path(&self, file: &str) -> String {
        let bucket = match self.name {
            "http" => "",
            name if name.starts_with('a') => "acct/bucket/",
            _ => "bucket/",
        };
        format!("{bucket}d/{}", encoded(file))
    }

    fn put(&self, file: &str, bytes: Vec<u8>, faults: &[(Fault, Times)]) {
        if let Some(archive) = &self.archive {
            let add = |object: Object, (fault, times): &(Fault, Times)| object.with_fault(fault.clone(), *times);
            archive.put(&self.path(file), faults.iter().fold(Object::new(bytes), add));
            return;
        }
        let path = self.folder.to_path().unwrap().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn href(&self, file: &str) -> Href {
        let file = if self.name == "http" { encoded(file) } else { file.to_owned() };
        self.folder.join(&file).unwrap()
    }

    fn is_bucket(&self) -> bool {
        !matches!(self.name, "local" | "http")
    }
}

fn places() -> Vec<Place> {
    ["local", "http", "s3", "s3 signed", "gs", "az", "az key", "abfss sas"].map(Place::new).into()
}

#[test]
fn the_same_bytes_come_by_every_way_from_every_store() {
    for place in places() {
        let (store, want) = (&place.store, content());
        for name in NAMES {
            let href = place.href(name);
            assert_eq!(store.wait(store.get(&href)).unwrap(), want, "{} {name}", place.name);
            let (meta, head) = store.wait(store.head(&href, 100)).unwrap();
            assert_eq!((meta.size, &head[..]), (SIZE as u64, &want[..100]), "{}", place.name);
            let parts = store.wait(store.ranges(&meta, &[40_000..40_100, 7..9, 9..20])).unwrap();
            assert_eq!(
                (&parts[0][..], &parts[1][..], &parts[2][..]),
                (&want[40_000..40_100], &want[7..9], &want[9..20])
            );
            let streamed = store.wait(async {
                let mut stream = store.stream(&href).await?;
                assert_eq!(stream.size, Some(SIZE as u64));
                let mut all = Vec::new();
                while let Some(part) = stream.next().await? {
                    all.extend_from_slice(&part);
                }
                Ok::<_, Error>(all)
            });
            assert_eq!(streamed.unwrap(), want);
        }
        let (meta, head) = store.wait(store.head(&place.href("empty.nc"), 100)).unwrap();
        assert_eq!((meta.size, head.len()), (0, 0), "{}", place.name);
        let stats = store.stats();
        let bytes = NAMES.len() as u64 * (2 * SIZE as u64 + 100 + 100 + 13);
        let read = if place.name == "local" { stats.local_bytes } else { stats.remote_bytes };
        assert_eq!(read, bytes, "{}", place.name);
        // Whole, head, two joined ranges, stream of each; the empty one.
        assert_eq!(
            stats.requests,
            if place.name == "local" { 0 } else { 5 * NAMES.len() as u64 + 1 },
            "{}",
            place.name
        );
    }
}

#[test]
fn folders_are_listed_whole_from_every_store() {
    for place in places().into_iter().filter(|place| place.name != "http") {
        let mut entries = place.store.wait(place.store.list(&place.folder)).unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut want: Vec<(String, EntryKind, Option<u64>)> =
            NAMES.iter().map(|name| ((*name).to_owned(), EntryKind::File, Some(SIZE as u64))).collect();
        want.push(("empty.nc".into(), EntryKind::File, Some(0)));
        want.push(("sub".into(), EntryKind::Folder, None));
        want.sort_by(|a, b| a.0.cmp(&b.0));
        let got: Vec<_> = entries.iter().map(|entry| (entry.name.clone(), entry.kind, entry.size)).collect();
        assert_eq!(got, want, "{}", place.name);
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
            let size = place.store.wait(place.store.get(&entry.href)).unwrap().len() as u64;
            assert_eq!(Some(size), entry.size, "{} {}", place.name, entry.href);
        }
        let sub = entries.iter().find(|entry| entry.kind == EntryKind::Folder).unwrap();
        let inner = place.store.wait(place.store.list(&sub.href)).unwrap();
        assert_eq!(inner.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["x.nc"], "{}", place.name);
        let missing = place.store.wait(place.store.list(&place.href("none/")));
        assert!(missing.as_ref().is_err_and(Error::is_not_found), "{} {missing:?}", place.name);
    }
}

#[test]
fn what_is_not_there_is_said_so_by_every_store() {
    for place in places() {
        let href = place.href("none.nc");
        let error = place.store.wait(place.store.head(&href, 10)).unwrap_err();
        assert!(error.is_not_found(), "{}: {error}", place.name);
        assert_eq!(error.to_string(), format!("`{href}` does not exist"));
    }
}

#[test]
fn busy_stores_are_asked_again() {
    for place in places().into_iter().filter(|place| place.name != "local") {
        let slow = b"<Error><Code>SlowDown</Code></Error>".to_vec();
        let faults = [Fault::Status(503), Fault::Body(slow)].map(|fault| (fault, Times::First(2)));
        place.put("slow.nc", content(), &faults);
        assert_eq!(place.store.wait(place.store.get(&place.href("slow.nc"))).unwrap(), content(), "{}", place.name);
        place.put("busy.nc", content(), &Fault::busy("86400").map(|fault| (fault, Times::Always)));
        let error = place.store.wait(place.store.get(&place.href("busy.nc"))).unwrap_err();
        assert!(matches!(error, Error::Status { status: 503, .. }), "{}: {error}", place.name);
        place.put("cut.nc", content(), &[(Fault::Cut(100), Times::First(1))]);
        assert_eq!(place.store.wait(place.store.get(&place.href("cut.nc"))).unwrap(), content(), "{}", place.name);
    }
}

#[test]
fn replaced_objects_are_noticed() {
    for place in places().into_iter().filter(|place| place.name != "local") {
        let (meta, _) = place.store.wait(place.store.head(&place.href("a.nc"), 10)).unwrap();
        let other = Fault::Replaced(vec![1; SIZE], Some("\"two\"".into()));
        place.put("a.nc", content(), &[(other, Times::First(1))]);
        let error = place.store.wait(place.store.ranges(&meta, std::slice::from_ref(&(0..5)))).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{}: {error}", place.name);
        let past = place.store.wait(place.store.ranges(&meta, std::slice::from_ref(&(0..SIZE as u64 + 1))));
        assert!(matches!(past, Err(Error::Truncated { .. })), "{}", place.name);
    }
}

#[test]
fn a_thread_that_reads_itself_gets_the_same_ranges() {
    for place in places() {
        let (meta, _) = place.store.wait(place.store.head(&place.href("a.nc"), 10)).unwrap();
        let ranges = [40_000..40_100, 7..9, 9..20];
        let want = place.store.wait(place.store.ranges(&meta, &ranges)).unwrap();
        assert_eq!(place.store.wait_ranges(&meta, &ranges).unwrap(), want, "{}", place.name);
        let past = place.store.wait_ranges(&meta, std::slice::from_ref(&(0..SIZE as u64 + 1)));
        assert!(matches!(past, Err(Error::Truncated { .. })), "{}", place.name);
    }
}

#[test]
fn a_refusal_names_its_code_and_no_secret() {
    for place in places().into_iter().filter(Place::is_bucket) {
        let body = b"<Error><Code>AccessDenied</Code><Message>hush</Message></Error>".to_vec();
        let faults = [Fault::Status(403), Fault::Body(body)].map(|fault| (fault, Times::Always));
        place.put("a.nc", content(), &faults);
        let error = place.store.wait(place.store.get(&place.href("a.nc"))).unwrap_err();
        let signed = matches!(place.name, "s3 signed" | "az key" | "abfss sas");
        let whom = if signed { "with these credentials" } else { "without credentials" };
        let want = format!("`{}` may not be read {whom}: AccessDenied", place.href("a.nc"));
        assert_eq!(error.to_string(), want, "{}", place.name);
        assert_eq!(place.archive.as_ref().unwrap().requests(&place.path("a.nc")), 1, "{}", place.name);
        assert!(!format!("{error:?} {:?} {:?}", place.store, place.store.options()).contains("hush"), "{}", place.name);
    }
    let settings = [
        ("AZURE_STORAGE_ACCOUNT", "acct"),
        ("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:1/acct"),
        ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=hush"),
    ];
    let (store, _runtime) = store_with(&settings);
    let error = store.wait(store.get(&Href::parse("az://c/a.nc").unwrap())).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert!(!format!("{error} {error:?} {cause:?}").contains("hush"), "{error:?}");
}

#[test]
fn requests_are_signed_for_the_region_that_the_store_names() {
    let place = Place::new("s3 signed");
    let moved = [Fault::Status(301), Fault::Header("x-amz-bucket-region", Some("eu-west-1".into()))];
    place.put("a.nc", content(), &moved.clone().map(|fault| (fault, Times::First(1))));
    assert_eq!(place.store.wait(place.store.get(&place.href("a.nc"))).unwrap(), content());
    let log = place.archive.as_ref().unwrap().log();
    let scopes: Vec<bool> = ["us-east-1", "eu-west-1"]
        .iter()
        .zip(&log)
        .map(|(region, request)| {
            request.header("authorization").unwrap().contains(&format!("/{region}/s3/aws4_request"))
        })
        .collect();
    assert_eq!(scopes, [true, true]);
    assert_eq!(log[0].header("x-amz-security-token"), Some("hushhush"));
    assert!(!log[0].header("authorization").unwrap().contains("accept-encoding"));
    // Requests that were under way to the old region are sent again too.
    let place = loop {
        let place = Place::new("s3 signed");
        place.put("a.nc", content(), &moved.clone().map(|fault| (fault, Times::First(2))));
        let (first, second) = (place.href("a.nc"), place.href("a.nc"));
        let both = place.store.wait(async { tokio::join!(place.store.get(&first), place.store.get(&second)) });
        let log = place.archive.as_ref().unwrap().log();
        let is_old = |request: &Request| request.header("authorization").unwrap().contains("/us-east-1/");
        // On a busy machine the second may be sent after the first was answered.
        if log.iter().take(2).all(is_old) {
            assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
            break place;
        }
    };
    // A store that always sends elsewhere is not followed for ever.
    let elsewhere = [Fault::Status(301), Fault::Header("x-amz-bucket-region", Some("eu-west-2".into()))];
    place.put("a.nc", content(), &elsewhere.map(|fault| (fault, Times::Always)));
    let error = place.store.wait(place.store.get(&place.href("a.nc"))).unwrap_err();
    assert!(matches!(error, Error::Status { status: 301, .. }), "{error}");
}

#[test]
fn credentials_go_to_their_own_store_only() {
    let place = Place::new("s3 signed");
    let other = Archive::start();
    other.put("bucket/d/a.nc", Object::new(content()));
    place.put("a.nc", content(), &[(Fault::Redirect(other.url("bucket/d/a.nc")), Times::Always)]);
    let error = place.store.wait(place.store.get(&place.href("a.nc"))).unwrap_err();
    assert!(matches!(error, Error::Status { status: 302, .. }), "{error}");
    assert_eq!(other.log().len(), 0);
}

#[test]
fn headers_say_who_asks() {
    let plain = Place::new("s3");
    plain.store.wait(plain.store.get(&plain.href("a.nc"))).unwrap();
    assert_eq!(plain.archive.as_ref().unwrap().log()[0].header("authorization"), None);
    let archive = Archive::start();
    archive.put("bucket/a.nc", Object::new(content()));
    let url = archive.url("");
    let files = tempfile::tempdir().unwrap();
    let credentials = files.path().join("credentials");
    std::fs::write(&credentials, "[work]\naws_access_key_id = AKIA2\naws_secret_access_key = hush\n").unwrap();
    let settings = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_PROFILE", "work"),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_REQUEST_PAYER", "requester"),
        ("AWS_REGION", "ap-south-1"),
    ];
    let (store, _runtime) = store_with(&settings);
    let href = Href::parse("s3://bucket/a.nc").unwrap();
    store.wait(store.get(&href)).unwrap();
    let request = &archive.log()[0];
    assert_eq!(request.header("x-amz-request-payer"), Some("requester"));
    let authorization = request.header("authorization").unwrap();
    assert!(
        authorization.contains("Credential=AKIA2/") && authorization.contains("/ap-south-1/s3/"),
        "{authorization}"
    );
    assert!(authorization.contains("x-amz-request-payer"), "signed too: {authorization}");
    let anonymous = settings.into_iter().chain([("AWS_NO_SIGN_REQUEST", "YES")]).collect::<Vec<_>>();
    let (store, _runtime) = store_with(&anonymous);
    store.wait(store.get(&href)).unwrap();
    assert_eq!(archive.log()[1].header("authorization"), None);
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    type Settings<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Settings<'_>, &str); 8] = [
        ("s3://b/a", &[("AWS_ACCESS_KEY_ID", "AKIA")], "AWS_SECRET_ACCESS_KEY"),
        ("s3://b/a", &[("AWS_PROFILE", "none"), ("HOME", "/nowhere")], "profile `none`"),
        ("s3://b/a", &[("AWS_ENDPOINT_URL", "ftp://h")], "AWS_ENDPOINT_URL"),
        ("s3://b/a", &[("AWS_REGION", "evil.org/")], "AWS_REGION"),
        ("s3://b/a", &[("AWS_REQUEST_PAYER", "me")], "AWS_REQUEST_PAYER"),
        ("az://c/a", &[], "AZURE_STORAGE_ACCOUNT"),
        ("abfss://c@evil.org/a", &[], "evil.org"),
        ("gs://b/a", &[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")], "Google application credentials"),
    ];
    for (href, settings, want) in cases {
        let (store, _runtime) = store_with(settings);
        let error = store.wait(store.get(&Href::parse(href).unwrap())).unwrap_err();
        assert!(matches!(error, Error::Settings { .. }) && error.to_string().contains(want), "{href}: {error}");
    }
}
