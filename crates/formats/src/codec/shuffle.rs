//! HDF5 filter 2: bytes of equal significance side by side.
//!
//! Byte `k` of element `i` of `n` is stored at `k * n + i`; a tail shorter than an element is stored as it is.

/// Puts the bytes of elements together again; with `swap` in reverse order.
///
/// `data` and `out` have the same length.
pub(crate) fn decode(data: &[u8], out: &mut [u8], element: usize, swap: Swap) {
    match element {
        2 => unshuffle::<2>(data, out, swap),
        4 => unshuffle::<4>(data, out, swap),
        8 => unshuffle::<8>(data, out, swap),
        _ => unshuffle_any(data, out, element),
    }
    if swap == Swap::Yes && !matches!(element, 2 | 4 | 8) {
        super::order::swap(out, element);
    }
}

/// Whether elements are turned to the other byte order on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swap {
    /// They are.
    Yes,
    /// They are not.
    No,
}

fn unshuffle<const N: usize>(data: &[u8], out: &mut [u8], swap: Swap) {
    let n = data.len() / N;
    let (body, tail) = data.split_at(n * N);
    let (elements, rest) = out.as_chunks_mut::<N>();
    let mut planes: [&[u8]; N] = std::array::from_fn(|k| &body[k * n..(k + 1) * n]);
    if swap == Swap::Yes {
        planes.reverse();
    }
    interleave(&planes, elements);
    rest.copy_from_slice(tail);
}

/// Blocks of 32 elements with all lengths known to the compiler become byte shuffles.
#[multiversion::multiversion(targets("x86_64+avx2", "x86_64+sse4.2", "aarch64+neon"))]
pub(crate) fn interleave<const N: usize>(planes: &[&[u8]; N], out: &mut [[u8; N]]) {
    const BLOCK: usize = 32;
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let done = blocks.len() * BLOCK;
    for (b, block) in blocks.iter_mut().enumerate() {
        let from = b * BLOCK;
        let mut source = [[0u8; BLOCK]; N];
        for (lane, plane) in source.iter_mut().zip(planes) {
            lane.copy_from_slice(&plane[from..from + BLOCK]);
        }
        for (i, element) in block.iter_mut().enumerate() {
            for (k, byte) in element.iter_mut().enumerate() {
                *byte = source[k][i];
            }
        }
    }
    for (i, element) in rest.iter_mut().enumerate() {
        for (byte, plane) in element.iter_mut().zip(planes) {
            *byte = plane[done + i];
        }
    }
}

/// Puts bytes of equal significance side by side.
pub(crate) fn encode(data: &[u8], element: usize) -> Vec<u8> {
    let n = data.len() / element.max(1);
    let mut out = data.to_vec();
    if element <= 1 || n <= 1 {
        return out;
    }
    for (k, plane) in out[..n * element].chunks_exact_mut(n).enumerate() {
        for (byte, value) in plane.iter_mut().zip(data.chunks_exact(element)) {
            *byte = value[k];
        }
    }
    out
}

fn unshuffle_any(data: &[u8], out: &mut [u8], element: usize) {
    let n = data.len() / element.max(1);
    if element <= 1 || n <= 1 {
        out.copy_from_slice(data);
        return;
    }
    let (body, tail) = data.split_at(n * element);
    for (k, plane) in body.chunks_exact(n).enumerate() {
        for (i, byte) in plane.iter().enumerate() {
            out[i * element + k] = *byte;
        }
    }
    out[n * element..].copy_from_slice(tail);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_size_and_tail_comes_back() {
        for element in 1..=17 {
            for len in [0, 1, element, 7 * element + 1, 33 * element, 100 * element + element - 1] {
                let data: Vec<u8> = (0..len).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
                let mut out = vec![0; len];
                let stored = encode(&data, element);
                if element > 1 && len > element {
                    assert_eq!(stored[len / element], data[1], "the second byte begins the second plane");
                }
                decode(&stored, &mut out, element, Swap::No);
                assert_eq!(out, data, "element {element}, length {len}");
                let mut want = data.clone();
                super::super::order::swap(&mut want, element);
                decode(&encode(&data, element), &mut out, element, Swap::Yes);
                assert_eq!(out, want, "element {element}, length {len}, swapped");
            }
        }
    }
}
