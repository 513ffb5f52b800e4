//! Data files: truncated, foreign, misaligned ones, and parameters that do not fit.

use crate::bench::{Bench, demo, files};

fn spring(bench: &Bench, items: &str, options: &str) -> crate::bench::Said {
    bench.run(format!("run spring-index --items {items} --to s.zarr {options}").trim())
}

#[test]
fn truncated_and_foreign_files_are_named() {
    let bench = Bench::new();
    let real = std::fs::read(demo().join("archive/lakes/daymet_v4_daily_lakes_tmin_1980.nc")).unwrap();
    let random: Vec<u8> = (0..5000u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let cases: [(&str, &[u8], &str); 7] = [
        ("short.nc", &real[..3000], "the file is truncated"),
        ("half.nc", &real[..real.len() / 2], "the file is truncated"),
        ("page.nc", b"<html>log in</html>", "HTML page"),
        ("image.tif", b"II*\0aaaaaaaaaaaaaaaaaaaa", "truncated"),
        ("packed.nc", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], "gzip"),
        ("empty.nc", b"", "empty file"),
        ("random.nc", &random, "not a NetCDF, HDF5, TIFF or miniSEED file"),
    ];
    for (name, bytes, want) in cases {
        let path = bench.write(name, bytes);
        let path = path.to_str().unwrap();
        bench.run(&format!("info {name}")).could_not_run(&[path, want]);
        bench.run(&format!("plot {name} -o p.png")).could_not_run(&[path, want]);
        bench.items("items.json", &[Bench::spring("one", "lakes", &[("tmax", path)])]);
        spring(&bench, "items.json", "").could_not_run(&[path, want]);
    }
    bench.run("info .").could_not_run(&["Zarr"]);
    assert!(!bench.path("p.png").exists() && !bench.path("s.zarr").exists());
}

#[test]
fn one_bad_item_of_a_run_is_named_and_the_rest_is_computed() {
    let bench = Bench::new();
    let page = bench.write("page.nc", "<html>").to_str().unwrap().to_owned();
    let [bad, good] = [Bench::spring("bad", "lakes", &[("tmax", &page)]), Bench::spring("good", "rockies", &[])];
    bench.items("mix.json", &[bad, serde_json::json!({"id": 5}), good]);
    let said = spring(&bench, "mix.json", "--coarsen 4 --json");
    assert_eq!(said.code, 1, "{said:?}");
    let summary = said.json();
    assert_eq!(summary["failed"], serde_json::json!(["mix.json", "bad"]));
    assert_eq!((&summary["items"][0]["item"], summary["items"].as_array().unwrap().len()), (&"good".into(), 1));
    assert!(said.err.contains("failed: bad: cannot open `") && said.err.contains("HTML page"), "{}", said.err);
    assert!(files(&bench.path("s.zarr")).iter().all(|name| !name.contains("bad")));
}

#[test]
fn parameters_that_do_not_fit_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    bench.items("one.json", &[Bench::spring("one", "lakes", &[])]);
    let other = demo().join("archive/rockies/daymet_v4_daily_rockies_tmin_1980.nc");
    bench.items("mis.json", &[Bench::spring("mis", "lakes", &[("tmin", other.to_str().unwrap())])]);
    let refused = |items: &str, options: &str, words: &[&str]| {
        let said = spring(&bench, items, options);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{options}: {said:?}");
        assert_eq!(said.err.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", said.err);
        for word in words {
            assert!(said.err.contains(word), "`{word}` is not in: {}", said.err);
        }
    };
    refused("one.json", "--coarsen 0", &["--coarsen <N>", "0 is not in 1.."]);
    refused("one.json", "--coarsen 9999", &["9999 does not fit `y` of length 100"]);
    refused("one.json", "--end-day 366", &["366", "`tmin` has 365 days"]);
    refused("one.json", "--start-day 0", &["--start-day <DAY>"]);
    refused("one.json", "--start-day 200 --end-day 100", &["--end-day 100 is before --start-day 200"]);
    refused("one.json", "--plants oak", &["`oak`", "lilac, arnold-red and zabelli"]);
    refused("one.json", "--memory 1MB", &["1.0 MB is allowed", "--memory"]);
    refused("one.json", "--memory lots", &["`lots` is not a size", "hint: write it like 500MB"]);
    refused("mis.json", "", &["`tmin` and `tmax` do not lie on the same cells"]);
    assert!(!bench.path("s.zarr").exists());
    let plan = spring(&bench, "one.json", "--plan");
    assert_eq!((plan.code, &plan.json()["pipeline"]), (0, &"spring-index".into()));
    assert!(!bench.path("s.zarr").exists(), "a plan writes nothing");
}

#[test]
fn plots_say_what_is_missing() {
    let bench = Bench::new();
    let file = demo().join("archive/lakes/daymet_v4_daily_lakes_tmin_1980.nc");
    let plot = |options: &str| {
        let said = bench.run(&format!("plot {} {options}", file.display()));
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{options}: {said:?}");
        assert!(!said.err.contains("panicked") && said.err.starts_with("error: "), "{}", said.err);
        said.err
    };
    assert!(plot("--var zz -o p.png").contains("there is no variable `zz`"));
    assert!(plot("--var tmin -o p.png").contains("--isel time=N"));
    assert!(plot("--var tmin --isel time=9999 -o p.png").contains("9999"));
    assert!(plot("--var tmin --isel zz=0 -o p.png").contains("`zz`"));
    assert!(plot("--var tmin --isel time -o p.png").contains("hint: write it like `--isel time=0`"));
    let err = plot("--var tmin --isel time=0 -o /proc/none/p.png");
    assert!(err.contains("/proc/none"), "{err}");
    assert!(!bench.path("p.png").exists());
}
