//! The items of a source, before they are tested: by a walk, out of a file, a table or an index, from a server.

mod files;
mod mirror;
pub(super) mod server;
mod split;
mod table;

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};
use outcrop_stac::{Document, Loaded, WalkOptions, load, walk_from};
use outcrop_store::Store;

use super::{Filter, Found, SearchOptions, Source};
use crate::Result;

pub(crate) use mirror::{FILE_NAME, Mark};
pub(super) use server::interval;

/// Items as they come.
pub(super) type Items = BoxStream<'static, Result<Found>>;

/// Opens a source by what it is.
pub(super) async fn open(
    store: &Store,
    source: &Source,
    (filter, options): (&Arc<Filter>, &SearchOptions),
) -> Result<Items> {
    if source.is_standard_input() {
        options.tally.note("items of the standard input, read in a row".to_owned());
        return Ok(files::of_input(&source.href));
    }
    let ending =
        source.href.file_name().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    if matches!(ending.as_deref(), Some("parquet" | "geoparquet")) {
        return table::items(store, &source.href, (filter, options)).await;
    }
    if files::is_read_in_a_row(&source.href, ending.as_deref()) {
        options.tally.note(format!("`{}`: a file of items, read in a row", source.href));
        return Ok(files::of_file(store.clone(), source.href.clone()).boxed());
    }
    let first = load(store, &source.href).await?;
    if let Some((api, collection)) = server::of(store, &first).await? {
        return server::items(store, &api, collection, options).await;
    }
    if let Loaded::Other(root) = &first
        && options.use_index
        && let Some(items) = mirror::items(store, root, (filter, options)).await?
    {
        return Ok(items);
    }
    options.tally.note(format!("`{}`: a catalog, walked", source.href));
    Ok(of_walk(store, first, (filter, options)))
}

fn of_walk(store: &Store, first: Loaded, (filter, options): (&Arc<Filter>, &SearchOptions)) -> Items {
    let (filter, tally) = (filter.clone(), options.tally.clone());
    let counted = tally.clone();
    let enter = Arc::new(move |document: &Document| match filter.excludes(document) {
        None => true,
        Some(by) => {
            tally.excluded(|| format!("`{}`: nothing below it fits {by}", document.href()));
            false
        }
    });
    let nodes = walk_from(store, first, WalkOptions::default(), enter);
    nodes.inspect(move |_| counted.read()).flat_map(files::members).boxed()
}
