//! Trend, band-pass forward and backward, every fourth sample, for channels of ten minutes at 200 Hz.
//!
//! `cargo bench -p outcrop-compute --bench signal -- [CHANNELS [THREADS]]`; `benches/scipy_signal.py` does the same with SciPy.
//! CPU seconds are of this process, user and system.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a program that measures: it prints, and stops where something is wrong"
)]

use std::time::Instant;

use outcrop_compute::signal::{Band, Workspace, butter, detrend, remove_mean, remove_median};

const LENGTH: usize = 120_000;
/// Channels that a thread takes at once.
const BLOCK: usize = 16;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let channels = numbers.first().copied().unwrap_or(200);
    let threads = numbers.get(1).copied().unwrap_or(2);
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 40) as f32) / 1e4
    };
    let input: Vec<f32> = (0..channels * LENGTH).map(|_| random()).collect();
    let sos = butter(5, Band::Pass(0.025, 5.0), 200.0).unwrap();
    let mut out = vec![0f32; channels * LENGTH / 4];
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let blocks: Vec<_> = input.chunks(BLOCK * LENGTH).zip(out.chunks_mut(BLOCK * LENGTH / 4)).collect();
    let queue = std::sync::Mutex::new(blocks.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (mut traces, mut filtered, mut workspace) = (Vec::new(), Vec::new(), Workspace::default());
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((input, out)) = next else { return };
                    traces.clear();
                    filtered.clear();
                    traces.extend(input.iter().map(|value| f64::from(*value)));
                    for trace in traces.chunks_exact_mut(LENGTH) {
                        remove_mean(trace);
                        detrend(trace, &[]).unwrap();
                    }
                    sos.filtfilt_into((&traces, LENGTH), 4, &mut filtered, &mut workspace).unwrap();
                    out.iter_mut().zip(&filtered).for_each(|(out, value)| *out = *value as f32);
                }
            });
        }
    });
    let filtered = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    let cpu = cpu_seconds();
    remove_median(&mut out, LENGTH / 4);
    println!(
        "{channels} channels, {threads} threads: trend and filter {:.2} CPU s, {:.2} s ({:.2} ms a channel); median {:.2} CPU s; {}",
        filtered.0,
        filtered.1,
        1000.0 * filtered.0 / channels as f64,
        cpu_seconds() - cpu,
        out[12_345]
    );
}

/// CPU seconds of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
