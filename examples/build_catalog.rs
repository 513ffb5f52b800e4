//! Builds a catalog from a recipe, then tells what it holds.
//!
//! `cargo run --release --example build_catalog [RECIPE [FOLDER]]`; without arguments the recipe of Daymet, whose hrefs
//! follow from a template: no request is sent.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;
use std::path::PathBuf;

use outcrop_catalog::{BuildOptions, Recipe, build, describe};
use outcrop_store::{Href, Store, StoreOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let recipe = arguments.next().unwrap_or("catalogs/daymet-daily-v4/recipe.toml".into());
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("outcrop-build-catalog"), PathBuf::from);

    let store = Store::new(StoreOptions::default(), tokio::runtime::Handle::current())?;
    let recipe = Recipe::read(&store, &Href::parse(&recipe)?.absolute()).await?;
    let to = Href::from_path(&folder).absolute().as_folder();
    let report = build(&store, &recipe, &to, &BuildOptions::default()).await?;

    println!("{} items, {} assets, {} documents in {to}", report.items, report.assets, report.documents);
    for failed in &report.failed {
        println!("left out: {}: {}", failed.what, failed.why);
    }
    print!("{}", describe(&store, &to).await?.to_text());
    Ok(())
}
