//! Opens, locates and decodes whatever comes: `cargo +nightly fuzz run read` (seed it with `tests/fixtures`).

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_formats::{ChunkRef, Decoder, Locate, Open, cf::Decoding};
use outcrop_store::{Demand, Sparse, Step};

fuzz_target!(|data: &[u8]| {
    let have = Sparse::whole(&data.to_vec().into());
    let Ok(Step::Done(header)) = Open::new().step(&have) else { return };
    for variable in &header.variables {
        let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { continue };
        let Ok(mut decoder) = Decoder::new(&refs) else { continue };
        if decoder.chunk_bytes() > 1 << 20 {
            continue;
        }
        let mut out = vec![0; decoder.chunk_bytes()];
        for (_, chunk) in refs.iter().take(50) {
            let range = match &chunk {
                ChunkRef::Range { offset, length, .. } => *offset..offset + length,
                _ => 0..0,
            };
            let bytes = have.get(&range).expect("a chunk past the end was let through");
            if decoder.decode(&chunk, &bytes, &mut out).is_ok() {
                Decoding::of(variable).to_f64(&out);
            }
        }
    }
});
