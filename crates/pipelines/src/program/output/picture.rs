//! Results as pictures. What has more cells than a picture has pixels is made smaller while it is computed.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use outcrop_compute::plan::{Plan, Sink};
use outcrop_compute::{Block, Coord, DataArray, MemorySink, RunOptions};
use outcrop_formats::{AttrValue, Attrs};
use serde::Deserialize;

use super::{Output, SMALL, Written, computed};
use crate::draw::{
    Along, Axis, Facet, Facets, Form, Histogram, Labels, Limits, Line, MOST_FACETS, Plane, Rows, Style, draw_facets,
    draw_histogram, draw_line, draw_plane, name, size,
};
use crate::{Error, Result};

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plot {
    /// The values of a plane as colours.
    Image,
    /// Values along one dimension.
    Line,
    /// How many values lie in each of some bins.
    Histogram,
    /// Planes along the first dimension, side by side.
    Facets,
}

/// Cells along a side up to which a plane is computed as it is.
const SIDE: u64 = 1800;
/// Bins of a histogram.
const BINS: u64 = 50;
/// Most bins.
const MOST_BINS: u64 = 900;

/// The array without dimensions of one position, and what those positions are called.
fn squeezed(array: &DataArray) -> Result<(DataArray, Vec<String>)> {
    let (mut squeezed, mut names) = (array.clone(), Vec::new());
    for (dim, _) in array.dims.iter().zip(array.shape()).filter(|(_, len)| *len == 1) {
        if let Some(coord) = array.coords.get(dim) {
            names.push(name(dim, Some(coord), 0));
        }
        squeezed = squeezed.index(dim, 0)?;
    }
    Ok((squeezed, names))
}

/// What is drawn of an array without dimensions of one position.
fn kind(output: &Output, array: &DataArray) -> Plot {
    output.plot.unwrap_or(match array.dims.len() {
        0 | 1 => Plot::Line,
        2 => Plot::Image,
        _ => Plot::Facets,
    })
}

/// Refuses what cannot be drawn, before anything is computed.
pub(super) fn check(output: &Output, array: &DataArray) -> Result<()> {
    let (array, _) = squeezed(array)?;
    let (shape, plot) = (array.shape(), kind(output, &array));
    let has = |wanted: usize, what: &str| {
        let dims =
            if shape.is_empty() { "no dimension".to_owned() } else { format!("{}: {shape:?}", array.dims.join(", ")) };
        let why = format!("{what}; `{}` has {dims}; select with isel or sel, or reduce", array.name);
        if shape.len() == wanted { Ok(()) } else { Err(output.wrong(why)) }
    };
    if output.range.is_some_and(|[low, high]| low >= high || !low.is_finite() || !high.is_finite()) {
        return Err(output.wrong("`range` is two numbers, the smaller first: range = [-10, 30]"));
    }
    if output.bins.is_some() && plot != Plot::Histogram {
        return Err(output.wrong("`bins` are of plot = \"histogram\""));
    }
    match plot {
        Plot::Image => has(2, "an image has two dimensions"),
        Plot::Line => {
            has(1, "a line has one dimension")?;
            let why = || output.wrong(format!("{} values are too many for a line; coarsen or select", shape[0]));
            if shape[0] > SMALL { Err(why()) } else { Ok(()) }
        }
        Plot::Histogram if !(1..=MOST_BINS).contains(&output.bins.unwrap_or(BINS)) => {
            Err(output.wrong(format!("`bins` is a number from 1 to {MOST_BINS}")))
        }
        Plot::Histogram => Ok(()),
        Plot::Facets => {
            has(3, "facets have three dimensions")?;
            let why = || {
                let why =
                    format!("{} positions along `{}` are more than {MOST_FACETS} facets", shape[0], array.dims[0]);
                output.wrong(format!("{why}; select, or take `groupby` or `coarsen` first"))
            };
            if shape[0] > MOST_FACETS { Err(why()) } else { Ok(()) }
        }
    }
}

/// A plane of at most so many cells along a side: the mean of floats, each n-th of other numbers.
fn reduced(array: &DataArray, side: u64) -> Result<DataArray> {
    let (rank, shape) = (array.dims.len(), array.shape());
    let mut smaller = array.clone();
    let mut windows = Vec::new();
    for (dim, len) in array.dims.iter().zip(&shape).skip(rank - 2) {
        let step = len.div_ceil(side.max(1));
        if step > 1 && !array.coords.contains_key(dim) {
            // Positions in the whole are the labels of what is left.
            let positions = (0..*len).map(|at| at as f64).collect();
            smaller = smaller.with_coord(dim, Coord::numbers(positions, Attrs::new()))?;
        }
        if step > 1 && array.dtype().is_float() {
            windows.push((dim.as_str(), step));
        } else if step > 1 {
            smaller = smaller.isel_step(dim, 0..*len, i64::try_from(step).unwrap_or(i64::MAX))?;
        }
    }
    if windows.is_empty() { Ok(smaller) } else { Ok(smaller.coarsen(&windows)?.mean()?) }
}

/// What is computed for a picture.
struct Drawn {
    array: DataArray,
    plot: Plot,
    /// Labels of dimensions of one position.
    names: Vec<String>,
    /// Rows and columns before they were reduced.
    whole: [u64; 2],
    /// Which way rows go.
    rows: Rows,
}

fn drawn(output: &Output, array: &DataArray) -> Result<Drawn> {
    let (array, names) = squeezed(array)?;
    let plot = kind(output, &array);
    let whole = array.shape().last_chunk().copied().unwrap_or([1, 1]);
    let has_labels = |dims: &[String; 2]| array.coords.contains_key(&dims[0]);
    // Without labels, rows are counted from the top.
    let rows = if array.dims.last_chunk().is_some_and(has_labels) { Rows::ByCoordinate } else { Rows::FromTop };
    let array = match plot {
        Plot::Image => reduced(&array, SIDE)?,
        Plot::Facets => reduced(&array, SIDE / array.shape()[0].isqrt().max(1))?,
        Plot::Line | Plot::Histogram => array,
    };
    Ok(Drawn { array, plot, names, whole, rows })
}

/// The plan of a picture.
pub(super) fn plan(output: &Output, array: &DataArray, run: &RunOptions) -> Result<Plan> {
    let Drawn { array, plot, .. } = drawn(output, array)?;
    Ok(match plot {
        Plot::Histogram => Plan::new(&array, &Seen::of(Extent::default()), run)?,
        _ => Plan::new(&array, &MemorySink::new(array.dtype(), &array.shape()), run)?,
    })
}

/// Draws an array.
pub(super) fn draw(
    output: &Output,
    array: &DataArray,
    (form, run): (Form, &RunOptions),
    written: &mut Written,
) -> Result<Vec<u8>> {
    let Drawn { array, plot, names, whole, rows } = drawn(output, array)?;
    let title = std::iter::once(output.of.clone()).chain(names).collect::<Vec<_>>().join(", ");
    let title = output.title.as_ref().unwrap_or(&title);
    let attr = |name: &str| array.attrs.get(name).and_then(AttrValue::text).filter(|text| !text.is_empty());
    let called = attr("long_name").unwrap_or(&array.name);
    let label = attr("units")
        .filter(|units| *units != "1")
        .map_or_else(|| called.to_owned(), |units| format!("{called} ({units})"));
    let labels = Labels { title, values: &label };
    if plot == Plot::Histogram {
        let (counts, range) = counted(output, &array, run, written)?;
        return draw_histogram(&Histogram { counts: &counts, range, title, label: &label }, form);
    }
    let values = computed(&array, run, written)?.into_f64();
    let none = || Error::Plot { why: "there is no finite value".into() };
    let limits = output.range.map(|[low, high]| Limits::between(low, high)).or_else(|| Limits::of(&values));
    let style = Style { limits: limits.ok_or_else(none)?, size: Some(size(whole[0], whole[1])), rows };
    if plot == Plot::Line {
        let x = along(&array, 0);
        let ends = (x.positions.first().copied().unwrap_or(0.0), x.positions.last().copied().unwrap_or(0.0));
        let (ticks, range) = (x.ticks(ends.0, ends.1, 7), output.range.map(|[low, high]| (low, high)));
        let (x, axis) = (&x.positions, &x.label);
        return draw_line(&Line { x, values: &values, ticks: &ticks, title, label: &label, axis, range }, form);
    }
    planes((&array, &values), &style, labels, form)
}

/// The planes of an array of two or three dimensions.
fn planes((array, values): (&DataArray, &[f64]), style: &Style, labels: Labels<'_>, form: Form) -> Result<Vec<u8>> {
    let rank = array.dims.len();
    let (y, x) = (Axis::along(&along(array, rank - 2)), Axis::along(&along(array, rank - 1)));
    let length = |at: usize| usize::try_from(array.shape()[at]).unwrap_or(usize::MAX);
    let shape = (length(rank - 2), length(rank - 1));
    if rank == 2 {
        return draw_plane(&Plane { values, shape, y, x }, style, labels, form);
    }
    let (dim, coord) = (&array.dims[0], array.coords.get(&array.dims[0]));
    let facet = |(at, values)| Facet { title: name(dim, coord, at), values };
    let planes = values.chunks((shape.0 * shape.1).max(1)).enumerate().map(facet).collect();
    draw_facets(&Facets { planes, shape, y, x }, style, labels, form)
}

fn along(array: &DataArray, at: usize) -> Along {
    let len = usize::try_from(array.shape()[at]).unwrap_or(usize::MAX);
    Along::of(&array.dims[at], array.coords.get(&array.dims[at]), len)
}

/// Counts of bins, and the outer edges. Without a range the array is computed twice.
fn counted(
    output: &Output,
    array: &DataArray,
    run: &RunOptions,
    written: &mut Written,
) -> Result<(Vec<u64>, (f64, f64))> {
    let (low, high) = if let Some([low, high]) = output.range {
        (low, high)
    } else {
        let Extent(low, high) = pass(array, run, written, Extent::default())?;
        if low > high {
            return Err(Error::Plot { why: "there is no finite value".into() });
        }
        if low < high { (low, high) } else { (low - 0.5, low + 0.5) }
    };
    let bins = usize::try_from(output.bins.unwrap_or(BINS)).unwrap_or(1);
    let counts = pass(array, run, written, Counts { low, high, bins: vec![0; bins] })?.bins;
    Ok((counts, (low, high)))
}

/// Looks at all values once.
fn pass<T: See>(array: &DataArray, run: &RunOptions, written: &mut Written, state: T) -> Result<T> {
    let sink = Seen::of(state);
    written.tasks[0] += Plan::new(array, &sink, run)?.run(run, &sink)?.tasks;
    Ok(sink.0.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What grows while values pass.
trait See: Send {
    fn see(&mut self, values: &[f64]);
}

/// Smallest and largest finite value.
struct Extent(f64, f64);

impl Default for Extent {
    fn default() -> Self {
        Self(f64::INFINITY, f64::NEG_INFINITY)
    }
}

impl See for Extent {
    fn see(&mut self, values: &[f64]) {
        for value in values.iter().filter(|value| value.is_finite()) {
            *self = Self(self.0.min(*value), self.1.max(*value));
        }
    }
}

/// Values in bins of one width, as `numpy.histogram` counts them: the last bin has its upper edge.
struct Counts {
    low: f64,
    high: f64,
    bins: Vec<u64>,
}

impl See for Counts {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 1 of the bins")]
    fn see(&mut self, values: &[f64]) {
        let (low, high, bins) = (self.low, self.high, self.bins.len());
        let edge = |at: usize| if at == bins { high } else { low + (high - low) / bins as f64 * at as f64 };
        for value in values.iter().copied().filter(|value| (low..=high).contains(value)) {
            let mut at = (((value - low) / (high - low) * bins as f64) as usize).min(bins - 1);
            // What rounding put on the wrong side of an edge.
            if value < edge(at) {
                at -= 1;
            } else if at + 1 < bins && value >= edge(at + 1) {
                at += 1;
            }
            self.bins[at] += 1;
        }
    }
}

/// Takes the values of a plan and keeps what was seen of them.
struct Seen<T>(Mutex<T>);

impl<T> Seen<T> {
    fn of(state: T) -> Self {
        Self(Mutex::new(state))
    }
}

impl<T: See> Sink for Seen<T> {
    fn unit(&self) -> Option<Vec<u64>> {
        None
    }

    fn work_bytes(&self, window: u64) -> u64 {
        // In double precision.
        window.saturating_mul(8)
    }

    fn held(&self, _: u64) -> u64 {
        0
    }

    fn has(&self, _: &[Range<u64>]) -> bool {
        false
    }

    fn write(&self, _: &[Range<u64>], values: Block) -> outcrop_compute::Result<()> {
        let values = values.into_f64();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).see(&values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_count_as_those_of_numpy() {
        // numpy.histogram([0, .1, .2, .3, .6, .7, 1, nan, 2], 10, (0, 1))
        let mut counts = Counts { low: 0.0, high: 1.0, bins: vec![0; 10] };
        counts.see(&[0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 1.0, f64::NAN, 2.0]);
        assert_eq!(counts.bins, [1, 1, 2, 0, 0, 1, 1, 0, 0, 1]);
        let mut extent = Extent::default();
        extent.see(&[f64::NAN, 3.0, f64::INFINITY, -1.0]);
        assert_eq!((extent.0, extent.1), (-1.0, 3.0));
    }
}
