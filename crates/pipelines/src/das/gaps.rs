//! Steps of time that are no steps of the recording.

use outcrop_compute::Coord;
use serde::Serialize;

use super::Clock;

/// A step between two samples that is more than one and a half of the usual one, or does not go forward. Samples on both sides are filtered
/// as if they followed one another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// Position of the sample behind it.
    pub at: u64,
    /// Time of the sample before it.
    pub from: String,
    /// Time of the sample behind it.
    pub to: String,
    /// Seconds from one to the other; negative where files overlap.
    pub seconds: Option<f64>,
    /// Files of both samples, each once.
    pub files: Vec<String>,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, from, to, seconds, files } = self;
        match seconds {
            Some(seconds) if *seconds > 0.0 => write!(f, "gap of {seconds:.6} s")?,
            Some(seconds) if *seconds == 0.0 => write!(f, "the same time twice")?,
            Some(seconds) => write!(f, "step back of {:.6} s", -seconds)?,
            None => write!(f, "a time that is none")?,
        }
        write!(f, " before sample {at}: {from} to {to}")?;
        match &files[..] {
            [one] => write!(f, " in {one}"),
            [first, second, ..] => write!(f, " from {first} to {second}"),
            [] => Ok(()),
        }
    }
}

/// All of them. `parts` are the files with the position of their first sample.
pub(super) fn find(clock: &Clock, coord: &Coord, step: f64, parts: &[(u64, String)]) -> Vec<Gap> {
    let file = |at: usize| {
        let behind = parts.partition_point(|(first, _)| *first <= at as u64);
        behind.checked_sub(1).map(|part| parts[part].1.clone())
    };
    let gap = |at: usize| {
        let seconds = clock.seconds(coord, at - 1, at);
        let is_usual = seconds > 0.0 && seconds <= 1.5 * step;
        if is_usual {
            return None;
        }
        let mut files: Vec<String> = [file(at - 1), file(at)].into_iter().flatten().collect();
        files.dedup();
        let (from, to) = (clock.text(coord, at - 1), clock.text(coord, at));
        Some(Gap { at: at as u64, from, to, seconds: (!seconds.is_nan()).then_some(seconds), files })
    };
    (1..coord.len()).filter_map(gap).collect()
}
