//! From raw samples to the result: expression, plan and run.

use std::sync::Arc;

use outcrop_compute::kernel::Trend;
use outcrop_compute::signal::{Band, Removed, butter};
use outcrop_compute::{
    DType, DataArray, Plan, RunOptions, Sink, default_allowance, plan::PlanReport, plan::PlanSummary,
};
use outcrop_formats::AttrValue;
use serde::Serialize;

use super::open::ROWS;
use super::picture::Labels;
use super::watch::Watch;
use super::writer::{DasResult, Writer};
use super::{DasOptions, Gap, Picture, Section};
use crate::{Error, Result};

/// Memory that is taken where none is named, unless less is free: more is not faster, as what does not fit goes through a file that the
/// system keeps in free memory anyway.
const ENOUGH: u64 = 512 << 20;
/// Bytes of whole raw channels that are stored together where files hold all channels of a sample together.
const TURNED: u64 = 32 << 20;

/// A recording and what is done to it.
#[derive(Debug)]
pub struct Das {
    section: Section,
    options: DasOptions,
    /// Channels of the pictures, by position in the array.
    shown: std::ops::Range<u64>,
    raw: Arc<Picture>,
    sos: outcrop_compute::signal::Sos,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct DasReport {
    /// The run.
    pub run: PlanReport,
    /// Shape of the result: channels and samples.
    pub shape: [u64; 2],
    /// Values of the result that are NaN.
    pub missing: u64,
    /// Largest amplitude of the channels in the pictures, before and after.
    pub largest: [f64; 2],
    /// Pictures as PNG, before and after.
    pub pictures: [Vec<u8>; 2],
}

/// A plan as data.
#[derive(Debug, Clone, Serialize)]
pub struct DasSummary {
    /// Name of the pipeline.
    pub pipeline: &'static str,
    /// Files in the order of their first sample.
    pub files: Vec<String>,
    /// Channels and samples of the recording.
    pub shape: Vec<u64>,
    /// Channels and samples of the result.
    pub result: Vec<u64>,
    /// Samples in a second.
    pub sampling_rate: f64,
    /// Steps of time that are no steps of the recording.
    pub gaps: Vec<Gap>,
    /// What to know about the result.
    pub notes: Vec<String>,
    /// The passes.
    #[serde(flatten)]
    pub plan: PlanSummary,
}

impl Das {
    /// Settles what is done to a recording.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a filter that makes no sense at the sampling rate, channels that are too short for it, and pictures of
    /// channels that are not taken.
    pub fn new(section: Section, options: DasOptions) -> Result<Self> {
        let rate = 1.0 / section.step_s;
        let refuse = |name: &'static str, value: String, why: String| Error::Parameter { name, value, why };
        let sos = butter(options.order, options.band, rate)
            .map_err(|e| refuse("band", band_text(options.band), e.to_string()))?;
        if options.every == 0 {
            return Err(refuse("every", "0".into(), "use 1 to keep all samples".into()));
        }
        let shape = section.array.shape();
        let (channels, samples) = (shape[0], shape[1]);
        let least = sos.pad_length() as u64;
        if samples <= least {
            let why =
                format!("filtering forward and backward needs more than {least} samples, the recording has {samples}");
            return Err(refuse("order", options.order.to_string(), why));
        }
        let first = section.first_channel;
        let last = first + channels - 1;
        let (from, to) = (options.picture.from.unwrap_or(first), options.picture.to.unwrap_or(last));
        if from < first || to > last || from > to {
            let why = format!("channels {first} to {last} are taken");
            return Err(refuse("from", format!("{from} to {to}"), why));
        }
        for pclip in [options.picture.pclip, options.picture.raw_pclip] {
            if !(0.0..1.0).contains(&pclip) {
                return Err(refuse(
                    "pclip",
                    pclip.to_string(),
                    "it is a share: 0 clips nothing, 0.99 nearly all".into(),
                ));
            }
        }
        let shown = from - first..to - first + 1;
        let raw = Arc::new(Picture::new(shown.clone(), samples));
        Ok(Self { section, options, shown, raw, sos })
    }

    /// The recording.
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// The parameters.
    pub fn options(&self) -> &DasOptions {
        &self.options
    }

    /// Samples in a second, before and after.
    pub fn rates(&self) -> [f64; 2] {
        let rate = 1.0 / self.section.step_s;
        [rate, rate / self.options.every as f64]
    }

    /// Shape of the result: channels and samples.
    pub fn shape(&self) -> [u64; 2] {
        let shape = self.section.array.shape();
        [shape[0], shape[1].div_ceil(self.options.every)]
    }

    /// What to know about the result that is no error.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let half = self.rates()[1] / 2.0;
        let highest = match self.options.band {
            Band::Low(edge) | Band::Pass(_, edge) => edge,
            Band::High(_) | Band::Stop(..) => f64::INFINITY,
        };
        if self.options.every > 1 && highest > half {
            notes.push(format!(
                "frequencies above {half} Hz pass the filter and are folded to lower ones, as only each {} sample is kept; keep more, or let less pass",
                ordinal(self.options.every)
            ));
        }
        if !self.section.gaps.is_empty() {
            notes.push(format!(
                "{} gaps or overlaps: samples on both sides are filtered as if they followed one another",
                self.section.gaps.len()
            ));
        }
        notes
    }

    /// The samples in double precision without trends, filtered, each `every`-th, rounded to single precision. `raw` are those of the files.
    fn conditioned(&self, raw: &DataArray) -> Result<DataArray> {
        let samples = self.section.array.shape()[1];
        let watched = raw.map_blocks(&[], Watch { picture: self.raw.clone(), samples })?;
        // Single precision is what the workflow begins with; short integers are the same in it.
        let exact = [DType::Int8, DType::UInt8, DType::Int16, DType::UInt16, DType::Float32];
        let single = if exact.contains(&watched.dtype()) { watched } else { watched.astype(DType::Float32) };
        let trends = &self.options.detrend;
        let removed = if trends.contains(&Trend::Linear) {
            // The mean is part of the line.
            Removed::Line
        } else if trends.is_empty() {
            Removed::Nothing
        } else {
            Removed::Mean
        };
        Ok(single.condition("time", removed, &self.sos, self.options.every)?)
    }

    /// The result as a lazy array.
    fn processed(&self, raw: &DataArray) -> Result<DataArray> {
        let conditioned = self.conditioned(raw)?;
        let Some(missing) = self.options.median else { return Ok(conditioned) };
        let [channels, _] = self.shape();
        let pieces = conditioned.rechunk(&[("distance", channels), ("time", self.tile()[1])])?;
        Ok(pieces.remove_median("distance", missing)?)
    }

    /// The plan: straight from the files, with fewer threads where memory is short, unless their chunks hold so many channels that they would
    /// be decoded over and over; then raw samples are stored by channels first.
    fn plan(&self, sink: &dyn Sink, run: &RunOptions) -> Result<Plan> {
        let raw = &self.section.array;
        let once = raw.stored_bytes();
        let mut direct: Option<outcrop_compute::Result<Plan>> = None;
        for threads in (1..=run.thread_count()).rev() {
            let plan = Plan::new(&self.processed(raw)?, sink, &RunOptions { threads, ..run.clone() });
            match plan {
                Ok(plan) if plan.summary().read_bytes <= once + once / 2 => return Ok(plan),
                plan if direct.as_ref().is_none_or(std::result::Result::is_err) => direct = Some(plan),
                _ => {}
            }
        }
        let samples = raw.shape()[1];
        let channel = samples.saturating_mul(raw.dtype().size() as u64).max(1);
        let together = (TURNED / channel / ROWS).clamp(1, 8) * ROWS;
        let turned = raw.rechunk(&[("distance", together), ("time", samples)])?;
        match (Plan::new(&self.processed(&turned)?, sink, run), direct) {
            (Ok(plan), _) => Ok(plan),
            (Err(_), Some(direct)) => Ok(direct?),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// Limits where none are named.
    fn limits(run: &RunOptions) -> RunOptions {
        let memory = if run.memory == 0 { default_allowance().min(ENOUGH) } else { run.memory };
        RunOptions { memory, ..run.clone() }
    }

    /// Channels and samples of a chunk of the result. All channels of the samples of a chunk are in memory at once, so that chunks of many
    /// channels are short.
    pub(super) fn tile(&self) -> [u64; 2] {
        const TILE: u64 = 4 << 20;
        const CHUNK: u64 = 1 << 20;
        let [channels, samples] = self.shape();
        if self.options.median.is_none() {
            // Whole channels come at once then.
            return [channels.min(ROWS), samples.min(CHUNK / 4 / ROWS)];
        }
        let length = (TILE / (4 * channels) / 64 * 64).clamp(64, 2048).min(samples);
        [(CHUNK / (4 * length)).clamp(1, channels), length]
    }

    /// The plan as data.
    ///
    /// # Errors
    /// [`outcrop_compute::Error::Memory`] if it does not fit the allowance.
    pub fn summary(&self, run: &RunOptions) -> Result<DasSummary> {
        let unit = Unit(self.tile());
        let plan = self.plan(&unit, &Self::limits(run))?;
        Ok(DasSummary {
            pipeline: "das",
            files: self.section.files.clone(),
            shape: self.section.array.shape(),
            result: self.shape().to_vec(),
            sampling_rate: self.rates()[0],
            gaps: self.section.gaps.clone(),
            notes: self.notes(),
            plan: plan.summary(),
        })
    }

    /// Computes the result and writes it. It blocks; call it from outside the runtime.
    ///
    /// # Errors
    /// Those of the arrays; [`Error::Format`] if the result cannot be written. Nothing appears at the final place then.
    pub fn run(&self, run: &RunOptions, result: &DasResult) -> Result<DasReport> {
        let run = Self::limits(run);
        let picture = Picture::new(self.shown.clone(), self.shape()[1]);
        // Before anything is written: does the plan fit the memory?
        self.plan(&Unit(self.tile()), &run)?;
        let writer = Writer::create(self, result, picture)?;
        let report = self.plan(&writer, &run)?.run(&run, &writer)?;
        let (picture, missing) = writer.finish()?;
        let options = &self.options.picture;
        let pictures = [
            self.raw.draw(options.raw_pclip, &self.labels("raw"))?,
            picture.draw(options.pclip, &self.labels(&band_text(self.options.band)))?,
        ];
        let largest = [self.raw.largest(), picture.largest()];
        Ok(DasReport { run: report, shape: self.shape(), missing, largest, pictures })
    }

    fn labels(&self, what: &str) -> Labels {
        let section = &self.section;
        let start = section.array.coords.get("time").map(|coord| section.clock.text(coord, 0)).unwrap_or_default();
        Labels {
            title: format!("{start}, {what}"),
            units: section.array.attrs.get("units").and_then(AttrValue::text).unwrap_or_default().to_owned(),
            seconds: section.array.shape()[1].saturating_sub(1) as f64 * section.step_s,
            first_channel: section.first_channel,
        }
    }
}

/// What a writer of these chunks would ask for.
struct Unit([u64; 2]);

impl Sink for Unit {
    fn unit(&self) -> Option<Vec<u64>> {
        Some(self.0.to_vec())
    }

    fn work_bytes(&self, _: u64) -> u64 {
        super::writer::work_bytes(self.0)
    }

    fn held(&self, _: u64) -> u64 {
        0
    }

    fn has(&self, _: &[std::ops::Range<u64>]) -> bool {
        false
    }

    fn write(&self, _: &[std::ops::Range<u64>], _: outcrop_compute::Block) -> outcrop_compute::Result<()> {
        Ok(())
    }
}

/// `0.025-5 Hz`.
pub(super) fn band_text(band: Band) -> String {
    match band {
        Band::Low(edge) => format!("below {edge} Hz"),
        Band::High(edge) => format!("above {edge} Hz"),
        Band::Pass(low, high) => format!("{low}-{high} Hz"),
        Band::Stop(low, high) => format!("without {low}-{high} Hz"),
    }
}

fn ordinal(n: u64) -> String {
    match n {
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    }
}
