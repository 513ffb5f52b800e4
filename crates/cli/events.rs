//! What happens, a line of JSON each, for programs that watch.

use std::collections::HashMap;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use outcrop_store::progress::{Event, Unit};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::print;

/// Least time between two lines on how far one piece of work is.
const EVERY: Duration = Duration::from_millis(500);

/// A piece of work that goes on.
struct Piece {
    done: u64,
    total: Option<u64>,
    said: Instant,
}

struct State {
    path: String,
    file: Option<LineWriter<File>>,
    pieces: HashMap<u64, Piece>,
}

/// The stream of events. Clones write to the same file.
#[derive(Clone)]
pub(crate) struct Events(Arc<Mutex<State>>);

impl Events {
    /// Opens the file; what is in it is replaced. `-` is not a file: stdout is for results.
    pub(crate) fn create(path: &str) -> Result<Self, Failure> {
        let failed = |e| Failure::usage(format!("cannot write `{path}`: {e}"), "name a file, a pipe or /dev/stderr");
        let file = Some(LineWriter::new(File::create(path).map_err(failed)?));
        Ok(Self(Arc::new(Mutex::new(State { path: path.to_owned(), file, pieces: HashMap::new() }))))
    }

    /// A line of its own kind.
    pub(crate) fn tell(&self, event: &str, fields: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(event, fields);
    }

    pub(crate) fn progress(&self, event: &Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begin { task, label, total, unit } => {
                let piece = Piece { done: 0, total: *total, said: Instant::now() };
                state.pieces.insert(*task, piece);
                let unit = if *unit == Unit::Bytes { "bytes" } else { "count" };
                state.write("begin", json!({"task": task, "label": label, "total": total, "unit": unit}));
            }
            Event::Total { task, total } => {
                if let Some(piece) = state.pieces.get_mut(task) {
                    piece.total = Some(*total);
                }
            }
            Event::Advance { task, by } => {
                let Some(piece) = state.pieces.get_mut(task) else { return };
                piece.done += by;
                if piece.said.elapsed() >= EVERY {
                    piece.said = Instant::now();
                    let fields = json!({"task": task, "done": piece.done, "total": piece.total});
                    state.write("progress", fields);
                }
            }
            Event::Restart { task } => {
                if let Some(piece) = state.pieces.get_mut(task) {
                    piece.done = 0;
                    state.write("restart", json!({"task": task}));
                }
            }
            Event::End { task } => {
                if let Some(piece) = state.pieces.remove(task) {
                    state.write("end", json!({"task": task, "done": piece.done, "total": piece.total}));
                }
            }
            _ => {}
        }
    }
}

impl State {
    fn write(&mut self, event: &str, mut fields: Value) {
        let Some(file) = &mut self.file else { return };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut line = json!({"event": event, "time": now.as_secs_f64()});
        if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object_mut()) {
            line.append(fields);
        }
        if let Err(error) = writeln!(file, "{line}") {
            // The work is worth more than the tale of it.
            print::note(&format!("warning: no more events are written to {}: {error}", self.path));
            self.file = None;
        }
    }
}
