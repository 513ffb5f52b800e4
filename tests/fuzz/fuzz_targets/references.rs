//! Documents of references, and with them the metadata, codecs and chunks of Zarr: opened, located, read.

#![no_main]

use std::ops::Range;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use outcrop_formats::{Opened, cf::Decoding};
use outcrop_store::{Href, Store, StoreOptions};

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
        Bench { _runtime: runtime, store, folder: tempfile::tempdir_in("/dev/shm").expect("folder") }
    })
}

fuzz_target!(|data: &[u8]| {
    // Nothing but what the document holds is to be read.
    if data.windows(4).any(|w| w == b"http") {
        return;
    }
    let bench = bench();
    let path = bench.folder.path().join("refs.json");
    std::fs::write(&path, data).expect("write");
    let Ok(opened) = bench.store.wait(Opened::open(&bench.store, &Href::from_path(&path))) else { return };
    for variable in opened.meta.variables.iter().take(8) {
        let Ok(refs) = bench.store.wait(opened.locate(variable)) else { continue };
        let size = |lengths: &[u64]| lengths.iter().try_fold(variable.dtype.size() as u64, |n, len| n.checked_mul(*len));
        let small = |n: Option<u64>| n.is_some_and(|n| n <= 1 << 20);
        if !small(size(&variable.grid.shape)) || !small(size(&variable.grid.chunk)) {
            continue;
        }
        let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|n| 0..*n).collect();
        if let Ok(bytes) = bench.store.wait(opened.read(&refs, &window)) {
            Decoding::of(variable).to_f64(&bytes);
        }
    }
});
