//! First leaf from three files: opens them lazily, plans the fold, runs it and writes a Zarr group.
//!
//! `cargo run --release --example first_leaf [TMIN TMAX DAYL [ZARR]]`; without arguments files of `outcrop demo`.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;
use std::path::PathBuf;

use outcrop_compute::{OpenOptions, RunOptions, human, open_dataset};
use outcrop_formats::zarr::ZarrFormat;
use outcrop_pipelines::spring_index::{ResultOptions, ResultWriter, SpringIndex, SpringIndexOptions};
use outcrop_store::{Href, Store, StoreOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let demo = |name: &str| format!("outcrop-demo/archive/lakes/daymet_v4_daily_lakes_{name}_1981.nc");
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        files = SpringIndex::VARIABLES.map(demo).into();
    }
    let zarr = files.get(3).map_or_else(|| std::env::temp_dir().join("outcrop-first-leaf.zarr"), PathBuf::from);
    let hrefs: Vec<Href> = files.iter().take(3).map(|file| Href::parse(file)).collect::<Result<_, _>>()?;

    // I/O has its own runtime; the computation blocks and must not run on it.
    let runtime = tokio::runtime::Runtime::new()?;
    let store = Store::new(StoreOptions::default(), runtime.handle().clone())?;
    let wanted = OpenOptions::of(&SpringIndex::VARIABLES);
    let dataset = store.wait(open_dataset(&store, &hrefs, &wanted))?;

    let index = SpringIndex::new(&dataset, SpringIndexOptions { coarsen: 2, ..SpringIndexOptions::default() })?;
    let run = RunOptions { memory: 100 << 20, ..RunOptions::default() };
    println!("at most {} for arrays", human(index.plan().bound(&run)?.total()));
    let result =
        ResultOptions { root: zarr.clone(), group: "1981".into(), format: ZarrFormat::V3, item: "lakes-1981".into() };
    let report = index.run(&run, ResultWriter::create(&index, &result)?)?;

    println!("{} of {} days applied, {} cells have a first leaf", report.run.steps, report.run.of_steps, report.cells);
    println!("written to {}/1981", zarr.display());
    Ok(())
}
