//! A catalog that is saved over an older one while the process is killed: at every moment it is whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outcrop_testkit::Random;
use serde_json::Value;

use crate::bench::{Bench, assert_tidy};

/// How large and how often.
struct Scale {
    parts: usize,
    each: usize,
    kills: usize,
}

impl Scale {
    fn now() -> Self {
        if std::env::var("OUTCROP_TORTURE").is_ok_and(|how| how == "long") {
            Self { parts: 20, each: 500, kills: 50 }
        } else {
            Self { parts: 20, each: 100, kills: 6 }
        }
    }

    fn items(&self) -> usize {
        self.parts * self.each
    }

    /// A source catalog whose items say which version they are of.
    fn source(&self, bench: &Bench, version: usize) {
        let recipe = format!(
            "id = 's'\ndescription = 'version {version}'\nlayout = '${{part}}'\n[variables]\n\
            part = {{ from = 1, to = {} }}\nn = {{ from = 1, to = {} }}\n[item]\nid = '{{part}}-{{n}}'\n\
            datetime = '2000-01-01T00:00:00Z'\nproperties = {{ part = 'p{{part}}', version = {version} }}\n\
            [assets.a]\nhref = '{}'\n",
            self.parts,
            self.each,
            bench.path("a.nc").display()
        );
        bench.write(&format!("{version}.toml"), recipe);
        let said = bench.run(&format!("build {version}.toml --to source{version}"));
        assert_eq!(said.code, 0, "{said:?}");
    }
}

fn json_of(path: &Path) -> Value {
    let bytes = std::fs::read(path);
    assert!(bytes.is_ok(), "{}: {bytes:?}", path.display());
    let body = serde_json::from_slice(&bytes.unwrap());
    assert!(body.is_ok(), "{}: {body:?}", path.display());
    body.unwrap()
}

/// The versions of all documents that a root leads to, and how many items; each must be there and parse.
fn walked(root: &Path) -> (BTreeSet<String>, usize) {
    let (mut versions, mut items, mut todo) = (BTreeSet::new(), 0, vec![root.to_owned()]);
    while let Some(path) = todo.pop() {
        let body = json_of(&path);
        let folder = path.parent().unwrap();
        if body["type"] == "Feature" {
            items += 1;
            versions.insert(body["properties"]["version"].to_string());
            let copy = body["assets"]["a"]["href"].as_str().unwrap();
            assert!(folder.join(copy).is_file(), "{} names {copy}", path.display());
        }
        let links = body["links"].as_array().unwrap().iter();
        let of_rel = |link: &&Value| matches!(link["rel"].as_str(), Some("child" | "item" | "parent" | "root"));
        for link in links.filter(of_rel) {
            let to: PathBuf = folder.join(link["href"].as_str().unwrap());
            if matches!(link["rel"].as_str(), Some("child" | "item")) {
                todo.push(to);
            } else {
                assert!(to.is_file(), "{} leads to {}", path.display(), to.display());
            }
        }
    }
    (versions, items)
}

#[test]
fn a_catalog_is_whole_at_every_moment_of_its_saving() {
    let scale = Scale::now();
    let bench = Bench::new();
    bench.write("a.nc", vec![1; 100]);
    for version in [1, 2] {
        scale.source(&bench, version);
    }
    let line = |version: usize| format!("fetch source{version} --asset a --to copy --quiet");
    assert_eq!(bench.run(&line(1)).code, 0);
    let root = bench.path("copy/catalog.json");
    assert_eq!(walked(&root), (BTreeSet::from(["1".to_owned()]), scale.items()));
    let start = Instant::now();
    assert_eq!(bench.run(&line(2)).code, 0);
    let whole = start.elapsed();
    let mut random = Random::new(24);
    let (mut killed, mut mixed, mut looks) = (0, 0, 0);
    for kill in 0..scale.kills {
        let mut child = bench.command(&line(1 + kill % 2).split(' ').collect::<Vec<_>>()).spawn().unwrap();
        let share = 100 + random.below(900);
        let until = Instant::now() + whole * u32::try_from(share).unwrap() / 1000;
        // Whoever reads meanwhile finds it whole too.
        while Instant::now() + Duration::from_millis(100) < until {
            assert_eq!(walked(&root).1, scale.items());
            looks += 1;
        }
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        let (versions, items) = walked(&root);
        assert_eq!(items, scale.items(), "kill {kill} at {share} of 1000");
        mixed += usize::from(versions.len() > 1);
    }
    assert_eq!(bench.run(&line(2)).code, 0);
    assert_eq!(walked(&root), (BTreeSet::from(["2".to_owned()]), scale.items()));
    assert_eq!(json_of(&root)["description"], "version 2");
    assert_tidy(&bench.path("copy"));
    eprintln!(
        "| killed while a catalog of {} items is saved | {} kills, {killed} in time, {mixed} between two versions | {looks} looks meanwhile, 0 torn |",
        scale.items(),
        scale.kills
    );
    assert!(2 * killed >= scale.kills, "{killed} of {} were in time", scale.kills);
}
