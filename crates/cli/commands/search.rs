//! `outcrop search`.

use std::io::IsTerminal;
use std::pin::pin;

use futures::StreamExt;
use outcrop_catalog::search;
use outcrop_stac::Document;
use outcrop_store::{Href, publish};
use serde_json::{Value, json};

use super::{search_options, source};
use crate::args::{ItemFormat, SearchArgs};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &SearchArgs) -> Result<Outcome, Failure> {
    let (from, options) = (source(&args.source)?, search_options(&args.selection)?);
    let to_terminal = args.output.is_none() && std::io::stdout().is_terminal();
    if context.json && args.output.is_none() && args.format.is_some_and(|format| format != ItemFormat::Json) {
        return Err(Failure::usage("--json and this --format exclude each other", "write the items to a file with -o"));
    }
    let format = args.format.unwrap_or(if to_terminal && !context.json { ItemFormat::Table } else { ItemFormat::Json });
    let mut writer = Writer::create(context, args, format)?;
    let (count, failed) = context.wait(async {
        let (mut count, mut failed, mut first) = (0usize, 0usize, None);
        let mut items = pin!(search(&context.store, &from, &options));
        while let Some(item) = items.next().await {
            match item {
                Ok(node) => {
                    count += 1;
                    if !args.count {
                        writer.item(&node.document)?;
                    }
                }
                // Alone it is a search that could not run; which it is shows later.
                Err(error) if first.is_none() => first = Some(error),
                Err(error) => {
                    print::failed(&args.source, &error);
                    failed += 1;
                }
            }
        }
        match first {
            Some(error) if count + failed == 0 => return Err(Failure::from(error)),
            Some(error) => print::failed(&args.source, &error),
            None => return Ok((count, failed)),
        }
        Ok((count, failed + 1))
    })?;
    if args.count {
        let summary = json!({"items": count, "failed": failed});
        print::data(&if context.json { format!("{summary}\n") } else { format!("{count}\n") });
    } else {
        writer.finish()?;
        if let Some(file) = args.output.as_deref().filter(|_| context.json) {
            print::json(&json!({"items": count, "failed": failed, "output": file}));
        } else if !context.json {
            context.say(&format!("{count} items"));
        }
    }
    Ok(Outcome::of(failed))
}

/// Writes items as they come.
struct Writer {
    format: ItemFormat,
    file: Option<publish::Staged>,
    started: bool,
    silent: bool,
    /// One line for everything.
    one_line: bool,
}

impl Writer {
    fn create(context: &Context, args: &SearchArgs, format: ItemFormat) -> Result<Self, Failure> {
        let file = match &args.output {
            Some(path) => Some(publish::Staged::create(&Href::parse(path)?.absolute().to_path().unwrap_or_default())?),
            None => None,
        };
        Ok(Self { format, file, started: false, silent: args.count, one_line: context.json })
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            return Ok(file.write(text.as_bytes())?);
        }
        print::data(text);
        Ok(())
    }

    fn line_end(&self) -> &'static str {
        if self.one_line && self.file.is_none() { "" } else { "\n" }
    }

    fn item(&mut self, item: &Document) -> Result<(), Failure> {
        let line = match self.format {
            ItemFormat::Ids => format!("{}\n", item.id()),
            ItemFormat::Table => table_line(item),
            ItemFormat::Ndjson => format!("{}\n", portable(item)?),
            ItemFormat::Json => {
                let start = if self.started { "," } else { "{\"type\":\"FeatureCollection\",\"features\":[" };
                format!("{start}{}{}", self.line_end(), portable(item)?)
            }
        };
        self.started = true;
        self.put(&line)
    }

    fn finish(mut self) -> Result<(), Failure> {
        if self.format == ItemFormat::Json && !self.silent {
            let end = if self.started {
                format!("{}]}}\n", self.line_end())
            } else {
                "{\"type\":\"FeatureCollection\",\"features\":[]}\n".to_owned()
            };
            self.put(&end)?;
        }
        match self.file {
            Some(file) => Ok(file.finish()?),
            None => Ok(()),
        }
    }
}

/// The item with absolute asset and link hrefs, so that it can stand elsewhere.
fn portable(item: &Document) -> Result<Value, Failure> {
    let mut body = Value::Object(item.body().clone());
    for pointer in ["/assets", "/links"] {
        let members: Vec<&mut Value> = match body.pointer_mut(pointer) {
            Some(Value::Object(map)) => map.values_mut().collect(),
            Some(Value::Array(list)) => list.iter_mut().collect(),
            _ => continue,
        };
        for member in members {
            if let Some(Value::String(href)) = member.get_mut("href") {
                let absolute = item.resolve(href)?;
                absolute.as_str().clone_into(href);
            }
        }
    }
    Ok(body)
}

fn table_line(item: &Document) -> String {
    let text = |name: &str| item.property(name).and_then(Value::as_str).unwrap_or("..").to_owned();
    let time = match item.property("datetime") {
        Some(Value::String(time)) => time.clone(),
        _ => format!("{}/{}", text("start_datetime"), text("end_datetime")),
    };
    let bbox = item.body().get("bbox").cloned().unwrap_or(json!(null));
    let keys: Vec<&str> = item.assets().map(|(key, _)| key).collect();
    format!("{:<28} {:<22} {:<44} {}\n", item.id(), time, bbox.to_string(), keys.join(" "))
}
