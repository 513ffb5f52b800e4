//! Speed of decoding miniSEED: `cargo bench -p outcrop-formats --bench miniseed`.
//!
//! It leaves the file that it reads as `target/bench.mseed`, for other programs: `benches/miniseed.py` times ObsPy and
//! libmseed on it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it prints, and stops where it fails")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use outcrop_formats::miniseed::{Encoding, Samples, SegmentSpec, WriteOptions, Writer};
use outcrop_formats::{ChunkRef, Decoder, Locate, Open};
use outcrop_store::{Demand, Sparse, Step};

const SAMPLES: usize = 20_000_000;
const ROUNDS: usize = 5;

fn main() {
    let samples = trace();
    for (name, encoding) in [("steim1", Encoding::Steim1), ("steim2", Encoding::Steim2), ("int32", Encoding::Int32)] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/bench_{name}.mseed"));
        let options = WriteOptions { encoding: Some(encoding), ..WriteOptions::default() };
        let mut writer = Writer::create(&path, options).unwrap();
        let source = "XX.ABC.00.BHZ".into();
        writer.write(&SegmentSpec { source, start_ns: 0, rate_hz: 100.0, samples: Samples::Int32(&samples) }).unwrap();
        writer.finish().unwrap();
        read(name, &std::fs::read(&path).unwrap().into());
    }
}

/// A smooth signal with noise of about six bits, as quiet ground at 100 Hz.
fn trace() -> Vec<i32> {
    let mut seed = 1u32;
    (0..SAMPLES)
        .map(|i| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let loud = if i / 50_000 % 8 == 0 { 30.0 } else { 1.0 };
            let noise = (f64::from(seed >> 16) / 65_536.0 - 0.5) * 40.0 * loud;
            #[expect(clippy::cast_possible_truncation, reason = "far below 32 bits")]
            let value = (2000.0 * (i as f64 * 0.01).sin() + noise).round() as i32;
            value
        })
        .collect()
}

fn read(name: &str, bytes: &bytes::Bytes) {
    let have = Sparse::whole(bytes);
    let [mut opening, mut decoding] = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let Ok(Step::Done(header)) = Open::new().step(&have) else { panic!("the file was just written") };
        opening = opening.min(start.elapsed().as_secs_f64());
        let variable = header.find("XX.ABC.00.BHZ").unwrap();
        let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { panic!("all of the file is there") };
        let mut decoder = Decoder::new(&refs).unwrap();
        let mut out = vec![0u8; decoder.chunk_bytes()];
        let start = Instant::now();
        for (_, chunk) in &refs {
            let ChunkRef::Range { offset, length, .. } = chunk else { panic!("chunks are in the file") };
            let stored = have.get(&(offset..offset + length)).unwrap();
            decoder.decode(&chunk, &stored, black_box(&mut out)).unwrap();
        }
        decoding = decoding.min(start.elapsed().as_secs_f64());
    }
    let (stored, samples) = (bytes.len() as f64 / 1e6, SAMPLES as f64 / 1e6);
    println!(
        "{name}: {stored:.1} MB, {:.2} bytes per sample; open {:.1} ms, decode {:.0} ms: {:.0} million samples/s, {:.0} MB/s out",
        stored / samples,
        opening * 1e3,
        decoding * 1e3,
        samples / decoding,
        4.0 * samples / decoding
    );
}
