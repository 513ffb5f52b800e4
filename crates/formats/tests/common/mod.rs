//! What the tests of this crate share.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::Path;

use outcrop_formats::{ChunkRefs, FileMeta, HEAD, Locate, Open, Variable, read_variable};
use outcrop_store::{Href, ObjectMeta, Store, StoreOptions};

/// A store and the runtime that it needs.
pub(crate) struct Bench {
    runtime: tokio::runtime::Runtime,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        Self { runtime, store }
    }

    pub(crate) fn open(&self, path: &Path) -> (ObjectMeta, FileMeta) {
        let href = Href::from_path(path);
        self.runtime
            .block_on(self.store.drive(&href, HEAD, &mut Open::new()))
            .unwrap_or_else(|e| panic!("{}: {e:?}", path.display()))
    }

    pub(crate) fn locate(&self, meta: &ObjectMeta, variable: &Variable) -> ChunkRefs {
        let mut have = outcrop_store::Sparse::new(meta.size);
        self.runtime
            .block_on(self.store.drive_with(meta, &mut have, &mut Locate::new(variable)))
            .unwrap_or_else(|e| panic!("{}: {e:?}", variable.name))
    }

    pub(crate) fn read(&self, meta: &ObjectMeta, refs: &ChunkRefs, window: &[Range<u64>]) -> Vec<u8> {
        self.runtime.block_on(read_variable(&self.store, meta, refs, window)).unwrap()
    }

    pub(crate) fn all(&self, meta: &ObjectMeta, variable: &Variable) -> Vec<u8> {
        let refs = self.locate(meta, variable);
        let window: Vec<Range<u64>> = variable.grid.shape.iter().map(|n| 0..*n).collect();
        self.read(meta, &refs, &window)
    }
}
