//! Speed of decoding against bare libdeflate and unshuffle: `cargo bench -p outcrop-formats`.
//!
//! The data is a smooth field of `float32` in chunks of 8 x 181 x 360 with a little noise, which compresses about as
//! reanalyses do.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it prints, and stops where it fails")]

use std::hint::black_box;
use std::time::Instant;

use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{Attrs, ChunkRef, DType, Decoder, Locate, Open};
use outcrop_store::{Demand, Sparse, Step};

const CHUNK: [u64; 3] = [8, 181, 360];
const ROUNDS: usize = 7;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nc");
    write(&path);
    let have = Sparse::whole(&std::fs::read(&path).unwrap().into());
    let Ok(Step::Done(header)) = Open::new().step(&have) else { panic!("the file was just written") };
    let variable = header.find("v").unwrap();
    let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { panic!("all of the file is there") };
    let stored: Vec<(ChunkRef, bytes::Bytes)> = refs
        .iter()
        .map(|(_, chunk)| match chunk {
            ChunkRef::Range { offset, length, .. } => (chunk.clone(), have.get(&(offset..offset + length)).unwrap()),
            _ => panic!("chunks are in the file"),
        })
        .collect();
    let mut decoder = Decoder::new(&refs).unwrap();
    let size = decoder.chunk_bytes();
    let mut out = vec![0u8; size];
    let mut scratch = vec![0u8; size];
    let mut inflate = libdeflater::Decompressor::new();
    let total = (size * stored.len()) as f64 / 1e6;
    let ratio = total * 1e6 / refs.stored_bytes().unwrap_or(0) as f64;
    println!("{} chunks of {size} bytes, ratio {ratio:.2}", stored.len());
    let [mut ours, mut bare, mut copied, mut alone] = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for (chunk, bytes) in &stored {
            decoder.decode(chunk, bytes, black_box(&mut out)).unwrap();
        }
        ours = ours.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        for (_, bytes) in &stored {
            inflate.zlib_decompress(bytes, &mut scratch).unwrap();
            unshuffle(&scratch, black_box(&mut out));
        }
        bare = bare.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        for (_, bytes) in &stored {
            inflate.zlib_decompress(bytes, &mut scratch).unwrap();
            out.copy_from_slice(black_box(&scratch));
        }
        copied = copied.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        for (_, bytes) in &stored {
            inflate.zlib_decompress(bytes, black_box(&mut scratch)).unwrap();
        }
        alone = alone.min(start.elapsed().as_secs_f64());
    }
    println!("decode                 {:7.0} MB/s", total / ours);
    println!("libdeflate + unshuffle {:7.0} MB/s", total / bare);
    println!("libdeflate + memcpy    {:7.0} MB/s", total / copied);
    println!("libdeflate alone       {:7.0} MB/s", total / alone);
    println!(
        "decode costs {:+.1} % over libdeflate + memcpy, the least that is possible",
        100.0 * (ours / copied - 1.0)
    );
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

fn write(path: &std::path::Path) {
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
