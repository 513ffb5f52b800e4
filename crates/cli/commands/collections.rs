//! `outcrop collections`.

use std::io::IsTerminal;
use std::pin::pin;

use futures::StreamExt;
use outcrop_catalog::{CollectionSearch, collections};
use outcrop_stac::Document;
use serde_json::{Value, json};

use super::{parsed, source};
use crate::args::{CollectionsArgs, ItemFormat};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &CollectionsArgs) -> Result<Outcome, Failure> {
    let from = source(&args.source)?;
    let wanted = CollectionSearch {
        ids: args.ids.clone(),
        bbox: parsed("--bbox", args.bbox.as_deref(), "--bbox=-68,16,-64,20")?,
        datetime: parsed("--datetime", args.datetime.as_deref(), "--datetime 2000-01-31/2000-06")?,
        words: args.words.clone(),
    };
    let is_for_people = std::io::stdout().is_terminal() && !context.json;
    let format = args.format.unwrap_or(if is_for_people { ItemFormat::Table } else { ItemFormat::Json });
    let (mut count, mut errors, mut bodies) = (0usize, Vec::new(), Vec::new());
    context.wait(async {
        let mut found = pin!(collections(&context.store, &from, &wanted));
        while let Some(next) = found.next().await {
            match next {
                Err(error) => errors.push(error),
                Ok(collection) => {
                    count += 1;
                    match format {
                        ItemFormat::Ids => print::data(&format!("{}\n", collection.id())),
                        ItemFormat::Table => print::data(&line(&collection)),
                        ItemFormat::Ndjson => print::data(&format!("{}\n", portable(&collection))),
                        ItemFormat::Json => bodies.push(portable(&collection)),
                    }
                }
            }
        }
        Ok::<_, Failure>(())
    })?;
    if count == 0
        && let Some(error) = errors.pop()
    {
        return Err(error.into());
    }
    for error in &errors {
        print::failed(&args.source, error);
    }
    if format == ItemFormat::Json {
        print::json(&json!({"collections": bodies}));
    } else {
        context.say(&format!("{count} collections"));
    }
    Ok(Outcome::of(errors.len()))
}

/// The collection with absolute hrefs, so that it can stand elsewhere.
fn portable(collection: &Document) -> Value {
    let mut body = collection.body().clone();
    let links = body.get_mut("links").and_then(Value::as_array_mut).into_iter().flatten();
    links.for_each(|link| absolute(collection, link));
    let assets =
        body.get_mut("assets").and_then(Value::as_object_mut).into_iter().flat_map(|assets| assets.values_mut());
    assets.for_each(|asset| absolute(collection, asset));
    Value::Object(body)
}

fn absolute(collection: &Document, holder: &mut Value) {
    let href = holder.get("href").and_then(Value::as_str).and_then(|href| collection.resolve(href).ok());
    if let Some(href) = href {
        holder["href"] = href.absolute().as_str().into();
    }
}

fn line(collection: &Document) -> String {
    let extent = collection.body().get("extent");
    let first = |pointer: &str| extent.and_then(|extent| extent.pointer(pointer));
    let end = |at: &str| {
        let text = first(&format!("/temporal/interval/0/{at}")).and_then(Value::as_str).unwrap_or("..");
        text.split('T').next().unwrap_or(text).to_owned()
    };
    let time = format!("{}/{}", end("0"), end("1"));
    let bbox = first("/spatial/bbox/0").map(Value::to_string).unwrap_or_default();
    let title = collection.body().get("title").and_then(Value::as_str).unwrap_or_default();
    // It is shown on a terminal.
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    format!("{:<32} {:<22} {:<36} {}\n", plain(collection.id()), time, bbox, plain(title))
}
