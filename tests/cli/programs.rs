//! `outcrop run program`: steps in a file.

use std::time::Duration;

use crate::bench::{Bench, contents};

const ANOMALY: &str = r#"
[[step]]
name = "x"
op = "random"
shape = { t = 40, y = 400, x = 500 }
chunks = { t = 1 }

[[step]]
name = "mean"
op = "rolling"
dim = "x"
window = 5

[[output]]
of = "mean"
to = "mean.zarr"
chunks = { t = 1, y = 100, x = 500 }
"#;

#[test]
fn a_small_graph_runs_once_and_is_drawn() {
    let bench = Bench::new();
    bench.write("d.toml", include_str!("../../examples/programs/delayed.toml"));
    let said = bench.run("run program d.toml --graph d.dot --threads 2");
    assert_eq!((said.code, said.out.as_str()), (0, "c = 9\n"), "{said:?}");
    let dot = std::fs::read_to_string(bench.path("d.dot")).unwrap();
    let edges: Vec<&str> = dot.lines().filter(|line| line.contains("->")).map(str::trim).collect();
    assert_eq!(edges, ["n0 -> n1;", "n0 -> n2;", "n1 -> n2;"]);
    assert_eq!(bench.run("run program d.toml --graph d.svg --plan").code, 0);
    let svg = std::fs::read_to_string(bench.path("d.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<rect x=").count() == 3 && svg.matches("marker-end").count() == 3);
}

#[test]
fn a_program_that_is_killed_goes_on_to_the_same_bytes() {
    let (whole, broken) = (Bench::new(), Bench::new());
    whole.write("p.toml", ANOMALY);
    broken.write("p.toml", ANOMALY);
    assert_eq!(whole.run("run program p.toml").code, 0);
    let want = contents(&whole.path("mean.zarr"));
    assert!(want.keys().all(|name| !name.contains("journal")) && want.len() > 160, "{:?}", want.keys());
    let mut killed = 0;
    for wait in (10..).step_by(15).take(20) {
        let mut child = broken.command(&["run", "program", "p.toml", "--threads", "1"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        // One that was faster has ended by itself.
        let _ = child.kill();
        killed += u32::from(child.wait().unwrap().code().is_none());
        if broken.path("mean.zarr").exists() {
            break;
        }
    }
    assert!(killed > 0);
    // Of another version of the program, which nobody will go on with.
    std::fs::create_dir_all(broken.path(".mean.zarr.0123456789abcdef.resume/x")).unwrap();
    let said = broken.run("run p.toml --json");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(contents(&broken.path("mean.zarr")) == want, "{:?}", contents(&broken.path("mean.zarr")).keys());
    let left: Vec<_> = std::fs::read_dir(broken.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_file_that_is_made_of_arrays_appears_whole_after_kills() {
    for name in ["mean.tif", "mean.nc"] {
        let (whole, broken) = (Bench::new(), Bench::new());
        let program = ANOMALY.replace("mean.zarr", name).replace("chunks = { t = 1, y = 100, x = 500 }", "");
        whole.write("p.toml", &program);
        broken.write("p.toml", &program);
        assert_eq!(whole.run("run program p.toml --threads 1").code, 0);
        let want = std::fs::read(whole.path(name)).unwrap();
        for wait in [10, 60, 150, 300, 500] {
            let mut child = broken.command(&["run", "program", "p.toml", "--threads", "1"]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            let _ = child.kill();
            let killed = child.wait().unwrap().code().is_none();
            assert!(killed || broken.path(name).exists());
            let is_whole = std::fs::read(broken.path(name)).map(|bytes| bytes == want);
            assert!(is_whole.unwrap_or(true), "{name} is torn");
        }
        let said = broken.run("run program p.toml --threads 1");
        assert_eq!(said.code, 0, "{said:?}");
        assert!(std::fs::read(broken.path(name)).unwrap() == want, "{name} has other bytes");
        let left = std::fs::read_dir(broken.path("")).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(left.count(), 2);
    }
}

#[test]
fn parts_write_one_store_together() {
    let (whole, parted) = (Bench::new(), Bench::new());
    whole.write("p.toml", ANOMALY);
    parted.write("p.toml", ANOMALY);
    assert_eq!(whole.run("run program p.toml").code, 0);
    // What a part is does not depend on the memory and threads that it has.
    for (part, limits) in [("2/3", "--threads 1 --memory 20MB"), ("1/3", "--threads 3 --memory 300MB")] {
        let said = parted.run(&format!("run program p.toml --partition {part} {limits}"));
        assert!(said.code == 0 && said.err.contains("other parts are to come"), "{said:?}");
        assert!(!parted.path("mean.zarr").exists());
    }
    assert_eq!(parted.run("run program p.toml --partition 3/3 --memory 9MB").code, 0);
    assert_eq!(contents(&parted.path("mean.zarr")), contents(&whole.path("mean.zarr")));
    parted.run("run program p.toml --partition 4/3").could_not_run(&["4/3"]);
}

#[test]
fn what_is_wrong_in_a_program_is_named() {
    let bench = Bench::new();
    let step = |text: &str| {
        format!("[[step]]\nname = \"x\"\nop = \"random\"\nshape = {{ y = 4, x = 5 }}\n[[step]]\nname = \"z\"\n{text}\n")
    };
    for (text, words) in [
        ("op = \"meen\"", vec!["step `z`", "meen"]),
        ("op = \"mean\"\ndim = \"time\"", vec!["time"]),
        ("op = \"add\"\nof = [\"x\", \"w\"]", vec!["step `z`", "`w`"]),
        ("op = \"mean\"\nskipnan = true", vec!["step `z`", "skipnan"]),
        ("op = \"isel\"\nat = { x = [2, 9] }", vec!["`x`", "5"]),
        ("op = \"add\"\nof = \"x\"", vec!["step `z`", "takes 2"]),
    ] {
        bench.write("p.toml", step(text));
        let said = bench.run("run program p.toml");
        assert_eq!(said.code, 2, "{text}: {said:?}");
        for word in words {
            assert!(said.err.contains(word), "{text}: {}", said.err);
        }
    }
    // What is said and would do nothing.
    bench.write("p.toml", step("op = \"mean\""));
    bench.run("run program p.toml --datetime 2020").could_not_run(&["--items"]);
    bench.items("items.json", &[Bench::item("i", &[("k", "a.nc")])]);
    bench.run("run program p.toml --items items.json").could_not_run(&["items are given"]);
    bench.write("p.toml", "[[step]\n");
    bench.run("run program p.toml").could_not_run(&["line 1"]);
    bench.run("run program none.toml").could_not_run(&["none.toml"]);
    bench.write("p.toml", ANOMALY);
    let said = bench.run("run program p.toml --memory 100kB");
    assert!(said.code == 2 && said.err.contains("--memory"), "{said:?}");
}

#[test]
fn results_are_printed_written_as_tables_and_drawn() {
    let bench = Bench::new();
    bench.write(
        "p.toml",
        "[[step]]\nname = \"x\"\nop = \"random\"\nshape = { y = 3, x = 4 }\n[[step]]\nname = \"n\"\nop = \"count\"\ndim = \"x\"\n\
         [[output]]\nof = \"n\"\n[[output]]\nof = \"n\"\nto = \"n.csv\"\n[[output]]\nof = \"x\"\nto = \"x.png\"\n",
    );
    let said = bench.run("run program p.toml");
    assert_eq!((said.code, said.out.as_str()), (0, "n = [4,4,4]\n"), "{said:?}");
    assert_eq!(std::fs::read_to_string(bench.path("n.csv")).unwrap(), "y,n\n0,4\n1,4\n2,4\n");
    assert_eq!(&std::fs::read(bench.path("x.png")).unwrap()[..4], b"\x89PNG");
    let said = bench.run("run program p.toml --catalog results");
    assert!(said.code == 0 && said.err.contains("registered 2 items"), "{said:?}");
    assert_eq!(bench.run("validate results/catalog.json").code, 0);
}
