//! Arrays of distributed acoustic sensing in HDF5: which axis is time, which is distance, and what they are.
//!
//! Vendors write plain HDF5 without dimension scales. [`layouts`] knows where each says what its axes are; the order of
//! axes is never taken from the shape alone. [`apply`] then names dimensions `time` and `distance` and adds their
//! coordinates. Blocks that overlap become one array along time ([`cut`]). Files of other layouts are left as they are.

mod apply;
mod cut;
mod febus;
mod layouts;
mod small;
mod view;

pub(crate) use cut::table as cut_table;

use std::collections::HashMap;

use outcrop_store::{Sparse, Step};

use crate::Result;
use crate::array::{Attrs, FileMeta};
use crate::miniseed::Rate;
use cut::Cut;
use small::Small;
use view::{Values, View};

/// One array of samples and what its file says about it.
#[derive(Debug, Clone)]
struct Section {
    /// Whose layout it is.
    layout: &'static str,
    /// Path of the variable.
    data: String,
    /// One for each dimension.
    axes: Vec<Axis>,
    attrs: Attrs,
    /// Set where the array is what is left of blocks that overlap.
    cut: Option<Cut>,
}

impl Section {
    fn new(layout: &'static str, data: &str, axes: Vec<Axis>, attrs: Attrs) -> Self {
        Self { layout, data: data.to_owned(), axes, attrs, cut: None }
    }
}

/// One dimension.
#[derive(Debug, Clone)]
struct Axis {
    name: &'static str,
    at: Places,
}

/// Where the samples along a dimension are.
#[derive(Debug, Clone)]
enum Places {
    /// Times in an array of the file. `default_unit` holds where their size does not tell.
    Times { path: String, default_unit: Option<Unit>, step_s: Option<f64> },
    /// Times by equal steps within blocks of `rows`, each of which has its own start.
    Blocks { starts_ns: Vec<i64>, rows: u64, rate: Rate },
    /// Times by equal steps.
    Clock { start_ns: i64, rate: Rate },
    /// Equal steps.
    Steps { first: f64, step: f64, units: String },
    /// An array of the file.
    Array { path: String, units: String },
    /// The file does not say.
    Unknown,
}

/// Unit of times since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
        }
    }

    fn ns(self) -> f64 {
        match self {
            Self::Seconds => 1e9,
            Self::Milliseconds => 1e6,
            Self::Microseconds => 1e3,
            Self::Nanoseconds => 1.0,
        }
    }

    /// The unit in which a moment of our days has this size.
    fn of(moment: f64) -> Option<Self> {
        match moment.abs() {
            size if size >= 1e17 => Some(Self::Nanoseconds),
            size if size >= 1e14 => Some(Self::Microseconds),
            size if size >= 1e11 => Some(Self::Milliseconds),
            size if size >= 1e8 => Some(Self::Seconds),
            _ => None,
        }
    }
}

/// Finds the arrays of a file, reads the small datasets that say what their axes are, and names them.
#[derive(Debug)]
pub(crate) struct Lowering {
    meta: FileMeta,
    groups: HashMap<String, Attrs>,
    values: HashMap<String, Values>,
    reading: Vec<(String, Small)>,
}

impl Lowering {
    pub(crate) fn new(meta: FileMeta, groups: HashMap<String, Attrs>) -> Self {
        Self { meta, groups, values: HashMap::new(), reading: Vec::new() }
    }

    pub(crate) fn step(&mut self, have: &Sparse) -> Result<Step<FileMeta>> {
        loop {
            let needed = self.read(have);
            if !needed.is_empty() {
                return Ok(Step::Need(needed));
            }
            let view = View::new(&self.meta, &self.groups, &self.values);
            let sections = layouts::find(&view);
            let missed = view.into_missed();
            if missed.is_empty() {
                let mut meta = self.meta.clone();
                apply::apply(&mut meta, &sections, &self.values);
                return Ok(Step::Done(meta));
            }
            for path in missed {
                match self.meta.variable(&path).and_then(Small::new) {
                    Some(small) => self.reading.push((path, small)),
                    None => drop(self.values.insert(path, Values::Unknown)),
                }
            }
        }
    }

    /// Goes on reading; the ranges that are still needed. What cannot be read is unknown.
    fn read(&mut self, have: &Sparse) -> Vec<std::ops::Range<u64>> {
        let mut needed = Vec::new();
        let mut left = Vec::new();
        for (path, mut small) in std::mem::take(&mut self.reading) {
            match small.step(have) {
                Ok(Step::Need(ranges)) => {
                    needed.extend(ranges);
                    left.push((path, small));
                }
                Ok(Step::Done(values)) => drop(self.values.insert(path, values)),
                Err(_) => drop(self.values.insert(path, Values::Unknown)),
            }
        }
        self.reading = left;
        needed
    }
}
