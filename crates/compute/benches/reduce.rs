//! Reductions of an array in memory, against the bandwidth of memory: `cargo bench --bench reduce`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use outcrop_compute::{DataArray, ReduceOptions, Reduction, RunOptions};

fn best(what: &str, bytes: f64, mut work: impl FnMut()) -> f64 {
    let mut seconds = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        work();
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    println!("{what}: {:.2} GB/s", bytes / seconds / 1e9);
    bytes / seconds
}

fn main() {
    let (t, y, x) = (100u64, 1000u64, 1000u64);
    let values: Vec<f32> = (0..t * y * x).map(|at| (at % 1009) as f32).collect();
    let bytes = values.len() as f64 * 4.0;
    // What two threads can read: a sum of whole numbers, which is nothing but loads and additions.
    let words: Vec<u64> = vec![1; values.len() / 2];
    let limit = best("read by two threads", bytes, || {
        let half = words.len() / 2;
        let sum = |part: &[u64]| part.iter().fold(0u64, |all, word| all.wrapping_add(*word));
        let both = std::thread::scope(|scope| {
            let first = scope.spawn(|| sum(&words[..half]));
            sum(&words[half..]).wrapping_add(first.join().unwrap())
        });
        black_box(both);
    });
    drop(words);
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
        let rate = best(&format!("{kind:?} over {dims:?}"), bytes, || {
            black_box(reduced.compute_with(&options).unwrap());
        });
        println!("  {:.0} % of it", 100.0 * rate / limit);
    }
}
