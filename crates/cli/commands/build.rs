//! `outcrop build`.

use outcrop_catalog::{BuildOptions, Recipe, Renewal, build};
use outcrop_compute::human;
use outcrop_store::Href;
use serde_json::json;

use super::folder;
use crate::args::BuildArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &BuildArgs) -> Result<Outcome, Failure> {
    let mut recipe = context.wait(Recipe::read(&context.store, &Href::parse(&args.recipe)?.absolute()))?;
    if let Some(listing) = &args.listing
        && !recipe.take_from(&Href::parse(listing)?.absolute())
    {
        let next = "its hrefs follow from [variables]; give it a [listing], a [table] or [stac]";
        return Err(Failure::usage("--listing is for recipes that list their files", next));
    }
    let to = folder(args.to.as_deref().unwrap_or(&recipe.id))?;
    let options = BuildOptions {
        progress: context.progress.sink(),
        references: args.references,
        renewal: match (args.update, args.prune) {
            (true, true) => Renewal::ChangedAndGone,
            (true, false) => Renewal::Changed,
            _ => Renewal::All,
        },
        index: args.index,
        ..BuildOptions::default()
    };
    let report = context.wait(build(&context.store, &recipe, &to, &options))?;
    for failed in &report.failed {
        print::failed(&failed.what, &failed.why);
    }
    if context.json {
        print::json(&json!({
            "catalog": to.to_string(), "items": report.items, "assets": report.assets, "documents": report.documents,
            "unchanged": report.unchanged, "kept": report.kept, "removed": report.removed, "failed": report.failed.iter().map(|f| &f.what).collect::<Vec<_>>(),
            "seconds": report.seconds, "bytes_read": report.bytes_read,
        }));
    } else {
        context.say(&format!(
            "built {to}{}: {} items, {} assets, {} documents ({} unchanged){}, {} read, {:.2} s",
            if recipe.collection.is_some() { "collection.json" } else { "catalog.json" },
            report.items,
            report.assets,
            report.documents,
            report.unchanged,
            if args.prune { format!(", {} items removed", report.removed) } else { String::new() },
            human(report.bytes_read),
            report.seconds
        ));
    }
    Ok(Outcome::of(report.failed.len()))
}
