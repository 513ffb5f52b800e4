//! `outcrop run program`.

use std::path::Path;
use std::time::Instant;

use outcrop_compute::plan::{Graph, Partition};
use outcrop_compute::{RunOptions, human, peak};
use outcrop_pipelines::items::find;
use outcrop_pipelines::program::{Program, Written};
use outcrop_pipelines::register::{Inputs, register_items};
use outcrop_store::{Href, publish};
use serde_json::json;

use super::super::{folder as in_folder, search_options, source};
use super::run_options;
use crate::args::ProgramArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &ProgramArgs) -> Result<Outcome, Failure> {
    let wrong =
        |e: std::io::Error| Failure::usage(format!("cannot read `{}`: {e}", args.file), "name a file of steps (TOML)");
    let text = std::fs::read_to_string(&args.file).map_err(wrong)?;
    let partition = args.partition.as_deref().map(parse_partition).transpose()?;
    let folder = Href::from_path(Path::new(&args.file)).absolute();
    let options = RunOptions { scratch: args.scratch.as_ref().map(Into::into), ..run_options(context, &args.limits)? };
    let items = items(context, args)?;
    let prepared = Program::parse(&text)?.prepare(&context.store, &folder, &items)?;
    if let Some(file) = &args.graph {
        draw(&prepared.graph(), file)?;
        context.say(&format!("drew {} steps -> {file}", prepared.graph().nodes.len()));
    }
    if args.limits.plan {
        print::json(&prepared.summary(&options)?);
        return Ok(Outcome::of(0));
    }
    let start = Instant::now();
    let written = prepared.run(&folder, &options, partition)?;
    for output in &written {
        tell(context, output);
    }
    if let Some(catalog) = &args.catalog {
        let name = Path::new(&args.file).file_stem().unwrap_or_default().to_string_lossy();
        let (catalog, items) = (in_folder(catalog)?, prepared.items(&name, &written, &folder)?);
        let count = items.len();
        context.wait(register_items(&context.store, &catalog, items))?;
        context.say(&format!("registered {count} items in {catalog}catalog.json"));
    }
    context.say(&format!("{:.2} s, process peak {}", start.elapsed().as_secs_f64(), human(peak())));
    if context.json {
        print::json(&json!({"outputs": written, "seconds": start.elapsed().as_secs_f64(), "peak_memory": peak()}));
    }
    Ok(Outcome::of(0))
}

/// The items that are given to the program.
fn items(context: &Context, args: &ProgramArgs) -> Result<Vec<Inputs>, Failure> {
    let Some(items) = &args.items else { return Ok(Vec::new()) };
    let (from, wanted) = (source(items)?, search_options(&args.selection)?);
    context.wait(find(&context.store, &from, &wanted))
}

fn tell(context: &Context, output: &Written) {
    if let Some(values) = output.values.as_ref().filter(|_| !context.json) {
        print::data(&format!("{} = {values}\n", output.of));
        return;
    }
    let Some(to) = &output.to else { return };
    let [run, skipped] = output.tasks;
    let earlier = if skipped > 0 { format!(", {skipped} were done by an earlier run") } else { String::new() };
    let part = if output.complete { "" } else { "; other parts are to come" };
    let shape = output.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    context.say(&format!("{}: {shape} {}, {run} tasks{earlier} -> {to}{part}", output.of, output.dtype));
}

fn parse_partition(text: &str) -> Result<Partition, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is no part"), "write it like 2/8: parts are counted from 1");
    let (part, of) = text.split_once('/').ok_or_else(wrong)?;
    let (part, of): (u64, u64) = (part.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
    if part == 0 || part > of || of > 1 << 20 {
        return Err(wrong());
    }
    Ok(Partition { part: part - 1, of })
}

fn draw(graph: &Graph, file: &str) -> Result<(), Failure> {
    let text = if file.ends_with(".dot") {
        graph.to_dot()
    } else if file.ends_with(".svg") {
        graph.to_svg()
    } else {
        return Err(Failure::usage(format!("`{file}` is neither .svg nor .dot"), "name a file that ends so"));
    };
    let mut staged = publish::Staged::create(Path::new(file))?;
    staged.write(text.as_bytes())?;
    staged.finish()?;
    Ok(())
}
