//! `outcrop run`.

use futures::TryStreamExt;
use outcrop_catalog::search;
use outcrop_compute::fold::{EarlyEnd, Executor};
use outcrop_compute::{OpenOptions, RunOptions, human, open_dataset, parse_bytes, peak};
use outcrop_formats::zarr::ZarrFormat;
use outcrop_pipelines::register::{self, Inputs, Registration};
use outcrop_pipelines::spring_index::{
    ResultOptions, ResultWriter, SpringIndex, SpringIndexOptions, SpringReport, parse_plants,
};
use outcrop_store::Href;
use serde_json::json;

use super::{folder, search_options, source};
use crate::args::{ExecutorName, RunArgs};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<Outcome, Failure> {
    let (done, failed) = compute(context, args)?;
    if let Some(catalog) = args.catalog.as_deref().filter(|_| !done.is_empty()) {
        let catalog = folder(catalog)?;
        context.wait(register::register(&context.store, &catalog, &done))?;
        context.say(&format!("registered {} items in {catalog}catalog.json", done.len()));
    }
    if failed > 0 && done.is_empty() {
        return Err(Failure::usage(
            "no item could be computed",
            "the reasons are above; `outcrop info` shows what a file holds",
        ));
    }
    Ok(Outcome::of(failed))
}

/// Computes the items, one after the other: what was done, and how many failed (each was named).
pub(crate) fn compute(context: &Context, args: &RunArgs) -> Result<(Vec<Registration>, usize), Failure> {
    let job = Job::new(context, args)?;
    let (from, wanted) = (source(&args.items)?, search_options(&args.selection)?);
    let items: Vec<Inputs> = context.wait(async {
        let found = search(&context.store, &from, &wanted).map_err(Failure::from);
        found.and_then(|node| async move { Ok(Inputs::of(&node.document)?) }).try_collect().await
    })?;
    if items.is_empty() {
        return Err(Failure::usage(
            format!("no item of `{}` fits", args.items),
            "try `outcrop search` with the same options",
        ));
    }
    let mut done: Vec<Registration> = Vec::new();
    let mut failed = 0;
    for item in &items {
        let group = register::group_of(item, &items);
        match job.item(item, &group) {
            Ok(registration) => done.extend(registration),
            Err(Failure::Error(error)) if !context.interrupt.load(std::sync::atomic::Ordering::SeqCst) => {
                print::failed(&item.id, error.as_ref());
                failed += 1;
            }
            Err(Failure::Error(_)) => return Err(context.interrupted()),
            Err(other) => return Err(other),
        }
    }
    Ok((done, failed))
}

struct Job<'a> {
    context: &'a Context,
    args: &'a RunArgs,
    options: SpringIndexOptions,
    run: RunOptions,
    to: Href,
}

impl<'a> Job<'a> {
    fn new(context: &'a Context, args: &'a RunArgs) -> Result<Self, Failure> {
        let memory = match &args.memory {
            None => 0,
            Some(text) => parse_bytes(text)
                .ok_or_else(|| Failure::usage(format!("`{text}` is not a size"), "write it like 500MB or 2GiB"))?,
        };
        let options = SpringIndexOptions {
            plants: parse_plants(args.plants.iter().map(String::as_str))?,
            coarsen: args.coarsen,
            start_day: args.start_day,
            end_day: args.end_day,
        };
        let executor = match args.executor {
            ExecutorName::Threads => Executor::Threads,
            ExecutorName::Serial => Executor::Serial,
        };
        let run = RunOptions {
            threads: args.threads,
            memory,
            executor,
            early_end: if args.no_early_end { EarlyEnd::Never } else { EarlyEnd::Settled },
            progress: context.progress.sink(),
            interrupt: context.interrupt.clone(),
        };
        Ok(Self { context, args, options, run, to: folder(&args.to)? })
    }

    /// Computes one item; nothing for a plan that is only printed.
    fn item(&self, item: &Inputs, group: &str) -> Result<Option<Registration>, Failure> {
        let start = std::time::Instant::now();
        let before = self.context.store.stats();
        let hrefs = item.hrefs(&SpringIndex::VARIABLES)?;
        let open = OpenOptions { variables: SpringIndex::VARIABLES.map(str::to_owned).into() };
        let dataset = self.context.wait(open_dataset(&self.context.store, &hrefs, &open))?;
        let index = SpringIndex::new(&dataset, self.options.clone())?;
        if self.args.plan {
            let mut plan = serde_json::to_value(index.summary(&self.run)?)?;
            plan["item"] = json!(item.id);
            print::json(&plan);
            return Ok(None);
        }
        let format = if self.args.zarr_format == 2 { ZarrFormat::V2 } else { ZarrFormat::V3 };
        // Before anything is written: does the plan fit the memory?
        index.plan().bound(&self.run)?;
        let result = ResultOptions { root: self.to.to_path().unwrap_or_default(), group: group.to_owned(), format };
        let report = index.run(&self.run, ResultWriter::create(&index, &result)?)?;
        let after = self.context.store.stats();
        let read = after.local_bytes + after.remote_bytes - before.local_bytes - before.remote_bytes;
        self.tell(item, group, &report, (read, index.plan().stored_bytes(), start.elapsed().as_secs_f64()));
        Ok(Some(Registration {
            source: item.clone(),
            zarr: self.to.clone(),
            group: group.to_owned(),
            format,
            map: None,
        }))
    }

    fn tell(&self, item: &Inputs, group: &str, report: &SpringReport, (read, stored, seconds): (u64, u64, f64)) {
        let run = &report.run;
        if self.context.json {
            print::json(&json!({
                "item": item.id, "zarr": self.to.to_string(), "group": group, "seconds": seconds,
                "days_read": run.steps, "of_days": run.of_steps, "columns": run.columns,
                "columns_ended_early": run.ended_early, "bytes_read": read, "chunk_bytes": stored,
                "memory_bound": run.bound.total(), "peak_memory": peak(),
                "cells": report.cells, "of_cells": report.of_cells,
                "first_leaf": report.range.map(|(first, last)| [first, last]),
            }));
            return;
        }
        let range =
            report.range.map_or("no first leaf".to_owned(), |(a, b)| format!("first leaf on days {a:.0} to {b:.0}"));
        self.context.say(&format!(
            "{}: {range} in {} of {} cells; {} of {} days, {} of {} read, {seconds:.2} s, memory {} (bound {}) -> {}{group}",
            item.id, report.cells, report.of_cells, run.steps, run.of_steps, human(read), human(stored),
            human(peak()), human(run.bound.total()), self.to,
        ));
    }
}
