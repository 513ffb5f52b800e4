//! What a catalog costs beside its own files: built, and the same bytes written bare to as many files in as many folders; and
//! items that are in memory saved as a catalog.
//!
//! `cargo bench --workspace --bench files -- [ITEMS] [FOLDER]`. Items have three assets, in 400 sub-catalogs, and come from templates.
//! FOLDER is where they are written (default the folder of temporary files). Each figure is of writing and flushing it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures: it prints, and stops on errors"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use outcrop_catalog::{BuildOptions, Recipe, build};
use outcrop_stac::{Layout, RawItem, TreeWriter, WriteOptions};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Value, json};

/// Items that are saved.
const SAVED: usize = 8000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let items: usize = arguments.first().map_or(100_000, |text| text.parse().unwrap());
    let place = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{:<44} {:>9} {:>9} {:>9}", "", "items", "CPU s", "wall s");
    for (name, flat) in [("flat", "true"), ("a folder for each item", "false")] {
        let folder = tempfile::tempdir_in(&place).unwrap();
        let (built, bare) = (folder.path().join("built"), folder.path().join("bare"));
        let recipe = recipe(items, flat);
        say(&format!("built, {name}"), items, measured(|| made(&recipe, &built)));
        let files: Vec<(PathBuf, Vec<u8>)> = files(&built)
            .into_iter()
            .map(|path| (bare.join(path.strip_prefix(&built).unwrap()), std::fs::read(&path).unwrap()))
            .collect();
        std::fs::remove_dir_all(&built).unwrap();
        flush(&place);
        say(&format!("bare, {name}: {} files", files.len()), items, measured(|| write_bare(&files, &place)));
    }
    let folder = tempfile::tempdir_in(&place).unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    made(&recipe(SAVED, "true"), &from);
    let items: Vec<RawItem> = files(&from).into_iter().filter_map(|path| item(&path)).collect();
    assert_eq!(items.len(), SAVED);
    say("saved", SAVED, measured(|| save(&items, &to)));
}

fn say(what: &str, items: usize, [cpu, wall]: [f64; 2]) {
    println!("{what:<44} {items:>9} {cpu:>9.2} {wall:>9.2}");
}

fn recipe(items: usize, flat: &str) -> Recipe {
    let text = format!(
        "id = 'many'\ndescription = 'd'\nlayout = '${{g}}'\nflat = {flat}\n[variables]\ng = {{ from = 1, to = 400 }}\n\
         n = {{ from = 1, to = {} }}\nk = ['a', 'b', 'c']\n[item]\nid = 'i-{{g}}-{{n}}'\n\
         datetime = '2000-01-01T00:00:00Z'\nbbox = [1, 2, 3, 4]\nproperties = {{ g = '{{g}}' }}\n\
         [assets.'{{k}}']\nhref = 'https://example.com/archive/{{g}}/{{n}}/{{k}}.tif'\nroles = ['data']\ntype = 'image/tiff'\n",
        items / 400
    );
    Recipe::parse("many.toml", &text).unwrap()
}

fn made(recipe: &Recipe, to: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    store.wait(build(&store, recipe, &Href::from_path(to), &BuildOptions::default())).unwrap();
}

/// The files of a folder, in the order of their paths.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn write_bare(files: &[(PathBuf, Vec<u8>)], place: &Path) {
    let mut last = None;
    for (path, bytes) in files {
        let folder = path.parent();
        if folder != last {
            std::fs::create_dir_all(folder.unwrap()).unwrap();
            last = folder;
        }
        std::fs::write(path, bytes).unwrap();
    }
    flush(place);
}

/// Flushes the file system of a folder once, as a build does.
fn flush(folder: &Path) {
    assert!(Command::new("sync").arg("-f").arg(folder).status().unwrap().success());
}

fn item(path: &Path) -> Option<RawItem> {
    RawItem::parse(Href::from_path(path), std::fs::read(path).unwrap().into()).ok()
}

fn save(items: &[RawItem], to: &Path) {
    let root = json!({"type": "Catalog", "id": "saved", "stac_version": "1.1.0", "description": "d", "links": []});
    let Value::Object(root) = root else { return };
    let mut options = WriteOptions::new(Href::from_path(to));
    (options.layout, options.flat, options.staged) = (Layout::parse("${g}").unwrap(), true, true);
    let mut writer = TreeWriter::new(root, options).unwrap();
    for item in items {
        let folder = item.href().to_path().unwrap();
        let folder = folder.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        writer.add_item(&[folder], item).unwrap();
    }
    assert_eq!(writer.finish().unwrap().items, items.len() as u64);
}

fn measured(work: impl FnOnce()) -> [f64; 2] {
    let (start, before) = (Instant::now(), cpu());
    work();
    [cpu() - before, start.elapsed().as_secs_f64()]
}

/// User and system time of this process; the kernel counts hundredths of a second.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
