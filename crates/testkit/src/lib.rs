//! Tools for tests: where the shared data is, golden arrays, a faulty archive. Depends on no other crate of the
//! workspace.

mod archive;
mod fault;

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{NpzReader, ReadableElement};

pub use archive::{Archive, Object, Request};
pub use fault::{Fault, Times};

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
