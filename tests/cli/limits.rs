//! What is larger than anyone expects: bounded in memory, and said.

use std::fmt::Write;
use std::io::{BufWriter, Write as _};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::bench::{BIN, Bench, Said};

/// Runs with so much address space in MiB; what needs more is killed or fails.
fn within(bench: &Bench, mebibytes: u64, arguments: &[&str]) -> Said {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {} && exec \"$0\" \"$@\"", mebibytes << 10), BIN]).args(arguments);
    command.current_dir(bench.folder.path()).stdin(Stdio::null());
    command.output().unwrap().into()
}

fn item(id: &str) -> String {
    json!({"type": "Feature", "stac_version": "1.1.0", "id": id, "geometry": null, "links": [], "assets": {},
        "properties": {"datetime": "2020-01-01T00:00:00Z"}})
    .to_string()
}

#[test]
fn a_catalog_of_a_million_links_is_read() {
    let bench = Bench::new();
    let mut file = BufWriter::new(std::fs::File::create(bench.path("catalog.json")).unwrap());
    file.write_all(br#"{"type": "Catalog", "stac_version": "1.1.0", "id": "million", "description": "d", "links": ["#)
        .unwrap();
    for n in 0..1_000_000 {
        let comma = if n == 0 { "" } else { "," };
        write!(file, r#"{comma}{{"rel": "item", "href": "./item-{n:07}.json", "type": "application/geo+json", "title": "Item {n}"}}"#)
            .unwrap();
    }
    file.write_all(b"]}").unwrap();
    drop(file);
    assert!(bench.path("catalog.json").metadata().unwrap().len() > 95_000_000);
    for n in 0..3 {
        let id = format!("item-{n:07}");
        bench.write(&format!("{id}.json"), item(&id));
    }
    let said = within(&bench, 700, &["search", ".", "--unsorted", "--max-items", "3", "--format", "ids"]);
    assert_eq!((said.code, said.out.as_str()), (0, "item-0000000\nitem-0000001\nitem-0000002\n"), "{}", said.err);
    let said = within(&bench, 700, &["collections", "."]);
    assert_eq!(said.code, 0, "{}", said.err);
    // What cannot be held whole is neither checked nor rewritten.
    let before = std::fs::metadata(bench.path("catalog.json")).unwrap().len();
    let said = within(&bench, 3000, &["migrate", "catalog.json", "--in-place"]);
    assert_ne!(said.code, 0);
    assert_eq!(std::fs::metadata(bench.path("catalog.json")).unwrap().len(), before);
}

#[test]
fn documents_that_are_too_large_or_too_deep_are_named_with_the_limit() {
    let bench = Bench::new();
    let long = "x".repeat(100 << 20);
    bench.write("item.json", item("long").replace("\"assets\":{}", &format!("\"assets\":{{}},\"x\":\"{long}\"")));
    bench.write("catalog.json", json!({"type": "Catalog", "id": "c", "description": long, "links": []}).to_string());
    drop(long);
    for name in ["item.json", "catalog.json"] {
        let said = within(&bench, 900, &["search", name]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains("67108864") || said.err.contains("64 MiB"), "{}", said.err);
    }
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    let deep = item("deep").replace("\"assets\":{}", &format!("\"assets\":{{}},\"x\":{open}{close}"));
    bench.write("deep.json", &deep);
    bench.write("deep.ndjson", format!("{}\n{deep}\n", item("plain")));
    // An item that no tree is made of may be as deep as it likes.
    let said = within(&bench, 700, &["search", "deep.ndjson", "--format", "ids"]);
    assert_eq!((said.code, said.out.as_str()), (0, "deep\nplain\n"), "{}", said.err);
    let said = within(&bench, 700, &["search", "deep.json", "--filter", "a = 1"]);
    assert!(said.code != 0 && said.err.contains("deep.json"), "{}", said.err);
    let links = format!(r#"{{"type": "Catalog", "id": "c", "description": "d", "links": {open}{close}}}"#);
    bench.write("deep/catalog.json", links);
    within(&bench, 700, &["describe", "deep"]).could_not_run(&["deep/catalog.json"]);
}

#[test]
fn ids_that_lead_elsewhere_write_nothing_outside() {
    let bench = Bench::new();
    let ids = [
        "../evil",
        "/etc/evil",
        "a/b",
        "..",
        ".",
        "a:b",
        "CON",
        "x.",
        "%2e%2e%2fevil",
        "nul\u{0}",
        "\u{202e}txt",
        "A",
        "a",
        "\u{e9}",
        "e\u{301}",
        &"l".repeat(300),
        "fine",
    ];
    let lines = ids.iter().fold(String::new(), |mut all, id| {
        writeln!(all, "{}", item(id)).unwrap();
        all
    });
    bench.write("in/items.ndjson", lines);
    let said = within(&bench, 900, &["harvest", "in/items.ndjson", "--to", "in/out", "--json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    let mut names: Vec<String> = std::fs::read_dir(bench.folder.path())
        .unwrap()
        .chain(std::fs::read_dir(bench.path("in")).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["in", "items.ndjson", "out"]);
    // The rest is there, and each that is not is named.
    let written = said.json()["items"].as_u64().unwrap();
    assert!(written >= 3, "{}", said.err);
    let failed = said.err.lines().filter(|line| !line.starts_with(' ')).count() as u64;
    assert_eq!(written + said.json()["failed"].as_u64().unwrap(), ids.len() as u64, "{} {failed}", said.err);
    assert!(bench.path("in/out/fine/fine.json").is_file());
    let said = within(&bench, 900, &["search", "in/out", "--count"]);
    assert_eq!((said.code, said.out.trim()), (0, written.to_string().as_str()), "{}", said.err);
}
