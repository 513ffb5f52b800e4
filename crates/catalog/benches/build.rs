//! Cost per item and peak memory of building and walking a catalog, at three sizes.
//!
//! `cargo bench -p outcrop-catalog --bench build`. Items come from a template, so no request is sent.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures: it prints, and stops on errors"
)]

use std::time::Instant;

use outcrop_catalog::{BuildOptions, Recipe, build, describe};
use outcrop_store::{Href, Store, StoreOptions};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    for count in [1_000, 10_000, 100_000] {
        let text = format!(
            "id = 'many'\ndescription = 'd'\nlayout = '${{part}}'\n[variables]\npart = {{ from = 1, to = 10 }}\n\
             n = {{ from = 1, to = {} }}\nk = ['a', 'b', 'c', 'd', 'e', 'f', 'g']\n[item]\nid = '{{part}}-{{n}}'\n\
             datetime = '2000-01-01T00:00:00Z'\nbbox = [0, 0, 1, 1]\nproperties = {{ part = '{{part}}' }}\n\
             [assets.'{{k}}']\nhref = 'https://example.com/archive/{{part}}/{{n}}/{{k}}.nc'\n",
            count / 10
        );
        let recipe = Recipe::parse("many.toml", &text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let to = Href::from_path(folder.path());
        let report = store.wait(build(&store, &recipe, &to, &BuildOptions::default())).unwrap();
        let start = Instant::now();
        store.wait(describe(&store, &to)).unwrap();
        let (built, walked, peak) = (report.seconds, start.elapsed().as_secs_f64(), peak());
        println!("{} items: built in {built:.2} s, described in {walked:.2} s, {peak}", report.items);
    }
}

/// Peak memory of this process so far.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("peak memory unknown").to_owned()
}
