//! Predictors of TIFF: differences along a row (TIFF 6.0, section 14; floats: TIFF Technical Note 3).

use super::shuffle::Swap;

/// Undoes predictor 2 on a row of `samples` bands in place; elements are in native order afterwards.
pub(crate) fn horizontal(row: &mut [u8], samples: usize, element: usize, swap: Swap) {
    macro_rules! sums {
        ($int:ty, $n:literal) => {{
            let cells = row.as_chunks_mut::<$n>().0;
            match swap {
                Swap::Yes => sum(
                    cells,
                    samples,
                    |b| <$int>::from_ne_bytes(b).swap_bytes(),
                    <$int>::wrapping_add,
                    <$int>::to_ne_bytes,
                ),
                Swap::No => sum(cells, samples, <$int>::from_ne_bytes, <$int>::wrapping_add, <$int>::to_ne_bytes),
            }
        }};
    }
    match element {
        1 => sums!(u8, 1),
        2 => sums!(u16, 2),
        4 => sums!(u32, 4),
        8 => sums!(u64, 8),
        _ => {}
    }
}

#[inline]
fn sum<T: Copy + Default, const N: usize>(
    cells: &mut [[u8; N]],
    samples: usize,
    from: impl Fn([u8; N]) -> T,
    add: impl Fn(T, T) -> T,
    to: impl Fn(T) -> [u8; N],
) {
    match samples {
        1 => {
            let mut total = T::default();
            for cell in cells {
                total = add(total, from(*cell));
                *cell = to(total);
            }
        }
        3 => {
            let mut total = [T::default(); 3];
            for cell in cells.as_chunks_mut::<3>().0 {
                for (total, sample) in total.iter_mut().zip(cell) {
                    *total = add(*total, from(*sample));
                    *sample = to(*total);
                }
            }
        }
        samples => {
            let mut total = vec![T::default(); samples];
            for cell in cells.chunks_mut(samples) {
                for (total, sample) in total.iter_mut().zip(cell) {
                    *total = add(*total, from(*sample));
                    *sample = to(*total);
                }
            }
        }
    }
}

/// Undoes predictor 3 on a row of `samples` bands: sums of bytes in place, then elements in native order to `out`.
///
/// `row` and `out` have the same length. The bytes are stored with the most significant first, whatever the file's order.
pub(crate) fn float(row: &mut [u8], samples: usize, element: usize, out: &mut [u8]) {
    if samples == 1 {
        running(row);
    } else {
        running_by(row, samples);
    }
    match element {
        2 => join::<2>(row, out),
        4 => join::<4>(row, out),
        8 => join::<8>(row, out),
        _ => {}
    }
}

fn join<const N: usize>(row: &[u8], out: &mut [u8]) {
    let n = row.len() / N;
    let mut planes: [&[u8]; N] = std::array::from_fn(|k| &row[k * n..(k + 1) * n]);
    if cfg!(target_endian = "little") {
        planes.reverse();
    }
    super::shuffle::interleave(&planes, out.as_chunks_mut::<N>().0);
}

/// Sums of bytes from the first on, modulo 256: eight at a time, as two times four 16-bit lanes.
fn running(row: &mut [u8]) {
    const LANES: u64 = 0x0001_0001_0001_0001;
    const LOW: u64 = 0x00ff_00ff_00ff_00ff;
    let mut carry = 0u64;
    let (words, tail) = row.as_chunks_mut::<8>();
    for word in words {
        let bytes = u64::from_le_bytes(*word);
        // Four sums of at most 255 stay below 2^16, so that no lane touches the next; lane j holds the sum up to j.
        let even = (bytes & LOW).wrapping_mul(LANES);
        let odd = (bytes >> 8 & LOW).wrapping_mul(LANES);
        let before = carry.wrapping_mul(LANES);
        let evens = even.wrapping_add(odd << 16).wrapping_add(before) & LOW;
        let odds = even.wrapping_add(odd).wrapping_add(before) & LOW;
        carry = carry.wrapping_add(even.wrapping_add(odd) >> 48) & 0xff;
        *word = (evens | odds << 8).to_le_bytes();
    }
    let mut total = carry.to_le_bytes()[0];
    for byte in tail {
        total = total.wrapping_add(*byte);
        *byte = total;
    }
}

fn running_by(row: &mut [u8], samples: usize) {
    for at in samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - samples]);
    }
}

/// Bytes of equal significance side by side, the most significant first.
fn split<const N: usize>(row: &[u8], out: &mut [u8]) {
    let n = row.len() / N;
    for (k, plane) in out.chunks_exact_mut(n.max(1)).take(N).enumerate() {
        let significance = if cfg!(target_endian = "little") { N - 1 - k } else { k };
        for (byte, value) in plane.iter_mut().zip(row.as_chunks::<N>().0) {
            *byte = value[significance];
        }
    }
}

/// Applies predictor 2 to a row in place; elements are in native order and stay so.
pub(crate) fn difference(row: &mut [u8], samples: usize, element: usize) {
    macro_rules! differences {
        ($int:ty, $n:literal) => {{
            let cells = row.as_chunks_mut::<$n>().0;
            for at in (samples..cells.len()).rev() {
                let before = <$int>::from_ne_bytes(cells[at - samples]);
                cells[at] = <$int>::from_ne_bytes(cells[at]).wrapping_sub(before).to_ne_bytes();
            }
        }};
    }
    match element {
        1 => differences!(u8, 1),
        2 => differences!(u16, 2),
        4 => differences!(u32, 4),
        8 => differences!(u64, 8),
        _ => {}
    }
}

/// Applies predictor 3 to a row of elements in native order; `out` has its length.
pub(crate) fn float_difference(row: &[u8], samples: usize, element: usize, out: &mut [u8]) {
    match element {
        2 => split::<2>(row, out),
        4 => split::<4>(row, out),
        8 => split::<8>(row, out),
        _ => out.copy_from_slice(row),
    }
    for at in (samples..out.len()).rev() {
        out[at] = out[at].wrapping_sub(out[at - samples]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_summed_again() {
        for element in [1, 2, 4, 8] {
            for samples in 1..=4 {
                for cells in [0, 1, 2, 9, 40] {
                    let len = element * samples * cells;
                    let data: Vec<u8> = (0..len).map(|i| u8::try_from(i * i * 37 % 251).unwrap()).collect();
                    let mut row = data.clone();
                    difference(&mut row, samples, element);
                    let mut swapped = row.clone();
                    crate::codec::order::swap(&mut swapped, element);
                    horizontal(&mut row, samples, element, Swap::No);
                    horizontal(&mut swapped, samples, element, Swap::Yes);
                    assert_eq!(row, data, "{element} {samples} {cells}");
                    assert_eq!(swapped, data, "{element} {samples} {cells}");
                    if element > 1 {
                        let (mut stored, mut out) = (vec![0; len], vec![0; len]);
                        float_difference(&data, samples, element, &mut stored);
                        float(&mut stored, samples, element, &mut out);
                        assert_eq!(out, data, "{element} {samples} {cells}");
                    }
                }
            }
        }
    }
}
