//! Progress bars on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use outcrop_store::progress::{Event, Sink, Unit};

use crate::args::Arguments;
use crate::events::Events;
use crate::failure::Failure;
use crate::print;

/// Bars of all running pieces of work.
#[derive(Clone)]
pub(crate) struct Bars {
    multi: MultiProgress,
    quiet: bool,
    terminal: bool,
    events: Option<Events>,
}

/// Without a terminal, work that takes longer than this says so at its end.
const WORTH_A_LINE: Duration = Duration::from_secs(2);

struct Piece {
    bar: ProgressBar,
    label: String,
    start: Instant,
    done: u64,
    unit: Unit,
}

/// All transfers together.
#[derive(Default)]
struct Total {
    bar: Option<ProgressBar>,
    files: u64,
}

impl Bars {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let events = arguments.events.as_deref().map(Events::create).transpose()?;
        let terminal = std::io::stderr().is_terminal();
        Ok(Self { multi: MultiProgress::new(), quiet: arguments.quiet, terminal, events })
    }

    /// The stream of events, where one is written.
    pub(crate) fn events(&self) -> Option<&Events> {
        self.events.as_ref()
    }

    /// A sink that draws.
    pub(crate) fn sink(&self) -> Sink {
        if self.quiet {
            return self.events.clone().map_or_else(Sink::default, |all| Sink::new(move |event| all.progress(&event)));
        }
        let (bars, state) = (self.clone(), Arc::new(Mutex::new((HashMap::new(), Total::default()))));
        Sink::new(move |event| {
            if let Some(events) = &bars.events {
                events.progress(&event);
            }
            if let Ok(mut state) = state.lock() {
                let (pieces, total) = &mut *state;
                if bars.terminal {
                    bars.count(pieces, total, &event);
                }
                bars.draw(pieces, total, event);
            }
        })
    }

    /// Keeps the line of all transfers together, which is the last one.
    fn count(&self, pieces: &HashMap<u64, Piece>, total: &mut Total, event: &Event) {
        let piece = |task: &u64| pieces.get(task).filter(|piece| piece.unit == Unit::Bytes);
        match event {
            Event::Begin { total: size, unit: Unit::Bytes, .. } => {
                let bar = total.bar.get_or_insert_with(|| {
                    self.multi.add(ProgressBar::new(0).with_style(style(Some(0), Unit::Bytes)).with_message("all"))
                });
                bar.inc_length(size.unwrap_or(0));
            }
            Event::Total { task, total: size } => {
                if let (Some(bar), Some(piece)) = (&total.bar, piece(task)) {
                    bar.inc_length(size.saturating_sub(piece.bar.length().unwrap_or(0)));
                }
            }
            Event::Advance { task, by } => {
                if let (Some(bar), Some(_)) = (&total.bar, piece(task)) {
                    bar.inc(*by);
                }
            }
            Event::Restart { task } => {
                if let (Some(bar), Some(piece)) = (&total.bar, piece(task)) {
                    bar.set_position(bar.position().saturating_sub(piece.done));
                }
            }
            Event::End { task } => {
                if let (Some(bar), Some(_)) = (&total.bar, piece(task)) {
                    total.files += 1;
                    bar.set_message(format!("all, {} files done", total.files));
                }
            }
            _ => {}
        }
    }

    fn draw(&self, pieces: &mut HashMap<u64, Piece>, all: &Total, event: Event) {
        match event {
            Event::Begin { task, label, total, unit } => {
                let bar = match &all.bar {
                    _ if !self.terminal => ProgressBar::hidden(),
                    Some(last) => self.multi.insert_before(last, bar(total, unit)),
                    None => self.multi.add(bar(total, unit)),
                };
                bar.set_message(label.clone());
                pieces.insert(task, Piece { bar, label, start: Instant::now(), done: 0, unit });
            }
            Event::Advance { task, by } => {
                if let Some(piece) = pieces.get_mut(&task) {
                    piece.done += by;
                    piece.bar.inc(by);
                }
            }
            Event::Total { task, total } => {
                if let Some(piece) = pieces.get_mut(&task) {
                    piece.bar.set_style(style(Some(total), piece.unit));
                    piece.bar.set_length(total);
                }
            }
            Event::Restart { task } => {
                if let Some(piece) = pieces.get_mut(&task) {
                    piece.done = 0;
                    piece.bar.set_position(0);
                }
            }
            Event::End { task } => {
                if let Some(piece) = pieces.remove(&task) {
                    piece.bar.finish_and_clear();
                    if !self.terminal && piece.done > 0 && piece.start.elapsed() > WORTH_A_LINE {
                        print::note(&piece.summary());
                    }
                }
            }
            _ => {}
        }
    }

    /// Prints a line above the bars.
    pub(crate) fn line(&self, text: &str) {
        self.multi.suspend(|| print::note(text));
    }

    /// Removes what is drawn.
    pub(crate) fn clear(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.multi.clear();
    }
}

impl Piece {
    fn summary(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let done = match self.unit {
            Unit::Bytes => outcrop_compute::human(self.done),
            Unit::Count => self.done.to_string(),
        };
        format!("{}: {done} in {seconds:.1} s", self.label)
    }
}

fn bar(total: Option<u64>, unit: Unit) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style(total, unit))
}

fn style(total: Option<u64>, unit: Unit) -> ProgressStyle {
    let template = match (unit, total) {
        (Unit::Bytes, Some(_)) => {
            "{msg:32!} {bar:24} {bytes:>10} of {total_bytes:<10} {bytes_per_sec:>12} {eta:>4} left"
        }
        (Unit::Bytes, None) => "{msg:32!} {spinner} {bytes:>10} {bytes_per_sec:>12}",
        (Unit::Count, Some(_)) => "{msg:32!} {bar:24} {pos:>6} of {len:<6} {per_sec:>12} {eta:>4} left",
        (Unit::Count, None) => "{msg:32!} {spinner} {pos:>6} {per_sec:>12}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}
