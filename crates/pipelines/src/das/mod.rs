//! Recordings of distributed acoustic sensing: from files of raw samples to filtered sections.
//!
//! 1. Files are laid one behind the other along time ([`open`]); steps of time that are no steps of the recording are reported ([`Gap`]).
//! 2. Each channel: trend off, Butterworth band-pass forward and backward, each `every`-th sample ([`Das`]).
//! 3. Each sample: the median of all channels off.
//! 4. The result is a Zarr group, and two pictures: before and after ([`Picture`]).
//!
//! The first part needs whole channels, the second all channels of a sample: what is between them is stored in memory or in a scratch
//! file, so that memory does not grow with the recording.

mod clock;
mod gaps;
mod item;
mod open;
mod options;
mod picture;
mod run;
mod watch;
mod writer;

pub use clock::Clock;
pub use gaps::Gap;
pub use item::DasItem;
pub use open::{Section, open};
pub use options::{Channels, DasOptions, Gaps, PictureOptions};
pub use picture::Picture;
pub use run::{Das, DasReport, DasSummary};
pub use writer::DasResult;
