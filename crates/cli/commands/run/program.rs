//! `outcrop run program`.

use std::path::Path;
use std::time::Instant;

use outcrop_compute::plan::{Graph, Partition};
use outcrop_compute::{RunOptions, human, peak};
use outcrop_pipelines::program::{Program, Written};
use outcrop_pipelines::register::register_items;
use outcrop_pipelines::report::{self, Report};
use outcrop_store::{Href, publish};

use super::super::folder as in_folder;
use super::{items, run_options};
use crate::args::ProgramArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// Failed windows that are named.
const NAMED: usize = 20;

pub(crate) fn run(context: &Context, args: &ProgramArgs) -> Result<Outcome, Failure> {
    let wrong =
        |e: std::io::Error| Failure::usage(format!("cannot read `{}`: {e}", args.file), "name a file of steps (TOML)");
    let text = std::fs::read_to_string(&args.file).map_err(wrong)?;
    let partition = args.partition.as_deref().map(parse_partition).transpose()?;
    let folder = Href::from_path(Path::new(&args.file)).absolute();
    let options = RunOptions { scratch: args.scratch.as_ref().map(Into::into), ..run_options(context, &args.limits)? };
    if let Some(file) = &args.report {
        // A name that is no report's is told before anything is computed.
        report_text(&Report::default(), file)?;
    }
    let items = items(context, args.items.as_deref(), &args.selection)?;
    let prepared = Program::parse(&text)?.prepare(&context.store, &folder, &items)?;
    if let Some(file) = &args.graph {
        draw(&prepared.graph(), file)?;
        context.say(&format!("drew {} steps -> {file}", prepared.graph().nodes.len()));
    }
    if args.limits.plan {
        print::json(&prepared.summary(&options)?);
        return Ok(Outcome::of(0));
    }
    let (start, before) = (Instant::now(), context.store.stats());
    let began = report::now();
    let written = prepared.run(&folder, &options, partition)?;
    for output in &written {
        tell(context, output);
    }
    let after = context.store.stats();
    let report = Report {
        title: prepared.title().to_owned(),
        command: command(),
        version: env!("CARGO_PKG_VERSION"),
        began,
        seconds: start.elapsed().as_secs_f64(),
        bytes_read: [after.local_bytes - before.local_bytes, after.remote_bytes - before.remote_bytes],
        peak_memory: peak(),
        inputs: prepared.inputs(),
        graph: prepared.graph(),
        outputs: written,
    };
    if let Some(file) = &args.report {
        put(file, &report_text(&report, file)?)?;
        context.say(&format!("reported -> {file}"));
    }
    if let Some(catalog) = &args.catalog {
        let name = Path::new(&args.file).file_stem().unwrap_or_default().to_string_lossy();
        let (catalog, items) = (in_folder(catalog)?, prepared.items(&name, &report.outputs, &folder)?);
        let count = items.len();
        context.wait(register_items(&context.store, &catalog, items))?;
        context.say(&format!("registered {count} items in {catalog}catalog.json"));
    }
    let read = human(report.bytes_read[0] + report.bytes_read[1]);
    context.say(&format!("{:.2} s, {read} read, process peak {}", report.seconds, human(report.peak_memory)));
    if context.json {
        print::json(&report.to_json());
    }
    Ok(Outcome::of(report.outputs.iter().map(|output| output.failed.len()).sum()))
}

/// The command as it was given; hrefs in it without secrets.
fn command() -> String {
    let one = |word: String| match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => format!("{name}={}", report::shown(value)),
        _ => report::shown(&word),
    };
    std::env::args().skip(1).map(one).fold("outcrop".to_owned(), |line, word| format!("{line} {word}"))
}

fn report_text(report: &Report, file: &str) -> Result<String, Failure> {
    match file.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => Ok(report.to_html()),
        Some("txt") => Ok(report.to_text()),
        Some("json") => Ok(format!("{}\n", report.to_json())),
        _ => Err(Failure::usage(format!("`{file}` is none of .html, .txt and .json"), "name a file that ends so")),
    }
}

fn put(file: &str, text: &str) -> Result<(), Failure> {
    let mut staged = publish::Staged::create(Path::new(file))?;
    staged.write(text.as_bytes())?;
    staged.finish()?;
    Ok(())
}

fn tell(context: &Context, output: &Written) {
    if let Some(values) = output.values.as_ref().filter(|_| !context.json) {
        print::data(&format!("{} = {values}\n", output.of));
        return;
    }
    let Some(to) = &output.to else { return };
    let [run, skipped] = output.tasks;
    let earlier = if skipped > 0 { format!(", {skipped} were done by an earlier run") } else { String::new() };
    let part = match (output.failed.is_empty(), output.complete) {
        (true, true) => "",
        (true, false) => "; other parts are to come",
        (false, _) => ", which is not put in place",
    };
    let shape = output.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    context.say(&format!("{}: {shape} {}, {run} tasks{earlier} -> {to}{part}", output.of, output.dtype));
    for failed in output.failed.iter().take(NAMED) {
        print::note(&format!("failed: {} {failed}", output.of));
    }
    if !output.failed.is_empty() {
        let all = output.failed.len();
        let more = if all > NAMED { " (--report names more)" } else { "" };
        print::note(&format!(
            "hint: {all} tasks failed{more}; mend or fetch what they read and run the same command, which computes what is missing"
        ));
    }
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
    put(file, &text)
}
