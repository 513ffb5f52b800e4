//! References of kerchunk: documents and tables that lie.

use serde_json::{Value, json};

use super::zarr::list_of;
use super::{Case, changed::tables};

/// A document of version 1 with one array of 64 numbers, and what is to be added.
fn document(changes: &Value) -> Vec<u8> {
    let array = json!({"zarr_format": 2, "shape": [64], "chunks": [64], "dtype": "<i4", "fill_value": 0, "order": "C",
        "filters": null, "compressor": null});
    let mut refs = json!({".zgroup": "{\"zarr_format\":2}", "v/.zarray": array.to_string()});
    let mut document = json!({"version": 1});
    for (name, value) in changes.as_object().unwrap() {
        let within = if name.starts_with("v/") { &mut refs } else { &mut document };
        within[name] = value.clone();
    }
    document["refs"] = refs;
    document.to_string().into_bytes()
}

/// A table of references with some bytes changed, or cut.
fn table(name: &'static str, change: impl Fn(&mut Vec<u8>), want: &'static str) -> Case {
    let mut files = tables();
    let (_, bytes) = files.iter_mut().find(|(name, _)| name.ends_with("refs.0.parq")).unwrap();
    change(bytes);
    Case::folder(name, files, want)
}

pub(super) fn cases() -> Vec<Case> {
    [expanded(), documents(), in_parquet(), large()].into_iter().flatten().collect()
}

/// Trees that few bytes of text become. They are put in as text: here they would take as much memory.
fn large() -> Vec<Case> {
    let tree = String::from_utf8(list_of(r#"{"a":0}"#, 400_000)).unwrap();
    let list = &tree[5..tree.len() - 1];
    let with = |name: &str, text: &str| {
        let document = String::from_utf8(document(&json!({name: "PLACE"}))).unwrap();
        document.replace("\"PLACE\"", text).into_bytes()
    };
    let limit = "more than the limit";
    vec![
        Case::file("attributes of 400,000 objects", with("v/.zattrs", &tree), limit),
        Case::file("attributes of 400,000 objects as text", with("v/.zattrs", &json!(tree).to_string()), limit),
        Case::file("templates of 400,000 objects", with("templates", &tree), limit),
        Case::file("a list of 400,000 templates", with("gen", list), limit),
        Case::file("a reference of 400,000 parts", with("v/0", list), limit),
    ]
}

fn in_parquet() -> Vec<Case> {
    let end = |bytes: &[u8]| bytes.len() - 8;
    vec![
        table("tables", |_| {}, ""),
        table("an empty table", Vec::clear, "!"),
        table("a table of marks alone", |bytes| *bytes = b"PAR1PAR1".to_vec(), "!"),
        table("a table that is cut", |bytes| bytes.truncate(bytes.len() / 2), "!"),
        table("a table without its first half", |bytes| drop(bytes.drain(..bytes.len() / 2)), "!"),
        table(
            "a footer of 2^32 - 1 bytes",
            |bytes| {
                let at = end(bytes);
                bytes[at..at + 4].fill(0xff);
            },
            "!",
        ),
        table(
            "a footer of no bytes",
            |bytes| {
                let at = end(bytes);
                bytes[at..at + 4].fill(0);
            },
            "!",
        ),
        table(
            "a footer of lists in lists",
            |bytes| {
                let at = end(bytes);
                bytes[..at].fill(0x19);
            },
            "!",
        ),
        table(
            "a footer of structures in structures",
            |bytes| {
                let at = end(bytes);
                bytes[..at].fill(0x1c);
            },
            "!",
        ),
        table(
            "a footer of ones",
            |bytes| {
                let at = end(bytes);
                bytes[..at].fill(0xff);
            },
            "!",
        ),
        table("pages of ones", |bytes| bytes[4..60].fill(0xff), "!"),
    ]
}

fn expanded() -> Vec<Case> {
    let of = |name, changes: Value, want| Case::file(name, document(&changes), want);
    let long = |text: &str, count: usize| text.repeat(count);
    let generated = |dimensions: &Value| json!({"gen": [{"key": "v/{{i}}", "url": "file", "offset": "{{i}}", "length": "1", "dimensions": dimensions}]});
    vec![
        of("10^12 generated references", generated(&json!({"i": {"stop": 1_000_000_000_000u64}})), "!"),
        of("generated references of step 0", generated(&json!({"i": {"start": 0, "stop": 10, "step": 0}})), "!"),
        of("a billion by a billion", generated(&json!({"i": {"stop": 1u64 << 30}, "j": {"stop": 1u64 << 30}})), "!"),
        of("a template that is not there", json!({"v/0": ["{{nothing}}", 0, 256]}), "!"),
        of("templates in a circle", json!({"templates": {"a": "{{b}}", "b": "{{a}}"}, "v/0": ["{{a}}", 0, 256]}), "!"),
        of("a template that calls itself", json!({"templates": {"a": "{{a()}}"}, "v/0": ["{{a()}}", 0, 256]}), "!"),
        of("templates that grow", growing(), "!"),
        of(
            "an expression 100,000 deep",
            json!({"templates": {"a": "x"},
            "v/0": [format!("{{{{{}1{}}}}}", long("(", 100_000), long(")", 100_000)), 0, 256]}),
            "!",
        ),
        of(
            "a number of 10^5 digits",
            json!({"templates": {"a": "x"}, "v/0": [format!("{{{{{}}}}}", long("9", 100_000)), 0, 256]}),
            "!",
        ),
        of(
            "a format of 2^30 letters",
            json!({"templates": {"a": "x"}, "v/0": ["{{ '%01073741824d' % 1 }}", 0, 256]}),
            "!",
        ),
    ]
}

fn documents() -> Vec<Case> {
    let of = |name, changes: Value, want| Case::file(name, document(&changes), want);
    let long = |text: &str, count: usize| text.repeat(count);
    vec![
        of("plain", json!({"v/0": format!("base64:{}==", long("A", 342))}), ""),
        of("a chunk that is short", json!({"v/0": "base64:AAAA"}), "!"),
        of("no base64", json!({"v/0": "base64:***"}), "!"),
        of("a range past the end", json!({"v/0": ["file", 1_000_000, 256]}), "!"),
        of("a range past 2^64", json!({"v/0": ["file", u64::MAX, 256]}), "!"),
        of("a range of -1", json!({"v/0": ["file", -1, 256]}), "!"),
        of("a range of 2^62 bytes", json!({"v/0": ["file", 0, 1u64 << 62]}), "!"),
        of("a range of three numbers", json!({"v/0": ["file", 0, 256, 1]}), "!"),
        of("a file that is not there", json!({"v/0": ["nothing"]}), "!"),
        of("a number for a chunk", json!({"v/0": 7}), "!"),
        Case::file("lists 100,000 deep", [b"{\"version\": 1, \"refs\": ".to_vec(), vec![b'['; 100_000]].concat(), "!"),
        Case::file("a million references", many(1_000_000), "*"),
        Case::file("half a document", document(&json!({}))[..40].to_vec(), "!"),
    ]
}

/// Templates that each say the one before it ten times.
fn growing() -> Value {
    let mut templates = json!({"t0": "0123456789"});
    for at in 1..20 {
        templates[format!("t{at}")] = format!("{{{{t{}}}}}", at - 1).repeat(10).into();
    }
    json!({"templates": templates, "v/0": ["{{t19}}", 0, 256]})
}

fn many(count: usize) -> Vec<u8> {
    let each: Vec<String> = (0..count).map(|at| format!("\"v/{at}\":[\"f\",{at},1]")).collect();
    let array = r#""v/.zarray":"{\"zarr_format\":2,\"shape\":[1000000],\"chunks\":[1],\"dtype\":\"|u1\",\"fill_value\":0,\"order\":\"C\",\"filters\":null,\"compressor\":null}""#;
    format!("{{\"version\":1,\"refs\":{{\".zgroup\":\"{{\\\"zarr_format\\\":2}}\",{array},{}}}}}", each.join(","))
        .into_bytes()
}
