//! Tables of items and of files in Parquet.

#![no_main]

use std::sync::OnceLock;

use futures::StreamExt;
use libfuzzer_sys::fuzz_target;
use outcrop_stac::geoparquet::{Outlined, Table, TableWriter, plain_rows};
use outcrop_store::{Href, Store, StoreOptions};

struct Bench {
    _runtime: tokio::runtime::Runtime,
    store: Store,
    folder: tempfile::TempDir,
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        // What the crate `parquet` panics of is caught.
        std::panic::set_hook(Box::new(|_| {}));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).expect("store");
        Bench { _runtime: runtime, store, folder: tempfile::tempdir_in("/dev/shm").expect("folder") }
    })
}

fuzz_target!(|data: &[u8]| {
    let Bench { store, folder, .. } = bench();
    let _ = plain_rows(data.to_vec().into(), |_| {});
    let path = folder.path().join("items.parquet");
    std::fs::write(&path, data).expect("write");
    store.wait(async {
        let Ok(table) = Table::open(store, &Href::from_path(&path)).await else { return };
        for group in 0..table.groups().min(4) {
            let Ok(rows) = table.select(group, Outlined::Names, |_| true).await else { continue };
            let _ = rows.items().take(4).filter(|rows| std::future::ready(rows.is_ok())).count().await;
        }
    });
    let _ = TableWriter::update(&path);
});
