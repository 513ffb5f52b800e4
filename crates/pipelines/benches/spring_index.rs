//! First leaf of one year against its physical limit: bare libdeflate and unshuffle of the same chunks.
//!
//! `cargo bench -p outcrop-pipelines --bench spring_index -- FOLDER [COARSEN [THREADS]]`, where FOLDER holds
//! `*_tmin_*.nc`, `*_tmax_*.nc` and `*_dayl_*.nc`. CPU seconds are of this process, user and system.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a program that measures: it prints, and stops where something is wrong"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use outcrop_compute::{OpenOptions, RunOptions, open_dataset};
use outcrop_formats::ChunkRef;
use outcrop_formats::zarr::ZarrFormat;
use outcrop_pipelines::spring_index::{PLANTS, ResultOptions, ResultWriter, SpringIndex, SpringIndexOptions};
use outcrop_store::{Href, Store, StoreOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some(folder) = arguments.first() else {
        println!("skipped: name a folder with one year of tmin, tmax and dayl");
        return;
    };
    let coarsen = arguments.get(1).map_or(20, |n| n.parse().unwrap_or(20));
    let threads = arguments.get(2).map_or(0, |n| n.parse().unwrap_or(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let hrefs: Vec<Href> = ["tmin", "tmax", "dayl"].map(|name| Href::from_path(&file(Path::new(folder), name))).into();
    let options = OpenOptions::of(&SpringIndex::VARIABLES);

    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let dataset = runtime.block_on(open_dataset(&store, &hrefs, &options)).unwrap();
    let index =
        SpringIndex::new(&dataset, SpringIndexOptions { plants: PLANTS[..1].to_vec(), coarsen, ..Default::default() })
            .unwrap();
    let out = tempfile::tempdir().unwrap();
    let result = ResultOptions {
        root: out.path().join("first-leaf.zarr"),
        group: "1980".into(),
        format: ZarrFormat::V3,
        item: "bench".into(),
    };
    let writer = ResultWriter::create(&index, &result).unwrap();
    let before = store.stats().local_bytes;
    let report = index.run(&RunOptions { threads, ..Default::default() }, writer).unwrap();
    let ours = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    let days = report.run.steps;
    println!(
        "outcrop    coarsen {coarsen}: {:.2} CPU s, {:.2} s, {days} of {} days, {} cells, {:.1} MB read, bound {:.1} MB, peak {:.1} MB",
        ours.0,
        ours.1,
        report.run.of_steps,
        report.cells,
        (store.stats().local_bytes - before) as f64 / 1e6,
        report.run.bound.total() as f64 / 1e6,
        outcrop_compute::peak() as f64 / 1e6,
    );

    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let cores =
        if threads == 0 { std::thread::available_parallelism().map_or(1, std::num::NonZero::get) } else { threads };
    let bytes = bare(&dataset, days, cores);
    let limit = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    println!(
        "libdeflate + unshuffle, {cores} thread(s): {:.2} CPU s, {:.2} s, {:.1} MB decoded",
        limit.0,
        limit.1,
        bytes as f64 / 1e6
    );
    println!("ratio of CPU seconds: {:.2}", ours.0 / limit.0);
}

fn file(folder: &Path, variable: &str) -> PathBuf {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mark = format!("_{variable}_");
    names.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().contains(&mark)).unwrap()
}

/// Inflates and unshuffles the chunks of the first days of all variables on as many threads, nothing else.
fn bare(dataset: &outcrop_compute::Dataset, days: u64, threads: usize) -> usize {
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|part| scope.spawn(move || bare_part(dataset, days, (part, threads)))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

fn bare_part(dataset: &outcrop_compute::Dataset, days: u64, (part, of): (usize, usize)) -> usize {
    use std::os::unix::fs::FileExt;
    let mut decompressor = libdeflater::Decompressor::new();
    let mut total = 0;
    for array in dataset.arrays.values() {
        for source in array.sources() {
            let path = source.href().to_path().unwrap();
            let file = std::fs::File::open(path).unwrap();
            let size: u64 = source.refs().grid.chunk.iter().product::<u64>() * 4;
            let (mut inflated, mut plain) = (vec![0u8; size as usize], vec![0u8; size as usize]);
            for (i, (index, chunk)) in source.refs().iter().enumerate() {
                let ChunkRef::Range { offset, length, .. } = chunk else { continue };
                if index[0] >= days || i % of != part {
                    continue;
                }
                let mut stored = vec![0u8; length as usize];
                file.read_exact_at(&mut stored, offset).unwrap();
                let n = decompressor.zlib_decompress(&stored, &mut inflated).unwrap();
                unshuffle(&inflated[..n], &mut plain);
                total += n;
            }
            std::hint::black_box(&plain);
        }
    }
    total
}

fn unshuffle(from: &[u8], to: &mut [u8]) {
    let n = from.len() / 4;
    let (a, rest) = from.split_at(n);
    let (b, rest) = rest.split_at(n);
    let (c, d) = rest.split_at(n);
    for ((((out, a), b), c), d) in to.as_chunks_mut::<4>().0.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out = [*a, *b, *c, *d];
    }
}

/// User and system time of this process in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
