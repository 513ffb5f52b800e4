//! Kernels along the last axis of traces: trends, filters by second-order sections, medians across traces.
//!
//! Pure functions of plain arrays. Results are those of SciPy 1.17 (`scipy.signal`), computed in double precision whatever
//! the input is.

mod butter;
mod complex;
mod detrend;
mod median;
mod sos;

pub use butter::{Band, butter};
pub use detrend::{detrend, remove_mean};
pub use median::remove_median;
pub(crate) use median::remove_median_along;
pub use sos::{Filtered, Removed, Sample, Sos, Workspace};

/// Why a kernel cannot be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The design of a filter makes no sense.
    #[error("no filter of order {order} between {low} and {high} Hz at {rate} samples a second: {why}")]
    Design {
        /// The order.
        order: usize,
        /// The lower frequency.
        low: f64,
        /// The higher frequency.
        high: f64,
        /// Samples in a second.
        rate: f64,
        /// What is wrong.
        why: &'static str,
    },
    /// Traces are too short for the filter's edges.
    #[error("traces of {length} samples are too short: filtering forward and backward needs more than {least}")]
    Short {
        /// Samples of a trace.
        length: usize,
        /// It must be longer than this.
        least: usize,
    },
    /// A position where a trend breaks lies outside of the trace.
    #[error("a trend cannot break at sample {at} of a trace of {length}")]
    Break {
        /// The position.
        at: usize,
        /// Samples of a trace.
        length: usize,
    },
}
