//! Recipes, catalogs and lists of items: wrong ones are named, with the next step.

use std::process::Stdio;

use serde_json::json;

use crate::bench::{Bench, files};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogs/daymet-daily-v4/recipe.toml");

fn with_daymet() -> Bench {
    let bench = Bench::new();
    assert_eq!(bench.run_words(&["build", RECIPE, "--to", "daymet"]).code, 0);
    bench
}

#[test]
fn a_wrong_recipe_is_named_with_line_and_key() {
    let bench = Bench::new();
    let recipe = std::fs::read_to_string(RECIPE).unwrap();
    let line_of = |text: &str, part: &str| {
        let line = text.lines().position(|line| line.contains(part)).unwrap() + 1;
        format!("line {line}, ")
    };
    let cases = [
        ("id = 'x'\nfoo = [\n".to_owned(), vec!["line ".to_owned(), "unclosed array".to_owned()]),
        (
            "id = 'x'\ndescription = 'd'\nfoo = 1\n".to_owned(),
            vec!["line 3, `foo`".to_owned(), "unknown field".to_owned()],
        ),
        (recipe.replace("{year}", "{yeer}"), vec!["`yeer` has no values".to_owned(), line_of(&recipe, "{year}.nc")]),
    ];
    for (text, words) in cases {
        let path = bench.write("r.toml", text);
        let words: Vec<&str> = words.iter().map(String::as_str).chain([path.to_str().unwrap()]).collect();
        bench.run("build r.toml --to out").could_not_run(&words);
        assert_eq!(files(&bench.path("out")), Vec::<String>::new());
    }
    bench.run("build nowhere.toml").could_not_run(&["nowhere.toml` does not exist", "check the spelling"]);
}

#[test]
fn a_source_that_is_not_there_could_not_run() {
    let bench = Bench::new();
    let lines = [
        "describe nowhere",
        "search nowhere",
        "fetch nowhere --asset a --to copy",
        "run spring-index --items nowhere --to s.zarr",
        "info nowhere.nc",
        "plot nowhere.nc -o p.png",
    ];
    for line in lines {
        bench.run(line).could_not_run(&["nowhere", "does not exist"]);
    }
    bench.run("describe http://127.0.0.1:9/c.json --retries 0").could_not_run(&["127.0.0.1:9", "Connection refused"]);
    bench.run("info http://no.such.host.invalid/a.nc?sig=SECRET --retries 0").could_not_run(&["no.such.host.invalid"]);
    assert!(!bench.run("info http://no.such.host.invalid/a.nc?sig=SECRET --retries 0").err.contains("SECRET"));
    bench.run("serve nowhere").could_not_run(&["`nowhere` is not a folder"]);
}

#[test]
fn selections_are_checked_and_unknown_ids_named() {
    let bench = with_daymet();
    assert_eq!(
        bench.run("search daymet --count --bbox=170,50,-170,60").out,
        "43\n",
        "across the antimeridian: na only"
    );
    assert_eq!(bench.run("search daymet --count --bbox=170,50,175,60").out, "0\n");
    bench.run("search daymet --bbox=1,2,3").could_not_run(&["--bbox", "it needs 4 or 6 numbers", "--bbox=-68,16"]);
    bench.run("search daymet --datetime 19x0").could_not_run(&["--datetime", "`19x0`"]);
    bench.run("search daymet --ids zz").could_not_run(&["no item has the id `zz`"]);
    bench.run("fetch daymet --asset tmin --ids zz --to c").could_not_run(&["no item has the id `zz`"]);
    bench.run("fetch daymet --asset tmin --to c --ids na-1980 --in-place").could_not_run(&["--in-place"]);
    let said = bench.run("search daymet --count --ids na-1980,zz");
    assert_eq!((said.code, said.out.as_str()), (1, "1\n"));
    assert!(said.err.contains("no item has the id `zz`"), "{}", said.err);
    let said = bench.run("search daymet --format ids --ids na-1980,hi-1980 -o ids.txt");
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", "2 items\n"));
    assert_eq!(std::fs::read_to_string(bench.path("ids.txt")).unwrap(), "hi-1980\nna-1980\n", "by id");
}

#[test]
fn one_bad_document_of_a_list_does_not_stop_the_rest() {
    let bench = Bench::new();
    bench.write("a.nc", "a");
    let (bad, good) = (json!({"type": "Feature", "id": 5}), Bench::item("good", &[("k", "a.nc")]));
    for (name, list) in [("first.json", [bad.clone(), good.clone()]), ("last.json", [good, bad])] {
        bench.items(name, &list);
        let said = bench.run(&format!("search {name} --format ids"));
        assert_eq!((said.code, said.out.as_str()), (1, "good\n"), "{said:?}");
        assert!(said.err.contains(name) && said.err.contains("it has no `id`"), "{}", said.err);
        let said = bench.run(&format!("fetch {name} --asset k --to copy-{name}"));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(&format!("failed: {name}: ")) && said.err.contains("copied 1 files"), "{}", said.err);
    }
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_one_is_not() {
    let bench = with_daymet();
    for line in ["search daymet", "search daymet --json", "describe daymet --json"] {
        let mut child = bench.command(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !err.contains("panicked") && !err.contains("error"), "{line}: {err}");
        let full = std::fs::File::create("/dev/full").unwrap();
        let mut command = bench.command(&line.split(' ').collect::<Vec<_>>());
        let output = command.stdout(Stdio::from(full)).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {err}");
        assert!(err.contains("cannot write to stdout") && err.contains("No space left"), "{line}: {err}");
    }
}
