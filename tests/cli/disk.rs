//! Disks that are full and folders that cannot be written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use outcrop_testkit::{Archive, Fault, Object, Times};

use crate::bench::{Bench, Said, assert_tidy, contents, files, until};

/// A small file system; `None`, after saying so, where mounting is not allowed.
pub(crate) struct Small(pub(crate) PathBuf);

impl Small {
    pub(crate) fn mount(bench: &Bench, options: &str) -> Option<Self> {
        let at = bench.path("small");
        std::fs::create_dir(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&at).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        eprintln!("skipped: a small file system cannot be mounted here");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn full(said: &Said, folder: &Path) {
    assert!(said.code == 1 || said.code == 2, "{said:?}");
    assert!(said.err.contains("No space left on device"), "{}", said.err);
    assert!(said.err.contains(folder.to_str().unwrap()), "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    assert_tidy(folder);
}

#[test]
fn a_full_disk_is_named_and_nothing_half_written_stays() {
    let bench = Bench::new();
    let Some(small) = Small::mount(&bench, "size=600k") else { return };
    let archive = Archive::start();
    archive.put("small.nc", Object::new(vec![1; 100_000]));
    archive.put("large.nc", Object::new(vec![2; 900_000]));
    let item = |name: &str| Bench::item(name, &[("k", &archive.url(&format!("{name}.nc")))]);
    bench.items("items.json", &[item("large"), item("small")]);
    let said = bench.run("fetch items.json --asset k --to small/copy");
    full(&said, &small.0);
    assert_eq!(said.code, 1, "the small one fits: {said:?}");
    let there: Vec<String> = files(&small.0).into_iter().filter(|name| name.ends_with(".nc")).collect();
    assert_eq!(there, ["copy/small/small.nc"]);
    std::fs::remove_dir_all(small.0.join("copy")).unwrap();

    bench.items("one.json", &[Bench::spring("one", "lakes", &[])]);
    std::fs::write(small.0.join("filler"), vec![0; 570_000]).unwrap();
    let said = bench.run("run spring-index --items one.json --to small/s.zarr");
    full(&said, &small.0);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("hint: free some space"), "{}", said.err);
    assert!(files(&small.0).iter().all(|name| !name.starts_with("s.zarr/1980")), "{:?}", files(&small.0));
    assert_eq!(files(&small.0), ["filler"], "no staging folder");

    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogs/daymet-daily-v4/recipe.toml");
    let said = bench.run_words(&["build", recipe, "--to", "small/catalog"]);
    assert!(said.code == 2 && said.err.contains("No space left on device"), "{said:?}");
    // What was made of it is kept for the next run, under a name that is not the catalog's.
    assert!(!small.0.join("catalog").exists());
    assert!(files(&small.0).iter().all(|name| name == "filler" || name.starts_with(".catalog.outcrop.part/")));
    std::fs::remove_file(small.0.join("filler")).unwrap();
    let recipe = bench.path("few.toml");
    std::fs::write(
        &recipe,
        "id = 'f'\ndescription = 'd'\n[variables]\nn = ['1']\n[item]\nid = '{n}'\n\
        datetime = '2000-01-01T00:00:00Z'\n[assets.a]\nhref = 'https://example.com/{n}.nc'\n",
    )
    .unwrap();
    let said = bench.run_words(&["build", recipe.to_str().unwrap(), "--to", "small/catalog"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_tidy(&small.0);
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    let Some(small) = Small::mount(&bench, "size=600k,ro") else { return };
    bench.write("a.nc", "a");
    bench.items("items.json", &[Bench::item("i", &[("k", "a.nc")])]);
    bench.items("one.json", &[Bench::spring("one", "lakes", &[])]);
    let place = small.0.to_str().unwrap();
    for line in [
        "fetch items.json --asset k --to small/copy",
        "run spring-index --items one.json --to small/s.zarr --coarsen 4",
        "search items.json -o small/found.json",
    ] {
        bench.run(line).could_not_run(&[place, "Read-only file system"]);
    }
    bench.run("fetch items.json --asset k --to a.nc").could_not_run(&["a.nc"]);
}

/// A destination with an older catalog, and the line that fetches a new version into it.
fn older(bench: &Bench, archive: &Archive) -> &'static str {
    for (path, size) in [("old/a.nc", 50_000), ("new/a.nc", 60_000)] {
        archive.put(path, Object::new(vec![path.as_bytes()[0]; size]));
        bench.items("items.json", &[Bench::item("i", &[("k", &archive.url(path))])]);
        if path == "old/a.nc" {
            assert_eq!(bench.run("fetch items.json --asset k --to copy").code, 0);
        }
    }
    "fetch items.json --asset k --to copy"
}

#[test]
fn a_folder_in_place_of_a_file_is_named_and_stays() {
    let (bench, archive) = (Bench::new(), Archive::start());
    let line = older(&bench, &archive);
    let before = contents(&bench.path("copy"));
    let in_the_way = [
        "i/a.nc",
        "i/.a.nc.outcrop.part",
        "i/i.json",
        "catalog.json",
        ".outcrop-fetch.journal",
        ".outcrop-fetch.ledger.ndjson",
        ".outcrop-fetch.ledger.ndjson.part",
    ];
    for name in in_the_way {
        let at = bench.path("copy").join(name);
        let _ = std::fs::remove_file(&at);
        std::fs::create_dir_all(at.join("kept")).unwrap();
        let asked = archive.requests("new/a.nc");
        let said = bench.run(line);
        assert!(said.code == 1 || said.code == 2, "{name}: {said:?}");
        assert!(said.err.contains(bench.path("copy").to_str().unwrap()), "{name}: {}", said.err);
        assert!(["directory", "exist"].iter().any(|why| said.err.contains(why)), "{name}: {}", said.err);
        assert!(at.join("kept").is_dir() && !said.err.contains("panicked"), "{name}: {}", said.err);
        if name.ends_with("a.nc") {
            assert_eq!(archive.requests("new/a.nc"), asked, "it could be known before");
        }
        std::fs::remove_dir_all(bench.path("copy")).unwrap();
        for (name, bytes) in &before {
            bench.write(&format!("copy/{name}"), bytes);
        }
    }
    assert_eq!(bench.run(line).code, 0);
    assert_eq!(std::fs::read(bench.path("copy/i/a.nc")).unwrap(), vec![b'n'; 60_000]);
}

#[test]
fn a_limit_on_the_size_of_files_is_named_and_the_old_ones_stay() {
    let (bench, archive) = (Bench::new(), Archive::start());
    let line = older(&bench, &archive);
    archive.put("new/a.nc", Object::new(vec![b'n'; 900_000]));
    let before = contents(&bench.path("copy"));
    let limited = |bytes: u64| -> Said {
        let words = line.split(' ').collect::<Vec<_>>();
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={bytes}")).arg(crate::bench::BIN).args(words).current_dir(bench.folder.path());
        command.output().unwrap().into()
    };
    let said = limited(300_000);
    assert_eq!(said.code, 1, "{said:?}");
    let copy = bench.path("copy/i/a.nc");
    assert!(said.err.contains("File too large") && said.err.contains(copy.to_str().unwrap()), "{}", said.err);
    assert_tidy(&bench.path("copy"));
    assert_eq!(std::fs::read(&copy).unwrap(), vec![b'o'; 50_000]);
    // So small a limit leaves no room for a journal either.
    let said = limited(10);
    assert!(said.code == 1 || said.code == 2, "{said:?}");
    assert!(said.err.contains("File too large"), "{}", said.err);
    assert_tidy(&bench.path("copy"));
    let same = |name: &str| contents(&bench.path("copy")).get(name) == before.get(name);
    assert!(same("i/a.nc") && same("catalog.json"));
    assert_eq!(bench.run(line).code, 0);
    assert_eq!(std::fs::read(&copy).unwrap(), vec![b'n'; 900_000]);
}

#[test]
fn folders_without_permission_are_named_before_a_byte_is_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if is_root && !Command::new(nobody[0]).args(&nobody[1..]).arg("true").status().is_ok_and(|status| status.success())
    {
        eprintln!("skipped: root cannot become another user here");
        return;
    }
    let (bench, archive) = (Bench::new(), Archive::start());
    let line = older(&bench, &archive);
    let program = bench.path("outcrop");
    std::fs::copy(crate::bench::BIN, &program).unwrap();
    mode(bench.folder.path(), 0o755);
    if is_root {
        let own = Command::new("chown").args(["-R", "65534:65534"]).arg(bench.folder.path()).status();
        assert!(own.unwrap().success());
    }
    let run = || -> Said {
        let words = line.split(' ').collect::<Vec<_>>();
        let mut command = Command::new(if is_root { nobody[0] } else { "env" });
        command.args(if is_root { &nobody[1..] } else { &[] }).arg(&program).args(words);
        command.current_dir(bench.folder.path()).env("HOME", bench.folder.path()).output().unwrap().into()
    };
    let before = contents(&bench.path("copy"));
    // The folder of the item, the destination without its journal, the folder above a new destination.
    for folder in ["copy/i", "copy"] {
        mode(&bench.path(folder), 0o555);
        let asked = archive.requests("new/a.nc");
        let said = run();
        mode(&bench.path(folder), 0o755);
        assert!(said.code == 1 || said.code == 2, "{folder}: {said:?}");
        assert!(said.err.contains("Permission denied"), "{folder}: {}", said.err);
        assert!(said.err.contains(bench.path("copy").to_str().unwrap()), "{folder}: {}", said.err);
        assert_eq!(archive.requests("new/a.nc"), asked, "{folder}");
        let now = contents(&bench.path("copy"));
        let of = |mut all: BTreeMap<String, Vec<u8>>| {
            all.retain(|name, _| !name.ends_with("ndjson"));
            all
        };
        assert_eq!(of(now), of(before.clone()), "{folder}");
    }
    // Old documents that cannot be read now are not forgotten.
    let item = |id: &str| Bench::item(id, &[("k", &archive.url("new/a.nc"))]);
    bench.items("items.json", &[item("j")]);
    mode(&bench.path("copy/i/i.json"), 0o000);
    let said = run();
    mode(&bench.path("copy/i/i.json"), 0o644);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("copy/i/i.json"), "{}", said.err);
    assert_eq!(run().code, 0);
    let root = std::fs::read_to_string(bench.path("copy/catalog.json")).unwrap();
    assert!(root.contains("./i/i.json") && root.contains("./j/j.json"), "{root}");
}

#[test]
fn a_selection_that_has_no_room_is_refused_before_its_first_byte() {
    let bench = Bench::new();
    let archive = Archive::start();
    let sized = |id: &str, size: u64| {
        archive.put(&format!("{id}.nc"), Object::new(vec![1; 1000]));
        let mut item = Bench::item(id, &[("k", &archive.url(&format!("{id}.nc")))]);
        item["assets"]["k"]["file:size"] = size.into();
        item
    };
    bench.items("items.json", &[sized("large", 1 << 60), sized("small", 1000)]);
    let said = bench.run("fetch items.json --asset k --to copy");
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("take 1152921504606847976 bytes") && said.err.contains("--ignore-space"), "{}", said.err);
    assert!(archive.log().is_empty() && files(&bench.path("copy")).iter().all(|name| !name.ends_with(".nc")));
    assert_eq!(bench.run("fetch items.json --asset k --ids small --to copy").code, 0);
    let said = bench.run("fetch items.json --asset k --to copy --ignore-space");
    assert_eq!(said.code, 1, "its size is another: {said:?}");
}

#[test]
fn a_disk_that_is_unmounted_meanwhile_is_told() {
    let bench = Bench::new();
    let Some(small) = Small::mount(&bench, "size=2M") else { return };
    let archive = Archive::start();
    archive.put("a.nc", Object::new(vec![1; 1000]));
    archive.put(
        "b.nc",
        Object::new(vec![2; 1000]).with_fault(Fault::DripHeaders(Duration::from_millis(30)), Times::Always),
    );
    let items = ["a", "b"].map(|id| Bench::item(id, &[("k", &archive.url(&format!("{id}.nc")))]));
    bench.items("items.json", &items);
    let mut command = bench.command(&["fetch", "items.json", "--asset", "k", "--to", "small/copy"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the first copy is there", || small.0.join("copy/a/a.nc").exists());
    assert!(Command::new("umount").arg("-l").arg(&small.0).status().unwrap().success());
    let said = Said::from(child.wait_with_output().unwrap());
    said.could_not_run(&["small/copy", "is not the folder any more", "mount it again"]);
}
