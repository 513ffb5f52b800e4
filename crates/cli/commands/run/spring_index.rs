//! `outcrop run spring-index`.

use std::sync::atomic::Ordering;

use futures::StreamExt;
use outcrop_catalog::search;
use outcrop_compute::{Checkpoints, EarlyEnd, OpenOptions, RunOptions, human, open_dataset, peak};
use outcrop_formats::zarr::ZarrFormat;
use outcrop_pipelines::register::{self, Inputs, Registration};
use outcrop_pipelines::spring_index::{
    ResultOptions, ResultWriter, SpringIndex, SpringIndexOptions, SpringReport, parse_plants,
};
use outcrop_store::Href;
use serde_json::{Value, json};

use super::super::{folder, search_options, source};
use super::run_options;
use crate::args::SpringIndexArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// What became of the items.
pub(crate) struct Computed {
    pub(crate) done: Vec<Registration>,
    pub(crate) failed: Vec<(String, Failure)>,
    /// A machine-readable summary, or the plan, of each.
    summaries: Vec<Value>,
}

pub(crate) fn run(context: &Context, args: &SpringIndexArgs) -> Result<Outcome, Failure> {
    let mut computed = compute(context, args)?;
    let none_done = computed.summaries.is_empty();
    if none_done
        && computed.failed.len() == 1
        && let Some((_, only)) = computed.failed.pop()
    {
        return Err(only);
    }
    let Computed { done, failed, summaries } = computed;
    if let Some(catalog) = args.catalog.as_deref().filter(|_| !done.is_empty()) {
        let catalog = folder(catalog)?;
        context.wait(register::register(&context.store, &catalog, &done))?;
        context.say(&format!("registered {} items in {catalog}catalog.json", done.len()));
    }
    if context.json || args.limits.plan {
        let failed: Vec<&String> = failed.iter().map(|(id, _)| id).collect();
        match summaries.as_slice() {
            [only] if args.limits.plan && failed.is_empty() => print::json(only),
            _ => print::json(&json!({"items": summaries, "failed": failed})),
        }
    }
    if none_done {
        return Err(Failure::usage(
            "no item could be computed",
            "the reasons are above; `outcrop info` shows what a file holds",
        ));
    }
    Ok(Outcome::of(failed.len()))
}

/// Computes the items, one after the other; each that fails is named, unless it is the only one.
pub(crate) fn compute(context: &Context, args: &SpringIndexArgs) -> Result<Computed, Failure> {
    let job = Job::new(context, args)?;
    let mut computed = Computed { done: Vec::new(), failed: Vec::new(), summaries: Vec::new() };
    let (items, unread) = job.inputs()?;
    let alone = items.len() + unread.len() == 1;
    let mut fail = |id: String, failure: Failure| {
        if let (Failure::Error(error), false) = (&failure, alone) {
            print::failed(&id, error.as_ref());
        }
        computed.failed.push((id, failure));
    };
    for failure in unread {
        fail(args.items.clone(), failure);
    }
    for item in &items {
        let group = register::group_of(item, &items);
        match job.item(item, &group) {
            Ok((registration, summary)) => {
                computed.done.extend(registration);
                computed.summaries.push(summary);
            }
            Err(Failure::Error(error)) if !context.interrupt.load(Ordering::SeqCst) => {
                fail(item.id.clone(), Failure::Error(error));
            }
            Err(Failure::Error(_)) => return Err(context.interrupted()),
            Err(other) => return Err(other),
        }
    }
    Ok(computed)
}

struct Job<'a> {
    context: &'a Context,
    args: &'a SpringIndexArgs,
    options: SpringIndexOptions,
    run: RunOptions,
    to: Href,
}

impl<'a> Job<'a> {
    fn new(context: &'a Context, args: &'a SpringIndexArgs) -> Result<Self, Failure> {
        if args.end_day < args.start_day {
            let message = format!("--end-day {} is before --start-day {}", args.end_day, args.start_day);
            return Err(Failure::usage(message, "days are counted from 1, both are included"));
        }
        let options = SpringIndexOptions {
            plants: parse_plants(args.plants.iter().map(String::as_str))?,
            coarsen: args.coarsen,
            start_day: args.start_day,
            end_day: args.end_day,
        };
        let run = RunOptions {
            early_end: if args.no_early_end { EarlyEnd::Never } else { EarlyEnd::Settled },
            ..run_options(context, &args.limits)?
        };
        Ok(Self { context, args, options, run, to: folder(&args.to)? })
    }

    /// The items, and why others could not be had.
    fn inputs(&self) -> Result<(Vec<Inputs>, Vec<Failure>), Failure> {
        let (from, wanted) = (source(&self.args.items)?, search_options(&self.args.selection)?);
        let found = search(&self.context.store, &from, &wanted);
        let found = found.map(|node| node.map_err(Failure::from).and_then(|node| Ok(Inputs::of(&node.document)?)));
        let found: Vec<_> = self.context.wait(async { Ok::<_, Failure>(found.collect().await) })?;
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for result in found {
            match result {
                Ok(item) => items.push(item),
                Err(failure) => failed.push(failure),
            }
        }
        if items.is_empty() && failed.is_empty() {
            let message = format!("no item of `{}` fits", self.args.items);
            return Err(Failure::usage(message, "try `outcrop search` with the same options"));
        }
        Ok((items, failed))
    }

    /// Computes one item, or only plans it; with a summary.
    fn item(&self, item: &Inputs, group: &str) -> Result<(Option<Registration>, Value), Failure> {
        let start = std::time::Instant::now();
        let before = self.context.store.stats();
        let hrefs = item.hrefs_to_open(&SpringIndex::VARIABLES)?;
        let open = OpenOptions::of(&SpringIndex::VARIABLES);
        let dataset = self.context.wait(open_dataset(&self.context.store, &hrefs, &open))?;
        let index = SpringIndex::new(&dataset, self.options.clone())?;
        if self.args.limits.plan {
            let mut plan = serde_json::to_value(index.summary(&self.run)?)?;
            plan["item"] = json!(item.id);
            return Ok((None, plan));
        }
        let format = if self.args.zarr_format == 2 { ZarrFormat::V2 } else { ZarrFormat::V3 };
        // Before anything is written: does the plan fit the memory?
        index.plan().bound(&self.run)?;
        let result = ResultOptions {
            root: self.to.to_path().unwrap_or_default(),
            group: group.to_owned(),
            format,
            item: item.id.clone(),
        };
        result.check_owner(&self.context.store)?;
        for assumed in index.assumed() {
            self.context.say(&format!("{}: assumed, {assumed}", item.id));
        }
        let states = result.states();
        let run = RunOptions { checkpoints: Some(Checkpoints::of(states)), ..self.run.clone() };
        let report = index.run(&run, ResultWriter::create(&index, &result)?)?;
        super::tell_resumed(self.context, &report.run);
        let after = self.context.store.stats();
        let read = after.local_bytes + after.remote_bytes - before.local_bytes - before.remote_bytes;
        let costs = (read, index.plan().stored_bytes(), start.elapsed().as_secs_f64());
        let summary = self.tell(item, group, &report, costs);
        let (source, zarr, group) = (item.clone(), self.to.clone(), group.to_owned());
        Ok((Some(Registration { source, zarr, group, format, map: None }), summary))
    }

    fn tell(
        &self,
        item: &Inputs,
        group: &str,
        report: &SpringReport,
        (read, stored, seconds): (u64, u64, f64),
    ) -> Value {
        let run = &report.run;
        let range =
            report.range.map_or("no first leaf".to_owned(), |(a, b)| format!("first leaf on days {a:.0} to {b:.0}"));
        if !self.context.json {
            self.context.say(&format!(
                "{}: {range} in {} of {} cells; {} of {} days, {} read (all chunks: {}), {seconds:.2} s, \
                 arrays within {}, process peak {} -> {}{group}",
                item.id,
                report.cells,
                report.of_cells,
                run.steps,
                run.of_steps,
                human(read),
                human(stored),
                human(run.bound.total()),
                human(peak()),
                self.to,
            ));
        }
        json!({
            "item": item.id, "zarr": self.to.to_string(), "group": group, "seconds": seconds,
            "days_read": run.steps, "of_days": run.of_steps, "columns": run.columns,
            "columns_ended_early": run.ended_early, "bytes_read": read, "chunk_bytes": stored,
            "memory_bound": run.bound.total(), "peak_memory": peak(),
            "cells": report.cells, "of_cells": report.of_cells,
            "first_leaf": report.range.map(|(first, last)| [first, last]),
        })
    }
}
