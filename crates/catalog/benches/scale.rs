//! Costs of a catalog at 10³, 10⁴, 10⁵ and (`-- 1000000`) 10⁶ items: CPU seconds of the process, peak memory, and the slope from
//! size to size (1 is linear).
//!
//! `cargo bench --workspace --bench scale -- [MOST] [FOLDER]`. Items have three assets, lie flat in 250 sub-catalogs and come from
//! templates, so that no request is sent. FOLDER is where they are written (default the folder of temporary files).
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures: it prints, and stops on errors"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::StreamExt;
use outcrop_catalog::{BuildOptions, IndexOptions, Recipe, Renewal, SearchOptions, Source, build, index, search_raw};
use outcrop_store::{Href, Store, StoreOptions};

const STEPS: [&str; 7] = [
    "build",
    "update without a change",
    "walk",
    "index",
    "search by the index",
    "read a line each",
    "append 1,000 to the index",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let most: usize = arguments.first().map_or(100_000, |text| text.parse().unwrap());
    let place = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let mut before: Option<(usize, Vec<f64>)> = None;
    let sizes = std::iter::successors(Some(1000), |size| Some(size * 10)).take_while(|size| *size <= most);
    println!("{:<28} {:>9} {:>9} {:>9} {:>9} {:>7}", "", "items", "CPU s", "wall s", "peak MB", "slope");
    for size in sizes {
        let folder = tempfile::tempdir_in(&place).unwrap();
        let costs = costs(size, folder.path());
        for (at, (step, [cpu, wall, peak])) in STEPS.iter().zip(&costs).enumerate() {
            let slope = before.as_ref().map_or_else(String::new, |(fewer, known)| {
                let ratio = (cpu / known[at].max(0.01)).ln() / (size as f64 / *fewer as f64).ln();
                format!("{ratio:.2}")
            });
            println!("{step:<28} {size:>9} {cpu:>9.2} {wall:>9.2} {peak:>9.0} {slope:>7}");
        }
        before = Some((size, costs.iter().map(|[cpu, ..]| *cpu).collect()));
    }
}

fn recipe(size: usize) -> Recipe {
    let text = format!(
        "id = 'many'\ndescription = 'd'\nlayout = '${{g}}'\nflat = true\n[variables]\ng = {{ from = 1, to = 250 }}\n\
         n = {{ from = 1, to = {} }}\nk = ['a', 'b', 'c']\n[item]\nid = 'i-{{g}}-{{n}}'\n\
         datetime = '2000-01-01T00:00:00Z'\nbbox = {{ by = 'g', values = {{ {} }} }}\nproperties = {{ g = '{{g}}' }}\n\
         [assets.'{{k}}']\nhref = 'https://example.com/archive/{{g}}/{{n}}/{{k}}.tif'\nroles = ['data']\ntype = 'image/tiff'\n",
        size / 250,
        (1..=250).fold(String::new(), |mut all, g| {
            let (west, south) = (f64::from(g % 25) * 14.0 - 175.0, f64::from(g / 25) * 15.0 - 80.0);
            write!(all, "{}{g} = [{west}, {south}, {}, {}]", if g == 1 { "" } else { ", " }, west + 1.5, south + 1.5)
                .unwrap();
            all
        })
    );
    Recipe::parse("many.toml", &text).unwrap()
}

/// CPU seconds, wall seconds and peak memory in MB of each step.
fn costs(size: usize, folder: &Path) -> Vec<[f64; 3]> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let (recipe, to) = (recipe(size), Href::from_path(&folder.join("many")));
    let (table, lines) = (folder.join("items.parquet"), folder.join("items.ndjson"));
    let source = |path: &Path| Source::parse(path.to_str().unwrap()).unwrap();
    let of_catalog = Source { href: to.clone(), id: None };
    let made = |renewal| {
        let options = BuildOptions { renewal, ..BuildOptions::default() };
        store.wait(build(&store, &recipe, &to, &options)).unwrap();
    };
    let read = |source: &Source, options: &SearchOptions| {
        store.wait(search_raw(&store, source, options).for_each(|found| {
            found.unwrap();
            std::future::ready(())
        }));
    };
    let all = SearchOptions::default();
    let part = SearchOptions { bbox: Some("-10,40,30,60".parse().unwrap()), ..SearchOptions::default() };
    let mut costs = Vec::new();
    costs.push(measured(|| made(Renewal::All)));
    costs.push(measured(|| made(Renewal::Changed)));
    costs.push(measured(|| read(&of_catalog, &all)));
    let options = IndexOptions { items: all.clone(), update: false };
    costs.push(measured(|| drop(store.wait(index(&store, &of_catalog, &options, &table)).unwrap())));
    costs.push(measured(|| read(&source(&table), &part)));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&lines).unwrap());
    let mut items = std::pin::pin!(search_raw(&store, &source(&table), &all));
    while let Some(found) = store.wait(items.next()) {
        file.write_all(found.unwrap().item.bytes()).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.flush().unwrap();
    costs.push(measured(|| read(&source(&lines), &all)));
    let few = SearchOptions { max_items: Some(1000), ..SearchOptions::default() };
    let options = IndexOptions { items: few, update: true };
    costs.push(measured(|| drop(store.wait(index(&store, &source(&lines), &options, &table)).unwrap())));
    costs
}

fn measured(work: impl FnOnce()) -> [f64; 3] {
    // The peak begins anew (Linux); where it does not, it is that of all steps so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (start, before) = (Instant::now(), cpu());
    work();
    [cpu() - before, start.elapsed().as_secs_f64(), peak()]
}

/// User and system time of this process; the kernel counts hundredths of a second.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1000.0
}
