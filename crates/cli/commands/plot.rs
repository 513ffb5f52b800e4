//! `outcrop plot`.

use outcrop_pipelines::plot::{PlotOptions, plot};
use outcrop_store::Href;
use serde_json::json;

use super::located;
use crate::args::PlotArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

pub(crate) fn run(context: &Context, args: &PlotArgs) -> Result<Outcome, Failure> {
    let options = PlotOptions {
        variable: args.var.clone(),
        isel: pairs("--isel", &args.isel)?,
        sel: pairs("--sel", &args.sel)?,
        title: args.title.clone(),
    };
    let drawn = plot(&context.store, &located(&Href::parse(&args.href)?), &options)?;
    let to = Href::parse(&args.output)?.absolute();
    context.wait(context.store.put(&to, drawn.png.into()))?;
    if context.json {
        print::json(&json!({"title": drawn.title, "output": to.to_string()}));
    } else {
        context.say(&format!("drew {} to {}", drawn.title, args.output));
    }
    Ok(Outcome::Done)
}

/// `DIM=VALUE` arguments.
fn pairs(flag: &str, texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &String| {
        let (dim, value) = text.split_once('=')?;
        Some((dim.trim().to_owned(), value.trim().to_owned()))
    };
    let wrong = |text: &String| {
        Failure::usage(format!("`{flag} {text}` is not DIM=VALUE"), format!("write it like `{flag} time=0`"))
    };
    texts.iter().map(|text| pair(text).ok_or_else(|| wrong(text))).collect()
}
