//! Fetching from an archive that misbehaves, to destinations that are not plain.

use std::os::unix::fs::symlink;

use outcrop_testkit::{Archive, Fault, Object, Times};
use serde_json::{Value, json};

use crate::bench::{Bench, assert_tidy, demo, files};

#[test]
fn what_fails_is_named_and_a_second_run_copies_only_that() {
    let (bench, archive) = (Bench::new(), Archive::start());
    archive.put("good.nc", Object::new(vec![1; 50_000]));
    archive.put("cut.nc", Object::new(vec![2; 50_000]).with_fault(Fault::Cut(20_000), Times::Always));
    archive.put("login.nc", Object::new("<!doctype html><p>log in").with_media("text/html"));
    archive.put("denied.nc", Object::new("").with_fault(Fault::Status(403), Times::Always));
    let names = ["good", "cut", "denied", "login", "none"];
    let item = |name: &str| {
        let href = archive.url(&format!("{name}.nc?sig=SECRET"));
        let key = if name == "none" { "other" } else { "k" };
        Bench::item(name, &[(key, &href)])
    };
    bench.items("items.json", &names.map(item));
    let line = "fetch items.json --asset k --to copy --retries 1";
    let said = bench.run(line);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    let failed: Vec<&str> = said.err.lines().filter(|line| line.starts_with("failed: ")).collect();
    let wants = [
        "the connection ended before the answer was complete",
        "HTTP status 403",
        "looks like an HTML page",
        "item `none` has no asset `k`; it has other",
    ];
    assert_eq!(failed.len(), wants.len(), "{}", said.err);
    for ((line, want), name) in failed.iter().zip(wants).zip(&names[1..]) {
        assert!(line.starts_with(&format!("failed: {name} k ")) && line.contains(want), "{line}");
    }
    assert!(said.err.contains("copied 1 files") && !said.err.contains("SECRET"), "{}", said.err);
    assert_tidy(&bench.path("copy"));
    assert_eq!(files(&bench.path("copy")).iter().filter(|name| name.ends_with(".nc")).count(), 1);
    archive.put("cut.nc", Object::new(vec![2; 50_000]));
    let said = bench.run(line);
    assert!(said.err.contains("copied 1 files (50.0 kB)") && said.err.contains("1 there already"), "{}", said.err);
    let gets = archive.requests("good.nc");
    bench.run(line);
    assert_eq!(archive.requests("good.nc"), gets, "what is there is not asked for again");
}

#[test]
fn another_source_of_the_same_name_and_size_is_fetched() {
    let (bench, archive) = (Bench::new(), Archive::start());
    for (path, byte) in [("v3/a.nc", 3), ("v4/a.nc", 4)] {
        archive.put(path, Object::new(vec![byte; 1000]));
        bench.items("items.json", &[Bench::item("i", &[("k", &archive.url(path))])]);
        let said = bench.run("fetch items.json --asset k --to copy");
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(std::fs::read(bench.path("copy/i/a.nc")).unwrap(), vec![byte; 1000]);
    }
    // Nor is a file of that size that somebody else put there.
    let foreign = bench.write("copy2/i/a.nc", vec![9; 1000]);
    assert_eq!(bench.run("fetch items.json --asset k --to copy2").code, 0);
    assert_eq!(std::fs::read(foreign).unwrap(), vec![4; 1000]);
}

#[test]
fn links_below_the_destination_are_refused_and_named() {
    let (bench, archive) = (Bench::new(), Archive::start());
    archive.put("a.nc", Object::new(vec![1; 1000]));
    bench.items("items.json", &[Bench::item("i", &[("k", &archive.url("a.nc"))])]);
    let outside = bench.write("outside/victim.nc", vec![7; 1000]);
    let line = "fetch items.json --asset k --to copy";
    let refused = |link: &str| {
        let said = bench.run(line);
        assert_eq!(said.code, 1, "{said:?}");
        let name = bench.path(link);
        assert!(said.err.contains(&format!("`{}` is a symbolic link", name.display())), "{}", said.err);
        assert_eq!(std::fs::read(&outside).unwrap(), vec![7; 1000]);
        assert_eq!(files(&bench.path("outside")), ["victim.nc"]);
        assert!(name.is_symlink());
        std::fs::remove_file(name).unwrap();
    };
    std::fs::create_dir_all(bench.path("copy/i")).unwrap();
    symlink(&outside, bench.path("copy/i/a.nc")).unwrap();
    refused("copy/i/a.nc");
    std::fs::remove_dir_all(bench.path("copy")).unwrap();
    std::fs::create_dir_all(bench.path("copy")).unwrap();
    symlink(bench.path("outside"), bench.path("copy/i")).unwrap();
    refused("copy/i");
    std::fs::create_dir_all(bench.path("copy/i")).unwrap();
    symlink(&outside, bench.path("copy/i/i.json")).unwrap();
    refused("copy/i/i.json");
    // The destination itself may be one.
    symlink(bench.path("copy"), bench.path("by-link")).unwrap();
    assert_eq!(bench.run("fetch items.json --asset k --to by-link").code, 0);
}

#[test]
fn two_runs_do_not_write_to_one_destination() {
    let (bench, archive) = (Bench::new(), Archive::start());
    archive.put(
        "a.nc",
        Object::new(vec![1; 1000]).with_fault(Fault::Stall, Times::Always).with_fault(Fault::Cut(10), Times::Always),
    );
    bench.items("items.json", &[Bench::item("i", &[("k", &archive.url("a.nc"))])]);
    let line = "fetch items.json --asset k --to copy";
    let mut first = bench.command(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap();
    crate::bench::until("the first one reads", || archive.requests("a.nc") > 0);
    let said = bench.run(line);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("another fetch is writing to"), "{}", said.err);
}

#[test]
fn the_doctor_tells_what_a_host_can_do() {
    let (bench, archive) = (Bench::new(), Archive::start());
    archive.put("good.nc", Object::new(vec![1; 100_000]));
    let weak = Object::new(vec![1; 100]).with_etag(Some("W/\"x\"")).with_fault(Fault::NoRanges, Times::Always);
    let md5 = Fault::Header("Digest", Some("adler32=00640001".into()));
    archive.put("weak.nc", weak.with_fault(md5, Times::Always));
    let said = bench.run(&format!("doctor {}", archive.url("good.nc?sig=SECRET")));
    assert_eq!(said.code, 0, "{said:?}");
    for line in
        ["ranges       yes", "ETag         strong", "digests      none", "size         100.0 kB", "credentials  none"]
    {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    assert!(!said.out.contains("SECRET"));
    let said = bench.run(&format!("doctor {}", archive.url("weak.nc")));
    for line in ["ranges       no", "ETag         weak", "digests      digest", "speed        too small"] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    let said = bench.run(&format!("doctor {} --json", archive.url("weak.nc")));
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&told["ranges"], &told["strong_etag"], &told["size"]), (&false.into(), &false.into(), &100.into()));
    assert_eq!(bench.run(&format!("doctor {}", archive.url("none.nc"))).code, 2);
}

#[test]
fn a_cut_of_the_demo_is_a_small_file_with_an_item_of_its_own() {
    let bench = Bench::new();
    let source = demo().join("archive/lakes/daymet_v4_daily_lakes_tmin_1980.nc");
    let mut item = Bench::item("lakes-1980", &[("tmin", source.to_str().unwrap())]);
    item["bbox"] = json!([-89, 40, -80, 47]);
    item["geometry"] =
        json!({"type": "Polygon", "coordinates": [[[-89, 40], [-80, 40], [-80, 47], [-89, 47], [-89, 40]]]});
    bench.items("items.json", &[item]);
    let box_and_months = "--bbox=-86,42,-83,44 --datetime 1980-01/1980-03";
    let line = format!("fetch items.json --asset tmin {box_and_months} --to part --cut");
    let said = bench.run(&format!("{line} --dry-run"));
    assert_eq!((said.code, said.out.contains("?  lakes-1980 tmin")), (0, true), "{said:?}");
    let said = bench.run(&line);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    let part = "part/lakes-1980/daymet_v4_daily_lakes_tmin_1980.nc";
    let info = bench.run(&format!("info {part} --json")).json();
    let tmin = info["variables"].as_array().unwrap().iter().find(|v| v["name"] == "tmin").unwrap();
    assert_eq!(tmin["shape"], json!([91, 50, 54]));
    let item: Value =
        serde_json::from_slice(&std::fs::read(bench.path("part/lakes-1980/lakes-1980.json")).unwrap()).unwrap();
    assert_eq!(item["assets"]["tmin"]["proj:shape"], json!([50, 54]));
    assert_eq!(item["properties"]["end_datetime"], "1980-04-01T00:00:00Z");
    assert!((item["bbox"][0].as_f64().unwrap() + 86.449_462).abs() < 1e-6, "{}", item["bbox"]);
    assert!(bench.run(&line).err.contains("1 there already"));
    assert_eq!(bench.run("fetch part --verify --json").json()["right"], 1);
    assert_eq!(bench.run("validate part").code, 0);
    // The cells are those of the window; one thread writes them in one order.
    let isel = "--isel x=37:91 --isel y=37:87 --isel time=0:91 --threads 1";
    assert_eq!(bench.run(&format!("convert {} --to want.nc {isel}", source.display())).code, 0);
    assert_eq!(bench.run(&format!("convert {part} --to got.nc --threads 1")).code, 0);
    assert!(std::fs::read(bench.path("got.nc")).unwrap() == std::fs::read(bench.path("want.nc")).unwrap());
    let said = bench.run("fetch items.json --asset tmin --to part --cut");
    said.could_not_run(&["--cut without anything to cut by", "--bbox, --datetime, --variable or --band"]);
    assert_eq!(bench.run("fetch items.json --asset tmin --to part --band 1").code, 2);
}
