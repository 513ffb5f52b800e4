//! Reductions of an array in memory, against the bandwidth of memory: `cargo bench --bench reduce`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use outcrop_compute::{DataArray, ReduceOptions, Reduction, RunOptions};

// That of the program: the system's gives memory back after each run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds of the best of some runs of each; they take turns, so that what else runs disturbs both.
fn best(mut one: impl FnMut(), mut other: impl FnMut()) -> [f64; 2] {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..10).fold([f64::INFINITY; 2], |[a, b], _| [time(&mut one).min(a), time(&mut other).min(b)])
}

/// What two threads can read: a sum of whole numbers, which is nothing but loads and additions.
fn read(words: &[u64]) {
    let sum = |part: &[u64]| part.iter().fold(0u64, |all, word| all.wrapping_add(*word));
    let (left, right) = words.split_at(words.len() / 2);
    let both = std::thread::scope(|scope| {
        let first = scope.spawn(|| sum(left));
        sum(right).wrapping_add(first.join().unwrap())
    });
    black_box(both);
}

fn main() {
    let (t, y, x) = (100u64, 1000u64, 1000u64);
    let values: Vec<f32> = (0..t * y * x).map(|at| (at % 1009) as f32).collect();
    let gigabytes = values.len() as f64 * 4e-9;
    let words: Vec<u64> = vec![1; values.len() / 2];
    let array = DataArray::from_values("v", &[("t", t), ("y", y), ("x", x)], values).unwrap();
    let options = RunOptions { threads: 2, ..RunOptions::default() };
    for (kind, dims) in [
        (Reduction::Mean, vec!["t"]),
        (Reduction::Mean, vec!["x"]),
        (Reduction::Mean, vec![]),
        (Reduction::Max, vec!["t"]),
        (Reduction::Std, vec!["t"]),
    ] {
        let reduced = array.reduce(kind, &dims, ReduceOptions::default()).unwrap();
        let work = || {
            black_box(reduced.compute_with(&options).unwrap());
        };
        let [limit, own] = best(|| read(&words), work);
        let (limit, own) = (gigabytes / limit, gigabytes / own);
        println!("{kind:?} over {dims:?}: {own:.1} of {limit:.1} GB/s, {:.0} %", 100.0 * own / limit);
    }
}
