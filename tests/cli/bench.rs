//! A folder to run the command in, and what it said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_outcrop");

/// What a run left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().unwrap_or_else(|| -output.status.signal().unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// Exit 2, nothing on stdout, one error that holds these words and the next step (in a hint, or after a semicolon).
    pub(crate) fn could_not_run(&self, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (2, ""), "{self:?}");
        let starts = |with: &str| self.err.lines().filter(|line| line.starts_with(with)).count();
        assert_eq!(starts("error: "), 1, "{}", self.err);
        assert!(starts("hint: ") == 1 || self.err.contains("; "), "no next step: {}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.matches('\n').count(), 1, "one line: {}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }
}

/// A temporary working folder.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BIN);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env_remove(proxy);
        }
        // Nobody's own credentials.
        let stores = ["AWS_", "GOOGLE_", "GS_", "AZURE_", "STORAGE_EMULATOR_HOST"];
        for (name, _) in std::env::vars_os() {
            if stores.iter().any(|with| name.to_string_lossy().starts_with(with)) {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.folder.path());
        command
    }

    /// Runs a command line; its words are parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Said {
        self.run_words(&line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn run_words(&self, words: &[&str]) -> Said {
        self.command(words).output().unwrap().into()
    }

    /// An item with assets by key and href.
    pub(crate) fn item(id: &str, assets: &[(&str, &str)]) -> Value {
        let assets: serde_json::Map<_, _> =
            assets.iter().map(|(k, href)| ((*k).into(), json!({"href": href}))).collect();
        json!({"type": "Feature", "stac_version": "1.1.0", "id": id, "geometry": null, "links": [],
            "properties": {"datetime": "1980-01-01T00:00:00Z"}, "assets": assets})
    }

    pub(crate) fn items(&self, name: &str, items: &[Value]) {
        self.write(name, json!({"type": "FeatureCollection", "features": items}).to_string());
    }

    /// An item of the demo's archive.
    pub(crate) fn spring(id: &str, region: &str, changed: &[(&str, &str)]) -> Value {
        let mut hrefs = Vec::new();
        for key in ["tmin", "tmax", "dayl"] {
            let own = demo().join(format!("archive/{region}/daymet_v4_daily_{region}_{key}_1980.nc"));
            let other = changed.iter().find(|(name, _)| *name == key).map(|(_, href)| (*href).to_owned());
            hrefs.push((key, other.unwrap_or_else(|| own.to_str().unwrap().to_owned())));
        }
        Self::item(id, &hrefs.iter().map(|(key, href)| (*key, href.as_str())).collect::<Vec<_>>())
    }
}

/// What `outcrop demo` made, once for all tests of the process.
pub(crate) fn demo() -> &'static Path {
    static DEMO: OnceLock<PathBuf> = OnceLock::new();
    DEMO.get_or_init(|| {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
        let output = Command::new(BIN).args(["demo", "--json", "--to"]).arg(&to).output().unwrap();
        let said = Said::from(output);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        assert_eq!(said.json()["files"], 16);
        to
    })
}

/// All files below a folder, as paths from it, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// What lies below a folder: paths and bytes.
pub(crate) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap_or_default())).collect()
}

/// Nothing temporary is left below a folder.
pub(crate) fn assert_tidy(folder: &Path) {
    let left: Vec<String> = files(folder).into_iter().filter(|name| name.contains(".part")).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Waits until something holds.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
