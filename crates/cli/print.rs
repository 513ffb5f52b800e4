//! The only place that prints: data to stdout, everything else to stderr.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use crate::failure::{Failure, hint};

/// Writes data to stdout; a closed pipe ends the program quietly, anything else is an error.
pub(crate) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            note(&format!("error: cannot write to stdout\n  because: {error}"));
            std::process::exit(2);
        }
    }
}

/// Writes a value as one line of JSON.
pub(crate) fn json(value: &serde_json::Value) {
    data(&format!("{value}\n"));
}

/// Writes a line for the person at the terminal; where stderr is gone nobody reads it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Names a thing that failed while the rest went on.
pub(crate) fn failed(what: &str, error: &(dyn Error + 'static)) {
    note(&format!("failed: {what}: {}", chain(error).join(": ")));
}

/// Prints an error with its causes and the next step.
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Error(error) => {
            note(&format!("error: {}", chain(error.as_ref()).join("\n  because: ")));
            if let Some(hint) = hint(error.as_ref()) {
                note(&format!("hint: {hint}"));
            }
        }
        Failure::Usage { message, hint } => note(&format!("error: {message}\nhint: {hint}")),
        Failure::Signal(_) => {
            note("interrupted: nothing unfinished was left under a final name; run the same command to go on");
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
