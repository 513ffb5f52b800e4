//! Seconds to read whole GeoTIFF files into one array: `cargo bench -p outcrop-formats --bench geotiff -- THREADS FILE...`.
//!
//! `geotiff.sh` makes files and runs rasterio (GDAL) on the same ones.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it prints, and stops where it fails")]

use std::sync::Mutex;
use std::time::Instant;

use outcrop_formats::{ChunkRef, ChunkRefs, Decoder, Locate, Open, fill_window};
use outcrop_store::{Demand, Sparse, Step};

const ROUNDS: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let threads: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    for path in arguments {
        let best = (0..ROUNDS).map(|_| read(&path, threads)).fold(f64::INFINITY, f64::min);
        println!("{path} {threads} {best:.3}");
    }
}

/// Reads the file and decodes all of it; each thread has a band of rows of chunks.
fn read(path: &str, threads: usize) -> f64 {
    let start = Instant::now();
    let have = Sparse::whole(&std::fs::read(path).unwrap().into());
    let Ok(Step::Done(header)) = Open::new().step(&have) else { panic!("{path} is no TIFF file") };
    let Ok(Step::Done(refs)) = Locate::new(header.find("band_data").unwrap()).step(&have) else { panic!("no index") };
    let [rows, columns] = [refs.grid.shape[1], refs.grid.shape[2]];
    let line = usize::try_from(columns).unwrap() * refs.dtype.size();
    let step = refs.grid.chunk[1];
    let mut out = vec![0u8; usize::try_from(rows).unwrap() * line];
    let bands: Vec<(u64, &mut [u8])> = (0..).zip(out.chunks_mut(usize::try_from(step).unwrap() * line)).collect();
    let work = Mutex::new(bands.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut decoder = Decoder::new(&refs).unwrap();
                let mut chunk = vec![0; decoder.chunk_bytes()];
                while let Some((row, out)) = { work.lock().unwrap().next() } {
                    decode_row(&refs, &have, row, (&mut decoder, &mut chunk, out));
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

fn decode_row(refs: &ChunkRefs, have: &Sparse, row: u64, (decoder, chunk, out): (&mut Decoder, &mut [u8], &mut [u8])) {
    let (rows, columns) = (refs.grid.shape[1], refs.grid.shape[2]);
    let step = refs.grid.chunk[1];
    let window = [0..1, row * step..((row + 1) * step).min(rows), 0..columns];
    for column in 0..refs.grid.counts()[2] {
        let index = [0, row, column];
        let reference = refs.get(&index);
        let ChunkRef::Range { offset, length, .. } = &reference else { panic!("chunks are in the file") };
        let bytes = have.get(&(*offset..offset + length)).unwrap();
        decoder.decode(&reference, &bytes, chunk).unwrap();
        fill_window(refs, &index, chunk, &window, out).unwrap();
    }
}
