//! The memory bound: what plans of all kinds take, counted byte by byte, against what they said before they ran.
//!
//! One test in a program of its own: the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use outcrop_compute::kernel::{Stencil, Trend};
use outcrop_compute::signal::{Band, butter};
use outcrop_compute::{
    Block, DType, DataArray, Executor, GroupBy, Missing, Plan, ReduceOptions, Reduction, RunOptions, Sink, UnaryOp,
};

use super::field::{Bench, Numbers, values};

struct Counting;

static HELD: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size() as u64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size() as u64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size as u64);
        HELD.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn took(size: u64) {
    let held = HELD.fetch_add(size, Ordering::Relaxed) + size;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of plans beside which threads, channels and the like are little.
const LARGE: u64 = 12 << 20;

/// Takes windows and keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn unit(&self) -> Option<Vec<u64>> {
        None
    }
    fn work_bytes(&self, _: u64) -> u64 {
        0
    }
    fn held(&self, _: u64) -> u64 {
        0
    }
    fn has(&self, _: &[Range<u64>]) -> bool {
        false
    }
    fn write(&self, _: &[Range<u64>], _: Block) -> outcrop_compute::Result<()> {
        Ok(())
    }
}

type Case = (&'static str, Box<dyn Fn(&DataArray) -> outcrop_compute::Result<DataArray>>);

fn case(name: &'static str, f: impl Fn(&DataArray) -> outcrop_compute::Result<DataArray> + 'static) -> Case {
    (name, Box::new(f))
}

fn cases() -> Vec<Case> {
    let options = ReduceOptions::default;
    vec![
        case("as it is", |a| Ok(a.clone())),
        case("arithmetic", |a| a.multiply(1.8)?.add(32.0)),
        case("two arrays", |a| a.add(&a.multiply(2.0)?)),
        case("where", |a| a.where_(&a.binary(outcrop_compute::BinaryOp::Greater, 0.0)?)),
        case("as doubles", |a| Ok(a.astype(DType::Float64))),
        case("sqrt", |a| a.unary(UnaryOp::Absolute)?.unary(UnaryOp::Sqrt)),
        case("isel", |a| a.isel("t", 3..40)?.isel("y", 10..100)),
        case("step", |a| a.isel_step("x", 0..a.shape()[2], 3)),
        case("take", |a| a.take("t", &[1, 5, 9, 30])),
        case("transpose", |a| a.transpose(&["x", "y", "t"])),
        case("concat", |a| DataArray::concat(&[a.clone(), a.clone()], "t")),
        case("mean over time", |a| a.mean(&["t"])),
        case("mean over space", |a| a.mean(&["y", "x"])),
        case("mean of all", |a| a.mean(&[])),
        case("std over time", move |a| a.reduce(Reduction::Std, &["t"], options())),
        case("max over a row", |a| a.max(&["x"])),
        case("argmax", move |a| a.fillna(0.0)?.reduce(Reduction::Argmax, &["t"], options())),
        case("months", move |a| a.groupby("t", GroupBy::Month, Reduction::Mean, options())),
        case("median over time", |a| a.median(&["t"], Missing::Skip)),
        case("quantile over a row", |a| a.quantile(0.9, &["x"], Missing::Skip)),
        case("anomaly", |a| a.subtract(&a.mean(&["t"])?)),
        case("coarsen", |a| a.coarsen(&[("y", 4), ("x", 4)])?.mean()),
        case("coarsen by max", move |a| a.coarsen(&[("t", 2), ("x", 4)])?.reduce(Reduction::Max, options())),
        case("rolling mean", |a| a.rolling("t", 5)?.mean()),
        case("cumsum", |a| a.cumsum("t", Missing::Skip)),
        case("diff", |a| a.diff("t", 1)),
        case("shift", |a| a.shift("t", 2)),
        case("detrend", |a| a.transpose(&["y", "x", "t"])?.detrend("t", &[Trend::Linear], &[])),
        case("filter", |a| a.sosfiltfilt("x", &butter(2, Band::Low(0.1), 1.0).unwrap(), 4)),
        case("remove median", |a| a.remove_median("t", Missing::Skip)),
        case("smooth", |a| a.stencil(Stencil::smooth(3))),
        case("fft2", |a| a.fillna(0.0)?.fft2()),
        case("dot", |a| {
            let plane = a.index("t", 0)?.fillna(0.0)?;
            plane.dot(&plane.rename_dim("y", "k")?, "x")
        }),
        case("rechunk", |a| a.rechunk(&[("y", 16), ("x", 16)])),
        case("rechunk and reduce", |a| a.rechunk(&[("y", 16), ("x", 16)])?.median(&["t"], Missing::Skip)),
        case("corr", |a| a.corr(&a.shift("t", 1)?, &["t"])),
    ]
}

/// The most that a run holds at once, in bytes.
fn peak_of(array: &DataArray, options: &RunOptions) -> u64 {
    let plan = Plan::new(array, &Nowhere, options).unwrap();
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    plan.run(options, &Nowhere).unwrap();
    PEAK.load(Ordering::Relaxed) - before
}

#[test]
fn plans_keep_within_the_memory_that_they_promise() {
    let bench = Bench::new();
    let shape = [60, 320, 400];
    let block = values(&mut Numbers::new(1), DType::Float32, shape.iter().product());
    let (mut wrong, mut large) = (Vec::new(), 0);
    // Of the last, tasks have few and large slabs, and seldom take what they may at the same time: only that none takes more is asked.
    let near = [([5, 128, 160], 2), ([60, 32, 32], 2), ([1, 320, 400], 1)];
    for (chunk, threads) in near.into_iter().chain([([20, 160, 200], 2)]) {
        let is_near = near.iter().any(|(own, _)| *own == chunk);
        let array = bench.stored("v", &block, &shape, &chunk);
        for (name, f) in cases() {
            let executor = if threads == 1 { Executor::Serial } else { Executor::Threads };
            let options = RunOptions { threads, memory: 400 << 20, executor, ..RunOptions::default() };
            let plan = Plan::new(&f(&array).unwrap(), &Nowhere, &options).unwrap();
            // What threads, channels and the like take whatever the arrays are.
            let fixed = 1 << 20;
            let (mut measured, mut share) = (0u64, 0.0);
            // Threads that are not at their peaks at once leave a run below what it may take; the largest of some runs counts.
            for _ in 0..6 {
                measured = measured.max(peak_of(&f(&array).unwrap(), &options));
                share = measured.saturating_sub(fixed) as f64 / plan.memory_bytes() as f64;
                if !is_near || plan.memory_bytes() < LARGE || share >= 0.6 {
                    break;
                }
            }
            let told = format!("{name}, chunks {chunk:?}: {measured} of {} ({share:.2})", plan.memory_bytes());
            let is_large = is_near && measured >= LARGE;
            large += u32::from(is_large);
            if !(share <= 1.0 && (share >= 0.6 || !is_large)) {
                wrong.push(told);
            }
        }
    }
    assert!(wrong.is_empty(), "{} plans:\n{}", wrong.len(), wrong.join("\n"));
    assert!(large >= 30, "only {large} plans are large enough to tell");
}
