//! Speed of decoding against bare libdeflate and unshuffle, and of opening headers: `cargo bench -p outcrop-formats
//! --bench decode`, or with `-- FILE...` for the headers of other files.
//!
//! The data is a smooth field of `float32` in chunks of 8 x 181 x 360 with a little noise, which compresses about as
//! reanalyses do. It is left as `target/bench_decode.nc`, for `benches/decode.py`, which times h5py on it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it prints, and stops where it fails")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{Attrs, ChunkRef, ChunkRefs, DType, Decoder, Locate, Open, Opened};
use outcrop_store::{Demand, Href, Sparse, Step, Store, StoreOptions};

const CHUNK: [u64; 3] = [8, 181, 360];
const ROUNDS: usize = 9;

type Stored = Vec<(ChunkRef, bytes::Bytes)>;

fn main() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench_decode.nc");
    write(&path);
    let have = Sparse::whole(&std::fs::read(&path).unwrap().into());
    let Ok(Step::Done(header)) = Open::new().step(&have) else { panic!("the file was just written") };
    let variable = header.find("v").unwrap();
    let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { panic!("all of the file is there") };
    let stored: Stored = refs
        .iter()
        .map(|(_, chunk)| match chunk {
            ChunkRef::Range { offset, length, .. } => (chunk.clone(), have.get(&(offset..offset + length)).unwrap()),
            _ => panic!("chunks are in the file"),
        })
        .collect();
    let size = Decoder::new(&refs).unwrap().chunk_bytes();
    let total = (size * stored.len()) as f64 / 1e6;
    let ratio = total * 1e6 / refs.stored_bytes().unwrap_or(0) as f64;
    println!("{} chunks of {size} bytes, ratio {ratio:.2}", stored.len());
    for threads in [1, 2] {
        decode(&refs, &stored, (threads, size, total));
    }
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let given: Vec<PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    for file in [path, fixtures.join("netcdf4.nc"), fixtures.join("tiff/cog.tif")].into_iter().chain(given) {
        if file.exists() {
            open(&file);
        }
    }
}

/// Runs `work` on every chunk, by threads with scratch memory of their own; seconds.
fn timed<S>(threads: usize, count: usize, scratch: impl Fn() -> S + Sync, work: impl Fn(&mut S, usize) + Sync) -> f64 {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = scratch();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    work(&mut own, at);
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

fn decode(refs: &ChunkRefs, stored: &Stored, (threads, size, total): (usize, usize, f64)) {
    let buffers = || (libdeflater::Decompressor::new(), vec![0u8; size], vec![0u8; size]);
    let [mut ours, mut bare, mut copied, mut alone] = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        ours = ours.min(timed(
            threads,
            stored.len(),
            || (Decoder::new(refs).unwrap(), vec![0u8; size]),
            |(decoder, out), at| decoder.decode(&stored[at].0, &stored[at].1, black_box(out)).unwrap(),
        ));
        bare = bare.min(timed(threads, stored.len(), buffers, |(inflate, scratch, out), at| {
            inflate.zlib_decompress(&stored[at].1, scratch).unwrap();
            unshuffle(scratch, black_box(out));
        }));
        copied = copied.min(timed(threads, stored.len(), buffers, |(inflate, scratch, out), at| {
            inflate.zlib_decompress(&stored[at].1, scratch).unwrap();
            out.copy_from_slice(black_box(scratch));
        }));
        alone = alone.min(timed(threads, stored.len(), buffers, |(inflate, scratch, _), at| {
            inflate.zlib_decompress(&stored[at].1, black_box(scratch)).unwrap();
        }));
    }
    println!("{threads} threads, best of {ROUNDS}");
    for (name, seconds) in [
        ("decode", ours),
        ("libdeflate + unshuffle", bare),
        ("libdeflate + memcpy", copied),
        ("libdeflate alone", alone),
    ] {
        println!("  {name:<22} {:7.0} MB/s, decode takes {:.3} of its time", total / seconds, ours / seconds);
    }
}

/// Opens a file again and again, its header in the page cache.
fn open(file: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let href = Href::from_path(file);
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let start = Instant::now();
            black_box(runtime.block_on(Opened::open(&store, &href)).unwrap());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!("open {name}: median {:.3} ms, best {:.3} ms", times[100], times[0]);
}

/// The plain loop over four planes.
fn unshuffle(data: &[u8], out: &mut [u8]) {
    let n = data.len() / 4;
    let plane = |k: usize| &data[k * n..(k + 1) * n];
    let pairs = plane(0).iter().zip(plane(1)).zip(plane(2).iter().zip(plane(3)));
    for (element, ((first, second), (third, fourth))) in out.as_chunks_mut::<4>().0.iter_mut().zip(pairs) {
        *element = [*first, *second, *third, *fourth];
    }
}

fn write(path: &Path) {
    let mut writer = Writer::create(path, &Attrs::new()).unwrap();
    for (name, len) in ["t", "y", "x"].into_iter().zip([96, 362, 720]) {
        writer.add_dim(name, len).unwrap();
    }
    let spec = VariableSpec {
        name: "v".into(),
        dims: ["t", "y", "x"].map(String::from).to_vec(),
        dtype: DType::Float32,
        chunk: Some(CHUNK.to_vec()),
        deflate: Some(4),
        fill: None,
        attrs: Attrs::new(),
    };
    writer.add_variable(&spec).unwrap();
    let mut seed = 1u32;
    for t in 0..12u64 {
        for y in 0..2 {
            for x in 0..2 {
                let cells = usize::try_from(CHUNK.iter().product::<u64>()).unwrap();
                let raw: Vec<u8> = (0..cells)
                    .flat_map(|i| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let noise = f64::from(seed >> 22) * 1e-3;
                        let value = 280.0 + 15.0 * ((i % 360) as f64 * 0.03).sin() + (i / 360) as f64 * 0.01 + noise;
                        #[expect(clippy::cast_possible_truncation, reason = "single precision is what is stored")]
                        let value = (value * 8.0).round() as f32 / 8.0;
                        value.to_ne_bytes()
                    })
                    .collect();
                writer.write_chunk("v", &[t, y, x], &raw).unwrap();
            }
        }
    }
    writer.finish().unwrap();
}
