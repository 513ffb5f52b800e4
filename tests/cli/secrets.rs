//! Secrets of every kind in fetches that fail in every way: none is found in what is said or written.

use std::path::Path;

use outcrop_testkit::{Answer, Archive, Fault, Object, Service, Times};
use serde_json::{Value, json};

use crate::bench::{Bench, Said, files};

/// What may stand nowhere: a mark of each place where a secret can be.
const MARKS: [&str; 8] =
    ["MARKbearer", "MARKheader", "MARKbasic", "MARKquery", "MARKuser", "MARKpassword", "MARKaws", "MARKsigned"];

/// The marks as they are, in base64 (three ways to begin) and percent-encoded.
fn forms() -> Vec<String> {
    let mut forms: Vec<String> = MARKS.map(str::to_owned).to_vec();
    forms.push("MARK".to_owned());
    for lead in ["me:", "MARKuser:", "x"] {
        let text = format!("{lead}MARKpassword");
        forms.push(base64(text.as_bytes()).trim_end_matches('=').chars().take(16).collect());
    }
    forms.push(base64(b"me:MARKbasic").chars().take(14).collect());
    forms.push("%4D%41%52%4B".to_owned());
    forms
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = (all >> (18 - 6 * digit)) & 63;
            out.push(if digit > three.len() { '=' } else { char::from(DIGITS[index as usize]) });
        }
    }
    out
}

/// No mark in a text.
fn clean(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{form} is in {what}: {text}");
    }
}

/// No mark in names and bytes below a folder.
fn clean_below(folder: &Path) -> usize {
    let all = files(folder);
    for name in &all {
        clean("a file name", name);
        let bytes = std::fs::read(folder.join(name)).unwrap();
        // What the servers sent as data is theirs.
        if !name.ends_with(".nc") {
            clean(name, &String::from_utf8_lossy(&bytes));
        }
    }
    all.len()
}

/// An archive whose objects fail in every way, and the paths.
fn failing(archive: &Archive) -> Vec<String> {
    let signed = archive.url("none.nc?sig=MARKsigned&X-Amz-Signature=MARKsigned");
    let always = |fault: Fault| vec![(fault, Times::Always)];
    let faults = [
        ("good", Vec::new()),
        ("cut", always(Fault::Cut(1000))),
        ("resumed", vec![(Fault::Cut(2 << 20), Times::First(1))]),
        ("reset", always(Fault::Reset)),
        ("denied", always(Fault::Status(403))),
        ("busy", always(Fault::Status(503))),
        ("away", always(Fault::Redirect(signed.clone()))),
        ("loop", always(Fault::Redirect(archive.url("loop.nc?sig=MARKsigned")))),
        ("odd", always(Fault::Redirect("ftp://MARKuser:MARKpassword@h/a?sig=MARKsigned".to_owned()))),
        ("page", always(Fault::Body(b"<!doctype html>log in".to_vec()))),
        ("packed", always(Fault::Header("Content-Encoding", Some("gzip".into())))),
        ("cookie", always(Fault::Header("Set-Cookie", Some("session=MARKsigned".into())))),
        ("digest", always(Fault::Header("Digest", Some("adler32=00000001".into())))),
    ];
    let names = faults.iter().map(|(name, _)| format!("{name}.nc")).collect();
    for (name, faults) in faults {
        let size = if name == "resumed" { 3 << 20 } else { 30_000 };
        let add = |object: Object, (fault, times)| object.with_fault(fault, times);
        archive.put(&format!("{name}.nc"), faults.into_iter().fold(Object::new(vec![1; size]), add));
    }
    names
}

/// A server that tells everybody what it was sent.
fn echo() -> Service {
    Service::start(|asked| {
        let text = format!("{} {}", asked.target, asked.headers.join(" "));
        let body = if asked.target.contains("json") { json!({"message": text}).to_string() } else { text };
        Answer { status: 400, headers: vec!["Content-Type: application/json".into()], body: body.into_bytes() }
    })
}

/// Items whose hrefs hold secrets, of these objects and of places that fail in other ways.
fn items(archive: &Archive, echo: &Service, names: &[String]) -> Vec<Value> {
    let place = |name: &str, user: &str| {
        let url = archive.url(&format!("{name}?sig=MARKquery&token=MARKquery&X-Amz-Signature=MARKquery"));
        url.replace("http://", &format!("http://{user}"))
    };
    let login = "MARKuser:MARKpassword@";
    let mut items = Vec::new();
    for (n, name) in names.iter().enumerate() {
        items.push(Bench::item(name.trim_end_matches(".nc"), &[("k", &place(name, ""))]));
        items.push(Bench::item(&format!("user-{n}"), &[("k", &place(name, login))]));
    }
    let mut twins = Bench::item("twins", &[("k", &place("good.nc", "")), ("l", &place("GOOD.nc", ""))]);
    twins["links"] = json!([{"rel": "derived_from", "href": place("from.json", login)}]);
    twins["assets"]["k"]["alternate"] = json!({"mirror": {"href": place("mirror.nc", login)}});
    items.push(twins);
    items.push(Bench::item("echo", &[("k", &format!("{}/json?sig=MARKquery", echo.base()))]));
    items.push(Bench::item("bucket", &[("k", "s3://bucket/a.nc")]));
    items.push(Bench::item("nobody", &[("k", &format!("http://{login}127.0.0.1:9/a.nc?sig=MARKquery"))]));
    items.push(Bench::item("folder", &[("k", &place("x/", login))]));
    items
}

/// A fetch with secrets in its environment; none of them is said.
fn fetch(bench: &Bench, echo: &Service, line: &str) -> Said {
    let mut command = bench.command(&line.split(' ').collect::<Vec<_>>());
    command.env("OUTCROP_CONFIG", bench.path("secret/config.toml")).env("MY_KEY", "MARKheader");
    command.env("NETRC", bench.path("secret/netrc")).env("AWS_ACCESS_KEY_ID", "MARKaws");
    command.env("AWS_SECRET_ACCESS_KEY", "MARKaws").env("AWS_SESSION_TOKEN", "MARKaws");
    command.env("AWS_ENDPOINT_URL", echo.base()).env("AWS_ALLOW_HTTP", "true");
    command.env("RUST_BACKTRACE", "1").env("RUST_LOG", "trace");
    let said = Said::from(command.output().unwrap());
    clean("stdout", &said.out);
    clean("stderr", &said.err);
    said
}

#[test]
fn no_secret_is_said_or_written_whatever_fails() {
    let (bench, archive, echo) = (Bench::new(), Archive::start(), echo());
    let items = items(&archive, &echo, &failing(&archive));
    bench.items("in/items.json", &items);
    bench.write("secret/token", "MARKbearer\n");
    bench.write("secret/netrc", "machine 127.0.0.1 login MARKuser password MARKpassword\n");
    let logins = [
        ("bearer", "token-file = \"token\""),
        ("header", "header = \"X-Api-Key\"\ntoken-env = \"MY_KEY\""),
        ("basic", "user = \"me\"\ntoken-command = [\"echo\", \"MARKbasic\"]"),
    ];
    let origin = archive.url("").trim_end_matches('/').to_owned();
    let table = format!("[[host]]\norigin = \"{origin}\"\nalso = [\"{}\"]\n", echo.base());
    let mut looked_at = 0;
    for (name, login) in logins {
        bench.write("secret/config.toml", format!("{table}{login}\n"));
        // Twice: the second run goes on with what the first left.
        for (json, round) in [("", 1), (" --json", 2)] {
            let line = format!("fetch in/items.json --asset k,l --to out/{name} --retries 1{json}");
            let said = fetch(&bench, &echo, &line);
            assert_eq!(said.code, 1, "{name} {round}: {said:?}");
            let failed = said.err.lines().filter(|line| line.starts_with("failed: ")).count();
            assert!(failed >= 20, "{name} {round}: {failed} failed: {}", said.err);
        }
        looked_at += clean_below(&bench.path("out"));
    }
    // They were sent, or nothing was tested.
    let log = format!("{:?}", archive.log());
    for mark in ["MARKbearer", "MARKheader", "MARKquery", &base64(b"me:MARKbasic")[..14]] {
        assert!(log.contains(mark), "{mark} was not sent");
    }
    assert!(format!("{:?}", echo.asked()).contains("MARKaws"), "the key of the bucket was not sent");
    bench.write("secret/config.toml", "[[host]]\norigin = \"http://h\"\ntoken = \"MARKbearer\"\n");
    assert_eq!(fetch(&bench, &echo, "fetch in/items.json --asset k --to out/broken").code, 2);
    let count = items.len();
    eprintln!("| secrets in 8 places | {count} items, 6 runs, {looked_at} files looked at | 0 found |");
}
