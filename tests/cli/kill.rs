//! Ctrl-C, TERM and kill -9 in the middle of the work.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use outcrop_testkit::{Archive, Fault, Object, Times};

use crate::bench::{Bench, Said, assert_tidy, files, until};

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// An archive with a whole file and one that stalls in its middle.
fn stalling(bench: &Bench) -> Archive {
    let times = Times::First(1);
    let archive = Archive::start();
    archive.put("good.nc", Object::new(vec![1; 300_000]));
    let stalls = Object::new(vec![2; 300_000]).with_fault(Fault::Stall, times).with_fault(Fault::Cut(100_000), times);
    archive.put("stalls.nc", stalls);
    let item = |name: &str| Bench::item(name, &[("k", &archive.url(&format!("{name}.nc")))]);
    bench.items("items.json", &[item("good"), item("stalls")]);
    archive
}

fn start(bench: &Bench, line: &str) -> Child {
    bench.command(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap()
}

fn ends(child: Child, code: i32) {
    let start = Instant::now();
    let said = Said::from(child.wait_with_output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{said:?}");
    assert!(said.err.contains("interrupted: ") && said.err.contains("run the same command to go on"), "{}", said.err);
}

#[test]
fn signals_end_a_fetch_tidily_and_the_next_run_goes_on() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let bench = Bench::new();
        let archive = stalling(&bench);
        let line = "fetch items.json --asset k --to copy";
        let child = start(&bench, line);
        until("one file is done and the other half", || {
            let there = files(&bench.path("copy"));
            // A file is done when the journal says so; between its name and its line, a signal means to copy it again.
            let journal = std::fs::read_to_string(bench.path("copy/.outcrop-fetch.journal")).unwrap_or_default();
            journal.contains("good.nc") && there.iter().any(|name| name.ends_with(".part"))
        });
        signal(&child, name);
        ends(child, code);
        assert_tidy(&bench.path("copy"));
        assert!(!bench.path("copy/stalls/stalls.nc").exists());
        let said = bench.run(line);
        assert!(said.code == 0 && said.err.contains("copied 1 files"), "{said:?}");
        assert_eq!(std::fs::read(bench.path("copy/stalls/stalls.nc")).unwrap(), vec![2; 300_000]);
        assert_eq!(archive.requests("stalls.nc"), 2, "one each");
    }
}

#[test]
fn kill_nine_leaves_nothing_false_and_the_next_run_cleans_up() {
    let bench = Bench::new();
    let _archive = stalling(&bench);
    let line = "fetch items.json --asset k --to copy";
    let mut child = start(&bench, line);
    until("a part is there", || files(&bench.path("copy/stalls")).iter().any(|name| name.ends_with(".part")));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!bench.path("copy/stalls/stalls.nc").exists());
    let said = bench.run(line);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(std::fs::read(bench.path("copy/stalls/stalls.nc")).unwrap(), vec![2; 300_000]);
    assert_eq!(std::fs::read(bench.path("copy/good/good.nc")).unwrap(), vec![1; 300_000]);
    assert_tidy(&bench.path("copy"));
    assert!(bench.run(line).err.contains("copied 0 files"));
}

#[test]
fn a_large_file_is_gone_on_with_after_kill_nine() {
    const MIB: usize = 1 << 20;
    let (bench, archive) = (Bench::new(), Archive::start());
    let bytes: Vec<u8> = (0..40 * MIB).map(|i| u8::try_from((i / 999) % 256).unwrap()).collect();
    let drip = Fault::Drip { piece: MIB / 2, every: Duration::from_millis(20) };
    archive.put("large.nc", Object::new(bytes.clone()).with_fault(drip, Times::Always));
    bench.items("items.json", &[Bench::item("i", &[("k", &archive.url("large.nc"))])]);
    let line = "fetch items.json --asset k --to copy --quiet";
    let record = bench.path("copy/i/.large.nc.outcrop.record");
    let pieces = || std::fs::read_to_string(&record).map_or(0, |text| text.lines().count().saturating_sub(1));
    for name in ["-KILL", "-INT", "-TERM"] {
        let noted = pieces();
        let mut child = start(&bench, line);
        until("a piece is there", || pieces() > noted);
        signal(&child, name);
        child.wait().unwrap();
        assert!(!bench.path("copy/i/large.nc").exists() && pieces() > noted, "{name}");
    }
    let (noted, before) = (pieces(), archive.log().len());
    assert!(noted >= 3);
    assert_eq!(bench.run(line).code, 0);
    assert!(std::fs::read(bench.path("copy/i/large.nc")).unwrap() == bytes, "the copy differs");
    assert_tidy(&bench.path("copy"));
    // A request for the rest may be halved later, so that its own end is passed over.
    let log = archive.log();
    let mut starts: Vec<usize> = log[before..].iter().map(|request| request.range().unwrap().0).collect();
    starts.sort_unstable();
    assert!(starts[0] >= 8 * MIB, "what was noted is not asked for again: {starts:?}");
    assert!(bench.run("fetch items.json --asset k --to copy").err.contains("1 there already"));
}

#[test]
fn signals_end_a_run_that_reads_from_a_stalling_host() {
    let archive = Archive::start();
    let source = crate::bench::demo().join("archive/lakes/daymet_v4_daily_lakes_tmin_1980.nc");
    // The header comes, the chunks do not.
    let object = Object::new(std::fs::read(source).unwrap());
    let object = object.with_fault(Fault::Stall, Times::After(1)).with_fault(Fault::Cut(0), Times::After(1));
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        archive.put(&format!("{code}.nc"), object.clone());
        let bench = Bench::new();
        bench.items("items.json", &[Bench::spring("one", "lakes", &[("tmin", &archive.url(&format!("{code}.nc")))])]);
        let child = start(&bench, "run spring-index --items items.json --to s.zarr");
        until("it waits", || archive.requests(&format!("{code}.nc")) > 1);
        std::thread::sleep(Duration::from_millis(200));
        signal(&child, name);
        ends(child, code);
        assert!(!bench.path("s.zarr/1980").exists(), "{:?}", files(&bench.path("s.zarr")));
        assert_tidy(bench.folder.path());
        let staged = std::fs::read_dir(bench.path("s.zarr")).into_iter().flatten().count();
        assert_eq!(staged, 0, "no staging folder");
    }
}
