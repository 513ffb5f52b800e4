//! `--help`: two examples or more each, which work.

use crate::bench::{Bench, demo};

fn examples(bench: &Bench, command: &str) -> Vec<String> {
    let said = bench.run(&format!("{command} --help"));
    let (_, examples) = said.out.split_once("Examples:\n").unwrap();
    let lines: Vec<String> = examples.lines().map(|line| line.trim().to_owned()).filter(|l| !l.is_empty()).collect();
    assert!(lines.len() >= 2, "{command}: {lines:?}");
    lines.iter().map(|line| line.strip_prefix("outcrop ").unwrap().to_owned()).collect()
}

/// The place where the examples work: the recipe, and `local` with a small pr-1980 in place of the real one.
fn place() -> Bench {
    let bench = Bench::new();
    let recipe = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/catalogs/daymet-daily-v4/recipe.toml")).unwrap();
    bench.write("catalogs/daymet-daily-v4/recipe.toml", recipe);
    for key in ["tmin", "tmax", "dayl"] {
        let from = demo().join(format!("archive/lakes/daymet_v4_daily_lakes_{key}_1980.nc"));
        let to = bench.path(&format!("archive/daymet_v4_daily_pr_{key}_1980.nc"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
    let recipe = "id = 'daymet'\ndescription = 'd'\nlayout = '${region}'\n[listing]\nhref = 'archive'\n\
        [item]\nid = '{region}-{year}'\ndatetime = '{year}-01-01T00:00:00Z'\nproperties = { region = '{region}' }\n\
        [assets.'{param}']\npattern = 'daymet_v4_daily_{region}_{param}_{year}.nc'\n";
    bench.write("small.toml", recipe);
    bench.write("smooth.toml", include_str!("../../examples/programs/smooth.toml"));
    for line in ["build small.toml --to small", "fetch small --asset tmin,tmax,dayl --to local"] {
        let said = bench.run(line);
        assert_eq!(said.code, 0, "{line}: {said:?}");
    }
    bench
}

#[test]
fn each_command_has_two_examples_that_work() {
    let bench = place();
    for command in ["build", "describe", "search", "validate", "info", "convert", "run", "run spring-index", "plot"] {
        for line in examples(&bench, command) {
            let said = bench.run(&line);
            assert_eq!(said.code, 0, "{line}: {said:?}");
        }
    }
    assert_eq!(bench.run("search daymet --count").out, "159\n");
    // These go to the internet, take long or do not end; that they parse is shown by other tests.
    let lines = examples(&bench, "fetch");
    let ending = |end: &str| lines.iter().find(|line| line.ends_with(end)).unwrap();
    let (copy, dry) = (ending("--to local"), ending("--dry-run"));
    let said = bench.run(&copy.replace("daymet", "small").replace("--to local", "--to copy"));
    assert_eq!(said.code, 0, "{said:?}");
    let said = bench.run(&dry.replace("daymet", "small"));
    assert_eq!((said.code, said.err.contains("would copy 0 files")), (0, true), "{said:?}");
    let cut = ending("--cut").replace("daymet", "small");
    let said = bench.run(&cut);
    assert_eq!((said.code, said.err.contains("copied 0 files")), (0, true), "{said:?}");
    // Their files are not there; other tests run them.
    for command in ["run das", "run heat-index", "run program"] {
        examples(&bench, command);
    }
    examples(&bench, "serve");
    examples(&bench, "demo");
}

#[test]
fn json_is_one_line_on_stdout_and_nothing_else() {
    let bench = place();
    let lines = [
        ("build catalogs/daymet-daily-v4/recipe.toml --to daymet", "documents"),
        ("describe small", "items"),
        ("search small", "features"),
        ("search small --count", "items"),
        ("search small -o found.json", "output"),
        ("fetch small --asset tmin --to other", "copied"),
        ("info archive/daymet_v4_daily_pr_tmin_1980.nc", "variables"),
        ("info local#pr-1980", "items"),
        ("run spring-index --items local --to s.zarr --coarsen 4", "items"),
        ("run spring-index --items local --to s.zarr --plan", "pipeline"),
        ("info s.zarr", "variables"),
        ("plot s.zarr/1980 --var first-leaf-doy --isel plant=0 -o p.png", "output"),
    ];
    for (line, key) in lines {
        let said = bench.run(&format!("{line} --json"));
        assert_eq!(said.code, 0, "{line}: {said:?}");
        assert!(said.json().get(key).is_some(), "{line}: {}", said.out);
        assert_eq!(said.err, "", "{line}");
    }
}
