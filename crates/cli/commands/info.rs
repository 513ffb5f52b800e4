//! `outcrop info`.

use std::fmt::Write;

use futures::TryStreamExt;
use outcrop_catalog::{Survey, search, survey};
use outcrop_compute::human;
use outcrop_formats::zarr::StoredObjects;
use outcrop_formats::{AttrValue, Attrs, ChunkRef, DType, Fresh, HEAD, Opened, Variable, kerchunk};
use outcrop_stac::Document;
use outcrop_store::{Href, Store};

use serde_json::{Map, Value, json};

use super::{located, search_options, source};
use crate::args::{How, InfoArgs, Selection};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &InfoArgs) -> Result<Outcome, Failure> {
    if args.href.contains('#') {
        return items(context, args);
    }
    let href = located(&Href::parse(&args.href)?);
    if is_json(&args.href) && !context.wait(is_references(&context.store, &href))? {
        return items(context, args);
    }
    if let Some(file) = &args.save_references {
        return save(context, &href, file, args.how());
    }
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

/// True if a JSON document holds chunk references, not items.
async fn is_references(store: &Store, href: &Href) -> Result<bool, Failure> {
    let (_, head) = store.head(href, HEAD).await?;
    Ok(kerchunk::looks_like(&head))
}

/// Writes the chunk references of all variables; what Zarr cannot express is named.
fn save(context: &Context, href: &Href, file: &str, how: How<'_>) -> Result<Outcome, Failure> {
    let (href, to) = (href.absolute(), Href::parse(file.trim_end_matches('/'))?.absolute());
    let (variables, left_out) = context.wait(save_references(&context.store, &href, (&to, how)))?;
    let written = variables - left_out.len();
    if context.json {
        let left: Vec<Value> = left_out.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
        print::json(&json!({"output": to.to_string(), "variables": written, "left_out": left}));
    } else {
        for (name, why) in &left_out {
            print::note(&format!("{name} is left out: {why}"));
        }
        context.say(&format!("wrote references of {written} variables to {file}"));
    }
    Ok(Outcome::of(usize::from(written == 0 && !left_out.is_empty())))
}

/// Writes in the format that the name of the file says; the answer is the number of variables, and those left out.
async fn save_references(
    store: &Store,
    href: &Href,
    (to, how): (&Href, How<'_>),
) -> Result<(usize, kerchunk::LeftOut), Failure> {
    let parquet = [".parq", ".parquet"].iter().any(|end| to.as_str().ends_with(end));
    let opened = open(store, href, how).await.map_err(|e| named(href, e))?;
    let count = opened.meta.variables.len();
    outcrop_formats::check_references(&opened).map_err(|e| named(href, e))?;
    if !parquet && !is_json(to.as_str()) {
        let (bytes, left_out) = outcrop_formats::save(&opened).await.map_err(|e| named(href, e))?;
        store.put(to, bytes.into()).await?;
        return Ok((count, left_out));
    }
    let (mut located, mut left_out) = (Vec::new(), Vec::new());
    for variable in &opened.meta.variables {
        match opened.locate(variable).await {
            Ok(refs) => located.push((variable, refs)),
            Err(outcrop_formats::Error::Store(e)) => return Err(e.into()),
            Err(e) => left_out.push((variable.name.clone(), e.to_string())),
        }
    }
    let pairs: Vec<kerchunk::Located<'_>> = located.iter().map(|(variable, refs)| (*variable, refs)).collect();
    if parquet {
        let path = to.to_path().ok_or_else(|| outcrop_store::Error::ReadOnly { href: to.clone() })?;
        left_out.extend(kerchunk::write_parquet(&opened.meta, &pairs, (href, &path)).map_err(|e| named(to, e))?);
    } else {
        let (document, more) = kerchunk::export(&opened.meta, &pairs, href);
        store.put(to, document.to_string().into_bytes().into()).await?;
        left_out.extend(more);
    }
    Ok((count, left_out))
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

fn describe(context: &Context, href: &Href, args: &InfoArgs) -> Result<(String, Value), Failure> {
    context.wait(opened_text(&context.store, href, args))
}

/// By its header, as the array that it is declared to be, or with GDAL.
pub(super) async fn open(store: &Store, href: &Href, how: How<'_>) -> outcrop_formats::Result<Opened> {
    match how {
        How::Raw(raw) => Opened::open_raw(store, href, &raw.parse()?).await,
        How::Gdal => Opened::open_gdal(store, href).await,
        How::Header => Opened::open(store, href).await,
    }
}

async fn opened_text(store: &Store, href: &Href, args: &InfoArgs) -> Result<(String, Value), Failure> {
    let before = store.stats();
    let opened = open(store, href, args.how()).await.map_err(|e| named(href, e))?;
    let after = store.stats();
    let meta = &opened.meta;
    let mut text = String::new();
    let read = after.remote_bytes + after.local_bytes - before.remote_bytes - before.local_bytes;
    let size = opened.origin.object().map(|object| object.size);
    let requests = match after.requests - before.requests {
        0 => String::new(),
        n => format!(" in {n} requests"),
    };
    let stored = size.map_or("many objects".to_owned(), human);
    let source = match opened.fresh {
        Fresh::Read => format!("header read with {}{requests}", human(read)),
        Fresh::Saved => format!("by saved references, {}{requests}", human(read)),
        Fresh::Outdated => format!("references outdated, header read with {}{requests}", human(read)),
    };
    writeln!(text, "{}: {}, {stored}, {source}", opened.origin.href(), meta.format)?;
    let dims = meta
        .dims
        .iter()
        .map(|(name, dim)| format!("{name} = {}{}", dim.len, if dim.unlimited { " (unlimited)" } else { "" }));
    writeln!(text, "dimensions: {}", dims.collect::<Vec<_>>().join(", "))?;
    let mut stored = Vec::new();
    for variable in &meta.variables {
        let objects = opened.stored_objects(variable).await.map_err(|e| named(href, e))?;
        variable_text(&mut text, variable)?;
        stored_text(&mut text, objects.as_ref())?;
        stored.push(objects);
        if args.references {
            references_text(&mut text, &opened, variable).await?;
        }
    }
    for (path, why) in &meta.refused {
        writeln!(text, "  {path}: cannot be read, {why}")?;
    }
    attrs_text(&mut text, "attributes", &meta.attrs)?;
    let variables: Vec<Value> =
        meta.variables.iter().zip(&stored).map(|(v, stored)| summary_of(v, stored.as_ref())).collect();
    let mut summary =
        json!({"href": href.to_string(), "format": meta.format.to_string(), "size": size, "variables": variables});
    match survey(opened).await {
        Ok(survey) => {
            survey_text(&mut text, &survey)?;
            summary["crs"] = json!(survey.crs);
            summary["extent"] = json!(survey.plane);
            summary["bbox"] = json!(survey.bbox);
            summary["time"] = json!(survey.time);
        }
        // The structure is told all the same.
        Err(error) => writeln!(text, "place: cannot be told, {}", print::chain(&error).join(": "))?,
    }
    Ok((text, summary))
}

fn summary_of(variable: &Variable, stored: Option<&StoredObjects>) -> Value {
    let grid = &variable.grid;
    let (name, dtype) = (&variable.name, variable.dtype.name());
    let mut summary =
        json!({"name": name, "dims": variable.dims, "shape": grid.shape, "dtype": dtype, "chunks": grid.chunk});
    if let Some(StoredObjects { found, all, written, .. }) = stored {
        let written = written.as_ref().and_then(|written| written.as_ref().ok());
        summary["objects"] = json!({"found": found, "all": all, "written": written});
    }
    summary
}

/// Ends the line of a variable; of a Zarr array with how many chunks there are, and whether that is all that were written.
fn stored_text(text: &mut String, stored: Option<&StoredObjects>) -> std::fmt::Result {
    let Some(StoredObjects { found, all, sharded, written }) = stored else { return writeln!(text) };
    let objects = if *sharded { "shards" } else { "chunks" };
    writeln!(text, ", {found} of {all} {objects} stored")?;
    match written {
        Some(Ok(written)) if found < written => {
            let missing = written - found;
            writeln!(
                text,
                "    warning: {missing} of {written} {objects} that were written are missing; copy the store again"
            )
        }
        Some(Err(why)) => writeln!(text, "    warning: {why}"),
        _ => Ok(()),
    }
}

fn survey_text(text: &mut String, survey: &Survey) -> std::fmt::Result {
    if let Some(crs) = &survey.crs {
        writeln!(text, "crs: {crs}")?;
    }
    if let Some([west, south, east, north]) = survey.plane {
        writeln!(text, "extent: x {west} to {east}, y {south} to {north}")?;
    }
    if let Some([west, south, east, north]) = survey.bbox {
        writeln!(text, "bbox: {west:.4}, {south:.4}, {east:.4}, {north:.4}")?;
    }
    if let Some((start, end)) = &survey.time {
        writeln!(text, "time: {start} to {end}")?;
    }
    Ok(())
}

/// Names the file that an error is about.
pub(super) fn named(href: &Href, error: outcrop_formats::Error) -> Failure {
    match error {
        outcrop_formats::Error::Store(error) => error.into(),
        source => outcrop_compute::Error::Open { href: href.clone(), source }.into(),
    }
}

/// The line of a variable, without its end.
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
    let bytes = variable.elements().and_then(|n| n.checked_mul(variable.dtype.size() as u64));
    // Texts of any length have no size of their own.
    if let Some(bytes) = bytes.filter(|_| variable.grid.shape.len() > 1 && variable.dtype != DType::VlenUtf8) {
        write!(text, ", {} decoded", human(bytes))?;
    }
    if let Some(AttrValue::Text(units)) = variable.attrs.get("units") {
        write!(text, ", units `{units}`")?;
    }
    if let Some(AttrValue::Text(meanings)) = variable.attrs.get("flag_meanings") {
        let numbers = variable.attrs.get("flag_values").map(AttrValue::numbers).unwrap_or_default();
        let flags = meanings.split_whitespace().zip(numbers).take(8).map(|(name, number)| format!("{number} {name}"));
        write!(text, ", {}", flags.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

async fn references_text(text: &mut String, opened: &Opened, variable: &Variable) -> Result<(), Failure> {
    let refs = opened.locate(variable).await.map_err(|e| named(opened.origin.href(), e))?;
    match refs.stored_bytes() {
        Some(bytes) => writeln!(text, "    stored {}", human(bytes))?,
        None => writeln!(text, "    stored in an object for each chunk")?,
    }
    for (index, chunk) in &refs {
        match chunk {
            ChunkRef::Range { offset, length, filter_mask } => {
                writeln!(text, "    {index:?} offset {offset} length {length} mask {filter_mask}")?;
            }
            ChunkRef::Object { href, range: None, .. } => writeln!(text, "    {index:?} {href}")?,
            ChunkRef::Object { href, range: Some(range), .. } => {
                writeln!(text, "    {index:?} {href} offset {} length {}", range.start, range.end - range.start)?;
            }
            ChunkRef::Opaque { driver, window, .. } => writeln!(text, "    {index:?} GDAL {driver} window {window:?}")?,
            ChunkRef::Inline(bytes) => writeln!(text, "    {index:?} inline {} bytes", bytes.len())?,
            ChunkRef::Fill => writeln!(text, "    {index:?} fill")?,
        }
    }
    Ok(())
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
        AttrValue::Int(values) | AttrValue::Typed(_, values) => list(values),
        AttrValue::UInt(values) => list(values),
        AttrValue::Float32(values) => list(values),
        AttrValue::Float64(values) => list(values),
    }
}
