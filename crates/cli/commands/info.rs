//! `outcrop info`.

use std::fmt::Write;

use futures::TryStreamExt;
use outcrop_catalog::search;
use outcrop_compute::human;
use outcrop_formats::{AttrValue, Attrs, ChunkRef, HEAD, Locate, Open, Variable, zarr};
use outcrop_stac::Document;
use outcrop_store::{DriveError, Href, ObjectMeta, Sparse, Store};

use serde_json::{Map, Value, json};

use super::{located, search_options, source};
use crate::args::{InfoArgs, Selection};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &InfoArgs) -> Result<Outcome, Failure> {
    if args.href.contains('#') || is_json(&args.href) {
        return items(context, args);
    }
    let href = located(&Href::parse(&args.href)?);
    let (text, summary) = describe(context, &href, args)?;
    if context.json {
        print::json(&summary);
    } else {
        print::data(&text);
    }
    Ok(Outcome::Done)
}

fn is_json(href: &str) -> bool {
    let path = href.split('?').next().unwrap_or_default();
    [".json", ".geojson", ".ndjson"].iter().any(|end| path.ends_with(end)) && !path.ends_with("zarr.json")
}

/// Each asset of an item, one after the other; one that cannot be opened does not stop the others.
fn items(context: &Context, args: &InfoArgs) -> Result<Outcome, Failure> {
    let found: Vec<Document> = context.wait(
        search(&context.store, &source(&args.href)?, &search_options(&Selection::default())?)
            .map_ok(|node| node.document)
            .try_collect(),
    )?;
    let (mut failed, mut summaries) = (0, Vec::new());
    for item in &found {
        if !context.json {
            print::data(&format!("item {}\n", item.id()));
        }
        let mut assets = Map::new();
        for (key, asset) in item.assets() {
            let Some(reference) = asset.get("href").and_then(Value::as_str) else { continue };
            let href = item.resolve(reference)?;
            match describe(context, &href, args) {
                Ok((_, summary)) if context.json => drop(assets.insert(key.to_owned(), summary)),
                Ok((text, _)) => print::data(&format!("asset {key}: {text}")),
                Err(Failure::Error(error)) => {
                    print::failed(&format!("{} {key} ({href})", item.id()), error.as_ref());
                    failed += 1;
                }
                Err(other) => return Err(other),
            }
        }
        summaries.push(json!({"item": item.id(), "assets": assets}));
    }
    if context.json {
        print::json(&json!({"items": summaries, "failed": failed}));
    }
    Ok(Outcome::of(failed))
}

/// A file, or a Zarr store where the href is a folder or ends with `.zarr`.
fn describe(context: &Context, href: &Href, args: &InfoArgs) -> Result<(String, Value), Failure> {
    let name = href.as_str().trim_end_matches('/');
    let looks_zarr = href.as_str().ends_with('/') || name.contains(".zarr");
    if looks_zarr {
        let zarr = zarr::open(&context.store, &href.as_folder())?;
        return Ok((zarr_text(&zarr, href), zarr_summary(&zarr, href)));
    }
    context.wait(file_text(&context.store, href, args))
}

async fn file_text(store: &Store, href: &Href, args: &InfoArgs) -> Result<(String, Value), Failure> {
    let before = store.stats();
    let (object, meta) = store.drive(href, HEAD, &mut Open::new()).await.map_err(|e| named(href, e))?;
    let after = store.stats();
    let mut text = String::new();
    let read = after.remote_bytes + after.local_bytes - before.remote_bytes - before.local_bytes;
    writeln!(text, "{href}: {}, {}, header read with {}", meta.format, human(object.size), human(read))?;
    let dims = meta
        .dims
        .iter()
        .map(|(name, dim)| format!("{name} = {}{}", dim.len, if dim.unlimited { " (unlimited)" } else { "" }));
    writeln!(text, "dimensions: {}", dims.collect::<Vec<_>>().join(", "))?;
    for variable in &meta.variables {
        variable_text(&mut text, variable)?;
        if args.references {
            references_text(&mut text, store, &object, variable).await?;
        }
    }
    for (path, why) in &meta.refused {
        writeln!(text, "  {path}: cannot be read, {why}")?;
    }
    attrs_text(&mut text, "attributes", &meta.attrs)?;
    let variables = meta.variables.iter().map(|variable| {
        let grid = &variable.grid;
        let (name, dtype) = (&variable.name, variable.dtype.name());
        json!({"name": name, "dims": variable.dims, "shape": grid.shape, "dtype": dtype, "chunks": grid.chunk})
    });
    let variables: Vec<Value> = variables.collect();
    let format = meta.format.to_string();
    let summary = json!({"href": href.to_string(), "format": format, "size": object.size, "variables": variables});
    Ok((text, summary))
}

fn zarr_summary(zarr: &zarr::Zarr, href: &Href) -> Value {
    let arrays = zarr.arrays.iter().map(|array| {
        let dtype = array.dtype.to_string();
        json!({"name": array.path, "dims": array.dims, "shape": array.shape, "dtype": dtype, "chunks": array.chunk})
    });
    json!({"href": href.to_string(), "format": "Zarr", "variables": arrays.collect::<Vec<_>>()})
}

/// Names the file that a driver's error is about.
fn named(href: &Href, error: DriveError<outcrop_formats::Error>) -> Failure {
    match error {
        DriveError::Store(error) => error.into(),
        DriveError::Parse(source) => outcrop_compute::Error::Open { href: href.clone(), source }.into(),
    }
}

fn variable_text(text: &mut String, variable: &Variable) -> std::fmt::Result {
    let dims = variable.dims.iter().zip(&variable.grid.shape).map(|(dim, n)| format!("{dim}: {n}"));
    let codecs: Vec<String> = variable.codecs.iter().map(ToString::to_string).collect();
    let dims = dims.collect::<Vec<_>>().join(", ");
    write!(text, "  {}({dims}) {}", variable.name, variable.dtype.name())?;
    if !variable.grid.chunk.is_empty() {
        write!(text, ", chunks {:?}", variable.grid.chunk)?;
    }
    if !codecs.is_empty() {
        write!(text, ", {}", codecs.join(" + "))?;
    }
    if let Some(AttrValue::Text(units)) = variable.attrs.get("units") {
        write!(text, ", units `{units}`")?;
    }
    writeln!(text)
}

async fn references_text(
    text: &mut String,
    store: &Store,
    object: &ObjectMeta,
    variable: &Variable,
) -> Result<(), Failure> {
    let mut have = Sparse::new(object.size);
    let located = store.drive_with(object, &mut have, &mut Locate::new(variable)).await;
    let refs = located.map_err(|e| named(&object.href, e))?;
    writeln!(text, "    stored {}", human(refs.stored_bytes()))?;
    for (index, chunk) in &refs {
        match chunk {
            ChunkRef::Range { offset, length, filter_mask } => {
                writeln!(text, "    {index:?} offset {offset} length {length} mask {filter_mask}")?;
            }
            ChunkRef::Inline(bytes) => writeln!(text, "    {index:?} inline {} bytes", bytes.len())?,
            ChunkRef::Fill => writeln!(text, "    {index:?} fill")?,
        }
    }
    Ok(())
}

fn zarr_text(zarr: &zarr::Zarr, href: &Href) -> String {
    let mut text = format!("{href}: Zarr, {} groups, {} arrays\n", zarr.groups.len(), zarr.arrays.len());
    for array in &zarr.arrays {
        let dims: Vec<String> = array.dims.iter().zip(&array.shape).map(|(dim, n)| format!("{dim}: {n}")).collect();
        let line = format!(
            "  {}({}) {}, chunks {:?}, {} ({})\n",
            array.path,
            dims.join(", "),
            array.dtype,
            array.chunk,
            array.codecs.join(" + "),
            array.format
        );
        text.push_str(&line);
    }
    text
}

fn attrs_text(text: &mut String, title: &str, attrs: &Attrs) -> std::fmt::Result {
    if !attrs.is_empty() {
        writeln!(text, "{title}:")?;
    }
    for (name, value) in attrs {
        writeln!(text, "  {name}: {}", attr_text(value))?;
    }
    Ok(())
}

/// The values of an attribute on one line.
fn attr_text(value: &AttrValue) -> String {
    fn list<T: ToString>(values: &[T]) -> String {
        values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
    }
    match value {
        AttrValue::Text(text) => text.replace('\n', " "),
        AttrValue::Texts(texts) => list(texts),
        AttrValue::Int(values) => list(values),
        AttrValue::UInt(values) => list(values),
        AttrValue::Float32(values) => list(values),
        AttrValue::Float64(values) => list(values),
    }
}
