//! Febus A1: `<device>/SourceN/ZoneN/<name>` holds blocks of samples, which may overlap in time.
//!
//! Of each block, so many samples remain as lie between it and the next (`1000 / BlockRate` seconds); of those that are too
//! many, half are left out before and half after, as in DASCore and xdas. Where that does not fit, the blocks are shown as
//! they are, and `das_not_stitched` says why.

use super::cut::Cut;
use super::layouts::{About, MAX_SECTIONS, axis, parent, steps};
use super::view::{Values, View};
use super::{Places, Section, Unit};
use crate::array::{AttrValue, Variable};
use crate::miniseed::Rate;

const LAYOUT: &str = "Febus A1";
/// Most blocks whose times are kept one by one, where they are not equal steps.
const MAX_PIECES: usize = 1 << 15;

/// The arrays of a file in this layout, each followed by its blocks.
pub(super) fn find(view: &View<'_>) -> Vec<Section> {
    let is_zone = |variable: &&Variable| {
        let parts: Vec<&str> = variable.name.split('/').collect();
        let [_, source, zone, _] = parts.as_slice() else { return false };
        let described = || view.has(parent(&variable.name), &["Spacing", "Origin", "Extent"]);
        source.starts_with("Source") && zone.starts_with("Zone") && variable.grid.shape.len() == 3 && described()
    };
    let zones = view.meta.variables.iter().filter(is_zone).take(MAX_SECTIONS);
    zones.flat_map(|data| Zone::new(view, data).sections()).collect()
}

/// One array of blocks, rows and channels, and what the group that it is in says of it.
struct Zone<'a> {
    view: &'a View<'a>,
    data: &'a Variable,
    group: &'a str,
    /// Along the cable in metres, in time in milliseconds.
    spacing: Vec<f64>,
    origin: Vec<f64>,
    extent: Vec<f64>,
    step_s: Option<f64>,
    /// The dataset of one time for each block.
    times: String,
}

impl<'a> Zone<'a> {
    fn new(view: &'a View<'a>, data: &'a Variable) -> Self {
        let group = parent(&data.name);
        let [spacing, origin, extent] = ["Spacing", "Origin", "Extent"].map(|name| view.numbers(group, name));
        let sampled = view.number(group, "SamplingRate").filter(|hz| (1.0..1e8).contains(hz));
        // Files without a version give the rate instead of the step.
        let step_s = match sampled.filter(|_| view.attr(group, "Version").is_none()) {
            Some(hz) => Some(1.0 / hz),
            None => spacing.get(1).map(|ms| ms / 1000.0),
        };
        let step_s = step_s.filter(|step| *step > 0.0);
        Self { view, data, group, spacing, origin, extent, step_s, times: format!("{}/time", parent(group)) }
    }

    fn sections(&self) -> Vec<Section> {
        let (cut, times) = match self.cut().and_then(|cut| self.times(cut).map(|times| (cut, times))) {
            Ok(found) => found,
            Err(why) => {
                let mut blocks = self.blocks(&self.data.name);
                blocks.attrs.insert("das_not_stitched".to_owned(), AttrValue::Text(why));
                return vec![blocks];
            }
        };
        let axes = vec![axis("time", times), axis("distance", self.distance())];
        let whole = Section::new(LAYOUT, &self.data.name, axes, self.about().0);
        let blocks = self.blocks(&Cut::blocks_name(&self.data.name));
        vec![Section { cut: Some(cut), ..whole }, blocks]
    }

    fn about(&self) -> About {
        About::default()
            .number("sampling_rate_hz", self.step_s.map(|step| 1.0 / step))
            .number("channel_spacing", self.spacing.first().copied())
            .number("gauge_length", self.view.number(self.group, "GaugeLength"))
    }

    /// The blocks as they are stored.
    fn blocks(&self, name: &str) -> Section {
        let surplus = self.surplus();
        let times = match self.block_times() {
            Some(_) => {
                Places::Times { path: self.times.clone(), default_unit: Some(Unit::Seconds), step_s: self.block_s() }
            }
            None => Places::Unknown,
        };
        let axes = vec![
            axis("block", times),
            axis("time_in_block", steps(self.origin_s(), self.step_s, "s")),
            axis("distance", self.distance()),
        ];
        let about = self
            .about()
            .number("overlap_samples_before", surplus.map(|n| (n / 2.0).floor()))
            .number("overlap_samples_after", surplus.map(|n| (n / 2.0).ceil()));
        Section::new(LAYOUT, name, axes, about.0)
    }

    fn distance(&self) -> Places {
        let at = |numbers: &[f64]| numbers.first().copied();
        let spacing = at(&self.spacing);
        let first = at(&self.origin).unwrap_or(0.0) + at(&self.extent).unwrap_or(0.0) * spacing.unwrap_or(0.0);
        steps(first, spacing, "m")
    }

    /// From the time of a block to its first sample.
    fn origin_s(&self) -> f64 {
        self.origin.get(1).copied().unwrap_or(0.0) / 1000.0
    }

    fn rows(&self) -> u64 {
        self.data.grid.shape.get(1).copied().unwrap_or(0)
    }

    /// From one block to the next: by the rate of blocks, else what is usual between their times.
    fn block_s(&self) -> Option<f64> {
        let rate = self.view.number(self.group, "BlockRate").filter(|rate| *rate > 0.0);
        rate.map(|rate| 1000.0 / rate).or_else(|| {
            let times = self.block_times()?;
            let mut between: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
            between.sort_by(f64::total_cmp);
            between.get(between.len() / 2).copied()
        })
    }

    /// Samples of a block that are also in others; below 0 where blocks do not reach each other.
    fn surplus(&self) -> Option<f64> {
        let (block, step) = self.block_s().zip(self.step_s)?;
        Some(self.rows() as f64 - (block / step).round()).filter(|n| *n >= 0.0)
    }

    /// Times of the blocks in nanoseconds since 1970, to the microsecond, which is what seconds as `float64` hold.
    fn block_times(&self) -> Option<Vec<i64>> {
        let blocks = self.data.grid.shape.first().copied()?;
        // Some files have an axis of one before.
        let count = self.view.variable(&self.times)?.elements()?;
        let values = self.view.values(&self.times).filter(|values| values.len() as u64 == blocks && count == blocks)?;
        let unit = Unit::of(values.number(values.len().checked_sub(1)?)?).unwrap_or(Unit::Seconds);
        (0..values.len()).map(|at| moment(values, at, unit)).collect()
    }

    /// What of each block remains.
    fn cut(&self) -> Result<Cut, String> {
        let rows = self.rows();
        let step = self.step_s.ok_or("the step along time is not known")?;
        let block = self.block_s().ok_or("neither `BlockRate` nor times tell how far blocks are from each other")?;
        let stated = match self.extent.as_slice() {
            [_, _, first, last, ..] if self.view.attr(self.group, "Version").is_some() => last - first + 1.0,
            _ => rows as f64,
        };
        if stated != rows as f64 {
            return Err(format!("`Extent` has {stated} samples for a block, which has {rows}"));
        }
        let apart = || format!("blocks of {rows} samples are {} s from each other, {} samples", block, block / step);
        let surplus = self.surplus().filter(|n| *n < rows as f64).ok_or_else(apart)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of samples of a block"
        )]
        let (before, kept) = ((surplus / 2.0).floor() as u64, rows - surplus as u64);
        let cut = Cut { before, kept };
        if self.view.variable(&Cut::blocks_name(&self.data.name)).is_some() {
            return Err("another array has the name that its blocks would have".to_owned());
        }
        cut.check(self.data).map(|()| cut)
    }

    /// When the samples are: by equal steps where all blocks are within half a sample of that, else block by block.
    fn times(&self, cut: Cut) -> Result<Places, String> {
        let times =
            self.block_times().ok_or_else(|| format!("`{}` does not have a time for each block", self.times))?;
        let rate = self.step_s.and_then(|step| Rate::from_hz(1.0 / step)).ok_or("its rate is out of range")?;
        let first = rate.elapsed_ns(cut.before) + i128::from(to_ns(self.origin_s()).ok_or("`Origin` is out of range")?);
        let start = |time: &i64| i64::try_from(i128::from(*time) + first).ok();
        let starts_ns: Option<Vec<i64>> = times.iter().map(start).collect();
        let starts_ns = starts_ns.ok_or("a time of a block is out of range")?;
        let start_ns = *starts_ns.first().ok_or("there is no block")?;
        let half = rate.elapsed_ns(1) / 2;
        let even = starts_ns.iter().zip(0..).all(|(start, block): (_, u64)| {
            let want = i128::from(start_ns) + rate.elapsed_ns(block.saturating_mul(cut.kept));
            (i128::from(*start) - want).abs() <= half
        });
        if even {
            return Ok(Places::Clock { start_ns, rate });
        }
        if starts_ns.len() > MAX_PIECES {
            return Err(format!("times of {} blocks are no equal steps; {MAX_PIECES} are the most", starts_ns.len()));
        }
        Ok(Places::Blocks { starts_ns, rows: cut.kept, rate })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked before")]
fn to_ns(seconds: f64) -> Option<i64> {
    (seconds.abs() < 9e9).then(|| (seconds * 1e9).round() as i64)
}

#[expect(clippy::cast_possible_truncation, reason = "checked before")]
fn moment(values: &Values, at: usize, unit: Unit) -> Option<i64> {
    match values {
        Values::Ints(ints) => ints.get(at)?.checked_mul(unit.ns() as i64),
        other => {
            let micros = (other.number(at)? * unit.ns() / 1e3).round();
            (micros.abs() < 9e15).then(|| micros as i64 * 1000)
        }
    }
}
