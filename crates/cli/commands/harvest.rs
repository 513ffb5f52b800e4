//! `outcrop harvest`.

use outcrop_catalog::{HarvestOptions, IndexOptions, Source, harvest, index, index_path};
use outcrop_stac::Layout;
use serde_json::json;

use super::{folder, search_options, source};
use crate::args::HarvestArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &HarvestArgs) -> Result<Outcome, Failure> {
    let (from, to) = (source(&args.source)?, folder(&args.to)?);
    let layout = Layout::parse(args.layout.as_deref().unwrap_or_default());
    let options = HarvestOptions {
        items: search_options(&args.selection)?,
        layout: layout.map_err(outcrop_catalog::Error::from)?,
        id: args.id.clone(),
        flat: args.flat,
        progress: context.progress.sink(),
    };
    let report = context.wait(async {
        let report = harvest(&context.store, &from, &to, &options).await?;
        let made = Source { href: to.clone(), id: None };
        if let Some(path) = index_path(&made).filter(|_| args.index) {
            index(&context.store, &made, &IndexOptions::default(), &path).await?;
        }
        Ok::<_, Failure>(report)
    })?;
    for error in &report.failed {
        print::failed(&args.source, error);
    }
    if context.json {
        let summary = json!({"catalog": to.to_string(), "items": report.items, "documents": report.documents,
            "failed": report.failed.len()});
        print::json(&summary);
    } else {
        context.say(&format!("{} items, {} documents in {to}", report.items, report.documents));
    }
    Ok(Outcome::of(report.failed.len()))
}
