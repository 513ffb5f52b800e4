//! `outcrop index`.

use outcrop_catalog::index;
use serde_json::json;

use super::{search_options, source};
use crate::args::IndexArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &IndexArgs) -> Result<Outcome, Failure> {
    let (from, options) = (source(&args.source)?, search_options(&args.selection)?);
    let to = match (&args.output, from.href.to_path()) {
        (Some(output), _) => std::path::PathBuf::from(output),
        (None, Some(folder)) if folder.is_dir() => folder.join("items.parquet"),
        _ => return Err(Failure::usage("no file to write", "name one with -o items.parquet")),
    };
    let report = context.wait(async { Ok::<_, Failure>(index(&context.store, &from, &options, &to).await?) })?;
    for error in &report.failed {
        print::failed(&args.source, error);
    }
    let written = report.written;
    if context.json {
        let summary =
            json!({"items": written.items, "bytes": written.bytes, "failed": report.failed.len(), "output": to});
        print::json(&summary);
    } else {
        context.say(&format!("{} items, {} bytes in {}", written.items, written.bytes, to.display()));
    }
    Ok(Outcome::of(report.failed.len()))
}
