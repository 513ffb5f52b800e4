//! Tools for tests: where the shared data is, golden arrays, a faulty archive. Depends on no other crate of the
//! workspace.

mod archive;
mod bucket;
mod depot;
mod fault;
mod service;

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{NpzReader, ReadableElement};

pub use archive::{Archive, Object, Request};
pub use depot::{Deed, Depot, Trouble};
pub use fault::{Fault, Times};
pub use service::{Answer, Asked, Service};

/// The folder of data that stands beside the checkout, or `None` (after saying so) where it is absent.
///
/// # Panics
/// With `CI=true` in the environment, where a skipped test would hide a failure.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn shared_data(relative: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(relative);
    if path.exists() {
        return Some(path);
    }
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!in_ci, "{} is absent, and CI=true", path.display());
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// One array of an `.npz` file.
///
/// # Panics
/// If the file or the member cannot be read as this type.
#[expect(clippy::panic, reason = "a test cannot go on without its data")]
pub fn npz<T: ReadableElement>(path: &Path, name: &str) -> ArrayD<T> {
    let read = || -> Result<ArrayD<T>, Box<dyn std::error::Error>> {
        let mut archive = NpzReader::new(File::open(path)?)?;
        Ok(archive.by_name::<ndarray::OwnedRepr<T>, IxDyn>(&format!("{name}.npy"))?)
    };
    read().unwrap_or_else(|e| panic!("cannot read {name} of {}: {e}", path.display()))
}

/// The first place where two sequences differ by more than `atol + rtol * |want|`; NaN equals NaN only.
pub fn difference(got: &[f64], want: &[f64], rtol: f64, atol: f64) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} values where {} are wanted", got.len(), want.len()));
    }
    got.iter().zip(want).enumerate().find_map(|(i, (g, w))| {
        let same = if w.is_nan() { g.is_nan() } else { g == w || (g - w).abs() <= atol + rtol * w.abs() };
        (!same).then(|| format!("at {i}: got {g}, want {w}"))
    })
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that follow from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number().checked_rem(limit).unwrap_or(0)
    }

    /// One of several.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<T: Copy>(&mut self, several: &[T]) -> T {
        several[usize::try_from(self.below(several.len() as u64)).unwrap_or(0)]
    }

    /// Bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.number().to_le_bytes()[3]).collect()
    }
}
