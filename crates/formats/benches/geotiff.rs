//! Seconds to read whole GeoTIFF files into one array: `cargo bench -p outcrop-formats --bench geotiff -- THREADS FILE...`.
//!
//! `geotiff.sh` makes files and runs rasterio (GDAL) on the same ones.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it prints, and stops where it fails")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::Instant;

use outcrop_formats::{ChunkRef, ChunkRefs, Decoder, Locate, Open, fill_window};
use outcrop_store::{Demand, Sparse, Step};

const ROUNDS: usize = 9;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let threads: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    for path in arguments {
        // One array for all rounds, as in geotiff.py: what is measured is reading, not the first touch of memory.
        let mut out = Vec::new();
        let best = (0..ROUNDS).map(|_| read(&path, threads, &mut out)).fold(f64::INFINITY, f64::min);
        println!("{path} {threads} {best:.3}");
    }
}

/// Reads the file and decodes all of it; each thread has a band of rows of chunks, and reads their ranges itself.
fn read(path: &str, threads: usize, out: &mut Vec<u8>) -> f64 {
    let start = Instant::now();
    let file = File::open(path).unwrap();
    let mut have = Sparse::new(file.metadata().unwrap().len());
    let header = drive(&file, &mut have, &mut Open::new());
    let refs = drive(&file, &mut have, &mut Locate::new(header.find("band_data").unwrap()));
    let [rows, columns] = [refs.grid.shape[1], refs.grid.shape[2]];
    let line = usize::try_from(columns).unwrap() * refs.dtype.size();
    let step = refs.grid.chunk[1];
    out.resize(usize::try_from(rows).unwrap() * line, 0);
    let bands: Vec<(u64, &mut [u8])> = (0..).zip(out.chunks_mut(usize::try_from(step).unwrap() * line)).collect();
    let work = Mutex::new(bands.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut decoder = Decoder::new(&refs).unwrap();
                let (mut stored, mut chunk) = (Vec::new(), vec![0; decoder.chunk_bytes()]);
                while let Some((row, out)) = { work.lock().unwrap().next() } {
                    decode_row(&refs, (&file, &mut stored), row, (&mut decoder, &mut chunk, out));
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

/// Runs a parser to its end.
fn drive<D: Demand>(file: &File, have: &mut Sparse, parser: &mut D) -> D::Output {
    loop {
        let Ok(step) = parser.step(have) else { panic!("it is no TIFF file") };
        let ranges = match step {
            Step::Done(output) => return output,
            Step::Need(ranges) => ranges,
        };
        for range in ranges {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
            file.read_exact_at(&mut bytes, range.start).unwrap();
            have.insert(range.start, &bytes.into());
        }
    }
}

fn decode_row(
    refs: &ChunkRefs,
    (file, stored): (&File, &mut Vec<u8>),
    row: u64,
    (decoder, chunk, out): (&mut Decoder, &mut [u8], &mut [u8]),
) {
    let (rows, columns) = (refs.grid.shape[1], refs.grid.shape[2]);
    let step = refs.grid.chunk[1];
    let window = [0..1, row * step..((row + 1) * step).min(rows), 0..columns];
    for column in 0..refs.grid.counts()[2] {
        let index = [0, row, column];
        let reference = refs.get(&index);
        let ChunkRef::Range { offset, length, .. } = &reference else { panic!("chunks are in the file") };
        stored.resize(usize::try_from(*length).unwrap(), 0);
        file.read_exact_at(stored, *offset).unwrap();
        decoder.decode(&reference, stored, chunk).unwrap();
        fill_window(refs, &index, chunk, &window, out).unwrap();
    }
}
