//! The only place that prints: data to stdout, everything else to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is the purpose of this file")]

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use crate::failure::{Failure, hint};

/// Writes data to stdout; a closed pipe ends the program quietly.
pub(crate) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes a value as one line of JSON.
pub(crate) fn json(value: &serde_json::Value) {
    println!("{value}");
}

/// Writes a line for the person at the terminal.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Names a thing that failed while the rest went on.
pub(crate) fn failed(what: &str, error: &(dyn Error + 'static)) {
    eprintln!("failed: {what}: {}", chain(error).join(": "));
}

/// Prints an error with its causes and the next step.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Error(error) => {
            let causes = chain(error.as_ref());
            eprintln!("error: {}", causes.join("\n  because: "));
            if let Some(hint) = hint(error.as_ref()) {
                eprintln!("hint: {hint}");
            }
        }
        Failure::Usage { message, hint } => eprintln!("error: {message}\nhint: {hint}"),
        Failure::Signal(_) => {
            eprintln!("interrupted: nothing unfinished was left under a final name; run the same command to go on");
        }
    }
    failure.exit_code()
}

/// An error and its causes, without repetitions.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !causes.last().is_some_and(|last| last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}
