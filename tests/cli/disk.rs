//! Disks that are full and folders that cannot be written.

use std::path::{Path, PathBuf};
use std::process::Command;

use outcrop_testkit::{Archive, Object};

use crate::bench::{Bench, Said, assert_tidy, files};

/// A small file system; `None`, after saying so, where mounting is not allowed.
struct Small(PathBuf);

impl Small {
    fn mount(bench: &Bench, options: &str) -> Option<Self> {
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
