//! `outcrop migrate`.

use std::path::Path;

use outcrop_catalog::{MigrateReport, migrate_in_place, migrate_items};
use outcrop_store::publish::Staged;
use serde_json::json;

use super::source;
use crate::args::MigrateArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &MigrateArgs) -> Result<Outcome, Failure> {
    let from = source(&args.source)?;
    let report = match &args.output {
        Some(file) => to_file(context, &from, file)?,
        None => context.wait(async { Ok::<_, Failure>(migrate_in_place(&context.store, &from).await?) })?,
    };
    for (document, why) in &report.told {
        print::note(&format!("{document}: {why}"));
    }
    for error in &report.failed {
        print::failed(&args.source, error);
    }
    let MigrateReport { documents, changed, failed, .. } = &report;
    if context.json {
        print::json(&json!({"documents": documents, "changed": changed, "failed": failed.len()}));
    } else {
        context.say(&format!("{documents} documents, {changed} changed"));
    }
    Ok(Outcome::of(failed.len()))
}

/// Items a line each, or as one collection of items where the file is named `.json`.
fn to_file(context: &Context, from: &outcrop_catalog::Source, file: &str) -> Result<MigrateReport, Failure> {
    let is_collection = file.ends_with(".json") || file.ends_with(".geojson");
    let mut staged = Staged::create(Path::new(file))?;
    let mut is_first = true;
    let report = context.wait(async {
        migrate_items::<Failure>(&context.store, from, |item| {
            let start = match (is_collection, is_first) {
                (false, _) => "",
                (true, true) => "{\"type\":\"FeatureCollection\",\"features\":[\n",
                (true, false) => ",\n",
            };
            is_first = false;
            staged.write(start.as_bytes())?;
            staged.write(item.as_bytes())?;
            if !is_collection {
                staged.write(b"\n")?;
            }
            Ok(())
        })
        .await
    })?;
    if is_collection {
        let start: &[u8] = if is_first { b"{\"type\":\"FeatureCollection\",\"features\":[" } else { b"" };
        staged.write(start)?;
        staged.write(b"\n]}\n")?;
    }
    staged.finish()?;
    Ok(report)
}
