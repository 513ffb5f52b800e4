//! Reads region by region and writes unit by unit.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outcrop_store::progress::{Progress, Unit};

use super::plan::{Copy, Plan, Values};
use super::{ConvertOptions, Writer, turn};
use crate::layout::position;
use crate::refs::ChunkRefs;
use crate::{Error, Opened, Result};

/// Threads for each that was asked for where bytes come over a network: most of their time is waiting.
const REMOTE: usize = 4;

/// Bytes of values that a region has where a variable has so many.
const WORTH: u64 = 4 << 20;

/// A variable and the regions that it is copied in.
struct Job<'a> {
    variable: usize,
    copy: &'a Copy,
    refs: ChunkRefs,
    /// Which cells of the last two dimensions have data.
    mask: Option<ChunkRefs>,
    /// One element of the new file, where nothing is written.
    fill: &'a [u8],
    shape: Vec<u64>,
    unit: Vec<u64>,
    /// Lengths of a region: whole units.
    region: Vec<u64>,
    /// Regions along each dimension.
    counts: Vec<u64>,
    /// Regions of all jobs before.
    first: u64,
}

/// What all threads share.
struct Work<'a> {
    opened: &'a Opened,
    writer: &'a dyn Writer,
    stop: &'a (dyn Fn() -> bool + Sync),
    jobs: Vec<Job<'a>>,
    progress: Progress,
    total: u64,
    next: AtomicU64,
    bytes: AtomicU64,
    stopped: AtomicBool,
}

/// Copies all values; the bytes that were decoded, or `None` if `stop` ended it.
pub(super) fn run(
    opened: &Opened,
    plan: &Plan,
    writer: &dyn Writer,
    options: &ConvertOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<u64>> {
    let remote = !opened.origin.href().is_local();
    let threads = if writer.in_order() { 1 } else { options.threads.max(1) * if remote { REMOTE } else { 1 } };
    let (jobs, total) = jobs(opened, plan, writer, options.memory / threads as u64)?;
    let all = jobs.iter().fold(0u64, |sum, job| sum.saturating_add(bytes(&job.shape, &job.refs)));
    let progress = options.progress.begin(format!("copy {}", opened.origin.href()), Some(all), Unit::Bytes);
    if stop() {
        return Ok(None);
    }
    let given = give(plan, writer)?;
    let (next, done, stopped) = (AtomicU64::new(0), AtomicU64::new(given), AtomicBool::new(false));
    let work = Work { opened, writer, stop, jobs, progress, total, next, bytes: done, stopped };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(|| work.run())).collect();
        let own = work.run();
        let joined = workers.into_iter().map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.fold(own, Result::and)
    })?;
    Ok((!work.stopped.into_inner()).then_some(work.bytes.into_inner()))
}

fn bytes(lengths: &[u64], refs: &ChunkRefs) -> u64 {
    lengths.iter().fold(refs.dtype.size() as u64, |n, len| n.saturating_mul(*len))
}

/// Writes the values that are at hand; their bytes.
fn give(plan: &Plan, writer: &dyn Writer) -> Result<u64> {
    let mut all = 0;
    for (at, (new, copy)) in plan.file.variables.iter().zip(&plan.copies).enumerate() {
        let values = match &copy.values {
            Values::Given(values) => values,
            Values::Texts(texts) => {
                all += texts.iter().map(|text| text.len() as u64).sum::<u64>();
                writer.write_texts(at, texts)?;
                continue;
            }
            Values::Stored | Values::Decoded(_) | Values::Masked(..) => continue,
        };
        all += values.len() as u64;
        let unit = writer.unit(at);
        let units: Vec<u64> = new.shape.iter().zip(&unit).map(|(len, unit)| len.div_ceil(*unit)).collect();
        let cells = unit.iter().fold(new.fill.len() as u64, |n, len| n.saturating_mul(*len));
        let mut raw = vec![0; usize::try_from(cells).unwrap_or(usize::MAX)];
        for linear in 0..units.iter().product() {
            let index = position(linear, &units);
            cut((values, &new.shape), (&index, &unit), &new.fill, &mut raw);
            writer.write(at, &index, &raw)?;
        }
    }
    Ok(all)
}

fn jobs<'a>(opened: &Opened, plan: &'a Plan, writer: &dyn Writer, memory: u64) -> Result<(Vec<Job<'a>>, u64)> {
    let (mut jobs, mut first) = (Vec::new(), 0u64);
    let runtime = opened.origin.store().runtime().clone();
    for (variable, copy) in plan.copies.iter().enumerate() {
        if matches!(copy.values, Values::Given(_) | Values::Texts(_)) {
            continue;
        }
        let refs = runtime.block_on(opened.locate(&copy.from))?;
        let mask = match &copy.values {
            Values::Masked(_, mask) => Some(runtime.block_on(opened.locate(mask))?),
            _ => None,
        };
        let shape: Vec<u64> = copy.window.iter().map(|w| w.end - w.start).collect();
        let unit = writer.unit(variable);
        let region = region(&copy.window, &unit, &refs, memory);
        let counts: Vec<u64> = shape.iter().zip(&region).map(|(len, part)| len.div_ceil(*part)).collect();
        let regions = counts.iter().try_fold(1u64, |n, count| n.checked_mul(*count));
        let many = || Error::Limit { what: "number of regions".into(), value: u64::MAX, limit: u64::MAX };
        let after = regions.and_then(|n| first.checked_add(n)).ok_or_else(many)?;
        let fill = &plan.file.variables[variable].fill;
        jobs.push(Job { variable, copy, refs, mask, fill, shape, unit, region, counts, first });
        first = after;
    }
    Ok((jobs, first))
}

/// Whole units, as many as memory allows along the dimensions where chunks would be decoded most often.
fn region(window: &[Range<u64>], unit: &[u64], refs: &ChunkRefs, memory: u64) -> Vec<u64> {
    let mut region: Vec<u64> = unit.to_vec();
    let shape: Vec<u64> = window.iter().map(|w| w.end - w.start).collect();
    loop {
        let decoded = |axis: usize| {
            let (len, chunk) = (region[axis], refs.grid.chunk[axis].max(1));
            // A window that begins within a chunk has no region that ends with one.
            let fits = len.is_multiple_of(chunk) && window[axis].start.is_multiple_of(chunk);
            let whole = len >= shape[axis] || fits;
            if whole { 1.0 } else { 1.0 + chunk.min(shape[axis]) as f64 / len as f64 }
        };
        let worst = (0..region.len()).max_by(|a, b| decoded(*a).total_cmp(&decoded(*b)));
        // With no chunk decoded twice, still so much that a region is worth a request.
        let small = || {
            (0..region.len()).rev().find(|axis| region[*axis] < shape[*axis]).filter(|_| bytes(&region, refs) < WORTH)
        };
        let Some(axis) = worst.filter(|axis| decoded(*axis) > 1.0).or_else(small) else { return region };
        let mut larger = region.clone();
        // To the next whole chunk if there is one, else twice as long.
        let chunk = refs.grid.chunk[axis].max(1);
        let whole = (1..=64).map(|k| k * unit[axis]).find(|len| len.is_multiple_of(chunk) && *len > region[axis]);
        larger[axis] = whole.unwrap_or(region[axis].saturating_mul(2)).min(shape[axis].next_multiple_of(unit[axis]));
        if bytes(&larger, refs) > memory || larger == region {
            return region;
        }
        region = larger;
    }
}

impl Work<'_> {
    fn run(&self) -> Result<()> {
        let result = self.regions();
        if result.is_err() {
            self.next.store(self.total, Ordering::Relaxed);
        }
        result
    }

    fn regions(&self) -> Result<()> {
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.total {
                return Ok(());
            }
            if (self.stop)() {
                self.stopped.store(true, Ordering::Relaxed);
                self.next.store(self.total, Ordering::Relaxed);
                return Ok(());
            }
            let found = self.jobs.partition_point(|job| job.first <= at).checked_sub(1);
            let Some(job) = found.and_then(|found| self.jobs.get(found)) else { return Ok(()) };
            self.copy(job, at - job.first)?;
        }
    }

    fn copy(&self, job: &Job<'_>, at: u64) -> Result<()> {
        let index = position(at, &job.counts);
        // Within the part that is copied.
        let part: Vec<Range<u64>> = index
            .iter()
            .zip(&job.region)
            .zip(&job.shape)
            .map(|((i, len), all)| i * len..((i + 1) * len).min(*all))
            .collect();
        let window: Vec<Range<u64>> =
            part.iter().zip(&job.copy.window).map(|(p, w)| w.start + p.start..w.start + p.end).collect();
        let runtime = self.opened.origin.store().runtime();
        let named = |error: Error| error.of_variable(&job.copy.from.name);
        let round = job.copy.round.as_ref();
        let stored = runtime.block_on(turn::read(self.opened, &job.refs, &window, round)).map_err(named)?;
        let read = stored.len() as u64;
        let values = match &job.copy.values {
            Values::Decoded(decoding) => decoding.decode(&stored),
            Values::Masked(decoding, _) => self.masked(job, decoding.decode(&stored), &window).map_err(named)?,
            _ => stored,
        };
        let lengths: Vec<u64> = part.iter().map(|p| p.end - p.start).collect();
        let units: Vec<u64> = lengths.iter().zip(&job.unit).map(|(len, unit)| len.div_ceil(*unit)).collect();
        let cells = job.unit.iter().fold(job.fill.len() as u64, |n, len| n.saturating_mul(*len));
        let mut raw = vec![0; usize::try_from(cells).unwrap_or(usize::MAX)];
        for at in 0..units.iter().product() {
            let inner = position(at, &units);
            let index: Vec<u64> =
                inner.iter().zip(&part).zip(&job.unit).map(|((i, p), unit)| p.start / unit + i).collect();
            cut((&values, &lengths), (&inner, &job.unit), job.fill, &mut raw);
            self.writer.write(job.variable, &index, &raw)?;
        }
        self.bytes.fetch_add(read, Ordering::Relaxed);
        self.progress.advance(read);
        Ok(())
    }

    /// Values with holes where the mask is 0, in each plane of rows and columns.
    fn masked(&self, job: &Job<'_>, mut values: Vec<u8>, window: &[Range<u64>]) -> Result<Vec<u8>> {
        let (Some(refs), Some(plane)) = (&job.mask, window.last_chunk::<2>()) else { return Ok(values) };
        let round = job.copy.round.as_ref().and_then(|round| round.of_plane(window.len()));
        let reading = turn::read(self.opened, refs, plane, round.as_ref());
        let mask = self.opened.origin.store().runtime().block_on(reading)?;
        let size = job.fill.len();
        for plane in values.chunks_exact_mut((mask.len() * size).max(1)) {
            let cells = plane.chunks_exact_mut(size).zip(&mask);
            cells.filter(|(_, has_data)| **has_data == 0).for_each(|(cell, _)| cell.copy_from_slice(job.fill));
        }
        Ok(values)
    }
}

/// One unit out of a region, with fill value beyond its edge.
fn cut((values, lengths): (&[u8], &[u64]), (index, unit): (&[u64], &[u64]), fill: &[u8], out: &mut [u8]) {
    let size = fill.len();
    let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let Some((run, outer)) = unit.split_last() else {
        out.copy_from_slice(values);
        return;
    };
    let last = outer.len();
    let inside = index.iter().zip(unit).zip(lengths).all(|((i, unit), len)| (i + 1) * unit <= *len);
    if !inside {
        out.chunks_exact_mut(size.max(1)).for_each(|cell| cell.copy_from_slice(fill));
    }
    let start = index[last] * run;
    let length = place((*run).min(lengths[last] - start)) * size;
    for row in 0..outer.iter().product::<u64>() {
        let (mut rest, mut from, mut stride, mut inside) = (row, start, lengths[last], true);
        for axis in (0..last).rev() {
            let at = index[axis] * unit[axis] + rest % unit[axis];
            rest /= unit[axis];
            inside &= at < lengths[axis];
            from += at * stride;
            stride *= lengths[axis];
        }
        if inside {
            let (from, to) = (place(from) * size, place(row * run) * size);
            out[to..to + length].copy_from_slice(&values[from..from + length]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{ByteOrder, ChunkGrid, DType};
    use crate::refs::Table;

    fn refs(shape: &[u64], chunk: &[u64]) -> ChunkRefs {
        ChunkRefs {
            dtype: DType::UInt8,
            byte_order: ByteOrder::Little,
            grid: ChunkGrid { shape: shape.to_vec(), chunk: chunk.to_vec() },
            codecs: Vec::new(),
            fill: vec![0],
            table: Table::Empty,
        }
    }

    fn region_of(shape: &[u64], unit: &[u64], refs: &ChunkRefs, memory: u64) -> Vec<u64> {
        region(&shape.iter().map(|len| 0..*len).collect::<Vec<_>>(), unit, refs, memory)
    }

    #[test]
    fn regions_are_whole_units_and_whole_chunks_where_memory_allows() {
        let strips = refs(&[1, 4000, 8000], &[1, 1, 8000]);
        assert_eq!(region_of(&[1, 4000, 8000], &[1, 512, 512], &strips, 1 << 30), [1, 512, 8192]);
        let columns = refs(&[365, 600, 600], &[365, 10, 10]);
        assert_eq!(region_of(&[365, 600, 600], &[1, 512, 512], &columns, 1 << 30)[0], 365);
        assert_eq!(region_of(&[365, 600, 600], &[1, 512, 512], &columns, 1 << 20), [4, 512, 512]);
        let same = refs(&[10, 100, 100], &[1, 50, 50]);
        assert_eq!(region_of(&[10, 100, 100], &[1, 50, 50], &same, 1 << 30), [10, 100, 100]);
        assert_eq!(region_of(&[10, 100, 100], &[1, 50, 50], &same, 4000), [1, 50, 50]);
        assert!(region_of(&[], &[], &refs(&[], &[]), 1).is_empty());
    }

    #[test]
    fn a_window_that_begins_within_chunks_is_one_region_where_memory_allows() {
        let tiles = refs(&[1, 20_000, 20_000], &[1, 512, 512]);
        let window = [0..1, 700..5700, 900..5900];
        assert_eq!(region(&window, &[1, 512, 512], &tiles, 1 << 30), [1, 5120, 5120]);
        let small = region(&window, &[1, 512, 512], &tiles, 8 << 20);
        assert!(small[1] >= 2048 && small[2] >= 2048, "{small:?}");
    }
}
