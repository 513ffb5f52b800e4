//! The command `outcrop`: parse, call one library function, print, exit code.

/// The system's gives large pieces back at once, and takes them anew page by page: a third of the time of work on large arrays.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod args;
mod commands;
mod context;
mod demo;
mod events;
mod failure;
mod print;
mod progress;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;
use context::Context;
use failure::{Failure, Outcome};

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(words(std::env::args_os().collect()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return print::failure(&Failure::from(error)),
    };
    let context = match Context::new(&arguments, runtime.handle().clone()) {
        Ok(context) => context,
        Err(error) => return print::failure(&error),
    };
    context.watch_signals();
    let result = dispatch(&context, arguments.command);
    context.progress.clear();
    match result {
        // Files that are being published get the time to be whole or gone.
        Err(Failure::Signal(_)) => runtime.shutdown_timeout(std::time::Duration::from_secs(3)),
        _ => runtime.shutdown_background(),
    }
    match result {
        Ok(outcome) => outcome.exit_code(),
        Err(failure) => print::failure(&failure),
    }
}

/// The words of the command line; `run FILE.toml` is short for `run program FILE.toml`.
fn words(mut all: Vec<OsString>) -> Vec<OsString> {
    let is_flag = |word: &OsString| word.to_string_lossy().starts_with('-');
    let command = all.iter().skip(1).position(|word| !is_flag(word)).map_or(0, |at| at + 1);
    let is_program = |word: &OsString| word.to_string_lossy().ends_with(".toml");
    if all.get(command).is_some_and(|word| word == "run") && all.get(command + 1).is_some_and(is_program) {
        all.insert(command + 1, "program".into());
    }
    all
}

fn dispatch(context: &Context, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Build(args) => commands::build::run(context, &args),
        Command::Harvest(args) => commands::harvest::run(context, &args),
        Command::Validate(args) => commands::validate::run(context, &args),
        Command::Migrate(args) => commands::migrate::run(context, &args),
        Command::Describe(args) => commands::describe::run(context, &args),
        Command::Search(args) => commands::search::run(context, &args),
        Command::Collections(args) => commands::collections::run(context, &args),
        Command::Index(args) => commands::index::run(context, &args),
        Command::Fetch(args) => commands::fetch::run(context, &args),
        Command::Doctor(args) => commands::doctor::run(context, &args),
        Command::Info(args) => commands::info::run(context, &args),
        Command::Convert(args) => commands::convert::run(context, &args),
        Command::Run(args) => commands::run::run(context, &args),
        Command::Plot(args) => commands::plot::run(context, &args),
        Command::Serve(args) => commands::serve::run(context, &args),
        Command::Demo(args) => demo::run(context, &args),
    }
}
