//! Files, stores and tables that lie: errors or right data, within 5 s and 300 MiB each.
//!
//! The generators are kept, not the files: every number of a built file can be a lie, and fixtures are cut and overwritten
//! at every place, checksums made right again. Each built case runs in a process of its own, whose memory is its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod changed;
mod hdf5;
mod hdf5_dense;
mod hdf5_file;
mod miniseed;
mod netcdf3;
mod references;
mod tiff;
mod zarr;

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use outcrop_formats::{DType, Decoder, Opened, Variable};
use outcrop_store::{Href, Store, StoreOptions};

/// Most memory of a case, in MiB.
const MEMORY: u64 = 300;
/// Longest time of a case.
const TIME: Duration = Duration::from_secs(5);

/// Something to be opened, and what comes of it.
struct Case {
    name: &'static str,
    /// Paths and contents; of several, or of paths with a slash, the folder is opened.
    files: Vec<(String, Vec<u8>)>,
    /// What the error says, `|` between several; nothing where there is none, `!` for any, `*` where either will do.
    want: &'static str,
}

impl Case {
    fn file(name: &'static str, bytes: Vec<u8>, want: &'static str) -> Self {
        Self { name, files: vec![("file".to_owned(), bytes)], want }
    }

    fn folder(name: &'static str, files: Vec<(String, Vec<u8>)>, want: &'static str) -> Self {
        Self { name, files, want }
    }

    /// Writes it; what is to be opened.
    fn write(&self, folder: &Path) -> Href {
        write(folder, &self.files)
    }

    fn holds(&self, got: &Result<usize, String>) -> bool {
        match (got, self.want) {
            (_, "*") | (Err(_), "!") => true,
            (Ok(read), want) => want.is_empty() && *read > 0 || want.ends_with('|'),
            (Err(error), want) => !want.is_empty() && want.split('|').any(|part| error.contains(part)),
        }
    }
}

fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Href {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    match files {
        [(name, _)] if !name.contains('/') => Href::from_path(&folder.join(name)),
        _ => Href::from_path(folder).as_folder(),
    }
}

type Table = (&'static str, fn() -> Vec<Case>);

const TABLES: [Table; 6] = [
    ("hdf5", hdf5::cases),
    ("tiff", tiff::cases),
    ("netcdf3", netcdf3::cases),
    ("miniseed", miniseed::cases),
    ("zarr", zarr::cases),
    ("references", references::cases),
];

/// A store, and what runs it.
struct Bench {
    runtime: tokio::runtime::Runtime,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        Self { runtime, store }
    }

    /// Opens, locates and reads some of everything; the first error.
    fn read(&self, href: &Href) -> Result<usize, String> {
        self.runtime.block_on(self.all(href))
    }

    async fn all(&self, href: &Href) -> Result<usize, String> {
        let opened = Opened::open(&self.store, href).await.map_err(|e| chain(&e))?;
        let mut read = 0;
        for variable in opened.meta.variables.iter().take(50) {
            // Texts without a size of their own are no elements to be decoded.
            if variable.dtype != DType::VlenUtf8 {
                decode(&opened, variable).await?;
            }
            if variable.dtype.is_text() {
                let window: Vec<_> = variable.grid.shape.iter().map(|n| 0..*n).collect();
                opened.read_texts(variable, &window).await.map_err(|e| chain(&e))?;
            }
            read += 1;
        }
        opened.meta.refused.first().map_or(Ok(read), |(path, why)| Err(format!("{path}: {why}")))
    }
}

/// Decodes the first chunks of a variable.
async fn decode(opened: &Opened, variable: &Variable) -> Result<(), String> {
    let refs = opened.locate(variable).await.map_err(|e| chain(&e))?;
    let mut decoder = Decoder::new(&refs).map_err(|e| chain(&e))?;
    let mut out = vec![0; decoder.chunk_bytes()];
    for (_, chunk) in refs.iter().take(20) {
        let fetched = opened.origin.fetch(&[chunk], out.len() as u64, 0).await.map_err(|e| chain(&e))?;
        for (chunk, bytes) in fetched {
            decoder.decode(&chunk, &bytes, &mut out).map_err(|e| chain(&e))?;
        }
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Who builds large things takes it alone; whose memory is measured, with others of their kind.
static BUILDING: RwLock<()> = RwLock::new(());

/// Forgets the peak so far.
fn reset_peak_memory() {
    // Where it cannot be forgotten, the limit is only stricter.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak of the resident memory, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0) / 1024
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// Zeros as a zlib stream, a thousand times smaller.
fn zeros(size: usize) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let data = vec![0; size];
    let mut out = vec![0; compressor.zlib_compress_bound(size)];
    let len = compressor.zlib_compress(&data, &mut out).unwrap();
    out.truncate(len);
    out
}

/// Runs in a process of its own: the memory of the others is not of this case.
#[test]
#[ignore = "run by the other tests"]
fn one_built_case() {
    let Ok(href) = std::env::var("HREF") else { return };
    let bench = Bench::new();
    let started = Instant::now();
    let got = bench.read(&Href::parse(&href).unwrap());
    let (elapsed, peak) = (started.elapsed(), peak_memory());
    let _ = std::fs::write(
        std::env::var("SAY").unwrap(),
        serde_json::json!([got.as_ref().ok(), got.as_ref().err(), elapsed.as_millis(), peak]).to_string(),
    );
}

/// What a process of its own reads, its milliseconds and its MiB; an error where it ended otherwise.
fn read_apart(href: &Href) -> Result<(Result<usize, String>, u64, u64), String> {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_built_case", "--ignored", "--nocapture"])
        .env("HREF", href.as_str())
        .env("SAY", said.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Its own clock decides; this is for one that never ends.
    let deadline = Instant::now() + 3 * TIME;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            return Err(format!("no end within {:?}", 3 * TIME));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let line = std::fs::read_to_string(said.path()).unwrap();
    if line.is_empty() {
        return Err(format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let (read, error, time, peak): (Option<usize>, Option<String>, u64, u64) = serde_json::from_str(&line).unwrap();
    Ok((read.ok_or_else(|| error.unwrap_or_default()), time, peak))
}

#[test]
fn every_lie_is_an_error_in_little_time_and_memory() {
    let mut failed = Vec::new();
    let mut largest = (0, 0);
    for (table, cases) in TABLES {
        let cases = {
            let _alone = BUILDING.write().unwrap_or_else(PoisonError::into_inner);
            cases()
        };
        for case in cases {
            let folder = tempfile::tempdir().unwrap();
            let href = case.write(folder.path());
            let name = format!("{table}: {}", case.name);
            let (got, time, peak) = match read_apart(&href) {
                Ok(found) => found,
                Err(why) => {
                    failed.push(format!("{name}: {why}"));
                    continue;
                }
            };
            largest = (largest.0.max(time), largest.1.max(peak));
            if !case.holds(&got) {
                failed.push(format!("{name}: {got:?}, not {:?}", case.want));
            }
            if u128::from(time) > TIME.as_millis() || peak > MEMORY {
                failed.push(format!("{name}: {time} ms, {peak} MiB"));
            }
        }
    }
    if std::env::var_os("SHOW").is_some() {
        failed.push(format!("at most {} ms and {} MiB", largest.0, largest.1));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
