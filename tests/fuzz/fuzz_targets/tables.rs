//! Tables of references in Parquet: the bytes are the first table of an array of sixteen chunks.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use outcrop_formats::Opened;
use outcrop_store::{Href, Store, StoreOptions};

const METADATA: &str = r#"{"metadata": {".zgroup": {"zarr_format": 2}, "a/.zattrs": {"_ARRAY_DIMENSIONS": ["x"]},
    "a/.zarray": {"zarr_format": 2, "shape": [64], "chunks": [4], "dtype": "<i4", "order": "C", "fill_value": 0,
    "compressor": null, "filters": null}}, "record_size": 8}"#;

struct Bench {
    _runtime: tokio::runtime::Runtime,
    store: Store,
    folder: tempfile::TempDir,
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).expect("store");
        let folder = tempfile::tempdir_in("/dev/shm").expect("folder");
        std::fs::create_dir(folder.path().join("a")).expect("create");
        std::fs::write(folder.path().join(".zmetadata"), METADATA).expect("write");
        Bench { _runtime: runtime, store, folder }
    })
}

fuzz_target!(|data: &[u8]| {
    let bench = bench();
    std::fs::write(bench.folder.path().join("a/refs.0.parq"), data).expect("write");
    let folder = Href::from_path(bench.folder.path());
    let opened = bench.store.wait(Opened::open(&bench.store, &folder)).expect("the metadata is whole");
    let _ = bench.store.wait(opened.locate(&opened.meta.variables[0]));
});
