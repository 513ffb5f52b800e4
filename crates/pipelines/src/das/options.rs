//! Parameters.

use outcrop_compute::Missing;
use outcrop_compute::kernel::Trend;
use outcrop_compute::signal::Band;
use outcrop_grid::Interval;

/// Which channels are taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Channels {
    /// All.
    #[default]
    All,
    /// Those at positions `start..end`, half-open.
    Positions(u64, u64),
    /// Those at distances between two, both inclusive, in the units of the file.
    Distance(f64, f64),
}

/// What becomes of a recording with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// They are reported, and the samples on both sides follow one another.
    #[default]
    Report,
    /// They are an error.
    Refuse,
}

/// What the pictures show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureOptions {
    /// First channel, a position in the file; by default the first that is taken.
    pub from: Option<u64>,
    /// Last channel, inclusive; by default the last that is taken.
    pub to: Option<u64>,
    /// Share of the largest amplitude of the result that is clipped: 0.99 shows a hundredth of it as black and white.
    pub pclip: f64,
    /// The same of the raw samples.
    pub raw_pclip: f64,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self { from: None, to: None, pclip: 0.99, raw_pclip: 0.0 }
    }
}

/// Parameters of the pipeline.
#[derive(Debug, Clone)]
pub struct DasOptions {
    /// The variable; without it the only one of two dimensions, `time` and `distance`.
    pub variable: Option<String>,
    /// Which channels.
    pub channels: Channels,
    /// Which time, inclusive; all of it by default.
    pub time: Option<Interval>,
    /// What becomes of gaps.
    pub gaps: Gaps,
    /// What is subtracted from each channel, in this order.
    pub detrend: Vec<Trend>,
    /// Which frequencies pass, in Hz.
    pub band: Band,
    /// Order of the filter.
    pub order: usize,
    /// Each `every`-th sample is kept, from the first.
    pub every: u64,
    /// What NaN does to the median of the channels that is subtracted; `None` subtracts nothing.
    pub median: Option<Missing>,
    /// What the pictures show.
    pub picture: PictureOptions,
}

impl Default for DasOptions {
    /// The band from 0.025 to 5 Hz at order 5, each fourth sample, without trends and common mode.
    fn default() -> Self {
        Self {
            variable: None,
            channels: Channels::All,
            time: None,
            gaps: Gaps::Report,
            detrend: vec![Trend::Constant, Trend::Linear],
            band: Band::Pass(0.025, 5.0),
            order: 5,
            every: 4,
            median: Some(Missing::Propagate),
            picture: PictureOptions::default(),
        }
    }
}
