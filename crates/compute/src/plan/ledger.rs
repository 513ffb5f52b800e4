//! What became of the tasks of a run that goes on where one fails.

use std::error::Error as _;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::Error;

/// Failures that are kept with their reasons; more end the run, as something else is wrong then.
const MOST: usize = 1000;

/// A window that could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedWindow {
    /// From and before, along each dimension.
    pub window: Vec<Range<u64>>,
    /// Why, with its causes.
    pub why: String,
}

impl std::fmt::Display for FailedWindow {
    /// `[0:4, 10:20]: why`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place(), self.why)
    }
}

impl FailedWindow {
    /// The window as it is written in a selection: `[0:4, 10:20]`.
    pub fn place(&self) -> String {
        let ranges: Vec<String> = self.window.iter().map(|range| format!("{}:{}", range.start, range.end)).collect();
        format!("[{}]", ranges.join(", "))
    }
}

/// The windows that failed in a run. A run that has one goes on where what a task reads cannot be had or decoded; all other errors end it.
#[derive(Debug, Default)]
pub struct Ledger {
    failed: Mutex<Vec<FailedWindow>>,
}

impl Ledger {
    /// The windows that failed, in the order of their positions.
    pub fn failed(&self) -> Vec<FailedWindow> {
        let mut all = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(|a, b| {
            let start = |one: &FailedWindow| one.window.iter().map(|range| range.start).collect::<Vec<_>>();
            start(a).cmp(&start(b))
        });
        all
    }

    /// Notes a failure of what a task reads.
    ///
    /// # Errors
    /// The failure, if it is another one or there are too many.
    pub(super) fn note(&self, window: &[Range<u64>], error: Error) -> Result<(), Error> {
        let is_of_input = matches!(error, Error::Chunk { .. } | Error::Store(_) | Error::Open { .. });
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_of_input || failed.len() >= MOST {
            return Err(error);
        }
        let (mut why, mut cause) = (error.to_string(), error.source());
        while let Some(next) = cause {
            let text = next.to_string();
            if !why.contains(&text) {
                why = format!("{why}: {text}");
            }
            cause = next.source();
        }
        failed.push(FailedWindow { window: window.to_vec(), why });
        Ok(())
    }
}
