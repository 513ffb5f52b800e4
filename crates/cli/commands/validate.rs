//! `outcrop validate`.

use outcrop_catalog::{Schemas, validate};
use serde_json::json;

use super::source;
use crate::args::ValidateArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &ValidateArgs) -> Result<Outcome, Failure> {
    let from = source(&args.source)?;
    let schemas = if args.online { Schemas::Online } else { Schemas::AtHand };
    let mut invalid = Vec::new();
    let told = |name: &str, found: Result<&[outcrop_stac::validate::Fault], &outcrop_catalog::Error>| match found {
        Ok(faults) if context.json => invalid.push(json!({"document": name, "faults": faults.iter().map(|fault| {
            json!({"field": fault.field, "expected": fault.expected, "schema": fault.schema})
        }).collect::<Vec<_>>()})),
        Ok(faults) => {
            print::data(&format!("{name}\n"));
            for fault in faults {
                print::data(&format!("  {fault}\n"));
            }
        }
        Err(error) => print::failed(name, error),
    };
    let validity = context.wait(async { Ok::<_, Failure>(validate(&context.store, &from, schemas, told).await?) })?;
    let valid = validity.documents.saturating_sub(validity.invalid + validity.unchecked);
    if context.json {
        print::json(&json!({"documents": validity.documents, "valid": valid, "invalid": invalid,
            "unchecked": validity.unchecked, "schemas_not_at_hand": validity.unknown}));
    } else {
        for (schema, count) in &validity.unknown {
            context.say(&format!(
                "not checked: `{schema}`, named by {count} documents, is not at hand; --online fetches it"
            ));
        }
        let unchecked = match validity.unchecked {
            0 => String::new(),
            count => format!(", {count} of a version that cannot be checked"),
        };
        context.say(&format!("{} documents: {valid} valid, {} not{unchecked}", validity.documents, validity.invalid));
    }
    Ok(Outcome::of(usize::try_from(validity.invalid + validity.unchecked).unwrap_or(usize::MAX)))
}
