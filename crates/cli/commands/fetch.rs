//! `outcrop fetch`.

use outcrop_catalog::search;
use outcrop_compute::human;
use outcrop_fetcher::{FetchOptions, FetchReport, Target, fetch};
use serde_json::json;

use super::{folder, search_options, source};
use crate::args::FetchArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &FetchArgs) -> Result<Outcome, Failure> {
    if args.assets.iter().any(String::is_empty) {
        return Err(Failure::usage("an asset key is empty", "`outcrop describe` lists the keys"));
    }
    let (from, options) = (source(&args.source)?, search_options(&args.selection)?);
    let target = match &args.to {
        Some(to) if !args.in_place => Target::Folder(folder(to)?),
        Some(_) => return Err(Failure::usage("--to and --in-place exclude each other", "give one of them")),
        None => Target::InPlace,
    };
    let fetching = FetchOptions {
        jobs: args.jobs,
        dry_run: args.dry_run,
        progress: context.progress.sink(),
        ..FetchOptions::new(args.assets.clone(), target)
    };
    let mut report = context.wait(fetch(&context.store, search(&context.store, &from, &options), &fetching))?;
    if report.items == 0
        && report.failed.len() == 1
        && report.failed[0].item.is_empty()
        && let Some(only) = report.failed.pop()
    {
        return Err(only.why.into());
    }
    tell(context, args, &report);
    Ok(Outcome::of(report.failed.len()))
}

fn tell(context: &Context, args: &FetchArgs, report: &FetchReport) {
    for failure in &report.failed {
        let name = [failure.item.as_str(), failure.asset.as_str(), failure.href.as_str()];
        let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
        let name = if name.is_empty() { args.source.clone() } else { name.join(" ") };
        print::failed(&name, &failure.why);
    }
    if context.json {
        let failed = report
            .failed
            .iter()
            .map(|f| json!({"item": f.item, "asset": f.asset, "href": f.href, "why": print::chain(&f.why).join(": ")}));
        print::json(&json!({
            "items": report.items, "copied": report.copied, "skipped": report.skipped, "bytes": report.bytes,
            "seconds": report.seconds, "dry_run": args.dry_run, "failed": failed.collect::<Vec<_>>(),
        }));
        return;
    }
    let verb = if args.dry_run { "would copy" } else { "copied" };
    let to = args.to.as_deref().unwrap_or("their items");
    context.say(&format!(
        "{verb} {} files ({}) of {} items to {to}, {} there already, {} failed, {:.2} s",
        report.copied,
        human(report.bytes),
        report.items,
        report.skipped,
        report.failed.len(),
        report.seconds
    ));
}
