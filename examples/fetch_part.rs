//! Copies selected assets of selected items and writes a catalog that knows the copies.
//!
//! `cargo run --release --example fetch_part [CATALOG [KEY [FOLDER]]]`; without arguments the asset `tmin` of what
//! `outcrop demo` fetched into `outcrop-demo/local`.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;
use std::path::PathBuf;

use outcrop_catalog::{SearchOptions, Source, search};
use outcrop_fetcher::{FetchOptions, Selection, Target, fetch};
use outcrop_store::{Href, Store, StoreOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let catalog = arguments.next().unwrap_or("outcrop-demo/local".into());
    let key = arguments.next().unwrap_or("tmin".into());
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("outcrop-fetch-part"), PathBuf::from);

    let store = Store::new(StoreOptions::default(), tokio::runtime::Handle::current())?;
    let source = Source { href: Href::parse(&catalog)?.absolute().as_folder(), id: None };
    let wanted = SearchOptions { datetime: Some("1981".parse()?), max_items: Some(1), ..SearchOptions::default() };
    let to = Href::from_path(&folder).absolute().as_folder();
    let options = FetchOptions::new(Selection::of_keys([key]), Target::Folder(to.clone()));
    let report = fetch(&store, search(&store, &source, &wanted), &options).await?;

    println!("{} copied ({} bytes), {} there already, in {to}", report.copied, report.bytes, report.skipped);
    for failure in &report.failed {
        println!("failed: {} {}: {}", failure.item, failure.asset, failure.why);
    }
    Ok(())
}
