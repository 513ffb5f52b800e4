//! `outcrop search`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::pin::pin;

use futures::StreamExt;
use outcrop_catalog::{Fields, Order, SearchOptions, SortKey, Told, search_raw};
use outcrop_stac::RawItem;
use outcrop_store::{Href, publish};
use serde_json::{Value, json};

use super::{search_options, source};
use crate::args::{ItemFormat, SearchArgs};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &SearchArgs) -> Result<Outcome, Failure> {
    let (from, mut options) = (source(&args.source)?, search_options(&args.selection)?);
    options.order = order(args)?;
    options.limit = args.limit;
    options.split = usize::from(args.split);
    options.use_index = !args.no_index;
    options.fields = args.fields.as_deref().map(Fields::parse);
    options.keep_pages = args.output.as_deref().map(|file| PathBuf::from(format!("{file}.pages")));
    let to_terminal = args.output.is_none() && std::io::stdout().is_terminal();
    if context.json && args.output.is_none() && args.format.is_some_and(|format| format != ItemFormat::Json) {
        return Err(Failure::usage("--json and this --format exclude each other", "write the items to a file with -o"));
    }
    let format = args.format.unwrap_or(if to_terminal && !context.json { ItemFormat::Table } else { ItemFormat::Json });
    let mut writer = Writer::create(context, args, format)?;
    let (count, failed) = context.wait(async {
        let (mut count, mut failed, mut first) = (0usize, 0usize, None);
        let mut items = pin!(search_raw(&context.store, &from, &options));
        while let Some(item) = items.next().await {
            match item {
                Ok(found) => {
                    count += 1;
                    if !args.count {
                        writer.item(&found.item)?;
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
    options.tally.told().warnings.iter().for_each(|warning| print::note(warning));
    if args.explain {
        explain(context, &options);
    }
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

fn order(args: &SearchArgs) -> Result<Order, Failure> {
    // What is only counted needs no order.
    let no_order = args.unsorted || args.count;
    let keys = args.sortby.iter().map(|key| key.parse()).collect::<Result<Vec<SortKey>, _>>()?;
    Ok(if no_order { Order::AsFound } else { Order::By(keys) })
}

/// What the search did, on stderr.
fn explain(context: &Context, options: &SearchOptions) {
    let (told, stats) = (options.tally.told(), context.store.stats());
    for note in &told.notes {
        print::note(note);
    }
    let Told { documents, tested, found, excluded, .. } = told;
    print::note(&format!(
        "{documents} documents read, {excluded} not looked into, {tested} items tested, {found} fit; {} requests, {} bytes",
        stats.requests,
        stats.remote_bytes + stats.local_bytes,
    ));
}

/// Writes items as they come.
struct Writer {
    format: ItemFormat,
    file: Option<publish::Staged>,
    started: bool,
    silent: bool,
    /// One line for everything.
    one_line: bool,
    fields: Option<Fields>,
    /// Lines for stdout that were not written yet, where nobody looks on.
    held: String,
}

/// Bytes for stdout that are written at once.
const MOST_HELD: usize = 1 << 16;

impl Writer {
    fn create(context: &Context, args: &SearchArgs, format: ItemFormat) -> Result<Self, Failure> {
        let file = match &args.output {
            Some(path) => Some(publish::Staged::create(&Href::parse(path)?.absolute().to_path().unwrap_or_default())?),
            None => None,
        };
        Ok(Self {
            format,
            file,
            started: false,
            silent: args.count,
            one_line: context.json,
            fields: args.fields.as_deref().map(Fields::parse),
            held: String::new(),
        })
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            return Ok(file.write(text.as_bytes())?);
        }
        self.held.push_str(text);
        if self.held.len() >= MOST_HELD || std::io::stdout().is_terminal() {
            print::data(&self.held);
            self.held.clear();
        }
        Ok(())
    }

    fn line_end(&self) -> &'static str {
        if self.one_line && self.file.is_none() { "" } else { "\n" }
    }

    fn item(&mut self, item: &RawItem) -> Result<(), Failure> {
        let line = match self.format {
            ItemFormat::Ids => format!("{}\n", item.id()),
            ItemFormat::Table => table_line(item)?,
            ItemFormat::Ndjson => format!("{}\n", self.portable(item)?),
            ItemFormat::Json => {
                let start = if self.started { "," } else { "{\"type\":\"FeatureCollection\",\"features\":[" };
                format!("{start}{}{}", self.line_end(), self.portable(item)?)
            }
        };
        self.started = true;
        self.put(&line)
    }

    /// The item with absolute hrefs, so that it can stand elsewhere, and with the fields that are wanted.
    fn portable(&self, item: &RawItem) -> Result<String, Failure> {
        let json = item.to_portable()?;
        match &self.fields {
            Some(fields) => {
                let item = RawItem::parse(item.href().clone(), json.into())?;
                Ok(fields.apply(item.to_value()?).to_string())
            }
            None => Ok(String::from_utf8_lossy(&json).into_owned()),
        }
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
        print::data(&self.held);
        match self.file {
            Some(file) => Ok(file.finish()?),
            None => Ok(()),
        }
    }
}

fn table_line(item: &RawItem) -> Result<String, Failure> {
    let item = item.to_document()?;
    let text = |name: &str| item.property(name).and_then(Value::as_str).unwrap_or("..").to_owned();
    let time = match item.property("datetime") {
        Some(Value::String(time)) => time.clone(),
        _ => format!("{}/{}", text("start_datetime"), text("end_datetime")),
    };
    let bbox = item.body().get("bbox").cloned().unwrap_or(json!(null));
    let keys: Vec<&str> = item.assets().map(|(key, _)| key).collect();
    Ok(format!("{:<28} {:<22} {:<44} {}\n", item.id(), time, bbox.to_string(), keys.join(" ")))
}
