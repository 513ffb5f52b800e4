//! `outcrop describe`.

use outcrop_catalog::describe;
use serde_json::json;

use super::source;
use crate::args::DescribeArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &DescribeArgs) -> Result<Outcome, Failure> {
    let href = source(&args.catalog)?.href;
    let description = context.wait(describe(&context.store, &href))?;
    for error in &description.failed {
        print::failed(&args.catalog, error);
    }
    if context.json {
        let assets = description.assets.iter().map(|(key, asset)| {
            (key.clone(), json!({"count": asset.count, "media_types": asset.media_types, "size": asset.size_bytes}))
        });
        print::json(&json!({
            "id": description.branches.first().map(|root| &root.id),
            "catalogs": description.branches.len(),
            "items": description.items,
            "bbox": description.bbox.map(outcrop_grid::BBox::to_array),
            "assets": assets.collect::<serde_json::Map<_, _>>(),
            "failed": description.failed.len(),
        }));
    } else {
        print::data(&description.to_text());
    }
    Ok(Outcome::of(description.failed.len()))
}
