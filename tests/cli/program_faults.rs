//! `outcrop run program` on disks and folders that fail: nothing torn, nothing lost, gone on with when there is room.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;

use crate::bench::{Bench, Said, contents, files};
use crate::disk::Small;

/// Noise, so that nothing is compressed: 40 chunks of 160 kB.
const NOISE: &str = r#"
[[step]]
name = "x"
op = "random"
shape = { t = 40, y = 100, x = 200 }
chunks = { t = 1 }

[[step]]
name = "r"
op = "rechunk"
chunks = { t = 4, y = 50, x = 50 }

[[step]]
name = "mean"
op = "rolling"
dim = "t"
window = 3

[[output]]
of = "mean"
to = "FOLDER/mean.zarr"
chunks = { t = 1, y = 100, x = 200 }
"#;

fn refused(said: &Said, words: &[&str]) {
    assert_eq!(said.code, 2, "{said:?}");
    assert!(!said.err.contains("panicked"), "{}", said.err);
    for word in words {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
}

/// The program, and what it makes where nothing fails.
fn undisturbed(bench: &Bench, to: &str) -> BTreeMap<String, Vec<u8>> {
    bench.write("want.toml", NOISE.replace("FOLDER", "want"));
    assert_eq!(bench.run("run program want.toml").code, 0);
    bench.write("p.toml", NOISE.replace("FOLDER", to));
    contents(&bench.path("want/mean.zarr"))
}

#[test]
fn a_disk_that_fills_up_is_named_and_the_run_goes_on_when_there_is_room() {
    let bench = Bench::new();
    let Some(small) = Small::mount(&bench, "size=16m") else { return };
    let want = undisturbed(&bench, "small");
    for free_kb in [0usize, 3, 40, 161, 700, 1500, 2900, 3500, 4100, 4700] {
        let _ = std::fs::remove_dir_all(small.0.join("mean.zarr"));
        std::fs::create_dir(small.0.join("mean.zarr")).unwrap();
        std::fs::write(
            small.0.join("mean.zarr/zarr.json"),
            r#"{"zarr_format": 3, "node_type": "group", "attributes": {"old": 1}}"#,
        )
        .unwrap();
        let old = contents(&small.0.join("mean.zarr"));
        std::fs::write(small.0.join("filler"), vec![7; (16 << 20) - (free_kb << 10) - 8192]).unwrap();
        refused(&bench.run("run program p.toml"), &["No space left on device", small.0.to_str().unwrap()]);
        assert_eq!(contents(&small.0.join("mean.zarr")), old, "{free_kb} kB free");
        std::fs::remove_file(small.0.join("filler")).unwrap();
        let said = bench.run("run program p.toml --json");
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(contents(&small.0.join("mean.zarr")), want, "{free_kb} kB free");
        assert!(files(&small.0).iter().all(|name| name.starts_with("mean.zarr/")), "{:?}", files(&small.0));
        let [_, skipped] = [0, 1].map(|at| said.json()["outputs"][0]["tasks"][at].as_u64().unwrap());
        assert!(free_kb < 2900 || skipped > 0, "{free_kb} kB free: nothing was kept");
    }
}

#[test]
fn a_scratch_folder_that_is_full_is_named() {
    let bench = Bench::new();
    let Some(small) = Small::mount(&bench, "size=2m") else { return };
    let want = undisturbed(&bench, ".");
    refused(&bench.run("run program p.toml --memory 8MB --scratch small"), &["No space left on device", "`small`"]);
    assert!(files(&small.0).is_empty() && !bench.path("mean.zarr").exists());
    assert_eq!(bench.run("run program p.toml --memory 8MB --scratch .").code, 0);
    assert_eq!(contents(&bench.path("mean.zarr")), want);
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_computed() {
    let bench = Bench::new();
    undisturbed(&bench, "small");
    if let Some(small) = Small::mount(&bench, "size=600k,ro") {
        refused(&bench.run("run program p.toml"), &["Read-only file system", small.0.to_str().unwrap()]);
    }
    bench.write("p.toml", NOISE.replace("FOLDER", "place"));
    bench.write("place", "a file in place of the folder");
    refused(&bench.run("run program p.toml"), &["place"]);
    assert_eq!(std::fs::read(bench.path("place")).unwrap(), b"a file in place of the folder");
    bench.write(
        "p.toml",
        NOISE.replace("FOLDER/mean.zarr", "taken.csv").replace("chunks = { t = 1, y = 100, x = 200 }", ""),
    );
    std::fs::create_dir_all(bench.path("taken.csv/kept")).unwrap();
    refused(&bench.run("run program p.toml"), &["taken.csv"]);
    assert!(bench.path("taken.csv/kept").exists());
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_not_an_end() {
    let bench = Bench::new();
    let want = undisturbed(&bench, ".");
    let mut command = bench.command(&["run", "program", "p.toml"]);
    let limited = {
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let folder = command.get_current_dir().unwrap().to_owned();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""]).arg(program).args(arguments).current_dir(folder);
        shell.process_group(0);
        shell.output().unwrap()
    };
    let _ = &mut command;
    let error = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert_eq!(limited.status.code(), Some(2), "{limited:?}");
    assert!(error.contains("File too large"), "{error}");
    assert_eq!(bench.run("run program p.toml").code, 0);
    assert_eq!(contents(&bench.path("mean.zarr")), want);
}
