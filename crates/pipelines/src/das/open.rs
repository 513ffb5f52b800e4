//! Opens the files of a recording and lays them one behind the other along time.

use futures::{StreamExt, TryStreamExt};
use outcrop_compute::{DataArray, Dataset, OpenOptions, open_dataset};
use outcrop_formats::AttrValue;
use outcrop_store::{Href, Store};

use super::gaps::{Gap, find};
use super::{Channels, Clock, DasOptions, Gaps};
use crate::{Error, Result};

/// Channels that are filtered side by side, and read together where the file allows it.
pub(super) const ROWS: u64 = 16;

/// Sampling steps that differ by more than this share are not the same.
const SAME_STEP: f64 = 1e-3;

/// A recording: the selected part of some files, one behind the other.
#[derive(Debug, Clone)]
pub struct Section {
    /// The samples as the files have them: dimensions `distance` and `time`.
    pub array: DataArray,
    /// The files in the order of their first sample, without secrets.
    pub files: Vec<String>,
    /// Its time axis.
    pub clock: Clock,
    /// Seconds between samples.
    pub step_s: f64,
    /// Position in the files of the first channel.
    pub first_channel: u64,
    /// What is no step of the recording, in its time.
    pub gaps: Vec<Gap>,
}

/// One file.
struct Part {
    href: Href,
    array: DataArray,
    clock: Clock,
    step_s: Option<f64>,
}

/// Opens the files by their headers. They are put in the order of their first sample, and must agree in channels, units and sampling step.
///
/// # Errors
/// [`Error::Choose`] without an array of `time` and `distance`, or with several; [`Error::Axis`] if one has no times;
/// [`Error::Differ`]; [`Error::Gaps`] if there are some and the options refuse them; [`Error::Parameter`] if nothing is selected.
pub async fn open(store: &Store, hrefs: &[Href], options: &DasOptions) -> Result<Section> {
    let mut parts = parts(store, hrefs, options, Some(ROWS)).await?;
    let is_time_major = parts.iter().any(|(_, is_time_major)| *is_time_major);
    if is_time_major {
        // A few samples of all channels are no piece to work on: chunks as they come are larger.
        parts = self::parts(store, hrefs, options, None).await?;
    }
    let mut parts: Vec<Part> = parts.into_iter().map(|(part, _)| part).collect();
    parts.sort_by(|a, b| first(a).0.total_cmp(&first(b).0).then(first(a).1.cmp(&first(b).1)));
    let Some(leader) = parts.first() else {
        return Err(Error::Choose { what: "files", why: "none is named".into() });
    };
    let step_s = parts.iter().find_map(|part| part.step_s);
    let refuse = |why: &str| Error::Axis { variable: leader.array.name.clone(), why: why.into() };
    let step_s = step_s.ok_or_else(|| refuse("one sample has no sampling rate"))?;
    if !(step_s > 0.0 && step_s.is_finite()) {
        return Err(refuse("its times do not go forward"));
    }
    check(&parts)?;
    let arrays: Vec<DataArray> = parts.iter().map(|part| part.array.clone()).collect();
    let array = DataArray::concat(&arrays, "time")?;
    let mut starts = Vec::with_capacity(parts.len());
    let mut start = 0;
    for part in &parts {
        starts.push((start, part.href.to_string()));
        start += part.array.shape()[1];
    }
    let files = starts.iter().map(|(_, file)| file.clone()).collect();
    let clock = leader.clock.clone();
    let (array, first_channel) = select_channels(array, &options.channels)?;
    let (array, first_sample) = select_time(array, &clock, options)?;
    for (start, _) in &mut starts {
        *start = start.saturating_sub(first_sample);
    }
    let gaps = array.coords.get("time").map(|coord| find(&clock, coord, step_s, &starts)).unwrap_or_default();
    match (options.gaps, gaps.first()) {
        (Gaps::Refuse, Some(gap)) => Err(Error::Gaps { count: gaps.len(), first: gap.to_string() }),
        _ => Ok(Section { array, files, clock, step_s, first_channel, gaps }),
    }
}

/// The files, and whether each holds all channels of a sample together.
async fn parts(
    store: &Store,
    hrefs: &[Href],
    options: &DasOptions,
    contiguous: Option<u64>,
) -> Result<Vec<(Part, bool)>> {
    let wanted =
        OpenOptions { variables: options.variable.clone().into_iter().collect(), contiguous, ..OpenOptions::default() };
    futures::stream::iter(hrefs)
        .map(|href| {
            let wanted = &wanted;
            async move {
                let dataset = open_dataset(store, std::slice::from_ref(href), wanted).await?;
                part(href, &dataset)
            }
        })
        .buffered(store.options().concurrency.max(1))
        .try_collect()
        .await
}

fn part(href: &Href, dataset: &Dataset) -> Result<(Part, bool)> {
    let sections: Vec<DataArray> = dataset.arrays.values().filter_map(section).collect();
    let list = |arrays: &mut dyn Iterator<Item = &DataArray>| {
        arrays.map(|a| format!("{}({})", a.name, a.dims.join(", "))).collect::<Vec<_>>().join(", ")
    };
    let array = match &sections[..] {
        [only] => only,
        [] => {
            let why = format!(
                "no array of `{href}` has the dimensions time and distance; there are {}",
                list(&mut dataset.arrays.values())
            );
            return Err(Error::Choose { what: "a recording of channels", why });
        }
        several => {
            let why = format!("`{href}` has {}", list(&mut several.iter()));
            return Err(Error::Choose { what: "a variable with --variable", why });
        }
    };
    let is_time_major = array.dims.first().is_some_and(|dim| dim == "time");
    let array = array.transpose(&["distance", "time"])?;
    if array.shape().contains(&0) {
        return Err(Error::Axis { variable: format!("{} of {href}", array.name), why: "it is empty".into() });
    }
    if array.dtype().is_complex() {
        return Err(Error::Axis { variable: array.name.clone(), why: "its samples are complex numbers".into() });
    }
    let clock = Clock::of(&array).map_err(|error| match error {
        Error::Axis { variable, why } => Error::Axis { variable: format!("{variable} of {href}"), why },
        other => other,
    })?;
    let step_s = array.coords.get("time").and_then(|coord| clock.step(coord));
    Ok((Part { href: href.clone(), array, clock, step_s }, is_time_major))
}

/// An array of time and distance, under these names; files with several number them or put a path before them.
fn section(array: &DataArray) -> Option<DataArray> {
    let plain = |dim: &String| {
        let last = dim.rsplit('/').next().unwrap_or(dim);
        let name = last.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        ["time", "distance"].into_iter().find(|known| *known == name)
    };
    let names: Vec<&str> = array.dims.iter().filter_map(plain).collect();
    let is_section = array.dims.len() == 2 && (names == ["time", "distance"] || names == ["distance", "time"]);
    // Blocks that overlap are not what the array that is cut out of them is.
    if !is_section || array.attrs.contains_key("blocks_of") {
        return None;
    }
    let mut renamed = array.clone();
    for (dim, name) in renamed.dims.iter_mut().zip(names) {
        if dim != name {
            if let Some(coord) = renamed.coords.shift_remove(dim) {
                renamed.coords.insert(name.to_owned(), coord);
            }
            name.clone_into(dim);
        }
    }
    Some(renamed)
}

/// What files are sorted by.
fn first(part: &Part) -> (f64, i64) {
    let coord = part.array.coords.get("time");
    let whole = coord.and_then(|coord| coord.whole.first().copied());
    let value = coord.and_then(|coord| coord.values.first().copied()).unwrap_or(f64::NAN);
    (value, whole.unwrap_or(0))
}

/// The files must be of one recording.
fn check(parts: &[Part]) -> Result<()> {
    let Some(leader) = parts.first() else { return Ok(()) };
    for part in &parts[1..] {
        let differ =
            |why: String| Err(Error::Differ { left: leader.href.to_string(), right: part.href.to_string(), why });
        let (own, other) = (leader.array.shape()[0], part.array.shape()[0]);
        if own != other {
            return differ(format!("one has {own} channels, the other {other}"));
        }
        if let (Some(own), Some(other)) = (leader.array.coords.get("distance"), part.array.coords.get("distance"))
            && let Some(at) = own.values.iter().zip(&other.values).position(|(a, b)| a.to_bits() != b.to_bits())
        {
            let (own, other) = (own.values[at], other.values[at]);
            return differ(format!("channel {at} is at distance {own} in one and {other} in the other"));
        }
        if leader.clock != part.clock {
            return differ(format!(
                "times are `{}` in one and `{}` in the other",
                leader.clock.units, part.clock.units
            ));
        }
        if let (Some(own), Some(other)) = (leader.step_s, part.step_s)
            && ((own - other).abs() > SAME_STEP * own.abs() || other.is_nan())
        {
            return differ(format!("one has a sample each {own} s, the other each {other} s"));
        }
        let units = |part: &Part| part.array.attrs.get("units").and_then(AttrValue::text).unwrap_or("none").to_owned();
        if units(leader) != units(part) {
            return differ(format!("samples are in `{}` in one and `{}` in the other", units(leader), units(part)));
        }
    }
    Ok(())
}

/// The channels that are wanted, and the position of the first.
fn select_channels(array: DataArray, channels: &Channels) -> Result<(DataArray, u64)> {
    let count = array.shape()[0];
    let refuse = |name: &'static str, value: String, why: String| Err(Error::Parameter { name, value, why });
    match *channels {
        Channels::All => Ok((array, 0)),
        Channels::Positions(start, end) if start < end && end <= count => {
            Ok((array.isel("distance", start..end)?, start))
        }
        Channels::Positions(start, end) => refuse(
            "channels",
            format!("{start}:{end}"),
            format!("the recording has the channels 0:{count}, the end is not included"),
        ),
        Channels::Distance(from, to) => {
            let Some(coord) = array.coords.get("distance") else {
                return refuse(
                    "distance",
                    format!("{from}:{to}"),
                    "the files do not say where channels are; use channels".into(),
                );
            };
            let (low, high) = (from.min(to), from.max(to));
            let inside = |value: &f64| *value >= low && *value <= high;
            let first = coord.values.iter().position(inside);
            let last = coord.values.iter().rposition(inside);
            let (Some(first), Some(last)) = (first, last) else {
                let ends = (coord.values.first(), coord.values.last());
                let why = match ends {
                    (Some(first), Some(last)) => format!("channels are from {first} to {last}"),
                    _ => "there is no channel".to_owned(),
                };
                return refuse("distance", format!("{from}:{to}"), why);
            };
            if !coord.values[first..=last].iter().all(inside) {
                return refuse(
                    "distance",
                    format!("{from}:{to}"),
                    "distances of the channels are not in order; use channels".into(),
                );
            }
            Ok((array.isel("distance", first as u64..last as u64 + 1)?, first as u64))
        }
    }
}

/// The time that is wanted, and the position of the first sample.
fn select_time(array: DataArray, clock: &Clock, options: &DasOptions) -> Result<(DataArray, u64)> {
    let (Some(wanted), Some(coord)) = (&options.time, array.coords.get("time")) else { return Ok((array, 0)) };
    let is_inside = |at: &usize| {
        clock.moment(coord, *at).is_some_and(|moment| {
            wanted.start.is_none_or(|start| moment >= start) && wanted.end.is_none_or(|end| moment <= end)
        })
    };
    let first = (0..coord.len()).find(is_inside);
    let last = (0..coord.len()).rev().find(is_inside);
    let (Some(first), Some(last)) = (first, last) else {
        let end = clock.text(coord, coord.len().saturating_sub(1));
        let why = format!("the recording is from {} to {end}", clock.text(coord, 0));
        return Err(Error::Parameter { name: "time", value: "this".into(), why });
    };
    Ok((array.isel("time", first as u64..last as u64 + 1)?, first as u64))
}
