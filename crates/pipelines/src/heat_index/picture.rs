//! Pictures of the results: a map of the mean over time, and the means of days as a line.

use outcrop_compute::since_1970;
use std::ops::Range;

use super::run::{HeatIndex, HeatReport};
use crate::Result;
use crate::draw::{Form, Limits, Line, Map, Rows, Style, Tick, draw_as, draw_line, moments};

/// Cells along the longer side of a map; of more each n-th is shown.
const LONGEST: u64 = 900;

/// Cells of the mean over time that are shown, and the range of all.
#[derive(Debug)]
pub(super) struct Picture {
    step: usize,
    shape: (usize, usize),
    values: Vec<f64>,
    range: (f64, f64),
    cells: u64,
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Picture {
    pub(super) fn new(plane: [u64; 2]) -> Self {
        let step = plane[0].max(plane[1]).div_ceil(LONGEST).max(1);
        let shape = (size(plane[0].div_ceil(step)), size(plane[1].div_ceil(step)));
        let values = vec![f64::NAN; shape.0 * shape.1];
        Self { step: size(step), shape, values, range: (f64::INFINITY, f64::NEG_INFINITY), cells: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.values.len() as u64 * 8
    }

    pub(super) fn fill(&mut self, window: &[Range<u64>], values: &[f64]) {
        let [rows, columns] = window else { return };
        self.cells += values.iter().filter(|value| !value.is_nan()).count() as u64;
        for value in values.iter().filter(|value| value.is_finite()) {
            self.range = (self.range.0.min(*value), self.range.1.max(*value));
        }
        let width = size(columns.end - columns.start);
        for row in rows.clone().filter(|row| size(*row).is_multiple_of(self.step)) {
            for column in columns.clone().filter(|column| size(*column).is_multiple_of(self.step)) {
                let from = size(row - rows.start) * width + size(column - columns.start);
                self.values[size(row) / self.step * self.shape.1 + size(column) / self.step] = values[from];
            }
        }
    }

    /// Cells with a mean.
    pub(super) fn cells(&self) -> u64 {
        self.cells
    }

    /// Smallest and largest finite mean.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        (self.range.0 <= self.range.1).then_some(self.range)
    }

    pub(super) fn draw(&self, index: &HeatIndex, limits: &Limits) -> Result<Vec<u8>> {
        let series = index.series();
        let ends = |dim: &str, len: usize| {
            let shown = |at: usize| series.array.coords.get(dim).and_then(|coord| coord.values.get(at * self.step));
            match (shown(0), shown(len.saturating_sub(1))) {
                (Some(first), Some(last)) => (*first, *last),
                // Rows without labels are counted from the top.
                _ if dim == "y" => ((len.saturating_sub(1) * self.step) as f64, 0.0),
                _ => (0.0, (len.saturating_sub(1) * self.step) as f64),
            }
        };
        let (y, x) = (ends("y", self.shape.0), ends("x", self.shape.1));
        let days = series.files.len();
        let span = series.span().map_or_else(String::new, |(first, last)| format!(", {first} to {last}"));
        let title = format!("Mean of {days} days{span}");
        let axis = |dim: &str| series.array.coords.get(dim).and_then(|c| c.attrs.get("long_name")?.text());
        draw_as(
            &Map {
                values: &self.values,
                shape: self.shape,
                y,
                x,
                title: &title,
                label: series.units.sign(),
                axes: (axis("x").unwrap_or("x"), axis("y").unwrap_or("y")),
            },
            &Style { limits: *limits, size: None, rows: Rows::ByCoordinate },
        )
    }
}

/// The means of days; none if no day has one.
pub(super) fn daily(report: &HeatReport) -> Result<Option<Vec<u8>>> {
    let x: Vec<f64> = report.days.iter().map(|day| since_1970(day.day) as f64).collect();
    let values: Vec<f64> = report.days.iter().map(|day| day.mean_f).collect();
    let (Some(first), Some(last)) = (report.days.first(), report.days.last()) else { return Ok(None) };
    if !values.iter().any(|value| value.is_finite()) {
        return Ok(None);
    }
    let title = format!("Mean over the cells of each day, {} to {}", first.day, last.day);
    let seconds = |days: f64| days * 86400.0;
    let ticks = moments(seconds(x[0]), seconds(x[x.len() - 1]), 7);
    let ticks: Vec<Tick> = ticks.into_iter().map(|(at, text)| (at / 86400.0, text)).collect();
    let (title, label) = (title.as_str(), "daily mean (°F)");
    let line = Line { x: &x, values: &values, ticks: &ticks, title, label, axis: "time", range: None };
    Ok(Some(draw_line(&line, Form::Png)?))
}
