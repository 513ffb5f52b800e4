//! `outcrop index`.

use std::path::PathBuf;

use outcrop_catalog::{IndexOptions, index, index_path};
use outcrop_compute::human;
use serde_json::json;

use super::{search_options, source};
use crate::args::IndexArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &IndexArgs) -> Result<Outcome, Failure> {
    let from = source(&args.source)?;
    let options = IndexOptions { items: search_options(&args.selection)?, update: args.update };
    let no_file = || Failure::usage("no file to write", "name one with -o items.parquet");
    let to = args.output.as_ref().map(PathBuf::from).or_else(|| index_path(&from)).ok_or_else(no_file)?;
    let report = context.wait(async { Ok::<_, Failure>(index(&context.store, &from, &options, &to).await?) })?;
    for error in &report.failed {
        print::failed(&args.source, error);
    }
    let written = report.written;
    if context.json {
        let summary = json!({"items": written.items, "bytes": written.bytes, "kept": written.kept,
            "failed": report.failed.len(), "output": to, "of_catalog": report.is_of_catalog});
        print::json(&summary);
    } else {
        let use_of_it = if report.is_of_catalog { "; searches of the catalog use it" } else { "" };
        context.say(&format!("{} items, {} in {}{use_of_it}", written.items, human(written.bytes), to.display()));
    }
    Ok(Outcome::of(report.failed.len()))
}
