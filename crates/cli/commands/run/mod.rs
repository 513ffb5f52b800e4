//! `outcrop run`: one file a pipeline.

mod das;
mod heat_index;
mod program;
pub(crate) mod spring_index;

use outcrop_compute::fold::RunReport;
use outcrop_compute::{Executor, RunOptions, parse_bytes};
use outcrop_pipelines::items::find;
use outcrop_pipelines::register::Inputs;

use super::{search_options, source};
use crate::args::{ExecutorName, Limits, RunArgs, RunPipeline, Selection};
use crate::context::Context;
use crate::failure::{Failure, Outcome};

pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<Outcome, Failure> {
    match &args.pipeline {
        RunPipeline::SpringIndex(args) => spring_index::run(context, args),
        RunPipeline::Das(args) => das::run(context, args),
        RunPipeline::Program(args) => program::run(context, args),
        RunPipeline::HeatIndex(args) => heat_index::run(context, args),
    }
}

/// The limits as the library takes them.
pub(crate) fn run_options(context: &Context, limits: &Limits) -> Result<RunOptions, Failure> {
    let memory = match &limits.memory {
        None => 0,
        Some(text) => parse_bytes(text)
            .ok_or_else(|| Failure::usage(format!("`{text}` is not a size"), "write it like 500MB or 2GiB"))?,
    };
    let executor = match limits.executor {
        ExecutorName::Threads => Executor::Threads,
        ExecutorName::Serial => Executor::Serial,
    };
    Ok(RunOptions {
        threads: limits.threads,
        memory,
        executor,
        progress: context.progress.sink(),
        interrupt: context.interrupt.clone(),
        ..RunOptions::default()
    })
}

/// Says what an earlier run had done that was killed.
fn tell_resumed(context: &Context, run: &RunReport) {
    if run.resumed > 0 {
        let done = run.resumed;
        context.say(&format!("went on where an earlier run ended: {done} of {} steps were done", run.of_steps));
    }
}

/// The items of a source, if one is named; what selects among items selects nothing without.
fn items(context: &Context, named: Option<&str>, selection: &Selection) -> Result<Vec<Inputs>, Failure> {
    let Some(named) = named else {
        return if is_plain(selection) {
            Ok(Vec::new())
        } else {
            Err(Failure::usage("only items can be searched", "name them with --items"))
        };
    };
    let (from, wanted) = (source(named)?, search_options(selection)?);
    context.wait(find(&context.store, &from, &wanted))
}

/// True if nothing is selected.
fn is_plain(selection: &Selection) -> bool {
    let Selection { ids, collections, bbox, intersects, datetime, filter, query, max_items } = selection;
    let lists = ids.is_empty() && collections.is_empty() && query.is_empty();
    lists && [bbox, intersects, datetime, filter].iter().all(|text| text.is_none()) && max_items.is_none()
}
