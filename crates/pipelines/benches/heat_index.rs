//! Heat index of daily images against its physical limit: bare decoding of the same chunks.
//!
//! `cargo bench -p outcrop-pipelines --bench heat_index -- FOLDER [THREADS]`, where FOLDER holds `*.tif`, a day each. CPU
//! seconds are of this process, user and system.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a program that measures: it prints, and stops where something is wrong"
)]

use std::path::PathBuf;
use std::time::Instant;

use outcrop_compute::RunOptions;
use outcrop_formats::{ChunkRef, Decoder};
use outcrop_pipelines::heat_index::{DayFile, HeatIndex, HeatOptions, Series, SeriesOptions, day_of_name};
use outcrop_store::{Href, Store, StoreOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some(folder) = arguments.first() else {
        println!("skipped: name a folder with daily images");
        return;
    };
    let threads = arguments.get(1).map_or(0, |n| n.parse().unwrap_or(0));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "tif"));
    let file = |path: &PathBuf| DayFile {
        day: day_of_name(&path.file_name().unwrap().to_string_lossy(), None).unwrap(),
        href: Href::from_path(path),
        item: None,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();

    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let files = paths.iter().map(file).collect();
    let series = store.wait(Series::open(&store, files, SeriesOptions::default())).unwrap();
    println!("opened     {:.2} CPU s, {:.2} s", cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    let index = HeatIndex::new(series, HeatOptions::default()).unwrap();
    let run = RunOptions { threads, ..Default::default() };
    let mut sum = 0.0;
    let report = index
        .run(&run, 0, |_, means| {
            sum += means[0].iter().filter(|v| !v.is_nan()).sum::<f64>();
            Ok(())
        })
        .unwrap();
    println!(
        "outcrop    {:.2} CPU s, {:.2} s, {} columns, {} slabs, bound {:.1} MB, peak {:.1} MB, sum {sum}, first {}",
        cpu_seconds() - cpu,
        wall.elapsed().as_secs_f64(),
        index.plan().columns().len(),
        index.plan().slabs().len(),
        report.run.bound.total() as f64 / 1e6,
        outcrop_compute::peak() as f64 / 1e6,
        report.days[0].mean_f,
    );
    bare(&index);
}

/// Reads each file whole and decodes its chunks, one after the other.
fn bare(index: &HeatIndex) {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let (mut chunks, mut bytes) = (0u64, 0u64);
    for source in index.series().array.sources() {
        let file = std::fs::read(source.href().to_path().unwrap()).unwrap();
        let refs = source.refs();
        let mut decoder = Decoder::new(refs).unwrap();
        let size: u64 = refs.grid.chunk.iter().product::<u64>() * refs.dtype.size() as u64;
        let mut out = vec![0; size as usize];
        for (_, chunk) in refs {
            if let ChunkRef::Range { offset, length, .. } = &chunk {
                let stored = &file[*offset as usize..(*offset + *length) as usize];
                decoder.decode(&chunk, stored, &mut out).unwrap();
                (chunks, bytes) = (chunks + 1, bytes + size);
            }
        }
    }
    println!(
        "bare       {:.2} CPU s, {:.2} s, {chunks} chunks, {:.1} MB decoded",
        cpu_seconds() - cpu,
        wall.elapsed().as_secs_f64(),
        bytes as f64 / 1e6
    );
}

/// CPU seconds of this process so far, user and system.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
