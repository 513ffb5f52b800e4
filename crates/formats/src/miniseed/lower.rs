//! From segments to variables.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::record::{Edition, Source, Sources};
use super::segment::{Entry, Growing, Joiner};
use crate::array::{AttrValue, Attrs, ByteOrder, ChunkGrid, Codec, DType, Dim, FileMeta, Format, Variable};
use crate::layout::{Layout, Linear, linear_grid};
use crate::utc;

/// One variable for each segment, by source and then in file order, and a coordinate of time for each grid of times.
pub(super) fn lower(joiner: Joiner, sources: &Sources, skipped_bytes: u64) -> FileMeta {
    let mut lowering = Lowering { attrs: file_attrs(&joiner, skipped_bytes), ..Lowering::default() };
    let mut segments = joiner.segments;
    segments.sort_by_key(|segment| segment.source);
    let grids: Vec<Grid> = segments.iter().map(Grid::of).collect();
    lowering.one_grid = grids.windows(2).all(|pair| pair[0] == pair[1]);
    for (segment, grid) in segments.into_iter().zip(grids) {
        let Some(source) = sources.get(segment.source) else { continue };
        lowering.segment(segment, source, grid);
    }
    let Lowering { attrs, dims, coordinates, variables, refused, .. } = lowering;
    let variables = variables.into_iter().chain(coordinates).collect();
    FileMeta { format: Format::MiniSeed, dims, attrs, variables, refused }
}

/// Times of a segment: first, step as a fraction of nanoseconds, number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Grid {
    start_ns: i64,
    step_ns: (i64, i64),
    samples: u64,
}

impl Grid {
    fn of(segment: &Growing) -> Self {
        Self { start_ns: segment.start_ns, step_ns: segment.rate.step_ns(), samples: segment.samples }
    }
}

#[derive(Default)]
struct Lowering {
    attrs: Attrs,
    dims: IndexMap<String, Dim>,
    coordinates: Vec<Variable>,
    variables: Vec<Variable>,
    refused: Vec<(String, String)>,
    /// Segments so far by name, and the names of the dimensions.
    counts: HashMap<String, u64>,
    grids: HashMap<Grid, String>,
    /// All segments have the same times.
    one_grid: bool,
}

impl Lowering {
    fn segment(&mut self, mut segment: Growing, source: &Source, grid: Grid) {
        let trace = source.name();
        let count = self.counts.entry(trace.clone()).or_insert(0);
        let name = if *count == 0 { trace } else { format!("{trace}/{count}") };
        *count += 1;
        let encoding = segment.encodings.first().copied();
        let Some(dtype) = encoding.and_then(super::record::Encoding::dtype) else {
            let what = encoding.map_or_else(String::new, super::record::Encoding::name);
            self.refused.push((name, format!("the encoding {what}")));
            return;
        };
        if i64::try_from(segment.end_ns()).is_err() {
            self.refused.push((name, "samples after the year 2262".to_owned()));
            return;
        }
        let dim = self.dim(grid);
        let entries = std::mem::take(&mut segment.entries);
        let attrs = attrs(&segment, source, &entries);
        let codec = segment.encodings.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ");
        let records = Arc::new(segment.finish(&name, dtype, entries));
        self.variables.push(Variable {
            name,
            dims: vec![dim],
            dtype,
            byte_order: ByteOrder::Big,
            grid: ChunkGrid { shape: vec![records.samples], chunk: vec![records.chunk] },
            codecs: vec![Codec::MiniSeed { encoding: codec }],
            fill: vec![0; dtype.size()],
            attrs,
            layout: Layout::Records(records),
        });
    }

    /// The dimension of a grid of times: `time`, or `time_1`, `time_2`, … where there are several.
    fn dim(&mut self, grid: Grid) -> String {
        if let Some(name) = self.grids.get(&grid) {
            return name.clone();
        }
        let name = if self.one_grid { "time".to_owned() } else { format!("time_{}", self.grids.len() + 1) };
        self.grids.insert(grid, name.clone());
        self.dims.insert(name.clone(), Dim { len: grid.samples, unlimited: false });
        self.coordinates.push(time(&name, grid));
        name
    }
}

fn time(name: &str, grid: Grid) -> Variable {
    let attrs = [("units", utc::UNITS), ("calendar", "proleptic_gregorian"), ("standard_name", "time"), ("axis", "T")];
    Variable {
        name: name.to_owned(),
        dims: vec![name.to_owned()],
        dtype: DType::Int64,
        byte_order: ByteOrder::Little,
        grid: linear_grid(grid.samples),
        codecs: Vec::new(),
        fill: vec![0; 8],
        attrs: attrs.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect(),
        layout: Layout::Linear(Linear::Int { first: grid.start_ns, step: grid.step_ns }),
    }
}

fn text(value: impl Into<String>) -> AttrValue {
    AttrValue::Text(value.into())
}

/// Numbers of a file are far below 2^63.
fn count(n: u64) -> AttrValue {
    AttrValue::Int(vec![i64::try_from(n).unwrap_or(i64::MAX)])
}

fn seconds(ns: i128) -> AttrValue {
    AttrValue::Float64(vec![ns as f64 / 1e9])
}

/// A moment that was checked; one that was not becomes the last that there is.
fn moment(ns: i128) -> AttrValue {
    text(utc::text(i64::try_from(ns).unwrap_or(i64::MAX)))
}

fn file_attrs(joiner: &Joiner, skipped_bytes: u64) -> Attrs {
    let of_sign =
        |sign: i128| joiner.segments.iter().filter(|s| s.gap_ns.map(i128::signum) == Some(sign)).count() as u64;
    let mut attrs = Attrs::new();
    let mut put = |name: &str, value| drop(attrs.insert(name.to_owned(), value));
    let start = joiner.segments.iter().map(|segment| i128::from(segment.start_ns)).min();
    let end = joiner.segments.iter().map(Growing::end_ns).max();
    if let Some((start, end)) = start.zip(end) {
        put("starttime", moment(start));
        put("endtime", moment(end));
    }
    put("number_of_records", count(joiner.records));
    put("number_of_segments", count(joiner.segments.len() as u64));
    put("number_of_gaps", count(of_sign(1)));
    put("number_of_overlaps", count(of_sign(-1)));
    if joiner.without_samples > 0 {
        put("records_without_samples", count(joiner.without_samples));
    }
    if skipped_bytes > 0 {
        put("bytes_of_control_headers_and_noise", count(skipped_bytes));
    }
    attrs
}

fn attrs(segment: &Growing, source: &Source, entries: &[Entry]) -> Attrs {
    let mut attrs = Attrs::new();
    let mut put = |name: &str, value| drop(attrs.insert(name.to_owned(), value));
    put("network", text(&source.network));
    put("station", text(&source.station));
    put("location", text(&source.location));
    put("channel", text(&source.channel));
    put("source_id", text(&source.id));
    match source.edition {
        Edition::Quality(quality) => put("quality", text(quality)),
        Edition::Publication(version) => put("publication_version", count(version.into())),
    }
    put("sampling_rate_hz", AttrValue::Float64(vec![segment.rate.hz()]));
    put("starttime", moment(segment.start_ns.into()));
    put("endtime", moment(segment.end_ns()));
    put("encoding", text(segment.encodings.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ")));
    let mut lengths: Vec<i64> = entries.iter().map(|entry| i64::from(entry.length)).collect();
    lengths.sort_unstable();
    lengths.dedup();
    // Records of version 3 have all lengths.
    if let [shortest, .., longest] = lengths.as_slice() {
        lengths = vec![*shortest, *longest];
    }
    put("record_length", AttrValue::Int(lengths));
    put("number_of_records", count(entries.len() as u64));
    if let Some((low, high)) = segment.timing_quality {
        let both = if low == high { vec![low.into()] } else { vec![low.into(), high.into()] };
        put("timing_quality_percent", AttrValue::Int(both));
    }
    if let Some(gap) = segment.gap_ns {
        put("gap_before_seconds", seconds(gap));
    }
    if segment.drift_ns > 0 {
        put("largest_time_error_seconds", seconds(segment.drift_ns));
    }
    if let Some(extra) = &segment.extra {
        put("extra_headers", text(extra));
    }
    attrs
}
