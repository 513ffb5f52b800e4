//! One file a command.

pub(crate) mod build;
pub(crate) mod convert;
pub(crate) mod describe;
pub(crate) mod fetch;
pub(crate) mod info;
pub(crate) mod plot;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod serve;

use std::fmt::Display;
use std::str::FromStr;

use outcrop_catalog::{SearchOptions, Source};
use outcrop_store::Href;

use crate::args::Selection;
use crate::failure::Failure;

/// The selection options as a search.
pub(crate) fn search_options(selection: &Selection) -> Result<SearchOptions, Failure> {
    Ok(SearchOptions {
        ids: selection.ids.clone(),
        collections: selection.collections.clone(),
        bbox: parsed("--bbox", selection.bbox.as_deref(), "--bbox=-68,16,-64,20")?,
        datetime: parsed("--datetime", selection.datetime.as_deref(), "--datetime 2000-01-31/2000-06")?,
        max_items: selection.max_items,
    })
}

fn parsed<T: FromStr<Err: Display>>(flag: &str, text: Option<&str>, example: &str) -> Result<Option<T>, Failure> {
    let wrong = |error| Failure::usage(format!("{flag}: {error}"), format!("write it like {example}"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// A source as the user names it: absolute, a folder as a folder.
pub(crate) fn source(text: &str) -> Result<Source, Failure> {
    let mut source = Source::parse(text)?;
    source.href = located(&source.href);
    Ok(source)
}

/// An href as the user names it: absolute, a local folder with a slash at the end.
pub(crate) fn located(href: &Href) -> Href {
    let href = href.absolute();
    if href.to_path().is_some_and(|path| path.is_dir()) { href.as_folder() } else { href }
}

/// A folder that is to be written, absolute.
pub(crate) fn folder(text: &str) -> Result<Href, Failure> {
    let href = Href::parse(text)?;
    if !href.is_local() {
        return Err(Failure::usage(format!("cannot write to `{href}`"), "name a local folder"));
    }
    Ok(href.absolute().as_folder())
}
