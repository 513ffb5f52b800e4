//! Zarr: metadata, chunks and shards that lie.

use serde_json::{Value, json};

use super::{Case, zeros};

/// A store of version 2 with one array, `v`; members of its document replaced, chunk `0` as it is.
fn two(changes: &Value, chunk: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut document = json!({"zarr_format": 2, "shape": [64], "chunks": [64], "dtype": "<i4", "fill_value": 0,
        "order": "C", "filters": null, "compressor": null});
    replace(&mut document, changes);
    store(&[(".zgroup", &json!({"zarr_format": 2})), ("v/.zarray", &document)], ("v/0", chunk))
}

/// A store of version 3 with one array, `v`, and its first chunk.
fn three(changes: &Value, chunk: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut document = json!({"zarr_format": 3, "node_type": "array", "shape": [64], "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [64]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "attributes": {}});
    replace(&mut document, changes);
    let group = json!({"zarr_format": 3, "node_type": "group", "attributes": {}});
    store(&[("zarr.json", &group), ("v/zarr.json", &document)], ("v/c/0", chunk))
}

fn replace(document: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
}

fn store(documents: &[(&str, &Value)], (name, chunk): (&str, &[u8])) -> Vec<(String, Vec<u8>)> {
    let text = |(name, document): &(&str, &Value)| ((*name).to_owned(), document.to_string().into_bytes());
    documents.iter().map(text).chain([(name.to_owned(), chunk.to_vec())]).collect()
}

/// A grid of chunks of version 3.
fn grid(chunk: &Value) -> Value {
    json!({"name": "regular", "configuration": {"chunk_shape": chunk}})
}

/// Shards of four chunks of 16 numbers, with an index at the end, without a checksum.
fn shard(index: &[[u64; 2]; 4]) -> Vec<(String, Vec<u8>)> {
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let codecs = json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": [16], "codecs": [bytes],
        "index_codecs": [bytes], "index_location": "end"}}]);
    let mut data = vec![1; 256];
    data.extend(index.iter().flatten().flat_map(|number| number.to_le_bytes()));
    three(&json!({"codecs": codecs}), &data)
}

/// Lists within lists.
fn nested(depth: usize) -> Vec<u8> {
    [vec![b'['; depth], vec![b']'; depth]].concat()
}

/// An attribute that is a list of many of one kind.
pub(super) fn list_of(each: &str, count: usize) -> Vec<u8> {
    format!("{{\"a\":[{each}{}]}}", format!(",{each}").repeat(count - 1)).into_bytes()
}

fn consolidated(count: usize) -> Vec<(String, Vec<u8>)> {
    let array = json!({"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|u1", "fill_value": 0, "order": "C",
        "filters": null, "compressor": null});
    let members: serde_json::Map<_, _> = (0..count).map(|at| (format!("v{at}/.zarray"), array.clone())).collect();
    let document = json!({"zarr_consolidated_format": 1, "metadata": members});
    store(&[(".zgroup", &json!({"zarr_format": 2})), (".zmetadata", &document)], ("v0/0", &[0; 4]))
}

pub(super) fn cases() -> Vec<Case> {
    [documents(), chunks(), version_three(), texts()].into_iter().flatten().collect()
}

fn documents() -> Vec<Case> {
    let of = |name, changes: Value, want| Case::folder(name, two(&changes, &[7; 256]), want);
    let deep = |bytes: Vec<u8>| {
        let mut files = two(&json!({}), &[7; 256]);
        files.push(("v/.zattrs".to_owned(), bytes));
        files
    };
    vec![
        of("plain", json!({}), ""),
        of("chunks of no cells", json!({"chunks": [0]}), "!"),
        of("chunks of -1 cells", json!({"chunks": [-1]}), "!"),
        of("chunks of 2^50 cells", json!({"chunks": [1u64 << 50]}), "!"),
        of("2^62 by 2^62 cells", json!({"shape": [1u64 << 62, 1u64 << 62], "chunks": [64, 1]}), "!"),
        of("2^63 chunks", json!({"shape": [u64::MAX], "chunks": [1]}), "*"),
        of("a shape of texts", json!({"shape": ["64"]}), "!"),
        of("more lengths than chunks", json!({"shape": [64, 64]}), "!"),
        of("33 dimensions", json!({"shape": vec![1; 33], "chunks": vec![1; 33]}), "!"),
        of("a type of 99 bytes", json!({"dtype": "<i99"}), "!"),
        of("texts of 2^60 letters", json!({"dtype": "<U1152921504606846976"}), "!"),
        of("a structured type", json!({"dtype": [["a", "<i4"]]}), "!"),
        of("objects", json!({"dtype": "|O"}), "!"),
        of("an order that is not there", json!({"order": "X"}), "!"),
        of("an unknown compressor", json!({"compressor": {"id": "secret"}}), "secret"),
        of("an unknown filter", json!({"filters": [{"id": "secret"}]}), "secret"),
        of("100 filters", json!({"filters": vec![json!({"id": "delta", "dtype": "<i4"}); 100]}), "!"),
        of("a fill value of another type", json!({"fill_value": "abc"}), "!"),
        of("a format of number 7", json!({"zarr_format": 7}), "!"),
        Case::folder("attributes 100,000 deep", deep(nested(100_000)), "!"),
        Case::folder("attributes that are no text", deep(vec![0xff; 100]), "!"),
        Case::folder("attributes of seven million zeros", deep(list_of("0", 7 << 20)), "more than the limit"),
        Case::folder(
            "attributes of two million objects",
            deep(list_of(r#"{"a":0}"#, 1_900_000)),
            "more than the limit",
        ),
        Case::folder("attributes of five million empty lists", deep(list_of("[]", 5 << 20)), "more than the limit"),
        Case::folder(
            "an attribute of 15 MiB of text",
            deep(format!("{{\"a\":\"{}\"}}", "x".repeat(15 << 20)).into()),
            "",
        ),
        Case::folder("a million numbers as an attribute", deep(list_of("12345.5", 1_000_000)), "*"),
        Case::folder("20,000 arrays", consolidated(20_000), ""),
        Case::folder("two million arrays", consolidated(200_000), "*"),
        Case::folder("an empty document", store(&[(".zgroup", &Value::Null)], ("v/.zarray", b"")), "!"),
        Case::folder("names that climb", climbing(), "!|"),
    ]
}

/// Consolidated metadata of an array outside of the store.
fn climbing() -> Vec<(String, Vec<u8>)> {
    let array = json!({"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|u1", "fill_value": 0, "order": "C",
        "filters": null, "compressor": null});
    let members = json!({".zgroup": {"zarr_format": 2}, "../../v/.zarray": array});
    let document = json!({"zarr_consolidated_format": 1, "metadata": members});
    store(&[(".zgroup", &json!({"zarr_format": 2})), (".zmetadata", &document)], ("w/0", &[0; 4]))
}

fn chunks() -> Vec<Case> {
    let zlib = |name, len: u64, stream: &[u8], want| {
        let changes =
            json!({"shape": [len], "chunks": [len], "dtype": "|u1", "compressor": {"id": "zlib", "level": 1}});
        Case::folder(name, two(&changes, stream), want)
    };
    let coded = |name, id: &str, stream: &[u8]| {
        Case::folder(name, two(&json!({"compressor": {"id": id, "level": 1, "acceleration": 1}}), stream), "!")
    };
    // A frame of blosc: version, codec version, flags, type size, sizes decoded, of a block, and stored.
    let frame = |decoded: u32, block: u32, stored: u32| {
        let sizes = [decoded, block, stored].map(u32::to_le_bytes).concat();
        [vec![2, 1, 0x21, 4], sizes, vec![0; 64]].concat()
    };
    let squeezed = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    vec![
        Case::folder("a chunk that is short", two(&json!({}), &[7; 100]), "!"),
        Case::folder("a chunk that is long", two(&json!({}), &[7; 300]), "!"),
        Case::folder("a chunk of nothing", two(&json!({}), &[]), "!"),
        zlib("zeros as they are declared", 100 << 20, &zeros(100 << 20), ""),
        zlib("a bomb larger than its chunk", 60 << 20, &zeros(100 << 20), "!"),
        zlib("a stream longer than its chunk", 1 << 10, &zeros(1 << 20), "!"),
        zlib("a stream shorter than its chunk", 1 << 20, &zeros(1 << 10), "!"),
        zlib("a stream of noise", 1 << 10, &[0x5a; 300], "!"),
        coded("zstd of noise", "zstd", &[0x5a; 300]),
        coded("zstd that is longer", "zstd", &squeezed),
        coded("lz4 of 2^31 bytes", "lz4", &[&(1u32 << 31).to_le_bytes()[..], &[0x1f; 64]].concat()),
        coded("lz4 of noise", "lz4", &[&256u32.to_le_bytes()[..], &[0xff; 64]].concat()),
        coded("bz2 of noise", "bz2", &[b'B', b'Z', b'h', b'9', 1, 2, 3]),
        coded("lzma of noise", "lzma", &[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4]),
        coded("blosc of 2^32 - 1 bytes", "blosc", &frame(u32::MAX, 256, 80)),
        coded("blosc in blocks of nothing", "blosc", &frame(256, 0, 80)),
        coded("blosc of 2^32 - 1 stored bytes", "blosc", &frame(256, 256, u32::MAX)),
        coded("blosc of noise", "blosc", &frame(256, 256, 80)),
        coded("half a header of blosc", "blosc", &[2, 1, 0x21]),
    ]
}

fn version_three() -> Vec<Case> {
    let of = |name, changes: Value, want| Case::folder(name, three(&changes, &[7; 256]), want);
    let empty = [u64::MAX; 2];
    let sound = [[0, 64], [64, 64], [128, 64], [192, 64]];
    let lying = |at: usize, lie: [u64; 2]| {
        let mut index = sound;
        index[at] = lie;
        shard(&index)
    };
    vec![
        of("version 3", json!({}), ""),
        of("version 3: chunks of no cells", json!({"chunk_grid": grid(&json!([0]))}), "!"),
        of("version 3: chunks of 2^50 cells", json!({"chunk_grid": grid(&json!([1u64 << 50]))}), "!"),
        of(
            "version 3: an unknown grid",
            json!({"chunk_grid": {"name": "secret", "configuration": {"chunk_shape": [64]}}}),
            "secret",
        ),
        of("version 3: an unknown type", json!({"data_type": "secret"}), "secret"),
        of("version 3: an unknown codec", json!({"codecs": [{"name": "secret"}]}), "secret"),
        of("version 3: no codecs", json!({"codecs": []}), "!"),
        of("version 3: bytes twice", json!({"codecs": ["bytes", "bytes"]}), "!"),
        of(
            "version 3: an order that is none",
            json!({"codecs": [{"name": "transpose",
            "configuration": {"order": [5]}}, {"name": "bytes", "configuration": {"endian": "little"}}]}),
            "!",
        ),
        of("version 3: an unknown member", json!({"secret": {"must_understand": true}}), "!"),
        of("version 3: names of other dimensions", json!({"dimension_names": ["a", "b"]}), "!"),
        of("version 3: no fill value", json!({"fill_value": null}), "*"),
        Case::folder("shards", shard(&sound), ""),
        Case::folder("shards of nothing", shard(&[empty; 4]), ""),
        Case::folder("a chunk past its shard", lying(1, [300, 64]), "!"),
        Case::folder("a chunk far past its shard", lying(1, [u64::MAX - 1, 64]), "!"),
        Case::folder("a chunk of 2^64 - 2 bytes", lying(1, [0, u64::MAX - 1]), "!"),
        Case::folder("a chunk of half a mark", lying(1, [u64::MAX, 64]), "!"),
        Case::folder("chunks that overlap", lying(1, [32, 64]), "*"),
        Case::folder("a chunk in the index", lying(1, [256, 64]), "*"),
        Case::folder(
            "a shard without an index",
            three(
                &json!({"codecs": [{"name": "sharding_indexed",
            "configuration": {"chunk_shape": [16], "codecs": ["bytes"], "index_codecs": ["bytes"]}}]}),
                &[0; 10],
            ),
            "!",
        ),
        Case::folder(
            "shards of 2^40 chunks",
            three(
                &json!({"shape": [1u64 << 40],
            "chunk_grid": grid(&json!([1u64 << 40])), "codecs": [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [1], "codecs": ["bytes"], "index_codecs": ["bytes"]}}]}),
                &[0; 64],
            ),
            "!",
        ),
    ]
}

/// Texts of any length: their number, then each with its length.
fn encoded(said: u32, texts: &[(u32, &[u8])]) -> Vec<u8> {
    let each = texts.iter().flat_map(|(length, text)| [&length.to_le_bytes()[..], text].concat());
    said.to_le_bytes().into_iter().chain(each).collect()
}

/// A store of version 2 with two texts.
fn two_texts(changes: &Value, chunk: &[u8]) -> Vec<(String, Vec<u8>)> {
    let filters = json!([{"id": "vlen-utf8"}]);
    let mut all = json!({"dtype": "|O", "filters": filters, "shape": [2], "chunks": [2], "fill_value": ""});
    replace(&mut all, changes);
    two(&all, chunk)
}

fn texts() -> Vec<Case> {
    let of = |name, chunk: &[u8], want| Case::folder(name, two_texts(&json!({}), chunk), want);
    let sound = encoded(2, &[(1, b"a"), (2, b"bc")]);
    let mut long = encoded(2, &[(1, b"a"), (65 << 20, b"")]);
    long.resize(13 + (65 << 20), b'x');
    let zlib = json!({"id": "zlib", "level": 1});
    let many = |name, count: u64, zeros: &[u8], want| {
        let changes = json!({"shape": [count], "chunks": [count], "compressor": zlib});
        Case::folder(name, two_texts(&changes, zeros), want)
    };
    vec![
        of("texts", &sound, ""),
        of("texts of nothing", b"", "the number of texts is cut"),
        of("two texts of which one is there", &encoded(2, &[(1, b"a")]), "!"),
        of("more texts than the chunk has", &encoded(3, &[(0, &b""[..]); 3]), "3 texts; the chunk has 2"),
        of("2^32 - 1 texts", &encoded(u32::MAX, &[(0, &b""[..]); 2]), "4294967295 texts"),
        of("a text of 2^32 - 1 bytes", &encoded(2, &[(0, b""), (u32::MAX, b"a")]), "text 1 of 2"),
        of("a text that is no UTF-8", &encoded(2, &[(0, b""), (1, b"\xff")]), "no UTF-8"),
        of("bytes behind the texts", &[&sound[..], b"?"].concat(), "1 bytes are behind"),
        of("a text of 65 MiB", &long, "more than the limit"),
        many("two million empty texts", 1 << 21, &zeros(4 << 21), "!"),
        many("three million empty texts", 3 << 20, &zeros(4), "number of texts of a chunk"),
        many("2^60 texts", 1 << 60, &zeros(4), "!"),
    ]
    .into_iter()
    .chain(coded_texts(&sound))
    .collect()
}

fn coded_texts(sound: &[u8]) -> Vec<Case> {
    let of = |name, changes: Value, want| Case::folder(name, two_texts(&changes, sound), want);
    let coded = |name, id: &str, chunk: &[u8]| {
        Case::folder(name, two_texts(&json!({"compressor": {"id": id, "level": 1}}), chunk), "!")
    };
    let three_of = |name, codecs: Value, want| {
        let chunk = grid(&json!([2]));
        let changes =
            json!({"data_type": "string", "shape": [2], "fill_value": "", "chunk_grid": chunk, "codecs": codecs});
        Case::folder(name, three(&changes, sound), want)
    };
    let utf8 = json!({"id": "vlen-utf8"});
    vec![
        coded("a bomb of texts", "zlib", &zeros(256 << 20)),
        coded("another bomb of texts", "zstd", &zstd::bulk::compress(&vec![0; 256 << 20], 1).unwrap()),
        coded("texts of noise", "blosc", &[0x5a; 99]),
        of("texts by two filters", json!({"filters": [utf8, utf8]}), "!"),
        of("texts by shuffled bytes", json!({"filters": [utf8, {"id": "shuffle", "elementsize": 4}]}), "!"),
        of("texts of deltas", json!({"filters": [{"id": "delta", "dtype": "<i4"}, utf8]}), "!"),
        of("bytes of any length", json!({"filters": [{"id": "vlen-bytes"}]}), "vlen-bytes"),
        Case::folder("numbers as texts", two(&json!({"filters": [utf8]}), sound), "vlen-utf8"),
        three_of("texts of version 3", json!(["vlen-utf8"]), ""),
        three_of("texts as numbers", json!([{"name": "bytes", "configuration": {"endian": "little"}}]), "vlen-utf8"),
    ]
}
